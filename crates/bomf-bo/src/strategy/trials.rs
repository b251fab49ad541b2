//! What every strategy keeps: the points told and pending, and the design.

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::optim::Scored;
use crate::sampling::ScrambledSobol;
use crate::space::Space;
use crate::{BoError, Result};

/// Two points whose continuous coordinates differ by no more than this are the
/// same evaluation: a ten-thousandth of a parameter's range or of the whole
/// weight changes no outcome that is worth a run.
pub const SAME_POINT: f64 = 1e-4;

/// Random draws in search of a new point before a space counts as used up. (In
/// a finite space of at most [`ENUMERABLE`] points all are looked through.)
const DRAWS: usize = 1000;

/// A finite space up to this size is enumerated.
const ENUMERABLE: u64 = 20_000;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Trials<S> {
    pub(super) space: S,
    /// Coordinates of every point told, failures too, in order.
    pub(super) told: Vec<Vec<f64>>,
    pending: Vec<Vec<f64>>,
    design: Option<ScrambledSobol>,
}

impl<S: Space> Trials<S> {
    pub(super) fn new(space: S) -> Self {
        Self {
            space,
            told: Vec::new(),
            pending: Vec::new(),
            design: None,
        }
    }

    /// Coordinates of the points proposed and not told yet.
    pub(super) fn pending(&self) -> &[Vec<f64>] {
        &self.pending
    }

    /// Records a point as told and no longer pending.
    pub(super) fn tell(&mut self, point: &S::Point) -> Result<()> {
        let x = self.space.encode(point)?;
        if let Some(k) = self
            .pending
            .iter()
            .position(|p| self.space.same(p, &x, SAME_POINT))
        {
            self.pending.remove(k);
        }
        self.told.push(x);
        Ok(())
    }

    pub(super) fn is_new(&self, x: &[f64]) -> bool {
        !self
            .told
            .iter()
            .chain(&self.pending)
            .any(|p| self.space.same(p, x, SAME_POINT))
    }

    /// Proposes the best of `ranked` that is new, or else a point of the design.
    pub(super) fn propose<R: Rng + ?Sized>(
        &mut self,
        ranked: Vec<Scored>,
        rng: &mut R,
    ) -> Result<<S::Point as ToOwned>::Owned> {
        let x = match ranked.into_iter().find(|s| self.is_new(&s.x)) {
            Some(scored) => scored.x,
            None => self.next_of_design(rng)?,
        };
        let point = self.space.decode(&x)?;
        self.pending.push(x);
        Ok(point)
    }

    /// The next new point of the scrambled Sobol design, whose scrambling is
    /// drawn when the first one is needed.
    fn next_of_design<R: Rng + ?Sized>(&mut self, rng: &mut R) -> Result<Vec<f64>> {
        let d = self.space.design_dim();
        let mut design = match self.design.take() {
            Some(design) => design,
            None => ScrambledSobol::new(d, rng),
        };
        let found = (0..DRAWS)
            .map(|_| self.space.design_point(&design.next_point()))
            .find(|x| self.is_new(x));
        self.design = Some(design);
        if let Some(x) = found {
            return Ok(x);
        }
        let size = self.space.cardinality().unwrap_or(u64::MAX);
        if size <= ENUMERABLE {
            let mut rest = self.space.enumerate();
            rest.retain(|x| self.is_new(x));
            if !rest.is_empty() {
                return Ok(rest.swap_remove(rng.random_range(0..rest.len())));
            }
        }
        Err(BoError::Exhausted { size })
    }
}
