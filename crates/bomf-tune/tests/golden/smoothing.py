#!/usr/bin/env python3
"""Writes smoothing.json: PyTorch's cross-entropy with smoothed labels, and its gradient.

    python smoothing.py

Logits are the 32-bit floats that they are, `[rows, classes]`; loss and gradient are those of the
sum over the rows, computed in float64.
"""

import json
import pathlib

import numpy
import torch

rng = numpy.random.default_rng(3)


def case(rows, classes, smoothing):
    logits = rng.normal(scale=3.0, size=(rows, classes)).astype(numpy.float32)
    labels = rng.integers(0, classes, size=rows)
    x = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    loss = torch.nn.functional.cross_entropy(x, torch.tensor(labels), label_smoothing=smoothing, reduction="sum")
    loss.backward()
    return {"classes": classes, "smoothing": smoothing, "labels": labels.tolist(),
            "logits": logits.ravel().tolist(), "loss": loss.item(), "gradient": x.grad.ravel().tolist()}


def main():
    cases = [case(4, 2, 0.1), case(3, 5, 0.3), case(2, 37, 0.1), case(3, 5, 0.0), case(1, 1, 0.2)]
    out = pathlib.Path(__file__).with_name("smoothing.json")
    lines = ",\n".join(json.dumps(c) for c in cases)
    out.write_text("[\n" + lines + "\n]\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
