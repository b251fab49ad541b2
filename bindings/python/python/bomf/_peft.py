"""Mixtures of LoRA adapters within a PEFT model.

An adapter changes a weight by ``s B A``. The average of several models is that of their
*changes*, ``sum_i w_i s B_i A_i``; averaging the factors ``A_i`` and ``B_i`` apart is something
else. The sum is one product again, ``s [w_1 B_1, ..., w_n B_n] [A_1; ...; A_n]``, so the model is
given wider adapters, of which the ``A`` stay and the ``B`` are linear in the weights. At the end
they keep the members that have a weight.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import UnsupportedError

_FACTOR = re.compile(r"^(.*)\.lora_(embedding_)?A\.([^.]+?)(?:\.weight)?$")


@dataclass
class _Layer:
    """A layer with an adapter: where it is, and the names of its factors."""

    module: str
    kind: str
    adapter: str
    a: str
    b: str


class Adapters:
    """The adapters of a PEFT model, widened for mixtures of members."""

    def __init__(self, model: Any, members: Sequence[Mapping[str, Any]]) -> None:
        self._model = model
        self._members = members
        self._layers = _layers(members[0])

    def widened(self) -> list[dict[str, Any]]:
        """Gives the model the factors of all members side by side; returns the members as what is
        linear in the weights: their own block of each ``B``, and all that is no factor."""
        import torch

        states = [dict(m) for m in self._members]
        for layer in self._layers:
            self._set(layer, list(range(len(states))))
            for i, state in enumerate(states):
                blocks = [m[layer.b] for m in self._members]
                blocks = [b if j == i else torch.zeros_like(b) for j, b in enumerate(blocks)]
                state[layer.b] = torch.cat(blocks, dim=1)
                del state[layer.a]
        return states

    def settle(self, weights: Sequence[float]) -> None:
        """Leaves the mixture of these weights in the model, without the members that have none,
        and says so in its configuration."""
        import torch

        used = [i for i, w in enumerate(weights) if w != 0.0]
        for layer in self._layers:
            self._set(layer, used)
            blocks = [weights[i] * self._members[i][layer.b] for i in used]
            with torch.no_grad():
                _factor(self._model, layer, "B").copy_(torch.cat(blocks, dim=1))
        self._configure()

    def _set(self, layer: _Layer, used: Sequence[int]) -> None:
        import torch

        a = torch.cat([self._members[i][layer.a] for i in used], dim=0)
        b = torch.cat([torch.zeros_like(self._members[i][layer.b]) for i in used], dim=1)
        owner = self._model.get_submodule(layer.module)
        for side, value in (("A", a), ("B", b)):
            old = _factor(self._model, layer, side)
            new = torch.nn.Parameter(
                value.to(device=old.device, dtype=old.dtype), requires_grad=old.requires_grad
            )
            factors = getattr(owner, f"lora_{layer.kind}{side}")
            if layer.kind:
                factors[layer.adapter] = new
            else:
                factors[layer.adapter].weight = new
                sides = ("out_features", "out_channels") if side == "A" else ("in_features", "in_channels")
                for name in sides:
                    if hasattr(factors[layer.adapter], name):
                        setattr(factors[layer.adapter], name, a.shape[0])
        owner.r[layer.adapter] = int(a.shape[0])

    def _configure(self) -> None:
        """The ranks and scales of the layers, as PEFT reads them when it loads the adapter."""
        for adapter in {layer.adapter for layer in self._layers}:
            own = [layer for layer in self._layers if layer.adapter == adapter]
            owners = [(layer.module, self._model.get_submodule(layer.module)) for layer in own]
            ranks = [int(o.r[adapter]) for _, o in owners]
            alphas = [float(o.scaling[adapter]) * r for (_, o), r in zip(owners, ranks)]
            config = self._model.peft_config[adapter]
            config.use_rslora = False
            config.r, config.lora_alpha = ranks[0], _whole(alphas[0])
            names = [module.removeprefix("base_model.model.") for module, _ in owners]
            config.rank_pattern = {
                n: r for n, r in zip(names, ranks) if r != ranks[0]
            }
            config.alpha_pattern = {
                n: _whole(a) for n, a in zip(names, alphas) if a != alphas[0]
            }
            # They stand for how the factors were first drawn, which was long ago.
            config.init_lora_weights = True


def is_peft(model: Any) -> bool:
    """Whether a model has adapters of PEFT."""
    return hasattr(model, "peft_config") and hasattr(model, "base_model")


def require_plain(model: Any) -> None:
    """Refuses adapters whose average is no average of models."""
    for name, config in model.peft_config.items():
        kind = getattr(config.peft_type, "value", config.peft_type)
        if kind != "LORA":
            raise UnsupportedError(f"adapter `{name}` is of the kind {kind}", "LoRA is known")
        if getattr(config, "use_dora", False):
            raise UnsupportedError(f"adapter `{name}` is DoRA, whose changes do not add up")


def _layers(state: Mapping[str, Any]) -> list[_Layer]:
    layers = []
    for name in state:
        match = _FACTOR.match(name)
        if match:
            module, kind, adapter = match.group(1), match.group(2) or "", match.group(3)
            b = name.replace(f".lora_{kind}A.", f".lora_{kind}B.")
            layers.append(_Layer(module, kind, adapter, name, b))
    return layers


def _factor(model: Any, layer: _Layer, side: str) -> Any:
    factors = getattr(model.get_submodule(layer.module), f"lora_{layer.kind}{side}")
    factor = factors[layer.adapter]
    return factor if layer.kind else factor.weight


def _whole(value: float) -> float | int:
    return int(value) if value == int(value) else value
