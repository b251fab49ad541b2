"""What can go wrong: every error of bomf is a :class:`BomfError`.

Messages are those of the binary: what is wrong, where, and, in :attr:`BomfError.hint`, how to
mend it.

>>> import bomf
>>> try:
...     bomf.Optimizer([bomf.Float("lr", 1.0, 0.5)])
... except bomf.BomfError as error:
...     print(type(error).__name__, "-", error)
ArgumentError - parameter `lr`: the lower bound must be below the upper bound
"""

from __future__ import annotations

__all__ = [
    "ArgumentError",
    "BomfError",
    "CheckpointError",
    "DataError",
    "EvaluationError",
    "ExhaustedError",
    "FusionError",
    "InterruptedError",
    "ModelNotFoundError",
    "OptimizationError",
    "OutputError",
    "ParetoError",
    "RecipeError",
    "TrainingError",
    "UnsupportedError",
]


class BomfError(Exception):
    """An error of bomf.

    Attributes:
        message: what is wrong, and where.
        hint: how to mend it, or ``None`` where that cannot be said.
    """

    message: str
    hint: str | None

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message if hint is None else f"{message}\nhint: {hint}")
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[type[BomfError], tuple[str, str | None]]:
        return type(self), (self.message, self.hint)


class ArgumentError(BomfError, ValueError):
    """An argument that cannot be."""


class RecipeError(BomfError, ValueError):
    """A recipe that cannot be; the message names the line."""


class ModelNotFoundError(BomfError, FileNotFoundError):
    """A model that is neither on disk nor on the hub."""

    def __str__(self) -> str:
        return str(self.args[0])


class CheckpointError(BomfError):
    """A checkpoint or adapter that cannot be read or written, or does not fit the others."""


class FusionError(BomfError, ValueError):
    """Models that cannot be fused."""


class DataError(BomfError, ValueError):
    """Data that cannot be read."""


class TrainingError(BomfError):
    """A model that cannot be trained or evaluated."""


class EvaluationError(BomfError):
    """Not one member has scores, or an evaluating program gave none."""


class OptimizationError(BomfError, ValueError):
    """A space, a point or an outcome that the optimiser refuses, or a model it cannot fit."""


class ExhaustedError(OptimizationError):
    """Every point of a finite space has been proposed."""


class ParetoError(BomfError, ValueError):
    """Points that are no set of points."""


class OutputError(BomfError, OSError):
    """An output folder that is taken, or cannot be written to."""

    def __str__(self) -> str:
        return str(self.args[0])


class InterruptedError(BomfError):
    """Work that was told to stop by other means than Ctrl-C (which is a KeyboardInterrupt)."""


class UnsupportedError(BomfError, NotImplementedError):
    """Something that bomf cannot do (yet), by its name."""
