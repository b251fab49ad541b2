//! How a search is set up, and the engine that follows from it.

use super::engine::Engine;
use super::spaces::{AnySpace, Parts};
use crate::pareto::turned;
use bomf::study::Direction;
use bomf_bo::Result;
use bomf_bo::space::{BoxSpace, ProductSpace, SimplexSpace};
use bomf_bo::strategy::{
    Beside, MultiObjective, MultiObjectiveOptions, RefPoint, SingleObjective,
    SingleObjectiveOptions,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// How a search is set up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Setup {
    pub space: AnySpace,
    pub directions: Vec<Direction>,
    /// In the objectives' own directions.
    pub ref_point: Option<Vec<f64>>,
    pub n_initial: Option<usize>,
    /// Upper bounds of outcome constraints.
    pub constraints: Vec<f64>,
    pub cost_budget: Option<f64>,
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

    /// A new engine.
    pub fn engine(&self) -> Result<Box<dyn Engine>> {
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
    pub fn restored(&self, stored: serde_json::Value) -> serde_json::Result<Box<dyn Engine>> {
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
