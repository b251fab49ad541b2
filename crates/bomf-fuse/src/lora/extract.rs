//! An adapter taken out of two full models.
//!
//! For each matrix the difference `D = W_model - W_base` is approximated by `B A` of rank r. Small
//! ones by their singular values; great ones by the randomised range finder with power iterations
//! (Halko, Martinsson and Tropp 2011, arXiv 0909.4061, algorithms 4.4 and 5.1): with a random
//! `Omega: [n, r + p]`,
//!
//! ```text
//! Q = orth(D orth(D' orth(... D Omega))),   D ~ Q (Q' D)
//! ```
//!
//! and `Q (Q' D)` is cut to rank r. The error that is told is measured on the result itself.

use bomf_checkpoint::{AdapterHeader, Checkpoint, LayerFactors, LayerKind, TensorRef};
use faer::{Mat, MatRef};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use std::collections::BTreeSet;

use super::factor::{Cut, Keep, cut, row_major};
use super::linalg::{add_product, rows, thin_qr};
use super::{LayerReport, NewAdapter, SavedTensor};
use crate::error::{FuseError, Result};

/// Columns of the random matrix beyond the rank (section 4.2 of the paper advises 5 or 10).
const OVERSAMPLING: usize = 10;
/// Power iterations. Differences by fine-tuning have slowly falling singular values, for which two
/// (section 4.5) come within a few per cent of the best error; four within one.
const POWER_ITERATIONS: usize = 4;
/// A matrix with a side of no more than this is decomposed as a whole, in well under a second.
const WHOLE: usize = 256;

/// The last parts of the names of modules that look rows up by number.
const EMBEDDINGS: [&str; 4] = ["wte", "wpe", "shared", "embed_positions"];

/// Takes the change from `base` to `model` as an adapter of rank `r`.
///
/// Matrices and convolutions that differ get factors (of embeddings, known by names such as
/// `embed_tokens`, `word_embeddings` and `wte`, PEFT's other kind). Biases of such modules are
/// stored whole, as are all tensors of other modules that differ, which become `modules_to_save`.
/// What does not differ is left out.
///
/// The same `seed` gives the same bits, for any number of threads.
///
/// # Errors
/// A rank of 0, a tensor that `model` lacks or has in another shape, values that are not finite,
/// and models that do not differ in any matrix.
pub fn extract(base: &Checkpoint, model: &Checkpoint, r: usize, seed: u64) -> Result<NewAdapter> {
    if r == 0 {
        return Err(FuseError::NoRank);
    }
    let changed = changed_tensors(base, model)?;
    let layer = |(name, before): &(String, Option<TensorRef<'_>>)| {
        let module = name.strip_suffix(".weight")?;
        let kind = kind_of(module, before.as_ref()?.shape())?;
        Some((module.to_owned(), kind))
    };
    let modules: Vec<(String, LayerKind)> = changed.iter().filter_map(layer).collect();
    if modules.is_empty() {
        return Err(FuseError::NothingChanged {
            base: base.path().display().to_string(),
            model: model.path().display().to_string(),
        });
    }
    let adapted: BTreeSet<&str> = modules.iter().map(|(m, _)| m.as_str()).collect();
    let mut layers = Vec::with_capacity(modules.len());
    let mut report = Vec::with_capacity(modules.len());
    // One after another: each is parallel inside, and one difference at a time is in memory.
    for (module, kind) in &modules {
        let (factors, told) = extract_module(base, model, module, *kind, r, seed)?;
        layers.push(factors);
        report.push(told);
    }
    let mut whole = BTreeSet::new();
    let mut trained_biases = false;
    for (name, _) in &changed {
        let (module, own) = name.rsplit_once('.').unwrap_or(("", name));
        match adapted.contains(module) {
            true => trained_biases |= own != "weight",
            false => drop(whole.insert(module)),
        }
    }
    let saved = model.tensors().filter(|t| {
        let (module, own) = t.name().rsplit_once('.').unwrap_or(("", t.name()));
        whole.contains(module)
            || (adapted.contains(module)
                && own != "weight"
                && changed.iter().any(|(name, _)| name == t.name()))
    });
    let saved: Result<_> = saved
        .map(|t| {
            Ok(SavedTensor {
                name: t.name().to_owned(),
                shape: t.shape().to_vec(),
                values: t.to_f32()?,
            })
        })
        .collect();
    let header = AdapterHeader {
        base_model: Some(base.path().display().to_string()),
        modules_to_save: whole.into_iter().map(str::to_owned).collect(),
        trained_biases,
        ..AdapterHeader::default()
    };
    Ok(NewAdapter {
        header,
        layers,
        saved: saved?,
        report,
    })
}

/// The names of float tensors that differ, with the base model's where it has one.
fn changed_tensors<'a>(
    base: &'a Checkpoint,
    model: &Checkpoint,
) -> Result<Vec<(String, Option<TensorRef<'a>>)>> {
    let (base_label, label) = (base.path().display(), model.path().display());
    for tensor in base.tensors() {
        if !model.contains(tensor.name()) {
            return Err(FuseError::MissingTensor {
                tensor: tensor.name().to_owned(),
                member: label.to_string(),
                reference: base_label.to_string(),
            });
        }
    }
    let mut changed = Vec::new();
    for tensor in model.tensors().filter(TensorRef::is_float) {
        let before = base.get(tensor.name());
        if let Some(before) = &before {
            super::expect_shape(
                tensor.name(),
                label.to_string(),
                tensor.shape(),
                base_label.to_string(),
                before.shape(),
            )?;
            let same_bytes = before.dtype() == tensor.dtype() && before.bytes() == tensor.bytes();
            if same_bytes || before.to_f32()? == tensor.to_f32()? {
                continue;
            }
        }
        changed.push((tensor.name().to_owned(), before));
    }
    Ok(changed)
}

fn kind_of(module: &str, shape: &[usize]) -> Option<LayerKind> {
    let last = module.rsplit('.').next().unwrap_or(module);
    match shape.len() {
        2 if last.contains("embed") && !last.contains("proj") || EMBEDDINGS.contains(&last) => {
            Some(LayerKind::Embedding)
        }
        2 => Some(LayerKind::Linear),
        3 | 4 => Some(LayerKind::Conv),
        _ => None,
    }
}

fn extract_module(
    base: &Checkpoint,
    model: &Checkpoint,
    module: &str,
    kind: LayerKind,
    r: usize,
    seed: u64,
) -> Result<(LayerFactors, LayerReport)> {
    let name = format!("{module}.weight");
    let tensor = model.tensor(&name)?;
    let mut d = tensor.to_f32()?;
    for (d, before) in d.iter_mut().zip(base.tensor(&name)?.to_f32()?) {
        *d -= before;
    }
    let not_finite = || FuseError::NotFinite {
        module: module.to_owned(),
    };
    if !d.iter().all(|v| v.is_finite()) {
        return Err(not_finite());
    }
    let shape = tensor.shape();
    let (m, n) = (shape[0], d.len() / shape[0]);
    let found = match m.min(n) <= WHOLE.max(r + OVERSAMPLING) {
        true => whole(&d, m, n, r),
        false => randomised(&d, m, n, r, seed ^ hash(module)),
    };
    let Cut {
        mut b,
        mut a,
        r: rank,
        ..
    } = found.ok_or_else(not_finite)?;
    let norm = norm(&d);
    add_product(&mut d, -1.0, rows(&b, m, rank), rows(&a, rank, n));
    let lost = self::norm(&d);
    let (mut a_shape, mut b_shape) = (vec![rank, n], vec![m, rank]);
    match kind {
        LayerKind::Linear => {}
        LayerKind::Conv => {
            a_shape = [&[rank], &shape[1..]].concat();
            b_shape.extend(shape[2..].iter().map(|_| 1));
        }
        // The change of an embedding is the transpose of `B A`.
        LayerKind::Embedding => {
            (a, b) = (transposed(&b, m, rank), transposed(&a, rank, n));
            (a_shape, b_shape) = (vec![rank, m], vec![n, rank]);
        }
    }
    let report = LayerReport {
        module: module.to_owned(),
        r: rank,
        full_rank: m.min(n),
        norm,
        error: match norm > 0.0 {
            true => lost / norm,
            false => 0.0,
        },
    };
    let factors = LayerFactors {
        module: module.to_owned(),
        kind,
        r: rank,
        a,
        a_shape,
        b,
        b_shape,
    };
    Ok((factors, report))
}

/// The best product of rank r: D as the product of itself and the identity, on its smaller side.
fn whole(d: &[f32], m: usize, n: usize, r: usize) -> Option<Cut> {
    let at = |i: usize, j: usize| f64::from(d[i * n + j]);
    match m < n {
        true => cut(
            Mat::identity(m, m),
            Mat::from_fn(n, m, |j, i| at(i, j)),
            Keep::Count(r),
        ),
        false => cut(Mat::from_fn(m, n, at), Mat::identity(n, n), Keep::Count(r)),
    }
}

fn randomised(d: &[f32], m: usize, n: usize, r: usize, seed: u64) -> Option<Cut> {
    let columns = r + OVERSAMPLING;
    let d = rows(d, m, n);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let omega: Vec<f32> = StandardNormal
        .sample_iter(&mut random)
        .take(n * columns)
        .collect();
    let mut q = orthonormal(&times(d, rows(&omega, n, columns)));
    for _ in 0..POWER_ITERATIONS {
        let p = orthonormal(&times(d.transpose(), rows(&q, m, columns)));
        q = orthonormal(&times(d, rows(&p, n, columns)));
    }
    // D' Q, `[n, columns]`.
    let image = times(d.transpose(), rows(&q, m, columns));
    cut(
        wide(rows(&q, m, columns)),
        wide(image.as_ref()),
        Keep::Count(r),
    )
}

/// An orthonormal basis of the columns of x, row-major.
fn orthonormal(x: &Mat<f32>) -> Vec<f32> {
    let (q, _) = thin_qr(wide(x.as_ref()));
    row_major(q.as_ref())
}

fn wide(x: MatRef<'_, f32>) -> Mat<f64> {
    Mat::from_fn(x.nrows(), x.ncols(), |i, j| f64::from(x[(i, j)]))
}

/// `x y`, in parallel over rows.
fn times(x: MatRef<'_, f32>, y: MatRef<'_, f32>) -> Mat<f32> {
    let (nrows, ncols) = (x.nrows(), y.ncols());
    let mut out = vec![0.0; nrows * ncols];
    add_product(&mut out, 1.0, x, y);
    rows(&out, nrows, ncols).to_owned()
}

fn transposed(x: &[f32], nrows: usize, ncols: usize) -> Vec<f32> {
    let columns = (0..ncols).flat_map(|j| (0..nrows).map(move |i| (i, j)));
    columns.map(|(i, j)| x[i * ncols + j]).collect()
}

/// The Frobenius norm, summed over pieces of fixed size.
fn norm(x: &[f32]) -> f64 {
    const PIECE: usize = 1 << 16;
    let squares = |piece: &[f32]| piece.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
    let pieces: Vec<f64> = x.par_chunks(PIECE).map(squares).collect();
    pieces.iter().sum::<f64>().sqrt()
}

/// FNV-1a, so that each module has its own random numbers.
fn hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
    })
}
