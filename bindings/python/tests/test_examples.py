"""The docstrings' examples, and the script of the documentation on a tiny model."""

from __future__ import annotations

import doctest
import importlib
import inspect
import json
import os
import pkgutil
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bomf
from test_fusion import write_adapter
from tiny import SPECIAL, write_tokenizer

#: Modules that need an optional package.
NEEDS = {
    "bomf.integrations.optuna": "optuna",
    "bomf.integrations._optuna": "optuna",
    "bomf._trajectory": "transformers",
}

MODULES = sorted(m.name for m in pkgutil.walk_packages(bomf.__path__, "bomf.") if m.name != "bomf._bomf")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def models(folder: Path, write_checkpoint: Callable[..., Path]) -> None:
    """The models and adapters that examples name."""
    for i, name in enumerate(["a", "b"]):
        rng = np.random.default_rng(i)
        dense = rng.normal(size=(8, 8)).astype(np.float32)
        write_checkpoint(name, {"encoder.layer.0.dense.weight": dense})
        write_adapter(write_checkpoint, f"adapter-{name}", i)


@pytest.fixture
def run(folder: Path, task: tuple[Path, Path]) -> None:
    """The model, the data and the run that examples name."""
    for path in task:
        shutil.copytree(path, folder / path.name)
    small = {"stage1": {"trials": 2}, "finetune": {"epochs": 2}, "members": {"count": 3}}
    bomf.run("model", "data", "run", {**small, "stage2": {"evaluations": 3}})


#: What the examples of a module find in their folder.
FOUND = {"bomf._runs": "run", "bomf._merge": "models", "bomf._diff": "models", "bomf._lora": "models"}


@pytest.mark.parametrize("name", ["bomf", *MODULES])
def test_the_examples_of_docstrings_hold(name: str, request: pytest.FixtureRequest) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    request.getfixturevalue(FOUND.get(name, "folder"))
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert failed == 0


def functions() -> Iterator[tuple[str, Any]]:
    """Functions, and classes and their methods that people call; not records of outcomes."""
    for name in bomf.__all__:
        if name == "TrajectoryCallback":
            continue
        thing = getattr(bomf, name)
        if inspect.isfunction(thing):
            yield name, thing
    for method, thing in vars(bomf.Optimizer).items():
        if inspect.isfunction(thing) and not method.startswith("_") and method != "best":
            yield f"Optimizer.{method}", thing


@pytest.mark.parametrize(("name", "thing"), functions())
def test_every_function_has_an_example(name: str, thing: Any) -> None:
    assert ">>>" in thing.__doc__ or ".. code-block:: python" in thing.__doc__


def test_everything_that_is_public_has_a_docstring() -> None:
    for name in bomf.__all__:
        if name == "TrajectoryCallback":
            pytest.importorskip("transformers")
        thing = getattr(bomf, name)
        if name != "__version__":
            assert thing.__doc__, name


def test_the_package_imports_without_its_optional_packages() -> None:
    code = "import sys, bomf; assert not {'torch', 'transformers', 'optuna'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent)


def test_the_script_for_trainer_runs_on_a_tiny_model(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    script = Path(__file__).parent.parent / "examples" / "trainer_mrpc.py"
    words = [f"w{i}" for i in range(30)]
    model = tmp_path / "model"
    model.mkdir()
    write_tokenizer(model, [*SPECIAL, *words])
    config = transformers.BertConfig(
        vocab_size=35,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=128,
    )
    transformers.BertForSequenceClassification(config).save_pretrained(model)
    data = tmp_path / "data"
    data.mkdir()
    rng = np.random.default_rng(0)
    for split, n in (("train", 96), ("validation", 48), ("test", 48)):
        rows = []
        for i in range(n):
            a = rng.choice(words, 5)
            b = a if i % 2 else rng.choice(words, 5)
            label = "equivalent" if i % 2 else "not_equivalent"
            rows.append({"text": " ".join(a), "text_pair": " ".join(b), "label": label})
        (data / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    command = [sys.executable, str(script), str(model), str(data), "--epochs", "6"]
    command += ["--members", "4", "--evaluations", "3", "--eval-steps", "4"]
    command += ["--out", str(tmp_path / "out")]
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = done.stdout[done.stdout.index("report split") :].splitlines()[1:]
    names = [row.split("  ")[0] for row in rows]
    assert names[-2:] == ["last step", "bomf"], names
    assert {"best_checkpoint", "uniform_soup", "greedy_soup"} <= set(names)
    assert all("[" in row for row in rows[:-1]), "each difference has its interval"
    assert not list((tmp_path / "out").glob(".bomf-*"))
    assert (tmp_path / "out" / "fused" / "config.json").exists()
