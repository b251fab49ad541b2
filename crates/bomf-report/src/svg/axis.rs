//! Axes: hairlines, ticks, and a title that reads level.

use super::figure::Plot;
use super::node::{Node, group, line, text};
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
    let mut free_from = f64::NEG_INFINITY;
    for tick in ticks {
        let Some(x) = scale.inside(tick.value) else {
            continue;
        };
        g.push(line((x, plot.bottom), (x, plot.bottom + 4.0), "tick"));
        let half = measure::width(&tick.label, TICK_SIZE) / 2.0;
        if x - half >= free_from {
            g.push(text(x, plot.bottom + 17.0, "middle", "tl", &*tick.label));
            free_from = x + half + LABEL_GAP;
        }
    }
    if !title.is_empty() {
        g.push(text(plot.right, plot.bottom + 36.0, "end", "at", title));
    }
    g
}

/// The vertical axis left of a plot: grid lines, labels, and the title above.
pub(crate) fn left(plot: &Plot, scale: &Scale, ticks: &[Tick], title: &str) -> Node {
    let mut g = group("axis");
    for tick in ticks {
        let Some(y) = scale.inside(tick.value) else {
            continue;
        };
        g.push(line((plot.left, y), (plot.right, y), "grid"));
        g.push(text(plot.left - 8.0, y + 4.0, "end", "tl", &*tick.label));
    }
    if !title.is_empty() {
        // Flush with the tick labels' usual left edge.
        let x = (plot.left - 46.0).max(2.0);
        g.push(text(x, plot.top - 12.0, "start", "at", title));
    }
    g
}
