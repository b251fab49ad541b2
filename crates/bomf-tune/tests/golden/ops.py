#!/usr/bin/env python3
"""Exact values of the engine's elementary operations, in float64, for accuracy tests.

Writes `ops.json` beside this script:

- `gelu` (the erf form), `tanh`: `x`, `y` and the derivative `dy`;
- `layer_norm`: `x` [rows][columns], `weight`, `bias`, `eps`, `y`; with the upstream gradient `g` also `grad_x`,
  `grad_weight`, `grad_bias`;
- `softmax_cross_entropy`: `logits` [rows][classes], `labels`, per-row `losses`, their mean `loss`, `probs`, and
  `grad` of the mean with respect to the logits. One row has logits of 1e4, one all equal, one -1e4 for its label.

All inputs are float32 values, so that a float32 engine reads them exactly.

Usage: python3 ops.py
"""

import math
import os

import torch

from common import versions, write_json

HERE = os.path.dirname(os.path.abspath(__file__))
SEED = 2411


def elementwise():
    """A grid over [-12, 12], fine near zero, with the limits' values and the subnormal neighbourhood."""
    xs = [i / 8 for i in range(-96, 97)] + [s * 2.0**-e for e in (5, 8, 12, 20, 30, 126) for s in (-1, 1)]
    xs = sorted(xs)

    def phi(x):
        # erfc keeps the relative accuracy of the left tail, where 1 + erf cancels.
        return 0.5 * math.erfc(-x / math.sqrt(2))

    def density(x):
        return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)

    gelu = {"x": xs, "y": [x * phi(x) for x in xs], "dy": [phi(x) + x * density(x) for x in xs]}
    tanh = {"x": xs, "y": [math.tanh(x) for x in xs], "dy": [1 / math.cosh(x) ** 2 for x in xs]}
    return gelu, tanh


def layer_norm(generator):
    """Six rows of 19 columns: ordinary, far from zero, tiny, constant."""
    rows, columns, eps = 6, 19, 1e-12

    def randn(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float32).double()

    x = randn(rows, columns)
    x[1] = (x[1] + 100.0).float().double()
    x[2] = (x[2] * 1e-4).float().double()
    x[3] = (x[3] * 50.0 - 7.0).float().double()
    x[4] = 0.75
    weight, bias, g = 1 + 0.25 * randn(columns), 0.25 * randn(columns), randn(rows, columns)
    weight, bias = weight.float().double(), bias.float().double()
    # The constant row's gradient is divided by sqrt(eps): leave it out of the backward pass.
    g[4] = 0.0
    leaves = [t.clone().requires_grad_() for t in (x, weight, bias)]
    y = torch.nn.functional.layer_norm(leaves[0], (columns,), leaves[1], leaves[2], eps)
    y.backward(g)
    return {
        "eps": eps, "x": x.tolist(), "weight": weight.tolist(), "bias": bias.tolist(), "y": y.tolist(), "g": g.tolist(),
        "grad_x": leaves[0].grad.tolist(), "grad_weight": leaves[1].grad.tolist(), "grad_bias": leaves[2].grad.tolist(),
    }


def softmax_cross_entropy(generator):
    """Eight rows of five classes, three of them extreme."""
    logits = (3 * torch.randn(8, 5, generator=generator, dtype=torch.float32)).double()
    labels = torch.tensor([0, 1, 2, 3, 4, 0, 2, 1])
    logits[5] = torch.tensor([1e4, 0.0, -1e4, 9999.0, 1.0])
    logits[6] = -3.5
    logits[7] = torch.tensor([0.5, -1e4, 0.25, -2.0, 8.0])
    z = logits.clone().requires_grad_()
    losses = torch.nn.functional.cross_entropy(z, labels, reduction="none")
    losses.mean().backward()
    return {
        "logits": logits.tolist(), "labels": labels.tolist(), "losses": losses.tolist(), "loss": losses.mean().item(),
        "probs": torch.softmax(logits, 1).tolist(), "grad": z.grad.tolist(),
    }


def main():
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(SEED)
    gelu, tanh = elementwise()
    write_json(
        os.path.join(HERE, "ops.json"),
        {
            "versions": versions(), "gelu": gelu, "tanh": tanh, "layer_norm": layer_norm(generator),
            "softmax_cross_entropy": softmax_cross_entropy(generator),
        },
    )


if __name__ == "__main__":
    main()
