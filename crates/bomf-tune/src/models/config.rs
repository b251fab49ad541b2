//! `config.json` of an encoder, read into what the forward pass needs.

use crate::TuneError;
use crate::kernels::activation::Activation;
use serde_json::{Map, Value};
use std::path::Path;

/// The architectures that are built in, by their `model_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelType {
    /// BERT (Devlin et al. 2019).
    Bert,
    /// RoBERTa (Liu et al. 2019).
    Roberta,
    /// DistilBERT (Sanh et al. 2019).
    DistilBert,
}

impl ModelType {
    /// The linear layers that PEFT adapts where nothing else is asked for, by the ends of
    /// their names.
    pub fn adapted_by_default(self) -> &'static [&'static str] {
        match self {
            ModelType::Bert | ModelType::Roberta => &["query", "value"],
            ModelType::DistilBert => &["q_lin", "v_lin"],
        }
    }
}

/// Dropout rates of training, each in [0, 1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// On hidden states.
    pub hidden: f32,
    /// On attention probabilities.
    pub attention: f32,
    /// Before the classifier.
    pub classifier: f32,
}

impl Dropout {
    /// One rate everywhere.
    pub fn uniform(rate: f32) -> Self {
        Dropout {
            hidden: rate,
            attention: rate,
            classifier: rate,
        }
    }
}

/// Sizes and rates of an encoder, whatever its architecture calls them.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Which architecture.
    pub model_type: ModelType,
    /// Entries of the token embedding.
    pub vocab_size: usize,
    /// Width of the hidden states.
    pub hidden_size: usize,
    /// Blocks.
    pub num_layers: usize,
    /// Attention heads.
    pub num_heads: usize,
    /// Width of the feed-forward layers.
    pub intermediate_size: usize,
    /// Activation of the feed-forward layers.
    pub activation: Activation,
    /// Entries of the position embedding.
    pub max_positions: usize,
    /// Entries of the segment embedding; 0 where there is none.
    pub type_vocab_size: usize,
    /// ε of the layer norms.
    pub layer_norm_eps: f32,
    /// Dropout rates of training.
    pub dropout: Dropout,
    /// Standard deviation of newly initialised weights.
    pub initializer_range: f32,
    /// The padding token; RoBERTa counts positions from it.
    pub pad_token_id: usize,
    /// `config.json` as it was.
    pub raw: Map<String, Value>,
}

/// The largest size that is believed: far above any real model's, and small enough
/// for products of sizes not to overflow.
const MAX_SIZE: usize = 1 << 24;
/// Likewise the number of blocks.
const MAX_LAYERS: usize = 1 << 12;

/// Typed access to the fields of one `config.json`.
struct Fields<'a> {
    raw: &'a Map<String, Value>,
    path: &'a Path,
}

impl Fields<'_> {
    fn error(&self, reason: String) -> TuneError {
        TuneError::Config {
            path: self.path.into(),
            reason,
        }
    }

    fn size(&self, name: &str, default: Option<usize>) -> Result<usize, TuneError> {
        match (self.raw.get(name), default) {
            (Some(Value::Null) | None, Some(default)) => Ok(default),
            (Some(Value::Null) | None, None) => Err(self.error(format!("`{name}` is missing"))),
            (Some(value), _) => value
                .as_u64()
                .and_then(|v| usize::try_from(v).ok())
                .ok_or_else(|| self.error(format!("`{name}` is {value}, not a whole number"))),
        }
    }

    fn positive(&self, name: &str, default: Option<usize>) -> Result<usize, TuneError> {
        match self.size(name, default)? {
            0 => Err(self.error(format!("`{name}` is 0"))),
            size if size > MAX_SIZE => {
                Err(self.error(format!("`{name}` is {size}, above {MAX_SIZE}")))
            }
            size => Ok(size),
        }
    }

    fn layers(&self, name: &str) -> Result<usize, TuneError> {
        match self.positive(name, None)? {
            layers if layers > MAX_LAYERS => {
                Err(self.error(format!("`{name}` is {layers}, above {MAX_LAYERS}")))
            }
            layers => Ok(layers),
        }
    }

    fn float(&self, name: &str, default: f32) -> Result<f32, TuneError> {
        match self.raw.get(name) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => match value.as_f64() {
                Some(v) if v.is_finite() => Ok(v as f32),
                _ => Err(self.error(format!("`{name}` is {value}, not a number"))),
            },
        }
    }

    fn rate(&self, name: &str, default: f32) -> Result<f32, TuneError> {
        let rate = self.float(name, default)?;
        if (0.0..1.0).contains(&rate) {
            Ok(rate)
        } else {
            Err(self.error(format!("`{name}` is {rate}, outside [0, 1)")))
        }
    }

    fn activation(&self, name: &str) -> Result<Activation, TuneError> {
        let given = match self.raw.get(name) {
            None | Some(Value::Null) => "gelu",
            Some(Value::String(given)) => given,
            Some(other) => return Err(self.error(format!("`{name}` is {other}, not a name"))),
        };
        Activation::from_hf(given)
            .ok_or_else(|| self.error(format!("activation `{given}` is not supported")))
    }
}

impl Config {
    /// Reads `config.json` in `dir`.
    ///
    /// # Errors
    /// Where the file is missing or broken, lacks a size, or is of an architecture
    /// or has an option that is not supported.
    pub fn read(dir: &Path) -> Result<Self, TuneError> {
        let path = dir.join("config.json");
        let text = std::fs::read_to_string(&path).map_err(|source| TuneError::Read {
            path: path.clone(),
            source,
        })?;
        let raw: Map<String, Value> =
            serde_json::from_str(&text).map_err(|e| TuneError::Config {
                path: path.clone(),
                reason: e.to_string(),
            })?;
        Config::from_raw(raw, &path)
    }

    /// Reads the fields of a configuration; `path` is for the errors.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn from_raw(raw: Map<String, Value>, path: &Path) -> Result<Self, TuneError> {
        let fields = Fields { raw: &raw, path };
        let model_type = match raw.get("model_type").and_then(Value::as_str) {
            Some("bert") => ModelType::Bert,
            Some("roberta" | "xlm-roberta" | "camembert") => ModelType::Roberta,
            Some("distilbert") => ModelType::DistilBert,
            other => {
                return Err(TuneError::Architecture {
                    path: path.into(),
                    model_type: other.unwrap_or("(none)").into(),
                });
            }
        };
        let position = raw.get("position_embedding_type").and_then(Value::as_str);
        if let Some(kind) = position.filter(|kind| *kind != "absolute") {
            return Err(fields.error(format!("position embeddings `{kind}` are not supported")));
        }
        if raw.get("is_decoder").and_then(Value::as_bool) == Some(true) {
            return Err(fields.error("`is_decoder` is true; only encoders are supported".into()));
        }
        let config = if model_type == ModelType::DistilBert {
            Config {
                model_type,
                vocab_size: fields.positive("vocab_size", None)?,
                hidden_size: fields.positive("dim", None)?,
                num_layers: fields.layers("n_layers")?,
                num_heads: fields.positive("n_heads", None)?,
                intermediate_size: fields.positive("hidden_dim", None)?,
                activation: fields.activation("activation")?,
                max_positions: fields.positive("max_position_embeddings", None)?,
                type_vocab_size: 0,
                layer_norm_eps: 1e-12,
                dropout: Dropout {
                    hidden: fields.rate("dropout", 0.1)?,
                    attention: fields.rate("attention_dropout", 0.1)?,
                    classifier: fields.rate("seq_classif_dropout", 0.2)?,
                },
                initializer_range: fields.float("initializer_range", 0.02)?,
                pad_token_id: fields.size("pad_token_id", Some(0))?,
                raw: Map::new(),
            }
        } else {
            let hidden = fields.rate("hidden_dropout_prob", 0.1)?;
            let pad = if model_type == ModelType::Bert { 0 } else { 1 };
            Config {
                model_type,
                vocab_size: fields.positive("vocab_size", None)?,
                hidden_size: fields.positive("hidden_size", None)?,
                num_layers: fields.layers("num_hidden_layers")?,
                num_heads: fields.positive("num_attention_heads", None)?,
                intermediate_size: fields.positive("intermediate_size", None)?,
                activation: fields.activation("hidden_act")?,
                max_positions: fields.positive("max_position_embeddings", None)?,
                type_vocab_size: fields.positive("type_vocab_size", Some(2))?,
                layer_norm_eps: fields.float("layer_norm_eps", 1e-12)?,
                dropout: Dropout {
                    hidden,
                    attention: fields.rate("attention_probs_dropout_prob", 0.1)?,
                    classifier: fields.rate("classifier_dropout", hidden)?,
                },
                initializer_range: fields.float("initializer_range", 0.02)?,
                pad_token_id: fields.size("pad_token_id", Some(pad))?,
                raw: Map::new(),
            }
        };
        if config.hidden_size % config.num_heads != 0 {
            return Err(fields.error(format!(
                "{} attention heads do not divide the hidden size {}",
                config.num_heads, config.hidden_size
            )));
        }
        if config.max_length() == 0 {
            return Err(fields.error("`max_position_embeddings` leaves no room for a token".into()));
        }
        Ok(Config { raw, ..config })
    }

    /// The position embedding of a sequence's first token: RoBERTa begins behind
    /// the padding token's.
    pub fn first_position(&self) -> usize {
        match self.model_type {
            ModelType::Roberta => self.pad_token_id.saturating_add(1),
            ModelType::Bert | ModelType::DistilBert => 0,
        }
    }

    /// The most tokens a sequence can have.
    pub fn max_length(&self) -> usize {
        self.max_positions.saturating_sub(self.first_position())
    }
}
