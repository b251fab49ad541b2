"""Every snippet of the package's README runs as it stands."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bomf

README = Path(__file__).parent.parent / "README.md"


def snippets() -> dict[str, list[str]]:
    """The Python of each section."""
    found: dict[str, list[str]] = {}
    for section in re.split(r"^## ", README.read_text(encoding="utf-8"), flags=re.M)[1:]:
        title = section.splitlines()[0]
        found[title] = re.findall(r"^```python\n(.*?)^```", section, flags=re.M | re.S)
    return found


def run(section: str, number: int, names: dict[str, Any]) -> dict[str, Any]:
    # A number of a run that would take minutes is made smaller, and nothing else.
    code = snippets()[section][number].replace("n_trials=50", "n_trials=12")
    exec(compile(code, f"README.md: {section}, {number}", "exec"), names)
    return names


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_no_snippet_is_without_a_test() -> None:
    counts = {title: len(code) for title, code in snippets().items() if code}
    assert counts == {
        "`Trainer` in fifteen lines": 1,
        "Fusing checkpoints that exist": 2,
        "In place of an Optuna sampler": 3,
        "From mergekit": 1,
    }


def test_trainer_in_fifteen_lines() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from test_trainer import REPORT, SELECT, TRAIN, tiny

    def compute_metrics(predicted: Any) -> dict[str, float]:
        logits, labels = predicted
        hits = int(((logits.argmax(-1) == 1) & (labels == 1)).sum())
        return {"f1": 2 * hits / max(int((logits.argmax(-1) == 1).sum() + labels.sum()), 1)}

    names = {"model": tiny(), "train": TRAIN, "select": SELECT, "report": REPORT}
    section = "`Trainer` in fifteen lines"
    ran = run(section, 0, {**names, "compute_metrics": compute_metrics})
    assert set(ran["found"].scores) == {"eval_loss", "eval_f1"}
    assert len(snippets()[section][0].strip().splitlines()) <= 15 + 2, "imports apart"


def test_fusing_checkpoints_that_exist() -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    peft = pytest.importorskip("peft")
    from test_trainer import tiny

    models = [tiny(seed) for seed in range(3)]
    for step, model in zip((400, 600), models):
        model.save_pretrained(f"run/checkpoint-{step}")
    for name, seed in (("a", 4), ("b", 5)):
        torch.manual_seed(seed)
        config = peft.LoraConfig(r=8, target_modules=["query"], init_lora_weights=False)
        peft.get_peft_model(tiny(), config).save_pretrained(f"adapter-{name}")
    names = {"bomf": bomf, "model_a": models[0], "model_b": models[1], "base": models[2]}
    section = "Fusing checkpoints that exist"
    run(section, 0, {**names, "model": tiny(9)})
    assert os.path.exists("fused/bomf.json") and os.path.exists("adapter/adapter_config.json")

    ids = torch.arange(5, 13).reshape(2, 4)
    target = torch.tensor([0, 1])

    def loss(module: Any) -> float:
        with torch.no_grad():
            return float(module.eval()(ids, labels=target).loss)

    more = {**names, "model": tiny(9), "loss": loss, "f1": lambda module: -loss(module)}
    import shutil

    shutil.rmtree("fused")
    ran = run(section, 1, more)
    assert ran["found"].out == Path("fused") and os.path.exists("fused/model.safetensors")


def test_in_place_of_an_optuna_sampler() -> None:
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    section = "In place of an Optuna sampler"

    def objective(trial: Any) -> tuple[float, float]:
        x = trial.suggest_float("x", 0, 1)
        return x, -((x - 1) ** 2)

    ran = run(section, 0, {"optuna": optuna, "objective": objective})
    assert len(ran["study"].trials) == 12
    goal = np.array([0.5, 0.5, 0.0, 0.0])
    mixtures = {"optuna": optuna, "loss_of_a_mixture": lambda w: float(((w - goal) ** 2).sum())}
    assert run(section, 1, mixtures)["study"].best_value < 0.05


def test_the_optimiser_by_itself() -> None:
    def evaluate(point: dict[str, Any]) -> dict[str, float]:
        return {"loss": point["lr"], "f1": float(point["mix"][0])}

    ran = run("In place of an Optuna sampler", 2, {"bomf": bomf, "evaluate": evaluate})
    assert len(ran["search"]) == 4 and os.path.exists("search.json")


def test_from_mergekit(write_checkpoint: Callable[..., Path]) -> None:
    for i, name in enumerate(("base", "a", "b")):
        write_checkpoint(name, {"w": np.arange(6, dtype=np.float32).reshape(2, 3) ** i})
    Path("recipe.yaml").write_text(
        "merge_method: linear\nmodels:\n"
        "- {model: a, parameters: {weight: 0.5}}\n- {model: b, parameters: {weight: 0.5}}\n"
    )
    run("From mergekit", 0, {"bomf": bomf})
