"""Fusion: several models become one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, overload

from ._memory import InMemory, Member, members_of
from ._merge import MergeOutcome, merge
from ._methods import recipe_of
from ._paths import PathLike, is_path
from ._progress import Bar, Progress
from ._tensors import state_of
from .errors import ArgumentError

__all__ = ["fuse"]


class Stateful(Protocol):
    """What has a state dict: a ``torch.nn.Module``."""

    def state_dict(self) -> Any: ...


@overload
def fuse(
    members: PathLike | Iterable[Member],
    weights: Sequence[float] | None = None,
    *,
    method: str = "linear",
    base: Member | None = None,
    out: PathLike,
    dtype: str | None = None,
    out_dtype: str | None = None,
    seed: int = 0,
    threads: int = 0,
    overwrite: bool = False,
    hash: bool = True,
    max_memory: int | None = None,
    progress: Progress = None,
    **parameters: Any,
) -> MergeOutcome: ...


@overload
def fuse(
    members: PathLike | Iterable[Member],
    weights: Sequence[float] | None = None,
    *,
    method: str = "linear",
    base: Member | None = None,
    out: Mapping[str, Any] | Stateful | None = None,
    dtype: str | None = None,
    out_dtype: str | None = None,
    seed: int = 0,
    threads: int = 0,
    overwrite: bool = False,
    hash: bool = True,
    max_memory: int | None = None,
    progress: Progress = None,
    **parameters: Any,
) -> dict[str, Any]: ...


def fuse(
    members: PathLike | Iterable[Member],
    weights: Sequence[float] | None = None,
    *,
    method: str = "linear",
    base: Member | None = None,
    out: PathLike | Mapping[str, Any] | Stateful | None = None,
    dtype: str | None = None,
    out_dtype: str | None = None,
    seed: int = 0,
    threads: int = 0,
    overwrite: bool = False,
    hash: bool = True,
    max_memory: int | None = None,
    progress: Progress = None,
    **parameters: Any,
) -> MergeOutcome | dict[str, Any]:
    """Fuses models: checkpoint folders, state dicts of PyTorch or NumPy, or modules.

    Tensors are read where they lie: NumPy arrays and PyTorch tensors (bf16 ones too) are not
    copied, unless they are not contiguous or on another device. Whatever the input's types, sums
    run in ``f32`` and are rounded once; integers and booleans are copied from the first member.
    Other threads must not write to the members meanwhile.

    Args:
        members: a list of folders, state dicts or modules; or one folder that holds
            ``checkpoint-<step>`` folders.
        weights: one a member, for methods that take weights; equal ones without. ``linear``
            divides them by their sum.
        method: any of :func:`methods`.
        base: the base model, for methods that work on differences from it, or between it and a
            member (``slerp``).
        out: the folder to write (members must be folders); or a dict of tensors to write to, such
            as a module's ``state_dict()``. Without it, a new dict is returned.
        dtype: rounds the members to this type first (``"float32"``, ``"bfloat16"``, …).
        out_dtype: the type of the output.
        seed: of random methods.
        threads: how many; 0 takes every core. The outcome does not depend on it.
        overwrite, hash: as of :func:`merge`, for a folder.
        max_memory: the most bytes of buffers.
        progress: whether a bar is drawn, or a function that is told.
        **parameters: the method's own, one for all members or a list with one for each, as in
            ``density=[0.5, 0.3]``.

    Returns:
        The state dict (of PyTorch if the first member is), or, for a folder, a
        :class:`MergeOutcome`.

    Raises:
        ArgumentError: weights or parameters that do not fit the method, an output that shares
            memory with a member.
        FusionError: members that do not fit each other.
        CheckpointError: a folder that cannot be read.

    >>> import bomf, numpy as np
    >>> a, b = {"w": np.array([0.0, 4.0], np.float32)}, {"w": np.array([2.0, 0.0], np.float32)}
    >>> bomf.fuse([a, b], [0.75, 0.25])["w"]
    array([0.5, 3. ], dtype=float32)
    >>> bomf.fuse([b], base=a, method="slerp", t=0.0)["w"]
    array([0., 4.], dtype=float32)
    """
    found = members_of(members)
    if base is not None:
        base = os.fspath(base) if is_path(base) else state_of(base)
    if out is not None and is_path(out):
        others = [m for m in [*found, *([] if base is None else [base])] if not is_path(m)]
        if others:
            raise ArgumentError(
                "a folder is written of folders only: state dicts have no configuration and "
                "tokenizer",
                "leave `out` out, load the returned dict, and save it with save_pretrained",
            )
        recipe = recipe_of(found, base, weights, method, dtype, out_dtype, parameters)
        return merge(
            recipe,
            out,
            seed=seed,
            threads=threads,
            overwrite=overwrite,
            hash=hash,
            max_memory=max_memory,
            progress=progress,
        )
    if out is not None and not isinstance(out, Mapping):
        out = state_of(out)
        if not isinstance(out, Mapping):
            raise ArgumentError("`out` is a folder, a dict of tensors or a module")
    fusion = InMemory(found, base)
    with Bar(progress) as bar:
        planned = fusion.planned(weights, method, seed, dtype, out_dtype, parameters)
        state, not_finite = fusion.run(planned, out, threads, max_memory, bar)
        for name, number in not_finite:
            bar("note", "fuse", 0, f"tensor `{name}` has {number} values that are not finite")
    return state
