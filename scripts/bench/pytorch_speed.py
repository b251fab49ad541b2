#!/usr/bin/env python3
"""Training or evaluation speed of PyTorch and transformers on the CPU: the peer of `bomf bench`.

What is timed is what a user of transformers' Trainer runs: batches padded to the longest row of the batch, in file
order (`eval`) or shuffled once (`train`); a training step is forward, backward, clipping to norm 1 and AdamW, dropout
on. Tokenising, loading and two warm-up batches are outside the clock. Prints one JSON object on one line.

Usage: python3 pytorch_speed.py MODEL_FOLDER DATA_FOLDER --mode train --dtype bf16 --limit 512
"""

import argparse
import json
import os
import platform
import random
import resource
import sys
import time


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", help="Hugging Face folder")
    parser.add_argument("data", help="folder with train.jsonl: text, optionally text_pair, label")
    parser.add_argument("--mode", choices=["train", "eval"], default="train")
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32", help="bf16 is autocast over f32 weights")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limit", type=int, default=None, help="the first N rows only")
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--optimizer", choices=["fused", "default"], default="fused",
                        help="AdamW: fused (the Trainer's default) or torch's own choice for the device")
    parser.add_argument("--attention", choices=["sdpa", "eager"], default="sdpa")
    parser.add_argument("--split", default="train", help="which file of the data folder")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def rows(path, limit):
    with open(path, encoding="utf-8") as lines:
        out = []
        for line in lines:
            if limit is not None and len(out) == limit:
                break
            if line.strip():
                out.append(json.loads(line))
    return out


def main():
    args = arguments()
    # Before torch is imported: its thread pools read this once.
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import torch
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)

    data = rows(os.path.join(args.data, f"{args.split}.jsonl"), args.limit)
    if not data:
        sys.exit(f"error: no rows in {args.split}.jsonl")
    labels = sorted({row["label"] for row in data}, key=str)
    index = {label: i for i, label in enumerate(labels)}
    tokenizer = transformers.AutoTokenizer.from_pretrained(args.model, use_fast=True)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        args.model, num_labels=max(2, len(labels)), dtype=torch.float32, attn_implementation=args.attention,
        ignore_mismatched_sizes=True,
    )
    pairs = "text_pair" in data[0]
    encoded = tokenizer(
        [row["text"] for row in data], [row["text_pair"] for row in data] if pairs else None,
        truncation=True, max_length=args.max_length,
    )
    features = [
        {**{key: encoded[key][i] for key in encoded}, "labels": index[row["label"]]} for i, row in enumerate(data)
    ]
    if args.mode == "train":
        random.Random(args.seed).shuffle(features)
    collate = transformers.DataCollatorWithPadding(tokenizer, return_tensors="pt")
    chunks = [features[i:i + args.batch_size] for i in range(0, len(features), args.batch_size)]

    decay = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}],
        lr=2e-5, betas=(0.9, 0.98), eps=1e-6, fused=True if args.optimizer == "fused" else None,
    )

    def autocast():
        return torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.dtype == "bf16")

    def train(batch):
        with autocast():
            loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    def evaluate(batch):
        with torch.inference_mode(), autocast():
            model(**batch)

    model.train(args.mode == "train")
    step = train if args.mode == "train" else evaluate
    for chunk in chunks[:2]:
        step(collate(chunk))
    start = time.perf_counter()
    for chunk in chunks:
        step(collate(chunk))
    seconds = time.perf_counter() - start

    # In 10^6 bytes, as `bomf bench` has it. Linux counts the peak in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    print(json.dumps({
        "engine": "pytorch",
        "mode": args.mode,
        "dtype": args.dtype,
        "batch_size": args.batch_size,
        "threads": args.threads,
        "samples": len(features),
        "seconds": round(seconds, 4),
        "samples_per_s": round(len(features) / seconds, 3),
        "peak_rss_mb": round(peak, 1),
        "optimizer": args.optimizer,
        "attention": args.attention,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
    }))


if __name__ == "__main__":
    main()
