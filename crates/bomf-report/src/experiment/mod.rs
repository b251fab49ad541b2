//! The page of an experiment: what many runs say together, in figures. The numbers stand in the
//! tables beside it.

mod costs;
mod gains;
mod searches;

use crate::page::{clean, document, figure};
use bomf_study::experiment::{Claim, Experiment};
use maud::{Markup, html};

/// The figures of an experiment as one HTML file, self-contained as [`crate::render`]'s.
pub fn render_experiment(experiment: &Experiment) -> String {
    let runs = format!("{} of {} runs", experiment.runs.len(), experiment.planned);
    let title = format!("{} · bomf experiment", experiment.name);
    let body = html! {
        header {
            h1 { (clean(&experiment.name)) }
            p.lead { (runs) ", bomf " (clean(&experiment.version)) }
        }
        main {
            @for (variant, id) in variants(experiment).into_iter().zip(gains::IDS) {
                @if let Some(drawn) = gains::over_methods(experiment, variant, id) {
                    (figure(&format!("bomf against the other methods: {variant}"), &drawn, &html! {
                        "On the report split, over all runs with their 95 % interval. Right of zero bomf is "
                        "better. Filled: zero is outside the interval."
                    }))
                }
            }
            @if let Some(drawn) = gains::over_first(experiment) {
                (figure("Each variant against the first", &drawn, &html! {
                    "What bomf reaches under each variant, minus what it reaches under the first."
                }))
            }
            (claims(&experiment.claims))
            @if let Some(drawn) = searches::shares(experiment) {
                (figure("Hypervolume along the searches", &drawn, &html! {
                    "The mean over runs, as a share of what bomf of the first variant has in the end, from "
                    "the same members and the same reference point."
                }))
            }
            @if let Some(drawn) = searches::correlations(experiment) {
                (figure("Loss and metric over random mixtures", &drawn, &html! {
                    "A dot a run: the rank correlation of low loss with a good metric. At 1 the mixture with "
                    "the lower loss always has the better metric, and one objective would do."
                }))
            }
            @if let Some(drawn) = costs::costs(experiment) {
                (figure("Where the time went", &drawn, &html! { "Mean minutes of a run." }))
            }
            @if !experiment.failed.is_empty() {
                section { h2 { "Runs that failed" } ul {
                    @for run in &experiment.failed {
                        li { code { (clean(&run.folder.display().to_string())) } ": " (clean(&run.error)) }
                    }
                } }
            }
            p { "Every number is in " code { "tables.md" } ", " code { "csv/" } " and " code { "experiment.json" } "." }
        }
    };
    document(&title, &experiment.version, &body).into_string()
}

/// The variants that have runs, in their order.
fn variants(experiment: &Experiment) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for claim in &experiment.claims {
        if !names.contains(&claim.variant.as_str()) {
            names.push(&claim.variant);
        }
    }
    names
}

fn claims(claims: &[Claim]) -> Markup {
    html! {
        @if !claims.is_empty() {
            section {
                h2 { "On the select split of every run" }
                div.scroll { table {
                    caption { "In how many runs each claim holds" }
                    thead { tr { th scope="col" { "claim" } th scope="col" { "variant" } th scope="col" { "holds in runs" } } }
                    tbody {
                        @for claim in claims {
                            tr {
                                th scope="row" { (clean(&claim.claim)) }
                                td { (clean(&claim.variant)) }
                                td { (claim.held) " of " (claim.runs) }
                            }
                        }
                    }
                } }
            }
        }
    }
}
