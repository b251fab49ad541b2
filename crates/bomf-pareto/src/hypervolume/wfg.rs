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
    order: Vec<usize>,
}

impl Set {
    /// Of `rows` with `m` values each, in their order.
    pub(super) fn new(rows: &[f64], m: usize) -> Self {
        let column = |j| rows.iter().skip(j).step_by(m).copied().collect();
        Self {
            columns: (0..m).map(column).collect(),
            order: Vec::new(),
        }
    }

    /// Becomes that of `rows` in ascending order of the last value.
    fn fill_sorted(&mut self, rows: &[f64], m: usize) {
        let row = |i: usize| &rows[i * m..][..m];
        self.order.clear();
        self.order.extend(0..rows.len() / m);
        self.order
            .sort_unstable_by(|a, b| row(*a)[m - 1].total_cmp(&row(*b)[m - 1]));
        self.columns.resize_with(m, Vec::new);
        for (j, column) in self.columns.iter_mut().enumerate() {
            column.clear();
            column.extend(self.order.iter().map(|i| row(*i)[j]));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.columns.first().map_or(0, Vec::len)
    }

    pub(super) fn columns(&self) -> &[Vec<f64>] {
        &self.columns
    }
}

/// The recursion's buffers.
pub(super) struct Wfg {
    /// `levels[k]` holds a limit set in `k` objectives.
    levels: Vec<Level>,
    clip: Clip,
    slices: Slices,
}

/// A limit set, as it is found and sorted by columns.
#[derive(Default)]
struct Level {
    rows: Vec<f64>,
    set: Set,
}

impl Wfg {
    /// For sets with up to `m` objectives.
    pub(super) fn new(m: usize) -> Self {
        Self {
            levels: (0..=m).map(|_| Level::default()).collect(),
            clip: Clip::default(),
            slices: Slices::default(),
        }
    }

    /// The volume above the origin dominated by positive `rows` with `m` values
    /// each, at least [`SWEPT`].
    pub(super) fn volume(&mut self, rows: Vec<f64>, m: usize) -> f64 {
        let mut level = Level {
            rows,
            set: Set::default(),
        };
        self.level(&mut level, m)
    }

    /// The volume in the first `k` objectives, at least [`SWEPT`], that point
    /// `i` of `set` dominates and no point from `start` on (but `i`) does.
    pub(super) fn exclusive(&mut self, set: &Set, i: usize, start: usize, k: usize) -> f64 {
        let inclusive: f64 = set.columns[..k].iter().map(|c| c[i]).product();
        let mut level = std::mem::take(&mut self.levels[k]);
        let limited = self
            .clip
            .limit(set, i, start, k, inclusive, &mut level.rows);
        let volume = if limited {
            inclusive - self.level(&mut level, k)
        } else {
            0.0
        };
        self.levels[k] = level;
        volume
    }

    fn level(&mut self, level: &mut Level, m: usize) -> f64 {
        let Level { rows, set } = level;
        if rows.len() <= 2 * m {
            let (a, b) = rows.split_at(m.min(rows.len()));
            let both = a.iter().zip(b).map(|(a, b)| a.min(*b));
            return box_of(a) + box_of(b) - box_of_values(both, b.len());
        }
        if m == SWEPT {
            return self.slices.volume(rows.as_chunks_mut().0);
        }
        set.fill_sorted(rows, m);
        let last = m - 1;
        (0..set.len())
            .map(|i| set.columns[last][i] * self.exclusive(set, i, i + 1, last))
            .sum()
    }
}

/// The volume of a point's box; zero for no point.
fn box_of(y: &[f64]) -> f64 {
    box_of_values(y.iter().copied(), y.len())
}

fn box_of_values(y: impl Iterator<Item = f64>, m: usize) -> f64 {
    if m == 0 { 0.0 } else { y.product() }
}
