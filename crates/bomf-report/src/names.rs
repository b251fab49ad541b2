//! Human names, explanations and marks of methods and objectives.

use crate::svg::Shape;
use crate::svg::mark::mark;
use crate::svg::node::{Node, allowed};
use bomf_study::MethodName;

/// How a method is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    /// Its name in a sentence.
    pub(crate) label: &'static str,
    /// What it does, in a line.
    pub(crate) explanation: &'static str,
    /// The shape of its mark.
    pub(crate) shape: Shape,
    /// The class that gives its colour.
    pub(crate) class: &'static str,
    /// Whether its mark is an outline only.
    pub(crate) hollow: bool,
}

/// How `method` is shown.
pub(crate) fn style(method: MethodName) -> Style {
    let (label, explanation, shape, class, hollow) = match method {
        MethodName::BestCheckpoint => (
            "best checkpoint",
            "the one member that scores best on the select split; no averaging",
            Shape::Square,
            "k-checkpoint",
            false,
        ),
        MethodName::LastCheckpoint => (
            "last checkpoint",
            "the member of the last step; no choice at all",
            Shape::Square,
            "k-checkpoint",
            true,
        ),
        MethodName::Swa => (
            "SWA",
            "stochastic weight averaging: plain mean of the last quarter of the members",
            Shape::Up,
            "k-swa",
            false,
        ),
        MethodName::UniformSoup => (
            "uniform soup",
            "plain mean of all members",
            Shape::Diamond,
            "k-soup",
            true,
        ),
        MethodName::GreedySoup => (
            "greedy soup",
            "members join best first, each kept if the mean does not get worse",
            Shape::Diamond,
            "k-soup",
            false,
        ),
        MethodName::Ema => (
            "EMA",
            "exponential moving average over the trajectory",
            Shape::Up,
            "k-swa",
            true,
        ),
        MethodName::ModelStock => (
            "model stock",
            "mean of all members, drawn back to where training began",
            Shape::Up,
            "k-soup",
            true,
        ),
        MethodName::Fisher => (
            "Fisher average",
            "mean of all members, each parameter weighted by its Fisher information",
            Shape::Up,
            "k-soup",
            false,
        ),
        MethodName::Regmean => (
            "RegMean",
            "linear layers by least squares over the inputs that each member sees",
            Shape::Square,
            "k-soup",
            true,
        ),
        MethodName::OtFusion => (
            "OT fusion",
            "mean of all members, once their units are put in one order",
            Shape::Square,
            "k-soup",
            false,
        ),
        MethodName::LearnedSwa => (
            "learned SWA",
            "weights by gradient descent on the loss on the select split",
            Shape::Down,
            "k-swa",
            false,
        ),
        MethodName::Twa => (
            "TWA",
            "trainable weight averaging: training on within the members' span",
            Shape::Down,
            "k-swa",
            true,
        ),
        MethodName::RandomSimplex => (
            "random weights",
            "random search over mixtures, with as many evaluations as bomf",
            Shape::Down,
            "k-random",
            false,
        ),
        MethodName::CmaEs => (
            "CMA-ES",
            "evolution strategy on the weights, by the chosen metric",
            Shape::Down,
            "k-random",
            true,
        ),
        MethodName::BoLoss => (
            "BO of the loss",
            "Bayesian optimisation of the loss alone",
            Shape::Square,
            "k-random",
            false,
        ),
        MethodName::BoMetric => (
            "BO of the metric",
            "Bayesian optimisation of the chosen metric alone",
            Shape::Square,
            "k-random",
            true,
        ),
        MethodName::BomfPaper => (
            "BOMF as published",
            "multi-objective Bayesian optimisation over a box, points divided by their sum",
            Shape::Disc,
            "k-random",
            true,
        ),
        MethodName::WeightedEnsemble => (
            "weighted ensemble",
            "weighted mean of the members' predictions; keeps every member at inference",
            Shape::Cross,
            "k-ensemble",
            false,
        ),
        MethodName::Stacking => (
            "stacking",
            "regression on the members' outputs; keeps every member at inference",
            Shape::Diamond,
            "k-ensemble",
            true,
        ),
        MethodName::PredictionEnsemble => (
            "prediction ensemble",
            "mean of all members' predictions; keeps every member at inference, so not one model",
            Shape::Cross,
            "k-ensemble",
            true,
        ),
        MethodName::Bomf => (
            "bomf",
            "mixture found by multi-objective Bayesian optimisation of the weights",
            Shape::Disc,
            "k-bomf",
            false,
        ),
    };
    Style {
        label,
        explanation,
        shape,
        class,
        hollow,
    }
}

impl Style {
    /// Its mark at a place.
    pub(crate) fn mark(&self, x: f64, y: f64, r: f64) -> Node {
        let fill = if self.hollow { "hollow" } else { "solid" };
        mark(self.shape, x, y, r, &format!("mark {fill} {}", self.class))
    }
}

/// The human name of an objective: `f1_macro` is `macro F1`.
pub(crate) fn objective(name: &str) -> String {
    match name {
        "f1" => "F1".into(),
        "f1_macro" | "macro_f1" => "macro F1".into(),
        "matthews" | "mcc" => "Matthews r".into(),
        "pearson" => "Pearson r".into(),
        "spearman" => "Spearman ρ".into(),
        "rouge1" | "rouge_1" => "ROUGE-1".into(),
        "rouge2" | "rouge_2" => "ROUGE-2".into(),
        "rougeL" | "rouge_l" => "ROUGE-L".into(),
        "bleu" => "BLEU".into(),
        "meteor" => "METEOR".into(),
        "exact_match" | "em" => "exact match".into(),
        other => plain(other),
    }
}

/// A name as it stands, with spaces for underscores, without what no page may hold.
fn plain(name: &str) -> String {
    let readable = |c| if c == '_' { ' ' } else { allowed(c) };
    name.chars().map(readable).collect()
}

/// The human name of a hyperparameter.
pub(crate) fn parameter(name: &str) -> String {
    match name {
        "lr" => "learning rate".into(),
        "warmup" | "warmup_ratio" => "warm-up ratio".into(),
        other => plain(other),
    }
}

/// A method's name at the head of a line: with a capital first letter, but for the
/// program's own.
pub(crate) fn capital(text: &str) -> String {
    if text == "bomf" {
        return text.into();
    }
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}
