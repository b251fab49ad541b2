//! The projected quasi-Newton method on functions whose minimum is known.

#![allow(clippy::unwrap_used)]

use bomf_bo::optim::{BoxRegion, SimplexRegion, SolverOptions, minimise};
use bomf_bo::sampling::uniform_simplex;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn rosenbrock(x: &[f64], g: &mut [f64]) -> f64 {
    let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
    g[0] = -2.0 * a - 400.0 * x[0] * b;
    g[1] = 200.0 * b;
    a * a + 100.0 * b * b
}

fn tight() -> SolverOptions {
    SolverOptions {
        max_iterations: 500,
        gradient_tolerance: 1e-9,
        value_tolerance: 0.0,
        ..SolverOptions::default()
    }
}

#[test]
fn rosenbrock_inside_and_on_the_bound() {
    let free = BoxRegion {
        lower: vec![-5.0; 2],
        upper: vec![5.0; 2],
    };
    let found = minimise(&free, rosenbrock, &[-1.2, 1.0], &tight());
    assert!((found.x[0] - 1.0).abs() < 1e-6 && (found.x[1] - 1.0).abs() < 1e-6);
    assert!(found.evaluations < 150, "{}", found.evaluations);
    // With x_0 <= 1/2 the minimum is on the bound, met exactly.
    let bound = BoxRegion {
        lower: vec![-5.0; 2],
        upper: vec![0.5, 5.0],
    };
    let found = minimise(&bound, rosenbrock, &[-1.2, 1.0], &tight());
    assert_eq!(found.x[0], 0.5);
    assert!((found.x[1] - 0.25).abs() < 1e-7);
}

#[test]
fn a_fixed_coordinate_stays() {
    let region = BoxRegion {
        lower: vec![0.3, -5.0],
        upper: vec![0.3, 5.0],
    };
    let found = minimise(&region, rosenbrock, &[2.0, 2.0], &tight());
    assert_eq!(found.x[0], 0.3);
    assert!((found.x[1] - 0.09).abs() < 1e-8);
}

#[test]
fn linear_functions_end_in_a_vertex_exactly() {
    let slopes = [0.3, -0.2, 0.5, -0.1];
    let linear = |x: &[f64], g: &mut [f64]| {
        g.copy_from_slice(&slopes);
        x.iter().zip(&slopes).map(|(x, s)| x * s).sum()
    };
    let found = minimise(&SimplexRegion, linear, &[0.25; 4], &tight());
    assert_eq!(found.x, [0.0, 1.0, 0.0, 0.0]);
}

#[test]
fn infinite_values_are_stepped_back_from() {
    let region = BoxRegion {
        lower: vec![-10.0],
        upper: vec![10.0],
    };
    // ln has no value below zero; minimum of x - ln x at 1.
    let f = |x: &[f64], g: &mut [f64]| {
        g[0] = 1.0 - 1.0 / x[0];
        x[0] - x[0].ln()
    };
    let found = minimise(&region, f, &[4.0], &tight());
    assert!((found.x[0] - 1.0).abs() < 1e-6);
    // Nothing finite at all: the start comes back.
    let found = minimise(&region, |_, _| f64::NAN, &[4.0], &tight());
    assert_eq!(found.x, [4.0]);
}

proptest! {
    #[test]
    fn ill_conditioned_quadratic_on_the_simplex(n in 2_usize..12, seed in any::<u64>()) {
        // f = 1/2 sum c_i (x_i - t_i)^2 with curvatures over three decades. At
        // the minimum the gradient is equal on the support and no smaller off it.
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let c: Vec<f64> = (0..n).map(|_| 10.0_f64.powf(3.0 * rng.random::<f64>())).collect();
        let t: Vec<f64> = (0..n).map(|_| 2.0 * rng.random::<f64>() - 0.7).collect();
        let f = |x: &[f64], g: &mut [f64]| {
            let mut value = 0.0;
            for i in 0..n {
                g[i] = c[i] * (x[i] - t[i]);
                value += 0.5 * g[i] * (x[i] - t[i]);
            }
            value
        };
        let start = uniform_simplex(n, &mut rng);
        let found = minimise(&SimplexRegion, f, &start, &tight());
        let mut g = vec![0.0; n];
        f(&found.x, &mut g);
        let multiplier = (0..n).filter(|i| found.x[*i] > 0.0).map(|i| g[i]).fold(f64::INFINITY, f64::min);
        for (x, g) in found.x.iter().zip(&g) {
            let slack = g - multiplier;
            prop_assert!(slack > -1e-3, "{slack}");
            prop_assert!(*x == 0.0 || slack < 1e-3, "{x} {slack}");
        }
    }
}
