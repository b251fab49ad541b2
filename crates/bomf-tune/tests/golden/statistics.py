#!/usr/bin/env python3
"""Golden values of the statistics of a model, for the tiny models that stand beside the script.

For `tiny_bert` (3 labels), `tiny_roberta` (2 labels), `tiny_distilbert` (regression) and
`tiny_llama_cls` this writes `statistics.safetensors` into the model's folder, means over the
sequences of its `golden.safetensors`, one after another and without padding, in float64:

- `fisher.<name>`: E_y (d log p(y | x) / d theta)^2, y as probable as the model has it (an exact sum
  over the classes; for the regression a normal distribution of variance one);
- `empirical.<name>`: the same with the labels that the file has;
- `gram.<module>.weight`: X'X / rows of a linear layer's inputs. In the last block a row counts
  where its output is read: of a classifier, the first (or last) token alone, but for keys and
  values.

Made with torch 2.15.0, transformers 5.24.0 and safetensors 0.8.0. Usage: python3 statistics.py
"""

import os

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDERS = ["tiny_bert", "tiny_roberta", "tiny_distilbert", "tiny_llama_cls"]
KEYS_AND_VALUES = ("key", "value", "k_lin", "v_lin", "k_proj", "v_proj")


def log_likelihoods(logits, label):
    """Pairs of a weight and what is to be differentiated: by the model's labels, by the data's."""
    if logits.numel() == 1:
        f = logits.squeeze()
        of_data = -0.5 * (f - label) ** 2
        # E (y - f)^2 is one: the derivative by y = f + 1 is that of f.
        return [(1.0, -0.5 * (f - (f.detach() + 1.0)) ** 2)], of_data
    log_p = logits.squeeze(0).log_softmax(-1)
    return [(p.item(), l) for p, l in zip(log_p.exp(), log_p)], log_p[int(label)]


def main():
    torch.set_num_threads(1)
    for folder in FOLDERS:
        path = os.path.join(HERE, folder)
        model = AutoModelForSequenceClassification.from_pretrained(path, attn_implementation="eager")
        model = model.double().eval()
        golden = load_file(os.path.join(path, "golden.safetensors"))
        decoder = "llama" in folder
        layers = model.config.num_hidden_layers
        names = dict(model.named_modules())
        linear = {n: m for n, m in names.items() if isinstance(m, torch.nn.Linear)}
        inputs = {name: [] for name in linear}

        def watch(name):
            last = f"layer.{layers - 1}." in name or f"layers.{layers - 1}." in name or name == "score"
            alone = last and not name.endswith(KEYS_AND_VALUES)

            def hook(_, given):
                x = given[0].detach()
                if alone and x.ndim == 3:
                    x = x[:, -1:] if decoder else x[:, :1]
                inputs[name].append(x.reshape(-1, x.shape[-1]))

            return hook

        hooks = [m.register_forward_pre_hook(watch(n)) for n, m in linear.items()]
        parameters = dict(model.named_parameters())
        sums = {kind: {n: torch.zeros_like(p) for n, p in parameters.items()} for kind in ("fisher", "empirical")}
        rows = len(golden["input_ids"])
        for i in range(rows):
            real = golden["attention_mask"][i] == 1
            given = {"input_ids": golden["input_ids"][i][real][None]}
            if folder == "tiny_bert":
                given["token_type_ids"] = golden["token_type_ids"][i][real][None]
            expected, of_data = log_likelihoods(model(**given).logits, golden["labels"][i])
            for kind, terms in {"fisher": expected, "empirical": [(1.0, of_data)]}.items():
                for weight, value in terms:
                    gradients = torch.autograd.grad(value, parameters.values(), retain_graph=True)
                    for name, g in zip(parameters, gradients):
                        sums[kind][name] += weight * g**2 / rows
        for hook in hooks:
            hook.remove()
        out = {f"{kind}.{n}": t for kind, of in sums.items() for n, t in of.items()}
        for name, xs in inputs.items():
            x = torch.cat(xs)
            out[f"gram.{name}.weight"] = x.T @ x / len(x)
        save_file(
            {n: t.float().contiguous() for n, t in out.items()}, os.path.join(path, "statistics.safetensors")
        )
        print(folder, len(out))


if __name__ == "__main__":
    main()
