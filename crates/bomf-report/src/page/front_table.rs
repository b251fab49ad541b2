//! The front as a table.

use super::drawn;
use super::methods::sortable;
use crate::figures;
use crate::format;
use crate::svg::Extent;
use crate::view::{self, View, score};
use bomf_study::{Direction, FrontPoint, Objective};
use maud::{Markup, html};

/// Rows from which the table scrolls in a window of its own.
const LONG: usize = 14;

/// The table.
pub(crate) fn table(view: &View<'_>) -> Markup {
    let front = &view.results.front;
    let objectives = view.objectives();
    let weights = front.iter().flat_map(|p| p.weights.iter().copied());
    let largest = Extent::of(weights).map_or(0.0, |e| e.high);
    html! {
        div.scroll.long[front.len() > LONG] tabindex="0" role="region" aria-label="Table of the front" {
            table.front data-sortable="" {
                caption { span {
                    b { "The front, point by point" } ", with scores on the select split. "
                    "Weights: one bar a member, in the order of training. Effective members: 1 / Σw², "
                    "the number of equal weights that would be as spread out."
                } }
                thead {
                    tr {
                        th scope="col" data-sort="up" { "point" }
                        @for o in &objectives {
                            th scope="col" data-sort=(match o.direction { Direction::Minimize => "up", Direction::Maximize => "down" }) { (view::label(o)) }
                        }
                        th.spark scope="col" { "weights" }
                        th scope="col" data-sort="down" { "largest weight" }
                        th scope="col" data-sort="down" { "effective members" }
                    }
                }
                tbody {
                    @for (k, point) in front.iter().enumerate() { (row(view, k, point, &objectives, largest)) }
                }
            }
        }
    }
}

fn row(
    view: &View<'_>,
    k: usize,
    point: &FrontPoint,
    objectives: &[&Objective],
    largest: f64,
) -> Markup {
    let top = point
        .weights
        .iter()
        .copied()
        .enumerate()
        .filter(|(_, w)| w.is_finite())
        .max_by(|a, b| a.1.total_cmp(&b.1));
    let squares: f64 = point.weights.iter().map(|w| w * w).sum();
    let effective = 1.0 / squares;
    html! {
        tr.us[point.chosen] data-k=(k) {
            th scope="row" data-v=(k) { (k + 1) @if point.chosen { " " span.tag { "chosen" @if point.dominated { ", off the front" } } } }
            @for o in objectives {
                @let value = score(&point.select, &o.name);
                td data-v=[value.map(sortable)] { (value.map_or(format::NONE.into(), |v| view.score(&o.name, v))) }
            }
            td.spark { (drawn(&figures::sparkline(&point.weights, largest))) }
            @if let Some((i, weight)) = top {
                td data-v=(sortable(weight)) {
                    (format::fixed(weight, 2))
                    @match view.results.finetune.members.get(i) {
                        Some(m) => small { "step " (format::grouped(m.step as f64)) },
                        None => small { "member " (i + 1) },
                    }
                }
            } @else { td.none { (format::NONE) } }
            td data-v=[effective.is_finite().then(|| sortable(effective))] { (format::fixed(effective, 1)) }
        }
    }
}
