"""Golden values of the normal distribution's logarithms, to 40 digits by mpmath
(made with mpmath 1.3).

    python normal.py > normal.json
"""
import json

import mpmath as mp

mp.mp.dps = 60


def main():
    rows = []
    for z in [-1e6, -1e4, -300.0, -40.0, -26.0, -12.5, -12.0, -11.5, -7.5, -7.0, -6.0,
              -5.001, -5.0, -4.5, -3.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 8.0, 40.0]:
        x = mp.mpf(z)
        # Phi by erfc keeps its digits in the tail; h loses 2 log10 |z| of 60.
        density = mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)
        cumulative = mp.erfc(-x / mp.sqrt(2)) / 2
        h = density + x * cumulative
        rows.append({"z": z, "log_cumulative": float(mp.log(cumulative)), "log_h": float(mp.log(h))})
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
