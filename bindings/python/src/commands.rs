//! One function a command of the binary: its arguments in, its outcome out, as JSON.

use crate::errors::{of_bomf, raised, wrong};
use crate::supervise::{Callbacks, supervised};
use bomf::lora::{LoraExtractRequest, LoraFuseRequest, Rank, Target};
use bomf::study::{MethodName, Results};
use bomf::{
    DiffRequest, EvalRequest, FuseRequest, MergeRequest, Pick, PickRequest, Recipe, RunRequest,
    Split, VerifyRequest,
};
use bomf_fuse::execute::DEFAULT_MEMORY;
use pyo3::prelude::*;
use serde::Serialize;
use std::path::PathBuf;

/// The most bytes of tensors in a file, as transformers has it.
const MAX_SHARD_BYTES: u64 = 5_000_000_000;

/// An outcome for Python.
pub fn json<T: Serialize>(outcome: &T) -> PyResult<String> {
    serde_json::to_string(outcome)
        .map_err(|error| raised("BomfError", &format!("the outcome: {error}"), None))
}

fn watched(progress: &Option<Py<PyAny>>) -> Callbacks<'_> {
    Callbacks {
        progress: progress.as_ref(),
        ..Callbacks::default()
    }
}

/// A recipe from YAML, or the default one, with another seed where one is given.
fn recipe(text: Option<&str>, name: &str, seed: Option<u64>) -> PyResult<Recipe> {
    let mut recipe = match text {
        Some(text) => Recipe::from_yaml(text, name).map_err(|error| of_bomf(&error.into()))?,
        None => Recipe::default(),
    };
    if let Some(seed) = seed {
        recipe.seed = seed;
    }
    Ok(recipe)
}

/// What a run is asked for, as Python hands it over: model, data, out, recipe and its name.
type Source = (String, PathBuf, PathBuf, Option<String>, String);

fn run_request(
    source: Source,
    seed: Option<u64>,
    threads: usize,
    overwrite: bool,
) -> PyResult<RunRequest> {
    let (model, data, out, text, name) = source;
    Ok(RunRequest {
        model,
        data,
        out,
        recipe: recipe(text.as_deref(), &name, seed)?,
        threads,
        overwrite,
        workers: None,
    })
}

#[pyfunction]
#[pyo3(signature = (source, seed=None, threads=0, overwrite=false, progress=None))]
pub fn run(
    py: Python<'_>,
    source: Source,
    seed: Option<u64>,
    threads: usize,
    overwrite: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let request = run_request(source, seed, threads, overwrite)?;
    json(&supervised(py, &watched(&progress), |link| {
        bomf::run(&request, link)
    })?)
}

#[pyfunction]
#[pyo3(signature = (source, seed=None, threads=0, overwrite=false, progress=None))]
pub fn tune(
    py: Python<'_>,
    source: Source,
    seed: Option<u64>,
    threads: usize,
    overwrite: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let request = run_request(source, seed, threads, overwrite)?;
    json(&supervised(py, &watched(&progress), |link| {
        bomf::tune(&request, link)
    })?)
}

#[pyfunction]
#[pyo3(signature = (source, seed=None, threads=0, overwrite=false, progress=None, learning_rate=None, batch_size=None))]
#[allow(clippy::too_many_arguments)] // The package's affair, which names each.
pub fn finetune(
    py: Python<'_>,
    source: Source,
    seed: Option<u64>,
    threads: usize,
    overwrite: bool,
    progress: Option<Py<PyAny>>,
    learning_rate: Option<f64>,
    batch_size: Option<u64>,
) -> PyResult<String> {
    use bomf::recipe::{HyperValue, Hyperparameter};
    let mut request = run_request(source, seed, threads, overwrite)?;
    let values = [
        (
            Hyperparameter::LearningRate,
            learning_rate.map(HyperValue::Float),
        ),
        (Hyperparameter::BatchSize, batch_size.map(HyperValue::Int)),
    ];
    for (name, value) in values {
        if let Some(value) = value {
            let fixed = request.recipe.fix(name, &value);
            fixed.map_err(|error| of_bomf(&error.into()))?;
        }
    }
    json(&supervised(py, &watched(&progress), |link| {
        bomf::finetune(&request, link)
    })?)
}

/// Stage 2 on folders, scored by the engine or by the recipe's program.
#[pyfunction]
#[pyo3(signature = (members, data, out, recipe_text=None, seed=None, threads=0, overwrite=false, progress=None))]
#[allow(clippy::too_many_arguments)] // The package's affair, which names each.
pub fn fuse_run(
    py: Python<'_>,
    members: Vec<PathBuf>,
    data: Option<PathBuf>,
    out: PathBuf,
    recipe_text: Option<&str>,
    seed: Option<u64>,
    threads: usize,
    overwrite: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let request = FuseRequest {
        members,
        data,
        out,
        recipe: recipe(recipe_text, "recipe", seed)?,
        threads,
        overwrite,
    };
    json(&supervised(py, &watched(&progress), |link| {
        bomf::fuse(&request, link)
    })?)
}

#[pyfunction]
#[pyo3(signature = (model, data, split, recipe_text=None, predictions=None, threads=0, progress=None))]
#[allow(clippy::too_many_arguments)] // The package's affair, which names each.
pub fn eval(
    py: Python<'_>,
    model: String,
    data: PathBuf,
    split: &str,
    recipe_text: Option<&str>,
    predictions: Option<PathBuf>,
    threads: usize,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let all = [Split::Train, Split::Validation, Split::Test];
    let split = all
        .into_iter()
        .find(|s| s.as_str() == split)
        .ok_or_else(|| wrong(format!("there is no split `{split}`")))?;
    let request = EvalRequest {
        model,
        data,
        split,
        predictions,
        recipe: recipe(recipe_text, "recipe", None)?,
        threads,
    };
    json(&supervised(py, &watched(&progress), |link| {
        bomf::eval(&request, link)
    })?)
}

/// Writes another mixture of a run: a point of its front, from 1 on, or a method's.
#[pyfunction]
#[pyo3(signature = (run, target, point=None, method=None, threads=0))]
pub fn pick(
    py: Python<'_>,
    run: PathBuf,
    target: PathBuf,
    point: Option<usize>,
    method: Option<&str>,
    threads: usize,
) -> PyResult<String> {
    let pick = match (point, method) {
        (Some(point), None) => Pick::Point(point),
        (None, Some(name)) => {
            let mut all = MethodName::ALL.into_iter();
            let named = all.find(|m| m.as_str() == name);
            Pick::Method(named.ok_or_else(|| wrong(format!("there is no method `{name}`")))?)
        }
        _ => return Err(wrong("give a point or a method, and not both")),
    };
    let request = PickRequest {
        run,
        pick,
        target,
        threads,
    };
    json(&supervised(py, &Callbacks::default(), |_| {
        bomf::pick(&request)
    })?)
}

#[pyfunction]
#[pyo3(signature = (recipe, out, seed=0, threads=0, overwrite=false, hash=true, max_memory=None, max_shard_bytes=None, digest_cache=None, progress=None))]
#[allow(clippy::too_many_arguments)] // The package's affair, which names each.
pub fn merge(
    py: Python<'_>,
    recipe: PathBuf,
    out: PathBuf,
    seed: u64,
    threads: usize,
    overwrite: bool,
    hash: bool,
    max_memory: Option<u64>,
    max_shard_bytes: Option<u64>,
    digest_cache: Option<PathBuf>,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let request = MergeRequest {
        recipe,
        out,
        seed,
        threads,
        overwrite,
        max_memory: max_memory.unwrap_or(DEFAULT_MEMORY),
        max_shard_bytes: max_shard_bytes.unwrap_or(MAX_SHARD_BYTES),
        hash,
        digest_cache,
    };
    json(&supervised(py, &watched(&progress), |link| {
        bomf::merge(&request, link)
    })?)
}

#[pyfunction]
#[pyo3(signature = (folder, root=None, threads=0, max_memory=None, progress=None))]
pub fn verify(
    py: Python<'_>,
    folder: PathBuf,
    root: Option<PathBuf>,
    threads: usize,
    max_memory: Option<u64>,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let request = VerifyRequest {
        folder,
        root,
        threads,
        max_memory: max_memory.unwrap_or(DEFAULT_MEMORY),
    };
    let found = supervised(py, &watched(&progress), |link| bomf::verify(&request, link))?;
    let words: Vec<String> = found.differences.iter().map(ToString::to_string).collect();
    json(&(found, words))
}

#[pyfunction]
#[pyo3(signature = (a, b, threads=0, progress=None))]
pub fn diff(
    py: Python<'_>,
    a: String,
    b: String,
    threads: usize,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let request = DiffRequest { a, b, threads };
    json(&supervised(py, &watched(&progress), |link| {
        bomf::diff(&request, link)
    })?)
}

/// Every fusion method, described.
#[pyfunction]
pub fn methods() -> PyResult<String> {
    json(&bomf::merge::methods())
}

#[pyfunction]
#[pyo3(signature = (adapters, out, weights=None, into=None, rank=None, energy=None, threads=0, overwrite=false, progress=None))]
#[allow(clippy::too_many_arguments)] // The package's affair, which names each.
pub fn lora_fuse(
    py: Python<'_>,
    adapters: Vec<PathBuf>,
    out: PathBuf,
    weights: Option<Vec<f64>>,
    into: Option<PathBuf>,
    rank: Option<usize>,
    energy: Option<f64>,
    threads: usize,
    overwrite: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let target = match (into, rank, energy) {
        (Some(base), None, None) => Target::Model(base),
        (None, Some(rank), None) => Target::Adapter(Rank::Fixed(rank)),
        (None, None, Some(energy)) => Target::Adapter(Rank::Energy(energy)),
        (None, None, None) => Target::Adapter(Rank::Exact),
        _ => return Err(wrong("give one of base, rank and energy at most")),
    };
    if adapters.is_empty() {
        return Err(wrong("there are no adapters"));
    }
    let request = LoraFuseRequest {
        adapters,
        weights,
        target,
        out,
        threads,
        overwrite,
    };
    json(&supervised(py, &watched(&progress), |link| {
        bomf::lora::fuse(&request, link)
    })?)
}

#[pyfunction]
#[pyo3(signature = (base, model, r, out, seed=0, threads=0, overwrite=false, progress=None))]
#[allow(clippy::too_many_arguments)] // The package's affair, which names each.
pub fn lora_extract(
    py: Python<'_>,
    base: PathBuf,
    model: PathBuf,
    r: usize,
    out: PathBuf,
    seed: u64,
    threads: usize,
    overwrite: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let request = LoraExtractRequest {
        base,
        model,
        r,
        out,
        seed,
        threads,
        overwrite,
    };
    json(&supervised(py, &watched(&progress), |link| {
        bomf::lora::extract(&request, link)
    })?)
}

/// `(step, folder)` of each checkpoint in a folder, by rising step.
#[pyfunction]
pub fn list_checkpoints(folder: PathBuf) -> PyResult<Vec<(Option<u64>, PathBuf)>> {
    let found = bomf_checkpoint::list_checkpoints(folder);
    let found = found.map_err(|error| of_bomf(&error.into()))?;
    Ok(found.into_iter().map(|c| (c.step, c.path)).collect())
}

fn results(text: &str) -> PyResult<Results> {
    serde_json::from_str(text).map_err(|error| wrong(format!("not the results of a run: {error}")))
}

/// The report of results (JSON) as HTML.
#[pyfunction]
pub fn report(text: &str) -> PyResult<String> {
    Ok(bomf_report::render(&results(text)?))
}

/// The figure of the front, as SVG.
#[pyfunction]
pub fn front_svg(text: &str) -> PyResult<Option<String>> {
    Ok(bomf_report::render_front_svg(&results(text)?, &[]))
}

/// The outcome in a sentence.
#[pyfunction]
pub fn verdict(text: &str) -> PyResult<String> {
    Ok(bomf_report::verdict(&results(text)?))
}
