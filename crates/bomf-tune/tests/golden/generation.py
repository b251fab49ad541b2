#!/usr/bin/env python3
"""Writes generation.json: what the golden models write, by transformers' `generate`.

Each case has a model's folder, the options, the tokens that end a text, and for each prompt the
tokens that follow (those of the prompt, or the one that a decoder begins with, left out; the one
that ends the text included). Prompts go one at a time, so that there is no padding.

The models are random, and what they write is sooner or later one token over and over; so the
tokens that end texts are taken from what they write, to end some early, and some not at all.

Usage: python3 generation.py (after decoders.py and t5.py)
"""

import os

import torch
import transformers
from transformers import AutoModelForCausalLM

import t5
from common import versions, write_json

HERE = os.path.dirname(os.path.abspath(__file__))
SEED = 1904
OPTIONS = [
    dict(max_new_tokens=8),
    dict(max_new_tokens=9, repetition_penalty=1.7),
    dict(max_new_tokens=8, num_beams=2),
    dict(max_new_tokens=9, num_beams=4, length_penalty=2.0),
    dict(max_new_tokens=9, num_beams=4, length_penalty=-1.0, repetition_penalty=1.3),
    dict(max_new_tokens=8, num_beams=3, early_stopping=True),
    dict(max_new_tokens=9, num_beams=3, length_penalty=0.5, early_stopping="never"),
    dict(max_new_tokens=9, num_beams=5, length_penalty=0.0, early_stopping="never", repetition_penalty=2.0),
]


def generate(model, prompt, ends, options):
    ids = torch.tensor([prompt])
    with torch.no_grad():
        out = model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, pad_token_id=0, eos_token_id=ends,
            # transformers 5.24 makes its cache as deep as the encoder.
            use_cache=not model.config.is_encoder_decoder, **options,
        )[0].tolist()
    first = 1 if model.config.is_encoder_decoder else len(prompt)
    return out[first:]


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    generator = torch.Generator().manual_seed(SEED)
    cases = []
    for folder in ["tiny_gpt2", "tiny_llama", "tiny_mistral", "tiny_qwen3", "tiny_t5", "tiny_t5_gated"]:
        if folder in t5.CASES:
            model = t5.load(folder)
            model.generation_config.decoder_start_token_id = t5.PAD
        else:
            model = AutoModelForCausalLM.from_pretrained(os.path.join(HERE, folder), attn_implementation="eager")
        model = model.float().eval()
        vocabulary = model.config.vocab_size
        prompts = [
            torch.randint(3, vocabulary, (n,), generator=generator).tolist() for n in [7, 1, 4, 2, 7, 3, 5, 6]
        ]
        free = [generate(model, prompt, [vocabulary + 5], dict(max_new_tokens=8)) for prompt in prompts]
        # One that ends some texts in the middle, and three.
        single = [free[0][3]]
        several = sorted({free[0][3], free[2][1], free[4][2]})
        for number, options in enumerate(OPTIONS):
            ends = several if number % 3 == 2 else single
            texts = [generate(model, prompt, ends, options) for prompt in prompts]
            cases.append({"folder": folder, "options": options, "ends": ends, "prompts": prompts, "texts": texts})
            lengths = [len(text) for text in texts]
            print(folder, options, ends, lengths)
    write_json(os.path.join(HERE, "generation.json"), {"versions": versions(), "cases": cases})


if __name__ == "__main__":
    main()
