//! Two objectives as a staircase, three as a stack of staircases.
//!
//! Beume, Fonseca, Lopez-Ibanez, Paquete and Vahrenhold, "On the complexity of
//! computing the hypervolume indicator", IEEE TEC 13 (2009), section IV: points
//! enter in descending order of the last objective; the area dominated in the
//! other two, times the height until the next point, adds up to the volume.
//! (The staircase is a sorted vector here: quadratic in the worst case and the
//! quickest below some thousands of points.)

/// The area above the origin dominated by positive rows, first two values.
pub(super) fn area(front: &mut [Vec<f64>]) -> f64 {
    front.sort_by(|a, b| b[0].total_cmp(&a[0]).then(b[1].total_cmp(&a[1])));
    let mut top = 0.0;
    let mut area = 0.0;
    for y in front.iter() {
        if y[1] > top {
            area += y[0] * (y[1] - top);
            top = y[1];
        }
    }
    area
}

/// The volume above the origin dominated by positive rows, first three values.
pub(super) fn volume3(front: &mut [Vec<f64>]) -> f64 {
    front.sort_by(|a, b| b[2].total_cmp(&a[2]));
    let mut stairs = Staircase::default();
    let mut volume = 0.0;
    for (i, y) in front.iter().enumerate() {
        stairs.insert(y[0], y[1]);
        let below = front.get(i + 1).map_or(0.0, |next| next[2]);
        volume += stairs.area * (y[2] - below);
    }
    volume
}

/// A two-dimensional front in descending order of the first value (so ascending
/// in the second), and the area that it dominates above the origin.
#[derive(Default)]
struct Staircase {
    steps: Vec<(f64, f64)>,
    area: f64,
}

impl Staircase {
    fn insert(&mut self, x: f64, y: f64) {
        // Steps before `at` reach at least as far in x.
        let at = self.steps.partition_point(|s| s.0 >= x);
        let floor = if at > 0 { self.steps[at - 1].1 } else { 0.0 };
        if y <= floor {
            return;
        }
        // Steps from `at` on reach less far; those not higher than y go.
        let mut end = at;
        let mut bottom = floor;
        while end < self.steps.len() && self.steps[end].1 <= y {
            self.area += (x - self.steps[end].0) * (self.steps[end].1 - bottom);
            bottom = self.steps[end].1;
            end += 1;
        }
        let beyond = self.steps.get(end).map_or(0.0, |s| s.0);
        self.area += (x - beyond) * (y - bottom);
        self.steps.splice(at..end, [(x, y)]);
    }
}
