"""Stage 2 around the user's own evaluation: the best mixture of n models."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Union

import numpy as np

from . import _bomf
from ._found import FusionResult, MethodResult, Mixture
from ._memory import InMemory, Member, members_of
from ._merge import merge
from ._methods import recipe_of
from ._paths import PathLike, is_path
from ._progress import Bar, Progress
from .errors import ArgumentError, EvaluationError

__all__ = ["FusionSearch"]

#: What an evaluation returns: scores by the objectives' names (others are ignored), each a number
#: or a pair of it and its standard error; ``None`` for a mixture that fails.
Scores = Union[Mapping[str, Any], None]

_RULES = ("one_standard_error", "best_metric", "knee", "weights")


class FusionSearch:
    """Searches the weights of an average of models by your own evaluation.

    It begins with what is known to work: every member by itself, their uniform average, the
    average of the last quarter and the greedy soup. On what ``evaluate`` measures, the result is
    therefore never worse than any of these; then it searches the simplex of weights by
    multi-objective Bayesian optimisation. Measure the outcome once more on data that
    ``evaluate`` has not seen.

    Args:
        members: checkpoint folders (or one folder of them), state dicts or modules.
        evaluate: called with a state dict (whose tensors are used again for the next one, so
            keep none of them), or, with ``module``, with that module. Returns scores by the
            objectives' names; a value may be a pair ``(score, standard error)``. ``None`` or a
            score that is not finite is a failure.
        objectives: names and directions (``"min"`` or ``"max"``), as in
            ``{"loss": "min", "f1": "max"}``.
        module: a ``torch.nn.Module`` that each mixture is loaded into, in place.
        choose_by: the objective by which members, soups and the front's point are chosen; the
            last that is maximised without, or else the first.
        choose: the rule that takes a point of the front: ``"one_standard_error"`` (the best
            loss among the points within a standard error of the best), ``"best_metric"``,
            ``"knee"`` or ``"weights"``.
        objective_weights: by objective, for ``choose="weights"``.
        ref_point: by objective; beyond the worst members without.
        evaluations: beyond those that it begins with; 5 a member without.
        patience: stops after so many evaluations without a gain.
        seed: of every random choice.
        threads: for fusing; 0 takes every core.
        catch: exceptions of ``evaluate`` that count as a failure; all others are raised.

    Raises:
        ArgumentError: objectives or options that cannot be.
        FusionError: members that do not fit each other.

    >>> import bomf, numpy as np
    >>> members = [{"w": np.array([float(i)])} for i in range(4)]
    >>> search = bomf.FusionSearch(
    ...     members,
    ...     evaluate=lambda state: {"loss": float((state["w"][0] - 1.8) ** 2)},
    ...     objectives={"loss": "min"},
    ... )
    >>> found = search.run()
    >>> bool(found.scores["loss"] < 0.01), len(found.weights)
    (True, 4)
    """

    def __init__(
        self,
        members: PathLike | Iterable[Member],
        evaluate: Callable[[Any], Scores],
        objectives: Mapping[str, str],
        *,
        module: Any = None,
        choose_by: str | None = None,
        choose: str = "one_standard_error",
        objective_weights: Mapping[str, float] | None = None,
        ref_point: Mapping[str, float] | None = None,
        evaluations: int | None = None,
        patience: int | None = None,
        seed: int = 0,
        threads: int = 0,
        catch: tuple[type[Exception], ...] = (),
    ) -> None:
        self._members = members_of(members)
        self._evaluate = evaluate
        self._objectives = {name: _direction(name, d) for name, d in objectives.items()}
        if not self._objectives:
            raise ArgumentError("there are no objectives", 'as in {"loss": "min", "f1": "max"}')
        self._module = module
        self._choose_by = self._chosen(choose_by)
        if choose not in _RULES:
            raise ArgumentError(f"choose is {choose!r}", f"it is one of {', '.join(_RULES)}")
        if choose == "weights" and objective_weights is None:
            raise ArgumentError('choose="weights" needs objective_weights')
        self._choose = choose
        self._weights = self._by_objective("objective_weights", objective_weights)
        self._ref_point = self._by_objective("ref_point", ref_point)
        self._options = {"evaluations": evaluations, "patience": patience}
        self._seed = seed
        self._threads = threads
        self._catch = catch

    def _chosen(self, choose_by: str | None) -> str:
        names = list(self._objectives)
        if choose_by is None:
            maximised = [n for n in names if self._objectives[n] == "maximize"]
            return maximised[-1] if maximised else names[0]
        if choose_by not in self._objectives:
            raise ArgumentError(
                f"choose_by is `{choose_by}`, which is no objective",
                f"the objectives are {', '.join(names)}",
            )
        return choose_by

    def _by_objective(
        self, what: str, values: Mapping[str, float] | None
    ) -> list[float] | None:
        if values is None:
            return None
        if set(values) != set(self._objectives):
            raise ArgumentError(f"{what} needs a number for each objective and nothing else")
        return [float(values[name]) for name in self._objectives]

    def run(
        self,
        out: PathLike | None = None,
        *,
        overwrite: bool = False,
        journal: PathLike | None = None,
        progress: Progress = None,
    ) -> FusionResult:
        """Searches, leaves the fused weights in the module (or returns them), and writes them.

        Args:
            out: a folder for the fused model. Of folders it is merged as ``bomf merge`` does it,
                with ``bomf.json``; a module is saved by its ``save_pretrained``.
            overwrite: whether a model in ``out`` may be replaced.
            journal: a file for every evaluation as it happens, a JSON object a line.
            progress: whether a bar is drawn, or a function that is told.

        Raises:
            EvaluationError: no member has scores, or an objective is missing.
            KeyboardInterrupt: Ctrl-C; the module holds the mixture evaluated last.
        """
        are_folders = all(is_path(member) for member in self._members)
        if out is not None and not are_folders and not hasattr(self._module, "save_pretrained"):
            raise ArgumentError(
                "nothing knows how to write the fused model",
                "give folders as members, or a module that has save_pretrained",
            )
        fusion = InMemory(self._members, None)
        target = None if self._module is None else self._module.state_dict()
        state: dict[str, Any] = {}
        evaluated: list[Mixture] = []

        def mix(weights: list[float]) -> None:
            nonlocal state
            mixture = _mixture([str(i) for i in range(len(weights))], weights)
            planned = fusion.of_recipe(mixture, self._seed)
            into = state or None
            if target is not None:
                into = _part_of(target, planned)
            state, _ = fusion.run(planned, into, self._threads)

        def measure(weights: list[float]) -> Any:
            mix(weights)
            try:
                found = self._evaluate(self._module if self._module is not None else state)
            except self._catch:
                found = None
            scores = None if found is None else self._scores(found)
            mixture = Mixture(np.array(weights), {} if scores is None else scores[0])
            evaluated.append(mixture)
            return scores

        recipe: dict[str, Any] = {
            "seed": self._seed,
            "stage2": {
                "choose": self._choose,
                **{name: v for name, v in self._options.items() if v is not None},
            },
        }
        if self._choose == "weights":
            # The numbers are handed over beside it: a recipe knows the engine's metrics only.
            recipe["stage2"]["choose"] = "one_standard_error"
        with tempfile.TemporaryDirectory(prefix="bomf-") as scratch, Bar(progress) as bar:
            text = _bomf.search_mixtures(
                len(self._members),
                list(self._objectives.items()),
                list(self._objectives).index(self._choose_by),
                json.dumps(recipe),
                os.fspath(journal) if journal is not None else os.path.join(scratch, "trials.jsonl"),
                measure,
                progress=bar,
                by_weights=self._choose == "weights",
                objective_weights=self._weights,
                ref_point=self._ref_point,
            )
        outcome = json.loads(text)
        front = [
            Mixture(np.array(p["weights"]), p["select"], p["chosen"]) for p in outcome["front"]
        ]
        chosen = next(p for p in front if p.chosen)
        mix(list(chosen.weights))
        written = None if out is None else self._write(out, list(chosen.weights), overwrite)
        return FusionResult(
            weights=chosen.weights,
            scores=chosen.scores,
            front=front,
            members=outcome["members"],
            methods={
                m["name"]: MethodResult(m["name"], np.array(m["weights"]), m["scores"])
                for m in outcome["methods"]
            },
            evaluated=evaluated,
            ref_point=dict(zip(self._objectives, outcome["ref_point"])),
            objectives=dict(self._objectives),
            chosen_by=self._choose_by,
            state=None if self._module is not None else state,
            out=written,
        )

    def _scores(self, found: Any) -> tuple[dict[str, float], dict[str, float]]:
        scores: dict[str, float] = {}
        errors: dict[str, float] = {}
        for name in self._objectives:
            if name not in found:
                raise EvaluationError(
                    f"the evaluation gave no `{name}`",
                    f"it gave {', '.join(str(n) for n in found) or 'nothing'}",
                )
            value = found[name]
            if isinstance(value, (tuple, list)):
                value, error = value
                errors[name] = float(error)
            scores[name] = float(value)
        return scores, errors

    def _write(self, out: PathLike, weights: list[float], overwrite: bool) -> Path:
        if all(is_path(member) for member in self._members):
            return merge(_mixture(self._members, weights), out, threads=self._threads, overwrite=overwrite).out
        target = Path(out)
        if target.exists() and any(target.iterdir()) and not overwrite:
            from .errors import OutputError

            raise OutputError(f"{target} is not empty", "give overwrite=True, or another folder")
        self._module.save_pretrained(target)
        return target


def _mixture(names: list[str], weights: list[float]) -> dict[str, Any]:
    """The recipe of a mixture: a member without weight is not read, and a single one is copied."""
    used = [(name, w) for name, w in zip(names, weights) if w != 0.0]
    own = {"weight": [w for _, w in used], "normalize": False}
    return recipe_of([name for name, _ in used], None, None, "linear", None, None, own)


def _part_of(target: Mapping[str, Any], planned: Any) -> dict[str, Any]:
    """The module's tensors that the members have: those of adapters only, or all."""
    names = [name for name, _, _ in planned.outputs()[0]]
    missing = [name for name in names if name not in target]
    if missing:
        raise ArgumentError(f"the module has no tensor `{missing[0]}`, which the members have")
    return {name: target[name] for name in names}


def _direction(name: str, direction: str) -> str:
    known = {"min": "minimize", "max": "maximize", "minimize": "minimize", "maximize": "maximize"}
    if direction not in known:
        raise ArgumentError(
            f"the direction of `{name}` is {direction!r}", 'it is "min" or "max"'
        )
    return known[direction]
