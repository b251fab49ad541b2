#!/usr/bin/env python3
"""Any optimiser on a real fusion problem, through `bomf fuse --serve`.

    python3 scripts/fuse_client.py --optimiser paper --evaluations 75 --log paper.jsonl -- \
        bomf fuse --serve --members RUN/members --data DATA --out OUT/paper --seed 0

Optimisers:

  paper         the search of BOMF (Jang et al. 2024) with the constants of its released code, in
                BoTorch: the box [0, 1]^N whose points are divided by their sum, one GP an
                objective with standardised outputs, refitted from scratch, qNEHVI (the code; the
                paper's text has qLogNEHVI, --acquisition qlognehvi) with 128 quasi-Monte-Carlo
                samples, 10 restarts and 512 raw samples, one point a step
  random        uniform weights of the simplex (Dirichlet(1))
  ext:COMMAND   a program that speaks the ask-tell protocol of `bomf bo` (start, tell, ask, stop; all
                objectives minimised), such as "ext:bomf bo"

All of them begin with what the first line tells: the members' own scores. `--start sobol` begins
with N points of a scrambled Sobol sequence instead, which count as evaluations. The hypervolume is
over the reference point that the problem comes with, members included.

Made with Python 3.11, numpy 2.4, torch 2.15, botorch 0.18; `random` and `ext:` need numpy alone.
"""

import argparse
import json
import shlex
import subprocess
import sys
import time

import numpy as np

# Constants of the released code.
MC_SAMPLES, RESTARTS, RAW_SAMPLES = 128, 10, 512

# After so many evaluations the hypervolume is printed.
MARKS = (0, 15, 30, 60, 90)


class Served:
    """The problem, and its evaluation, at the other end of a pipe."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.problem = self._line()
        self.n = self.problem["n"]
        self.objectives = self.problem["objectives"]
        # Everything in here is maximised.
        self.signs = [1.0 if o["direction"] == "maximize" else -1.0 for o in self.objectives]
        self.ref_point = self._maximised(self.problem["ref_point"])

    def _line(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"bomf ended with {self.process.wait()}")
        return json.loads(line)

    def _maximised(self, scores):
        return np.array([sign * scores[o["name"]] for sign, o in zip(self.signs, self.objectives)])

    def members(self):
        """Weights and scores of the members that have any."""
        known = enumerate(self.problem["member_scores"])
        return [(np.eye(self.n)[i], self._maximised(scores)) for i, scores in known if scores]

    def evaluate(self, weights):
        """Scores and seconds; the scores are None for a mixture that gives none."""
        self.process.stdin.write(json.dumps({"evaluate": [float(w) for w in weights]}) + "\n")
        answer = self._line()
        if "error" in answer:
            sys.exit(f"{answer['error']}; {answer.get('hint', '')}")
        scores = answer["scores"]
        return (self._maximised(scores) if scores else None), answer["seconds"]

    def close(self):
        self.process.stdin.write('{"stop": true}\n')
        self.process.stdin.close()
        self.process.wait()


def divided(x):
    """A point of the box as weights; its corner at zero stands for the average."""
    x = np.clip(np.asarray(x, dtype=float), 0.0, None)
    return x / x.sum() if x.sum() > 0 else np.full(len(x), 1.0 / len(x))


class Paper:
    """qNEHVI in the box with normalisation."""

    def __init__(self, served, options):
        import torch

        torch.manual_seed(options.seed)
        torch.set_num_threads(options.threads)
        self.torch, self.served = torch, served
        self.scaling, self.acquisition = options.scaling, options.acquisition
        self.x, self.y = [], []

    def scaled(self, y):
        """Objectives and reference point as the released code has them: 1 - loss and the metrics
        themselves above zero; or as they are, above the served reference point."""
        if self.scaling == "served":
            return y, self.served.ref_point
        shift = np.array([0.0 if sign > 0 else 1.0 for sign in self.served.signs])
        return y + shift, np.zeros(len(shift))

    def tell(self, x, y):
        self.x.append(x)
        self.y.append(y)

    def ask(self):
        torch = self.torch
        from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
        from botorch.acquisition.multi_objective.monte_carlo import qNoisyExpectedHypervolumeImprovement
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import ModelListGP, SingleTaskGP
        from botorch.models.transforms import Standardize
        from botorch.optim import optimize_acqf
        from botorch.sampling import SobolQMCNormalSampler
        from gpytorch.mlls import SumMarginalLogLikelihood

        x = torch.tensor(np.array(self.x), dtype=torch.double)
        y, ref_point = self.scaled(np.array(self.y))
        y = torch.tensor(y, dtype=torch.double)
        models = [SingleTaskGP(x, y[:, i : i + 1], outcome_transform=Standardize(m=1)) for i in range(y.shape[1])]
        model = ModelListGP(*models)
        fit_gpytorch_mll(SumMarginalLogLikelihood(model.likelihood, model))
        kind = qNoisyExpectedHypervolumeImprovement
        if self.acquisition == "qlognehvi":
            kind = qLogNoisyExpectedHypervolumeImprovement
        acquisition = kind(
            model=model,
            ref_point=ref_point.tolist(),
            X_baseline=x,
            sampler=SobolQMCNormalSampler(torch.Size([MC_SAMPLES])),
            prune_baseline=True,
        )
        bounds = torch.stack([torch.zeros(x.shape[1]), torch.ones(x.shape[1])]).double()
        found, _ = optimize_acqf(acquisition, bounds=bounds, q=1, num_restarts=RESTARTS, raw_samples=RAW_SAMPLES)
        return found[0].numpy()

    def close(self):
        pass


class Random:
    """Uniform weights."""

    def __init__(self, served, options):
        self.n, self.rng = served.n, np.random.default_rng(options.seed)

    def tell(self, x, y):
        pass

    def ask(self):
        return self.rng.dirichlet(np.ones(self.n))

    def close(self):
        pass


class External:
    """A program that speaks the protocol of `bomf bo`, which minimises."""

    def __init__(self, served, options):
        command = shlex.split(options.optimiser.removeprefix("ext:"))
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.told = 0
        self._send(
            type="start",
            protocol=1,
            problem=served.problem["problem"],
            space="simplex",
            dim=served.n - 1,
            nx=served.n,
            nobj=len(served.objectives),
            lower=None,
            upper=None,
            ref_point=(-served.ref_point).tolist(),
            noisy=False,
            budget=options.evaluations,
            q=1,
            seed=options.seed,
        )
        self._expect("ready")

    def _send(self, **message):
        self.process.stdin.write(json.dumps(message) + "\n")

    def _expect(self, kind):
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"type": "its end"}
        if answer["type"] != kind:
            sys.exit(f"the optimiser gave {answer}")
        return answer

    def tell(self, x, y):
        self._send(type="tell", points=[{"id": self.told, "x": list(map(float, x)), "y": (-y).tolist()}])
        self.told += 1

    def ask(self):
        self._send(type="ask", q=1)
        return np.array(self._expect("suggest")["xs"][0])

    def close(self):
        self._send(type="stop")
        self.process.stdin.close()
        self.process.wait()


def hypervolume(points, ref_point):
    """Of maximised points, by slices along the last objective; for a few hundred points."""
    points = [p for p in points if np.all(p > ref_point)]
    if not points:
        return 0.0
    if len(ref_point) == 1:
        return float(max(p[0] for p in points) - ref_point[0])
    points.sort(key=lambda p: -p[-1])
    total = 0.0
    for i, point in enumerate(points):
        below = points[i + 1][-1] if i + 1 < len(points) else ref_point[-1]
        if point[-1] > below:
            total += (point[-1] - below) * hypervolume([p[:-1] for p in points[: i + 1]], ref_point[:-1])
    return total


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--optimiser", default="paper", help="paper, random or ext:COMMAND")
    parser.add_argument("--evaluations", type=int, help="of mixtures; 5 N without it")
    parser.add_argument("--start", choices=["members", "sobol"], default="members")
    parser.add_argument("--scaling", choices=["released", "served"], default="released", help="of `paper`")
    parser.add_argument("--acquisition", choices=["qnehvi", "qlognehvi"], default="qnehvi", help="of `paper`")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="of `paper`")
    parser.add_argument("--log", help="file for every evaluation, a JSON object a line")
    parser.add_argument("command", nargs="+", help="-- bomf fuse --serve ...")
    options = parser.parse_args()

    served = Served(options.command)
    if options.evaluations is None:
        options.evaluations = 5 * served.n
    kinds = {"paper": Paper, "random": Random}
    kind = External if options.optimiser.startswith("ext:") else kinds.get(options.optimiser)
    if kind is None:
        parser.error(f"there is no optimiser {options.optimiser}")
    optimiser = kind(served, options)
    points = [y for _, y in served.members()]
    start = []
    if options.start == "members":
        for x, y in served.members():
            optimiser.tell(x, y)
    else:
        from scipy.stats import qmc

        start = list(qmc.Sobol(served.n, seed=options.seed).random(served.n))
    log = open(options.log, "w") if options.log else None
    thinking = working = 0.0
    print("evaluations hypervolume seconds_of_evaluation seconds_of_optimiser")
    for made in range(options.evaluations + 1):
        volume = hypervolume(list(points), served.ref_point)
        if made in MARKS or made == options.evaluations:
            print(f"{made} {volume:.6f} {working:.1f} {thinking:.1f}", flush=True)
        if made == options.evaluations:
            break
        began = time.perf_counter()
        x = start[made] if made < len(start) else optimiser.ask()
        thinking += time.perf_counter() - began
        weights = divided(x)
        y, seconds = served.evaluate(weights)
        working += seconds
        # What failed is not told: the paper knows no failures.
        if y is not None:
            points.append(y)
            began = time.perf_counter()
            optimiser.tell(x, y)
            thinking += time.perf_counter() - began
        if log:
            scores = None if y is None else {o["name"]: s * v for o, s, v in zip(served.objectives, served.signs, y)}
            line = {"evaluation": made + 1, "weights": weights.tolist(), "scores": scores, "hypervolume": volume}
            log.write(json.dumps(line) + "\n")
            log.flush()
    optimiser.close()
    served.close()


if __name__ == "__main__":
    main()
