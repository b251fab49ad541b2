#!/usr/bin/env python3
"""Golden values of ModernBERT: tiny random models, made with PyTorch and transformers.

`tiny_modernbert` (3 labels, the first token, no biases), `tiny_modernbert_mean` (regression on the
mean of the tokens, biases everywhere, another activation, rotary embeddings scaled linearly),
`tiny_modernbert_tags` (token classification, 4 tags) and `tiny_modernbert_qa` (question
answering), as `tasks.py` writes them. Blocks 0 and 3 see everything, 1 and 2 three neighbours on
either side, far fewer than the sequences have.

Every sequence stands by itself: within a window, padding may see nothing at all.

Usage: python3 modernbert.py
"""

import os

import torch
from transformers import (
    ModernBertConfig,
    ModernBertForQuestionAnswering,
    ModernBertForSequenceClassification,
    ModernBertForTokenClassification,
)
from transformers.utils import ModelOutput

from common import versions, write_json
from encoders import HEADS, HIDDEN, INTERMEDIATE, VOCAB, batch
from tasks import HERE, Each, record

SEED = 2412


def randomise(model, generator):
    """Values that let no term hide: norms away from one, biases away from zero."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if p.ndim > 1:
                p.copy_(noise * (0.5 if "embeddings" in name else 0.35))
            elif "norm" in name and name.endswith("weight"):
                p.copy_(1.0 + 0.25 * noise)
            else:
                p.copy_(0.25 * noise)


class Rows(torch.nn.Module):
    """A model that sees each sequence without padding; the loss is over all labels that count."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, labels):
        logits = []
        for row, n in enumerate(attention_mask.sum(1).tolist()):
            logits.append(self.model(input_ids=input_ids[row : row + 1, :n]).logits[0])
        if labels.is_floating_point():
            logits = torch.stack(logits)
            return ModelOutput(loss=torch.nn.functional.mse_loss(logits[:, 0], labels), logits=logits)
        if labels.ndim == 1:
            logits = torch.stack(logits)
            return ModelOutput(loss=torch.nn.functional.cross_entropy(logits, labels), logits=logits)
        padded = torch.zeros(*input_ids.shape, logits[0].shape[-1])
        for row, own in enumerate(logits):
            padded[row, : len(own)] = own
        loss = torch.nn.functional.cross_entropy(padded.flatten(0, 1), labels.flatten())
        return ModelOutput(loss=loss, logits=padded)


class Spans(torch.nn.Module):
    """What `Each` hands to a model without segments."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, token_type_ids, **inputs):
        return self.model(**inputs)


def main():
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(SEED)
    shared = dict(
        vocab_size=VOCAB, hidden_size=HIDDEN, num_hidden_layers=4, num_attention_heads=HEADS,
        intermediate_size=INTERMEDIATE, max_position_embeddings=20, local_attention=6,
        pad_token_id=0, bos_token_id=2, cls_token_id=2, eos_token_id=3, sep_token_id=3, attn_implementation="eager",
    )
    thetas = {"full_attention": dict(rope_type="default", rope_theta=400.0),
              "sliding_attention": dict(rope_type="default", rope_theta=50.0)}
    scaled = {"full_attention": dict(rope_type="linear", factor=2.0, rope_theta=400.0),
              "sliding_attention": dict(rope_type="default", rope_theta=50.0)}

    def padded():
        return batch(generator, pad=0, first=2, last=3, separators=1, segments=False)

    ids, mask, types = padded()
    model = ModernBertForSequenceClassification(ModernBertConfig(**shared, rope_parameters=thetas, num_labels=3))
    randomise(model, generator)
    inputs = {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([2, 0, 1, 1, 0])}
    record("tiny_modernbert", model, Rows(model), inputs, types)

    ids, mask, types = padded()
    model = ModernBertForSequenceClassification(ModernBertConfig(
        **shared, rope_parameters=scaled, num_labels=1, problem_type="regression", classifier_pooling="mean",
        norm_bias=True, attention_bias=True, mlp_bias=True, classifier_bias=True,
        hidden_activation="silu", classifier_activation="tanh",
    ))
    randomise(model, generator)
    inputs = {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([0.5, -1.25, 3.0, 0.0, 2.2])}
    record("tiny_modernbert_mean", model, Rows(model), inputs, types)

    ids, mask, types = padded()
    labels = torch.full_like(ids, -100)
    for row, n in enumerate(mask.sum(1).tolist()):
        # Every word but each third begins one.
        for column in range(1, n - 1):
            if column % 3:
                labels[row, column] = int(torch.randint(0, 4, (1,), generator=generator))
    model = ModernBertForTokenClassification(ModernBertConfig(**shared, rope_parameters=thetas, num_labels=4))
    randomise(model, generator)
    inputs = {"input_ids": ids, "attention_mask": mask, "labels": labels}
    record("tiny_modernbert_tags", model, Rows(model), inputs, types)

    ids, mask, types = padded()
    model = ModernBertForQuestionAnswering(ModernBertConfig(**shared, rope_parameters=thetas, num_labels=2))
    randomise(model, generator)
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types,
              "starts": torch.tensor([1, 0, 1, 9, 4]), "ends": torch.tensor([3, 0, 1, 11, 4])}
    record("tiny_modernbert_qa", model, Each(Spans(model)), inputs, types)
    write_json(os.path.join(HERE, "modernbert_versions.json"), versions())


if __name__ == "__main__":
    main()
