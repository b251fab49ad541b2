"""Golden values of the Gaussian process, by numpy alone (made with numpy 2.4.6).

    python gp.py > gp.json

Written from Rasmussen and Williams (2006), algorithm 2.1, with a plain solve
instead of a factorisation; standardisation by the sample deviation (n - 1).
"""
import json

import numpy as np


def kernel(name, r2):
    if name == "rbf":
        return np.exp(-0.5 * r2)
    s = np.sqrt(5.0 * r2)
    return (1.0 + s + s * s / 3.0) * np.exp(-s)


def main():
    rng = np.random.default_rng(20240611)
    cases = []
    for name in ["matern52", "rbf"]:
        for n, d, ard in [(1, 2, True), (7, 1, True), (12, 3, True), (12, 3, False)]:
            x = rng.random((n, d))
            y = np.sin(4.0 * x[:, 0]) + 3.0 * x.sum(axis=1)
            lengths = rng.uniform(0.3, 1.2, d if ard else 1)
            outputscale, noise, mean = 1.3, 1e-3, 0.2
            centre = y.mean()
            scale = y.std(ddof=1) if n > 1 else 1.0
            z = (y - centre) / scale

            def k(a, b):
                r2 = (((a[:, None, :] - b[None, :, :]) / lengths) ** 2).sum(axis=2)
                return outputscale * kernel(name, r2)

            big = k(x, x) + noise * np.eye(n)
            e = z - mean
            _, log_det = np.linalg.slogdet(big)
            log_likelihood = -0.5 * (e @ np.linalg.solve(big, e) + log_det + n * np.log(2 * np.pi))
            q = rng.random((3, d))
            cross = k(q, x)
            post_mean = centre + scale * (mean + cross @ np.linalg.solve(big, e))
            explained = np.einsum("ij,ji->i", cross, np.linalg.solve(big, cross.T))
            post_variance = scale**2 * (outputscale - explained)
            cases.append(
                {
                    "kernel": name,
                    "x": x.tolist(),
                    "y": y.tolist(),
                    "lengthscales": lengths.tolist(),
                    "outputscale": outputscale,
                    "noise": noise,
                    "mean": mean,
                    "query": q.tolist(),
                    "log_likelihood": float(log_likelihood),
                    "posterior_mean": post_mean.tolist(),
                    "posterior_variance": post_variance.tolist(),
                }
            )
    print(json.dumps({"numpy": np.__version__, "cases": cases}, indent=1))


if __name__ == "__main__":
    main()
