//! A queue in a study's SQLite file, for the workers of one host.
//!
//! Each method is one statement or one transaction, so that SQLite's own lock on the file is
//! all that keeps workers apart; who finds it taken waits.

use super::{Attempt, Claim, Ending, Job, Queue, lost, other_trial, standing};
use crate::storage::integer;
use crate::{Sqlite, StudyError};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use std::time::Duration;

/// Now, by the clock of the host, in seconds.
const NOW: &str = "unixepoch('subsec')";

/// What a claim must still be of.
const HELD: &str = "number = ?1 AND worker = ?2 AND attempt = ?3";

/// The same, or that a failure of power made the file forget that the trial was taken.
const NOT_ANOTHERS: &str = "number = ?1 AND (worker = ?2 AND attempt = ?3 OR attempt < ?3)";

impl Sqlite {
    /// A change that a failure of power may undo without harm: it waits for no disk.
    fn light<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StudyError> {
        self.read(|connection| {
            connection.pragma_update(None, "synchronous", "normal")?;
            let done = work(connection);
            connection.pragma_update(None, "synchronous", "full")?;
            done
        })
    }

    /// Changes the trial of a claim, where the condition holds.
    fn change(
        &self,
        claim: &Claim,
        set: &str,
        condition: &str,
        lease: Option<Duration>,
    ) -> Result<(), StudyError> {
        let changed = self.light(|connection| {
            let sql = format!("UPDATE job SET {set} WHERE {condition} AND result IS NULL");
            let mut update = connection.prepare_cached(&sql)?;
            let (number, attempt) = (integer(claim.number), integer(claim.attempt));
            match lease {
                None => update.execute(params![number, claim.worker, attempt]),
                Some(lease) => {
                    update.execute(params![number, claim.worker, attempt, lease.as_secs_f64()])
                }
            }
        })?;
        match changed {
            0 => Err(lost(claim)),
            _ => Ok(()),
        }
    }
}

impl Queue for Sqlite {
    fn enqueue(&self, trials: &[(usize, String)]) -> Result<(), StudyError> {
        let differs = self.with(|connection| {
            let begin = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            {
                let mut insert = begin.prepare_cached(
                    "INSERT INTO job (number, payload) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                )?;
                let mut stored =
                    begin.prepare_cached("SELECT payload = ?2 FROM job WHERE number = ?1")?;
                for (number, payload) in trials {
                    let values = params![integer(*number), payload];
                    if insert.execute(values)? == 0
                        && !stored.query_row(values, |row| row.get::<_, bool>(0))?
                    {
                        // The transaction goes without a trace.
                        return Ok(Some(*number));
                    }
                }
            }
            begin.commit()?;
            Ok(None)
        })?;
        differs.map_or(Ok(()), |number| Err(other_trial(number)))
    }

    fn claim(&self, worker: &str, lease: Duration) -> Result<Option<Claim>, StudyError> {
        self.light(|connection| {
            let mut update = connection.prepare_cached(&format!(
                "UPDATE job SET attempt = attempt + 1, losses = losses + (worker IS NOT NULL), \
                 worker = ?1, expires = {NOW} + ?2 \
                 WHERE number = (SELECT number FROM job WHERE result IS NULL \
                 AND (worker IS NULL OR expires <= {NOW}) ORDER BY number LIMIT 1) \
                 RETURNING number, attempt, payload"
            ))?;
            // The statement is stepped to its end, or it would keep the file.
            let mut rows = update.query(params![worker, lease.as_secs_f64()])?;
            let claim = match rows.next()? {
                None => None,
                Some(row) => Some(Claim {
                    number: row.get(0)?,
                    worker: worker.into(),
                    attempt: row.get(1)?,
                    payload: row.get(2)?,
                }),
            };
            while rows.next()?.is_some() {}
            Ok(claim)
        })
    }

    fn heartbeat(&self, claim: &Claim, lease: Duration) -> Result<(), StudyError> {
        let set = format!("worker = ?2, attempt = ?3, expires = {NOW} + ?4");
        self.change(claim, &set, NOT_ANOTHERS, Some(lease))
    }

    fn give_back(&self, claim: &Claim) -> Result<(), StudyError> {
        self.change(claim, "worker = NULL, expires = NULL", HELD, None)
    }

    fn finish(&self, claim: &Claim, result: &str) -> Result<(), StudyError> {
        let is_held = self.read(|connection| {
            let sql = format!(
                "UPDATE job SET worker = ?2, attempt = ?3, result = ?4 \
                 WHERE {NOT_ANOTHERS} AND result IS NULL"
            );
            let mut update = connection.prepare_cached(&sql)?;
            let key = (integer(claim.number), &claim.worker, integer(claim.attempt));
            if update.execute(params![key.0, key.1, key.2, result])? > 0 {
                return Ok(true);
            }
            // The result was entered by this claim before.
            let sql = format!("SELECT 1 FROM job WHERE {HELD} AND result IS NOT NULL");
            let mut known = connection.prepare_cached(&sql)?;
            known.exists(params![key.0, key.1, key.2])
        })?;
        match is_held {
            true => Ok(()),
            false => Err(lost(claim)),
        }
    }

    fn release(&self, worker: &str) -> Result<usize, StudyError> {
        self.light(|connection| {
            let sql = "UPDATE job SET worker = NULL, expires = NULL, losses = losses + 1 \
                       WHERE worker = ?1 AND result IS NULL";
            connection.execute(sql, [worker])
        })
    }

    fn results(&self, from: usize) -> Result<Vec<(usize, String)>, StudyError> {
        self.read(|connection| {
            let sql = "SELECT number, result FROM job WHERE number >= ?1 AND result IS NOT NULL \
                       ORDER BY number";
            let mut query = connection.prepare_cached(sql)?;
            query
                .query_map([integer(from)], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }

    fn jobs(&self) -> Result<Vec<Job>, StudyError> {
        self.read(|connection| {
            let mut query = connection.prepare_cached(&format!(
                "SELECT number, result IS NOT NULL, worker IS NOT NULL AND expires > {NOW}, \
                 worker, attempt, losses FROM job ORDER BY number"
            ))?;
            query
                .query_map([], |row| {
                    Ok(Job {
                        number: row.get(0)?,
                        standing: standing(
                            row.get(1)?,
                            row.get::<_, Option<bool>>(2)? == Some(true),
                        ),
                        worker: row.get(3)?,
                        attempts: row.get(4)?,
                        losses: row.get(5)?,
                    })
                })?
                .collect()
        })
    }

    fn attempts(&self) -> Result<Vec<Attempt>, StudyError> {
        self.read(|connection| {
            // One that is opened to be read alone may be of before there were any.
            let known = "SELECT 1 FROM sqlite_schema WHERE name = 'attempt'";
            if !connection.prepare_cached(known)?.exists([])? {
                return Ok(Vec::new());
            }
            let sql = "SELECT number, attempt, worker, began, ended, outcome FROM attempt \
                       ORDER BY began, number, attempt";
            let mut query = connection.prepare_cached(sql)?;
            query
                .query_map([], |row| {
                    Ok(Attempt {
                        number: row.get(0)?,
                        attempt: row.get(1)?,
                        worker: row.get(2)?,
                        began: row.get(3)?,
                        ended: row.get(4)?,
                        ending: row
                            .get::<_, Option<String>>(5)?
                            .map(|name| Ending::of(&name)),
                    })
                })?
                .collect()
        })
    }

    fn set_closed(&self, is_closed: bool) -> Result<(), StudyError> {
        self.read(|connection| {
            connection.execute("UPDATE queue SET is_closed = ?1", [is_closed])?;
            Ok(())
        })
    }

    fn is_closed(&self) -> Result<bool, StudyError> {
        self.read(|connection| {
            let row = connection.query_row("SELECT is_closed FROM queue", [], |row| row.get(0));
            Ok(row.optional()?.unwrap_or(false))
        })
    }
}
