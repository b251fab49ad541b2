//! Stochastic weight averaging: the plain average of the end of a trajectory.
//!
//! Izmailov et al., "Averaging weights leads to wider optima and better generalization", UAI 2018
//! (arXiv 1803.05407). Here, as in BOMF (arXiv 2411.06710, section 5), over the last quarter.

use super::uniform_soup;

/// The part of the trajectory that is averaged.
pub const LAST_FRACTION: f64 = 0.25;

/// The average of the last quarter of `n` members in the order of training: of `ceil(n / 4)` of
/// them (rounded up, so that there is always one).
pub fn weights(n: usize) -> Vec<f64> {
    let first = n - n.div_ceil(4);
    let chosen: Vec<usize> = (first..n).collect();
    uniform_soup::weights_of(&chosen, n)
}

/// The average of the members whose step lies in the last quarter of a run of `total_steps`, that
/// is, after `0.75 total_steps`; of the latest member if none does.
///
/// `steps` holds the members' steps, in any order.
pub fn weights_by_step(steps: &[u64], total_steps: u64) -> Vec<f64> {
    let after = (1.0 - LAST_FRACTION) * total_steps as f64;
    let mut chosen: Vec<usize> = (0..steps.len())
        .filter(|&i| steps[i] as f64 > after)
        .collect();
    if chosen.is_empty() {
        chosen.extend((0..steps.len()).max_by_key(|&i| steps[i]));
    }
    uniform_soup::weights_of(&chosen, steps.len())
}
