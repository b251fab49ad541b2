"""Fine-tune MiniLM on MRPC with transformers' Trainer, fuse its trajectory, compare.

    python trainer_mrpc.py MODEL DATA [--epochs 5] [--limit N]

MODEL is a folder or a name on the hub; DATA holds train, validation and test as JSON lines with
`text`, `text_pair` and `label`. Needs torch, transformers and bomf.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

import bomf

LABELS = ["not_equivalent", "equivalent"]


class Pairs(torch.utils.data.Dataset):
    """Sentence pairs of a split."""

    def __init__(self, file, tokenizer, limit=None):
        rows = [json.loads(line) for line in Path(file).read_text().splitlines()][:limit]
        first, second = ([row[name] for row in rows] for name in ("text", "text_pair"))
        self.encoded = tokenizer(first, second, truncation=True, max_length=128)
        self.labels = [LABELS.index(row["label"]) for row in rows]

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return {k: v[i] for k, v in self.encoded.items()} | {"labels": self.labels[i]}


def compute_metrics(predicted):
    logits, labels = predicted
    guess = logits.argmax(-1)
    hits = int(((guess == 1) & (labels == 1)).sum())
    f1 = 2 * hits / max(int((guess == 1).sum() + (labels == 1).sum()), 1)
    return {"accuracy": float(np.mean(guess == labels)), "f1": f1}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("--epochs", type=float, default=5)
    parser.add_argument("--members", type=int, default=15)
    parser.add_argument("--evaluations", type=int, default=None)
    parser.add_argument("--eval-steps", type=int, default=25)
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="out/mrpc")
    options = parser.parse_args()

    tokenizer = AutoTokenizer.from_pretrained(options.model)
    train, select, report = (
        Pairs(options.data / f"{split}.jsonl", tokenizer, options.limit)
        for split in ("train", "validation", "test")
    )
    arguments = TrainingArguments(
        output_dir=options.out,
        num_train_epochs=options.epochs,
        learning_rate=5e-5,
        per_device_train_batch_size=32,
        per_device_eval_batch_size=128,
        warmup_steps=50,
        lr_scheduler_type="constant_with_warmup",
        eval_strategy="steps",
        eval_steps=options.eval_steps,
        metric_for_best_model="f1",
        save_strategy="no",
        report_to=[],
        seed=options.seed,
    )
    callback = bomf.TrajectoryCallback(members=options.members)
    trainer = Trainer(
        AutoModelForSequenceClassification.from_pretrained(options.model, num_labels=2),
        arguments,
        train_dataset=train,
        eval_dataset=select,
        data_collator=DataCollatorWithPadding(tokenizer),
        processing_class=tokenizer,
        compute_metrics=compute_metrics,
        callbacks=[callback],
    )
    trainer.train()
    members = callback.files

    # The report split is read here for the comparison, and drives no choice.
    scores = {"last step": trainer.evaluate(report)}
    best_step, steps = callback.best_step, len(members)
    best = members[callback.steps.index(best_step)]
    bomf.fuse([best], out=shared(trainer.model, best))
    scores["best step"] = trainer.evaluate(report)
    bomf.fuse(members, out=shared(trainer.model, best))
    scores["uniform average"] = trainer.evaluate(report)
    found = callback.fuse(
        trainer,
        {"loss": "min", "accuracy": "max", "f1": "max"},
        evaluations=options.evaluations,
        out=Path(options.out, "fused"),
    )
    scores["bomf"] = trainer.evaluate(report)

    print(f"\nbest step {best_step}, {steps} members, {found.evaluations} evaluations\n")
    print(f"{'report split':<18}{'loss':>8}{'accuracy':>10}{'f1':>8}")
    for name, s in scores.items():
        print(f"{name:<18}{s['eval_loss']:8.4f}{s['eval_accuracy']:10.4f}{s['eval_f1']:8.4f}")


def shared(model, file):
    """The model's tensors that a member has."""
    from safetensors import safe_open

    with safe_open(file, "pt") as tensors:
        names = set(tensors.keys())
    return {name: value for name, value in model.state_dict().items() if name in names}


if __name__ == "__main__":
    main()
