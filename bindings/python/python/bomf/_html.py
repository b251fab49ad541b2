"""Results in a notebook: tables and small figures, self-contained and in the reader's colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

#: Rows of a table that are shown.
_ROWS = 30

#: A figure reaches so many spans of the front beyond it: points further away would press it together.
_REACH = 2.0

#: Told apart by people who see few colours too, on light and dark ground.
_FRONT, _CHOSEN = "#3b8fd1", "#d9534f"

_PLAIN = "border:none;padding:.15em .7em;"


def text(value: Any) -> str:
    """A value for people."""
    if isinstance(value, (float, np.floating)):
        return f"{value:.4g}"
    if isinstance(value, np.ndarray):
        return "[" + ", ".join(f"{v:.3f}" for v in value[:8]) + (", …]" if len(value) > 8 else "]")
    return str(value)


def weights_html(weights: Sequence[float]) -> str:
    """Weights as bars, one a member; the numbers are told where the pointer rests."""
    step, height = 7, 18
    top = max([*weights, 1e-12])
    bars = []
    for i, weight in enumerate(weights):
        # What has no weight keeps its place, as a line.
        tall = max(weight / top * height, 0.8)
        opacity = "" if weight > 0 else ' fill-opacity="0.35"'
        bars.append(
            f'<rect x="{i * step}" y="{height - tall:.1f}" width="{step - 2}" height="{tall:.1f}"'
            f"{opacity}><title>member {i + 1}: {weight:.3f}</title></rect>"
        )
    return (
        f'<svg width="{len(weights) * step}" height="{height}" role="img" fill="currentColor" '
        f'style="vertical-align:middle">{"".join(bars)}</svg>'
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _cell(value: Any, to_the_right: bool, tag: str = "td") -> str:
    align = "right" if to_the_right else "left"
    if isinstance(value, np.ndarray) and value.ndim == 1:
        content = weights_html(value.tolist())
    else:
        content = escape(text(value))
    return f'<{tag} style="{_PLAIN}text-align:{align}">{content}</{tag}>'


def table(
    title: str,
    head: Sequence[str],
    rows: Sequence[Sequence[Any]],
    marked: Sequence[int] = (),
) -> str:
    """A table; ``marked`` rows are bold. Numbers stand to the right, weights as bars."""
    # A column's name stands where its values do.
    numbers = [any(_is_number(row[i]) for row in rows) for i in range(len(head))]
    cells = "".join(_cell(name, right, "th") for name, right in zip(head, numbers))
    body = []
    for i, row in enumerate(rows[:_ROWS]):
        style = "font-weight:bold" if i in marked else ""
        content = "".join(_cell(value, right) for value, right in zip(row, numbers))
        body.append(f'<tr style="{style}">{content}</tr>')
    more = f"<p>… and {len(rows) - _ROWS} more</p>" if len(rows) > _ROWS else ""
    return (
        f'<div style="overflow-x:auto"><p>{escape(title)}</p>'
        '<table style="border-collapse:collapse;font-variant-numeric:tabular-nums">'
        f'<thead><tr style="border-bottom:1px solid currentColor">{cells}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table>{more}</div>"
    )


def ticks(low: float, high: float) -> list[float]:
    """Three to seven round numbers within ``[low, high]``."""
    rough = (high - low) / 6
    if not rough > 0 or not math.isfinite(rough):
        return [low]
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power >= rough * 0.999)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [i * step for i in range(first, last + 1)]


def scatter(
    names: Sequence[str],
    points: Sequence[Sequence[float]],
    front: Sequence[int],
    chosen: int | None = None,
) -> str:
    """Two objectives of everything evaluated as SVG: the front in colour, what was taken marked.

    Points that are not finite are left out.
    """
    finite = [i for i, p in enumerate(points) if np.isfinite(p).all()]
    if not finite:
        return ""
    values = np.array([points[i] for i in finite], dtype=np.float64)
    low, high = values.min(axis=0), values.max(axis=0)
    best = np.array([points[i] for i in front if i in set(finite)], dtype=np.float64).reshape(-1, 2)
    span = np.ptp(best, axis=0) if len(best) else np.zeros(2)
    if (span > 0).all():
        low = np.maximum(low, best.min(axis=0) - _REACH * span)
        high = np.minimum(high, best.max(axis=0) + _REACH * span)
    within = ((values >= low) & (values <= high)).all(axis=1)
    shown = [i for i, inside in zip(finite, within) if inside]
    # A margin, so that no mark lies on an axis; where all are equal they lie in the middle.
    margin = np.where(high > low, 0.05 * (high - low), np.maximum(np.abs(high), 1.0) * 0.5)
    low, high = low - margin, high + margin
    width, height, left, right, top, bottom = 460, 300, 64, 12, 30, 44

    def x(value: float) -> float:
        return float(left + (value - low[0]) / (high[0] - low[0]) * (width - left - right))

    def y(value: float) -> float:
        return float(height - bottom - (value - low[1]) / (high[1] - low[1]) * (height - top - bottom))

    parts = []
    for tick in ticks(float(low[0]), float(high[0])):
        parts.append(
            f'<path d="M{x(tick):.1f} {height - bottom}v4" stroke="currentColor"/>'
            f'<text x="{x(tick):.1f}" y="{height - bottom + 16}" text-anchor="middle">{tick:.4g}</text>'
        )
    for tick in ticks(float(low[1]), float(high[1])):
        parts.append(
            f'<path d="M{left} {y(tick):.1f}h-4" stroke="currentColor"/>'
            f'<text x="{left - 7}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:.4g}</text>'
        )
    parts.append(
        f'<path d="M{left} {top}V{height - bottom}H{width - right}" fill="none" stroke="currentColor"/>'
        f'<text x="{(left + width - right) / 2}" y="{height - 8}" text-anchor="middle">'
        f"{escape(names[0])}</text>"
        f'<text x="{left - 7}" y="{top - 12}" text-anchor="end">{escape(names[1])}</text>'
    )
    on_front = set(front)
    # The front and what was taken lie above the others.
    for i in sorted(shown, key=lambda i: (i in on_front) + 2 * (i == chosen)):
        if i == chosen:
            style = f'r="6" fill="{_CHOSEN}"'
        elif i in on_front:
            style = f'r="4" fill="{_FRONT}"'
        else:
            style = 'r="3" fill-opacity="0.3"'
        label = ", ".join(f"{n} {v:.4g}" for n, v in zip(names, points[i]))
        parts.append(
            f'<circle cx="{x(points[i][0]):.1f}" cy="{y(points[i][1]):.1f}" {style}>'
            f"<title>{escape(label)}</title></circle>"
        )
    legend = [("evaluated", 'r="3" fill-opacity="0.3"'), ("Pareto front", f'r="4" fill="{_FRONT}"')]
    if chosen in shown:
        legend.append(("taken", f'r="6" fill="{_CHOSEN}"'))
    for i, (name, style) in enumerate(legend):
        place = width - right - 95 * (len(legend) - i)
        parts.append(
            f'<circle cx="{place}" cy="12" {style}/><text x="{place + 9}" y="16">{name}</text>'
        )
    if len(shown) < len(finite):
        parts.append(
            f'<text x="{width - right}" y="{height - 8}" text-anchor="end" fill-opacity="0.7">'
            f"{len(finite) - len(shown)} beyond</text>"
        )
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" '
        f'style="display:block;margin-top:1em;max-width:100%" role="img" '
        f'fill="currentColor" font-size="11" font-family="sans-serif">{"".join(parts)}</svg>'
    )
