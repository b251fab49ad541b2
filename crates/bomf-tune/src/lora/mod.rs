//! LoRA (Hu et al. 2021, arXiv 2106.09685): the weights stay as they are, and low-rank
//! changes to some of them are trained.
//!
//! For a linear layer with weight `W` `[out, in]`, factors `A` `[r, in]` and `B`
//! `[out, r]`,
//!
//! ```text
//! y = x Wᵀ + b + s (dropout(x) Aᵀ) Bᵀ,   s = alpha / r,  with rsLoRA alpha / √r
//! ```
//!
//! (rsLoRA: Kalajdzievski 2023, arXiv 2312.03732). `B` begins at zero, so that training
//! begins at the pre-trained model.
//!
//! In the flat array the factors of all layers lie between the pre-trained parameters and
//! the task's head: what is trained is again one tail, and only it has gradients and
//! optimiser state. The forward pass of an architecture knows nothing of adapters: the
//! tape adds their part to every product whose weight has one.
//!
//! Names, files and defaults are PEFT's (`peft/tuners/lora`).

mod folder;

use crate::TuneError;
use crate::kernels::gemm;
use crate::models::Model;
use crate::params::{Init, Layout, Param};
use rand::Rng;
use std::ops::Range;
use std::sync::Arc;

pub use folder::read_options;

/// Which linear layers get an adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Targets {
    /// Those that PEFT takes for the architecture: the projections to queries and values.
    Default,
    /// Every linear layer below the head.
    AllLinear,
    /// Those whose name is one of these or ends with a dot and one of these.
    Names(Vec<String>),
}

/// What an adapter is like.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraOptions {
    /// Rank of the changes, at least 1.
    pub r: usize,
    /// Numerator of the factor before `B A`.
    pub alpha: f64,
    /// Rate of the dropout before `A`, from 0 to below 1.
    pub dropout: f64,
    /// Which layers are adapted.
    pub target_modules: Targets,
    /// Whether the factor is `alpha / √r` rather than `alpha / r`.
    pub rslora: bool,
}

impl Default for LoraOptions {
    /// PEFT's.
    fn default() -> Self {
        LoraOptions {
            r: 8,
            alpha: 8.0,
            dropout: 0.0,
            target_modules: Targets::Default,
            rslora: false,
        }
    }
}

impl LoraOptions {
    /// The factor before `B A`.
    pub fn scale(&self) -> f64 {
        let r = self.r as f64;
        self.alpha / if self.rslora { r.sqrt() } else { r }
    }

    fn matches(&self, module: &str, defaults: &[&str]) -> bool {
        let ends_with = |name: &str| {
            let rest = module.strip_suffix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        match &self.target_modules {
            Targets::Default => defaults.iter().any(|name| ends_with(name)),
            Targets::AllLinear => true,
            Targets::Names(names) => names.iter().any(|name| ends_with(name)),
        }
    }

    /// Refuses a target that is no layer, or that there is nothing to adapt.
    fn check(&self, modules: &[&str], defaults: &[&str]) -> Result<(), TuneError> {
        let missing = |target: &str| TuneError::LoraTarget {
            target: target.into(),
            known: kinds(modules),
        };
        if let Targets::Names(names) = &self.target_modules {
            for name in names {
                let one = LoraOptions {
                    target_modules: Targets::Names(vec![name.clone()]),
                    ..self.clone()
                };
                if !modules.iter().any(|module| one.matches(module, defaults)) {
                    return Err(missing(name));
                }
            }
        }
        match modules.iter().any(|module| self.matches(module, defaults)) {
            true => Ok(()),
            false => Err(missing(&defaults.join(", "))),
        }
    }
}

/// The last parts of the names, each once, in order.
fn kinds(modules: &[&str]) -> Vec<String> {
    let mut kinds: Vec<String> = Vec::new();
    for module in modules {
        let kind = module.rsplit('.').next().unwrap_or(module);
        if !kinds.iter().any(|known| known == kind) {
            kinds.push(kind.into());
        }
    }
    kinds
}

/// The adapter of one linear layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter {
    /// The layer's name.
    pub module: String,
    /// Its weight, `[out, in]`, or `[in, out]` where it is stored so.
    pub weight: Param,
    /// The factor A, `[r, in]`.
    pub a: Param,
    /// The factor B, `[out, r]`.
    pub b: Param,
}

/// The adapters of a network, by rising place of their weights.
#[derive(Debug)]
pub struct Adapters {
    options: LoraOptions,
    /// Where the factors lie in the flat array.
    range: Range<usize>,
    list: Vec<Adapter>,
}

impl Adapters {
    /// Adds the factors for the linear layers of `layout` to its end.
    ///
    /// # Errors
    /// [`TuneError::LoraTarget`].
    pub(crate) fn declare(
        layout: &mut Layout,
        options: &LoraOptions,
        defaults: &[&str],
    ) -> Result<Self, TuneError> {
        let linear: Vec<(String, Param)> = layout
            .linear_layers()
            .map(|(module, param)| (module.to_string(), param))
            .collect();
        let modules: Vec<&str> = linear.iter().map(|(module, _)| module.as_str()).collect();
        options.check(&modules, defaults)?;
        let first = layout.len();
        let mut list = Vec::new();
        for (module, weight) in &linear {
            if !options.matches(module, defaults) {
                continue;
            }
            // Kaiming's uniform with a = √5, as `torch.nn.Linear` has it.
            let bound = 1.0 / (weight.inputs() as f32).sqrt();
            let (a, b) = (factor_name(module, 'A'), factor_name(module, 'B'));
            list.push(Adapter {
                module: module.clone(),
                weight: *weight,
                a: layout.factor(a, options.r, weight.inputs(), Init::Uniform(bound)),
                b: layout.factor(b, weight.outputs(), options.r, Init::Zeros),
            });
        }
        Ok(Adapters {
            options: options.clone(),
            range: first..layout.len(),
            list,
        })
    }

    /// What they are like.
    pub fn options(&self) -> &LoraOptions {
        &self.options
    }

    /// Where the factors lie in the flat array.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// Each of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Adapter> {
        self.list.iter()
    }

    /// Those of the layers whose weights make up `weight`, which may be several stacked.
    pub(crate) fn within(&self, weight: Param) -> &[Adapter] {
        let place = |end: usize| self.list.partition_point(|a| a.weight.offset < end);
        &self.list[place(weight.offset)..place(weight.offset + weight.len())]
    }

    /// The first factor of the layers from the parameter `first` on.
    pub(crate) fn first_from(&self, first: usize) -> usize {
        let above = self.list.partition_point(|a| a.weight.offset < first);
        self.list.get(above).map_or(self.range.end, |a| a.a.offset)
    }

    /// Adds every change `s B A` to its weight in `params`.
    fn merge_into(&self, params: &mut [f32]) {
        let scale = self.options.scale() as f32;
        for adapter in &self.list {
            let Param { rows, cols, .. } = adapter.weight;
            let (weights, factors) = params.split_at_mut(self.range.start);
            let of = |p: Param| &factors[p.offset - self.range.start..][..p.len()];
            let weight = &mut weights[adapter.weight.offset..][..adapter.weight.len()];
            let sizes = (rows, cols, self.options.r);
            let (a, b) = (of(adapter.a), of(adapter.b));
            if adapter.weight.transposed {
                gemm::add_at_bt(weight, scale, a, b, sizes);
            } else {
                gemm::add_a_b(weight, scale, b, a, sizes);
            }
        }
    }
}

/// The name of a factor, as PEFT has it behind its prefix.
fn factor_name(module: &str, which: char) -> String {
    format!("{module}.lora_{which}.weight")
}

impl Model {
    /// Puts adapters on the model: factors A from `rng`, factors B zero, so that it
    /// gives what it gave.
    ///
    /// # Errors
    /// [`TuneError::LoraTarget`]; the model is as it was then.
    pub fn adapt(&mut self, options: &LoraOptions, rng: &mut impl Rng) -> Result<(), TuneError> {
        let network = self.network.with_adapters(options)?;
        let Some(adapters) = network.adapters().cloned() else {
            return Ok(());
        };
        let range = adapters.range();
        let zeros = std::iter::repeat_n(0.0, range.len());
        self.params.splice(range.start..range.start, zeros);
        for (_, entry) in network.layout().entries() {
            if range.contains(&entry.param.offset) {
                Layout::initialise(entry, &mut self.params, rng);
            }
        }
        self.network = network;
        Ok(())
    }

    /// The parameters without adapters, by the layout of
    /// [`Network::without_adapters`](crate::models::Network::without_adapters): every
    /// change `s B A` added to its weight.
    pub fn merged_params(&self) -> Vec<f32> {
        let mut params = self.params.clone();
        if let Some(adapters) = self.network.adapters() {
            adapters.merge_into(&mut params);
            params.drain(adapters.range());
        }
        params
    }

    /// Takes the adapters off without a trace; the head stays as trained.
    ///
    /// # Errors
    /// None where the network could be made before.
    pub fn drop_adapters(&mut self) -> Result<(), TuneError> {
        if let Some(adapters) = self.network.adapters() {
            let range = adapters.range();
            self.network = self.network.without_adapters()?;
            self.params.drain(range);
        }
        Ok(())
    }
}

/// Shared by a network and the tapes that run it.
pub(crate) type Shared = Option<Arc<Adapters>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_whole_part_of_a_name() {
        let options = LoraOptions {
            target_modules: Targets::Names(vec!["key".into(), "output.dense".into()]),
            ..LoraOptions::default()
        };
        for (module, is_target) in [
            ("layer.0.key", true),
            ("key", true),
            ("layer.0.monkey", false),
            ("layer.0.key.dense", false),
            ("layer.0.output.dense", true),
            ("layer.0.intermediate.dense", false),
        ] {
            assert_eq!(options.matches(module, &[]), is_target, "{module}");
        }
    }

    #[test]
    fn the_factor_is_alpha_over_the_rank_or_its_root() {
        let mut options = LoraOptions {
            r: 16,
            alpha: 8.0,
            ..LoraOptions::default()
        };
        assert_eq!(options.scale(), 0.5);
        options.rslora = true;
        assert_eq!(options.scale(), 2.0);
    }
}
