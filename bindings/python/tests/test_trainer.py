"""Members gathered and fused in transformers' own Trainer, with a tiny random BERT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bomf

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

VOCABULARY = 40


class Rows(torch.utils.data.Dataset):  # type: ignore[misc, name-defined]
    """Sequences whose class is whether they hold more small tokens than large ones."""

    def __init__(self, n: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.ids = rng.integers(5, VOCABULARY, size=(n, 10))
        self.labels = ((self.ids < 22).sum(1) > 5).astype(int)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, i: int) -> dict[str, Any]:
        ids = torch.tensor(self.ids[i])
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": int(self.labels[i])}


TRAIN, SELECT, REPORT = Rows(192, 0), Rows(96, 1), Rows(96, 2)


def tiny(seed: int = 0) -> Any:
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
    )
    return transformers.BertForSequenceClassification(config)


def compute_metrics(predicted: Any) -> dict[str, float]:
    logits, labels = predicted
    return {"accuracy": float((logits.argmax(-1) == labels).mean())}


def trainer(folder: Path, callback: Any, model: Any = None, **options: Any) -> Any:
    arguments = {
        "output_dir": str(folder),
        "num_train_epochs": 4,
        "per_device_train_batch_size": 16,
        "per_device_eval_batch_size": 96,
        "learning_rate": 5e-3,
        "eval_strategy": "steps",
        "eval_steps": 6,
        "save_strategy": "steps",
        "save_steps": 12,
        "save_total_limit": 1,
        "metric_for_best_model": "accuracy",
        "logging_strategy": "no",
        "report_to": [],
        "use_cpu": True,
        "disable_tqdm": True,
        "seed": 1,
        **options,
    }
    return transformers.Trainer(
        tiny() if model is None else model,
        transformers.TrainingArguments(**arguments),
        train_dataset=TRAIN,
        eval_dataset=SELECT,
        compute_metrics=compute_metrics,
        callbacks=[callback],
    )


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("step-*.safetensors"))


def test_a_run_is_fused_and_the_model_has_the_fused_weights(tmp_path: Path) -> None:
    callback = bomf.TrajectoryCallback(members=5)
    t = trainer(tmp_path, callback)
    most = 0

    class Counts(transformers.TrainerCallback):  # type: ignore[misc, name-defined]
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            nonlocal most
            most = max(most, len(files(tmp_path)))

    t.add_callback(Counts())
    t.train()
    assert 0 < most <= 2 * 5 + 2, "the disk is bounded"
    assert callback.best_step in callback.steps and len(callback.steps) <= 5
    history = len(t.state.log_history)
    found = callback.fuse(t, evaluations=6)
    assert found.chosen_by == "eval_accuracy"
    assert found.objectives == {"eval_loss": "minimize", "eval_accuracy": "maximize"}
    assert len(t.state.log_history) == history, "evaluations of mixtures leave no trace"
    again = t.evaluate()
    assert again["eval_loss"] == pytest.approx(found.scores["eval_loss"], rel=1e-5)
    assert again["eval_accuracy"] == found.scores["eval_accuracy"]
    best = found.methods["best_checkpoint"].scores["eval_accuracy"]
    assert max(p.scores["eval_accuracy"] for p in found.front) >= best
    assert files(tmp_path) == [] and not list(tmp_path.glob(".bomf-*")), "nothing is left behind"
    assert callback.best_step in callback.steps, "where they were is still known"
    with pytest.raises(bomf.errors.ArgumentError, match="deleted"):
        callback.fuse(t)
    report = t.evaluate(REPORT, metric_key_prefix="report")
    assert "report_accuracy" in report


def test_members_hold_the_parameters_of_their_steps(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    seen = {}

    class Copies(transformers.TrainerCallback):  # type: ignore[misc, name-defined]
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            head = kwargs["model"].classifier.weight
            seen[state.global_step] = head.detach().clone()

    callback = bomf.TrajectoryCallback(members=4, keep=True)
    t = trainer(tmp_path, callback)
    t.add_callback(Copies())
    t.train()
    for step, path in zip(callback.steps, callback.files):
        assert torch.equal(load_file(path)["classifier.weight"], seen[step])
    out = tmp_path / "fused"
    found = callback.fuse(t, {"accuracy": "max"}, evaluations=2, out=out, choose="best_metric")
    assert list(found.objectives) == ["eval_accuracy"] and found.out == out
    again = transformers.BertForSequenceClassification.from_pretrained(out)
    assert torch.equal(again.classifier.weight, t.model.classifier.weight)
    assert callback.files and all(path.exists() for path in callback.files)


def test_what_is_evaluated_after_training_drives_no_choice(tmp_path: Path) -> None:
    callback = bomf.TrajectoryCallback(members=3, keep=True)
    t = trainer(tmp_path, callback, eval_steps=10)
    t.train()
    before = callback.best_step, callback.steps, [path.read_bytes() for path in callback.files]
    with torch.no_grad():
        # A model that is right on every example: nothing in training was as good.
        t.model.classifier.bias.copy_(torch.tensor([0.0, 1e3]))
    ones = Rows(96, 1)
    ones.labels[:] = 1
    assert t.evaluate(ones)["eval_accuracy"] == 1.0
    assert before == (callback.best_step, callback.steps, [p.read_bytes() for p in callback.files])
    callback.fuse(t, evaluations=2)
    t.evaluate(ones)
    assert before == (callback.best_step, callback.steps, [p.read_bytes() for p in callback.files])


def test_trl_takes_the_callback_as_it_is(tmp_path: Path) -> None:
    trl = pytest.importorskip("trl")
    from datasets import Dataset
    from tiny import SPECIAL, write_tokenizer

    words = [f"w{i}" for i in range(30)]
    write_tokenizer(tmp_path, [*SPECIAL, *words])
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    tokenizer.eos_token = "[SEP]"
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=35, n_embd=16, n_layer=2, n_head=2, n_positions=32, bos_token_id=2, eos_token_id=3
    )

    def rows(n: int) -> Any:
        starts = np.random.default_rng(n).integers(0, 30, n)
        texts = [" ".join(words[(s + j) % 30] for j in range(8)) for s in starts]
        return Dataset.from_dict({"text": texts})

    callback = bomf.TrajectoryCallback(members=4)
    t = trl.SFTTrainer(
        transformers.GPT2LMHeadModel(config),
        trl.SFTConfig(
            output_dir=str(tmp_path / "out"),
            num_train_epochs=3,
            per_device_train_batch_size=16,
            learning_rate=2e-2,
            eval_strategy="steps",
            eval_steps=4,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            use_cpu=True,
            bf16=False,
            disable_tqdm=True,
            max_length=32,
        ),
        train_dataset=rows(96),
        eval_dataset=rows(48),
        processing_class=tokenizer,
        callbacks=[callback],
    )
    t.train()
    found = callback.fuse(t, evaluations=3)
    assert t.evaluate()["eval_loss"] == pytest.approx(found.scores["eval_loss"], rel=1e-5)
    assert min(m["eval_loss"] for m in found.members) >= min(
        p.scores["eval_loss"] for p in found.front
    )


def test_frozen_layers_are_neither_kept_nor_changed(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    model = tiny()
    assert bomf.freeze_lower_layers(model, 0.5) == 1
    before = model.bert.embeddings.word_embeddings.weight.detach().clone()
    callback = bomf.TrajectoryCallback(members=3)
    t = trainer(tmp_path, callback, model, num_train_epochs=2)
    t.train()
    names = load_file(callback.files[0])
    assert "classifier.weight" in names
    assert not any("embeddings" in n or "layer.0" in n for n in names)
    callback.fuse(t, evaluations=2)
    assert torch.equal(before, model.bert.embeddings.word_embeddings.weight)


def test_early_stopping_ends_beyond_the_window(tmp_path: Path) -> None:
    callback = bomf.TrajectoryCallback(members=3, early_stopping=True)
    t = trainer(tmp_path, callback, num_train_epochs=20, learning_rate=3e-2)
    t.train()
    best = callback.best_step
    assert best is not None
    assert t.state.global_step == t.state.max_steps or t.state.global_step >= 2 * best


def test_without_evaluations_members_are_spread_over_the_run(tmp_path: Path) -> None:
    callback = bomf.TrajectoryCallback(members=4)
    t = trainer(
        tmp_path, callback, eval_strategy="no", save_strategy="no", metric_for_best_model=None
    )
    t.train()
    assert callback.best_step is None and len(callback.steps) == 4
    assert callback.steps[-1] >= t.state.global_step - 2
    found = callback.fuse(t, evaluations=2)
    assert list(found.objectives) == ["eval_loss"]


def test_a_metric_that_is_missing_is_named(tmp_path: Path) -> None:
    callback = bomf.TrajectoryCallback(members=3, metric="f1")
    t = trainer(tmp_path, callback, num_train_epochs=1)
    with pytest.warns(UserWarning, match="eval_f1"):
        t.train()


def test_wrong_options_and_a_run_that_was_not_trained_are_refused(tmp_path: Path) -> None:
    for options in (
        {"members": 1},
        {"window": (1.5, 2.0)},
        {"window": (1.0, 1.0)},
        {"candidates_per_epoch": 0},
    ):
        with pytest.raises(bomf.BomfError):
            bomf.TrajectoryCallback(**options)  # type: ignore[arg-type]
    callback = bomf.TrajectoryCallback()
    with pytest.raises(bomf.BomfError, match="train first"):
        callback.fuse(trainer(tmp_path, callback))


def test_adapters_are_fused_by_their_changes(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    from safetensors.torch import load_file

    config = peft.LoraConfig(
        r=2,
        lora_alpha=6,
        target_modules=["query", "value", "word_embeddings"],
        rank_pattern={"layer.0.attention.self.query": 1},
        task_type="SEQ_CLS",
    )
    model = peft.get_peft_model(tiny(), config)
    callback = bomf.TrajectoryCallback(members=3, keep=True)
    t = trainer(tmp_path, callback, model, num_train_epochs=2, learning_rate=2e-2)
    t.train()
    members = [load_file(file) for file in callback.files]
    assert all("lora_" in n or "classifier" in n for n in members[0])
    out = tmp_path / "fused"
    found = callback.fuse(t, evaluations=4, out=out)
    again = t.evaluate()
    assert again["eval_loss"] == pytest.approx(found.scores["eval_loss"], rel=1e-4)

    # The change of each weight is the weighted sum of the members' changes.
    layer = "base_model.model.bert.encoder.layer.1.attention.self.value"
    a, b = f"{layer}.lora_A.default.weight", f"{layer}.lora_B.default.weight"
    expected = sum(w * 3.0 * m[b] @ m[a] for w, m in zip(found.weights.tolist(), members))
    change = model.get_submodule(layer).get_delta_weight("default").detach()
    torch.testing.assert_close(change, expected, rtol=1e-4, atol=1e-6)

    # What was saved is loaded as it was evaluated.
    loaded = peft.PeftModel.from_pretrained(tiny(), out)
    torch.testing.assert_close(loaded.get_submodule(layer).get_delta_weight("default").detach(), change)
    ids = torch.tensor(SELECT.ids[:8])
    with torch.no_grad():
        model.eval()
        loaded.eval()
        torch.testing.assert_close(loaded(ids).logits, model(ids).logits, rtol=1e-4, atol=1e-5)


def test_adapters_that_do_not_add_up_are_refused(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=2, target_modules=["query"], use_dora=True, task_type="SEQ_CLS")
    t = trainer(tmp_path, bomf.TrajectoryCallback(), peft.get_peft_model(tiny(), config))
    with pytest.raises(bomf.errors.UnsupportedError, match="DoRA"):
        t.train()
