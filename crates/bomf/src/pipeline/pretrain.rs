//! `bomf pretrain`: a small BERT from plain text.

use super::{at_least, in_pool, out_of_range};
use crate::{Dtype, Error, Observer, Phase, PretrainOutcome, PretrainRequest};
use bomf_checkpoint::{Dtype as TensorDtype, FolderWriter};
use bomf_tune::TuneError;
use bomf_tune::models::{Dropout, Model};
use bomf_tune::optim::{AdamWOptions, OptimizerOptions, Schedule};
use bomf_tune::pretrain::{
    BertSize, Corpus, MaskedLm, SPECIAL_TOKENS, read_lines, sinusoidal_positions, train_tokenizer,
};
use bomf_tune::train::{Control, TrainObserver, TrainOptions, TrainPoint, train};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use std::time::Instant;

/// Share of the steps over which the learning rate rises.
const WARMUP_RATIO: f64 = 0.05;
/// The outcome's loss is the mean over this last share of the steps.
const TAIL: f64 = 0.1;

/// Trains a tokenizer and a BERT on the text of a corpus, and writes them as a
/// Hugging Face folder.
///
/// # Errors
/// Where the corpus cannot be read, the training diverges, the folder cannot be
/// written, or the observer interrupts (nothing is written then).
pub fn pretrain(
    request: &PretrainRequest,
    observer: &mut dyn Observer,
) -> Result<PretrainOutcome, Error> {
    in_pool(request.threads, || pretrain_here(request, observer))
}

fn pretrain_here(
    request: &PretrainRequest,
    observer: &mut dyn Observer,
) -> Result<PretrainOutcome, Error> {
    let started = Instant::now();
    check(request)?;
    // Claimed first: an hour of training must not end at a folder that is taken.
    let mut writer = FolderWriter::create(&request.out, request.overwrite)?;
    let mut lines = Vec::new();
    for path in &request.corpus {
        lines.extend(read_lines(path)?);
    }
    if lines.is_empty() {
        return Err(TuneError::Empty {
            split: "corpus".into(),
        }
        .into());
    }
    let tokenizer = train_tokenizer(&lines, request.vocab_size)?;
    let corpus = Corpus::pack(&tokenizer, &lines, request.max_length)?;
    let vocab_size = tokenizer.get_vocab_size(true);
    observer.note(&format!(
        "{} lines, {} tokens of a vocabulary of {vocab_size}",
        lines.len(),
        corpus.num_tokens()
    ));
    let size = BertSize {
        vocab_size,
        hidden_size: request.hidden_size,
        num_layers: request.num_hidden_layers,
        num_heads: request.num_attention_heads,
        intermediate_size: request.intermediate_size,
        max_length: request.max_length,
    };
    let mut rng = ChaCha8Rng::seed_from_u64(request.seed);
    let mut network = size.network()?;
    // A small model on a small corpus underfits long before it overfits; the
    // configuration keeps its rates for the fine-tuning.
    network.set_dropout(Dropout::uniform(0.0));
    let mut model = Model::initialise(network, &mut rng);
    sinusoidal_positions(&mut model);
    let options = TrainOptions {
        epochs: request.epochs as f64,
        batch_size: request.batch_size,
        gradient_accumulation_steps: 1,
        learning_rate: request.learning_rate,
        warmup_ratio: WARMUP_RATIO,
        schedule: Schedule::Linear,
        optimizer: OptimizerOptions::AdamW(AdamWOptions {
            weight_decay: 0.01,
            ..AdamWOptions::default()
        }),
        seed: request.seed,
    };
    observer.begin(Phase::Pretrain, options.num_steps(corpus.len()));
    let mut progress = Progress {
        observer,
        losses: Vec::new(),
        request,
    };
    let trained = train(
        &mut model,
        &MaskedLm { corpus: &corpus },
        &options,
        &mut progress,
    )?;
    let losses = progress.losses;
    observer.end(Phase::Pretrain);

    let dtype = match request.dtype {
        Dtype::F16 => TensorDtype::F16,
        Dtype::Bf16 => TensorDtype::BF16,
    };
    model
        .network
        .write_into(&mut writer, &model.params, None, dtype, None)?;
    let text = tokenizer
        .to_string(false)
        .map_err(|e| TuneError::Tokenizer {
            path: request.out.join("tokenizer.json"),
            reason: e.to_string(),
        })?;
    writer.write_bytes("tokenizer.json", text.as_bytes())?;
    writer.write_json(
        "tokenizer_config.json",
        &json!({
            "tokenizer_class": "BertTokenizerFast",
            "do_lower_case": true,
            "model_max_length": request.max_length,
            "unk_token": "[UNK]",
            "sep_token": "[SEP]",
            "pad_token": "[PAD]",
            "cls_token": "[CLS]",
            "mask_token": "[MASK]",
        }),
    )?;
    writer.commit()?;
    let tail = ((losses.len() as f64 * TAIL).ceil() as usize).max(1);
    Ok(PretrainOutcome {
        parameters: model.params.len(),
        steps: trained.steps,
        loss: losses.iter().rev().take(tail).sum::<f64>() / tail as f64,
        seconds: started.elapsed().as_secs_f64(),
    })
}

fn check(request: &PretrainRequest) -> Result<(), Error> {
    at_least("hidden_size", request.hidden_size, 1)?;
    at_least("num_hidden_layers", request.num_hidden_layers, 1)?;
    at_least("num_attention_heads", request.num_attention_heads, 1)?;
    at_least("intermediate_size", request.intermediate_size, 1)?;
    at_least("vocab_size", request.vocab_size, SPECIAL_TOKENS.len() + 1)?;
    at_least("max_length", request.max_length, 4)?;
    at_least("epochs", request.epochs, 1)?;
    at_least("batch_size", request.batch_size, 1)?;
    if request.learning_rate > 0.0 && request.learning_rate <= 1.0 {
        return Ok(());
    }
    Err(out_of_range(
        "learning_rate",
        request.learning_rate,
        "a number above 0 and at most 1",
    ))
}

struct Progress<'a> {
    observer: &'a mut dyn Observer,
    losses: Vec<f64>,
    request: &'a PretrainRequest,
}

impl TrainObserver for Progress<'_> {
    type Error = Error;

    fn after_step(&mut self, point: TrainPoint, _: &Model) -> Result<Control, Error> {
        if self.observer.interrupted() {
            return Err(Error::Interrupted {
                out: self.request.out.clone(),
                on_disk: Vec::new(),
            });
        }
        self.losses.push(point.loss);
        let recent = self.losses.iter().rev().take(100);
        let mean = recent.clone().sum::<f64>() / recent.len() as f64;
        self.observer
            .advance(Phase::Pretrain, point.step, &format!("loss {mean:.3}"));
        Ok(Control::Continue)
    }
}
