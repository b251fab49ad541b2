//! `bomf.FusionSearch`: stage 2 around a function of Python.

use crate::errors;
use crate::pareto;
use crate::supervise::{Callbacks, supervised};
use bomf::recipe::Choose;
use bomf::study::Objective;
use bomf::{MixturesRequest, Recipe};
use pyo3::prelude::*;
use std::path::PathBuf;

/// Searches mixtures of `members` members; the outcome as JSON.
#[pyfunction]
#[pyo3(signature = (members, objectives, chosen, recipe, journal, measure, progress=None, by_weights=false, objective_weights=None, ref_point=None))]
#[allow(clippy::too_many_arguments)] // The package's affair, which names each.
pub fn search_mixtures(
    py: Python<'_>,
    members: usize,
    objectives: Vec<(String, String)>,
    chosen: usize,
    recipe: &str,
    journal: PathBuf,
    measure: Py<PyAny>,
    progress: Option<Py<PyAny>>,
    by_weights: bool,
    objective_weights: Option<Vec<f64>>,
    ref_point: Option<Vec<f64>>,
) -> PyResult<String> {
    let objectives = objectives
        .into_iter()
        .map(|(name, direction)| {
            let direction = pareto::direction(&direction)?;
            Ok(Objective { name, direction })
        })
        .collect::<PyResult<_>>()?;
    let mut recipe =
        Recipe::from_yaml(recipe, "").map_err(|error| errors::of_bomf(&error.into()))?;
    if by_weights {
        // In a recipe it needs weights of the engine's own metrics.
        recipe.stage2.choose = Choose::Weights;
    }
    let request = MixturesRequest {
        members,
        objectives,
        chosen,
        objective_weights,
        ref_point,
        recipe,
        journal,
    };
    let callbacks = Callbacks {
        progress: progress.as_ref(),
        measure: Some(&measure),
    };
    let outcome = supervised(py, &callbacks, |link| {
        let mut measure = link.measurer();
        bomf::search_mixtures(&request, &mut measure, link)
    })?;
    crate::commands::json(&outcome)
}
