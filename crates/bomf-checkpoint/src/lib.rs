//! Memory-mapped and sharded checkpoints in Hugging Face format.
//!
//! - [`Checkpoint`] opens a model folder and gives views of its tensors, read where they lie;
//! - [`Adapter`] opens a LoRA adapter of PEFT;
//! - [`list_checkpoints`] finds the checkpoints of a training run, in order of their steps;
//! - [`FolderWriter`] writes a model folder atomically, in one file or in shards, tensor by tensor
//!   or, through [`ModelFiles`], at any place by any thread;
//! - [`decode_f32`] and [`encode_f32`] turn the floats of files into `f32` and back;
//! - [`write_json_atomic`], [`write_bytes_atomic`] and [`write_tensors_atomic`] write single files
//!   that are wholly there or not at all.
//!
//! Nothing here knows what a tensor means: names, types and shapes are taken as they are.

mod adapter;
mod atomic;
mod checkpoint;
mod convert;
mod double;
mod encode;
mod error;
mod f8;
mod files;
mod list;
mod pytorch;
mod sidecars;
mod tensor;
mod writer;

pub use adapter::{
    ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE, Adapter, AdapterConfig, AdapterError, AdapterHeader,
    Bias, LayerFactors, LayerKind, LoraLayer, TargetModules,
};
pub use atomic::{write_bytes_atomic, write_json_atomic, write_tensors_atomic};
pub use checkpoint::{Checkpoint, INDEX_FILE, WEIGHTS_FILE, is_model_folder};
pub use convert::{Encoded, decode_f32, encode_f32, round_f32};
pub use double::{decode_f64, encode_f64};
pub use encode::TensorSpec;
pub use error::{CheckpointError, Result};
pub use files::{FilePlan, FilesPlan, ModelFiles};
pub use list::{CheckpointDir, list_checkpoints};
pub use safetensors::Dtype;
pub use sidecars::sidecar_names;
pub use tensor::{TensorRef, is_float};
pub use writer::{FolderWriter, ModelLayout, TensorData};
