#!/usr/bin/env python3
"""Two searches of stage 2 on the same members, run by run: hypervolume over the evaluations, as a Markdown table.

Each side is a list of output folders of `bomf run` or `bomf fuse`, in the same order, such that the runs of a pair have the
same members and splits (their reference points must agree). Values are the hypervolume after so many evaluations beyond the
starting design, as a share of what the first side has at its end; "reaches" is how many evaluations the second side needs
for that. Only the standard library.

Usage: python3 compare_searches.py --first OUT/direct-* --second OUT/composite-* [--at 0 4 9 18 36]
"""

import argparse
import json
import os
import statistics


def load(path):
    with open(os.path.join(path, "results.json"), encoding="utf-8") as file:
        return json.load(file)


def search(run):
    """Hypervolume by the evaluations beyond the starting design."""
    start = run["stage2"]["initial_evaluations"]
    return [point["bomf"] for point in run["stage2"]["history"] if point["evaluations"] >= start]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--first", nargs="+", required=True)
    arguments.add_argument("--second", nargs="+", required=True)
    arguments.add_argument("--at", type=int, nargs="+", default=[0, 4, 9, 18, 36])
    options = arguments.parse_args()
    if len(options.first) != len(options.second):
        arguments.error("as many runs on one side as on the other")
    print("| run | " + " | ".join(f"after {n}" for n in options.at) + " | reaches |")
    print("|---|" + "---|" * (len(options.at) + 1))
    shares = [([], []) for _ in options.at]
    for one, other in zip(options.first, options.second):
        one, other = load(one), load(other)
        if any(abs(a - b) > 1e-6 * max(1.0, abs(a)) for a, b in zip(one["ref_point"], other["ref_point"])):
            raise SystemExit(f"the reference points of {one['task']}, seed {one['seed']}, differ: not the same members")
        first, second = search(one), search(other)
        end = first[-1]
        cells = []
        for n, (a, b) in zip(options.at, shares):
            a.append(first[min(n, len(first) - 1)] / end)
            b.append(second[min(n, len(second) - 1)] / end)
            cells.append(f"{a[-1]:.2f}, {b[-1]:.2f}")
        reaches = next((str(n) for n, value in enumerate(second) if value >= end * (1 - 1e-9)), f"over {len(second) - 1}")
        print(f"| {one['task']}, seed {one['seed']} | {' | '.join(cells)} | {reaches} |")
    means = " | ".join(f"{statistics.mean(a):.2f}, {statistics.mean(b):.2f}" for a, b in shares)
    print(f"| mean | {means} | |")


if __name__ == "__main__":
    main()
