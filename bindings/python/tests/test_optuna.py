"""The sampler in real studies of Optuna."""

from __future__ import annotations

import copy
import logging
import pickle
from typing import Any

import numpy as np
import pytest

import bomf

optuna = pytest.importorskip("optuna")

from bomf.integrations.optuna import BomfSampler, suggest_simplex  # noqa: E402

optuna.logging.set_verbosity(optuna.logging.WARNING)


def study(**options: Any) -> Any:
    sampler = options.pop("sampler", None) or BomfSampler(seed=options.pop("seed", 0))
    return optuna.create_study(sampler=sampler, **options)


def test_one_objective_of_every_kind_of_parameter_is_minimised() -> None:
    def objective(trial: Any) -> float:
        lr = trial.suggest_float("lr", 1e-6, 1e-1, log=True)
        n = trial.suggest_int("n", 1, 64, log=True)
        width = trial.suggest_int("width", 16, 256, step=16)
        dropout = trial.suggest_float("dropout", 0.0, 0.5, step=0.1)
        kind = trial.suggest_categorical("kind", ["a", None, True, 3])
        fixed = trial.suggest_float("fixed", 2.0, 2.0)
        assert width % 16 == 0 and fixed == 2.0
        from math import log10, log2

        loss = (log10(lr) + 3) ** 2 + (log2(n) - 3) ** 2 / 9 + abs(width - 128) / 256
        return loss + dropout + (0 if kind is None else 1)

    s = study(seed=1)
    s.optimize(objective, n_trials=40)
    assert s.best_value < 0.6, s.best_params
    assert s.best_params["kind"] is None


def test_maximising_is_minimising_turned() -> None:
    down, up = study(seed=3), study(seed=3, direction="maximize")
    down.optimize(lambda t: (t.suggest_float("x", -1, 1) - 0.3) ** 2, n_trials=10)
    up.optimize(lambda t: -((t.suggest_float("x", -1, 1) - 0.3) ** 2), n_trials=10)
    assert [t.params for t in down.trials] == [t.params for t in up.trials]


def test_two_objectives_give_a_front() -> None:
    s = study(directions=["minimize", "maximize"], sampler=BomfSampler(seed=2, ref_point=[5, -5]))

    def objective(trial: Any) -> tuple[float, float]:
        x, y = trial.suggest_float("x", 0, 2), trial.suggest_float("y", 0, 2)
        return x**2 + y**2, -((x - 1) ** 2) - (y - 1) ** 2

    s.optimize(objective, n_trials=25)
    assert len(s.best_trials) >= 8


def test_conditional_parameters_fall_back_with_a_reason(caplog: Any) -> None:
    def objective(trial: Any) -> float:
        x = trial.suggest_float("x", 0, 1)
        if trial.suggest_categorical("kind", ["a", "b"]) == "a":
            x += trial.suggest_float("only_a", 0, 1)
        return x

    s = study(seed=0)
    optuna.logging.enable_propagation()
    with caplog.at_level(logging.WARNING, logger="bomf.integrations.optuna"):
        s.optimize(objective, n_trials=30)
    said = [r.getMessage() for r in caplog.records if "only_a" in r.getMessage()]
    assert said and "conditional" in said[0] and "RandomSampler" in said[0]
    assert not any("`x`" in r.getMessage() for r in caplog.records)
    assert s.best_value < 0.3


def test_a_space_that_changes_is_searched_anew() -> None:
    s = study(seed=0)
    s.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=6)
    s.optimize(lambda t: t.suggest_float("x", 0, 1) + t.suggest_int("n", 0, 3), n_trials=6)
    assert len(s.trials) == 12


def test_failed_pruned_and_enqueued_trials_are_learned_from_or_left_out() -> None:
    def objective(trial: Any) -> float:
        x = trial.suggest_float("x", 0, 1)
        if x > 0.9:
            raise ValueError("diverged")
        trial.report(x, 0)
        if x > 0.7:
            raise optuna.TrialPruned
        return x

    s = study(seed=5)
    s.enqueue_trial({"x": 0.95})
    s.enqueue_trial({"x": 0.8})
    s.enqueue_trial({"x": 3.0})
    s.optimize(objective, n_trials=20, catch=(ValueError,))
    assert s.best_value < 0.05 and len(s.trials) == 20


def test_a_finite_space_that_is_used_up_goes_on() -> None:
    s = study(seed=0)
    s.optimize(lambda t: t.suggest_int("n", 1, 3), n_trials=8)
    assert {t.params["n"] for t in s.trials} == {1, 2, 3} and len(s.trials) == 8


def test_asked_and_running_trials_are_apart_and_threads_share_a_sampler() -> None:
    s = study(seed=4)
    s.optimize(lambda t: t.suggest_float("x", 0, 1) ** 2, n_trials=6)
    distributions = {"x": optuna.distributions.FloatDistribution(0, 1)}
    asked = [s.ask(distributions) for _ in range(4)]
    values = sorted(t.params["x"] for t in asked)
    assert all(b - a > 1e-4 for a, b in zip(values, values[1:]))
    for trial in asked:
        s.tell(trial, trial.params["x"] ** 2)
    s.optimize(lambda t: t.suggest_float("x", 0, 1) ** 2, n_trials=8, n_jobs=2)
    assert len(s.trials) == 18


def test_the_same_seed_gives_the_same_study_and_a_copy_goes_on() -> None:
    def objective(trial: Any) -> float:
        return (trial.suggest_float("x", -1, 1) - trial.suggest_float("y", -1, 1)) ** 2

    a, b = study(seed=8), study(seed=8)
    a.optimize(objective, n_trials=8)
    b.optimize(objective, n_trials=8)
    assert [t.params for t in a.trials] == [t.params for t in b.trials]
    for sampler in (copy.deepcopy(a.sampler), pickle.loads(pickle.dumps(a.sampler))):
        sampler.reseed_rng()
        other = optuna.create_study(sampler=sampler)
        other.optimize(objective, n_trials=4)


def test_a_study_in_a_storage_is_taken_up_by_a_new_sampler(tmp_path: Any) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    first = optuna.create_study(storage=storage, study_name="s", sampler=BomfSampler(seed=1))
    first.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=6)
    again = optuna.load_study(storage=storage, study_name="s", sampler=BomfSampler(seed=2))
    again.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=6)
    assert again.best_value < 0.05


def distance(trial: Any) -> float:
    w = suggest_simplex(trial, "w", 4)
    assert w.min() >= 0 and abs(w.sum() - 1) < 1e-9
    return float(((w - np.array([0.7, 0.3, 0.0, 0.0])) ** 2).sum())


def test_a_simplex_is_searched_from_the_first_trial_on_and_its_faces_are_reached() -> None:
    s = study(sampler=BomfSampler(seed=1, simplexes={"w": 4}))
    s.optimize(distance, n_trials=30)
    for trial in s.trials:
        assert sum(trial.params.values()) == pytest.approx(1.0, abs=1e-9), "no trial is redundant"
    assert s.best_value < 1e-3
    assert any(w == 0.0 for w in s.best_params.values()), s.best_params


def test_a_simplex_beside_other_parameters_is_searched_with_them() -> None:
    s = study(sampler=BomfSampler(seed=0, simplexes={"w": 4}))
    s.optimize(lambda t: distance(t) + (t.suggest_float("x", -1, 1) - 0.5) ** 2, n_trials=40)
    assert s.best_value < 1e-2
    assert s.best_params["x"] == pytest.approx(0.5, abs=0.1)


def test_weights_that_another_sampler_drew_are_learned_from(caplog: Any) -> None:
    s = study(sampler=optuna.samplers.RandomSampler(seed=0))
    s.optimize(distance, n_trials=12)
    s.sampler = BomfSampler(seed=0, simplexes={"w": 4})
    optuna.logging.enable_propagation()
    with caplog.at_level(logging.WARNING, logger="bomf.integrations.optuna"):
        s.optimize(distance, n_trials=10)
    assert not caplog.records
    assert min(t.value for t in s.trials[12:]) < min(t.value for t in s.trials[:12])


def test_a_simplex_of_one_weight_is_refused() -> None:
    s = study(seed=0)
    with pytest.raises(bomf.errors.ArgumentError, match="at least 2"):
        suggest_simplex(s.ask(), "w", 1)
