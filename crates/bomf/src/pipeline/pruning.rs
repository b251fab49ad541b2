//! Trials of stage 1 that are not trained to their end, for others were better at the same point
//! ([`SuccessiveHalving`]).
//!
//! A trial that comes to a rung enters what it is worth in the study, and is told what all those
//! were worth that had come there before it. That list never changes, and the rule looks at
//! nothing else: whoever comes to the rung with this trial again, after a kill or as another
//! worker, decides as before.

use crate::{Error, Recipe};
use bomf_bo::strategy::SuccessiveHalving;
use bomf_study::{State, Storage, TrialRecord};
use std::cmp::Ordering;

/// Who may stop trials early, and where they are compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pruner<'a> {
    /// `None` stops none.
    rule: Option<SuccessiveHalving>,
    study: &'a dyn Storage,
}

impl<'a> Pruner<'a> {
    pub fn new(recipe: &Recipe, study: &'a dyn Storage) -> Self {
        Pruner {
            rule: recipe.stage1.pruning,
            study,
        }
    }

    /// Whether it may stop any.
    pub fn is_on(&self) -> bool {
        self.rule.is_some()
    }

    /// Follows a trial from its beginning.
    pub fn follow(self, trial: usize) -> Climb<'a> {
        Climb {
            pruner: self,
            trial,
            passed: 0,
        }
    }
}

/// A trial on its way.
#[derive(Debug)]
pub(super) struct Climb<'a> {
    pruner: Pruner<'a>,
    trial: usize,
    /// Rungs that it has passed.
    passed: usize,
}

impl Climb<'_> {
    /// Whether the trial is to end here: at a share of its training, where its best evaluation so
    /// far is worth `best`. One that has come to its end anyway is compared with nobody.
    pub fn is_hopeless(&mut self, share: f64, best: f64) -> Result<bool, Error> {
        let Some(rule) = self.pruner.rule.filter(|_| share < 1.0) else {
            return Ok(false);
        };
        while self.passed < rule.reached(share) {
            let seen = self.pruner.study.reach(self.passed, self.trial, best)?;
            if !rule.goes_on(&seen) {
                return Ok(true);
            }
            self.passed += 1;
        }
        Ok(false)
    }
}

/// What the search is told of a finished trial, with `complete` the numbers and values of those
/// that it was told of before and that came to their end.
///
/// A trial that ended early is known at its last rung alone, where all trials are worth less than
/// in the end: told as it stands, it would look far worse than one like it that went on, and the
/// model would see a cliff where there is none. So it is told with the median gain from that rung
/// to the end, over the complete trials that passed it; but never as better than the best of
/// these, to which it had fallen behind.
pub(super) fn told(
    study: &dyn Storage,
    complete: &[(usize, f64)],
    trial: &TrialRecord,
) -> Result<Option<f64>, Error> {
    let (State::Pruned, Some(value)) = (trial.state, trial.value) else {
        return Ok(trial.value);
    };
    let rungs = study.rungs()?;
    let own = rungs.iter().filter(|entry| entry.trial == trial.number);
    let last = own.map(|entry| entry.rung).max();
    let at = |number: usize| {
        let mut entries = rungs.iter();
        entries.find(|entry| Some(entry.rung) == last && entry.trial == number)
    };
    let passed: Vec<(f64, f64)> = complete
        .iter()
        .filter_map(|&(number, end)| Some((at(number)?.value, end)))
        .collect();
    Ok(Some(expected(value, &passed)))
}

/// The value that a trial would end with, going by those that `passed` its rung: their values
/// there and in the end.
fn expected(value: f64, passed: &[(f64, f64)]) -> f64 {
    let compare = |a: &f64, b: &f64| a.partial_cmp(b).unwrap_or(Ordering::Equal);
    let mut gains: Vec<f64> = passed.iter().map(|(there, end)| end - there).collect();
    gains.retain(|gain| gain.is_finite());
    gains.sort_by(compare);
    // Of two in the middle the smaller.
    let Some(gain) = gains.get(gains.len().saturating_sub(1) / 2) else {
        return value;
    };
    let best = passed.iter().map(|(_, end)| *end).max_by(compare);
    (value + gain).min(best.unwrap_or(value)).max(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bomf_study::Memory;

    fn recipe(pruning: &str) -> Recipe {
        Recipe::from_yaml(&format!("stage1: {{pruning: {pruning}}}"), "").unwrap()
    }

    #[test]
    fn a_trial_is_compared_at_each_rung_that_it_passes_and_again_comes_to_the_same() {
        let recipe = recipe("{factor: 2, first: 0.25}");
        let study = Memory::default();
        let pruner = Pruner::new(&recipe, &study);
        let mut first = pruner.follow(0);
        assert!(!first.is_hopeless(0.2, 0.9).unwrap(), "no rung yet");
        // Two rungs at once.
        assert!(!first.is_hopeless(0.6, 0.5).unwrap());
        let mut second = pruner.follow(1);
        assert!(second.is_hopeless(0.3, 0.4).unwrap());
        let mut third = pruner.follow(2);
        assert!(!third.is_hopeless(0.3, 0.6).unwrap());
        assert!(third.is_hopeless(0.5, 0.4).unwrap());
        // As after a kill, whatever it would be worth now.
        assert!(pruner.follow(1).is_hopeless(0.3, 9.0).unwrap());
        let mut again = pruner.follow(2);
        assert!(!again.is_hopeless(0.3, 0.0).unwrap());
        assert!(again.is_hopeless(0.5, 9.0).unwrap());
    }

    #[test]
    fn a_trial_that_ended_early_is_told_with_the_gain_of_those_that_went_on() {
        let two = [(0.5, 0.75), (0.25, 1.0)];
        assert_eq!(expected(0.25, &two), 0.5, "the smaller of two gains");
        assert_eq!(expected(0.25, &[(0.5, 0.75); 3]), 0.5);
        assert_eq!(expected(0.625, &[(0.5, 0.75)]), 0.75, "no better than they");
        assert_eq!(expected(0.8, &[(0.5, 0.75)]), 0.8, "no worse than it was");
        assert_eq!(expected(0.25, &[]), 0.25);
        assert_eq!(expected(0.25, &[(f64::NEG_INFINITY, 0.75)]), 0.25);

        let study = Memory::default();
        study.reach(0, 0, 0.5).unwrap();
        study.reach(0, 1, 0.25).unwrap();
        study.reach(1, 0, 0.625).unwrap();
        let mut trial = TrialRecord {
            number: 1,
            parameters: Default::default(),
            state: State::Pruned,
            scores: Default::default(),
            value: Some(0.25),
            step: 1,
            curve: Vec::new(),
            seconds: 0.0,
        };
        // Trial 7 came to no rung.
        let complete = [(7, 9.0), (0, 0.75)];
        assert_eq!(told(&study, &complete, &trial).unwrap(), Some(0.5));
        assert_eq!(told(&study, &[], &trial).unwrap(), Some(0.25));
        trial.state = State::Complete;
        assert_eq!(told(&study, &complete, &trial).unwrap(), Some(0.25));
        (trial.state, trial.value) = (State::Failed, None);
        assert_eq!(told(&study, &complete, &trial).unwrap(), None);
    }

    #[test]
    fn a_trial_at_its_end_is_left_alone_and_none_is_compared_with_it() {
        let recipe = recipe("{factor: 2, first: 0.5}");
        let study = Memory::default();
        let pruner = Pruner::new(&recipe, &study);
        // It has no evaluation before its end.
        assert!(!pruner.follow(0).is_hopeless(1.0, 9.0).unwrap());
        assert!(!pruner.follow(1).is_hopeless(0.5, 0.5).unwrap());
        assert!(!pruner.follow(2).is_hopeless(1.0, 0.0).unwrap());
        assert_eq!(study.reach(0, 3, 0.7).unwrap(), [0.5, 0.7]);
    }

    #[test]
    fn nothing_is_stopped_or_entered_where_nothing_is_pruned() {
        let recipe = recipe("none");
        let study = Memory::default();
        let pruner = Pruner::new(&recipe, &study);
        assert!(!pruner.is_on());
        for trial in 0..9 {
            let best = -(trial as f64);
            assert!(!pruner.follow(trial).is_hopeless(1.0, best).unwrap());
        }
        assert_eq!(study.reach(0, 9, 0.0).unwrap(), [0.0]);
    }
}
