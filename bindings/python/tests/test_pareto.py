"""Fronts and hypervolume against small cases by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

import bomf

POINTS = [[1.0, 3.0], [2.0, 2.0], [3.0, 1.0], [3.0, 3.0]]


def test_the_front_in_any_directions() -> None:
    assert bomf.non_dominated(POINTS).tolist() == [0, 1, 2]
    assert bomf.non_dominated(POINTS, "maximize").tolist() == [3]
    assert bomf.non_dominated(POINTS, ["minimize", "maximize"]).tolist() == [0]
    assert bomf.non_dominated(np.array(POINTS, dtype=np.float32)).dtype == np.intp


def test_ties_and_nans() -> None:
    assert bomf.non_dominated([[1, 1], [1, 1], [math.nan, 0]]).tolist() == [0]
    assert bomf.knee([[math.nan, 1.0]]) is None


def test_nothing_has_no_front_and_no_volume() -> None:
    assert bomf.non_dominated([]).tolist() == []
    assert bomf.hypervolume([], [1.0, 1.0]) == 0.0
    assert bomf.hypervolume_contributions([], [1.0]).shape == (0,)
    with pytest.raises(bomf.errors.ParetoError):
        bomf.infer_reference_point([])


def test_the_hypervolume_by_hand() -> None:
    assert bomf.hypervolume(POINTS, [4, 4]) == 6.0
    assert bomf.hypervolume(POINTS, [0, 0], "maximize") == 9.0
    assert bomf.hypervolume([[1, 3]], [4, 0], ["minimize", "maximize"]) == 9.0
    assert bomf.hypervolume([[5, 5]], [4, 4]) == 0.0


def test_contributions_are_what_would_be_lost() -> None:
    points = np.random.default_rng(1).random((12, 3))
    ref = [1.1, 1.1, 1.1]
    whole = bomf.hypervolume(points, ref)
    lost = [whole - bomf.hypervolume(np.delete(points, i, axis=0), ref) for i in range(12)]
    assert bomf.hypervolume_contributions(points, ref) == pytest.approx(lost, abs=1e-12)


def test_sorting_gives_every_point_once() -> None:
    fronts = bomf.non_dominated_sort(POINTS)
    assert [f.tolist() for f in fronts] == [[0, 1, 2], [3]]


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(bomf.BomfError, match="shape"):
        bomf.non_dominated([1.0, 2.0])
    with pytest.raises(bomf.BomfError, match="directions"):
        bomf.non_dominated(POINTS, ["minimize"])
    with pytest.raises(bomf.BomfError):
        bomf.hypervolume(POINTS, [1.0])
    with pytest.raises(bomf.BomfError, match="direction"):
        bomf.non_dominated(POINTS, "up")
