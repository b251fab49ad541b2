//! Five and more objectives by exclusive hypervolumes.
//!
//! While, Bradstreet and Barone, "A fast way of calculating exact
//! hypervolumes", IEEE TEC 16 (2012), algorithms 1 to 3: the volume is the sum
//! over the points of what each adds to those after it,
//! `prod_j y_j - HV(limit set)`, where the limit set holds the later points
//! clipped to `y`. With the points in ascending order of the last objective
//! every clipped point has that of `y`, so the recursion drops one objective a
//! level and ends at the sweep of four.

use super::clip::Clip;
use super::slices::Slices;

/// The number of objectives at which the recursion ends.
pub(super) const SWEPT: usize = 4;

/// Positive points, by columns.
#[derive(Default)]
pub(super) struct Set {
    columns: Vec<Vec<f64>>,
    /// The point that was pushed last, by itself.
    last: Vec<f64>,
}

impl Set {
    /// No point yet, with `m` objectives.
    pub(super) fn new(m: usize) -> Self {
        Self {
            columns: vec![Vec::new(); m],
            last: Vec::with_capacity(m),
        }
    }

    pub(super) fn objectives(&self) -> usize {
        self.columns.len()
    }

    pub(super) fn len(&self) -> usize {
        self.columns.first().map_or(0, Vec::len)
    }

    pub(super) fn columns(&self) -> &[Vec<f64>] {
        &self.columns
    }

    pub(super) fn last(&self) -> &[f64] {
        &self.last
    }

    pub(super) fn clear(&mut self) {
        self.columns.iter_mut().for_each(Vec::clear);
    }

    /// Adds a point.
    pub(super) fn push(&mut self, y: impl Iterator<Item = f64>) {
        self.last.clear();
        self.last.extend(y);
        for (column, v) in self.columns.iter_mut().zip(&self.last) {
            column.push(*v);
        }
    }

    /// The volume of the box of point `i` in the first `m` objectives.
    pub(super) fn box_of(&self, i: usize, m: usize) -> f64 {
        self.columns[..m].iter().map(|c| c[i]).product()
    }
}

/// The recursion's buffers, one a level.
pub(super) struct Wfg {
    /// `levels[k]` holds limit sets in `k` objectives.
    levels: Vec<Set>,
    clip: Clip,
    slices: Slices,
    rows: Vec<[f64; SWEPT]>,
    /// For sorting.
    order: Vec<usize>,
    spare: Vec<f64>,
}

impl Wfg {
    /// For sets with up to `m` objectives.
    pub(super) fn new(m: usize) -> Self {
        Self {
            levels: (0..=m).map(Set::new).collect(),
            clip: Clip::default(),
            slices: Slices::default(),
            rows: Vec::new(),
            order: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// The volume above the origin dominated by `set`, whose order changes.
    pub(super) fn volume(&mut self, set: &mut Set) -> f64 {
        let m = set.columns.len();
        match set.len() {
            0 => return 0.0,
            1 => return set.box_of(0, m),
            2 => {
                let both: f64 = set.columns.iter().map(|c| c[0].min(c[1])).product();
                return set.box_of(0, m) + set.box_of(1, m) - both;
            }
            _ => {}
        }
        if m == SWEPT {
            let columns: [&[f64]; SWEPT] = std::array::from_fn(|j| set.columns[j].as_slice());
            self.rows.clear();
            self.rows
                .extend((0..set.len()).map(|i| columns.map(|c| c[i])));
            return self.slices.volume(&mut self.rows);
        }
        self.sort(set);
        let last = m - 1;
        (0..set.len())
            .map(|i| set.columns[last][i] * self.exclusive(set, i, i + 1, last))
            .sum()
    }

    /// The volume in the first `k` objectives that point `i` of `set` dominates
    /// and no point from `start` on (but `i`) does.
    pub(super) fn exclusive(&mut self, set: &Set, i: usize, start: usize, k: usize) -> f64 {
        let inclusive = set.box_of(i, k);
        let mut limit = std::mem::take(&mut self.levels[k]);
        let volume = if self.clip.limit(set, i, start, inclusive, &mut limit) {
            inclusive - self.volume(&mut limit)
        } else {
            0.0
        };
        self.levels[k] = limit;
        volume
    }

    /// In ascending order of the last objective.
    fn sort(&mut self, set: &mut Set) {
        let n = set.len();
        self.order.clear();
        self.order.extend(0..n);
        if let Some(last) = set.columns.last() {
            self.order
                .sort_unstable_by(|a, b| last[*a].total_cmp(&last[*b]));
        }
        for column in &mut set.columns {
            self.spare.clear();
            self.spare.extend(self.order.iter().map(|i| column[*i]));
            std::mem::swap(column, &mut self.spare);
        }
    }
}
