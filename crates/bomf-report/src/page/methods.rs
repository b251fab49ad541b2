//! The methods: their differences on the report split as a figure, and all their
//! scores as a table.

use super::{drawn, figure};
use crate::figures;
use crate::format;
use crate::names;
use crate::svg::node::{Node, el};
use crate::view::{self, Standing, View, as_good, score, selection_gap};
use bomf_study::{Method, MethodName, Objective};
use maud::{Markup, html};

/// The section.
pub(super) fn section(view: &View<'_>) -> Markup {
    html! {
        section #methods {
            h2 { "How the methods compare" }
            @if view.results.methods.is_empty() {
                p { "No method was evaluated." }
            } @else {
                @if let Some(node) = figures::differences(view) {
                    (figure("bomf minus each other method, on the report split", &node, &caption(view)))
                }
                (table(view))
            }
        }
    }
}

fn caption(view: &View<'_>) -> Markup {
    let count = |wanted: Standing| {
        let Some(o) = view.chosen() else { return 0 };
        let others = view
            .results
            .methods
            .iter()
            .filter(|m| m.name != MethodName::Bomf);
        others
            .filter_map(|m| m.bomf_minus_this.get(&o.name))
            .filter(|d| View::standing(o, d) == Some(wanted))
            .count()
    };
    let (better, worse) = (count(Standing::Better), count(Standing::Worse));
    let level = count(Standing::Level);
    let metric = view.chosen().map(view::label).unwrap_or_default();
    html! {
        "The bars are 95\u{202f}% intervals of the paired bootstrap: the same resampled examples for both models. "
        "Filled marks leave out zero, open ones hold it. In " (metric) ", bomf is clearly better than " (better) ", clearly worse than " (worse)
        " and level with " (level) " of them. Each interval stands for itself; no correction is made for reading several."
    }
}

fn table(view: &View<'_>) -> Markup {
    let objectives = view.objectives();
    html! {
        div.scroll tabindex="0" role="region" aria-label="Table of all methods" {
            table.methods data-sortable="" {
                caption { span {
                    b { "All methods on both splits. " }
                    "Bold: the best of the methods that give one model (the ensemble too where it is as good). "
                    "Gap: how much better the model looked on the select split than it is on the report split; more is worse. "
                    "In brackets 95\u{202f}% bootstrap intervals; a difference whose interval leaves out zero is marked ▲ where bomf is better, ▼ where it is worse."
                } }
                thead {
                    tr {
                        th.name scope="col" rowspan="2" { "Method" }
                        @for o in &objectives {
                            th.group scope="colgroup" colspan="4" { (view::label(o)) " " small { (view::wish(o.direction)) } }
                        }
                        th.group scope="colgroup" colspan="3" { "search" }
                    }
                    tr {
                        @for o in &objectives {
                            th.first scope="col" data-sort=(sense(o)) { "select" }
                            th scope="col" data-sort=(sense(o)) { "report" }
                            th scope="col" data-sort=(sense(o)) { "bomf − this" }
                            th scope="col" data-sort="up" { "gap" }
                        }
                        th.first scope="col" data-sort="down" { abbr title="hypervolume on the select split" { "hyperv." } }
                        th scope="col" data-sort="up" { abbr title="forward passes over the select split beyond the members' own" { "evals" } }
                        th scope="col" data-sort="up" { "time" }
                    }
                }
                tbody {
                    @for m in &view.results.methods { (row(view, m, &objectives)) }
                }
            }
        }
        @if view.results.methods.iter().any(|m| m.name.keeps_members()) {
            p.fine { "† Not one model: such a method keeps all "
                (format::count(view.results.finetune.members.len()))
                " members at inference, with as many times the memory and work. Every other row is one model at the price of one." }
        }
    }
}

/// Which way a column is sorted first: the best on top.
fn sense(o: &Objective) -> &'static str {
    match o.direction {
        bomf_study::Direction::Minimize => "up",
        bomf_study::Direction::Maximize => "down",
    }
}

fn row(view: &View<'_>, m: &Method, objectives: &[&Objective]) -> Markup {
    let style = names::style(m.name);
    let us = m.name == MethodName::Bomf;
    let keeps_all = m.name.keeps_members();
    html! {
        tr.us[us].ensemble[keeps_all] data-m=(m.name.as_str()) {
            th.name scope="row" {
                div.who {
                    span.glyphs { (drawn(&glyph(m.name))) }
                    span { (names::capital(style.label)) @if keeps_all { " †" } small { (style.explanation) } }
                }
            }
            @for o in objectives { (scores(view, m, o)) }
            @let best = view.results.methods.iter().map(|x| x.hypervolume).filter(|v| v.is_finite()).fold(f64::NEG_INFINITY, f64::max);
            (cell(Some(m.hypervolume), &view.hypervolume(m.hypervolume), m.hypervolume == best, true))
            td data-v=(m.evaluations) { (format::count(m.evaluations)) }
            (cell(Some(m.seconds), &format::duration(m.seconds), false, false))
        }
    }
}

/// The four cells of an objective.
fn scores(view: &View<'_>, m: &Method, o: &Objective) -> Markup {
    let select = score(&m.select, &o.name);
    let report = score(&m.report, &o.name);
    let interval = m
        .report_interval
        .get(&o.name)
        .filter(|i| i.iter().all(|v| v.is_finite()));
    let difference = m
        .bomf_minus_this
        .get(&o.name)
        .filter(|d| d.iter().all(|v| v.is_finite()));
    let gap = selection_gap(m, o);
    let of = |v| view.score(&o.name, v);
    let diff = |v| view.difference(&o.name, v);
    html! {
        (cell(select, &select.map_or(format::NONE.into(), of), is_best(view, m, o, |m| score(&m.select, &o.name)), true))
        @let best = is_best(view, m, o, |m| score(&m.report, &o.name));
        td.best[best] data-v=[report.map(sortable)] {
            (report.map_or(format::NONE.into(), of))
            @if best { (mark_best()) }
            @if let Some([low, high]) = interval { small { "[" (of(*low)) ", " (of(*high)) "]" } }
        }
        @if let Some(d) = difference {
            @let standing = View::standing(o, d);
            td.better[standing == Some(Standing::Better)].worse[standing == Some(Standing::Worse)] data-v=(sortable(d[0])) {
                (diff(d[0]))
                @match standing {
                    Some(Standing::Better) => { span.sign title="bomf is better; the interval leaves out zero" { " ▲" } },
                    Some(Standing::Worse) => { span.sign title="bomf is worse; the interval leaves out zero" { " ▼" } },
                    Some(Standing::Level) | None => {},
                }
                small { "[" (diff(d[1])) ", " (diff(d[2])) "]" }
            }
        } @else {
            td.none { (format::NONE) }
        }
        (cell(gap, &gap.map_or(format::NONE.into(), diff), false, false))
    }
}

/// Whether a method is the best in an objective, ties included: among the methods
/// that give one model, or at least as good as those.
fn is_best(
    view: &View<'_>,
    m: &Method,
    o: &Objective,
    value: impl Fn(&Method) -> Option<f64>,
) -> bool {
    let Some(own) = value(m) else { return false };
    let others = view.results.methods.iter();
    others
        .filter(|x| !x.name.keeps_members())
        .filter_map(value)
        .all(|other| as_good(o.direction, own, other))
}

fn cell(value: Option<f64>, text: &str, best: bool, first: bool) -> Markup {
    let value = value.filter(|v| v.is_finite());
    html! {
        td.best[best].first[first] data-v=[value.map(sortable)] { (text) @if best { (mark_best()) } }
    }
}

fn mark_best() -> Markup {
    html! { span.vh { " (best)" } }
}

/// A number as the sorting script reads it.
pub(super) fn sortable(value: f64) -> String {
    format!("{value:e}")
}

/// A method's mark as a picture for a table's cell.
fn glyph(name: MethodName) -> Node {
    el("svg")
        .set("class", "glyph")
        .set("viewBox", "0 0 16 16")
        .set("width", 16usize)
        .set("height", 16usize)
        .set("aria-hidden", "true")
        .add(names::style(name).mark(8.0, 8.0, 5.0))
}
