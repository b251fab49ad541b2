//! The simplex: projection, cleaning and sampling.

#![allow(clippy::unwrap_used)]

use bomf_bo::sampling::{ScrambledSobol, random_face, uniform_simplex, unit_cube_to_simplex};
use bomf_bo::space::{SimplexSpace, Space, project_onto_simplex};
use bomf_bo::{BoError, optim};
use optim::{Region, SimplexRegion};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Sums of up to 30 numbers of size one.
const ROUNDING: f64 = 1e-13;

fn on_simplex(w: &[f64]) -> bool {
    w.iter().all(|v| *v >= 0.0) && (w.iter().sum::<f64>() - 1.0).abs() < ROUNDING
}

#[test]
fn vertices_and_faces_are_reached_exactly() {
    let mut v = vec![0.1, 5.0, -2.0];
    project_onto_simplex(&mut v);
    assert_eq!(v, [0.0, 1.0, 0.0]);
    let mut v = vec![0.5, 0.5, -1e-9];
    project_onto_simplex(&mut v);
    assert_eq!(v, [0.5, 0.5, 0.0]);
    let mut v = vec![3.0];
    project_onto_simplex(&mut v);
    assert_eq!(v, [1.0]);
}

#[test]
fn cleaning() {
    let space = SimplexSpace::new(3).unwrap();
    assert_eq!(space.clean(&[0.25, 0.75, 0.0]).unwrap(), [0.25, 0.75, 0.0]);
    let cleaned = space.clean(&[0.5, 0.500_000_5, -4e-7]).unwrap();
    assert!(on_simplex(&cleaned) && cleaned[2] == 0.0);
    for bad in [
        vec![0.5, 0.4, 0.0],
        vec![1.2, -0.2, 0.0],
        vec![f64::NAN, 0.5, 0.5],
        vec![f64::INFINITY, 0.0, 0.0],
    ] {
        assert!(
            matches!(space.clean(&bad), Err(BoError::NotOnSimplex { .. })),
            "{bad:?}"
        );
    }
    assert!(matches!(
        space.clean(&[1.0]),
        Err(BoError::Dimension { .. })
    ));
    assert_eq!(SimplexSpace::new(0), Err(BoError::EmptySpace));
    assert_eq!(space.vertex(2).unwrap(), [0.0, 0.0, 1.0]);
    assert_eq!(space.vertex(3), None);
}

#[test]
fn uniform_points_have_dirichlet_moments() {
    // Dirichlet(1): mean 1/n, variance (n - 1) / (n^2 (n + 1)).
    let (n, draws) = (4, 20_000);
    let expected = 3.0 / 80.0;
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut sobol = ScrambledSobol::new(n - 1, &mut rng);
    for image in [false, true] {
        let mut sum = vec![0.0; n];
        let mut squares = vec![0.0; n];
        for _ in 0..draws {
            let w = if image {
                unit_cube_to_simplex(&sobol.next_point())
            } else {
                uniform_simplex(n, &mut rng)
            };
            assert!(on_simplex(&w));
            for (i, v) in w.iter().enumerate() {
                sum[i] += v / f64::from(draws);
                squares[i] += v * v / f64::from(draws);
            }
        }
        for i in 0..n {
            // Five standard errors of 20,000 draws.
            assert!((sum[i] - 0.25).abs() < 0.007, "{image} {sum:?}");
            assert!((squares[i] - 0.0625 - expected).abs() < 0.004);
        }
    }
}

#[test]
fn sobol_is_even_and_seeded() {
    let points = |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut sobol = ScrambledSobol::new(300, &mut rng);
        (0..16).map(|_| sobol.next_point()).collect::<Vec<_>>()
    };
    let a = points(1);
    assert_eq!(a, points(1));
    assert_ne!(a, points(2));
    // 16 points put one in each sixteenth of every coordinate.
    for j in 0..300 {
        let mut seen = [0; 16];
        for p in &a {
            seen[(16.0 * p[j]) as usize] += 1;
        }
        assert_eq!(seen, [1; 16], "coordinate {j}");
    }
    assert!(a.iter().all(|p| p[0] != p[256]));
}

proptest! {
    #[test]
    fn projection_is_on_the_simplex_nearest_and_idempotent(
        v in prop::collection::vec(-3.0..3.0_f64, 1..30), seed in any::<u64>()
    ) {
        let mut w = v.clone();
        project_onto_simplex(&mut w);
        prop_assert!(on_simplex(&w));
        let mut again = w.clone();
        project_onto_simplex(&mut again);
        for (a, b) in w.iter().zip(&again) {
            prop_assert!((a - b).abs() < ROUNDING);
        }
        // No other point of the simplex is nearer.
        let distance = |p: &[f64]| -> f64 { p.iter().zip(&v).map(|(a, b)| (a - b).powi(2)).sum() };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for _ in 0..20 {
            prop_assert!(distance(&uniform_simplex(v.len(), &mut rng)) >= distance(&w) - ROUNDING);
        }
    }

    #[test]
    fn projection_commutes_with_permutation(v in prop::collection::vec(-3.0..3.0_f64, 2..12)) {
        let mut a = v.clone();
        project_onto_simplex(&mut a);
        let mut b: Vec<f64> = v.iter().rev().copied().collect();
        project_onto_simplex(&mut b);
        b.reverse();
        for (a, b) in a.iter().zip(&b) {
            prop_assert!((a - b).abs() < ROUNDING);
        }
    }

    #[test]
    fn faces_have_as_many_members_as_asked(n in 1_usize..20, k in 1_usize..20, seed in any::<u64>()) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let w = random_face(n, k, &mut rng);
        prop_assert!(on_simplex(&w));
        prop_assert!(w.iter().filter(|v| **v > 0.0).count() <= k.min(n));
    }

    #[test]
    fn cleaning_a_clean_point_changes_no_bit(n in 1_usize..20, seed in any::<u64>()) {
        let space = SimplexSpace::new(n).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let once = space.encode(&uniform_simplex(n, &mut rng)).unwrap();
        if once.iter().sum::<f64>() == 1.0 {
            prop_assert_eq!(space.encode(&once).unwrap(), once);
        }
    }

    #[test]
    fn tangent_cone_of_the_simplex(
        v in prop::collection::vec(-3.0..3.0_f64, 2..10), seed in any::<u64>()
    ) {
        // A step along the projected direction stays inside, and the direction
        // is the limit of projected steps.
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let x = random_face(v.len(), 2, &mut rng);
        let mut d = v.clone();
        SimplexRegion.project_on_tangent(&x, &mut d);
        let t = 1e-6 * x.iter().filter(|v| **v > 0.0).fold(1.0_f64, |a, b| a.min(*b));
        let mut step: Vec<f64> = x.iter().zip(&v).map(|(x, v)| x + t * v).collect();
        SimplexRegion.project(&mut step);
        for i in 0..v.len() {
            prop_assert!(((step[i] - x[i]) / t - d[i]).abs() < 1e-15 / t + 1e-9);
        }
    }
}
