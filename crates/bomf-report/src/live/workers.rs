//! The workers that train trials: what each has in hand, and what it did before.

use super::{Moment, Standing};
use crate::figures;
use crate::format;
use crate::page::{clean, figure};
use bomf_study::{Attempt, Ending};
use maud::{Markup, html};

/// The part of the page; empty where no worker ever had a trial.
pub(super) fn workers(moment: &Moment<'_>) -> Markup {
    let attempts = &moment.record.attempts;
    let Some(node) = figures::timeline(attempts, moment.now) else {
        return html! {};
    };
    let mean = mean_seconds(attempts);
    let lost = attempts.iter().filter(|a| a.ending == Some(Ending::Lost));
    let lost = lost.count();
    html! {
        h2 { "The workers" }
        (figure("Workers over time", &node, &html! {
            "A bar is a trial in a worker's hands: pale as long as it lasts, grey where it was given back, and with a cross where the worker was lost. "
            @match lost {
                0 => { "None was lost." }
                1 => { "One trial was lost with its worker, and went to another." }
                lost => { (format::count(lost)) " trials were lost with their workers, and went to others." }
            }
        }))
        div.scroll tabindex="0" role="region" aria-label="Table of the workers" {
            table.small {
                caption { b { "What each worker did" } ", the last ones." }
                thead { tr {
                    th scope="col" { "worker" }
                    th scope="col" { "now" }
                    th scope="col" { "finished" }
                    th scope="col" { "given back" }
                    th scope="col" { "lost" }
                } }
                tbody { @for (name, own) in figures::by_worker(attempts) { tr {
                    th scope="row" { (clean(name)) }
                    td { (in_hand(&own, moment, mean)) }
                    td { (count(&own, Ending::Finished)) }
                    td { (count(&own, Ending::GivenBack)) }
                    td { (count(&own, Ending::Lost)) }
                } } }
            }
        }
    }
}

fn count(own: &[&Attempt], ending: Ending) -> String {
    let same = own.iter().filter(|a| a.ending == Some(ending));
    format::count(same.count())
}

/// How long a trial took that was finished.
fn mean_seconds(attempts: &[Attempt]) -> Option<f64> {
    let finished = attempts
        .iter()
        .filter(|a| a.ending == Some(Ending::Finished));
    let seconds: Vec<f64> = finished.filter_map(|a| Some(a.ended? - a.began)).collect();
    let mean = seconds.iter().sum::<f64>() / seconds.len() as f64;
    mean.is_finite().then_some(mean)
}

/// The trial that a worker has, for how long, and how long it may still take.
fn in_hand(own: &[&Attempt], moment: &Moment<'_>, mean: Option<f64>) -> String {
    let open = own.last().filter(|a| a.ended.is_none());
    let Some(attempt) = open.filter(|_| moment.standing == Standing::Running) else {
        return format::NONE.into();
    };
    let elapsed = (moment.now - attempt.began).max(0.0);
    let words = format!(
        "trial {} for {}",
        attempt.number + 1,
        format::duration(elapsed)
    );
    match mean.map(|mean| mean - elapsed).filter(|left| *left > 0.0) {
        Some(left) => format!("{words}, about {} left", format::duration(left)),
        None => words,
    }
}
