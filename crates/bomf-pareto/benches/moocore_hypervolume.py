"""Times moocore on the fronts of `hypervolume.rs`, in microseconds.

    pip install moocore numpy
    OMP_NUM_THREADS=1 python benches/moocore_hypervolume.py

A call from Python costs some 10 microseconds by itself: the row of one point
shows how much.
"""
import time

import moocore
import numpy as np

REPEATS = 50


def sphere(n, m):
    """`n` random points of the positive part of the unit sphere."""
    state = 1
    rows = np.empty((n, m))
    for i in range(n):
        for j in range(m):
            state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
            rows[i, j] = (state >> 11) / 2**53 + 1e-3
    return rows / np.sqrt((rows * rows).sum(axis=1, keepdims=True))


def fastest(call, repeats=REPEATS):
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return 1e6 * best


def main():
    print("moocore", moocore.__version__)
    for m in range(2, 7):
        for n in [1, 20, 50, 100, 200]:
            y, r = sphere(n, m), np.zeros(m)
            print(f"hypervolume/m{m}/{n:<4} {fastest(lambda: moocore.hypervolume(y, ref=r, maximise=True)):10.1f}")
    for m in range(2, 6):
        for n in [50, 100]:
            y, r = sphere(n, m), np.zeros(m)
            time_ = fastest(lambda: moocore.hv_contributions(y, ref=r, maximise=True), 5)
            print(f"contributions/m{m}/{n:<4} {time_:10.1f}")
    rng = np.random.default_rng(2)
    for m in [2, 3, 5]:
        y = rng.random((1000, m))
        print(f"pareto_rank/m{m}/1000 {fastest(lambda: moocore.pareto_rank(y, maximise=True)):10.1f}")


if __name__ == "__main__":
    main()
