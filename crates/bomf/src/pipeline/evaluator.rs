//! Evaluations on the select split: each written down, counted, remembered and told of.

use super::basin;
use super::blocks::{Written, written};
use super::goals::Goals;
use super::ledger::{Ledger, entry};
use super::mixtures::vertex;
use super::outputs::Modelled;
use super::source::{Measured, Source};
use super::stage2::{at_most, planned};
use crate::recipe::Recipe;
use crate::{Error, Observer, Phase};
use bomf_study::{EvaluatedSplit, EvaluationRecord, Event, MethodName, Scores, State};
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
    pub journal: &'a mut Ledger,
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
        journal: &'a mut Ledger,
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
        seconds: f64,
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
            seconds,
        })?;
        log.evaluations += 1;
        self.done += 1;
        self.observer.advance(Phase::Fuse, self.done, &self.message);
        Ok(())
    }

    /// Measures a mixture, known within this run or not, and writes that down. One that was
    /// measured before the run was resumed is not paid for again.
    pub fn measure(&mut self, weights: &[f64], log: &mut Log) -> Result<Option<Measured>, Error> {
        self.stop_if_interrupted()?;
        let known = self.journal.evaluation(EvaluatedSplit::Select, weights)?;
        let measured = match known {
            Some(known) => {
                let seconds = known.seconds;
                log.known_seconds += seconds;
                let measured = self.recalled(known);
                let scores = measured.as_ref().map(|m| &m.scores);
                self.record(log, weights, scores, seconds)?;
                measured
            }
            None => self.pay(weights, log)?,
        };
        let remembered = measured.as_ref().map(|m| Measured {
            outputs: Vec::new(),
            ..m.clone()
        });
        self.known.push((weights.to_vec(), remembered));
        Ok(measured)
    }

    /// What an evaluation that was made before had come to.
    fn recalled(&mut self, known: EvaluationRecord) -> Option<Measured> {
        let has_worked = known.state == State::Complete;
        self.source.recalled(has_worked);
        if !has_worked {
            return None;
        }
        let measured = Measured {
            scores: known.scores,
            std_errors: known.std_errors,
            ..Measured::default()
        };
        if !has_outputs(&known.method) {
            return Some(Measured {
                modelled: known.outputs.into(),
                ..measured
            });
        }
        let objectives = self.source.output_objectives();
        let modelled = objectives.map(|objectives| objectives.modelled(&known.outputs));
        Some(Measured {
            modelled: modelled.unwrap_or_default(),
            outputs: known.outputs,
            ..measured
        })
    }

    fn pay(&mut self, weights: &[f64], log: &mut Log) -> Result<Option<Measured>, Error> {
        let started = Instant::now();
        let observer = &*self.observer;
        let measured = match self.source.measure(weights, &|| observer.interrupted()) {
            Ok(measured) => measured,
            // What an interruption broke off is no fault.
            Err(error) => return self.stop_if_interrupted().and(Err(error)),
        };
        let seconds = started.elapsed().as_secs_f64();
        self.journal.add_evaluation(|| {
            // All that is needed again.
            let outputs = match &measured {
                Some(m) if has_outputs(log.label) => m.outputs.clone(),
                Some(m) => m.modelled.to_vec(),
                None => Vec::new(),
            };
            let split = EvaluatedSplit::Select;
            let known = measured.as_ref();
            entry(split, log.label, weights, known, outputs, seconds)
        })?;
        let scores = measured.as_ref().map(|m| &m.scores);
        self.record(log, weights, scores, seconds)?;
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

/// Whether the outputs of what a method measures are needed again in full: those of members,
/// and those between them. Of others what is modelled is enough.
fn has_outputs(label: &str) -> bool {
    label == MethodName::BestCheckpoint.as_str() || label == basin::LABEL
}

/// What one method has done so far.
pub(super) struct Log {
    pub name: MethodName,
    /// What stands for it in `trials.jsonl`.
    pub label: &'static str,
    pub started: Instant,
    pub all: Vec<Evaluated>,
    pub evaluations: usize,
    /// Wall-clock time of what was given back rather than evaluated.
    pub known_seconds: f64,
}

impl Log {
    pub fn new(name: MethodName) -> Self {
        Log {
            name,
            label: name.as_str(),
            started: Instant::now(),
            all: Vec::new(),
            evaluations: 0,
            known_seconds: 0.0,
        }
    }
}
