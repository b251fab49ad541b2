//! Learning-rate schedules, as transformers' `get_*_schedule_with_warmup`.

/// How the learning rate goes after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// It stays.
    Constant,
    /// It falls in a line to 0 at the last step.
    Linear,
    /// It falls along half a cosine to 0 at the last step.
    Cosine,
}

impl Schedule {
    /// Factor on the learning rate at `step` (from 0) of `steps`, with a linear
    /// warm-up from 0 over the first `warmup` steps.
    ///
    /// ```
    /// use bomf_tune::optim::Schedule;
    /// assert_eq!(Schedule::Constant.factor(1, 10, 2), 0.5);
    /// assert_eq!(Schedule::Linear.factor(6, 10, 2), 0.5);
    /// assert!((Schedule::Cosine.factor(4, 10, 2) - 0.853_553).abs() < 1e-6);
    /// ```
    pub fn factor(self, step: u64, steps: u64, warmup: u64) -> f64 {
        if step < warmup {
            return step as f64 / warmup as f64;
        }
        let left = steps.saturating_sub(step) as f64;
        let left = left / (steps.saturating_sub(warmup)).max(1) as f64;
        match self {
            Schedule::Constant => 1.0,
            Schedule::Linear => left,
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * (1.0 - left)).cos()),
        }
    }
}
