#!/usr/bin/env python3
"""Two optimisers on the same problems from the same starting designs: paired differences, as a Markdown table.

A runs file has one JSON object a line: {"method", "problem", "seed", "n", "Y": [[objectives]...], "timing":
[[n, q, wall, cpu]...], "rss_mb"}, all objectives minimised. PROBLEMS is a JSON file {"problems": [{"name", "nobj",
"ref_point", "best_known_hv" or "best_known_f"}...]}. For each problem the seeds that both methods have are compared by
log10 of the distance to the best known hypervolume (or value): mean of OURS minus PEER with the 95 % interval of
Student's t over the seeds; below zero is better for OURS. "Reaches" is the median number of evaluations after which
OURS has what PEER has at the end. Seconds are of the processor, a suggestion, mean over those of the last 15
evaluations. Needs numpy, scipy and moocore.

Usage: python3 compare_optimisers.py PROBLEMS.json OURS.jsonl PEER.jsonl [--at 25 50]
"""

import argparse
import json
from collections import defaultdict

import moocore
import numpy as np
from scipy import stats


def load(path):
    runs = defaultdict(dict)
    for line in open(path, encoding="utf-8"):
        run = json.loads(line)
        runs[run["problem"]][run["seed"]] = run
    return runs


def history(problem, run):
    """Hypervolume, or minus the best value, after each evaluation."""
    y = np.array(run["Y"])
    if problem["nobj"] == 1:
        return -np.minimum.accumulate(y[:, 0])
    ref = np.array(problem["ref_point"])
    return np.array([moocore.hypervolume(y[:n], ref=ref) for n in range(1, len(y) + 1)])


def gap(problem, value):
    best = -problem["best_known_f"] if problem["nobj"] == 1 else problem["best_known_hv"]
    return np.log10(max(best - value, 1e-9))


def seconds(runs, seeds):
    last = max(t[0] for seed in seeds for t in runs[seed]["timing"])
    late = [t for seed in seeds for t in runs[seed]["timing"] if t[0] >= last - 15]
    return sum(t[3] for t in late) / sum(t[1] for t in late)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("problems")
    arguments.add_argument("ours")
    arguments.add_argument("peer")
    arguments.add_argument("--at", type=int, nargs="+", default=[25, 50])
    options = arguments.parse_args()
    ours, peer = load(options.ours), load(options.peer)
    at = options.at
    gaps = " | ".join(f"ours, peer at {n} | ours − peer [95 %]" for n in at)
    print(f"| problem | seeds | {gaps} | reaches | CPU s: ours, peer | ratio | MB: ours, peer |")
    print("|---|---|" + "---|---|" * len(at) + "---|---|---|---|")
    for problem in json.load(open(options.problems, encoding="utf-8"))["problems"]:
        name = problem["name"]
        seeds = sorted(ours[name].keys() & peer[name].keys())
        if len(seeds) < 2:
            continue
        a = [history(problem, ours[name][seed]) for seed in seeds]
        b = [history(problem, peer[name][seed]) for seed in seeds]
        cells = []
        for n in at:
            one = np.array([gap(problem, h[n - 1]) for h in a])
            other = np.array([gap(problem, h[n - 1]) for h in b])
            difference = one - other
            half = stats.t.ppf(0.975, len(seeds) - 1) * stats.sem(difference)
            mean = difference.mean()
            cells.append(
                f"{one.mean():.2f} ± {one.std(ddof=1):.2f}, {other.mean():.2f} ± {other.std(ddof=1):.2f} | "
                f"{mean:+.2f} [{mean - half:+.2f}, {mean + half:+.2f}]"
            )
        last = at[-1]
        needed = []
        for h, g in zip(a, b):
            reached = np.nonzero(h >= g[last - 1] - 1e-12)[0]
            needed.append(reached[0] + 1 if len(reached) else np.inf)
        reaches = np.median(needed)
        reaches = f"{reaches:.0f}" if np.isfinite(reaches) else f"over {len(a[0])}"
        own, theirs = seconds(ours[name], seeds), seconds(peer[name], seeds)
        memory = [max(runs[name][seed]["rss_mb"] for seed in seeds) for runs in (ours, peer)]
        print(
            f"| {name} | {len(seeds)} | {' | '.join(cells)} | {reaches} | {own:.4f}, {theirs:.2f} | "
            f"{theirs / own:.0f} | {memory[0]:.0f}, {memory[1]:.0f} |"
        )


if __name__ == "__main__":
    main()
