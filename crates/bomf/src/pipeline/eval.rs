//! `bomf eval`: one model on one split.

use super::in_pool;
use super::tuned::Tuned;
use crate::{Error, EvalRequest, Observer, Phase};
use bomf_checkpoint::write_bytes_atomic;
use bomf_study::Scores;
use bomf_tune::TuneError;
use bomf_tune::data::Labels;
use bomf_tune::metrics::{judge, likeliest};
use bomf_tune::models::LabelNames;
use bomf_tune::tape::Workspace;
use bomf_tune::train::{Control, EncodedSplit, FrozenStates, outputs_observed};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Loss and metrics of a fine-tuned model on a split; its predictions as JSON lines,
/// `{"index", "prediction", "logits"}` (no logits for a regression; for a language model
/// `{"index", "tokens", "right", "loss"}`, the loss a mean over the tokens, and `"text"` and
/// `"reference"` where texts are generated; for questions `{"index", "id", "prediction", "score",
/// "null_score"}`, for tags the list of them), where a file is named for them.
///
/// # Errors
/// Where the model has no head for the task, the data do not fit it, or a file
/// cannot be read or written; [`Error::Interrupted`] where the observer says so
/// before the last example.
pub fn eval(request: &EvalRequest, observer: &mut dyn Observer) -> Result<Scores, Error> {
    in_pool(request.threads, || eval_here(request, observer))
}

fn eval_here(request: &EvalRequest, observer: &mut dyn Observer) -> Result<Scores, Error> {
    let tuned = Tuned::open(&request.model, &request.data, &request.recipe, observer)?;
    let Tuned {
        task,
        network,
        params,
        ..
    } = &tuned;
    let EncodedSplit {
        sequences,
        labels,
        texts,
        ..
    } = tuned.split(request.split)?;
    let examples = sequences.len() as u64;
    // What is generated counts as a second pass.
    let passes = 1 + u64::from(texts.is_some());
    observer.begin(Phase::Evaluate, passes * examples);
    let workspace = Workspace::default();
    let mut tell = |done: u64| {
        observer.advance(Phase::Evaluate, done, "");
        match observer.interrupted() {
            true => Control::Stop,
            false => Control::Continue,
        }
    };
    let none = FrozenStates::none();
    let outputs = outputs_observed(network, params, sequences, &none, &workspace, &mut |done| {
        tell(done as u64)
    });
    let mut outputs = outputs.map_err(interrupted)?;
    let mut written = None;
    if let Some(texts) = texts {
        let tell = &mut |done: usize| tell(examples + done as u64);
        let own = texts.generate(network, params, &workspace, tell);
        let own = own.map_err(interrupted)?;
        outputs.extend(texts.statistics(&own));
        written = Some((own, texts.references.as_slice()));
    }
    observer.end(Phase::Evaluate);
    let scores = task
        .scorer
        .scores(&outputs, labels)?
        .ok_or(Error::NotFinite)?;
    if let Some(path) = &request.predictions {
        write_predictions(path, &outputs, &task.labels, labels, written.as_ref())?;
    }
    Ok(scores)
}

fn interrupted(error: TuneError) -> Error {
    match error {
        // The scores are all that would have come of it.
        TuneError::Interrupted => Error::Interrupted {
            out: PathBuf::new(),
            on_disk: Vec::new(),
        },
        other => other.into(),
    }
}

/// Texts that a model wrote, and their references.
type Written<'a> = (Vec<String>, &'a [String]);

/// A line an example: its place in the split, the outputs, and what they say.
fn write_predictions(
    path: &Path,
    outputs: &[f32],
    labels: &LabelNames,
    targets: &Labels,
    written: Option<&Written<'_>>,
) -> Result<(), Error> {
    let mut lines = String::new();
    let width = match labels {
        LabelNames::Classes(names) => names.len(),
        LabelNames::Regression => 1,
        LabelNames::Vocabulary => return write_tokens(path, outputs, targets, written),
        LabelNames::Answers => return write_answers(path, outputs, targets),
        LabelNames::Tags(names) => return write_tags(path, outputs, targets, names),
        LabelNames::Choices => (outputs.len() / targets.len().max(1)).max(1),
    };
    for (index, row) in outputs.chunks(width).enumerate() {
        let line = match labels {
            LabelNames::Classes(names) => {
                let best = likeliest(row) as usize;
                json!({ "index": index, "prediction": names[best], "logits": row })
            }
            LabelNames::Choices => {
                json!({ "index": index, "prediction": likeliest(row), "logits": row })
            }
            _ => json!({ "index": index, "prediction": row[0] }),
        };
        lines.push_str(&line.to_string());
        lines.push('\n');
    }
    Ok(write_bytes_atomic(path, lines.as_bytes())?)
}

/// A line a question: the answer, empty where there is none, its score, and that of none.
fn write_answers(path: &Path, outputs: &[f32], targets: &Labels) -> Result<(), Error> {
    let Labels::Answers(answers) = targets else {
        return Ok(());
    };
    let mut lines = String::new();
    for (index, judged) in judge(outputs, answers)?.into_iter().enumerate() {
        let text = judged.span.map(|span| &answers.context(index)[span]);
        let line = json!({
            "index": index,
            "id": answers.questions()[index].id,
            "prediction": text.unwrap_or_default(),
            "score": judged.score,
            "null_score": judged.null_score,
        });
        lines.push_str(&line.to_string());
        lines.push('\n');
    }
    Ok(write_bytes_atomic(path, lines.as_bytes())?)
}

/// A line an example: the tags of its words.
fn write_tags(
    path: &Path,
    outputs: &[f32],
    targets: &Labels,
    names: &[String],
) -> Result<(), Error> {
    let Labels::Tags(tags) = targets else {
        return Ok(());
    };
    let mut lines = String::new();
    let mut rows = outputs.chunks_exact(names.len().max(1));
    for (index, &count) in tags.counts.iter().enumerate() {
        let rows = rows.by_ref().take(count as usize);
        let own: Vec<&str> = rows
            .map(|row| names[likeliest(row) as usize].as_str())
            .collect();
        let line = json!({ "index": index, "prediction": own });
        lines.push_str(&line.to_string());
        lines.push('\n');
    }
    Ok(write_bytes_atomic(path, lines.as_bytes())?)
}

/// A line an example of a language model: its tokens, how many were the likeliest, and
/// their mean loss; what it wrote and the reference, where it wrote.
fn write_tokens(
    path: &Path,
    outputs: &[f32],
    targets: &Labels,
    written: Option<&Written<'_>>,
) -> Result<(), Error> {
    let Labels::Tokens(counts) = targets else {
        return Ok(());
    };
    let mut lines = String::new();
    let mut rows = outputs.chunks_exact(2);
    for (index, &count) in counts.iter().enumerate() {
        let tokens: Vec<&[f32]> = rows.by_ref().take(count as usize).collect();
        let loss: f64 = tokens.iter().map(|row| -f64::from(row[0])).sum();
        let mut line = json!({
            "index": index,
            "tokens": count,
            "right": tokens.iter().filter(|row| row[1] > 0.0).count(),
            "loss": loss / f64::from(count),
        });
        if let Some((texts, references)) = written {
            line["text"] = json!(texts[index]);
            line["reference"] = json!(references[index]);
        }
        lines.push_str(&line.to_string());
        lines.push('\n');
    }
    Ok(write_bytes_atomic(path, lines.as_bytes())?)
}
