//! The parts of the live page.

use super::progress::{Part, Progress, progress};
use super::so_far::so_far;
use super::workers::workers;
use super::{Fragment, Moment, Standing};
use crate::figures;
use crate::format;
use crate::names;
use crate::page::figures::{training, weights as weights_of_a_result};
use crate::page::{clean, figure, front_table};
use crate::view::{self, View, score};
use bomf_study::{Event, Record, Results};
use maud::{Markup, html};

pub(super) fn all(moment: &Moment<'_>) -> Vec<Fragment> {
    let results = so_far(moment.record);
    let view = View::new(&results, &moment.record.events);
    let part = |id, html: Markup| Fragment {
        id,
        html: html.into_string(),
    };
    vec![
        part("status", status(moment, &view)),
        part("front", front(moment, &view)),
        part("search", search(&view)),
        part("weights", weights(moment.record, &view)),
        part("training", run(moment.record, &view)),
        part("stage1", stage1(moment.record, &view)),
        part("workers", workers(moment)),
    ]
}

fn status(moment: &Moment<'_>, view: &View<'_>) -> Markup {
    let record = moment.record;
    let task = match record.plan.task.as_str() {
        "" => moment.folder,
        task => task,
    };
    let fact = |name: &str| record.facts.get(name).filter(|f| !f.is_empty());
    html! {
        p.eyebrow { "bomf " (record.facts.get("command").map_or("", String::as_str)) }
        div.title {
            h1 { (clean(task)) }
            span.standing data-standing=(moment.standing.as_str()) { (moment.standing.as_str()) }
        }
        p.model {
            @if let Some(model) = fact("model") { (clean(model)) " · " }
            code { (clean(moment.folder)) }
            @if let Some(seed) = fact("seed") { " · seed " (clean(seed)) }
        }
        @if let Some(trouble) = moment.trouble {
            p.trouble role="alert" { "The folder cannot be read: " (clean(trouble)) ". What is shown was read before." }
        }
        (words(moment, view))
        @let parts = progress(record);
        @if moment.standing != Standing::Waiting && !parts.is_empty() {
            ol.parts { @for part in &parts { (bar(moment, part, &parts)) } }
        }
    }
}

/// How the run stands, in a sentence or two.
fn words(moment: &Moment<'_>, view: &View<'_>) -> Markup {
    let resume = format!("bomf resume {}", quoted(moment.folder));
    html! {
        @match moment.standing {
            Standing::Waiting => p.verdict { "Nothing is here yet. The page will show the run once it begins." },
            Standing::Running => p.verdict { (leading(view)) },
            Standing::Stopped => {
                p.verdict { "The run was stopped. Nothing that it paid for is lost." }
                (command(&resume, "to go on"))
            }
            Standing::Finished => p.verdict {
                @if moment.record.results.is_some() { (crate::page::verdict(view)) }
                @else { (leading(view)) }
            },
        }
    }
}

/// The best by now.
fn leading(view: &View<'_>) -> String {
    let Some(o) = view.chosen() else {
        return "The run has begun.".into();
    };
    let named = |value: f64, what: &str| {
        format!(
            "Best {} on the select split by now: {}, {what}.",
            view::label(o),
            view.score(&o.name, value)
        )
    };
    let results = view.results;
    let front = results
        .front
        .first()
        .and_then(|p| score(&p.select, &o.name));
    let curve = results.finetune.curve.iter();
    let best_step = curve
        .clone()
        .find(|p| p.step == results.finetune.best_step)
        .and_then(|p| score(&p.select, &o.name));
    if let Some(value) = front {
        return named(value, "by a mixture of the front");
    }
    if let Some(value) = best_step {
        let step = format::grouped(results.finetune.best_step as f64);
        return named(value, &format!("at step {step} of the fine-tuning run"));
    }
    let best = figures::best_trial(&results.stage1.trials);
    let value = best.and_then(|k| Some((k, score(&results.stage1.trials[k].select, &o.name)?)));
    match value {
        Some((k, value)) => named(value, &format!("by trial {} of stage 1", k + 1)),
        None => "The run has begun.".into(),
    }
}

fn bar(moment: &Moment<'_>, part: &Progress, parts: &[Progress]) -> Markup {
    let (name, unit) = match part.part {
        Part::Stage1 => ("Stage 1: hyperparameters", "trials"),
        Part::Finetune => ("Fine-tuning", "steps"),
        Part::Stage2 => ("Stage 2: weights", "evaluations"),
    };
    let current = parts.iter().find(|p| !p.is_over).map(|p| p.part);
    let is_current = current == Some(part.part) && moment.standing == Standing::Running;
    let planned = part.planned.max(part.done);
    let (value, most) = match part.is_over {
        true => (1, 1),
        false => (part.done, planned.max(1)),
    };
    let state = match (part.is_over, is_current, part.done) {
        (true, ..) => "over",
        (false, true, _) => "now",
        (false, false, 0) => "later",
        (false, false, _) => "halted",
    };
    let pace = moment.pace.get(&part.part).copied();
    let pace = pace.or_else(|| usual_pace(moment.record, part.part));
    let left = pace
        .filter(|_| is_current)
        .map(|pace| pace * part.left() as f64);
    html! {
        li data-state=(state) {
            span.part { (name) }
            progress max=(most) value=(value) aria-label=(name) {}
            span.count {
                (format::count(part.done))
                @if !part.is_over && part.planned > 0 { " of " (format::count(planned)) }
                " " (unit)
                @if is_current && part.part == Part::Stage1 { ", trial " (format::count(part.done + 1)) " under way" }
                @if let Some(left) = left.filter(|left| *left > 0.0) {
                    b { ", about " (format::duration(left)) " left" }
                }
            }
        }
    }
}

/// Seconds a trial or evaluation from what those before took.
fn usual_pace(record: &Record, part: Part) -> Option<f64> {
    /// So many of the last ones.
    const LAST: usize = 20;
    let mean = |seconds: &mut dyn Iterator<Item = f64>| {
        let (sum, n) = seconds.fold((0.0, 0), |(sum, n), s| (sum + s, n + 1));
        (n > 0).then(|| sum / f64::from(n))
    };
    match part {
        Part::Stage1 => mean(&mut record.trials.iter().rev().take(LAST).map(|t| t.seconds)),
        Part::Stage2 => {
            let last = record.evaluations.iter().rev().take(LAST);
            mean(&mut last.map(|e| e.seconds))
        }
        Part::Finetune => None,
    }
}

/// A command to copy.
fn command(text: &str, purpose: &str) -> Markup {
    html! {
        p.command {
            code { (clean(text)) }
            button type="button" data-copy=(clean(text)) { "Copy" }
            " " (purpose)
        }
    }
}

/// A word of a shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./+,:@%=".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.into(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

fn front(moment: &Moment<'_>, view: &View<'_>) -> Markup {
    let results = view.results;
    if results.front.is_empty() {
        return html! {};
    }
    let can_pick = moment.record.results.is_some();
    html! {
        h2 { "The trade-off that was found" }
        @if let Some((node, _)) = figures::front(view) {
            (figure("Pareto front", &node, &html! {
                "Filled discs: mixtures that no other evaluated mixture beats in all objectives. Open discs: the members, joined in the order of training; "
                "faint dots: all that was evaluated. "
                b { "Pick a point" } " with the pointer, or with the arrow keys and Enter, to see its weights."
            }))
        } @else {
            p { "With one objective there is no plane to draw; the table has the points." }
        }
        (picks(moment, results, can_pick))
        @if let Some(node) = figures::front_close_up(view) {
            (figure("The front from near", &node, &html! { "The part around the front." }))
        }
        @if let Some(node) = figures::front_pairs(view) {
            (figure("The other planes", &node, &html! { "The same points for every further pair of objectives." }))
        }
        (front_table::table(view))
    }
}

/// What the script needs to show a point that is picked.
fn picks(moment: &Moment<'_>, results: &Results, can_pick: bool) -> Markup {
    let members = &results.finetune.members;
    // Checkpoints of another trainer have no steps before the end.
    let stepped = |i: usize| members.get(i).filter(|m| !m.path.is_empty());
    let name = |i: usize| match stepped(i) {
        Some(m) => match m.run {
            Some(run) => format!("run {run}, step {}", format::grouped(m.step as f64)),
            None => format!("step {}", format::grouped(m.step as f64)),
        },
        None => format!("member {}", i + 1),
    };
    let n = results
        .front
        .iter()
        .map(|p| p.weights.len())
        .max()
        .unwrap_or(0);
    let names: Vec<String> = (0..n).map(name).collect();
    let weights: Vec<&Vec<f64>> = results.front.iter().map(|p| &p.weights).collect();
    html! {
        div #pick.pick aria-live="polite"
            data-names=(serde_json::json!(names))
            data-weights=(serde_json::json!(weights))
            data-command=[can_pick.then(|| format!("bomf pick {} --point ", quoted(moment.folder)))]
        {
            p.hint { "No point is picked." }
        }
    }
}

fn search(view: &View<'_>) -> Markup {
    html! {
        @if let Some(node) = figures::hypervolume(view) {
            h2 { "How the search goes" }
            (figure("Hypervolume over the evaluations", &node, &html! {
                "The region that the front dominates, as one number. The starting design holds the members and the classical averages."
                @if let Some(n) = figures::overtakes(view) {
                    " bomf had more than random weights reached after " b { (format::count(n)) } " evaluations."
                }
            }))
        }
    }
}

fn weights(record: &Record, view: &View<'_>) -> Markup {
    if record.results.is_some() {
        return inner(weights_of_a_result(view));
    }
    // Nothing is chosen yet: the first point of the front stands in.
    let mut leading = view.results.clone();
    let Some(first) = leading.front.first_mut() else {
        return html! {};
    };
    first.chosen = true;
    let view = View::new(&leading, &record.events);
    html! {
        @if let Some(node) = figures::coefficients(&view) {
            h2 { "Which checkpoints the mixtures are made of" }
            (figure("Weights over the training steps", &node, &html! {
                "Stems: the mixture that leads in the chosen metric by now. Pale bars and fine lines: the range and the profiles of all front points. "
                "Below: each member alone."
            }))
        }
    }
}

fn run(record: &Record, view: &View<'_>) -> Markup {
    if view.results.finetune.curve.is_empty() {
        return html! {};
    }
    if record.results.is_some() {
        return inner(training(view));
    }
    let runs = record.events.iter().filter_map(|event| match event {
        Event::Finetune { run, .. } => Some(run.unwrap_or(1)),
        _ => None,
    });
    let runs = runs.max().unwrap_or(1);
    html! {
        h2 { "The fine-tuning run" }
        @if let Some(node) = figures::curves(view) {
            (figure("Scores along the run", &node, &html! {
                "B* is the step with the best " (view.chosen().map(view::label).unwrap_or_default())
                " on the select split by now; members are gathered from half of it to twice of it."
                @if runs > 1 { " Run 1 of " (runs) " that have begun." }
            }))
        }
    }
}

fn stage1(record: &Record, view: &View<'_>) -> Markup {
    let trials = &view.results.stage1.trials;
    if trials.is_empty() {
        return html! {};
    }
    let failed = trials.iter().filter(|t| t.value.is_none()).count();
    let pruned = trials.iter().filter(|t| t.pruned).count();
    html! {
        h2 { "Stage 1: hyperparameters on the lightweight model" }
        @if let Some(node) = figures::stage1(view) {
            (figure("The trials", &node, &html! {
                "Each disc is a short run of the lightweight model, the stronger the later. The ringed one leads."
                @if pruned > 0 { " " (format::count(pruned)) " of " (format::count(trials.len())) " were stopped early (open discs)." }
                @if failed > 0 { " " (format::count(failed)) " of " (format::count(trials.len())) " failed." }
            }))
        }
        @if let Some(node) = figures::parallel(view, &record.plan.space) {
            (figure("Parallel coordinates", &node, &html! {
                "A line a trial, over its hyperparameters to its value; the stronger, the better. The strongest is the best."
            }))
        }
        @if let Some(node) = figures::importance(trials) {
            (figure("How much each hyperparameter matters", &node, &html! {
                "The share of the variance of the trials' values that goes with each hyperparameter alone (ε², corrected for chance). "
                "It sees no interplay, and only where the search went."
            }))
        } @else {
            p { "Importances of hyperparameters take " (figures::LEAST_TRIALS) " trials that differ." }
        }
        @if let Some(node) = figures::trial_curves(&record.trials, &record.plan) {
            (figure("Learning curves of the trials", &node, &html! { "What each trial was worth along its training." }))
        }
        (leaders(record))
    }
}

/// The best trials in numbers.
fn leaders(record: &Record) -> Markup {
    /// So many of them.
    const MOST: usize = 10;
    let mut best: Vec<_> = record.trials.iter().filter(|t| t.value.is_some()).collect();
    best.sort_by(|a, b| {
        b.value
            .partial_cmp(&a.value)
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    best.truncate(MOST);
    let mut parameters: Vec<&String> = Vec::new();
    for name in best.iter().flat_map(|t| t.parameters.keys()) {
        if !parameters.contains(&name) {
            parameters.push(name);
        }
    }
    html! {
        @if !best.is_empty() {
            details {
                summary { "The best trials in numbers" }
                div.scroll tabindex="0" role="region" aria-label="Table of the best trials" {
                    table.small {
                        caption { b { "The best trials" } ", the best first." }
                        thead { tr {
                            th scope="col" { "trial" }
                            @for name in &parameters { th scope="col" { (names::parameter(name)) } }
                            th scope="col" { "value" }
                            th scope="col" { "time" }
                        } }
                        tbody { @for trial in &best { tr {
                            th scope="row" { (trial.number + 1) }
                            @for name in &parameters {
                                td { (trial.parameters.get(*name).map_or(format::NONE.into(), |v| clean(&format::json(v)))) }
                            }
                            td { (trial.value.map_or(format::NONE.into(), |v| format::fixed(v, 4))) }
                            td { (format::duration(trial.seconds)) }
                        } } }
                    }
                }
            }
        }
    }
}

/// A section of the report without its own element: the page has that already.
fn inner(section: Markup) -> Markup {
    let text = section.into_string();
    let from = text.find('>').map_or(0, |at| at + 1);
    let to = text.rfind("</section>").unwrap_or(text.len());
    maud::PreEscaped(text[from..to].to_string())
}
