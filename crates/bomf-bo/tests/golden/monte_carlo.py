"""Golden values of noisy and pending acquisition functions by BoTorch, with many
quasi-Monte-Carlo samples.

The versions it was made with are in the output. All in units of standardised outcomes; BoTorch's temperatures are set so
low that nothing is smoothed but what is far below a sample's weight.

    python monte_carlo.py > monte_carlo.json
"""

import json

import botorch
import gpytorch
import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.models import ModelListGP, SingleTaskGP
from botorch.sampling.normal import SobolQMCNormalSampler
from gpytorch.kernels import MaternKernel, ScaleKernel

torch.set_default_dtype(torch.double)
torch.set_num_threads(1)
SAMPLES = 4096
LENGTHS = [0.5, 0.8]
OUTPUTSCALE, NOISE, MEAN = 1.2, 0.02, 0.1


def outcome(x, j):
    peak = [0.25, 0.75, 0.5][j]
    return torch.exp(-3 * ((x - peak) ** 2).sum(-1)) + 0.3 * torch.sin(5 * x[..., j % 2] + j)


def model(x, z):
    gp = SingleTaskGP(x, z.unsqueeze(-1), outcome_transform=None,
                      covar_module=ScaleKernel(MaternKernel(nu=2.5, ard_num_dims=2)))
    gp.covar_module.outputscale = OUTPUTSCALE
    gp.covar_module.base_kernel.lengthscale = torch.tensor(LENGTHS)
    gp.likelihood.noise = torch.tensor([NOISE])
    gp.mean_module.initialize(constant=MEAN)
    return gp.eval()


def main():
    torch.manual_seed(3)
    x = torch.rand(10, 2)
    pending = torch.rand(2, 2)
    queries = torch.rand(5, 2)
    out = {"versions": {"botorch": botorch.__version__, "gpytorch": gpytorch.__version__,
                        "torch": torch.__version__},
           "lengthscales": LENGTHS, "outputscale": OUTPUTSCALE, "noise": NOISE, "mean": MEAN,
           "x": x.tolist(), "pending": pending.tolist(), "queries": queries.tolist(), "cases": []}
    columns = []
    for j in range(3):
        y = outcome(x, j)
        columns.append(((y - y.mean()) / y.std()).tolist())
    out["z"] = columns
    with torch.no_grad(), gpytorch.settings.cholesky_max_tries(8):
        for m in [1, 2, 3]:
            gps = [model(x, torch.tensor(columns[j])) for j in range(m)]
            for with_pending in [False, True]:
                own = pending if with_pending else None
                sampler = SobolQMCNormalSampler(torch.Size([SAMPLES]), seed=11)
                if m == 1:
                    acq = qLogNoisyExpectedImprovement(
                        gps[0], X_baseline=x, sampler=sampler, prune_baseline=False,
                        X_pending=own, tau_max=1e-5, tau_relu=1e-9)
                    values = acq(queries.unsqueeze(1)).exp()
                    if with_pending:
                        # BoTorch counts the pending points' own improvement too.
                        alone = qLogNoisyExpectedImprovement(
                            gps[0], X_baseline=x, sampler=SobolQMCNormalSampler(torch.Size([SAMPLES]), seed=11),
                            prune_baseline=False, tau_max=1e-5, tau_relu=1e-9)
                        values = values - alone(pending.unsqueeze(0)).exp()
                else:
                    ref = [-1.0] * m
                    acq = qLogNoisyExpectedHypervolumeImprovement(
                        ModelListGP(*gps), ref_point=ref, X_baseline=x, sampler=sampler,
                        prune_baseline=False, X_pending=own, cache_pending=True,
                        tau_max=1e-5, tau_relu=1e-9)
                    values = acq(queries.unsqueeze(1)).exp()
                out["cases"].append({"m": m, "pending": with_pending, "values": values.tolist()})
    print(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()
