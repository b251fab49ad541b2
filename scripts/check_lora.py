#!/usr/bin/env python3
"""Checks that PEFT loads what `bomf lora` writes, and that it is what it should be.

Makes a small random Llama and three adapters of different ranks with PEFT, fuses them with `bomf lora fuse` and compares
logits: of the fused adapter, loaded by PEFT, and of the full weights, loaded by transformers, with those of the model
W + sum_i w_i (W_i - W), where W_i are PEFT's own merged weights. Shows for comparison how far PEFT's
add_weighted_adapter(combination_type="linear") is from it. Then takes the adapter out again with `bomf lora extract`.
Exit status 1 when a difference is above the tolerance.

Usage: python3 scripts/check_lora.py [--binary target/release/bomf]
"""

import argparse
import copy
import os
import subprocess
import sys
import tempfile

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Logits are about 1; two layers of products in float32, in another order.
TOLERANCE = 2e-5
WEIGHTS = [0.5, 0.8, -0.3]
# "linear" can only combine one rank, so the adapters for the comparison share one.
ADAPTERS = [
    dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"]),
    dict(r=8, lora_alpha=8, use_rslora=True, target_modules=["q_proj", "v_proj", "down_proj"]),
    dict(r=4, lora_alpha=6, rank_pattern={"layers.1.self_attn.q_proj": 6}, target_modules=["q_proj", "o_proj"]),
]


def tiny():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    return LlamaForCausalLM(config).eval()


def make_adapter(base, path, seed, **options):
    torch.manual_seed(seed)
    model = get_peft_model(copy.deepcopy(base), LoraConfig(task_type="CAUSAL_LM", **options))
    for _, value in model.named_parameters():
        if value.requires_grad:
            value.data += 0.1 * torch.randn_like(value)
    model.save_pretrained(path)
    return copy.deepcopy(model).merge_and_unload().state_dict()


def logits(model):
    with torch.no_grad():
        return model.eval()(torch.arange(64).reshape(4, 16)).logits


def mixture(base, members, weights):
    model = copy.deepcopy(base)
    state = {
        name: value + sum(w * (m[name] - value) for w, m in zip(weights, members))
        for name, value in base.state_dict().items()
    }
    model.load_state_dict(state)
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", default=os.path.join(ROOT, "target", "release", "bomf"))
    binary = os.path.abspath(parser.parse_args().binary)
    failures = 0

    def check(what, found, expected, tolerance=TOLERANCE):
        nonlocal failures
        worst = (found - expected).abs().max().item()
        verdict = "ok" if worst <= tolerance else "TOO FAR"
        failures += worst > tolerance
        print(f"{what:<46} {worst:.2e}  {verdict}")

    with tempfile.TemporaryDirectory() as folder:

        def path(name):
            return os.path.join(folder, name)

        def bomf(*words):
            subprocess.run([binary, "lora", *words, "--quiet"], check=True, stdout=subprocess.DEVNULL)

        def adapted(name):
            return logits(PeftModel.from_pretrained(copy.deepcopy(base), path(name)))

        base = tiny()
        base.save_pretrained(path("base"))
        names = [path(f"a{i}") for i in range(len(ADAPTERS))]
        members = [make_adapter(base, n, i, **a) for i, (n, a) in enumerate(zip(names, ADAPTERS))]
        expected = logits(mixture(base, members, WEIGHTS))
        print(f"{'greatest effect of the adapters on a logit':<46} {(expected - logits(base)).abs().max():.2e}")
        weights = ",".join(map(str, WEIGHTS))

        bomf("fuse", *names, "--weights", weights, "-o", path("exact"))
        check("one adapter of concatenated rank", adapted("exact"), expected)
        bomf("fuse", *names, "--weights", weights, "--rank", "18", "-o", path("full"))
        check("singular values, full rank", adapted("full"), expected)
        bomf("fuse", *names, "--weights", weights, "--into", path("base"), "-o", path("model"))
        check("full weights", logits(AutoModelForCausalLM.from_pretrained(path("model"))), expected)
        bomf("extract", "--base", path("base"), "--model", path("model"), "--rank", "18", "-o", path("taken"))
        check("taken out of the full weights", adapted("taken"), expected)

        dora = make_adapter(base, path("dora"), 9, r=4, use_dora=True, target_modules=["q_proj", "up_proj"])
        bomf("fuse", names[0], path("dora"), "--weights", "0.4,0.6", "--into", path("base"), "-o", path("with-dora"))
        found = logits(AutoModelForCausalLM.from_pretrained(path("with-dora")))
        check("full weights, one of two with DoRA", found, logits(mixture(base, [members[0], dora], [0.4, 0.6])))

        # Two of one rank, for "linear" takes no others.
        other = make_adapter(base, path("b"), 7, **ADAPTERS[0])
        both = PeftModel.from_pretrained(copy.deepcopy(base), names[0], adapter_name="a")
        both.load_adapter(path("b"), adapter_name="b")
        both.add_weighted_adapter(["a", "b"], [0.5, 0.5], "linear", combination_type="linear")
        both.set_adapter("linear")
        average = logits(mixture(base, [members[0], other], [0.5, 0.5]))
        off = (logits(both) - average).abs().max()
        print(f"{'(PEFT, combination_type=linear, of two)':<46} {off:.2e}")
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main())
