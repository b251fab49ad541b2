"""Golden values of the Pareto tools, by moocore and pymoo (made with moocore
0.3.2, pymoo 0.6.2, numpy 2.4.6).

    python pareto.py > pareto.json

The points are not stored: `points` draws them from Knuth's 64-bit linear
congruential generator, and so does the test.
"""
import json

import moocore
import numpy as np
import pymoo
from pymoo.indicators.gd_plus import GDPlus

REF = 0.1


def uniform(seed):
    while True:
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
        yield (seed >> 11) / 2**53


def points(shape, seed, n, m):
    u = uniform(seed)
    rows = []
    for _ in range(n):
        y = np.array([next(u) for _ in range(m)])
        if shape == "linear":
            y = y / y.sum()
        elif shape == "convex":
            y = y / np.sqrt((y * y).sum())
        elif shape == "concave":
            y = (y / y.sum()) ** 2
        elif shape == "grid":
            y = np.floor(5.0 * y) / 4.0
        rows.append(y)
    return np.array(rows)


def spec(shape, seed, n, m):
    return {"shape": shape, "seed": seed, "n": n, "m": m}


def hypervolumes():
    cases = []
    for m in range(2, 7):
        for shape in ["linear", "convex", "concave", "random", "grid"]:
            for n in [1, 2, 3, 9, 40, 200]:
                y = points(shape, m * n, n, m)
                case = spec(shape, m * n, n, m)
                case["hypervolume"] = moocore.hypervolume(y, ref=[REF] * m, maximise=True)
                if n <= 9 or (n == 40 and shape in ("convex", "random") and m < 6):
                    case["contributions"] = moocore.hv_contributions(
                        y, ref=[REF] * m, maximise=True, ignore_dominated=False
                    ).tolist()
                cases.append(case)
    return cases


def ranks():
    cases = []
    for m in range(1, 6):
        for shape in ["random", "grid"]:
            case = spec(shape, 70 + m, 60, m)
            y = points(**case)
            case["ranks"] = [int(r) for r in moocore.pareto_rank(y, maximise=True)]
            cases.append(case)
    return cases


def distances():
    cases = []
    for m in range(2, 6):
        ours, front = spec("random", 80 + m, 25, m), spec("convex", 90 + m, 40, m)
        y, z = points(**ours), points(**front)
        cases.append(
            {
                "points": ours,
                "front": front,
                "igd_plus": moocore.igd_plus(y, ref=z, maximise=True),
                "additive_epsilon": moocore.epsilon_additive(y, ref=z, maximise=True),
                # pymoo minimises.
                "gd_plus": float(GDPlus(-z)(-y)),
            }
        )
    return cases


def r2():
    cases = []
    for shape in ["linear", "convex", "concave", "random"]:
        case = spec(shape, 110, 15, 2)
        y = points(**case)
        case["r2"] = moocore.r2_exact(y, ref=[1.0, 1.0], maximise=True)
        cases.append(case)
    return cases


def attainment():
    cases = []
    for runs, n, shape in [(1, 6, "random"), (4, 8, "grid"), (5, 12, "convex"), (7, 20, "random")]:
        sets = [points(shape, 120 + r, n, 2) for r in range(runs)]
        y = np.vstack(sets)
        # Maximised by turning the sign; levels as whole numbers of runs.
        table = moocore.eaf(-y, np.repeat(np.arange(runs), n))
        levels = []
        for k in range(1, runs + 1):
            own = table[np.abs(table[:, 2] - 100.0 * k / runs) < 1e-9]
            levels.append((-own[:, :2]).tolist())
        cases.append({"runs": runs, "n": n, "shape": shape, "seed": 120, "levels": levels})
    return cases


def main():
    out = {
        "moocore": moocore.__version__,
        "pymoo": pymoo.__version__,
        "numpy": np.__version__,
        "ref": REF,
        "hypervolumes": hypervolumes(),
        "ranks": ranks(),
        "distances": distances(),
        "r2": r2(),
        "attainment": attainment(),
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
    main()
