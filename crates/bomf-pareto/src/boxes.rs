//! The region that a front does not dominate, cut into disjoint boxes.
//!
//! Lacour, Klamroth and Fonseca, "A box decomposition algorithm to compute the
//! hypervolume indicator", Computers & Operations Research 79 (2017). Written
//! for minimisation: a *local upper bound* `u` of a set `Z` below the reference
//! `r` is a maximal corner of the region that no `z` dominates. Each `u` keeps
//! `m` defining points `z^1(u)..z^m(u)` with `z^j(u)_j = u_j` (algorithm 1,
//! update of the bounds when a point enters), and the boxes
//! `u_1 <= q_1 <= r_1`, `max_{k<j} z^k_j(u) <= q_j <= u_j` for `j > 1` are a
//! partition of the region that `Z` *does* dominate (equation 3 there).
//!
//! The region that a maximised front leaves free is itself dominated, from the
//! other side, by the negated local upper bounds of the negated front. So the
//! algorithm is run twice (as in Yang, Emmerich, Deutz and Bäck, "Efficient
//! computation of expected hypervolume improvement using box decomposition
//! algorithms", Journal of Global Optimization 75, 2019): once for the bounds,
//! once for the boxes. `n` points give `2n + 1` corners for three objectives and
//! `O(n^2)` for four, and not many more boxes than corners. (Two objectives are
//! cut into their `n + 1` strips directly.)
//!
//! Ties are broken as if a later point were larger by an infinitesimal; boxes
//! that are empty for that reason are left out.

use crate::Result;
use crate::dominance::{front_above, non_dominated};

/// An axis-parallel box `lower_j <= y_j <= upper_j`; `upper_j` may be infinite.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Lower corner, shape `m`, finite.
    pub lower: Vec<f64>,
    /// Upper corner, shape `m`, `f64::INFINITY` where the region is unbounded.
    pub upper: Vec<f64>,
}

/// Disjoint boxes whose union is the part of `[ref_point, inf)^m` that no point
/// of `points` (`n x m`, all maximised) dominates.
///
/// The hypervolume that a new point `y` would add is then
/// `sum over boxes of prod_j max(0, min(upper_j, y_j) - lower_j)`. Points at or
/// below the reference point in some objective, dominated points, duplicates
/// and points with a NaN or an infinity do not matter; with no point left the
/// single box `[ref_point, inf)` is returned.
///
/// # Errors
/// As [`crate::hypervolume`].
pub fn box_decomposition<P: AsRef<[f64]>>(points: &[P], ref_point: &[f64]) -> Result<Vec<Cell>> {
    let m = ref_point.len();
    let front: Vec<Vec<f64>> = front_above(points, ref_point)?
        .into_iter()
        .filter(|y| y.iter().all(|v| v.is_finite()))
        .collect();
    if m == 1 {
        let lower = front.iter().map(|y| y[0]).fold(ref_point[0], f64::max);
        return Ok(vec![Cell {
            lower: vec![lower],
            upper: vec![f64::INFINITY],
        }]);
    }
    if m == 2 {
        return Ok(strips(front, ref_point));
    }

    // First run, on the negated front: the upper corners of the free region. A
    // corner below another one (ties make such) is idle.
    let negated: Vec<Vec<f64>> = front.iter().map(|y| negate(y)).collect();
    let upper = Bounds::of(&negated, &negate(ref_point)).into_upper();
    let mut corners: Vec<Vec<f64>> = non_dominated(&upper)?
        .into_iter()
        .map(|i| negate(&upper[i]))
        .collect();
    // The partition depends on the order in which points enter. In this one it
    // has the fewest boxes on spheres and planes (2 n + 1 in three objectives,
    // two thirds of what they are unsorted in four).
    corners.sort_by(|a, b| a[m - 1].total_cmp(&b[m - 1]));
    // Second run, from the other side: the region that the corners dominate.
    Ok(Bounds::of(&corners, &vec![f64::INFINITY; m]).boxes())
}

fn negate(y: &[f64]) -> Vec<f64> {
    y.iter().map(|v| -v).collect()
}

/// Two objectives: one vertical strip between each two neighbours.
fn strips(mut front: Vec<Vec<f64>>, ref_point: &[f64]) -> Vec<Cell> {
    front.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let mut left = ref_point[0];
    let mut cells = Vec::with_capacity(front.len() + 1);
    for y in &front {
        cells.push(Cell {
            lower: vec![left, y[1]],
            upper: vec![y[0], f64::INFINITY],
        });
        left = y[0];
    }
    cells.push(Cell {
        lower: vec![left, ref_point[1]],
        upper: vec![f64::INFINITY; 2],
    });
    cells
}

/// The local upper bounds of a set, minimising, with their defining points.
struct Bounds {
    reference: Vec<f64>,
    /// `u`, by rows of `m`.
    upper: Vec<f64>,
    /// `z^k(u)_j` at `k m + j`, by rows of `m^2`.
    defining: Vec<f64>,
    /// The bounds that a new point splits, and what they are split into.
    hit: Vec<usize>,
    new_upper: Vec<f64>,
    new_defining: Vec<f64>,
}

impl Bounds {
    fn of(points: &[Vec<f64>], reference: &[f64]) -> Self {
        let m = reference.len();
        let mut defining = vec![f64::NEG_INFINITY; m * m];
        for (k, r) in reference.iter().enumerate() {
            defining[k * m + k] = *r;
        }
        let mut this = Self {
            reference: reference.to_vec(),
            upper: reference.to_vec(),
            defining,
            hit: Vec::new(),
            new_upper: Vec::new(),
            new_defining: Vec::new(),
        };
        for z in points {
            this.insert(z);
        }
        this
    }

    fn insert(&mut self, z: &[f64]) {
        let m = z.len();
        self.hit.clear();
        self.new_upper.clear();
        self.new_defining.clear();
        for (i, upper) in self.upper.chunks_exact(m).enumerate() {
            if !z.iter().zip(upper).all(|(z, u)| z < u) {
                continue;
            }
            self.hit.push(i);
            let defining = &self.defining[i * m * m..][..m * m];
            for (j, &zj) in z.iter().enumerate() {
                // Ties count as larger: `z` entered after the defining points.
                let reached = (0..m).all(|k| k == j || zj >= defining[k * m + j]);
                if reached {
                    let at = self.new_upper.len();
                    self.new_upper.extend_from_slice(upper);
                    self.new_upper[at + j] = zj;
                    let at = self.new_defining.len();
                    self.new_defining.extend_from_slice(defining);
                    self.new_defining[at + j * m..][..m].copy_from_slice(z);
                }
            }
        }
        remove_rows(&mut self.upper, m, &self.hit);
        remove_rows(&mut self.defining, m * m, &self.hit);
        self.upper.extend_from_slice(&self.new_upper);
        self.defining.extend_from_slice(&self.new_defining);
    }

    fn into_upper(self) -> Vec<Vec<f64>> {
        let m = self.reference.len();
        self.upper.chunks_exact(m).map(<[f64]>::to_vec).collect()
    }

    /// The partition of the dominated region, without empty boxes.
    fn boxes(&self) -> Vec<Cell> {
        let m = self.reference.len();
        let bounds = self
            .upper
            .chunks_exact(m)
            .zip(self.defining.chunks_exact(m * m));
        bounds
            .filter_map(|(u, defining)| {
                let mut lower = vec![u[0]];
                let mut upper = vec![self.reference[0]];
                for j in 1..m {
                    let before = (0..j).map(|k| defining[k * m + j]);
                    lower.push(before.fold(f64::NEG_INFINITY, f64::max));
                    upper.push(u[j]);
                }
                let open = lower.iter().zip(&upper).all(|(l, u)| l < u);
                open.then_some(Cell { lower, upper })
            })
            .collect()
    }
}

/// Removes the rows (of `width`) at `positions`, ascending; the others keep
/// their order.
fn remove_rows(rows: &mut Vec<f64>, width: usize, positions: &[usize]) {
    let n = rows.len() / width;
    let mut to = positions.first().map_or(n, |first| *first);
    for (k, position) in positions.iter().enumerate() {
        let next = positions.get(k + 1).map_or(n, |next| *next);
        rows.copy_within((position + 1) * width..next * width, to * width);
        to += next - position - 1;
    }
    rows.truncate(to * width);
}
