//! Candidates and refinement on products.
//!
//! Points spread over the whole combine the parts' own in a random order. Around
//! an incumbent one part moves at a time, or several, or all. Where parts are
//! simplexes of one size, some points have the same coefficients in all of them:
//! blocks often want nearly the same mixture.

use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

use super::local::climb_in;
use super::{Place, Polyhedral, ProductRegion, Scored, SearchSpace, SolverOptions};
use super::{on_box, on_simplex};
use crate::space::{Part, ProductPoint, ProductSpace, Space, Variable};
use crate::{Acquisition, BoError, Result};

/// Part of the candidates that lies around the incumbents.
const NEAR: f64 = 0.5;

/// Part of the other candidates with equal coefficients in simplexes alike.
const SHARED: f64 = 0.25;

impl SearchSpace for ProductSpace {
    fn candidates<R: Rng + ?Sized>(
        &self,
        incumbents: &[Vec<f64>],
        count: usize,
        rng: &mut R,
    ) -> Vec<Vec<f64>> {
        let near = if incumbents.is_empty() {
            0
        } else {
            (NEAR * count as f64) as usize
        };
        // At least one, for steps that take a part from afar.
        let spread = (count - near).max(1);
        let mut points = vec![Vec::with_capacity(self.dim()); spread];
        for part in self.parts() {
            let mut own = match part {
                Part::Box(space) => space.candidates(&[], spread, rng),
                Part::Simplex(space) => space.candidates(&[], spread, rng),
            };
            own.shuffle(rng);
            for (i, point) in points.iter_mut().enumerate() {
                point.extend(&own[i % own.len()]);
            }
        }
        let shared = (SHARED * spread as f64) as usize;
        for point in points.iter_mut().take(shared) {
            self.share(point);
        }
        for i in 0..near {
            let x = &incumbents[i % incumbents.len()];
            let far = &points[rng.random_range(0..spread)];
            let next = self.step_from(x, incumbents, far, rng);
            points.push(next);
        }
        points
    }

    fn refine(
        &self,
        acquisition: &dyn Acquisition,
        start: &Scored,
        options: &SolverOptions,
    ) -> Result<Scored> {
        climb_in(self, acquisition, start, options)
    }
}

impl ProductSpace {
    /// Copies the coefficients of each simplex to later ones of its size.
    fn share(&self, x: &mut [f64]) {
        let simplexes: Vec<_> = self
            .ranges()
            .filter(|(part, _)| matches!(part, Part::Simplex(_)))
            .map(|(_, range)| range)
            .collect();
        for (k, range) in simplexes.iter().enumerate() {
            let alike = simplexes[..k].iter().find(|r| r.len() == range.len());
            if let Some(first) = alike {
                x.copy_within(first.clone(), range.start);
            }
        }
    }

    /// A random step from `incumbent` in one part, some, or all; one part may
    /// instead be taken from `far`.
    fn step_from<R: Rng + ?Sized>(
        &self,
        incumbent: &[f64],
        incumbents: &[Vec<f64>],
        far: &[f64],
        rng: &mut R,
    ) -> Vec<f64> {
        let sure = rng.random_range(0..self.parts().len());
        // Four ways: one part far away, one nearby, each with even odds, all.
        let way = rng.random_range(0..4);
        let mut x = incumbent.to_vec();
        for (i, (part, range)) in self.ranges().enumerate() {
            let moves = i == sure || way == 3 || (way == 2 && rng.random());
            if !moves {
                continue;
            }
            if way == 0 {
                x[range.clone()].copy_from_slice(&far[range]);
                continue;
            }
            let own = &incumbent[range.clone()];
            let next = match part {
                Part::Box(space) => {
                    let mut next = on_box::step_from(space, own, rng);
                    space.snap(&mut next);
                    next
                }
                Part::Simplex(_) => {
                    let others: Vec<Vec<f64>> = incumbents
                        .iter()
                        .map(|x| x[range.clone()].to_vec())
                        .collect();
                    on_simplex::step_from(own, &others, rng)
                }
            };
            x[range].copy_from_slice(&next);
        }
        x
    }

    /// The product of what `of` gives for each part.
    fn regions(&self, x: &[f64], of: impl Fn(&Part, &[f64]) -> ProductRegion) -> ProductRegion {
        let blocks = self
            .ranges()
            .flat_map(|(part, range)| of(part, &x[range]).into_blocks())
            .collect();
        ProductRegion::new(blocks)
    }
}

impl Polyhedral for ProductSpace {
    fn region(&self, x: &[f64]) -> ProductRegion {
        self.regions(x, |part, x| match part {
            Part::Box(space) => space.region(x),
            Part::Simplex(space) => space.region(x),
        })
    }

    fn relaxed_region(&self, x: &[f64]) -> ProductRegion {
        self.regions(x, |part, x| match part {
            Part::Box(space) => space.relaxed_region(x),
            Part::Simplex(space) => space.relaxed_region(x),
        })
    }

    fn neighbours(&self, x: &[f64]) -> Vec<Vec<f64>> {
        let mut all = Vec::new();
        for (part, range) in self.ranges() {
            if let Part::Box(space) = part {
                for own in space.neighbours(&x[range.clone()]) {
                    let mut next = x.to_vec();
                    next[range.clone()].copy_from_slice(&own);
                    all.push(next);
                }
            }
        }
        all
    }

    fn snap(&self, x: &mut [f64]) {
        for (part, range) in self.ranges() {
            match part {
                Part::Box(space) => space.snap(&mut x[range]),
                Part::Simplex(space) => space.snap(&mut x[range]),
            }
        }
    }

    fn place(&self, variable: &Variable) -> Result<Place> {
        let unknown = || BoError::Variable {
            variable: variable.to_string(),
        };
        let Variable::InPart(i, own) = variable else {
            return Err(unknown());
        };
        let (part, range) = self.ranges().nth(*i).ok_or_else(unknown)?;
        let place = match part {
            Part::Box(space) => space.place(own),
            Part::Simplex(space) => space.place(own),
        };
        match place.map_err(|_| unknown())? {
            Place::Linear { at, scale, offset } => Ok(Place::Linear {
                at: range.start + at,
                scale,
                offset,
            }),
            Place::Curved => Ok(Place::Curved),
        }
    }

    fn natural(&self, variable: &Variable, point: &ProductPoint) -> Option<f64> {
        let Variable::InPart(i, own) = variable else {
            return None;
        };
        match self.parts().get(*i)? {
            Part::Box(space) => space.natural(own, point.configuration(*i)?),
            Part::Simplex(space) => space.natural(own, point.coefficients(*i)?),
        }
    }
}
