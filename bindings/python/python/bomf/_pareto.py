"""Pareto fronts and hypervolume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Union

import numpy as np
import numpy.typing as npt

from . import _bomf
from .errors import ArgumentError

__all__ = [
    "hypervolume",
    "hypervolume_contributions",
    "infer_reference_point",
    "knee",
    "non_dominated",
    "non_dominated_sort",
]

Points = Union[npt.ArrayLike, Sequence[Any]]


def _rows(points: Points, directions: str | Sequence[str]) -> tuple[list[list[float]], list[str]]:
    """Points as rows, and one direction a column."""
    rows = np.asarray(points, dtype=np.float64)
    if rows.size == 0:
        rows = rows.reshape(0, rows.shape[-1] if rows.ndim == 2 else 0)
    if rows.ndim != 2:
        raise ArgumentError(f"points have the shape {list(rows.shape)}, but [n, m] is needed")
    if isinstance(directions, str):
        directions = [directions] * rows.shape[1]
    return rows.tolist(), [str(d) for d in directions]


def non_dominated(
    points: Points, directions: str | Sequence[str] = "minimize"
) -> npt.NDArray[np.intp]:
    """Indices of the points that no other one beats, rising.

    Args:
        points: shape ``[n, m]``.
        directions: one for all columns, or one a column.

    A point with a NaN is on no front; of equal points the first stands on it.

    >>> import bomf
    >>> bomf.non_dominated([[1, 3], [2, 2], [3, 3]]).tolist()
    [0, 1]
    """
    rows, names = _rows(points, directions)
    return np.array(sorted(_bomf.non_dominated(rows, names)), dtype=np.intp)


def non_dominated_sort(
    points: Points, directions: str | Sequence[str] = "minimize"
) -> list[npt.NDArray[np.intp]]:
    """The fronts of all points: the first is :func:`non_dominated`, the second that of the rest,
    and so on.

    >>> import bomf
    >>> [front.tolist() for front in bomf.non_dominated_sort([[1, 3], [2, 2], [3, 3]])]
    [[0, 1], [2]]
    """
    rows, names = _rows(points, directions)
    fronts = _bomf.non_dominated_sort(rows, names)
    return [np.array(sorted(front), dtype=np.intp) for front in fronts]


def hypervolume(
    points: Points,
    ref_point: Sequence[float] | npt.NDArray[np.float64],
    directions: str | Sequence[str] = "minimize",
) -> float:
    """What the points dominate beyond a reference point, exactly.

    Args:
        points: shape ``[n, m]``; those no better than ``ref_point`` count nothing.
        ref_point: shape ``[m]``, each objective in its own direction.
        directions: one for all columns, or one a column.

    >>> import bomf
    >>> bomf.hypervolume([[1, 3], [2, 2]], [4, 4])
    5.0
    """
    rows, names = _rows(points, directions)
    ref = [float(v) for v in np.asarray(ref_point, dtype=np.float64).reshape(-1)]
    if not rows:
        return 0.0
    return _bomf.hypervolume(rows, ref, names)


def hypervolume_contributions(
    points: Points,
    ref_point: Sequence[float] | npt.NDArray[np.float64],
    directions: str | Sequence[str] = "minimize",
) -> npt.NDArray[np.float64]:
    """What the hypervolume would lose without each point, shape ``[n]``.

    >>> import bomf
    >>> bomf.hypervolume_contributions([[1, 3], [2, 2]], [4, 4]).tolist()
    [1.0, 2.0]
    """
    rows, names = _rows(points, directions)
    ref = [float(v) for v in np.asarray(ref_point, dtype=np.float64).reshape(-1)]
    if not rows:
        return np.empty(0)
    return np.array(_bomf.hypervolume_contributions(rows, ref, names))


def knee(points: Points, directions: str | Sequence[str] = "minimize") -> int | None:
    """The index of the front's knee: the point with the best sum of objectives, each scaled to
    the front's range; ``None`` if no point is finite.

    >>> import bomf
    >>> bomf.knee([[0, 10], [1, 2], [10, 0]])
    1
    """
    return _bomf.knee(*_rows(points, directions))


def infer_reference_point(
    points: Points, directions: str | Sequence[str] = "minimize"
) -> npt.NDArray[np.float64]:
    """A reference point a tenth of the front's range beyond its worst values, shape ``[m]``.

    Raises:
        ParetoError: there is no point to infer it from.

    >>> import bomf
    >>> bomf.infer_reference_point([[0, 10], [10, 0]]).tolist()
    [11.0, 11.0]
    """
    return np.array(_bomf.infer_reference_point(*_rows(points, directions)))
