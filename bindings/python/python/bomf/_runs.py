"""The native engine: the whole method, or its steps, on folders of data."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Union

from . import _bomf
from ._outcomes import Finetune, Run, Stage1
from ._paths import PathLike
from ._progress import Bar, Progress
from ._records import of_json
from .errors import ArgumentError

__all__ = ["evaluate", "finetune", "fuse_checkpoints", "load_run", "pick", "run", "stage1"]

#: A YAML file, or the recipe as a dict; the defaults without.
RecipeLike = Union[PathLike, Mapping[str, Any], None]


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

    >>> import bomf
    >>> small = {"stage1": {"trials": 2}, "finetune": {"epochs": 2}, "stage2": {"evaluations": 4}}
    >>> found = bomf.run("model", "data", "new-run", small)
    >>> found.fused.name, found.chosen_metric in found.method("bomf").report
    ('fused', True)
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
    ``out`` is the recipe with its outcome. For your own training see :func:`tune`.

    Args, Raises: as of :func:`run`.

    >>> import bomf
    >>> found = bomf.stage1("model", "data", "tuned", {"stage1": {"trials": 2, "initial": 1}})
    >>> len(found.trials), "learning_rate" in found.best
    (2, True)
    """
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
    must be given, here or in the recipe.

    Args, Raises: else as of :func:`run`.

    >>> import bomf
    >>> done = bomf.finetune("model", "data", "trained", {"finetune": {"epochs": 2}},
    ...                      learning_rate=1e-3, batch_size=8)
    >>> done.best_step in [member.step for member in done.members]
    True
    """
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
    own evaluation see :class:`FusionSearch`.

    Args:
        members: folders, or one folder that holds ``checkpoint-<step>`` folders.
        data, out, recipe, seed, threads, overwrite, progress: as of :func:`run`.

    Raises:
        RecipeError, DataError, CheckpointError, OutputError: before anything is written.

    >>> import bomf
    >>> found = bomf.fuse_checkpoints("run/members", "data", "fused", {"stage2": {"evaluations": 4}})
    >>> round(sum(found.method("bomf").weights), 6)
    1.0
    """
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
    """Scores of a model on a split (``train``, ``validation`` or ``test``): ``bomf eval``.

    Args:
        model: a folder of a fine-tuned model.
        predictions: a file that every example's prediction is written to, a JSON object a line.
        data, recipe, threads, progress: as of :func:`run`.

    Raises:
        DataError, CheckpointError: the split or the model cannot be read.

    >>> import bomf
    >>> scores = bomf.evaluate("run/fused", "data", split="test")
    >>> scores["loss"] > 0
    True
    """
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
    what a method settled on; returns its scores on the select split.

    Raises:
        ArgumentError: both a point and a method, or neither.
        OutputError: ``target`` is there already.

    >>> import bomf
    >>> scores = bomf.pick("run", "soup", method="uniform_soup")
    >>> scores == bomf.load_run("run").method("uniform_soup").select
    True
    """
    if (point is None) == (method is None):
        raise ArgumentError("give a point or a method, and not both")
    folder = run.out if isinstance(run, Run) else run
    text = _bomf.pick(os.fspath(folder), os.fspath(target), point, method, threads)
    scores: dict[str, float] = json.loads(text)
    return scores


def load_run(out: PathLike) -> Run:
    """The run whose output folder this is.

    >>> import bomf
    >>> bomf.load_run("run").fused.name
    'fused'
    """
    return _run_of(Path(out, "results.json").read_text(encoding="utf-8"), out)
