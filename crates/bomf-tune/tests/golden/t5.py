#!/usr/bin/env python3
"""Golden values of T5: tiny random models, made with PyTorch and transformers.

`tiny_t5` is as v1.0 (ReLU, the table of words gives the logits, scaled), `tiny_t5_gated` as v1.1
(gated GELU, a table of its own, a decoder deeper than the encoder, heads that do not divide the
hidden size). Each has `config.json`, `model.safetensors`, `golden.safetensors` (five padded
pairs: `input_ids`, `attention_mask`, `labels` with -100 behind them; `logits`, `loss`, and
`grad.<name>` of every parameter) and `steps.json` as `encoders.py` writes it. Sequences are longer
than the distances that have a bucket each.

`t5_buckets.json` holds the bucket of each distance from -200 to 200, of 32 up to 128.

Usage: python3 t5.py
"""

import json
import os

import torch
from safetensors.torch import load_file, save_file
from transformers import T5Config, T5ForConditionalGeneration
from transformers.models.t5.modeling_t5 import T5Attention

from common import SETTINGS, ten_steps, versions, write_json

HERE = os.path.dirname(os.path.abspath(__file__))
SEED = 2910
LR = 1e-3
VOCAB, PAD, EOS = 61, 0, 1
SHARED = dict(
    vocab_size=VOCAB, d_model=24, d_ff=32, num_layers=2, relative_attention_num_buckets=8,
    relative_attention_max_distance=20, dropout_rate=0.0, pad_token_id=PAD, eos_token_id=EOS,
    decoder_start_token_id=PAD, attn_implementation="eager",
)
CASES = {
    "tiny_t5": dict(SHARED, d_kv=6, num_heads=4, feed_forward_proj="relu"),
    "tiny_t5_gated": dict(SHARED, d_kv=5, num_heads=3, num_decoder_layers=3, feed_forward_proj="gated-gelu",
                          tie_word_embeddings=False),
}
# Tokens of source and target.
LENGTHS = [(14, 3), (1, 13), (5, 5), (26, 1), (9, 8)]


def build(options, dtype=torch.float32):
    model = T5ForConditionalGeneration(T5Config(**options))
    if options.get("tie_word_embeddings") is False:
        # transformers 5 ties the table in a new model whatever is said.
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    return model.to(dtype).eval()


def load(folder):
    """A golden model, its table of logits apart from that of words where it has one."""
    model = build(CASES[folder])
    stored = load_file(os.path.join(HERE, folder, "model.safetensors"))
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(stored[name])
    return model


def randomise(model, generator):
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if name.endswith("layer_norm.weight"):
                p.copy_(1.0 + 0.25 * noise)
            elif "relative_attention_bias" in name:
                p.copy_(0.7 * noise)
            elif name in ("shared.weight", "lm_head.weight"):
                p.copy_(0.8 * noise)
            else:
                p.copy_(0.25 * noise)


def batch(generator):
    def padded(rows, fill):
        width = max(map(len, rows))
        return torch.tensor([row + [fill] * (width - len(row)) for row in rows], dtype=torch.int64)

    def words(n):
        return torch.randint(2, VOCAB, (n - 1,), generator=generator).tolist() + [EOS]

    sources, targets = [words(a) for a, _ in LENGTHS], [words(b) for _, b in LENGTHS]
    mask = padded([[1] * len(row) for row in sources], 0)
    return {"input_ids": padded(sources, PAD), "attention_mask": mask, "labels": padded(targets, -100)}


def forward_backward(model, inputs):
    model.zero_grad()
    out = model(**inputs)
    out.loss.backward()
    tensors = {"logits": out.logits.detach(), "loss": out.loss.detach().reshape(1)}
    for name, p in model.named_parameters():
        tensors[f"grad.{name}"] = p.grad.detach().clone()
    return tensors


def main():
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    for folder, options in CASES.items():
        path = os.path.join(HERE, folder)
        os.makedirs(path, exist_ok=True)
        model = build(options)
        randomise(model, generator)
        stored = {name: p.detach().clone() for name, p in model.named_parameters()}
        save_file(stored, os.path.join(path, "model.safetensors"), metadata={"format": "pt"})
        config = {k: v for k, v in options.items() if k != "attn_implementation"}
        config = {"architectures": ["T5ForConditionalGeneration"], "model_type": "t5", **config}
        with open(os.path.join(path, "config.json"), "w", encoding="utf-8") as out:
            out.write(json.dumps(config, indent=1) + "\n")

        inputs = batch(generator)
        tensors = forward_backward(model, inputs)
        double = build(options)
        double.load_state_dict(model.state_dict())
        exact = forward_backward(double.double(), inputs)
        error = {
            "logits": (tensors["logits"] - exact["logits"]).abs().max().item(),
            "grad": max((tensors[k] - exact[k]).abs().max().item() for k in tensors if k.startswith("grad.")),
        }
        tensors.update(inputs)
        save_file({k: v.contiguous() for k, v in tensors.items()}, os.path.join(path, "golden.safetensors"))
        steps = ten_steps(model, inputs, LR)
        final = {
            name: {"sum": p.detach().double().sum().item(), "l2": p.detach().double().norm().item()}
            for name, p in model.named_parameters()
        }
        write_json(os.path.join(path, "steps.json"), {"lr": LR, **SETTINGS, **steps, "f32_error": error, "final": final})
        print(f"{folder}: losses {steps['losses'][0]:.4f} -> {steps['losses'][-1]:.4f}, error {error}")
    distances = torch.arange(-200, 201)
    buckets = {
        name: T5Attention._relative_position_bucket(distances, bidirectional=both, num_buckets=32, max_distance=128).tolist()
        for name, both in [("bidirectional", True), ("causal", False)]
    }
    write_json(os.path.join(HERE, "t5_buckets.json"), {"versions": versions(), **buckets})


if __name__ == "__main__":
    main()
