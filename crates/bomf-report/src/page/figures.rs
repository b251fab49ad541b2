//! The sections that hold a figure each.

use super::{between, figure, front_table};
use crate::figures;
use crate::format;
use crate::names;
use crate::view::{self, View, score};
use bomf_study::MethodName;
use maud::{Markup, html};

/// The Pareto front: figure, further planes, table.
pub(super) fn front(view: &View<'_>) -> Markup {
    let points = view.results.front.len();
    html! {
        section #front {
            h2 { "The Pareto front" }
            @if let Some((node, outside)) = figures::front(view) {
                (figure("Every trade-off that was found", &node, &html! {
                    "Each filled disc is a mixture of the members that no other evaluated mixture beats in all objectives at once; "
                    "the shaded region is what the front dominates, up to the reference point. The ringed disc was written to " code { "fused/" } ". "
                    "Open discs are the members, joined in the order of training."
                    @if view.evaluated(MethodName::Bomf).next().is_some() {
                        " Faint dots: every mixture that was evaluated, by bomf and by random weights."
                    }
                    @if outside != figures::Outside::default() {
                        " Outside the frame: " (outside_text(outside)) "."
                    }
                }))
            } @else {
                p { "There are no points with two scores to draw." }
            }
            @if let Some(text) = choice(view) { p { (text) } }
            @if let Some(node) = figures::front_close_up(view) {
                (figure("The front from near", &node, &html! {
                    "The part of the figure above around the front: what one objective costs in the other, and which methods come close. Methods outside are left out."
                }))
            }
            @if let Some(node) = figures::front_pairs(view) {
                (figure("The other planes", &node, &html! {
                    "The same points for every further pair of objectives. A point on the front of all objectives may well lie inside in one plane."
                }))
            }
            @if points == 0 {
                p { "The front is empty: no mixture was evaluated." }
            } @else {
                (front_table::table(view))
            }
        }
    }
}

/// How the model was taken from what was evaluated, and how far the scores that chose it
/// flatter it; `None` where its rule says nothing of that.
fn choice(view: &View<'_>) -> Option<String> {
    let choice = &view.results.stage2.choice;
    let share = choice.share.filter(|_| choice.rule == "bagged")?;
    let mut text = match share {
        1.0.. => "The model that was written is the average of what resamples of the select split would have chosen.".into(),
        0.0 => "No average of what resamples of the select split would have chosen was as good there as the classical methods; the model that was written is within one standard error of the best.".into(),
        share => format!(
            "The model that was written is to {} % the average of what resamples of the select split would have chosen, no more, so that it is no worse there than the classical methods.",
            format::fixed(100.0 * share, 0)
        ),
    };
    let gaps: Vec<String> = view
        .objectives()
        .into_iter()
        .filter_map(|o| {
            let gap = score(&choice.gap, &o.name)?;
            Some(format!("{} {}", view.score(&o.name, gap), view::label(o)))
        })
        .collect();
    if !gaps.is_empty() {
        text.push_str(&format!(
            " A single choice flatters itself on the examples that make it by {}, by the same resamples.",
            gaps.join(" and ")
        ));
    }
    Some(text)
}

fn outside_text(outside: figures::Outside) -> String {
    let plural = |n: usize, one: &str, many: &str| {
        format!("{} {}", format::count(n), if n == 1 { one } else { many })
    };
    let mut parts = Vec::new();
    if outside.members > 0 {
        parts.push(plural(outside.members, "member", "members"));
    }
    if outside.evaluated > 0 {
        parts.push(plural(
            outside.evaluated,
            "evaluated mixture",
            "evaluated mixtures",
        ));
    }
    parts.join(" and ")
}

/// The search for the weights.
pub(super) fn search(view: &View<'_>) -> Markup {
    html! {
        section #search {
            h2 { "How the search went" }
            @if let Some(node) = figures::hypervolume(view) {
                (figure("Hypervolume over the evaluations", &node, &search_caption(view)))
            } @else {
                p { "No history of the search is recorded." }
            }
        }
    }
}

fn search_caption(view: &View<'_>) -> Markup {
    let last = view
        .results
        .stage2
        .history
        .last()
        .map_or(0, |h| h.evaluations);
    html! {
        "Hypervolume sums up a whole front in one number: the region it dominates. The starting design holds the best members and the classical averages, so the search starts level with them. "
        @if !view.has_random() {
            "Random weights were not run for comparison."
        } @else if let Some(n) = figures::overtakes(view) {
            "bomf had more than random weights reached in all " (format::count(last)) " evaluations after " b { (format::count(n)) } "."
        } @else {
            "bomf did not get beyond what random weights reached."
        }
    }
}

/// The weights over the training steps.
pub(crate) fn weights(view: &View<'_>) -> Markup {
    html! {
        section #weights {
            h2 { "Which checkpoints the mixture is made of" }
            @if let (Some(node), Some(w)) = (figures::coefficients(view), view.chosen_weights()) {
                (figure("Weights over the training steps", &node, &html! {
                    "Stems: the chosen mixture. Pale bars and fine lines: the range and the profiles of all front points"
                    " (point at one in the front's figure or table to pick out its profile). "
                    (weights_facts(view, w))
                    @if let Some(o) = view.chosen() {
                        " Below: what each member's " (view::label(o)) " is on its own; good members need not get weight, and weak ones may."
                    }
                }))
                (between::blocks(view))
            } @else {
                p { "No mixture was chosen." }
            }
        }
    }
}

fn weights_facts(view: &View<'_>, weights: &[f64]) -> String {
    let used = weights.iter().filter(|w| **w >= figures::NO_WEIGHT).count();
    let squares: f64 = weights.iter().map(|w| w * w).sum();
    let steps = || weights.iter().zip(&view.results.finetune.members);
    let mean: f64 = steps().map(|(w, m)| w * m.step as f64).sum();
    let mut text = format!(
        "{used} of {} members carry weight (0.005 or more), as spread out as {} equal ones",
        weights.len(),
        format::fixed(1.0 / squares, 1)
    );
    if steps().next().is_some() {
        text.push_str(&format!("; their mean step is {}", format::grouped(mean)));
    }
    text.push('.');
    text
}

/// The fine-tuning run.
pub(crate) fn training(view: &View<'_>) -> Markup {
    let run = &view.results.finetune;
    html! {
        section #training {
            h2 { "The fine-tuning run" }
            @if let Some(node) = figures::curves(view) {
                (figure("Scores along the run", &node, &html! {
                    (format::grouped(run.steps as f64)) " steps in one run"
                    @let further = view.results.finetune.further_runs.len();
                    @if further > 0 {
                        ", that of the best configuration; " (format::count(further)) " further gave their best checkpoints as members"
                    }
                    ". B* is the step with the best "
                    (view.chosen().map(view::label).unwrap_or_default())
                    " on the select split; the members (open discs) come from the shaded window around it. "
                    "Loss and metric need not agree on the best step: that is why both are optimised."
                }))
            } @else {
                p { "No curve is recorded: the members were gathered elsewhere." }
            }
            (members(view))
            (between::basin(view))
        }
    }
}

fn members(view: &View<'_>) -> Markup {
    let objectives = view.objectives();
    let weights = view.chosen_weights().unwrap_or_default();
    let several = view
        .results
        .finetune
        .members
        .iter()
        .any(|m| m.run.is_some());
    html! {
        @if !view.results.finetune.members.is_empty() {
            details {
                summary { "The members in numbers" }
                div.scroll tabindex="0" role="region" aria-label="Table of the members" {
                    table {
                        caption { b { "Members" } ", each alone on the select split, and its weight in the chosen mixture." }
                        thead { tr {
                            @if several { th scope="col" { "run" } }
                            th scope="col" { "step" }
                            @for o in &objectives { th scope="col" { (view::label(o)) } }
                            th scope="col" { "weight" }
                            th.text scope="col" { "folder" }
                        } }
                        tbody {
                            @for (i, m) in view.results.finetune.members.iter().enumerate() {
                                tr {
                                    @if several { td { (m.run.map_or(format::NONE.into(), |run| run.to_string())) } }
                                    th scope="row" { (format::grouped(m.step as f64)) }
                                    @for o in &objectives { td { (score(&m.select, &o.name).map_or(format::NONE.into(), |v| view.score(&o.name, v))) } }
                                    td { (weights.get(i).map_or(format::NONE.into(), |w| format::fixed(*w, 3))) }
                                    td.text { code { (super::clean(&m.path)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The hyperparameter search.
pub(super) fn stage1(view: &View<'_>) -> Markup {
    let stage1 = &view.results.stage1;
    let failed = stage1
        .trials
        .iter()
        .filter(|t| t.value.is_none_or(|v| !v.is_finite()))
        .count();
    let pruned = stage1.trials.iter().filter(|t| t.pruned).count();
    html! {
        section #stage1 {
            h2 { "Stage 1: hyperparameters on the lightweight model" }
            @if let Some(node) = figures::stage1(view) {
                (figure("The trials", &node, &html! {
                    "Each disc is a short run of the lightweight model ("
                    @if let Some(r) = stage1.lora_r { "adapters of rank " (r) }
                    @else { "the lower " (stage1.frozen_layers) " of " (stage1.layers) " layers frozen" }
                    "), at the score of its best checkpoint; the stronger the colour, the later. The ringed one was handed to the full model. "
                    "Last panel: the trials in order, with the best so far."
                    @if pruned > 0 { " " (pruned) " of " (stage1.trials.len()) " trials (open discs) were stopped early, for others were better by then: they stand at what they were worth when they were stopped." }
                    @if failed > 0 { " " (failed) " of " (stage1.trials.len()) " trials failed." }
                }))
                (trials(view))
            } @else {
                p { "Stage 1 was skipped: the full run used the hyperparameters of the recipe." }
            }
        }
    }
}

fn trials(view: &View<'_>) -> Markup {
    let trials = &view.results.stage1.trials;
    let mut parameters: Vec<&String> = Vec::new();
    for name in trials.iter().flat_map(|t| t.parameters.keys()) {
        if !parameters.contains(&name) {
            parameters.push(name);
        }
    }
    let best = figures::best_trial(trials);
    html! {
        details {
            summary { "The trials in numbers" }
            div.scroll tabindex="0" role="region" aria-label="Table of the trials" {
                table {
                    caption { b { "Trials of stage 1" } " in the order in which they ran." }
                    thead { tr {
                        th scope="col" { "trial" }
                        @for p in &parameters { th scope="col" { (names::parameter(p)) } }
                        th scope="col" { "value" }
                        th scope="col" { "time" }
                    } }
                    tbody {
                        @for (k, t) in trials.iter().enumerate() {
                            tr.us[best == Some(k)] {
                                th scope="row" { (k + 1) @if best == Some(k) { " " span.tag { "best" } } }
                                @for p in &parameters { td { (t.parameters.get(*p).map_or(format::NONE.into(), |v| super::clean(&format::json(v)))) } }
                                td { (t.value.filter(|v| v.is_finite()).map_or("failed".into(), |v| format::fixed(v, 4))) @if t.pruned { " (stopped early)" } }
                                td { (format::duration(t.seconds)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
