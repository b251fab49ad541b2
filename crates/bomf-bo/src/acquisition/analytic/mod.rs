//! Acquisition functions with closed forms, for a single candidate.

mod interval;
mod log_ehvi;
mod log_ei;

pub(super) use interval::{LogCover, log_cover};

pub use log_ehvi::LogEhvi;
pub use log_ei::LogEi;
