"""Fusion: several models become one."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

from . import _bomf
from ._progress import Bar, Progress
from ._records import of_json, of_mapping
from ._tensors import assign, empty, handed, state_of, torch_of, writable
from .errors import ArgumentError

__all__ = [
    "Diff",
    "LoraModule",
    "LoraOutcome",
    "MergeOutcome",
    "MethodInfo",
    "ParameterInfo",
    "Verification",
    "diff",
    "fuse",
    "lora_extract",
    "lora_fuse",
    "merge",
    "methods",
    "verify",
]

PathLike = Union[str, "os.PathLike[str]"]
Member = Any
Recipe = Union[PathLike, Mapping[str, Any]]


@dataclass
class ParameterInfo:
    """What a method says of a parameter: its name, whether it is one for all models (``method``)
    or one for each (``model``), its values in words, its default, and what it does."""

    name: str
    scope: str
    values: str
    default: Any
    help: str


@dataclass
class MethodInfo:
    """What a method says of itself: its name, what it does, its paper, whether it wants a base
    model (``required``, ``optional`` or ``unused``), how many models it takes beside that, and its
    parameters."""

    name: str
    summary: str
    paper: str
    base: str
    models: str
    parameters: list[ParameterInfo]


def methods() -> dict[str, MethodInfo]:
    """Every method that :func:`fuse` and :func:`merge` know, by name.

    >>> import bomf
    >>> bomf.methods()["ties"].base
    'required'
    """
    found = [of_mapping(MethodInfo, info) for info in json.loads(_bomf.methods())]
    return {info.name: info for info in found}


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


def diff(a: str, b: str, *, threads: int = 0, progress: Progress = None) -> Diff:
    """Compares two checkpoints tensor by tensor: folders, files of weights, names on the hub, or
    any of these with ``+adapter`` behind it."""
    with Bar(progress) as bar:
        text = _bomf.diff(os.fspath(a), os.fspath(b), threads=threads, progress=bar)
    return of_json(Diff, text)


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
    """Takes the change from ``base`` to ``model`` as an adapter of rank ``rank``."""
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


def is_path(member: Any) -> bool:
    return isinstance(member, (str, os.PathLike))


def members_of(members: Any) -> list[Any]:
    """Members as a list: a folder of checkpoints stands for all of them, a module for its state."""
    if is_path(members):
        return [os.fspath(path) for _, path in _bomf.list_checkpoints(os.fspath(members))]
    if isinstance(members, Mapping) or not isinstance(members, Iterable):
        raise ArgumentError("members are a list of folders, state dicts or modules")
    found = [os.fspath(m) if is_path(m) else state_of(m) for m in members]
    for member in found:
        if not is_path(member) and not isinstance(member, Mapping):
            raise ArgumentError(
                f"a member is a folder, a state dict or a module, not {type(member).__name__}"
            )
    if not found:
        raise ArgumentError("there are no members")
    return found


def recipe_of(
    names: Sequence[str],
    base: str | None,
    weights: Sequence[float] | None,
    method: str,
    dtype: str | None,
    out_dtype: str | None,
    parameters: Mapping[str, Any],
) -> dict[str, Any]:
    """A recipe of mergekit's kind."""
    known = methods()
    spec = known.get(method)
    # An unknown method is refused, with the nearest name, where the recipe is read.
    scopes = {p.name: p.scope for p in spec.parameters} if spec else {}
    own: list[dict[str, Any]] = [{} for _ in names]
    whole: dict[str, Any] = {}
    given = dict(parameters)
    if weights is not None:
        if spec and "weight" not in scopes:
            raise ArgumentError(f"method `{method}` takes no weights")
        given["weight"] = list(weights)
    elif "weight" in scopes and "weight" not in given:
        given["weight"] = [1.0] * len(names)
    for name, value in given.items():
        if spec and name not in scopes:
            raise ArgumentError(
                f"method `{method}` has no parameter `{name}`",
                f"it has {', '.join(scopes) or 'none'}",
            )
        if hasattr(value, "tolist"):
            value = value.tolist()
        if isinstance(value, (list, tuple)):
            if scopes.get(name) == "method":
                raise ArgumentError(f"parameter `{name}` of `{method}` is one for all members")
            if len(value) != len(names):
                what = "weights" if name == "weight" else f"values of `{name}`"
                raise ArgumentError(f"there are {len(value)} {what} for {len(names)} members")
            for settings, v in zip(own, value):
                settings[name] = _plain(v)
        else:
            whole[name] = _plain(value)
    recipe: dict[str, Any] = {"merge_method": method}
    if base is not None:
        recipe["base_model"] = base
    recipe["models"] = [
        {"model": name, **({"parameters": settings} if settings else {})}
        for name, settings in zip(names, own)
    ]
    if whole:
        recipe["parameters"] = whole
    for name, value in [("dtype", dtype), ("out_dtype", out_dtype)]:
        if value is not None:
            recipe[name] = str(value)
    return recipe


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        value = value.item()
    return value if isinstance(value, (bool, str)) else float(value)


@dataclass
class InMemory:
    """A fusion whose outcome stays in memory, to be made again with other weights."""

    members: list[Any]
    base: Any
    torch: Any = field(init=False)
    models: list[Any] = field(init=False)
    names: list[str] = field(init=False)

    def __post_init__(self) -> None:
        everything = [*self.members, *([] if self.base is None else [self.base])]
        states = [m for m in everything if not is_path(m)]
        values = [value for state in states[:1] for value in state.values()]
        self.torch = torch_of(values)
        if not states:
            try:
                import torch
            except ImportError:
                torch = None
            self.torch = torch
        # Kept: they own what the engine reads.
        self.models = [m if is_path(m) else handed(m) for m in everything]
        self.names = [m if is_path(m) else f"member {i}" for i, m in enumerate(everything)]
        if self.base is not None and not is_path(self.base):
            self.names[-1] = "the base model"

    def planned(
        self,
        weights: Sequence[float] | None,
        method: str = "linear",
        seed: int = 0,
        dtype: str | None = None,
        out_dtype: str | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> Any:
        """The engine's fusion of these weights."""
        n = len(self.members)
        numbers = [str(i) for i in range(n)]
        base = None if self.base is None else str(n)
        recipe = recipe_of(
            numbers, base, weights, method, dtype, out_dtype, parameters or {}
        )
        return self.of_recipe(recipe, seed)

    def of_recipe(self, recipe: Mapping[str, Any], seed: int) -> Any:
        """The engine's fusion of a recipe that names members by their numbers."""
        return _bomf.Fusion(json.dumps(recipe, indent=1), seed, self.models, self.names)

    def run(
        self,
        fusion: Any,
        out: dict[str, Any] | None = None,
        threads: int = 0,
        max_memory: int | None = None,
        progress: Any = None,
    ) -> tuple[dict[str, Any], list[tuple[str, int]]]:
        """Fuses into new tensors, or into those of ``out``."""
        specs, notes = fusion.outputs()
        if progress is not None:
            for note in notes:
                progress("note", "fuse", 0, note)
        arrays, copies, state, taken = [], [], {}, set()
        for name, kind, shape in specs:
            array = None
            if out is not None:
                if name not in out:
                    raise ArgumentError(f"the output has no tensor `{name}`")
                target = out[name]
                array = writable(name, target, kind, shape)
                # A tied tensor has one place: the first name's.
                place = None if array is None else array.__array_interface__["data"][0]
                if array is not None and array.size and place in taken:
                    array = None
                taken.add(place)
                if array is None:
                    value = empty(kind, shape, self.torch)
                    copies.append((name, target, value))
                    array = _array(name, value)
                state[name] = target
            else:
                state[name] = empty(kind, shape, self.torch)
                array = _array(name, state[name])
            arrays.append(array)
        found = fusion.run(arrays, threads=threads, max_memory=max_memory, progress=progress)
        for name, target, value in copies:
            assign(name, target, value)
        return state, found


def _array(name: str, value: Any) -> Any:
    from ._tensors import view

    return view(name, value)[1]


def fuse(
    members: PathLike | Iterable[Member],
    weights: Sequence[float] | None = None,
    *,
    method: str = "linear",
    base: Member | None = None,
    out: PathLike | dict[str, Any] | None = None,
    dtype: str | None = None,
    out_dtype: str | None = None,
    seed: int = 0,
    threads: int = 0,
    overwrite: bool = False,
    hash: bool = True,
    max_memory: int | None = None,
    progress: Progress = None,
    **parameters: Any,
) -> Any:
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
        state, not_finite = fusion.run(planned, out, threads, max_memory, bar)  # type: ignore[arg-type]
        for name, number in not_finite:
            bar("note", "fuse", 0, f"tensor `{name}` has {number} values that are not finite")
    return state
