"""What people write, for type checkers: read by mypy, run by nobody."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

import bomf


def searched() -> float:
    space = [bomf.Float("lr", 1e-6, 1e-3, log=True), bomf.Simplex("w", 15)]
    search = bomf.Optimizer(space, {"loss": "min", "f1": "max"}, ref_point=[1.0, 0.0], seed=3)
    for point in search.ask(4):
        search.tell(point, {"loss": 0.1, "f1": 0.9})
        search.tell_failed(point)
    search.save("search.json")
    front: list[bomf.Evaluation] = bomf.Optimizer.load(Path("search.json")).front()
    found: bomf.Minimum = bomf.minimize(lambda p: float(p["x"]), bomf.Float("x", 0, 1), 10)
    best = search.best()
    return found.value + front[0].value + (0.0 if best is None else best.value)


def fronts(points: npt.NDArray[np.float64]) -> float:
    kept: npt.NDArray[np.intp] = bomf.non_dominated(points, ["minimize", "maximize"])
    return bomf.hypervolume(points[kept], [1.0, 0.0], ["minimize", "maximize"])


def fused(states: list[dict[str, npt.NDArray[np.float32]]]) -> bomf.MergeOutcome:
    state: dict[str, npt.NDArray[np.float32]] = bomf.fuse(states, [0.5, 0.5])
    bomf.fuse(states, out=state)
    verified: bool = bomf.verify("merged").is_same
    assert verified
    written: bomf.MergeOutcome = bomf.fuse(["a", "b"], out="merged", hash=False)
    return written


def mixed(members: list[Path]) -> Path | None:
    search = bomf.FusionSearch(members, lambda state: {"loss": 0.5}, {"loss": "min"})
    result: bomf.FusionResult = search.run(out="fused", progress=print)
    return result.out


def engine() -> str:
    run: bomf.Run = bomf.run("model", "data", "out", {"stage2": {"evaluations": 20}})
    return run.verdict + run.method("bomf").name
