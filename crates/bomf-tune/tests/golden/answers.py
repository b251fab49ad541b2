#!/usr/bin/env python3
"""Writes answers.json: answers read off random scores, and what they are worth.

    python answers.py evaluate-v2.0.py utils_qa.py

The first file is SQuAD's official evaluation script (rajpurkar.github.io/SQuAD-explorer), the
second transformers' (examples/pytorch/question-answering/utils_qa.py); neither is kept here.
`texts` are predictions with right answers and SQuAD's exact match and F1 of them. `cases` are
windows over texts with float32 scores: `offsets` in characters (of ASCII, so in bytes too) of
the text's tokens, the first of which has the place `first`; `start` and `end` of all tokens;
and the answer that transformers gives, with and without the choice of giving none.
"""

import importlib.util
import json
import pathlib
import sys

import numpy

rng = numpy.random.default_rng(7)
WORDS = "the river Rhine rises in an alpine valley and it ends by a sea . in 1969 , Basel flooded".split()

TEXTS = [
    (["Denver Broncos", "The Denver Broncos"], "the denver broncos!"),
    (["Denver Broncos"], "Broncos of Denver"),
    (["a"], "the"),
    (["a"], ""),
    (["a cat", ""], "cat"),
    ([], ""),
    ([], "something"),
    ([], "the"),
    (["42", "forty-two"], "forty two"),
    (["forty-two"], "FORTYTWO"),
    (["U.S."], "us"),
    (["É cole"], "é  cole"),
    (["Straße"], "STRASSE"),
    (["the theatre"], "theatre the"),
    (["one one two"], "one two two"),
    (["a\u2013b"], "\u2013b"),
    (["x\u001cy"], "x y"),
    (["x\u00a0y"], "x y"),
    (["\u0130stanbul"], "istanbul"),
    (["an_apple"], "anapple"),
    (["\u201cquoted\u201d"], "quoted"),
    (["$5 million"], "5 million"),
    (["a.m."], "am"),
]


def load(path):
    spec = importlib.util.spec_from_file_location(pathlib.Path(path).stem.replace("-", "_").replace(".", "_"), path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Examples(list):
    """Examples that give a column by name, as those of `datasets` do."""

    def __getitem__(self, key):
        if key == "rows":
            return list(self)
        return [row[key] for row in self] if isinstance(key, str) else super().__getitem__(key)


def case(number, squad, qa):
    words = [str(w) for w in rng.choice(WORDS, size=int(rng.integers(3, 40)))]
    places, text = [], ""
    for word in words:
        text += " " if text else ""
        places.append((len(text), len(text) + len(word)))
        text += word
    first = int(rng.integers(2, 6))
    length, stride = int(rng.integers(8, 16)), 3
    windows, begin = [], 0
    while True:
        own = places[begin : begin + length]
        tokens = first + len(own) + 1
        scores = rng.normal(scale=2.0, size=(2, tokens)).astype(numpy.float32)
        windows.append({"first": first, "tokens": tokens, "offsets": own,
                        "start": scores[0].tolist(), "end": scores[1].tolist()})
        if begin + length >= len(places):
            break
        begin += length - stride
    kind = number % 3
    at = int(rng.integers(0, len(words)))
    to = min(len(words), at + int(rng.integers(1, 4))) - 1
    answers = [] if kind == 0 else [text[places[at][0] : places[to][1]]]
    rules = {"n_best_size": [20, 5, 2][number % 3], "max_answer_length": [30, 4][number % 2],
             "null_score_diff_threshold": [0.0, 1.5, -2.0][number % 3]}
    features = [{"example_id": "x", "offset_mapping": [None] * first + w["offsets"] + [None]} for w in windows]
    scores = ([numpy.float32(w["start"]) for w in windows], [numpy.float32(w["end"]) for w in windows])
    given = {}
    for name, may_be_none in [("with_none", True), ("always", False)]:
        found = qa.postprocess_qa_predictions(Examples([{"id": "x", "context": text}]), features, scores,
                                              version_2_with_negative=may_be_none, **rules)["x"]
        exact, f1 = worth(squad, answers, found)
        given[name] = {"text": found, "exact": exact, "f1": f1}
    return {"context": text, "answers": answers, "windows": windows, "rules": rules, **given}


def worth(squad, answers, prediction):
    data = [{"paragraphs": [{"qas": [{"id": "x", "answers": [{"text": a} for a in answers]}]}]}]
    exact, f1 = squad.get_raw_scores(data, {"x": prediction})
    return exact["x"], f1["x"]


def main():
    squad, qa = load(sys.argv[1]), load(sys.argv[2])
    texts = []
    for answers, prediction in TEXTS:
        exact, f1 = worth(squad, answers, prediction)
        texts.append({"answers": answers, "prediction": prediction, "exact": exact, "f1": f1})
    cases = [case(number, squad, qa) for number in range(60)]
    # transformers writes "empty" where a window has no answer that may be given.
    cases = [c for c in cases if c["with_none"]["text"] != "empty" and c["always"]["text"] != "empty"]
    out = pathlib.Path(__file__).with_name("answers.json")
    lines = ",\n".join(json.dumps(c) for c in cases)
    head = ",\n".join(json.dumps(t) for t in texts)
    out.write_text('{"texts": [\n' + head + '\n],\n"cases": [\n' + lines + "\n]}\n", encoding="utf-8", newline="\n")
    print(len(texts), "texts,", len(cases), "cases")


if __name__ == "__main__":
    main()
