"""The methods of fusion, and recipes that name them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import _bomf
from ._records import of_mapping
from .errors import ArgumentError

__all__ = ["MethodInfo", "ParameterInfo", "methods", "recipe_of"]


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
