"""Coefficients of Mills' ratio M(x) = Phi(-x) / phi(x) on [0, 38].

M(x) = s P(u), s = 1 / (x + SHIFT), u in [-1, 1] linear in s, P by Chebyshev
interpolation in 40 digits, printed by powers of u. Made with mpmath 1.3.0:

    python mills.py      # the constants of src/acquisition/monte_carlo/mills.rs
"""

import mpmath as mp

mp.mp.dps = 40
SHIFT, LAST, TERMS = mp.mpf("4.5"), mp.mpf(38), 18


def mills(x):
    return mp.sqrt(mp.pi / 2) * mp.exp(x * x / 2) * mp.erfc(x / mp.sqrt(2))


low, high = 1 / (LAST + SHIFT), 1 / SHIFT
slope, offset = 2 / (high - low), -(high + low) / (high - low)
nodes = 64
angles = [mp.pi * (2 * i + 1) / (2 * nodes) for i in range(nodes)]
values = []
for a in angles:
    s = (mp.cos(a) - offset) / slope
    values.append(mills(1 / s - SHIFT) / s)
cheb = [2 / mp.mpf(nodes) * sum(v * mp.cos(k * a) for v, a in zip(values, angles)) for k in range(nodes)]
cheb[0] /= 2
print("left out, relative:", mp.nstr(sum(abs(c) for c in cheb[TERMS:]), 3))

# Powers of u by T_{k+1} = 2 u T_k - T_{k-1}.
t = [[mp.mpf(1)], [mp.mpf(0), mp.mpf(1)]]
for k in range(2, TERMS):
    new = [mp.mpf(0)] + [2 * c for c in t[-1]]
    for i, c in enumerate(t[-2]):
        new[i] -= c
    t.append(new)
power = [sum(cheb[k] * t[k][i] for k in range(i, TERMS)) for i in range(TERMS)]
print("SLOPE =", repr(float(slope)), "OFFSET =", repr(float(offset)))
for c in power:
    print(f"    {float(c)!r},")
