//! Doing what is planned: tensors of any size, in bounded memory, on all threads.
//!
//! The output is cut into pieces. A thread takes a piece, reads the same elements of every input
//! as `f32` in blocks that stay in its cache, lets the method fuse them, rounds them once to the
//! output's type, and hands the bytes to a [`Sink`], which knows where they belong: pieces come
//! in any order. What a piece holds depends on nothing but its place, so neither the number of
//! threads nor the bound on memory changes a byte.

mod memory;
mod piece;
mod statistics;

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bomf_checkpoint::{CheckpointError, Dtype, FilesPlan, ModelFiles, is_float};
use rayon::prelude::*;

use crate::error::{FuseError, Result};
use crate::method::{Fuser, Inputs, Params, Source, Value};
use crate::plan::{Origin, Plan, PlannedTensor, Work};
use crate::weights::Rounded;

pub use memory::DEFAULT_MEMORY;

use memory::Blocks;
use piece::{Piece, Pool};
use statistics::Owned;

/// Tensors of fewer elements than this together are shared out among threads as wholes; a
/// larger one is cut, and they all work on it.
const GROUP: usize = 1 << 20;

/// Where the output goes.
pub trait Sink: Sync {
    /// Takes the bytes of a tensor (its number in the plan) from its byte `start` on; called by
    /// any thread, in any order.
    ///
    /// # Errors
    /// Whatever keeps it from taking them; the fusion ends with it.
    fn put(&self, tensor: usize, start: u64, bytes: &[u8]) -> Result<()>;
}

impl Sink for ModelFiles {
    fn put(&self, tensor: usize, start: u64, bytes: &[u8]) -> Result<()> {
        Ok(self.write_at(tensor, start, bytes)?)
    }
}

/// How a fusion is watched and stopped from another thread.
#[derive(Debug, Default)]
pub struct Control {
    /// Bytes of the output that are done.
    pub done: AtomicU64,
    /// Set it, and the fusion ends with [`FuseError::Interrupted`] after the pieces at hand.
    pub stop: AtomicBool,
}

/// What was met on the way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Tensors of the output with NaNs or infinities, and how many. They are no error: a model
    /// that has them is fused as it is.
    pub not_finite: Vec<(String, u64)>,
}

/// Fuses every tensor of a plan on the threads of the current rayon pool, with at most
/// `max_memory` bytes of buffers (what a method keeps of a whole tensor apart).
///
/// `files` says in which order the output lies on the disk; it is made from the plan's specs.
///
/// # Errors
/// What the method or the sink says, [`FuseError::OutOfRange`] where a finite value becomes
/// infinite in the output's type, [`FuseError::TooLittleMemory`], [`FuseError::Interrupted`].
pub fn execute(
    plan: &Plan<'_>,
    files: &FilesPlan,
    sink: &dyn Sink,
    max_memory: u64,
    control: &Control,
) -> Result<Summary> {
    let inputs = plan.tensors.iter().map(|t| match &t.work {
        Work::Copy(_) => 0,
        Work::Fuse { models, base, .. } => models.len() + usize::from(base.is_some()),
    });
    let blocks = Blocks::within(
        max_memory,
        rayon::current_num_threads(),
        inputs.max().unwrap_or(0),
    )?;
    let run = Run {
        plan,
        sink,
        control,
        blocks,
        pool: Pool::default(),
        norms: statistics::norms(plan)?,
    };
    let order = files.order();
    let mut not_finite = Vec::new();
    for group in groups(plan, &order) {
        let counts: Vec<u64> = order[group.clone()]
            .par_iter()
            .map(|&tensor| run.tensor(tensor))
            .collect::<Result<_>>()?;
        let found = order[group]
            .iter()
            .zip(counts)
            .filter(|(_, count)| *count > 0);
        not_finite.extend(found.map(|(&t, count)| (plan.tensors[t].spec.name.clone(), count)));
    }
    Ok(Summary { not_finite })
}

/// Runs of tensors that are worked on at the same time.
fn groups(plan: &Plan<'_>, order: &[usize]) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let (mut start, mut elements) = (0, 0);
    for (i, &tensor) in order.iter().enumerate() {
        elements += plan.tensors[tensor].spec.num_elements();
        if elements >= GROUP || i + 1 == order.len() {
            groups.push(start..i + 1);
            (start, elements) = (i + 1, 0);
        }
    }
    groups
}

struct Run<'a> {
    plan: &'a Plan<'a>,
    sink: &'a dyn Sink,
    control: &'a Control,
    blocks: Blocks,
    pool: Pool,
    /// Of each model's Fisher information, where the method asks for it.
    norms: Vec<f64>,
}

impl Run<'_> {
    /// Makes one tensor; returns how many of its values are not finite.
    fn tensor(&self, number: usize) -> Result<u64> {
        let tensor = &self.plan.tensors[number];
        match &tensor.work {
            Work::Copy(origin) => self.copy(number, origin).map(|()| 0),
            Work::Fuse { models, .. } if self.is_copy(tensor) => {
                self.copy(number, &models[0]).map(|()| 0)
            }
            Work::Fuse {
                models,
                base,
                params,
                statistics,
            } => {
                let spec = &tensor.spec;
                let models = models
                    .iter()
                    .map(|o| self.source(o))
                    .collect::<Result<Vec<_>>>()?;
                let base = base.as_ref().map(|o| self.source(o)).transpose()?;
                let statistics = self.statistics(statistics)?;
                let inputs = Inputs {
                    name: &spec.name,
                    shape: &spec.shape,
                    models: models.iter().map(|m| &**m).collect(),
                    base: base.as_deref(),
                    statistics: statistics.iter().map(Owned::view).collect(),
                };
                let recipe = self.plan.recipe;
                let fuser = recipe.method().prepare(&inputs, params, recipe.seed())?;
                self.pieces(number, &inputs, &*fuser)
            }
        }
    }

    /// Whether fusing a tensor would give its only input, bit for bit.
    fn is_copy(&self, tensor: &PlannedTensor) -> bool {
        let Work::Fuse {
            models,
            base: None,
            params,
            ..
        } = &tensor.work
        else {
            return false;
        };
        let [only] = &models[..] else {
            return false;
        };
        let recipe = self.plan.recipe;
        let is_unscaled = is_identity(recipe.method().spec().name, params);
        let model = self.plan.models[only.model];
        let is_kept = |dtype: Option<Dtype>| dtype.is_none_or(|d| d == tensor.spec.dtype);
        let info = model.info(&only.tensor);
        let has_bytes = model.bytes(&only.tensor).is_some();
        is_unscaled
            && has_bytes
            && is_kept(recipe.dtype())
            && info.is_some_and(|i| i.dtype == tensor.spec.dtype)
    }

    fn source(&self, origin: &Origin) -> Result<Box<dyn Source + '_>> {
        let model = self.plan.models[origin.model];
        let lost = || {
            FuseError::Checkpoint(CheckpointError::NoTensor {
                tensor: origin.tensor.clone(),
                dir: model.name().into(),
            })
        };
        let source = model.source(&origin.tensor).ok_or_else(lost)?;
        let stored = model.info(&origin.tensor).ok_or_else(lost)?.dtype;
        Ok(match self.plan.recipe.dtype() {
            Some(dtype) if dtype != stored && matches!(dtype, Dtype::F16 | Dtype::BF16) => {
                Box::new(Rounded {
                    inner: source,
                    dtype,
                })
            }
            _ => source,
        })
    }

    fn copy(&self, number: usize, origin: &Origin) -> Result<()> {
        let model = self.plan.models[origin.model];
        let bytes = model.bytes(&origin.tensor).unwrap_or_default();
        let put = |(i, bytes): (usize, &[u8])| {
            self.go_on()?;
            self.sink.put(number, (i * memory::COPY) as u64, bytes)?;
            self.advance(bytes.len());
            Ok(())
        };
        bytes.par_chunks(memory::COPY).enumerate().try_for_each(put)
    }

    fn pieces(&self, number: usize, inputs: &Inputs<'_>, fuser: &dyn Fuser) -> Result<u64> {
        let spec = &self.plan.tensors[number].spec;
        debug_assert!(is_float(spec.dtype), "the recipe's types are floats");
        let elements = spec.num_elements();
        let size = spec.dtype.bitsize() / 8;
        let length = self.blocks.piece;
        let recipe = self.plan.recipe;
        let found = (0..elements.div_ceil(length)).into_par_iter().map(|i| {
            self.go_on()?;
            let start = i * length;
            let piece = Piece {
                inputs,
                fuser,
                dtype: spec.dtype,
                range: start..elements.min(start + length),
                block: self.blocks.block,
                is_wide: recipe.dtype() == Some(Dtype::F64) && recipe.method().is_wide(),
            };
            self.pool.with(|buffers| {
                let encoded = piece.make(buffers);
                if encoded.overflowed > 0 {
                    return Err(FuseError::OutOfRange {
                        tensor: spec.name.clone(),
                        count: encoded.overflowed,
                        dtype: spec.dtype,
                    });
                }
                self.sink
                    .put(number, (start * size) as u64, &buffers.bytes)?;
                self.advance(buffers.bytes.len());
                Ok(encoded.nan + encoded.infinite)
            })
        });
        found.try_reduce(|| 0, |a, b| Ok(a + b))
    }

    fn go_on(&self) -> Result<()> {
        match self.control.stop.load(Ordering::Relaxed) {
            true => Err(FuseError::Interrupted),
            false => Ok(()),
        }
    }

    fn advance(&self, bytes: usize) {
        self.control.done.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// Whether a method with one model gives that model: these need not even be read as floats.
fn is_identity(method: &str, params: &Params) -> bool {
    match method {
        "passthrough" => params
            .models
            .iter()
            .flatten()
            .all(|(_, value)| *value == Value::Number(1.0)),
        _ => false,
    }
}
