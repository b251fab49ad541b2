//! What can be wrong with an adapter.

use std::path::PathBuf;

/// Why an adapter cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdapterError {
    /// The folder holds no adapter.
    #[error(
        "no `adapter_config.json` with `adapter_model.safetensors` or `.bin` in `{}`",
        dir.display()
    )]
    NoAdapter {
        /// The folder.
        dir: PathBuf,
    },
    /// The adapter is of a kind other than LoRA.
    #[error("`{}` has `peft_type` {found}, not \"LORA\"", path.display())]
    OtherPeftType {
        /// The configuration.
        path: PathBuf,
        /// What it says, as JSON.
        found: String,
    },
    /// An option is set that changes what the tensors mean, or that is not known.
    #[error("`{}` sets `{field}` to {value}, which is not supported", path.display())]
    Unsupported {
        /// The configuration.
        path: PathBuf,
        /// The option.
        field: String,
        /// Its value, as JSON.
        value: String,
    },
    /// A field of the configuration has a value that it cannot have.
    #[error("`{field}` in `{}` is {value}; it must be {expected}", path.display())]
    BadField {
        /// The configuration.
        path: PathBuf,
        /// The field.
        field: String,
        /// Its value.
        value: String,
        /// What it must be.
        expected: &'static str,
    },
    /// There are no factors in the weights.
    #[error("the adapter in `{}` adapts no module", path.display())]
    NoLayers {
        /// Its folder.
        path: PathBuf,
    },
    /// A tensor cannot be used.
    #[error("tensor `{tensor}` in the adapter `{}` cannot be used: {reason}", path.display())]
    BadTensor {
        /// The adapter's folder.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// Why.
        reason: &'static str,
    },
    /// The tensors of a module do not fit together.
    #[error("module `{module}` in the adapter `{}` cannot be used: {reason}", path.display())]
    BadLayer {
        /// The adapter's folder.
        path: PathBuf,
        /// The module's name.
        module: String,
        /// Why.
        reason: &'static str,
    },
    /// The factors have another rank than the configuration says.
    #[error(
        "module `{module}` in the adapter `{}` has factors of rank {} and {}, but its \
         configuration says {expected}",
        path.display(), found.0, found.1
    )]
    OtherRank {
        /// The adapter's folder.
        path: PathBuf,
        /// The module's name.
        module: String,
        /// The rank in the configuration.
        expected: usize,
        /// The ranks of A and B.
        found: (usize, usize),
    },
}

impl AdapterError {
    /// How to mend it, in one line, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            AdapterError::NoAdapter { .. } => {
                "give a folder that PEFT's save_pretrained has written"
            }
            AdapterError::OtherPeftType { .. } => "only LoRA (with rsLoRA and DoRA) can be fused",
            AdapterError::Unsupported { field, .. } if field == "init_lora_weights" => {
                "such an adapter changes its base model: convert it first, with PEFT's \
                 path_initial_model_for_weight_conversion"
            }
            AdapterError::Unsupported { .. } => {
                "merge the adapter in PEFT (merge_and_unload) and fuse the model it gives"
            }
            AdapterError::OtherRank { .. } => "weights and configuration are not of one adapter",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
