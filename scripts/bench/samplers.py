#!/usr/bin/env python3
"""`BomfSampler` and Optuna's own samplers in Optuna's studies: quality, and processor time a suggestion.

PROBLEMS is a folder with a `problems.py` that has `load()` (problems by name, with `fn`, bounds or a simplex, `nobj`,
`ref_point`) and `init_design(problem, seed)`. Every sampler begins with the same design for a seed, enqueued, and goes
on by itself to the number of trials; but for `bomf-told` nobody is told a reference point. A simplex is what each has for it:
`suggest_simplex` for BomfSampler, for the others the recipe of Optuna's FAQ (-log(1 - u), normalised).

Runs are appended to OUT, a JSON object a line, and those that it holds are not made again: what was stopped goes on.
Prints the table (Markdown); with --table that alone. Seconds are the processor's, of asking and telling, over all
threads, mean over the last 15 suggestions. Set OMP_NUM_THREADS=1 and RAYON_NUM_THREADS=1.

Needs bomf, optuna, scipy; torch for `gp`; optuna-integration, botorch for `botorch`.

Usage: python3 scripts/bench/samplers.py PROBLEMS OUT.jsonl [--problems NAME ...] [--samplers bomf gp tpe botorch]
"""

import argparse
import json
import os
import statistics
import sys
import time
import warnings

import numpy as np
import optuna

import bomf
from bomf.integrations.optuna import BomfSampler, suggest_simplex

#: Suggestions at the end of a run, whose time is told.
LATE = 15

#: BomfSampler, and the same told the reference point, for problems of several objectives.
OURS = ("bomf", "bomf-told")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("out")
    parser.add_argument("--problems", nargs="+", default=["Hartmann6", "BraninCurrin", "DTLZ2_6d_2o", "FusSoupK8"])
    parser.add_argument("--samplers", nargs="+", default=["bomf", "gp", "tpe", "botorch"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--botorch-seeds", type=int, default=2, help="its suggestions take seconds")
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--table", action="store_true", help="makes no run")
    return parser.parse_args()


def sampler(name, problem, seed):
    n = problem.n_init
    if name in OURS:
        simplexes = {"w": problem.nx} if problem.simplex else None
        told = problem.ref_point if name == "bomf-told" else None
        return BomfSampler(seed=seed, n_startup_trials=n, simplexes=simplexes, ref_point=told)
    if name == "gp":
        return optuna.samplers.GPSampler(seed=seed, n_startup_trials=n)
    if name == "tpe":
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=n, multivariate=True)
    from optuna_integration import BoTorchSampler

    return BoTorchSampler(seed=seed, n_startup_trials=n)


def enqueued(name, problem, x):
    """A point of the starting design as the trial's parameters."""
    if not problem.simplex:
        return {f"x{i}": float(v) for i, v in enumerate(x)}
    if name in OURS:
        return {f"w[{i}]": float(v) for i, v in enumerate(x)}
    return {f"u{i}": float(1 - np.exp(-problem.nx * v)) for i, v in enumerate(x)}


def suggested(name, problem, trial):
    if not problem.simplex:
        bounds = zip(problem.lower, problem.upper)
        return np.array([trial.suggest_float(f"x{i}", low, high) for i, (low, high) in enumerate(bounds)])
    if name in OURS:
        return suggest_simplex(trial, "w", problem.nx)
    u = np.array([trial.suggest_float(f"u{i}", 0.0, 1.0) for i in range(problem.nx)])
    drawn = -np.log(np.clip(1 - u, 1e-9, 1)) + 1e-9
    return drawn / drawn.sum()


def run(name, problem, seed, trials, design):
    study = optuna.create_study(directions=["minimize"] * problem.nobj, sampler=sampler(name, problem, seed))
    for x in design:
        study.enqueue_trial(enqueued(name, problem, x))
    outcomes, timing = [], []
    while len(outcomes) < trials:
        wall, cpu = time.perf_counter(), time.process_time()
        trial = study.ask()
        x = suggested(name, problem, trial)
        asked = time.perf_counter() - wall, time.process_time() - cpu
        y = problem.eval_true(problem.clean(x))
        wall, cpu = time.perf_counter(), time.process_time()
        study.tell(trial, y)
        told = time.perf_counter() - wall, time.process_time() - cpu
        if len(outcomes) >= len(design):
            timing.append([len(outcomes), 1, asked[0] + told[0], asked[1] + told[1]])
        outcomes.append(y)
    return {"problem": problem.name, "seed": seed, "n": len(outcomes), "Y": outcomes, "timing": timing}


def quality(problem, outcomes):
    if problem.nobj == 1:
        return min(y[0] for y in outcomes)
    return bomf.hypervolume(outcomes, problem.ref_point, "minimize")


def table(problems, runs, samplers, trials):
    marks = [trials // 2, trials]
    print("| problem | sampler | seeds | " + " | ".join(f"after {n}" for n in marks) + " | CPU s a suggestion |")
    print("|---|---|---|" + "---|" * (len(marks) + 1))
    for name, problem in problems.items():
        kind = "lowest value" if problem.nobj == 1 else "hypervolume"
        for method in samplers:
            own = [r for r in runs if r["problem"] == name and r["method"] == method and r["n"] >= trials]
            if not own:
                continue
            cells = []
            for n in marks:
                values = [quality(problem, r["Y"][:n]) for r in own]
                spread = f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else ""
                cells.append(f"{statistics.mean(values):.4g}{spread}")
            late = [t[3] for r in own for t in r["timing"][-LATE:]]
            print(f"| {name}, {kind} | {method} | {len(own)} | {' | '.join(cells)} | {statistics.mean(late):.3f} |")


def main():
    options = arguments()
    warnings.filterwarnings("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sys.path.insert(0, os.path.abspath(options.folder))
    from problems import init_design, load

    known = load()
    problems = {name: known[name] for name in options.problems}
    runs = []
    if os.path.exists(options.out):
        with open(options.out, encoding="utf-8") as file:
            runs = [json.loads(line) for line in file]
    held = {(r["method"], r["problem"], r["seed"]) for r in runs}
    # Seed by seed and in turn, so that a run that is stopped has whole comparisons.
    for seed in range(0 if options.table else options.seeds):
        for name, problem in problems.items():
            for method in options.samplers:
                if (method, name, seed) in held or (method == "botorch" and seed >= options.botorch_seeds):
                    continue
                found = {"method": method, **run(method, problem, seed, options.trials, init_design(problem, seed))}
                runs.append(found)
                with open(options.out, "a", encoding="utf-8") as file:
                    file.write(json.dumps(found) + "\n")
                print(f"{name} {method} {seed}: {quality(problem, found['Y']):.5g}", file=sys.stderr)
    table(problems, runs, options.samplers, options.trials)


if __name__ == "__main__":
    main()
