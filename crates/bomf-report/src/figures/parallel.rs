//! Parallel coordinates of stage 1: an upright axis a hyperparameter and one for the value, a
//! line a trial.

use super::WIDTH;
use crate::format;
use crate::names;
use crate::svg::node::{Node, el, group, line, text};
use crate::svg::text::shortened;
use crate::svg::{Extent, Figure, Scale, Shape, mark, path, ticks};
use crate::view::View;
use bomf_study::{Range, Stage1Trial};
use indexmap::IndexMap;
use serde_json::Value;

/// Most axes of hyperparameters.
const MOST_AXES: usize = 8;
/// Most lines: more cannot be told apart.
const MOST_LINES: usize = 600;
/// From so many on, lines are fainter.
const MANY: usize = 80;
/// Classes of value, each with a strength of its own.
const CLASSES: usize = 5;
const TOP: f64 = 46.0;
const BOTTOM: f64 = 268.0;

/// An upright axis.
struct Axis {
    title: String,
    ticks: Vec<(f64, String)>,
    /// Place of each trial.
    places: Vec<Option<f64>>,
}

/// The figure; `None` with fewer than two trials that have a value.
pub(crate) fn parallel(view: &View<'_>, space: &IndexMap<String, Range>) -> Option<Node> {
    let trials = &view.results.stage1.trials;
    let value = |t: &Stage1Trial| t.value.filter(|v| v.is_finite());
    let mut order: Vec<usize> = (0..trials.len())
        .filter(|&k| value(&trials[k]).is_some())
        .collect();
    if order.len() < 2 {
        return None;
    }
    // From the worst to the best, so that the best lie on top.
    order.sort_by(|&a, &b| {
        value(&trials[a])
            .partial_cmp(&value(&trials[b]))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let best = super::best_trial(trials);
    let mut names: Vec<&String> = space.keys().collect();
    for name in trials.iter().flat_map(|t| t.parameters.keys()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.truncate(MOST_AXES);
    let mut axes: Vec<Axis> = names
        .into_iter()
        .map(|name| axis(name, trials, space.get(name)))
        .collect();
    axes.push(value_axis(trials, value)?);
    let n = axes.len();
    let x = |k: usize| 52.0 + k as f64 * (WIDTH - 116.0) / (n - 1).max(1) as f64;

    let mut figure = Figure::new(
        "parallel",
        WIDTH,
        296.0,
        "Parallel coordinates of the trials",
        format!(
            "{} trials as lines over {} hyperparameters and the value; the stronger, the better.",
            order.len(),
            n - 1
        ),
    );
    let shown = thinned(&order);
    let mut lines = group(match shown.len() > MANY {
        true => "k-checkpoint many",
        false => "k-checkpoint",
    });
    for class in 0..CLASSES {
        let from = shown.len() * class / CLASSES;
        let to = shown.len() * (class + 1) / CLASSES;
        let points = shown[from..to].iter().flat_map(|&trial| {
            let points = axes.iter().enumerate();
            points
                .map(move |(k, axis)| axis.places[trial].map(|y| (x(k), y)))
                .chain([None])
        });
        let d = path::line(points);
        let class = format!("strand c{class}");
        lines.push(el("path").set("class", class).set("d", d));
    }
    figure.push(lines);
    if let Some(best) = best {
        let points = axes.iter().enumerate();
        let points = points.map(|(k, axis)| axis.places[best].map(|y| (x(k), y)));
        let mut g = group("k-bomf");
        g.push(
            el("path")
                .set("class", "stroke")
                .set("d", path::line(points)),
        );
        for (k, axis) in axes.iter().enumerate() {
            if let Some(y) = axis.places[best] {
                g.push(mark::mark(Shape::Disc, x(k), y, 3.5, "dot"));
            }
        }
        figure.push(g);
    }
    for (k, axis) in axes.iter().enumerate() {
        figure.push(line((x(k), TOP), (x(k), BOTTOM), "base"));
        let (anchor, at) = if k == 0 {
            ("start", x(k) - 44.0)
        } else {
            ("middle", x(k))
        };
        let (anchor, at) = if k + 1 == n {
            ("end", x(k) + 56.0)
        } else {
            (anchor, at)
        };
        figure.push(text(at, TOP - 26.0, anchor, "at", &*axis.title));
        for (y, label) in &axis.ticks {
            figure.push(line((x(k) - 3.0, *y), (x(k) + 3.0, *y), "tick"));
            let (anchor, at) = match k + 1 == n {
                true => ("start", x(k) + 7.0),
                false => ("end", x(k) - 7.0),
            };
            figure.push(text(at, y + 4.0, anchor, "tl over", &**label));
        }
    }
    Some(figure.finish())
}

/// Every trial, or where there are too many the best half of what can be shown and an even
/// choice of the others.
fn thinned(order: &[usize]) -> Vec<usize> {
    if order.len() <= MOST_LINES {
        return order.to_vec();
    }
    let (rest, best) = order.split_at(order.len() - MOST_LINES / 2);
    let some = (0..MOST_LINES / 2).map(|k| rest[k * rest.len() / (MOST_LINES / 2)]);
    some.chain(best.iter().copied()).collect()
}

fn axis(name: &str, trials: &[Stage1Trial], range: Option<&Range>) -> Axis {
    let title = shortened(&names::parameter(name), 16);
    let values: Vec<Option<&Value>> = trials.iter().map(|t| t.parameters.get(name)).collect();
    let numbers = || values.iter().map(|v| v.and_then(Value::as_f64));
    let (ends, log) = match range {
        Some(Range::Float { low, high, log }) => (Extent::of([*low, *high]), *log),
        Some(Range::Int { low, high }) => (Extent::of([*low as f64, *high as f64]), false),
        _ => (None, false),
    };
    let are_numbers = values
        .iter()
        .zip(numbers())
        .all(|(v, n)| v.is_none() == n.is_none());
    let all = Extent::of(
        numbers()
            .flatten()
            .chain(ends.into_iter().flat_map(|e| [e.low, e.high])),
    );
    let Some(extent) = all.filter(|_| are_numbers) else {
        return categories(title, &values);
    };
    let scale = match log {
        true => Scale::log(extent, 0.0, BOTTOM, TOP),
        false => Scale::linear(extent, BOTTOM, TOP),
    };
    let whole = numbers().flatten().all(|v| v.fract() == 0.0);
    let ticks = match whole && !log {
        true => ticks::whole(&scale, 5),
        false => ticks::ticks(&scale, 5),
    };
    let ticks = ticks
        .into_iter()
        .filter_map(|t| Some((scale.inside(t.value)?, t.label)));
    Axis {
        title,
        ticks: ticks.collect(),
        places: numbers().map(|n| n.and_then(|n| scale.at(n))).collect(),
    }
}

fn categories(title: String, values: &[Option<&Value>]) -> Axis {
    let mut kinds: Vec<&Value> = Vec::new();
    for value in values.iter().flatten() {
        if !kinds.contains(value) {
            kinds.push(value);
        }
    }
    let place = |k: usize| BOTTOM - (k as f64 + 0.5) / kinds.len().max(1) as f64 * (BOTTOM - TOP);
    let ticks = kinds.iter().enumerate();
    let ticks = ticks.map(|(k, kind)| (place(k), shortened(&format::json(kind), 10)));
    let places = values.iter().map(|value| {
        let at = kinds.iter().position(|kind| Some(*kind) == *value)?;
        Some(place(at))
    });
    Axis {
        title,
        ticks: ticks.collect(),
        places: places.collect(),
    }
}

fn value_axis(trials: &[Stage1Trial], value: impl Fn(&Stage1Trial) -> Option<f64>) -> Option<Axis> {
    let extent = Extent::of(trials.iter().filter_map(&value))?;
    let scale = Scale::linear(extent, BOTTOM, TOP);
    let ticks = ticks::ticks(&scale, 5);
    let ticks = ticks
        .into_iter()
        .filter_map(|t| Some((scale.inside(t.value)?, t.label)));
    Some(Axis {
        title: "value  ↑".into(),
        ticks: ticks.collect(),
        places: trials
            .iter()
            .map(|t| value(t).and_then(|v| scale.at(v)))
            .collect(),
    })
}
