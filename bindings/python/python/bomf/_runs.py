"""The native engine: the whole method, or its steps, on folders of data."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

from . import _bomf
from ._fusion import PathLike
from ._html import table
from ._progress import Bar, Progress
from ._records import of_json
from .errors import ArgumentError

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
    "evaluate",
    "finetune",
    "fuse_checkpoints",
    "load_run",
    "pick",
    "run",
    "stage1",
]

#: A YAML file, or the recipe as a dict; the defaults without.
RecipeLike = Union[PathLike, Mapping[str, Any], None]


@dataclass
class Objective:
    """What is optimised: its name, and ``minimize`` or ``maximize``."""

    name: str
    direction: str


@dataclass
class Stage1Trial:
    """A trial of stage 1: hyperparameters, scores on the select split (none if it failed), the
    value that is maximised, and its seconds."""

    parameters: dict[str, Any]
    select: dict[str, float]
    value: float | None
    seconds: float


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


def _recipe(recipe: RecipeLike) -> tuple[str | None, str]:
    """The recipe's text, and what messages call it."""
    if recipe is None:
        return None, "recipe"
    if isinstance(recipe, Mapping):
        return json.dumps(recipe, indent=1), "recipe"
    path = Path(recipe)
    return path.read_text(encoding="utf-8"), os.fspath(path)


def _source(model: PathLike, data: PathLike, out: PathLike, recipe: RecipeLike) -> tuple[Any, ...]:
    text, name = _recipe(recipe)
    return os.fspath(model), os.fspath(data), os.fspath(out), text, name


def _run_of(text: str, out: PathLike) -> Run:
    raw = json.loads(text)
    return of_json(Run, text, out=Path(out), raw=raw)


def _write_report(found: Run) -> Run:
    html = _bomf.report(json.dumps(found.raw))
    (found.out / "report.html").write_text(html, encoding="utf-8")
    return found


def run(
    model: PathLike,
    data: PathLike,
    out: PathLike,
    recipe: RecipeLike = None,
    *,
    seed: int | None = None,
    threads: int = 0,
    overwrite: bool = False,
    progress: Progress = None,
) -> Run:
    """The whole method on the native engine: ``bomf run``.

    Args:
        model: a folder, or ``hf:owner/name``.
        data: a folder of ``train``, ``validation`` and ``test`` (``.jsonl``, ``.csv``, ``.tsv`` or
            ``.parquet``).
        out: the folder that everything is written to.
        recipe: a YAML file, or the recipe as a dict; the defaults without.
        seed: in place of the recipe's.
        threads: how many; 0 takes every core.
        overwrite: whether the earlier output of a run may be replaced.
        progress: whether a bar is drawn, or a function that is told.

    Raises:
        RecipeError, DataError, CheckpointError, OutputError: before anything is written.
        KeyboardInterrupt: Ctrl-C; what is on disk stays usable.
    """
    with Bar(progress) as bar:
        source = _source(model, data, out, recipe)
        text = _bomf.run(source, seed, threads, overwrite, bar)
    return _write_report(_run_of(text, out))


def stage1(
    model: PathLike,
    data: PathLike,
    out: PathLike,
    recipe: RecipeLike = None,
    *,
    seed: int | None = None,
    threads: int = 0,
    overwrite: bool = False,
    progress: Progress = None,
) -> Stage1:
    """The hyperparameter search alone, on the native engine: ``bomf tune``. ``tuned.yaml`` in
    ``out`` is the recipe with its outcome. For your own training see :func:`tune`."""
    with Bar(progress) as bar:
        source = _source(model, data, out, recipe)
        text = _bomf.tune(source, seed, threads, overwrite, bar)
    return of_json(Stage1, text)


def finetune(
    model: PathLike,
    data: PathLike,
    out: PathLike,
    recipe: RecipeLike = None,
    *,
    learning_rate: float | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    threads: int = 0,
    overwrite: bool = False,
    progress: Progress = None,
) -> Finetune:
    """The fine-tuning run and its members alone: ``bomf finetune``. Learning rate and batch size
    must be given, here or in the recipe."""
    with Bar(progress) as bar:
        source = _source(model, data, out, recipe)
        text = _bomf.finetune(source, seed, threads, overwrite, bar, learning_rate, batch_size)
    return of_json(Finetune, text)


def fuse_checkpoints(
    members: PathLike | Sequence[PathLike],
    data: PathLike,
    out: PathLike,
    recipe: RecipeLike = None,
    *,
    seed: int | None = None,
    threads: int = 0,
    overwrite: bool = False,
    progress: Progress = None,
) -> Run:
    """Stage 2 on checkpoints of any trainer, scored by the native engine: ``bomf fuse``. For your
    own evaluation see :class:`FusionSearch`."""
    paths = [members] if isinstance(members, (str, os.PathLike)) else list(members)
    with Bar(progress) as bar:
        text = _bomf.fuse_run(
            [os.fspath(path) for path in paths],
            os.fspath(data),
            os.fspath(out),
            _recipe(recipe)[0],
            seed,
            threads,
            overwrite,
            bar,
        )
    return _write_report(_run_of(text, out))


def evaluate(
    model: PathLike,
    data: PathLike,
    recipe: RecipeLike = None,
    *,
    split: str = "test",
    predictions: PathLike | None = None,
    threads: int = 0,
    progress: Progress = None,
) -> dict[str, float]:
    """Scores of a model on a split (``train``, ``validation`` or ``test``): ``bomf eval``."""
    with Bar(progress) as bar:
        text = _bomf.eval(
            os.fspath(model),
            os.fspath(data),
            split,
            _recipe(recipe)[0],
            None if predictions is None else os.fspath(predictions),
            threads,
            bar,
        )
    scores: dict[str, float] = json.loads(text)
    return scores


def pick(
    run: Run | PathLike,
    target: PathLike,
    *,
    point: int | None = None,
    method: str | None = None,
    threads: int = 0,
) -> dict[str, float]:
    """Writes another mixture of a finished run to ``target``: a point of its front (from 1 on), or
    what a method settled on; returns its scores on the select split."""
    if (point is None) == (method is None):
        raise ArgumentError("give a point or a method, and not both")
    folder = run.out if isinstance(run, Run) else run
    text = _bomf.pick(os.fspath(folder), os.fspath(target), point, method, threads)
    scores: dict[str, float] = json.loads(text)
    return scores


def load_run(out: PathLike) -> Run:
    """The run whose output folder this is."""
    return _run_of(Path(out, "results.json").read_text(encoding="utf-8"), out)
