#!/usr/bin/env python3
"""Studies whose programs are killed at random moments, beside one that nothing happens to.

    cargo build --release
    python3 scripts/kill_study.py --faults 200
    python3 scripts/kill_study.py --away 75

Needs PostgreSQL's programs and nothing beyond Python. A tiny model is pre-trained; two kinds of study are run on it, with one local worker
and the study on a PostgreSQL server of the script's own: `bomf run`, both stages, with pruning; and `bomf tune` with a program that
trains. While a study runs, at moments drawn anew each time, one of these is struck: the leading program, the worker, the program that
trains (each by kill -9), or a connection to the database (`pg_terminate_backend`). Whenever the leading program has ended before its
end, `bomf resume` goes on. Then the study must be the undisturbed one: the same trials with the same suggestions, the same evaluations
and results, nothing in the database lost or twice, and nothing made again that had been written down. A trial whose own program was killed counts as
failed, as it does by any death of its own; no other may.

`--away S`: the server is stopped in the midst of a study with two workers and started again S seconds later.

Prints Markdown; exit status 1 if anything differed.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts" / "bench"))
import scheduling  # noqa: E402

BOMF = ROOT / "target" / "release" / "bomf"

RUN = """
stage1:
  trials: 8
  initial: 4
  epochs: 2
  pruning: {factor: 2, first: 0.2}
  space:
    learning_rate: {type: log_float, low: 1.0e-6, high: 3.0e-3}
    batch_size: {type: int, low: 4, high: 8}
finetune: {epochs: 4}
members: {count: 4}
stage2: {evaluations: 6, baselines: [ema, bo_metric]}
"""

# All trials are drawn before one is known, so that one that fails changes no other.
PROGRAM = """
stage1:
  trials: 8
  initial: 8
  epochs: 4
  space: {learning_rate: {type: log_float, low: 1.0e-4, high: 1.0e-2}}
finetune: {batch_size: 8}
evaluator: {command: "false {model}", objectives: {loss: min}}
trainer: {command: "sh train.sh {learning_rate} PAUSE"}
"""

TRAIN = r"""
for epoch in 1 2 3 4; do
  sleep "$2"
  awk -v x="$1" -v e=$epoch 'BEGIN { printf "{\"step\": %d, \"epoch\": %d, \"eval_loss\": %.9f}\n", e, e, x / e }' >> "$BOMF_METRICS"
done
"""

# A study is given up after so many attempts to go on with it.
MOST_ATTEMPTS = 100
# Longer than a study takes on a slow machine.
PATIENCE = 600
# A killed leader's lock on the study goes when the server sees that its connection is gone.
IN_USE = 10


class Server(scheduling.Server):
    def ask(self, sql):
        words = [str(self.programs / "psql"), "-X", "-q", "-A", "-t", "-F", "\t", "-c", sql, self.url]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        return [line.split("\t") for line in done.stdout.splitlines()]

    def stop_at_once(self):
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait()

    def start_again(self):
        data = str(self.folder / "data")
        words = ["postgres", "-D", data, "-p", str(self.port), "-k", str(self.folder), "-h", "127.0.0.1"]
        self.process = self.start(*words, stderr=subprocess.DEVNULL)


def bomf(place, *words):
    environment = {**os.environ, "NO_COLOR": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(
        [str(BOMF), *words], cwd=place, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def make(place):
    """A model, data and recipes."""
    words = ["warm", "kind", "fresh", "dark", "cold", "stale"]

    def row(i):
        is_bad = (i * 7 % 6 > 2) != (i % 9 == 0)
        return f"the house {i % 4} is {words[i * 7 % 6]},{'bad' if is_bad else 'good'}\n"

    (place / "data").mkdir()
    for split, rows in [("train", range(0, 160)), ("validation", range(161, 201)), ("test", range(205, 245))]:
        (place / "data" / f"{split}.csv").write_text("text,label\n" + "".join(map(row, rows)))
    (place / "corpus.txt").write_text("".join(map(row, range(200))))
    (place / "run.yaml").write_text(RUN)
    (place / "train.sh").write_text(TRAIN)
    pretrain = (
        "pretrain --corpus corpus.txt --out model --hidden-size 32 --num-hidden-layers 2 --num-attention-heads 2 --max-length 32 "
        "--intermediate-size 64 --vocab-size 100 --epochs 1 --quiet --threads 1"
    )
    process = bomf(place, *pretrain.split())
    said = process.communicate()[1]
    if process.returncode:
        raise SystemExit(said)


def children(parent):
    """The processes that a process has started: numbers and command lines."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # Behind the name, which may hold anything.
            own = int(entry.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            if own == parent:
                line = entry.joinpath("cmdline").read_bytes().split(b"\0")
                found.append((int(entry.name), [word.decode(errors="replace") for word in line]))
        except (OSError, ValueError, IndexError):
            continue
    return found


def kill(number):
    try:
        os.kill(number, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def without_times(value):
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in ("seconds", "peak_rss_mb")}
    return [without_times(v) for v in value] if isinstance(value, list) else value


def lines(out):
    """Whole lines of the journal."""
    path = out / "trials.jsonl"
    text = path.read_text() if path.is_file() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def paid(events):
    """Trials and evaluations, with the times that they took: one that was made again would have another."""
    return [event for event in events if event["stage"] != "finetune"]


def first_difference(own, other, path=""):
    """Where two values differ, and how."""
    if isinstance(own, dict) and isinstance(other, dict) and own.keys() == other.keys():
        return next((first_difference(own[k], other[k], f"{path}.{k}") for k in own if own[k] != other[k]), None)
    if isinstance(own, list) and isinstance(other, list) and len(own) == len(other):
        pairs = enumerate(zip(own, other))
        return next((first_difference(a, b, f"{path}[{i}]") for i, (a, b) in pairs if a != b), None)
    return f"{path or 'all'} is {own}, not {other}"


class Study:
    """One study: how it is begun, and what came of it."""

    def __init__(self, kind, place, server, name):
        self.kind, self.place, self.server, self.name = kind, place, server, name
        self.out = place / name

    def begin(self, *more, workers=1):
        url = f"{self.server.url}?study={self.name}"
        common = ["--threads", "1", "--quiet", "--out", self.name, "--workers", str(workers), "--storage", url]
        if self.kind == "run":
            words = ["run", "--model", "model", "--data", "data", "--recipe", "run.yaml"]
        else:
            words = ["tune", "--model", "some/model", "--data", "none", "--recipe", "program.yaml"]
        return bomf(self.place, *words, *common, *more)

    def resume(self):
        return bomf(self.place, "resume", self.name, "--quiet")

    def outcome(self):
        """What must be the same in every study of the kind."""
        table = lambda name, columns, order: self.server.ask(
            f"SELECT {columns} FROM bomf.{name} JOIN bomf.study s ON s.id = study WHERE s.name = '{self.name}' ORDER BY {order}"
        )
        outcome = {
            "journal": without_times(lines(self.out)),
            "trials": table("trial", "number, parameters, state, scores, value, step, curve", "number"),
            "jobs": table("job", "number, payload, result IS NOT NULL", "number"),
            "rungs": table("rung", "rung, trial, value", "rung, trial"),
            "evaluations": table("evaluation", "split, md5(weights), method, state, scores, md5(outputs)", "bomf.evaluation.id"),
            "finetunes": table("finetune", "number", "number"),
        }
        for name in ("results.json", "pareto.json"):
            if (self.out / name).is_file():
                outcome[name] = without_times(json.loads((self.out / name).read_text()))
        if (self.out / "tuned.yaml").is_file():
            outcome["tuned.yaml"] = (self.out / "tuned.yaml").read_text()
        return outcome

    def remove(self):
        shutil.rmtree(self.out, ignore_errors=True)
        self.server.ask(f"DELETE FROM bomf.study WHERE name = '{self.name}'")


def strike(fault, leader, study):
    """Strikes, if there is something to be struck; what it was."""
    if fault == "connection":
        there = study.server.ask("SELECT pid FROM pg_stat_activity WHERE application_name = 'bomf'")
        if not there:
            return None
        number = random.choice(there)[0]
        struck = study.server.ask(f"SELECT pg_terminate_backend({number})") == [["t"]]
        return fault if struck else None
    if fault == "leader":
        return fault if leader.poll() is None and kill(leader.pid) else None
    workers = [number for number, words in children(leader.pid) if words[1:2] == ["worker"]]
    if fault == "worker":
        return fault if workers and kill(workers[0]) else None
    programs = [p for w in workers for p in children(w) if "train.sh" in p[1]]
    if not programs or not kill(programs[0][0]):
        return None
    # The shell waits for what it started, which ends by itself.
    return fault


FAULTS = {
    "run": ["leader", "worker", "connection"],
    "tune": ["leader", "worker", "connection", "program"],
}

WORDS = {
    "leader": "the leading program",
    "worker": "the worker",
    "program": "the program that trains",
    "connection": "a connection to the database",
}


class Tally:
    def __init__(self):
        self.faults = collections.Counter()
        self.wrong = collections.Counter()
        self.kept = 0
        self.resumed = 0
        self.seen = []

    def see(self, what, words):
        self.wrong[what] += 1
        self.seen.append(f"{what}: {words}")


def go_on(study):
    """Goes on with a study that had ended before its end: a new process that leads it."""
    began = time.monotonic()
    while True:
        leader = study.resume()
        try:
            leader.wait(0.5)
        except subprocess.TimeoutExpired:
            return leader, True
        said = leader.stderr.read()
        if leader.returncode == 0:
            return leader, True
        if "is in use" in said and time.monotonic() - began < IN_USE:
            time.sleep(0.05)
        elif "there is no study" in said:
            # It was killed before it had begun.
            return study.begin("--overwrite"), False
        else:
            return leader, True


def disturbed(study, whole, wanted, tally):
    """Runs a study with faults until it has come to its end."""
    leader, attempts, before, programs = study.begin(), 1, [], 0
    while True:
        # About four faults a study, at any moment of it.
        delay = random.uniform(0, whole / 2)
        try:
            leader.wait(delay)
        except subprocess.TimeoutExpired:
            kinds = [fault for fault in FAULTS[study.kind]]
            fault = strike(random.choice(kinds), leader, study) if sum(tally.faults.values()) < wanted else None
            if fault:
                tally.faults[fault] += 1
                programs += fault == "program"
            continue
        said = leader.communicate()[1] if leader.stderr and not leader.stderr.closed else ""
        now = paid(lines(study.out))
        if now[: len(before)] != before:
            tally.see("made again", f"{study.name}: {before} {now}")
        before = now
        if leader.returncode == 0:
            return programs
        if leader.returncode > 0 and not ("trainer" in said or "worker" in said):
            tally.see("ended by an error", f"{study.name}: {said}")
        attempts += 1
        if attempts > MOST_ATTEMPTS:
            raise SystemExit(f"{study.name} does not come to an end: {said}")
        tally.kept += len(before)
        tally.resumed += 1
        leader, has_begun = go_on(study)
        if not has_begun:
            if before:
                tally.see("lost", f"{study.name}: {len(before)} lines")
            before = []


def compare(study, expected, programs, tally):
    found = study.outcome()
    failed = [trial[0] for trial in found["trials"] if trial[2] == "failed"]
    if study.kind == "run" or programs == 0:
        if found != expected:
            for name in expected:
                if found.get(name) != expected[name]:
                    tally.see("different", f"{study.name}: {name}: {first_difference(found.get(name), expected[name])}")
        return len(failed)
    # A trial whose program was killed has failed; all else is the same.
    if len(failed) > programs:
        tally.see("different", f"{study.name}: {len(failed)} failed, {programs} programs were killed")
    for name in ("trials", "jobs"):
        for own, other in zip(found[name], expected[name]):
            if own != other and not (own[0] in failed and own[:2] == other[:2]):
                tally.see("different", f"{study.name}: {name} {own} {other}")
    for name in ("trials", "jobs", "journal"):
        if len(found[name]) < len(expected[name]):
            tally.see("lost", f"{study.name}: {name}")
        if len(found[name]) > len(expected[name]):
            tally.see("twice", f"{study.name}: {name}")
    return len(failed)


def faults(wanted, seed):
    random.seed(seed)
    tally, studies, failed = Tally(), collections.Counter(), 0
    server = Server()
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        try:
            make(place)
            (place / "program.yaml").write_text(PROGRAM.replace("PAUSE", "0.05"))
            expected, whole = {}, {}
            for kind in FAULTS:
                study = Study(kind, place, server, f"{kind}-undisturbed")
                began = time.monotonic()
                process = study.begin()
                said = process.communicate(timeout=PATIENCE)[1]
                if process.returncode:
                    raise SystemExit(said)
                whole[kind] = time.monotonic() - began
                expected[kind] = study.outcome()
                print(f"{kind}: {whole[kind]:.1f} s undisturbed", file=sys.stderr)
            while sum(tally.faults.values()) < wanted:
                kind = list(FAULTS)[sum(studies.values()) % len(FAULTS)]
                study = Study(kind, place, server, f"{kind}-{sum(studies.values())}")
                programs = disturbed(study, whole[kind], wanted, tally)
                failed += compare(study, expected[kind], programs, tally)
                studies[kind] += 1
                study.remove()
                print(f"{dict(studies)} {dict(tally.faults)} {dict(tally.wrong)}", file=sys.stderr)
        finally:
            server.stop()
    for words in tally.seen:
        print(words[:2000], file=sys.stderr)
    trials = {kind: len(expected[kind]["trials"]) for kind in FAULTS}
    evaluations = len(expected["run"]["evaluations"])
    total = sum(tally.faults.values())
    print("| what was struck | times |\n|---|---:|")
    for fault in WORDS:
        print(f"| {WORDS[fault]} | {tally.faults[fault]} |")
    print(f"| **all** | **{total}** |\n")
    print("| what came of it | |\n|---|---:|")
    print(f"| studies of both stages ({trials['run']} trials, {evaluations} evaluations each) | {studies['run']} |")
    print(f"| studies by a program ({trials['tune']} trials each) | {studies['tune']} |")
    print(f"| times that `bomf resume` went on | {tally.resumed} |")
    print(f"| trials and evaluations that it found and kept | {tally.kept} |")
    print(f"| trials that failed, for their program was killed | {failed} |")
    for what in ("lost", "twice", "made again", "different", "ended by an error"):
        print(f"| {what} | {tally.wrong[what]} |")
    return not tally.seen


def away(seconds):
    server = Server()
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        try:
            make(place)
            (place / "program.yaml").write_text(PROGRAM.replace("PAUSE", "0.5"))
            study = Study("tune", place, server, "undisturbed")
            study.begin(workers=2).communicate(timeout=PATIENCE)
            expected = study.outcome()
            study = Study("tune", place, server, "away")
            began = time.monotonic()
            process = study.begin(workers=2)
            while len(lines(study.out)) < 2:
                time.sleep(0.1)
                if process.poll() is not None:
                    raise SystemExit(process.communicate()[1])
            server.stop_at_once()
            stopped = time.monotonic()
            time.sleep(seconds)
            before = lines(study.out)
            alive = process.poll() is None and len([w for w in children(process.pid) if w[1][1:2] == ["worker"]])
            server.start_again()
            said = process.communicate(timeout=PATIENCE)[1]
            took = time.monotonic() - began
            is_same = process.returncode == 0 and without_times(lines(study.out)) == expected["journal"]
            found = study.outcome()
            is_same = is_same and all(found[name] == expected[name] for name in ("trials", "jobs", "tuned.yaml"))
            kept = paid(lines(study.out))[: len(before)] == paid(before)
        finally:
            server.stop()
    print("| | |\n|---|---:|")
    print(f"| the server was away, after a stop as by a crash | {seconds:.0f} s, from {stopped - began:.1f} s on |")
    print(f"| trials that were finished by then, of {len(expected['trials'])} | {len(before)} |")
    print(f"| workers that had waited for it | {alive} of 2 |")
    print(f"| the run ended | by itself, after {took:.1f} s, exit code {process.returncode} |")
    print(f"| trials lost, twice or other than undisturbed | {'none' if is_same and kept else 'SOME'} |")
    if said:
        print(said, file=sys.stderr)
    return is_same and kept


def main():
    global BOMF
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=200, metavar="N", help="how many (200)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bomf", type=pathlib.Path, default=BOMF, metavar="FILE", help="the program (target/release/bomf)")
    parser.add_argument("--away", type=float, metavar="S", help="stop the server for so many seconds instead")
    options = parser.parse_args()
    BOMF = options.bomf.resolve()
    if not BOMF.is_file():
        raise SystemExit(f"{BOMF} is not there: cargo build --release")
    is_well = away(options.away) if options.away else faults(options.faults, options.seed)
    sys.exit(0 if is_well else 1)


if __name__ == "__main__":
    main()
