//! Hypervolume and box decomposition: closed forms, inclusion-exclusion, and
//! the properties that every set of points must show.

#![allow(clippy::unwrap_used)]

use bomf_pareto::indicators::simplex_lattice;
use bomf_pareto::{box_decomposition, hypervolume, non_dominated};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Sums of products of a dozen values in [0, 1] differ by no more than this
/// between two orders of summation.
const ROUNDING: f64 = 1e-12;

/// The volume of a union of boxes by inclusion and exclusion: 2^n terms.
fn inclusion_exclusion(points: &[Vec<f64>], r: &[f64]) -> f64 {
    let mut total = 0.0;
    for subset in 1_u32..(1 << points.len()) {
        let mut volume = 1.0;
        for (j, r) in r.iter().enumerate() {
            let low = (0..points.len())
                .filter(|i| subset >> i & 1 == 1)
                .map(|i| points[i][j])
                .fold(f64::INFINITY, f64::min);
            volume *= (low - r).max(0.0);
        }
        total += if subset.count_ones() % 2 == 1 {
            volume
        } else {
            -volume
        };
    }
    total
}

/// What `y` adds, by the boxes of the region that `points` leave free.
fn improvement(points: &[Vec<f64>], r: &[f64], y: &[f64]) -> f64 {
    box_decomposition(points, r)
        .unwrap()
        .iter()
        .map(|cell| {
            (0..r.len())
                .map(|j| (cell.upper[j].min(y[j]) - cell.lower[j]).max(0.0))
                .product::<f64>()
        })
        .sum()
}

/// Up to 10 points on a coarse grid, so that ties and duplicates are common.
fn grid_points(m: usize) -> impl Strategy<Value = Vec<Vec<f64>>> {
    prop::collection::vec(
        prop::collection::vec((0_u8..7).prop_map(|v| f64::from(v) / 4.0), m),
        0..10,
    )
}

#[test]
fn closed_forms() {
    for m in 1..=7 {
        let r = vec![-1.0; m];
        // One point: a box.
        let hv = hypervolume(&[vec![1.0; m]], &r).unwrap();
        assert_eq!(hv, 2.0_f64.powi(m as i32), "m = {m}");
        // The unit vectors above the origin dominate nothing; above -1, each
        // pair of boxes shares the unit cube only.
        let unit: Vec<Vec<f64>> = (0..m)
            .map(|i| (0..m).map(|j| f64::from(u8::from(i == j))).collect())
            .collect();
        assert!((hypervolume(&unit, &r).unwrap() - (1.0 + m as f64)).abs() < ROUNDING);
    }
}

#[test]
fn integer_points_count_lattice_cells() {
    for m in 2..=9 {
        // All rows of positive integers with sum m + 2: each cell below them is
        // an m-subset of the numbers 1 to m + 2 (its partial sums).
        let y: Vec<Vec<f64>> = simplex_lattice(m, 2)
            .iter()
            .map(|w| w.iter().map(|v| 1.0 + (2.0 * v).round()).collect())
            .collect();
        let subsets = ((m + 1) * (m + 2) / 2) as f64;
        assert_eq!(hypervolume(&y, &vec![0.0; m]).unwrap(), subsets, "m = {m}");
    }
}

#[test]
fn permutations_count_parking_functions() {
    for m in 2..=6_usize {
        // A row of integers is below a permutation of 1, .., m if and only if m
        // cars with these wishes (from the far end) all park: (m + 1)^(m - 1).
        let mut rows: Vec<Vec<f64>> = vec![Vec::new()];
        for k in 1..=m {
            rows = rows
                .iter()
                .flat_map(|row| {
                    (0..=row.len()).map(move |at| {
                        let mut row = row.clone();
                        row.insert(at, k as f64);
                        row
                    })
                })
                .collect();
        }
        let expected = (m as f64 + 1.0).powi(m as i32 - 1);
        assert_eq!(
            hypervolume(&rows, &vec![0.0; m]).unwrap(),
            expected,
            "m = {m}"
        );
    }
}

#[test]
fn infinite_points_are_infinite_where_they_exceed_the_reference_point() {
    for m in 1..=6 {
        let mut y = vec![vec![1.0; m], vec![2.0; m]];
        y[1][m - 1] = f64::INFINITY;
        let r = vec![0.0; m];
        assert_eq!(hypervolume(&y, &r).unwrap(), f64::INFINITY, "m = {m}");
        if m > 1 {
            y[1][0] = 0.0;
            assert_eq!(hypervolume(&y, &r).unwrap(), 1.0, "m = {m}");
        }
        y[1][m - 1] = f64::NEG_INFINITY;
        assert_eq!(hypervolume(&y, &r).unwrap(), 1.0, "m = {m}");
    }
}

#[test]
fn nothing_above_the_reference_point() {
    let none: [Vec<f64>; 0] = [];
    assert_eq!(hypervolume(&none, &[0.0, 0.0]).unwrap(), 0.0);
    let on_the_edge = [vec![0.0, 1.0], vec![f64::NAN, 1.0]];
    assert_eq!(hypervolume(&on_the_edge, &[0.0, 0.0]).unwrap(), 0.0);
    let cells = box_decomposition(&on_the_edge, &[0.0, 0.0]).unwrap();
    assert_eq!(cells.len(), 1);
    assert_eq!(cells[0].lower, [0.0, 0.0]);
}

#[test]
fn bad_arguments() {
    assert!(hypervolume(&[vec![1.0]], &[]).is_err());
    assert!(hypervolume(&[vec![1.0]], &[f64::NAN]).is_err());
    assert!(hypervolume(&[vec![1.0]], &[0.0, 0.0]).is_err());
    assert!(box_decomposition(&[vec![1.0]], &[f64::NEG_INFINITY]).is_err());
}

#[test]
fn number_of_boxes() {
    // n + 1 in two objectives, 2 n + 1 in three; in four no more than the 510
    // of BoTorch's FastNondominatedPartitioning for a like front of 50.
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for (m, n, limit) in [(2, 40, 41), (3, 40, 81), (4, 50, 420)] {
        let sphere: Vec<Vec<f64>> = (0..n)
            .map(|_| {
                let y: Vec<f64> = (0..m).map(|_| rng.random::<f64>() + 1e-3).collect();
                let norm = y.iter().map(|v| v * v).sum::<f64>().sqrt();
                y.iter().map(|v| v / norm).collect()
            })
            .collect();
        let cells = box_decomposition(&sphere, &vec![0.0; m]).unwrap();
        assert!(cells.len() <= limit, "m = {m}: {} boxes", cells.len());
    }
}

proptest! {
    #[test]
    fn equals_inclusion_exclusion(m in 1_usize..=6, seed in any::<u64>(), n in 0_usize..9) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let y: Vec<Vec<f64>> = (0..n).map(|_| (0..m).map(|_| rng.random::<f64>()).collect()).collect();
        let r = vec![0.1; m];
        let hv = hypervolume(&y, &r).unwrap();
        prop_assert!((hv - inclusion_exclusion(&y, &r)).abs() < ROUNDING);
    }

    #[test]
    fn ties_and_duplicates(m in 1_usize..=5, y in (1_usize..=5).prop_flat_map(grid_points)) {
        let y: Vec<Vec<f64>> = y.into_iter().filter(|p| p.len() >= m).map(|p| p[..m].to_vec()).collect();
        let r = vec![0.2; m];
        let hv = hypervolume(&y, &r).unwrap();
        prop_assert!((hv - inclusion_exclusion(&y, &r)).abs() < ROUNDING);
    }

    #[test]
    fn order_does_not_matter(y in (2_usize..=5).prop_flat_map(grid_points), by in 0_usize..10) {
        let m = y.first().map_or(2, Vec::len);
        let r = vec![0.0; m];
        let mut turned = y.clone();
        turned.rotate_left(by.min(y.len()));
        turned.reverse();
        prop_assert!((hypervolume(&y, &r).unwrap() - hypervolume(&turned, &r).unwrap()).abs() < ROUNDING);
    }

    #[test]
    fn a_dominated_point_adds_nothing(y in (2_usize..=5).prop_flat_map(grid_points), down in 0.0..1.0_f64) {
        if let Some(first) = y.first().cloned() {
            let r = vec![-1.0; first.len()];
            let before = hypervolume(&y, &r).unwrap();
            let mut more = y.clone();
            more.push(first.iter().map(|v| v - down).collect());
            prop_assert!((hypervolume(&more, &r).unwrap() - before).abs() < ROUNDING);
            let kept: Vec<Vec<f64>> = non_dominated(&y).unwrap().into_iter().map(|i| y[i].clone()).collect();
            prop_assert!((hypervolume(&kept, &r).unwrap() - before).abs() < ROUNDING);
        }
    }

    #[test]
    fn boxes_give_the_improvement(m in 1_usize..=5, y in (1_usize..=5).prop_flat_map(grid_points), seed in any::<u64>()) {
        let y: Vec<Vec<f64>> = y.into_iter().filter(|p| p.len() >= m).map(|p| p[..m].to_vec()).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let r = vec![0.2; m];
        let new: Vec<f64> = (0..m).map(|_| 2.0 * rng.random::<f64>()).collect();
        let mut more = y.clone();
        more.push(new.clone());
        let gain = hypervolume(&more, &r).unwrap() - hypervolume(&y, &r).unwrap();
        prop_assert!((improvement(&y, &r, &new) - gain).abs() < 1e-10, "gain {gain}");
    }

    #[test]
    fn boxes_are_disjoint_and_cover_the_free_region(m in 2_usize..=4, seed in any::<u64>(), n in 0_usize..8) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let y: Vec<Vec<f64>> = (0..n).map(|_| (0..m).map(|_| rng.random::<f64>()).collect()).collect();
        let cells = box_decomposition(&y, &vec![0.0; m]).unwrap();
        for _ in 0..50 {
            let q: Vec<f64> = (0..m).map(|_| 1.2 * rng.random::<f64>()).collect();
            let dominated = y.iter().any(|p| p.iter().zip(&q).all(|(p, q)| p >= q));
            let inside = cells.iter().filter(|c| (0..m).all(|j| c.lower[j] < q[j] && q[j] < c.upper[j])).count();
            prop_assert_eq!(inside, usize::from(!dominated));
        }
    }
}
