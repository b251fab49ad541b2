//! The optimisers of `bomf-bo` behind one face, whatever their space and number of objectives.
//!
//! Spaces and points cross over as JSON, in the form in which `bomf-bo` stores them, so that
//! what is read is checked there; a point is the list of its parts. Objectives are turned here,
//! once, and nowhere below.

mod engine;
mod setup;
mod spaces;
mod stored;

use crate::errors::{of_bo, wrong};
use crate::pareto::{directions, turned};
use crate::supervise::abandonable;
use bomf_bo::space::ProductPoint;
use bomf_bo::strategy::Outcome;
use engine::Engine;
use pyo3::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use setup::Setup;
use stored::{FORMAT, Stored};

/// An optimiser of any space and number of objectives.
#[pyclass(module = "bomf._bomf")]
pub struct Search {
    setup: Setup,
    engine: Box<dyn Engine>,
    rng: ChaCha8Rng,
}

#[pymethods]
impl Search {
    #[new]
    #[pyo3(signature = (space, directions, seed, ref_point=None, n_initial=None, constraints=Vec::new(), cost_budget=None))]
    fn new(
        space: &str,
        directions: Vec<String>,
        seed: u64,
        ref_point: Option<Vec<f64>>,
        n_initial: Option<usize>,
        constraints: Vec<f64>,
        cost_budget: Option<f64>,
    ) -> PyResult<Self> {
        let space = serde_json::from_str(space).map_err(|error| wrong(reason(&error)))?;
        let directions = self::directions(&directions)?;
        if directions.is_empty() {
            return Err(wrong("there is no objective: give at least one direction"));
        }
        if let Some(r) = &ref_point
            && r.len() != directions.len()
        {
            return Err(wrong(format!(
                "ref_point has {} values where there are {} directions",
                r.len(),
                directions.len()
            )));
        }
        let setup = Setup {
            space,
            directions,
            ref_point,
            n_initial,
            constraints,
            cost_budget,
        };
        Ok(Search {
            engine: setup.engine().map_err(|error| of_bo(&error))?,
            setup,
            rng: ChaCha8Rng::seed_from_u64(seed),
        })
    }

    /// The next `q` points, as JSON. On a signal nothing has changed.
    fn ask(&mut self, py: Python<'_>, q: usize) -> PyResult<String> {
        let mut engine = self.engine.copy();
        let mut rng = self.rng.clone();
        let (asked, engine, rng) = abandonable(py, move || {
            let asked = engine.ask(q, &mut rng);
            (asked, engine, rng)
        })?;
        let points = asked.map_err(|error| of_bo(&error))?;
        (self.engine, self.rng) = (engine, rng);
        crate::commands::json(&points)
    }

    /// Records the outcome of a point; `y` is `None` for a failure.
    #[pyo3(signature = (point, y=None, std_errors=Vec::new(), constraints=Vec::new(), cost=None))]
    fn tell(
        &mut self,
        point: &str,
        y: Option<Vec<f64>>,
        std_errors: Vec<f64>,
        constraints: Vec<f64>,
        cost: Option<f64>,
    ) -> PyResult<()> {
        let directions = &self.setup.directions;
        if let Some(y) = &y
            && y.len() != directions.len()
        {
            return Err(wrong(format!(
                "y has {} values where there are {} directions",
                y.len(),
                directions.len()
            )));
        }
        let outcome = Outcome {
            y: y.map(|y| turned(&y, directions)),
            standard_errors: std_errors,
            constraints,
            cost,
        };
        let point = parts(point)?;
        let told = self.engine.tell(&point, outcome);
        told.map_err(|error| of_bo(&error))
    }

    /// Raises where a point is not in the space.
    fn check(&self, point: &str) -> PyResult<()> {
        let checked = self.engine.check(&parts(point)?);
        checked.map_err(|error| of_bo(&error))
    }

    /// Places of the best evaluation, or of the front's, in the order of telling.
    fn best(&self) -> Vec<usize> {
        self.engine.best(&self.setup.constraints)
    }

    /// How many evaluations have been told.
    fn told(&self) -> usize {
        self.engine.outcomes().len()
    }

    fn ref_point(&self) -> Option<Vec<f64>> {
        let (point, _) = self.engine.hypervolumes()?;
        Some(turned(&point?, &self.setup.directions))
    }

    fn hypervolume_history(&self) -> Option<Vec<f64>> {
        Some(self.engine.hypervolumes()?.1)
    }

    fn expected_gain(&self) -> Option<f64> {
        self.engine.expected_gain()
    }

    fn recent_gain(&self, evaluations: usize) -> Option<f64> {
        self.engine.recent_gain(evaluations)
    }

    /// Everything, as JSON.
    fn dump(&self) -> PyResult<String> {
        let engine = self.engine.stored();
        crate::commands::json(&Stored {
            format: FORMAT,
            bomf: env!("CARGO_PKG_VERSION").into(),
            setup: self.setup.clone(),
            engine: engine.map_err(|error| wrong(error.to_string()))?,
            rng: (&self.rng).into(),
        })
    }

    /// What [`Self::dump`] wrote.
    #[staticmethod]
    fn restore(text: &str) -> PyResult<Self> {
        let torn = |error: serde_json::Error| {
            wrong(format!("this is no stored optimiser: {}", reason(&error)))
        };
        let stored: Stored = serde_json::from_str(text).map_err(torn)?;
        if stored.format != FORMAT {
            return Err(wrong(format!(
                "the optimiser was stored in format {} by bomf {}; this one reads {FORMAT}",
                stored.format, stored.bomf
            )));
        }
        if stored.setup.directions.is_empty() {
            return Err(wrong("this is no stored optimiser: it has no objective"));
        }
        Ok(Search {
            engine: stored.setup.restored(stored.engine).map_err(torn)?,
            setup: stored.setup,
            rng: stored.rng.rng(),
        })
    }
}

fn parts(point: &str) -> PyResult<ProductPoint> {
    serde_json::from_str(point).map_err(|error| wrong(format!("not a point: {}", reason(&error))))
}

/// What a reader says, without the place in a text that nobody has seen.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
