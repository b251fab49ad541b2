"""Merges by recipes of mergekit, and whether an output is what its recipe gives."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

from . import _bomf
from ._paths import PathLike
from ._progress import Bar, Progress
from ._records import of_json, of_mapping

__all__ = ["MergeOutcome", "Verification", "merge", "verify"]

Recipe = Union[PathLike, Mapping[str, Any]]


@dataclass
class MergeOutcome:
    """What a merge wrote.

    Attributes:
        out: the merged model's folder.
        method: the method.
        models: models that were read, the base model among them.
        tensors: tensors of the output.
        parameters: elements of the output.
        bytes: bytes of the weights files.
        not_finite: tensors with values that are not finite, and how many.
        seconds: time from the recipe to the folder's name.
        fuse_seconds: time of the fusion itself.
        hash_seconds: time of the digests.
    """

    out: Path
    method: str
    models: int
    tensors: int
    parameters: int
    bytes: int
    not_finite: list[tuple[str, int]]
    seconds: float
    fuse_seconds: float
    hash_seconds: float

    def __post_init__(self) -> None:
        self.out = Path(self.out)
        self.not_finite = [(name, count) for name, count in self.not_finite]


def merge(
    recipe: Recipe,
    out: PathLike,
    *,
    seed: int = 0,
    threads: int = 0,
    overwrite: bool = False,
    hash: bool = True,
    max_memory: int | None = None,
    max_shard_bytes: int | None = None,
    progress: Progress = None,
) -> MergeOutcome:
    """Merges checkpoints by a recipe of mergekit: ``bomf merge``.

    Args:
        recipe: a YAML file, or the recipe as a dict.
        out: the folder of the merged model; it stands there whole, or not at all.
        seed: of random methods.
        threads: how many; 0 takes every core.
        overwrite: whether a model in ``out`` may be replaced.
        hash: whether SHA-256 digests of all files are recorded in ``bomf.json``.
        max_memory: the most bytes of buffers.
        max_shard_bytes: the most bytes of tensors in a file of the output.
        progress: whether a bar is drawn, or a function that is told.

    Raises:
        RecipeError, CheckpointError, FusionError, OutputError: before a byte is written.

    .. code-block:: python

        bomf.merge({"merge_method": "ties", "base_model": "base",
                    "models": [{"model": "a", "parameters": {"weight": 0.6, "density": 0.5}},
                               {"model": "b", "parameters": {"weight": 0.4, "density": 0.5}}]},
                   out="merged")
    """
    with tempfile.TemporaryDirectory(prefix="bomf-") as scratch, Bar(progress) as bar:
        if isinstance(recipe, Mapping):
            path = Path(scratch, "recipe.yaml")
            path.write_text(json.dumps(recipe, indent=1, ensure_ascii=False), encoding="utf-8")
        else:
            path = Path(recipe)
        text = _bomf.merge(
            os.fspath(path),
            os.fspath(out),
            seed=seed,
            threads=threads,
            overwrite=overwrite,
            hash=hash,
            max_memory=max_memory,
            max_shard_bytes=max_shard_bytes,
            progress=bar,
        )
    return of_json(MergeOutcome, text)


@dataclass
class Verification:
    """What :func:`verify` found.

    Attributes:
        is_same: whether the output is what its recipe gives, byte for byte.
        differences: what differs, the inputs first, in words.
        files: files that were compared.
        tensors: tensors that were compared.
    """

    is_same: bool
    differences: list[str]
    files: int
    tensors: int

    def __bool__(self) -> bool:
        return self.is_same


def verify(
    folder: PathLike,
    *,
    root: PathLike | None = None,
    threads: int = 0,
    max_memory: int | None = None,
    progress: Progress = None,
) -> Verification:
    """Derives a merged model again from its ``bomf.json`` and compares every byte.

    Args:
        folder: what :func:`merge` (or ``bomf merge``) wrote.
        root: the folder that the recipe's relative paths begin at; the working directory without.
        threads, max_memory, progress: as of :func:`merge`.

    Raises:
        CheckpointError: there is no record, or an input is there no more. That something differs
            is no error.

    >>> import bomf
    >>> merged = bomf.fuse(["a", "b"], [0.3, 0.7], out="merged")
    >>> bool(bomf.verify("merged"))
    True
    """
    with Bar(progress) as bar:
        text = _bomf.verify(
            os.fspath(folder),
            root=None if root is None else os.fspath(root),
            threads=threads,
            max_memory=max_memory,
            progress=bar,
        )
    found, words = json.loads(text)
    return of_mapping(Verification, {**found, "differences": words})
