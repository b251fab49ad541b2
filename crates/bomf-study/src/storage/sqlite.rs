//! A study in one SQLite file, in WAL mode: one writes while others read.
//!
//! A record is one transaction, on the disk when it returns (`synchronous = FULL`): some
//! milliseconds for what took seconds to hours to compute.

use super::columns::{bytes_of, integer, names, numbers_of};
use super::records::{EvaluatedSplit, EvaluationRecord, FinetuneRecord, RungValue, TrialRecord};
use super::{Storage, schema};
use crate::{CurvePoint, StudyError};
use indexmap::IndexMap;
use rusqlite::types::Type;
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, Row, Transaction, TransactionBehavior,
    params,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The name of a study's file in its output folder.
pub const DATABASE: &str = "study.db";

/// How long a statement waits for another program's transaction, which takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// A study in a file.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    connection: Mutex<Connection>,
}

type Stored<T> = rusqlite::Result<T>;

impl Sqlite {
    /// Opens the study in a file, or begins one where there is none.
    ///
    /// # Errors
    /// [`StudyError::NotAStudy`], [`StudyError::TooNew`], and as [`Storage`] says.
    pub fn create(path: &Path) -> Result<Self, StudyError> {
        Self::connect(path, OpenFlags::default())
    }

    /// Opens the study in a file that is there.
    ///
    /// # Errors
    /// [`StudyError::NoStudy`] where it is not, and as [`Sqlite::create`].
    pub fn open(path: &Path) -> Result<Self, StudyError> {
        if !path.is_file() {
            return Err(StudyError::NoStudy { path: path.into() });
        }
        Self::connect(path, OpenFlags::default() - OpenFlags::SQLITE_OPEN_CREATE)
    }

    /// Opens the study in a file that is there, and never writes to it: while another program
    /// does, or where nobody may.
    ///
    /// # Errors
    /// As [`Sqlite::open`], and [`StudyError::NoStudy`] too where its tables are not there yet.
    pub fn open_to_read(path: &Path) -> Result<Self, StudyError> {
        if !path.is_file() {
            return Err(StudyError::NoStudy { path: path.into() });
        }
        let failed = |error| failed(path, error);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        // A reader of a file with a log makes the log's files where they are missing, and may not
        // take them away again. Without a log nobody writes.
        let connection = match unlogged(path) {
            Some(uri) => Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI),
            None => Connection::open_with_flags(path, flags),
        };
        let connection = connection.map_err(failed)?;
        connection.busy_timeout(PATIENCE).map_err(failed)?;
        schema::check(&connection, path, failed)?;
        Ok(Sqlite {
            path: path.into(),
            connection: Mutex::new(connection),
        })
    }

    fn connect(path: &Path, flags: OpenFlags) -> Result<Self, StudyError> {
        let failed = |error| failed(path, error);
        let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(PATIENCE).map_err(failed)?;
        // Foreign files are told apart before anything is written to them.
        schema::migrate(&mut connection, path, failed)?;
        connection
            .pragma_update(None, "journal_mode", "wal")
            .and_then(|()| connection.pragma_update(None, "synchronous", "full"))
            .and_then(|()| connection.pragma_update(None, "foreign_keys", true))
            .map_err(failed)?;
        Ok(Sqlite {
            path: path.into(),
            connection: Mutex::new(connection),
        })
    }

    /// How long a statement waits for another program's transaction; 10 s at first.
    ///
    /// # Errors
    /// [`StudyError::Database`].
    pub fn set_patience(&self, patience: Duration) -> Result<(), StudyError> {
        self.read(|connection| connection.busy_timeout(patience))
    }

    /// Bounds the file to so many pages of 4 kB, or to those that it has: beyond them it
    /// is [`StudyError::DatabaseFull`].
    ///
    /// # Errors
    /// [`StudyError::Database`].
    pub fn limit_pages(&self, pages: u32) -> Result<(), StudyError> {
        self.read(|connection| {
            connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
        })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A transaction that a panic broke off was rolled back.
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> Stored<T>,
    ) -> Result<T, StudyError> {
        self.with(|connection| work(connection))
    }

    pub(crate) fn with<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> Stored<T>,
    ) -> Result<T, StudyError> {
        work(&mut self.lock()).map_err(|error| failed(&self.path, error))
    }

    /// Stores in one transaction; `what` is what is in the way where a key is taken.
    fn write(
        &self,
        what: impl FnOnce() -> String,
        work: impl FnOnce(&Transaction<'_>) -> Stored<()>,
    ) -> Result<(), StudyError> {
        let mut connection = self.lock();
        let stored = connection.transaction().and_then(|transaction| {
            work(&transaction)?;
            transaction.commit()
        });
        stored.map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => StudyError::Final { what: what() },
            _ => failed(&self.path, error),
        })
    }
}

/// The file as one that does not change, unless there is a log beside it.
fn unlogged(path: &Path) -> Option<String> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    if Path::new(&log).exists() {
        return None;
    }
    let absolute = std::path::absolute(path).ok()?;
    let mut uri = String::from("file:");
    for c in absolute.to_str()?.chars() {
        match c {
            '%' => uri.push_str("%25"),
            '?' => uri.push_str("%3f"),
            '#' => uri.push_str("%23"),
            c => uri.push(c),
        }
    }
    uri.push_str("?immutable=1");
    Some(uri)
}

fn failed(path: &Path, source: rusqlite::Error) -> StudyError {
    let path = path.into();
    // The index of the log is mapped; to enlarge it fails by this code where there is no room.
    let extended = source.sqlite_error().map(|error| error.extended_code);
    if extended == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE) {
        return StudyError::DatabaseFull { path };
    }
    match source.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StudyError::DatabaseFull { path },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StudyError::DatabaseLocked { path }
        }
        Some(ErrorCode::NotADatabase) => StudyError::NotAStudy { path },
        _ => StudyError::Database { path, source },
    }
}

/// As JSON; what the records hold has no key that is no text.
fn json<T: Serialize + ?Sized>(value: &T) -> Stored<String> {
    serde_json::to_string(value).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))
}

fn of_json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Stored<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, e.into()))
}

/// A word, as its JSON would have it without the quotes.
fn word<T: Serialize>(value: T) -> Stored<String> {
    Ok(json(&value)?.trim_matches('"').into())
}

fn of_word<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Stored<T> {
    let text: String = row.get(column)?;
    serde_json::from_value(text.into())
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, e.into()))
}

fn of_blob<const N: usize, T>(
    row: &Row<'_>,
    column: usize,
    value: impl Fn([u8; N]) -> T,
) -> Stored<Vec<T>> {
    let bytes: Vec<u8> = row.get(column)?;
    numbers_of(&bytes, value).ok_or(rusqlite::Error::InvalidColumnType(
        column,
        "numbers".into(),
        Type::Blob,
    ))
}

impl Storage for Sqlite {
    fn facts(&self) -> Result<IndexMap<String, String>, StudyError> {
        self.read(|connection| {
            let mut query = connection.prepare("SELECT name, value FROM fact ORDER BY id")?;
            query
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }

    fn add_facts(&self, facts: &IndexMap<String, String>) -> Result<(), StudyError> {
        let names = || facts.keys().cloned().collect::<Vec<_>>().join(", ");
        self.write(
            || format!("the fact {}", names()),
            |transaction| {
                for (name, value) in facts {
                    let insert = "INSERT INTO fact (name, value) VALUES (?1, ?2)";
                    transaction.execute(insert, params![name, value])?;
                }
                Ok(())
            },
        )
    }

    fn trials(&self) -> Result<Vec<TrialRecord>, StudyError> {
        self.read(|connection| {
            let mut curve = connection.prepare(
                "SELECT step, train_loss, scores FROM trial_value WHERE trial = ?1 \
                 ORDER BY position",
            )?;
            let mut query = connection.prepare(
                "SELECT number, parameters, state, scores, value, step, seconds FROM trial \
                 ORDER BY number",
            )?;
            let mut trials: Vec<TrialRecord> = query
                .query_map([], |row| {
                    Ok(TrialRecord {
                        number: row.get(0)?,
                        parameters: of_json(row, 1)?,
                        state: of_word(row, 2)?,
                        scores: of_json(row, 3)?,
                        value: row.get(4)?,
                        step: row.get(5)?,
                        curve: Vec::new(),
                        seconds: row.get(6)?,
                    })
                })?
                .collect::<Stored<_>>()?;
            for trial in &mut trials {
                let points = curve.query_map([integer(trial.number)], |row| {
                    Ok(CurvePoint {
                        step: row.get(0)?,
                        // SQL has no NaN.
                        train_loss: row.get::<_, Option<f64>>(1)?.unwrap_or(f64::NAN),
                        select: of_json(row, 2)?,
                    })
                })?;
                trial.curve = points.collect::<Stored<_>>()?;
            }
            Ok(trials)
        })
    }

    fn add_trials(&self, trials: &[TrialRecord]) -> Result<(), StudyError> {
        self.write(
            || names(trials),
            |transaction| {
                let mut insert = transaction.prepare_cached(
                    "INSERT INTO trial (number, parameters, state, scores, value, step, seconds) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?;
                let mut insert_value = transaction.prepare_cached(
                    "INSERT INTO trial_value (trial, position, step, train_loss, scores) \
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                )?;
                for trial in trials {
                    insert.execute(params![
                        integer(trial.number),
                        json(&trial.parameters)?,
                        word(trial.state)?,
                        json(&trial.scores)?,
                        trial.value,
                        integer(trial.step),
                        trial.seconds
                    ])?;
                    for (position, point) in trial.curve.iter().enumerate() {
                        insert_value.execute(params![
                            integer(trial.number),
                            integer(position),
                            integer(point.step),
                            point.train_loss,
                            json(&point.select)?
                        ])?;
                    }
                }
                Ok(())
            },
        )
    }

    fn reach(&self, rung: usize, trial: usize, value: f64) -> Result<Vec<f64>, StudyError> {
        self.with(|connection| {
            let begin = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let key = (integer(rung), integer(trial));
            let values = {
                let mut insert = begin.prepare_cached(
                    "INSERT INTO rung (rung, trial, value) VALUES (?1, ?2, ?3) \
                     ON CONFLICT DO NOTHING",
                )?;
                insert.execute(params![key.0, key.1, value])?;
                let mut seen = begin.prepare_cached(
                    "SELECT value FROM rung WHERE rung = ?1 AND id <= \
                     (SELECT id FROM rung WHERE rung = ?1 AND trial = ?2) ORDER BY id",
                )?;
                // SQL has no NaN.
                let value = |row: &Row<'_>| Ok(row.get::<_, Option<f64>>(0)?.unwrap_or(f64::NAN));
                seen.query_map([key.0, key.1], value)?
                    .collect::<Stored<_>>()?
            };
            begin.commit()?;
            Ok(values)
        })
    }

    fn rungs(&self) -> Result<Vec<RungValue>, StudyError> {
        self.read(|connection| {
            let mut query =
                connection.prepare("SELECT rung, trial, value FROM rung ORDER BY rung, id")?;
            query
                .query_map([], |row| {
                    Ok(RungValue {
                        rung: row.get(0)?,
                        trial: row.get(1)?,
                        value: row.get::<_, Option<f64>>(2)?.unwrap_or(f64::NAN),
                    })
                })?
                .collect()
        })
    }

    fn finetune(&self, number: usize) -> Result<Option<FinetuneRecord>, StudyError> {
        self.read(|connection| {
            let query = "SELECT run, seconds FROM finetune WHERE number = ?1";
            let run = connection.query_row(query, [integer(number)], |row| {
                Ok(FinetuneRecord {
                    number,
                    run: of_json(row, 0)?,
                    seconds: row.get(1)?,
                })
            });
            run.optional()
        })
    }

    fn add_finetune(&self, run: &FinetuneRecord) -> Result<(), StudyError> {
        self.write(
            || format!("fine-tuning run {}", run.number),
            |transaction| {
                let insert = "INSERT INTO finetune (number, run, seconds) VALUES (?1, ?2, ?3)";
                let values = params![integer(run.number), json(&run.run)?, run.seconds];
                transaction.execute(insert, values)?;
                Ok(())
            },
        )
    }

    fn evaluation(
        &self,
        split: EvaluatedSplit,
        weights: &[f64],
    ) -> Result<Option<EvaluationRecord>, StudyError> {
        self.read(|connection| {
            let mut query = connection.prepare_cached(
                "SELECT weights, method, state, scores, std_errors, seconds, outputs \
                 FROM evaluation WHERE split = ?1 AND weights = ?2",
            )?;
            let key = params![split.as_str(), bytes_of(weights, f64::to_le_bytes)];
            let found = query.query_row(key, |row| {
                Ok(EvaluationRecord {
                    outputs: of_blob(row, 6, f32::from_le_bytes)?,
                    ..evaluation(split, row)?
                })
            });
            found.optional()
        })
    }

    fn evaluations(&self, split: EvaluatedSplit) -> Result<Vec<EvaluationRecord>, StudyError> {
        self.read(|connection| {
            let mut query = connection.prepare(
                "SELECT weights, method, state, scores, std_errors, seconds FROM evaluation \
                 WHERE split = ?1 ORDER BY id",
            )?;
            query
                .query_map([split.as_str()], |row| evaluation(split, row))?
                .collect()
        })
    }

    fn add_evaluation(&self, evaluation: &EvaluationRecord) -> Result<(), StudyError> {
        self.write(
            || format!("the evaluation of {:?}", evaluation.weights),
            |transaction| {
                transaction.execute(
                    "INSERT INTO evaluation \
                     (split, weights, method, state, scores, std_errors, outputs, seconds) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                    params![
                        evaluation.split.as_str(),
                        bytes_of(&evaluation.weights, f64::to_le_bytes),
                        evaluation.method,
                        word(evaluation.state)?,
                        json(&evaluation.scores)?,
                        json(&evaluation.std_errors)?,
                        bytes_of(&evaluation.outputs, f32::to_le_bytes),
                        evaluation.seconds
                    ],
                )?;
                Ok(())
            },
        )
    }
}

fn evaluation(split: EvaluatedSplit, row: &Row<'_>) -> Stored<EvaluationRecord> {
    Ok(EvaluationRecord {
        split,
        weights: of_blob(row, 0, f64::from_le_bytes)?,
        method: row.get(1)?,
        state: of_word(row, 2)?,
        scores: of_json(row, 3)?,
        std_errors: of_json(row, 4)?,
        outputs: Vec::new(),
        seconds: row.get(5)?,
    })
}
