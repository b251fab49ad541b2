//! Evaluations on the select split: each written down, counted and told of.

use super::mixtures::{Mixtures, vertex};
use super::stage2::{beyond, planned};
use crate::recipe::Recipe;
use crate::{Error, Observer, Phase};
use bomf_study::{Event, Journal, MethodName, Scores, State};
use std::path::Path;
use std::time::Instant;

/// A mixture and its scores on the select split.
#[derive(Debug, Clone)]
pub(super) struct Evaluated {
    pub weights: Vec<f64>,
    pub scores: Scores,
    /// Mixtures that its method had evaluated by then, this one counted; 0 for a
    /// member.
    pub evaluation: usize,
}

/// What a member gives on the select split.
#[derive(Debug)]
pub(super) struct Member {
    pub outputs: Vec<f32>,
    /// `None` where an output is not finite.
    pub scores: Option<Scores>,
}

/// Evaluates mixtures for one method after another, and writes each down.
pub(super) struct Evaluator<'a, 'm> {
    pub mixtures: &'a mut Mixtures<'m>,
    pub journal: &'a mut Journal,
    pub observer: &'a mut dyn Observer,
    pub out: &'a Path,
    pub on_disk: &'a [String],
    done: u64,
    pub message: String,
}

impl<'a, 'm> Evaluator<'a, 'm> {
    /// Begins the phase.
    pub fn new(
        recipe: &Recipe,
        mixtures: &'a mut Mixtures<'m>,
        journal: &'a mut Journal,
        observer: &'a mut dyn Observer,
        out: &'a Path,
        on_disk: &'a [String],
    ) -> Self {
        let n = mixtures.members.len();
        observer.begin(Phase::Fuse, planned(n, n + 1, beyond(recipe, n)));
        Evaluator {
            mixtures,
            journal,
            observer,
            out,
            on_disk,
            done: 0,
            message: String::new(),
        }
    }

    fn stop_if_interrupted(&self) -> Result<(), Error> {
        match self.observer.interrupted() {
            false => Ok(()),
            true => Err(Error::Interrupted {
                out: self.out.into(),
                on_disk: self.on_disk.into(),
            }),
        }
    }

    /// Writes an evaluation down and counts it.
    fn record(
        &mut self,
        log: &mut Log,
        weights: &[f64],
        scores: Option<&Scores>,
        started: Instant,
    ) -> Result<(), Error> {
        self.journal.append(&Event::Stage2 {
            method: log.name.as_str().into(),
            evaluation: log.evaluations,
            weights: weights.to_vec(),
            state: match scores {
                Some(_) => State::Complete,
                None => State::Failed,
            },
            scores: scores.cloned().unwrap_or_default(),
            seconds: started.elapsed().as_secs_f64(),
        })?;
        log.evaluations += 1;
        self.done += 1;
        self.observer.advance(Phase::Fuse, self.done, &self.message);
        Ok(())
    }

    /// Every member by itself, written down as evaluations of the best checkpoint.
    pub fn members(&mut self) -> Result<Vec<Member>, Error> {
        let n = self.mixtures.members.len();
        let (scorer, select) = (self.mixtures.scorer, self.mixtures.select);
        let mut log = Log::new(MethodName::BestCheckpoint);
        let mut members = Vec::with_capacity(n);
        for i in 0..n {
            self.stop_if_interrupted()?;
            let started = Instant::now();
            let weights = vertex(i, n);
            let outputs = self.mixtures.outputs(&weights, select)?;
            let scores = scorer.scores(&outputs, &select.labels)?;
            self.record(&mut log, &weights, scores.as_ref(), started)?;
            self.mixtures.remember(weights, scores.clone());
            members.push(Member { outputs, scores });
        }
        Ok(members)
    }

    /// Scores of a mixture; counts it to `log` if it had to be computed.
    pub fn scores(&mut self, weights: &[f64], log: &mut Log) -> Result<Option<Scores>, Error> {
        self.stop_if_interrupted()?;
        let started = Instant::now();
        let (scores, computed) = self.mixtures.scores(weights)?;
        if computed {
            self.record(log, weights, scores.as_ref(), started)?;
        }
        if let Some(scores) = &scores {
            log.all.push(Evaluated {
                weights: weights.to_vec(),
                scores: scores.clone(),
                evaluation: log.evaluations,
            });
        }
        Ok(scores)
    }
}

/// What one method has done so far.
pub(super) struct Log {
    pub name: MethodName,
    pub started: Instant,
    pub all: Vec<Evaluated>,
    pub evaluations: usize,
}

impl Log {
    pub fn new(name: MethodName) -> Self {
        Log {
            name,
            started: Instant::now(),
            all: Vec::new(),
            evaluations: 0,
        }
    }
}
