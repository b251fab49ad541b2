//! PEFT's LoRA adapters: low-rank changes to some tensors of a base model.
//!
//! An adapter folder holds `adapter_config.json` and `adapter_model.safetensors` (or `.bin`). For a
//! module X of the base model, with `A` of shape `[r, in]` and `B` of `[out, r]`, the adapted
//! weight is
//!
//! ```text
//! W' = W + s B A,   s = lora_alpha / r,   with rsLoRA lora_alpha / sqrt(r)
//! ```
//!
//! (LoRA, arXiv 2106.09685; rsLoRA, arXiv 2312.03732). With DoRA (arXiv 2402.09353) each output
//! row of W' is scaled to a learned magnitude. Modules in `modules_to_save` are stored whole.
//!
//! Names: `base_model.model.X.lora_A.weight` belongs to the base tensor `X.weight`.
//!
//! Options that change what the tensors mean and are not known here are refused, never passed over.
//! The reference is PEFT 0.21, `peft/tuners/lora` and `peft/utils/save_and_load.py`.

mod config;
mod error;
mod names;
mod write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::tensor::TensorRef;

pub use config::{AdapterConfig, Bias, TargetModules};
pub use error::AdapterError;
use names::Role;
pub use write::{AdapterHeader, LayerFactors};

/// The configuration of an adapter folder.
pub const ADAPTER_CONFIG_FILE: &str = "adapter_config.json";
/// The weights of an adapter folder.
pub const ADAPTER_WEIGHTS_FILE: &str = "adapter_model.safetensors";
/// The weights of an older one.
const ADAPTER_PYTORCH_FILE: &str = "adapter_model.bin";

/// What kind of module a pair of factors adapts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LayerKind {
    /// `W: [out, in]`, or `[in, out]` with `fan_in_fan_out`; `A: [r, in]`, `B: [out, r]`.
    Linear,
    /// `W: [out, in, ...]`; `A: [r, in, ...]`, `B: [out, r, 1, ...]`.
    Conv,
    /// `W: [rows, dim]`; `A: [r, rows]`, `B: [dim, r]`, and the change of W is `s (B A)'`.
    Embedding,
}

/// The factors of one module.
#[derive(Debug, Clone, Copy)]
pub struct LoraLayer<'a> {
    /// The module's name in the base model.
    pub module: &'a str,
    /// What it is.
    pub kind: LayerKind,
    /// The factor A, `[r, n]` when its other dimensions are taken together.
    pub a: TensorRef<'a>,
    /// The factor B, `[m, r]` when dimensions of one are left out.
    pub b: TensorRef<'a>,
    /// DoRA's magnitude of each output row, `[m]`.
    pub magnitude: Option<TensorRef<'a>>,
    /// The rank, at least 1.
    pub r: usize,
    /// The factor s before `B A`.
    pub scale: f64,
}

impl LoraLayer<'_> {
    /// The sides `(m, n)` of `B A`.
    pub fn sides(&self) -> (usize, usize) {
        (self.b.len() / self.r, self.a.len() / self.r)
    }

    /// The name of the base tensor that is changed.
    pub fn base_tensor(&self) -> String {
        format!("{}.weight", self.module)
    }
}

/// An open adapter.
///
/// Everything in it is checked: each module has both factors, their ranks are what the
/// configuration says, and no option is set that would change what they mean.
#[derive(Debug)]
pub struct Adapter {
    path: PathBuf,
    config: AdapterConfig,
    weights: Checkpoint,
    layers: BTreeMap<String, Layer>,
    /// By the base tensor's name: the tensor in `weights`.
    saved: BTreeMap<String, String>,
}

/// The same as [`LoraLayer`], with names for tensors.
#[derive(Debug)]
struct Layer {
    kind: LayerKind,
    a: String,
    b: String,
    magnitude: Option<String>,
    r: usize,
    scale: f64,
}

impl Adapter {
    /// Opens an adapter folder.
    ///
    /// # Errors
    /// Whatever [`Checkpoint::open`] says of its weights, and [`AdapterError`].
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref();
        let config_path = dir.join(ADAPTER_CONFIG_FILE);
        let weights = [ADAPTER_WEIGHTS_FILE, ADAPTER_PYTORCH_FILE].map(|file| dir.join(file));
        let weights = weights.iter().find(|file| file.is_file());
        let (true, Some(weights)) = (config_path.is_file(), weights) else {
            return Err(AdapterError::NoAdapter {
                dir: dir.to_path_buf(),
            }
            .into());
        };
        let config = AdapterConfig::read(&config_path)?;
        let weights = Checkpoint::open(weights)?;
        let mut adapter = Self {
            path: dir.to_path_buf(),
            config,
            weights,
            layers: BTreeMap::new(),
            saved: BTreeMap::new(),
        };
        adapter.sort_tensors()?;
        Ok(adapter)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its files: the configuration, then the weights.
    pub fn files(&self) -> Vec<PathBuf> {
        let weights = self.weights.files().map(Path::to_path_buf);
        [self.path.join(ADAPTER_CONFIG_FILE)]
            .into_iter()
            .chain(weights)
            .collect()
    }

    /// Its configuration.
    pub fn config(&self) -> &AdapterConfig {
        &self.config
    }

    /// The adapted modules, ordered by name.
    pub fn layers(&self) -> impl ExactSizeIterator<Item = LoraLayer<'_>> {
        self.layers.iter().map(|(name, l)| self.view(name, l))
    }

    /// The factors of a module, if it is adapted.
    pub fn layer(&self, module: &str) -> Option<LoraLayer<'_>> {
        let (name, layer) = self.layers.get_key_value(module)?;
        Some(self.view(name, layer))
    }

    /// The tensors that are stored whole (`modules_to_save`, biases), with the names of the base
    /// tensors that they replace, ordered by these.
    pub fn saved(&self) -> impl ExactSizeIterator<Item = (&str, TensorRef<'_>)> {
        self.saved
            .iter()
            .map(|(base, own)| (base.as_str(), self.tensor(own)))
    }

    /// The whole tensor that replaces this one of the base model, if there is one.
    pub fn saved_tensor(&self, base: &str) -> Option<TensorRef<'_>> {
        self.saved.get(base).map(|own| self.tensor(own))
    }

    fn view<'a>(&'a self, module: &'a str, layer: &'a Layer) -> LoraLayer<'a> {
        LoraLayer {
            module,
            kind: layer.kind,
            a: self.tensor(&layer.a),
            b: self.tensor(&layer.b),
            magnitude: layer.magnitude.as_deref().map(|name| self.tensor(name)),
            r: layer.r,
            scale: layer.scale,
        }
    }

    fn tensor(&self, name: &str) -> TensorRef<'_> {
        let tensor = self.weights.get(name);
        tensor.expect("names are taken from the file when it is opened")
    }

    /// Finds out what each tensor is, and checks that they fit together.
    fn sort_tensors(&mut self) -> Result<(), AdapterError> {
        let mut parts: BTreeMap<String, BTreeMap<Role, String>> = BTreeMap::new();
        for tensor in self.weights.tensors() {
            let broken = |reason| AdapterError::BadTensor {
                path: self.path.clone(),
                tensor: tensor.name().to_owned(),
                reason,
            };
            match names::parse(tensor.name()) {
                Some((module, Role::Saved)) => {
                    self.saved.insert(module, tensor.name().to_owned());
                }
                Some(_) if !tensor.is_float() => return Err(broken("its type is no float")),
                Some((module, role)) => {
                    let roles = parts.entry(module).or_default();
                    if roles.insert(role, tensor.name().to_owned()).is_some() {
                        return Err(broken("its module has another of that kind"));
                    }
                }
                None => return Err(broken("it belongs to no kind of adapter that is read here")),
            }
        }
        if parts.is_empty() {
            return Err(AdapterError::NoLayers {
                path: self.path.clone(),
            });
        }
        for (module, roles) in parts {
            let layer = self.assemble(&module, roles)?;
            self.layers.insert(module, layer);
        }
        Ok(())
    }

    fn assemble(
        &self,
        module: &str,
        mut roles: BTreeMap<Role, String>,
    ) -> Result<Layer, AdapterError> {
        let magnitude = roles.remove(&Role::Magnitude);
        let is_embedding = roles.contains_key(&Role::EmbeddingA);
        let (a, b) = match is_embedding {
            true => (Role::EmbeddingA, Role::EmbeddingB),
            false => (Role::A, Role::B),
        };
        let (a, b) = match (roles.remove(&a), roles.remove(&b), roles.is_empty()) {
            (Some(a), Some(b), true) => (a, b),
            _ => return Err(self.bad_layer(module, "it needs one factor A and one factor B")),
        };
        let (a_shape, b_shape) = (self.tensor(&a).shape(), self.tensor(&b).shape());
        let kind = match (is_embedding, a_shape.len()) {
            (true, _) => LayerKind::Embedding,
            (false, 2) => LayerKind::Linear,
            (false, _) => LayerKind::Conv,
        };
        // An outer product whose inner side is the rank; B of a convolution has kernels of one.
        let rank = self.config.rank_of(module);
        let fits = a_shape.len() >= 2
            && a_shape.len() == b_shape.len()
            && b_shape[2..].iter().all(|&d| d == 1)
            && !a_shape.contains(&0)
            && b_shape[0] > 0;
        if !fits {
            return Err(self.bad_layer(module, "its factors' shapes do not belong together"));
        }
        if a_shape[0] != rank || b_shape[1] != rank {
            return Err(AdapterError::OtherRank {
                path: self.path.clone(),
                module: module.to_owned(),
                expected: rank,
                found: (a_shape[0], b_shape[1]),
            });
        }
        if magnitude.is_some() != self.config.use_dora {
            let reason = match self.config.use_dora {
                true => "DoRA is on, but it has no magnitudes",
                false => "it has magnitudes, but DoRA is off",
            };
            return Err(self.bad_layer(module, reason));
        }
        if let Some(magnitude) = &magnitude {
            if kind == LayerKind::Embedding {
                return Err(self.bad_layer(module, "DoRA of embeddings is not read"));
            }
            if self.tensor(magnitude).len() != b_shape[0] {
                return Err(self.bad_layer(module, "it needs one magnitude an output row"));
            }
        }
        Ok(Layer {
            kind,
            a,
            b,
            magnitude,
            r: rank,
            scale: self.config.scale_of(module),
        })
    }

    fn bad_layer(&self, module: &str, reason: &'static str) -> AdapterError {
        AdapterError::BadLayer {
            path: self.path.clone(),
            module: module.to_owned(),
            reason,
        }
    }
}
