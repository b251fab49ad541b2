"""Hyperparameters by training a lighter model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._evaluation import Directions, Evaluation, Objectives, Point
from ._html import table
from ._minimize import Minimum, minimize
from ._optimizer import Optimizer
from ._progress import Progress
from ._space import Parameter
from .errors import ArgumentError

__all__ = ["Tuned", "freeze_lower_layers", "tune"]


@dataclass
class Tuned:
    """What :func:`tune` found.

    Attributes:
        best: the best hyperparameters; of several objectives the knee of the front. ``None`` if
            every training failed.
        y: what they gave, shape ``[m]``.
        front: the trainings that no other dominates.
        trials: all of them, in order.
        optimizer: the search, which can go on.
    """

    best: Point | None
    y: npt.NDArray[np.float64] | None
    front: list[Evaluation]
    trials: list[Evaluation]
    optimizer: Optimizer

    def _repr_html_(self) -> str:
        space = self.optimizer._space
        names = [p.name for p in space.parameters]
        rows = []
        for trial in self.trials:
            y = ["failed"] * len(self.optimizer.names) if trial.y is None else list(trial.y)
            rows.append([trial.x.get(name, "") for name in names] + y)
        marked = [i for i, t in enumerate(self.trials) if t.x is self.best]
        title = f"{len(self.trials)} trainings"
        return table(title, names + self.optimizer.names, rows, marked)


def tune(
    train_fn: Callable[..., Objectives | None],
    space: Parameter | Iterable[Parameter],
    budget: int = 10,
    *,
    light: Any = None,
    directions: Directions = "minimize",
    seed: int = 0,
    n_initial: int | None = None,
    catch: tuple[type[Exception], ...] = (),
    callback: Callable[[Evaluation], bool | None] | None = None,
    progress: Progress = None,
) -> Tuned:
    """Searches hyperparameters by training with them, on a lighter model if you have one.

    The best hyperparameters of a model whose lower layers are frozen, or that trains adapters,
    are near those of the whole model (Jang et al. 2024, stage 1), at a fraction of the cost:
    see :func:`freeze_lower_layers`.

    Args:
        train_fn: trains with a point of the space and returns its objectives on the select split
            (``None`` or a NaN: training failed). With ``light`` it is called as
            ``train_fn(point, light)``.
        space: the hyperparameters.
        budget: trainings to make.
        light: what makes the model light, handed on as it is: a share of layers to freeze, a PEFT
            configuration, a function, …
        directions: as of :class:`Optimizer`.
        seed, n_initial: as of :class:`Optimizer`.
        catch, callback: as of :func:`minimize`.
        progress: whether a bar is drawn.

    >>> import bomf
    >>> def train(point, light):
    ...     return (point["lr"] / 3e-5 - 1) ** 2 + light
    >>> found = bomf.tune(train, [bomf.Float("lr", 1e-6, 1e-3, log=True)], 12, light=0.5)
    >>> 2e-5 < found.best["lr"] < 4.5e-5
    True
    """

    def f(point: Point) -> Objectives | None:
        return train_fn(point) if light is None else train_fn(point, light)

    found: Minimum = minimize(
        f,
        space,
        budget,
        directions=directions,
        seed=seed,
        n_initial=n_initial,
        catch=catch,
        callback=callback,
        progress=progress,  # type: ignore[arg-type]
    )
    return Tuned(found.x, found.y, found.front, found.evaluations, found.optimizer)


def freeze_lower_layers(model: Any, share: float = 0.5) -> int:
    """Freezes the embeddings and the lower ``share`` of a transformer's layers, in place; returns
    how many layers that are. At least the last layer stays trainable: a model with every layer
    frozen is no proxy.

    Args:
        model: a model of transformers, whose layers have a number in their names.
        share: of the layers, rounded down.

    Raises:
        ArgumentError: no layers are found in the names.

    .. code-block:: python

        model = AutoModelForSequenceClassification.from_pretrained("model")
        bomf.freeze_lower_layers(model, 0.5)       # 6 of BERT's 12, and the embeddings
    """
    import re

    if not 0 <= share <= 1:
        raise ArgumentError(f"share is {share}, but 0 to 1 is needed")
    number = re.compile(r"(?:^|\.)(?:layers?|h|blocks?)\.(\d+)\.")
    places = [(number.search(name), name, p) for name, p in model.named_parameters()]
    found = [int(m.group(1)) for m, _, _ in places if m]
    if not found:
        raise ArgumentError("no layers are found in the names of the model's parameters")
    layers = max(found) + 1
    frozen = min(int(layers * share), layers - 1)
    first = next(i for i, (m, _, _) in enumerate(places) if m)
    for i, (match, _, parameter) in enumerate(places):
        is_below = i < first if match is None else int(match.group(1)) < frozen
        if is_below and frozen:
            parameter.requires_grad_(False)
    return frozen
