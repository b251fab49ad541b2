"""What may be searched: parameters by name."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .errors import ArgumentError

__all__ = ["Categorical", "Float", "Integer", "Parameter", "Simplex"]


class Parameter:
    """A parameter of a space: :class:`Float`, :class:`Integer`, :class:`Categorical` or
    :class:`Simplex`."""

    name: str


@dataclass(frozen=True)
class Float(Parameter):
    """A float in ``[low, high]``.

    Args:
        name: its name, unique in the space.
        low: the smallest value.
        high: the largest value, above ``low``.
        log: whether the scale is logarithmic (then ``low > 0``).
        when: the parameter exists only while each of these others has one of the listed values,
            as in ``{"optimizer": ["sgd"]}``.

    >>> import bomf
    >>> bomf.Float("lr", 1e-6, 1e-3, log=True)
    Float(name='lr', low=1e-06, high=0.001, log=True, when=None)
    """

    name: str
    low: float
    high: float
    log: bool = False
    when: Mapping[str, Sequence[Any]] | None = None


@dataclass(frozen=True)
class Integer(Parameter):
    """An integer in ``[low, high]``, both included; else as :class:`Float`.

    >>> import bomf
    >>> bomf.Integer("layers", 1, 12).high
    12
    """

    name: str
    low: int
    high: int
    log: bool = False
    when: Mapping[str, Sequence[Any]] | None = None


@dataclass(frozen=True)
class Categorical(Parameter):
    """One of some values without order, of any type that can be compared by ``==``.

    >>> import bomf
    >>> bomf.Categorical("schedule", ["constant", "linear", None]).choices
    ('constant', 'linear', None)
    """

    name: str
    choices: Sequence[Any]
    when: Mapping[str, Sequence[Any]] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "choices", tuple(self.choices))


@dataclass(frozen=True)
class Simplex(Parameter):
    """``n`` weights, each at least 0, their sum 1. The space is native: no point is rejected, and
    no coordinate is redundant.

    >>> import bomf
    >>> bomf.Simplex("w", 15).n
    15
    """

    name: str
    n: int


def same(a: Any, b: Any) -> bool:
    """Whether two choices are one: ``1``, ``1.0`` and ``True`` are three."""
    return type(a) is type(b) and (a == b or (a != a and b != b))


@dataclass
class Space:
    """Parameters, and the map between points as people write them and as the engine does."""

    parameters: tuple[Parameter, ...]
    box: list[Parameter] = field(init=False)
    simplexes: list[Simplex] = field(init=False)
    _by_name: dict[str, Parameter] = field(init=False)

    @classmethod
    def of(cls, parameters: Any) -> Space:
        if isinstance(parameters, Space):
            return parameters
        if isinstance(parameters, (Float, Integer, Categorical, Simplex)):
            parameters = [parameters]
        return cls(tuple(parameters))

    def __post_init__(self) -> None:
        self._by_name = {}
        for p in self.parameters:
            if not isinstance(p, (Float, Integer, Categorical, Simplex)):
                raise ArgumentError(
                    f"{p!r} is no parameter",
                    "a space is a list of bomf.Float, bomf.Integer, bomf.Categorical and bomf.Simplex",
                )
            if p.name in self._by_name:
                raise ArgumentError(f"parameter `{p.name}` is declared twice")
            self._by_name[p.name] = p
        if not self.parameters:
            raise ArgumentError("the search space is empty", "give it at least one parameter")
        self.simplexes = [p for p in self.parameters if isinstance(p, Simplex)]
        self.box = [p for p in self.parameters if not isinstance(p, Simplex)]

    def json(self) -> str:
        """The space as the engine reads it."""
        box = {"parameters": [self._declared(p) for p in self.box]}
        simplexes = [{"n": count(f"the size of `{s.name}`", s.n)} for s in self.simplexes]
        if not simplexes:
            return json.dumps({"box": box})
        if len(simplexes) == 1 and not self.box:
            return json.dumps({"simplex": simplexes[0]})
        parts: list[Any] = [{"box": box}] if self.box else []
        parts += [{"simplex": s} for s in simplexes]
        return json.dumps({"product": {"parts": parts}})

    def _declared(self, p: Parameter) -> dict[str, Any]:
        if isinstance(p, Categorical):
            names = choice_names(p)
            domain: dict[str, Any] = {"categorical": {"choices": names}}
        elif isinstance(p, Integer):
            bounds = [count(f"a bound of `{p.name}`", v) for v in (p.low, p.high)]
            domain = {"integer": {"low": bounds[0], "high": bounds[1], "log": bool(p.log)}}
        elif isinstance(p, Float):
            low, high = finite(p.name, p.low), finite(p.name, p.high)
            domain = {"float": {"low": low, "high": high, "log": bool(p.log)}}
        else:  # pragma: no cover - a simplex is no part of a box
            raise ArgumentError(f"`{p.name}` is no parameter of a box")
        declared: dict[str, Any] = {"name": p.name, "domain": domain}
        if p.when:
            declared["conditions"] = [
                {"parent": parent, "values": [self._value(parent, v) for v in values]}
                for parent, values in p.when.items()
            ]
        return declared

    def _value(self, name: str, value: Any) -> Any:
        """A value as the engine writes it."""
        p = self._by_name.get(name)
        if isinstance(p, Categorical):
            for choice, known in zip(choice_names(p), p.choices):
                if same(known, value):
                    return choice
            # NumPy's scalars stand for Python's.
            if isinstance(value, np.generic):
                return self._value(name, value.item())
            raise ArgumentError(f"parameter `{name}`: {value!r} is not in {list(p.choices)!r}")
        if isinstance(p, Integer):
            return count(f"parameter `{name}`", value)
        if isinstance(value, (str, bool)):
            return value
        return finite(name, value)

    def encode(self, point: Mapping[str, Any]) -> str:
        """A point, by the parameters' names, as the engine reads it."""
        if not isinstance(point, Mapping):
            raise ArgumentError(
                f"a point is a dict from parameter names to values, not {type(point).__name__}"
            )
        unknown = [str(name) for name in point if name not in self._by_name]
        if unknown:
            raise ArgumentError(
                f"the point names `{unknown[0]}`, which is no parameter of the space",
                f"its parameters are {', '.join(self._by_name)}",
            )
        parts: list[Any] = []
        if self.box:
            names = [p.name for p in self.box if p.name in point]
            parts.append({name: self._value(name, point[name]) for name in names})
        for s in self.simplexes:
            if s.name not in point:
                raise ArgumentError(f"the point has no value for parameter `{s.name}`")
            weights = np.asarray(point[s.name], dtype=np.float64)
            if weights.ndim != 1:
                raise ArgumentError(f"parameter `{s.name}` is a list of {s.n} weights")
            parts.append([finite(s.name, w) for w in weights])
        return json.dumps(parts)

    def decode(self, parts: Sequence[Any]) -> dict[str, Any]:
        """The point of parts that the engine wrote."""
        values: dict[str, Any] = {}
        rest = list(parts)
        if self.box:
            box = rest.pop(0)
            for p in self.box:
                if p.name not in box:
                    continue
                value = box[p.name]
                if isinstance(p, Categorical):
                    value = p.choices[choice_names(p).index(value)]
                elif isinstance(p, Float):
                    value = float(value)
                values[p.name] = value
        for s, weights in zip(self.simplexes, rest):
            values[s.name] = np.array(weights, dtype=np.float64)
        return {p.name: values[p.name] for p in self.parameters if p.name in values}

    def dump(self) -> list[dict[str, Any]]:
        """The declarations as JSON can hold them."""
        declared = []
        for p in self.parameters:
            if isinstance(p, Categorical):
                for choice in p.choices:
                    if not isinstance(choice, (str, int, float, bool, type(None))):
                        raise ArgumentError(
                            f"parameter `{p.name}`: a file cannot hold the choice {choice!r}",
                            "use strings and numbers as choices, or pickle the optimiser",
                        )
            entry = {"kind": type(p).__name__, **vars(p)}
            if isinstance(p, Categorical):
                entry["choices"] = list(p.choices)
            declared.append(entry)
        return declared

    @classmethod
    def load(cls, declared: Iterable[Mapping[str, Any]]) -> Space:
        kinds: dict[str, Any] = {k.__name__: k for k in (Float, Integer, Categorical, Simplex)}
        parameters = []
        for entry in declared:
            own = dict(entry)
            parameters.append(kinds[own.pop("kind")](**own))
        return cls(tuple(parameters))


def choice_names(p: Categorical) -> list[str]:
    """The engine's names of choices: they are strings there."""
    if all(isinstance(c, str) for c in p.choices):
        return list(p.choices)
    return [f"{i}: {c!r}" for i, c in enumerate(p.choices)]


def count(what: str, value: Any) -> int:
    """A whole number."""
    try:
        whole = int(value)
    except (TypeError, ValueError, OverflowError):
        raise ArgumentError(f"{what} is {value!r}, but a whole number is needed") from None
    if isinstance(value, bool) or whole != value:
        raise ArgumentError(f"{what} is {value!r}, but a whole number is needed")
    return whole


def finite(name: str, value: Any) -> float:
    """A finite number."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ArgumentError(f"parameter `{name}` is {value!r}, but a number is needed") from None
    if not math.isfinite(number):
        raise ArgumentError(f"parameter `{name}` is {number}, but a finite number is needed")
    return number
