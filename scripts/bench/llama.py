"""Checkpoints of Llama's shape with random weights, for benchmarks and comparisons."""

import json
import pathlib

import torch
from safetensors.torch import save_file

VOCABULARY = 32_000


def config(hidden, layers, vocabulary=VOCABULARY):
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": 8 * hidden // 3 // 64 * 64,
        "num_hidden_layers": layers,
        "num_attention_heads": max(1, hidden // 64),
        "num_key_value_heads": max(1, hidden // 64),
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5,
        "vocab_size": vocabulary,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
    }


def shapes(config):
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    yield "model.embed_tokens.weight", (config["vocab_size"], hidden)
    for layer in range(config["num_hidden_layers"]):
        start = f"model.layers.{layer}."
        yield start + "input_layernorm.weight", (hidden,)
        yield start + "post_attention_layernorm.weight", (hidden,)
        for name in ("q", "k", "v", "o"):
            yield f"{start}self_attn.{name}_proj.weight", (hidden, hidden)
        yield start + "mlp.gate_proj.weight", (inner, hidden)
        yield start + "mlp.up_proj.weight", (inner, hidden)
        yield start + "mlp.down_proj.weight", (hidden, inner)
    yield "model.norm.weight", (hidden,)
    yield "lm_head.weight", (config["vocab_size"], hidden)


def base(config, seed):
    generator = torch.Generator().manual_seed(seed)
    return {name: 0.02 * torch.randn(shape, generator=generator) for name, shape in shapes(config)}


def tuned(weights, seed, size=0.002):
    """The weights after a fine-tuning that moved each by `size` or so."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: value + size * torch.randn(value.shape, generator=generator) for name, value in weights.items()
    }


def write(folder, config, weights, dtype=torch.bfloat16):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    named = {torch.bfloat16: "bfloat16", torch.float16: "float16", torch.float32: "float32"}[dtype]
    (folder / "config.json").write_text(json.dumps(config | {"torch_dtype": named}, indent=2) + "\n")
    tensors = {name: value.to(dtype).contiguous() for name, value in weights.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder
