//! Writing an adapter that PEFT loads.

use std::collections::{BTreeMap, BTreeSet};

use safetensors::Dtype;
use serde_json::{Map, Value, json};

use super::names::PREFIX;
use super::{ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE, LayerKind, TargetModules};
use crate::encode::TensorSpec;
use crate::error::Result;
use crate::writer::{FolderWriter, TensorData};

/// Factors of one module whose product, without any scale, is the change of its weight.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerFactors {
    /// The module's name in the base model.
    pub module: String,
    /// What it is.
    pub kind: LayerKind,
    /// The rank.
    pub r: usize,
    /// The factor A, row-major.
    pub a: Vec<f32>,
    /// Its shape; the first side is the rank.
    pub a_shape: Vec<usize>,
    /// The factor B, row-major.
    pub b: Vec<f32>,
    /// Its shape; the second side is the rank.
    pub b_shape: Vec<usize>,
}

/// What the configuration of a new adapter says beside its modules and ranks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdapterHeader {
    /// The base model's folder or name.
    pub base_model: Option<String>,
    /// What the model is for, such as `CAUSAL_LM`.
    pub task_type: Option<String>,
    /// Whether linear layers have their weights as `[in, out]`.
    pub fan_in_fan_out: bool,
    /// Modules that are stored whole.
    pub modules_to_save: Vec<String>,
    /// Whether biases of adapted modules are stored whole.
    pub trained_biases: bool,
    /// The modules that it is on; `None` names each one.
    pub target_modules: Option<TargetModules>,
}

impl AdapterHeader {
    /// The configuration, every scale of which is 1: alpha equals the rank.
    fn config(&self, layers: &[LayerFactors]) -> Value {
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        for layer in layers {
            *counts.entry(layer.r).or_default() += 1;
        }
        // The most frequent rank, the greatest of them where there are several.
        let r = counts.iter().max_by_key(|&(r, count)| (count, r));
        let r = r.map_or(1, |(&r, _)| r);
        let others: Map<String, Value> = layers
            .iter()
            .filter(|layer| layer.r != r)
            .map(|layer| {
                let whole_name = format!("^{}", regex_lite::escape(&layer.module));
                (whole_name, layer.r.into())
            })
            .collect();
        let targets = match &self.target_modules {
            Some(TargetModules::Pattern(pattern)) => json!(pattern),
            Some(TargetModules::Names(names)) => json!(names),
            None => {
                let names: BTreeSet<&str> = layers.iter().map(|l| l.module.as_str()).collect();
                json!(names)
            }
        };
        json!({
            "peft_type": "LORA",
            "base_model_name_or_path": self.base_model,
            "task_type": self.task_type,
            "inference_mode": true,
            "r": r,
            "lora_alpha": r,
            "rank_pattern": others,
            "alpha_pattern": others,
            "use_rslora": false,
            "use_dora": false,
            "lora_dropout": 0.0,
            "fan_in_fan_out": self.fan_in_fan_out,
            "bias": match self.trained_biases {
                true => "lora_only",
                false => "none",
            },
            "init_lora_weights": true,
            "target_modules": targets,
            "modules_to_save": match self.modules_to_save.is_empty() {
                true => Value::Null,
                false => json!(self.modules_to_save),
            },
        })
    }
}

impl FolderWriter {
    /// Writes an adapter: `adapter_config.json` and `adapter_model.safetensors` with factors in
    /// `f32`. `saved` are tensors stored whole, under the names of the base tensors they replace.
    ///
    /// # Errors
    /// As [`write_model`](Self::write_model).
    pub fn write_adapter(
        &mut self,
        header: &AdapterHeader,
        layers: &[LayerFactors],
        saved: &[(TensorSpec, TensorData<'_>)],
    ) -> Result<()> {
        let mut specs = Vec::with_capacity(2 * layers.len() + saved.len());
        let mut data = Vec::with_capacity(specs.capacity());
        for layer in layers {
            let [a, b] = match layer.kind {
                LayerKind::Embedding => ["lora_embedding_A", "lora_embedding_B"],
                LayerKind::Linear | LayerKind::Conv => ["lora_A.weight", "lora_B.weight"],
            };
            for (name, shape, values) in
                [(a, &layer.a_shape, &layer.a), (b, &layer.b_shape, &layer.b)]
            {
                let name = format!("{PREFIX}{}.{name}", layer.module);
                specs.push(TensorSpec::new(name, Dtype::F32, shape));
                data.push(TensorData::F32(values.as_slice().into()));
            }
        }
        let adapted: BTreeSet<&str> = layers.iter().map(|l| l.module.as_str()).collect();
        for (spec, values) in saved {
            // What is an adapted module's own lies one level deeper, for PEFT wraps it.
            let name = match spec.name.rsplit_once('.') {
                Some((module, own)) if adapted.contains(module) => {
                    format!("{PREFIX}{module}.base_layer.{own}")
                }
                _ => format!("{PREFIX}{}", spec.name),
            };
            specs.push(TensorSpec::new(name, spec.dtype, &spec.shape));
            data.push(values.clone());
        }
        self.write_tensors(ADAPTER_WEIGHTS_FILE, &specs, |i| Ok(data[i].clone()))?;
        self.write_json(ADAPTER_CONFIG_FILE, &header.config(layers))
    }
}
