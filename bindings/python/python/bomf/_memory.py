"""Fusions whose outcome stays in memory: members that are state dicts, modules or folders."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import _bomf
from ._methods import recipe_of
from ._paths import PathLike, is_path
from ._tensors import assign, empty, handed, state_of, torch_of, view, writable
from .errors import ArgumentError

__all__ = ["InMemory", "Member", "members_of"]

#: A folder, a state dict of PyTorch or NumPy, or a module.
Member = Any


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
            # Of folders the outcome is PyTorch's wherever that is installed.
            with contextlib.suppress(ImportError):
                self.torch = importlib.import_module("torch")
        # Kept: they own what the engine reads.
        self.models = [m if is_path(m) else handed(m) for m in everything]
        self.names = [str(m) if is_path(m) else f"member {i}" for i, m in enumerate(everything)]
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
        out: Mapping[str, Any] | None = None,
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
                    array = view(name, value)[1]
                state[name] = target
            else:
                state[name] = empty(kind, shape, self.torch)
                array = view(name, state[name])[1]
            arrays.append(array)
        found = fusion.run(arrays, threads=threads, max_memory=max_memory, progress=progress)
        for name, target, value in copies:
            assign(name, target, value)
        return state, found
