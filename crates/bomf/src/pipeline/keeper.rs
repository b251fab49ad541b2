//! Which steps of a training run are kept, so that its members can be chosen once it is over.
//!
//! With B* the step of the best chosen objective, the members lie at even spacing in
//! [0.5 B*, 2 B*] (BOMF, Jang et al. 2024, appendix B). B* is known only afterwards, so
//! candidates are kept while training: one every k steps, k doubling whenever there are
//! more than twice as many as wanted, and none from before the window, whose lower end only
//! moves up. How many are held at a time is bounded by that.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The bookkeeping of candidates: steps, and nothing of what is stored of them.
///
/// ```
/// use bomf::Keeper;
///
/// let mut keeper = Keeper::new(3, [0.5, 2.0], 10);
/// for step in 1..=100 {
///     if keeper.wants(step) {
///         // What is stored of `step` is written here; what is returned is deleted.
///         let gone = keeper.keep(step);
///         assert!(gone.iter().all(|&g| g < step));
///     }
///     if step == 40 {
///         keeper.keep_best(step);
///     }
/// }
/// let members = keeper.choose(100);
/// assert!(members.contains(&40) && members.len() <= 3);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Keeper {
    wanted: usize,
    window: [f64; 2],
    spacing: u64,
    kept: BTreeSet<u64>,
    best: Option<u64>,
}

impl Keeper {
    /// For `wanted` members (at least 1) within `window` (first and last step, in units of
    /// the best one), from candidates every `spacing` steps (at least 1) at first.
    #[must_use]
    pub fn new(wanted: usize, window: [f64; 2], spacing: u64) -> Self {
        Keeper {
            wanted: wanted.max(1),
            window,
            spacing: spacing.max(1),
            kept: BTreeSet::new(),
            best: None,
        }
    }

    /// Whether `step` is a candidate.
    #[must_use]
    pub fn wants(&self, step: u64) -> bool {
        step.is_multiple_of(self.spacing)
    }

    /// The best step so far.
    #[must_use]
    pub fn best(&self) -> Option<u64> {
        self.best
    }

    /// Every step that is held, rising.
    #[must_use]
    pub fn held(&self) -> Vec<u64> {
        let all: BTreeSet<u64> = self.kept.iter().copied().chain(self.best).collect();
        all.into_iter().collect()
    }

    /// Holds a candidate; returns the steps that are held no longer.
    pub fn keep(&mut self, step: u64) -> Vec<u64> {
        let before = self.held();
        self.kept.insert(step);
        if let Some(best) = self.best {
            let low = self.window[0] * best as f64;
            self.kept.retain(|&step| step as f64 >= low);
        }
        while self.kept.len() > 2 * self.wanted {
            self.spacing = self.spacing.saturating_mul(2);
            let spacing = self.spacing;
            self.kept.retain(|&step| step.is_multiple_of(spacing));
        }
        self.gone(before, step)
    }

    /// Holds the best step so far, whatever the spacing, in place of the one before; returns
    /// the steps that are held no longer.
    pub fn keep_best(&mut self, step: u64) -> Vec<u64> {
        let before = self.held();
        self.best = Some(step);
        self.gone(before, step)
    }

    /// What of `before` and `step` is not held any more.
    fn gone(&self, mut before: Vec<u64>, step: u64) -> Vec<u64> {
        if let Err(place) = before.binary_search(&step) {
            before.insert(place, step);
        }
        let held = self.held();
        before.retain(|step| held.binary_search(step).is_err());
        before
    }

    /// The members of a run that ended at `last`, rising: the best step, and others of its
    /// window as evenly spaced as the candidates allow. Without a best step, the candidates
    /// that are as evenly spaced as they allow, the last of them among them.
    #[must_use]
    pub fn choose(&self, last: u64) -> Vec<u64> {
        let Some(best) = self.best else {
            let steps: Vec<u64> = self.kept.iter().copied().collect();
            let must = steps.last().copied().unwrap_or(last);
            return evenly(&steps, must, self.wanted);
        };
        let low = self.window[0] * best as f64;
        let high = (self.window[1] * best as f64).min(last as f64);
        let mut pool = self.kept.clone();
        pool.retain(|&step| (low..=high).contains(&(step as f64)));
        pool.insert(best);
        let steps: Vec<u64> = pool.into_iter().collect();
        evenly(&steps, best, self.wanted)
    }
}

/// At most `wanted` of the rising `steps`, `must` among them, spread as evenly as
/// they allow.
pub(super) fn evenly(steps: &[u64], must: u64, wanted: usize) -> Vec<u64> {
    let (Some(&first), Some(&last)) = (steps.first(), steps.last()) else {
        return Vec::new();
    };
    if steps.len() <= wanted {
        return steps.to_vec();
    }
    let gap = (last - first) as f64 / (wanted.max(2) - 1) as f64;
    let mut left: Vec<u64> = steps.iter().copied().filter(|&s| s != must).collect();
    let mut targets: Vec<f64> = (0..wanted).map(|i| first as f64 + gap * i as f64).collect();
    // The place nearest to the step that must be in is its own.
    let distance = |a: f64, b: u64| (a - b as f64).abs();
    let own = (0..wanted)
        .min_by(|&a, &b| distance(targets[a], must).total_cmp(&distance(targets[b], must)));
    if let Some(own) = own {
        targets.remove(own);
    }
    let mut chosen = vec![must];
    for target in targets {
        let nearest = (0..left.len())
            .min_by(|&a, &b| distance(target, left[a]).total_cmp(&distance(target, left[b])));
        if let Some(i) = nearest {
            chosen.push(left.remove(i));
        }
    }
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of `steps` whose best step so far is each of `bests` once reached; with the most
    /// that was held at a time.
    fn run(steps: u64, bests: &[u64], count: usize) -> (Vec<u64>, usize) {
        let mut keeper = Keeper::new(count, [0.5, 2.0], 5);
        let mut stored = BTreeSet::new();
        let mut most = 0;
        for step in 1..=steps {
            let mut gone = Vec::new();
            if bests.contains(&step) {
                stored.insert(step);
                gone.extend(keeper.keep_best(step));
            }
            if keeper.wants(step) {
                stored.insert(step);
                gone.extend(keeper.keep(step));
            }
            gone.iter().for_each(|step| assert!(stored.remove(step)));
            assert!(stored.iter().copied().eq(keeper.held()));
            most = most.max(stored.len());
        }
        let chosen = keeper.choose(steps);
        assert!(chosen.iter().all(|step| stored.contains(step)));
        (chosen, most)
    }

    #[test]
    fn members_are_spread_over_the_window_and_hold_the_best_step() {
        for (steps, bests) in [
            (1000, vec![25, 175, 501]),
            (400, vec![200]),
            (3000, vec![1333]),
        ] {
            let (chosen, most) = run(steps, &bests, 15);
            let best = *bests.last().unwrap();
            assert_eq!(chosen.len(), 15, "{chosen:?}");
            assert!(chosen.contains(&best));
            assert!(most <= 2 * 15 + 1, "{most} at once");
            let high = (2 * best).min(steps);
            assert!(
                chosen.iter().all(|&s| 2 * s >= best && s <= high),
                "{chosen:?}"
            );
            let gaps: Vec<u64> = chosen.windows(2).map(|w| w[1] - w[0]).collect();
            let widest = *gaps.iter().max().unwrap();
            assert!(widest <= 3 * (high - best / 2) / 14, "{chosen:?}");
        }
    }

    #[test]
    fn a_short_run_gives_the_members_it_has() {
        let (chosen, _) = run(16, &[4], 15);
        assert_eq!(chosen, [4, 5]);
    }

    #[test]
    fn without_a_best_step_the_last_candidate_is_a_member() {
        let (chosen, _) = run(400, &[], 4);
        assert_eq!(chosen.len(), 4);
        assert_eq!(*chosen.last().unwrap(), 400);
    }

    #[test]
    fn a_run_without_candidates_has_no_members() {
        assert_eq!(
            Keeper::new(3, [0.5, 2.0], 100).choose(50),
            Vec::<u64>::new()
        );
    }
}
