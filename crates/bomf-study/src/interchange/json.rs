//! Everything, as one JSON object.

use crate::{Attempt, FinetuneRecord, Method, Record, TrialRecord};
use serde::Serialize;
use serde_json::{Value, json};

/// A record as one JSON object: `plan`, `facts`, `members` (names, in the order of the
/// weights), `trials` with their curves, `attempts` of workers, `finetunes`, `evaluations` and `methods`, each with
/// the fields of its type in [`crate`]. A training loss that is no number is `null`.
pub fn json(record: &Record) -> Value {
    #[derive(Serialize)]
    struct Everything<'a> {
        plan: &'a crate::Plan,
        facts: &'a indexmap::IndexMap<String, String>,
        members: Vec<String>,
        trials: &'a [TrialRecord],
        attempts: &'a [Attempt],
        finetunes: &'a [FinetuneRecord],
        evaluations: &'a [crate::Evaluation],
        methods: &'a [Method],
    }
    let methods = record.results.as_ref().map(|r| r.methods.as_slice());
    let everything = Everything {
        plan: &record.plan,
        facts: &record.facts,
        members: record.members(),
        trials: &record.trials,
        attempts: &record.attempts,
        finetunes: &record.finetunes,
        evaluations: &record.evaluations,
        methods: methods.unwrap_or_default(),
    };
    // Every key is a text and every number one of JSON's or null, so that this cannot fail.
    serde_json::to_value(everything).unwrap_or_else(|_| json!({}))
}
