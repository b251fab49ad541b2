"""What a search of mixtures found."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ._html import scatter, table

__all__ = ["FusionResult", "MethodResult", "Mixture"]


@dataclass
class Mixture:
    """A mixture of the members.

    Attributes:
        weights: one a member, at least 0, their sum 1.
        scores: its scores, each in its own direction; empty if it failed.
        chosen: whether it is the one that was taken.
    """

    weights: npt.NDArray[np.float64]
    scores: dict[str, float]
    chosen: bool = False


@dataclass
class MethodResult:
    """What one method settled on: ``best_checkpoint``, ``uniform_soup``, ``greedy_soup``, …,
    ``bomf``."""

    name: str
    weights: npt.NDArray[np.float64]
    scores: dict[str, float]


@dataclass
class FusionResult:
    """What a search of mixtures found.

    Attributes:
        weights: of the mixture that was taken, shape ``[n]``.
        scores: its scores.
        front: the Pareto front, by falling chosen objective.
        members: the scores of each member; empty for one that failed.
        methods: what the classical methods came to, by name, and ``bomf``.
        evaluated: every mixture that was evaluated, in order.
        ref_point: the reference point of hypervolumes, by objective.
        objectives: what was optimised: names and directions.
        chosen_by: the objective by which the mixture was taken.
        state: the fused state dict; ``None`` where a module holds it.
        out: the folder that was written; ``None`` where none was asked for.
    """

    weights: npt.NDArray[np.float64]
    scores: dict[str, float]
    front: list[Mixture]
    members: list[dict[str, float]]
    methods: dict[str, MethodResult]
    evaluated: list[Mixture]
    ref_point: dict[str, float]
    objectives: dict[str, str]
    chosen_by: str
    state: dict[str, Any] | None = field(default=None, repr=False)
    out: Path | None = None

    @property
    def evaluations(self) -> int:
        """How many evaluations were made, those of the members among them."""
        return len(self.evaluated)

    def _repr_html_(self) -> str:
        names = list(self.objectives)
        rows = [
            [name, *(m.scores.get(o, math.nan) for o in names), m.weights]
            for name, m in self.methods.items()
        ]
        title = f"{self.evaluations} evaluations, chosen by {self.chosen_by}"
        marked = [i for i, name in enumerate(self.methods) if name == "bomf"]
        html = table(title, ["method", *names, "weights"], rows, marked)
        if len(names) < 2:
            return html
        pair = names[:2]
        points = [[m.scores.get(o, math.nan) for o in pair] for m in self.evaluated]
        front = {p.weights.tobytes() for p in self.front}
        on_front = [i for i, m in enumerate(self.evaluated) if m.weights.tobytes() in front]
        taken = self.weights.tobytes()
        chosen = [i for i in on_front if self.evaluated[i].weights.tobytes() == taken]
        return html + scatter(pair, points, on_front, chosen[0] if chosen else None)
