#!/usr/bin/env python3
"""Speed of generation and of training of language models: `bomf` and transformers in turn, on the CPU.

Makes a random GPT-2 (width 768, a few layers) and a random T5 of t5-small's width with a tokenizer of words, and prompts of
uneven lengths. Generation is timed as the difference between texts of many tokens and of one, so that loading, reading
the prompts and importing libraries fall out; no text ends early. transformers gets batches sorted by length, padded on
the left. Training is `bomf bench` against a loop of AdamW on batches of the same examples. Prints Markdown.

Usage: python3 scripts/bench/generation.py --threads 1 --rounds 3
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WORDS = 30_000


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", default=os.path.join(ROOT, "target", "release", "bomf"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=33)
    parser.add_argument("--train", type=int, default=64, help="examples of training")
    return parser.parse_args()


def make(folder, layers):
    """The models' folders, by name, and their tokenizer in each."""
    import tokenizers
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    words = {f"w{i}": i for i in range(WORDS)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="w0"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    models = {
        "gpt2": GPT2LMHeadModel(GPT2Config(vocab_size=WORDS, n_layer=layers, bos_token_id=None, eos_token_id=None)),
        "t5": T5ForConditionalGeneration(T5Config(vocab_size=WORDS, num_layers=layers, eos_token_id=None,
                                                  decoder_start_token_id=0)),
    }
    for name, model in models.items():
        path = os.path.join(folder, name)
        model.save_pretrained(path)
        tokenizer.save(os.path.join(path, "tokenizer.json"))
    return {name: os.path.join(folder, name) for name in models}


def ours(args, path, prompts, tokens, beams):
    command = [args.binary, "generate", "--model", path, "--max-new-tokens", str(tokens), "--beams", str(beams),
               "--threads", str(args.threads)]
    for prompt in prompts:
        command += ["--prompt", " ".join(f"w{i}" for i in prompt)]
    start = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(done.stderr)
    return seconds, [json.loads(line)["text"] for line in done.stdout.splitlines()]


def theirs(model, prompts, tokens, beams):
    import torch

    width = max(map(len, prompts))
    pair = model.config.is_encoder_decoder
    pad = [[0] * (width - len(p)) for p in prompts]
    ids = torch.tensor([p + f if pair else f + p for p, f in zip(prompts, pad)])
    mask = torch.tensor([[1] * len(p) + f if pair else f + [1] * len(p) for p, f in zip(prompts, pad)])
    start = time.perf_counter()
    with torch.inference_mode():
        out = model.generate(ids, attention_mask=mask, max_new_tokens=tokens, min_new_tokens=tokens, num_beams=beams,
                             do_sample=False, pad_token_id=0, eos_token_id=None)
    seconds = time.perf_counter() - start
    first = 1 if pair else width
    return seconds, [" ".join(f"w{i}" for i in row[first:].tolist()) for row in out]


def train_ours(args, path, data, kind):
    recipe = os.path.join(data, "recipe.yaml")
    with open(recipe, "w", encoding="utf-8") as out:
        out.write(f"task: {{kind: {kind}}}\n")
    command = [args.binary, "bench", "--model", path, "--data", data, "--recipe", recipe, "--mode", "train",
               "--batch-size", "8", "--limit", str(args.train), "--threads", str(args.threads), "--output-format", "json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)["samples_per_second"]


def train_theirs(args, model, pairs):
    import torch

    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5, weight_decay=0.01)
    pair = model.config.is_encoder_decoder

    def step(rows):
        sources, targets = [a for a, _ in rows], [b for _, b in rows]
        if not pair:
            targets = [[-100] * len(a) + b for a, b in rows]
            sources = [a + b for a, b in rows]
        width, wide = max(map(len, sources)), max(map(len, targets))
        ids = torch.tensor([s + [0] * (width - len(s)) for s in sources])
        mask = torch.tensor([[1] * len(s) + [0] * (width - len(s)) for s in sources])
        labels = torch.tensor([t + [-100] * (wide - len(t)) for t in targets])
        optimizer.zero_grad()
        model(input_ids=ids, attention_mask=mask, labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    batches = [pairs[i:i + 8] for i in range(0, args.train, 8)]
    for rows in batches[:2]:
        step(rows)
    start = time.perf_counter()
    for rows in batches[2:]:
        step(rows)
    return sum(map(len, batches[2:])) / (time.perf_counter() - start)


def main():
    args = arguments()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    import torch
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(args.threads)
    rng = random.Random(0)
    prompts = sorted(([rng.randrange(1, WORDS) for _ in range(rng.randint(8, 64))] for _ in range(args.prompts)), key=len)
    pairs = [([rng.randrange(1, WORDS) for _ in range(rng.randint(16, 64))],
              [rng.randrange(1, WORDS) for _ in range(rng.randint(8, 48))]) for _ in range(args.train)]
    print("| model | what | bomf | transformers | ratio | same texts |\n|---|---|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "data")
        os.makedirs(data)
        text = lambda ids: " ".join(f"w{i}" for i in ids)
        for split in ["train", "validation", "test"]:
            with open(os.path.join(data, f"{split}.jsonl"), "w", encoding="utf-8") as out:
                for a, b in pairs:
                    out.write(json.dumps({"prompt": text(a), "completion": text(b)}) + "\n")
        for name, path in make(folder, args.layers).items():
            kind = transformers.T5ForConditionalGeneration if name == "t5" else transformers.GPT2LMHeadModel
            model = kind.from_pretrained(path, dtype=torch.float32).eval()
            for beams in [1, 4]:
                rates, same = [[], []], 0
                for _ in range(args.rounds):
                    for side, run in enumerate([lambda n: ours(args, path, prompts, n, beams),
                                                lambda n: theirs(model, prompts, n, beams)]):
                        short, _ = run(1)
                        long, texts = run(args.tokens)
                        rates[side].append(args.prompts * (args.tokens - 1) / (long - short))
                        same = texts if side == 0 else sum(a == b for a, b in zip(same, texts))
                a, b = map(statistics.median, rates)
                what = "greedy" if beams == 1 else f"{beams} beams"
                print(f"| {name} | {what}, tokens/s | {a:.0f} | {b:.0f} | {a / b:.2f} | {same}/{args.prompts} |", flush=True)
            kind = "seq2seq" if name == "t5" else "causal_lm"
            rates = [[], []]
            for _ in range(args.rounds):
                rates[0].append(train_ours(args, path, data, kind))
                rates[1].append(train_theirs(args, model, pairs))
            a, b = map(statistics.median, rates)
            print(f"| {name} | training, examples/s | {a:.1f} | {b:.1f} | {a / b:.2f} | |", flush=True)


if __name__ == "__main__":
    main()
