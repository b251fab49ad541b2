//! Several adapters as one.

use bomf_checkpoint::{AdapterHeader, Bias, LayerFactors, LoraLayer, TargetModules};
use faer::Mat;
use rayon::prelude::*;

use super::factor::{Cut, Keep, cut};
use super::linalg::product;
use super::{
    LayerReport, NewAdapter, Weighted, average_saved, check, expect_shape, modules, saved_names,
};
use crate::error::{FuseError, Result};

/// The rank that a new adapter has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rank {
    /// The sum of all ranks: nothing is lost.
    Exact,
    /// At most this, from 1.
    Fixed(usize),
    /// As little as holds this part of the sum of squares of the singular values, from above 0
    /// to 1, in each module by itself.
    Energy(f64),
}

impl Rank {
    fn keep(self) -> Result<Option<Keep>> {
        match self {
            Rank::Exact => Ok(None),
            Rank::Fixed(0) => Err(FuseError::NoRank),
            Rank::Fixed(r) => Ok(Some(Keep::Count(r))),
            Rank::Energy(energy) if energy > 0.0 && energy <= 1.0 => Ok(Some(Keep::Energy(energy))),
            Rank::Energy(energy) => Err(FuseError::BadEnergy { energy }),
        }
    }
}

/// Fuses adapters into one whose change of each module is `sum_i w_i s_i B_i A_i`, exactly or cut
/// to a rank. A module that an adapter is not on is not changed by it.
///
/// # Errors
/// No adapters, weights that are not finite, adapters of different base models (by their shapes or
/// `fan_in_fan_out`), adapters with DoRA or trained biases (see [`Merge`](super::Merge)), tensors
/// stored whole by some only or with weights that do not sum to one, and factors that are not
/// finite.
pub fn combine(adapters: &[Weighted<'_>], rank: Rank) -> Result<NewAdapter> {
    check(adapters)?;
    let keep = rank.keep()?;
    for member in adapters {
        let config = member.adapter.config();
        let needs = [
            (config.use_dora, "DoRA magnitudes"),
            (config.bias != Bias::None, "trained biases"),
        ];
        if let Some(&(_, what)) = needs.iter().find(|(needed, _)| *needed) {
            return Err(FuseError::NeedsBase {
                adapter: member.label(),
                what,
            });
        }
    }
    let header = header(adapters)?;
    let names: Vec<&str> = modules(adapters).into_iter().collect();
    let layers: Result<Vec<_>> = names
        .par_iter()
        .map(|module| fuse_module(adapters, module, keep))
        .collect();
    let (layers, report) = layers?.into_iter().unzip();
    let saved = saved_names(adapters).into_iter();
    let saved: Result<_> = saved.map(|name| average_saved(adapters, name)).collect();
    Ok(NewAdapter {
        header,
        layers,
        saved: saved?,
        report,
    })
}

fn header(adapters: &[Weighted<'_>]) -> Result<AdapterHeader> {
    let first = adapters[0].adapter.config();
    let mut modules_to_save: Vec<String> = Vec::new();
    for member in adapters {
        let config = member.adapter.config();
        if config.fan_in_fan_out != first.fan_in_fan_out {
            return Err(FuseError::OtherFanIn {
                adapter: member.label(),
                reference: adapters[0].label(),
            });
        }
        for module in &config.modules_to_save {
            if !modules_to_save.contains(module) {
                modules_to_save.push(module.clone());
            }
        }
    }
    // The short list of names is kept where it says the same for all. Otherwise each module is named.
    let same = |a: &Weighted<'_>| {
        let own = a.adapter.layers().map(|l| l.module);
        let firsts = adapters[0].adapter.layers().map(|l| l.module);
        let config = a.adapter.config();
        !config.narrowed && config.target_modules == first.target_modules && own.eq(firsts)
    };
    let target_modules = match &first.target_modules {
        Some(TargetModules::Names(names)) if adapters.iter().all(same) => {
            let covers = |module: &str| {
                names.iter().any(|name| {
                    let rest = module.strip_suffix(name.as_str());
                    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
                })
            };
            let all = adapters[0].adapter.layers().all(|l| covers(l.module));
            all.then(|| TargetModules::Names(names.clone()))
        }
        _ => None,
    };
    Ok(AdapterHeader {
        base_model: first.base_model.clone(),
        task_type: first.task_type.clone(),
        fan_in_fan_out: first.fan_in_fan_out,
        modules_to_save,
        target_modules,
        ..AdapterHeader::default()
    })
}

fn fuse_module(
    adapters: &[Weighted<'_>],
    module: &str,
    keep: Option<Keep>,
) -> Result<(LayerFactors, LayerReport)> {
    let mut parts: Vec<(f64, LoraLayer<'_>)> = Vec::new();
    let mut reference: Option<(String, LoraLayer<'_>)> = None;
    for member in adapters {
        let Some((c, layer)) = member.layer(module) else {
            continue;
        };
        let (label, first) = reference.get_or_insert_with(|| (member.label(), layer));
        let sides = |l: &LoraLayer<'_>| [&l.b.shape()[..1], &l.a.shape()[1..]].concat();
        expect_shape(
            module,
            member.label(),
            &sides(&layer),
            label.clone(),
            &sides(first),
        )?;
        if first.kind != layer.kind {
            return Err(FuseError::OtherKind {
                module: module.to_owned(),
                adapter: member.label(),
                reference: label.clone(),
            });
        }
        parts.push((c, layer));
    }
    // What has no weight needs no rank, but one part must remain.
    let first = parts[0];
    parts.retain(|(c, _)| *c != 0.0);
    if parts.is_empty() {
        parts.push(first);
    }
    let product = Stacked::read(&parts)?;
    let (r, a, b, norm, error) = match keep {
        None => {
            let norm = product.norm(module)?;
            (product.r, product.a, product.b, norm, 0.0)
        }
        Some(keep) => {
            let cut = product.cut(module, keep)?;
            (cut.r, cut.a, cut.b, cut.norm, cut.error)
        }
    };
    let layer = &first.1;
    let shape = |shape: &[usize], at: usize| {
        let mut shape = shape.to_vec();
        shape[at] = r;
        shape
    };
    let report = LayerReport {
        module: module.to_owned(),
        r,
        full_rank: parts.iter().map(|(_, l)| l.r).sum(),
        norm,
        error,
    };
    let factors = LayerFactors {
        module: module.to_owned(),
        kind: layer.kind,
        r,
        a,
        a_shape: shape(layer.a.shape(), 0),
        b,
        b_shape: shape(layer.b.shape(), 1),
    };
    Ok((factors, report))
}

/// The A one below another and the `w s B` side by side.
struct Stacked {
    /// `[r, n]`, row-major.
    a: Vec<f32>,
    /// `[m, r]`, row-major.
    b: Vec<f32>,
    m: usize,
    n: usize,
    r: usize,
}

impl Stacked {
    fn read(parts: &[(f64, LoraLayer<'_>)]) -> Result<Self> {
        let (m, n) = parts[0].1.sides();
        let r = parts.iter().map(|(_, l)| l.r).sum();
        let mut a = Vec::with_capacity(r * n);
        let mut b = vec![0.0; m * r];
        let mut at = 0;
        for (c, layer) in parts {
            a.extend(layer.a.to_f32()?);
            let own = layer.b.to_f32()?;
            for (row, own) in b.chunks_exact_mut(r).zip(own.chunks_exact(layer.r)) {
                for (to, from) in row[at..].iter_mut().zip(own) {
                    *to = (c * f64::from(*from)) as f32;
                }
            }
            at += layer.r;
        }
        Ok(Self { a, b, m, n, r })
    }

    /// `B` and the transpose of `A`.
    fn wide(&self, module: &str) -> Result<(Mat<f64>, Mat<f64>)> {
        if !self.a.iter().chain(&self.b).all(|v| v.is_finite()) {
            return Err(not_finite(module));
        }
        let b = Mat::from_fn(self.m, self.r, |i, k| f64::from(self.b[i * self.r + k]));
        let a = Mat::from_fn(self.n, self.r, |j, k| f64::from(self.a[k * self.n + j]));
        Ok((b, a))
    }

    fn cut(&self, module: &str, keep: Keep) -> Result<Cut> {
        let (b, a) = self.wide(module)?;
        cut(b, a, keep).ok_or_else(|| not_finite(module))
    }

    /// The Frobenius norm of `B A`, from the small matrices `B'B` and `A A'`.
    fn norm(&self, module: &str) -> Result<f64> {
        let (b, a) = self.wide(module)?;
        let (b, a) = (
            product(b.transpose(), b.as_ref()),
            product(a.transpose(), a.as_ref()),
        );
        let entries = (0..self.r).flat_map(|i| (0..self.r).map(move |j| (i, j)));
        let sum: f64 = entries.map(|at| b[at] * a[at]).sum();
        // Rounding may make a sum of nothing negative.
        Ok(sum.max(0.0).sqrt())
    }
}

fn not_finite(module: &str) -> FuseError {
    FuseError::NotFinite {
        module: module.to_owned(),
    }
}
