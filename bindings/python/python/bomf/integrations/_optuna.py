"""Optuna's spaces and trials as those of :class:`bomf.Optimizer`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from .._optimizer import Optimizer
from .._space import Categorical, Float, Integer, Parameter, Simplex
from ..errors import OptimizationError

__all__ = ["Search", "direction_of", "normalised", "weight_names", "why_not"]

_logger = logging.getLogger("bomf.integrations.optuna")

#: Weights whose sum is so near to 1 are taken as they are: a point that was proposed is known again
#: by its exact values.
_SUM_TOLERANCE = 1e-9

#: Integers beyond this are not told apart by the engine.
_EXACT_INTEGER = 2**43


class Search:
    """An optimiser of one search space, and what it has been told."""

    def __init__(
        self,
        space: dict[str, BaseDistribution],
        simplexes: Mapping[str, int],
        directions: list[str],
        ref_point: list[float] | None,
        seed: int,
        n_initial: int | None,
    ) -> None:
        self.space = dict(space)
        self._several = len(directions) > 1
        self._groups = {name: weight_names(name, n) for name, n in simplexes.items()}
        grouped = {name for names in self._groups.values() for name in names}
        self._maps = {name: Map(name, d) for name, d in space.items() if name not in grouped}
        self._optimizer = Optimizer(
            [
                *(m.parameter for m in self._maps.values()),
                *(Simplex(name, n) for name, n in simplexes.items()),
            ],
            directions,
            ref_point if self._several else None,
            seed,
            n_initial=n_initial,
        )
        self._told: set[int] = set()

    def follow(self, trials: Sequence[FrozenTrial]) -> None:
        """Tells what has been finished since the last time."""
        for trial in trials:
            if trial.number in self._told or not trial.state.is_finished():
                continue
            self._told.add(trial.number)
            if any(trial.distributions.get(name) != d for name, d in self.space.items()):
                continue
            values: Sequence[float] | None = None
            if trial.state == TrialState.COMPLETE:
                values = trial.values
            elif trial.state == TrialState.PRUNED:
                last = trial.last_step
                if self._several or last is None:
                    continue
                values = [trial.intermediate_values[last]]
            x = {name: m.inside(trial.params[name]) for name, m in self._maps.items()}
            for group, names in self._groups.items():
                x[group] = normalised([trial.params[name] for name in names])
            try:
                self._optimizer.tell(x, values)
            except OptimizationError as error:
                # A point that was enqueued outside of the space, say.
                _logger.warning("trial %d is not learned from: %s", trial.number, error)

    def ask(self) -> dict[str, Any]:
        """The next point, as Optuna writes it."""
        point = self._optimizer.ask()[0]
        found = {name: m.outside(point[name]) for name, m in self._maps.items()}
        for group, names in self._groups.items():
            weights = np.clip(point[group], 0.0, 1.0)
            found.update(zip(names, weights.tolist()))
        return found


class Map:
    """A distribution of Optuna as a parameter of bomf."""

    def __init__(self, name: str, distribution: BaseDistribution) -> None:
        self.distribution = distribution
        self._low: float = 0
        self._step: float | None = None
        self.parameter: Parameter
        if isinstance(distribution, CategoricalDistribution):
            self.parameter = Categorical(name, list(range(len(distribution.choices))))
            return
        assert isinstance(distribution, (FloatDistribution, IntDistribution))
        low, high, step = distribution.low, distribution.high, distribution.step
        is_float = isinstance(distribution, FloatDistribution)
        if step is not None and not (step == 1 and not is_float):
            # Grids are integers: 0, 1, … stand for low, low + step, …
            number = int(round((high - low) / step))
            self._low, self._step = low, step
            self.parameter = Integer(name, 0, number)
        elif is_float:
            self.parameter = Float(name, low, high, log=distribution.log)
        else:
            self.parameter = Integer(name, int(low), int(high), log=distribution.log)

    def inside(self, value: Any) -> Any:
        """A value as bomf has it."""
        if isinstance(self.distribution, CategoricalDistribution):
            return int(self.distribution.to_internal_repr(value))
        if self._step is not None:
            return int(round((value - self._low) / self._step))
        return value

    def outside(self, value: Any) -> Any:
        """A value as Optuna has it."""
        if isinstance(self.distribution, CategoricalDistribution):
            return self.distribution.choices[value]
        if self._step is not None:
            value = self._low + self._step * value
        if isinstance(self.distribution, FloatDistribution):
            return float(min(value, self.distribution.high))
        return int(value)


def weight_names(name: str, n: int) -> list[str]:
    """The parameters of a simplex in Optuna, which has none: floats from 0 to 1."""
    return [f"{name}[{i}]" for i in range(n)]


def normalised(weights: Sequence[float]) -> npt.NDArray[np.float64]:
    """Weights whose sum is 1: equal ones where all are 0."""
    values = np.asarray(weights, dtype=np.float64)
    total = float(values.sum())
    if abs(total - 1.0) <= _SUM_TOLERANCE:
        return values
    return values / total if total > 0 else np.full(len(values), 1.0 / len(values))


def why_not(distribution: BaseDistribution) -> str | None:
    """Why a distribution is not searched; ``None`` if it is."""
    if isinstance(distribution, (FloatDistribution, IntDistribution)):
        bounds = (distribution.low, distribution.high)
        if isinstance(distribution, IntDistribution) and max(map(abs, bounds)) > _EXACT_INTEGER:
            return f"its bounds {bounds} are beyond 2^43"
        step = distribution.step
        if step is not None and (bounds[1] - bounds[0]) / step > _EXACT_INTEGER:
            return "its step makes more than 2^43 values"
        return None
    if isinstance(distribution, CategoricalDistribution):
        return None
    return f"{type(distribution).__name__} is not known to it"


def direction_of(direction: StudyDirection) -> str:
    return "maximize" if direction == StudyDirection.MAXIMIZE else "minimize"
