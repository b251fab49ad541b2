#!/usr/bin/env python3
"""Speed and memory of `bomf merge`, mergekit, and a plain program that reads every input and writes one output.

The three run in turn on the same checkpoints of Llama's shape (made once under --work), each round in the same order,
with warm page cache. Times are whole processes, start-up included; peak memory is that of the process as the kernel
counts it (`ru_maxrss`), mapped files included. `copy` is this script's own child: it sums up the bytes of every
input, 1 MiB at a time on two threads, and writes the first input again, with one sync at its end: what a merge that computed
nothing would cost. Prints a Markdown table of medians and a JSON object for each run on stderr.

Usage: python3 merge.py --bomf target/release/bomf --models 8 --hidden 1024 --layers 24 --rounds 3
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import torch

import llama

PLAIN = """
import mmap, os, sys
from concurrent.futures import ThreadPoolExecutor
import numpy as np

out, *inputs = sys.argv[1:]
BLOCK = 1 << 22

def read(job):
    path, start, end = job
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        view = np.frombuffer(data, np.uint64, (end - start) // 8, start)
        total = int(view.sum(dtype=np.uint64))
        del view
        return total

def copy(path, out):
    with open(path, "rb") as source, open(out, "wb") as target:
        while block := source.read(BLOCK):
            target.write(block)
        target.flush()
        os.fsync(target.fileno())

jobs = []
for path in inputs:
    size = os.path.getsize(path) // 8 * 8
    jobs += [(path, start, min(size, start + BLOCK)) for start in range(0, size, BLOCK)]
with ThreadPoolExecutor(2) as pool:
    sum(pool.map(read, jobs))
copy(inputs[0], out)
"""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bomf", default="target/release/bomf")
    parser.add_argument("--mergekit", default="mergekit-yaml", help="its command; `none` leaves it out")
    parser.add_argument("--models", type=int, default=8)
    parser.add_argument("--hidden", type=int, default=1024)
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--vocabulary", type=int, default=llama.VOCABULARY)
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument("--methods", default="linear,ties", help="of linear, ties, dare_ties, della, task_arithmetic")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--work", default=None, help="folder for the checkpoints [default: a temporary one]")
    return parser.parse_args()


def recipe(method, folders):
    if method == "linear":
        head, models = [], folders
    else:
        head, models = [f"base_model: {folders[0]}"], folders[1:]
    lines = [f"merge_method: {method}", *head, "models:"]
    for i, folder in enumerate(models):
        lines += [f"  - model: {folder}", f"    parameters: {{weight: {0.1 + 0.05 * i:.2f}}}"]
    if method not in ("linear", "task_arithmetic"):
        lines += ["parameters: {density: 0.5}"]
    return "\n".join(lines) + "\n"


def timed(command, env):
    """Seconds, and the peak memory of the process in units of 10^6 bytes."""
    began = time.perf_counter()
    child = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - began
    if status != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{errors.decode()}")
    return seconds, usage.ru_maxrss * 1024 / 1e6


def main():
    options = arguments()
    work = pathlib.Path(options.work or tempfile.mkdtemp(prefix="merge-bench-"))
    config = llama.config(options.hidden, options.layers, options.vocabulary)
    dtype = getattr(torch, options.dtype)
    folders = [work / f"model-{i}" for i in range(options.models)]
    weights = None
    for i, folder in enumerate(folders):
        if not (folder / "model.safetensors").exists():
            weights = weights or llama.base(config, 0)
            llama.write(folder, config, llama.tuned(weights, i + 1) if i else weights, dtype)
    del weights
    files = [folder / "model.safetensors" for folder in folders]
    size = files[0].stat().st_size
    print(f"{options.models} x {size / 1e6:.0f} MB of {options.dtype}, {options.threads} threads, "
          f"load {os.getloadavg()[0]:.1f}\n")
    env = os.environ | {
        "OMP_NUM_THREADS": str(options.threads), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false",
    }
    for file in files:
        file.read_bytes()
    print("| recipe | program | seconds | peak MB | times mergekit | share of copy's rate |")
    print("|---|---|---|---|---|---|")
    for method in options.methods.split(","):
        path = work / f"{method}.yaml"
        path.write_text(recipe(method, folders))
        out = work / "out"
        merge = [options.bomf, "merge", path, "--out", out, "--threads", str(options.threads), "--quiet"]
        programs = {
            "bomf --no-hash": [*merge, "--no-hash"],
            "bomf": merge,
            "copy": [sys.executable, "-c", PLAIN, work / "copy", *files],
        }
        if options.mergekit != "none":
            programs["mergekit"] = [options.mergekit, path, out, "--no-copy-tokenizer", "--quiet"]
        runs = {name: [] for name in programs}
        for number in range(options.rounds):
            for name, command in programs.items():
                shutil.rmtree(out, ignore_errors=True)
                seconds, peak = timed([str(word) for word in command], env)
                runs[name].append((seconds, peak))
                print(json.dumps({"method": method, "program": name, "round": number, "seconds": seconds,
                                  "peak_mb": peak, "load": os.getloadavg()[0]}), file=sys.stderr)
        medians = {name: statistics.median(s for s, _ in found) for name, found in runs.items()}
        for name, found in runs.items():
            peak = max(peak for _, peak in found)
            times = f"{medians['mergekit'] / medians[name]:.1f}" if "mergekit" in medians else "-"
            share = f"{medians['copy'] / medians[name]:.2f}"
            print(f"| {method} | {name} | {medians[name]:.2f} | {peak:.0f} | {times} | {share} |")
    shutil.rmtree(work / "out", ignore_errors=True)
    if options.work is None:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
