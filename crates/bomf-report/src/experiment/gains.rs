//! Differences with their intervals, a row each.

use crate::figures::WIDTH;
use crate::format;
use crate::names;
use crate::svg::figure::Plot;
use crate::svg::node::{Node, line, rect, text};
use crate::svg::{Extent, Figure, Scale, Shape, axis, mark, text as measure, ticks};
use bomf_study::MethodName;
use bomf_study::experiment::{Experiment, Gain};

const NAMES: f64 = 168.0;
const ROW: f64 = 28.0;
const HEAD: f64 = 44.0;

/// Digits of a difference.
const DECIMALS: usize = 4;

/// The figures of so many variants fit on a page; the others are in the tables.
pub(super) const IDS: [&str; 8] = [
    "gains-1", "gains-2", "gains-3", "gains-4", "gains-5", "gains-6", "gains-7", "gains-8",
];

/// `bomf` minus every other method of one variant's runs; `None` where nothing was compared.
pub(super) fn over_methods(
    experiment: &Experiment,
    variant: &str,
    id: &'static str,
) -> Option<Node> {
    let gains: Vec<&Gain> = experiment
        .gains
        .iter()
        .filter(|g| g.variant == variant)
        .collect();
    panels(id, "bomf against the other methods", &gains, |g| {
        let name = MethodName::ALL
            .into_iter()
            .find(|name| name.as_str() == g.over);
        name.map_or(g.over.as_str(), |name| names::style(name).label)
    })
}

/// Every variant minus the first.
pub(super) fn over_first(experiment: &Experiment) -> Option<Node> {
    let gains: Vec<&Gain> = experiment.ablation.iter().collect();
    panels("ablation", "Each variant against the first", &gains, |g| {
        &g.variant
    })
}

/// A panel for each thing that is compared, the rows beside one another.
fn panels<'a>(
    id: &'static str,
    title: &str,
    gains: &[&'a Gain],
    label: impl Fn(&'a Gain) -> &'a str,
) -> Option<Node> {
    let mut kinds: Vec<&str> = Vec::new();
    let mut rows: Vec<&str> = Vec::new();
    for &gain in gains {
        if !kinds.contains(&gain.of.as_str()) {
            kinds.push(&gain.of);
        }
        if !rows.contains(&label(gain)) {
            rows.push(label(gain));
        }
    }
    if kinds.is_empty() {
        return None;
    }
    let bottom = HEAD + rows.len() as f64 * ROW;
    let description = "A row for each that is compared, with the mean difference over the runs and its 95 percent interval; right of the line at zero is better.";
    let mut figure = Figure::new(id, WIDTH, bottom + 44.0, title, description);
    for (k, row) in rows.iter().enumerate() {
        let y = HEAD + (k as f64 + 0.5) * ROW;
        if k % 2 == 0 {
            figure.push(rect(0.0, y - ROW / 2.0, WIDTH, ROW, "shade"));
        }
        figure.push(text(6.0, y + 4.5, "start", "row", *row));
    }
    let width = (WIDTH - NAMES) / kinds.len() as f64;
    for (k, kind) in kinds.iter().enumerate() {
        let left = NAMES + k as f64 * width;
        let plot = Plot {
            left: left + 14.0,
            top: HEAD,
            right: left + width - 14.0,
            bottom,
        };
        let of_kind = gains.iter().filter(|gain| gain.of == *kind);
        let placed: Vec<(usize, &Gain)> = of_kind
            .filter_map(|&gain| Some((rows.iter().position(|row| *row == label(gain))?, gain)))
            .collect();
        panel(&mut figure, kind, &placed, plot);
    }
    Some(figure.finish())
}

fn panel(figure: &mut Figure, kind: &str, rows: &[(usize, &Gain)], plot: Plot) {
    let ends = |gain: &Gain| gain.interval.unwrap_or([gain.mean; 2]);
    let values = rows.iter().flat_map(|(_, gain)| {
        let [low, high] = ends(gain);
        [low, gain.mean, high]
    });
    let Some(extent) = Extent::of(values) else {
        return;
    };
    let scale = Scale::linear(extent.with(0.0).padded(0.07), plot.left, plot.right);
    figure.push(axis::heading(
        plot.left,
        16.0,
        "start",
        &format!("Δ {kind}"),
    ));
    let ticks = ticks::ticks(&scale, if plot.width() > 320.0 { 5 } else { 3 });
    figure.push(axis::grid(&plot, &scale, &ticks));
    figure.push(axis::below(&plot, &scale, &ticks, ""));
    if let Some(zero) = scale.at(0.0) {
        figure.push(line((zero, plot.top - 6.0), (zero, plot.bottom), "zero"));
        let note = "better →";
        // Where zero is at the right edge, there is no room beyond it.
        let (x, anchor) = match plot.right - zero > measure::width(note, 11.0) {
            true => (zero + 6.0, "start"),
            false => (zero - 4.0, "end"),
        };
        figure.push(text(x, plot.top - 9.0, anchor, "note", note));
    }
    for (row, gain) in rows {
        let y = plot.top + (*row as f64 + 0.5) * ROW;
        let [low, high] = ends(gain);
        let [Some(x), Some(from), Some(to)] = [gain.mean, low, high].map(|v| scale.at(v)) else {
            continue;
        };
        let is_clear = gain
            .interval
            .is_some_and(|[low, high]| low > 0.0 || high < 0.0);
        let class = if is_clear { "k-bomf" } else { "k-plain" };
        figure.push(line((from, y), (to, y), &format!("stroke {class}")));
        let fill = if is_clear { "dot" } else { "dot open" };
        let tip = format!(
            "{} {} [{}, {}]\nbetter in {}, equal in {}, of {} runs",
            gain.of,
            format::signed(gain.mean, DECIMALS),
            format::signed(low, DECIMALS),
            format::signed(high, DECIMALS),
            gain.better,
            gain.equal,
            gain.runs
        );
        let disc = mark::mark(Shape::Disc, x, y, 4.5, &format!("{fill} {class}"));
        figure.push(disc.tip(tip));
    }
}
