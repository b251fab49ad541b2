//! The models' statistics, as a method is given them.

use bomf_checkpoint::CheckpointError;

use super::Run;
use crate::error::{FuseError, Result};
use crate::method::{Source, Statistic, Statistics};
use crate::methods::fisher;
use crate::plan::{Origin, Plan, Work};

/// A statistic that is open.
pub(super) struct Owned<'a> {
    source: Box<dyn Source + 'a>,
    inputs_first: bool,
    norm: f64,
}

impl Owned<'_> {
    /// As methods see it.
    pub fn view(&self) -> Statistic<'_> {
        Statistic {
            source: &*self.source,
            inputs_first: self.inputs_first,
            norm: self.norm,
        }
    }
}

impl Run<'_> {
    /// Opens statistics.
    pub(super) fn statistics(&self, origins: &[Origin]) -> Result<Vec<Owned<'_>>> {
        let owned = |origin| {
            Ok(Owned {
                source: open(self.plan, origin)?,
                inputs_first: origin.tensor.ends_with(Statistics::INPUTS_FIRST),
                norm: self.norms.get(origin.model).copied().unwrap_or(1.0),
            })
        };
        origins.iter().map(owned).collect()
    }
}

fn open<'a>(plan: &Plan<'a>, origin: &Origin) -> Result<Box<dyn Source + 'a>> {
    let model = plan.models[origin.model];
    let source = model.statistics().and_then(|s| s.source(&origin.tensor));
    source.ok_or_else(|| {
        FuseError::Checkpoint(CheckpointError::NoTensor {
            tensor: origin.tensor.clone(),
            dir: model.name().into(),
        })
    })
}

/// The Euclidean norm of each model's Fisher information over all tensors that are fused, where
/// the method divides by it; nothing where it does not.
pub(super) fn norms(plan: &Plan<'_>) -> Result<Vec<f64>> {
    if plan.recipe.method().statistics() != Some(Statistics::Fisher) {
        return Ok(Vec::new());
    }
    let mut squares = vec![0.0; plan.models.len()];
    let mut is_asked = false;
    for tensor in &plan.tensors {
        let Work::Fuse {
            params, statistics, ..
        } = &tensor.work
        else {
            continue;
        };
        if !params.flag("normalize") {
            continue;
        }
        is_asked = true;
        for origin in statistics {
            let source = open(plan, origin)?;
            squares[origin.model] += fisher::squared_norm(&*source);
        }
    }
    Ok(match is_asked {
        true => squares.into_iter().map(f64::sqrt).collect(),
        false => Vec::new(),
    })
}
