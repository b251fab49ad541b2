//! Evaluations on the select split: each written down, counted, remembered and told of.

use super::blocks::{Written, written};
use super::goals::Goals;
use super::mixtures::vertex;
use super::outputs::Modelled;
use super::source::{Measured, Source};
use super::stage2::{at_most, planned};
use crate::recipe::Recipe;
use crate::{Error, Observer, Phase};
use bomf_study::{Event, Journal, MethodName, Scores, State};
use std::path::Path;
use std::time::Instant;

/// A mixture and its scores on the select split.
#[derive(Debug, Clone)]
pub(super) struct Evaluated {
    /// One a member, or as many a block ([`super::blocks`]).
    pub weights: Vec<f64>,
    pub scores: Scores,
    /// Standard errors of the scores, where the evaluator knows them.
    pub std_errors: Scores,
    /// What a surrogate of the outputs models; empty where there is none.
    pub modelled: Modelled,
    /// Mixtures that its method had evaluated by then, this one counted; 0 for a
    /// member.
    pub evaluation: usize,
}

/// What a member gives on the select split.
#[derive(Debug)]
pub(super) struct Member {
    /// Empty where they are not finite, or the source has none.
    pub outputs: Vec<f32>,
    /// `None` where a score is not finite.
    pub scores: Option<Scores>,
    /// Standard errors of the scores, where the evaluator knows them.
    pub std_errors: Scores,
    /// What a surrogate of the outputs models; empty where there is none.
    pub modelled: Modelled,
}

/// Evaluates mixtures for one method after another, and writes each down.
pub(super) struct Evaluator<'a> {
    pub source: &'a mut dyn Source,
    pub goals: &'a Goals,
    pub journal: &'a mut Journal,
    pub observer: &'a mut dyn Observer,
    pub out: &'a Path,
    pub on_disk: &'a [String],
    done: u64,
    pub message: String,
    /// What was measured (without outputs), so that nothing is paid twice.
    known: Vec<(Vec<f64>, Option<Measured>)>,
}

impl<'a> Evaluator<'a> {
    /// Begins the phase.
    pub fn new(
        recipe: &Recipe,
        source: &'a mut dyn Source,
        goals: &'a Goals,
        journal: &'a mut Journal,
        observer: &'a mut dyn Observer,
        out: &'a Path,
        on_disk: &'a [String],
    ) -> Self {
        let n = source.len();
        let total = planned(n, n + 1, at_most(recipe, n), source.is_compared());
        observer.begin(Phase::Fuse, total);
        Evaluator {
            source,
            goals,
            journal,
            observer,
            out,
            on_disk,
            done: 0,
            message: String::new(),
            known: Vec::new(),
        }
    }

    pub fn stop_if_interrupted(&self) -> Result<(), Error> {
        match self.observer.interrupted() {
            false => Ok(()),
            true => Err(Error::Interrupted {
                out: self.out.into(),
                on_disk: self.on_disk.into(),
            }),
        }
    }

    /// Begins the phase again, for about so many evaluations more.
    pub fn expect(&mut self, more: u64) {
        self.message.clear();
        self.observer.begin(Phase::Fuse, self.done + more);
    }

    /// Writes an evaluation down and counts it; what is no mixture has no weights.
    pub fn record(
        &mut self,
        log: &mut Log,
        weights: &[f64],
        scores: Option<&Scores>,
        started: Instant,
    ) -> Result<(), Error> {
        let Written {
            weights,
            block_weights,
        } = written(weights, self.source.len(), self.source.blocks());
        self.journal.append(&Event::Stage2 {
            method: log.label.into(),
            evaluation: log.evaluations,
            weights,
            block_weights,
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

    /// Measures a mixture, known or not, and writes that down.
    pub fn measure(&mut self, weights: &[f64], log: &mut Log) -> Result<Option<Measured>, Error> {
        self.stop_if_interrupted()?;
        let started = Instant::now();
        let observer = &*self.observer;
        let measured = match self.source.measure(weights, &|| observer.interrupted()) {
            Ok(measured) => measured,
            // What an interruption broke off is no fault.
            Err(error) => return self.stop_if_interrupted().and(Err(error)),
        };
        let scores = measured.as_ref().map(|m| &m.scores);
        self.record(log, weights, scores, started)?;
        let remembered = measured.as_ref().map(|m| Measured {
            outputs: Vec::new(),
            ..m.clone()
        });
        self.known.push((weights.to_vec(), remembered));
        Ok(measured)
    }

    /// Every member by itself, written down as evaluations of the best checkpoint.
    pub fn members(&mut self) -> Result<Vec<Member>, Error> {
        let n = self.source.len();
        let mut log = Log::new(MethodName::BestCheckpoint);
        let mut members = Vec::with_capacity(n);
        for i in 0..n {
            let measured = self.measure(&vertex(i, n), &mut log)?;
            members.push(match measured {
                Some(measured) => Member {
                    outputs: measured.outputs,
                    scores: Some(measured.scores),
                    std_errors: measured.std_errors,
                    modelled: measured.modelled,
                },
                None => Member {
                    outputs: Vec::new(),
                    scores: None,
                    std_errors: Scores::new(),
                    modelled: Modelled::default(),
                },
            });
        }
        Ok(members)
    }

    /// Scores of a mixture; counts it to `log` if it had to be computed. What gave
    /// scores is the last of the log's `all` then.
    pub fn scores(&mut self, weights: &[f64], log: &mut Log) -> Result<Option<Scores>, Error> {
        let known = self.known.iter().find(|(known, _)| known == weights);
        let measured = match known {
            Some((_, measured)) => {
                self.stop_if_interrupted()?;
                measured.clone()
            }
            None => self.measure(weights, log)?,
        };
        Ok(measured.map(|measured| {
            log.all.push(Evaluated {
                weights: weights.to_vec(),
                scores: measured.scores.clone(),
                std_errors: measured.std_errors,
                modelled: measured.modelled,
                evaluation: log.evaluations,
            });
            measured.scores
        }))
    }
}

/// What one method has done so far.
pub(super) struct Log {
    pub name: MethodName,
    /// What stands for it in `trials.jsonl`.
    pub label: &'static str,
    pub started: Instant,
    pub all: Vec<Evaluated>,
    pub evaluations: usize,
}

impl Log {
    pub fn new(name: MethodName) -> Self {
        Log {
            name,
            label: name.as_str(),
            started: Instant::now(),
            all: Vec::new(),
            evaluations: 0,
        }
    }
}
