//! `config.json` of ModernBERT: the fields of its first checkpoints, and those that
//! transformers 5 writes (`layer_types`, `rope_parameters`).

use crate::TuneError;
use crate::kernels::activation::Activation;
use crate::models::config::{Config, Dropout, Fields};
use crate::models::{ModelType, Rope};
use serde_json::{Map, Value};

/// What a classifier reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The first token of a sequence.
    Cls,
    /// The mean of all its tokens.
    Mean,
}

/// What ModernBERT has beside the fields of encoders.
#[derive(Debug, Clone, PartialEq)]
pub struct ModernBertConfig {
    /// How many neighbours on either side a token of a local block sees.
    pub side: usize,
    /// Which blocks are local.
    pub local: Vec<bool>,
    /// Rotary position embeddings of the local blocks.
    pub local_rope: Rope,
    /// And of the others.
    pub global_rope: Rope,
    /// Whether norms have biases.
    pub norm_bias: bool,
    /// Whether the attention's layers have.
    pub attention_bias: bool,
    /// Whether the feed-forward layers have.
    pub mlp_bias: bool,
    /// Whether the head's dense layer has.
    pub classifier_bias: bool,
    /// Activation of the head.
    pub classifier_activation: Activation,
    /// What a classifier reads.
    pub pooling: Pooling,
}

/// Base of the frequencies of the blocks that see everything, and of the local ones.
const THETAS: [f64; 2] = [160_000.0, 10_000.0];

impl Fields<'_> {
    /// A configuration of ModernBERT; its defaults are those of transformers.
    pub(in crate::models) fn modern_bert(&self) -> Result<Config, TuneError> {
        let hidden_size = self.positive("hidden_size", Some(768))?;
        let num_heads = self.positive("num_attention_heads", Some(12))?;
        let num_layers = self.layers_or("num_hidden_layers", 22)?;
        if !hidden_size.is_multiple_of(2 * num_heads) {
            return Err(self.error(format!(
                "heads of {hidden_size} / {num_heads} columns cannot be rotated"
            )));
        }
        let (hidden, embedding) = (
            self.rate("mlp_dropout", 0.0)?,
            self.rate("embedding_dropout", 0.0)?,
        );
        if hidden != embedding {
            return Err(self.error(format!(
                "`embedding_dropout` is {embedding} and `mlp_dropout` {hidden}; they must be \
                 equal here"
            )));
        }
        let pooling = match self.raw.get("classifier_pooling") {
            None | Some(Value::Null) => Pooling::Cls,
            Some(Value::String(name)) if name == "cls" => Pooling::Cls,
            Some(Value::String(name)) if name == "mean" => Pooling::Mean,
            Some(other) => {
                return Err(self.error(format!(
                    "`classifier_pooling` is {other}, not \"cls\" or \"mean\""
                )));
            }
        };
        let head_dim = hidden_size / num_heads;
        Ok(Config {
            model_type: ModelType::ModernBert,
            vocab_size: self.positive("vocab_size", Some(50_368))?,
            hidden_size,
            num_layers,
            num_heads,
            intermediate_size: self.positive("intermediate_size", Some(1152))?,
            activation: self.activation("hidden_activation")?,
            max_positions: self.positive("max_position_embeddings", Some(8192))?,
            type_vocab_size: 0,
            layer_norm_eps: self.float("norm_eps", 1e-5)?,
            dropout: Dropout {
                hidden,
                attention: self.rate("attention_dropout", 0.0)?,
                classifier: self.rate("classifier_dropout", 0.0)?,
            },
            initializer_range: self.float("initializer_range", 0.02)?,
            pad_token_id: self.size("pad_token_id", Some(0))?,
            decoder: None,
            modern_bert: Some(ModernBertConfig {
                side: self.size("local_attention", Some(128))? / 2,
                local: self.local(num_layers)?,
                local_rope: self.rope("sliding_attention", "local_rope_theta", head_dim)?,
                global_rope: self.rope("full_attention", "global_rope_theta", head_dim)?,
                norm_bias: self.flag("norm_bias", false)?,
                attention_bias: self.flag("attention_bias", false)?,
                mlp_bias: self.flag("mlp_bias", false)?,
                classifier_bias: self.flag("classifier_bias", false)?,
                classifier_activation: self.activation("classifier_activation")?,
                pooling,
            }),
            encoder_decoder: None,
            raw: Map::new(),
        })
    }

    /// Which blocks are local.
    fn local(&self, layers: usize) -> Result<Vec<bool>, TuneError> {
        let types = match self.raw.get("layer_types") {
            None | Some(Value::Null) => {
                let every = self.positive("global_attn_every_n_layers", Some(3))?;
                return Ok((0..layers).map(|i| i % every != 0).collect());
            }
            Some(Value::Array(types)) if types.len() == layers => types,
            Some(_) => {
                return Err(self.error(format!("`layer_types` is no list of {layers} names")));
            }
        };
        let is_local = |kind: &Value| match kind.as_str() {
            Some("full_attention") => Ok(false),
            Some("sliding_attention") => Ok(true),
            _ => Err(self.error(format!("attention of type {kind} is not supported"))),
        };
        types.iter().map(is_local).collect()
    }

    /// The rotary embeddings of the blocks of type `kind`, whose base has been a field of
    /// its own, `old`.
    fn rope(&self, kind: &str, old: &str, head_dim: usize) -> Result<Rope, TuneError> {
        let [global, local] = THETAS;
        let default = match kind {
            "full_attention" => global,
            _ => local,
        };
        let own = self
            .raw
            .get("rope_parameters")
            .and_then(|all| all.get(kind));
        let mut fields = own.and_then(Value::as_object).cloned().unwrap_or_default();
        // Of the first versions: for both.
        if let Some(Value::Object(both)) = self.raw.get("rope_scaling") {
            fields.extend(both.clone());
        }
        let theta = match self.raw.get(old) {
            // The first versions took the other base then.
            Some(Value::Null) => self.raw.get("global_rope_theta"),
            other => other,
        };
        let mut raw = Map::new();
        if let Some(theta) = theta {
            raw.insert("rope_theta".into(), theta.clone());
        }
        if let Some(most) = self.raw.get("max_position_embeddings") {
            raw.insert("max_position_embeddings".into(), most.clone());
        }
        raw.insert("rope_parameters".into(), fields.into());
        Rope::read(&raw, head_dim, default)
            .map_err(|reason| self.error(format!("{kind}: {reason}")))
    }
}
