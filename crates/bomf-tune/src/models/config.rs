//! `config.json` of a model, read into what the forward pass needs.

use super::modernbert::{ModernBertConfig, Pooling};
use super::rope::Rope;
use crate::TuneError;
use crate::batch::OutputsAt;
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
    /// ModernBERT (Warner et al. 2024).
    ModernBert,
    /// GPT-2 (Radford et al. 2019).
    Gpt2,
    /// Llama (Touvron et al. 2023), 1 to 3.
    Llama,
    /// Mistral (Jiang et al. 2023).
    Mistral,
    /// Qwen2 and Qwen2.5 (Yang et al. 2024).
    Qwen2,
    /// Qwen3 (Yang et al. 2025).
    Qwen3,
    /// T5 (Raffel et al. 2020), v1.0 and v1.1, and mT5 (Xue et al. 2021).
    T5,
}

impl ModelType {
    /// The linear layers that PEFT adapts where nothing else is asked for, by the ends of
    /// their names.
    pub fn adapted_by_default(self) -> &'static [&'static str] {
        match self {
            ModelType::Bert | ModelType::Roberta => &["query", "value"],
            ModelType::DistilBert => &["q_lin", "v_lin"],
            // PEFT has no default for it.
            ModelType::ModernBert => &["Wqkv"],
            ModelType::Gpt2 => &["c_attn"],
            ModelType::T5 => &["q", "v"],
            _ => &["q_proj", "v_proj"],
        }
    }

    /// Whether it reads left to right.
    pub fn is_decoder(self) -> bool {
        !matches!(
            self,
            ModelType::Bert
                | ModelType::Roberta
                | ModelType::DistilBert
                | ModelType::ModernBert
                | ModelType::T5
        )
    }

    /// Whether it reads one text and writes another.
    pub fn is_encoder_decoder(self) -> bool {
        self == ModelType::T5
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

/// What decoders of the Llama family have beside the fields of encoders.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoder {
    /// Heads of the keys and values, a divisor of those of the queries.
    pub kv_heads: usize,
    /// Columns of a head, an even number.
    pub head_dim: usize,
    /// Rotary position embeddings.
    pub rope: Rope,
    /// Whether queries, keys and values have biases.
    pub qkv_bias: bool,
    /// Whether the attention's output has.
    pub output_bias: bool,
    /// Whether the feed-forward layers have.
    pub mlp_bias: bool,
    /// Whether the heads of queries and keys are normalised.
    pub head_norms: bool,
    /// How many keys a query sees at most in the sliding blocks.
    pub window: Option<usize>,
    /// Which blocks slide.
    pub sliding: Vec<bool>,
    /// Whether the table of words gives the logits too.
    pub tied: bool,
}

/// What an encoder with a decoder has beside the fields of encoders.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderDecoder {
    /// Blocks of the decoder; `num_layers` are the encoder's.
    pub decoder_layers: usize,
    /// Columns of a head.
    pub head_dim: usize,
    /// Whether the feed-forward layers are gated.
    pub gated: bool,
    /// Buckets of the relative positions.
    pub buckets: usize,
    /// The distance from which on all fall into the last bucket.
    pub max_distance: usize,
    /// Whether the decoder's states are scaled by `1/√hidden` before the vocabulary.
    pub scaled: bool,
    /// Whether the table of words gives the logits too.
    pub tied: bool,
    /// The token that the decoder begins with.
    pub start: u32,
}

/// Sizes and rates of a model, whatever its architecture calls them.
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
    /// What a decoder of the Llama family has beside this.
    pub decoder: Option<Decoder>,
    /// What ModernBERT has beside this.
    pub modern_bert: Option<ModernBertConfig>,
    /// What an encoder with a decoder has beside this.
    pub encoder_decoder: Option<EncoderDecoder>,
    /// `config.json` as it was.
    pub raw: Map<String, Value>,
}

/// The largest size that is believed: far above any real model's, and small enough
/// for products of sizes not to overflow.
const MAX_SIZE: usize = 1 << 24;
/// Likewise the number of blocks.
const MAX_LAYERS: usize = 1 << 12;

/// Typed access to the fields of one `config.json`.
pub(super) struct Fields<'a> {
    pub(super) raw: &'a Map<String, Value>,
    path: &'a Path,
}

impl Fields<'_> {
    pub(super) fn error(&self, reason: String) -> TuneError {
        TuneError::Config {
            path: self.path.into(),
            reason,
        }
    }

    pub(super) fn size(&self, name: &str, default: Option<usize>) -> Result<usize, TuneError> {
        match (self.raw.get(name), default) {
            (Some(Value::Null) | None, Some(default)) => Ok(default),
            (Some(Value::Null) | None, None) => Err(self.error(format!("`{name}` is missing"))),
            (Some(value), _) => value
                .as_u64()
                .and_then(|v| usize::try_from(v).ok())
                .ok_or_else(|| self.error(format!("`{name}` is {value}, not a whole number"))),
        }
    }

    pub(super) fn positive(&self, name: &str, default: Option<usize>) -> Result<usize, TuneError> {
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

    pub(super) fn float(&self, name: &str, default: f32) -> Result<f32, TuneError> {
        match self.raw.get(name) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => match value.as_f64() {
                Some(v) if v.is_finite() => Ok(v as f32),
                _ => Err(self.error(format!("`{name}` is {value}, not a number"))),
            },
        }
    }

    pub(super) fn rate(&self, name: &str, default: f32) -> Result<f32, TuneError> {
        let rate = self.float(name, default)?;
        if (0.0..1.0).contains(&rate) {
            Ok(rate)
        } else {
            Err(self.error(format!("`{name}` is {rate}, outside [0, 1)")))
        }
    }

    pub(super) fn activation(&self, name: &str) -> Result<Activation, TuneError> {
        let given = match self.raw.get(name) {
            None | Some(Value::Null) => "gelu",
            Some(Value::String(given)) => given,
            Some(other) => return Err(self.error(format!("`{name}` is {other}, not a name"))),
        };
        Activation::from_hf(given)
            .ok_or_else(|| self.error(format!("activation `{given}` is not supported")))
    }
}

impl Fields<'_> {
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, TuneError> {
        match self.raw.get(name) {
            None | Some(Value::Null) => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.error(format!("`{name}` is {other}, not true or false"))),
        }
    }

    /// Refuses a flag that is not what is built in.
    fn must_be(&self, name: &str, value: bool) -> Result<(), TuneError> {
        match self.flag(name, value)? == value {
            true => Ok(()),
            false => Err(self.error(format!("`{name}` is {}, which is not supported", !value))),
        }
    }

    /// A configuration of GPT-2.
    fn gpt2(&self) -> Result<Config, TuneError> {
        self.must_be("scale_attn_weights", true)?;
        self.must_be("scale_attn_by_inverse_layer_idx", false)?;
        self.must_be("add_cross_attention", false)?;
        self.must_be("tie_word_embeddings", true)?;
        let hidden_size = self.positive("n_embd", Some(768))?;
        let (hidden, embedding) = (
            self.rate("resid_pdrop", 0.1)?,
            self.rate("embd_pdrop", 0.1)?,
        );
        if hidden != embedding {
            return Err(self.error(format!(
                "`embd_pdrop` is {embedding} and `resid_pdrop` {hidden}; they must be equal here"
            )));
        }
        let activation = match self.raw.get("activation_function") {
            None | Some(Value::Null) => Activation::GeluTanh,
            Some(_) => self.activation("activation_function")?,
        };
        Ok(Config {
            model_type: ModelType::Gpt2,
            vocab_size: self.positive("vocab_size", Some(50_257))?,
            hidden_size,
            num_layers: match self.raw.get("n_layer") {
                None | Some(Value::Null) => 12,
                Some(_) => self.layers("n_layer")?,
            },
            num_heads: self.positive("n_head", Some(12))?,
            intermediate_size: self.positive("n_inner", Some(4 * hidden_size))?,
            activation,
            max_positions: self.positive("n_positions", Some(1024))?,
            type_vocab_size: 0,
            layer_norm_eps: self.float("layer_norm_epsilon", 1e-5)?,
            dropout: Dropout {
                hidden,
                attention: self.rate("attn_pdrop", 0.1)?,
                classifier: 0.0,
            },
            initializer_range: self.float("initializer_range", 0.02)?,
            pad_token_id: 0,
            decoder: None,
            modern_bert: None,
            encoder_decoder: None,
            raw: Map::new(),
        })
    }

    /// A configuration of the Llama family.
    fn decoder(&self, model_type: ModelType) -> Result<Config, TuneError> {
        let hidden_size = self.positive("hidden_size", None)?;
        let num_heads = self.positive("num_attention_heads", None)?;
        let num_layers = self.layers("num_hidden_layers")?;
        let kv_heads = self.positive("num_key_value_heads", Some(num_heads))?;
        if !num_heads.is_multiple_of(kv_heads) {
            return Err(self.error(format!(
                "{kv_heads} heads of keys and values do not divide {num_heads} attention heads"
            )));
        }
        // Qwen3 has a default of its own, the others divide the hidden size.
        let head_dim = match (model_type, self.raw.get("head_dim")) {
            (_, Some(Value::Number(_))) => self.positive("head_dim", None)?,
            (ModelType::Qwen3, _) => 128,
            _ if hidden_size.is_multiple_of(num_heads) => hidden_size / num_heads,
            _ => {
                return Err(self.error(format!(
                    "{num_heads} attention heads do not divide the hidden size {hidden_size}"
                )));
            }
        };
        if head_dim % 2 != 0 {
            return Err(self.error(format!("heads of {head_dim} columns cannot be rotated")));
        }
        if self.raw.contains_key("quantization_config") {
            return Err(
                self.error("the weights are quantised; take the model's original weights".into())
            );
        }
        let bias = self.flag("attention_bias", false)?;
        let (qkv_bias, output_bias) = match model_type {
            ModelType::Qwen2 => (true, false),
            _ => (bias, bias),
        };
        let (window, sliding) = self.sliding(model_type, num_layers)?;
        let theta = if model_type == ModelType::Qwen3 {
            1e6
        } else {
            1e4
        };
        let rope = Rope::read(self.raw, head_dim, theta).map_err(|reason| self.error(reason))?;
        let attention = self.rate("attention_dropout", 0.0)?;
        let activation = match self.raw.get("hidden_act") {
            None | Some(Value::Null) => Activation::Silu,
            Some(_) => self.activation("hidden_act")?,
        };
        Ok(Config {
            model_type,
            vocab_size: self.positive("vocab_size", None)?,
            hidden_size,
            num_layers,
            num_heads,
            intermediate_size: self.positive("intermediate_size", None)?,
            activation,
            max_positions: self.positive("max_position_embeddings", Some(2048))?,
            type_vocab_size: 0,
            layer_norm_eps: self.float("rms_norm_eps", 1e-6)?,
            dropout: Dropout {
                hidden: 0.0,
                attention,
                classifier: 0.0,
            },
            initializer_range: self.float("initializer_range", 0.02)?,
            // A list or nothing at all in some configurations; only RoBERTa reads it.
            pad_token_id: self.size("pad_token_id", Some(0)).unwrap_or(0),
            decoder: Some(Decoder {
                kv_heads,
                head_dim,
                rope,
                qkv_bias,
                output_bias,
                mlp_bias: self.flag("mlp_bias", false)?,
                head_norms: model_type == ModelType::Qwen3,
                window,
                sliding,
                tied: self.flag("tie_word_embeddings", false)?,
            }),
            modern_bert: None,
            encoder_decoder: None,
            raw: Map::new(),
        })
    }

    /// A configuration of T5. Its positions are relative: any length can be read.
    fn t5(&self) -> Result<Config, TuneError> {
        let num_layers = self.layers_or("num_layers", 6)?;
        let decoder_layers = self.layers_or("num_decoder_layers", num_layers)?;
        let projection = match self.raw.get("feed_forward_proj") {
            None | Some(Value::Null) => "relu",
            Some(Value::String(name)) => name,
            Some(other) => {
                return Err(self.error(format!("`feed_forward_proj` is {other}, not a name")));
            }
        };
        let (gated, name) = match projection.strip_prefix("gated-") {
            // What it has always meant.
            Some("gelu") => (true, "gelu_new"),
            Some(name) => (true, name),
            None => (false, projection),
        };
        let activation = Activation::from_hf(name)
            .ok_or_else(|| self.error(format!("activation `{name}` is not supported")))?;
        let buckets = self.positive("relative_attention_num_buckets", Some(32))?;
        let max_distance = self.positive("relative_attention_max_distance", Some(128))?;
        // Half of them one way, half of these for single distances.
        if buckets < 4 || !buckets.is_multiple_of(4) || max_distance <= buckets / 2 {
            return Err(self.error(format!(
                "{buckets} buckets of relative positions up to {max_distance}: needs a multiple \
                 of 4, and a distance above half of it"
            )));
        }
        // transformers 5 writes what version 4 read off the tied table.
        let tied = self.flag("tie_word_embeddings", true)?;
        let scaled = self.flag("scale_decoder_outputs", tied)?;
        let dropout = self.rate("dropout_rate", 0.1)?;
        let factor = self.float("initializer_factor", 1.0)?;
        let hidden_size = self.positive("d_model", Some(512))?;
        let pad_token_id = self.size("pad_token_id", Some(0))?;
        let start = self.size("decoder_start_token_id", Some(pad_token_id))?;
        let vocab_size = self.positive("vocab_size", Some(32_128))?;
        if start >= vocab_size {
            return Err(self.error(format!(
                "`decoder_start_token_id` is {start}, but there are {vocab_size} tokens"
            )));
        }
        let (num_heads, head_dim) = (
            self.positive("num_heads", Some(8))?,
            self.positive("d_kv", Some(64))?,
        );
        if num_heads * head_dim > MAX_SIZE {
            return Err(self.error(format!(
                "{num_heads} heads of {head_dim} columns are more than {MAX_SIZE}"
            )));
        }
        Ok(Config {
            model_type: ModelType::T5,
            vocab_size,
            hidden_size,
            num_layers,
            num_heads,
            intermediate_size: self.positive("d_ff", Some(2048))?,
            activation,
            max_positions: MAX_SIZE,
            type_vocab_size: 0,
            layer_norm_eps: self.float("layer_norm_epsilon", 1e-6)?,
            dropout: Dropout {
                hidden: dropout,
                attention: dropout,
                classifier: 0.0,
            },
            initializer_range: factor,
            pad_token_id,
            decoder: None,
            modern_bert: None,
            encoder_decoder: Some(EncoderDecoder {
                decoder_layers,
                head_dim,
                gated,
                buckets,
                max_distance,
                scaled,
                tied: tied && scaled,
                start: start as u32,
            }),
            raw: Map::new(),
        })
    }

    pub(super) fn layers_or(&self, name: &str, default: usize) -> Result<usize, TuneError> {
        match self.raw.get(name) {
            None | Some(Value::Null) => Ok(default),
            Some(_) => self.layers(name),
        }
    }

    /// The window of the sliding blocks, and which these are.
    fn sliding(
        &self,
        model_type: ModelType,
        layers: usize,
    ) -> Result<(Option<usize>, Vec<bool>), TuneError> {
        let is_qwen = matches!(model_type, ModelType::Qwen2 | ModelType::Qwen3);
        let none = (None, vec![false; layers]);
        if is_qwen && !self.flag("use_sliding_window", false)? {
            return Ok(none);
        }
        let window = match (model_type, self.raw.get("sliding_window")) {
            (ModelType::Llama, _) | (_, Some(Value::Null)) => return Ok(none),
            _ => self.positive("sliding_window", Some(4096))?,
        };
        let sliding = match self.raw.get("layer_types").and_then(Value::as_array) {
            Some(types) if is_qwen => types
                .iter()
                .map(|kind| match kind.as_str() {
                    Some("full_attention") => Ok(false),
                    Some("sliding_attention") => Ok(true),
                    _ => Err(self.error(format!("attention of type {kind} is not supported"))),
                })
                .collect::<Result<Vec<bool>, TuneError>>()?,
            _ if is_qwen => {
                let first = self.size("max_window_layers", Some(28))?;
                (0..layers).map(|i| i >= first).collect()
            }
            _ => vec![true; layers],
        };
        Ok((Some(window), sliding))
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
            Some("modernbert") => ModelType::ModernBert,
            Some("gpt2") => ModelType::Gpt2,
            Some("llama") => ModelType::Llama,
            Some("mistral") => ModelType::Mistral,
            Some("qwen2") => ModelType::Qwen2,
            Some("qwen3") => ModelType::Qwen3,
            Some("t5" | "mt5") => ModelType::T5,
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
        let says_decoder = raw.get("is_decoder").and_then(Value::as_bool) == Some(true);
        if says_decoder && !model_type.is_decoder() {
            return Err(fields.error("`is_decoder` is true; only encoders are supported".into()));
        }
        let config = if model_type.is_decoder() {
            match model_type {
                ModelType::Gpt2 => fields.gpt2()?,
                _ => fields.decoder(model_type)?,
            }
        } else if model_type == ModelType::T5 {
            fields.t5()?
        } else if model_type == ModelType::ModernBert {
            fields.modern_bert()?
        } else if model_type == ModelType::DistilBert {
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
                decoder: None,
                modern_bert: None,
                encoder_decoder: None,
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
                decoder: None,
                modern_bert: None,
                encoder_decoder: None,
                raw: Map::new(),
            }
        };
        if config.decoder.is_none()
            && config.encoder_decoder.is_none()
            && config.hidden_size % config.num_heads != 0
        {
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
            _ => 0,
        }
    }

    /// Where a classifier wants outputs of the last block: where it is to pool them, at every
    /// token.
    pub fn outputs_at(&self) -> OutputsAt {
        let is_mean = |modern: &ModernBertConfig| modern.pooling == Pooling::Mean;
        match self.model_type.is_decoder() {
            true => OutputsAt::Last,
            false if self.modern_bert.as_ref().is_some_and(is_mean) => OutputsAt::All,
            false => OutputsAt::First,
        }
    }

    /// The most tokens a sequence can have.
    pub fn max_length(&self) -> usize {
        self.max_positions.saturating_sub(self.first_position())
    }
}
