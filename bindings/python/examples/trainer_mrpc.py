"""Fine-tune MiniLM on MRPC with transformers' Trainer, fuse its trajectory, compare.

    python trainer_mrpc.py MODEL DATA [--epochs 5] [--limit N]

MODEL is a folder or a name on the hub; DATA holds train, validation and test as JSON lines with
`text`, `text_pair` and `label`. Needs torch, transformers and bomf.
"""

import argparse
import json
import tempfile
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
    """Sentence pairs of a split, from short to long: batches of an evaluation have little padding."""

    def __init__(self, file, tokenizer, limit=None):
        rows = [json.loads(line) for line in Path(file).read_text().splitlines()][:limit]
        rows.sort(key=lambda row: len(row["text"]) + len(row["text_pair"]))
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
    # The members stay until the comparison is over.
    with tempfile.TemporaryDirectory(prefix="bomf-members-") as folder:
        callback = bomf.TrajectoryCallback(members=options.members, folder=folder, keep=True)
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
        last = {name: value.clone() for name, value in trainer.model.state_dict().items()}
        found = callback.fuse(
            trainer,
            {"loss": "min", "accuracy": "max", "f1": "max"},
            evaluations=options.evaluations,
            out=Path(options.out, "fused"),
        )

        # The choice has been made and written: the report split is read from here on only.
        bomf_alone = trainer.predict(report)
        rows = {}
        for name, method in found.methods.items():
            if name != "bomf":
                bomf.fuse(callback.files, method.weights, out=trainer.model)
                rows[name] = trainer.predict(report)
        bomf.fuse([last], out=trainer.model)
        rows["last step"] = trainer.predict(report)

    print(
        f"\nbest step {callback.best_step}, members at {callback.steps}, "
        f"{found.evaluations} evaluations"
    )
    print(f"{'report split':<18}{'loss':>8}{'accuracy':>10}{'f1':>8}   bomf - this, f1 [95 %]")
    for name, row in {**rows, "bomf": bomf_alone}.items():
        own = row.metrics
        line = f"{name:<18}{own['test_loss']:8.4f}{own['test_accuracy']:10.4f}{own['test_f1']:8.4f}"
        if name != "bomf":
            low, high = paired_interval(bomf_alone, row)
            line += f"   {bomf_alone.metrics['test_f1'] - own['test_f1']:+.4f} [{low:+.4f}, {high:+.4f}]"
        print(line)


def paired_interval(ours, other, resamples=2000):
    """The 95 % interval of the difference in F1, over resamples of the examples."""
    rng = np.random.default_rng(0)
    differences = []
    for _ in range(resamples):
        drawn = rng.integers(len(ours.label_ids), size=len(ours.label_ids))
        first, second = (
            compute_metrics((p.predictions[drawn], p.label_ids[drawn]))["f1"] for p in (ours, other)
        )
        differences.append(first - second)
    return np.quantile(differences, [0.025, 0.975])


if __name__ == "__main__":
    main()
