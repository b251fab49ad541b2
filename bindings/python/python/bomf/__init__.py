"""Fine-tune once, fuse by Bayesian optimisation.

- **Optimiser**: :class:`Optimizer`, :func:`minimize`, over :class:`Float`, :class:`Integer`,
  :class:`Categorical` and :class:`Simplex`; :mod:`bomf.integrations.optuna` for Optuna's studies;
- **Pareto tools**: :func:`hypervolume`, :func:`non_dominated`, :func:`knee`, …;
- **Fusion**: :func:`fuse` for folders and state dicts, :func:`merge` for recipes of mergekit,
  :func:`verify`, :func:`diff`, :func:`lora_fuse`, :func:`lora_extract`, :func:`methods`;
- **Fusion search**: :class:`FusionSearch` around your own evaluation, :class:`TrajectoryCallback`
  for transformers' ``Trainer``;
- **Hyperparameters**: :func:`tune`, :func:`freeze_lower_layers`;
- **The native engine**: :func:`run`, :func:`stage1`, :func:`finetune`, :func:`fuse_checkpoints`,
  :func:`evaluate`, :func:`pick`.

Errors are :class:`BomfError`; see :mod:`bomf.errors`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import errors
from ._bomf import __version__
from ._diff import Diff, LayerDiff, TensorDiff, diff
from ._evaluation import Evaluation
from ._found import FusionResult, MethodResult, Mixture
from ._fusion import fuse
from ._lora import LoraModule, LoraOutcome, lora_extract, lora_fuse
from ._merge import MergeOutcome, Verification, merge, verify
from ._methods import MethodInfo, ParameterInfo, methods
from ._minimize import Minimum, minimize
from ._optimizer import Optimizer
from ._outcomes import (
    CurvePoint,
    Finetune,
    FrontPoint,
    MemberRecord,
    Method,
    Objective,
    Run,
    Stage1,
    Stage1Trial,
)
from ._pareto import (
    hypervolume,
    hypervolume_contributions,
    infer_reference_point,
    knee,
    non_dominated,
    non_dominated_sort,
)
from ._runs import evaluate, finetune, fuse_checkpoints, load_run, pick, run, stage1
from ._search import FusionSearch
from ._space import Categorical, Float, Integer, Parameter, Simplex
from ._tuning import Tuned, freeze_lower_layers, tune
from .errors import BomfError

if TYPE_CHECKING:
    from ._trajectory import TrajectoryCallback

__all__ = [
    "BomfError",
    "Categorical",
    "CurvePoint",
    "Diff",
    "Evaluation",
    "Finetune",
    "Float",
    "FrontPoint",
    "FusionResult",
    "FusionSearch",
    "Integer",
    "LayerDiff",
    "LoraModule",
    "LoraOutcome",
    "MemberRecord",
    "MergeOutcome",
    "Method",
    "MethodInfo",
    "MethodResult",
    "Minimum",
    "Mixture",
    "Objective",
    "Optimizer",
    "Parameter",
    "ParameterInfo",
    "Run",
    "Simplex",
    "Stage1",
    "Stage1Trial",
    "TensorDiff",
    "TrajectoryCallback",
    "Tuned",
    "Verification",
    "__version__",
    "diff",
    "errors",
    "evaluate",
    "finetune",
    "freeze_lower_layers",
    "fuse",
    "fuse_checkpoints",
    "hypervolume",
    "hypervolume_contributions",
    "infer_reference_point",
    "knee",
    "load_run",
    "lora_extract",
    "lora_fuse",
    "merge",
    "methods",
    "minimize",
    "non_dominated",
    "non_dominated_sort",
    "pick",
    "run",
    "stage1",
    "tune",
    "verify",
]


def __getattr__(name: str) -> Any:
    # Importing transformers takes seconds, and only this class is derived from something of it.
    if name == "TrajectoryCallback":
        from ._trajectory import TrajectoryCallback

        return TrajectoryCallback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
