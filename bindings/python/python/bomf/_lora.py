"""PEFT's adapters: their changes fused, and a change taken as an adapter."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import _bomf
from ._paths import PathLike
from ._progress import Bar, Progress
from ._records import of_json

__all__ = ["LoraModule", "LoraOutcome", "lora_extract", "lora_fuse"]


@dataclass
class LoraModule:
    """What became of a module: its rank, the rank that would lose nothing, the Frobenius norm of
    its change, and the part of that which is lost."""

    module: str
    r: int
    full_rank: int
    norm: float
    error: float


@dataclass
class LoraOutcome:
    """What :func:`lora_fuse` or :func:`lora_extract` wrote.

    Attributes:
        out: the folder.
        weights: the weights of the adapters; empty for an extraction.
        modules: the modules of a new adapter; empty where full weights were written.
        error: the part of the whole change that is lost, by its Frobenius norm.
        tensors: tensors that are stored whole, or that changed in full weights.
    """

    out: Path
    weights: list[float]
    modules: list[LoraModule]
    error: float
    tensors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.out = Path(self.out)


def lora_fuse(
    adapters: Sequence[PathLike],
    out: PathLike,
    weights: Sequence[float] | None = None,
    *,
    base: PathLike | None = None,
    rank: int | None = None,
    energy: float | None = None,
    threads: int = 0,
    overwrite: bool = False,
    progress: Progress = None,
) -> LoraOutcome:
    """Fuses PEFT adapters: the *changes* are summed, their factors never averaged apart.

    Args:
        adapters: their folders.
        out: the folder to write.
        weights: one an adapter; their average without.
        base: writes full weights of this base model instead of an adapter.
        rank: cuts the sum to this rank, which is its best approximation; its error is told.
        energy: cuts it to the smallest rank that keeps so much of each change's squared norm.
        threads, overwrite, progress: as of :func:`merge`.

    Raises:
        CheckpointError: an adapter cannot be read.
        FusionError: they do not fit each other.

    >>> import bomf
    >>> fused = bomf.lora_fuse(["adapter-a", "adapter-b"], "adapter", [0.5, 0.5])
    >>> [module.r for module in fused.modules]     # of two adapters of rank 2
    [4]
    """
    with Bar(progress) as bar:
        text = _bomf.lora_fuse(
            [os.fspath(a) for a in adapters],
            os.fspath(out),
            weights=None if weights is None else [float(w) for w in weights],
            into=None if base is None else os.fspath(base),
            rank=rank,
            energy=energy,
            threads=threads,
            overwrite=overwrite,
            progress=bar,
        )
    return of_json(LoraOutcome, text)


def lora_extract(
    base: PathLike,
    model: PathLike,
    out: PathLike,
    rank: int,
    *,
    seed: int = 0,
    threads: int = 0,
    overwrite: bool = False,
    progress: Progress = None,
) -> LoraOutcome:
    """Takes the change from ``base`` to ``model`` as an adapter of rank ``rank``.

    Args:
        base, model: folders of one architecture.
        out: the folder to write.
        rank: of every module; a smaller one where a change has no more.
        seed: of the randomised decomposition.
        threads, overwrite, progress: as of :func:`merge`.

    Raises:
        CheckpointError: a model cannot be read.

    >>> import bomf
    >>> taken = bomf.lora_extract("a", "b", "change", rank=8)
    >>> bool(taken.error < 1e-4)
    True
    """
    with Bar(progress) as bar:
        text = _bomf.lora_extract(
            os.fspath(base),
            os.fspath(model),
            rank,
            os.fspath(out),
            seed=seed,
            threads=threads,
            overwrite=overwrite,
            progress=bar,
        )
    return of_json(LoraOutcome, text)
