//! Adapters as folders of PEFT, both ways.

use super::{LoraOptions, Targets, factor_name};
use crate::TuneError;
use crate::models::{Head, Network};
use bomf_checkpoint::{
    ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE, Adapter, Dtype, FolderWriter, LayerKind, LoraLayer,
    TensorData, TensorRef, TensorSpec,
};
use serde_json::{Value, json};
use std::path::Path;

/// What PEFT puts before the base model's own names.
const PREFIX: &str = "base_model.model.";

fn unlike(dir: &Path, reason: String) -> TuneError {
    TuneError::Adapter {
        path: dir.into(),
        reason,
    }
}

/// What the adapter in `dir` is like: its layers by their whole names, the dropout that
/// it was trained with.
///
/// # Errors
/// Where the folder is no adapter, or one that cannot be trained here: DoRA, layers that
/// are not linear, other ranks or factors from layer to layer.
pub fn read_options(dir: &Path) -> Result<LoraOptions, TuneError> {
    let adapter = Adapter::open(dir)?;
    let layers: Vec<LoraLayer<'_>> = adapter.layers().collect();
    let Some(first) = layers.first() else {
        return Err(unlike(dir, "it adapts no layer".into()));
    };
    let config = adapter.config();
    for layer in &layers {
        let module = layer.module;
        if layer.kind != LayerKind::Linear || layer.magnitude.is_some() {
            return Err(unlike(
                dir,
                format!("`{module}` has more than the two factors of a linear layer"),
            ));
        }
        if (layer.r, layer.scale) != (first.r, first.scale) {
            return Err(unlike(
                dir,
                format!(
                    "`{module}` has another rank or scale than `{}`",
                    first.module
                ),
            ));
        }
    }
    let path = dir.join(ADAPTER_CONFIG_FILE);
    let text = std::fs::read(&path).map_err(|source| TuneError::Read { path, source })?;
    let raw: Value = serde_json::from_slice(&text).unwrap_or_default();
    let dropout = raw.get("lora_dropout").and_then(Value::as_f64);
    let names = layers.iter().map(|layer| layer.module.to_string());
    let mut options = LoraOptions {
        r: first.r,
        alpha: config.lora_alpha,
        dropout: dropout.filter(|d| (0.0..1.0).contains(d)).unwrap_or(0.0),
        target_modules: Targets::Names(names.collect()),
        rslora: config.use_rslora,
    };
    // All layers may have a rank or alpha other than the configuration's first one.
    if options.scale() != first.scale {
        options.alpha *= first.scale / options.scale();
    }
    Ok(options)
}

impl Network {
    /// Reads the factors of the adapter in `dir`, and what it stores whole, into `params`;
    /// the network has the adapters that [`read_options`] says.
    ///
    /// # Errors
    /// Where the adapter lacks a layer of the network, has one too many, or a tensor of
    /// another shape.
    pub fn read_adapter(&self, dir: &Path, params: &mut [f32]) -> Result<(), TuneError> {
        let adapter = Adapter::open(dir)?;
        let mut read = |name: &str, tensor: TensorRef<'_>| {
            let Some(entry) = self.layout().get(name) else {
                return Err(unlike(dir, format!("the model has no `{name}`")));
            };
            if tensor.shape() != entry.shape {
                return Err(TuneError::Shape {
                    name: tensor.name().into(),
                    path: dir.into(),
                    found: tensor.shape().to_vec(),
                    expected: entry.shape.clone(),
                });
            }
            let place = entry.param.offset..entry.param.offset + entry.param.len();
            Ok(tensor.read_f32_into(&mut params[place])?)
        };
        for layer in adapter.layers() {
            read(&factor_name(layer.module, 'A'), layer.a)?;
            read(&factor_name(layer.module, 'B'), layer.b)?;
        }
        for (name, tensor) in adapter.saved() {
            read(name, tensor)?;
        }
        let own = self.adapters().into_iter().flat_map(|all| all.iter());
        for layer in own {
            if adapter.layer(&layer.module).is_none() {
                return Err(TuneError::MissingTensor {
                    name: factor_name(&layer.module, 'A'),
                    path: dir.into(),
                });
            }
        }
        Ok(())
    }

    /// Writes the factors and the head in `params` as an adapter folder that PEFT loads
    /// on `base_model`; nothing where the network has no adapters.
    ///
    /// # Errors
    /// Where the folder stands already and may not be overwritten, or cannot be written.
    pub fn write_adapter(
        &self,
        params: &[f32],
        base_model: &str,
        target: &Path,
        overwrite: bool,
    ) -> Result<(), TuneError> {
        let Some(adapters) = self.adapters() else {
            return Ok(());
        };
        let trained: Vec<_> = self
            .layout()
            .entries()
            .filter(|(_, entry)| entry.param.offset >= adapters.range().start)
            .collect();
        let specs: Vec<TensorSpec> = trained
            .iter()
            .map(|(name, entry)| {
                TensorSpec::new(format!("{PREFIX}{name}"), Dtype::F32, &entry.shape)
            })
            .collect();
        let mut writer = FolderWriter::create(target, overwrite)?;
        writer.write_tensors(ADAPTER_WEIGHTS_FILE, &specs, |i| {
            Ok(TensorData::F32(trained[i].1.param.of(params).into()))
        })?;
        let options = adapters.options();
        let modules: Vec<&str> = adapters.iter().map(|a| a.module.as_str()).collect();
        let saved = self.head_modules();
        let is_pair = self.config().model_type.is_encoder_decoder();
        let config = json!({
            "peft_type": "LORA",
            "base_model_name_or_path": base_model,
            "task_type": match self.head() {
                Head::Classifier { .. } => Some("SEQ_CLS"),
                Head::CausalLm if is_pair => Some("SEQ_2_SEQ_LM"),
                Head::CausalLm => Some("CAUSAL_LM"),
                Head::QuestionAnswering => Some("QUESTION_ANS"),
                Head::TokenClassifier { .. } => Some("TOKEN_CLS"),
                Head::MaskedLm | Head::MultipleChoice => None,
            },
            "inference_mode": true,
            "r": options.r,
            "lora_alpha": options.alpha,
            "lora_dropout": options.dropout,
            "use_rslora": options.rslora,
            "use_dora": false,
            "fan_in_fan_out": adapters.iter().any(|a| a.weight.transposed),
            "bias": "none",
            "init_lora_weights": true,
            "rank_pattern": {},
            "alpha_pattern": {},
            "target_modules": modules,
            "modules_to_save": (!saved.is_empty()).then_some(saved),
        });
        writer.write_json(ADAPTER_CONFIG_FILE, &config)?;
        writer.commit()?;
        Ok(())
    }
}
