//! LoRA adapters: fused exactly, made smaller, put into full weights, taken out of them.
//!
//! An adapter i changes the weight W of a module to `W + s_i B_i A_i`, with `B_i: [m, r_i]` and
//! `A_i: [r_i, n]`. What a weighted average of adapted models does to W is therefore
//!
//! ```text
//! W + sum_i w_i s_i B_i A_i
//! ```
//!
//! and this is what everything here computes, for any ranks:
//!
//! - [`Merge`] puts it into the full weights, [`Adapted`] shows them to a merge as if it had;
//! - [`combine`] with [`Rank::Exact`] writes the sum as one product: the A one below another, the
//!   `w_i s_i B_i` side by side, of rank `sum_i r_i`;
//! - [`combine`] with another [`Rank`] cuts that product by its singular values, which is the best
//!   approximation of a rank in the Frobenius norm (Eckart and Young 1936), and says what is lost;
//! - [`extract`] takes the difference of two full models to such a product.
//!
//! **This is not what averaging the factors does** (PEFT's `add_weighted_adapter` with
//! `combination_type="linear"`): the product of two averages has cross terms `B_i A_j`, which belong to no adapter,
//! and the weights enter twice.
//!
//! DoRA (arXiv 2402.09353) scales each row of the changed weight to a magnitude `g_i`, so that its
//! change is of full rank: adapters with it can only be put into full weights, as
//! `sum_i w_i diag(g_i / |V_i|) V_i` with `V_i = W + s_i B_i A_i` and `|V_i|` the norms of its rows.
//!
//! Weights may be negative and need not sum to one, for changes are added. Tensors that adapters
//! store whole are averaged, and must have weights that sum to one where no base is at hand.

mod adapted;
mod combine;
mod extract;
mod factor;
mod linalg;
mod merge;

use std::collections::BTreeSet;

use bomf_checkpoint::{Adapter, AdapterHeader, LayerFactors, LoraLayer};

use crate::error::{FuseError, Result};

pub use adapted::Adapted;
pub use combine::{Rank, combine};
pub use extract::extract;
pub use merge::Merge;

/// An adapter and the weight with which its change is added.
#[derive(Debug, Clone, Copy)]
pub struct Weighted<'a> {
    /// The adapter.
    pub adapter: &'a Adapter,
    /// Its weight, any finite number.
    pub weight: f64,
}

impl<'a> Weighted<'a> {
    /// What errors call it.
    fn label(&self) -> String {
        self.adapter.path().display().to_string()
    }

    /// The factors for a module and all that stands before them, `w s`.
    fn layer(&self, module: &str) -> Option<(f64, LoraLayer<'a>)> {
        let layer = self.adapter.layer(module)?;
        Some((self.weight * layer.scale, layer))
    }
}

/// A tensor that is stored whole.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedTensor {
    /// The name of the base tensor that it replaces.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values, row-major.
    pub values: Vec<f32>,
}

/// What became of one module.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerReport {
    /// Its name.
    pub module: String,
    /// The rank that it has now.
    pub r: usize,
    /// The rank of the change that was to be represented: the sum of the adapters' ranks, or the
    /// smaller side of a full difference.
    pub full_rank: usize,
    /// The Frobenius norm of that change.
    pub norm: f64,
    /// The Frobenius norm of what is lost, as a part of `norm`: from 0 to 1.
    pub error: f64,
}

/// An adapter that has been computed.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAdapter {
    /// What its configuration will say.
    pub header: AdapterHeader,
    /// Its factors, by module.
    pub layers: Vec<LayerFactors>,
    /// Its tensors that are stored whole.
    pub saved: Vec<SavedTensor>,
    /// What became of each module, in the same order as `layers`.
    pub report: Vec<LayerReport>,
}

impl NewAdapter {
    /// The part of the whole change that is lost, over all modules: from 0 to 1.
    pub fn error(&self) -> f64 {
        let total: f64 = self.report.iter().map(|l| l.norm.powi(2)).sum();
        let lost: f64 = self.report.iter().map(|l| (l.norm * l.error).powi(2)).sum();
        match total > 0.0 {
            true => (lost / total).sqrt(),
            false => 0.0,
        }
    }
}

/// Checks that there are adapters and that their weights are numbers.
fn check(adapters: &[Weighted<'_>]) -> Result<()> {
    if adapters.is_empty() {
        return Err(FuseError::NoMembers);
    }
    match adapters.iter().position(|a| !a.weight.is_finite()) {
        Some(index) => Err(FuseError::NonFiniteWeight {
            index,
            value: adapters[index].weight,
        }),
        None => Ok(()),
    }
}

/// The modules that any of the adapters is on, ordered by name.
fn modules<'a>(adapters: &[Weighted<'a>]) -> BTreeSet<&'a str> {
    let layers = adapters.iter().flat_map(|a| a.adapter.layers());
    layers.map(|layer| layer.module).collect()
}

/// The base tensors that any of the adapters stores whole, ordered by name.
fn saved_names<'a>(adapters: &[Weighted<'a>]) -> BTreeSet<&'a str> {
    let saved = adapters.iter().flat_map(|a| a.adapter.saved());
    saved.map(|(name, _)| name).collect()
}

/// How far a sum of weights may be from one: what is left by rounding a few decimals.
const SUM_TOLERANCE: f64 = 1e-6;

/// The average of a tensor that every adapter stores whole.
fn average_saved(adapters: &[Weighted<'_>], name: &str) -> Result<SavedTensor> {
    let mut sum = SavedTensor {
        name: name.to_owned(),
        shape: Vec::new(),
        values: Vec::new(),
    };
    let mut inputs = Vec::with_capacity(adapters.len());
    for member in adapters {
        let Some(tensor) = member.adapter.saved_tensor(name) else {
            return Err(FuseError::SavedBySome {
                tensor: name.to_owned(),
                adapter: member.label(),
            });
        };
        if inputs.is_empty() {
            sum.shape = tensor.shape().to_vec();
        }
        expect_shape(
            name,
            member.label(),
            tensor.shape(),
            adapters[0].label(),
            &sum.shape,
        )?;
        inputs.push((member.weight as f32, tensor.to_f32()?));
    }
    let total: f64 = adapters.iter().map(|a| a.weight).sum();
    if (total - 1.0).abs() > SUM_TOLERANCE {
        return Err(FuseError::SavedWeights {
            tensor: name.to_owned(),
            sum: total,
        });
    }
    let inputs: Vec<_> = inputs.iter().map(|(w, v)| (*w, v.as_slice())).collect();
    sum.values = vec![0.0; inputs[0].1.len()];
    crate::methods::linear::weighted_sum(&inputs, &mut sum.values);
    Ok(sum)
}

fn expect_shape(
    tensor: &str,
    member: String,
    shape: &[usize],
    reference: String,
    expected: &[usize],
) -> Result<()> {
    if shape == expected {
        return Ok(());
    }
    Err(FuseError::ShapeMismatch {
        tensor: tensor.to_owned(),
        member,
        shape: shape.to_vec(),
        reference,
        expected: expected.to_vec(),
    })
}
