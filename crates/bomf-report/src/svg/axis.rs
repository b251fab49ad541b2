//! Axes: hairlines, ticks, and a title that reads level.

use super::figure::Plot;
use super::node::{Node, el, group, line, text};
use super::scale::Scale;
use super::text as measure;
use super::ticks::Tick;

/// Type size of tick labels.
pub(crate) const TICK_SIZE: f64 = 11.0;

/// Least room between two tick labels on one line.
const LABEL_GAP: f64 = 8.0;

/// The horizontal axis under a plot, its title under its right end.
pub(crate) fn below(plot: &Plot, scale: &Scale, ticks: &[Tick], title: &str) -> Node {
    let mut g = group("axis");
    g.push(line(
        (plot.left, plot.bottom),
        (plot.right, plot.bottom),
        "base",
    ));
    // By place, which runs against the values on a reversed axis.
    let mut placed: Vec<(f64, &Tick)> = ticks
        .iter()
        .filter_map(|tick| Some((scale.inside(tick.value)?, tick)))
        .collect();
    placed.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut free_from = f64::NEG_INFINITY;
    for (x, tick) in placed {
        g.push(line((x, plot.bottom), (x, plot.bottom + 4.0), "tick"));
        let half = measure::width(&tick.label, TICK_SIZE) / 2.0;
        if x - half >= free_from {
            g.push(text(x, plot.bottom + 17.0, "middle", "tl", &*tick.label));
            free_from = x + half + LABEL_GAP;
        }
    }
    if !title.is_empty() {
        g.push(heading(plot.right, plot.bottom + 36.0, "end", title));
    }
    g
}

/// The vertical axis left of a plot: grid lines, labels, and the title above.
pub(crate) fn left(plot: &Plot, scale: &Scale, ticks: &[Tick], title: &str) -> Node {
    let mut g = grid(plot, scale, ticks);
    for tick in ticks {
        if let Some(y) = scale.inside(tick.value) {
            g.push(text(plot.left - 8.0, y + 4.0, "end", "tl", &*tick.label));
        }
    }
    if !title.is_empty() {
        let widest = ticks
            .iter()
            .map(|tick| measure::width(&tick.label, TICK_SIZE))
            .fold(0.0, f64::max);
        // Flush with the left edge of the tick labels.
        let x = (plot.left - 8.0 - widest).max(2.0);
        g.push(heading(x, plot.top - 12.0, "start", title));
    }
    g
}

/// The grid lines of a vertical axis whose labels stand beside another plot.
pub(crate) fn grid(plot: &Plot, scale: &Scale, ticks: &[Tick]) -> Node {
    let mut g = group("axis");
    for tick in ticks {
        if let Some(y) = scale.inside(tick.value) {
            g.push(line((plot.left, y), (plot.right, y), "grid"));
        }
    }
    g
}

/// What parts an axis title from the direction that is better.
pub(crate) const ASIDE: &str = "  ";

/// A title; what follows [`ASIDE`] is set back.
pub(crate) fn heading(x: f64, y: f64, anchor: &str, title: &str) -> Node {
    match title.split_once(ASIDE) {
        Some((title, aside)) => text(x, y, anchor, "at", title)
            .add(el("tspan").set("class", "aside").text(format!(" {aside}"))),
        None => text(x, y, anchor, "at", title),
    }
}

/// Width of a title.
pub(crate) fn heading_width(title: &str) -> f64 {
    measure::width(title, 12.5)
}
