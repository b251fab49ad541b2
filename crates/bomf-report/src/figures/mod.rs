//! The figures of the report, each a function of the study alone.

mod basin;
mod coefficients;
mod curves;
mod differences;
mod front;
mod hypervolume;
mod importance;
mod labels;
mod parallel;
mod plane;
mod specks;
mod stage1;
mod stages;
mod staircase;
mod timeline;
mod trial_curves;

pub(crate) use basin::{barrier, basin, name as member};
pub(crate) use coefficients::{NO_WEIGHT, coefficients, sparkline};
pub(crate) use curves::curves;
pub(crate) use differences::differences;
pub(crate) use front::Outside;
pub(crate) use hypervolume::{hypervolume, overtakes};
pub(crate) use importance::{LEAST_TRIALS, importance};
pub(crate) use parallel::parallel;
pub(crate) use stage1::{best as best_trial, stage1};
pub(crate) use stages::stages;
pub(crate) use timeline::{by_worker, timeline};
pub(crate) use trial_curves::trial_curves;

use crate::svg::figure::Plot;
use crate::svg::{Figure, Node};
use crate::view::{self, View};
use front::Panel;
use plane::pairs;

/// Width of the figures.
pub(crate) const WIDTH: f64 = 740.0;

/// The front in the plane of the chosen metric and the loss, and what lies outside
/// its frame; `None` with fewer than two objectives or no scores.
pub(crate) fn front(view: &View<'_>) -> Option<(Node, Outside)> {
    let (figure, outside) = front_figure(view)?;
    Some((figure.finish(), outside))
}

/// The same figure as a file of its own.
pub(crate) fn front_standalone(view: &View<'_>, css: &'static str) -> Option<Node> {
    Some(front_figure(view)?.0.finish_standalone(css))
}

fn front_figure(view: &View<'_>) -> Option<(Figure, Outside)> {
    let (x, y) = *pairs(view).first()?;
    let plot = Plot {
        left: 62.0,
        top: 34.0,
        right: WIDTH - 24.0,
        bottom: 440.0,
    };
    let panel = Panel::new(view, (x, y), plot, "front", true)?;
    let description = format!(
        "{} front points, {} methods and {} members in the plane of {} and {}, all on the select split. The table of the front has the numbers.",
        view.results.front.len(),
        view.results.methods.len(),
        view.results.finetune.members.len(),
        view::label(x),
        view::label(y),
    );
    let mut figure = Figure::new("front", WIDTH, 484.0, "Pareto front", description);
    let outside = panel.draw(&mut figure);
    Some((figure, outside))
}

/// A close-up of the front in the same plane; `None` where the front fills the
/// figure as it is.
pub(crate) fn front_close_up(view: &View<'_>) -> Option<Node> {
    let plot = Plot {
        left: 62.0,
        top: 34.0,
        right: WIDTH - 24.0,
        bottom: 316.0,
    };
    let panel = Panel::close_up(view, *pairs(view).first()?, plot, "front-near")?;
    let mut figure = Figure::new(
        "front-near",
        WIDTH,
        360.0,
        "The front from near",
        "The part of the plane around the front, with the marks of the figure before.",
    );
    panel.draw(&mut figure);
    Some(figure.finish())
}

/// Every further pair of objectives, as small panels; `None` with two objectives.
pub(crate) fn front_pairs(view: &View<'_>) -> Option<Node> {
    const IDS: [&str; 9] = ["p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9"];
    const COLUMNS: usize = 3;
    const HEIGHT: f64 = 218.0;
    let pairs = pairs(view);
    let pairs = pairs.get(1..).filter(|rest| !rest.is_empty())?;
    let column = WIDTH / COLUMNS as f64;
    let rows = pairs.len().div_ceil(COLUMNS);
    let mut figure = Figure::new(
        "front-pairs",
        WIDTH,
        rows as f64 * HEIGHT,
        "The front in the other planes",
        "One small panel for each further pair of objectives, with the marks of the large figure.",
    );
    for (k, (&pair, id)) in pairs.iter().zip(IDS).enumerate() {
        let left = (k % COLUMNS) as f64 * column;
        let top = (k / COLUMNS) as f64 * HEIGHT;
        let plot = Plot {
            left: left + 48.0,
            top: top + 30.0,
            right: left + column - 14.0,
            bottom: top + HEIGHT - 46.0,
        };
        if let Some(panel) = Panel::new(view, pair, plot, id, false) {
            panel.draw(&mut figure);
        }
    }
    Some(figure.finish())
}
