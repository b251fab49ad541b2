"""Places on disk, as people give them."""

from __future__ import annotations

import os
from typing import Any, TypeGuard, Union

__all__ = ["PathLike", "is_path"]

PathLike = Union[str, "os.PathLike[str]"]


def is_path(value: Any) -> TypeGuard[PathLike]:
    """Whether a value names a place on disk; a state dict or a module does not."""
    return isinstance(value, (str, os.PathLike))
