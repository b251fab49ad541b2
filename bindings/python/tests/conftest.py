"""What several tests need; those of optional packages are skipped without them, loudly."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

OPTIONAL = ["torch", "transformers", "peft", "optuna"]


def pytest_report_header() -> list[str]:
    missing = [name for name in OPTIONAL if importlib.util.find_spec(name) is None]
    return [f"SKIPPED, not installed: {name} (its tests do not run)" for name in missing]


@pytest.fixture
def write_checkpoint(tmp_path: Path) -> Callable[..., Path]:
    """Writes a folder with a safetensors file, without any library."""

    def write(name: str, tensors: Mapping[str, np.ndarray], **config: Any) -> Path:
        import json

        folder = tmp_path / name
        folder.mkdir(parents=True)
        kinds = {"float32": "F32", "float64": "F64", "float16": "F16", "int64": "I64"}
        header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
        data = b""
        for key, value in sorted(tensors.items()):
            raw = np.ascontiguousarray(value).tobytes()
            header[key] = {
                "dtype": kinds[value.dtype.name],
                "shape": list(value.shape),
                "data_offsets": [len(data), len(data) + len(raw)],
            }
            data += raw
        head = json.dumps(header).encode()
        head += b" " * (-len(head) % 8)
        content = len(head).to_bytes(8, "little") + head + data
        (folder / "model.safetensors").write_bytes(content)
        (folder / "config.json").write_text(json.dumps({"model_type": "bert", **config}))
        return folder

    return write
