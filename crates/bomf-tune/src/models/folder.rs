//! Models as Hugging Face folders: reading any BERT-family checkpoint, writing one
//! that transformers loads.

use super::{Config, Head, Network};
use crate::TuneError;
use crate::params::{Entry, Layout};
use bomf_checkpoint::{
    Checkpoint, Dtype, FolderWriter, ModelLayout, TensorData, TensorRef, TensorSpec,
};
use rand::Rng;
use serde_json::{Map, Value, json};
use std::path::Path;

/// A network and its parameters.
#[derive(Debug)]
pub struct Model {
    /// The forward pass.
    pub network: Network,
    /// The parameters, by the network's layout.
    pub params: Vec<f32>,
}

/// What a model's outputs mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelNames {
    /// Names of the classes, by their ids.
    Classes(Vec<String>),
    /// One number.
    Regression,
    /// The tokens of the model's vocabulary.
    Vocabulary,
    /// Where in a text an answer begins and ends.
    Answers,
    /// Names of the tags of words, by their ids.
    Tags(Vec<String>),
    /// How well a choice fits.
    Choices,
}

impl LabelNames {
    /// The head that gives such outputs.
    pub fn head(&self) -> Head {
        match self {
            LabelNames::Classes(names) => Head::Classifier {
                outputs: names.len(),
            },
            LabelNames::Regression => Head::Classifier { outputs: 1 },
            LabelNames::Vocabulary => Head::CausalLm,
            LabelNames::Answers => Head::QuestionAnswering,
            LabelNames::Tags(names) => Head::TokenClassifier {
                outputs: names.len(),
            },
            LabelNames::Choices => Head::MultipleChoice,
        }
    }
}

/// What loading a checkpoint left to say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Head parameters that the checkpoint lacks, or has in another shape: newly
    /// initialised.
    pub initialised: Vec<String>,
    /// Tensors of the checkpoint that the model does not use.
    pub unused: Vec<String>,
}

/// Finds a model's parameters in a checkpoint, whatever stands before their names.
struct Names<'a> {
    checkpoint: &'a Checkpoint,
    /// What the layout puts before the encoder's names, `bert.`.
    ours: &'static str,
    /// What the checkpoint puts there: `bert.`, nothing, or anything else.
    theirs: String,
    /// What the checkpoint puts before everything, the head too: `module.`, say,
    /// where it was written through a wrapper.
    outer: String,
    config_is_t5: bool,
}

impl<'a> Names<'a> {
    fn new(checkpoint: &'a Checkpoint, config: &Config) -> Self {
        let ours = match config.model_type {
            super::ModelType::Bert => "bert.",
            super::ModelType::Roberta => "roberta.",
            super::ModelType::DistilBert => "distilbert.",
            super::ModelType::Gpt2 => "transformer.",
            super::ModelType::T5 => "",
            _ => "model.",
        };
        let anchor = match config.model_type {
            super::ModelType::ModernBert => "embeddings.tok_embeddings.weight",
            super::ModelType::Gpt2 => "wte.weight",
            super::ModelType::T5 => "shared.weight",
            kind if kind.is_decoder() => "embed_tokens.weight",
            _ => "embeddings.word_embeddings.weight",
        };
        let theirs = checkpoint
            .names()
            .find_map(|name| name.strip_suffix(anchor))
            .unwrap_or(ours)
            .to_string();
        let outer = theirs.strip_suffix(ours).unwrap_or_default().to_string();
        Names {
            checkpoint,
            ours,
            theirs,
            outer,
            config_is_t5: config.model_type == super::ModelType::T5,
        }
    }

    fn find(&self, name: &str) -> Option<TensorRef<'a>> {
        let theirs = match name.strip_prefix(self.ours) {
            Some(rest) => format!("{}{rest}", self.theirs),
            None => format!("{}{name}", self.outer),
        };
        // The first checkpoints of BERT call a norm's weight and bias gamma and beta.
        let old = theirs
            .replace("LayerNorm.weight", "LayerNorm.gamma")
            .replace("LayerNorm.bias", "LayerNorm.beta");
        // A table that gives the logits too may be stored once.
        let shared = match self.config_is_t5 && name == "lm_head.weight" {
            true => format!("{}shared.weight", self.theirs),
            false => String::new(),
        };
        [name, &theirs, &old, &shared]
            .into_iter()
            .find_map(|name| self.checkpoint.get(name))
    }
}

fn shape_error(tensor: &TensorRef<'_>, dir: &Path, entry: &Entry) -> TuneError {
    TuneError::Shape {
        name: tensor.name().into(),
        path: dir.into(),
        found: tensor.shape().to_vec(),
        expected: entry.shape.clone(),
    }
}

/// The tensor of a parameter, in its shape.
fn fitting<'a>(
    names: &Names<'a>,
    name: &str,
    entry: &Entry,
    dir: &Path,
) -> Result<TensorRef<'a>, TuneError> {
    match names.find(name) {
        Some(tensor) if tensor.shape() == entry.shape => Ok(tensor),
        Some(tensor) => Err(shape_error(&tensor, dir, entry)),
        None => Err(TuneError::MissingTensor {
            name: name.into(),
            path: dir.into(),
        }),
    }
}

impl Model {
    /// Reads the model in `dir`. Parameters of the head that the checkpoint lacks
    /// are initialised from `rng`.
    ///
    /// # Errors
    /// Where a file is missing or broken, or the encoder does not fit its
    /// configuration.
    pub fn load(
        dir: &Path,
        head: Head,
        rng: &mut impl Rng,
    ) -> Result<(Self, LoadReport), TuneError> {
        let network = Network::new(Config::read(dir)?, head)?;
        network.check_encoder(dir)?;
        let mut params = vec![0.0; network.layout().len()];
        let report = network.read_params(dir, &mut params, Some(rng))?;
        Ok((Model { network, params }, report))
    }

    /// A model with new parameters.
    pub fn initialise(network: Network, rng: &mut impl Rng) -> Self {
        let mut params = vec![0.0; network.layout().len()];
        for (_, entry) in network.layout().entries() {
            Layout::initialise(entry, &mut params, rng);
        }
        Model { network, params }
    }
}

impl Network {
    /// Whether the checkpoint in `dir` holds the encoder, before memory is taken for
    /// whatever sizes a configuration claims.
    fn check_encoder(&self, dir: &Path) -> Result<(), TuneError> {
        let checkpoint = Checkpoint::open(dir)?;
        let names = Names::new(&checkpoint, self.config());
        let mut encoder = self.layout().entries().filter(|(_, entry)| !entry.head);
        encoder.try_for_each(|(name, entry)| fitting(&names, name, entry, dir).map(|_| ()))
    }

    /// Reads the parameters of the checkpoint in `dir` into `params`. Those of the
    /// head that it lacks are initialised from `rng`, or refused where there is none.
    ///
    /// # Errors
    /// [`TuneError::MissingTensor`], [`TuneError::Shape`], or where the checkpoint
    /// is broken.
    pub fn read_params<R: Rng>(
        &self,
        dir: &Path,
        params: &mut [f32],
        mut rng: Option<&mut R>,
    ) -> Result<LoadReport, TuneError> {
        let checkpoint = Checkpoint::open(dir)?;
        let names = Names::new(&checkpoint, self.config());
        let mut report = LoadReport::default();
        let mut used = std::collections::BTreeSet::new();
        for (name, entry) in self.layout().entries() {
            let tensor = names.find(name);
            let fits = tensor.as_ref().is_some_and(|t| t.shape() == entry.shape);
            match (tensor, &mut rng) {
                (Some(tensor), _) if fits => {
                    let place = entry.param.offset..entry.param.offset + entry.param.len();
                    tensor.read_f32_into(&mut params[place])?;
                    used.insert(tensor.name().to_string());
                }
                (_, Some(rng)) if entry.head => {
                    Layout::initialise(entry, params, *rng);
                    report.initialised.push(name.to_string());
                }
                (Some(tensor), _) => {
                    return Err(shape_error(&tensor, dir, entry));
                }
                (None, _) => {
                    return Err(TuneError::MissingTensor {
                        name: name.into(),
                        path: dir.into(),
                    });
                }
            }
        }
        report.unused = checkpoint
            .names()
            .filter(|name| !used.contains(*name))
            .map(String::from)
            .collect();
        Ok(report)
    }

    /// The tensors of every parameter in `checkpoint`, in the layout's order; `dir` is
    /// for the errors.
    ///
    /// # Errors
    /// [`TuneError::MissingTensor`] or [`TuneError::Shape`].
    pub fn tensors<'a>(
        &self,
        checkpoint: &'a Checkpoint,
        dir: &Path,
    ) -> Result<Vec<TensorRef<'a>>, TuneError> {
        let names = Names::new(checkpoint, self.config());
        self.layout()
            .entries()
            .map(|(name, entry)| fitting(&names, name, entry, dir))
            .collect()
    }

    /// Writes `params` as a model folder: `model.safetensors`, `config.json`, and
    /// the tokenizer's files from `base`.
    ///
    /// # Errors
    /// Where the folder stands already and may not be overwritten, or cannot be
    /// written; nothing is left then.
    pub fn write_folder(
        &self,
        params: &[f32],
        labels: Option<&LabelNames>,
        dtype: Dtype,
        base: Option<&Path>,
        target: &Path,
        overwrite: bool,
    ) -> Result<(), TuneError> {
        let mut writer = FolderWriter::create(target, overwrite)?;
        self.write_into(&mut writer, params, labels, dtype, base)?;
        writer.commit()?;
        Ok(())
    }

    /// Writes the files of a model folder through `writer`, without committing.
    ///
    /// # Errors
    /// Where they cannot be written.
    pub fn write_into(
        &self,
        writer: &mut FolderWriter,
        params: &[f32],
        labels: Option<&LabelNames>,
        dtype: Dtype,
        base: Option<&Path>,
    ) -> Result<(), TuneError> {
        let entries: Vec<_> = self.layout().entries().collect();
        let specs: Vec<TensorSpec> = entries
            .iter()
            .map(|(name, entry)| TensorSpec::new(*name, dtype, &entry.shape))
            .collect();
        writer.write_model(&specs, &ModelLayout::default(), |i| {
            Ok(TensorData::F32(entries[i].1.param.of(params).into()))
        })?;
        if let Some(base) = base {
            writer.copy_sidecars(base)?;
        }
        writer.write_json("config.json", &self.config_json(labels, dtype))?;
        Ok(())
    }

    /// `config.json` for these parameters: the original's, with the head's part new.
    fn config_json(&self, labels: Option<&LabelNames>, dtype: Dtype) -> Map<String, Value> {
        let mut raw = self.config().raw.clone();
        let family = match self.config().model_type {
            super::ModelType::Bert => "Bert",
            super::ModelType::Roberta => "Roberta",
            super::ModelType::DistilBert => "DistilBert",
            super::ModelType::ModernBert => "ModernBert",
            super::ModelType::Gpt2 => "GPT2",
            super::ModelType::Llama => "Llama",
            super::ModelType::Mistral => "Mistral",
            super::ModelType::Qwen2 => "Qwen2",
            super::ModelType::Qwen3 => "Qwen3",
            super::ModelType::T5 => "T5",
        };
        let kind = match self.head() {
            Head::Classifier { .. } => "ForSequenceClassification",
            Head::MaskedLm => "ForMaskedLM",
            Head::CausalLm if family == "GPT2" => "LMHeadModel",
            Head::CausalLm if family == "T5" => "ForConditionalGeneration",
            Head::CausalLm => "ForCausalLM",
            Head::QuestionAnswering => "ForQuestionAnswering",
            Head::TokenClassifier { .. } => "ForTokenClassification",
            Head::MultipleChoice => "ForMultipleChoice",
        };
        // XLM-RoBERTa and CamemBERT keep the class that their own type names.
        let family = match raw.get("model_type").and_then(Value::as_str) {
            Some("xlm-roberta") => "XLMRoberta",
            Some("camembert") => "Camembert",
            Some("mt5") => "MT5",
            _ => family,
        };
        raw.insert("architectures".into(), json!([format!("{family}{kind}")]));
        let dtype_name = match dtype {
            Dtype::F16 => "float16",
            Dtype::BF16 => "bfloat16",
            _ => "float32",
        };
        // Both names of the field: transformers reads `dtype` from version 4.56 on.
        raw.insert("torch_dtype".into(), json!(dtype_name));
        raw.insert("dtype".into(), json!(dtype_name));
        for stale in [
            "id2label",
            "label2id",
            "num_labels",
            "problem_type",
            "_num_labels",
        ] {
            raw.shift_remove(stale);
        }
        match labels {
            Some(LabelNames::Classes(names) | LabelNames::Tags(names)) => {
                let by_id = names.iter().enumerate();
                let id2label: Map<_, _> = by_id
                    .clone()
                    .map(|(i, name)| (i.to_string(), json!(name)))
                    .collect();
                let label2id: Map<_, _> = by_id.map(|(i, name)| (name.clone(), json!(i))).collect();
                raw.insert("id2label".into(), id2label.into());
                raw.insert("label2id".into(), label2id.into());
                // It is a field of sequence classifiers.
                if matches!(labels, Some(LabelNames::Classes(_))) {
                    raw.insert("problem_type".into(), json!("single_label_classification"));
                }
            }
            Some(LabelNames::Regression) => {
                raw.insert("id2label".into(), json!({"0": "LABEL_0"}));
                raw.insert("label2id".into(), json!({"LABEL_0": 0}));
                raw.insert("problem_type".into(), json!("regression"));
            }
            Some(LabelNames::Vocabulary | LabelNames::Answers | LabelNames::Choices) | None => {}
        }
        raw
    }
}

impl LabelNames {
    /// The labels that a fine-tuned model's `config.json` names; `None` where it
    /// names none of its own.
    pub fn from_config(config: &Config) -> Option<Self> {
        if config.raw.get("problem_type").and_then(Value::as_str) == Some("regression") {
            return Some(LabelNames::Regression);
        }
        let map = config.raw.get("id2label")?.as_object()?;
        let names: Option<Vec<String>> = (0..map.len())
            .map(|i| map.get(&i.to_string())?.as_str().map(String::from))
            .collect();
        let names = names?;
        let own = |(i, name): (usize, &String)| *name != format!("LABEL_{i}");
        names
            .iter()
            .enumerate()
            .any(own)
            .then_some(LabelNames::Classes(names))
    }
}
