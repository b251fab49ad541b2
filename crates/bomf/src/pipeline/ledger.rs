//! The ledger of a run: whatever was paid for is entered before the run goes on, and is
//! given back in place of paying again.
//!
//! The pipeline is deterministic. A run that was killed is therefore run again from its
//! beginning, asks for the same trials, the same training run and the same mixtures, and
//! finds in the ledger what it had come to: it differs from an undisturbed run in nothing
//! but times. What must be the same for that (recipe, model, data, version, threads) is
//! entered first, see [`super::identity`], and compared when a run goes on.

use super::identity;
use super::source::Measured;
use super::workers::place;
use crate::output::{take_output, tidy};
use crate::{Error, Recipe, Workers};
use bomf_study::{
    EvaluatedSplit, EvaluationRecord, Event, FinetuneRecord, FolderLock, Journal, Memory, State,
    Storage, StudyError, TrialRecord,
};
use indexmap::IndexMap;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The journal that people read, and the study that a run can go on from.
#[derive(Debug)]
pub(super) struct Ledger {
    journal: Journal,
    /// `None` where nothing is to go on.
    study: Option<Arc<dyn Storage>>,
    trials: BTreeMap<usize, TrialRecord>,
    /// Wall-clock time of everything that was given back.
    seconds: f64,
    is_resumed: bool,
    _lock: Option<FolderLock>,
}

/// What is entered of an evaluation, which failed where nothing was measured.
pub(super) fn entry(
    split: EvaluatedSplit,
    method: &str,
    weights: &[f64],
    measured: Option<&Measured>,
    outputs: Vec<f32>,
    seconds: f64,
) -> EvaluationRecord {
    EvaluationRecord {
        split,
        method: method.into(),
        weights: weights.to_vec(),
        state: match measured {
            Some(_) => State::Complete,
            None => State::Failed,
        },
        scores: measured.map(|m| m.scores.clone()).unwrap_or_default(),
        std_errors: measured.map(|m| m.std_errors.clone()).unwrap_or_default(),
        outputs,
        seconds,
    }
}

/// The name of the journal in an output folder.
const JOURNAL: &str = "trials.jsonl";

/// How a run begins.
#[derive(Debug)]
pub(super) enum Start {
    /// In a folder that is taken for it.
    New,
    /// Where it was stopped.
    Resumed(Unfinished),
}

/// A study that was opened to go on.
#[derive(Debug)]
pub(super) struct Unfinished {
    pub study: Box<dyn Storage>,
    pub lock: FolderLock,
}

impl Ledger {
    /// Takes the output folder and begins a ledger in it, or goes on in it, whichever
    /// `start` says; `facts` is what the run is of, and `workers` who helps.
    ///
    /// # Errors
    /// [`Error::OtherStudy`] where a run that goes on was of something else, and whatever
    /// keeps the folder from being taken.
    pub fn begin(
        out: &Path,
        start: Start,
        overwrite: bool,
        workers: Option<&Workers>,
        recipe: &Recipe,
        facts: &IndexMap<String, String>,
    ) -> Result<Self, Error> {
        match start {
            Start::New => Self::create(out, overwrite, workers, recipe, facts),
            Start::Resumed(unfinished) => {
                identity::check(&unfinished.study.facts()?, facts)?;
                tidy(out)?;
                Self::resume(out, unfinished)
            }
        }
    }

    fn create(
        out: &Path,
        overwrite: bool,
        workers: Option<&Workers>,
        recipe: &Recipe,
        facts: &IndexMap<String, String>,
    ) -> Result<Self, Error> {
        place::check(workers, overwrite)?;
        let lock = take_output(out, overwrite, recipe)?;
        let journal = Journal::create(&out.join(JOURNAL))?;
        let study = place::begin(out, workers, overwrite)?;
        study.add_facts(facts)?;
        Ok(Ledger {
            journal,
            study: Some(study.into()),
            trials: BTreeMap::new(),
            seconds: 0.0,
            is_resumed: false,
            _lock: Some(lock),
        })
    }

    fn resume(out: &Path, unfinished: Unfinished) -> Result<Self, Error> {
        let Unfinished { study, lock } = unfinished;
        let journal = Journal::resume(&out.join(JOURNAL))?;
        let trials = study.trials()?;
        Ok(Ledger {
            journal,
            study: Some(study.into()),
            trials: trials.into_iter().map(|t| (t.number, t)).collect(),
            seconds: 0.0,
            is_resumed: true,
            _lock: Some(lock),
        })
    }

    /// A journal alone, for what cannot go on.
    pub fn of_journal(out: &Path) -> Result<Self, Error> {
        Self::of_file(&out.join(JOURNAL))
    }

    /// As [`Ledger::of_journal`], in a file of any name.
    pub fn of_file(path: &Path) -> Result<Self, Error> {
        Ok(Ledger {
            journal: Journal::create(path)?,
            study: None,
            trials: BTreeMap::new(),
            seconds: 0.0,
            is_resumed: false,
            _lock: None,
        })
    }

    /// The study; where nothing is to go on, one that ends with the process.
    pub fn study(&self) -> Arc<dyn Storage> {
        match &self.study {
            Some(study) => study.clone(),
            None => Arc::new(Memory::default()),
        }
    }

    /// Whether the run goes on from an earlier one.
    pub fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// Wall-clock time that what was given back so far had taken.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Writes a line for people to read. What it tells of must be entered by then.
    pub fn append(&mut self, event: &Event) -> Result<(), Error> {
        Ok(self.journal.append(event)?)
    }

    /// A trial that is finished already.
    pub fn trial(&mut self, number: usize) -> Option<TrialRecord> {
        let trial = self.trials.get(&number).cloned();
        self.seconds += trial.as_ref().map_or(0.0, |trial| trial.seconds);
        trial
    }

    /// Whether a trial gave scores before the run was resumed.
    pub fn has_trained(&self) -> bool {
        let mut trials = self.trials.values();
        trials.any(|trial| trial.state != State::Failed)
    }

    /// Enters a finished trial.
    pub fn add_trial(&mut self, trial: &TrialRecord) -> Result<(), Error> {
        match &self.study {
            Some(study) => Ok(study.add_trial(trial)?),
            None => Ok(()),
        }
    }

    /// A fine-tuning run by its number, from 1, where it is complete.
    pub fn finetune(&mut self, number: usize) -> Result<Option<FinetuneRecord>, Error> {
        let Some(study) = &self.study else {
            return Ok(None);
        };
        let run = study.finetune(number)?;
        self.seconds += run.as_ref().map_or(0.0, |run| run.seconds);
        Ok(run)
    }

    /// Enters a complete fine-tuning run.
    pub fn add_finetune(&mut self, run: &FinetuneRecord) -> Result<(), Error> {
        match &self.study {
            Some(study) => Ok(study.add_finetune(run)?),
            None => Ok(()),
        }
    }

    /// An evaluation that was made already.
    pub fn evaluation(
        &mut self,
        split: EvaluatedSplit,
        weights: &[f64],
    ) -> Result<Option<EvaluationRecord>, Error> {
        // A run that did not go on asks for nothing twice.
        let Some(study) = self.study.as_ref().filter(|_| self.is_resumed) else {
            return Ok(None);
        };
        let evaluation = study.evaluation(split, weights)?;
        self.seconds += evaluation.as_ref().map_or(0.0, |e| e.seconds);
        Ok(evaluation)
    }

    /// Enters an evaluation; `record` is asked for it only where it is kept.
    pub fn add_evaluation(
        &mut self,
        record: impl FnOnce() -> EvaluationRecord,
    ) -> Result<(), Error> {
        match &self.study {
            Some(study) => match study.add_evaluation(&record()) {
                // Measured again on purpose: the first one stays.
                Err(StudyError::Final { .. }) => Ok(()),
                added => Ok(added?),
            },
            None => Ok(()),
        }
    }
}
