#!/usr/bin/env python3
"""Rules that choose one mixture, judged on examples that they did not choose by.

An npz holds W [n, K] (weights of n mixtures, the K members first), Z [n, examples, classes] (their logits on one split),
y [examples] and optionally classical [n] (which of them the classical methods evaluated; without it the members and the
mixture after them). The examples are parted at random many times: each rule chooses on `--own` of them, the others judge.
An average of mixtures is stood in for by the average of their logits. Needs numpy.

Usage: python3 choose_rules.py --metric accuracy mrpc.npz   (or --metric matthews)
"""

import argparse

import numpy as np

SPLITS = 200
RESAMPLES = 200
SHARES = [1.0, 0.75, 0.5, 0.25]


def accuracy(predicted, labels, counts):
    """Of predictions [n, examples], with each example drawn so often: counts [draws, examples]."""
    return (predicted == labels).astype(float) @ counts.T / counts.sum(1)


def matthews(predicted, labels, counts):
    tp, tn, fp, fn = (
        ((predicted == said) & (labels == true)).astype(float) @ counts.T
        for said, true in [(1, 1), (0, 0), (1, 0), (0, 1)]
    )
    product = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return np.where(product > 0, (tp * tn - fp * fn) / np.sqrt(np.maximum(product, 1)), 0.0)


def cross_entropies(logits, labels):
    top = logits.max(-1, keepdims=True)
    log_sum = np.log(np.exp(logits - top).sum(-1)) + top[..., 0]
    return log_sum - logits[..., np.arange(len(labels)), labels]


class Split:
    """Mixtures on some of the examples."""

    def __init__(self, logits, labels, metric):
        self.logits, self.labels, self.metric = logits, labels, metric
        self.losses = cross_entropies(logits, labels)
        once = np.ones((1, len(labels)))
        self.score = metric(logits.argmax(-1), labels, once)[:, 0]
        self.loss = self.losses.mean(1)

    def of(self, logits):
        """The score and the loss of other logits."""
        once = np.ones((1, len(self.labels)))
        return self.metric(logits[None].argmax(-1), self.labels, once)[0, 0], cross_entropies(logits, self.labels).mean()


def choices(own, every, members, classical, rng):
    """What each rule takes, as logits on all examples (`every`)."""
    n, examples = own.losses.shape

    def beaten(i):
        no_worse = (own.score >= own.score[i]) & (own.loss <= own.loss[i])
        return (no_worse & ((own.score > own.score[i]) | (own.loss < own.loss[i]))).any()

    front = [i for i in range(n) if not beaten(i)]

    def highest(among):
        return max(among, key=lambda i: (own.score[i], -own.loss[i]))

    counts = rng.multinomial(examples, np.full(examples, 1 / examples), size=RESAMPLES).astype(float)
    scores = own.metric(own.logits.argmax(-1), own.labels, counts)
    losses = own.losses @ counts.T / examples
    best = highest(front)
    error = scores[best].std()
    floor = own.score[classical].max()

    def lowest_loss(enough):
        return min((i for i in front if own.score[i] >= enough), key=lambda i: own.loss[i])

    picks = [np.where(s >= s.max() - error, l, np.inf).argmin() for s, l in zip(scores.T, losses.T)]
    bag = every[picks].mean(0)
    end = lowest_loss(max(own.score[best] - error, floor))
    taken = every[end]
    for share in SHARES:
        blend = share * bag + (1 - share) * every[end]
        if own.of(blend[own.places])[0] >= floor:
            taken = blend
            break
    return {
        "best member": every[highest(range(members))],
        "best of the classical": every[highest(classical)],
        "`best_metric`": every[best],
        "one standard error": every[lowest_loss(own.score[best] - error)],
        "`one_standard_error`: and no worse than the classical ones": every[end],
        "lowest loss": every[lowest_loss(-np.inf)],
        "average over resamples": bag,
        "`bagged`: and no worse than the classical ones": taken,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+")
    parser.add_argument("--metric", choices=["accuracy", "matthews"], required=True)
    parser.add_argument("--own", type=int, help="examples to choose by [default: half]")
    arguments = parser.parse_args()
    metric = {"accuracy": accuracy, "matthews": matthews}[arguments.metric]
    means = []
    for path in arguments.files:
        data = np.load(path)
        logits, labels, members = data["Z"], data["y"], data["W"].shape[1]
        classical = np.flatnonzero(data["classical"]) if "classical" in data else np.arange(members + 1)
        rng = np.random.default_rng(0)
        rows = {}
        for _ in range(SPLITS):
            order = rng.permutation(len(labels))
            places, others = np.split(order, [arguments.own or len(labels) // 2])
            own = Split(logits[:, places], labels[places], metric)
            own.places = places
            other = Split(logits[:, others], labels[others], metric)
            for name, taken in choices(own, logits, members, classical, rng).items():
                rows.setdefault(name, []).append((*own.of(taken[places]), *other.of(taken[others])))
        means.append({name: np.mean(values, 0) for name, values in rows.items()})
    print(f"| rule | {arguments.metric}: own, other examples | loss: own, other examples |\n|---|---|---|")
    for name in means[0]:
        score, loss, other_score, other_loss = np.mean([mean[name] for mean in means], 0)
        print(f"| {name} | {score:.4f}, {other_score:.4f} | {loss:.4f}, {other_loss:.4f} |")


if __name__ == "__main__":
    main()
