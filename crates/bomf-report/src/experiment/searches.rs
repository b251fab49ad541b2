//! How fast the searches are, and whether they have anything to weigh.

use crate::figures::WIDTH;
use crate::format;
use crate::names;
use crate::svg::figure::Plot;
use crate::svg::label::spread;
use crate::svg::node::{Node, line, rect, text};
use crate::svg::{Extent, Figure, Scale, Shape, axis, mark, path, ticks};
use bomf_study::experiment::Experiment;

/// Mean share of the final hypervolume after so many evaluations, a line for each search; `None`
/// where there are none.
pub(super) fn shares(experiment: &Experiment) -> Option<Node> {
    let rows = &experiment.hypervolume;
    let domain = Extent::of(rows.iter().map(|row| row.share.mean))?.with(1.0);
    let across = Extent::of(rows.iter().map(|row| row.evaluations as f64))?.with(0.0);
    let plot = Plot {
        left: 62.0,
        top: 34.0,
        right: WIDTH - 200.0,
        bottom: 286.0,
    };
    let sx = Scale::linear(across, plot.left, plot.right);
    let sy = Scale::linear(domain.padded(0.1), plot.bottom, plot.top);
    let mut figure = Figure::new(
        "shares",
        WIDTH,
        330.0,
        "Hypervolume along the searches",
        "Mean share of the final hypervolume of bomf that each search has after so many evaluations.",
    );
    let title = "share of the hypervolume in the end  ↑ better";
    figure.push(axis::left(&plot, &sy, &ticks::ticks(&sy, 5), title));
    figure.push(axis::below(
        &plot,
        &sx,
        &ticks::whole(&sx, 8),
        "evaluations of mixtures",
    ));
    if let Some(y) = sy.at(1.0) {
        figure.push(line((plot.left, y), (plot.right, y), "guide"));
    }
    let several = experiment
        .hypervolume
        .iter()
        .any(|row| row.variant != rows[0].variant);
    let mut ends: Vec<(f64, String, &str)> = Vec::new();
    for search in rows.chunk_by(|a, b| (&a.variant, a.method) == (&b.variant, b.method)) {
        let style = names::style(search[0].method);
        let label = match several {
            true => format!("{}, {}", style.label, search[0].variant),
            false => style.label.to_owned(),
        };
        let places: Vec<Option<(f64, f64)>> = search
            .iter()
            .map(|row| Some((sx.at(row.evaluations as f64)?, sy.at(row.share.mean)?)))
            .collect();
        let stroke = crate::svg::node::el("path")
            .set("class", format!("stroke {}", style.class))
            .set("d", path::line(places.iter().copied()));
        figure.push(stroke);
        for (row, place) in search.iter().zip(&places) {
            if let Some((x, y)) = place {
                let tip = format!(
                    "{label} after {} evaluations\n{} over {} runs",
                    row.evaluations,
                    format::fixed(row.share.mean, 3),
                    row.runs
                );
                let class = format!("dot {}", style.class);
                figure.push(mark::mark(Shape::Disc, *x, *y, 3.5, &class).tip(tip));
            }
        }
        if let Some(Some((_, y))) = places.last() {
            ends.push((*y, label, style.class));
        }
    }
    let wanted: Vec<f64> = ends.iter().map(|end| end.0).collect();
    let places = spread(&wanted, 15.0, plot.top, plot.bottom);
    for (y, (_, label, class)) in places.into_iter().zip(&ends) {
        let class = format!("lab {class}");
        figure.push(text(
            plot.right + 10.0,
            y + 4.0,
            "start",
            &class,
            label.as_str(),
        ));
    }
    Some(figure.finish())
}

const ROW: f64 = 28.0;
const HEAD: f64 = 30.0;

/// Rank correlation of low loss and a good metric, a row for each task and metric.
pub(super) fn correlations(experiment: &Experiment) -> Option<Node> {
    let mut rows: Vec<(&str, &str)> = Vec::new();
    for row in &experiment.correlation {
        let key = (row.task.as_str(), row.metric.as_str());
        if !rows.contains(&key) {
            rows.push(key);
        }
    }
    if rows.is_empty() {
        return None;
    }
    let plot = Plot {
        left: 200.0,
        top: HEAD,
        right: WIDTH - 20.0,
        bottom: HEAD + rows.len() as f64 * ROW,
    };
    let scale = Scale::linear(Extent::of([-1.0, 1.0])?, plot.left, plot.right);
    let mut figure = Figure::new(
        "correlations",
        WIDTH,
        plot.bottom + 44.0,
        "Loss and metric over random mixtures",
        "Rank correlation of low loss with a good metric over random mixtures, a dot for each run.",
    );
    let ticks = ticks::ticks(&scale, 5);
    for (k, (task, metric)) in rows.iter().enumerate() {
        let y = HEAD + (k as f64 + 0.5) * ROW;
        if k % 2 == 0 {
            figure.push(rect(0.0, y - ROW / 2.0, WIDTH, ROW, "shade"));
        }
        let label = format!("{task}: {}", names::objective(metric));
        figure.push(text(6.0, y + 4.5, "start", "row", label));
    }
    figure.push(axis::grid(&plot, &scale, &ticks));
    figure.push(axis::below(
        &plot,
        &scale,
        &ticks,
        "Spearman's rank correlation",
    ));
    for row in &experiment.correlation {
        let key = (row.task.as_str(), row.metric.as_str());
        let (Some(k), Some(x)) = (rows.iter().position(|r| *r == key), scale.at(row.spearman))
        else {
            continue;
        };
        let tip = format!(
            "{}, seed {}\n{}",
            row.task,
            row.seed,
            format::signed(row.spearman, 2)
        );
        let y = HEAD + (k as f64 + 0.5) * ROW;
        figure.push(mark::mark(Shape::Disc, x, y, 4.5, "dot k-bomf").tip(tip));
    }
    Some(figure.finish())
}
