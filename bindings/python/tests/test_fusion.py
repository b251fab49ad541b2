"""Fusion of dicts of NumPy arrays and of folders, and what belongs to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bomf

Write = Callable[..., Path]


def member(seed: int, dtype: Any = np.float32) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "embeddings.weight": rng.normal(size=(20, 8)).astype(dtype),
        "encoder.layer.0.dense.weight": rng.normal(size=(8, 8)).astype(dtype),
        "encoder.layer.0.dense.bias": rng.normal(size=8).astype(dtype),
        "encoder.layer.1.dense.weight": rng.normal(size=(8, 8)).astype(dtype),
        "scale": np.array(rng.normal(), dtype=dtype),
        "steps": np.array([seed, seed + 1], dtype=np.int64),
    }


MEMBERS = [member(i) for i in range(4)]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_weighted_average_is_that_of_numpy_rounded_once(dtype: Any) -> None:
    members = [member(i, dtype) for i in range(3)]
    weights = [0.5, 0.3, 0.2]
    fused = bomf.fuse(members, weights)
    assert list(fused) == sorted(members[0])
    for name, value in fused.items():
        assert value.dtype == members[0][name].dtype and value.shape == members[0][name].shape
        if name == "steps":
            assert value.tolist() == members[0]["steps"].tolist()
            continue
        exact = sum(w * m[name].astype(np.float64) for w, m in zip(weights, members))
        tolerance = {np.float16: 2e-3, np.float32: 1e-6, np.float64: 1e-6}[dtype]
        np.testing.assert_allclose(value.astype(np.float64), exact, atol=tolerance)


def test_equal_weights_without_any_and_a_single_member_is_itself() -> None:
    fused = bomf.fuse(MEMBERS)
    expected = np.mean([m["embeddings.weight"] for m in MEMBERS], axis=0)
    np.testing.assert_allclose(fused["embeddings.weight"], expected, atol=1e-6)
    only = bomf.fuse(MEMBERS[:1])
    assert all((only[k] == v).all() for k, v in MEMBERS[0].items())


@pytest.mark.parametrize("name", list(bomf.methods()))
def test_every_method_fuses_in_memory_as_it_does_in_folders(
    name: str, write_checkpoint: Write, tmp_path: Path
) -> None:
    info = bomf.methods()[name]
    least = int(info.models.split()[0])
    count = least if "or more" not in info.models else max(least, 3)
    members, base = MEMBERS[:count], None
    if info.base == "required":
        base = MEMBERS[3]
    parameters: dict[str, Any] = {}
    for p in info.parameters:
        if p.default is None and p.name != "weight":
            parameters[p.name] = 0.5
    if name in {"fisher", "regmean"}:
        with pytest.raises(bomf.errors.FusionError, match="statistics"):
            bomf.fuse(members, base=base, method=name, seed=3, **parameters)
        return
    fused = bomf.fuse(members, base=base, method=name, seed=3, **parameters)
    folders = [write_checkpoint(f"m{i}", m) for i, m in enumerate(members)]
    root = None if base is None else write_checkpoint("base", base)
    outcome = bomf.fuse(
        folders, base=root, method=name, seed=3, out=tmp_path / "out", **parameters
    )
    assert outcome.method == name and outcome.out == tmp_path / "out"
    again = bomf.fuse([tmp_path / "out"])
    for key, value in fused.items():
        other = again[key]
        other = other.numpy() if hasattr(other, "numpy") else other
        np.testing.assert_array_equal(value, other, err_msg=key)
    assert bomf.verify(tmp_path / "out")


def test_the_outcome_does_not_depend_on_threads_or_layout() -> None:
    rng = np.random.default_rng(0)
    big = [{"w": rng.normal(size=(700, 900)).astype(np.float32)} for _ in range(3)]
    one = bomf.fuse(big, method="ties", base=big[0], threads=1, density=0.4, weights=[1, 2, 3])
    many = bomf.fuse(big, method="ties", base=big[0], threads=3, density=0.4, weights=[1, 2, 3])
    assert (one["w"] == many["w"]).all()
    turned = [{"w": np.asfortranarray(m["w"])} for m in big]
    assert (bomf.fuse(turned)["w"] == bomf.fuse(big)["w"]).all()
    swapped = [{"w": m["w"].astype(">f4")} for m in big]
    assert (bomf.fuse(swapped)["w"] == bomf.fuse(big)["w"]).all()


def test_members_are_read_where_they_lie_and_left_as_they_are() -> None:
    members = [member(i) for i in range(2)]
    for value in members[0].values():
        value.flags.writeable = False
    before = [{k: v.copy() for k, v in m.items()} for m in members]
    bomf.fuse(members, [2.0, 1.0])
    for m, b in zip(members, before):
        assert all((m[k] == b[k]).all() for k in b)
    unaligned = np.frombuffer(b"x" + members[0]["embeddings.weight"].tobytes(), np.uint8)[1:]
    odd = {"w": unaligned.view(np.float32).reshape(20, 8)}
    assert (bomf.fuse([odd])["w"] == members[0]["embeddings.weight"]).all()


def test_a_given_output_is_written_in_place_and_must_not_be_a_member() -> None:
    out = {k: np.zeros_like(v) for k, v in MEMBERS[0].items()}
    places = {k: v.ctypes.data for k, v in out.items()}
    returned = bomf.fuse(MEMBERS, out=out)
    assert all(returned[k] is out[k] and out[k].ctypes.data == places[k] for k in out)
    np.testing.assert_array_equal(out["scale"], bomf.fuse(MEMBERS)["scale"])
    with pytest.raises(bomf.BomfError, match="shares memory"):
        bomf.fuse(MEMBERS[:2], out={k: v for k, v in MEMBERS[1].items()})
    buffer = np.zeros(20, np.float32)
    small = [{"a": np.ones(10, np.float32), "b": np.ones(10, np.float32)}] * 2
    with pytest.raises(bomf.BomfError, match="shares memory"):
        bomf.fuse(small, out={"a": buffer[:10], "b": buffer[5:15]})
    turned = {k: np.array(np.zeros_like(v), order="F") for k, v in MEMBERS[0].items()}
    bomf.fuse(MEMBERS, out=turned)
    np.testing.assert_array_equal(turned["embeddings.weight"], out["embeddings.weight"])
    frozen = {k: np.zeros_like(v) for k, v in MEMBERS[0].items()}
    frozen["scale"].flags.writeable = False
    with pytest.raises(bomf.BomfError, match="read-only"):
        bomf.fuse(MEMBERS, out=frozen)
    with pytest.raises(bomf.BomfError, match="`scale`"):
        bomf.fuse(MEMBERS, out={k: v for k, v in out.items() if k != "scale"})
    wrong = dict(out, scale=np.zeros(3, np.float32))
    with pytest.raises(bomf.BomfError, match="`scale`"):
        bomf.fuse(MEMBERS, out=wrong)


def test_parameters_are_one_for_all_or_one_a_member() -> None:
    base = MEMBERS[0]
    one = bomf.fuse(MEMBERS[1:3], base=base, method="ties", density=0.5)
    each = bomf.fuse(MEMBERS[1:3], base=base, method="ties", density=[0.5, 0.5])
    other = bomf.fuse(MEMBERS[1:3], base=base, method="ties", density=[0.5, 0.2])
    key = "embeddings.weight"
    assert (one[key] == each[key]).all() and (one[key] != other[key]).any()
    whole = bomf.fuse(MEMBERS[:2], [2.0, 2.0], normalize=False)
    np.testing.assert_allclose(whole[key], 2 * (MEMBERS[0][key] + MEMBERS[1][key]), rtol=1e-6)
    small = bomf.fuse(MEMBERS[:2], [1e-5, 1e-5])
    np.testing.assert_allclose(small[key], (MEMBERS[0][key] + MEMBERS[1][key]) / 2, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bomf.fuse([]), "no members"),
        (lambda: bomf.fuse(MEMBERS, [1.0]), "1 weights for 4 members"),
        (lambda: bomf.fuse(MEMBERS, method="dare-ties"), "dare_ties"),
        (lambda: bomf.fuse(MEMBERS, method="ties"), "base"),
        (lambda: bomf.fuse(MEMBERS, density=0.5), "no parameter `density`"),
        (lambda: bomf.fuse(MEMBERS[:1], [1.0], base=MEMBERS[1], method="slerp", t=0.1), "weights"),
        (lambda: bomf.fuse(MEMBERS, normalize=[True] * 4), "one for all"),
        (lambda: bomf.fuse(MEMBERS, [0.0] * 4), "sum to zero"),
        (lambda: bomf.fuse([{"w": np.zeros(2)}, {"w": np.zeros(3)}]), "`w`"),
        (lambda: bomf.fuse([{"w": np.zeros(2)}, {"v": np.zeros(2)}]), "`w`"),
        (lambda: bomf.fuse([{"w": np.zeros(2, complex)}]), "complex"),
        (lambda: bomf.fuse([3]), "int"),
        (lambda: bomf.fuse(MEMBERS, out="folder"), "folder"),
        (lambda: bomf.fuse(["/nowhere"], out="folder"), "/nowhere"),
    ],
)
def test_what_cannot_be_fused_is_said(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(bomf.BomfError, match=message):
        call()


def test_values_that_are_not_finite_stay_and_are_noted() -> None:
    broken = {k: v.copy() for k, v in MEMBERS[0].items()}
    broken["embeddings.weight"][0, 0] = np.nan
    with pytest.warns(UserWarning, match="embeddings.weight"):
        fused = bomf.fuse([broken, MEMBERS[1]])
    assert np.isnan(fused["embeddings.weight"][0, 0])
    with pytest.raises(bomf.BomfError):
        bomf.fuse([{"w": np.array([1e30], np.float32)}], out_dtype="float16")


def test_empty_tensors_and_dicts() -> None:
    empty = [{"w": np.zeros((0, 3), np.float32)}, {"w": np.zeros((0, 3), np.float32)}]
    assert bomf.fuse(empty)["w"].shape == (0, 3)
    assert bomf.fuse([{}, {}]) == {}


def test_a_folder_of_checkpoints_stands_for_all_by_step(
    write_checkpoint: Write, tmp_path: Path
) -> None:
    for step, m in zip((1000, 200, 30), MEMBERS):
        write_checkpoint(f"run/checkpoint-{step}", m)
    outcome = bomf.fuse(tmp_path / "run", [1.0, 0.0, 0.0], out=tmp_path / "out")
    assert outcome.models == 3
    record = json.loads((tmp_path / "out" / "bomf.json").read_text())
    assert [Path(m["name"]).name for m in record["models"]] == [
        "checkpoint-30",
        "checkpoint-200",
        "checkpoint-1000",
    ]


def test_folders_and_dicts_mix(write_checkpoint: Write) -> None:
    folder = write_checkpoint("a", MEMBERS[0])
    mixed = bomf.fuse([MEMBERS[1], folder], [0.25, 0.75])
    dicts = bomf.fuse([MEMBERS[1], MEMBERS[0]], [0.25, 0.75])
    assert all((mixed[k] == dicts[k]).all() for k in dicts)


def test_merge_takes_a_dict_or_a_file_and_verify_finds_what_differs(
    write_checkpoint: Write, tmp_path: Path
) -> None:
    a, b = (write_checkpoint(n, MEMBERS[i]) for i, n in enumerate("ab"))
    recipe = {
        "merge_method": "slerp",
        "base_model": str(a),
        "models": [{"model": str(a)}, {"model": str(b)}],
        "parameters": {"t": [0.0, 0.5, 1.0]},
    }
    told: list[str] = []
    outcome = bomf.merge(
        recipe, tmp_path / "out", progress=lambda kind, phase, n, text: told.append(kind)
    )
    assert outcome.tensors == len(MEMBERS[0]) and "begin" in told and "end" in told
    with pytest.raises(bomf.BomfError, match="exists already"):
        bomf.merge(recipe, tmp_path / "out")
    file = tmp_path / "recipe.yaml"
    file.write_text(json.dumps(recipe))
    again = bomf.merge(file, tmp_path / "out", overwrite=True)
    assert again.parameters == outcome.parameters
    assert bomf.verify(again.out).is_same
    weights = again.out / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    found = bomf.verify(again.out)
    assert not found and len(found.differences) == 1
    with pytest.raises(bomf.errors.CheckpointError):
        bomf.verify(a)
    with pytest.raises(bomf.errors.RecipeError, match="merge_methd"):
        bomf.merge({"merge_methd": "linear"}, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_diff_says_how_far_two_checkpoints_are(write_checkpoint: Write) -> None:
    a, b = (write_checkpoint(n, MEMBERS[i]) for i, n in enumerate("ab"))
    assert bomf.diff(str(a), str(a)).is_same
    found = bomf.diff(str(a), str(b))
    by_name = {t.name: t for t in found.tensors}
    tensor = by_name["embeddings.weight"]
    difference = MEMBERS[1]["embeddings.weight"] - MEMBERS[0]["embeddings.weight"]
    assert tensor.norm == pytest.approx(np.linalg.norm(difference), rel=1e-5)
    assert not found.is_same and [layer.name for layer in found.layers]


def write_adapter(write: Write, name: str, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    prefix = "base_model.model.encoder.layer.0.dense"
    tensors = {
        f"{prefix}.lora_A.weight": rng.normal(size=(2, 8)).astype(np.float32),
        f"{prefix}.lora_B.weight": rng.normal(size=(8, 2)).astype(np.float32),
    }
    folder = write(name, tensors)
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["dense"]}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    (folder / "config.json").unlink()
    return folder


def test_adapters_are_fused_by_their_changes(write_checkpoint: Write, tmp_path: Path) -> None:
    adapters = [write_adapter(write_checkpoint, f"adapter-{i}", i) for i in range(2)]
    outcome = bomf.lora_fuse(adapters, tmp_path / "fused", [0.5, 0.5])
    assert outcome.modules[0].r == 4 and outcome.error == pytest.approx(0.0, abs=1e-6)
    cut = bomf.lora_fuse(adapters, tmp_path / "cut", rank=2)
    assert cut.modules[0].r == 2 and 0 < cut.error < 1
    base = write_checkpoint("base", MEMBERS[0])
    full = bomf.lora_fuse(adapters, tmp_path / "full", base=base)
    assert full.tensors == ["encoder.layer.0.dense.weight"]
    change = bomf.lora_extract(base, full.out, tmp_path / "taken", rank=4)
    assert change.error == pytest.approx(0.0, abs=1e-4)
    with pytest.raises(bomf.BomfError):
        bomf.lora_fuse(adapters, tmp_path / "other", [1.0])
    with pytest.raises(bomf.BomfError, match="adapters"):
        bomf.lora_fuse([], tmp_path / "other")
