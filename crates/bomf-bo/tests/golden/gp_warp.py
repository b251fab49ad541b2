"""Golden values of the Yeo-Johnson transform, by scipy (version in gp_warp.json).

    python gp_warp.py > gp_warp.json

Each case: outcomes y, and for u = (y - median) / half the interquartile range
the lambda of the largest likelihood and the transformed values
(scipy.stats.yeojohnson).
"""
import json

import numpy as np
import scipy
from scipy import stats


def main():
    rng = np.random.default_rng(7)
    cases = []
    for y in (rng.gumbel(size=40), -rng.gamma(2.0, size=60), rng.normal(5.0, 3.0, size=30)):
        quartiles = np.quantile(y, [0.25, 0.5, 0.75])
        u = (y - quartiles[1]) / (0.5 * (quartiles[2] - quartiles[0]))
        z, lmbda = stats.yeojohnson(u)
        assert 0 < lmbda < 2
        cases.append({"y": y.tolist(), "lambda": float(lmbda), "z": z.tolist()})
    print(json.dumps({"scipy": scipy.__version__, "cases": cases}, indent=1))


if __name__ == "__main__":
    main()
