"""Writes the golden checkpoints beside this script, with the Python library of safetensors.

    python make.py

`single/` has a tensor of every type that matters, `sharded/` the same behind an index, and
`expected.json` the float tensors' values as Python reads them, with the versions.
"""

import json
import pathlib

import safetensors
import torch
from safetensors.torch import load_file, save_file

here = pathlib.Path(__file__).parent
torch.manual_seed(0)

tensors = {
    "encoder.layer.10.weight": torch.randn(3, 4),
    "encoder.layer.2.weight": torch.randn(2, 5).to(torch.float16),
    "encoder.layer.2.bias": torch.tensor([1.5, -2.25, 3e38, 1e-40]).to(torch.bfloat16),
    "classifier.weight": torch.randn(2, 3, dtype=torch.float64),
    "embeddings.position_ids": torch.arange(6).reshape(1, 6),
    "mask": torch.tensor([True, False, True]),
    "scale": torch.tensor(0.125),
    "nothing": torch.zeros(0, 7),
    "specials": torch.tensor([float("inf"), float("-inf"), -0.0, 6.1e-5]).to(torch.float16),
}
metadata = {"format": "pt"}

single = here / "single"
single.mkdir(exist_ok=True)
save_file(tensors, single / "model.safetensors", metadata=metadata)

sharded = here / "sharded"
sharded.mkdir(exist_ok=True)
names = sorted(tensors)
files = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
weight_map = {}
for file, part in zip(files, [names[:4], names[4:]]):
    save_file({n: tensors[n] for n in part}, sharded / file, metadata=metadata)
    weight_map |= {n: file for n in part}
total = sum(t.numel() * t.element_size() for t in tensors.values())
index = {"metadata": {"total_size": total}, "weight_map": weight_map}
(sharded / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")

loaded = load_file(single / "model.safetensors")
expected = {
    "versions": {"safetensors": safetensors.__version__, "torch": torch.__version__},
    "tensors": {
        name: {
            "shape": list(t.shape),
            # As bits, because JSON knows neither infinities nor negative zeros.
            "f32_bits": t.to(torch.float32).flatten().view(torch.int32).tolist(),
        }
        for name, t in sorted(loaded.items())
        if t.is_floating_point()
    },
}
(here / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
