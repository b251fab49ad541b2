//! A mixture through a program: fused to a folder, evaluated, deleted; every word of the
//! program in a log.

use super::candidate::{Checkpoints, Durability};
use super::{EvaluatorFault as Fault, LOG, metrics, process};
use crate::Error;
use crate::output::CANDIDATES;
use crate::pipeline::evaluator::Evaluated;
use crate::pipeline::goals::Goals;
use crate::pipeline::source::{Measured, Source};
use crate::recipe::{CommandLine, ExternalEvaluator};
use rand_chacha::ChaCha8Rng;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// So much of what a program printed stands in the log where its metrics could not be read.
const SHOWN: usize = 4096;

/// Evaluates mixtures by a command line.
pub(in crate::pipeline) struct Program<'a> {
    command: &'a CommandLine,
    timeout: Duration,
    retries: usize,
    checkpoints: &'a Checkpoints,
    goals: &'a Goals,
    /// The output folder.
    out: &'a Path,
    log: PathBuf,
    evaluations: usize,
    /// Whether it has given metrics once: before that, a failure is the command line's.
    has_worked: bool,
}

impl<'a> Program<'a> {
    pub fn new(
        command: &'a CommandLine,
        evaluator: &ExternalEvaluator,
        checkpoints: &'a Checkpoints,
        goals: &'a Goals,
        out: &'a Path,
    ) -> Self {
        Program {
            command,
            timeout: Duration::from_secs_f64(evaluator.timeout),
            retries: evaluator.retries,
            checkpoints,
            goals,
            out,
            log: out.join(LOG),
            evaluations: 0,
            has_worked: false,
        }
    }

    fn failed(&self, source: std::io::Error) -> Error {
        Error::Output {
            path: self.log.clone(),
            source,
        }
    }

    fn open_log(&self) -> Result<File, Error> {
        let log = File::options().create(true).append(true).open(&self.log);
        log.map_err(|source| self.failed(source))
    }

    fn say(&self, text: &str) -> Result<(), Error> {
        let line = format!("== {text}\n");
        let said = self.open_log()?.write_all(line.as_bytes());
        said.map_err(|source| self.failed(source))
    }

    /// Evaluates the model in a folder, with the tries that are left to it.
    fn evaluate(
        &self,
        model: &Path,
        scratch: &Path,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Result<Measured, Fault>, Error> {
        let mut attempt = 0;
        loop {
            let started = Instant::now();
            let found = self.attempt(model, scratch, attempt, interrupted)?;
            let seconds = started.elapsed().as_secs_f64();
            match &found {
                Ok(measured) => {
                    let scores: Vec<String> = measured
                        .scores
                        .iter()
                        .map(|(name, value)| format!("{name} {value}"))
                        .collect();
                    self.say(&format!("{} in {seconds:.1} s", scores.join(", ")))?;
                }
                Err(fault) => self.say(&format!("failed after {seconds:.1} s: {fault}"))?,
            }
            match found {
                Err(fault) if fault.may_pass() && attempt < self.retries => attempt += 1,
                found => return Ok(found),
            }
        }
    }

    fn attempt(
        &self,
        model: &Path,
        scratch: &Path,
        attempt: usize,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Result<Measured, Fault>, Error> {
        // Each has its own places: what a failed one left is not taken for an outcome.
        let output = scratch.join(format!("output-{attempt}"));
        let printed = scratch.join(format!("stdout-{attempt}"));
        let words = self.command.words(model, &output);
        let shown: Vec<_> = words.iter().map(|w| w.to_string_lossy()).collect();
        let try_again = match attempt {
            0 => String::new(),
            more => format!(", try {}", more + 1),
        };
        let number = self.evaluations;
        self.say(&format!(
            "evaluation {number}{try_again}: {}",
            shown.join(" ")
        ))?;
        let stdout = File::create(&printed).map_err(|source| self.failed(source))?;
        let stderr = self.open_log()?;
        if let Err(fault) = process::run(
            &words,
            &[],
            stdout,
            stderr,
            self.timeout,
            &|_| {},
            interrupted,
        ) {
            return Ok(Err(fault));
        }
        let goals = self.goals.objectives.iter();
        let objectives: Vec<&str> = goals.map(|o| o.name.as_str()).collect();
        if self.command.writes_output() {
            return Ok(metrics::measured_at(&output, &objectives));
        }
        let text = match metrics::text_of(&printed) {
            Ok(text) => text,
            Err(fault) => return Ok(Err(fault)),
        };
        let measured = metrics::measured(&text, &objectives);
        if measured.is_err() {
            let mut from = text.len().saturating_sub(SHOWN);
            while !text.is_char_boundary(from) {
                from += 1;
            }
            self.say(&format!("stdout: {}", text[from..].trim_end()))?;
        }
        Ok(measured)
    }
}

impl Source for Program<'_> {
    fn len(&self) -> usize {
        self.checkpoints.len()
    }

    /// A member by itself is evaluated where it lies; a mixture in a folder of the output
    /// that goes away with its evaluation.
    fn measure(
        &mut self,
        weights: &[f64],
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Option<Measured>, Error> {
        self.evaluations += 1;
        let scratch = tempfile::Builder::new()
            .prefix(CANDIDATES)
            .tempdir_in(self.out)
            .map_err(|source| Error::Output {
                path: self.out.into(),
                source,
            })?;
        let alone = weights.iter().position(|w| *w == 1.0);
        let model = match alone {
            Some(member) => self.checkpoints.folders()[member].clone(),
            None => {
                let model = scratch.path().join("model");
                self.checkpoints
                    .write(weights, &model, Durability::Scratch, interrupted)?;
                model
            }
        };
        match self.evaluate(&model, scratch.path(), interrupted)? {
            Ok(measured) => {
                self.has_worked = true;
                Ok(Some(measured))
            }
            // That is the model's fault.
            Err(Fault::NotFinite { .. }) => Ok(None),
            Err(fault) => match self.has_worked && !fault.is_final() {
                true => Ok(None),
                false => Err(Error::Evaluator {
                    fault,
                    log: self.log.clone(),
                }),
            },
        }
    }

    fn recalled(&mut self, has_worked: bool) {
        self.evaluations += 1;
        self.has_worked |= has_worked;
    }

    fn chosen_std_error(
        &mut self,
        evaluated: &Evaluated,
        _rng: &mut ChaCha8Rng,
    ) -> Result<Option<f64>, Error> {
        let chosen = &self.goals.objectives[self.goals.chosen];
        Ok(evaluated.std_errors.get(&chosen.name).copied())
    }
}
