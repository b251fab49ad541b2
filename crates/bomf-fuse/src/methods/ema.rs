//! Exponential moving average over a trajectory.
//!
//! From the first member on, `ema <- decay ema + (1 - decay) theta_i`. So the i-th of n members,
//! counted from one, has the weight `(1 - decay) decay^(n - i)`, but the first, with which the average
//! starts, has `decay^(n - 1)`. Morales-Brotons, Vogels and Hendrikx, "Exponential moving average of
//! weights in deep learning: dynamics and benefits", TMLR 2024 (arXiv 2411.18704).

use crate::error::{FuseError, Result};

/// The weights of `n` members in the order of training. A decay of 0 gives the last, of 1 the first.
///
/// # Errors
/// [`FuseError::InvalidDecay`] if the decay is no number from 0 to 1.
pub fn weights(n: usize, decay: f64) -> Result<Vec<f64>> {
    if !(0.0..=1.0).contains(&decay) {
        return Err(FuseError::InvalidDecay { value: decay });
    }
    let mut weights = vec![0.0; n];
    let mut later = 1.0;
    for (i, weight) in weights.iter_mut().enumerate().rev() {
        // What the later ones leave; the first takes all of it.
        *weight = if i == 0 { later } else { later * (1.0 - decay) };
        later *= decay;
    }
    Ok(weights)
}
