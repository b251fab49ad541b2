//! Notes, the configuration, how to do it again, and the foot of the page.

use super::clean;
use crate::format;
use crate::names;
use crate::view::View;
use maud::{Markup, html};

/// What the program said on the way.
pub(super) fn notes(view: &View<'_>) -> Markup {
    html! {
        @if !view.results.notes.is_empty() {
            section #notes {
                h2 { "Notes of this run" }
                ul { @for note in &view.results.notes { li { (with_code(note)) } } }
            }
        }
    }
}

/// Text in which backquotes set off code.
fn with_code(text: &str) -> Markup {
    let text = clean(text);
    if text.matches('`').count() % 2 == 1 {
        return html! { (text) };
    }
    html! {
        @for (k, part) in text.split('`').enumerate() {
            @if k % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// The hyperparameters of the full run.
pub(super) fn configuration(view: &View<'_>) -> Markup {
    let best = &view.results.stage1.best;
    html! {
        section #configuration {
            h2 { "Configuration" }
            @if best.is_empty() {
                p { "No hyperparameters are recorded." }
            } @else {
                table.small {
                    caption { "Hyperparameters of the full run"
                        @if view.results.stage1.trials.is_empty() { ", as the recipe gave them." } @else { ", as stage 1 chose them." } }
                    thead { tr { th.text scope="col" { "hyperparameter" } th scope="col" { "value" } } }
                    tbody {
                        @for (name, value) in best {
                            tr { th.text scope="row" { (names::parameter(name)) } td { (clean(&format::json(value))) } }
                        }
                    }
                }
            }
        }
    }
}

/// The way to the same result.
pub(super) fn reproduce(view: &View<'_>) -> Markup {
    let r = view.results;
    let is_external = r.task_kind == "external";
    html! {
        section #reproduce {
            h2 { "Do it again" }
            p { "The output folder holds the recipe with every default written out and the seed (" (r.seed) "). With " code { "OUT" } " for that folder:" }
            pre tabindex="0" { code {
                @if is_external { "bomf fuse --recipe OUT/recipe.yaml --members MEMBERS --out AGAIN" }
                @else { "bomf run --recipe OUT/recipe.yaml --model MODEL --data DATA --out AGAIN" }
            } }
            @if !is_external {
                p { "The fused model is a Hugging Face folder:" }
                pre tabindex="0" { code {
                    "from transformers import AutoModelForSequenceClassification, AutoTokenizer\n"
                    "model = AutoModelForSequenceClassification.from_pretrained(\"OUT/fused\")\n"
                    "tokenizer = AutoTokenizer.from_pretrained(\"OUT/fused\")"
                } }
            } @else {
                p { "The fused model in " code { "OUT/fused" } " has the configuration and the tokenizer of the first member." }
            }
            p { "All numbers of this page are in " code { "results.json" } "; every front point with its weights in " code { "pareto.json" }
                "; every evaluation, as it happened, in " code { "trials.jsonl" } "." }
        }
    }
}

/// The foot of the page.
pub(super) fn footer(view: &View<'_>) -> Markup {
    html! {
        footer {
            p { "Made by bomf " (clean(&view.results.version)) ". Method: Jang, Lee, Kim and Lee, “Model Fusion through Bayesian Optimization in Language Model Fine-Tuning”, NeurIPS 2024 (arXiv 2411.06710)." }
        }
    }
}
