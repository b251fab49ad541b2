//! One face for the strategies of one and of several objectives, over any space.

use super::spaces::Parts;
use bomf_bo::Result;
use bomf_bo::space::ProductPoint;
use bomf_bo::strategy::{MultiObjective, Outcome, SingleObjective, Strategy};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::borrow::Borrow;

/// What is asked of every search.
pub trait Engine: Send + Sync {
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
