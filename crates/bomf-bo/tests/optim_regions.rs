//! Projections onto products and polyhedra, against brute force, and the
//! quasi-Newton method on them.

#![allow(clippy::unwrap_used)]

use bomf_bo::BoError;
use bomf_bo::optim::{
    Block, BoxRegion, HalfSpace, Polyhedron, ProductRegion, Region, SimplexRegion, SolverOptions,
    minimise,
};
use bomf_bo::sampling::uniform_simplex;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Brute force solves systems whose condition is that of random normals.
const CLOSE: f64 = 1e-8;

/// Projections end within a few roundings of every constraint.
const FEASIBLE: f64 = 1e-12;

fn unit_box(d: usize) -> Block {
    Block::Box(BoxRegion {
        lower: vec![0.0; d],
        upper: vec![1.0; d],
    })
}

/// `a' x <= b` or `a' x = b`.
#[derive(Clone)]
struct Row {
    a: Vec<f64>,
    b: f64,
    equal: bool,
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).powi(2))
        .sum::<f64>()
        .sqrt()
}

/// The nearest point to `z` with `rows` met with equality; `None` if they are
/// dependent.
fn on_rows(z: &[f64], rows: &[&Row]) -> Option<Vec<f64>> {
    let n = rows.len();
    let mut m: Vec<Vec<f64>> = rows
        .iter()
        .map(|r| {
            let mut line: Vec<f64> = rows.iter().map(|s| dot(&r.a, &s.a)).collect();
            line.push(dot(&r.a, z) - r.b);
            line
        })
        .collect();
    for k in 0..n {
        let pivot = (k..n).max_by(|i, j| m[*i][k].abs().total_cmp(&m[*j][k].abs()))?;
        m.swap(k, pivot);
        if m[k][k].abs() < 1e-9 {
            return None;
        }
        let line = m[k].clone();
        for (i, other) in m.iter_mut().enumerate() {
            if i != k {
                let c = other[k] / line[k];
                other.iter_mut().zip(&line).for_each(|(o, v)| *o -= c * v);
            }
        }
    }
    let mut x = z.to_vec();
    for (k, r) in rows.iter().enumerate() {
        let c = m[k][n] / m[k][k];
        x.iter_mut().zip(&r.a).for_each(|(x, a)| *x -= c * a);
    }
    Some(x)
}

/// The nearest feasible point, by trying every set of active constraints.
fn brute_force(z: &[f64], rows: &[Row]) -> Option<Vec<f64>> {
    let free: Vec<usize> = (0..rows.len()).filter(|i| !rows[*i].equal).collect();
    let mut best: Option<Vec<f64>> = None;
    for mask in 0_u32..1 << free.len() {
        let mut active: Vec<&Row> = rows.iter().filter(|r| r.equal).collect();
        active.extend(
            (0..free.len())
                .filter(|k| mask >> k & 1 == 1)
                .map(|k| &rows[free[k]]),
        );
        if active.len() > z.len() {
            continue;
        }
        let Some(x) = on_rows(z, &active) else {
            continue;
        };
        let inside = rows.iter().all(|r| {
            let slack = r.b - dot(&r.a, &x);
            slack > -1e-9 && (!r.equal || slack < 1e-9)
        });
        if inside
            && best
                .as_ref()
                .is_none_or(|b| distance(&x, z) < distance(b, z))
        {
            best = Some(x);
        }
    }
    best
}

/// Bounds of the unit box, or of the simplex with its sum, as rows.
fn base_rows(d: usize, simplex: bool) -> Vec<Row> {
    let unit = |i: usize, v: f64| {
        let mut a = vec![0.0; d];
        a[i] = v;
        a
    };
    let row = |a, b, equal| Row { a, b, equal };
    let mut rows: Vec<Row> = (0..d).map(|i| row(unit(i, -1.0), 0.0, false)).collect();
    if simplex {
        rows.push(row(vec![1.0; d], 1.0, true));
    } else {
        rows.extend((0..d).map(|i| row(unit(i, 1.0), 1.0, false)));
    }
    rows
}

fn normals(d: usize, m: usize, rng: &mut ChaCha8Rng) -> Vec<(Vec<f64>, f64)> {
    (0..m)
        .map(|_| {
            let a: Vec<f64> = (0..d).map(|_| 2.0 * rng.random::<f64>() - 1.0).collect();
            (a, 0.8 * rng.random::<f64>() - 0.2)
        })
        .collect()
}

fn cuts(rows: &[(Vec<f64>, f64)]) -> Vec<HalfSpace> {
    rows.iter()
        .map(|(a, b)| HalfSpace {
            normal: a.clone(),
            bound: *b,
        })
        .collect()
}

#[test]
fn a_cut_simplex_is_met_where_it_should_be() {
    // w_0 + w_1 <= 0.6: the vertex 0 goes to (0.6, 0, 0.4) by halves.
    let base = ProductRegion::new(vec![Block::Simplex(3)]);
    let cut = HalfSpace {
        normal: vec![1.0, 1.0, 0.0],
        bound: 0.6,
    };
    let region = Polyhedron::new(base, vec![cut]).unwrap();
    let mut x = [1.0, 0.0, 0.0];
    region.project(&mut x);
    assert!(distance(&x, &[0.6, 0.0, 0.4]) < FEASIBLE, "{x:?}");
    assert_eq!(x[1], 0.0);
    // What is inside is not moved by a bit.
    let mut x = [0.25, 0.25, 0.5];
    region.project(&mut x);
    assert_eq!(x, [0.25, 0.25, 0.5]);
}

#[test]
fn cuts_without_a_point_in_common_are_refused() {
    let base = || ProductRegion::new(vec![unit_box(2)]);
    let cut = |a: [f64; 2], bound| HalfSpace {
        normal: a.to_vec(),
        bound,
    };
    // x + y <= 1, and x + y >= 1.1.
    let empty = Polyhedron::new(base(), vec![cut([1.0, 1.0], 1.0), cut([-1.0, -1.0], -1.1)]);
    assert!(
        matches!(empty, Err(BoError::EmptyRegion { index: Some(_) })),
        "{empty:?}"
    );
    let empty = Polyhedron::new(base(), vec![cut([1.0, 1.0], -0.1)]);
    assert_eq!(empty, Err(BoError::EmptyRegion { index: Some(0) }));
    // Together one point is enough.
    let one = Polyhedron::new(base(), vec![cut([1.0, 1.0], 0.0)]).unwrap();
    let mut x = [0.7, 0.3];
    one.project(&mut x);
    assert_eq!(x, [0.0, 0.0]);
    for bad in [[0.0, 0.0], [f64::NAN, 1.0], [f64::INFINITY, 1.0]] {
        let refused = Polyhedron::new(base(), vec![cut(bad, 1.0)]);
        assert_eq!(refused, Err(BoError::HalfSpace { index: 0 }));
    }
    let short = HalfSpace {
        normal: vec![1.0],
        bound: 1.0,
    };
    assert!(matches!(
        Polyhedron::new(base(), vec![short]),
        Err(BoError::Dimension { .. })
    ));
}

#[test]
fn the_minimum_on_a_cut_is_found() {
    // Rosenbrock's function with x + y <= 1/2, from the far side of the plane.
    let base = ProductRegion::new(vec![Block::Box(BoxRegion {
        lower: vec![-2.0; 2],
        upper: vec![2.0; 2],
    })]);
    let cut = HalfSpace {
        normal: vec![1.0, 1.0],
        bound: 0.5,
    };
    let region = Polyhedron::new(base, vec![cut]).unwrap();
    let rosenbrock = |x: &[f64], g: &mut [f64]| {
        let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
        g[0] = -2.0 * a - 400.0 * x[0] * b;
        g[1] = 200.0 * b;
        a * a + 100.0 * b * b
    };
    let options = SolverOptions {
        max_iterations: 500,
        gradient_tolerance: 1e-9,
        value_tolerance: 0.0,
        ..SolverOptions::default()
    };
    let found = minimise(&region, rosenbrock, &[-1.2, 1.0], &options);
    // On the plane y = 1/2 - x, by a fine scan.
    let mut best = (f64::INFINITY, 0.0);
    for k in 0..400_000 {
        let x = 0.25 + f64::from(k) * 1e-6;
        let value = rosenbrock(&[x, 0.5 - x], &mut [0.0; 2]);
        if value < best.0 {
            best = (value, x);
        }
    }
    assert!((found.x[0] - best.1).abs() < 2e-6, "{found:?} {best:?}");
    assert!((found.x[0] + found.x[1] - 0.5).abs() < FEASIBLE);
    assert!(found.evaluations < 200, "{}", found.evaluations);
}

proptest! {
    #[test]
    fn projection_onto_a_polyhedron_is_that_of_brute_force(
        simplex in any::<bool>(), m in 1_usize..4, seed in any::<u64>()
    ) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let d = if simplex { 4 } else { 3 };
        let extra = normals(d, m, &mut rng);
        let block = if simplex { Block::Simplex(d) } else { unit_box(d) };
        let region = Polyhedron::new(ProductRegion::new(vec![block]), cuts(&extra));
        let mut rows = base_rows(d, simplex);
        rows.extend(extra.iter().map(|(a, b)| Row { a: a.clone(), b: *b, equal: false }));
        for _ in 0..4 {
            let z: Vec<f64> = (0..d).map(|_| 4.0 * rng.random::<f64>() - 2.0).collect();
            let expected = brute_force(&z, &rows);
            match (&region, expected) {
                (Ok(region), Some(expected)) => {
                    let mut x = z.clone();
                    region.project(&mut x);
                    prop_assert!(distance(&x, &expected) < CLOSE, "{x:?} {expected:?}");
                    for (a, b) in &extra {
                        prop_assert!(dot(a, &x) <= b + FEASIBLE);
                    }
                    // Idempotent.
                    let mut again = x.clone();
                    region.project(&mut again);
                    prop_assert!(distance(&x, &again) < FEASIBLE);
                }
                (Err(BoError::EmptyRegion { .. }), None) => {}
                (region, expected) => prop_assert!(false, "{region:?} {expected:?}"),
            }
        }
    }

    #[test]
    fn the_tangent_direction_is_the_limit_of_projected_steps(
        simplex in any::<bool>(), m in 1_usize..4, seed in any::<u64>()
    ) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let d = 4;
        let block = if simplex { Block::Simplex(d) } else { unit_box(d) };
        let extra = normals(d, m, &mut rng);
        let Ok(region) = Polyhedron::new(ProductRegion::new(vec![block]), cuts(&extra)) else {
            return Ok(());
        };
        // A point on some faces.
        let mut x: Vec<f64> = (0..d).map(|_| 3.0 * rng.random::<f64>() - 1.5).collect();
        region.project(&mut x);
        let v: Vec<f64> = (0..d).map(|_| 2.0 * rng.random::<f64>() - 1.0).collect();
        let mut direction = v.clone();
        region.project_on_tangent(&x, &mut direction);
        // Near enough that no other constraint is met on the way, but for the
        // rare one that is all but active: those are left out.
        let t = 1e-6;
        let slacks = extra.iter().map(|(a, b)| (b - dot(a, &x)) / dot(a, a).sqrt());
        let gaps = slacks.chain(x.iter().copied()).chain(x.iter().map(|x| 1.0 - x));
        if { gaps }.any(|gap| gap > FEASIBLE && gap < 4.0 * t) {
            return Ok(());
        }
        let mut step: Vec<f64> = x.iter().zip(&v).map(|(x, v)| x + t * v).collect();
        region.project(&mut step);
        for i in 0..d {
            prop_assert!(((step[i] - x[i]) / t - direction[i]).abs() < 1e-5, "{i} {step:?} {x:?} {direction:?}");
        }
    }

    #[test]
    fn products_do_block_by_block_what_their_blocks_do(seed in any::<u64>()) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let region = ProductRegion::new(vec![Block::Simplex(3), unit_box(2), Block::Simplex(4)]);
        prop_assert_eq!(region.dim(), 9);
        let z: Vec<f64> = (0..9).map(|_| 4.0 * rng.random::<f64>() - 2.0).collect();
        let mut x = z.clone();
        region.project(&mut x);
        let mut expected = z.clone();
        SimplexRegion.project(&mut expected[..3]);
        expected[3..5].iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
        SimplexRegion.project(&mut expected[5..]);
        prop_assert_eq!(&x, &expected);
        // Nearest: no other point is nearer.
        for _ in 0..20 {
            let mut other = uniform_simplex(3, &mut rng);
            other.extend([rng.random::<f64>(), rng.random::<f64>()]);
            other.extend(uniform_simplex(4, &mut rng));
            prop_assert!(distance(&other, &z) >= distance(&x, &z) - FEASIBLE);
        }
        // A step of the largest length stays inside, and touches a bound.
        let mut v: Vec<f64> = (0..9).map(|_| 2.0 * rng.random::<f64>() - 1.0).collect();
        region.project_on_tangent(&x, &mut v);
        let t = region.max_step(&x, &v);
        if t.is_finite() && t > 0.0 {
            let mut end: Vec<f64> = x.iter().zip(&v).map(|(x, v)| x + t * v).collect();
            region.settle(&mut end);
            let touched = (0..9).any(|i| v[i] != 0.0 && region.on_bound(&end, i));
            prop_assert!(touched, "{x:?} {v:?} {t} {end:?}");
            let before = end.clone();
            region.project(&mut end);
            prop_assert!(distance(&end, &before) < FEASIBLE);
        }
    }

    #[test]
    fn a_quadratic_on_a_cut_simplex_ends_at_its_projection(
        n in 2_usize..10, m in 1_usize..4, seed in any::<u64>()
    ) {
        // f = |x - t|^2 / 2 with scaled start: the minimum is the projection of t.
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let extra = normals(n, m, &mut rng);
        let base = ProductRegion::new(vec![Block::Simplex(n)]);
        let Ok(region) = Polyhedron::new(base, cuts(&extra)) else {
            return Ok(());
        };
        let t: Vec<f64> = (0..n).map(|_| 2.0 * rng.random::<f64>() - 0.7).collect();
        let f = |x: &[f64], g: &mut [f64]| {
            for i in 0..n {
                g[i] = x[i] - t[i];
            }
            0.5 * dot(g, g)
        };
        let options = SolverOptions { max_iterations: 300, gradient_tolerance: 1e-9, value_tolerance: 0.0, ..SolverOptions::default() };
        let found = minimise(&region, f, &uniform_simplex(n, &mut rng), &options);
        let mut expected = t.clone();
        region.project(&mut expected);
        prop_assert!(distance(&found.x, &expected) < 1e-6, "{:?} {expected:?}", found.x);
    }
}
