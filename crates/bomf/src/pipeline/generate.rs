//! `bomf generate`: what a model writes behind prompts, or to sources.

use super::dialogue::Dialogue;
use super::in_pool;
use super::members::of_head;
use super::seeds::{Purpose, generator};
use crate::{Error, GenerateRequest, Observer, Phase, Prompts, Split, resolve_model};
use bomf_tune::TuneError;
use bomf_tune::data::{self, DataOptions, Example, read_dataset};
use bomf_tune::generate::Texts;
use bomf_tune::models::{Config, Head, Network};
use bomf_tune::tape::Workspace;
use bomf_tune::tokenize::TextTokenizer;
use bomf_tune::train::Control;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;

/// A prompt, or a source, and what the model wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Generated {
    /// Its place among the prompts, from 0.
    pub index: usize,
    /// The prompt as it was given.
    pub prompt: String,
    /// What the model wrote, without special tokens.
    pub text: String,
    /// The completion or target in the data, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// What a language model or an encoder-decoder writes, by `task.generation` of the recipe.
///
/// # Errors
/// Where the model writes no text, or the data cannot be read; [`Error::Interrupted`] where
/// the observer says so before the last prompt.
pub fn generate(
    request: &GenerateRequest,
    observer: &mut dyn Observer,
) -> Result<Vec<Generated>, Error> {
    in_pool(request.threads, || generate_here(request, observer))
}

/// Prompts, with the references of those that have any.
fn read(request: &GenerateRequest) -> Result<Vec<Example>, Error> {
    let (dir, split) = match &request.prompts {
        Prompts::Texts(texts) => {
            let example = |text: &String| Example {
                text: text.clone(),
                ..Example::default()
            };
            return Ok(texts.iter().map(example).collect());
        }
        Prompts::Data { dir, split } => (dir, *split),
    };
    let task = &request.recipe.task;
    let options = DataOptions {
        text: task.columns.text.clone(),
        text_pair: task.columns.text_pair.clone(),
        task: Some(data::Task::CausalLm),
        allow_no_train: true,
        validation_fraction: task.validation_fraction,
        test_fraction: task.test_fraction,
        seed: request.recipe.seed,
        ..DataOptions::default()
    };
    let dataset = read_dataset(dir, &options)?;
    let examples = match split {
        Split::Train => dataset.train.texts,
        Split::Validation => dataset.validation.texts,
        Split::Test => dataset.test.texts,
    };
    if examples.is_empty() {
        return Err(Error::EmptySplit {
            split: split.as_str(),
        });
    }
    Ok(examples)
}

fn generate_here(
    request: &GenerateRequest,
    observer: &mut dyn Observer,
) -> Result<Vec<Generated>, Error> {
    let base = resolve_model(&request.model, observer)?;
    let config = Config::read(&base)?;
    let is_pair = config.model_type.is_encoder_decoder();
    let examples = read(request)?;
    let recipe = &request.recipe;
    let mut options = recipe.task.generation.options.clone();
    if let Some(sampling) = &mut options.sampling {
        sampling.seed = generator(recipe.seed, Purpose::Generation).random();
    }
    let tokenizer = TextTokenizer::load(&base, &config, recipe.task.max_length)?;
    let network = Network::new(config, Head::CausalLm)?;
    let mut params = vec![0.0; network.layout().len()];
    network
        .read_params::<ChaCha8Rng>(&base, &mut params, None)
        .map_err(|error| of_head(error, &network))?;
    let dialogue = Dialogue::new(recipe, &base, examples.iter())?;
    let texts = Texts {
        prompts: match is_pair {
            true => tokenizer.encode_sources(examples.iter().map(|e| e.text.as_str()))?,
            false => dialogue.encode_prompts(&tokenizer, &examples, options.max_new_tokens)?,
        },
        references: Vec::new(),
        metrics: Vec::new(),
        stemmed: false,
        options,
        tokenizer: Arc::new(tokenizer),
    };
    observer.begin(Phase::Evaluate, examples.len() as u64);
    let mut tell = |done: usize| {
        observer.advance(Phase::Evaluate, done as u64, "");
        match observer.interrupted() {
            true => Control::Stop,
            false => Control::Continue,
        }
    };
    let written = texts.generate(&network, &params, &Workspace::default(), &mut tell);
    let written = written.map_err(|error| match error {
        TuneError::Interrupted => Error::Interrupted {
            out: PathBuf::new(),
            on_disk: Vec::new(),
        },
        other => other.into(),
    })?;
    observer.end(Phase::Evaluate);
    let all = examples.into_iter().zip(written).enumerate();
    Ok(all
        .map(|(index, (example, text))| Generated {
            index,
            prompt: example.text,
            text,
            reference: example.text_pair,
        })
        .collect())
}
