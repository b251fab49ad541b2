//! Learning curves of stage 1: what each trial was worth along its training.

use super::WIDTH;
use crate::format;
use crate::svg::figure::Plot;
use crate::svg::node::{Node, el, group};
use crate::svg::{Extent, Figure, Scale, Shape, axis, mark, path, ticks};
use bomf_study::{Plan, TrialRecord};

/// Most curves: the best and the last ones.
const MOST_CURVES: usize = 200;

/// The figure; `None` where no trial has an intermediate value.
pub(crate) fn trial_curves(trials: &[TrialRecord], plan: &Plan) -> Option<Node> {
    let curve = |trial: &TrialRecord| -> Vec<(f64, f64)> {
        let points = trial.curve.iter();
        points
            .filter_map(|p| Some((p.step as f64, plan.value(&p.select)?)))
            .collect()
    };
    let value = |trial: &TrialRecord| trial.value.unwrap_or(f64::NEG_INFINITY);
    let best = trials
        .iter()
        .rev()
        .max_by(|a, b| value(a).total_cmp(&value(b)))
        .map(|trial| trial.number);
    let from = trials.len().saturating_sub(MOST_CURVES);
    let shown = |t: &&TrialRecord| Some(t.number) == best || t.number >= from;
    let curves: Vec<(&TrialRecord, Vec<(f64, f64)>)> = trials
        .iter()
        .filter(shown)
        .map(|trial| (trial, curve(trial)))
        .filter(|(_, points)| !points.is_empty())
        .collect();
    let all = || curves.iter().flat_map(|(_, points)| points);
    let across = Extent::of(all().map(|p| p.0))?.with(0.0);
    let down = Extent::of(all().map(|p| p.1))?;
    let plot = Plot {
        left: 62.0,
        top: 34.0,
        right: WIDTH - 24.0,
        bottom: 226.0,
    };
    let sx = Scale::linear(across, plot.left, plot.right);
    let sy = Scale::linear(down.padded(0.08), plot.bottom, plot.top);
    let mut figure = Figure::new(
        "trial-curves",
        WIDTH,
        270.0,
        "Learning curves of the trials",
        "The value of each trial of stage 1 over its training steps; the best is strong.",
    );
    figure.push(axis::left(
        &plot,
        &sy,
        &ticks::ticks(&sy, 4),
        "value of the trial on the select split  ↑ better",
    ));
    figure.push(axis::below(
        &plot,
        &sx,
        &ticks::whole(&sx, 8),
        "training step",
    ));
    let place = |(x, y): &(f64, f64)| Some((sx.at(*x)?, sy.at(*y)?));
    let mut lines = group("k-checkpoint");
    let mut ends = group("k-checkpoint");
    for (trial, points) in curves.iter().filter(|(t, _)| Some(t.number) != best) {
        let d = path::line(points.iter().map(place));
        lines.push(el("path").set("class", "strand c2").set("d", d));
        ends.extend(end(trial, points, place));
    }
    figure.push(lines);
    figure.push(ends);
    if let Some((trial, points)) = curves.iter().find(|(t, _)| Some(t.number) == best) {
        let mut g = group("k-bomf");
        let d = path::line(points.iter().map(place));
        g.push(el("path").set("class", "stroke").set("d", d));
        g.extend(end(trial, points, place));
        figure.push(g);
    }
    Some(figure.finish())
}

/// The last point of a curve, which says what trial it is of.
fn end(
    trial: &TrialRecord,
    points: &[(f64, f64)],
    place: impl Fn(&(f64, f64)) -> Option<(f64, f64)>,
) -> Option<Node> {
    let last = points.last()?;
    let (x, y) = place(last)?;
    let tip = format!(
        "trial {}\nvalue {} at step {}",
        trial.number + 1,
        format::fixed(last.1, 4),
        format::grouped(last.0)
    );
    Some(mark::mark(Shape::Disc, x, y, 3.0, "dot open").tip(tip))
}
