//! A record in formats that other programs read: tables (CSV), JSON, and the journal files of
//! [Optuna](https://optuna.readthedocs.io) 4 and later.
//!
//! | format | for | what is in it |
//! |---|---|---|
//! | [`csv()`] | spreadsheets, pandas, R | one table, a column `record` says what a row is |
//! | [`json()`] | scripts | everything, nested |
//! | [`optuna_journal`] | `optuna.load_study`, optuna-dashboard | a study a stage |
//!
//! [`read_optuna`] is the way in: the finished trials of a study of Optuna's.
//!
//! What is no finite number is left out: none of the formats has a word for it that all of its
//! readers know.

mod csv;
mod json;
mod known;
mod optuna;

pub use csv::csv;
pub use json::json;
pub use known::{KnownStudy, KnownTrial, read_optuna};
pub use optuna::{STAGE1, STAGE2, optuna_journal};
