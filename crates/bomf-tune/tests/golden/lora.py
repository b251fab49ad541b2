#!/usr/bin/env python3
"""Golden values of LoRA: adapters of PEFT on the tiny models that `encoders.py` and `decoders.py` have written.

For each case this writes a folder beside the script, which is an adapter folder of PEFT
(`adapter_config.json`, `adapter_model.safetensors`) and also holds

- `golden.safetensors`: the batch of the base model's folder and what the adapted model makes of
  it: `logits`, `loss` (shape [1]), and `grad.<name>` for every tensor of the adapter, named as in
  `adapter_model.safetensors`;
- `steps.json`: ten optimiser steps on that batch, as `encoders.py` makes them, and the versions.

The factors are random, B too (as after some training). Dropout is off.

Usage: python3 lora.py
"""

import json
import os

import peft
import torch
from peft import LoraConfig, TaskType, get_peft_model
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from transformers import (
    BertForSequenceClassification,
    DistilBertForSequenceClassification,
    LlamaForCausalLM,
    RobertaForSequenceClassification,
)

from common import SETTINGS, ten_steps, versions, write_json

HERE = os.path.dirname(os.path.abspath(__file__))
SEED = 2106
LR = 1e-2

# Folder, base folder, class, whether it takes token types, and PEFT's configuration.
CASES = [
    (
        "lora_bert", "tiny_bert", BertForSequenceClassification, True,
        dict(r=3, lora_alpha=5, lora_dropout=0.1, target_modules=["query", "value"],
             modules_to_save=["pooler", "classifier"]),
    ),
    (
        "lora_roberta", "tiny_roberta", RobertaForSequenceClassification, True,
        dict(r=2, lora_alpha=3, target_modules=["query", "key", "value", "dense"], use_rslora=True,
             exclude_modules=["classifier.dense"], modules_to_save=["classifier"]),
    ),
    (
        "lora_distilbert", "tiny_distilbert", DistilBertForSequenceClassification, False,
        dict(r=4, lora_alpha=4, target_modules=["k_lin", "lin2"], use_rslora=True,
             modules_to_save=["pre_classifier", "classifier"]),
    ),
    (
        "lora_llama", "tiny_llama", LlamaForCausalLM, False,
        dict(r=3, lora_alpha=6, target_modules=["k_proj", "up_proj", "down_proj"]),
    ),
]


def record(folder, base, kind, types_used, options, generator):
    path = os.path.join(HERE, folder)
    model = kind.from_pretrained(os.path.join(HERE, base), attn_implementation="eager")
    task = TaskType.CAUSAL_LM if kind is LlamaForCausalLM else TaskType.SEQ_CLS
    config = LoraConfig(task_type=task, **options)
    model = get_peft_model(model, config)
    # As a user would name it, not as this machine does.
    model.peft_config["default"].base_model_name_or_path = base
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_" in name:
                p.copy_(torch.randn(p.shape, generator=generator) * 0.3)
            elif p.requires_grad:
                p.add_(torch.randn(p.shape, generator=generator) * 0.1)
    # `exclude_modules` narrows: what is adapted is then named in full.
    adapted = sorted({
        name.split(".lora_A")[0].removeprefix("base_model.model.")
        for name, _ in model.named_parameters() if ".lora_A" in name
    })
    if options.get("exclude_modules"):
        model.peft_config["default"].exclude_modules = None
        model.peft_config["default"].target_modules = set(adapted)
    model.save_pretrained(path)
    os.remove(os.path.join(path, "README.md"))
    # Sets come in any order.
    file = os.path.join(path, "adapter_config.json")
    with open(file, encoding="utf-8") as f:
        written = json.load(f)
    written["target_modules"].sort()
    with open(file, "w", encoding="utf-8", newline="\n") as f:
        f.write(json.dumps(written, indent=2, sort_keys=True) + "\n")

    golden = load_file(os.path.join(HERE, base, "golden.safetensors"))
    names = ["input_ids", "attention_mask", "labels"] + (["token_type_ids"] if types_used else [])
    inputs = {name: golden[name] for name in names}
    model.eval()
    model.zero_grad()
    out = model(**inputs)
    out.loss.backward()
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    grads = get_peft_model_state_dict(model, state_dict={n: p.grad.clone() for n, p in trained.items()})
    stored = load_file(os.path.join(path, "adapter_model.safetensors"))
    assert set(grads) == set(stored), set(grads) ^ set(stored)
    tensors = {f"grad.{name}": grad for name, grad in grads.items()}
    tensors.update(logits=out.logits.detach(), loss=out.loss.detach().reshape(1))
    save_file({k: v.contiguous() for k, v in tensors.items()}, os.path.join(path, "golden.safetensors"))

    for p in model.parameters():
        p.grad = None
    steps = ten_steps(model, inputs, LR)
    final = get_peft_model_state_dict(model, state_dict=dict(trained))
    final = {name: {"l2": p.detach().double().norm().item()} for name, p in final.items()}
    write_json(
        os.path.join(path, "steps.json"),
        {"lr": LR, **SETTINGS, **steps, "final": final, "versions": {**versions(), "peft": peft.__version__}},
    )
    print(f"{folder}: losses {steps['losses'][0]:.4f} -> {steps['losses'][-1]:.4f}, {len(adapted)} modules")


def main():
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(SEED)
    for case in CASES:
        record(*case, generator)


if __name__ == "__main__":
    main()
