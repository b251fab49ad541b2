//! The whole pipeline on a tiny encoder and small generated data.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may unwrap as tests do"
)]

mod baselines;
mod blocks;
mod chat;
mod decoders;
mod experiment;
mod failure;
mod fixture;
mod foreign;
mod kinds;
mod known;
mod lora;
mod merging;
mod run;
mod serve;
mod several;
mod steps;
mod tasks;
mod writing;
