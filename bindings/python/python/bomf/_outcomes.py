"""What the native engine came to, as dataclasses that show themselves in a notebook."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import _bomf
from ._html import table

__all__ = [
    "CurvePoint",
    "Finetune",
    "FrontPoint",
    "MemberRecord",
    "Method",
    "Objective",
    "Run",
    "Stage1",
    "Stage1Trial",
]


@dataclass
class Objective:
    """What is optimised: its name, and ``minimize`` or ``maximize``."""

    name: str
    direction: str


@dataclass
class Stage1Trial:
    """A trial of stage 1: hyperparameters, scores on the select split (none if it failed), the
    value that is maximised, its seconds, and whether it was stopped early (``stage1.pruning``)."""

    parameters: dict[str, Any]
    select: dict[str, float]
    value: float | None
    seconds: float
    pruned: bool = False


@dataclass
class Stage1:
    """The hyperparameter search on the lightweight model.

    Attributes:
        layers: layers of the full model.
        frozen_layers: how many of them the lightweight one freezes.
        lora_r: the rank of its adapters, where it had some.
        trials: the trials, in order.
        best: the hyperparameters that the full run uses.
    """

    layers: int
    frozen_layers: int
    trials: list[Stage1Trial]
    best: dict[str, Any]
    lora_r: int | None = None

    def _repr_html_(self) -> str:
        names = list(self.trials[0].parameters) if self.trials else []
        scores = next((list(t.select) for t in self.trials if t.select), [])
        rows = [
            [t.parameters.get(n, "") for n in names] + [t.select.get(s, "failed") for s in scores]
            for t in self.trials
        ]
        marked = [i for i, t in enumerate(self.trials) if t.parameters == self.best]
        return table(f"stage 1: {len(self.trials)} trials", names + scores, rows, marked)


@dataclass
class CurvePoint:
    """Scores along a fine-tuning run: the step, the mean training loss since the point before,
    and the scores on the select split."""

    step: int
    train_loss: float
    select: dict[str, float]


@dataclass
class MemberRecord:
    """A member: its step, its folder (relative to the output where it lies inside), its scores on
    the select split."""

    step: int
    path: str
    select: dict[str, float]


@dataclass
class Finetune:
    """The fine-tuning run.

    Attributes:
        best_step: the step with the best chosen metric.
        steps: steps made.
        steps_per_epoch: steps in a pass over the training split.
        curve: scores along the run.
        members: the checkpoints that were gathered, by rising step.
    """

    best_step: int
    steps: int
    steps_per_epoch: int
    curve: list[CurvePoint]
    members: list[MemberRecord]

    def _repr_html_(self) -> str:
        names = list(self.curve[0].select) if self.curve else []
        rows = [[p.step, p.train_loss, *(p.select.get(n, "") for n in names)] for p in self.curve]
        marked = [i for i, p in enumerate(self.curve) if p.step == self.best_step]
        title = f"{self.steps} steps, {len(self.members)} members"
        return table(title, ["step", "train loss", *names], rows, marked)


@dataclass
class Method:
    """What one method reached.

    Attributes:
        name: which.
        weights: of the members; ``None`` where the method is not one model.
        select: scores on the select split.
        report: scores on the report split.
        report_interval: their 95 % bootstrap intervals.
        bomf_minus_this: report score of ``bomf`` minus this one's, with the interval of the paired
            bootstrap: ``[difference, low, high]``.
        hypervolume: on the select split, of all that the method evaluated.
        evaluations: forward passes over the select split, beyond the members' own.
        seconds: of those.
    """

    name: str
    weights: list[float] | None
    select: dict[str, float]
    report: dict[str, float]
    report_interval: dict[str, list[float]]
    bomf_minus_this: dict[str, list[float]]
    hypervolume: float
    evaluations: int
    seconds: float


@dataclass
class FrontPoint:
    """A point of the front: weights, scores on the select split, whether it was written."""

    weights: list[float]
    select: dict[str, float]
    chosen: bool


@dataclass
class Run:
    """A run of the method, as ``results.json`` holds it.

    Attributes:
        out: the output folder: ``fused/``, ``members/``, ``results.json``, ``report.html``, …
        task, model, seed, parameters: what was run.
        objectives: what was optimised.
        chosen_metric: by which checkpoints, soups and the front's point are chosen.
        stage1, finetune: those steps.
        methods: every method, on both splits.
        front: the Pareto front, by falling chosen metric.
        notes: what was guessed or left out on the way.
        seconds: wall-clock times of the parts.
        raw: everything that ``results.json`` holds.
    """

    out: Path
    task: str
    model: str
    seed: int
    parameters: int
    objectives: list[Objective]
    chosen_metric: str
    stage1: Stage1
    finetune: Finetune
    methods: list[Method]
    front: list[FrontPoint]
    notes: list[str]
    seconds: dict[str, float]
    raw: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def fused(self) -> Path:
        """The fused model's folder."""
        return self.out / "fused"

    @property
    def verdict(self) -> str:
        """The outcome in a sentence."""
        return _bomf.verdict(json.dumps(self.raw))

    def method(self, name: str) -> Method:
        """A method by its name.

        Raises:
            KeyError: the run has none of this name.
        """
        for method in self.methods:
            if method.name == name:
                return method
        raise KeyError(name)

    def _repr_html_(self) -> str:
        scores = [o.name for o in self.objectives]
        rows = [
            [m.name, *(m.report.get(s, m.select.get(s, "")) for s in scores)] for m in self.methods
        ]
        marked = [i for i, m in enumerate(self.methods) if m.name == "bomf"]
        svg = _bomf.front_svg(json.dumps(self.raw)) or ""
        return table(self.verdict, ["method", *scores], rows, marked) + svg
