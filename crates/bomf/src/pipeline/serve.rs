//! `bomf fuse --serve`: the evaluation of mixtures, offered to any optimiser as JSON lines,
//! so that all of them can be compared on the very same fusion.
//!
//! First the members are scored, and one line describes the problem:
//!
//! ```json
//! {"protocol": 1, "problem": "mrpc", "space": "simplex", "n": 2,
//!  "members": ["run/checkpoint-100", "run/checkpoint-200"],
//!  "objectives": [{"name": "loss", "direction": "minimize"},
//!                 {"name": "accuracy", "direction": "maximize"}],
//!  "chosen": "accuracy", "ref_point": {"loss": 0.71, "accuracy": 0.68},
//!  "member_scores": [{"loss": 0.52, "accuracy": 0.81}, null], "seed": 0}
//! ```
//!
//! Then each line that comes in has its answer, in order:
//!
//! | line | answer |
//! |---|---|
//! | `{"evaluate": [0.25, 0.75]}` | `{"scores": {"loss": 0.5, "accuracy": 0.8}, "seconds": 0.3, "evaluation": 1}` |
//! | the same, of a mixture that gives no finite scores | `{"scores": null, …}` |
//! | anything that is wrong | `{"error": "…", "hint": "…"}`, and the conversation goes on |
//! | `{"stop": true}`, or no more lines | none |
//!
//! Scores are those of the select split, each objective in its own direction; standard
//! errors stand beside them (`std_errors`) where the evaluator knows them. A mixture that
//! was asked for before is answered from memory. Everything is written to `trials.jsonl`
//! as evaluations of `served`.

use super::evaluator::{Evaluator, Log};
use super::external::{self, program};
use super::fuse;
use super::goals::Goals;
use super::in_pool;
use super::ledger::Ledger;
use super::mixtures::Mixtures;
use super::stage2::{reference, vertices};
use crate::recipe::Recipe;
use crate::{Error, FuseRequest, Observer, Phase};
use bomf_study::{MethodName, Objective, Scores};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// The version of the protocol.
const PROTOCOL: u32 = 1;

/// A weight may lie so far below 0, and their sum so far from 1: what rounding in `f32`
/// makes of weights. What is evaluated has no negative weight, and the sum 1.
const SLACK: f64 = 1e-6;

/// Lines from and to an optimiser.
pub trait Conversation: Send {
    /// The next line, with or without its end; `None` where there are no more, or
    /// `interrupted` has said yes.
    ///
    /// # Errors
    /// Where reading fails.
    fn next(&mut self, interrupted: &dyn Fn() -> bool) -> std::io::Result<Option<Vec<u8>>>;

    /// Sends a line, without its end.
    ///
    /// # Errors
    /// Where the other side is gone.
    fn send(&mut self, line: &str) -> std::io::Result<()>;
}

/// Scores the members, describes the problem, and evaluates what the other side asks for
/// until it has enough. The request is that of a fusion; its output folder gets
/// `recipe.yaml` and `trials.jsonl`.
///
/// # Errors
/// As [`super::fuse()`], and where a line cannot be read or sent.
pub fn serve(
    request: &FuseRequest,
    lines: &mut dyn Conversation,
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    in_pool(request.threads, || match &request.recipe.evaluator {
        Some(evaluator) => {
            let prepared = external::prepare_for_once(request, evaluator)?;
            let (goals, checkpoints, out) = (&prepared.goals, &prepared.checkpoints, &prepared.out);
            let command = &evaluator.command;
            let mut source = program::Program::new(command, evaluator, checkpoints, goals, out);
            let mut journal = prepared.journal;
            let on_disk = external::on_disk();
            let evaluator = Evaluator::new(
                &request.recipe,
                &mut source,
                goals,
                &mut journal,
                observer,
                &request.out,
                &on_disk,
            );
            let members = prepared.records.iter().map(|r| r.path.clone()).collect();
            let name = external::task_name(&request.recipe, &request.out);
            talk(evaluator, name, members, &request.recipe, lines)
        }
        None => {
            let opened = fuse::open_for_once(request, observer)?;
            let mut journal = Ledger::of_journal(&request.out)?;
            let mut source = Mixtures::new(
                &opened.network,
                &opened.members,
                &opened.task.scorer,
                &opened.task.select,
            );
            let evaluator = Evaluator::new(
                &request.recipe,
                &mut source,
                &opened.task.scorer.goals,
                &mut journal,
                observer,
                &request.out,
                &[],
            );
            let members = opened.members.labels().to_vec();
            let name = opened.task.name.clone();
            talk(evaluator, name, members, &request.recipe, lines)
        }
    })
}

#[derive(Serialize)]
struct Problem<'a> {
    protocol: u32,
    problem: String,
    space: &'static str,
    n: usize,
    members: Vec<String>,
    objectives: &'a [Objective],
    chosen: &'a str,
    ref_point: Scores,
    member_scores: Vec<Option<Scores>>,
    seed: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    #[serde(default)]
    evaluate: Option<Vec<f64>>,
    #[serde(default)]
    stop: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Scores {
        scores: Option<Scores>,
        #[serde(skip_serializing_if = "Scores::is_empty")]
        std_errors: Scores,
        seconds: f64,
        evaluation: usize,
    },
    Error {
        error: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<&'static str>,
    },
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
enum LineError {
    #[error("the line cannot be understood: {0}")]
    NotOurs(String),
    #[error("{found} weights, but there are {expected} members")]
    Count { found: usize, expected: usize },
    #[error("weight {place} is {value}, but none may be below 0")]
    Negative { place: usize, value: f64 },
    #[error("the weights sum to {sum}, but must sum to 1")]
    Sum { sum: f64 },
}

impl LineError {
    fn hint(&self) -> Option<&'static str> {
        Some(match self {
            LineError::NotOurs(_) => "send {\"evaluate\": [..]} or {\"stop\": true}",
            LineError::Count { .. } => "one weight a member, in their order",
            LineError::Negative { .. } | LineError::Sum { .. } => {
                "a point of a box is divided by its sum first"
            }
        })
    }
}

/// The weights of a line, cleaned of what rounding has left; `None` to stop.
fn weights(line: &[u8], n: usize) -> Result<Option<Vec<f64>>, LineError> {
    let request: Request =
        serde_json::from_slice(line).map_err(|error| LineError::NotOurs(error.to_string()))?;
    let mut weights = match (request.evaluate, request.stop) {
        (Some(weights), false) => weights,
        (None, true) => return Ok(None),
        _ => return Err(LineError::NotOurs("either `evaluate` or `stop`".into())),
    };
    if weights.len() != n {
        return Err(LineError::Count {
            found: weights.len(),
            expected: n,
        });
    }
    if let Some(place) = weights.iter().position(|w| *w < -SLACK) {
        return Err(LineError::Negative {
            place,
            value: weights[place],
        });
    }
    let sum: f64 = weights.iter().sum();
    if (sum - 1.0).abs() > SLACK || !sum.is_finite() {
        return Err(LineError::Sum { sum });
    }
    weights.iter_mut().for_each(|w| *w = w.max(0.0));
    let sum: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|w| *w /= sum);
    Ok(Some(weights))
}

fn talk(
    mut evaluator: Evaluator<'_>,
    problem: String,
    labels: Vec<String>,
    recipe: &Recipe,
    lines: &mut dyn Conversation,
) -> Result<(), Error> {
    let goals = evaluator.goals;
    let n = evaluator.source.len();
    evaluator.observer.begin(Phase::Fuse, n as u64);
    let members = evaluator.members()?;
    evaluator.observer.end(Phase::Fuse);
    let vertices = vertices(&members);
    if vertices.is_empty() {
        return Err(Error::NoMember);
    }
    let described = Problem {
        protocol: PROTOCOL,
        problem,
        space: "simplex",
        n,
        members: labels,
        objectives: &goals.objectives,
        chosen: &goals.objectives[goals.chosen].name,
        ref_point: own(goals, &reference(goals, &vertices)),
        member_scores: members.into_iter().map(|m| m.scores).collect(),
        seed: recipe.seed,
    };
    send(lines, &described)?;
    let mut log = Log::new(MethodName::Bomf);
    log.label = "served";
    loop {
        let observer = &*evaluator.observer;
        let line = lines.next(&|| observer.interrupted());
        let Some(line) = line.map_err(|source| Error::Conversation { source })? else {
            return Ok(());
        };
        if line.trim_ascii().is_empty() {
            continue;
        }
        let answer = match weights(&line, n) {
            Ok(None) => return Ok(()),
            Ok(Some(weights)) => {
                let started = Instant::now();
                let scores = evaluator.scores(&weights, &mut log)?;
                let known = scores.as_ref().and(log.all.pop());
                Answer::Scores {
                    scores,
                    std_errors: known.map(|e| e.std_errors).unwrap_or_default(),
                    seconds: started.elapsed().as_secs_f64(),
                    evaluation: log.evaluations,
                }
            }
            Err(error) => Answer::Error {
                hint: error.hint(),
                error: error.to_string(),
            },
        };
        send(lines, &answer)?;
    }
}

/// A maximised point by the names of the objectives, in their own directions.
fn own(goals: &Goals, y: &[f64]) -> Scores {
    let turned = |(o, y): (&Objective, &f64)| (o.name.clone(), o.direction.maximised(*y));
    goals.objectives.iter().zip(y).map(turned).collect()
}

fn send(lines: &mut dyn Conversation, message: &impl Serialize) -> Result<(), Error> {
    let failed = |source| Error::Conversation { source };
    let line = serde_json::to_string(message).map_err(|error| failed(error.into()))?;
    lines.send(&line).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_rounding_leaves_is_cleaned_and_more_is_refused() {
        let read = |line: &str| weights(line.as_bytes(), 2);
        let cleaned = read(r#"{"evaluate": [1.0000005, -0.0000001]}"#);
        assert_eq!(cleaned.unwrap(), Some(vec![1.0, 0.0]));
        assert_eq!(read(r#"{"stop": true}"#).unwrap(), None);
        for (line, expected) in [
            (r#"{"evaluate": [1]}"#, "1 weights, but there are 2 members"),
            (r#"{"evaluate": [1.5, -0.5]}"#, "weight 1 is -0.5"),
            (r#"{"evaluate": [0.5, 0.6]}"#, "sum to 1.1"),
            (r#"{"evaluate": [0, 0]}"#, "sum to 0"),
            (r#"{"evaluate": [1e308, 1e308]}"#, "sum to inf"),
            (r#"{"evaluate": [NaN, 1]}"#, "cannot be understood"),
            (
                r#"{"evaluate": [1, 0], "stop": true}"#,
                "cannot be understood",
            ),
            (r#"{"ask": 1}"#, "unknown field `ask`"),
            ("nonsense", "cannot be understood"),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.to_string().contains(expected), "{line}: {error}");
            assert!(error.hint().is_some());
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_the_reader_panic(line in any::<Vec<u8>>(), n in 0usize..4) {
            let _ = weights(&line, n);
        }

        #[test]
        fn what_is_evaluated_lies_on_the_simplex(raw in proptest::collection::vec(0.0..1.0f64, 1..9)) {
            let sum: f64 = raw.iter().sum();
            prop_assume!(sum > 1e-3);
            let scaled: Vec<f64> = raw.iter().map(|w| w / sum).collect();
            let line = serde_json::json!({"evaluate": scaled}).to_string();
            let read = weights(line.as_bytes(), raw.len()).unwrap().unwrap();
            prop_assert!(read.iter().all(|w| *w >= 0.0));
            prop_assert!((read.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }
}
