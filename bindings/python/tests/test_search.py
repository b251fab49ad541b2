"""Mixtures of members by the user's own evaluation."""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bomf

#: Members on a circle around the optimum, which is a mixture of several.
GOAL = np.array([0.2, -0.1], np.float32)
ANGLES = np.linspace(0, 2 * math.pi, 5, endpoint=False)
MEMBERS = [
    {"w": np.array([math.cos(a), math.sin(a)], np.float32), "n": np.array([i])}
    for i, a in enumerate(ANGLES)
]
BOTH = {"loss": "min", "f1": "max"}


def scores(state: dict[str, Any]) -> dict[str, float]:
    w = state["w"]
    return {
        "loss": float(((w - GOAL) ** 2).sum()),
        "f1": float(1 - abs(w[0] - 0.5)),
        "unused": math.nan,
    }


def test_the_result_is_no_worse_than_what_it_begins_with() -> None:
    told: list[str] = []
    search = bomf.FusionSearch(MEMBERS, scores, BOTH, seed=1)
    found = search.run(progress=lambda kind, phase, n, text: told.append(kind))
    assert found.chosen_by == "f1" and found.weights.sum() == pytest.approx(1.0)
    assert {"best_checkpoint", "uniform_soup", "greedy_soup", "bomf"} <= set(found.methods)
    assert "random_simplex" not in found.methods
    best = max(m.scores["f1"] for m in found.methods.values())
    assert found.methods["bomf"].scores["f1"] <= best
    assert max(p.scores["f1"] for p in found.front) >= best
    again = scores(found.state)  # type: ignore[arg-type]
    assert again["loss"] == found.scores["loss"] and again["f1"] == found.scores["f1"]
    assert len(found.members) == 5 and found.evaluations == len(found.evaluated)
    seen = {m.weights.tobytes() for m in found.evaluated}
    assert len(seen) == found.evaluations, "nothing is evaluated twice"
    assert "begin" in told and "advance" in told
    assert "<svg" in found._repr_html_() and "<table" in found._repr_html_()


def test_a_vertex_is_that_member_bit_for_bit() -> None:
    seen = []

    def evaluate(state: dict[str, Any]) -> dict[str, float]:
        seen.append(state["w"].copy())
        return scores(state)

    members = [{"w": m["w"].copy(), "n": m["n"]} for m in MEMBERS]
    members[4]["w"][1] = np.nan
    found = bomf.FusionSearch(members, evaluate, BOTH, evaluations=2).run()
    for member, value in zip(members[:4], seen):
        assert (member["w"] == value).all()
    assert found.members[4] == {}, "a member without finite scores"
    assert found.weights[4] == 0.0


def test_the_same_seed_searches_the_same_mixtures() -> None:
    runs = [bomf.FusionSearch(MEMBERS, scores, BOTH, seed=7, evaluations=6).run() for _ in range(2)]
    for a, b in zip(runs[0].evaluated, runs[1].evaluated, strict=True):
        assert a.weights.tolist() == b.weights.tolist() and a.scores == b.scores


def test_one_objective_and_standard_errors() -> None:
    found = bomf.FusionSearch(
        MEMBERS, lambda s: {"loss": (scores(s)["loss"], 1e-4)}, {"loss": "min"}
    ).run()
    assert found.scores["loss"] < 0.02 and len(found.front) == 1
    assert "<circle" not in found._repr_html_()


@pytest.mark.parametrize("rule", ["best_metric", "knee", "weights", "one_standard_error"])
def test_a_point_is_taken_by_the_rule(rule: str) -> None:
    weights = {"loss": 1.0, "f1": 0.0} if rule == "weights" else None
    found = bomf.FusionSearch(
        MEMBERS, scores, BOTH, choose=rule, objective_weights=weights, evaluations=8
    ).run()
    front = found.front
    if rule == "best_metric":
        assert found.scores["f1"] == max(p.scores["f1"] for p in front)
    if rule == "weights":
        assert found.scores["loss"] == min(p.scores["loss"] for p in front)
    assert sum(p.chosen for p in front) == 1


def test_failures_count_and_other_exceptions_are_raised() -> None:
    def evaluate(state: dict[str, Any]) -> dict[str, float] | None:
        if state["w"][0] > 0.9:
            raise RuntimeError("out of memory")
        return None if state["w"][1] > 0.9 else scores(state)

    found = bomf.FusionSearch(
        MEMBERS, evaluate, BOTH, catch=(RuntimeError,), evaluations=3
    ).run()
    assert found.members[0] == {} and found.members[1] == {}
    with pytest.raises(RuntimeError, match="out of memory"):
        bomf.FusionSearch(MEMBERS, evaluate, BOTH).run()
    with pytest.raises(bomf.errors.EvaluationError):
        bomf.FusionSearch(MEMBERS, lambda s: None, BOTH).run()
    with pytest.raises(bomf.errors.EvaluationError, match="`f1`"):
        bomf.FusionSearch(MEMBERS, lambda s: {"loss": 1.0}, BOTH).run()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objectives": {}}, "no objectives"),
        ({"objectives": {"loss": "down"}}, "direction"),
        ({"choose_by": "accuracy"}, "accuracy"),
        ({"choose": "coin"}, "coin"),
        ({"choose": "weights"}, "objective_weights"),
        ({"ref_point": {"loss": 1.0}}, "each objective"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    objectives = options.pop("objectives", BOTH)
    with pytest.raises(bomf.BomfError, match=message):
        bomf.FusionSearch(MEMBERS, scores, objectives, **options)


def test_one_member_is_too_few_and_wrong_counts_are_refused() -> None:
    with pytest.raises(bomf.errors.FusionError, match="at least 2"):
        bomf.FusionSearch(MEMBERS[:1], scores, BOTH).run()
    with pytest.raises(bomf.BomfError, match="evaluations"):
        bomf.FusionSearch(MEMBERS, scores, BOTH, evaluations=-1).run()
    with pytest.raises(bomf.BomfError, match="write"):
        bomf.FusionSearch(MEMBERS, scores, BOTH).run("folder")


def test_folders_are_written_as_the_mixture_that_was_evaluated(
    write_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    folders = [write_checkpoint(f"m{i}", m) for i, m in enumerate(MEMBERS[:3])]

    def evaluate(state: dict[str, Any]) -> dict[str, float]:
        return scores({k: np.asarray(v) for k, v in state.items()})

    journal = tmp_path / "trials.jsonl"
    found = bomf.FusionSearch(folders, evaluate, BOTH, evaluations=4).run(
        tmp_path / "out", journal=journal
    )
    assert found.out == tmp_path / "out" and bomf.verify(found.out)
    written = bomf.fuse([found.out])
    assert (np.asarray(written["w"]) == np.asarray(found.state["w"])).all()  # type: ignore[index]
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert len(lines) == found.evaluations


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
def test_ctrl_c_ends_the_search_within_a_second() -> None:
    def evaluate(state: dict[str, Any]) -> dict[str, float]:
        time.sleep(0.05)
        return scores(state)

    began = time.monotonic()
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.4)
    try:
        with pytest.raises(KeyboardInterrupt):
            bomf.FusionSearch(MEMBERS, evaluate, BOTH, evaluations=500).run()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    assert time.monotonic() - began < 1.4
