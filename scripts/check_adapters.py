#!/usr/bin/env python3
"""Checks that PEFT loads the adapters of a run with `finetune.lora`, and that they are its members.

For each folder in `adapters/` of the run's output: the base model with the adapter, loaded by PEFT, and the member of the
same step, loaded by transformers, must give the same outputs on random tokens. Exit status 1 when a difference is above
the tolerance.

Usage: python3 scripts/check_adapters.py RUN_FOLDER BASE_MODEL
"""

import argparse
import pathlib
import sys

import torch
import transformers
from peft import PeftModel

# Two ways to round W + s B A, through a few layers, on outputs of about one.
TOLERANCE = 2e-5


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=pathlib.Path, help="output folder of bomf run")
    parser.add_argument("base", help="the model that was tuned")
    args = parser.parse_args()
    transformers.utils.logging.set_verbosity_error()
    torch.manual_seed(0)
    worst = 0.0
    for adapter in sorted((args.run / "adapters").iterdir()):
        member = args.run / "members" / adapter.name
        config = transformers.AutoConfig.from_pretrained(member)
        is_lm = config.architectures[0].endswith(("CausalLM", "LMHeadModel"))
        kind = transformers.AutoModelForCausalLM if is_lm else transformers.AutoModelForSequenceClassification
        options = {} if is_lm else {"num_labels": config.num_labels}
        full = kind.from_pretrained(member, dtype=torch.float32).eval()
        base = kind.from_pretrained(args.base, dtype=torch.float32, ignore_mismatched_sizes=True, **options)
        tuned = PeftModel.from_pretrained(base, adapter).eval()
        ids = torch.randint(5, config.vocab_size, (1, 24))
        with torch.no_grad():
            difference = (full(input_ids=ids).logits - tuned(input_ids=ids).logits).abs().max().item()
        print(f"{adapter.name}: {difference:.2e}")
        worst = max(worst, difference)
    if worst > TOLERANCE:
        sys.exit(f"error: a difference of {worst:.2e}, above {TOLERANCE:.0e}")


if __name__ == "__main__":
    main()
