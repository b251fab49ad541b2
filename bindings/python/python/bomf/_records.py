"""Outcomes of the engine as dataclasses."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def of_json(kind: type[T], text: str, **more: Any) -> T:
    """A dataclass of a JSON object."""
    return of_mapping(kind, {**json.loads(text), **more})


def of_mapping(kind: type[T], values: Mapping[str, Any]) -> T:
    """A dataclass of a mapping, and of its parts; what the class does not know is left out."""
    hints = typing.get_type_hints(kind)
    own = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        if field.name in values:
            own[field.name] = _value(hints[field.name], values[field.name])
    return kind(**own)


def _value(hint: Any, value: Any) -> Any:
    if isinstance(hint, type) and dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return of_mapping(hint, value)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is list and isinstance(value, list):
        return [_value(arguments[0], v) for v in value]
    if origin is tuple and isinstance(value, list):
        return tuple(value)
    return value
