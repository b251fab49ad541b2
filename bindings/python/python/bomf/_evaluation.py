"""What is told to an optimiser: points, objectives with their directions, and what came of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Union

import numpy as np
import numpy.typing as npt

__all__ = ["Directions", "Evaluation", "Objectives", "Point", "named_directions"]

Point = dict[str, Any]
Directions = Union[str, Sequence[str], Mapping[str, str]]
Objectives = Union[float, Sequence[float], npt.NDArray[np.float64], Mapping[str, float]]


@dataclass
class Evaluation:
    """A point and what came of it.

    Attributes:
        x: the point: parameter names to values.
        y: the objectives, shape ``[m]``, each in its own direction; ``None`` if the evaluation
            failed.
        std_errors: their standard errors, shape ``[m]``; empty where they are not known.
        constraints: values of the outcome constraints, shape ``[k]``.
        cost: what it cost; ``None`` where that was not told.
    """

    x: Point
    y: npt.NDArray[np.float64] | None
    std_errors: tuple[float, ...] = ()
    constraints: tuple[float, ...] = ()
    cost: float | None = None

    @property
    def value(self) -> float:
        """The only objective, or the first; NaN if the evaluation failed."""
        return math.nan if self.y is None else float(self.y[0])


def named_directions(directions: Directions) -> tuple[list[str], list[str]]:
    """Names and directions of the objectives."""
    if isinstance(directions, str):
        directions = [directions]
    if isinstance(directions, Mapping):
        return list(directions), [str(d) for d in directions.values()]
    given = [str(d) for d in directions]
    names = ["y"] if len(given) == 1 else [f"y{i}" for i in range(len(given))]
    return names, given
