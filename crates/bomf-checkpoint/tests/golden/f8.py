"""Writes `f8.json` beside this script: PyTorch's floats of 8 bits.

    python f8.py

For each type the bits of the `f32` that each code stands for, and codes for values at, just below
and just above every tie, at both ends of the range and beyond.
"""

import json
import pathlib

import torch

golden = {"versions": {"torch": torch.__version__}}
for dtype in [torch.float8_e4m3fn, torch.float8_e5m2]:
    codes = torch.arange(256, dtype=torch.uint8)
    decoded = codes.view(dtype).to(torch.float32)
    finite = decoded[:128][torch.isfinite(decoded[:128])]
    last = finite[-1:]
    finite = torch.cat([finite, 2 * last - finite[-2:-1]])
    ties = (finite[:-1] + finite[1:]) / 2
    bits = torch.cat([finite, ties]).view(torch.int32)
    values = torch.cat([bits, bits + 1, (bits - 1).clamp(min=0)]).view(torch.float32)
    beyond = torch.tensor([1e-45, 1e-38, 1e6, 3e38, float("inf"), float("nan")])
    inputs = torch.cat([values, beyond])
    inputs = torch.cat([inputs, -inputs[::5]])
    as_bits = lambda t: [b & 0xFFFFFFFF for b in t.view(torch.int32).tolist()]
    golden[str(dtype).removeprefix("torch.")] = {
        "decoded": as_bits(decoded),
        "inputs": as_bits(inputs),
        "encoded": inputs.to(dtype).view(torch.uint8).tolist(),
    }
path = pathlib.Path(__file__).with_suffix(".json")
path.write_text(json.dumps(golden) + "\n")
