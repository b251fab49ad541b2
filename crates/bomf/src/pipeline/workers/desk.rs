//! Where a worker takes trials from and brings results to.

use super::{Looks, Payload};
use crate::pipeline::stage1::{Outcome, TrialJob};
use crate::{Error, Observer, Phase, Recipe};
use bomf_study::{Claim, Queue, State, StudyError, TrialRecord};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Signs of life are given this many times within a lease, so that one may be lost on its way.
const BEATS: u32 = 3;

/// Trains one trial; the text says how stage 1 stands.
pub(in crate::pipeline) type Train<'a> =
    dyn FnMut(&TrialJob, String, &mut dyn Observer) -> Result<Outcome, Error> + 'a;

/// A worker at its queue.
#[derive(Debug)]
pub(super) struct Desk<'a> {
    pub queue: &'a dyn Queue,
    pub worker: &'a str,
    pub lease: Duration,
}

impl Desk<'_> {
    /// Trains trials until there will be no more; how many these were.
    ///
    /// # Errors
    /// [`Error::WorkerInterrupted`], and whatever keeps trials from being trained. The trial at hand
    /// is given back.
    pub fn work(
        &self,
        recipe: &Recipe,
        train: &mut Train<'_>,
        observer: &mut dyn Observer,
    ) -> Result<usize, Error> {
        let mut finished = 0;
        let mut looks = Looks::new();
        let units = crate::pipeline::stage1::UNITS;
        observer.begin(Phase::Tune, recipe.stage1.trials as u64 * units);
        while !observer.interrupted() {
            let Some(claim) = self.queue.claim(self.worker, self.lease)? else {
                if self.queue.is_closed()? {
                    observer.end(Phase::Tune);
                    return Ok(finished);
                }
                looks.wait();
                continue;
            };
            looks = Looks::new();
            finished += usize::from(self.serve(recipe, &claim, train, observer)?);
        }
        Err(Error::WorkerInterrupted { trial: None })
    }

    /// Trains one trial; whether its result was taken.
    fn serve(
        &self,
        recipe: &Recipe,
        claim: &Claim,
        train: &mut Train<'_>,
        observer: &mut dyn Observer,
    ) -> Result<bool, Error> {
        let is_lost = AtomicBool::new(false);
        let trained = std::thread::scope(|scope| {
            // When it goes, the pulse stops.
            let (alive, end) = channel::<()>();
            let is_lost = &is_lost;
            scope.spawn(move || self.live(claim, &end, is_lost));
            let mut watched = Watched { observer, is_lost };
            let trained = self.train(recipe, claim, train, &mut watched);
            drop(alive);
            trained
        });
        let record = match trained {
            Ok(record) => record,
            // Another one has it: what was begun here is for nothing.
            Err(_) if is_lost.load(Ordering::SeqCst) => return Ok(false),
            Err(error) => {
                match self.queue.give_back(claim) {
                    Ok(()) | Err(StudyError::LeaseLost { .. }) => {}
                    Err(worse) => return Err(worse.into()),
                }
                return Err(match observer.interrupted() {
                    true => Error::WorkerInterrupted {
                        trial: Some(claim.number),
                    },
                    false => error,
                });
            }
        };
        let result = serde_json::json!(record).to_string();
        match self.queue.finish(claim, &result) {
            Err(StudyError::LeaseLost { .. }) => Ok(false),
            finished => Ok(finished.map(|()| true)?),
        }
    }

    /// Gives signs of life until the other end of the channel goes, or the trial is another's.
    fn live(&self, claim: &Claim, end: &Receiver<()>, is_lost: &AtomicBool) {
        while let Err(RecvTimeoutError::Timeout) = end.recv_timeout(self.lease / BEATS) {
            let alive = self.queue.heartbeat(claim, self.lease);
            if matches!(alive, Err(StudyError::LeaseLost { .. })) {
                is_lost.store(true, Ordering::SeqCst);
                return;
            }
        }
    }

    fn train(
        &self,
        recipe: &Recipe,
        claim: &Claim,
        train: &mut Train<'_>,
        observer: &mut dyn Observer,
    ) -> Result<TrialRecord, Error> {
        let started = Instant::now();
        let payload: Payload =
            serde_json::from_str(&claim.payload).map_err(|source| StudyError::Parse {
                path: format!("trial {}", claim.number).into(),
                line: source.line(),
                source,
            })?;
        let words = serde_json::json!(payload.parameters).to_string();
        let job = TrialJob::read(recipe, claim.number, payload.parameters, payload.seed)?;
        let job = job.ok_or_else(|| Error::OtherStudy {
            what: format!("trial {}", claim.number),
            was: words,
            is: "of another space".into(),
        })?;
        let outcome = train(&job, String::new(), observer)?;
        Ok(job.record(outcome, started))
    }

    /// Whether any trial gave scores yet.
    pub fn has_trained(&self) -> bool {
        let results = self.queue.results(0).unwrap_or_default();
        results.iter().any(|(_, result)| {
            let record = serde_json::from_str::<TrialRecord>(result);
            record.is_ok_and(|record| record.state != State::Failed)
        })
    }
}

/// Stops a trial that is another worker's by now, too.
struct Watched<'a> {
    observer: &'a mut dyn Observer,
    is_lost: &'a AtomicBool,
}

impl Observer for Watched<'_> {
    fn begin(&mut self, phase: Phase, total: u64) {
        self.observer.begin(phase, total);
    }

    fn advance(&mut self, phase: Phase, done: u64, message: &str) {
        self.observer.advance(phase, done, message);
    }

    fn end(&mut self, phase: Phase) {
        self.observer.end(phase);
    }

    fn note(&mut self, note: &str) {
        self.observer.note(note);
    }

    fn interrupted(&self) -> bool {
        self.is_lost.load(Ordering::SeqCst) || self.observer.interrupted()
    }
}
