//! Where a merged model comes from: `bomf.json`.

use super::MergeRequest;
use super::digests::Digests;
use crate::Error;
use bomf_checkpoint::CheckpointError;
use bomf_fuse::method::Value;
use bomf_fuse::plan::{Plan, Work};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The name of the record in the output folder.
pub const RECORD: &str = "bomf.json";

/// The version of its format.
const FORMAT: u32 = 1;

/// The record of a merge: everything that is needed to repeat it, and to see that it is the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The version of this format, 1.
    pub format: u32,
    /// The version of bomf that wrote it.
    pub bomf: String,
    /// The recipe, word for word.
    pub recipe: String,
    /// The seed of random methods.
    pub seed: u64,
    /// The most bytes of tensors in a file.
    pub max_shard_bytes: u64,
    /// The models as the recipe names them, and their files.
    pub models: Vec<RecordedModel>,
    /// The method's parameters and the tensors that have them.
    pub parameters: Vec<RecordedParameters>,
    /// Elements of the output.
    pub num_parameters: u64,
    /// The output's files.
    pub files: Vec<RecordedFile>,
}

/// A model of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordedModel {
    /// As the recipe names it.
    pub name: String,
    /// Its files of weights.
    pub files: Vec<RecordedFile>,
}

/// A file of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedFile {
    /// Its name in its folder.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256 in hexadecimal digits, unless it was not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// Parameters that some tensors have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordedParameters {
    /// Of the method.
    pub method: IndexMap<String, serde_json::Value>,
    /// Of each model (without the base model), by its name.
    pub models: Vec<(String, IndexMap<String, serde_json::Value>)>,
    /// The tensors.
    pub tensors: Vec<String>,
}

impl Record {
    /// The record in a folder.
    ///
    /// # Errors
    /// [`Error::NoRecord`]; a record that is damaged, or of a later format.
    pub fn load(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(RECORD);
        if !path.is_file() {
            return Err(Error::NoRecord { path });
        }
        let broken = |reason: String| {
            Error::Checkpoint(CheckpointError::BrokenJson {
                path: path.clone(),
                reason,
            })
        };
        let bytes = super::beside::read(&path)?;
        let record: Self = serde_json::from_slice(&bytes).map_err(|e| broken(e.to_string()))?;
        match record.format {
            FORMAT => Ok(record),
            other => Err(broken(format!(
                "it has format {other}, and this bomf knows {FORMAT}"
            ))),
        }
    }
}

/// The record of a merge.
pub(super) fn record(
    request: &MergeRequest,
    text: &str,
    plan: &Plan<'_>,
    digests: Digests,
) -> Record {
    let names = plan.recipe.models();
    Record {
        format: FORMAT,
        bomf: env!("CARGO_PKG_VERSION").into(),
        recipe: text.into(),
        seed: request.seed,
        max_shard_bytes: request.max_shard_bytes,
        models: names
            .iter()
            .zip(digests.models)
            .map(|(name, files)| RecordedModel {
                name: name.clone(),
                files,
            })
            .collect(),
        parameters: parameters(plan),
        num_parameters: plan.num_parameters(),
        files: digests.output,
    }
}

fn parameters(plan: &Plan<'_>) -> Vec<RecordedParameters> {
    let mut recorded: Vec<RecordedParameters> = Vec::new();
    for tensor in &plan.tensors {
        let Work::Fuse { models, params, .. } = &tensor.work else {
            continue;
        };
        let method = values(&params.method);
        let names = models
            .iter()
            .map(|origin| plan.recipe.models()[origin.model].clone());
        let models: Vec<_> = names.zip(params.models.iter().map(|m| values(m))).collect();
        let same = recorded
            .iter_mut()
            .find(|r| r.method == method && r.models == models);
        match same {
            Some(same) => same.tensors.push(tensor.spec.name.clone()),
            None => recorded.push(RecordedParameters {
                method,
                models,
                tensors: vec![tensor.spec.name.clone()],
            }),
        }
    }
    recorded
}

fn values(params: &[(&'static str, Value)]) -> IndexMap<String, serde_json::Value> {
    let value = |value: &Value| match *value {
        Value::Number(number) => number.into(),
        Value::Flag(flag) => flag.into(),
    };
    params
        .iter()
        .map(|(name, v)| (name.to_string(), value(v)))
        .collect()
}
