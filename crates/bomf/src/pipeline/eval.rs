//! `bomf eval`: one model on one split.

use super::in_pool;
use super::task::Task;
use crate::{Error, EvalRequest, Observer, Phase, Split, resolve_model};
use bomf_checkpoint::write_bytes_atomic;
use bomf_study::Scores;
use bomf_tune::models::{Config, Network};
use bomf_tune::tape::Workspace;
use bomf_tune::train::{EncodedSplit, FrozenStates, outputs};
use rand_chacha::ChaCha8Rng;

/// Loss and metrics of a fine-tuned model on a split; its outputs as JSON lines,
/// `{"index", "logits"}`, where a file is named for them.
///
/// # Errors
/// Where the model has no head for the task, the data do not fit it, or a file
/// cannot be read or written.
pub fn eval(request: &EvalRequest, observer: &mut dyn Observer) -> Result<Scores, Error> {
    in_pool(request.threads, || eval_here(request, observer))
}

fn eval_here(request: &EvalRequest, observer: &mut dyn Observer) -> Result<Scores, Error> {
    let base = resolve_model(&request.model, observer)?;
    let config = Config::read(&base)?;
    let task = Task::load(
        &request.data,
        &base,
        &config,
        &request.recipe,
        true,
        observer,
    )?;
    let network = Network::new(config, task.labels.head())?;
    let mut params = vec![0.0; network.layout().len()];
    network.read_params::<ChaCha8Rng>(&base, &mut params, None)?;
    let EncodedSplit { sequences, labels } = match request.split {
        Split::Train => &task.train,
        Split::Validation => &task.select,
        Split::Test => &task.report,
    };
    if sequences.is_empty() {
        return Err(Error::EmptySplit {
            split: request.split.as_str(),
        });
    }
    observer.begin(Phase::Evaluate, sequences.len() as u64);
    let none = FrozenStates::none();
    let outputs = outputs(&network, &params, sequences, &none, &Workspace::default());
    observer.advance(Phase::Evaluate, sequences.len() as u64, "");
    observer.end(Phase::Evaluate);
    if let Some(path) = &request.predictions {
        let classes = outputs.len() / sequences.len();
        let lines = outputs.chunks(classes).enumerate().map(|(index, logits)| {
            format!(
                "{}\n",
                serde_json::json!({ "index": index, "logits": logits })
            )
        });
        write_bytes_atomic(path, lines.collect::<String>().as_bytes())?;
    }
    task.scorer
        .scores(&outputs, labels)?
        .ok_or(Error::NotFinite)
}
