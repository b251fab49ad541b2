"""Golden values of models and acquisition functions, by BoTorch (made with
botorch 0.18.1, gpytorch 1.15.2, torch 2.15.0; double precision, CPU).

    OMP_NUM_THREADS=1 python bo.py > bo.json

Inputs and outcomes are not stored: `data` makes them from Knuth's 64-bit linear
congruential generator and a polynomial, and so does the test.
"""
import json
import math
import warnings

import botorch
import gpytorch
import torch
from botorch.acquisition.analytic import LogExpectedImprovement
from botorch.acquisition.multi_objective.analytic import ExpectedHypervolumeImprovement
from botorch.models import ModelListGP, SingleTaskGP
from botorch.models.transforms import Standardize
from botorch.utils.multi_objective.box_decompositions import FastNondominatedPartitioning
from gpytorch.constraints import GreaterThan
from gpytorch.kernels import MaternKernel, RBFKernel, ScaleKernel
from gpytorch.likelihoods import GaussianLikelihood
from gpytorch.mlls import ExactMarginalLogLikelihood

warnings.filterwarnings("ignore")
torch.set_default_dtype(torch.double)
torch.set_num_threads(1)


# Points of the front's data and candidates for a query. Of these only such are
# kept as improve by more than SMALL: EHVI is summed from differences, and where
# it is small it has few digits.
FRONT = 12
QUERIES = 100
SMALL = 1e-4


def uniform(seed):
    while True:
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
        yield (seed >> 11) / 2**53


def inputs(seed, n, d):
    u = uniform(seed)
    return [[next(u) for _ in range(d)] for _ in range(n)]


def outcome(x, j):
    """Objective `j`: bulges at a place of its own, with a wave along the first
    input. Sums in the order that the test has."""
    peak = 0.2 + 0.2 * j
    total = 3.0 + j
    for v in x:
        total -= (v - peak) * (v - peak)
    return total + 4.0 * (x[0] - 0.1) * (x[0] - 0.5) * (x[0] - 0.9)


def process(case, j=0):
    """The model of objective `j` with the hyperparameters of `case`."""
    x = inputs(case["seed"], case["n"], case["d"])
    y = torch.tensor([[outcome(row, j)] for row in x])
    lengths = torch.tensor(case["lengthscales"])
    ard = len(case["lengthscales"]) if len(case["lengthscales"]) > 1 else None
    base = MaternKernel(nu=2.5, ard_num_dims=ard) if case["kernel"] == "matern52" else RBFKernel(ard_num_dims=ard)
    likelihood = GaussianLikelihood(noise_constraint=GreaterThan(1e-12))
    model = SingleTaskGP(
        torch.tensor(x),
        y,
        likelihood=likelihood,
        covar_module=ScaleKernel(base),
        mean_module=gpytorch.means.ConstantMean(),
        outcome_transform=Standardize(m=1),
    )
    base.lengthscale = lengths.reshape(1, -1)
    model.covar_module.outputscale = case["outputscale"]
    likelihood.noise = case["noise"]
    model.mean_module.initialize(constant=case["mean"])
    return model


def log_likelihood(model):
    model.train()
    mll = ExactMarginalLogLikelihood(model.likelihood, model)
    x, y = model.train_inputs[0], model.train_targets
    value = mll(model(x), y).item() * len(y)
    model.eval()
    return value


def hyperparameters(kernel, seed, n, d, ard, noise):
    u = uniform(seed)
    return {
        "kernel": kernel,
        "seed": seed,
        "n": n,
        "d": d,
        "lengthscales": [round(0.4 + next(u), 3) for _ in range(d if ard else 1)],
        "outputscale": round(0.5 + next(u), 3),
        "noise": noise,
        "mean": round(next(u) - 0.5, 3),
    }


def processes():
    cases = []
    seed = 1
    for kernel in ["matern52", "rbf"]:
        for ard in [True, False]:
            for n, d, noise in [(2, 2, 1e-4), (8, 2, 1e-2), (8, 3, 1e-4), (25, 4, 1e-5), (40, 6, 1e-3), (60, 2, 1e-2)]:
                seed += 1
                case = hyperparameters(kernel, seed, n, d, ard, noise)
                model = process(case)
                case["log_likelihood"] = log_likelihood(model)
                posterior = model.posterior(torch.tensor(inputs(seed + 500, 3, d)))
                case["posterior_mean"] = posterior.mean.flatten().tolist()
                case["posterior_variance"] = posterior.variance.flatten().tolist()
                cases.append(case)
    return cases


def with_gradient(acquisition, x):
    x = torch.tensor([x], requires_grad=True)
    value = acquisition(x.unsqueeze(0)).sum()
    value.backward()
    return value.item(), x.grad.flatten().tolist()


def improvements():
    """log EI at three points, over thresholds from below to far above."""
    cases = []
    for kernel in ["matern52", "rbf"]:
        # Outcomes lie between 1.5 and 3.5.
        for best in [1.0, 2.9, 3.2, 5.0, 30.0]:
            case = hyperparameters(kernel, 31, 15, 3, True, 1e-3)
            case["best"] = best
            acquisition = LogExpectedImprovement(process(case), best_f=best)
            found = [with_gradient(acquisition, x) for x in inputs(531, 3, 3)]
            case["values"] = [f[0] for f in found]
            case["gradients"] = [f[1] for f in found]
            cases.append(case)
    return cases


def hypervolume_improvements():
    """EHVI as its logarithm: log v and (d v / d x) / v."""
    cases = []
    for m in [2, 3, 4]:
        for kernel in ["matern52", "rbf"]:
            case = hyperparameters(kernel, 40 + m, FRONT, 3, True, 5e-2)
            case["m"] = m
            x = inputs(case["seed"], FRONT, 3)
            y = torch.tensor([[outcome(row, j) for j in range(m)] for row in x])
            # Some of the outcomes lie below the reference point.
            ref_point = [round(v, 2) for v in y.quantile(0.3, dim=0).tolist()]
            case["ref_point"] = ref_point
            partitioning = FastNondominatedPartitioning(ref_point=torch.tensor(ref_point), Y=y)
            model = ModelListGP(*[process(case, j) for j in range(m)])
            acquisition = ExpectedHypervolumeImprovement(model, ref_point, partitioning)
            found = [with_gradient(acquisition, x) for x in inputs(540 + m, QUERIES, 3)]
            kept = [i for i, (v, _) in enumerate(found) if v > SMALL][:4]
            assert len(kept) == 4, [v for v, _ in found]
            case["queries"] = kept
            case["values"] = [math.log(found[i][0]) for i in kept]
            case["gradients"] = [[g / found[i][0] for g in found[i][1]] for i in kept]
            cases.append(case)
    return cases


def main():
    out = {
        "botorch": botorch.__version__,
        "gpytorch": gpytorch.__version__,
        "torch": torch.__version__,
        "processes": processes(),
        "improvements": improvements(),
        "hypervolume_improvements": hypervolume_improvements(),
    }
    # One case a line.
    parts = []
    for key, value in out.items():
        if isinstance(value, list):
            value = "[\n" + ",\n".join(json.dumps(case) for case in value) + "\n]"
        else:
            value = json.dumps(value)
        parts.append(f"{json.dumps(key)}: {value}")
    print("{\n" + ",\n".join(parts) + "\n}")


if __name__ == "__main__":
    with gpytorch.settings.fast_computations(False, False, False):
        main()
