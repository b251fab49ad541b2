//! Learning-rate schedules: transformers' `get_*_schedule_with_warmup` and `get_wsd_schedule`, and
//! that of stochastic weight averaging.

/// Share of the steps in which warm-up, stable, decay decays (Hu et al. 2024, "MiniCPM", section
/// 4.2: a tenth suffices).
const DECAY: f64 = 0.1;

/// Where the plateau of [`Schedule::Swa`] is meant to be averaged from, as a share of the steps,
/// and how high it is (Izmailov et al. 2018, section 4.1, and their code).
const SWA_START: f64 = 0.75;
const SWA_LEVEL: f64 = 0.5;

/// Shares of [`SWA_START`] between which that schedule falls.
const SWA_FALL: [f64; 2] = [0.5, 0.9];

/// How the learning rate goes after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// It stays.
    Constant,
    /// It falls in a line to 0 at the last step.
    Linear,
    /// It falls along half a cosine to 0 at the last step.
    Cosine,
    /// It stays, and falls along half a cosine to 0 in the last tenth of the steps.
    WarmupStableDecay,
    /// It stays, falls in a line to half of itself, and stays there for the last third of the
    /// steps: checkpoints of one plateau, far enough apart to be averaged.
    Swa,
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
        let until_end = steps.saturating_sub(step) as f64;
        let left = until_end / (steps.saturating_sub(warmup)).max(1) as f64;
        let half_cosine = |left: f64| 0.5 * (1.0 + (std::f64::consts::PI * (1.0 - left)).cos());
        match self {
            Schedule::Constant => 1.0,
            Schedule::Linear => left,
            Schedule::Cosine => half_cosine(left),
            Schedule::WarmupStableDecay => {
                let decay = (DECAY * steps as f64).ceil().max(1.0);
                half_cosine((until_end / decay).min(1.0))
            }
            Schedule::Swa => {
                let [begin, end] = SWA_FALL;
                let progress = step as f64 / steps.max(1) as f64 / SWA_START;
                let fallen = ((progress - begin) / (end - begin)).clamp(0.0, 1.0);
                1.0 - (1.0 - SWA_LEVEL) * fallen
            }
        }
    }
}
