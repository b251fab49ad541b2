#!/usr/bin/env python3
"""Speed and memory of `bomf merge`, mergekit, and a plain program that reads every input and writes one output.

The three run in turn on the same checkpoints of Llama's shape (made once under --work), each round in the same order,
with warm page cache. `seconds` is the time of the whole process, start-up included, and `CPU` that of its processors,
which a busy machine changes less; `peak MB` is its resident memory as the kernel counts it (`ru_maxrss`), pages of
mapped files included. `bomf, first time` digests the inputs, `bomf` remembers their digests. `copy` is a child of this
script: it sums up the words of every input on as many threads and writes the first input again, with one sync at its
end: what a merge that computed nothing would cost; its clocks begin when its libraries are loaded. Prints a Markdown
table of medians, and a JSON object for each run on stderr.

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

PLAIN = """
import json, mmap, os, sys, time
from concurrent.futures import ThreadPoolExecutor
import numpy as np

threads, out, *inputs = sys.argv[1:]
BLOCK = 1 << 24
began, busy = time.perf_counter(), time.process_time()

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
with ThreadPoolExecutor(int(threads)) as pool:
    sum(pool.map(read, jobs))
copy(inputs[0], out)
print(json.dumps([time.perf_counter() - began, time.process_time() - busy]))
"""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bomf", default="target/release/bomf")
    parser.add_argument("--mergekit", default="mergekit-yaml", help="its command; `none` leaves it out")
    parser.add_argument("--models", type=int, default=8)
    parser.add_argument("--hidden", type=int, default=1024)
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--vocabulary", type=int, default=32_000)
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument("--methods", default="linear,ties", help="of linear, ties, dare_ties, della, task_arithmetic")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--make", action="store_true", help="only make the checkpoints")
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
    """Seconds, seconds of processors, and the peak memory of the process in units of 10^6 bytes."""
    began = time.perf_counter()
    child = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    told, errors = child.stdout.read(), child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    seconds, busy = time.perf_counter() - began, usage.ru_utime + usage.ru_stime
    if status != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{errors.decode()}")
    if told.startswith(b"["):
        seconds, busy = json.loads(told)
    return seconds, busy, usage.ru_maxrss * 1024 / 1e6


def make(folders, options):
    """Writes the checkpoints that are not there."""
    import torch

    import llama

    config = llama.config(options.hidden, options.layers, options.vocabulary)
    weights = None
    for i, folder in enumerate(folders):
        if not (folder / "model.safetensors").exists():
            weights = weights or llama.base(config, 0)
            values = llama.tuned(weights, i) if i else weights
            llama.write(folder, config, values, getattr(torch, options.dtype))


def main():
    options = arguments()
    work = pathlib.Path(options.work or tempfile.mkdtemp(prefix="merge-bench-"))
    folders = [work / f"model-{i}" for i in range(options.models)]
    if options.make:
        return make(folders, options)
    # In a process of its own: what this one holds counts for its children, too.
    subprocess.run([sys.executable, __file__, *sys.argv[1:], "--work", work, "--make"], check=True)
    files = [folder / "model.safetensors" for folder in folders]
    size = files[0].stat().st_size
    print(f"{options.models} x {size / 1e6:.0f} MB of {options.dtype}, {options.threads} threads, "
          f"load {os.getloadavg()[0]:.1f}\n")
    env = os.environ | {
        "OMP_NUM_THREADS": str(options.threads), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false",
        "XDG_CACHE_HOME": str(work / "cache"),
    }
    for file in files:
        with open(file, "rb") as warm:
            while warm.read(1 << 24):
                pass
    print("| recipe | program | seconds | CPU | peak MB | times mergekit | share of copy's rate |")
    print("|---|---|---|---|---|---|---|")
    for method in options.methods.split(","):
        path = work / f"{method}.yaml"
        path.write_text(recipe(method, folders))
        out = work / "out"
        merge = [options.bomf, "merge", path, "--out", out, "--threads", str(options.threads), "--quiet"]
        programs = {
            "bomf --no-hash": [*merge, "--no-hash"],
            "bomf, first time": merge,
            "bomf": merge,
            "copy": [sys.executable, "-c", PLAIN, options.threads, work / "copy", *files],
        }
        if options.mergekit != "none":
            programs["mergekit"] = [options.mergekit, path, out, "--no-copy-tokenizer", "--quiet"]
        runs = {name: [] for name in programs}
        for number in range(options.rounds):
            for name, command in programs.items():
                shutil.rmtree(out, ignore_errors=True)
                if name.endswith("first time"):
                    shutil.rmtree(work / "cache", ignore_errors=True)
                seconds, busy, peak = timed([str(word) for word in command], env)
                runs[name].append((seconds, busy, peak))
                print(json.dumps({"method": method, "program": name, "round": number, "seconds": seconds, "cpu": busy,
                                  "peak_mb": peak, "load": os.getloadavg()[0]}), file=sys.stderr)
        medians = {name: statistics.median(run[0] for run in found) for name, found in runs.items()}
        for name, found in runs.items():
            busy, peak = statistics.median(run[1] for run in found), max(run[2] for run in found)
            times = f"{medians['mergekit'] / medians[name]:.1f}" if "mergekit" in medians else "-"
            share = f"{medians['copy'] / medians[name]:.2f}"
            print(f"| {method} | {name} | {medians[name]:.2f} | {busy:.2f} | {peak:.0f} | {times} | {share} |")
    shutil.rmtree(work / "out", ignore_errors=True)
    if options.work is None:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
