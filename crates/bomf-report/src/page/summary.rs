//! The head of the page: what was done, what came of it, at what price.

use super::{clean, drawn};
use crate::figures;
use crate::format;
use crate::names;
use crate::view::{self, Standing, View, as_good, score};
use bomf_study::{Direction, MethodName};
use maud::{Markup, html};

/// The page's header.
pub(super) fn header(view: &View<'_>) -> Markup {
    let r = view.results;
    html! {
        header {
            p.eyebrow { "bomf report" @if !r.task_kind.is_empty() { " · " (clean(&r.task_kind)) } }
            h1 { (clean(&r.task)) }
            p.model { @if r.task_kind == "external" { "Fused from checkpoints like " } @else { "Fine-tuned from " } code { (clean(&r.model)) } @if r.parameters > 0 { ", " (format::parameters(r.parameters)) " parameters" } }
            p.verdict { (verdict(view)) }
            @if let Some(more) = second(view) { p.second { (more) } }
            (key_figures(view))
            @if let Some(bar) = figures::stages(view) {
                div.stages { (drawn(&bar)) }
            }
            nav aria-label="Contents" {
                a href="#methods" { "Methods" } " "
                a href="#front" { "Pareto front" } " "
                a href="#search" { "Search" } " "
                a href="#weights" { "Weights" } " "
                a href="#training" { "Training run" } " "
                a href="#stage1" { "Stage 1" } " "
                a href="#configuration" { "Configuration" } " "
                a href="#reproduce" { "Reproduce" } " "
                a href="#glossary" { "Glossary" }
            }
        }
    }
}

fn key_figures(view: &View<'_>) -> Markup {
    let r = view.results;
    let points = r.front.iter().filter(|point| !point.dominated).count();
    html! {
        dl.keys {
            // A program that evaluates says nothing of its examples.
            @if r.splits.select > 0 {
                div { dt { "Train" } dd { (format::count(r.splits.train)) " " small { "examples" } } }
                div { dt { "Select" } dd { (format::count(r.splits.select)) " " small { "examples" } } }
                div { dt { "Report" } dd { (format::count(r.splits.report)) " " small { "examples" } } }
            }
            div { dt { "Members" } dd { (format::count(r.finetune.members.len())) } }
            div { dt { "Front" } dd { (format::count(points)) " " small { @if points == 1 { "point" } @else { "points" } } } }
            div { dt { "Total time" } dd { (format::duration(r.seconds.total)) } }
            div { dt { "Peak memory" } dd { (format::megabytes(r.peak_rss_mb)) } }
            div { dt { "Threads" } dd { (format::count(r.threads)) } }
            div { dt { "Seed" } dd { (r.seed) } }
            div { dt { "Version" } dd { (clean(&r.version)) } }
        }
    }
}

/// The outcome in one sentence, from the report split and no further than its
/// interval carries.
pub(crate) fn verdict(view: &View<'_>) -> String {
    let (Some(o), Some(us)) = (view.chosen(), view.method(MethodName::Bomf)) else {
        return "This run holds no fused model.".into();
    };
    let metric = view::label(o);
    let Some(ours) = score(&us.report, &o.name) else {
        return format!("The fused model's {metric} on the report split is not recorded.");
    };
    let head = format!(
        "bomf reaches {metric} {} on the report split",
        view.score(&o.name, ours)
    );
    let Some((best, theirs)) = view
        .method(MethodName::BestCheckpoint)
        .and_then(|m| Some((m, score(&m.report, &o.name)?)))
    else {
        return format!("{head}; the best checkpoint's is not recorded.");
    };
    let middle = format!(
        "{head}; the best checkpoint {}",
        view.score(&o.name, theirs)
    );
    let Some(d) = best.bomf_minus_this.get(&o.name) else {
        return format!("{middle}. No interval of the difference is recorded.");
    };
    let conclusion = match View::standing(o, d) {
        None => return format!("{middle}. The interval of the difference is not recorded."),
        Some(Standing::Better) => "better, and zero is outside the interval",
        Some(Standing::Worse) => "worse, and zero is outside the interval",
        Some(Standing::Level) => "not distinguishable from zero",
    };
    let of = |v| view.difference(&o.name, v);
    format!(
        "{middle}: difference {} [{}, {}], {conclusion}.",
        of(d[0]),
        of(d[1]),
        of(d[2])
    )
}

/// What the first sentence leaves out: the best of the other averages, and what
/// the search gained on the split it could see.
fn second(view: &View<'_>) -> Option<String> {
    use MethodName::{GreedySoup, RandomSimplex, Swa, UniformSoup};
    let o = view.chosen()?;
    let us = score(&view.method(MethodName::Bomf)?.report, &o.name)?;
    let averages = [Swa, UniformSoup, GreedySoup, RandomSimplex];
    let (name, best) = averages
        .into_iter()
        .filter_map(|name| Some((name, score(&view.method(name)?.report, &o.name)?)))
        .reduce(|a, b| if as_good(o.direction, a.1, b.1) { a } else { b })?;
    let place = if us == best {
        "level with it"
    } else if as_good(o.direction, us, best) {
        "below bomf"
    } else {
        "above bomf"
    };
    let place = match (place, o.direction) {
        ("below bomf", Direction::Minimize) => "worse than bomf",
        ("above bomf", Direction::Minimize) => "better than bomf",
        ("level with it", _) => "level with bomf",
        (other, _) => other,
    };
    let mut text = format!(
        "Of the other weight averages, {} comes out best there with {} ({place}).",
        names::style(name).label,
        view.score(&o.name, best),
    );
    let hypervolume = |name| {
        view.method(name)
            .map(|m| m.hypervolume)
            .filter(|v| v.is_finite())
    };
    if let (Some(ours), Some(random)) = (hypervolume(MethodName::Bomf), hypervolume(RandomSimplex))
    {
        text.push_str(&format!(
            " On the select split, which it could see, bomf reached a hypervolume of {}, random weights {} with the same budget.",
            view.hypervolume(ours),
            view.hypervolume(random)
        ));
    }
    Some(text)
}
