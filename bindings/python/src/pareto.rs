//! Fronts and hypervolume. Points are rows of which each column has its own direction; they are
//! turned here, once.

use crate::errors::{of_pareto, wrong};
use bomf::study::Direction;
use pyo3::prelude::*;

/// `minimize` or `maximize`.
pub fn direction(name: &str) -> PyResult<Direction> {
    match name {
        "minimize" | "min" => Ok(Direction::Minimize),
        "maximize" | "max" => Ok(Direction::Maximize),
        other => Err(wrong(format!(
            "a direction is \"minimize\" or \"maximize\", not \"{other}\""
        ))),
    }
}

pub fn directions(names: &[String]) -> PyResult<Vec<Direction>> {
    names.iter().map(|name| direction(name)).collect()
}

/// The points with every column maximised.
fn maximised(points: Vec<Vec<f64>>, names: &[String]) -> PyResult<Vec<Vec<f64>>> {
    let directions = directions(names)?;
    let row = |row: Vec<f64>| -> PyResult<Vec<f64>> {
        if row.len() != directions.len() {
            return Err(wrong(format!(
                "a point has {} values where there are {} directions",
                row.len(),
                directions.len()
            )));
        }
        Ok(turned(&row, &directions))
    };
    points.into_iter().map(row).collect()
}

/// Values with their directions turned to maximising, or back.
pub fn turned(values: &[f64], directions: &[Direction]) -> Vec<f64> {
    let pairs = values.iter().zip(directions);
    pairs.map(|(value, d)| d.maximised(*value)).collect()
}

#[pyfunction]
pub fn hypervolume(
    py: Python<'_>,
    points: Vec<Vec<f64>>,
    ref_point: Vec<f64>,
    directions: Vec<String>,
) -> PyResult<f64> {
    let points = maximised(points, &directions)?;
    let ref_point = maximised(vec![ref_point], &directions)?.swap_remove(0);
    py.detach(|| bomf_pareto::hypervolume(&points, &ref_point))
        .map_err(|error| of_pareto(&error))
}

#[pyfunction]
pub fn hypervolume_contributions(
    py: Python<'_>,
    points: Vec<Vec<f64>>,
    ref_point: Vec<f64>,
    directions: Vec<String>,
) -> PyResult<Vec<f64>> {
    let points = maximised(points, &directions)?;
    let ref_point = maximised(vec![ref_point], &directions)?.swap_remove(0);
    py.detach(|| bomf_pareto::hypervolume_contributions(&points, &ref_point))
        .map_err(|error| of_pareto(&error))
}

#[pyfunction]
pub fn non_dominated(
    py: Python<'_>,
    points: Vec<Vec<f64>>,
    directions: Vec<String>,
) -> PyResult<Vec<usize>> {
    let points = maximised(points, &directions)?;
    py.detach(|| bomf_pareto::non_dominated(&points))
        .map_err(|error| of_pareto(&error))
}

#[pyfunction]
pub fn non_dominated_sort(
    py: Python<'_>,
    points: Vec<Vec<f64>>,
    directions: Vec<String>,
) -> PyResult<Vec<Vec<usize>>> {
    let points = maximised(points, &directions)?;
    py.detach(|| bomf_pareto::non_dominated_sort(&points))
        .map_err(|error| of_pareto(&error))
}

#[pyfunction]
pub fn knee(
    py: Python<'_>,
    points: Vec<Vec<f64>>,
    directions: Vec<String>,
) -> PyResult<Option<usize>> {
    let points = maximised(points, &directions)?;
    py.detach(|| bomf_pareto::knee(&points))
        .map_err(|error| of_pareto(&error))
}

#[pyfunction]
pub fn infer_reference_point(points: Vec<Vec<f64>>, directions: Vec<String>) -> PyResult<Vec<f64>> {
    let points = maximised(points, &directions)?;
    let point = bomf_pareto::infer_reference_point(&points).map_err(|error| of_pareto(&error))?;
    Ok(turned(&point, &self::directions(&directions)?))
}
