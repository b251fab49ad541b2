//! `adapter_config.json`, validated.

use std::path::Path;

use regex_lite::Regex;
use serde_json::{Map, Value};

use super::error::AdapterError;
use crate::error::{CheckpointError, Result};

/// Fields that do not change what the tensors of a trained adapter mean: they say how it was
/// trained or started, which modules it was put on (its tensors say that), or who made it.
const HARMLESS: [&str; 15] = [
    "auto_mapping",
    "base_model_class",
    "corda_config",
    "ensure_weight_tying",
    "eva_config",
    "exclude_modules",
    "inference_mode",
    "layers_pattern",
    "layers_to_transform",
    "lora_dropout",
    "lora_ga_config",
    "parent_library",
    "peft_version",
    "qalora_group_size",
    "revision",
];

/// Fields that are read below.
const READ: [&str; 16] = [
    "alpha_pattern",
    "base_model_name_or_path",
    "bias",
    "fan_in_fan_out",
    "init_lora_weights",
    "lora_alpha",
    "megatron_core",
    "modules_to_save",
    "peft_type",
    "r",
    "rank_pattern",
    "runtime_config",
    "target_modules",
    "task_type",
    "use_dora",
    "use_rslora",
];

/// Ways to start the factors that leave the base model as it is. The others (PiSSA, OLoRA, CorDA,
/// LoftQ, LoRA-GA) take something out of the base weights, so that the adapter alone does not say
/// what the adapted model is.
const HARMLESS_STARTS: [&str; 4] = ["gaussian", "eva", "orthogonal", "mica"];

/// Which modules an adapter is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetModules {
    /// Those whose name is, or ends in a dot and, one of these.
    Names(Vec<String>),
    /// Those whose whole name this regular expression matches.
    Pattern(String),
}

/// Which biases were trained; they are stored whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bias {
    /// None.
    None,
    /// All of the model's.
    All,
    /// Those of adapted modules.
    LoraOnly,
}

/// The configuration of a LoRA adapter.
#[derive(Debug, Clone)]
pub struct AdapterConfig {
    /// The base model's folder or name, as PEFT saw it.
    pub base_model: Option<String>,
    /// What the model is for, such as `CAUSAL_LM`.
    pub task_type: Option<String>,
    /// The rank where `rank_pattern` says no other.
    pub r: usize,
    /// The numerator of the scale where `alpha_pattern` says no other.
    pub lora_alpha: f64,
    /// Whether the scale is `alpha / sqrt(r)` instead of `alpha / r`.
    pub use_rslora: bool,
    /// Whether there are magnitudes.
    pub use_dora: bool,
    /// Whether linear layers have their weights as `[in, out]`, as GPT-2 does.
    pub fan_in_fan_out: bool,
    /// Which biases are stored.
    pub bias: Bias,
    /// The modules that it is on.
    pub target_modules: Option<TargetModules>,
    /// Whether `target_modules` is narrowed to some layers or by exceptions.
    pub narrowed: bool,
    /// Modules that are stored whole.
    pub modules_to_save: Vec<String>,
    rank_pattern: Vec<(Regex, usize)>,
    alpha_pattern: Vec<(Regex, f64)>,
}

impl AdapterConfig {
    /// Reads and validates a file.
    ///
    /// # Errors
    /// I/O errors, [`CheckpointError::BrokenJson`] and [`AdapterError`].
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read(path).map_err(|e| CheckpointError::io("read", path, e))?;
        let fields = serde_json::from_slice(&text).map_err(|e| CheckpointError::BrokenJson {
            path: path.to_path_buf(),
            reason: e.to_string(),
        })?;
        Ok(Self::validate(&Fields { path, fields })?)
    }

    fn validate(fields: &Fields<'_>) -> Result<Self, AdapterError> {
        if fields.get("peft_type").and_then(Value::as_str) != Some("LORA") {
            return Err(AdapterError::OtherPeftType {
                path: fields.path.to_path_buf(),
                found: fields.get("peft_type").map_or("none".into(), shown),
            });
        }
        fields.refuse_unsupported()?;
        let r = fields.required("r", "a whole number of 1 or more", as_rank)?;
        let finite = |v: &Value| v.as_f64().filter(|v| v.is_finite());
        let bias = |v: &Value| match v.as_str()? {
            "none" => Some(Bias::None),
            "all" => Some(Bias::All),
            "lora_only" => Some(Bias::LoraOnly),
            _ => None,
        };
        let targets = |v: &Value| match v {
            Value::String(pattern) => Some(TargetModules::Pattern(pattern.clone())),
            v => as_names(v).map(TargetModules::Names),
        };
        let text = |v: &Value| v.as_str().map(str::to_owned);
        Ok(Self {
            base_model: fields.optional("base_model_name_or_path", "text", text)?,
            task_type: fields.optional("task_type", "text", text)?,
            r,
            lora_alpha: fields.required("lora_alpha", "a number", finite)?,
            use_rslora: fields.flag("use_rslora")?,
            use_dora: fields.flag("use_dora")?,
            fan_in_fan_out: fields.flag("fan_in_fan_out")?,
            bias: fields
                .optional("bias", "\"none\", \"all\" or \"lora_only\"", bias)?
                .unwrap_or(Bias::None),
            target_modules: fields.optional(
                "target_modules",
                "a list of names or a pattern",
                targets,
            )?,
            narrowed: ["exclude_modules", "layers_pattern", "layers_to_transform"]
                .iter()
                .filter_map(|name| fields.get(name))
                .any(|value| !is_off(value)),
            modules_to_save: fields
                .optional("modules_to_save", "a list of names", as_names)?
                .unwrap_or_default(),
            rank_pattern: fields.pattern("rank_pattern", as_rank)?,
            alpha_pattern: fields.pattern("alpha_pattern", finite)?,
        })
    }

    /// The rank of a module: that of the first pattern that matches its name or the end of it.
    pub fn rank_of(&self, module: &str) -> usize {
        first_match(&self.rank_pattern, module).unwrap_or(self.r)
    }

    /// The factor before `B A` of a module.
    pub fn scale_of(&self, module: &str) -> f64 {
        let alpha = first_match(&self.alpha_pattern, module).unwrap_or(self.lora_alpha);
        let r = self.rank_of(module) as f64;
        match self.use_rslora {
            true => alpha / r.sqrt(),
            false => alpha / r,
        }
    }
}

fn first_match<T: Copy>(patterns: &[(Regex, T)], module: &str) -> Option<T> {
    let found = patterns.iter().find(|(regex, _)| regex.is_match(module));
    found.map(|&(_, value)| value)
}

fn as_rank(value: &Value) -> Option<usize> {
    let value = value.as_u64().filter(|&v| v > 0)?;
    usize::try_from(value).ok()
}

fn as_names(value: &Value) -> Option<Vec<String>> {
    let names = value.as_array()?.iter();
    names.map(|v| v.as_str().map(str::to_owned)).collect()
}

fn shown(value: &Value) -> String {
    value.to_string()
}

/// Nothing, no or empty: what PEFT writes for an option that is off.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// The raw fields and the file that they come from.
struct Fields<'a> {
    path: &'a Path,
    fields: Map<String, Value>,
}

impl Fields<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|v| !v.is_null())
    }

    fn bad(&self, field: &str, value: &Value, expected: &'static str) -> AdapterError {
        AdapterError::BadField {
            path: self.path.to_path_buf(),
            field: field.to_owned(),
            value: shown(value),
            expected,
        }
    }

    fn optional<T>(
        &self,
        name: &str,
        expected: &'static str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, AdapterError> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => match read(value) {
                Some(read) => Ok(Some(read)),
                None => Err(self.bad(name, value, expected)),
            },
        }
    }

    fn required<T>(
        &self,
        name: &str,
        expected: &'static str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<T, AdapterError> {
        self.optional(name, expected, read)?
            .ok_or_else(|| self.bad(name, &Value::Null, expected))
    }

    fn flag(&self, name: &str) -> Result<bool, AdapterError> {
        let flag = self.optional(name, "true or false", Value::as_bool)?;
        Ok(flag.unwrap_or(false))
    }

    /// Values by regular expressions, in the order of the file: the first that matches counts.
    fn pattern<T>(
        &self,
        name: &'static str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Vec<(Regex, T)>, AdapterError> {
        let Some(value) = self.get(name) else {
            return Ok(Vec::new());
        };
        let expected = "numbers by names or regular expressions (without look-around)";
        let bad = || self.bad(name, value, expected);
        let entry = |(key, value): (&String, &Value)| {
            let regex = Regex::new(&format!("^(?:.*\\.)?(?:{key})$")).map_err(|_| bad())?;
            Ok((regex, read(value).ok_or_else(bad)?))
        };
        value
            .as_object()
            .ok_or_else(bad)?
            .iter()
            .map(entry)
            .collect()
    }

    fn refuse_unsupported(&self) -> Result<(), AdapterError> {
        for (field, value) in &self.fields {
            let fine = match field.as_str() {
                "init_lora_weights" => match value {
                    Value::String(start) => {
                        HARMLESS_STARTS.contains(&start.to_lowercase().as_str())
                    }
                    _ => true,
                },
                // Only used with `megatron_config`, which is refused.
                "megatron_core" | "runtime_config" => true,
                name => READ.contains(&name) || HARMLESS.contains(&name) || is_off(value),
            };
            if !fine {
                return Err(AdapterError::Unsupported {
                    path: self.path.to_path_buf(),
                    field: field.clone(),
                    value: shown(value),
                });
            }
        }
        Ok(())
    }
}
