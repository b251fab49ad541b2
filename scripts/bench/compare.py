#!/usr/bin/env python3
"""Compares the speed and the peak memory of `bomf` with PyTorch's, on one machine, in turn.

Every round runs each engine once, each in a process of its own, and every second round in the opposite order, so that
neither has the machine in a better state throughout. The table gives medians over the rounds, with the least and the
greatest value, and for each PyTorch variant the median of the rounds' ratios. Prints Markdown.

Usage: python3 scripts/bench/compare.py --model MODEL_FOLDER --data DATA_FOLDER --rounds 5 --limit 1024
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, help="Hugging Face folder")
    parser.add_argument("--data", required=True, help="folder with train.jsonl")
    parser.add_argument("--binary", default=os.path.join(ROOT, "target", "release", "bomf"))
    parser.add_argument("--python", default=sys.executable, help="the interpreter with torch and transformers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=int, default=1024, help="rows a run")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--modes", default="train,eval")
    parser.add_argument("--dtypes", default="f32,bf16", help="PyTorch's variants")
    parser.add_argument("--out", default=None, help="also write every run's numbers to this JSON file")
    return parser.parse_args()


def run(command, threads):
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "RAYON_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"error: exit status {done.returncode} from: {' '.join(command)}")
    # The whole output is one object (perhaps over several lines), or its last line is.
    for text in (done.stdout, done.stdout.strip().rpartition("\n")[2]):
        try:
            result = json.loads(text)
        except json.JSONDecodeError:
            continue
        if "samples_per_s" not in result:
            result["samples_per_s"] = result["samples_per_second"]
        return result
    sys.exit(f"error: no JSON object from: {' '.join(command)}")


def processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            for line in info:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def spread(values, digits):
    middle = statistics.median(values)
    return f"{middle:.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def main():
    args = arguments()
    shared = ["--batch-size", str(args.batch_size), "--threads", str(args.threads), "--limit", str(args.limit)]

    def ours(mode):
        return [args.binary, "bench", "--model", args.model, "--data", args.data, "--mode", mode, *shared,
                "--output-format", "json"]

    def theirs(mode, dtype):
        return [args.python, os.path.join(HERE, "pytorch_speed.py"), args.model, args.data, "--mode", mode,
                "--dtype", dtype, *shared]

    modes, dtypes = args.modes.split(","), args.dtypes.split(",")
    runs = {}
    for i in range(args.rounds):
        for mode in modes:
            turn = [("bomf", ours(mode))] + [(f"PyTorch {d}", theirs(mode, d)) for d in dtypes]
            for name, command in turn if i % 2 == 0 else reversed(turn):
                result = run(command, args.threads)
                runs.setdefault((mode, name), []).append(result)
                print(f"round {i + 1}/{args.rounds} {mode} {name}: {result['samples_per_s']:.1f} samples/s, "
                      f"{result['peak_rss_mb']:.0f} MB", file=sys.stderr)

    try:
        version = subprocess.run([args.binary, "--version"], stdout=subprocess.PIPE, text=True).stdout.strip()
    except OSError:
        version = "bomf"
    peer = next(r[0] for (_, name), r in runs.items() if name != "bomf")["versions"] if dtypes else {}
    print(f"{processor()}, {args.threads} threads, batch size {args.batch_size}, {args.limit} rows, "
          f"{args.rounds} rounds in turn; median (least–greatest). {version}; "
          + ", ".join(f"{k} {v}" for k, v in peer.items()) + ".\n")
    print("| mode | engine | samples/s | bomf is faster by | peak memory, MB | bomf's memory is |")
    print("|---|---|---|---|---|---|")
    for mode in modes:
        mine = runs[mode, "bomf"]
        for name in ["bomf"] + [f"PyTorch {d}" for d in dtypes]:
            results = runs[mode, name]
            speed = spread([r["samples_per_s"] for r in results], 1)
            memory = spread([r["peak_rss_mb"] for r in results], 0)
            if name == "bomf":
                print(f"| {mode} | {name} | {speed} | | {memory} | |")
                continue
            faster = statistics.median(a["samples_per_s"] / b["samples_per_s"] for a, b in zip(mine, results))
            lighter = statistics.median(a["peak_rss_mb"] / b["peak_rss_mb"] for a, b in zip(mine, results))
            print(f"| {mode} | {name} | {speed} | {faster:.2f} × | {memory} | {lighter:.2f} of it |")
    if args.out:
        with open(args.out, "w", encoding="utf-8") as out:
            json.dump({f"{mode} {name}": r for (mode, name), r in runs.items()}, out, indent=1)
            out.write("\n")


if __name__ == "__main__":
    main()
