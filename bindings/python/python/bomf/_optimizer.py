"""Bayesian optimisation: ask for points, tell what came of them."""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _bomf
from ._evaluation import Directions, Evaluation, Objectives, Point, named_directions
from ._space import Parameter, Space
from .errors import ArgumentError

__all__ = ["Optimizer"]

class Optimizer:
    """Searches a space for the best value of one objective, or for the Pareto front of several.

    One objective is searched by a Gaussian process and log expected improvement, several by one
    process each and the log of the expected hypervolume improvement (qLogNEHVI; qLogNParEGO
    beyond four). A seed and the same outcomes give the same points as the Rust library
    ``bomf-bo`` proposes.

    Args:
        space: parameters, as in ``[bomf.Float("lr", 1e-6, 1e-3, log=True), bomf.Simplex("w", 3)]``.
        directions: ``"minimize"`` or ``"maximize"``; a list of them, or a dict from names of
            objectives, for several.
        ref_point: above what the hypervolume counts, shape ``[m]``, each objective in its own
            direction; inferred from the front at each step without it.
        seed: of every random choice.
        n_initial: points of the starting design; the engine's own number without it.
        constraints: upper bounds of outcome constraints, shape ``[k]``: an evaluation is feasible
            where each of its ``constraints`` is at most its bound.
        cost_budget: the budget that the costs are taken from, in their unit.

    Raises:
        ArgumentError: a space, direction or reference point that cannot be.
        OptimizationError: what the engine refuses.

    >>> import bomf
    >>> search = bomf.Optimizer([bomf.Float("x", -2.0, 2.0)], "minimize", seed=1)
    >>> for _ in range(12):
    ...     for point in search.ask():
    ...         search.tell(point, (point["x"] - 0.5) ** 2)
    >>> abs(search.best().x["x"] - 0.5) < 0.05
    True
    """

    def __init__(
        self,
        space: Parameter | Iterable[Parameter] | Space,
        directions: Directions = "minimize",
        ref_point: Sequence[float] | None = None,
        seed: int = 0,
        *,
        n_initial: int | None = None,
        constraints: Sequence[float] = (),
        cost_budget: float | None = None,
    ) -> None:
        self._space = Space.of(space)
        self._names, self._directions = named_directions(directions)
        if not 0 <= seed < 2**64:
            raise ArgumentError(f"seed is {seed}, but 0 to 2**64 - 1 is needed")
        self._search = _bomf.Search(
            self._space.json(),
            self._directions,
            seed,
            None if ref_point is None else [float(v) for v in ref_point],
            n_initial,
            [float(v) for v in constraints],
            cost_budget,
        )
        self._evaluations: list[Evaluation] = []
        self._lock = threading.RLock()

    @property
    def names(self) -> list[str]:
        """The objectives' names."""
        return list(self._names)

    @property
    def directions(self) -> list[str]:
        """The objectives' directions."""
        return list(self._directions)

    @property
    def evaluations(self) -> list[Evaluation]:
        """Everything that was told, in order."""
        return list(self._evaluations)

    def __len__(self) -> int:
        return len(self._evaluations)

    def ask(self, n: int = 1) -> list[Point]:
        """The next ``n`` points, to be evaluated side by side; pending from now on.

        Ctrl-C is heard within a tenth of a second, and then nothing has changed.

        Raises:
            ExhaustedError: every point of a finite space has been proposed.

        >>> import bomf
        >>> search = bomf.Optimizer(bomf.Simplex("w", 3), ["minimize", "maximize"])
        >>> points = search.ask(4)
        >>> len(points), float(round(points[0]["w"].sum(), 9))
        (4, 1.0)
        """
        if n < 1:
            raise ArgumentError(f"n is {n}, but at least 1 is needed")
        with self._lock:
            asked = json.loads(self._search.ask(n))
        return [self._space.decode(parts) for parts in asked]

    def tell(
        self,
        x: Mapping[str, Any],
        y: Objectives | None,
        *,
        std_errors: Objectives | None = None,
        constraints: Sequence[float] = (),
        cost: float | None = None,
    ) -> None:
        """Records what came of a point, proposed or not.

        Args:
            x: the point.
            y: the objectives, shape ``[m]`` (a number where there is one); by their names where
                the directions have names. ``None``, or a value that is not finite, for an
                evaluation that failed: such points are not proposed again, and where evaluations
                succeed is learned.
            std_errors: the objectives' standard errors, shape ``[m]``; learned as noise without.
            constraints: values of the outcome constraints, shape ``[k]``.
            cost: what the evaluation cost, above 0, in any unit.

        Raises:
            OptimizationError: the point is not in the space, or the outcome does not fit; nothing
                is recorded then.

        >>> import bomf
        >>> search = bomf.Optimizer([bomf.Float("x", 0, 1)], {"loss": "minimize", "f1": "maximize"})
        >>> search.tell({"x": 0.5}, {"loss": 0.3, "f1": 0.8})
        >>> search.front()[0].y
        array([0.3, 0.8])
        """
        values = None if y is None else self._objectives(y)
        errors = [] if std_errors is None else list(self._objectives(std_errors))
        bounds = [float(c) for c in constraints]
        with self._lock:
            self._search.tell(
                self._space.encode(x),
                None if values is None else list(values),
                errors,
                bounds,
                None if cost is None else float(cost),
            )
            succeeded = values is not None and bool(np.isfinite(values).all())
            told = Evaluation(
                dict(x), values if succeeded else None, tuple(errors), tuple(bounds), cost
            )
            self._evaluations.append(told)

    def tell_failed(self, x: Mapping[str, Any], *, cost: float | None = None) -> None:
        """Records that the evaluation of a point failed.

        >>> import bomf
        >>> search = bomf.Optimizer([bomf.Float("x", 0, 1)])
        >>> search.tell_failed({"x": 0.9})
        >>> search.best() is None
        True
        """
        self.tell(x, None, cost=cost)

    def _objectives(self, y: Objectives) -> npt.NDArray[np.float64]:
        if isinstance(y, Mapping):
            missing = [name for name in self._names if name not in y]
            if missing:
                raise ArgumentError(
                    f"y has no objective `{missing[0]}`", f"it has {', '.join(map(str, y))}"
                )
            y = [float(y[name]) for name in self._names]
        values = np.atleast_1d(np.asarray(y, dtype=np.float64))
        if values.shape != (len(self._names),):
            raise ArgumentError(
                f"y has the shape {list(values.shape)}, but [{len(self._names)}] is needed"
            )
        return values

    def best(self) -> Evaluation | None:
        """The best feasible evaluation of one objective, the first of equals; ``None`` while there
        is none.

        Raises:
            ArgumentError: there are several objectives, which have a :meth:`front`.
        """
        if len(self._names) > 1:
            raise ArgumentError("several objectives have no best point", "see front()")
        front = self.front()
        return front[0] if front else None

    def front(self) -> list[Evaluation]:
        """The feasible evaluations that no other dominates, in the order of telling (of equal
        outcomes the first); for one objective the best.

        >>> import bomf
        >>> search = bomf.Optimizer([bomf.Float("x", 0, 1)], ["minimize", "minimize"])
        >>> for x, y in [(0.1, [1, 3]), (0.2, [2, 2]), (0.3, [3, 3])]:
        ...     search.tell({"x": x}, y)
        >>> [e.x["x"] for e in search.front()]
        [0.1, 0.2]
        """
        with self._lock:
            return [self._evaluations[i] for i in self._search.best()]

    def ref_point(self) -> npt.NDArray[np.float64] | None:
        """The reference point in use, shape ``[m]``, each objective in its own direction; ``None``
        for one objective, or while nothing is known to infer it from.

        >>> import bomf
        >>> bomf.Optimizer(bomf.Float("x", 0, 1), ["min", "max"], ref_point=[1, 0]).ref_point()
        array([1., 0.])
        """
        with self._lock:
            point = self._search.ref_point()
        return None if point is None else np.array(point)

    def hypervolume_history(self) -> npt.NDArray[np.float64]:
        """The hypervolume after each evaluation, shape ``[n]``, above the current
        :meth:`ref_point`.

        Raises:
            ArgumentError: there is one objective only.

        >>> import bomf
        >>> search = bomf.Optimizer(bomf.Float("x", 0, 1), ["min", "min"], ref_point=[4, 4])
        >>> search.tell({"x": 0.1}, [1, 3])
        >>> search.tell({"x": 0.2}, [2, 2])
        >>> search.hypervolume_history()
        array([3., 5.])
        """
        with self._lock:
            history = self._search.hypervolume_history()
        if history is None:
            raise ArgumentError("one objective has no hypervolume", "see best()")
        return np.array(history, dtype=np.float64)

    def expected_gain(self) -> float | None:
        """What the models expect the last proposal to bring: a share of the front's hypervolume,
        or, for one objective, of the outcomes' standard deviation; ``None`` for a proposal of the
        starting design.

        >>> import bomf
        >>> search = bomf.Optimizer(bomf.Float("x", 0, 1))
        >>> _ = search.ask()
        >>> search.expected_gain() is None
        True
        """
        with self._lock:
            return self._search.expected_gain()

    def recent_gain(self, evaluations: int) -> float | None:
        """What the last so many evaluations brought: a share of the hypervolume, or, for one
        objective, of the distance from the median to the best value; ``None`` while too little is
        known.

        >>> import bomf
        >>> search = bomf.Optimizer(bomf.Float("x", 0, 1))
        >>> search.recent_gain(5) is None
        True
        """
        with self._lock:
            return self._search.recent_gain(evaluations)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the optimiser to a file, which is whole or not there; read back, it goes on bit
        for bit as it would have.

        Raises:
            ArgumentError: a choice that JSON cannot hold.

        >>> import bomf, os, tempfile
        >>> search = bomf.Optimizer([bomf.Float("x", 0, 1)], seed=3)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "search.json")
        ...     search.save(path)
        ...     bomf.Optimizer.load(path).ask() == search.ask()
        True
        """
        with self._lock:
            text = json.dumps({"space": self._space.dump(), **self._state()})
        target = Path(path)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, target)
        except BaseException:
            os.unlink(name)
            raise

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Optimizer:
        """The optimiser that :meth:`save` wrote.

        Raises:
            ArgumentError: the file holds something else.
        """
        text = Path(path).read_text(encoding="utf-8")
        try:
            stored = json.loads(text)
            space = Space.load(stored.pop("space"))
            return cls._restored(space, stored)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, ArgumentError):
                raise
            raise ArgumentError(f"{os.fspath(path)} is no stored optimiser: {error!r}") from error

    def _state(self) -> dict[str, Any]:
        return {
            "names": self._names,
            "directions": self._directions,
            "points": [json.loads(self._space.encode(e.x)) for e in self._evaluations],
            "outcomes": [
                {
                    "y": None if e.y is None else list(e.y),
                    "std_errors": list(e.std_errors),
                    "constraints": list(e.constraints),
                    "cost": e.cost,
                }
                for e in self._evaluations
            ],
            "engine": json.loads(self._search.dump()),
        }

    @classmethod
    def _restored(cls, space: Space, state: Mapping[str, Any]) -> Optimizer:
        self = cls.__new__(cls)
        self._space = space
        self._names = list(state["names"])
        self._directions = list(state["directions"])
        self._search = _bomf.Search.restore(json.dumps(state["engine"]))
        self._evaluations = [
            Evaluation(
                space.decode(parts),
                None if o["y"] is None else np.array(o["y"], dtype=np.float64),
                tuple(o["std_errors"]),
                tuple(o["constraints"]),
                o["cost"],
            )
            for parts, o in zip(state["points"], state["outcomes"])
        ]
        self._lock = threading.RLock()
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        with self._lock:
            return _unpickled, (type(self), self._space, self._state())

    def __repr__(self) -> str:
        return (
            f"<bomf.Optimizer of {len(self._space.parameters)} parameters and "
            f"{len(self._names)} objectives, {len(self)} evaluations>"
        )


def _unpickled(cls: type[Optimizer], space: Space, state: Mapping[str, Any]) -> Optimizer:
    return cls._restored(space, state)
