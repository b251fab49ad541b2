//! Outcomes brought to zero mean and unit variance.

/// `z = (y - mean) / scale`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standardiser {
    /// Mean of the outcomes.
    pub mean: f64,
    /// Their sample standard deviation (`n - 1`), or 1 if that is zero.
    pub scale: f64,
}

/// Spread below this part of the outcomes' size is rounding, not signal.
const FLAT: f64 = 1e-13;

impl Standardiser {
    /// Fitted to outcomes `y` (shape `n`, finite). Of no, one or constant
    /// outcomes the scale is 1.
    #[must_use]
    pub fn fit(y: &[f64]) -> Self {
        let n = y.len() as f64;
        if y.is_empty() {
            return Self {
                mean: 0.0,
                scale: 1.0,
            };
        }
        // Scaled first, so that squares of huge outcomes do not overflow; by a
        // power of two, so that nothing is rounded.
        let size = y.iter().fold(0.0_f64, |a, v| a.max(v.abs()));
        let unit = if size > 0.0 {
            size.log2().floor().exp2()
        } else {
            1.0
        };
        let mean = y.iter().map(|v| v / unit).sum::<f64>() / n;
        let squares: f64 = y.iter().map(|v| (v / unit - mean).powi(2)).sum();
        let deviation = (squares / (n - 1.0).max(1.0)).sqrt();
        let scale = if deviation > FLAT {
            deviation * unit
        } else {
            1.0
        };
        Self {
            mean: mean * unit,
            scale,
        }
    }

    /// Outcome to standardised outcome.
    #[must_use]
    pub fn apply(&self, y: f64) -> f64 {
        (y - self.mean) / self.scale
    }

    /// Standardised mean to mean.
    #[must_use]
    pub fn undo_mean(&self, z: f64) -> f64 {
        self.mean + self.scale * z
    }

    /// Standardised variance to variance.
    #[must_use]
    pub fn undo_variance(&self, v: f64) -> f64 {
        self.scale * self.scale * v
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_constant_single_and_huge() {
        let s = Standardiser::fit(&[1.0, 3.0]);
        assert_eq!((s.mean, s.scale), (2.0, 2.0_f64.sqrt()));
        assert_eq!(Standardiser::fit(&[0.1; 7]).scale, 1.0);
        assert_eq!(Standardiser::fit(&[5.0]).apply(5.0), 0.0);
        assert!(Standardiser::fit(&[1e300, -1e300]).scale.is_finite());
    }
}
