//! A study that ends with the process.

use super::Storage;
use super::records::{EvaluatedSplit, EvaluationRecord, FinetuneRecord, RungValue, TrialRecord};
use crate::StudyError;
use crate::queue::Jobs;
use indexmap::IndexMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Keeps a study in memory: for tests, and for work that leaves no study behind.
#[derive(Debug, Default)]
pub struct Memory {
    kept: Mutex<Kept>,
    jobs: Mutex<Jobs>,
}

#[derive(Debug, Default)]
struct Kept {
    facts: IndexMap<String, String>,
    trials: BTreeMap<usize, TrialRecord>,
    /// Trials and what they were worth, by rung.
    rungs: BTreeMap<usize, Vec<(usize, f64)>>,
    finetune: BTreeMap<usize, FinetuneRecord>,
    evaluations: IndexMap<(EvaluatedSplit, Vec<u64>), EvaluationRecord>,
}

/// Weights by their bits.
fn key(split: EvaluatedSplit, weights: &[f64]) -> (EvaluatedSplit, Vec<u64>) {
    (split, weights.iter().map(|w| w.to_bits()).collect())
}

fn is_final(what: impl Into<String>) -> Result<(), StudyError> {
    Err(StudyError::Final { what: what.into() })
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What [`crate::Queue`] keeps.
    pub(crate) fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage for Memory {
    fn facts(&self) -> Result<IndexMap<String, String>, StudyError> {
        Ok(self.lock().facts.clone())
    }

    fn add_facts(&self, facts: &IndexMap<String, String>) -> Result<(), StudyError> {
        let mut kept = self.lock();
        if let Some(name) = facts.keys().find(|name| kept.facts.contains_key(*name)) {
            return is_final(format!("the fact {name}"));
        }
        kept.facts.extend(facts.clone());
        Ok(())
    }

    fn trials(&self) -> Result<Vec<TrialRecord>, StudyError> {
        Ok(self.lock().trials.values().cloned().collect())
    }

    fn add_trials(&self, trials: &[TrialRecord]) -> Result<(), StudyError> {
        let mut kept = self.lock();
        let mut numbers = BTreeSet::new();
        for TrialRecord { number, .. } in trials {
            if kept.trials.contains_key(number) || !numbers.insert(*number) {
                return is_final(format!("trial {number}"));
            }
        }
        let trials = trials.iter().map(|trial| (trial.number, trial.clone()));
        kept.trials.extend(trials);
        Ok(())
    }

    fn reach(&self, rung: usize, trial: usize, value: f64) -> Result<Vec<f64>, StudyError> {
        let mut kept = self.lock();
        let rung = kept.rungs.entry(rung).or_default();
        let known = rung.iter().position(|(number, _)| *number == trial);
        let place = known.unwrap_or_else(|| {
            rung.push((trial, value));
            rung.len() - 1
        });
        Ok(rung[..=place].iter().map(|(_, value)| *value).collect())
    }

    fn rungs(&self) -> Result<Vec<RungValue>, StudyError> {
        let kept = self.lock();
        let of = |(rung, came): (&usize, &Vec<(usize, f64)>)| -> Vec<RungValue> {
            let value = |&(trial, value): &(usize, f64)| RungValue {
                rung: *rung,
                trial,
                value,
            };
            came.iter().map(value).collect()
        };
        Ok(kept.rungs.iter().flat_map(of).collect())
    }

    fn finetune(&self, number: usize) -> Result<Option<FinetuneRecord>, StudyError> {
        Ok(self.lock().finetune.get(&number).cloned())
    }

    fn add_finetune(&self, run: &FinetuneRecord) -> Result<(), StudyError> {
        let mut kept = self.lock();
        if kept.finetune.contains_key(&run.number) {
            return is_final(format!("fine-tuning run {}", run.number));
        }
        kept.finetune.insert(run.number, run.clone());
        Ok(())
    }

    fn evaluation(
        &self,
        split: EvaluatedSplit,
        weights: &[f64],
    ) -> Result<Option<EvaluationRecord>, StudyError> {
        Ok(self.lock().evaluations.get(&key(split, weights)).cloned())
    }

    fn evaluations(&self, split: EvaluatedSplit) -> Result<Vec<EvaluationRecord>, StudyError> {
        let kept = self.lock();
        let own = kept.evaluations.values().filter(|e| e.split == split);
        let without = own.map(|e| EvaluationRecord {
            outputs: Vec::new(),
            ..e.clone()
        });
        Ok(without.collect())
    }

    fn add_evaluation(&self, evaluation: &EvaluationRecord) -> Result<(), StudyError> {
        let mut kept = self.lock();
        let key = key(evaluation.split, &evaluation.weights);
        if kept.evaluations.contains_key(&key) {
            return is_final(format!("the evaluation of {:?}", evaluation.weights));
        }
        kept.evaluations.insert(key, evaluation.clone());
        Ok(())
    }
}
