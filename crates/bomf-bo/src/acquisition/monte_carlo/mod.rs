//! Acquisition functions by Monte Carlo: noisy baselines and pending points.
//!
//! Each scores *one* new point. A batch is built greedily: what was chosen
//! joins the pending points (BoTorch's `optimize_acqf(sequential=True)`), which
//! for hypervolumes is at least `1 - 1/e` of the best batch (Daulton, Balandat
//! and Bakshy 2020, section 3.4). What is uncertain apart from the new point is
//! sampled; the new point given that is integrated exactly (`conditional`).

mod conditional;
mod fronts;
mod mills;
mod q_log_ei;
mod q_log_nehvi;
mod q_log_nparego;
mod samples;
mod thompson;

pub use q_log_ei::{QLogEi, QLogNei};
pub use q_log_nehvi::QLogNehvi;
pub use q_log_nparego::QLogNParEgo;
pub use samples::SampleOptions;
pub use thompson::{LogThompsonHvi, Thompson};
