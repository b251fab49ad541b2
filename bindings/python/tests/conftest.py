"""What several tests need; those of optional packages are skipped without them, loudly."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tiny import SPECIAL, write_tokenizer

OPTIONAL = ["torch", "transformers", "peft", "trl", "optuna"]


def pytest_report_header() -> list[str]:
    missing = [name for name in OPTIONAL if importlib.util.find_spec(name) is None]
    return [f"SKIPPED, not installed: {name} (its tests do not run)" for name in missing]


@pytest.fixture
def write_checkpoint(tmp_path: Path) -> Callable[..., Path]:
    """Writes a folder with a safetensors file, without any library."""

    def write(name: str, tensors: Mapping[str, np.ndarray], **config: Any) -> Path:
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


@pytest.fixture(scope="session")
def task(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny random BERT with its tokenizer, and a data set that it can learn."""
    root = tmp_path_factory.mktemp("task")
    words = [f"w{i}" for i in range(30)]
    vocabulary = [*SPECIAL, *words]
    hidden, inner = 16, 32
    rng = np.random.default_rng(0)
    tensors: dict[str, np.ndarray] = {}

    def add(name: str, *shape: int, ones: bool = False) -> None:
        value = np.ones(shape) if ones else rng.normal(0, 0.02, shape)
        tensors[name] = value.astype(np.float32)

    add("bert.embeddings.word_embeddings.weight", len(vocabulary), hidden)
    add("bert.embeddings.position_embeddings.weight", 64, hidden)
    add("bert.embeddings.token_type_embeddings.weight", 2, hidden)
    norms = ["bert.embeddings.LayerNorm"]
    for i in range(2):
        layer = f"bert.encoder.layer.{i}"
        for part, out, inside in [
            ("attention.self.query", hidden, hidden),
            ("attention.self.key", hidden, hidden),
            ("attention.self.value", hidden, hidden),
            ("attention.output.dense", hidden, hidden),
            ("intermediate.dense", inner, hidden),
            ("output.dense", hidden, inner),
        ]:
            add(f"{layer}.{part}.weight", out, inside)
            add(f"{layer}.{part}.bias", out)
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
    for norm in norms:
        add(f"{norm}.weight", hidden, ones=True)
        add(f"{norm}.bias", hidden)
    add("bert.pooler.dense.weight", hidden, hidden)
    add("bert.pooler.dense.bias", hidden)

    model = root / "model"
    model.mkdir()
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, value in tensors.items():
        raw = value.tobytes()
        place = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": place}
        data += raw
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    content = len(head).to_bytes(8, "little") + head + data
    (model / "model.safetensors").write_bytes(content)
    config = {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "vocab_size": len(vocabulary),
        "hidden_size": hidden,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": inner,
        "hidden_act": "gelu",
        "max_position_embeddings": 64,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
    }
    (model / "config.json").write_text(json.dumps(config))
    write_tokenizer(model, vocabulary)

    folder = root / "data"
    folder.mkdir()
    for split, n in (("train", 120), ("validation", 60), ("test", 60)):
        rows = []
        for i in range(n):
            chosen = rng.choice(words[:20] if i % 2 else words[10:], 6)
            rows.append(json.dumps({"text": " ".join(chosen), "label": i % 2}))
        (folder / f"{split}.jsonl").write_text("\n".join(rows))
    return model, folder
