//! Predictions of every observation's outputs from all other observations.
//!
//! Rasmussen and Williams (2006), equations 5.10 to 5.12, for all outputs at
//! once: with `A = K^-1 R`, the outputs of observation `i` miss their prediction
//! by row `A_i / [K^-1]_ii`, with variances `s_p^2 / [K^-1]_ii`.

use super::{MeanFunction, MultiOutputGp, OutputPosterior};

/// One observation as all others predict it.
#[derive(Debug, Clone, PartialEq)]
pub struct LeftOut {
    /// The outputs that were observed, shape `p`.
    pub observed: Vec<f64>,
    /// Their prediction; its `sigma` includes the noise.
    pub prediction: OutputPosterior,
}

impl<M: MeanFunction> MultiOutputGp<M> {
    /// Each observation as the others predict it, in order, hyperparameters and
    /// scales held.
    #[must_use]
    pub fn leave_one_out(&self) -> Vec<LeftOut> {
        let p = self.outputs();
        let inverse = self.factor.inverse();
        let mut rows = vec![0; self.order.len()];
        for (row, place) in self.order.iter().enumerate() {
            rows[*place] = row;
        }
        rows.into_iter()
            .map(|row| {
                let observed = &self.observed[row * p..(row + 1) * p];
                let weights = &self.weights[row * p..(row + 1) * p];
                let precision = inverse[(row, row)];
                let mean = observed
                    .iter()
                    .zip(weights)
                    .map(|(y, a)| y - a / precision)
                    .collect();
                LeftOut {
                    observed: observed.to_vec(),
                    prediction: OutputPosterior {
                        mean,
                        sigma: precision.recip().sqrt(),
                    },
                }
            })
            .collect()
    }
}
