"""An Optuna sampler: the optimiser of bomf in any study.

.. code-block:: python

    study = optuna.create_study(sampler=BomfSampler(seed=0), directions=["minimize", "maximize"])
    study.optimize(objective, n_trials=50)
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import BaseTrial, FrozenTrial, TrialState

from ..errors import ArgumentError, ExhaustedError
from ._optuna import Search, direction_of, normalised, weight_names, why_not

__all__ = ["BomfSampler", "suggest_simplex"]

_logger = logging.getLogger(__name__)


def suggest_simplex(trial: BaseTrial, name: str, n: int) -> npt.NDArray[np.float64]:
    """Suggests ``n`` weights, each at least 0, their sum 1: shape ``[n]``.

    Optuna has no such parameter. Here it is ``n`` floats from 0 to 1, named ``name[0]``, …, that
    are divided by their sum; any sampler can draw them. ``BomfSampler(simplexes={name: n})``
    searches them as one simplex, without a redundant dimension, and finds weights of exactly 0.

    >>> import optuna
    >>> from bomf.integrations.optuna import BomfSampler, suggest_simplex
    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> study = optuna.create_study(sampler=BomfSampler(seed=0, simplexes={"w": 3}))
    >>> def objective(trial):
    ...     w = suggest_simplex(trial, "w", 3)
    ...     return ((w - [0.2, 0.0, 0.8]) ** 2).sum()
    >>> study.optimize(objective, n_trials=25)
    >>> study.best_value < 1e-2
    True
    """
    if n < 2:
        raise ArgumentError(f"n is {n}, but a simplex has at least 2 weights")
    return normalised([trial.suggest_float(w, 0.0, 1.0) for w in weight_names(name, n)])


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
        simplexes: names and sizes of the simplexes that the objective asks for by
            :func:`suggest_simplex`; they are searched from the first trial on.
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
        simplexes: Mapping[str, int] | None = None,
        independent_sampler: BaseSampler | None = None,
        warn_independent_sampling: bool = True,
    ) -> None:
        self._seed = _fresh() if seed is None else seed
        self._n_initial = n_startup_trials
        self._ref_point = None if ref_point is None else [float(v) for v in ref_point]
        self._simplexes = dict(simplexes or {})
        self._independent = independent_sampler or RandomSampler(seed=seed)
        self._warns = warn_independent_sampling
        self._intersection = optuna.search_space.IntersectionSearchSpace()
        self._searches: dict[str, Search] = {}
        self._lock = threading.Lock()

    def reseed_rng(self) -> None:
        """Draws a new seed: called in each process that a study is copied to."""
        self._seed = _fresh()
        self._searches = {}
        self._independent.reseed_rng()

    def __getstate__(self) -> dict[str, Any]:
        state = dict(vars(self))
        del state["_lock"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        self._lock = threading.Lock()

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The parameters that are searched together."""
        found = {
            name: distribution
            for name, distribution in self._intersection.calculate(study).items()
            if not distribution.single() and why_not(distribution) is None
        }
        for name, n in self._simplexes.items():
            found.update((weight, FloatDistribution(0.0, 1.0)) for weight in weight_names(name, n))
        return found

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The next point."""
        if not search_space:
            return {}
        with self._lock:
            search = self._searches.get(study.study_name)
            if search is None or search.space != search_space:
                search = Search(
                    search_space,
                    self._simplexes,
                    [direction_of(d) for d in study.directions],
                    self._ref_point,
                    self._seed,
                    self._n_initial,
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
            reason = why_not(param_distribution) or (
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


def _fresh() -> int:
    return int(np.random.SeedSequence().generate_state(1)[0])
