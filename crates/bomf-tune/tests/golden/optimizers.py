#!/usr/bin/env python3
"""Golden values of the optimisers beside AdamW: `optimizers.json`.

Ten steps on a matrix [4, 5], a vector [4], a matrix [2, 4] and a table [3, 4] with given gradients,
clipped to norm 1 together, of torch.optim.SGD and of transformers' Adafactor as its Trainer sets it
(scale_parameter=False, relative_step=False). Weight decay is on matrices alone. One row of the
table never sees a gradient. The learning rate rises over the first two steps.

Usage: python3 optimizers.py
"""

import os

import torch
from transformers.optimization import Adafactor

from common import f32, versions, write_json

HERE = os.path.dirname(os.path.abspath(__file__))
SEED = 2413
SHAPES = [(4, 5), (4,), (2, 4), (3, 4)]
STEPS, LR = 10, 0.05

CASES = {
    "sgd": dict(momentum=0.0, weight_decay=0.1),
    "sgd_momentum": dict(momentum=0.9, weight_decay=0.1),
    "sgd_nesterov": dict(momentum=0.8, nesterov=True, weight_decay=0.01),
    "adafactor": dict(weight_decay=0.1),
    "adafactor_without_decay": dict(weight_decay=0.0),
}


def flat(tensors):
    return [f32(v) for t in tensors for v in t.detach().flatten().tolist()]


def main():
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(SEED)
    start = [torch.randn(s, generator=generator) for s in SHAPES]
    gradients = []
    for step in range(STEPS):
        # Of all sizes, so that some are clipped.
        grads = [torch.randn(s, generator=generator) * 0.1 * 1.6**step for s in SHAPES]
        grads[3][1] = 0.0
        gradients.append(grads)
    cases = {}
    for name, options in CASES.items():
        params = [torch.nn.Parameter(p.clone()) for p in start]
        own = {k: v for k, v in options.items() if k != "weight_decay"}
        groups = [
            {"params": [p for p in params if p.ndim > 1], "weight_decay": options["weight_decay"]},
            {"params": [p for p in params if p.ndim <= 1], "weight_decay": 0.0},
        ]
        if name.startswith("sgd"):
            optimizer = torch.optim.SGD(groups, lr=LR, **own)
        else:
            optimizer = Adafactor(groups, lr=LR, scale_parameter=False, relative_step=False, **own)
        norms, after = [], []
        for step, grads in enumerate(gradients):
            for group in optimizer.param_groups:
                group["lr"] = LR * min(1.0, step / 2)
            for p, g in zip(params, grads):
                p.grad = g.clone()
            norms.append(f32(torch.nn.utils.clip_grad_norm_(params, 1.0).item()))
            optimizer.step()
            after.append(flat(params))
        cases[name] = {**options, "norms": norms, "after": after}
    write_json(os.path.join(HERE, "optimizers.json"), {
        "versions": versions(), "lr": LR, "start": flat(start), "gradients": [flat(g) for g in gradients], "cases": cases,
    })


if __name__ == "__main__":
    main()
