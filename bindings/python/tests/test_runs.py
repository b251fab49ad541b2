"""The native engine from Python, on a model that it trains from nothing."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bomf

RECIPE: dict[str, Any] = {
    "seed": 3,
    "stage1": {"trials": 2, "initial": 1, "epochs": 1},
    "finetune": {"epochs": 3, "evaluations_per_epoch": 2},
    "members": {"count": 3},
    "stage2": {"evaluations": 3},
}


def test_a_whole_run_gives_results_a_report_and_other_mixtures(
    task: tuple[Path, Path], tmp_path: Path
) -> None:
    model, data = task
    phases: list[str] = []

    def progress(kind: str, phase: str, number: int, text: str) -> None:
        if kind == "begin":
            phases.append(phase)

    out = tmp_path / "out"
    found = bomf.run(model, data, out, RECIPE, progress=progress)
    assert {"tune", "finetune", "fuse"} <= set(phases)
    assert found.seed == 3 and found.fused.is_dir() and (out / "report.html").is_file()
    assert len(found.stage1.trials) == 2 and found.finetune.members
    bomf_ = found.method("bomf")
    assert bomf_.weights is not None and sum(bomf_.weights) == pytest.approx(1.0)
    assert "<svg" in found._repr_html_() and found.verdict
    assert "<table" in found.stage1._repr_html_() and "<table" in found.finetune._repr_html_()
    with pytest.raises(KeyError):
        found.method("magic")

    again = bomf.load_run(out)
    assert again.methods == found.methods and again.front == found.front
    scores = bomf.evaluate(found.fused, data, RECIPE, split="test")
    assert scores["loss"] == pytest.approx(bomf_.report["loss"], rel=1e-4)
    picked = bomf.pick(found, tmp_path / "picked", point=1)
    assert picked == found.front[0].select and (tmp_path / "picked" / "config.json").exists()
    bomf.pick(out, tmp_path / "soup", method="uniform_soup")
    for options in ({}, {"point": 1, "method": "bomf"}, {"method": "magic"}):
        with pytest.raises(bomf.BomfError):
            bomf.pick(out, tmp_path / "no", **options)  # type: ignore[arg-type]

    with pytest.raises(bomf.errors.OutputError, match="overwrite=True"):
        bomf.run(model, data, out, RECIPE)
    fused = bomf.fuse_checkpoints(out / "members", data, tmp_path / "fused", RECIPE)
    assert fused.method("bomf").weights is not None


def test_the_steps_stand_alone(task: tuple[Path, Path], tmp_path: Path) -> None:
    model, data = task
    tuned = bomf.stage1(model, data, tmp_path / "tuned", RECIPE)
    assert "learning_rate" in tuned.best
    done = bomf.finetune(
        model, data, tmp_path / "run", RECIPE, learning_rate=1e-3, batch_size=8, seed=5
    )
    assert done.members and done.steps_per_epoch == 15
    with pytest.raises(bomf.errors.RecipeError):
        bomf.finetune(model, data, tmp_path / "none", RECIPE)


def test_what_is_wrong_is_said_with_its_place(task: tuple[Path, Path], tmp_path: Path) -> None:
    model, data = task
    with pytest.raises(bomf.errors.RecipeError, match="epoch"):
        bomf.run(model, data, tmp_path / "out", {"finetune": {"epoch": 3}})
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("finetune:\n  epoch: 3\n")
    with pytest.raises(bomf.errors.RecipeError, match="recipe.yaml line 2") as caught:
        bomf.run(model, data, tmp_path / "out", recipe)
    assert caught.value.hint == "did you mean `epochs`?"
    with pytest.raises(bomf.BomfError):
        bomf.run(model, tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(bomf.BomfError):
        bomf.run(tmp_path / "nowhere", data, tmp_path / "out")
    with pytest.raises(bomf.BomfError, match="split"):
        bomf.evaluate(model, data, split="training")
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
def test_ctrl_c_ends_a_run_within_a_second(task: tuple[Path, Path], tmp_path: Path) -> None:
    model, data = task
    recipe = {**RECIPE, "finetune": {"epochs": 500, "early_stopping": False}}
    began = time.monotonic()
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 1.0)
    try:
        with pytest.raises(KeyboardInterrupt):
            bomf.run(model, data, tmp_path / "out", recipe)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    assert time.monotonic() - began < 2.0
    assert (tmp_path / "out" / "trials.jsonl").exists()


def test_user_functions_are_tuned() -> None:
    seen = []

    def train(point: dict[str, Any], light: str) -> list[float] | None:
        assert light == "half"
        seen.append(point)
        return None if point["lr"] > 5e-4 else [abs(np.log10(point["lr"]) + 4), -point["n"]]

    space = [bomf.Float("lr", 1e-6, 1e-3, log=True), bomf.Integer("n", 1, 4)]
    found = bomf.tune(train, space, 8, light="half", directions={"loss": "min", "size": "min"})
    assert len(seen) == 8 == len(found.trials) and found.best in seen
    assert "<table" in found._repr_html_()
