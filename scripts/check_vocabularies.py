#!/usr/bin/env python3
"""Merges of models of different vocabularies, on `bomf merge` and on mergekit: whether each token has the same rows.

Three small models of Llama's shape, each with a BPE tokenizer that was trained on other text, so that most tokens have
other numbers and some are known to one model only. Tokens that are added get their numbers in another order, so rows
are compared token by token. The output must load in transformers, encode text that only the second model's tokenizer
knows as one token, and have a row for every token. Prints a Markdown table; exit status 1 if anything differs.

Usage: python3 check_vocabularies.py --bomf target/release/bomf   (with mergekit 0.1.5 and transformers installed)
"""

import argparse
import json
import logging
import os
import pathlib
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
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, AutoTokenizer

sys.path.insert(0, str(pathlib.Path(__file__).parent / "bench"))
import llama  # noqa: E402

TEXTS = {
    "base": "the quick brown fox jumps over the lazy dog and the fox sleeps in the green field near the river " * 20,
    "a": "das schnelle braune tier springt am fluss entlang und schläft auf der grünen wiese bei dem hund " * 20,
    "b": "to be or not to be that is the question whether it is nobler in the mind to suffer the arrows " * 20,
}
#: A special token of each model.
SPECIAL = {"base": ["<s>", "</s>"], "a": ["<s>", "</s>", "<|im_start|>"], "b": ["<s>", "</s>", "<|tool|>"]}

LINEAR = "merge_method: linear\nmodels:\n" + "".join(
    f"  - model: {model}\n    parameters: {{weight: {weight}}}\n" for model, weight in (("base", 0.2), ("a", 0.5), ("b", 0.3))
)
TIES = "merge_method: ties\nbase_model: base\nmodels:\n" + "".join(
    f"  - model: {model}\n    parameters: {{weight: {weight}, density: 0.6}}\n" for model, weight in (("a", 0.5), ("b", 0.7))
)
TASK = TIES.replace("merge_method: ties", "merge_method: task_arithmetic").replace(", density: 0.6", "")
RECIPES = [
    ("linear, union", LINEAR + "tokenizer_source: union\n"),
    ("task arithmetic, base", TASK + "tokenizer_source: base\n"),
    ("linear, tokenizer of b", LINEAR + "tokenizer_source: b\n"),
    ("task arithmetic, union", TASK + "tokenizer_source: union\n"),
    ("linear, rows by token", LINEAR + """\
tokenizer:
  source: union
  tokens:
    <|im_start|>: {source: a, force: true}
    <|tool|>: {source: {kind: model_token, model: base, token: </s>}}
    <|new|>: {source: {kind: model_token, model: b, token_id: 1}}
    <|zero|>: {source: {kind: zero}}
"""),
    ("task arithmetic, padded to 64", TASK + "tokenizer: {source: union, pad_to_multiple_of: 64}\n"),
]

#: Sums of three terms in f32 in another order.
TOLERANCE = 1e-6


def write_model(folder, seed):
    name = folder.name
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330, special_tokens=SPECIAL[name], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator([TEXTS[name]], trainer)
    size = tokenizer.get_vocab_size()
    config = llama.config(64, 2, vocabulary=size) | {"bos_token_id": 0, "eos_token_id": 1}
    llama.write(folder, config, llama.base(config, seed), torch.float32)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def tensors(folder):
    found = {}
    for file in sorted(folder.glob("*.safetensors")):
        found |= load_file(file)
    return found


def compare(ours, theirs):
    """What to print of two merged models, and whether they agree."""
    vocabularies = [AutoTokenizer.from_pretrained(folder).get_vocab() for folder in (ours, theirs)]
    if vocabularies[0].keys() != vocabularies[1].keys():
        return f"other tokens: {sorted(vocabularies[0].keys() ^ vocabularies[1].keys())[:5]}", False
    order = sorted(vocabularies[0])
    pair, most = [tensors(ours), tensors(theirs)], 0.0
    for name in pair[0]:
        a, b = pair[0][name], pair[1][name]
        if a.shape != b.shape:
            return f"{name}: {tuple(a.shape)} and {tuple(b.shape)}", False
        if name in ("model.embed_tokens.weight", "lm_head.weight"):
            count = len(order)
            padding = (a[count:] - b[count:]).abs().max().item() if len(a) > count else 0.0
            a, b = (x[[vocabulary[token] for token in order]] for x, vocabulary in zip((a, b), vocabularies))
            most = max(most, padding)
        most = max(most, (a - b).abs().max().item())
    return f"{len(order)} tokens, {len(pair[0]['lm_head.weight'])} rows, largest difference {most:.1e}", most <= TOLERANCE


def usable(folder):
    """Whether the model loads in transformers with a row for every token."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    rows = model.get_input_embeddings().weight.shape[0]
    ids = tokenizer("the question<|tool|> schläft", return_tensors="pt").input_ids
    assert int(ids.max()) < rows == model.config.vocab_size, (ids, rows)
    assert tokenizer.convert_ids_to_tokens(model.config.eos_token_id) == "</s>"
    assert torch.isfinite(model(ids).logits).all()
    return tokenizer


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bomf", default="target/release/bomf")
    bomf = str(pathlib.Path(parser.parse_args().bomf).resolve())
    logging.disable(logging.WARNING)
    home = os.getcwd()
    failed = False
    print("| recipe | bomf and mergekit |")
    print("|---|---|")
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        os.chdir(work)
        for seed, name in enumerate(TEXTS):
            write_model(work / name, seed)
        for name, text in RECIPES:
            text += "dtype: float32\n"
            (work / "recipe.yaml").write_text(text)
            ours, theirs = work / "ours", work / "theirs"
            shutil.rmtree(theirs, ignore_errors=True)
            command = [bomf, "merge", "recipe.yaml", "-o", "ours", "--overwrite", "--quiet"]
            found = subprocess.run(command, capture_output=True, text=True)
            if found.returncode:
                print(f"| {name} | failed: {found.stderr.strip()} |")
                failed = True
                continue
            config = MergeConfiguration.model_validate(yaml.safe_load(text))
            run_merge(config, str(theirs), MergeOptions(write_model_card=False, quiet=True))
            told, agrees = compare(ours, theirs)
            tokenizer = usable(ours)
            verified = subprocess.run([bomf, "verify", "ours", "--quiet"], capture_output=True)
            agrees &= verified.returncode == 0
            if "union" in text or "tokens:" in text:
                agrees &= len(tokenizer.tokenize("<|tool|>")) == 1
            print(f"| {name} | {told}{'' if agrees else ' **differs**'} |")
            failed |= not agrees
        os.chdir(home)
    sys.exit(failed)


if __name__ == "__main__":
    main()
