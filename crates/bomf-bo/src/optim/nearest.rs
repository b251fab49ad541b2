//! The nearest point of a polyhedron.
//!
//! Minimise `|x - z|^2 / 2` under bounds `l <= x <= u`, sums
//! `sum_{i in S_k} x_i = s_k` and inequalities `a_j' x <= b_j`, by the dual
//! active-set method of Goldfarb and Idnani, "A numerically stable dual method
//! for solving strictly convex quadratic programs", Mathematical Programming 27
//! (1983), section 3, with the identity for the Hessian. It begins with the
//! projection that bounds and sums alone would give, which is known in closed
//! form, and adds violated constraints one by one, each time dropping those
//! whose multipliers turn negative. It ends after finitely many steps, with the
//! exact set of active constraints, or with a constraint that no point
//! satisfies together with the others.
//!
//! Active bounds take their coordinates out of the problem, so that what is
//! orthogonalised are only sums and inequalities: a step costs
//! `O(d (k + m)^2)`.

use std::ops::Range;

use super::basis::{Basis, DEPENDENT};
use crate::linalg::{axpy, dot};

/// An inequality (of a normal of length one) is violated if it is missed by more
/// than this: some rounding errors of sums of numbers around 1.
const VIOLATED: f64 = 1e-13;

/// A multiplier that changes by no more than this a unit of step is held to stay:
/// the coefficients of dependence are known to rounding only.
const STILL: f64 = 1e-12;

/// Steps, as a multiple of the number of constraints, before the search counts
/// as stalled by rounding. Few take more than one.
const STEPS: usize = 20;

/// Bounds, sums and inequalities.
#[derive(Debug, Clone)]
pub(super) struct Constraints<'a> {
    /// Shape `d`; minus infinity where there is none.
    pub(super) lower: Vec<f64>,
    /// Shape `d`; infinity where there is none.
    pub(super) upper: Vec<f64>,
    /// Disjoint ranges of coordinates, each summing to a number.
    pub(super) sums: Vec<(Range<usize>, f64)>,
    /// Normals of length one (shape `d`) and right-hand sides.
    pub(super) rows: Vec<(&'a [f64], f64)>,
}

/// Why no point was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Empty {
    /// An inequality that the others leave no room for; `None` if rounding
    /// stalled the search.
    pub(super) row: Option<usize>,
}

/// Where a coordinate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Free,
    /// On its lower bound, or its upper.
    Low,
    High,
    /// Lower and upper bound are one.
    Fixed,
}

/// A constraint to add: the bound of a coordinate, or an inequality.
#[derive(Debug, Clone, Copy)]
enum Candidate {
    Low(usize),
    High(usize),
    Row(usize),
}

/// What may have to go before it can be added.
#[derive(Debug, Clone, Copy)]
enum Active {
    Bound(usize),
    Row(usize),
}

/// The point nearest to `z`, given `warm`, the nearest under bounds and sums
/// alone, in which some coordinate of each sum is on no bound.
pub(super) fn nearest(c: &Constraints<'_>, z: &[f64], warm: &[f64]) -> Result<Vec<f64>, Empty> {
    let mut state = State::new(c, z, warm);
    let limit = STEPS * (z.len() + c.rows.len() + 1);
    let mut steps = 0;
    while let Some(candidate) = state.most_violated() {
        let normal = state.normal(candidate);
        let mut own = 0.0;
        loop {
            steps += 1;
            if steps > limit {
                return Err(Empty { row: None });
            }
            let (way, multipliers) = state.split(&normal);
            let (blocking, room) = state.blocking(&multipliers);
            let square = dot(&way, &normal);
            let full = if square > DEPENDENT * DEPENDENT {
                -state.slack(candidate) / square
            } else {
                f64::INFINITY
            };
            let t = room.min(full);
            if t == f64::INFINITY {
                return Err(Empty {
                    row: state.culprit(candidate),
                });
            }
            own += t;
            if full < f64::INFINITY {
                axpy(t, &way, &mut state.x);
            }
            state.lower_multipliers(t, &multipliers);
            match blocking {
                Some(active) if room < full => state.drop(active),
                _ => {
                    state.add(candidate, own);
                    break;
                }
            }
        }
    }
    Ok(state.finish())
}

struct State<'a> {
    c: &'a Constraints<'a>,
    x: Vec<f64>,
    place: Vec<Place>,
    /// Multipliers of the coordinates' bounds, zero where free.
    bound_multipliers: Vec<f64>,
    /// Active inequalities with their multipliers.
    rows: Vec<(usize, f64)>,
}

/// How a normal is made of the active ones: coefficients of the bounds, and of
/// the inequalities (those of the sums are not needed).
struct Multipliers {
    bounds: Vec<f64>,
    rows: Vec<f64>,
}

impl<'a> State<'a> {
    fn new(c: &'a Constraints<'a>, z: &[f64], warm: &[f64]) -> Self {
        let d = z.len();
        let place: Vec<Place> = (0..d)
            .map(|i| {
                if c.lower[i] == c.upper[i] {
                    Place::Fixed
                } else if warm[i] <= c.lower[i] {
                    Place::Low
                } else if warm[i] >= c.upper[i] {
                    Place::High
                } else {
                    Place::Free
                }
            })
            .collect();
        // x - z = sum of the multipliers times the inward normals: within a
        // sum, whose multiplier the free coordinates show, relative to that.
        let mut shift: Vec<f64> = warm.iter().zip(z).map(|(x, z)| x - z).collect();
        for (range, _) in &c.sums {
            let free: Vec<usize> = range.clone().filter(|i| place[*i] == Place::Free).collect();
            let mean = free.iter().map(|i| shift[*i]).sum::<f64>() / free.len().max(1) as f64;
            shift[range.clone()].iter_mut().for_each(|s| *s -= mean);
        }
        let bound_multipliers = shift
            .iter()
            .zip(&place)
            .map(|(s, place)| match place {
                Place::Low => s.max(0.0),
                Place::High => (-s).max(0.0),
                Place::Free | Place::Fixed => 0.0,
            })
            .collect();
        Self {
            c,
            x: warm.to_vec(),
            place,
            bound_multipliers,
            rows: Vec::new(),
        }
    }

    /// How far a constraint is from being met with equality; negative where
    /// it is violated.
    fn slack(&self, candidate: Candidate) -> f64 {
        match candidate {
            Candidate::Low(i) => self.x[i] - self.c.lower[i],
            Candidate::High(i) => self.c.upper[i] - self.x[i],
            Candidate::Row(j) => self.c.rows[j].1 - dot(self.c.rows[j].0, &self.x),
        }
    }

    fn most_violated(&self) -> Option<Candidate> {
        let mut worst: Option<(f64, Candidate)> = None;
        let mut look = |candidate: Candidate, scale: f64| {
            let slack = self.slack(candidate) / (1.0 + scale.abs());
            if slack < worst.map_or(-VIOLATED, |(w, _)| w) {
                worst = Some((slack, candidate));
            }
        };
        for i in 0..self.x.len() {
            if self.place[i] == Place::Free {
                look(Candidate::Low(i), 0.0);
                look(Candidate::High(i), 0.0);
            }
        }
        for (j, (_, bound)) in self.c.rows.iter().enumerate() {
            if !self.rows.iter().any(|(k, _)| *k == j) {
                look(Candidate::Row(j), *bound);
            }
        }
        worst.map(|(_, candidate)| candidate)
    }

    /// The inward normal.
    fn normal(&self, candidate: Candidate) -> Vec<f64> {
        let mut normal = vec![0.0; self.x.len()];
        match candidate {
            Candidate::Low(i) => normal[i] = 1.0,
            Candidate::High(i) => normal[i] = -1.0,
            Candidate::Row(j) => axpy(-1.0, self.c.rows[j].0, &mut normal),
        }
        normal
    }

    /// Sums and active inequalities (inward) on the free coordinates.
    fn general(&self) -> Vec<Vec<f64>> {
        let d = self.x.len();
        let sums = self.c.sums.iter().map(|(range, _)| {
            let mut row = vec![0.0; d];
            row[range.clone()].fill(1.0);
            row
        });
        let rows = self
            .rows
            .iter()
            .map(|(j, _)| self.normal(Candidate::Row(*j)));
        sums.chain(rows).collect()
    }

    /// Sets what is held to zero.
    fn restrict(&self, v: &mut [f64]) {
        for (v, place) in v.iter_mut().zip(&self.place) {
            if *place != Place::Free {
                *v = 0.0;
            }
        }
    }

    /// `normal` as a direction that no active constraint resists, and what the
    /// active normals make up of the rest.
    fn split(&self, normal: &[f64]) -> (Vec<f64>, Multipliers) {
        let general = self.general();
        let mut restricted = general.clone();
        restricted.iter_mut().for_each(|row| self.restrict(row));
        let basis = Basis::new(restricted);
        let mut way = normal.to_vec();
        self.restrict(&mut way);
        let coefficients = basis.remove(&mut way);
        let mut bounds = normal.to_vec();
        for (row, c) in general.iter().zip(&coefficients) {
            axpy(-c, row, &mut bounds);
        }
        for (b, place) in bounds.iter_mut().zip(&self.place) {
            match place {
                Place::Free | Place::Fixed => *b = 0.0,
                Place::Low => {}
                Place::High => *b = -*b,
            }
        }
        let rows = coefficients[self.c.sums.len()..].to_vec();
        (way, Multipliers { bounds, rows })
    }

    /// The active constraint whose multiplier vanishes first, and the step at
    /// which it does.
    fn blocking(&self, multipliers: &Multipliers) -> (Option<Active>, f64) {
        let mut first = (None, f64::INFINITY);
        let mut look = |active, own: f64, rate: f64| {
            if rate > STILL && own / rate < first.1 {
                first = (Some(active), own / rate);
            }
        };
        for (i, (own, rate)) in self
            .bound_multipliers
            .iter()
            .zip(&multipliers.bounds)
            .enumerate()
        {
            look(Active::Bound(i), *own, *rate);
        }
        for (k, ((_, own), rate)) in self.rows.iter().zip(&multipliers.rows).enumerate() {
            look(Active::Row(k), *own, *rate);
        }
        first
    }

    fn lower_multipliers(&mut self, t: f64, multipliers: &Multipliers) {
        for (own, rate) in self.bound_multipliers.iter_mut().zip(&multipliers.bounds) {
            *own = (*own - t * rate).max(0.0);
        }
        for ((_, own), rate) in self.rows.iter_mut().zip(&multipliers.rows) {
            *own = (*own - t * rate).max(0.0);
        }
    }

    fn drop(&mut self, active: Active) {
        match active {
            Active::Bound(i) => {
                self.place[i] = Place::Free;
                self.bound_multipliers[i] = 0.0;
            }
            Active::Row(k) => {
                self.rows.remove(k);
            }
        }
    }

    fn add(&mut self, candidate: Candidate, multiplier: f64) {
        match candidate {
            Candidate::Low(i) => {
                self.x[i] = self.c.lower[i];
                self.place[i] = Place::Low;
                self.bound_multipliers[i] = multiplier;
            }
            Candidate::High(i) => {
                self.x[i] = self.c.upper[i];
                self.place[i] = Place::High;
                self.bound_multipliers[i] = multiplier;
            }
            Candidate::Row(j) => self.rows.push((j, multiplier)),
        }
    }

    /// An inequality that has no room: the one to be added, or one that stands
    /// in its way.
    fn culprit(&self, candidate: Candidate) -> Option<usize> {
        match candidate {
            Candidate::Row(j) => Some(j),
            _ => self.rows.first().map(|(j, _)| *j),
        }
    }

    /// The point, freed of the rounding that the steps have gathered.
    fn finish(mut self) -> Vec<f64> {
        let general = self.general();
        let mut restricted = general.clone();
        restricted.iter_mut().for_each(|row| self.restrict(row));
        let targets = self.c.sums.iter().map(|(_, s)| *s);
        let bounds = self.rows.iter().map(|(j, _)| -self.c.rows[*j].1);
        let missing: Vec<f64> = targets
            .chain(bounds)
            .zip(&general)
            .map(|(target, row)| target - dot(row, &self.x))
            .collect();
        Basis::new(restricted).restore(&missing, &mut self.x);
        for i in 0..self.x.len() {
            if self.place[i] == Place::Free {
                self.x[i] = self.x[i].min(self.c.upper[i]).max(self.c.lower[i]);
            }
        }
        self.x
    }
}
