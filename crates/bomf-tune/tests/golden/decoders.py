#!/usr/bin/env python3
"""Golden values of the decoders: tiny random models, made with PyTorch and transformers.

`tiny_gpt2` (learned positions, fused projections stored transposed), `tiny_llama` (tied embeddings, RoPE scaled as Llama 3's), `tiny_mistral` (sliding window) and
`tiny_qwen3` (norms of queries and keys, heads wider than the hidden size, RoPE scaled linearly) are
causal language models, with the prompt of each sequence masked in the loss; `tiny_qwen2` (biases,
RoPE scaled by YaRN) and `tiny_llama_cls` are classifiers that read the last token. Each has a
folder as `encoders.py` writes it; `labels` of a language model are -100 on the prompt and the
padding, and are shifted by one, as transformers does it.

Usage: python3 decoders.py
"""

import os

import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForSequenceClassification,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from common import versions, write_json
from encoders import HERE, record

SEED = 2307
VOCAB, HIDDEN, LAYERS, HEADS, KV_HEADS, INTERMEDIATE = 67, 24, 2, 4, 2, 32
# Prompt and completion of each sequence, in tokens.
LENGTHS = [(3, 4), (1, 9), (8, 2), (5, 6), (2, 1)]


def randomise(model, generator):
    """Values that let no term hide: norms away from one, biases away from zero."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if ("norm" in name or ".ln_" in name) and name.endswith("weight"):
                p.copy_(1.0 + 0.25 * noise)
            elif p.ndim > 1:
                p.copy_(noise * (0.8 if "embed" in name or "wte" in name else 0.3))
            else:
                p.copy_(0.25 * noise)


def batch(generator, lengths):
    width = max(a + b for a, b in lengths)
    ids = torch.zeros(len(lengths), width, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, -100)
    for row, (prompt, completion) in enumerate(lengths):
        n = prompt + completion
        ids[row, :n] = torch.randint(1, VOCAB, (n,), generator=generator)
        mask[row, :n] = 1
        labels[row, prompt:n] = ids[row, prompt:n]
    return ids, mask, labels


def main():
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(SEED)
    shared = dict(
        vocab_size=VOCAB, hidden_size=HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS, intermediate_size=INTERMEDIATE, max_position_embeddings=32,
        rms_norm_eps=1e-5, pad_token_id=0, bos_token_id=1, eos_token_id=2, attn_implementation="eager",
    )
    rope = dict(rope_theta=100.0)
    llama3 = dict(rope, rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
                  original_max_position_embeddings=16)
    yarn = dict(rope, rope_type="yarn", factor=4.0, original_max_position_embeddings=8)
    padded = batch(generator, LENGTHS)
    # Behind a sliding window, padding sees nothing at all, and is not a number.
    whole = batch(generator, [(3, 7), (1, 9), (8, 2), (5, 5), (2, 8)])
    classes = torch.tensor([2, 0, 1, 1, 0])
    cases = [
        ("tiny_llama", LlamaForCausalLM, LlamaConfig(**shared, tie_word_embeddings=True, rope_parameters=llama3), None),
        ("tiny_mistral", MistralForCausalLM,
         MistralConfig(**shared, tie_word_embeddings=False, sliding_window=4, rope_parameters=dict(rope, rope_type="default")), None),
        ("tiny_qwen3", Qwen3ForCausalLM,
         Qwen3Config(**shared, tie_word_embeddings=True, head_dim=8, rope_parameters=dict(rope, rope_type="linear", factor=2.0)), None),
        ("tiny_qwen2", Qwen2ForSequenceClassification, Qwen2Config(**shared, num_labels=3, rope_parameters=yarn), classes),
        ("tiny_llama_cls", LlamaForSequenceClassification,
         LlamaConfig(**{**shared, "num_key_value_heads": HEADS}, num_labels=3, attention_bias=True, mlp_bias=True,
                     rope_parameters=dict(rope, rope_type="default")), classes),
        ("tiny_gpt2", GPT2LMHeadModel,
         GPT2Config(vocab_size=VOCAB, n_embd=HIDDEN, n_layer=LAYERS, n_head=HEADS, n_inner=INTERMEDIATE, n_positions=16,
                    bos_token_id=1, eos_token_id=2, attn_implementation="eager"), None),
    ]
    for folder, kind, config, target in cases:
        model = kind(config)
        randomise(model, generator)
        ids, mask, labels = whole if folder == "tiny_mistral" else padded
        target = labels if target is None else target
        record(folder, model, ids, mask, torch.zeros_like(ids), target, types_used=False)
        # What `save_pretrained` adds and nothing reads.
        extra = os.path.join(HERE, folder, "generation_config.json")
        if os.path.exists(extra):
            os.remove(extra)
    write_json(os.path.join(HERE, "decoders_versions.json"), versions())


if __name__ == "__main__":
    main()
