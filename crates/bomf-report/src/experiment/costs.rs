//! Where the time of a run went.

use crate::figures::WIDTH;
use crate::format;
use crate::svg::figure::Plot;
use crate::svg::node::{Node, rect, text};
use crate::svg::{Extent, Figure, Scale, axis, ticks};
use bomf_study::experiment::Experiment;

const ROW: f64 = 28.0;
const HEAD: f64 = 40.0;

/// Seconds of a minute.
const MINUTE: f64 = 60.0;

/// Stacked bars of the parts' mean minutes, one for each task and variant.
pub(super) fn costs(experiment: &Experiment) -> Option<Node> {
    let rows = &experiment.costs;
    let most = Extent::of(rows.iter().map(|row| row.total / MINUTE))?.with(0.0);
    let plot = Plot {
        left: 200.0,
        top: HEAD,
        right: WIDTH - 100.0,
        bottom: HEAD + rows.len() as f64 * ROW,
    };
    let scale = Scale::linear(most, plot.left, plot.right);
    let mut figure = Figure::new(
        "costs",
        WIDTH,
        plot.bottom + 44.0,
        "Where the time went",
        "Mean minutes of a run: stage 1, fine-tuning, stage 2 and the rest.",
    );
    let parts = [
        ("stage 1", "k-checkpoint"),
        ("fine-tuning", "k-swa"),
        ("stage 2", "k-bomf"),
        ("the rest", "k-plain"),
    ];
    for (k, (label, class)) in parts.iter().enumerate() {
        let x = plot.left + k as f64 * 110.0;
        figure.push(rect(x, 8.0, 12.0, 12.0, &format!("bar {class}")));
        figure.push(text(x + 18.0, 18.0, "start", "tl", *label));
    }
    let ticks = ticks::ticks(&scale, 6);
    figure.push(axis::grid(&plot, &scale, &ticks));
    figure.push(axis::below(&plot, &scale, &ticks, "minutes"));
    for (k, row) in rows.iter().enumerate() {
        let y = HEAD + k as f64 * ROW;
        let label = format!("{}, {}", row.task, row.variant);
        figure.push(text(6.0, y + ROW / 2.0 + 4.5, "start", "row", label));
        let rest = row.total - row.stage1 - row.finetune - row.stage2;
        let mut before = 0.0;
        for (seconds, (label, class)) in [row.stage1, row.finetune, row.stage2, rest]
            .iter()
            .zip(parts)
        {
            let (from, to) = (before, before + seconds.max(0.0) / MINUTE);
            before = to;
            if let (Some(x), Some(end)) = (scale.at(from), scale.at(to)) {
                let tip = format!("{label}\n{}", format::duration(*seconds));
                let bar = rect(x, y + 6.0, end - x, ROW - 12.0, &format!("bar {class}"));
                figure.push(bar.tip(tip));
            }
        }
        if let Some(x) = scale.at(before) {
            let total = format::duration(row.total);
            figure.push(text(x + 6.0, y + ROW / 2.0 + 4.5, "start", "val", total));
        }
    }
    Some(figure.finish())
}
