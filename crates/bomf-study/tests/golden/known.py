"""A study of Optuna's in both of its storages, and what is in it.

    python3 crates/bomf-study/tests/golden/known.py

Writes known.log (a journal), known.sql (a dump of an SQLite storage) and known.json (the complete
trials) beside itself. Made with Optuna 4.5.0, Python 3.11.
"""

import json
import sqlite3
import tempfile
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

HERE = Path(__file__).parent


def objective(trial: optuna.Trial) -> float:
    rate = trial.suggest_float("learning_rate", 1e-5, 1e-2, log=True)
    batch = trial.suggest_int("batch_size", 8, 32, step=8)
    decay = trial.suggest_float("weight_decay", 0.0, 0.5, step=0.25)
    schedule = trial.suggest_categorical("schedule", ["constant", "linear", None])
    for step in range(3):
        trial.report(float("nan") if step == 1 else rate * step, step)
    if trial.number == 2:
        raise optuna.TrialPruned
    if trial.number == 4:
        raise ValueError("NaN")
    if trial.number == 5:
        return float("inf")
    return rate * batch + decay + (schedule == "linear")


def fill(storage) -> optuna.Study:
    optuna.create_study(storage=storage, study_name="two", directions=["minimize", "maximize"])
    sampler = optuna.samplers.RandomSampler(seed=1)
    study = optuna.create_study(storage=storage, study_name="one", direction="minimize", sampler=sampler)
    study.enqueue_trial({"learning_rate": 1e-4, "batch_size": 16, "weight_decay": 0.25, "schedule": None})
    study.optimize(objective, n_trials=8, catch=ValueError)
    # One that is still running.
    study.ask()
    return study


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    log = HERE / "known.log"
    log.unlink(missing_ok=True)
    study = fill(JournalStorage(JournalFileBackend(str(log))))
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "study.db")
        other = fill(f"sqlite:///{path}")
        assert [t.params for t in other.trials] == [t.params for t in study.trials]
        with sqlite3.connect(path) as connection:
            (HERE / "known.sql").write_text("\n".join(connection.iterdump()) + "\n")
    complete = [t for t in study.trials if t.state == optuna.trial.TrialState.COMPLETE]
    expected = [
        {"number": t.number, "parameters": t.params, "value": t.value} for t in complete if abs(t.value) != float("inf")
    ]
    (HERE / "known.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
