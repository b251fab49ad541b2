"""Writes the golden files of torch.save beside this script.

    python make.py

`single/` has a tensor of every type that matters and every way to lie in a storage, `sharded/` the
same behind an index, `other/` what must be refused or read in another dialect, and `expected.json`
the tensors' bytes as Python sees them, row-major, with the version of PyTorch.
"""

import json
import os
import pathlib

import numpy
import torch

here = pathlib.Path(__file__).parent
torch.manual_seed(0)


def floats(*shape):
    return torch.randn(*shape)


embedding = floats(5, 3)
table = torch.arange(24.0).reshape(2, 3, 4)
tensors = {
    "embed.weight": embedding,
    "head.weight": embedding,  # tied: one storage, twice
    "layer.weight": torch.nn.Parameter(floats(3, 4)),
    "layer.rows": table[1],  # a view with an offset
    "layer.transposed": table[0].t(),
    "layer.column": table[:, :, 1],
    "layer.permuted": table.permute(2, 0, 1),
    "layer.single": table[:, 1:2, :1].transpose(0, 1),
    "half": floats(2, 5).to(torch.float16),
    "brain": torch.tensor([1.5, -2.25, 3e38, 1e-40]).to(torch.bfloat16),
    "double": floats(2, 3).to(torch.float64),
    "e4m3": floats(2, 3).to(torch.float8_e4m3fn),
    "e5m2": floats(2, 3).to(torch.float8_e5m2).t(),
    "complex": torch.view_as_complex(floats(3, 2)),
    "ids": torch.arange(6).reshape(1, 6),
    "i32": torch.arange(-3, 3, dtype=torch.int32),
    "i16": torch.arange(-3, 3, dtype=torch.int16),
    "i8": torch.arange(-3, 3, dtype=torch.int8),
    "u8": torch.arange(6, dtype=torch.uint8),
    "u16": torch.arange(6).to(torch.uint16),
    "mask": torch.tensor([True, False, True]),
    "scale": torch.tensor(0.125),
    "nothing": torch.zeros(0, 7),
}

single = here / "single"
single.mkdir(exist_ok=True)
torch.save(tensors, single / "pytorch_model.bin")

sharded = here / "sharded"
sharded.mkdir(exist_ok=True)
names = sorted(tensors)
files = ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"]
weight_map = {}
for file, part in zip(files, [names[:9], names[9:]]):
    torch.save({n: tensors[n] for n in part}, sharded / file)
    weight_map |= {n: file for n in part}
index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
(sharded / "pytorch_model.bin.index.json").write_text(json.dumps(index, indent=2) + "\n")


class Command:
    """What an attacker would pickle."""

    def __reduce__(self):
        return (os.system, ("echo this must never be seen",))


other = here / "other"
other.mkdir(exist_ok=True)
one = {"x": torch.arange(4.0)}
torch.save(torch.nn.Linear(2, 2).state_dict(), other / "module.bin")
torch.save(one, other / "protocol-4.bin", pickle_protocol=4)
torch.save(one | {"x": torch.arange(4.0)}, other / "protocol-5.bin", pickle_protocol=5)
torch.save(one, other / "legacy.bin", _use_new_zipfile_serialization=False)
torch.save({"state_dict": one, "epoch": 3}, other / "nested.bin")
torch.save(one | {"step": 3}, other / "counter.bin")
torch.save(one["x"], other / "tensor.bin")
torch.save(one | {"command": Command()}, other / "command.bin")
torch.save(one | {"array": numpy.zeros(2)}, other / "numpy.bin")
torch.save({"x": torch.zeros(1).expand(1000)}, other / "expanded.bin")
torch.save({"x": torch.zeros(2, dtype=torch.complex128)}, other / "complex128.bin")
torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), other / "torchscript.bin")
torch.serialization.set_crc32_options(False)
torch.save(one, other / "no-checksums.bin")
torch.serialization.set_crc32_options(True)


def row_major(tensor):
    data = tensor.detach().contiguous()
    return data.flatten().view(torch.uint8).numpy().tobytes() if data.numel() else b""


expected = {
    "versions": {"torch": torch.__version__},
    "tensors": {
        name: {
            "shape": list(t.shape),
            "dtype": str(t.dtype).removeprefix("torch."),
            "bytes": row_major(t).hex(),
        }
        for name, t in sorted(tensors.items())
    },
}
(here / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
