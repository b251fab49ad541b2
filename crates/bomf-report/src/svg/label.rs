//! Labels beside their points, never on top of each other.
//!
//! Each label tries places in rings around its point, nearest first, and takes
//! the cheapest: off other labels and inside the bounds at any price, off other
//! marks and near its point if it can be. A label that fits nowhere is left out
//! (its mark keeps its shape, colour and tooltip).

/// An upright rectangle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rect {
    /// Left edge.
    pub(crate) x0: f64,
    /// Upper edge.
    pub(crate) y0: f64,
    /// Right edge.
    pub(crate) x1: f64,
    /// Lower edge.
    pub(crate) y1: f64,
}

impl Rect {
    /// Around a centre.
    pub(crate) fn around(x: f64, y: f64, half_width: f64, half_height: f64) -> Self {
        Rect {
            x0: x - half_width,
            y0: y - half_height,
            x1: x + half_width,
            y1: y + half_height,
        }
    }

    /// Area shared with another.
    pub(crate) fn overlap(&self, other: &Rect) -> f64 {
        let width = self.x1.min(other.x1) - self.x0.max(other.x0);
        let height = self.y1.min(other.y1) - self.y0.max(other.y0);
        width.max(0.0) * height.max(0.0)
    }

    fn within(&self, other: &Rect) -> bool {
        self.x0 >= other.x0 && self.y0 >= other.y0 && self.x1 <= other.x1 && self.y1 <= other.y1
    }

    fn centre(&self) -> (f64, f64) {
        ((self.x0 + self.x1) / 2.0, (self.y0 + self.y1) / 2.0)
    }
}

/// A label to be placed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// The point it belongs to.
    pub(crate) at: (f64, f64),
    /// Radius of that point's mark.
    pub(crate) r: f64,
    /// Width of its text.
    pub(crate) width: f64,
    /// Height of its text.
    pub(crate) height: f64,
}

/// Distances from mark to label that are tried.
const RINGS: [f64; 9] = [3.0, 8.0, 16.0, 26.0, 40.0, 58.0, 82.0, 112.0, 150.0];

/// Directions that are tried in each ring.
const DIRECTIONS: usize = 16;

/// Price of covering one whole mark, in units of distance.
const MARK_PRICE: f64 = 45.0;

/// Price of crossing another leader.
const CROSSING_PRICE: f64 = 60.0;

/// Distance beyond which a leader joins label and point.
pub(crate) const LEADER_FROM: f64 = 12.0;

/// A place for each label, in order; `None` for one that fits nowhere.
pub(crate) fn place(wanted: &[Wanted], marks: &[Rect], bounds: Rect) -> Vec<Option<Rect>> {
    let mut placed: Vec<Rect> = Vec::new();
    let mut leaders: Vec<[(f64, f64); 2]> = Vec::new();
    wanted
        .iter()
        .map(|w| {
            let best = candidates(w)
                .filter(|(rect, _)| rect.within(&bounds))
                .filter(|(rect, _)| placed.iter().all(|p| p.overlap(rect) == 0.0))
                .map(|(rect, price)| {
                    let covered: f64 = marks
                        .iter()
                        .map(|m| {
                            let area = (m.x1 - m.x0) * (m.y1 - m.y0);
                            if area > 0.0 {
                                m.overlap(&rect) / area
                            } else {
                                0.0
                            }
                        })
                        .sum();
                    let leader = [w.at, rect.centre()];
                    let crossings = leaders.iter().filter(|l| cross(**l, leader)).count();
                    let total = price + covered * MARK_PRICE + crossings as f64 * CROSSING_PRICE;
                    (rect, total)
                })
                .min_by(|a, b| a.1.total_cmp(&b.1))
                .map(|(rect, _)| rect);
            if let Some(rect) = best {
                placed.push(rect);
                leaders.push([w.at, rect.centre()]);
            }
            best
        })
        .collect()
}

fn candidates(w: &Wanted) -> impl Iterator<Item = (Rect, f64)> + '_ {
    RINGS.iter().flat_map(move |&ring| {
        (0..DIRECTIONS).map(move |k| {
            let angle = std::f64::consts::TAU * k as f64 / DIRECTIONS as f64;
            let (dx, dy) = (angle.cos(), -angle.sin());
            let reach = w.r + ring;
            // The nearest edge, not the centre, stands at the ring.
            let x = w.at.0 + dx * (reach + w.width / 2.0);
            let y = w.at.1 + dy * (reach + w.height / 2.0);
            let rect = Rect::around(x, y, w.width / 2.0, w.height / 2.0);
            // Right of the point reads best, then left, then above, then below.
            let taste = match k {
                0 => 0.0,
                8 => 3.0,
                1 | 2 | 15 | 14 => 2.0,
                4 => 4.0,
                12 => 5.0,
                _ => 6.0,
            };
            (rect, ring + taste)
        })
    })
}

/// Whether two segments cross properly.
fn cross(a: [(f64, f64); 2], b: [(f64, f64); 2]) -> bool {
    let side = |p: (f64, f64), q: (f64, f64), r: (f64, f64)| {
        (q.0 - p.0) * (r.1 - p.1) - (q.1 - p.1) * (r.0 - p.0)
    };
    side(a[0], a[1], b[0]) * side(a[0], a[1], b[1]) < 0.0
        && side(b[0], b[1], a[0]) * side(b[0], b[1], a[1]) < 0.0
}

/// Heights for labels in a column, as near to the wanted ones as a distance of
/// `gap` between neighbours and the bounds allow; order is kept.
pub(crate) fn spread(wanted: &[f64], gap: f64, low: f64, high: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|&a, &b| wanted[a].total_cmp(&wanted[b]));
    // Closer together where the bounds have no room for the whole gap.
    let gap = gap.min((high - low) / wanted.len().max(2).saturating_sub(1) as f64);
    let mut y: Vec<f64> = order.iter().map(|&i| wanted[i].clamp(low, high)).collect();
    for k in 1..y.len() {
        y[k] = y[k].max(y[k - 1] + gap);
    }
    if let Some(last) = y.last_mut() {
        *last = last.min(high);
    }
    for k in (1..y.len()).rev() {
        y[k - 1] = y[k - 1].min(y[k] - gap);
    }
    let mut out = vec![0.0; wanted.len()];
    for (k, &i) in order.iter().enumerate() {
        out[i] = y[k];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wanted(x: f64, y: f64, width: f64) -> Wanted {
        Wanted {
            at: (x, y),
            r: 4.0,
            width,
            height: 14.0,
        }
    }

    #[test]
    fn a_lone_label_stands_right_of_its_point() {
        let bounds = Rect::around(100.0, 100.0, 100.0, 100.0);
        let rect = place(&[wanted(50.0, 50.0, 40.0)], &[], bounds)[0].unwrap();
        assert!(rect.x0 > 50.0 && rect.x0 < 62.0, "{rect:?}");
        assert_eq!((rect.y0 + rect.y1) / 2.0, 50.0);
    }

    #[test]
    fn a_label_without_room_on_the_right_goes_left() {
        let bounds = Rect::around(100.0, 100.0, 100.0, 100.0);
        let rect = place(&[wanted(190.0, 50.0, 40.0)], &[], bounds)[0].unwrap();
        assert!(rect.x1 < 190.0);
    }

    #[test]
    fn a_label_larger_than_the_bounds_is_left_out() {
        let bounds = Rect::around(0.0, 0.0, 10.0, 10.0);
        assert_eq!(place(&[wanted(0.0, 0.0, 400.0)], &[], bounds), [None]);
    }

    proptest! {
        #[test]
        fn labels_never_overlap_nor_leave_the_bounds(
            points in proptest::collection::vec((0.0..700.0f64, 0.0..400.0f64, 20.0..160.0f64), 0..14),
        ) {
            let bounds = Rect { x0: 0.0, y0: 0.0, x1: 740.0, y1: 430.0 };
            let all: Vec<_> = points.iter().map(|&(x, y, w)| wanted(x, y, w)).collect();
            let placed: Vec<_> = place(&all, &[], bounds).into_iter().flatten().collect();
            prop_assert!(placed.len() + 2 >= all.len(), "most find a place");
            for (i, a) in placed.iter().enumerate() {
                prop_assert!(a.within(&bounds));
                for b in &placed[i + 1..] {
                    prop_assert_eq!(a.overlap(b), 0.0);
                }
            }
        }

        #[test]
        fn a_column_of_labels_keeps_its_order_its_gaps_and_its_bounds(
            wanted in proptest::collection::vec(-50.0..250.0f64, 0..12),
        ) {
            let y = spread(&wanted, 14.0, 0.0, 200.0);
            let mut sorted = y.clone();
            sorted.sort_by(f64::total_cmp);
            prop_assert!(sorted.windows(2).all(|w| w[1] - w[0] >= 14.0 - 1e-9));
            prop_assert!(sorted.iter().all(|v| (-1e-9..=200.0 + 1e-9).contains(v)));
            for i in 0..wanted.len() {
                for j in 0..wanted.len() {
                    if wanted[i] < wanted[j] {
                        prop_assert!(y[i] <= y[j]);
                    }
                }
            }
        }
    }
}
