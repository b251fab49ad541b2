//! [`Storage`] on a server.

use super::{Link, Postgres};
use crate::storage::columns::{bytes_of, integer, names, numbers_of};
use crate::{
    EvaluatedSplit, EvaluationRecord, FinetuneRecord, RungValue, Storage, StudyError, TrialRecord,
};
use indexmap::IndexMap;
use postgres::Error;
use postgres::error::SqlState;
use serde::Serialize;
use serde::de::DeserializeOwned;

impl Postgres {
    /// Stores by one statement; `what` is in the way where a key is taken, unless the record
    /// under it is the one that an earlier attempt has stored.
    fn store(
        &self,
        what: impl FnOnce() -> String,
        mut insert: impl FnMut(&mut Link) -> Result<u64, Error>,
        is_stored: impl FnOnce() -> Result<bool, StudyError>,
    ) -> Result<(), StudyError> {
        let mut is_again = false;
        let stored = self.with(|link| {
            is_again = link.is_again;
            match insert(link) {
                Ok(_) => Ok(true),
                Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => Ok(false),
                Err(error) => Err(error),
            }
        })?;
        match stored || (is_again && is_stored()?) {
            true => Ok(()),
            false => Err(StudyError::Final { what: what() }),
        }
    }

    /// What a column holds as JSON.
    fn read<T: DeserializeOwned>(&self, text: &str) -> Result<T, StudyError> {
        serde_json::from_str(text).map_err(|source| StudyError::Parse {
            path: self.url().into(),
            line: source.line(),
            source,
        })
    }

    fn word<T: DeserializeOwned>(&self, text: &str) -> Result<T, StudyError> {
        self.read(&serde_json::Value::from(text).to_string())
    }

    fn evaluation_of(
        &self,
        split: EvaluatedSplit,
        row: &postgres::Row,
        outputs: Option<usize>,
    ) -> Result<EvaluationRecord, StudyError> {
        let text = |column: usize| row.get::<_, &str>(column);
        Ok(EvaluationRecord {
            split,
            weights: self.numbers(row.get(0), f64::from_le_bytes)?,
            method: text(1).into(),
            state: self.word(text(2))?,
            scores: self.read(text(3))?,
            std_errors: self.read(text(4))?,
            seconds: row.get(5),
            outputs: match outputs {
                Some(column) => self.numbers(row.get(column), f32::from_le_bytes)?,
                None => Vec::new(),
            },
        })
    }

    fn numbers<const N: usize, T>(
        &self,
        bytes: &[u8],
        value: impl Fn([u8; N]) -> T,
    ) -> Result<Vec<T>, StudyError> {
        numbers_of(bytes, value).ok_or_else(|| StudyError::NotAStudy {
            path: self.url().into(),
        })
    }
}

/// As JSON; what the records hold has no key that is no text.
fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// A word, as its JSON would have it without the quotes.
fn word<T: Serialize>(value: T) -> String {
    json(&value).trim_matches('"').into()
}

/// A number that was stored by [`integer`].
fn number<T: TryFrom<i64> + Default>(value: i64) -> T {
    T::try_from(value).unwrap_or_default()
}

/// Who enters a value holds the study until it is there, so that the numbers of rows are in the
/// order in which they can be seen.
const ENTER_RUNG: &str = "WITH held AS MATERIALIZED \
    (SELECT id FROM bomf.study WHERE id = $1 FOR NO KEY UPDATE) \
    INSERT INTO bomf.rung (study, rung, trial, value) \
    SELECT held.id, $2, $3, $4 FROM held ON CONFLICT DO NOTHING";

const SEEN_AT_RUNG: &str = "SELECT value FROM bomf.rung WHERE study = $1 AND rung = $2 \
    AND id <= (SELECT id FROM bomf.rung WHERE study = $1 AND rung = $2 AND trial = $3) \
    ORDER BY id";

impl Storage for Postgres {
    fn facts(&self) -> Result<IndexMap<String, String>, StudyError> {
        let sql = "SELECT name, value FROM bomf.fact WHERE study = $1 ORDER BY id";
        let rows = self.with(|link| link.query(sql, &[&self.id()]))?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    fn add_facts(&self, facts: &IndexMap<String, String>) -> Result<(), StudyError> {
        let names: Vec<&str> = facts.keys().map(String::as_str).collect();
        let values: Vec<&str> = facts.values().map(String::as_str).collect();
        let sql = "INSERT INTO bomf.fact (study, name, value) \
                   SELECT $1, f.name, f.value \
                   FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS f (name, value, place) \
                   ORDER BY f.place";
        self.store(
            || format!("the fact {}", names.join(", ")),
            |link| link.execute(sql, &[&self.id(), &names, &values]),
            || {
                let stored = self.facts()?;
                Ok(facts
                    .iter()
                    .all(|(name, value)| stored.get(name) == Some(value)))
            },
        )
    }

    fn trials(&self) -> Result<Vec<TrialRecord>, StudyError> {
        let sql = "SELECT number, parameters, state, scores, value, step, curve, seconds \
                   FROM bomf.trial WHERE study = $1 ORDER BY number";
        let rows = self.with(|link| link.query(sql, &[&self.id()]))?;
        let trial = |row: &postgres::Row| {
            Ok(TrialRecord {
                number: number(row.get(0)),
                parameters: self.read(row.get(1))?,
                state: self.word(row.get(2))?,
                scores: self.read(row.get(3))?,
                value: row.get(4),
                step: number(row.get(5)),
                curve: self.read(row.get(6))?,
                seconds: row.get(7),
            })
        };
        rows.iter().map(trial).collect()
    }

    fn add_trials(&self, trials: &[TrialRecord]) -> Result<(), StudyError> {
        let sql = "INSERT INTO bomf.trial \
                   (study, number, parameters, state, scores, value, step, curve, seconds) \
                   SELECT $1, t.* FROM unnest($2::int8[], $3::text[], $4::text[], $5::text[], \
                   $6::float8[], $7::int8[], $8::text[], $9::float8[]) AS t";
        let of = |column: fn(&TrialRecord) -> String| -> Vec<String> {
            trials.iter().map(column).collect()
        };
        let numbers: Vec<i64> = trials.iter().map(|t| integer(t.number)).collect();
        let values: Vec<Option<f64>> = trials.iter().map(|t| t.value).collect();
        let steps: Vec<i64> = trials.iter().map(|t| integer(t.step)).collect();
        let seconds: Vec<f64> = trials.iter().map(|t| t.seconds).collect();
        let (parameters, states) = (of(|t| json(&t.parameters)), of(|t| word(t.state)));
        let (scores, curves) = (of(|t| json(&t.scores)), of(|t| json(&t.curve)));
        self.store(
            || names(trials),
            |link| {
                link.execute(
                    sql,
                    &[
                        &self.id(),
                        &numbers,
                        &parameters,
                        &states,
                        &scores,
                        &values,
                        &steps,
                        &curves,
                        &seconds,
                    ],
                )
            },
            || {
                let stored = self.trials()?;
                Ok(trials.iter().all(|trial| stored.contains(trial)))
            },
        )
    }

    fn reach(&self, rung: usize, trial: usize, value: f64) -> Result<Vec<f64>, StudyError> {
        let (rung, trial) = (integer(rung), integer(trial));
        let rows = self.with(|link| {
            link.execute(ENTER_RUNG, &[&self.id(), &rung, &trial, &value])?;
            link.query(SEEN_AT_RUNG, &[&self.id(), &rung, &trial])
        })?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    fn rungs(&self) -> Result<Vec<RungValue>, StudyError> {
        let sql = "SELECT rung, trial, value FROM bomf.rung WHERE study = $1 ORDER BY rung, id";
        let rows = self.with(|link| link.query(sql, &[&self.id()]))?;
        let value = |row: &postgres::Row| RungValue {
            rung: number(row.get(0)),
            trial: number(row.get(1)),
            value: row.get(2),
        };
        Ok(rows.iter().map(value).collect())
    }

    fn finetune(&self, number: usize) -> Result<Option<FinetuneRecord>, StudyError> {
        let sql = "SELECT run, seconds FROM bomf.finetune WHERE study = $1 AND number = $2";
        let row = self.with(|link| link.row(sql, &[&self.id(), &integer(number)]))?;
        let run = |row: postgres::Row| {
            Ok(FinetuneRecord {
                number,
                run: self.read(row.get(0))?,
                seconds: row.get(1),
            })
        };
        row.map(run).transpose()
    }

    fn add_finetune(&self, run: &FinetuneRecord) -> Result<(), StudyError> {
        let sql = "INSERT INTO bomf.finetune (study, number, run, seconds) \
                   VALUES ($1, $2, $3, $4)";
        let (number, text) = (integer(run.number), json(&run.run));
        self.store(
            || format!("fine-tuning run {}", run.number),
            |link| link.execute(sql, &[&self.id(), &number, &text, &run.seconds]),
            || Ok(self.finetune(run.number)?.as_ref() == Some(run)),
        )
    }

    fn evaluation(
        &self,
        split: EvaluatedSplit,
        weights: &[f64],
    ) -> Result<Option<EvaluationRecord>, StudyError> {
        let sql = "SELECT weights, method, state, scores, std_errors, seconds, outputs \
                   FROM bomf.evaluation \
                   WHERE study = $1 AND split = $2 AND sha256(weights) = sha256($3)";
        let key = bytes_of(weights, f64::to_le_bytes);
        let row = self.with(|link| link.row(sql, &[&self.id(), &split.as_str(), &key]))?;
        row.map(|row| self.evaluation_of(split, &row, Some(6)))
            .transpose()
    }

    fn evaluations(&self, split: EvaluatedSplit) -> Result<Vec<EvaluationRecord>, StudyError> {
        let sql = "SELECT weights, method, state, scores, std_errors, seconds \
                   FROM bomf.evaluation WHERE study = $1 AND split = $2 ORDER BY id";
        let rows = self.with(|link| link.query(sql, &[&self.id(), &split.as_str()]))?;
        rows.iter()
            .map(|row| self.evaluation_of(split, row, None))
            .collect()
    }

    fn add_evaluation(&self, evaluation: &EvaluationRecord) -> Result<(), StudyError> {
        let sql = "INSERT INTO bomf.evaluation (study, split, weights, method, state, scores, \
                   std_errors, outputs, seconds) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let weights = bytes_of(&evaluation.weights, f64::to_le_bytes);
        let outputs = bytes_of(&evaluation.outputs, f32::to_le_bytes);
        let (state, scores) = (word(evaluation.state), json(&evaluation.scores));
        let std_errors = json(&evaluation.std_errors);
        self.store(
            || format!("the evaluation of {:?}", evaluation.weights),
            |link| {
                link.execute(
                    sql,
                    &[
                        &self.id(),
                        &evaluation.split.as_str(),
                        &weights,
                        &evaluation.method,
                        &state,
                        &scores,
                        &std_errors,
                        &outputs,
                        &evaluation.seconds,
                    ],
                )
            },
            || {
                let stored = self.evaluation(evaluation.split, &evaluation.weights)?;
                Ok(stored.is_some_and(|stored| {
                    stored.method == evaluation.method && stored.seconds == evaluation.seconds
                }))
            },
        )
    }
}
