//! The statistics of a tensor's models, where the method asks for some.

use bomf_checkpoint::{TensorSpec, is_float};

use super::{Origin, Plan};
use crate::error::{FuseError, Result};
use crate::method::Statistics;
use crate::weights::{TensorInfo, Weights};

/// The name of a tensor's statistic, and what it is.
type Found<'a> = (String, TensorInfo<'a>);

impl<'a> Plan<'a> {
    /// Where each model's statistic for a tensor lies: in all of them, or in none.
    pub(super) fn statistics(
        &mut self,
        tensor: &TensorSpec,
        models: &[Origin],
    ) -> Result<Vec<Origin>> {
        let method = self.recipe.method();
        let Some(kind) = method.statistics() else {
            return Ok(Vec::new());
        };
        let missing = |model: usize, tensor| FuseError::NoStatistics {
            method: method.spec().name,
            kind,
            tensor,
            model: self.models[model].name(),
        };
        let mut found = Vec::with_capacity(models.len());
        let mut lacking = None;
        for origin in models {
            let statistics = self.models[origin.model].statistics();
            let statistics = statistics.ok_or_else(|| missing(origin.model, None))?;
            match find(statistics, kind, &origin.tensor) {
                Some((name, info)) => {
                    check(statistics, kind, (&name, info), tensor)?;
                    found.push(Origin {
                        model: origin.model,
                        tensor: name,
                    });
                }
                None => lacking = Some(origin.model),
            }
        }
        match (lacking, found.is_empty()) {
            (Some(model), false) => Err(missing(model, Some(tensor.name.clone()))),
            (Some(_), true) => {
                // Biases and norms have no Gram matrix; Fisher information has everything.
                if kind == Statistics::Fisher {
                    self.notes.push(format!(
                        "no model has statistics for tensor `{}`; it is averaged",
                        tensor.name
                    ));
                }
                Ok(found)
            }
            (None, _) => Ok(found),
        }
    }
}

fn find<'a>(statistics: &'a dyn Weights, kind: Statistics, tensor: &str) -> Option<Found<'a>> {
    let own = |name: String| Some((statistics.info(&name)?, name));
    let found = own(tensor.to_owned()).or_else(|| match kind {
        Statistics::Fisher => None,
        Statistics::Gram => own(format!("{tensor}{}", Statistics::INPUTS_FIRST)),
    });
    found.map(|(info, name)| (name, info))
}

fn check(
    statistics: &dyn Weights,
    kind: Statistics,
    (name, info): (&str, TensorInfo<'_>),
    tensor: &TensorSpec,
) -> Result<()> {
    let expected = match (kind, &tensor.shape[..]) {
        (Statistics::Gram, &[rows, columns]) => {
            let inputs = match name.ends_with(Statistics::INPUTS_FIRST) {
                true => rows,
                false => columns,
            };
            vec![inputs, inputs]
        }
        (_, shape) => shape.to_vec(),
    };
    if !is_float(info.dtype) || info.shape != expected {
        return Err(FuseError::StatisticShape {
            kind,
            tensor: tensor.name.clone(),
            file: statistics.name(),
            expected,
            found: info.shape.to_vec(),
        });
    }
    Ok(())
}
