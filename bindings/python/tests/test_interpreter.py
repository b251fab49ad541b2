"""The interpreter is free while the engine works: other threads of Python go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np

import bomf

#: Between looks of the other thread, in seconds.
TICK = 0.002


def longest_silence(work: Callable[[], object]) -> tuple[float, float]:
    """How long work took, and the longest time that another thread did not come to run meanwhile."""
    looks: list[float] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            looks.append(time.monotonic())
            time.sleep(TICK)

    thread = threading.Thread(target=look)
    thread.start()
    while not looks:
        time.sleep(TICK)
    began = time.monotonic()
    work()
    ended = time.monotonic()
    done.set()
    thread.join()
    within = [began, *(t for t in looks if began < t < ended), ended]
    return ended - began, float(np.diff(within).max())


def test_the_interpreter_is_free_while_a_search_thinks() -> None:
    search = bomf.Optimizer([bomf.Float(f"x{i}", 0, 1) for i in range(8)], ["min", "min"], seed=1)
    rng = np.random.default_rng(0)
    for row in rng.random((80, 8)):
        y = [float(((row - c) ** 2).sum()) for c in (0.3, 0.7)]
        search.tell({f"x{i}": v for i, v in enumerate(row)}, y)
    seconds, silence = longest_silence(lambda: search.ask(4))
    assert seconds > 20 * TICK and silence < seconds / 2, (seconds, silence)


def test_the_interpreter_is_free_while_models_are_fused() -> None:
    members = [{"w": np.full(20_000_000, float(i), np.float32)} for i in range(4)]
    out = {"w": np.empty(20_000_000, np.float32)}
    seconds, silence = longest_silence(
        lambda: bomf.fuse(members, method="ties", base=members[0], density=0.5, out=out, threads=1)
    )
    assert seconds > 20 * TICK and silence < seconds / 2, (seconds, silence)
