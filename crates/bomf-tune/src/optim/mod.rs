//! Optimisers and learning-rate schedules.

mod adamw;
mod schedule;

pub use adamw::{AdamW, AdamWOptions};
pub use schedule::Schedule;
