//! The record of a study: its trials, results and where they are kept.
