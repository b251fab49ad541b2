//! Hypervolume over the evaluations: `bomf` against random weights.

use super::WIDTH;
use crate::names;
use crate::svg::figure::Plot;
use crate::svg::label::spread;
use crate::svg::node::{Node, el, group, line, rect, text};
use crate::svg::{Extent, Figure, Scale, Shape, axis, mark, path, text as measure, ticks};
use crate::view::View;
use bomf_study::{HypervolumePoint, Method, MethodName};

/// Evaluations after which `bomf` had more hypervolume than random weights had at
/// the end; `None` if it never had, or nothing was compared.
pub(crate) fn overtakes(view: &View<'_>) -> Option<usize> {
    let history = &view.results.stage2.history;
    let random = history.iter().rev().find_map(|h| h.random_simplex)?;
    history
        .iter()
        .find(|h| h.bomf > random)
        .map(|h| h.evaluations)
}

/// The classical baseline with the largest hypervolume.
fn best_baseline<'a>(view: &View<'a>) -> Option<&'a Method> {
    use MethodName::{BestCheckpoint, GreedySoup, LastCheckpoint, Swa, UniformSoup};
    let classical = [BestCheckpoint, LastCheckpoint, Swa, UniformSoup, GreedySoup];
    let all = view.results.methods.iter();
    all.filter(|m| classical.contains(&m.name) && m.hypervolume.is_finite())
        .max_by(|a, b| a.hypervolume.total_cmp(&b.hypervolume))
}

/// The figure; `None` without a history.
pub(crate) fn hypervolume(view: &View<'_>) -> Option<Node> {
    let history = &view.results.stage2.history;
    let random = |h: &HypervolumePoint| h.random_simplex.unwrap_or(f64::NAN);
    let baseline = best_baseline(view);
    // The very first evaluations would press the rest into a strip: the frame
    // begins where half of the starting design is done.
    let settled = history.get(view.results.stage2.initial_evaluations / 2..);
    let settled = settled.filter(|h| !h.is_empty()).unwrap_or(history);
    let domain = Extent::of(
        settled
            .iter()
            .flat_map(|h| [h.bomf, random(h)])
            .chain(baseline.map(|m| m.hypervolume)),
    )?;
    let written = |v: f64| view.hypervolume(v);
    let across = Extent::of(history.iter().map(|h| h.evaluations as f64))?;
    let plot = Plot {
        left: 62.0,
        top: 34.0,
        right: WIDTH - 176.0,
        bottom: 266.0,
    };
    let sx = Scale::linear(across.with(0.0), plot.left, plot.right);
    let sy = Scale::linear(domain.padded(0.12), plot.bottom, plot.top);

    let mut figure = Figure::new(
        "hypervolume",
        WIDTH,
        308.0,
        "Hypervolume over the evaluations",
        "Hypervolume on the select split of everything that bomf, and random weights with the same budget, had evaluated after so many evaluations.",
    );
    figure.push(el("defs").add(plot.clip("hypervolume-clip", 1.0)));
    let initial = view.results.stage2.initial_evaluations as f64;
    if let Some(end) = sx.clamped(initial).filter(|_| initial > 0.0) {
        figure.push(rect(
            plot.left,
            plot.top,
            end - plot.left,
            plot.height(),
            "shade",
        ));
        figure.push(line((end, plot.top), (end, plot.bottom), "guide"));
        let label = "starting design";
        let room = end - plot.left - 12.0;
        let note = if measure::width(label, 11.0) <= room {
            text(end - 6.0, plot.bottom - 8.0, "end", "note", label)
        } else {
            text(
                end + 6.0,
                plot.bottom - 8.0,
                "start",
                "note",
                "← starting design",
            )
        };
        figure.push(note);
    }
    let blocks = view.results.stage2.blocks.as_ref();
    if let Some(x) = blocks.and_then(|own| sx.clamped(own.after as f64)) {
        figure.push(line((x, plot.top), (x, plot.bottom), "guide"));
        let note = "weights by block →";
        figure.push(text(x + 6.0, plot.top + 12.0, "start", "note", note));
    }
    figure.push(axis::left(
        &plot,
        &sy,
        &ticks::ticks(&sy, 5),
        "hypervolume on the select split  ↑ better",
    ));
    figure.push(axis::below(
        &plot,
        &sx,
        &ticks::whole(&sx, 8),
        "evaluations",
    ));

    let mut ends: Vec<(f64, String, &str)> = Vec::new();
    if let Some(m) = baseline
        && let Some(y) = sy.at(m.hypervolume)
    {
        let style = names::style(m.name);
        let class = format!("stroke thin dots {}", style.class);
        figure.push(el("path").set("class", class).set(
            "d",
            path::line([Some((plot.left, y)), Some((plot.right, y))]),
        ));
        ends.push((
            y,
            format!("{} {}", style.label, written(m.hypervolume)),
            style.class,
        ));
    }
    type Value = fn(&HypervolumePoint) -> f64;
    let series: [(&str, &str, Value, MethodName); 2] = [
        ("k-random", "stroke dash", random, MethodName::RandomSimplex),
        ("k-bomf", "stroke", |h| h.bomf, MethodName::Bomf),
    ];
    for (class, stroke, value, name) in series {
        let at = |h: &HypervolumePoint| Some((sx.at(h.evaluations as f64)?, sy.at(value(h))?));
        let d = path::steps(history.iter().map(at));
        if d.is_empty() {
            continue;
        }
        figure.push(
            el("path")
                .set("class", format!("{stroke} {class}"))
                .set("clip-path", "url(#hypervolume-clip)")
                .set("d", d),
        );
        let label = names::style(name).label;
        let mut points = group(class);
        for h in history {
            if let Some((x, y)) = at(h).filter(|p| p.1 <= plot.bottom) {
                let tip = format!(
                    "{label} after {} evaluations\nhypervolume {}",
                    h.evaluations,
                    written(value(h))
                );
                points.push(mark::mark(Shape::Disc, x, y, 4.0, "hit").tip(tip));
            }
        }
        figure.push(points);
        if let Some((h, (x, y))) = history.iter().rev().find_map(|h| Some((h, at(h)?))) {
            figure.push(mark::mark(Shape::Disc, x, y, 3.5, &format!("dot {class}")));
            ends.push((y, format!("{label} {}", written(value(h))), class));
        }
    }
    let wanted: Vec<f64> = ends.iter().map(|e| e.0).collect();
    for (y, (_, label, class)) in spread(&wanted, 16.0, plot.top, plot.bottom)
        .into_iter()
        .zip(&ends)
    {
        figure.push(text(
            plot.right + 10.0,
            y + 4.0,
            "start",
            &format!("lab {class}"),
            label.as_str(),
        ));
    }
    Some(figure.finish())
}
