#!/usr/bin/env python3
"""Writes tags.json: sequences of tags, and seqeval's entities and scores of them.

    python tags.py          # seqeval 1.2.2

Random sequences over several schemes, broken ones among them; scores are micro averages with
`zero_division=0`, in seqeval's default mode.
"""

import json
import pathlib

import numpy
from seqeval.metrics import accuracy_score, f1_score, precision_score, recall_score
from seqeval.metrics.sequence_labeling import get_entities

rng = numpy.random.default_rng(11)
SCHEMES = {
    "iob2": ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"],
    "iobes": ["O", "B-PER", "I-PER", "E-PER", "S-PER", "B-LOC", "I-LOC", "E-LOC", "S-LOC"],
    "io": ["O", "I-PER", "I-LOC"],
    "bare": ["O", "B", "I"],
}


def case(name, names, examples):
    lengths = rng.integers(1, 9, size=examples)
    draw = lambda: [rng.integers(0, len(names), size=n) for n in lengths]
    actual = draw()
    # Half of the tags are right, so that whole entities are.
    predicted = [numpy.where(rng.random(len(a)) < 0.6, a, p) for a, p in zip(actual, draw())]
    named = lambda rows: [[names[i] for i in row] for row in rows]
    a, p = named(actual), named(predicted)
    entities = [[[kind, int(start), int(end) + 1] for kind, start, end in get_entities(row)] for row in a]
    return {
        "name": name,
        "names": names,
        "actual": [row.tolist() for row in actual],
        "predicted": [row.tolist() for row in predicted],
        "entities": entities,
        "precision": float(precision_score(a, p, zero_division=0)),
        "recall": float(recall_score(a, p, zero_division=0)),
        "f1": float(f1_score(a, p, zero_division=0)),
        "accuracy": float(accuracy_score(a, p)),
    }


def main():
    cases = [case(f"{name} {n}", names, n) for name, names in SCHEMES.items() for n in (1, 5, 40)]
    out = pathlib.Path(__file__).with_name("tags.json")
    lines = ",\n".join(json.dumps(c) for c in cases)
    out.write_text("[\n" + lines + "\n]\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
