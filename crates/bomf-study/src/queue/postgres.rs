//! A queue on a server, for workers on any number of hosts.
//!
//! A worker takes the first trial that no other is about to take (`FOR UPDATE SKIP LOCKED`), so
//! that none waits for another; each method is one statement. Time is the server's own.

use super::{Attempt, Claim, Ending, Job, Queue, lost, other_trial, standing};
use crate::storage::integer;
use crate::{Postgres, StudyError};
use postgres::error::SqlState;
use std::time::Duration;

const ENQUEUE: &str = "INSERT INTO bomf.job (study, number, payload) \
    SELECT $1, j.number, j.payload FROM unnest($2::int8[], $3::text[]) AS j (number, payload) \
    ORDER BY j.number ON CONFLICT (study, number) DO UPDATE SET payload = \
    CASE WHEN bomf.job.payload = EXCLUDED.payload THEN EXCLUDED.payload END";

const OTHER: &str = "SELECT j.number FROM unnest($2::int8[], $3::text[]) AS j (number, payload) \
    JOIN bomf.job USING (number) WHERE study = $1 AND bomf.job.payload <> j.payload LIMIT 1";

/// That a trial was taken waits for no disk: after a failure of power it is taken again.
const CLAIM: &str = "UPDATE bomf.job SET attempt = attempt + 1, \
    losses = losses + (worker IS NOT NULL)::int, worker = $2, \
    expires = clock_timestamp() + $3 * interval '1 second' \
    WHERE study = $1 AND number = (SELECT number FROM bomf.job WHERE study = $1 \
    AND result IS NULL AND (worker IS NULL OR expires <= clock_timestamp()) \
    ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING number, attempt, payload, \
    set_config('synchronous_commit', 'off', true)";

/// What a worker has, in the form of [`CLAIM`].
const OWN: &str = "SELECT number, attempt, payload FROM bomf.job \
    WHERE study = $1 AND worker = $2 AND result IS NULL ORDER BY number LIMIT 1";

/// Also where the server has forgotten that the trial was taken.
const HEARTBEAT: &str = "UPDATE bomf.job SET worker = $3, attempt = $4, \
    expires = clock_timestamp() + $5 * interval '1 second' \
    WHERE study = $1 AND number = $2 AND (attempt = $4 AND worker = $3 OR attempt < $4) \
    AND result IS NULL";

const GIVE_BACK: &str = "UPDATE bomf.job SET worker = NULL, expires = NULL \
    WHERE study = $1 AND number = $2 AND worker = $3 AND attempt = $4 AND result IS NULL";

const FINISH: &str = "UPDATE bomf.job SET worker = $3, attempt = $4, result = $5 \
    WHERE study = $1 AND number = $2 AND (attempt = $4 AND worker = $3 OR attempt < $4) \
    AND result IS NULL";

const FINISHED: &str = "SELECT 1 FROM bomf.job \
    WHERE study = $1 AND number = $2 AND worker = $3 AND attempt = $4 AND result IS NOT NULL";

const RELEASE: &str = "UPDATE bomf.job SET worker = NULL, expires = NULL, losses = losses + 1 \
    WHERE study = $1 AND worker = $2 AND result IS NULL";

const RESULTS: &str = "SELECT number, result FROM bomf.job \
    WHERE study = $1 AND number >= $2 AND result IS NOT NULL ORDER BY number";

const JOBS: &str = "SELECT number, result IS NOT NULL, \
    worker IS NOT NULL AND expires > clock_timestamp(), worker, attempt, losses \
    FROM bomf.job WHERE study = $1 ORDER BY number";

const ATTEMPTS: &str = "SELECT number, attempt, worker, \
    extract(epoch FROM began)::float8, extract(epoch FROM ended)::float8, outcome \
    FROM bomf.attempt WHERE study = $1 ORDER BY began, number, attempt";

/// A number that was stored by [`integer`].
fn natural(value: i64) -> usize {
    usize::try_from(value).unwrap_or(0)
}

fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

impl Queue for Postgres {
    fn enqueue(&self, trials: &[(usize, String)]) -> Result<(), StudyError> {
        let numbers: Vec<i64> = trials.iter().map(|(number, _)| integer(*number)).collect();
        let payloads: Vec<&str> = trials.iter().map(|(_, payload)| payload.as_str()).collect();
        let put_in = self.with(|link| {
            match link.execute(ENQUEUE, &[&self.id(), &numbers, &payloads]) {
                Ok(_) => Ok(true),
                // A trial that differs has no payload, or is final.
                Err(error)
                    if [
                        Some(&SqlState::NOT_NULL_VIOLATION),
                        Some(&SqlState::UNIQUE_VIOLATION),
                    ]
                    .contains(&error.code()) =>
                {
                    Ok(false)
                }
                Err(error) => Err(error),
            }
        })?;
        if put_in {
            return Ok(());
        }
        let other = self.with(|link| link.row(OTHER, &[&self.id(), &numbers, &payloads]))?;
        Err(other_trial(other.map_or(0, |row| natural(row.get(0)))))
    }

    fn claim(&self, worker: &str, lease: Duration) -> Result<Option<Claim>, StudyError> {
        let lease = lease.as_secs_f64();
        let row = self.with(|link| {
            // The answer to an earlier attempt may have been lost.
            let own = match link.is_again {
                true => link.row(OWN, &[&self.id(), &worker])?,
                false => None,
            };
            match own {
                Some(row) => Ok(Some(row)),
                None => link.row(CLAIM, &[&self.id(), &worker, &lease]),
            }
        })?;
        Ok(row.map(|row| Claim {
            number: natural(row.get(0)),
            worker: worker.into(),
            attempt: count(row.get(1)),
            payload: row.get(2),
        }))
    }

    fn heartbeat(&self, claim: &Claim, lease: Duration) -> Result<(), StudyError> {
        let key = (integer(claim.number), integer(claim.attempt));
        let lease = lease.as_secs_f64();
        let changed = self.with(|link| {
            let params: [&(dyn postgres::types::ToSql + Sync); 5] =
                [&self.id(), &key.0, &claim.worker, &key.1, &lease];
            link.execute(HEARTBEAT, &params)
        })?;
        match changed {
            0 => Err(lost(claim)),
            _ => Ok(()),
        }
    }

    fn give_back(&self, claim: &Claim) -> Result<(), StudyError> {
        let key = (integer(claim.number), integer(claim.attempt));
        let changed = self
            .with(|link| link.execute(GIVE_BACK, &[&self.id(), &key.0, &claim.worker, &key.1]))?;
        match changed {
            0 => Err(lost(claim)),
            _ => Ok(()),
        }
    }

    fn finish(&self, claim: &Claim, result: &str) -> Result<(), StudyError> {
        let key = (integer(claim.number), integer(claim.attempt));
        let is_held = self.with(|link| {
            let id = self.id();
            if link.execute(FINISH, &[&id, &key.0, &claim.worker, &key.1, &result])? > 0 {
                return Ok(true);
            }
            let known = link.row(FINISHED, &[&id, &key.0, &claim.worker, &key.1])?;
            Ok(known.is_some())
        })?;
        match is_held {
            true => Ok(()),
            false => Err(lost(claim)),
        }
    }

    fn release(&self, worker: &str) -> Result<usize, StudyError> {
        let released = self.with(|link| link.execute(RELEASE, &[&self.id(), &worker]))?;
        Ok(usize::try_from(released).unwrap_or(usize::MAX))
    }

    fn results(&self, from: usize) -> Result<Vec<(usize, String)>, StudyError> {
        let rows = self.with(|link| link.query(RESULTS, &[&self.id(), &integer(from)]))?;
        let result = |row: &postgres::Row| (natural(row.get(0)), row.get(1));
        Ok(rows.iter().map(result).collect())
    }

    fn jobs(&self) -> Result<Vec<Job>, StudyError> {
        let rows = self.with(|link| link.query(JOBS, &[&self.id()]))?;
        let job = |row: &postgres::Row| Job {
            number: natural(row.get(0)),
            standing: standing(row.get(1), row.get::<_, Option<bool>>(2) == Some(true)),
            worker: row.get(3),
            attempts: count(row.get(4)),
            losses: count(row.get(5)),
        };
        Ok(rows.iter().map(job).collect())
    }

    fn attempts(&self) -> Result<Vec<Attempt>, StudyError> {
        let rows = self.with(|link| link.query(ATTEMPTS, &[&self.id()]))?;
        let attempt = |row: &postgres::Row| Attempt {
            number: natural(row.get(0)),
            attempt: count(row.get(1)),
            worker: row.get(2),
            began: row.get(3),
            ended: row.get(4),
            ending: row.get::<_, Option<&str>>(5).map(Ending::of),
        };
        Ok(rows.iter().map(attempt).collect())
    }

    fn set_closed(&self, is_closed: bool) -> Result<(), StudyError> {
        let sql = "UPDATE bomf.study SET is_closed = $2 WHERE id = $1";
        self.with(|link| link.execute(sql, &[&self.id(), &is_closed]))?;
        Ok(())
    }

    fn is_closed(&self) -> Result<bool, StudyError> {
        let sql = "SELECT is_closed FROM bomf.study WHERE id = $1";
        let row = self.with(|link| link.row(sql, &[&self.id()]))?;
        // One that was taken away has no more trials.
        Ok(row.is_none_or(|row| row.get(0)))
    }
}
