#!/usr/bin/env python3
"""The same recipes on `bomf merge` and on mergekit: whether the tensors are the same.

Each recipe below runs on both programs, on small checkpoints of Llama's shape with bf16 and f32 weights. For methods
without chance, every element must be the same within one rounding step of the output type (the distance of two
neighbouring numbers of that type at the element's magnitude, counted on their bits). Methods that draw at random draw
differently; there, the share of elements that the merge left at the base and the mean change must agree, within five
standard errors of independent draws. Prints a Markdown table; exit status 1 if anything differs.

Usage: python3 check_mergekit.py --bomf target/release/bomf   (with mergekit 0.1.5 installed)
"""

import argparse
import math
import logging
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import torch
import yaml
from mergekit.config import MergeConfiguration
from mergekit.merge import run_merge
from mergekit.options import MergeOptions
from safetensors.torch import load_file

sys.path.insert(0, str(pathlib.Path(__file__).parent / "bench"))
import llama  # noqa: E402

WEIGHTS = "weight: 0.3", "weight: 0.5", "weight: 0.4"
DENSITIES = "weight: 0.3, density: 0.5", "weight: 0.5, density: 0.4", "weight: 0.4, density: 0.7"


def of_models(method, parameters, top="", base=True, models=("a", "b", "c")):
    lines = [f"merge_method: {method}"] + (["base_model: base"] if base else []) + ["models:"]
    for model, own in zip(models, parameters):
        lines += [f"  - model: {model}"] + ([f"    parameters: {{{own}}}"] if own else [])
    return "\n".join(lines + ([top] if top else [])) + "\n"


NONE = ("", "", "")
#: Name, recipe, whether it draws at random.
RECIPES = [
    ("linear", of_models("linear", WEIGHTS, base=False), False),
    ("linear, not normalised", of_models("linear", WEIGHTS, "parameters: {normalize: false}", base=False), False),
    ("linear, gradient", of_models("linear", ("weight: [0, 1]", "weight: [1, 0.2, 0.5]", "weight: 0.4"), base=False), False),
    ("linear, filters", of_models("linear", (
        "weight: [{filter: mlp, value: [0.1, 0.9]}, {filter: self_attn, value: 0.7}, {value: 0.2}]",
        "weight: 0.5", "weight: 0.4"), base=False), False),
    ("linear with a base", of_models("linear", WEIGHTS, "parameters: {weight: 0.2}"), False),
    ("slerp", of_models("slerp", ("",), "parameters: {t: 0.3}", models=("a",)), False),
    ("slerp, gradient and filters", of_models("slerp", ("",),
        "parameters: {t: [{filter: self_attn, value: [0, 0.5, 0.3, 0.7, 1]}, {filter: mlp, value: [1, 0.5, 0]}, {value: 0.5}]}",
        models=("a",)), False),
    ("nuslerp", of_models("nuslerp", WEIGHTS[:2], base=False, models=("a", "b")), False),
    ("multislerp", of_models("multislerp", WEIGHTS, base=False), False),
    ("karcher", of_models("karcher", NONE, base=False), False),
    ("task_arithmetic", of_models("task_arithmetic", WEIGHTS), False),
    ("task_arithmetic, lambda", of_models("task_arithmetic", WEIGHTS, "parameters: {lambda: 0.7, normalize: true}"), False),
    ("ties", of_models("ties", DENSITIES), False),
    ("ties, not normalised", of_models("ties", DENSITIES, "parameters: {normalize: false}"), False),
    ("breadcrumbs", of_models("breadcrumbs", DENSITIES, "parameters: {gamma: 0.02}"), False),
    ("breadcrumbs_ties", of_models("breadcrumbs_ties", DENSITIES), False),
    ("dare_linear", of_models("dare_linear", DENSITIES), True),
    ("dare_ties", of_models("dare_ties", DENSITIES), True),
    ("della", of_models("della", DENSITIES, "parameters: {epsilon: 0.1}"), True),
    ("della_linear", of_models("della_linear", DENSITIES, "parameters: {epsilon: 0.1}"), True),
    ("sce", of_models("sce", NONE, "parameters: {select_topk: 0.3}"), False),
    ("model_stock", of_models("model_stock", NONE), False),
    ("nearswap", of_models("nearswap", ("",), "parameters: {t: 0.001}", models=("a",)), False),
    ("arcee_fusion", of_models("arcee_fusion", ("",), models=("a",)), False),
    ("ram", of_models("ram", NONE), False),
    ("passthrough of slices", """\
merge_method: passthrough
slices:
  - sources: [{model: a, layer_range: [0, 3]}]
  - sources: [{model: b, layer_range: [1, 4], parameters: {scale: 0.5}}]
""", False),
    ("slerp of slices", """\
merge_method: slerp
base_model: base
slices:
  - sources: [{model: base, layer_range: [0, 2]}, {model: a, layer_range: [1, 3]}]
    parameters: {t: [0.1, 0.9]}
  - sources: [{model: base, layer_range: [2, 4]}, {model: a, layer_range: [2, 4]}]
parameters: {t: 0.4}
""", False),
    ("linear to f32", of_models("linear", WEIGHTS, "dtype: float32", base=False), False),
    ("linear of f32, rounded to bf16 before", of_models("linear", WEIGHTS, "dtype: bfloat16", base=False), False),
    ("linear to f16", of_models("linear", WEIGHTS, "dtype: float32\nout_dtype: float16", base=False), False),
    ("ties in f32 to bf16", of_models("ties", DENSITIES, "dtype: float32\nout_dtype: bfloat16"), False),
]

#: Sums of a few terms in f32, in either order and with or without fused multiply-add, are this many steps apart.
ARITHMETIC = 4

#: mergekit sums up norms and products in f32, which bomf does in f64: results that hang on them are this many steps
#: apart at most.
REDUCTIONS = {"slerp": 4, "nuslerp": 4, "multislerp": 4, "karcher": 4}

#: Differences of bf16 numbers have few magnitudes. Of those equal to the least that is kept, some are kept and some
#: not, and which is not said: this share of elements at most.
TIES = {"ties": 0.02, "breadcrumbs": 0.02, "breadcrumbs_ties": 0.02, "sce": 0.02}

#: The types of the inputs that every recipe runs on.
DTYPES = {"bf16": torch.bfloat16, "f32": torch.float32}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bomf", default="target/release/bomf")
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--only", default="", help="recipes whose names hold this")
    parser.add_argument("--dtypes", default="bf16,f32")
    return parser.parse_args()


def spacing(x, dtype):
    """The distance of neighbouring numbers of a type at the magnitude of each element."""
    digits = {torch.float32: 23, torch.bfloat16: 7, torch.float16: 10}[dtype]
    exponent = torch.frexp(x.abs()).exponent - 1
    least = torch.finfo(dtype).smallest_normal
    return torch.ldexp(torch.ones_like(x), torch.clamp(exponent, min=int(math.log2(least))) - digits)


def steps(ours, theirs, greatest):
    """How many rounding steps two results are apart: a step is the spacing of the output's type at the result's
    magnitude, or, where terms cancel, that of ARITHMETIC sums in f32 at the inputs' magnitude."""
    a, b = ours.double(), theirs.double()
    output = spacing(torch.maximum(a.abs(), b.abs()), ours.dtype)
    return (a - b).abs() / torch.maximum(output, ARITHMETIC * spacing(greatest, torch.float32))


def compare(ours, theirs, inputs, is_random, bound, ties):
    """What to print of two merges, and whether they agree: within `bound` steps but for a share of `ties`."""
    if ours.keys() != theirs.keys():
        return f"other tensors: {sorted(ours.keys() ^ theirs.keys())[:3]}", False
    for name in ours:
        if ours[name].dtype != theirs[name].dtype or ours[name].shape != theirs[name].shape:
            return f"{name}: {ours[name].dtype} {tuple(ours[name].shape)}, {theirs[name].dtype}", False
    base = inputs[0]
    if not is_random:
        most, apart, beyond, elements = 0.0, 0, 0, 0
        for name in ours:
            alike = [tensors[name].double().abs() for tensors in inputs if name in tensors]
            greatest = torch.stack(alike).amax(0) if alike else ours[name].double().abs()
            found = steps(ours[name], theirs[name], greatest)
            most = max(most, float(found.max()))
            apart += int((ours[name] != theirs[name]).sum())
            beyond += int((found > bound).sum())
            elements += found.numel()
        if not apart:
            return "the same bits", True
        text = f"{100 * (1 - apart / elements):.2f} % the same bits, the rest within {most:.2g} steps"
        if beyond:
            text += f" ({100 * beyond / elements:.2f} % beyond {bound})"
        return text, beyond <= ties * elements
    kept, change, square, elements = [0, 0], [0.0, 0.0], [0.0, 0.0], 0
    for name in ours:
        elements += ours[name].numel()
        for i, merged in enumerate((ours[name], theirs[name])):
            moved = merged.double() - base[name].double()
            kept[i] += int((moved == 0).sum())
            change[i] += float((moved * torch.sign(ours[name].double() + theirs[name].double() - 2 * base[name].double())).sum())
            square[i] += float((moved * moved).sum())
    shares = [k / elements for k in kept]
    share_error = math.sqrt(sum(s * (1 - s) for s in shares) / elements) + 1e-9
    energy = square[0] / square[1] - 1
    # Squares of normal numbers have relative variance 2; masks make it up to a few times that.
    energy_error = math.sqrt(2 * 6 / elements)
    agrees = abs(shares[0] - shares[1]) <= 5 * share_error and abs(energy) <= 5 * energy_error
    return (f"at the base {100 * shares[0]:.2f} % and {100 * shares[1]:.2f} %, "
            f"sum of squares {100 * energy:+.2f} %"), agrees


def ours(bomf, folder):
    """bomf's tensors."""
    command = [bomf, "merge", "recipe.yaml", "-o", "ours", "--overwrite", "--no-hash", "--quiet"]
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if found.returncode:
        raise RuntimeError(found.stderr.strip())
    return merged(folder / "ours")


def theirs(text, folder):
    """mergekit's tensors."""
    config = MergeConfiguration.model_validate(yaml.safe_load(text))
    out = folder / "theirs"
    options = MergeOptions(copy_tokenizer=False, write_model_card=False, random_seed=1, quiet=True)
    run_merge(config, str(out), options)
    tensors = {name: value.clone() for name, value in merged(out).items()}
    shutil.rmtree(out)
    return tensors


def merged(folder):
    tensors = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= load_file(file)
    return tensors


def main():
    options = arguments()
    logging.disable(logging.WARNING)
    bomf = str(pathlib.Path(options.bomf).resolve())
    config = llama.config(options.hidden, options.layers, vocabulary=512)
    failed = False
    print("| recipe | inputs | bomf and mergekit |")
    print("|---|---|---|")
    with tempfile.TemporaryDirectory() as work:
        for dtype in options.dtypes.split(","):
            # mergekit keeps models open by their paths: each type has its own.
            folder = pathlib.Path(work) / dtype
            weights = llama.base(config, 0)
            llama.write(folder / "base", config, weights, DTYPES[dtype])
            for i, name in enumerate("abc"):
                llama.write(folder / name, config, llama.tuned(weights, i + 1), DTYPES[dtype])
            for name, text, is_random in RECIPES:
                if options.only not in name:
                    continue
                if dtype != "f32" and "dtype:" not in text:
                    # Without this, mergekit computes in bf16, and rounds every intermediate result.
                    text += "dtype: float32\nout_dtype: bfloat16\n"
                for model in ("base", "a", "b", "c"):
                    text = re.sub(rf"(model: ){model}\b", rf"\g<1>{folder / model}", text)
                (folder / "recipe.yaml").write_text(text)
                try:
                    pair = ours(bomf, folder), theirs(text, folder)
                    inputs = [merged(folder / model) for model in ("base", "a", "b", "c")]
                    method = yaml.safe_load(text)["merge_method"]
                    ties = TIES.get(method, 0) if dtype == "bf16" else 0
                    found, agrees = compare(*pair, inputs, is_random, REDUCTIONS.get(method, 1), ties)
                except Exception as error:
                    found, agrees = f"failed: {str(error).splitlines()[0]}", False
                failed |= not agrees
                print(f"| {name} | {dtype} | {found}{'' if agrees else ' **differs**'} |", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
