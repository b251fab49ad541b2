#!/usr/bin/env python3
"""Golden values of the real all-MiniLM-L6-v2 as a two-label pair classifier.

Writes `minilm.json` beside this script: the eight pairs, their token ids, a seeded classifier head, logits, loss, the
L2 norm and four entries of every parameter's gradient, the losses of ten optimiser steps and four entries of every
parameter after them; `f32_error` is the largest distance of float32 from a float64 run of the same. The model's
weights are not stored; a test needs the same model folder.

Everything is float32 on the CPU, one thread, dropout off, eager attention.

Usage: python3 minilm.py MODEL_FOLDER
"""

import copy
import hashlib
import os
import sys

import torch
from transformers import AutoTokenizer, BertForSequenceClassification

from common import SETTINGS, f32, ten_steps, versions, write_json

HERE = os.path.dirname(os.path.abspath(__file__))
SEED = 2411
LR = 5e-5
SAMPLES = 4
PAIRS = [
    ("The mill was sold on Tuesday to a company from Leeds.", "A company from Leeds bought the mill on Tuesday.", 1),
    ("Rain fell.", "It was the third dry week in a row, said the farmers of the valley, who fear for the barley.", 0),
    ("Shares of the shipbuilder rose 4.2% to $18.30 after the announcement.",
     "After the announcement, the shipbuilder's shares climbed 4.2 percent, closing at $18.30.", 1),
    ("The committee, which met behind closed doors for nearly six hours, agreed to put off its decision on the new "
     "bridge until engineers have examined the soil on both banks of the river.",
     "A decision on the bridge was postponed until the river banks had been examined.", 1),
    ("He denied everything.", "He denied nothing.", 0),
    ("\"We shall not raise our prices this year,\" the owner said.", "The owner said prices would go up this year.", 0),
    ("Dr. Aydın's team re-measured the samples at −40 °C.", "The samples were measured again at -40 °C by Aydin's team.", 1),
    ("Two of the five climbers reached the summit shortly before noon.", "None of the climbers reached the top.", 0),
]


def sample_indices(name, size):
    """`SAMPLES` indices into the flattened tensor `name`, spread by a hash of the name: the first falls on 0."""
    state = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return sorted({0, *((state >> (13 * i)) % size for i in range(SAMPLES - 1))})


def main():
    folder = sys.argv[1]
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = BertForSequenceClassification.from_pretrained(
        folder, num_labels=2, attn_implementation="eager", dtype=torch.float32
    )
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        # Rounded, so that the decimal in the JSON is the value itself.
        head = (torch.randn(model.classifier.weight.shape, generator=generator) * 0.05 * 4096).round() / 4096
        model.classifier.weight.copy_(head)
        model.classifier.bias.copy_(torch.tensor([0.125, -0.0625]))
    encoded = tokenizer([a for a, _, _ in PAIRS], [b for _, b, _ in PAIRS], padding=True, return_tensors="pt")
    labels = torch.tensor([label for _, _, label in PAIRS])
    inputs = {**encoded, "labels": labels}

    model.eval()
    out = model(**inputs)
    out.loss.backward()
    parameters = {}
    for name, p in model.named_parameters():
        at = sample_indices(name, p.numel())
        parameters[name] = {
            "index": at,
            "grad": [f32(p.grad.flatten()[i]) for i in at],
            "grad_l2": f32(p.grad.double().norm()),
        }
    logits, loss = out.logits.detach(), out.loss.item()

    double = copy.deepcopy(model).double()
    double.zero_grad()
    exact = double(**inputs)
    exact.loss.backward()
    error = {
        "logits": (logits - exact.logits).abs().max().item(),
        "grad": max((p.grad - q.grad).abs().max().item() for p, q in zip(model.parameters(), double.parameters())),
    }
    del double, exact

    steps = ten_steps(model, inputs, LR)
    with torch.no_grad():
        final_logits = model(**inputs).logits
        for name, p in model.named_parameters():
            parameters[name]["final"] = [f32(p.flatten()[i]) for i in parameters[name]["index"]]

    lengths = encoded["attention_mask"].sum(1).tolist()
    write_json(
        os.path.join(HERE, "minilm.json"),
        {
            "model": "sentence-transformers/all-MiniLM-L6-v2",
            "versions": versions(),
            "settings": {"lr": LR, **SETTINGS},
            "pairs": [{"text": a, "text_pair": b, "label": label} for a, b, label in PAIRS],
            "input_ids": [ids[:n] for ids, n in zip(encoded["input_ids"].tolist(), lengths)],
            "token_type_ids": [ids[:n] for ids, n in zip(encoded["token_type_ids"].tolist(), lengths)],
            "classifier_weight": head.tolist(),
            "classifier_bias": model.classifier.bias.new_tensor([0.125, -0.0625]).tolist(),
            "logits": [[f32(x) for x in row] for row in logits],
            "loss": f32(loss),
            "f32_error": error,
            "losses": steps["losses"],
            "grad_norms": steps["grad_norms"],
            "lrs": steps["lrs"],
            "final_logits": [[f32(x) for x in row] for row in final_logits],
            "parameters": parameters,
        },
    )
    print("losses", steps["losses"], "lengths", lengths)


if __name__ == "__main__":
    main()
