//! The outline of the region that a set of points dominates, in the plane.

/// Corners of the staircase through the points that no other dominates, from the
/// one best in the first coordinate to the one best in the second; both
/// coordinates are maximised. The first and last corner lie on the lines through
/// `reference`, so that the polygon closed over the reference point is the
/// dominated region. Empty where no point dominates the reference point.
pub(super) fn staircase(points: &[(f64, f64)], reference: (f64, f64)) -> Vec<(f64, f64)> {
    let mut above: Vec<(f64, f64)> = points
        .iter()
        .copied()
        .filter(|p| p.0 > reference.0 && p.1 > reference.1)
        .collect();
    above.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1)));
    let mut corners = Vec::new();
    let mut level = reference.1;
    for (u, v) in above {
        if v > level {
            corners.push((u, level));
            corners.push((u, v));
            level = v;
        }
    }
    if !corners.is_empty() {
        corners.push((reference.0, level));
    }
    corners
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Area between the staircase and the reference point, by the shoelace rule.
    fn area(corners: &[(f64, f64)], reference: (f64, f64)) -> f64 {
        let mut polygon = corners.to_vec();
        polygon.push(reference);
        let n = polygon.len();
        let twice: f64 = (0..n)
            .map(|i| {
                let (a, b) = (polygon[i], polygon[(i + 1) % n]);
                a.0 * b.1 - b.0 * a.1
            })
            .sum();
        (twice / 2.0).abs()
    }

    #[test]
    fn two_incomparable_points_make_two_steps() {
        let corners = staircase(&[(1.0, 2.0), (2.0, 1.0), (0.5, 0.5)], (0.0, 0.0));
        let expected = [(2.0, 0.0), (2.0, 1.0), (1.0, 1.0), (1.0, 2.0), (0.0, 2.0)];
        assert_eq!(corners, expected);
    }

    #[test]
    fn points_that_do_not_dominate_the_reference_point_enclose_nothing() {
        assert!(staircase(&[(1.0, -1.0), (f64::NAN, 3.0)], (0.0, 0.0)).is_empty());
    }

    proptest! {
        #[test]
        fn a_dominated_point_adds_nothing_and_a_dominating_one_adds_area(
            points in proptest::collection::vec((0.1..1.0f64, 0.1..1.0f64), 1..12), t in 0.1..0.9f64,
        ) {
            let reference = (0.0, 0.0);
            let before = area(&staircase(&points, reference), reference);
            let mut more = points.clone();
            more.push((points[0].0 * t, points[0].1 * t));
            prop_assert!((area(&staircase(&more, reference), reference) - before).abs() < 1e-12);
            more.push((1.1, 1.1));
            prop_assert!((area(&staircase(&more, reference), reference) - 1.21).abs() < 1e-12);
            prop_assert!(before < 1.21);
        }
    }
}
