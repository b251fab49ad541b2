//! The tables of a study in SQL, and how older ones become newer ones.

use crate::StudyError;
use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;

/// "bomf" in ASCII: marks a database as a study (`PRAGMA application_id`).
const APPLICATION: i32 = 0x626f_6d66;

/// Statement `i` makes schema `i + 1` of schema `i`; what has been released stays as it is.
/// `PRAGMA user_version` says how many of them a database has seen.
const MIGRATIONS: &[&str] = &[V1, V2, V3];

/// The database itself holds the contract that a record is final, whoever opens it.
const V1: &str = "
CREATE TABLE fact (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    value TEXT NOT NULL
) STRICT;
CREATE TABLE trial (
    number INTEGER PRIMARY KEY,
    parameters TEXT NOT NULL,
    state TEXT NOT NULL,
    scores TEXT NOT NULL,
    value REAL,
    step INTEGER NOT NULL,
    seconds REAL NOT NULL
) STRICT;
CREATE TABLE trial_value (
    trial INTEGER NOT NULL REFERENCES trial (number),
    position INTEGER NOT NULL,
    step INTEGER NOT NULL,
    train_loss REAL,
    scores TEXT NOT NULL,
    PRIMARY KEY (trial, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE finetune (
    number INTEGER PRIMARY KEY,
    run TEXT NOT NULL,
    seconds REAL NOT NULL
) STRICT;
CREATE TABLE evaluation (
    id INTEGER PRIMARY KEY,
    split TEXT NOT NULL,
    weights BLOB NOT NULL,
    method TEXT NOT NULL,
    state TEXT NOT NULL,
    scores TEXT NOT NULL,
    std_errors TEXT NOT NULL,
    outputs BLOB NOT NULL,
    seconds REAL NOT NULL,
    UNIQUE (split, weights)
) STRICT;
CREATE TRIGGER fact_is_final BEFORE UPDATE ON fact
    BEGIN SELECT RAISE(ABORT, 'a fact never changes'); END;
CREATE TRIGGER trial_is_final BEFORE UPDATE ON trial
    BEGIN SELECT RAISE(ABORT, 'a finished trial never changes'); END;
CREATE TRIGGER finetune_is_final BEFORE UPDATE ON finetune
    BEGIN SELECT RAISE(ABORT, 'a finished run never changes'); END;
CREATE TRIGGER evaluation_is_final BEFORE UPDATE ON evaluation
    BEGIN SELECT RAISE(ABORT, 'a finished evaluation never changes'); END;
";

/// Trials for workers. A trial with a worker and no result is leased until `expires`, seconds
/// since 1970.
const V2: &str = "
CREATE TABLE job (
    number INTEGER PRIMARY KEY,
    payload TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    losses INTEGER NOT NULL DEFAULT 0,
    worker TEXT,
    expires REAL,
    result TEXT
) STRICT;
CREATE INDEX job_to_do ON job (number) WHERE result IS NULL;
CREATE TRIGGER job_is_final BEFORE UPDATE ON job WHEN OLD.result IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'a result never changes'); END;
CREATE TABLE queue (is_closed INTEGER NOT NULL) STRICT;
INSERT INTO queue VALUES (0);
";

/// What trials are worth at the rungs of their training, in the order in which they came there (a
/// value that is no number is NULL); and who had which trial from when to when. The latter the
/// database notes by itself, whoever changes a job.
const V3: &str = "
CREATE TABLE rung (
    id INTEGER PRIMARY KEY,
    rung INTEGER NOT NULL,
    trial INTEGER NOT NULL,
    value REAL,
    UNIQUE (rung, trial)
) STRICT;
CREATE TRIGGER rung_is_final BEFORE UPDATE ON rung
    BEGIN SELECT RAISE(ABORT, 'a value at a rung never changes'); END;
CREATE TABLE attempt (
    number INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    worker TEXT NOT NULL,
    began REAL NOT NULL,
    ended REAL,
    outcome TEXT,
    PRIMARY KEY (number, attempt)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER job_has_changed AFTER UPDATE ON job
    WHEN NEW.attempt <> OLD.attempt OR NEW.worker IS NULL OR NEW.result IS NOT NULL
BEGIN
    UPDATE attempt SET outcome = 'lost', ended =
        min(coalesce(OLD.expires, unixepoch('subsec')), unixepoch('subsec'))
        WHERE NEW.attempt <> OLD.attempt AND ended IS NULL
        AND number = OLD.number AND attempt = OLD.attempt;
    INSERT OR IGNORE INTO attempt (number, attempt, worker, began)
        SELECT NEW.number, NEW.attempt, NEW.worker, unixepoch('subsec')
        WHERE NEW.attempt <> OLD.attempt AND NEW.worker IS NOT NULL;
    UPDATE attempt SET ended = unixepoch('subsec'), outcome =
        CASE WHEN NEW.result IS NOT NULL THEN 'finished'
        WHEN NEW.losses > OLD.losses THEN 'lost' ELSE 'given_back' END
        WHERE (NEW.worker IS NULL OR NEW.result IS NOT NULL) AND ended IS NULL
        AND number = NEW.number AND attempt = NEW.attempt;
END;
";

/// Brings a database to the newest schema: an empty one, or one of an earlier version. One
/// that is there already is only read.
///
/// Two programs may do so at once: the second finds it done.
pub(super) fn migrate(
    connection: &mut Connection,
    path: &Path,
    failed: impl Fn(rusqlite::Error) -> StudyError,
) -> Result<(), StudyError> {
    if done(connection, path, &failed)? == MIGRATIONS.len() {
        return Ok(());
    }
    let begin = connection.transaction_with_behavior(TransactionBehavior::Immediate);
    let transaction = begin.map_err(&failed)?;
    for migration in &MIGRATIONS[done(&transaction, path, &failed)?..] {
        transaction.execute_batch(migration).map_err(&failed)?;
    }
    let newest = MIGRATIONS.len() as i64;
    transaction
        .pragma_update(None, "user_version", newest)
        .and_then(|()| transaction.pragma_update(None, "application_id", APPLICATION))
        .and_then(|()| transaction.commit())
        .map_err(&failed)
}

/// Refuses what is no study, one that is not begun yet, and a later one.
pub(super) fn check(
    connection: &Connection,
    path: &Path,
    failed: impl Fn(rusqlite::Error) -> StudyError,
) -> Result<(), StudyError> {
    match done(connection, path, failed)? {
        0 => Err(StudyError::NoStudy { path: path.into() }),
        _ => Ok(()),
    }
}

/// How many migrations a database has seen; refuses what is no study, or a later one.
fn done(
    connection: &Connection,
    path: &Path,
    failed: impl Fn(rusqlite::Error) -> StudyError,
) -> Result<usize, StudyError> {
    let number = |sql: &str| -> Result<i64, StudyError> {
        connection
            .query_row(sql, [], |row| row.get(0))
            .map_err(&failed)
    };
    let version = number("PRAGMA user_version")?;
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    let is_empty = tables == 0 && version == 0;
    if !is_empty && number("PRAGMA application_id")? != i64::from(APPLICATION) {
        return Err(StudyError::NotAStudy { path: path.into() });
    }
    let done = usize::try_from(version).ok();
    done.filter(|done| *done <= MIGRATIONS.len())
        .ok_or(StudyError::TooNew {
            path: path.into(),
            found: version,
            known: MIGRATIONS.len() as i64,
        })
}
