"""What the golden-value scripts share: the optimiser's settings, ten steps with it, versions."""

import json
import platform

import torch
import transformers

# The settings of every golden training run; the engine's test reads them from the JSON.
SETTINGS = {
    "optimizer": "AdamW, decoupled weight decay",
    "betas": [0.9, 0.98],
    "eps": 1e-6,
    "weight_decay": 0.1,
    "no_decay": "every one-dimensional parameter (biases, LayerNorm weights)",
    "max_grad_norm": 1.0,
    "clip": "gradients times min(1, max_grad_norm / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_",
    "schedule": "transformers.get_constant_schedule_with_warmup: step k (from 0) uses lr * min(1, k / warmup_steps)",
    "warmup_steps": 2,
    "steps": 10,
    "dropout": "none (eval mode)",
}


def versions():
    """The versions with which the golden values were made."""
    import safetensors
    import tokenizers

    return {
        "python": platform.python_version(),
        "torch": torch.__version__.split("+")[0],
        "transformers": transformers.__version__,
        "tokenizers": tokenizers.__version__,
        "safetensors": safetensors.__version__,
    }


def write_json(path, value):
    """Writes JSON with one entry of each top-level object and list a line, so that diffs are short."""

    def lines(v, indent):
        pad = "  " * indent
        if isinstance(v, dict) and v and indent < 2:
            inner = (f"{pad}  {json.dumps(k)}: {lines(x, indent + 1)}" for k, x in v.items())
            return "{\n" + ",\n".join(inner) + f"\n{pad}}}"
        if isinstance(v, list) and v and isinstance(v[0], (dict, list)):
            inner = (f"{pad}  {lines(x, indent + 1)}" for x in v)
            return "[\n" + ",\n".join(inner) + f"\n{pad}]"
        return json.dumps(v)

    with open(path, "w", encoding="utf-8", newline="\n") as out:
        out.write(lines(value, 0) + "\n")


def f32(x):
    """The shortest decimal that reads back as the same float32, as a Python float."""
    import numpy as np

    return float(np.format_float_scientific(np.float32(x), unique=True))


def ten_steps(model, inputs, lr):
    """Trains `model` on the one batch `inputs` for ten steps.

    Returns {"losses": eleven losses, before each step and after the last,
    "grad_norms": ten norms before clipping, "lrs": ten learning rates}.
    """
    decay = [p for p in model.parameters() if p.ndim > 1]
    no_decay = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [
            {"params": decay, "weight_decay": SETTINGS["weight_decay"]},
            {"params": no_decay, "weight_decay": 0.0},
        ],
        lr=lr,
        betas=tuple(SETTINGS["betas"]),
        eps=SETTINGS["eps"],
    )
    schedule = transformers.get_constant_schedule_with_warmup(optimizer, SETTINGS["warmup_steps"])
    model.eval()
    losses, norms, lrs = [], [], []
    for _ in range(SETTINGS["steps"]):
        optimizer.zero_grad()
        loss = model(**inputs).loss
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), SETTINGS["max_grad_norm"])
        lrs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
        losses.append(f32(loss.item()))
        norms.append(f32(norm.item()))
    with torch.no_grad():
        losses.append(f32(model(**inputs).loss.item()))
    return {"losses": losses, "grad_norms": norms, "lrs": lrs}
