"""Members gathered along a run of transformers' ``Trainer``, and fused at its end."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _bomf
from ._found import FusionResult
from ._peft import Adapters, is_peft, require_plain
from ._progress import Progress
from ._search import FusionSearch
from .errors import ArgumentError, UnsupportedError

if TYPE_CHECKING:
    from transformers import TrainerCallback
else:
    try:
        from transformers import TrainerCallback
    except ImportError:

        class TrainerCallback:
            """Stands for transformers' own, which is not installed."""


__all__ = ["TrajectoryCallback"]

#: Early stopping never comes before this share of the planned steps: a lucky evaluation during
#: the warm-up must not end the run.
_MIN_SHARE = 0.5


class TrajectoryCallback(TrainerCallback):
    """Gathers members along a run of ``transformers.Trainer`` (or one derived from it, such as
    TRL's), and fuses them when it is over.

    With B* the step whose evaluation was best, the members lie at even spacing between
    ``window[0]`` and ``window[1]`` times B* (Jang et al. 2024). B* is known only afterwards, so
    candidates are kept while training: at most about twice as many as members, whatever the run's
    length, in a folder of their own that ``save_total_limit`` does not touch. Only what is trained
    is kept: of a PEFT model its adapters, of a model with frozen layers the others. Of adapters the
    changes are averaged, not the factors: the fused adapter has the ranks of its members together
    (:func:`bomf.lora_fuse` cuts it down).

    Give the trainer an evaluation several times an epoch (``eval_strategy="steps"``): the best
    step is one of them.

    Args:
        members: how many members.
        window: their first and last step, in units of the best one.
        candidates_per_epoch: candidates an epoch at first; thinned out as the run goes on.
        metric: the metric by which a step is best; ``metric_for_best_model`` of the training
            arguments without, or else the loss.
        greater_is_better: its direction; that of the training arguments without, or else whether
            it is no loss.
        early_stopping: ends training once no later step can be a member.
        folder: where candidates are kept; a hidden folder in ``output_dir`` without.
        keep: whether they stay there after :meth:`fuse`.

    .. code-block:: python

        callback = bomf.TrajectoryCallback()
        trainer = Trainer(model, args, train_dataset=train, eval_dataset=select,
                          compute_metrics=compute_metrics, callbacks=[callback])
        trainer.train()
        found = callback.fuse(trainer)       # the trainer's model now has the fused weights
        print(found.scores, trainer.evaluate(test))
    """

    def __init__(
        self,
        members: int = 15,
        *,
        window: tuple[float, float] = (0.5, 2.0),
        candidates_per_epoch: int = 20,
        metric: str | None = None,
        greater_is_better: bool | None = None,
        early_stopping: bool = False,
        folder: str | os.PathLike[str] | None = None,
        keep: bool = False,
    ) -> None:
        if members < 2:
            raise ArgumentError(f"members is {members}, but at least 2 are needed")
        low, high = window
        if not (0 < low <= 1 <= high and low < high):
            raise ArgumentError(
                f"window is {window}, but its first step lies in (0, 1] and its last beyond 1"
            )
        if candidates_per_epoch < 1:
            raise ArgumentError(
                f"candidates_per_epoch is {candidates_per_epoch}, but at least 1 is needed"
            )
        self._members = members
        self._window = (float(low), float(high))
        self._per_epoch = candidates_per_epoch
        self._metric = metric
        self._greater = greater_is_better
        self._early = early_stopping
        self._folder = None if folder is None else Path(folder)
        self._keep_files = keep
        self._own: Path | None = None
        self._keeper: Any = None
        self._best: float | None = None
        self._last = 0
        self._listens = False

    # What the trainer calls.

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not state.is_world_process_zero:
            return
        _require_whole(kwargs.get("model"))
        self._delete()
        parent = self._folder or Path(args.output_dir)
        parent.mkdir(parents=True, exist_ok=True)
        self._own = Path(tempfile.mkdtemp(prefix=".bomf-candidates-", dir=parent))
        steps = max(state.max_steps, 1)
        epochs = max(float(getattr(state, "num_train_epochs", 1) or 1), 1.0)
        spacing = max(int(steps / epochs / self._per_epoch), 1)
        self._keeper = _bomf.Keeper(self._members, list(self._window), spacing)
        self._best = None
        self._last = 0
        self._metric_name, self._sign = self._measure(args)
        self._listens = True

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not self._listens:
            return
        step = int(state.global_step)
        self._last = step
        if self._keeper.wants(step):
            self._store(step, kwargs["model"])
            self._drop(self._keeper.keep(step))
        best = self._keeper.best()
        is_late = step >= _MIN_SHARE * max(state.max_steps, 1)
        if self._early and best is not None and is_late and step >= self._window[1] * best:
            control.should_training_stop = True

    def on_evaluate(
        self,
        args: Any,
        state: Any,
        control: Any,
        metrics: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if not self._listens or not metrics:
            return
        value = metrics.get(self._metric_name)
        if value is None:
            warnings.warn(
                f"the evaluation gave no `{self._metric_name}` (it gave "
                f"{', '.join(metrics)}): the best step is not known, and members are spread over "
                "the whole run",
                UserWarning,
                stacklevel=2,
            )
            return
        if not math.isfinite(value):
            return
        step = int(state.global_step)
        if step and (self._best is None or self._sign * value > self._sign * self._best):
            self._best = float(value)
            self._store(step, kwargs["model"])
            self._drop(self._keeper.keep_best(step))

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        # What is evaluated from now on, such as the report split, drives no choice.
        self._listens = False

    # What the user calls.

    @property
    def best_step(self) -> int | None:
        """The step whose evaluation was best; ``None`` without an evaluation."""
        return None if self._keeper is None else self._keeper.best()

    @property
    def steps(self) -> list[int]:
        """The steps of the members, rising."""
        return [] if self._keeper is None else list(self._keeper.choose(self._last))

    @property
    def files(self) -> list[Path]:
        """The members' files, safetensors of what was trained."""
        return [self._file(step) for step in self.steps]

    def fuse(
        self,
        trainer: Any,
        objectives: Mapping[str, str] | None = None,
        *,
        eval_dataset: Any = None,
        choose_by: str | None = None,
        out: str | os.PathLike[str] | None = None,
        progress: Progress = None,
        **options: Any,
    ) -> FusionResult:
        """Searches the members' weights by the trainer's own ``evaluate()``, and leaves the fused
        weights in its model.

        Args:
            trainer: the one that this callback was in.
            objectives: metrics as ``evaluate()`` names them, with or without ``eval_``, and their
                directions; without, the loss and the metric by which steps are best.
            eval_dataset: the data that drive the choice; the trainer's own without. Report on
                others.
            choose_by: as of :class:`FusionSearch`; the metric by which steps are best without.
            out: a folder that the fused model is saved to, by the trainer.
            progress: whether a bar is drawn, or a function that is told.
            **options: further options of :class:`FusionSearch` (``evaluations``, ``choose``, …).

        Raises:
            ArgumentError: training has not run with this callback or kept fewer than two members,
                or they have been fused and deleted already.
        """
        if self._keeper is None:
            raise ArgumentError(
                "training has not run with this callback",
                "give it to the trainer (callbacks=[callback]) and train first",
            )
        if objectives is None:
            objectives = {"eval_loss": "min"}
            if self._metric_name != "eval_loss":
                objectives[self._metric_name] = "max" if self._sign > 0 else "min"
        named = {_prefixed(name): direction for name, direction in objectives.items()}
        if choose_by is not None:
            choose_by = _prefixed(choose_by)
        elif self._metric_name in named:
            choose_by = self._metric_name
        files = self.files
        if len(files) < 2:
            raise ArgumentError(
                f"training left {len(files)} members, but fusion needs at least 2",
                "train for more steps, or raise candidates_per_epoch",
            )
        model = _unwrapped(trainer.model)
        arguments = {} if eval_dataset is None else {"eval_dataset": eval_dataset}

        def evaluate(_: Any) -> Mapping[str, float]:
            found: Mapping[str, float] = trainer.evaluate(**arguments)
            return found

        members: list[Any] = list(files)
        adapters = None
        if is_peft(model):
            from safetensors.torch import load_file

            adapters = Adapters(model, [load_file(file) for file in files])
            members = adapters.widened()
        with self._quiet(trainer):
            search = FusionSearch(
                members, evaluate, named, module=model, choose_by=choose_by, **options
            )
            found = search.run(progress=progress)
        if adapters is not None:
            adapters.settle(list(found.weights))
        if out is not None:
            trainer.save_model(os.fspath(out))
            found.out = Path(out)
        if not self._keep_files:
            self._delete()
        return found

    # What is behind it.

    def _measure(self, args: Any) -> tuple[str, int]:
        name = _prefixed(self._metric or getattr(args, "metric_for_best_model", None) or "loss")
        greater = self._greater
        if greater is None and self._metric is None:
            greater = getattr(args, "greater_is_better", None)
        if greater is None:
            greater = not name.endswith("loss")
        return name, 1 if greater else -1

    def _file(self, step: int) -> Path:
        if self._own is None:
            raise ArgumentError("the candidates have been deleted", "keep=True keeps them")
        return self._own / f"step-{step}.safetensors"

    def _store(self, step: int, model: Any) -> None:
        from safetensors.torch import save_file

        path = self._file(step)
        if path.exists():
            return
        tensors = _trained(_unwrapped(model))
        unfinished = path.with_suffix(".part")
        save_file(tensors, str(unfinished), metadata={"format": "pt"})
        os.replace(unfinished, path)

    def _drop(self, steps: list[int]) -> None:
        for step in steps:
            self._file(step).unlink(missing_ok=True)

    def _delete(self) -> None:
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)
        self._own = None

    @contextlib.contextmanager
    def _quiet(self, trainer: Any) -> Iterator[None]:
        """Evaluations that no other callback hears of, and that leave no line in the log."""
        handler = trainer.callback_handler
        callbacks, handler.callbacks = handler.callbacks, []
        history = list(trainer.state.log_history)
        try:
            yield
        finally:
            handler.callbacks = callbacks
            trainer.state.log_history = history


def _prefixed(name: str) -> str:
    return name if name.startswith("eval_") else f"eval_{name}"


def _unwrapped(model: Any) -> Any:
    """The user's module, out of what wraps it for training."""
    while True:
        if hasattr(model, "_orig_mod"):
            model = model._orig_mod
        elif type(model).__name__ in ("DistributedDataParallel", "DataParallel"):
            model = model.module
        else:
            return model


def _require_whole(model: Any) -> None:
    """Refuses models of which this process holds a part."""
    name = type(model).__name__
    if "FullyShardedDataParallel" in name or name.startswith("FSDP") or "DeepSpeed" in name:
        raise UnsupportedError(
            f"the model is sharded over processes ({name})",
            "gather members from the checkpoints that the trainer saves: bomf.FusionSearch",
        )
    if is_peft(model):
        require_plain(model)


def _trained(model: Any) -> dict[str, Any]:
    """What training changes, each tensor once: parameters with a gradient, and float buffers
    that are saved."""
    state = model.state_dict()
    trained = {name for name, p in model.named_parameters(remove_duplicate=False) if p.requires_grad}
    buffers = {name for name, _ in model.named_buffers(remove_duplicate=False)}
    tensors: dict[str, Any] = {}
    places = set()
    for name, tensor in state.items():
        if name not in trained and not (name in buffers and tensor.is_floating_point()):
            continue
        place = (tensor.device, tensor.data_ptr(), tuple(tensor.shape))
        if tensor.numel() and place in places:
            continue
        places.add(place)
        tensors[name] = tensor.detach().cpu().contiguous()
    if not tensors:
        raise ArgumentError("the model has no parameters that are trained")
    return tensors
