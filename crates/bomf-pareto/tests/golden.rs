//! Against moocore and pymoo (`golden/pareto.py`).

#![allow(clippy::unwrap_used)]

use bomf_pareto::indicators::{additive_epsilon, gd_plus, igd_plus, r2, simplex_lattice};
use bomf_pareto::{attainment_surface, hypervolume, hypervolume_contributions, non_dominated_sort};
use serde_json::Value;

/// Two exact algorithms differ by rounding alone: sums of some hundred
/// products, with cancellation of a few digits where boxes overlap.
const ROUNDING: f64 = 1e-10;

/// The average over `h` directions tends to moocore's integral with the square
/// of their distance, times the number of kinks.
const DIRECTIONS: f64 = 1e-6;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/pareto.json")).unwrap()
}

fn cases(list: &str) -> Vec<Value> {
    let cases = golden()[list].as_array().unwrap().clone();
    assert!(!cases.is_empty());
    cases
}

/// The points that `points` of the script draws.
fn draw(shape: &str, seed: u64, n: usize, m: usize) -> Vec<Vec<f64>> {
    let mut state = seed;
    let mut uniform = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    (0..n)
        .map(|_| {
            let y: Vec<f64> = (0..m).map(|_| uniform()).collect();
            let sum: f64 = y.iter().sum();
            let norm = y.iter().map(|v| v * v).sum::<f64>().sqrt();
            y.into_iter()
                .map(|v| match shape {
                    "linear" => v / sum,
                    "convex" => v / norm,
                    "concave" => (v / sum).powi(2),
                    "grid" => (5.0 * v).floor() / 4.0,
                    "random" => v,
                    _ => panic!("{shape}"),
                })
                .collect()
        })
        .collect()
}

fn points(case: &Value) -> Vec<Vec<f64>> {
    let whole = |key: &str| case[key].as_u64().unwrap();
    let (n, m) = (whole("n") as usize, whole("m") as usize);
    draw(case["shape"].as_str().unwrap(), whole("seed"), n, m)
}

fn assert_close(found: f64, expected: &Value, what: &Value) {
    let expected = expected.as_f64().unwrap();
    let gap = (found - expected).abs();
    assert!(
        gap <= ROUNDING * expected.abs(),
        "{what}: {found}, not {expected}"
    );
}

#[test]
fn hypervolumes() {
    let r = golden()["ref"].as_f64().unwrap();
    for case in cases("hypervolumes") {
        let y = points(&case);
        let r = vec![r; y[0].len()];
        let volume = hypervolume(&y, &r).unwrap();
        assert_close(volume, &case["hypervolume"], &case);
    }
}

#[test]
fn contributions() {
    let r = golden()["ref"].as_f64().unwrap();
    let mut seen = 0;
    for case in cases("hypervolumes") {
        let Some(expected) = case["contributions"].as_array() else {
            continue;
        };
        let y = points(&case);
        let r = vec![r; y[0].len()];
        let whole = hypervolume(&y, &r).unwrap();
        let found = hypervolume_contributions(&y, &r).unwrap();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            let expected = expected.as_f64().unwrap();
            // moocore takes differences of whole hypervolumes.
            assert!(
                (found - expected).abs() <= ROUNDING * whole,
                "{case}: {found}, {expected}"
            );
        }
        seen += 1;
    }
    assert!(seen > 90);
}

#[test]
fn ranks() {
    for case in cases("ranks") {
        let y = points(&case);
        let mut ranks = vec![usize::MAX; y.len()];
        for (rank, front) in non_dominated_sort(&y).unwrap().iter().enumerate() {
            front.iter().for_each(|i| ranks[*i] = rank);
        }
        let expected: Vec<usize> = serde_json::from_value(case["ranks"].clone()).unwrap();
        assert_eq!(ranks, expected, "{}", case["shape"]);
    }
}

#[test]
fn distances_to_a_front() {
    for case in cases("distances") {
        let (y, z) = (points(&case["points"]), points(&case["front"]));
        assert_close(igd_plus(&y, &z).unwrap(), &case["igd_plus"], &case);
        assert_close(gd_plus(&y, &z).unwrap(), &case["gd_plus"], &case);
        assert_close(
            additive_epsilon(&y, &z).unwrap(),
            &case["additive_epsilon"],
            &case,
        );
    }
}

#[test]
fn many_directions_tend_to_the_exact_r2() {
    let h = 4000;
    let lattice = simplex_lattice(2, h);
    // The midpoints between neighbours: the midpoint rule.
    let weights: Vec<Vec<f64>> = lattice
        .windows(2)
        .map(|w| vec![0.5 * (w[0][0] + w[1][0]), 0.5 * (w[0][1] + w[1][1])])
        .collect();
    for case in cases("r2") {
        let found = r2(&points(&case), &weights, &[1.0, 1.0]).unwrap();
        let expected = case["r2"].as_f64().unwrap();
        assert!((found - expected).abs() < DIRECTIONS, "{case}: {found}");
    }
}

#[test]
fn attainment_surfaces() {
    for case in cases("attainment") {
        let whole = |key: &str| case[key].as_u64().unwrap();
        let shape = case["shape"].as_str().unwrap();
        let runs: Vec<Vec<Vec<f64>>> = (0..whole("runs"))
            .map(|r| draw(shape, whole("seed") + r, whole("n") as usize, 2))
            .collect();
        let levels: Vec<Vec<Vec<f64>>> = serde_json::from_value(case["levels"].clone()).unwrap();
        for (k, expected) in levels.into_iter().enumerate() {
            let mut expected = expected;
            expected.sort_by(|a, b| b[0].total_cmp(&a[0]));
            let found = attainment_surface(&runs, k + 1).unwrap();
            assert_eq!(found.len(), expected.len(), "{shape}, level {}", k + 1);
            for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
                assert!(
                    (found - expected).abs() < ROUNDING,
                    "{shape}, level {}",
                    k + 1
                );
            }
        }
    }
}
