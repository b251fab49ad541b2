#!/usr/bin/env python3
"""Checks that a model written by `bomf` gives the same logits in Python transformers.

Loads the folder with AutoTokenizer and AutoModelForSequenceClassification (float32, one row at a time, no padding) and
compares with what `bomf eval --predictions` wrote, or, without `--predictions`, runs it. Exit status 1 when the greatest
absolute difference is above the tolerance.

Usage: python3 scripts/check_transformers.py --model OUT/fused --data DATA_FOLDER --split test --limit 200
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOLERANCE = 1e-4


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, help="the Hugging Face folder to check")
    parser.add_argument("--data", required=True, help="folder with SPLIT.jsonl")
    parser.add_argument("--split", default="test")
    parser.add_argument("--limit", type=int, default=200, help="compare the first N rows")
    parser.add_argument("--predictions", help="rows {\"index\", \"logits\"} that `bomf eval` wrote; run it if missing")
    parser.add_argument("--binary", default=os.path.join(ROOT, "target", "release", "bomf"))
    parser.add_argument("--text-column", default="text")
    parser.add_argument("--pair-column", default="text_pair")
    parser.add_argument("--max-length", type=int, default=128, help="truncation; as in the recipe of the run")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def rows(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def main():
    args = arguments()
    predictions = args.predictions
    with tempfile.TemporaryDirectory() as scratch:
        if predictions is None:
            predictions = os.path.join(scratch, "predictions.jsonl")
            command = [args.binary, "eval", "--model", args.model, "--data", args.data, "--split", args.split,
                       "--predictions", predictions]
            done = subprocess.run(command, stdout=sys.stderr)
            if done.returncode:
                sys.exit(f"error: exit status {done.returncode} from: {' '.join(command)}")
        ours = {row["index"]: row["logits"] for row in rows(predictions)}

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(args.threads)
    tokenizer = transformers.AutoTokenizer.from_pretrained(args.model)
    model, info = transformers.AutoModelForSequenceClassification.from_pretrained(
        args.model, dtype=torch.float32, output_loading_info=True
    )
    model.eval()
    missing = sorted(info["missing_keys"])
    unexpected = sorted(info["unexpected_keys"])
    if missing or unexpected:
        print(f"error: transformers misses {missing} and does not expect {unexpected} in {args.model}", file=sys.stderr)
        return 1

    data = rows(os.path.join(args.data, f"{args.split}.jsonl"))[:args.limit]
    worst, worst_at, agree = 0.0, None, 0
    with torch.inference_mode():
        for i, row in enumerate(data):
            if i not in ours:
                print(f"error: no prediction for row {i} of {args.split}.jsonl", file=sys.stderr)
                return 1
            pair = row.get(args.pair_column)
            inputs = tokenizer(
                row[args.text_column], pair, truncation=True, max_length=args.max_length, return_tensors="pt"
            )
            theirs = model(**inputs).logits[0]
            mine = torch.tensor(ours[i])
            if mine.shape != theirs.shape:
                print(f"error: row {i} has {len(ours[i])} logits here and {len(theirs)} in transformers", file=sys.stderr)
                return 1
            difference = (theirs - mine).abs().max().nan_to_num(nan=float("inf")).item()
            agree += int(theirs.argmax() == mine.argmax())
            if worst_at is None or difference > worst:
                worst, worst_at = difference, i
    ok = worst_at is not None and worst <= args.tolerance
    print(json.dumps({
        "rows": len(data), "max_abs_difference": worst, "at_row": worst_at, "tolerance": args.tolerance,
        "same_prediction": agree, "ok": ok,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
