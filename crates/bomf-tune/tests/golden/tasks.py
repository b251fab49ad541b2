#!/usr/bin/env python3
"""Golden values of the heads beside the classifiers': tiny random models of transformers.

For each of `tiny_bert_qa` (question answering), `tiny_distilbert_tags` (token classification, 4
tags) and `tiny_roberta_choice` (multiple choice, 3 choices), as `encoders.py` writes them:
`config.json`, `model.safetensors`, `golden.safetensors` and `steps.json`. The first has `starts`
and `ends` (the answer's first and last token) and logits `[rows, width, 2]`; the second `labels`
with -100 where a token begins no word, and logits `[rows, width, 4]`; the third has the choices
of each example one behind another, `labels`, and logits `[examples, 3]`.

A question's loss in transformers is a softmax over the padding too; here every sequence stands
by itself, and the loss is the mean of theirs.

Usage: python3 tasks.py
"""

import os

import torch
from safetensors.torch import save_file
from transformers import (
    BertConfig,
    BertForQuestionAnswering,
    DistilBertConfig,
    DistilBertForTokenClassification,
    RobertaConfig,
    RobertaForMultipleChoice,
)
from transformers.utils import ModelOutput

from common import SETTINGS, ten_steps, versions, write_json
from encoders import HEADS, HIDDEN, INTERMEDIATE, LAYERS, LR, MAX_POSITIONS, VOCAB, batch, randomise

HERE = os.path.dirname(os.path.abspath(__file__))
SEED = 2511


class Each(torch.nn.Module):
    """A question-answering model that sees each sequence without padding."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, token_type_ids, starts, ends):
        losses, logits = [], torch.zeros(*input_ids.shape, 2, dtype=next(self.model.parameters()).dtype)
        for row, n in enumerate(attention_mask.sum(1).tolist()):
            out = self.model(
                input_ids=input_ids[row : row + 1, :n], token_type_ids=token_type_ids[row : row + 1, :n],
                start_positions=starts[row : row + 1], end_positions=ends[row : row + 1],
            )
            losses.append(out.loss)
            logits[row, :n] = torch.stack([out.start_logits[0], out.end_logits[0]], -1)
        return ModelOutput(loss=torch.stack(losses).mean(), logits=logits)


def record(folder, model, forward, inputs, types):
    path = os.path.join(HERE, folder)
    model.save_pretrained(path)
    model.eval()
    model.zero_grad()
    out = forward(**inputs)
    out.loss.backward()
    tensors = {"logits": out.logits.detach(), "loss": out.loss.detach().reshape(1)}
    for name, p in model.named_parameters():
        assert p.grad is not None, name
        tensors[f"grad.{name}"] = p.grad.detach().clone()
    tensors.update(inputs, token_type_ids=types)
    save_file({k: v.contiguous() for k, v in tensors.items()}, os.path.join(path, "golden.safetensors"))
    steps = ten_steps(forward, inputs, LR)
    final = {name: {"l2": p.detach().double().norm().item()} for name, p in model.named_parameters()}
    write_json(os.path.join(path, "steps.json"), {"lr": LR, **SETTINGS, **steps, "final": final})
    print(f"{folder}: losses {steps['losses'][0]:.4f} -> {steps['losses'][-1]:.4f}")


def main():
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(SEED)
    shared = dict(
        vocab_size=VOCAB, hidden_size=HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        intermediate_size=INTERMEDIATE, max_position_embeddings=MAX_POSITIONS, hidden_act="gelu",
        attn_implementation="eager",
    )
    ids, mask, types = batch(generator, pad=0, first=2, last=3, separators=1, segments=True)
    model = BertForQuestionAnswering(BertConfig(**shared, layer_norm_eps=1e-12))
    randomise(model, generator)
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types,
              "starts": torch.tensor([1, 0, 1, 9, 4]), "ends": torch.tensor([3, 0, 1, 11, 4])}
    record("tiny_bert_qa", model, Each(model), inputs, types)

    ids, mask, types = batch(generator, pad=0, first=2, last=3, separators=1, segments=False)
    labels = torch.full_like(ids, -100)
    for row, n in enumerate(mask.sum(1).tolist()):
        # Every word but each third begins one.
        for column in range(1, n - 1):
            if column % 3:
                labels[row, column] = int(torch.randint(0, 4, (1,), generator=generator))
    model = DistilBertForTokenClassification(
        DistilBertConfig(
            vocab_size=VOCAB, dim=HIDDEN, n_layers=LAYERS, n_heads=HEADS, hidden_dim=INTERMEDIATE,
            max_position_embeddings=MAX_POSITIONS, activation="gelu", num_labels=4, attn_implementation="eager",
        )
    )
    randomise(model, generator)
    inputs = {"input_ids": ids, "attention_mask": mask, "labels": labels}
    record("tiny_distilbert_tags", model, model, inputs, types)

    rows = [batch(generator, pad=1, first=0, last=2, separators=2, segments=False) for _ in range(3)]
    ids, mask, types = (torch.cat([row[i] for row in rows]) for i in range(3))
    model = RobertaForMultipleChoice(
        RobertaConfig(**shared, type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=1, bos_token_id=0, eos_token_id=2)
    )
    randomise(model, generator)
    width = ids.shape[1]
    inputs = {"input_ids": ids.view(5, 3, width), "attention_mask": mask.view(5, 3, width),
              "labels": torch.tensor([2, 0, 1, 1, 0])}
    record("tiny_roberta_choice", model, model, inputs, types)
    write_json(os.path.join(HERE, "tasks_versions.json"), versions())


if __name__ == "__main__":
    main()
