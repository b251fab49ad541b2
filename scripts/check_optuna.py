"""Whether Optuna reads what `bomf export --format optuna-journal` writes.

    bomf demo --out demo
    python3 scripts/check_optuna.py demo target/release/bomf

Loads the journal with the real Optuna and compares it trial by trial with `--format json`:
parameters, values, intermediate values, states, distributions, times. Then it appends to the
journal, as who goes on with the study would. Ran with Optuna 4.5.0 and 5.0.0, Python 3.11.
"""

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

optuna.logging.set_verbosity(optuna.logging.WARNING)


def export(bomf: str, run: Path, form: str, to: Path) -> None:
    subprocess.run([bomf, "export", run, "--format", form, "-o", to], check=True, stdout=subprocess.DEVNULL)


def maximised(plan: dict, scores: dict) -> float:
    direction = {o["name"]: o["direction"] for o in plan["objectives"]}
    return sum(scores[n] * (1 if direction[n] == "maximize" else -1) for n in plan["stage1_value"])


def stage1(study: optuna.Study, record: dict) -> None:
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    assert len(study.trials) == len(record["trials"])
    plan = record["plan"]
    for ours, trial in zip(record["trials"], study.trials):
        assert trial.number == ours["number"]
        assert trial.params == ours["parameters"], (trial.params, ours["parameters"])
        assert trial.state.name.lower() == {"failed": "fail"}.get(ours["state"], ours["state"])
        assert trial.value == ours["value"]
        assert trial.intermediate_values == {p["step"]: maximised(plan, p["select"]) for p in ours["curve"]}
        if ours["value"] is not None and ours["curve"]:
            # The trial's value is that of its best checkpoint.
            assert trial.intermediate_values[ours["step"]] == trial.value
        assert math.isclose(trial.duration.total_seconds(), ours["seconds"], abs_tol=2e-6)
        for name, score in ours["scores"].items():
            assert trial.user_attrs[name] == score
        for name, distribution in trial.distributions.items():
            space = plan["space"][name]
            if space["type"] == "categorical":
                assert list(distribution.choices) == space["choices"]
            else:
                assert distribution.low <= space["low"] and space["high"] <= distribution.high
                assert getattr(distribution, "log", False) == space.get("log", False)
            assert distribution._contains(distribution.to_internal_repr(trial.params[name]))
    best = max((t for t in record["trials"] if t["state"] == "complete"), key=lambda t: t["value"])
    assert study.best_trial.value == best["value"]


def stage2(study: optuna.Study, record: dict) -> None:
    objectives = record["plan"]["objectives"]
    assert [d.name.lower() for d in study.directions] == [o["direction"] for o in objectives]
    assert study.metric_names == [o["name"] for o in objectives]
    assert study.user_attrs["members"] == record["members"]
    assert len(study.trials) == len(record["evaluations"])
    for ours, trial in zip(record["evaluations"], study.trials):
        weights = {f"w_{i}": w for i, w in enumerate(ours["weights"])}
        assert trial.params == weights
        if ours["state"] == "complete":
            assert trial.values == [ours["scores"][o["name"]] for o in objectives]
        assert trial.user_attrs["method"] == ours["method"]
        for name, distribution in trial.distributions.items():
            assert distribution._contains(trial.params[name])
    assert study.best_trials


def main() -> None:
    run, bomf = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "bomf"
    with tempfile.TemporaryDirectory() as scratch:
        journal, everything = Path(scratch, "study.log"), Path(scratch, "all.json")
        export(bomf, run, "optuna-journal", journal)
        export(bomf, run, "json", everything)
        record = json.loads(everything.read_text())
        storage = JournalStorage(JournalFileBackend(str(journal)))
        names = {s.study_name for s in optuna.get_all_study_summaries(storage)}
        if record["trials"]:
            study = optuna.load_study(study_name="stage1", storage=storage)
            stage1(study, record)
            # Who goes on with it in Optuna can.
            before = len(study.trials)
            first = study.trials[0]
            sampler = optuna.samplers.TPESampler(seed=0)
            study = optuna.load_study(study_name="stage1", storage=storage, sampler=sampler)
            trial = study.ask(fixed_distributions=first.distributions)
            study.tell(trial, 0.5)
            assert len(study.trials) == before + 1
        if record["evaluations"]:
            stage2(optuna.load_study(study_name="stage2", storage=storage), record)
        print(
            f"Optuna {optuna.__version__}: {sorted(names)}, {len(record['trials'])} trials and "
            f"{len(record['evaluations'])} evaluations are the same"
        )


if __name__ == "__main__":
    main()
