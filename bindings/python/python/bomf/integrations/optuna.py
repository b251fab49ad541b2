"""An Optuna sampler: the optimiser of bomf in any study.

.. code-block:: python

    study = optuna.create_study(sampler=BomfSampler(seed=0), directions=["minimize", "maximize"])
    study.optimize(objective, n_trials=50)
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from .._optimizer import Optimizer
from .._space import Categorical, Float, Integer, Parameter
from ..errors import ExhaustedError, OptimizationError

__all__ = ["BomfSampler"]

_logger = logging.getLogger(__name__)

#: Integers beyond this are not told apart by the engine.
_EXACT_INTEGER = 2**43



class BomfSampler(BaseSampler):
    """Bayesian optimisation of one or several objectives: see :class:`bomf.Optimizer`.

    Parameters that every finished trial has, with the same distribution, are searched together
    (floats, integers, either on a logarithmic scale or with a step, and categories). Those of
    conditional or changing spaces, and the first trial, are drawn by ``independent_sampler``; a
    warning names the parameter and the reason.

    Failed trials are told as failures: where they fail is learned. A pruned trial of one objective
    counts with its last intermediate value, and one that has none is left out. Trials that are
    still running keep others away from their points where this sampler proposed them. Constraints
    are not taken into account.

    Args:
        seed: of every random choice; drawn anew without.
        n_startup_trials: trials of the starting design, a scrambled Sobol sequence; the engine's
            own number without.
        ref_point: reference point of the hypervolume, shape ``[m]``, each objective in its own
            direction; inferred without.
        independent_sampler: for what is not searched; ``RandomSampler`` without.
        warn_independent_sampling: whether it is said which parameters are not searched.

    >>> import optuna
    >>> from bomf.integrations.optuna import BomfSampler
    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> study = optuna.create_study(sampler=BomfSampler(seed=1))
    >>> study.optimize(lambda t: (t.suggest_float("x", -3, 3) - 1) ** 2, n_trials=15)
    >>> study.best_value < 0.01
    True
    """

    def __init__(
        self,
        *,
        seed: int | None = None,
        n_startup_trials: int | None = None,
        ref_point: Sequence[float] | None = None,
        independent_sampler: BaseSampler | None = None,
        warn_independent_sampling: bool = True,
    ) -> None:
        self._seed = _fresh() if seed is None else seed
        self._n_initial = n_startup_trials
        self._ref_point = None if ref_point is None else [float(v) for v in ref_point]
        self._independent = independent_sampler or RandomSampler(seed=seed)
        self._warns = warn_independent_sampling
        self._intersection = optuna.search_space.IntersectionSearchSpace()
        self._searches: dict[str, _Search] = {}
        self._lock = threading.Lock()

    def reseed_rng(self) -> None:
        """Draws a new seed: called in each process that a study is copied to."""
        self._seed = _fresh()
        self._searches = {}
        self._independent.reseed_rng()

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["_lock"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The parameters that are searched together."""
        found = self._intersection.calculate(study)
        return {
            name: distribution
            for name, distribution in found.items()
            if not distribution.single() and _why_not(distribution) is None
        }

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The next point."""
        if not search_space:
            return {}
        with self._lock:
            search = self._searches.get(study.study_name)
            if search is None or search.space != search_space:
                directions = [_direction(d) for d in study.directions]
                search = _Search(
                    search_space, directions, self._ref_point, self._seed, self._n_initial
                )
                self._searches[study.study_name] = search
            search.follow(study.get_trials(deepcopy=False))
            try:
                return search.ask()
            except ExhaustedError:
                _logger.warning(
                    "every point of the search space has been tried: trial %d is drawn by %s",
                    trial.number,
                    type(self._independent).__name__,
                )
                return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A value of a parameter that is not searched."""
        finished = (TrialState.COMPLETE,)
        if self._warns and study.get_trials(deepcopy=False, states=finished):
            reason = _why_not(param_distribution) or (
                "not every finished trial has it with this distribution: conditional and "
                "changing spaces are not searched"
            )
            _logger.warning(
                "parameter `%s` of trial %d is drawn by %s and not searched by BomfSampler: %s",
                param_name,
                trial.number,
                type(self._independent).__name__,
                reason,
            )
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Handed on to the independent sampler."""
        self._independent.before_trial(study, trial)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Handed on to the independent sampler."""
        self._independent.after_trial(study, trial, state, values)


class _Search:
    """An optimiser of one search space, and what it has been told."""

    def __init__(
        self,
        space: dict[str, BaseDistribution],
        directions: list[str],
        ref_point: list[float] | None,
        seed: int,
        n_initial: int | None,
    ) -> None:
        self.space = dict(space)
        self._several = len(directions) > 1
        self._maps = {name: _Map(name, d) for name, d in space.items()}
        self._optimizer = Optimizer(
            [m.parameter for m in self._maps.values()],
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
            try:
                self._optimizer.tell(x, values)
            except OptimizationError as error:
                # A point that was enqueued outside of the space, say.
                _logger.warning("trial %d is not learned from: %s", trial.number, error)

    def ask(self) -> dict[str, Any]:
        """The next point, as Optuna writes it."""
        point = self._optimizer.ask()[0]
        return {name: m.outside(point[name]) for name, m in self._maps.items()}


class _Map:
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
        if isinstance(self.distribution, IntDistribution):
            return int(value)
        return float(min(value, self.distribution.high))  # type: ignore[attr-defined]


def _why_not(distribution: BaseDistribution) -> str | None:
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


def _direction(direction: StudyDirection) -> str:
    return "maximize" if direction == StudyDirection.MAXIMIZE else "minimize"


def _fresh() -> int:
    return int(np.random.SeedSequence().generate_state(1)[0])
