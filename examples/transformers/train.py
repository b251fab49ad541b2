"""Fine-tunes a classifier with transformers' Trainer, as a trainer of bomf's.

    bomf run --model google-bert/bert-base-uncased --data ./mrpc --out ./out \
        --recipe recipe.yaml

The data folder holds train.jsonl and validation.jsonl of {"text": ..., "label": ...}.
"""

import json
import math
import os

import numpy as np
from bomf_trainer import Settings, last_checkpoint, report_callback, training_arguments
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)


def read(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def main():
    settings = Settings()
    set_seed(settings.seed)
    train = read(os.path.join(settings.data, "train.jsonl"))
    validation = read(os.path.join(settings.data, "validation.jsonl"))
    labels = sorted({row["label"] for row in train})
    ids = {label: i for i, label in enumerate(labels)}

    tokenizer = AutoTokenizer.from_pretrained(settings.model)

    def encode(rows):
        return [
            {**tokenizer(row["text"], truncation=True), "labels": ids[row["label"]]}
            for row in rows
        ]

    config = AutoConfig.from_pretrained(
        settings.model,
        num_labels=len(labels),
        label2id=ids,
        id2label={i: label for label, i in ids.items()},
    )
    if settings.get("dropout") is not None:
        config.hidden_dropout_prob = settings.dropout
    model = AutoModelForSequenceClassification.from_pretrained(settings.model, config=config)
    if settings.mode == "trial":
        # The lightweight model of stage 1: what it learns fast tells what the full one learns.
        for parameter in model.base_model.embeddings.parameters():
            parameter.requires_grad = False

    def metrics(prediction):
        return {"accuracy": float(np.mean(prediction.predictions.argmax(-1) == prediction.label_ids))}

    step = settings.batch_size * settings.gradient_accumulation_steps
    arguments = training_arguments(settings, math.ceil(len(train) / step), use_cpu=True)
    trainer = Trainer(
        model=model,
        args=TrainingArguments(**arguments),
        train_dataset=encode(train),
        eval_dataset=encode(validation),
        processing_class=tokenizer,
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=metrics,
        callbacks=[report_callback()],
    )
    trainer.train(resume_from_checkpoint=last_checkpoint(settings))


if __name__ == "__main__":
    main()
