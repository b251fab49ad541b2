"""The optimiser: points in and out, and the same answers as the Rust library."""

from __future__ import annotations

import math
import pickle
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bomf

MIXED = [
    bomf.Float("lr", 1e-6, 1e-2, log=True),
    bomf.Integer("layers", 1, 12),
    bomf.Categorical("schedule", ["constant", "linear", None]),
    bomf.Float("momentum", 0.0, 0.99, when={"schedule": ["linear"]}),
]


#: Linear algebra rounds differently on other processors, and the search passes it on: far less
#: than this in the first few points.
ROUNDING = 1e-5


def mixed(point: dict[str, Any]) -> float:
    loss = (math.log10(point["lr"]) + 4) ** 2 + 0.1 * abs(point["layers"] - 5)
    return loss + 0.2 * (point["schedule"] is not None) + point.get("momentum", 0.0) ** 2


def test_points_are_of_the_space_and_conditions_hold() -> None:
    search = bomf.Optimizer(MIXED, seed=4)
    for _ in range(25):
        (point,) = search.ask()
        assert 1e-6 <= point["lr"] <= 1e-2 and isinstance(point["lr"], float)
        assert 1 <= point["layers"] <= 12 and isinstance(point["layers"], int)
        assert point["schedule"] in ("constant", "linear", None)
        assert ("momentum" in point) == (point["schedule"] == "linear")
        search.tell(point, mixed(point))
    best = search.best()
    assert best is not None and best.value == min(e.value for e in search.evaluations)


def test_a_seed_gives_the_points_of_the_rust_library() -> None:
    # The searches of examples/seeded.rs of bomf-bo, which printed tests/golden.py.
    from golden import LOG_FLOAT, SIMPLEX

    search = bomf.Optimizer([bomf.Float("lr", 1e-6, 1e-2, log=True)], "maximize", seed=1)
    for expected in LOG_FLOAT:
        (point,) = search.ask()
        assert point["lr"] == pytest.approx(expected, rel=ROUNDING)
        search.tell(point, -((math.log10(point["lr"]) + 4) ** 2))

    front = bomf.Optimizer(bomf.Simplex("w", 3), ["maximize", "maximize"], seed=1)
    third = np.full(3, 1 / 3)
    front.tell({"w": third}, [-1 / 3, -1 / 3])
    for weights in SIMPLEX:
        (point,) = front.ask()
        w = point["w"]
        assert w.tolist() == pytest.approx(weights, abs=ROUNDING)
        front.tell(point, [-((w[0] - 1) ** 2), -((w[1] - 1) ** 2)])


def test_directions_are_turned_once() -> None:
    down = bomf.Optimizer([bomf.Float("x", 0, 1)], "minimize", seed=5)
    up = bomf.Optimizer([bomf.Float("x", 0, 1)], "maximize", seed=5)
    for _ in range(8):
        a, b = down.ask()[0], up.ask()[0]
        assert a == b
        y = math.sin(9 * a["x"])
        down.tell(a, y)
        up.tell(b, -y)
    assert down.best().value == -up.best().value  # type: ignore[union-attr]


def test_products_mix_boxes_and_simplexes_in_any_order() -> None:
    space = [bomf.Simplex("w", 3), bomf.Float("t", 0, 1), bomf.Simplex("v", 2)]
    search = bomf.Optimizer(space, {"loss": "minimize", "f1": "maximize"}, seed=2)
    for point in search.ask(6):
        assert list(point) == ["w", "t", "v"]
        assert point["w"].shape == (3,) and point["v"].shape == (2,)
        assert point["w"].sum() == pytest.approx(1.0)
        search.tell(point, {"loss": point["w"][0] ** 2, "f1": point["v"][1], "other": 7.0})
    assert search.ref_point() is not None
    history = search.hypervolume_history()
    assert history.shape == (6,) and (np.diff(history) >= 0).all()
    assert all(e.y is not None and e.y.shape == (2,) for e in search.front())


def test_failures_are_told_in_three_ways_and_are_never_best() -> None:
    search = bomf.Optimizer([bomf.Float("x", 0, 1)], seed=1)
    search.tell_failed({"x": 0.1})
    search.tell({"x": 0.2}, math.nan)
    search.tell({"x": 0.3}, None)
    assert search.best() is None and search.front() == [] and len(search) == 3
    search.tell({"x": 0.4}, 3.0, cost=2.0)
    assert search.best().x == {"x": 0.4}  # type: ignore[union-attr]


def test_outcome_constraints_decide_what_is_feasible() -> None:
    search = bomf.Optimizer([bomf.Float("x", 0, 1)], constraints=[1.0])
    search.tell({"x": 0.1}, 0.0, constraints=[2.0])
    search.tell({"x": 0.2}, 5.0, constraints=[0.5])
    assert search.best().x == {"x": 0.2}  # type: ignore[union-attr]
    with pytest.raises(bomf.errors.OptimizationError):
        search.tell({"x": 0.3}, 1.0)


def test_numpy_goes_in_and_comes_out() -> None:
    search = bomf.Optimizer([bomf.Integer("n", 1, 9), bomf.Simplex("w", 2)])
    point = {"n": np.int64(3), "w": np.array([0.25, 0.75], dtype=np.float32)}
    search.tell(point, np.array([1.5]))
    assert search.best().value == 1.5  # type: ignore[union-attr]
    assert isinstance(search.ask()[0]["w"], np.ndarray)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ([], "empty"),
        ([bomf.Float("a", 1, 0)], "`a`"),
        ([bomf.Float("a", 0, 1, log=True)], "`a`"),
        ([bomf.Float("a", 0, math.inf)], "finite"),
        ([bomf.Integer("a", 0, 2.5)], "whole number"),  # type: ignore[arg-type]
        ([bomf.Float("a", 0, 1), bomf.Integer("a", 0, 1)], "twice"),
        ([bomf.Categorical("a", [])], "`a`"),
        ([bomf.Simplex("a", 0)], "empty"),
        ([bomf.Float("a", 0, 1, when={"b": [1]})], "`b`"),
        (["a"], "no parameter"),
    ],
)
def test_a_wrong_space_is_refused_in_words(space: Any, message: str) -> None:
    with pytest.raises(bomf.BomfError, match=message):
        bomf.Optimizer(space)


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({}, "`lr`"),
        ({"lr": 1.0, "layers": 3, "schedule": None}, "not in"),
        ({"lr": 1e-4, "layers": 3.5, "schedule": None}, "whole number"),
        ({"lr": 1e-4, "layers": 3, "schedule": "cosine"}, "cosine"),
        ({"lr": 1e-4, "layers": 3, "schedule": None, "momentum": 0.5}, "momentum"),
        ({"lr": 1e-4, "layers": 3, "schedule": None, "epochs": 3}, "epochs"),
        ([1e-4, 3, None], "dict"),
    ],
)
def test_a_wrong_point_is_refused_and_nothing_recorded(point: Any, message: str) -> None:
    search = bomf.Optimizer(MIXED)
    with pytest.raises(bomf.BomfError, match=message):
        search.tell(point, 1.0)
    assert len(search) == 0


def test_choices_that_compare_equal_are_told_apart() -> None:
    search = bomf.Optimizer([bomf.Categorical("c", [1, 1.0, True, "1"])], seed=3)
    seen = [search.ask()[0]["c"] for _ in range(4)]
    assert {type(c) for c in seen} == {int, float, bool, str}
    with pytest.raises(bomf.errors.ExhaustedError):
        search.ask()


def test_wrong_numbers_of_objectives_are_refused() -> None:
    search = bomf.Optimizer([bomf.Float("x", 0, 1)], ["min", "max"])
    for y in (1.0, [1.0], [1.0, 2.0, 3.0], {"y0": 1.0}):
        with pytest.raises(bomf.BomfError):
            search.tell({"x": 0.5}, y)  # type: ignore[arg-type]
    with pytest.raises(bomf.BomfError, match="front"):
        search.best()
    with pytest.raises(bomf.BomfError, match="direction"):
        bomf.Optimizer([bomf.Float("x", 0, 1)], "downwards")
    with pytest.raises(bomf.BomfError, match="ref_point"):
        bomf.Optimizer([bomf.Float("x", 0, 1)], ["min", "max"], ref_point=[1.0])


@pytest.mark.parametrize("kind", ["file", "pickle"])
@pytest.mark.parametrize("directions", ["minimize", ["minimize", "maximize"]])
def test_a_stored_search_goes_on_bit_for_bit(
    kind: str, directions: Any, tmp_path: Path
) -> None:
    space = [bomf.Float("x", 0, 1), bomf.Categorical("c", [None, 2, "a"]), bomf.Simplex("w", 3)]
    search = bomf.Optimizer(space, directions, seed=9)

    def y(p: dict[str, Any]) -> Any:
        one = (p["x"] - 0.3) ** 2 + float(p["w"][1])
        return one if directions == "minimize" else [one, p["w"][2]]

    for point in search.ask(7):
        search.tell(point, y(point))
    search.tell_failed({"x": 0.9, "c": 2, "w": [0, 0, 1]})
    pending = search.ask()[0]
    if kind == "file":
        search.save(tmp_path / "search.json")
        again = bomf.Optimizer.load(tmp_path / "search.json")
        assert [p.name for p in tmp_path.iterdir()] == ["search.json"]
    else:
        again = pickle.loads(pickle.dumps(search))
    assert len(again) == 8 and again.directions == search.directions
    for s in (search, again):
        s.tell(pending, y(pending))
    for _ in range(3):
        a, b = search.ask()[0], again.ask()[0]
        assert a["x"] == b["x"] and a["c"] == b["c"] and a["w"].tolist() == b["w"].tolist()
        search.tell(a, y(a))
        again.tell(b, y(b))


def test_a_torn_file_is_no_optimiser(tmp_path: Path) -> None:
    path = tmp_path / "search.json"
    search = bomf.Optimizer([bomf.Float("x", 0, 1)])
    search.save(path)
    whole = path.read_text()
    for text in ("", "{}", whole[: len(whole) // 2], whole.replace('"format": 1', '"format": 9')):
        path.write_text(text)
        with pytest.raises(bomf.errors.ArgumentError):
            bomf.Optimizer.load(path)


def test_minimize_finds_the_minimum_and_tells_how_it_stands() -> None:
    told = []

    def progress(kind: str, phase: str, number: int, text: str) -> None:
        told.append((kind, number))

    space = [bomf.Float("x", -5, 10), bomf.Float("y", 0, 15)]

    def branin(p: dict[str, float]) -> float:
        x, y = p["x"], p["y"]
        a = (y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6) ** 2
        return a + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10

    found = bomf.minimize(branin, space, 30, seed=0, progress=progress)  # type: ignore[arg-type]
    assert found.value < 0.3979 + 0.05
    assert told[0] == ("begin", 30) and ("advance", 30) in told and told[-1][0] == "end"
    assert len(found.evaluations) == 30 and "evaluations" in found._repr_html_()


def test_minimize_counts_failures_stops_when_told_and_passes_errors_on() -> None:
    def f(p: dict[str, float]) -> float | None:
        if p["x"] > 0.8:
            raise ValueError("diverged")
        return None if p["x"] > 0.6 else p["x"]

    space = [bomf.Float("x", 0, 1)]
    found = bomf.minimize(f, space, 10, initial=[{"x": 0.9}], catch=(ValueError,))
    assert found.evaluations[0].y is None and found.value <= 0.6
    with pytest.raises(ValueError, match="diverged"):
        bomf.minimize(f, space, 10, initial=[{"x": 0.9}])
    stopped = bomf.minimize(f, space, 10, callback=lambda e: True, catch=(ValueError,))
    assert len(stopped.evaluations) == 1
    finite = bomf.minimize(lambda p: p["n"], [bomf.Integer("n", 1, 4)], 10)
    assert len(finite.evaluations) == 4


def test_minimize_of_several_objectives_gives_a_front() -> None:
    found = bomf.minimize(
        lambda p: [p["x"] ** 2, (p["x"] - 1) ** 2],
        [bomf.Float("x", -1, 2)],
        15,
        directions=["minimize", "minimize"],
    )
    assert len(found.front) > 3 and found.y is not None and found.y.shape == (2,)


def test_threads_may_ask_and_tell_at_the_same_time() -> None:
    search = bomf.Optimizer([bomf.Float("x", 0, 1), bomf.Float("y", 0, 1)], seed=1)

    def work() -> None:
        for _ in range(5):
            point = search.ask()[0]
            search.tell(point, point["x"] + point["y"])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(search) == 20


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
def test_ctrl_c_is_heard_within_a_second_and_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    space = [bomf.Float(f"x{i}", 0, 1) for i in range(10)]
    search = bomf.Optimizer(space, ["min", "min", "min"], seed=0)
    for row in rng.random((150, 10)):
        search.tell({f"x{i}": v for i, v in enumerate(row)}, [row.sum(), row[0], row[1] - row[2]])
    before = search._search.dump()
    began = time.monotonic()
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(KeyboardInterrupt):
            search.ask(200)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    assert time.monotonic() - began < 1.2
    assert search._search.dump() == before


def test_errors_have_a_hint_and_survive_a_pickle() -> None:
    with pytest.raises(bomf.BomfError) as caught:
        bomf.Optimizer([bomf.Float("x", 0, 1)]).tell({"x": 0.5, "z": 1}, 1.0)
    error = caught.value
    assert error.hint and error.hint in str(error) and isinstance(error, ValueError)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.message, again.hint) == (type(error), error.message, error.hint)
