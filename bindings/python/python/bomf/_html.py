"""Results in a notebook: tables and small figures, self-contained and in the reader's colours."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

#: Rows of a table that are shown.
_ROWS = 30


def text(value: Any) -> str:
    """A value for people."""
    if isinstance(value, (float, np.floating)):
        return f"{value:.4g}"
    if isinstance(value, np.ndarray):
        return "[" + ", ".join(f"{v:.3f}" for v in value[:8]) + (", …]" if len(value) > 8 else "]")
    return str(value)


def table(
    title: str,
    head: Sequence[str],
    rows: Sequence[Sequence[Any]],
    marked: Sequence[int] = (),
) -> str:
    """A table; ``marked`` rows are bold."""
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = []
    for i, row in enumerate(rows[:_ROWS]):
        style = ' style="font-weight:bold"' if i in marked else ""
        body.append(
            f"<tr{style}>" + "".join(f"<td>{escape(text(v))}</td>" for v in row) + "</tr>"
        )
    more = f"<p>… and {len(rows) - _ROWS} more</p>" if len(rows) > _ROWS else ""
    return (
        f"<div><p>{escape(title)}</p><table><thead><tr>{cells}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table>{more}</div>"
    )


def scatter(
    names: tuple[str, str],
    points: Sequence[tuple[float, float]],
    front: Sequence[int],
    chosen: int | None = None,
) -> str:
    """Two objectives of all mixtures, those of the front in colour, as SVG."""
    finite = [p for p in points if np.isfinite(p).all()]
    if not finite:
        return ""
    width, height, edge = 420, 280, 44
    low, high = np.min(finite, axis=0), np.max(finite, axis=0)
    span = np.where(high > low, high - low, 1.0)

    def place(p: tuple[float, float]) -> tuple[float, float]:
        x, y = (np.array(p) - low) / span
        return edge + x * (width - 2 * edge), height - edge - y * (height - 2 * edge)

    marks = []
    for i, p in enumerate(points):
        if not np.isfinite(p).all():
            continue
        x, y = place(p)
        if i == chosen:
            style = 'r="6" fill="#d1495b"'
        elif i in front:
            style = 'r="4" fill="#1f77b4"'
        else:
            style = 'r="3" fill="currentColor" fill-opacity="0.25"'
        label = f"{names[0]} {p[0]:.4g}, {names[1]} {p[1]:.4g}"
        marks.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" {style}><title>{escape(label)}</title></circle>'
        )
    axis = 'stroke="currentColor" stroke-opacity="0.5"'
    bottom = height - edge + 10
    ticks = (
        f'<text x="{edge}" y="{bottom + 8}">{low[0]:.4g}</text>'
        f'<text x="{width - edge}" y="{bottom + 8}" text-anchor="end">{high[0]:.4g}</text>'
        f'<text x="{edge - 12}" y="{height - edge}" text-anchor="end">{low[1]:.4g}</text>'
        f'<text x="{edge - 12}" y="{edge}" text-anchor="end">{high[1]:.4g}</text>'
    )
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" fill="currentColor" '
        f'font-size="11" font-family="sans-serif">'
        f'<path d="M{edge - 8} {edge - 8}V{height - edge + 8}H{width - edge + 8}" fill="none" {axis}/>'
        f"{ticks}"
        f'<text x="{width / 2}" y="{height - 6}" text-anchor="middle">{escape(names[0])}</text>'
        f'<text x="12" y="{edge - 20}">{escape(names[1])}</text>{"".join(marks)}</svg>'
    )
