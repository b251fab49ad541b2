"""Where two checkpoints differ."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from . import _bomf
from ._paths import PathLike
from ._progress import Bar, Progress
from ._records import of_json

__all__ = ["Diff", "LayerDiff", "TensorDiff", "diff"]


@dataclass
class TensorDiff:
    """How far a tensor b is from a: names, types, and, of floats, norms and the cosine."""

    name: str
    shape: list[int]
    dtypes: list[str]
    is_same: bool
    norm_a: float | None = None
    norm_b: float | None = None
    norm: float | None = None
    relative: float | None = None
    cosine: float | None = None
    max_abs: float | None = None
    different: int | None = None


@dataclass
class LayerDiff:
    """How far a layer is from its counterpart; no name: the tensors of no layer."""

    name: str
    tensors: int
    norm: float
    relative: float | None
    cosine: float | None


@dataclass
class Diff:
    """Where two checkpoints differ.

    Attributes:
        is_same: whether both have the same tensors with the same bytes.
        tensors: those that both have, by name.
        layers: the layers in their order.
        only_in_a: tensors that only the first has.
        only_in_b: tensors that only the second has.
        shapes: tensors of different shapes, with both.
    """

    is_same: bool
    tensors: list[TensorDiff]
    layers: list[LayerDiff]
    only_in_a: list[str]
    only_in_b: list[str]
    shapes: list[Any]


def diff(a: PathLike, b: PathLike, *, threads: int = 0, progress: Progress = None) -> Diff:
    """Compares two checkpoints tensor by tensor: folders, files of weights, names on the hub, or
    any of these with ``+adapter`` behind it.

    Raises:
        CheckpointError: one of them cannot be read.

    >>> import bomf
    >>> found = bomf.diff("a", "b")
    >>> found.is_same, [tensor.name for tensor in found.tensors]
    (False, ['encoder.layer.0.dense.weight'])
    """
    with Bar(progress) as bar:
        text = _bomf.diff(os.fspath(a), os.fspath(b), threads=threads, progress=bar)
    return of_json(Diff, text)
