"""Golden values of the methods that work on statistics, by PyTorch in f64 after the papers' formulas.

    python statistics.py

Writes `statistics.safetensors`: models `<shape>.model<i>`, their `<shape>.fisher<i>` and
`<shape>.gram<i>` (f32, of the last axis), and what comes of them as `<shape>.<case>`. Fisher
weighting is Matena and Raffel 2022 (equation 3, with their floor and normalisation), RegMean is Jin
et al. 2023 (equation 2 with the scaling of section 3.3).

Made with Python 3.11, torch 2.15.0 and safetensors 0.8.0.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file

HERE = Path(__file__).parent
MODELS = 3
WEIGHTS = [0.5, 1.0, 2.0]
SHAPES = {"wide": (5, 12), "tall": (9, 4), "row": (1, 6)}


def fisher(models, fishers, weights, floor, normalize):
    if normalize:
        weights = [w / f.norm() for w, f in zip(weights, fishers)]
    scaled = [w * f.clamp(min=floor) for w, f in zip(weights, fishers)]
    return sum(f * m for f, m in zip(scaled, models)) / sum(scaled)


def regmean(models, grams, weights, alpha):
    scaled = [w * (alpha * g + (1 - alpha) * torch.diag(torch.diag(g))) for w, g in zip(weights, grams)]
    right = sum(g @ m.T for g, m in zip(scaled, models))
    return torch.linalg.solve(sum(scaled), right).T


def main():
    torch.manual_seed(7)
    out = {}
    for shape, (rows, columns) in SHAPES.items():
        models = [torch.randn(rows, columns) for _ in range(MODELS)]
        fishers = [torch.randn(rows, columns).pow(2) * 10.0 ** (-3 * i) for i in range(MODELS)]
        # Each model's inputs have scales of their own.
        inputs = [torch.randn(40, columns) * torch.rand(columns) for _ in range(MODELS)]
        grams = [(x.T @ x) / len(x) for x in inputs]
        for name, tensors in {"model": models, "fisher": fishers, "gram": grams}.items():
            out.update({f"{shape}.{name}{i}": t.clone() for i, t in enumerate(tensors)})
        models, fishers, grams = ([t.double() for t in ts] for ts in (models, fishers, grams))
        ones = [1.0] * MODELS
        out[f"{shape}.fisher"] = fisher(models, fishers, ones, 1e-6, False)
        out[f"{shape}.fisher_floor"] = fisher(models, fishers, WEIGHTS, 1e-2, False)
        out[f"{shape}.fisher_normalized"] = fisher(models, fishers, WEIGHTS, 1e-6, True)
        out[f"{shape}.regmean"] = regmean(models, grams, ones, 0.9)
        out[f"{shape}.regmean_whole"] = regmean(models, grams, WEIGHTS, 1.0)
        out[f"{shape}.regmean_diagonal"] = regmean(models, grams, ones, 0.0)
    save_file({name: t.float().contiguous() for name, t in out.items()}, HERE / "statistics.safetensors")


if __name__ == "__main__":
    main()
