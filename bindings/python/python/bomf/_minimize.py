"""A function minimised (or maximised): the loop of asking, evaluating and telling."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ._evaluation import Directions, Evaluation, Objectives, Point
from ._html import scatter, table
from ._optimizer import Optimizer
from ._pareto import knee
from ._progress import Bar
from ._space import Parameter
from .errors import ArgumentError, ExhaustedError

__all__ = ["Minimum", "minimize"]


@dataclass
class Minimum:
    """What :func:`minimize` found.

    Attributes:
        x: the best point; of several objectives the knee of the front. ``None`` if every evaluation
            failed.
        y: its objectives, shape ``[m]``.
        front: the evaluations that no other dominates.
        evaluations: all of them, in order.
        optimizer: the search, which can go on.
    """

    x: Point | None
    y: npt.NDArray[np.float64] | None
    front: list[Evaluation]
    evaluations: list[Evaluation]
    optimizer: Optimizer = field(repr=False)

    @property
    def value(self) -> float:
        """The first objective of the best point; NaN without one."""
        return math.nan if self.y is None else float(self.y[0])

    def _repr_html_(self) -> str:
        names = self.optimizer.names
        head = [p.name for p in self.optimizer._space.parameters] + names
        rows = []
        for e in self.front:
            values = [] if e.y is None else list(e.y)
            rows.append([e.x.get(name, "") for name in head[: -len(names)]] + values)
        marked = [i for i, e in enumerate(self.front) if e.x is self.x]
        if len(names) == 1:
            return table(f"the best of {len(self.evaluations)} evaluations", head, rows, marked)
        title = f"{len(self.evaluations)} evaluations, {len(self.front)} on the front"
        points = [[math.nan] * 2 if e.y is None else list(e.y[:2]) for e in self.evaluations]
        kept = {id(e) for e in self.front}
        on_front = [i for i, e in enumerate(self.evaluations) if id(e) in kept]
        chosen = [i for i in on_front if self.evaluations[i].x is self.x]
        figure = scatter(names[:2], points, on_front, chosen[0] if chosen else None)
        return table(title, head, rows, marked) + figure


def minimize(
    f: Callable[[Point], Objectives | None],
    space: Parameter | Iterable[Parameter],
    budget: int,
    *,
    directions: Directions = "minimize",
    ref_point: Sequence[float] | None = None,
    seed: int = 0,
    n_initial: int | None = None,
    initial: Iterable[Mapping[str, Any]] = (),
    catch: tuple[type[Exception], ...] = (),
    callback: Callable[[Evaluation], bool | None] | None = None,
    progress: bool | None = None,
) -> Minimum:
    """Evaluates ``f`` where it pays, ``budget`` times, and returns the best that was found.

    Args:
        f: from a point (a dict) to its objectives; ``None`` or a NaN is a failure.
        space: the parameters.
        budget: evaluations to make.
        directions: as of :class:`Optimizer`.
        ref_point: as of :class:`Optimizer`.
        seed: of every random choice.
        n_initial: as of :class:`Optimizer`.
        initial: points to evaluate first, within the budget.
        catch: exceptions of ``f`` that count as a failed evaluation; all others are raised.
        callback: called with each evaluation; returns ``True`` to stop.
        progress: whether a bar is drawn on stderr; where that is a terminal or a notebook, without.

    >>> import bomf
    >>> space = [bomf.Float("x", -5, 10), bomf.Float("y", 0, 15)]
    >>> found = bomf.minimize(lambda p: (p["x"] - 1) ** 2 + (p["y"] - 7) ** 2, space, 20, seed=2)
    >>> found.value < 0.5
    True
    """
    if budget < 1:
        raise ArgumentError(f"budget is {budget}, but at least 1 is needed")
    search = Optimizer(space, directions, ref_point, seed, n_initial=n_initial)
    first = list(initial)[:budget]
    with Bar(progress) as bar:
        bar("begin", "minimize", budget, "")
        while len(search) < budget:
            try:
                point = dict(first.pop(0)) if first else search.ask()[0]
            except ExhaustedError:
                break
            # What cannot be told would be a lost evaluation.
            search._search.check(search._space.encode(point))
            try:
                y = f(dict(point))
            except catch:
                y = None
            search.tell(point, y)
            bar("advance", "minimize", len(search), _standing(search))
            if callback is not None and callback(search.evaluations[-1]) is True:
                break
        bar("end", "minimize", 0, "")
    front = search.front()
    best = None
    if len(front) > 1:
        place = knee([e.y for e in front if e.y is not None], search.directions)
        best = front[place or 0]
    elif front:
        best = front[0]
    return Minimum(
        None if best is None else best.x,
        None if best is None else best.y,
        front,
        search.evaluations,
        search,
    )


def _standing(search: Optimizer) -> str:
    front = search.front()
    if len(search.names) > 1:
        return f"{len(front)} on the front"
    return f"best {front[0].value:.6g}" if front else "no success yet"
