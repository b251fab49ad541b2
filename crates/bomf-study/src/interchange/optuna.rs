//! A journal file of Optuna (`JournalStorage` over `JournalFileBackend`): one operation a line,
//! as JSON. Two kinds are enough here: studies with their attributes, and trials that are
//! finished where they are created.
//!
//! Reference: `optuna/storages/journal/_storage.py` of Optuna 4.5, whose numbers of operations,
//! directions and states these are.

use crate::{Direction, Evaluation, Plan, Range, Record, Scores, State, TrialRecord};
use indexmap::IndexMap;
use serde_json::{Map, Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Name of the study of stage 1: one objective.
pub const STAGE1: &str = "stage1";
/// Name of the study of stage 2: the objectives of the run, by the members' weights.
pub const STAGE2: &str = "stage2";

const CREATE_STUDY: u8 = 0;
const SET_STUDY_USER_ATTR: u8 = 2;
const SET_STUDY_SYSTEM_ATTR: u8 = 3;
const CREATE_TRIAL: u8 = 4;

const COMPLETE: u8 = 1;
const PRUNED: u8 = 2;
const FAIL: u8 = 3;

const MINIMIZE: u8 = 1;
const MAXIMIZE: u8 = 2;

/// Who wrote the operations; Optuna tells its own from those of others by it.
const WORKER: &str = "bomf";

/// A record as a journal file with two studies, [`STAGE1`] (if there were trials) and
/// [`STAGE2`] (if mixtures were evaluated).
///
/// Trials keep their number, parameters with their distributions, values, intermediate values
/// and, as user attributes, every score and the seconds they took. A record knows how long a
/// trial took and not when: trials are laid end to end from `begin` on.
pub fn optuna_journal(record: &Record, begin: SystemTime) -> String {
    let mut journal = Journal {
        text: String::new(),
        studies: 0,
        clock: begin,
    };
    if !record.trials.is_empty() {
        stage1(&mut journal, record);
    }
    if !record.evaluations.is_empty() {
        stage2(&mut journal, record);
    }
    journal.text
}

struct Journal {
    text: String,
    studies: usize,
    clock: SystemTime,
}

impl Journal {
    fn write(&mut self, operation: u8, mut fields: Value) {
        fields["op_code"] = operation.into();
        fields["worker_id"] = WORKER.into();
        self.text.push_str(&fields.to_string());
        self.text.push('\n');
    }

    /// Begins a study, and gives its number.
    fn study(&mut self, name: &str, directions: &[u8], attributes: Map<String, Value>) -> usize {
        let study = self.studies;
        self.studies += 1;
        let fields = json!({"study_name": name, "directions": directions});
        self.write(CREATE_STUDY, fields);
        for (name, value) in attributes {
            let fields = json!({"study_id": study, "user_attr": {name: value}});
            self.write(SET_STUDY_USER_ATTR, fields);
        }
        study
    }

    fn trial(&mut self, study: usize, trial: Trial) {
        let start = self.clock;
        let took = Duration::try_from_secs_f64(trial.seconds).unwrap_or_default();
        self.clock = start.checked_add(took).unwrap_or(start);
        let (value, values) = match trial.values {
            Some(values) if values.len() == 1 => (Some(values[0]), None),
            values => (None, values),
        };
        let distributions: Map<String, Value> = trial
            .parameters
            .iter()
            // Optuna keeps each as text of its own.
            .map(|(name, (_, range))| (name.clone(), distribution(range).to_string().into()))
            .collect();
        let parameters: Map<String, Value> = trial
            .parameters
            .into_iter()
            .map(|(name, (value, _))| (name, value))
            .collect();
        let fields = json!({
            "study_id": study,
            "datetime_start": iso(start),
            "state": match trial.is_pruned {
                true => PRUNED,
                false if value.is_some() || values.is_some() => COMPLETE,
                false => FAIL,
            },
            "value": value,
            "values": values,
            "datetime_complete": iso(self.clock),
            "distributions": distributions,
            "params": parameters,
            "user_attrs": trial.attributes,
            "system_attrs": {},
            "intermediate_values": trial.intermediate,
        });
        self.write(CREATE_TRIAL, fields);
    }
}

/// A finished trial, in Optuna's terms.
struct Trial {
    /// `None` where it failed.
    values: Option<Vec<f64>>,
    /// Whether it was stopped early, in which case `values` are as far as it came.
    is_pruned: bool,
    /// Internal values (of a categorical one its index) and where they were searched.
    parameters: IndexMap<String, (Value, Range)>,
    intermediate: Map<String, Value>,
    attributes: Map<String, Value>,
    seconds: f64,
}

fn stage1(journal: &mut Journal, record: &Record) {
    let plan = &record.plan;
    let mut attributes = describe(record);
    attributes.insert("value".into(), json!(plan.stage1_value));
    let study = journal.study(STAGE1, &[MAXIMIZE], attributes);
    let space = widened(plan, &record.trials);
    for trial in &record.trials {
        let internal = |(name, value): (&String, &Value)| {
            let range = space.get(name)?;
            let internal = match range {
                Range::Categorical { choices } => choices.iter().position(|c| c == value)?.into(),
                _ => value.clone(),
            };
            Some((name.clone(), (internal, range.clone())))
        };
        let values = trial.value.filter(|value| value.is_finite());
        let intermediate = trial.curve.iter().filter_map(|point| {
            let value = plan.value(&point.select)?;
            Some((point.step.to_string(), value.into()))
        });
        let mut attributes = scores(&trial.scores);
        attributes.insert("seconds".into(), trial.seconds.into());
        attributes.insert("best_step".into(), trial.step.into());
        let trial = Trial {
            values: values
                .filter(|_| trial.state != State::Failed)
                .map(|value| vec![value]),
            is_pruned: trial.state == State::Pruned,
            parameters: trial.parameters.iter().filter_map(internal).collect(),
            intermediate: intermediate.collect(),
            attributes,
            seconds: trial.seconds,
        };
        journal.trial(study, trial);
    }
}

fn stage2(journal: &mut Journal, record: &Record) {
    let plan = &record.plan;
    let direction = |o: &crate::Objective| match o.direction {
        Direction::Minimize => MINIMIZE,
        Direction::Maximize => MAXIMIZE,
    };
    let directions: Vec<u8> = plan.objectives.iter().map(direction).collect();
    let mut attributes = describe(record);
    attributes.insert("members".into(), json!(record.members()));
    let study = journal.study(STAGE2, &directions, attributes);
    let names: Vec<&str> = plan.objectives.iter().map(|o| o.name.as_str()).collect();
    let fields = json!({"study_id": study, "system_attr": {"study:metric_names": names}});
    journal.write(SET_STUDY_SYSTEM_ATTR, fields);
    let range = weight_range(&record.evaluations);
    for evaluation in &record.evaluations {
        let score = |o: &crate::Objective| {
            let score = evaluation.scores.get(&o.name).copied();
            score.filter(|score| score.is_finite())
        };
        let values: Option<Vec<f64>> = plan.objectives.iter().map(score).collect();
        let weights = evaluation.weights.iter().enumerate();
        let mut attributes = Map::from_iter([
            ("method".to_string(), json!(evaluation.method)),
            ("evaluation".to_string(), json!(evaluation.number)),
            ("seconds".to_string(), json!(evaluation.seconds)),
        ]);
        for (name, error) in &evaluation.std_errors {
            attributes.insert(format!("std_error_{name}"), json!(error));
        }
        if let Some(blocks) = &evaluation.block_weights {
            attributes.insert("block_weights".into(), json!(blocks));
        }
        let trial = Trial {
            values: values
                .filter(|values| evaluation.state == State::Complete && !values.is_empty()),
            is_pruned: false,
            parameters: weights
                .map(|(i, weight)| (format!("w_{i}"), (json!(weight), range.clone())))
                .collect(),
            intermediate: Map::new(),
            attributes,
            seconds: evaluation.seconds,
        };
        journal.trial(study, trial);
    }
}

/// What both studies say of the run.
fn describe(record: &Record) -> Map<String, Value> {
    let mut all = Map::from_iter([("task".to_string(), json!(record.plan.task))]);
    for name in ["version", "seed", "model", "data"] {
        if let Some(fact) = record.facts.get(name) {
            all.insert(name.into(), json!(fact));
        }
    }
    all
}

fn scores(scores: &Scores) -> Map<String, Value> {
    let pair = |(name, score): (&String, &f64)| (name.clone(), json!(score));
    scores.iter().map(pair).collect()
}

/// Where each hyperparameter was searched: as planned, and so far beyond that as trials went.
/// Where nothing was planned, where the trials are.
fn widened(plan: &Plan, trials: &[TrialRecord]) -> IndexMap<String, Range> {
    let mut space: IndexMap<String, Range> = plan.space.clone();
    for (name, value) in trials.iter().flat_map(|trial| &trial.parameters) {
        let range = space.entry(name.clone()).or_insert_with(|| match value {
            Value::Number(number) => match number.as_i64() {
                Some(n) => Range::Int { low: n, high: n },
                None => Range::Float {
                    low: number.as_f64().unwrap_or(0.0),
                    high: number.as_f64().unwrap_or(0.0),
                    log: false,
                },
            },
            _ => Range::Categorical {
                choices: Vec::new(),
            },
        });
        match (range, value.as_f64(), value.as_i64()) {
            (Range::Float { low, high, .. }, Some(v), _) => {
                (*low, *high) = (low.min(v), high.max(v))
            }
            (Range::Int { low, high }, _, Some(v)) => {
                (*low, *high) = ((*low).min(v), (*high).max(v))
            }
            // A whole number and then another one.
            (range @ Range::Int { .. }, Some(v), None) => {
                if let Range::Int { low, high } = *range {
                    let (low, high) = ((low as f64).min(v), (high as f64).max(v));
                    *range = Range::Float {
                        low,
                        high,
                        log: false,
                    };
                }
            }
            (Range::Categorical { choices }, ..) if !choices.contains(value) => {
                choices.push(value.clone());
            }
            _ => {}
        }
    }
    space
}

/// Weights lie in [0, 1], but for those of the methods that go beyond.
fn weight_range(evaluations: &[Evaluation]) -> Range {
    let weights = || evaluations.iter().flat_map(|e| &e.weights).copied();
    Range::Float {
        low: weights().fold(0.0, f64::min),
        high: weights().fold(1.0, f64::max),
        log: false,
    }
}

fn distribution(range: &Range) -> Value {
    match range {
        Range::Float { low, high, log } => json!({
            "name": "FloatDistribution",
            "attributes": {"step": null, "low": low, "high": high, "log": log},
        }),
        Range::Int { low, high } => json!({
            "name": "IntDistribution",
            "attributes": {"log": false, "step": 1, "low": low, "high": high},
        }),
        Range::Categorical { choices } => json!({
            "name": "CategoricalDistribution",
            "attributes": {"choices": choices},
        }),
    }
}

/// A time as ISO 8601 in UTC, to the microsecond.
fn iso(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, micros) = (since.as_secs(), since.subsec_micros());
    let (days, second) = ((seconds / 86_400) as i64, seconds % 86_400);
    let (year, month, day) = civil(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{micros:06}+00:00",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// The day of the Gregorian calendar so many days after 1970-01-01 (Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms", 2013): years begin in March, so that the
/// leap day is the last of one.
fn civil(days: i64) -> (i64, i64, i64) {
    /// Days of 400 years, and from 0000-03-01 to 1970-01-01.
    const ERA: i64 = 146_097;
    const EPOCH: i64 = 719_468;
    let days = days + EPOCH;
    let (era, day) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.000000+00:00"),
            (951_782_399, "2000-02-28T23:59:59.000000+00:00"),
            (951_782_400, "2000-02-29T00:00:00.000000+00:00"),
            (1_709_251_199, "2024-02-29T23:59:59.000000+00:00"),
            (4_107_542_399, "2100-02-28T23:59:59.000000+00:00"),
            (4_107_542_400, "2100-03-01T00:00:00.000000+00:00"),
        ] {
            assert_eq!(iso(UNIX_EPOCH + Duration::from_secs(seconds)), expected);
        }
        // Before the epoch there were no runs.
        assert_eq!(iso(UNIX_EPOCH - Duration::from_secs(1)), iso(UNIX_EPOCH));
    }
}
