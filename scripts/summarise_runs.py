#!/usr/bin/env python3
"""Markdown tables over several runs of `bomf run`: every method's mean scores per task, and what must hold in each run.

Only the standard library. A run is an output folder, or its results.json.

Usage: python3 summarise_runs.py RUN [RUN ...]
"""

import json
import os
import statistics
import sys

AVERAGING = ["best_checkpoint", "last_checkpoint", "swa", "uniform_soup", "greedy_soup"]


def load(path):
    if os.path.isdir(path):
        path = os.path.join(path, "results.json")
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def mean_sd(values):
    sd = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4f}{sd}"


def by_name(run):
    return {method["name"]: method for method in run["methods"]}


def table(task, runs):
    metric = runs[0]["chosen_metric"]
    seeds = ", ".join(str(run["seed"]) for run in runs)
    sizes = runs[0]["splits"]
    print(f"### {task}: {metric}, seeds {seeds}\n")
    print(f"{sizes['train']} train, {sizes['select']} select, {sizes['report']} report examples.\n")
    print(f"| method | select {metric} | report {metric} | report loss | hypervolume | evaluations |")
    print("|---|---|---|---|---|---|")
    for name in by_name(runs[0]):
        rows = [by_name(run)[name] for run in runs]
        cells = [
            mean_sd([row["select"][metric] for row in rows]),
            mean_sd([row["report"][metric] for row in rows]),
            mean_sd([row["report"]["loss"] for row in rows]),
            mean_sd([row["hypervolume"] for row in rows]),
            f"{statistics.mean(row['evaluations'] for row in rows):.0f}",
        ]
        print(f"| `{name}` | {' | '.join(cells)} |")
    print()
    print(f"| seed | bomf − best checkpoint (report {metric}) [95 %] | bomf − greedy soup | minutes: stage 1, "
          "fine-tuning, stage 2, total | peak MB |")
    print("|---|---|---|---|---|")
    for run in runs:
        methods = by_name(run)
        cells = []
        for name in ("best_checkpoint", "greedy_soup"):
            difference, low, high = methods[name]["bomf_minus_this"][metric]
            cells.append(f"{difference:+.4f} [{low:+.4f}, {high:+.4f}]")
        times = ", ".join(f"{run['seconds'][part] / 60:.1f}" for part in ("stage1", "finetune", "stage2", "total"))
        print(f"| {run['seed']} | {' | '.join(cells)} | {times} | {run['peak_rss_mb']:.0f} |")
    print()


def checks(runs):
    """The claims, each with the number of runs in which it holds."""
    held = {"hypervolume": 0, "metric": 0, "random": 0}
    for run in runs:
        methods, metric = by_name(run), run["chosen_metric"]
        bomf = methods["bomf"]
        baselines = [methods[name] for name in AVERAGING if name in methods]
        held["hypervolume"] += all(bomf["hypervolume"] >= b["hypervolume"] for b in baselines)
        held["metric"] += all(bomf["select"][metric] >= b["select"][metric] for b in baselines)
        held["random"] += bomf["hypervolume"] > methods["random_simplex"]["hypervolume"]
    n = len(runs)
    print("### What was to be shown\n")
    print("| on | claim | holds |\n|---|---|---|")
    print(f"| select | bomf's hypervolume is at least that of every averaging baseline | {held['hypervolume']} of {n} runs |")
    print(f"| select | bomf's chosen metric is at least that of every averaging baseline | {held['metric']} of {n} runs |")
    print(f"| select | bomf's hypervolume is above random simplex search's | {held['random']} of {n} runs |")
    for name in ("best_checkpoint", "swa", "uniform_soup", "greedy_soup", "random_simplex", "prediction_ensemble"):
        gains = []
        for run in runs:
            methods, metric = by_name(run), run["chosen_metric"]
            gains.append(methods["bomf"]["report"][metric] - methods[name]["report"][metric])
        print(f"| report | bomf minus `{name}`, chosen metric, mean over all runs | {mean_sd(gains)} |")


def main():
    runs = [load(path) for path in sys.argv[1:]]
    if not runs:
        sys.exit(__doc__)
    for task in sorted({run["task"] for run in runs}):
        table(task, sorted((run for run in runs if run["task"] == task), key=lambda run: run["seed"]))
    checks(runs)


if __name__ == "__main__":
    main()
