//! Four objectives as a stack of volumes that grow point by point.
//!
//! Guerreiro, Fonseca and Emmerich, "A fast dimension-sweep algorithm for the
//! hypervolume indicator in four dimensions", CCCG 2012: points enter in
//! descending order of the last objective; the volume dominated in the other
//! three, times the height until the next point, adds up. What a point `p` adds
//! to the volume is found in one pass over those that entered before, kept in
//! descending order of the third objective: first those at least as high as
//! `p`, whose staircase bounds what is free of `p`'s rectangle `[0, p_1] x
//! [0, p_2]`, then the lower ones, each of which takes its part of the
//! rectangle from there on down. `O(n^2)` as long as the staircases within a
//! rectangle are short, as they are; no memory is asked for on the way.

use super::sweep::Staircase;

/// The buffers of a sweep, to be used again.
#[derive(Default)]
pub(super) struct Slices {
    /// First three values, descending in the third; none dominates another (but
    /// for ties).
    inside: Vec<[f64; 3]>,
    stairs: Staircase,
}

impl Slices {
    /// The volume above the origin dominated by positive rows.
    pub(super) fn volume(&mut self, rows: &mut [[f64; 4]]) -> f64 {
        rows.sort_unstable_by(|a, b| b[3].total_cmp(&a[3]));
        self.inside.clear();
        let mut inside = 0.0;
        let mut volume = 0.0;
        for (i, [x, y, z, w]) in rows.iter().enumerate() {
            inside += self.add([*x, *y, *z]);
            let below = rows.get(i + 1).map_or(0.0, |next| next[3]);
            volume += inside * (w - below);
        }
        volume
    }

    /// Lets `p` enter; the volume that it adds.
    fn add(&mut self, p: [f64; 3]) -> f64 {
        let at = self.inside.partition_point(|q| q[2] >= p[2]);
        let (above, below) = self.inside.split_at(at);
        let Some(gain) = exclusive(p, above, below, &mut self.stairs) else {
            return 0.0;
        };
        // Those that p dominates lie below it. The first goes to make room.
        let mut kept = at;
        let mut moving = p;
        for i in at..self.inside.len() {
            let q = self.inside[i];
            if q[0] > p[0] || q[1] > p[1] {
                self.inside[kept] = moving;
                kept += 1;
                moving = q;
            }
        }
        self.inside.truncate(kept);
        self.inside.push(moving);
        gain
    }
}

/// The volume that `p` dominates and no row of `above` (third value at least
/// `p`'s) or `below` (less, in descending order) does; `None` if a row of
/// `above` dominates `p` weakly.
pub(super) fn exclusive(
    p: [f64; 3],
    above: &[[f64; 3]],
    below: &[[f64; 3]],
    stairs: &mut Staircase,
) -> Option<f64> {
    let [px, py, pz] = p;
    // Rows that reach beyond the rectangle cover a strip along a side of it.
    let (mut floor, mut wall) = (0.0, 0.0);
    for [x, y, _] in above {
        let strip = if *x >= px { *y } else { 0.0 };
        floor = if strip > floor { strip } else { floor };
        let strip = if *y >= py { *x } else { 0.0 };
        wall = if strip > wall { strip } else { wall };
    }
    if floor >= py || wall >= px {
        return None;
    }
    let mut free = (px - wall) * (py - floor);
    stairs.start(px, floor, wall, py);
    for [x, y, _] in above {
        if *x > wall && *x < px && *y > floor && *y < py {
            free -= stairs.insert(*x, *y);
        }
    }

    let mut gain = 0.0;
    let mut height = pz;
    for [x, y, z] in below {
        if *x <= wall || *y <= floor {
            continue;
        }
        gain += free * (height - z);
        height = *z;
        match (*x >= px, *y >= py) {
            (true, true) => return Some(gain),
            (true, false) => floor = *y,
            (false, true) => wall = *x,
            (false, false) => {}
        }
        free -= stairs.insert(x.min(px), y.min(py));
    }
    Some(gain + free * height)
}
