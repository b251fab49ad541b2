"""State dicts of PyTorch and NumPy as the engine reads them: where they lie, without a copy."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .errors import ArgumentError, UnsupportedError

#: Types by their names in safetensors, with the NumPy type that has as many bytes an element:
#: those that NumPy does not know are handed over as integers.
STORED: dict[str, Any] = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": np.int16,
    "F8_E4M3": np.uint8,
    "F8_E5M2": np.uint8,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
}

#: The names of those types in PyTorch.
_TORCH = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
    "BOOL": "bool",
}

#: The names of those types in NumPy, with those of ml_dtypes.
_NUMPY = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint64": "U64",
    "uint32": "U32",
    "uint16": "U16",
    "uint8": "U8",
    "bool": "BOOL",
}

#: PyTorch's types that NumPy does not know, and those of as many bytes that it does.
_AS_INTEGERS = {"BF16": "int16", "F8_E4M3": "uint8", "F8_E5M2": "uint8"}

Handed = tuple[str, str, Any]


def torch_of(values: Sequence[Any]) -> Any:
    """PyTorch, if one of the values is a tensor of it."""
    torch = sys.modules.get("torch")
    if torch is not None and any(isinstance(value, torch.Tensor) for value in values):
        return torch
    return None


def state_of(member: Any) -> Any:
    """A module's state dict; anything else as it is."""
    if isinstance(member, Mapping):
        return member
    state_dict = getattr(member, "state_dict", None)
    return state_dict() if callable(state_dict) else member


@functools.lru_cache(maxsize=1)
def _names(torch: Any) -> dict[Any, str]:
    kinds = {getattr(torch, own, None): name for name, own in _TORCH.items()}
    kinds.pop(None, None)
    return kinds


def view(name: str, value: Any) -> tuple[str, Any]:
    """A tensor's type, by its name in safetensors, and its elements as an array: where they lie
    if they are contiguous and in the machine's memory, a copy otherwise."""
    torch = torch_of([value])
    if torch is not None:
        kind = _names(torch).get(value.dtype)
        if kind is None or value.layout is not torch.strided or value.is_quantized:
            raise UnsupportedError(f"tensor `{name}` is {value.dtype} in layout {value.layout}")
        if value.is_meta:
            raise ArgumentError(
                f"tensor `{name}` has no elements in memory: it is on the meta device",
                "load the model without `device_map`, or give its folder",
            )
        tensor = value.detach()
        if tensor.device.type != "cpu":
            tensor = tensor.cpu()
        if tensor.is_neg():
            tensor = tensor.resolve_neg()
        tensor = tensor.contiguous()
        integers = _AS_INTEGERS.get(kind)
        if integers is not None:
            tensor = tensor.view(getattr(torch, integers))
        return kind, tensor.numpy()
    array = np.asarray(value)
    kind = _NUMPY.get(array.dtype.name)
    if kind is None:
        raise UnsupportedError(f"tensor `{name}` is of the type {array.dtype}")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if not array.flags.c_contiguous:
        array = array.copy(order="C")
    stored = np.dtype(STORED[kind])
    return kind, array if array.dtype == stored else array.view(stored)


def handed(state: Mapping[str, Any]) -> list[Handed]:
    """A state dict as the engine takes it."""
    tensors = []
    for name, value in state.items():
        if value is None:
            continue
        kind, array = view(str(name), value)
        tensors.append((str(name), kind, array))
    return tensors


def empty(kind: str, shape: Sequence[int], torch: Any) -> Any:
    """A new tensor or array."""
    if torch is not None:
        return torch.empty(tuple(shape), dtype=getattr(torch, _TORCH[kind]))
    own: Any = STORED[kind]
    if kind in _AS_INTEGERS:
        try:
            ml_dtypes = importlib.import_module("ml_dtypes")
        except ImportError:
            raise UnsupportedError(
                f"NumPy has no type {kind}",
                'ask for dtype="float32", or install ml_dtypes',
            ) from None
        own = getattr(ml_dtypes, _TORCH[kind])
    return np.empty(tuple(shape), dtype=own)


def assign(name: str, target: Any, value: Any) -> None:
    """Copies a fused tensor into one of the user's."""
    torch = torch_of([target])
    if torch is not None:
        with torch.no_grad():
            target.copy_(value if torch_of([value]) is not None else torch.from_numpy(value))
    else:
        np.copyto(target, value, casting="no")


def writable(name: str, target: Any, kind: str, shape: Sequence[int]) -> Any | None:
    """The user's tensor as an array to write to, or ``None`` if it must be copied to: on another
    device, or not contiguous.

    Raises:
        ArgumentError: it has another type or shape.
    """
    if list(target.shape) != list(shape):
        raise ArgumentError(
            f"tensor `{name}` is {list(target.shape)} in the output but {list(shape)} in the fusion"
        )
    torch = torch_of([target])
    if torch is not None:
        own = _names(torch).get(target.dtype)
        lies = target.device.type == "cpu" and target.is_contiguous() and not target.is_neg()
    else:
        own = _NUMPY.get(target.dtype.name)
        lies = target.flags.c_contiguous and target.dtype.isnative
    if own != kind:
        raise ArgumentError(f"tensor `{name}` is {own} in the output but {kind} in the fusion")
    return view(name, target)[1] if lies else None
