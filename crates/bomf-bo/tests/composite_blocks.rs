//! Mixtures with coefficients by block: the space, the metric, the prior, the search.

#![allow(clippy::unwrap_used)]

use bomf_bo::acquisition::composite::{BlockAgreement, Composite};
use bomf_bo::models::{
    ConstantMean, GpOptions, Gram, MultiOutputGp, Priors, SharedHyperparameters,
};
use bomf_bo::optim::{SearchOptions, SearchSpace};
use bomf_bo::space::{BlockSpace, MixtureSpace, SimplexSpace, Space};
use bomf_bo::strategy::{CompositeObjective, CompositeOptions, RefPoint, Strategy};
use bomf_bo::{Acquisition, BoError};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Distances of near points are differences of sums near one.
const CLOSE: f64 = 1e-9;
/// Central differences with steps of `1e-6`.
const BY_DIFFERENCES: f64 = 1e-7;

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Inner products of `n` random vectors of differences.
fn gram(n: usize, scale: f64, rng: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    let vectors: Vec<Vec<f64>> = (0..n)
        .map(|_| {
            (0..n + 2)
                .map(|_| scale * (rng.random::<f64>() - 0.5))
                .collect()
        })
        .collect();
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum();
    let row = |a: &Vec<f64>| vectors.iter().map(|b| product(a, b)).collect();
    vectors.iter().map(row).collect()
}

/// A random point of the space.
fn point(space: &BlockSpace, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let u: Vec<f64> = (0..space.design_dim()).map(|_| rng.random()).collect();
    space.design_point(&u)
}

#[test]
fn a_point_is_a_mixture_a_block() {
    let space = BlockSpace::new(3, 2).unwrap();
    assert_eq!((space.dim(), space.blocks(), space.members()), (6, 3, 2));
    assert_eq!(space.vertex_of(&[1.0, 0.0, 1.0, 0.0, 1.0, 0.0]), Some(0));
    assert_eq!(space.vertex_of(&[1.0, 0.0, 0.0, 1.0, 1.0, 0.0]), None);
    assert_eq!(space.vertex_of(&[0.5; 6]), None);
    assert_eq!(
        SimplexSpace::new(3).unwrap().vertex_of(&[0.0, 1.0, 0.0]),
        Some(1)
    );
    assert!(matches!(
        space.encode(&[1.0, 0.0, 0.4, 0.4, 1.0, 0.0]),
        Err(BoError::Part { part: 1, .. })
    ));
    assert!(matches!(
        space.encode(&[1.0]),
        Err(BoError::Dimension { .. })
    ));
    for (blocks, n) in [(0, 3), (3, 0)] {
        assert!(matches!(
            BlockSpace::new(blocks, n),
            Err(BoError::EmptySpace)
        ));
    }
    let stored = serde_json::to_string(&space).unwrap();
    assert_eq!(stored, r#"{"blocks":3,"n":2}"#);
    assert_eq!(serde_json::from_str::<BlockSpace>(&stored).unwrap(), space);
    assert!(serde_json::from_str::<BlockSpace>(r#"{"blocks":0,"n":2}"#).is_err());
}

#[test]
fn candidates_are_points_of_the_space_and_as_many_as_asked_for() {
    let (space, mut rng) = (BlockSpace::new(3, 4).unwrap(), rng(1));
    for incumbents in [
        vec![],
        vec![point(&space, &mut rng), space.shared(&[0.25; 4])],
    ] {
        let found = space.candidates(&incumbents, 200, &mut rng);
        assert!(found.len() >= 200, "{}", found.len());
        for x in found {
            space.encode(&x).unwrap();
        }
    }
}

/// What processes of one output predict at each of `queries`, from points `x`.
fn predictions(metric: Gram, x: &[Vec<f64>], queries: &[Vec<f64>]) -> Vec<f64> {
    let y: Vec<[f64; 1]> = (0..x.len()).map(|i| [(i as f64).sin()]).collect();
    let mean = ConstantMean::new(x[0].len(), vec![0.0]);
    let options = GpOptions {
        metric: Some(metric),
        priors: Some(Priors::scaled(3.0)),
        ..GpOptions::default()
    };
    let hyper = SharedHyperparameters {
        lengthscales: vec![0.7],
        noise: 1e-4,
    };
    let gp = MultiOutputGp::with_hyperparameters(x, &y, mean, &options, hyper).unwrap();
    let predict = |x: &Vec<f64>| gp.predict(x).unwrap();
    let both = |x| [predict(x).mean[0], predict(x).sigma];
    queries.iter().flat_map(both).collect()
}

proptest! {
    #[test]
    fn on_equal_coefficients_the_metric_is_that_of_the_sum_of_the_blocks(
        seed in 0_u64..1000, blocks in 1_usize..5, n in 2_usize..6, share in 0.0_f64..1.0,
    ) {
        let mut rng = rng(seed);
        // Some blocks move a thousand times as far as others.
        let own: Vec<Vec<Vec<f64>>> = (0..blocks)
            .map(|b| gram(n, if b % 2 == 0 { 1.0 } else { 1e-3 }, &mut rng))
            .collect();
        let entry = |i: usize, j: usize| own.iter().map(|g| g[i][j]).sum::<f64>();
        let sum: Vec<Vec<f64>> =
            (0..n).map(|i| (0..n).map(|j| entry(i, j)).collect()).collect();
        let whole = Gram::new(&sum).unwrap().blended(share).unwrap();
        let by_block = Gram::of_blocks(&own, share).unwrap();
        let space = BlockSpace::new(blocks, n).unwrap();
        let simplex = SimplexSpace::new(n).unwrap();
        let w: Vec<Vec<f64>> = (0..8)
            .map(|_| {
                let u: Vec<f64> = (0..n - 1).map(|_| rng.random()).collect();
                simplex.design_point(&u)
            })
            .collect();
        let x: Vec<Vec<f64>> = w.iter().map(|w| space.shared(w)).collect();
        let one = predictions(whole, &w[..5], &w[5..]);
        let other = predictions(by_block, &x[..5], &x[5..]);
        for (a, b) in one.iter().zip(&other) {
            prop_assert!((a - b).abs() < 1e-6, "{} {}", a, b);
        }
    }

    #[test]
    fn the_prior_is_one_where_the_blocks_agree_and_less_elsewhere(
        seed in 0_u64..1000, blocks in 2_usize..5, n in 2_usize..6,
    ) {
        let mut rng = rng(seed);
        let own: Vec<_> = (0..blocks).map(|_| gram(n, 1.0, &mut rng)).collect();
        let metric = Gram::of_blocks(&own, 0.5).unwrap();
        let prior = BlockAgreement::new(&metric, blocks, 0.25).unwrap();
        let space = BlockSpace::new(blocks, n).unwrap();
        let x = point(&space, &mut rng);
        let agreed = space.shared(&x[..n]);
        let values = prior.values(&[agreed, x.clone()]).unwrap();
        prop_assert!(values[0].abs() < CLOSE);
        prop_assert!(values[1] <= 0.0);

        let mut gradient = vec![0.0; space.dim()];
        let value = prior.value_and_gradient(&x, &mut gradient).unwrap();
        prop_assert_eq!(value, values[1]);
        for i in 0..x.len() {
            let at = |h: f64| {
                let mut moved = x.clone();
                moved[i] += h;
                prior.values(&[moved]).unwrap()[0]
            };
            let numeric = (at(1e-6) - at(-1e-6)) / 2e-6;
            let scale = 1.0 + gradient[i].abs();
            prop_assert!((numeric - gradient[i]).abs() < BY_DIFFERENCES * scale);
        }
    }
}

#[test]
fn what_is_wrong_with_a_metric_or_a_spread_is_said() {
    let own = vec![gram(3, 1.0, &mut rng(1)), gram(3, 1.0, &mut rng(2))];
    let metric = Gram::of_blocks(&own, 0.5).unwrap();
    for spread in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            BlockAgreement::new(&metric, 2, spread),
            Err(BoError::Option {
                option: "spread",
                ..
            })
        ));
    }
    assert!(matches!(
        BlockAgreement::new(&metric, 4, 0.25),
        Err(BoError::Dimension { .. })
    ));
    assert!(matches!(
        Gram::of_blocks(&own, 1.5),
        Err(BoError::Option {
            option: "share",
            ..
        })
    ));
    assert!(matches!(
        Gram::of_blocks::<Vec<f64>>(&[], 0.5),
        Err(BoError::NoData)
    ));
    let ragged = vec![own[0].clone(), own[1][..2].to_vec()];
    assert!(matches!(
        Gram::of_blocks(&ragged, 0.5),
        Err(BoError::Metric { .. })
    ));
    let nothing = vec![vec![vec![0.0; 3]; 3]; 2];
    assert!(matches!(
        Gram::of_blocks(&nothing, 0.5),
        Err(BoError::Metric { .. })
    ));
}

const MEMBERS: usize = 3;
const BLOCKS: usize = 2;
const EXAMPLES: usize = 40;

/// Of two classes: minus the mean cross-entropy and the accuracy of margins.
#[derive(Debug, Clone)]
struct Classifier;

impl Composite for Classifier {
    fn outputs(&self) -> usize {
        EXAMPLES
    }

    fn objectives(&self) -> usize {
        2
    }

    fn evaluate(&self, z: &[f64], y: &mut [f64]) {
        let n = z.len() as f64;
        y[0] = -z.iter().map(|m| (-m).exp().ln_1p()).sum::<f64>() / n;
        y[1] = z.iter().filter(|m| **m > 0.0).count() as f64 / n;
    }
}

/// Margins of a mixture by block: a block's part of each example is best from another member.
fn outputs(x: &[f64]) -> Vec<f64> {
    (0..EXAMPLES)
        .map(|k| {
            let own = |b: usize, i: usize| {
                let suits = f64::from(u8::from((i + b).is_multiple_of(MEMBERS)));
                0.8 * suits - 0.3 + 0.7 * ((k * 7 + i * 13 + b * 29) as f64).sin()
            };
            let blocks = x.chunks_exact(MEMBERS).enumerate();
            blocks
                .map(|(b, w)| {
                    w.iter()
                        .enumerate()
                        .map(|(i, w)| w * own(b, i))
                        .sum::<f64>()
                })
                .sum()
        })
        .collect()
}

fn objectives(z: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; 2];
    Classifier.evaluate(z, &mut y);
    y
}

fn options(metric: Option<Gram>, spread: Option<f64>) -> CompositeOptions {
    CompositeOptions {
        ref_point: RefPoint::Fixed(vec![-1.2, 0.2]),
        metric,
        spread,
        search: SearchOptions {
            raw_samples: 96,
            restarts: 2,
            ..SearchOptions::default()
        },
        ..CompositeOptions::default()
    }
}

fn go<S: MixtureSpace + SearchSpace>(
    search: &mut CompositeObjective<Classifier, S>,
    count: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<Vec<f64>> {
    (0..count)
        .map(|_| {
            let x = search.ask(rng).unwrap();
            let whole = match x.len() == MEMBERS {
                true => x.repeat(BLOCKS),
                false => x.clone(),
            };
            let z = outputs(&whole);
            search.tell_outputs(&x, &z, &objectives(&z)).unwrap();
            x
        })
        .collect()
}

fn metric() -> Gram {
    let own: Vec<_> = (0..BLOCKS)
        .map(|b| gram(MEMBERS, 1.0, &mut rng(b as u64)))
        .collect();
    Gram::of_blocks(&own, 0.5).unwrap()
}

#[test]
fn a_search_by_block_goes_on_from_shared_coefficients_and_finds_more() {
    let mut rng = rng(3);
    let simplex = SimplexSpace::new(MEMBERS).unwrap();
    let mut shared = CompositeObjective::new(simplex, Classifier, options(None, None)).unwrap();
    let known = go(&mut shared, 12, &mut rng);
    let space = BlockSpace::new(BLOCKS, MEMBERS).unwrap();
    for (metric, spread) in [
        (None, None),
        (Some(metric()), Some(0.25)),
        (Some(metric()), None),
    ] {
        let options = options(metric, spread);
        let mut search = CompositeObjective::new(space.clone(), Classifier, options).unwrap();
        for w in &known {
            let x = space.shared(w);
            let z = outputs(&x);
            search.tell_outputs(&x, &z, &objectives(&z)).unwrap();
        }
        let before = *search.hypervolume_history().last().unwrap();
        assert!((before - shared.hypervolume_history().last().unwrap()).abs() < CLOSE);
        let asked = go(&mut search, 8, &mut rng);
        assert!(asked.iter().all(|x| space.encode(x).is_ok()));
        let after = *search.hypervolume_history().last().unwrap();
        assert!(after > 1.02 * before, "{before} {after}");
    }
}

#[test]
fn a_narrow_prior_keeps_the_blocks_together() {
    let space = BlockSpace::new(BLOCKS, MEMBERS).unwrap();
    let apart = |spread| {
        let mut rng = rng(5);
        let options = options(Some(metric()), spread);
        let mut search = CompositeObjective::new(space.clone(), Classifier, options).unwrap();
        let asked = go(&mut search, MEMBERS + 7, &mut rng);
        let distance = |x: &Vec<f64>| -> f64 {
            let (a, b) = x.split_at(MEMBERS);
            a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
        };
        asked[MEMBERS + 1..]
            .iter()
            .map(distance)
            .fold(0.0, f64::max)
    };
    let (narrow, free) = (apart(Some(0.02)), apart(None));
    assert!(narrow < 0.05 && free > 10.0 * narrow, "{narrow} {free}");
}

#[test]
fn members_come_first_whatever_the_blocks() {
    let space = BlockSpace::new(BLOCKS, MEMBERS).unwrap();
    let mut search = CompositeObjective::new(space, Classifier, options(None, None)).unwrap();
    let asked = go(&mut search, MEMBERS + 1, &mut rng(1));
    for (i, x) in asked[..MEMBERS].iter().enumerate() {
        assert_eq!(search.space().vertex_of(x), Some(i));
    }
    assert!(asked[MEMBERS].iter().all(|w| (w - 1.0 / 3.0).abs() < 1e-12));
}
