//! The fine-tuning run: loss and metrics over the training steps, with B*, the
//! window from which members were gathered, and the members.

use super::WIDTH;
use crate::format;
use crate::svg::figure::Plot;
use crate::svg::label::spread;
use crate::svg::node::{Node, el, group, line, rect, text};
use crate::svg::{Extent, Figure, Scale, Shape, axis, mark, path, text as measure, ticks};
use crate::view::{self, View, score};
use bomf_study::{CurvePoint, Direction, Finetune, MemberRecord, Objective};

/// Height of a panel with its title.
const HEIGHT: f64 = 188.0;

/// A line of a panel.
struct Series<'s> {
    label: &'s str,
    class: &'static str,
    value: &'s dyn Fn(&CurvePoint) -> Option<f64>,
    decimals: usize,
}

/// The members that the run with the best configuration gave, which the curve is of.
fn of_the_run(run: &Finetune) -> impl Iterator<Item = &MemberRecord> {
    let members = run.members.iter();
    members.filter(|m| m.run.is_none_or(|number| number == 1))
}

/// The figure; `None` without a curve.
pub(crate) fn curves(view: &View<'_>) -> Option<Node> {
    let run = &view.results.finetune;
    let steps = run.curve.iter().map(|p| p.step as f64);
    let members = of_the_run(run).map(|m| m.step as f64);
    let across = Extent::of(steps.chain(members)).filter(|_| !run.curve.is_empty())?;
    let mut objectives = view.objectives();
    // The loss first: its panel holds the training loss too.
    objectives.sort_by_key(|o| o.name != "loss");
    let n = objectives.len();
    if n == 0 {
        return None;
    }
    let mut figure = Figure::new(
        "curves",
        WIDTH,
        n as f64 * HEIGHT + 32.0,
        "Scores along the fine-tuning run",
        "Loss and metrics on the select split over the training steps, the training loss, the best step, and the members.",
    );
    for (k, objective) in objectives.into_iter().enumerate() {
        let top = k as f64 * HEIGHT + 40.0;
        let plot = Plot {
            left: 62.0,
            top,
            right: WIDTH - 120.0,
            bottom: top + HEIGHT - 52.0,
        };
        let sx = Scale::linear(across.with(0.0), plot.left, plot.right);
        panel(&mut figure, view, objective, &plot, &sx, k + 1 == n, k == 0);
    }
    Some(figure.finish())
}

fn panel(
    figure: &mut Figure,
    view: &View<'_>,
    o: &Objective,
    plot: &Plot,
    sx: &Scale,
    last: bool,
    first: bool,
) {
    let run = &view.results.finetune;
    let select = |p: &CurvePoint| score(&p.select, &o.name);
    let train = |p: &CurvePoint| Some(p.train_loss).filter(|v| v.is_finite());
    let decimals = view.decimals(&o.name);
    let mut series = vec![Series {
        label: "select",
        class: "k-checkpoint",
        value: &select,
        decimals,
    }];
    if o.name == "loss" {
        series.insert(
            0,
            Series {
                label: "train",
                class: "k-ensemble",
                value: &train,
                decimals,
            },
        );
    }
    let member_values = of_the_run(run).filter_map(|m| score(&m.select, &o.name));
    let all = series
        .iter()
        .flat_map(|s| run.curve.iter().filter_map(s.value));
    let Some(extent) = Extent::of(all.chain(member_values)) else {
        return;
    };
    let sy = Scale::linear(extent.padded(0.06), plot.bottom, plot.top);

    if let Some((from, to)) = window(view, sx) {
        figure.push(rect(from, plot.top, to - from, plot.height(), "shade"));
    }
    let arrow = if o.direction == Direction::Minimize {
        "↓"
    } else {
        "↑"
    };
    let title = format!("{}  {arrow} better", view::label(o));
    figure.push(axis::left(plot, &sy, &ticks::ticks(&sy, 4), &title));
    let x_title = if !last {
        String::new()
    } else if run.steps_per_epoch > 0 {
        format!(
            "training step ({} to an epoch)",
            format::grouped(run.steps_per_epoch as f64)
        )
    } else {
        "training step".into()
    };
    figure.push(axis::below(plot, sx, &ticks::whole(sx, 8), &x_title));
    if let Some(x) = best_step(view, sx) {
        figure.push(line((x, plot.top - 4.0), (x, plot.bottom), "zero"));
    }
    if first {
        figure.push(heads(view, plot, sx, axis::heading_width(&title)));
    }

    let mut ends = Vec::new();
    for s in &series {
        let at = |p: &CurvePoint| Some((sx.at(p.step as f64)?, sy.at((s.value)(p)?)?));
        let d = path::line(run.curve.iter().map(at));
        let dash = if s.label == "train" { " dash" } else { "" };
        figure.push(
            el("path")
                .set("class", format!("stroke {}{dash}", s.class))
                .set("d", d),
        );
        let mut hits = group(s.class);
        for p in &run.curve {
            if let (Some((x, y)), Some(v)) = (at(p), (s.value)(p)) {
                let tip = format!(
                    "step {}\n{} {} {}",
                    format::grouped(p.step as f64),
                    s.label,
                    view::label(o),
                    format::fixed(v, s.decimals)
                );
                hits.push(mark::mark(Shape::Disc, x, y, 4.0, "hit").tip(tip));
            }
        }
        figure.push(hits);
        if let Some((p, (_, y))) = run.curve.iter().rev().find_map(|p| Some((p, at(p)?))) {
            let value = (s.value)(p).unwrap_or(f64::NAN);
            ends.push((
                y,
                format!("{} {}", s.label, format::fixed(value, s.decimals)),
                s.class,
            ));
        }
    }
    let mut g = group("k-checkpoint");
    for member in of_the_run(run) {
        let place = score(&member.select, &o.name).and_then(|v| sy.at(v));
        if let (Some(x), Some(y)) = (sx.at(member.step as f64), place) {
            g.push(mark::mark(Shape::Disc, x, y, 3.2, "dot open"));
        }
    }
    figure.push(g);
    let wanted: Vec<f64> = ends.iter().map(|e| e.0).collect();
    let places = spread(&wanted, 15.0, plot.top, plot.bottom);
    for (y, (_, label, class)) in places.into_iter().zip(&ends) {
        figure.push(text(
            plot.right + 10.0,
            y + 4.0,
            "start",
            &format!("lab {class}"),
            label.as_str(),
        ));
    }
}

/// The place of B*, where it is known.
fn best_step(view: &View<'_>, sx: &Scale) -> Option<f64> {
    let step = view.results.finetune.best_step;
    sx.inside(step as f64).filter(|_| step > 0)
}

/// The ends of the window of the members.
fn window(view: &View<'_>, sx: &Scale) -> Option<(f64, f64)> {
    let members = of_the_run(&view.results.finetune);
    let extent = Extent::of(members.map(|m| m.step as f64))?;
    Some((sx.clamped(extent.low)?, sx.clamped(extent.high)?))
}

/// The names of B* and of the window above the first panel, clear of its title
/// and of each other.
fn heads(view: &View<'_>, plot: &Plot, sx: &Scale, title: f64) -> Node {
    const SIZE: f64 = 11.5;
    const GAP: f64 = 12.0;
    let mut g = group("heads");
    let y = plot.top - 10.0;
    let free_from = plot.left - 30.0 + title + GAP;
    let mut taken = (0.0, 0.0);
    if let Some(x) = best_step(view, sx) {
        let step = view.results.finetune.best_step as f64;
        let label = format!("B* = {}", format::grouped(step));
        let width = measure::width(&label, SIZE);
        let from = (x - width / 2.0).max(free_from).min(WIDTH - width);
        taken = (from, from + width);
        g.push(text(from + width / 2.0, y, "middle", "lab plain", label));
    }
    if let Some((from, to)) = window(view, sx) {
        let n = of_the_run(&view.results.finetune).count();
        let label = match n {
            1 => "the one member".to_string(),
            n => format!("window of the {n} members"),
        };
        let width = measure::width(&label, SIZE);
        let fits = |start: &f64| {
            let end = start + width;
            *start >= free_from && end <= WIDTH && (end + GAP <= taken.0 || *start >= taken.1 + GAP)
        };
        let starts = [to - width, from, taken.1 + GAP, taken.0 - GAP - width];
        if let Some(start) = starts.into_iter().find(fits) {
            g.push(text(start, y, "start", "note", label));
        }
    }
    g
}
