"""Scores a classifier on a split: prints {"loss": ..., "accuracy": ...}.

    python3 evaluate.py MODEL_FOLDER SPLIT.jsonl
"""

import json
import math
import sys

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

BATCH = 64


def main(folder, path):
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file if line.strip()]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    labels = torch.tensor([model.config.label2id[row["label"]] for row in rows])
    logits = []
    with torch.no_grad():
        for start in range(0, len(rows), BATCH):
            texts = [row["text"] for row in rows[start : start + BATCH]]
            batch = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
            logits.append(model(**batch).logits)
    logits = torch.cat(logits)
    right = (logits.argmax(-1) == labels).double()
    n = len(rows)
    losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none").double()
    print(
        json.dumps(
            {
                "loss": {
                    "value": losses.mean().item(),
                    "stderr": (losses.std(correction=0) / math.sqrt(n)).item(),
                },
                "accuracy": {
                    "value": right.mean().item(),
                    "stderr": (right.std(correction=0) / math.sqrt(n)).item(),
                },
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
