//! Fine-tuning of transformers: kernels, tape, models, data, metrics, training.

pub mod batch;
pub mod data;
mod error;
pub mod generate;
pub mod kernels;
pub mod lora;
pub mod metrics;
pub mod models;
pub mod optim;
pub mod params;
pub mod pretrain;
pub mod statistics;
pub mod tape;
pub mod tokenize;
pub mod train;

pub use error::TuneError;
