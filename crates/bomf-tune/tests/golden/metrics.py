"""Writes metrics.json: predictions and their metrics by scikit-learn, SciPy and PyTorch.

    python metrics.py

Logits and values are written as the 32-bit floats they are, so that both sides see the same.
Where the library gives NaN (a correlation with a constant) the case is left to named tests.
"""

import json
import pathlib
import warnings

import numpy
import scipy
import sklearn
import torch
from scipy import stats
from sklearn import metrics

warnings.filterwarnings("ignore")
rng = numpy.random.default_rng(0)


def classification(name, labels, logits):
    labels = numpy.asarray(labels)
    logits = numpy.asarray(logits, dtype=numpy.float32)
    predicted = logits.argmax(axis=1)
    classes = logits.shape[1]
    loss = torch.nn.functional.cross_entropy(
        torch.tensor(logits, dtype=torch.float64), torch.tensor(labels)
    )
    one_class = [
        metrics.f1_score(labels == k, predicted == k, zero_division=0) for k in range(classes)
    ]
    return {
        "name": name,
        "classes": classes,
        "labels": labels.tolist(),
        "logits": logits.astype(float).ravel().tolist(),
        "expected": {
            "accuracy": metrics.accuracy_score(labels, predicted),
            "f1_of_class": one_class,
            "f1_macro": metrics.f1_score(labels, predicted, average="macro", zero_division=0),
            "matthews": metrics.matthews_corrcoef(labels, predicted),
            "cross_entropy": loss.item(),
        },
    }


def regression(name, labels, values):
    labels = numpy.asarray(labels, dtype=numpy.float32)
    values = numpy.asarray(values, dtype=numpy.float32)
    x, y = values.astype(float), labels.astype(float)
    return {
        "name": name,
        "labels": y.tolist(),
        "values": x.tolist(),
        "expected": {
            "pearson": stats.pearsonr(x, y).statistic,
            "spearman": stats.spearmanr(x, y).statistic,
            "mse": metrics.mean_squared_error(y, x),
        },
    }


def random_classes(n, classes, signal):
    labels = rng.integers(classes, size=n)
    logits = rng.normal(size=(n, classes))
    logits[numpy.arange(n), labels] += signal
    return labels, logits


noise = rng.normal(size=60)
target = rng.normal(size=60)
cases = {
    "versions": {
        "numpy": numpy.__version__,
        "scikit-learn": sklearn.__version__,
        "scipy": scipy.__version__,
        "torch": torch.__version__,
    },
    "classification": [
        classification("binary", *random_classes(50, 2, 1.0)),
        classification("worse than chance", *random_classes(40, 2, -2.0)),
        classification("five classes", *random_classes(80, 5, 1.5)),
        classification("all right", [0, 1, 1], [[2, 1], [0, 1], [-1, 3]]),
        classification("all of one label", [1, 1, 1], [[2, 1], [0, 1], [-1, 3]]),
        classification("all predicted as one", [0, 1, 1], [[2, 1], [2, 1], [4, 3]]),
        classification("no true positives", [0, 0, 1], [[2, 1], [0, 1], [4, 3]]),
        classification("a class nobody mentions", [0, 1, 0], [[2, 1, 0], [0, 1, 0], [0, 1, 0]]),
        classification("ties go to the first", [0, 1, 2], [[1, 1, 1], [0, 2, 2], [3, 0, 3]]),
        classification("huge logits", [0, 1], [[1e30, -1e30], [1e4, -1e4]]),
    ],
    "regression": [
        regression("correlated", target, target + 0.5 * noise),
        regression("with ties", numpy.round(target), numpy.round(target + noise)),
        regression("against each other", [1, 2, 3, 4], [8, 6, 4, 2]),
        regression("far from zero", 1e6 + target, 1e6 + target + noise),
        regression("two examples", [0, 1], [3, 7]),
    ],
}
path = pathlib.Path(__file__).with_suffix(".json")
path.write_text(json.dumps(cases, indent=1) + "\n")
