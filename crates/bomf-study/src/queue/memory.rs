//! A queue that ends with the process, for its threads.

use super::{Attempt, Claim, Ending, Job, Queue, lost, other_trial, standing};
use crate::{Memory, StudyError};
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Trials by number.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    jobs: BTreeMap<usize, Kept>,
    attempts: Vec<Attempt>,
    is_closed: bool,
}

/// Seconds since 1970.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

#[derive(Debug, Default)]
struct Kept {
    payload: String,
    attempts: u64,
    losses: u64,
    worker: Option<String>,
    expires: Option<Instant>,
    result: Option<String>,
}

impl Kept {
    fn is_running(&self) -> bool {
        self.worker.is_some() && self.expires.is_some_and(|expires| expires > Instant::now())
    }

    fn is_of(&self, claim: &Claim) -> bool {
        self.worker.as_ref() == Some(&claim.worker) && self.attempts == claim.attempt
    }

    fn leave(&mut self) {
        self.worker = None;
        self.expires = None;
    }
}

impl Jobs {
    /// Remembers how the last attempt at a trial ended, where it has not ended yet, and when.
    fn end(&mut self, number: usize, ending: Ending, when: f64) {
        let mut attempts = self.attempts.iter_mut().rev();
        let open = attempts.find(|attempt| attempt.number == number && attempt.ended.is_none());
        if let Some(attempt) = open {
            (attempt.ended, attempt.ending) = (Some(when), Some(ending));
        }
    }

    /// The trial of a claim that still holds.
    fn held(&mut self, claim: &Claim) -> Result<&mut Kept, StudyError> {
        let kept = self.jobs.get_mut(&claim.number);
        kept.filter(|kept| kept.is_of(claim) && kept.result.is_none())
            .ok_or_else(|| lost(claim))
    }
}

impl Queue for Memory {
    fn enqueue(&self, trials: &[(usize, String)]) -> Result<(), StudyError> {
        let jobs = &mut self.jobs().jobs;
        let differs = |(number, payload): &&(usize, String)| {
            jobs.get(number)
                .is_some_and(|kept| kept.payload != *payload)
        };
        if let Some((number, _)) = trials.iter().find(differs) {
            return Err(other_trial(*number));
        }
        for (number, payload) in trials {
            jobs.entry(*number).or_insert_with(|| Kept {
                payload: payload.clone(),
                ..Kept::default()
            });
        }
        Ok(())
    }

    fn claim(&self, worker: &str, lease: Duration) -> Result<Option<Claim>, StudyError> {
        let mut jobs = self.jobs();
        let mut free = jobs
            .jobs
            .iter_mut()
            .filter(|(_, kept)| kept.result.is_none() && !kept.is_running());
        let Some((&number, kept)) = free.next() else {
            return Ok(None);
        };
        let overdue = kept.expires.map_or(0.0, |at| at.elapsed().as_secs_f64());
        kept.losses += u64::from(kept.worker.is_some());
        kept.attempts += 1;
        kept.worker = Some(worker.into());
        kept.expires = Some(Instant::now() + lease);
        let claim = Claim {
            number,
            worker: worker.into(),
            attempt: kept.attempts,
            payload: kept.payload.clone(),
        };
        let began = now();
        jobs.end(number, Ending::Lost, began - overdue);
        jobs.attempts.push(Attempt {
            number,
            attempt: claim.attempt,
            worker: worker.into(),
            began,
            ended: None,
            ending: None,
        });
        Ok(Some(claim))
    }

    fn heartbeat(&self, claim: &Claim, lease: Duration) -> Result<(), StudyError> {
        self.jobs().held(claim)?.expires = Some(Instant::now() + lease);
        Ok(())
    }

    fn give_back(&self, claim: &Claim) -> Result<(), StudyError> {
        let mut jobs = self.jobs();
        jobs.held(claim)?.leave();
        jobs.end(claim.number, Ending::GivenBack, now());
        Ok(())
    }

    fn finish(&self, claim: &Claim, result: &str) -> Result<(), StudyError> {
        let mut jobs = self.jobs();
        let kept = jobs.jobs.get_mut(&claim.number);
        let kept = kept.filter(|kept| kept.is_of(claim));
        let kept = kept.ok_or_else(|| lost(claim))?;
        kept.result.get_or_insert_with(|| result.into());
        jobs.end(claim.number, Ending::Finished, now());
        Ok(())
    }

    fn release(&self, worker: &str) -> Result<usize, StudyError> {
        let mut jobs = self.jobs();
        let mut released = Vec::new();
        for (number, kept) in &mut jobs.jobs {
            if kept.worker.as_deref() == Some(worker) && kept.result.is_none() {
                kept.losses += 1;
                kept.leave();
                released.push(*number);
            }
        }
        let count = released.len();
        for number in released {
            jobs.end(number, Ending::Lost, now());
        }
        Ok(count)
    }

    fn results(&self, from: usize) -> Result<Vec<(usize, String)>, StudyError> {
        let jobs = &self.jobs().jobs;
        let finished = jobs
            .range(from..)
            .filter_map(|(number, kept)| Some((*number, kept.result.clone()?)));
        Ok(finished.collect())
    }

    fn jobs(&self) -> Result<Vec<Job>, StudyError> {
        let jobs = Memory::jobs(self);
        let job = |(number, kept): (&usize, &Kept)| Job {
            number: *number,
            standing: standing(kept.result.is_some(), kept.is_running()),
            worker: kept.worker.clone(),
            attempts: kept.attempts,
            losses: kept.losses,
        };
        Ok(jobs.jobs.iter().map(job).collect())
    }

    fn attempts(&self) -> Result<Vec<Attempt>, StudyError> {
        Ok(Memory::jobs(self).attempts.clone())
    }

    fn set_closed(&self, is_closed: bool) -> Result<(), StudyError> {
        self.jobs().is_closed = is_closed;
        Ok(())
    }

    fn is_closed(&self) -> Result<bool, StudyError> {
        Ok(self.jobs().is_closed)
    }
}
