//! The optimisers of `bomf-bo` behind one face, whatever their space and number of objectives.
//!
//! Spaces and points cross over as JSON, in the form in which `bomf-bo` stores them, so that
//! what is read is checked there; a point is the list of its parts. Objectives are turned here,
//! once, and nowhere below.

use crate::errors::{of_bo, wrong};
use crate::pareto::{directions, turned};
use crate::supervise::abandonable;
use bomf::study::Direction;
use bomf_bo::optim::SearchSpace;
use bomf_bo::space::{
    BoxSpace, Configuration, PartPoint, ProductPoint, ProductSpace, SimplexSpace,
};
use bomf_bo::strategy::{
    Beside, MultiObjective, MultiObjectiveOptions, Outcome, RefPoint, SingleObjective,
    SingleObjectiveOptions, Strategy,
};
use bomf_bo::{BoError, Result};
use pyo3::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;

/// The version of what [`Search::dump`] writes.
const FORMAT: u32 = 1;

/// A space of any kind.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AnySpace {
    Box(BoxSpace),
    Simplex(SimplexSpace),
    Product(ProductSpace),
}

/// A space whose points can be written as a list of parts.
trait Parts: SearchSpace + Send + Sync + Clone {
    fn point(&self, parts: &ProductPoint) -> Result<<Self::Point as ToOwned>::Owned>;
    fn parts(&self, point: &Self::Point) -> ProductPoint;
}

/// The only part of a point.
fn only(parts: &ProductPoint) -> Result<&PartPoint> {
    match &parts.parts[..] {
        [part] => Ok(part),
        parts => Err(BoError::Dimension {
            what: "the list of parts",
            found: parts.len(),
            expected: 1,
        }),
    }
}

fn other_kind<T>(expected: &'static str) -> Result<T> {
    Err(BoError::PartKind { part: 0, expected })
}

impl Parts for BoxSpace {
    fn point(&self, parts: &ProductPoint) -> Result<Configuration> {
        match only(parts)? {
            PartPoint::Box(configuration) => Ok(configuration.clone()),
            _ => other_kind("a configuration"),
        }
    }

    fn parts(&self, point: &Configuration) -> ProductPoint {
        ProductPoint {
            parts: vec![PartPoint::Box(point.clone())],
        }
    }
}

impl Parts for SimplexSpace {
    fn point(&self, parts: &ProductPoint) -> Result<Vec<f64>> {
        match only(parts)? {
            PartPoint::Simplex(weights) => Ok(weights.clone()),
            _ => other_kind("coefficients"),
        }
    }

    fn parts(&self, point: &[f64]) -> ProductPoint {
        ProductPoint {
            parts: vec![PartPoint::Simplex(point.to_vec())],
        }
    }
}

impl Parts for ProductSpace {
    fn point(&self, parts: &ProductPoint) -> Result<ProductPoint> {
        Ok(parts.clone())
    }

    fn parts(&self, point: &ProductPoint) -> ProductPoint {
        point.clone()
    }
}

/// What is asked of every search.
trait Engine: Send + Sync {
    fn copy(&self) -> Box<dyn Engine>;
    fn ask(&mut self, q: usize, rng: &mut ChaCha8Rng) -> Result<Vec<ProductPoint>>;
    fn check(&self, point: &ProductPoint) -> Result<()>;
    fn tell(&mut self, point: &ProductPoint, outcome: Outcome) -> Result<()>;
    fn outcomes(&self) -> Vec<&Outcome>;
    /// Places of the best or of the front among the outcomes; `bounds`: those of the
    /// constraints.
    fn best(&self, bounds: &[f64]) -> Vec<usize>;
    /// The reference point and the hypervolume after each outcome; of several objectives only.
    fn hypervolumes(&self) -> Option<(Option<Vec<f64>>, Vec<f64>)>;
    fn expected_gain(&self) -> Option<f64>;
    fn recent_gain(&self, evaluations: usize) -> Option<f64>;
    fn stored(&self) -> serde_json::Result<serde_json::Value>;
}

fn ask<T: Strategy>(search: &mut T, q: usize, rng: &mut ChaCha8Rng) -> Result<Vec<ProductPoint>>
where
    T::Space: Parts,
{
    let points = search.ask_batch(q, rng)?;
    let space = search.space();
    Ok(points.iter().map(|p| space.parts(p.borrow())).collect())
}

fn check<S: Parts>(space: &S, point: &ProductPoint) -> Result<()> {
    space.encode(space.point(point)?.borrow()).map(|_| ())
}

/// Whether an evaluation succeeded and kept to the constraints.
fn is_feasible(outcome: &Outcome, bounds: &[f64]) -> bool {
    let mut pairs = outcome.constraints.iter().zip(bounds);
    outcome.y.is_some() && pairs.all(|(value, bound)| value <= bound)
}

impl<S: Parts + Serialize + 'static> Engine for SingleObjective<S> {
    fn copy(&self) -> Box<dyn Engine> {
        Box::new(self.clone())
    }

    fn ask(&mut self, q: usize, rng: &mut ChaCha8Rng) -> Result<Vec<ProductPoint>> {
        ask(self, q, rng)
    }

    fn check(&self, point: &ProductPoint) -> Result<()> {
        check(self.space(), point)
    }

    fn tell(&mut self, point: &ProductPoint, outcome: Outcome) -> Result<()> {
        let point = self.space().point(point)?;
        self.tell_outcome(point.borrow(), outcome)
    }

    fn outcomes(&self) -> Vec<&Outcome> {
        self.outcomes().iter().collect()
    }

    fn best(&self, bounds: &[f64]) -> Vec<usize> {
        let mut best: Option<(usize, f64)> = None;
        for (i, outcome) in self.outcomes().iter().enumerate() {
            if let Some(y) = &outcome.y
                && is_feasible(outcome, bounds)
                && best.is_none_or(|(_, value)| y[0] > value)
            {
                best = Some((i, y[0]));
            }
        }
        best.into_iter().map(|(i, _)| i).collect()
    }

    fn hypervolumes(&self) -> Option<(Option<Vec<f64>>, Vec<f64>)> {
        None
    }

    fn expected_gain(&self) -> Option<f64> {
        Strategy::expected_gain(self)
    }

    fn recent_gain(&self, evaluations: usize) -> Option<f64> {
        Strategy::recent_gain(self, evaluations)
    }

    fn stored(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::to_value(self)
    }
}

impl<S: Parts + Serialize + 'static> Engine for MultiObjective<S> {
    fn copy(&self) -> Box<dyn Engine> {
        Box::new(self.clone())
    }

    fn ask(&mut self, q: usize, rng: &mut ChaCha8Rng) -> Result<Vec<ProductPoint>> {
        ask(self, q, rng)
    }

    fn check(&self, point: &ProductPoint) -> Result<()> {
        check(self.space(), point)
    }

    fn tell(&mut self, point: &ProductPoint, outcome: Outcome) -> Result<()> {
        let point = self.space().point(point)?;
        self.tell_outcome(point.borrow(), outcome)
    }

    fn outcomes(&self) -> Vec<&Outcome> {
        self.observations().iter().map(|o| &o.outcome).collect()
    }

    fn best(&self, _bounds: &[f64]) -> Vec<usize> {
        self.front_indices()
    }

    fn hypervolumes(&self) -> Option<(Option<Vec<f64>>, Vec<f64>)> {
        Some((self.ref_point(), self.hypervolume_history()))
    }

    fn expected_gain(&self) -> Option<f64> {
        Strategy::expected_gain(self)
    }

    fn recent_gain(&self, evaluations: usize) -> Option<f64> {
        Strategy::recent_gain(self, evaluations)
    }

    fn stored(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::to_value(self)
    }
}

/// How a search is set up.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Setup {
    space: AnySpace,
    directions: Vec<Direction>,
    /// In the objectives' own directions.
    ref_point: Option<Vec<f64>>,
    n_initial: Option<usize>,
    /// Upper bounds of outcome constraints.
    constraints: Vec<f64>,
    cost_budget: Option<f64>,
}

impl Setup {
    fn beside(&self) -> Beside {
        Beside {
            constraints: self.constraints.clone(),
            budget: self.cost_budget,
        }
    }

    fn single(&self) -> SingleObjectiveOptions {
        let mut options = SingleObjectiveOptions {
            beside: self.beside(),
            ..SingleObjectiveOptions::default()
        };
        if let Some(n) = self.n_initial {
            options.n_initial = n;
        }
        options
    }

    fn multi(&self) -> MultiObjectiveOptions {
        MultiObjectiveOptions {
            n_initial: self.n_initial,
            ref_point: match &self.ref_point {
                Some(own) => RefPoint::Fixed(turned(own, &self.directions)),
                None => RefPoint::Infer,
            },
            beside: self.beside(),
            ..MultiObjectiveOptions::default()
        }
    }

    fn engine(&self) -> Result<Box<dyn Engine>> {
        fn of<S: Parts + Serialize + 'static>(setup: &Setup, space: S) -> Result<Box<dyn Engine>> {
            Ok(match setup.directions.len() {
                1 => Box::new(SingleObjective::new(space, setup.single())?),
                _ => Box::new(MultiObjective::new(space, setup.multi())?),
            })
        }
        match self.space.clone() {
            AnySpace::Box(space) => of(self, space),
            AnySpace::Simplex(space) => of(self, space),
            AnySpace::Product(space) => of(self, space),
        }
    }

    /// A stored engine.
    fn restored(&self, stored: serde_json::Value) -> serde_json::Result<Box<dyn Engine>> {
        fn of<S: Parts + Serialize + DeserializeOwned + 'static>(
            setup: &Setup,
            stored: serde_json::Value,
        ) -> serde_json::Result<Box<dyn Engine>> {
            Ok(match setup.directions.len() {
                1 => Box::new(serde_json::from_value::<SingleObjective<S>>(stored)?),
                _ => Box::new(serde_json::from_value::<MultiObjective<S>>(stored)?),
            })
        }
        match self.space {
            AnySpace::Box(_) => of::<BoxSpace>(self, stored),
            AnySpace::Simplex(_) => of::<SimplexSpace>(self, stored),
            AnySpace::Product(_) => of::<ProductSpace>(self, stored),
        }
    }
}

/// A search as it is written down.
#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    bomf: String,
    setup: Setup,
    engine: serde_json::Value,
    rng: Generator,
}

/// Where a generator stands.
#[derive(Serialize, Deserialize)]
struct Generator {
    seed: [u8; 32],
    stream: u64,
    /// In words of 32 bits.
    position: u128,
}

impl From<&ChaCha8Rng> for Generator {
    fn from(rng: &ChaCha8Rng) -> Self {
        Generator {
            seed: rng.get_seed(),
            stream: rng.get_stream(),
            position: rng.get_word_pos(),
        }
    }
}

impl Generator {
    fn rng(&self) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::from_seed(self.seed);
        rng.set_stream(self.stream);
        rng.set_word_pos(self.position);
        rng
    }
}

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
