//! The words of this page, for newcomers.

use maud::{Markup, html};

/// Terms and what they mean.
const TERMS: [(&str, &str); 12] = [
    (
        "Member",
        "A checkpoint of the one fine-tuning run that takes part in the fusion.",
    ),
    (
        "Fused model, mixture",
        "A model whose every weight is a weighted mean of the members' weights. The weights of the mean are at least zero and sum to one. It costs no more at inference than one member.",
    ),
    (
        "Train, select and report split",
        "The model is trained on the first. The second decides everything else: hyperparameters, checkpoints, weights. The third is touched once, at the end, for every method alike; only its scores say how good a model is.",
    ),
    (
        "Selection gap",
        "How much better a model looks on the select split than on the report split. Whoever picks the best of many on one set of examples picks luck too; the gap shows how much.",
    ),
    (
        "95\u{202f}% interval",
        "Where the score would lie in 95 of 100 redraws of the report split (bootstrap). Differences are paired: both models on the same redrawn examples.",
    ),
    (
        "Objective",
        "A number to be made small (loss) or large (accuracy, F1 and others). In language tasks the loss and the metric need not have their best at the same weights, so both are searched.",
    ),
    (
        "Dominated",
        "One point dominates another if it is at least as good in every objective and better in one.",
    ),
    (
        "Pareto front",
        "The points that no other evaluated point dominates: the trade-offs worth having.",
    ),
    (
        "Reference point",
        "A poor point beyond which nothing counts; the corner from which the hypervolume is measured.",
    ),
    (
        "Hypervolume",
        "The area (volume, with more objectives) between the front and the reference point. It grows with every point that pushes the front outwards.",
    ),
    (
        "Starting design",
        "The first mixtures of the search: the best members, their plain mean, the greedy soup, means of the last members. The search therefore never ends below these on the select split.",
    ),
    (
        "B*",
        "The training step with the best chosen metric on the select split. Members are gathered from half of it to twice it.",
    ),
];

/// The section.
pub(super) fn section() -> Markup {
    html! {
        section #glossary {
            h2 { "Glossary" }
            dl.glossary {
                @for (term, meaning) in TERMS { div { dt { (term) } dd { (meaning) } } }
            }
        }
    }
}
