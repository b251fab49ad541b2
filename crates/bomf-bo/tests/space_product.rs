//! Products: coordinates side by side, moves by part, search of both kinds.

#![allow(clippy::unwrap_used)]

use bomf_bo::BoError;
use bomf_bo::optim::SearchSpace;
use bomf_bo::space::{
    BoxSpace, PartPoint, ProductPoint, ProductSpace, SimplexSpace, Space, project_onto_simplex,
};
use bomf_bo::strategy::{
    MultiObjective, MultiObjectiveOptions, SingleObjective, SingleObjectiveOptions,
};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Coordinates come back from a point to rounding.
const CLOSE: f64 = 1e-12;

/// A choice, an integer and a float beside two simplexes.
fn mixed() -> ProductSpace {
    let knobs = BoxSpace::builder()
        .categorical("method", ["linear", "slerp"])
        .integer("k", 1, 6)
        .float("scale", 0.5, 1.5)
        .when("method", ["slerp"])
        .build()
        .unwrap();
    let simplex = |n| SimplexSpace::new(n).unwrap().into();
    ProductSpace::new([simplex(4), knobs.into(), simplex(4)]).unwrap()
}

fn random_point(space: &ProductSpace, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let u: Vec<f64> = (0..space.design_dim()).map(|_| rng.random()).collect();
    space.design_point(&u)
}

#[test]
fn parts_are_laid_side_by_side() {
    let space = mixed();
    assert_eq!(space.dim(), 4 + 4 + 4);
    assert_eq!(space.design_dim(), 3 + 4 + 3);
    assert_eq!(space.prior_dim(), 6.0 + 4.0 + 6.0);
    assert!(!space.is_symmetric());
    let blocks = ProductSpace::simplexes(&[3, 2]).unwrap();
    assert!(blocks.is_symmetric());
    assert_eq!(blocks.cardinality(), None);
    let point: ProductPoint = [vec![0.0, 0.25, 0.75], vec![1.0, 0.0]]
        .into_iter()
        .collect();
    assert_eq!(blocks.encode(&point).unwrap(), [0.0, 0.25, 0.75, 1.0, 0.0]);
    assert_eq!(point.coefficients(1), Some(&[1.0, 0.0][..]));
    assert_eq!(point.configuration(1), None);
    assert_eq!(point.coefficients(2), None);
    // A finite product is the product of its parts' points.
    let choice = |n| BoxSpace::builder().integer("k", 1, n).build().unwrap();
    let finite = ProductSpace::new([
        choice(3).into(),
        SimplexSpace::new(1).unwrap().into(),
        choice(4).into(),
    ])
    .unwrap();
    assert_eq!(finite.cardinality(), Some(12));
    assert_eq!(finite.enumerate().len(), 12);
}

#[test]
fn refusals_name_the_part() {
    assert_eq!(ProductSpace::new([]), Err(BoError::EmptySpace));
    assert_eq!(ProductSpace::simplexes(&[2, 0]), Err(BoError::EmptySpace));
    let space = ProductSpace::simplexes(&[2, 2]).unwrap();
    let bad: ProductPoint = [vec![0.5, 0.5], vec![0.5, 0.6]].into_iter().collect();
    let text = space.encode(&bad).unwrap_err().to_string();
    assert!(
        text.starts_with("part 1: the coefficients are not on the simplex"),
        "{text}"
    );
    let short: ProductPoint = [vec![0.5, 0.5]].into_iter().collect();
    assert!(matches!(
        space.encode(&short),
        Err(BoError::Dimension { .. })
    ));
    let mut kind = ProductPoint::default();
    kind.parts.push(PartPoint::Simplex(vec![0.5, 0.5]));
    kind.parts
        .push(PartPoint::Box([("x", 1.0.into())].into_iter().collect()));
    assert!(matches!(
        space.encode(&kind),
        Err(BoError::PartKind { part: 1, .. })
    ));
    assert!(matches!(
        space.decode(&[0.5; 3]),
        Err(BoError::Dimension { .. })
    ));
}

#[test]
fn some_candidates_move_one_part_and_some_share_coefficients() {
    let space = ProductSpace::simplexes(&[4, 4, 3]).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let incumbent = random_point(&space, &mut rng);
    let all = space.candidates(std::slice::from_ref(&incumbent), 400, &mut rng);
    assert_eq!(all.len(), 400);
    let moved = |x: &[f64], r: std::ops::Range<usize>| x[r.clone()] != incumbent[r];
    let count = |of: &dyn Fn(&[f64]) -> bool| all.iter().filter(|x| of(x)).count();
    let parts = |x: &[f64]| {
        [0..4, 4..8, 8..11]
            .into_iter()
            .filter(|r| moved(x, r.clone()))
            .count()
    };
    // Half lie around the incumbent, of these about half in one part.
    assert!(count(&|x| parts(x) == 1) > 60);
    assert!(count(&|x| parts(x) == 2) > 10);
    assert!(count(&|x| x[..4] == x[4..8]) > 40);
}

#[test]
fn coefficients_and_a_choice_are_found_together() {
    // The best mixture lies on an edge of the first simplex; the second is to
    // be like it; `slerp` with scale 1.2 is worth more than `linear`.
    let space = mixed();
    let value = |p: &ProductPoint| {
        let (a, c, b) = (
            p.coefficients(0).unwrap(),
            p.configuration(1).unwrap(),
            p.coefficients(2).unwrap(),
        );
        let target = [0.7, 0.3, 0.0, 0.0];
        let bowl = |w: &[f64]| -> f64 { w.iter().zip(target).map(|(w, t)| (w - t).powi(2)).sum() };
        let knob = match c.float("scale") {
            Some(scale) => 0.5 - (scale - 1.2).powi(2),
            None => 0.0,
        };
        knob - bowl(a) - 0.5 * bowl(b) - 0.05 * (c.float("k").unwrap() - 4.0).abs()
    };
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let options = SingleObjectiveOptions {
        n_initial: 8,
        ..SingleObjectiveOptions::default()
    };
    let mut search = SingleObjective::new(space.clone(), options).unwrap();
    for _ in 0..45 {
        let p = search.ask(&mut rng).unwrap();
        assert!(space.encode(&p).is_ok());
        search.tell(&p, Some(value(&p))).unwrap();
    }
    let (best, found) = search.best().unwrap();
    // 0.5 is the best there is; of 45 random points the best has about 0.1.
    assert!(found > 0.42, "{best:?} {found}");
}

#[test]
fn blocks_of_coefficients_go_through_the_strategy_of_several_objectives() {
    let space = ProductSpace::simplexes(&[3, 3]).unwrap();
    let mut search = MultiObjective::new(space, MultiObjectiveOptions::default()).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for _ in 0..15 {
        let p = search.ask(&mut rng).unwrap();
        let (a, b) = (p.coefficients(0).unwrap(), p.coefficients(1).unwrap());
        let y = [a[0] + b[1] - a[2], 1.0 - (a[0] - 0.5).powi(2) - b[1]];
        search.tell(&p, Some(&y)).unwrap();
    }
    // A corner of the first objective is met exactly.
    let corner = search
        .front()
        .iter()
        .any(|o| o.x[0] == 1.0 && o.x[4] == 1.0);
    assert!(corner, "{:?}", search.front());
}

proptest! {
    #[test]
    fn candidates_are_points(seed in any::<u64>()) {
        let space = mixed();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let incumbents: Vec<Vec<f64>> = (0..2).map(|_| random_point(&space, &mut rng)).collect();
        for known in [&incumbents[..], &[]] {
            for x in space.candidates(known, 50, &mut rng) {
                let p = space.decode(&x).unwrap();
                let again = space.encode(&p).unwrap();
                prop_assert!(space.same(&again, &x, CLOSE), "{x:?} {again:?}");
                let q = space.decode(&again).unwrap();
                prop_assert_eq!(q.configuration(1), p.configuration(1));
                for r in [0..4, 8..12] {
                    let mut w = x[r.clone()].to_vec();
                    project_onto_simplex(&mut w);
                    for (a, b) in w.iter().zip(&x[r]) {
                        prop_assert!((a - b).abs() < CLOSE);
                    }
                }
            }
        }
    }
}
