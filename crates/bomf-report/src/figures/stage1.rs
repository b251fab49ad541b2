//! Stage 1: the value of each trial against each searched hyperparameter, and
//! over the trials.

use super::WIDTH;
use super::specks::specks;
use crate::format;
use crate::names;
use crate::svg::figure::Plot;
use crate::svg::node::{Node, el, group, line, text};
use crate::svg::text::shortened;
use crate::svg::ticks::{self, Tick};
use crate::svg::{Extent, Figure, Scale, Shape, axis, mark, path};
use crate::view::View;
use bomf_study::Stage1Trial;
use serde_json::Value;

/// Largest value over smallest from which an axis is logarithmic.
const LOG_FROM: f64 = 100.0;
/// The same for learning rates, which are thought of in decades.
const LOG_FROM_RATES: f64 = 3.0;
/// Most panels side by side.
const COLUMNS: usize = 3;
/// Most panels in all: more hyperparameters than this are not searched in practice.
const MOST_PANELS: usize = 12;
/// Most trials, the last ones, that are marks of their own.
const MOST_MARKS: usize = 200;
/// Height of a row of panels.
const HEIGHT: f64 = 236.0;
/// Height of the strip in which failed trials stand.
const FAILED: f64 = 22.0;

/// One axis of the search.
struct Across {
    name: String,
    scale: Scale,
    ticks: Vec<Tick>,
    /// Place of each trial; `None` where the trial lacks the parameter.
    places: Vec<Option<f64>>,
}

/// The figure; `None` where stage 1 was skipped.
pub(crate) fn stage1(view: &View<'_>) -> Option<Node> {
    let trials = &view.results.stage1.trials;
    if trials.is_empty() {
        return None;
    }
    let mut names = searched(trials);
    names.truncate(MOST_PANELS - 1);
    let panels = names.len() + 1;
    let columns = panels.min(COLUMNS);
    // A lone panel need not fill the page.
    let column = (WIDTH / columns as f64).min(400.0);
    let rows = panels.div_ceil(columns);
    let mut figure = Figure::new(
        "stage1",
        WIDTH,
        rows as f64 * HEIGHT,
        "Trials of stage 1",
        format!(
            "The value of {} trials against each searched hyperparameter and over the trials; the best is ringed, failed trials are crosses below.",
            trials.len()
        ),
    );
    let failed = trials.iter().any(|t| value(t).is_none());
    let values = Extent::of(trials.iter().filter_map(value)).unwrap_or(Extent {
        low: 0.0,
        high: 1.0,
    });
    for k in 0..panels {
        let left = (k % columns) as f64 * column;
        let top = (k / columns) as f64 * HEIGHT;
        let plot = Plot {
            left: left + 50.0,
            top: top + 30.0,
            right: left + column - 16.0,
            bottom: top + HEIGHT - 48.0,
        };
        let floor = if failed {
            plot.bottom - FAILED
        } else {
            plot.bottom
        };
        let sy = Scale::linear(values.padded(0.1), floor, plot.top);
        let across = match names.get(k) {
            Some(name) => parameter(trials, name, &plot),
            None => order(trials.len(), &plot),
        };
        let y_title = if k == 0 {
            "value of the trial  ↑ better"
        } else {
            ""
        };
        let y_ticks = ticks::ticks(&sy, 4);
        figure.push(if k % columns == 0 {
            axis::left(&plot, &sy, &y_ticks, y_title)
        } else {
            axis::grid(&plot, &sy, &y_ticks)
        });
        figure.push(axis::below(
            &plot,
            &across.scale,
            &across.ticks,
            &across.name,
        ));
        if names.get(k).is_none() {
            figure.push(best_so_far(trials, &across, &sy));
        }
        figure.push(points(trials, &across, &sy, &plot, failed));
    }
    Some(figure.finish())
}

/// A trial's value if it is a number.
fn value(trial: &Stage1Trial) -> Option<f64> {
    trial.value.filter(|v| v.is_finite())
}

/// The hyperparameters that differ between trials, or all where none does.
fn searched(trials: &[Stage1Trial]) -> Vec<String> {
    let mut all: Vec<&String> = Vec::new();
    for name in trials.iter().flat_map(|t| t.parameters.keys()) {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    let differs = |name: &&&String| {
        let mut values = trials.iter().map(|t| t.parameters.get(**name));
        let first = values.next();
        values.any(|v| Some(v) != first)
    };
    let mut searched: Vec<String> = all.iter().filter(differs).map(|&s| s.clone()).collect();
    if searched.is_empty() {
        searched = all.into_iter().cloned().collect();
    }
    searched
}

fn parameter(trials: &[Stage1Trial], name: &str, plot: &Plot) -> Across {
    let title = shortened(&names::parameter(name), 40);
    let values: Vec<Option<&Value>> = trials.iter().map(|t| t.parameters.get(name)).collect();
    let numbers: Vec<Option<f64>> = values.iter().map(|v| v.and_then(Value::as_f64)).collect();
    let all_numbers = values
        .iter()
        .zip(&numbers)
        .all(|(v, n)| v.is_none() == n.is_none());
    if let Some(extent) = Extent::of(numbers.iter().flatten().copied()).filter(|_| all_numbers) {
        let rate = name.contains("learning_rate") || name == "lr";
        let from = if rate { LOG_FROM_RATES } else { LOG_FROM };
        let log = extent.low > 0.0 && extent.high / extent.low > from;
        let scale = if log {
            Scale::log(extent, 0.08, plot.left, plot.right)
        } else {
            Scale::linear(extent.padded(0.08), plot.left, plot.right)
        };
        let whole = numbers.iter().flatten().all(|v| v.fract() == 0.0);
        let ticks = if whole && !log {
            ticks::whole(&scale, 4)
        } else {
            ticks::ticks(&scale, 4)
        };
        let places = numbers
            .iter()
            .map(|n| n.and_then(|n| scale.at(n)))
            .collect();
        let name = if log { format!("{title} (log)") } else { title };
        return Across {
            name,
            scale,
            ticks,
            places,
        };
    }
    categories(&values, title, plot)
}

/// An axis of categories, in the order in which they appear.
fn categories(values: &[Option<&Value>], name: String, plot: &Plot) -> Across {
    let texts: Vec<Option<String>> = values.iter().map(|v| v.map(format::json)).collect();
    let mut kinds: Vec<&String> = Vec::new();
    for text in texts.iter().flatten() {
        if !kinds.contains(&text) {
            kinds.push(text);
        }
    }
    let extent = Extent {
        low: -0.5,
        high: kinds.len().max(1) as f64 - 0.5,
    };
    let scale = Scale::linear(extent, plot.left, plot.right);
    let ticks = kinds
        .iter()
        .enumerate()
        .map(|(i, kind)| Tick {
            value: i as f64,
            label: shortened(kind, 14),
        })
        .collect();
    let place = |text: &Option<String>| {
        let position = kinds.iter().position(|&k| Some(k) == text.as_ref())?;
        scale.at(position as f64)
    };
    let places = texts.iter().map(place).collect();
    Across {
        name,
        scale,
        ticks,
        places,
    }
}

/// The axis of the trials' order.
fn order(n: usize, plot: &Plot) -> Across {
    let extent = Extent {
        low: 0.5,
        high: n as f64 + 0.5,
    };
    let scale = Scale::linear(extent, plot.left, plot.right);
    Across {
        name: "trial".into(),
        scale,
        ticks: ticks::whole(&scale, 5),
        places: (1..=n).map(|k| scale.at(k as f64)).collect(),
    }
}

fn best_so_far(trials: &[Stage1Trial], across: &Across, sy: &Scale) -> Node {
    let mut best = f64::NEG_INFINITY;
    let steps = trials.iter().zip(&across.places).map(|(trial, place)| {
        best = best.max(value(trial).unwrap_or(f64::NEG_INFINITY));
        Some(((*place)?, sy.at(best)?))
    });
    el("path")
        .set("class", "stroke thin k-bomf")
        .set("d", path::steps(steps))
}

fn points(trials: &[Stage1Trial], across: &Across, sy: &Scale, plot: &Plot, failed: bool) -> Node {
    let mut g = group("k-checkpoint");
    if failed {
        g.push(line(
            (plot.left, plot.bottom - FAILED),
            (plot.right, plot.bottom - FAILED),
            "grid",
        ));
        g.push(text(plot.right, plot.bottom - 6.0, "end", "note", "failed"));
    }
    let best = best(trials);
    let late = trials.len().saturating_sub(MOST_MARKS);
    let early = trials.iter().zip(&across.places).take(late);
    g.extend(specks(
        early.filter_map(|(trial, x)| Some(((*x)?, value(trial).and_then(|v| sy.at(v))?))),
        "k-checkpoint",
    ));
    for (k, (trial, place)) in trials.iter().zip(&across.places).enumerate() {
        let Some(x) = *place else { continue };
        if k < late && best != Some(k) {
            continue;
        }
        let mut tip = format!("trial {}", k + 1);
        match value(trial) {
            Some(v) => tip.push_str(&format!("\nvalue {}", format::fixed(v, 4))),
            None => tip.push_str("\nfailed"),
        }
        for (name, value) in &trial.parameters {
            tip.push_str(&format!(
                "\n{} {}",
                names::parameter(name),
                format::json(value)
            ));
        }
        if trial.pruned {
            tip.push_str("\nstopped early");
        }
        tip.push_str(&format!("\n{}", format::duration(trial.seconds)));
        let Some(y) = value(trial).and_then(|v| sy.at(v)) else {
            let y = plot.bottom - FAILED / 2.0;
            g.push(mark::mark(Shape::Cross, x, y, 4.0, "cross k-ensemble").tip(tip));
            continue;
        };
        if best == Some(k) {
            g.push(mark::mark(Shape::Disc, x, y, 8.0, "halo k-bomf"));
        }
        let class = match (best == Some(k), trial.pruned) {
            (true, _) => "mark solid k-bomf",
            (false, true) => "dot open",
            (false, false) => "mark solid",
        };
        // The later, the stronger the colour.
        let part = (k + 1) as f64 / trials.len() as f64;
        g.push(
            mark::mark(Shape::Disc, x, y, 4.6, class)
                .set(
                    "fill-opacity",
                    if best == Some(k) || trial.pruned {
                        1.0
                    } else {
                        0.25 + 0.75 * part
                    },
                )
                .tip(tip),
        );
    }
    g
}

/// Position of the best trial, the first of equals.
pub(crate) fn best(trials: &[Stage1Trial]) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    for (k, v) in trials
        .iter()
        .enumerate()
        .filter_map(|(k, t)| Some((k, value(t)?)))
    {
        if best.is_none_or(|(_, b)| v > b) {
            best = Some((k, v));
        }
    }
    best.map(|(k, _)| k)
}
