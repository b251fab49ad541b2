//! The weights over the members' training steps: the chosen mixture's, the whole
//! front's behind them, and how good each member is alone.

use super::WIDTH;
use crate::format;
use crate::svg::figure::Plot;
use crate::svg::node::{Node, el, group, line, rect, text};
use crate::svg::ticks::{self, Tick};
use crate::svg::{Extent, Figure, Scale, Shape, axis, mark, path, text as measure};
use crate::view::{self, View, score};

/// Most profiles of front points that are drawn; the range is of them all.
const MOST_PROFILES: usize = 250;
/// Least distance of neighbouring members at which the axis shows true steps.
const LEAST_DISTANCE: f64 = 9.0;

/// Weights below this round to 0.00 and count as none.
pub(crate) const NO_WEIGHT: f64 = 0.005;

/// Places of the members along the axis of steps.
struct Members {
    x: Vec<f64>,
    scale: Scale,
    ticks: Vec<Tick>,
    /// Whether places follow the steps, not only their order.
    true_steps: bool,
}

fn members(view: &View<'_>, n: usize, plot: &Plot) -> Members {
    let steps: Vec<f64> = view
        .results
        .finetune
        .members
        .iter()
        .take(n)
        .map(|m| m.step as f64)
        .collect();
    let room = (14.0 / plot.width()).max(0.04);
    let true_scale = Extent::of(steps.iter().copied())
        .map(|e| Scale::linear(e.padded(room), plot.left, plot.right));
    if let Some(scale) = true_scale {
        let x: Vec<f64> = steps.iter().filter_map(|&s| scale.at(s)).collect();
        let mut sorted = x.clone();
        sorted.sort_by(f64::total_cmp);
        let apart = sorted.windows(2).all(|w| w[1] - w[0] >= LEAST_DISTANCE);
        if apart && x.len() == n {
            let ticks = ticks::whole(&scale, 8);
            return Members {
                x,
                scale,
                ticks,
                true_steps: true,
            };
        }
    }
    let extent = Extent {
        low: -0.5,
        high: n as f64 - 0.5,
    };
    let scale = Scale::linear(extent, plot.left, plot.right);
    let ticks = (0..n)
        .map(|i| Tick {
            value: i as f64,
            label: steps
                .get(i)
                .map_or_else(|| format!("{}", i + 1), |&s| format::grouped(s)),
        })
        .collect();
    let x = (0..n).filter_map(|i| scale.at(i as f64)).collect();
    Members {
        x,
        scale,
        ticks,
        true_steps: false,
    }
}

/// The figure; `None` where no mixture was chosen.
pub(crate) fn coefficients(view: &View<'_>) -> Option<Node> {
    let chosen = view.chosen_weights()?;
    let n = chosen.len();
    let plot = Plot {
        left: 62.0,
        top: 34.0,
        right: WIDTH - 84.0,
        bottom: 236.0,
    };
    let members = members(view, n, &plot);
    let front = &view.results.front;
    let largest = Extent::of(
        chosen
            .iter()
            .chain(front.iter().flat_map(|p| &p.weights))
            .copied(),
    )?;
    let sy = Scale::linear(
        Extent {
            low: largest.low.min(0.0),
            high: largest.high.max(1e-6) * 1.16,
        },
        plot.bottom,
        plot.top,
    );
    let mut figure = Figure::new(
        "coefficients",
        WIDTH,
        392.0,
        "Weights over the training steps",
        "The chosen mixture's weight of each member as a stem, the range over all front points as a pale bar behind it, and below it the score of each member alone.",
    );
    figure.push(axis::left(
        &plot,
        &sy,
        &ticks::ticks(&sy, 5),
        "weight in the mixture",
    ));
    figure.push(line(
        (plot.left, plot.bottom),
        (plot.right, plot.bottom),
        "base",
    ));
    figure.push(ranges(view, &members, &sy));
    figure.push(profiles(view, &members, &sy));
    if let Some(y) = sy.at(1.0 / n as f64) {
        figure.push(line((plot.left, y), (plot.right, y), "guide"));
        figure.push(text(
            plot.right + 8.0,
            y + 4.0,
            "start",
            "note",
            format!("uniform 1/{n}"),
        ));
    }
    figure.push(stems(view, chosen, &members, &sy));

    let lower = Plot {
        left: plot.left,
        top: 280.0,
        right: plot.right,
        bottom: 350.0,
    };
    figure.push(alone(view, &members, &lower));
    let title = if members.true_steps {
        "training step of the member"
    } else {
        "training step of the member (in order, not to scale)"
    };
    figure.push(axis::below(&lower, &members.scale, &members.ticks, title));
    Some(figure.finish())
}

fn ranges(view: &View<'_>, members: &Members, sy: &Scale) -> Node {
    let mut g = group("k-bomf");
    for (i, &x) in members.x.iter().enumerate() {
        let weights = view
            .results
            .front
            .iter()
            .filter_map(|p| p.weights.get(i).copied());
        let Some(extent) = Extent::of(weights) else {
            continue;
        };
        if let (Some(low), Some(high)) = (sy.at(extent.low), sy.at(extent.high)) {
            g.push(rect(x - 4.5, high, 9.0, low - high, "bar pale"));
        }
    }
    g
}

fn profiles(view: &View<'_>, members: &Members, sy: &Scale) -> Node {
    let mut g = group("profiles");
    for (k, point) in view.results.front.iter().enumerate().take(MOST_PROFILES) {
        let points = members.x.iter().zip(&point.weights);
        let d = path::line(points.map(|(&x, &w)| Some((x, sy.at(w)?))));
        g.push(
            el("path")
                .set("class", "profile")
                .set("data-k", k)
                .set("d", d),
        );
    }
    g
}

fn stems(view: &View<'_>, chosen: &[f64], members: &Members, sy: &Scale) -> Node {
    let mut g = group("k-bomf");
    let distance = members
        .x
        .windows(2)
        .map(|w| (w[1] - w[0]).abs())
        .fold(f64::INFINITY, f64::min);
    let base = sy.at(0.0).unwrap_or(0.0);
    for (i, (&x, &weight)) in members.x.iter().zip(chosen).enumerate() {
        let Some(y) = sy.at(weight) else { continue };
        let member = view.results.finetune.members.get(i);
        let mut tip = match member {
            Some(m) => format!("member of step {}", m.step),
            None => format!("member {}", i + 1),
        };
        tip.push_str(&format!("\nweight {}", format::fixed(weight, 3)));
        for o in view.objectives() {
            if let Some(v) = member.and_then(|m| score(&m.select, &o.name)) {
                tip.push_str(&format!(
                    "\nalone: {} {}",
                    view::label(o),
                    view.score(&o.name, v)
                ));
            }
        }
        g.push(line((x, base), (x, y), "stroke"));
        let carries = weight >= NO_WEIGHT;
        let (r, class) = if carries {
            (5.0, "mark solid")
        } else {
            (2.6, "dot open")
        };
        g.push(mark::mark(Shape::Disc, x, y, r, class).tip(tip));
        let label = format::fixed(weight, 2);
        if carries && distance > measure::width(&label, 12.0) + 4.0 {
            g.push(text(x, y - 10.0, "middle", "lab", label));
        }
    }
    g
}

/// The chosen metric of each member alone.
fn alone(view: &View<'_>, members: &Members, plot: &Plot) -> Node {
    let mut g = group("k-member");
    let Some(o) = view.chosen() else { return g };
    let records = view.results.finetune.members.iter();
    let scores: Vec<Option<f64>> = records.map(|m| score(&m.select, &o.name)).collect();
    let Some(extent) = Extent::of(scores.iter().flatten().copied()) else {
        return g;
    };
    let scale = Scale::linear(extent.padded(0.15), plot.bottom, plot.top);
    let title = format!("{} of the member alone", view::label(o));
    g.push(axis::left(plot, &scale, &ticks::ticks(&scale, 3), &title));
    let at = |(&x, s): (&f64, &Option<f64>)| Some((x, scale.at((*s)?)?));
    let d = path::line(members.x.iter().zip(&scores).map(at));
    g.push(el("path").set("class", "stroke thin").set("d", d));
    for (x, y) in members.x.iter().zip(&scores).filter_map(at) {
        g.push(mark::mark(Shape::Disc, x, y, 3.0, "dot open"));
    }
    g
}

/// Weights as tiny bars, for a table's cell; `largest` is the full height.
pub(crate) fn sparkline(weights: &[f64], largest: f64) -> Node {
    const HEIGHT: f64 = 20.0;
    let bar = if weights.len() > 40 { 2.0 } else { 5.0 };
    let width = bar * weights.len() as f64;
    let used = weights.iter().filter(|w| **w >= NO_WEIGHT).count();
    let mut svg = el("svg")
        .set("class", "glyph spark k-bomf")
        .set("viewBox", format!("0 0 {} {HEIGHT}", width.max(1.0)))
        .set("width", width.max(1.0))
        .set("height", HEIGHT)
        .set("role", "img")
        .set(
            "aria-label",
            format!("{used} of {} members with weight", weights.len()),
        );
    svg.push(line((0.0, HEIGHT - 0.5), (width, HEIGHT - 0.5), "base"));
    for (i, &weight) in weights.iter().enumerate() {
        let part = if largest > 0.0 {
            (weight / largest).clamp(0.0, 1.0)
        } else {
            0.0
        };
        let height = part * (HEIGHT - 1.0);
        if height >= 0.3 {
            svg.push(rect(
                i as f64 * bar + 0.5,
                HEIGHT - 1.0 - height,
                bar - 1.0,
                height,
                "bar",
            ));
        }
    }
    svg
}
