"""Golden values of the merge methods, by mergekit's own functions on small random tensors.

    python methods.py

Writes `methods.safetensors` (inputs `<shape>.base` and `<shape>.model<i>`, outputs `<shape>.<case>`)
and `methods.json` (the cases with their parameters, and the versions). Inputs are f32, drawn so
that no element is zero and no two differences from the base are equal in magnitude. Of the random
methods stand the mean and the standard deviation of many draws, `<shape>.<case>.mean` and `.std`,
and the share of elements that was changed.
"""

import json
import platform
from importlib.metadata import version
from pathlib import Path

import torch
from mergekit.merge_methods import registry
from mergekit.merge_methods.base import TensorGroup
from safetensors.torch import save_file

HERE = Path(__file__).parent
MODELS = 4
DRAWS = 4000

SHAPES = {"vector": [47], "matrix": [12, 33], "tall": [40, 9], "cube": [3, 8, 5]}

WEIGHTS = [0.9, 0.35, 0.6, 1.25]
SIGNED = [0.9, -0.4, 0.6, 1.25]
DENSITIES = [0.5, 0.3, 0.75, 1.0]

# name of the case: (method, number of models, base or not, parameters)
CASES = {
    "linear": ("linear", 4, False, {"weight": WEIGHTS}),
    "linear_sum": ("linear", 3, False, {"weight": SIGNED, "normalize": False}),
    "linear_signed": ("linear", 4, False, {"weight": SIGNED}),
    "linear_even": ("linear", 2, False, {"weight": [1.0, 1.0]}),
    "slerp": ("slerp", 1, True, {"t": 0.3}),
    "slerp_beyond": ("slerp", 1, True, {"t": 1.25}),
    "nuslerp": ("nuslerp", 2, False, {"weight": WEIGHTS}),
    "nuslerp_base": ("nuslerp", 2, True, {"weight": WEIGHTS}),
    "nuslerp_rows": ("nuslerp", 2, True, {"weight": WEIGHTS, "nuslerp_flatten": False}),
    "nuslerp_columns": (
        "nuslerp", 2, True,
        {"weight": WEIGHTS, "nuslerp_flatten": False, "nuslerp_row_wise": True},
    ),
    "multislerp": ("multislerp", 3, False, {"weight": WEIGHTS}),
    "multislerp_base": ("multislerp", 4, True, {"weight": WEIGHTS, "normalize_weights": False}),
    "karcher": ("karcher", 4, False, {}),
    "karcher_two_steps": ("karcher", 3, False, {"max_iter": 2}),
    "task_arithmetic": ("task_arithmetic", 3, True, {"weight": SIGNED, "lambda": 0.7}),
    "task_arithmetic_normalized": (
        "task_arithmetic", 4, True, {"weight": WEIGHTS, "normalize": True},
    ),
    "ties": ("ties", 4, True, {"weight": WEIGHTS, "density": DENSITIES}),
    "ties_plain": ("ties", 3, True, {"weight": SIGNED, "density": DENSITIES, "normalize": False}),
    "ties_rescaled": (
        "ties", 3, True,
        {"weight": WEIGHTS, "density": DENSITIES, "rescale": True, "lambda": 1.5},
    ),
    "breadcrumbs": (
        "breadcrumbs", 3, True, {"weight": WEIGHTS, "density": DENSITIES, "gamma": [0.1, 0.05, 0.4]},
    ),
    "breadcrumbs_ties": (
        "breadcrumbs_ties", 4, True,
        {"weight": WEIGHTS, "density": DENSITIES, "gamma": 0.1, "normalize": True},
    ),
    "dare_linear_whole": ("dare_linear", 3, True, {"weight": WEIGHTS}),
    "dare_ties_whole": ("dare_ties", 3, True, {"weight": WEIGHTS}),
    "della_whole": ("della", 3, True, {"weight": WEIGHTS}),
    "sce": ("sce", 4, True, {"select_topk": 0.4}),
    "sce_whole": ("sce", 3, True, {}),
    "ram": ("ram", 4, True, {"epsilon": 0.15}),
    "ramplus_tl": ("ramplus_tl", 4, True, {"epsilon": 0.15, "r": 0.5, "alpha": 0.3}),
    "model_stock": ("model_stock", 3, True, {}),
    "model_stock_rows": ("model_stock", 4, True, {"filter_wise": True}),
    "nearswap": ("nearswap", 1, True, {"t": 0.1}),
    "arcee_fusion": ("arcee_fusion", 1, True, {}),
    "passthrough": ("passthrough", 1, False, {"scale": -0.7}),
    "passthrough_plain": ("passthrough", 1, False, {}),
}

# Without rescaling: the sum of magnitudes of what was drawn would depend on all draws together.
RANDOM = {
    "dare_linear": ("dare_linear", 2, True, {"weight": WEIGHTS, "density": [0.3, 0.6], "rescale": False}),
    "dare_linear_rescaled": ("dare_linear", 2, True, {"weight": WEIGHTS, "density": [0.3, 0.6]}),
    "dare_ties": ("dare_ties", 3, True, {"weight": WEIGHTS, "density": 0.5}),
    "della_linear": (
        "della_linear", 1, True,
        {"weight": [1.0], "density": 0.5, "epsilon": 0.3, "rescale": False},
    ),
    "della": ("della", 3, True, {"weight": WEIGHTS, "density": 0.6, "epsilon": 0.2}),
}


def inputs():
    generator = torch.Generator().manual_seed(20)
    tensors = {}
    for name, shape in SHAPES.items():
        base = torch.randn(shape, generator=generator)
        tensors[f"{name}.base"] = base
        for i in range(MODELS):
            change = 0.3 * torch.randn(shape, generator=generator)
            tensors[f"{name}.model{i}"] = base + change
            difference = (tensors[f"{name}.model{i}"] - base).abs().flatten()
            assert difference.unique().numel() == difference.numel() and difference.min() > 0
    return tensors


def call(tensors, shape, case):
    method, models, base, parameters = case
    group = [tensors[f"{shape}.model{i}"].clone() for i in range(models)]
    if base:
        group.insert(0, tensors[f"{shape}.base"].clone())
    parameters = {
        key: value[:models] if isinstance(value, list) else value for key, value in parameters.items()
    }
    group = TensorGroup.from_tensors(group, base_index=0 if base else None)
    (out,) = registry.get(method)([group], parameters=parameters)
    return out.contiguous()


def listed(cases):
    return [
        {"name": name, "method": method, "models": models, "base": base, "parameters": parameters}
        for name, (method, models, base, parameters) in cases.items()
    ]


def main():
    torch.set_num_threads(1)
    tensors = inputs()
    golden = dict(tensors)
    random = listed(RANDOM)
    for shape in SHAPES:
        for name, case in CASES.items():
            golden[f"{shape}.{name}"] = call(tensors, shape, case).clone()
    for listing, (name, case) in zip(random, RANDOM.items()):
        listing["changed"] = {}
        for shape in ["vector", "matrix", "cube"]:
            torch.manual_seed(7)
            base = tensors[f"{shape}.base"]
            draws = torch.stack([call(tensors, shape, case) for _ in range(DRAWS)]).double()
            golden[f"{shape}.{name}.mean"] = draws.mean(0).float()
            golden[f"{shape}.{name}.std"] = draws.std(0).float()
            listing["changed"][shape] = (draws != base).double().mean().item()
    save_file(golden, HERE / "methods.safetensors")
    names = ["mergekit", "torch", "safetensors"]
    document = {
        "versions": {"python": platform.python_version()}
        | {name: version(name).split("+")[0] for name in names},
        "draws": DRAWS,
        "shapes": SHAPES,
        "cases": listed(CASES),
        "random": random,
    }
    text = json.dumps(document, indent=1)
    (HERE / "methods.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
