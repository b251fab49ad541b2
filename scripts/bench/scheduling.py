#!/usr/bin/env python3
"""What scheduling a trial costs, beside Optuna: the same workers, the same server, trials that take no time.

    cargo build --release -p bomf-study --example scheduling
    pip install optuna sqlalchemy psycopg2-binary
    python scripts/bench/scheduling.py --workers 16 --trials 10000 --optuna-trials 1000

Each worker is a process. bomf: one scheduler puts trials into the queue, at most 2 n - 1 before their results are in, and stores the
results; a worker takes and finishes them. Optuna: each worker asks (random sampling, which reads no history) and tells. Neither counts
the time that processes take to start. A server of its own is started from PostgreSQL's programs, as installed, with its defaults (every commit
waits for the disk), unless --postgres names one. Engines run in turn, `--rounds` times; the table has medians. Fewer trials for Optuna
flatter it: it slows down as a study grows.
"""

import argparse
import importlib.metadata
import json
import multiprocessing
import os
import pathlib
import platform
import pwd
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "target" / "release" / "examples" / "scheduling"


class Server:
    """A PostgreSQL server in a temporary folder."""

    def __init__(self):
        found = shutil.which("postgres")
        installed = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"))
        if not found and not installed:
            raise SystemExit("PostgreSQL is not installed: give --postgres URL")
        self.programs = pathlib.Path(found or installed[-1]).resolve().parent
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bomf-bench-"))
        self.user = None
        if os.getuid() == 0:  # PostgreSQL refuses to be root's.
            self.user = "nobody"
            os.chown(self.folder, pwd.getpwnam("nobody").pw_uid, -1)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        data = str(self.folder / "data")
        made = self.start("initdb", "-U", "bomf", "-A", "trust", "-E", "UTF8", "-D", data, stdout=subprocess.DEVNULL)
        if made.wait() != 0:
            raise SystemExit("initdb failed")
        self.process = self.start(
            "postgres", "-D", data, "-p", str(self.port), "-k", str(self.folder), "-h", "127.0.0.1",
            stderr=subprocess.DEVNULL,
        )
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        time.sleep(1)

    def start(self, program, *arguments, **more):
        words = [str(self.programs / program), *arguments]
        if self.user:
            words = ["setpriv", f"--reuid={self.user}", "--clear-groups", *words]
        return subprocess.Popen(words, cwd="/", **more)

    @property
    def url(self):
        return f"postgresql://bomf@127.0.0.1:{self.port}/postgres"

    def version(self):
        words = subprocess.run([str(self.programs / "postgres"), "--version"], capture_output=True, text=True)
        return words.stdout.strip()

    def stop(self):
        # Fast: without waiting for connections that a pool keeps.
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def bomf(study, workers, trials):
    """Seconds, trials lost and trials doubled."""
    done = subprocess.run([PROGRAM, "run", study, str(workers), str(trials)], capture_output=True, text=True, check=True)
    outcome = json.loads(done.stdout)
    return outcome["seconds"], outcome["lost"], outcome["doubled"]


def optuna_worker(url, name, ready, trials, left):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.RandomSampler(seed=os.getpid())
    study = optuna.load_study(study_name=name, storage=url, sampler=sampler)
    ready.wait()
    while True:
        with left.get_lock():
            if left.value == 0:
                return
            left.value -= 1
        trial = study.ask()
        study.tell(trial, trial.suggest_float("x", 0.0, 1.0) ** 2)


def optuna(url, workers, trials):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    name = f"bench-{os.getpid()}-{time.time_ns()}"
    study = optuna.create_study(study_name=name, storage=url)
    context = multiprocessing.get_context("spawn")
    ready, left = context.Barrier(workers + 1), context.Value("l", trials)
    hands = [context.Process(target=optuna_worker, args=(url, name, ready, trials, left)) for _ in range(workers)]
    for hand in hands:
        hand.start()
    ready.wait()
    began = time.perf_counter()
    for hand in hands:
        hand.join()
    seconds = time.perf_counter() - began
    stored = study.trials
    finished = sum(trial.state == optuna.trial.TrialState.COMPLETE for trial in stored)
    return seconds, max(trials - finished, 0), max(len(stored) - trials, 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--sqlite-workers", type=int, default=4)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--optuna-trials", type=int, default=1000)
    parser.add_argument("--sqlite-trials", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--postgres", help="URL of a server, instead of one that is started")
    options = parser.parse_args()
    if not PROGRAM.is_file():
        raise SystemExit("first: cargo build --release -p bomf-study --example scheduling")
    server = None if options.postgres else Server()
    url = options.postgres or server.url
    mark = "&" if "?" in url else "?"
    rows = {}
    try:
        for number in range(options.rounds):
            with tempfile.TemporaryDirectory() as folder:
                engines = [
                    ("PostgreSQL", options.workers, "bomf", options.trials,
                     lambda w, t: bomf(f"{url}{mark}study=bench", w, t)),
                    ("PostgreSQL", options.workers, "Optuna", options.optuna_trials,
                     lambda w, t: optuna(url.replace("postgresql://", "postgresql+psycopg2://"), w, t)),
                    ("SQLite", options.sqlite_workers, "bomf", options.sqlite_trials,
                     lambda w, t: bomf(f"{folder}/bomf-{number}.db", w, t)),
                    ("SQLite", options.sqlite_workers, "Optuna", min(options.sqlite_trials, options.optuna_trials),
                     lambda w, t: optuna(f"sqlite:///{folder}/optuna-{number}.db", w, t)),
                ]
                for storage, workers, engine, trials, run in engines:
                    seconds, lost, doubled = run(workers, trials)
                    rows.setdefault((storage, workers, engine, trials), []).append((seconds, lost, doubled))
                    print(f"{storage}, {engine}: {trials} trials in {seconds:.1f} s", file=sys.stderr, flush=True)
    finally:
        if server:
            server.stop()

    versions = {name: importlib.metadata.version(name) for name in ["optuna", "sqlalchemy", "psycopg2-binary"]}
    print(f"{platform.platform()}, {os.cpu_count()} cores, {server.version() if server else 'server of its own'}, "
          + ", ".join(f"{name} {version}" for name, version in versions.items()) + "\n")
    print("| storage | workers | engine | trials | lost | doubled | trials/s | overhead a trial | against Optuna |")
    print("|---|---|---|---|---|---|---|---|---|")
    rates = {key: statistics.median(key[3] / seconds for seconds, _, _ in runs) for key, runs in rows.items()}
    for (storage, workers, engine, trials), runs in rows.items():
        rate = rates[storage, workers, engine, trials]
        other = next(r for (s, _, e, _), r in rates.items() if s == storage and e == "Optuna")
        lost, doubled = sum(run[1] for run in runs), sum(run[2] for run in runs)
        print(f"| {storage} | {workers} | {engine} | {trials} | {lost} | {doubled} | {rate:.0f} "
              f"| {1000 * workers / rate:.1f} ms | {rate / other:.1f}x |")


if __name__ == "__main__":
    main()
