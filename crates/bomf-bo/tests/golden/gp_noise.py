"""Golden values of known noise and of the shrinkage prior, by GPyTorch
(versions in gp_noise.json).

    python gp_noise.py > gp_noise.json

`FixedNoiseGaussianLikelihood` adds given variances to the diagonal, and with
`learn_additional_noise` one more variance to all of them. The shrinkage's
density is that of `HalfCauchyPrior`, turned to logarithms of its variable
(`+ log rho`, `+ log tau`).
"""
import json

import gpytorch
import torch

torch.set_default_dtype(torch.float64)


class Model(gpytorch.models.ExactGP):
    def __init__(self, x, z, likelihood, lengths, outputscale, mean):
        super().__init__(x, z, likelihood)
        self.mean_module = gpytorch.means.ConstantMean()
        self.mean_module.constant = mean
        base = gpytorch.kernels.MaternKernel(nu=2.5, ard_num_dims=x.shape[1])
        base.lengthscale = lengths
        self.covar_module = gpytorch.kernels.ScaleKernel(base)
        self.covar_module.outputscale = outputscale

    def forward(self, x):
        return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))


def noise_case(generator, additional):
    n, d = 9, 2
    x = torch.rand(n, d, generator=generator)
    y = torch.sin(4 * x[:, 0]) + 3 * x.sum(1)
    errors = 0.05 + 0.3 * torch.rand(n, generator=generator)
    centre, scale = y.mean(), y.std()
    z = (y - centre) / scale
    lengths, outputscale, mean, noise = [0.5, 0.9], 1.3, 0.2, 0.04
    likelihood = gpytorch.likelihoods.FixedNoiseGaussianLikelihood(
        (errors / scale) ** 2, learn_additional_noise=additional
    )
    if additional:
        likelihood.second_noise = noise
    model = Model(x, z, likelihood, torch.tensor([lengths]), outputscale, mean)
    model.train()
    likelihood.train()
    mll = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model)
    log_likelihood = n * mll(model(x), z).item()
    model.eval()
    query = torch.rand(4, d, generator=generator)
    posterior = model(query)
    return {
        "everywhere": additional,
        "x": x.tolist(),
        "y": y.tolist(),
        "standard_errors": errors.tolist(),
        "lengthscales": lengths,
        "outputscale": outputscale,
        "mean": mean,
        "noise": noise,
        "log_likelihood": log_likelihood,
        "query": query.tolist(),
        "posterior_mean": (centre + scale * posterior.mean).tolist(),
        "posterior_variance": (scale**2 * posterior.variance).tolist(),
    }


def shrinkage_case(scale, tau, lengths):
    rho = torch.tensor(lengths) ** -2
    tau = torch.tensor(tau)
    local = gpytorch.priors.HalfCauchyPrior(tau).log_prob(rho) + rho.log()
    whole = gpytorch.priors.HalfCauchyPrior(scale).log_prob(tau) + tau.log()
    return {
        "scale": scale,
        "tau": tau.item(),
        "lengthscales": lengths,
        "log_density": (local.sum() + whole).item(),
    }


def main():
    generator = torch.Generator().manual_seed(20250101)
    with gpytorch.settings.fast_computations(False, False, False), torch.no_grad():
        noise = [noise_case(generator, additional) for additional in (False, True)]
    shrinkage = [
        shrinkage_case(0.1, 0.05, [0.3, 2.0, 40.0]),
        shrinkage_case(0.1, 3.0, [1.0]),
        shrinkage_case(1.0, 1e-3, [0.01, 900.0]),
    ]
    versions = {"gpytorch": gpytorch.__version__, "torch": torch.__version__}
    print(json.dumps({"versions": versions, "noise": noise, "shrinkage": shrinkage}, indent=1))


if __name__ == "__main__":
    main()
