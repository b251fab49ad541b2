//! Finished trials of a study of Optuna's, from a journal file or its SQLite storage.
//!
//! A journal is replayed as Optuna replays it: trials are numbered in the order in which they
//! are created, over all studies, and a trial that has finished takes no more changes. Reference:
//! `optuna/storages/journal/_storage.py` and `optuna/storages/_rdb/models.py` of Optuna 4.5.

use crate::{Direction, StudyError};
use indexmap::IndexMap;
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;

/// A study of Optuna's with one objective.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownStudy {
    /// Its name.
    pub name: String,
    /// Whether its objective is minimised or maximised.
    pub direction: Direction,
    /// Its trials that are complete and have a finite value, by number.
    pub trials: Vec<KnownTrial>,
}

/// A finished trial of someone else's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnownTrial {
    /// Its number in its study, from 0.
    pub number: usize,
    /// Hyperparameters by name.
    pub parameters: IndexMap<String, Value>,
    /// What it came to: in the study's direction, and once stage 1 knows it, more being better.
    pub value: f64,
}

/// The first bytes of every SQLite file.
const SQLITE: &[u8] = b"SQLite format 3\0";

/// Reads a study with one objective from a journal file or an SQLite storage of Optuna's,
/// whichever it is; `name` says which where there are several.
///
/// # Errors
/// [`StudyError::Read`], [`StudyError::Parse`] for a line that is no operation,
/// [`StudyError::Database`], [`StudyError::NotOptuna`] for a file of another kind, and
/// [`StudyError::WhichStudy`] where there is no such study, or several and no name.
pub fn read_optuna(path: &Path, name: Option<&str>) -> Result<KnownStudy, StudyError> {
    let bytes = std::fs::read(path).map_err(|source| StudyError::Read {
        path: path.into(),
        source,
    })?;
    let studies = match bytes.starts_with(SQLITE) {
        true => of_database(path)?,
        false => of_journal(path, &bytes)?,
    };
    let names = studies.iter().map(|study| study.name.clone()).collect();
    let mut fitting = studies.into_iter().filter(|study| match name {
        Some(name) => study.name == name,
        None => study.directions.len() == 1,
    });
    match (fitting.next(), fitting.next()) {
        (Some(study), None) if study.directions.len() == 1 => Ok(study.finished()),
        _ => Err(StudyError::WhichStudy {
            path: path.into(),
            wanted: name.map(Into::into),
            names,
        }),
    }
}

/// A study as it is stored.
struct Stored {
    name: String,
    /// `None` where it was never set, which Optuna takes for minimised.
    directions: Vec<Option<Direction>>,
    trials: Vec<StoredTrial>,
}

#[derive(Default)]
struct StoredTrial {
    number: usize,
    /// Whether it is complete; `None` while it is not finished.
    is_complete: Option<bool>,
    value: Option<f64>,
    parameters: IndexMap<String, Value>,
}

impl Stored {
    fn finished(self) -> KnownStudy {
        let direction = self.directions.first().copied().flatten();
        let known = |trial: StoredTrial| {
            let value = trial.value.filter(|value| value.is_finite())?;
            (trial.is_complete == Some(true)).then_some(KnownTrial {
                number: trial.number,
                parameters: trial.parameters,
                value,
            })
        };
        KnownStudy {
            name: self.name,
            direction: direction.unwrap_or(Direction::Minimize),
            trials: self.trials.into_iter().filter_map(known).collect(),
        }
    }
}

/// A value from Optuna's internal form: of a categorical hyperparameter the index of its choice.
fn external(internal: f64, distribution: &Value) -> Option<Value> {
    let attributes = distribution.get("attributes")?;
    match distribution.get("name")?.as_str()? {
        "CategoricalDistribution" => {
            let index = Some(internal).filter(|i| *i >= 0.0 && i.fract() == 0.0)?;
            attributes.get("choices")?.get(index as usize).cloned()
        }
        // The older names are still in older studies.
        "IntDistribution" | "IntUniformDistribution" | "IntLogUniformDistribution" => {
            // Whole numbers of this size are exact.
            let is_whole = internal.fract() == 0.0 && internal.abs() <= 2f64.powi(53);
            is_whole.then(|| Value::from(internal as i64))
        }
        _ => serde_json::Number::from_f64(internal).map(Value::Number),
    }
}

fn of_journal(path: &Path, bytes: &[u8]) -> Result<Vec<Stored>, StudyError> {
    let mut studies: Vec<Option<Stored>> = Vec::new();
    // Where each trial is, over all studies.
    let mut places: Vec<(usize, usize)> = Vec::new();
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    // Optuna may be writing the last one.
    let whole = lines.filter(|line| line.ends_with(b"\n"));
    for (index, line) in whole.enumerate() {
        let read = serde_json::from_slice(line);
        let operation: Value = match read.or_else(|_| serde_json::from_slice(&finite(line))) {
            Ok(operation) => operation,
            Err(_) if index == 0 => return Err(StudyError::NotOptuna { path: path.into() }),
            Err(source) => {
                return Err(StudyError::Parse {
                    path: path.into(),
                    line: index + 1,
                    source,
                });
            }
        };
        let Some(code) = operation.get("op_code").and_then(Value::as_u64) else {
            return Err(StudyError::NotOptuna { path: path.into() });
        };
        replay(code, &operation, &mut studies, &mut places);
    }
    Ok(studies.into_iter().flatten().collect())
}

/// Python writes `NaN` and `Infinity`, which JSON has no words for: here as `null`.
fn finite(line: &[u8]) -> Vec<u8> {
    const WORDS: [&[u8]; 3] = [b"-Infinity", b"Infinity", b"NaN"];
    let mut out = Vec::with_capacity(line.len());
    let (mut rest, mut in_text) = (line, false);
    while let Some((&byte, after)) = rest.split_first() {
        let word = WORDS.iter().find(|word| !in_text && rest.starts_with(word));
        if let Some(word) = word {
            out.extend(b"null");
            rest = &rest[word.len()..];
            continue;
        }
        out.push(byte);
        rest = after;
        match (byte, in_text) {
            (b'"', _) => in_text = !in_text,
            // What is escaped ends no text.
            (b'\\', true) => {
                out.extend(rest.first());
                rest = rest.get(1..).unwrap_or_default();
            }
            _ => {}
        }
    }
    out
}

/// One operation of a journal; one that fits nothing changes nothing, as with Optuna.
fn replay(
    code: u64,
    operation: &Value,
    studies: &mut Vec<Option<Stored>>,
    places: &mut Vec<(usize, usize)>,
) -> Option<()> {
    let number = |name: &str| operation.get(name)?.as_u64().map(|n| n as usize);
    match code {
        // A study is created.
        0 => {
            let name = operation.get("study_name")?.as_str()?;
            if studies.iter().flatten().any(|study| study.name == name) {
                return None;
            }
            let directions = operation.get("directions")?.as_array()?.iter();
            studies.push(Some(Stored {
                name: name.into(),
                directions: directions
                    .map(|direction| match direction.as_u64() {
                        Some(1) => Some(Direction::Minimize),
                        Some(2) => Some(Direction::Maximize),
                        _ => None,
                    })
                    .collect(),
                trials: Vec::new(),
            }));
        }
        // A study is deleted.
        1 => *studies.get_mut(number("study_id")?)? = None,
        // A trial is created, perhaps with all that came of it.
        4 => {
            let at = number("study_id")?;
            let study = studies.get_mut(at)?.as_mut()?;
            let mut trial = StoredTrial {
                number: study.trials.len(),
                is_complete: state(operation),
                value: value(operation),
                parameters: IndexMap::new(),
            };
            let parameters = operation.get("params").and_then(Value::as_object);
            for (name, internal) in parameters.into_iter().flatten() {
                let text = operation.get("distributions").and_then(|all| all.get(name));
                let distribution = text.and_then(parsed);
                // Where a number is expected, a word is what it is.
                let own = match (internal.as_f64(), distribution) {
                    (Some(internal), Some(distribution)) => external(internal, &distribution),
                    _ => None,
                };
                if let Some(own) = own {
                    trial.parameters.insert(name.clone(), own);
                }
            }
            places.push((at, trial.number));
            study.trials.push(trial);
        }
        // A hyperparameter of a trial.
        5 => {
            let trial = open(studies, places, number("trial_id")?)?;
            let name = operation.get("param_name")?.as_str()?;
            let internal = operation.get("param_value_internal")?.as_f64()?;
            let distribution = parsed(operation.get("distribution")?)?;
            let own = external(internal, &distribution)?;
            trial.parameters.insert(name.into(), own);
        }
        // A trial's state and values.
        6 => {
            let trial = open(studies, places, number("trial_id")?)?;
            trial.value = value(operation).or(trial.value);
            trial.is_complete = state(operation);
        }
        _ => {}
    }
    Some(())
}

/// A trial that is not finished.
fn open<'a>(
    studies: &'a mut [Option<Stored>],
    places: &[(usize, usize)],
    trial: usize,
) -> Option<&'a mut StoredTrial> {
    let (study, number) = *places.get(trial)?;
    let trial = studies.get_mut(study)?.as_mut()?.trials.get_mut(number)?;
    trial.is_complete.is_none().then_some(trial)
}

/// JSON that is kept as text.
fn parsed(text: &Value) -> Option<Value> {
    serde_json::from_str(text.as_str()?).ok()
}

/// Whether an operation leaves its trial complete; `None` if it is not finished by it.
fn state(operation: &Value) -> Option<bool> {
    match operation.get("state").and_then(Value::as_u64) {
        Some(1) => Some(true),
        // Pruned or failed.
        Some(2 | 3) => Some(false),
        _ => None,
    }
}

fn value(operation: &Value) -> Option<f64> {
    let one = operation.get("value").and_then(Value::as_f64);
    one.or_else(|| operation.get("values")?.get(0)?.as_f64())
}

fn of_database(path: &Path) -> Result<Vec<Stored>, StudyError> {
    let failed = |source: rusqlite::Error| match &source {
        // A database, but of another program.
        rusqlite::Error::SqliteFailure(_, Some(message)) if message.contains("no such") => {
            StudyError::NotOptuna { path: path.into() }
        }
        _ => StudyError::Database {
            path: path.into(),
            source,
        },
    };
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    rows(&connection).map_err(failed)
}

fn rows(connection: &Connection) -> rusqlite::Result<Vec<Stored>> {
    let mut names =
        connection.prepare("SELECT study_id, study_name FROM studies ORDER BY study_id")?;
    let names: Vec<(i64, String)> = names
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut studies = Vec::new();
    for (id, name) in names {
        let mut query = connection.prepare(
            "SELECT direction FROM study_directions WHERE study_id = ?1 ORDER BY objective",
        )?;
        let directions = query.query_map([id], |row| {
            Ok(match row.get::<_, String>(0)?.as_str() {
                "MINIMIZE" => Some(Direction::Minimize),
                "MAXIMIZE" => Some(Direction::Maximize),
                _ => None,
            })
        })?;
        let directions = directions.collect::<rusqlite::Result<_>>()?;
        let mut query = connection.prepare(
            "SELECT t.trial_id, t.number, t.state, v.value, v.value_type FROM trials t \
             LEFT JOIN trial_values v ON v.trial_id = t.trial_id AND v.objective = 0 \
             WHERE t.study_id = ?1 ORDER BY t.number",
        )?;
        let mut trials: IndexMap<i64, StoredTrial> = query
            .query_map([id], |row| {
                let state: String = row.get(2)?;
                let kind: Option<String> = row.get(4)?;
                let value: Option<f64> = row.get(3)?;
                let trial = StoredTrial {
                    number: row.get(1)?,
                    is_complete: match state.as_str() {
                        "COMPLETE" => Some(true),
                        "PRUNED" | "FAIL" => Some(false),
                        _ => None,
                    },
                    // The others are infinities.
                    value: value.filter(|_| kind.as_deref() == Some("FINITE")),
                    parameters: IndexMap::new(),
                };
                Ok((row.get(0)?, trial))
            })?
            .collect::<rusqlite::Result<_>>()?;
        let mut query = connection.prepare(
            "SELECT p.trial_id, p.param_name, p.param_value, p.distribution_json \
             FROM trial_params p JOIN trials t ON t.trial_id = p.trial_id \
             WHERE t.study_id = ?1 ORDER BY p.param_id",
        )?;
        let mut parameters = query.query([id])?;
        while let Some(row) = parameters.next()? {
            let (trial, name): (i64, String) = (row.get(0)?, row.get(1)?);
            let (internal, text): (f64, String) = (row.get(2)?, row.get(3)?);
            let distribution = serde_json::from_str(&text).ok();
            let own = distribution.and_then(|distribution| external(internal, &distribution));
            if let (Some(own), Some(trial)) = (own, trials.get_mut(&trial)) {
                trial.parameters.insert(name, own);
            }
        }
        studies.push(Stored {
            name,
            directions,
            trials: trials.into_values().collect(),
        });
    }
    Ok(studies)
}
