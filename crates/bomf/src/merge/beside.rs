//! The files beside the weights: configuration, tokenizer, chat template.

use super::models::Models;
use super::recipe::{ChatTemplate, MergeFile};
use super::vocabulary::OutputVocabulary;
use crate::{Error, Observer};
use bomf_checkpoint::{CheckpointError, Dtype, sidecar_names};
use bomf_fuse::plan::{Plan, PlannedTensor, Work};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

const CONFIG: &str = "config.json";
const GENERATION_CONFIG: &str = "generation_config.json";
const TOKENIZER: &str = "tokenizer.json";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
const TEMPLATE: &str = "chat_template.jinja";

/// What architectures call their number of layers in `config.json`.
const LAYERS: [&str; 4] = ["num_hidden_layers", "n_layer", "n_layers", "num_layers"];

/// Parts of `config.json` that may hold it in their turn.
const PARTS: [&str; 1] = ["text_config"];

/// What files of the tokenizer begin with.
const OF_TOKENIZER: [&str; 8] = [
    "tokenizer",
    "special_tokens_map",
    "added_tokens",
    "vocab",
    "merges",
    "spiece",
    "sentencepiece",
    "chat_template",
];

/// The files of the output beside its weights, by name.
pub(super) fn files(
    file: &MergeFile,
    models: &Models,
    plan: &Plan<'_>,
    vocabulary: &OutputVocabulary,
    observer: &mut dyn Observer,
) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let (reference, donor) = (file.recipe.reference(), vocabulary.donor);
    let mut files = BTreeMap::new();
    if let Some(folder) = models.folder(reference) {
        read_into(&mut files, folder, |name| {
            donor == reference || !is_of_tokenizer(name)
        })?;
    }
    if let Some(folder) = models.folder(donor).filter(|_| donor != reference) {
        read_into(&mut files, folder, is_of_tokenizer)?;
    }
    if let Some(config) = files.get_mut(CONFIG) {
        *config = edited(config, file, plan, models, observer)?;
    }
    set_vocabulary(&mut files, vocabulary)?;
    set_chat_template(&mut files, file, models, observer)?;
    Ok(files)
}

fn set_vocabulary(
    files: &mut BTreeMap<String, Vec<u8>>,
    vocabulary: &OutputVocabulary,
) -> Result<(), Error> {
    let Some(matched) = &vocabulary.matched else {
        return Ok(());
    };
    for name in [CONFIG, GENERATION_CONFIG] {
        edit(files, name, |fields| matched.set_in_config(fields))?;
    }
    edit(files, TOKENIZER_CONFIG, |fields| {
        matched.set_in_tokenizer_config(fields);
    })?;
    if let Some(tokenizer) = &matched.tokenizer {
        files.insert(TOKENIZER.into(), tokenizer.clone());
    }
    Ok(())
}

/// Changes a JSON file, if there is one; it stays as it is to the byte where nothing changes.
fn edit(
    files: &mut BTreeMap<String, Vec<u8>>,
    name: &str,
    change: impl FnOnce(&mut serde_json::Map<String, Value>),
) -> Result<(), Error> {
    let Some(bytes) = files.get_mut(name) else {
        return Ok(());
    };
    let mut value = json(bytes, Path::new(name))?;
    let before = value.clone();
    if let Value::Object(fields) = &mut value {
        change(fields);
    }
    if value != before {
        *bytes = to_bytes(&value);
    }
    Ok(())
}

fn is_of_tokenizer(name: &str) -> bool {
    OF_TOKENIZER.iter().any(|start| name.starts_with(start))
}

fn read_into(
    files: &mut BTreeMap<String, Vec<u8>>,
    folder: &Path,
    wanted: impl Fn(&str) -> bool,
) -> Result<(), Error> {
    for name in sidecar_names(folder)? {
        if wanted(&name) {
            let bytes = read(&folder.join(&name))?;
            files.insert(name, bytes);
        }
    }
    Ok(())
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| {
        Error::Checkpoint(CheckpointError::Io {
            action: "read",
            path: path.into(),
            error,
        })
    })
}

/// JSON of a file, by what messages call it.
pub(super) fn json(bytes: &[u8], path: &Path) -> Result<Value, Error> {
    serde_json::from_slice(bytes).map_err(|error| {
        Error::Checkpoint(CheckpointError::BrokenJson {
            path: path.into(),
            reason: error.to_string(),
        })
    })
}

fn to_bytes(value: &Value) -> Vec<u8> {
    // Writing a value to memory cannot fail.
    let mut bytes = serde_json::to_vec_pretty(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// `config.json` with the output's type and number of layers.
fn edited(
    bytes: &[u8],
    file: &MergeFile,
    plan: &Plan<'_>,
    models: &Models,
    observer: &mut dyn Observer,
) -> Result<Vec<u8>, Error> {
    let recipe = &file.recipe;
    let path = models.places[recipe.reference()].join(CONFIG);
    let mut config = json(bytes, &path)?;
    let before = config.clone();
    let Value::Object(fields) = &mut config else {
        return Ok(bytes.to_vec());
    };
    if let Some(name) = dtype_of(plan).and_then(torch_name) {
        let key = match fields.contains_key("dtype") {
            true => "dtype",
            false => "torch_dtype",
        };
        fields.insert(key.into(), name.into());
    }
    if let Some(layers) = plan.layers
        && !set_layers(fields, layers, &layer_sources(file))
    {
        observer.note(&format!(
            "config.json has no number of layers that is known; the output has {layers}"
        ));
    }
    // What does not change is carried along as it is.
    Ok(match config == before {
        true => bytes.to_vec(),
        false => to_bytes(&config),
    })
}

/// The type of all tensors that are fused, if they have one.
fn dtype_of(plan: &Plan<'_>) -> Option<Dtype> {
    let fused = |t: &&PlannedTensor| matches!(t.work, Work::Fuse { .. });
    let mut dtypes = plan.tensors.iter().filter(fused).map(|t| t.spec.dtype);
    let first = dtypes.next()?;
    dtypes.all(|dtype| dtype == first).then_some(first)
}

/// The layer of its first source that each layer of the output comes from.
fn layer_sources(file: &MergeFile) -> Vec<usize> {
    match file.recipe.body() {
        bomf_fuse::recipe::Body::Models(_) => Vec::new(),
        bomf_fuse::recipe::Body::Slices(slices) => {
            let first = slices.iter().filter_map(|slice| slice.sources.first());
            first.flat_map(|source| source.layers.clone()).collect()
        }
    }
}

/// Sets the number of layers, and the list of their types where there is one.
fn set_layers(
    fields: &mut serde_json::Map<String, Value>,
    layers: usize,
    sources: &[usize],
) -> bool {
    let mut is_set = false;
    for key in LAYERS {
        if let Some(value @ Value::Number(_)) = fields.get_mut(key) {
            *value = layers.into();
            is_set = true;
        }
    }
    if let Some(Value::Array(types)) = fields.get_mut("layer_types") {
        let of_source = |&source: &usize| types.get(source).cloned();
        if let Some(stacked) = sources.iter().map(of_source).collect() {
            *types = stacked;
        }
    }
    for part in PARTS {
        if let Some(Value::Object(fields)) = fields.get_mut(part) {
            is_set |= set_layers(fields, layers, sources);
        }
    }
    is_set
}

fn torch_name(dtype: Dtype) -> Option<&'static str> {
    match dtype {
        Dtype::BF16 => Some("bfloat16"),
        Dtype::F16 => Some("float16"),
        Dtype::F32 => Some("float32"),
        Dtype::F64 => Some("float64"),
        _ => None,
    }
}

fn set_chat_template(
    files: &mut BTreeMap<String, Vec<u8>>,
    file: &MergeFile,
    models: &Models,
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    let text = match &file.chat_template {
        ChatTemplate::Kept => return Ok(()),
        ChatTemplate::Text(text) => Some(text.clone()),
        ChatTemplate::Auto => most_frequent(models)?,
    };
    let Some(text) = text else {
        observer.note("no model has a chat template; the output has none");
        return Ok(());
    };
    edit(files, TOKENIZER_CONFIG, |fields| {
        fields.insert("chat_template".into(), text.clone().into());
    })?;
    files.insert(TEMPLATE.into(), text.into_bytes());
    Ok(())
}

/// The chat template that most of the models have; among equals, that of the first.
fn most_frequent(models: &Models) -> Result<Option<String>, Error> {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for model in 0..models.places.len() {
        let Some(template) = chat_template(models, model)? else {
            continue;
        };
        match counts.iter_mut().find(|(known, _)| *known == template) {
            Some((_, count)) => *count += 1,
            None => counts.push((template, 1)),
        }
    }
    let most = counts.iter().map(|(_, count)| *count).max();
    Ok(counts
        .into_iter()
        .find(|(_, count)| Some(*count) == most)
        .map(|(text, _)| text))
}

fn chat_template(models: &Models, model: usize) -> Result<Option<String>, Error> {
    let Some(folder) = models.folder(model) else {
        return Ok(None);
    };
    let own = folder.join(TEMPLATE);
    if own.is_file() {
        let text = String::from_utf8_lossy(&read(&own)?).trim().to_owned();
        return Ok(Some(text));
    }
    let path = folder.join(TOKENIZER_CONFIG);
    if !path.is_file() {
        return Ok(None);
    }
    let config = json(&read(&path)?, &path)?;
    Ok(config["chat_template"]
        .as_str()
        .map(|text| text.trim().to_owned()))
}
