//! Two objectives as a staircase, three as a stack of staircases.
//!
//! Beume, Fonseca, Lopez-Ibanez, Paquete and Vahrenhold, "On the complexity of
//! computing the hypervolume indicator", IEEE TEC 13 (2009), section IV: points
//! enter in descending order of the last objective; the area dominated in the
//! other two, times the height until the next point, adds up to the volume.
//! (The staircase is a sorted vector here: quadratic in the worst case and the
//! quickest below some thousands of points.)

/// The area above the origin dominated by positive rows.
pub(super) fn area(rows: &mut [[f64; 2]]) -> f64 {
    rows.sort_unstable_by(|a, b| b[0].total_cmp(&a[0]));
    let mut top = 0.0;
    let mut area = 0.0;
    for [x, y] in rows.iter() {
        if *y > top {
            area += x * (y - top);
            top = *y;
        }
    }
    area
}

/// The volume above the origin dominated by positive rows.
pub(super) fn volume(rows: &mut [[f64; 3]]) -> f64 {
    rows.sort_unstable_by(|a, b| b[2].total_cmp(&a[2]));
    let mut stairs = Staircase::default();
    let mut area = 0.0;
    let mut volume = 0.0;
    for (i, [x, y, z]) in rows.iter().enumerate() {
        area += stairs.insert(*x, *y);
        let below = rows.get(i + 1).map_or(0.0, |next| next[2]);
        volume += area * (z - below);
    }
    volume
}

/// A two-dimensional front in descending order of the first value, so ascending
/// in the second.
#[derive(Default)]
pub(super) struct Staircase {
    steps: Vec<[f64; 2]>,
}

impl Staircase {
    /// Starts anew with the steps `(x, floor)` and `(wall, y)`: what is free of
    /// the box `[0, x] x [0, y]` lies above `floor` and to the right of `wall`.
    pub(super) fn start(&mut self, x: f64, floor: f64, wall: f64, y: f64) {
        self.steps.clear();
        self.steps.push([x, floor]);
        self.steps.push([wall, y]);
    }

    /// Inserts `(x, y)`; the area above the origin that it adds.
    pub(super) fn insert(&mut self, x: f64, y: f64) -> f64 {
        // Steps before `at` reach at least as far in x.
        let at = self.steps.partition_point(|s| s[0] >= x);
        let floor = if at > 0 { self.steps[at - 1][1] } else { 0.0 };
        if y <= floor {
            return 0.0;
        }
        // Steps from `at` on reach less far; those not higher than y go.
        let mut added = 0.0;
        let mut end = at;
        let mut bottom = floor;
        while let Some(&[sx, sy]) = self.steps.get(end)
            && sy <= y
        {
            added += (x - sx) * (sy - bottom);
            bottom = sy;
            end += 1;
        }
        let beyond = self.steps.get(end).map_or(0.0, |s| s[0]);
        added += (x - beyond) * (y - bottom);
        if end == at {
            self.steps.insert(at, [x, y]);
        } else {
            self.steps[at] = [x, y];
            self.steps.drain(at + 1..end);
        }
        added
    }
}
