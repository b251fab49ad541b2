"""State dicts and modules of PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bomf

torch = pytest.importorskip("torch")


def state(seed: int, dtype: Any) -> dict[str, Any]:
    g = torch.Generator().manual_seed(seed)
    return {
        "w": torch.randn(16, 12, generator=g).to(dtype),
        "b": torch.randn(12, generator=g).to(dtype),
        "n": torch.tensor(seed),
        "mask": torch.tensor([True, False]),
    }


@pytest.mark.parametrize("name", ["float32", "float64", "float16", "bfloat16"])
def test_any_float_type_is_summed_in_f32_and_rounded_once(name: str) -> None:
    dtype = getattr(torch, name)
    members = [state(i, dtype) for i in range(3)]
    fused = bomf.fuse(members, [0.5, 0.25, 0.25])
    assert fused["w"].dtype == dtype and fused["n"].item() == 0 and fused["mask"].tolist() == [True, False]
    exact = 0.5 * members[0]["w"].float() + 0.25 * members[1]["w"].float() + 0.25 * members[2]["w"].float()
    if name == "float64":
        torch.testing.assert_close(fused["w"], exact.double(), rtol=1e-5, atol=1e-6)
    else:
        assert torch.equal(fused["w"], exact.to(dtype))


def test_float8_tensors_are_read_and_written() -> None:
    dtype = getattr(torch, "float8_e4m3fn", None)
    if dtype is None:
        pytest.skip("this PyTorch has no float8")
    members = [{"w": torch.randn(8, 8).to(dtype)} for _ in range(2)]
    fused = bomf.fuse(members, out_dtype="bfloat16")
    exact = (members[0]["w"].float() + members[1]["w"].float()) / 2
    assert torch.equal(fused["w"], exact.to(torch.bfloat16))


def test_views_and_parameters_are_read_as_they_are() -> None:
    w = torch.randn(12, 16)
    turned = bomf.fuse([{"w": w.t()}])["w"]
    assert torch.equal(turned, w.t()) and turned.is_contiguous()
    parameter = torch.nn.Parameter(w)
    assert torch.equal(bomf.fuse([{"w": parameter}])["w"], w)
    with pytest.raises(bomf.BomfError, match="meta"):
        bomf.fuse([{"w": torch.empty(2, device="meta")}])
    with pytest.raises(bomf.BomfError, match="complex"):
        bomf.fuse([{"w": torch.zeros(2, dtype=torch.complex64)}])


class Tied(torch.nn.Module):
    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.embedding = torch.nn.Embedding(10, 4)
        self.norm = torch.nn.BatchNorm1d(4)
        self.head = torch.nn.Linear(4, 10, bias=False)
        self.head.weight = self.embedding.weight


def test_modules_are_fused_in_place_with_their_tied_weights() -> None:
    members = [Tied(i) for i in range(3)]
    target = Tied(9)
    place = target.embedding.weight.data_ptr()
    bomf.fuse(members, out=target)
    expected = sum(m.embedding.weight.detach() for m in members) / 3
    torch.testing.assert_close(target.head.weight.detach(), expected)
    assert target.embedding.weight is target.head.weight
    assert target.embedding.weight.data_ptr() == place


def test_a_search_loads_mixtures_into_the_module() -> None:
    torch.manual_seed(0)
    x = torch.randn(64, 4)
    y = (x @ torch.tensor([1.0, -2.0, 0.5, 0.0]) > 0).long()
    members = []
    model = torch.nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(4):
        for _ in range(3):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        members.append({k: v.clone() for k, v in model.state_dict().items()})
    place = model.weight.data_ptr()

    def evaluate(module: Any) -> dict[str, float]:
        assert module is model
        with torch.no_grad():
            logits = module(x)
        accuracy = (logits.argmax(1) == y).float().mean().item()
        return {"loss": torch.nn.functional.cross_entropy(logits, y).item(), "accuracy": accuracy}

    found = bomf.FusionSearch(
        members, evaluate, {"loss": "min", "accuracy": "max"}, module=model, evaluations=5
    ).run()
    assert found.state is None and model.weight.data_ptr() == place
    assert evaluate(model)["loss"] == pytest.approx(found.scores["loss"])
    with pytest.raises(bomf.BomfError, match="no tensor `other`"):
        bomf.FusionSearch(
            [{"other": torch.zeros(1)}] * 2, evaluate, {"loss": "min"}, module=model
        ).run()


def test_lower_layers_are_frozen_by_their_names() -> None:
    class Encoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embeddings = torch.nn.Embedding(4, 2)
            self.layer = torch.nn.ModuleList(torch.nn.Linear(2, 2) for _ in range(4))
            self.head = torch.nn.Linear(2, 2)

    model = Encoder()
    assert bomf.freeze_lower_layers(model, 0.5) == 2
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert trained[0] == "layer.2.weight" and "head.bias" in trained
    assert bomf.freeze_lower_layers(Encoder(), 1.0) == 3
    with pytest.raises(bomf.BomfError, match="no layers"):
        bomf.freeze_lower_layers(torch.nn.Linear(2, 2))


def test_numpy_and_folders_go_with_tensors(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    members = [state(i, torch.bfloat16) for i in range(2)]
    safetensors.save_file(members[1], tmp_path / "model.safetensors")
    fused = bomf.fuse([members[0], tmp_path / "model.safetensors"])
    assert torch.equal(fused["w"], bomf.fuse(members)["w"])
    alone = bomf.fuse([tmp_path / "model.safetensors"])
    assert torch.equal(alone["w"], members[1]["w"])
    numpy = {k: v.float().numpy() if k in "wb" else v.numpy() for k, v in members[0].items()}
    assert isinstance(bomf.fuse([numpy])["w"], np.ndarray)
