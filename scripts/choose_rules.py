#!/usr/bin/env python3
"""Rules that choose one mixture, judged on examples that they did not choose by.

An npz holds W [n, K] (weights of n mixtures: the K members, their mean, random points), Z [n, examples, classes] (their
logits on one split) and y [examples]. The examples are halved at random many times: each rule chooses on one half, the
other half judges. Needs numpy.

Usage: python3 choose_rules.py --metric accuracy mrpc.npz   (or --metric matthews)
"""

import argparse

import numpy as np

SPLITS = 400
RESAMPLES = 60


def accuracy(predicted, labels):
    return (predicted == labels).mean(-1)


def matthews(predicted, labels):
    tp = ((predicted == 1) & (labels == 1)).sum(-1)
    tn = ((predicted == 0) & (labels == 0)).sum(-1)
    fp = ((predicted == 1) & (labels == 0)).sum(-1)
    fn = ((predicted == 0) & (labels == 1)).sum(-1)
    product = (tp + fp) * 1.0 * (tp + fn) * (tn + fp) * (tn + fn)
    return np.where(product > 0, (tp * tn - fp * fn * 1.0) / np.sqrt(np.maximum(product, 1)), 0.0)


def choices(score, loss, error, members):
    """The mixture that each rule takes. `members` come first, their mean next."""
    every = range(len(score))

    def beaten(i):
        no_worse = (score >= score[i]) & (loss <= loss[i])
        return (no_worse & ((score > score[i]) | (loss < loss[i]))).any()

    front = [i for i in every if not beaten(i)]
    best = max(front, key=lambda i: (score[i], -loss[i]))

    def lowest_loss(enough):
        return min((i for i in front if score[i] >= enough), key=lambda i: loss[i])

    enough = score[best] - error(best)
    classical = score[: members + 1].max()
    return {
        "best member": max(range(members), key=lambda i: (score[i], -loss[i])),
        "uniform soup": members,
        "best_metric": best,
        "one standard error": lowest_loss(enough),
        "one_standard_error (and no worse than the classical ones)": lowest_loss(max(enough, classical)),
        "lowest loss": min(front, key=lambda i: loss[i]),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("--metric", choices=["accuracy", "matthews"], required=True)
    arguments = parser.parse_args()
    metric = {"accuracy": accuracy, "matthews": matthews}[arguments.metric]
    data = np.load(arguments.file)
    logits, labels, members = data["Z"], data["y"], data["W"].shape[1]
    predicted = logits.argmax(-1)
    top = logits.max(-1, keepdims=True)
    log_sum = np.log(np.exp(logits - top).sum(-1)) + top[..., 0]
    losses = log_sum - logits[:, np.arange(len(labels)), labels]

    rng = np.random.default_rng(0)
    rows = {}
    for _ in range(SPLITS):
        order = rng.permutation(len(labels))
        own, other = np.split(order, [len(labels) // 2])

        def error(i, own=own):
            draws = (rng.choice(own, len(own)) for _ in range(RESAMPLES))
            return np.std([metric(predicted[i, d], labels[d]) for d in draws])

        score, loss = metric(predicted[:, own], labels[own]), losses[:, own].mean(1)
        for name, i in choices(score, loss, error, members).items():
            judged = metric(predicted[i, other], labels[other]), losses[i, other].mean()
            rows.setdefault(name, []).append((score[i], *judged))
    print(f"| rule | own half {arguments.metric} | other half {arguments.metric} | other half loss |\n|---|---|---|---|")
    for name, values in rows.items():
        print(f"| {name} | {' | '.join(f'{v:.4f}' for v in np.mean(values, 0))} |")


if __name__ == "__main__":
    main()
