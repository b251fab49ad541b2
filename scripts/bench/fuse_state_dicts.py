#!/usr/bin/env python3
"""The weighted average of state dicts in memory: `bomf.fuse` beside PyTorch in place, in turn.

Members have the shapes of GPT-2 small (12 layers of 768, a vocabulary of 50257: 124 million parameters, as f32) and
random values. All write to the same preallocated tensors:

  bomf     bomf.fuse(members, weights, out=out)
  add_     mul, then out.add_(member, alpha=weight) tensor by tensor
  lerp_    out.lerp_(member, weight so far) tensor by tensor
  sum      sum(weight * member[name] for ...), as it is often written, into new tensors

Prints, for each number of threads, the median of the seconds over the rounds with the least and the greatest, the
processor's seconds, and the peak of memory beyond what the members take. Needs bomf and torch, Linux.

Usage: python3 scripts/bench/fuse_state_dicts.py [--members 15] [--layers 12] [--rounds 5] [--threads 1 2]
"""

import argparse
import platform
import statistics
import time

import numpy as np
import torch

import bomf


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=15)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--vocabulary", type=int, default=50257)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    return parser.parse_args()


def shapes(options):
    d = options.width
    found = {"wte.weight": (options.vocabulary, d), "wpe.weight": (1024, d)}
    for i in range(options.layers):
        for norm in ("ln_1", "ln_2"):
            found[f"h.{i}.{norm}.weight"] = found[f"h.{i}.{norm}.bias"] = (d,)
        for name, rows, columns in (
            ("attn.c_attn", d, 3 * d),
            ("attn.c_proj", d, d),
            ("mlp.c_fc", d, 4 * d),
            ("mlp.c_proj", 4 * d, d),
        ):
            found[f"h.{i}.{name}.weight"] = (rows, columns)
            found[f"h.{i}.{name}.bias"] = (columns,)
    found["ln_f.weight"] = found["ln_f.bias"] = (d,)
    return found


def status(field):
    with open("/proc/self/status", encoding="utf-8") as file:
        line = next(line for line in file if line.startswith(field))
    return int(line.split()[1]) / 1024


def measured(f):
    """Wall-clock seconds, the processor's seconds, and the peak of memory beyond what was held, in MB."""
    with open("/proc/self/clear_refs", "w", encoding="utf-8") as file:
        file.write("5")
    held = status("VmRSS")
    wall, cpu = time.perf_counter(), time.process_time()
    kept = f()
    found = time.perf_counter() - wall, time.process_time() - cpu, status("VmHWM") - held
    del kept
    return found


def add(members, weights, out):
    for name, target in out.items():
        torch.mul(members[0][name], weights[0], out=target)
        for member, weight in zip(members[1:], weights[1:]):
            target.add_(member[name], alpha=weight)


def lerp(members, weights, out):
    shares = (np.array(weights) / np.cumsum(weights)).tolist()
    for name, target in out.items():
        target.copy_(members[0][name])
        for member, share in zip(members[1:], shares[1:]):
            target.lerp_(member[name], share)


def plain(members, weights):
    return {name: sum(w * m[name] for m, w in zip(members, weights)) for name in members[0]}


def main():
    options = arguments()
    torch.manual_seed(0)
    kind = getattr(torch, options.dtype)
    members = [
        {name: torch.empty(shape, dtype=kind).uniform_(-0.1, 0.1) for name, shape in shapes(options).items()}
        for _ in range(options.members)
    ]
    weights = np.random.default_rng(0).dirichlet(np.ones(options.members)).tolist()
    out = {name: torch.zeros_like(value) for name, value in members[0].items()}
    parameters = sum(value.numel() for value in out.values())
    print(
        f"{options.members} members of {parameters / 1e6:.1f} million parameters, {options.dtype}; "
        f"bomf {bomf.__version__}, torch {torch.__version__}, Python {platform.python_version()}\n"
    )
    print("| threads | | seconds (least, greatest) | CPU s | memory beyond, MB |")
    print("|---|---|---|---|---|")
    with torch.no_grad():
        for threads in options.threads:
            torch.set_num_threads(threads)
            ways = {
                "bomf": lambda n=threads: bomf.fuse(members, weights, out=out, threads=n),
                "add_": lambda: add(members, weights, out),
                "lerp_": lambda: lerp(members, weights, out),
                "sum": lambda: plain(members, weights),
            }
            runs = {name: [] for name in ways}
            check = {}
            for i in range(options.rounds):
                for name, f in list(ways.items())[:: 1 if i % 2 == 0 else -1]:
                    runs[name].append(measured(f))
                    if i == 0 and name != "sum":
                        check[name] = out["h.0.mlp.c_fc.weight"].clone()
            for name, found in runs.items():
                seconds, cpu, memory = zip(*found)
                print(
                    f"| {threads} | {name} | {statistics.median(seconds):.2f} ({min(seconds):.2f}, {max(seconds):.2f}) "
                    f"| {statistics.median(cpu):.2f} | {max(memory):.0f} |",
                    flush=True,
                )
            for name, value in check.items():
                difference = (value.float() - check["bomf"].float()).abs().max().item()
                assert difference < 1e-2 * 0.1, f"{name} is another average: {difference}"


if __name__ == "__main__":
    main()
