//! The objectives of a task, once its kind is known.

use super::{Metric, Optimised, Recipe, RecipeError, TaskKind};
use indexmap::IndexMap;

/// What a run optimises: loss first, then the metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct Objectives {
    /// The metrics, in the order of the recipe.
    pub metrics: Vec<Metric>,
    /// The objective by which checkpoints, soups and the front's point are chosen.
    pub choose_by: Optimised,
    /// Weight of each objective (loss, then the metrics), where the recipe names
    /// them; 0 for one that it leaves out.
    pub weights: Option<Vec<f64>>,
    /// Reference point (loss, then the metrics), where the recipe sets it, each in
    /// its own direction.
    pub ref_point: Option<Vec<f64>>,
}

impl Recipe {
    /// The objectives for a task of this kind.
    ///
    /// # Errors
    /// [`RecipeError::MetricOfOtherKind`] for accuracy of a regression, say;
    /// [`RecipeError::UnknownObjective`] where `choose_by`, `objective_weights` or
    /// `ref_point` name what is not computed; [`RecipeError::MissingObjective`] for
    /// a reference point with a gap.
    pub fn objectives(&self, kind: TaskKind) -> Result<Objectives, RecipeError> {
        let metrics = match self.task.metrics.as_slice() {
            [] => vec![match kind {
                TaskKind::Classification => Metric::Accuracy,
                TaskKind::Regression => Metric::Pearson,
                TaskKind::CausalLm | TaskKind::Seq2Seq => Metric::TokenAccuracy,
                TaskKind::QuestionAnswering | TaskKind::TokenClassification => Metric::F1,
                TaskKind::MultipleChoice => Metric::Accuracy,
            }],
            metrics => metrics.to_vec(),
        };
        if let Some(other) = metrics.iter().find(|metric| !metric.fits(kind)) {
            return Err(RecipeError::MetricOfOtherKind {
                field: "task.metrics",
                name: other.as_str(),
                kind: kind.as_str(),
            });
        }
        let all: Vec<Optimised> = std::iter::once(Optimised::Loss)
            .chain(metrics.iter().copied().map(Optimised::Metric))
            .collect();
        let choose_by = self.task.choose_by.unwrap_or(all[1]);
        must_be_among(choose_by, &all, "task.choose_by")?;
        let weights = self
            .stage2
            .objective_weights
            .as_ref()
            .map(|weights| {
                known(weights, &all, "stage2.objective_weights")?;
                Ok(all
                    .iter()
                    .map(|objective| weights.get(objective).copied().unwrap_or(0.0))
                    .collect())
            })
            .transpose()?;
        let ref_point = self
            .stage2
            .ref_point
            .as_ref()
            .map(|point| {
                known(point, &all, "stage2.ref_point")?;
                all.iter()
                    .map(|objective| {
                        point
                            .get(objective)
                            .copied()
                            .ok_or(RecipeError::MissingObjective {
                                field: "stage2.ref_point",
                                name: objective.as_str(),
                            })
                    })
                    .collect()
            })
            .transpose()?;
        Ok(Objectives {
            metrics,
            choose_by,
            weights,
            ref_point,
        })
    }
}

fn known(
    values: &IndexMap<Optimised, f64>,
    all: &[Optimised],
    field: &'static str,
) -> Result<(), RecipeError> {
    values
        .keys()
        .try_for_each(|&objective| must_be_among(objective, all, field))
}

fn must_be_among(
    objective: Optimised,
    all: &[Optimised],
    field: &'static str,
) -> Result<(), RecipeError> {
    if all.contains(&objective) {
        return Ok(());
    }
    Err(RecipeError::UnknownObjective {
        field,
        name: objective.as_str(),
        objectives: all.iter().map(|one| one.as_str()).collect(),
    })
}
