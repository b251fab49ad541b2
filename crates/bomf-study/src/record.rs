//! Everything that an output folder says of its run, at any moment of the run: before it begins,
//! while it writes, after it was killed, at its end.

use crate::{
    Attempt, BlockWeights, DATABASE, EvaluatedSplit, Event, FinetuneRecord, Plan, Queue, Results,
    Scores, Sqlite, State, Storage, StudyError, TrialRecord, read_journal,
};
use indexmap::IndexMap;
use serde::Serialize;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::Path;

/// What an output folder says of its run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// What it set out to do; objectives and chosen metric are those of the results where there
    /// are some.
    pub plan: Plan,
    /// What the run is of, by name.
    pub facts: IndexMap<String, String>,
    /// Finished trials of stage 1, by number.
    pub trials: Vec<TrialRecord>,
    /// Which workers had them, in the order in which they took them; of a study in the folder.
    pub attempts: Vec<Attempt>,
    /// Complete fine-tuning runs, by number.
    pub finetunes: Vec<FinetuneRecord>,
    /// Every line of `trials.jsonl`.
    pub events: Vec<Event>,
    /// Mixtures of stage 2, in the order in which they were evaluated.
    pub evaluations: Vec<Evaluation>,
    /// How it ended, once it has.
    pub results: Option<Results>,
}

/// A mixture of stage 2 that was evaluated.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// The method that asked for it.
    pub method: String,
    /// Its number within the method, from 0.
    pub number: usize,
    /// Weights of the members; of a mixture by block the mean over the trained parameters.
    pub weights: Vec<f64>,
    /// Weights by block, where the blocks have weights of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_weights: Option<BlockWeights>,
    /// How it ended.
    pub state: State,
    /// Scores on the select split.
    pub scores: Scores,
    /// Standard errors of the scores, where they are known.
    pub std_errors: Scores,
    /// Wall-clock time.
    pub seconds: f64,
}

/// Fine-tuning runs are numbered without gaps from 1; a recipe has at most a hundred.
const MOST_RUNS: usize = 1000;

impl Record {
    /// Reads what is there of an output folder; a file that is not there yet says nothing.
    ///
    /// # Errors
    /// [`StudyError::Read`], [`StudyError::Parse`] and those of [`Sqlite::open_to_read`], but for
    /// what is missing.
    pub fn read(folder: &Path, plan: Plan) -> Result<Self, StudyError> {
        let mut record = Record {
            plan,
            ..Record::default()
        };
        let database = folder.join(DATABASE);
        let mut errors = HashMap::new();
        let study = match Sqlite::open_to_read(&database) {
            Err(StudyError::NoStudy { .. }) => None,
            study => Some(study?),
        };
        if let Some(study) = study {
            record.facts = study.facts()?;
            record.trials = study.trials()?;
            record.attempts = study.attempts()?;
            for number in 1..MOST_RUNS {
                match study.finetune(number)? {
                    Some(run) => record.finetunes.push(run),
                    None => break,
                }
            }
            for evaluation in study.evaluations(EvaluatedSplit::Select)? {
                if !evaluation.std_errors.is_empty() {
                    errors.insert(bits(&evaluation.weights), evaluation.std_errors);
                }
            }
        }
        record.events = match read_journal(&folder.join("trials.jsonl")) {
            Err(error) if is_missing(&error) => Vec::new(),
            events => events?,
        };
        record.results = results(&folder.join("results.json"))?;
        if let Some(results) = &record.results {
            record.plan.task.clone_from(&results.task);
            record.plan.objectives.clone_from(&results.objectives);
            record.plan.chosen_metric.clone_from(&results.chosen_metric);
        }
        if record.trials.is_empty() {
            record.trials = record.trials_of_events();
        }
        let evaluations = record.events.iter().filter_map(|event| match event {
            Event::Stage2 {
                method,
                evaluation,
                weights,
                block_weights,
                state,
                scores,
                seconds,
            } => Some(Evaluation {
                method: method.clone(),
                number: *evaluation,
                weights: weights.clone(),
                block_weights: block_weights.clone(),
                state: *state,
                scores: scores.clone(),
                std_errors: errors.get(&bits(weights)).cloned().unwrap_or_default(),
                seconds: *seconds,
            }),
            _ => None,
        });
        record.evaluations = evaluations.collect();
        Ok(record)
    }

    /// Whether there is nothing yet.
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty() && self.events.is_empty() && self.results.is_none()
    }

    /// The trials of a folder without a database, which have no curves.
    fn trials_of_events(&self) -> Vec<TrialRecord> {
        let valued = self.results.as_ref().map(|r| &r.stage1.trials);
        let trial = |event: &Event| match event {
            Event::Stage1 {
                trial,
                parameters,
                state,
                scores,
                step,
                seconds,
            } => {
                let value = valued.and_then(|trials| trials.get(*trial)?.value);
                Some(TrialRecord {
                    number: *trial,
                    parameters: parameters.clone(),
                    state: *state,
                    scores: scores.clone(),
                    value: value.or_else(|| self.plan.value(scores)),
                    step: *step,
                    curve: Vec::new(),
                    seconds: *seconds,
                })
            }
            _ => None,
        };
        self.events.iter().filter_map(trial).collect()
    }

    /// What the members are called, in the order of the weights: `step 400`, and with the number
    /// of the run where there are several. Empty before they are known.
    pub fn members(&self) -> Vec<String> {
        let records = match (&self.results, self.finetunes.as_slice()) {
            (Some(results), _) => &results.finetune.members,
            (None, [run]) => &run.run.members,
            _ => return Vec::new(),
        };
        let name = |member: &crate::MemberRecord| match member.run {
            Some(run) => format!("run {run} step {}", member.step),
            None => format!("step {}", member.step),
        };
        records.iter().map(name).collect()
    }
}

fn bits(weights: &[f64]) -> Vec<u64> {
    weights.iter().map(|weight| weight.to_bits()).collect()
}

fn is_missing(error: &StudyError) -> bool {
    matches!(error, StudyError::Read { source, .. } if source.kind() == ErrorKind::NotFound)
}

/// The results in a file, if it is there: it never stands half-written under its name.
fn results(path: &Path) -> Result<Option<Results>, StudyError> {
    let text = match std::fs::read(path) {
        Err(source) if source.kind() == ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|source| StudyError::Read {
            path: path.into(),
            source,
        })?,
    };
    let results = serde_json::from_slice(&text).map_err(|source| StudyError::Parse {
        path: path.into(),
        line: source.line(),
        source,
    })?;
    Ok(Some(results))
}
