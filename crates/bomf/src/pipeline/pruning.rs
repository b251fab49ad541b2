//! Trials of stage 1 that are not trained to their end, for others were better at the same point
//! ([`SuccessiveHalving`]).
//!
//! A trial that comes to a rung enters what it is worth in the study, and is told what all those
//! were worth that had come there before it. That list never changes, and the rule looks at
//! nothing else: whoever comes to the rung with this trial again, after a kill or as another
//! worker, decides as before.

use crate::{Error, Recipe};
use bomf_bo::strategy::SuccessiveHalving;
use bomf_study::Storage;

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
