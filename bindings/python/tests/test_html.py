"""What results look like in a notebook: well-formed, complete, and only what was found."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import numpy as np
import pytest

import bomf
from bomf._html import scatter, table, ticks, weights_html


def parsed(html: str) -> ElementTree.Element:
    return ElementTree.fromstring(f"<div>{html}</div>")


def test_a_table_is_well_formed_whatever_its_values() -> None:
    rows = [["<b> & co", 1, 0.25, math.nan, np.array([0.5, 0.5])], ["x", True, None, "failed", ""]]
    root = parsed(table("a < b", ["name", "n", "y", "z", "weights"], rows, [1]))
    assert len(root.findall(".//tbody/tr")) == 2
    cells = ["".join(c.itertext()) for c in root.findall(".//tbody/tr/td")]
    assert cells[:4] == ["<b> & co", "1", "0.25", "nan"]
    assert "bold" in root.findall(".//tbody/tr")[1].attrib["style"]


def test_a_long_table_says_how_much_is_left_out() -> None:
    html = table("long", ["i"], [[i] for i in range(100)])
    assert html.count("<tr") == 31 and "and 70 more" in html


def test_every_member_has_its_bar() -> None:
    bars = parsed(weights_html([0.0, 0.25, 0.75])).findall(".//rect")
    heights = [float(bar.attrib["height"]) for bar in bars]
    assert len(bars) == 3 and heights[2] == pytest.approx(3 * heights[1], rel=0.05) and heights[0] < 1
    parsed(weights_html([0.0, 0.0]))


def test_ticks_are_few_round_and_within() -> None:
    for low, high in [(0, 1), (-0.478, 0.997), (1e-6, 3e-5), (1234.5, 1240.1), (-1e9, 1e9)]:
        found = ticks(low, high)
        assert 3 <= len(found) <= 7
        assert all(low - 1e-9 * abs(low) <= t <= high + 1e-9 * abs(high) for t in found)
    assert ticks(2.0, 2.0) == [2.0]


def test_a_figure_marks_the_front_and_leaves_out_what_is_not_finite_or_far_away() -> None:
    points = [[0.0, 1.0], [1.0, 0.0], [1.5, 1.5], [math.nan, 1.0], [1e6, 1e6]]
    html = scatter(["a", "b"], points, [0, 1], chosen=1)
    root = parsed(html)
    titles = [t.text for t in root.findall(".//circle/title")]
    assert titles == ["a 1.5, b 1.5", "a 0, b 1", "a 1, b 0"], "what was taken lies on top"
    assert "1 beyond" in html and "nan" not in html
    assert scatter(["a", "b"], [[math.nan, 1.0]], []) == ""
    assert "circle" in scatter(["a", "b"], [[1.0, 2.0]], [0]), "a single point is drawn"


def test_results_show_themselves() -> None:
    one = bomf.minimize(lambda p: p["x"] ** 2, bomf.Float("x", -1, 1), 6)
    assert "<svg" not in one._repr_html_()
    parsed(one._repr_html_())
    space = [bomf.Float("x", -1, 1), bomf.Categorical("<k>", ["a", "b"])]
    two = bomf.minimize(
        lambda p: [p["x"] ** 2, (p["x"] - 1) ** 2], space, 8, directions=["minimize", "minimize"]
    )
    root = parsed(two._repr_html_())
    assert root.find(".//svg") is not None
    failed = bomf.minimize(lambda p: None, bomf.Float("x", -1, 1), 3)
    parsed(failed._repr_html_())
    parsed(bomf.tune(lambda p: p["x"], bomf.Float("x", 0, 1), 4)._repr_html_())
