"""Writes tiny LoRA adapters and what PEFT merges them to, beside this script.

    python make.py

`base/` and `base-transposed/` are the base models; each other folder is an adapter as PEFT saves it,
with `merged.safetensors`, the base model's weights after `merge_and_unload`. The versions are in
`versions.json`.
"""

import copy
import json
import pathlib
import shutil

import peft
import safetensors.torch
import torch
import transformers
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers.pytorch_utils import Conv1D

here = pathlib.Path(__file__).parent
torch.manual_seed(0)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.q = nn.Linear(6, 8)
        self.v = nn.Linear(6, 5, bias=False)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(7, 6)
        self.layers = nn.ModuleList([Block(), Block()])
        self.conv = nn.Conv2d(3, 4, (2, 3))
        self.norm = nn.LayerNorm(6)
        self.classifier = nn.Linear(6, 2)


class Transposed(nn.Module):
    def __init__(self):
        super().__init__()
        self.c_attn = Conv1D(9, 6)  # weight [6, 9]


def save(folder, state):
    folder.mkdir(exist_ok=True)
    state = {k: v.detach().contiguous() for k, v in state.items()}
    safetensors.torch.save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def adapter(name, base, **config):
    torch.manual_seed(sum(map(ord, name)))
    model = get_peft_model(copy.deepcopy(base), LoraConfig(**config))
    for key, value in model.named_parameters():
        if value.requires_grad:
            value.data += 0.3 * torch.randn_like(value)
    folder = here / name
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    merged = copy.deepcopy(model).merge_and_unload().state_dict()
    merged = {k: v.detach().contiguous() for k, v in merged.items()}
    safetensors.torch.save_file(merged, folder / "merged.safetensors")


base, transposed = Model(), Transposed()
transposed.c_attn.bias.data.normal_()
save(here / "base", base.state_dict())
save(here / "base-transposed", transposed.state_dict())

everything = ["embed", "q", "v", "conv"]
adapter("plain", base, r=2, lora_alpha=3, target_modules=everything, modules_to_save=["classifier"])
adapter(
    "patterns",
    base,
    r=3,
    lora_alpha=4,
    target_modules=everything,
    modules_to_save=["classifier"],
    rank_pattern={"layers.0.q": 4, r".*1\.v": 1, "conv": 2},
    alpha_pattern={"^layers.1.q": 7, "embed": 2},
)
adapter("rslora", base, r=4, lora_alpha=3, use_rslora=True, target_modules=r"layers\.\d\.q")
adapter("dora", base, r=2, lora_alpha=3, use_dora=True, target_modules=["q", "v", "conv"])
adapter("biases", base, r=2, target_modules=["q"], bias="all")
adapter("lora-only", base, r=2, target_modules=["q"], bias="lora_only")
adapter("transposed", transposed, r=2, target_modules=["c_attn"], fan_in_fan_out=True)
adapter(
    "transposed-dora",
    transposed,
    r=2,
    use_dora=True,
    target_modules=["c_attn"],
    fan_in_fan_out=True,
)

versions = {m.__name__: m.__version__ for m in [peft, torch, transformers, safetensors]}
(here / "versions.json").write_text(json.dumps(versions, indent=1) + "\n")
