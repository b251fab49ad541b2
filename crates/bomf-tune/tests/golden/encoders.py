#!/usr/bin/env python3
"""Golden values of the encoders: tiny random models, made with PyTorch and transformers.

For each of `tiny_bert` (3 labels), `tiny_bert_bf16` (the same weights rounded to bfloat16),
`tiny_roberta` (2 labels), `tiny_distilbert` (regression) and `tiny_bert_mlm` (masked language
model) this writes a folder beside the script:

- `config.json`, `model.safetensors`: the model as a Hugging Face folder;
- `golden.safetensors`: one batch of five padded sequences and what the model makes of it:
  `input_ids`, `attention_mask`, `token_type_ids`, `labels` (int64; float32 for the regression;
  -100 where the masked language model has none), `logits`, `loss` (shape [1]),
  `hidden_states.<i>` (0: the embeddings' output; padded positions hold values that do not
  matter), and `grad.<name>` for every trainable parameter, named as in `model.safetensors`
  (the tied decoder's gradient is part of the word embeddings');
- `steps.json`: ten optimiser steps on that batch: losses, gradient norms, learning rates, and
  the sum and the L2 norm of every parameter after the last; `f32_error`: the largest distance
  of float32 from a float64 run of the same, which says how tight a tolerance can be.

The key projections' biases have a gradient of zero (softmax does not see a constant added to a
row): what stands there is rounding, and their values after the steps agree only to about lr.

Everything is float32 on the CPU, one thread, dropout off, eager attention.

Usage: python3 encoders.py
"""

import os

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from common import SETTINGS, ten_steps, versions, write_json

HERE = os.path.dirname(os.path.abspath(__file__))
SEED = 2411
VOCAB, HIDDEN, LAYERS, HEADS, INTERMEDIATE, MAX_POSITIONS = 67, 24, 2, 4, 32, 20
LR = 1e-3
# (first segment, second segment), in words without the special tokens.
LENGTHS = [(5, 0), (3, 4), (1, 0), (7, 6), (9, 0)]


def randomise(model, generator):
    """Fills every parameter with values that let no term hide: norms away from one, biases away from zero."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if p.ndim > 1:
                p.copy_(noise * (0.5 if "embeddings" in name else 0.35))
            elif "norm" in name.lower() and name.endswith("weight"):
                p.copy_(1.0 + 0.25 * noise)
            else:
                p.copy_(0.25 * noise)


def batch(generator, pad, first, last, separators, segments):
    """Five padded sequences: ids, mask, token types. `separators`: how many stand between two segments."""
    rows, types = [], []
    for a, b in LENGTHS:
        def words(n):
            return torch.randint(5, VOCAB - 1, (n,), generator=generator).tolist()

        ids = [first] + words(a) + [last]
        kinds = [0] * len(ids)
        if b:
            more = [last] * (separators - 1) + words(b) + [last]
            ids += more
            kinds += [1 if segments else 0] * len(more)
        rows.append(ids)
        types.append(kinds)
    width = max(map(len, rows))

    def padded(values, fill):
        return torch.tensor([v + [fill] * (width - len(v)) for v in values], dtype=torch.int64)

    return padded(rows, pad), padded([[1] * len(r) for r in rows], 0), padded(types, 0)


def forward_backward(model, inputs):
    """Logits, loss, hidden states and the gradient of every parameter."""
    model.eval()
    model.zero_grad()
    out = model(**inputs, output_hidden_states=True)
    out.loss.backward()
    tensors = {"logits": out.logits.detach(), "loss": out.loss.detach().reshape(1)}
    for i, h in enumerate(out.hidden_states):
        tensors[f"hidden_states.{i}"] = h.detach()
    for name, p in model.named_parameters():
        assert p.grad is not None, name
        tensors[f"grad.{name}"] = p.grad.detach().clone()
    return tensors


def record(folder, model, ids, mask, types, labels, types_used=True):
    """Writes one model's golden folder."""
    path = os.path.join(HERE, folder)
    model.save_pretrained(path)
    inputs = {"input_ids": ids, "attention_mask": mask, "labels": labels}
    if types_used:
        inputs["token_type_ids"] = types
    tensors = forward_backward(model, inputs)
    stored = load_file(os.path.join(path, "model.safetensors"))
    graded = {name.removeprefix("grad.") for name in tensors if name.startswith("grad.")}
    assert graded == set(stored), graded ^ set(stored)

    double = type(model)(model.config)
    double.load_state_dict(model.state_dict())
    double = double.double()
    wide = dict(inputs)
    if labels.is_floating_point():
        wide["labels"] = labels.double()
    exact = forward_backward(double, wide)
    error = {
        "logits": (tensors["logits"] - exact["logits"]).abs().max().item(),
        "grad": max((tensors[k] - exact[k]).abs().max().item() for k in tensors if k.startswith("grad.")),
    }

    tensors.update(input_ids=ids, attention_mask=mask, token_type_ids=types, labels=labels)
    save_file({k: v.contiguous() for k, v in tensors.items()}, os.path.join(path, "golden.safetensors"))

    steps = ten_steps(model, inputs, LR)
    final = {
        name: {"sum": p.detach().double().sum().item(), "l2": p.detach().double().norm().item()}
        for name, p in model.named_parameters()
    }
    write_json(os.path.join(path, "steps.json"), {"lr": LR, **SETTINGS, **steps, "f32_error": error, "final": final})
    print(f"{folder}: losses {steps['losses'][0]:.4f} -> {steps['losses'][-1]:.4f}, error {error}")


def main():
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(SEED)
    shared = dict(
        vocab_size=VOCAB, hidden_size=HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        intermediate_size=INTERMEDIATE, max_position_embeddings=MAX_POSITIONS, hidden_act="gelu",
        attn_implementation="eager",
    )

    bert_ids = batch(generator, pad=0, first=2, last=3, separators=1, segments=True)
    classes = torch.tensor([2, 0, 1, 1, 0])
    model = BertForSequenceClassification(BertConfig(**shared, num_labels=3, layer_norm_eps=1e-12))
    randomise(model, generator)
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    record("tiny_bert", model, *bert_ids, classes)

    # The bfloat16 weights read into float32: what is stored is rounded, what is computed is not.
    model.load_state_dict({k: v.bfloat16().float() if v.is_floating_point() else v for k, v in weights.items()})
    folder = os.path.join(HERE, "tiny_bert_bf16")
    model.eval()
    with torch.no_grad():
        out = model(input_ids=bert_ids[0], attention_mask=bert_ids[1], token_type_ids=bert_ids[2], labels=classes)
    golden = {
        "input_ids": bert_ids[0], "attention_mask": bert_ids[1], "token_type_ids": bert_ids[2], "labels": classes,
        "logits": out.logits, "loss": out.loss.reshape(1),
    }
    model.bfloat16().save_pretrained(folder)
    save_file(golden, os.path.join(folder, "golden.safetensors"))

    # RoBERTa's pad is 1, its first and last token 0 and 2; positions count from pad + 1.
    roberta_ids = batch(generator, pad=1, first=0, last=2, separators=2, segments=False)
    model = RobertaForSequenceClassification(
        RobertaConfig(**shared, num_labels=2, type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=1,
                      bos_token_id=0, eos_token_id=2)
    )
    randomise(model, generator)
    record("tiny_roberta", model, *roberta_ids, torch.tensor([1, 0, 0, 1, 1]))

    model = DistilBertForSequenceClassification(
        DistilBertConfig(
            vocab_size=VOCAB, dim=HIDDEN, n_layers=LAYERS, n_heads=HEADS, hidden_dim=INTERMEDIATE,
            max_position_embeddings=MAX_POSITIONS, activation="gelu", num_labels=1, problem_type="regression",
            attn_implementation="eager",
        )
    )
    randomise(model, generator)
    distil_ids = batch(generator, pad=0, first=2, last=3, separators=1, segments=False)
    record("tiny_distilbert", model, *distil_ids, torch.tensor([0.5, -1.25, 3.0, 0.0, 2.2]), types_used=False)

    model = BertForMaskedLM(BertConfig(**shared, layer_norm_eps=1e-12))
    randomise(model, generator)
    ids, mask, types = batch(generator, pad=0, first=2, last=3, separators=1, segments=True)
    labels = torch.full_like(ids, -100)
    words = (ids > 4).nonzero()
    chosen = words[torch.randperm(len(words), generator=generator)[: len(words) // 3]]
    for row, column in chosen.tolist():
        labels[row, column] = ids[row, column]
        ids[row, column] = 4
    record("tiny_bert_mlm", model, ids, mask, types, labels)

    write_json(os.path.join(HERE, "versions.json"), versions())


if __name__ == "__main__":
    main()
