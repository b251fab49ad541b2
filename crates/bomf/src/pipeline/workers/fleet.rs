//! The scheduler's side: trials go into the queue, results come out of it.

use super::crew::{Crew, Launch};
use super::place::{self, Both};
use super::{Looks, Payload};
use crate::pipeline::stage1::{TrialJob, Trials};
use crate::pipeline::threads;
use crate::{Error, Observer, Workers};
use bomf_study::{Standing, StudyError, TrialRecord, password_in, without_password};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A trial that so many workers died of is not given to another one.
const MAX_LOSSES: u64 = 5;

/// How often it is looked whether trials are lost.
const CHECK: Duration = Duration::from_secs(1);

/// All workers, as stage 1 sees them.
pub(in crate::pipeline) struct Fleet {
    queue: Box<dyn Both>,
    crew: Crew,
    has_begun: bool,
    window: usize,
    /// That came before they were asked for.
    results: BTreeMap<usize, String>,
    /// Of trials that were lost before this scheduler began.
    lost_before: BTreeMap<usize, u64>,
    checked: Instant,
    out: PathBuf,
    /// As a worker is told of it.
    study: String,
    elsewhere: usize,
}

/// How many threads a local worker has.
pub(in crate::pipeline) fn threads_of(workers: &Workers) -> usize {
    (threads() / workers.local.max(1)).max(1)
}

impl Fleet {
    /// The workers of a run whose study lies in `out`. They start when the first trial begins.
    pub fn new(workers: &Workers, out: &Path) -> Result<Self, Error> {
        let out = std::path::absolute(out).map_err(|source| Error::Output {
            path: out.into(),
            source,
        })?;
        let (study, password) = match &workers.storage {
            Some(url) => (without_password(url), password_in(url)),
            None => (out.display().to_string(), None),
        };
        let queue = place::open(workers.storage.as_ref().unwrap_or(&study))?;
        let threads = threads_of(workers);
        let launch = Launch {
            command: workers.launch.clone(),
            out: out.clone(),
            study: study.clone(),
            password,
            threads,
        };
        Ok(Fleet {
            queue,
            crew: Crew::new(launch, workers.local),
            study,
            has_begun: false,
            // While one is waited for, each of the others may end two.
            window: 2 * workers.all() - 1,
            results: BTreeMap::new(),
            lost_before: BTreeMap::new(),
            checked: Instant::now(),
            elsewhere: workers.elsewhere,
            out,
        })
    }

    /// Tells workers that there will be no more trials, and waits for the local ones.
    pub fn finish(self) -> Result<(), Error> {
        self.queue.set_closed(true)?;
        self.crew.leave();
        Ok(())
    }

    fn start(&mut self) -> Result<(), Error> {
        if !self.has_begun {
            self.queue.set_closed(false)?;
            let jobs = self.queue.jobs()?;
            self.lost_before = jobs.iter().map(|job| (job.number, job.losses)).collect();
            self.crew.start()?;
            self.has_begun = true;
        }
        Ok(())
    }

    /// Refuses a trial that workers die of.
    fn check_losses(&self) -> Result<(), Error> {
        for job in self.queue.jobs()? {
            let before = self.lost_before.get(&job.number).copied().unwrap_or(0);
            let losses = job.losses.saturating_sub(before);
            if losses >= MAX_LOSSES && job.standing != Standing::Finished {
                return Err(Error::TrialLost {
                    trial: job.number,
                    times: losses,
                });
            }
        }
        Ok(())
    }
}

impl Trials for Fleet {
    fn window(&self) -> usize {
        self.window
    }

    fn begin(&mut self, job: TrialJob) -> Result<(), Error> {
        self.start()?;
        let payload = Payload {
            parameters: job.parameters,
            seed: job.seed,
        };
        let trial = (job.number, serde_json::json!(payload).to_string());
        match self.queue.enqueue(&[trial]) {
            // Put in by an earlier scheduler on a machine that rounds otherwise: it stays.
            Err(StudyError::Final { .. }) => Ok(()),
            put_in => Ok(put_in?),
        }
    }

    fn end(
        &mut self,
        number: usize,
        message: String,
        observer: &mut dyn Observer,
    ) -> Result<TrialRecord, Error> {
        let mut looks = Looks::new();
        if self.elsewhere > 0 && number == 0 {
            observer.note(&format!(
                "trials wait for workers: bomf worker {}",
                self.study
            ));
        }
        loop {
            if let Some(result) = self.results.remove(&number) {
                self.crew.is_well();
                let record = serde_json::from_str::<TrialRecord>(&result);
                let record = record.map_err(|source| StudyError::Parse {
                    path: self.study.clone().into(),
                    line: source.line(),
                    source,
                })?;
                return Ok(TrialRecord { number, ..record });
            }
            if observer.interrupted() {
                return Err(Error::Interrupted {
                    out: self.out.clone(),
                    on_disk: vec!["trials.jsonl".into()],
                });
            }
            self.results.extend(self.queue.results(number)?);
            if self.results.contains_key(&number) {
                continue;
            }
            self.crew.look_after(&*self.queue, observer)?;
            if self.checked.elapsed() >= CHECK {
                self.check_losses()?;
                self.checked = Instant::now();
                let done = number as u64 * crate::pipeline::stage1::UNITS;
                observer.advance(crate::Phase::Tune, done, &message);
            }
            looks.wait();
        }
    }
}
