"""Golden values of processes with derivatives: GPyTorch's kernels, the rest by numpy.

    python derivative.py > derivative.json

Made with gpytorch 1.15.2, torch 2.15.0, numpy 2.4.6. The joint covariance of values and gradients is that of
RBFKernelGrad and Matern52KernelGrad (their order: a point's value, then its partial derivatives); posterior and
likelihood are plain solves; standardisation is by the sample deviation of the values (n - 1).
"""
import json
import warnings

import numpy as np

warnings.filterwarnings("ignore")
import gpytorch
import torch
from gpytorch.kernels import Matern52KernelGrad, RBFKernelGrad

torch.set_default_dtype(torch.float64)


def function(x):
    return np.sin(4.0 * x[:, 0]) + 3.0 * (x**2).sum(axis=1)


def gradient(x):
    g = 6.0 * x
    g[:, 0] += 4.0 * np.cos(4.0 * x[:, 0])
    return g


def main():
    rng = np.random.default_rng(20240612)
    cases = []
    for name, make in [("matern52", Matern52KernelGrad), ("rbf", RBFKernelGrad)]:
        for n, d, ard in [(1, 2, True), (5, 1, True), (6, 3, True), (6, 3, False)]:
            x, q = rng.random((n, d)), rng.random((3, d))
            y, dy = function(x), gradient(x)
            lengths = rng.uniform(0.3, 1.2, d if ard else 1)
            outputscale, noise, derivative_noise, mean = 1.3, 1e-3, 2e-2, 0.2
            centre, scale = y.mean(), y.std(ddof=1) if n > 1 else 1.0

            base = make(ard_num_dims=d) if ard else make()
            base.lengthscale = torch.tensor(lengths)

            def k(a, b):
                with torch.no_grad():
                    return outputscale * base(torch.tensor(a), torch.tensor(b)).to_dense().numpy()

            width = d + 1
            big = k(x, x) + np.diag(np.tile([noise] + [derivative_noise] * d, n))
            error = np.column_stack([(y - centre) / scale - mean, dy / scale]).reshape(-1)
            alpha = np.linalg.solve(big, error)
            cross = k(q, x)
            explained = np.einsum("ij,ji->i", cross, np.linalg.solve(big, cross.T))
            prior = np.diag(k(q, q))
            variance = scale**2 * (prior - explained)
            post = cross @ alpha
            values = slice(0, None, width)
            _, log_det = np.linalg.slogdet(big)
            cases.append(
                {
                    "kernel": name,
                    "x": x.tolist(),
                    "y": y.tolist(),
                    "gradients": dy.tolist(),
                    "lengthscales": lengths.tolist(),
                    "outputscale": outputscale,
                    "noise": noise,
                    "derivative_noise": derivative_noise,
                    "mean": mean,
                    "query": q.tolist(),
                    "log_likelihood": float(-0.5 * (error @ alpha + log_det + len(error) * np.log(2 * np.pi))),
                    "posterior_mean": (centre + scale * (mean + post[values])).tolist(),
                    "posterior_variance": variance[values].tolist(),
                    "derivative_mean": (scale * post.reshape(-1, width)[:, 1:]).tolist(),
                    "derivative_variance": variance.reshape(-1, width)[:, 1:].tolist(),
                }
            )
    versions = {"gpytorch": gpytorch.__version__, "torch": torch.__version__, "numpy": np.__version__}
    print(json.dumps({"versions": versions, "cases": cases}, indent=1))


if __name__ == "__main__":
    main()
