//! Known noise, alone and beside learned noise, and the shrinkage prior: golden
//! values (`golden/gp_noise.py`) and what they are for.

#![allow(clippy::unwrap_used)]

use bomf_bo::BoError;
use bomf_bo::models::{
    GaussianProcess, GpOptions, Hyperparameters, LearnedNoise, Priors, Shrinkage, TrainingData,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// The reference adds up in another order; its kernel matrix has a condition of
/// some hundreds.
const ROUNDING: f64 = 1e-11;

fn list(v: &serde_json::Value) -> Vec<f64> {
    serde_json::from_value(v.clone()).unwrap()
}

fn rows(v: &serde_json::Value) -> Vec<Vec<f64>> {
    serde_json::from_value(v.clone()).unwrap()
}

fn golden() -> serde_json::Value {
    serde_json::from_str(include_str!("golden/gp_noise.json")).unwrap()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < ROUNDING * (1.0 + b.abs())
}

#[test]
fn known_noise_as_gpytorch() {
    for case in golden()["noise"].as_array().unwrap() {
        let everywhere = case["everywhere"].as_bool().unwrap();
        let options = GpOptions {
            learned_noise: if everywhere {
                LearnedNoise::Everywhere
            } else {
                LearnedNoise::WhereUnknown
            },
            ..GpOptions::default()
        };
        let hyper = Hyperparameters {
            lengthscales: list(&case["lengthscales"]),
            outputscale: case["outputscale"].as_f64().unwrap(),
            noise: case["noise"].as_f64().unwrap(),
            mean: case["mean"].as_f64().unwrap(),
        };
        let errors: Vec<Option<f64>> = list(&case["standard_errors"])
            .into_iter()
            .map(Some)
            .collect();
        let gp = TrainingData::new(&rows(&case["x"]), &list(&case["y"]))
            .standard_errors(&errors)
            .with_hyperparameters(&options, hyper)
            .unwrap();
        assert!(close(
            gp.log_likelihood(),
            case["log_likelihood"].as_f64().unwrap()
        ));
        let means = list(&case["posterior_mean"]);
        let variances = list(&case["posterior_variance"]);
        for (i, q) in rows(&case["query"]).iter().enumerate() {
            let p = gp.predict(q).unwrap();
            assert!(close(p.mean, means[i]), "{} {}", p.mean, means[i]);
            assert!(close(p.variance, variances[i]));
        }
    }
}

#[test]
fn shrinkage_as_gpytorch() {
    for case in golden()["shrinkage"].as_array().unwrap() {
        let prior = Shrinkage {
            scale: case["scale"].as_f64().unwrap(),
        };
        let lengths: Vec<f64> = list(&case["lengthscales"]).iter().map(|l| l.ln()).collect();
        let found = prior.log_density(&lengths, case["tau"].as_f64().unwrap().ln());
        assert!(close(found, case["log_density"].as_f64().unwrap()));
    }
}

fn curve(x: f64) -> f64 {
    (5.0 * x).sin()
}

/// 24 observations on a line, of which every other has an error of 0.5.
fn uneven(seed: u64) -> (Vec<Vec<f64>>, Vec<f64>, Vec<Option<f64>>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let x: Vec<Vec<f64>> = (0..24).map(|i| vec![f64::from(i) / 23.0]).collect();
    let errors: Vec<f64> = (0..24).map(|i| [0.01, 0.5][i % 2]).collect();
    let y = x
        .iter()
        .zip(&errors)
        .map(|(x, e)| curve(x[0]) + e * rng.sample::<f64, _>(StandardNormal))
        .collect();
    (x, y, errors.into_iter().map(Some).collect())
}

fn error_of(gp: &GaussianProcess) -> f64 {
    let misses = (0..50).map(|i| {
        let x = f64::from(i) / 49.0;
        (gp.predict(&[x]).unwrap().mean - curve(x)).powi(2)
    });
    (misses.sum::<f64>() / 50.0).sqrt()
}

#[test]
fn exact_observations_count_for_more_than_vague_ones() {
    let (mut blind, mut informed) = (0.0, 0.0);
    for seed in 0..5 {
        let (x, y, errors) = uneven(seed);
        let options = GpOptions::default();
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let gp = TrainingData::new(&x, &y)
            .standard_errors(&errors)
            .fit(&options, None, &mut rng)
            .unwrap();
        informed += error_of(&gp);
        blind += error_of(&GaussianProcess::fit(&x, &y, &options, None, &mut rng).unwrap());
    }
    assert!(informed < 0.5 * blind, "{informed} {blind}");
}

/// Once the fit ended with a lengthscale of two gaps between observations, which
/// takes the noise for the function, at a density lower by `exp(20)`.
#[test]
fn unknown_noise_is_learned_beside_known() {
    for seed in 0..6 {
        // Errors of the vague half are not told: the learned variance is theirs.
        let (x, y, errors) = uneven(seed);
        let told: Vec<Option<f64>> = errors.into_iter().map(|e| e.filter(|e| *e < 0.1)).collect();
        let gp = TrainingData::new(&x, &y)
            .standard_errors(&told)
            .fit(
                &GpOptions::default(),
                None,
                &mut ChaCha8Rng::seed_from_u64(1),
            )
            .unwrap();
        let learned = gp.hyperparameters().noise.sqrt() * gp.outcome().scale;
        assert!((0.25..1.0).contains(&learned), "{learned}");
        assert!(error_of(&gp) < 0.1);
    }
}

#[test]
fn errors_of_zero_are_fine_and_negative_ones_are_not() {
    let x = vec![vec![0.1], vec![0.1], vec![0.9]];
    let y = [1.0, 1.2, 0.4];
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut fit = |errors: &[Option<f64>]| {
        TrainingData::new(&x, &y)
            .standard_errors(errors)
            .fit(&GpOptions::default(), None, &mut rng)
    };
    // Two exact and different outcomes at one place contradict each other; the
    // floor of the noise takes that.
    let p = fit(&[Some(0.0); 3]).unwrap().predict(&[0.1]).unwrap();
    assert!((p.mean - 1.1).abs() < 0.01 && p.variance > 0.0);
    assert!(matches!(
        fit(&[Some(0.1), Some(-0.1), None]),
        Err(BoError::Option {
            option: "standard_errors",
            ..
        })
    ));
    assert!(matches!(
        fit(&[Some(0.1), Some(f64::NAN), None]),
        Err(BoError::NotFinite { index: 1, .. })
    ));
    assert!(matches!(fit(&[None; 2]), Err(BoError::Dimension { .. })));
}

#[test]
fn shrinkage_finds_the_few_inputs_that_matter() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let d = 30;
    let x: Vec<Vec<f64>> = (0..40)
        .map(|_| (0..d).map(|_| rng.random()).collect())
        .collect();
    let f = |x: &[f64]| (4.0 * x[3]).sin() + 2.0 * x[17] * x[17];
    let y: Vec<f64> = x.iter().map(|x| f(x)).collect();
    let options = GpOptions {
        priors: Some(Priors::sparse(d as f64)),
        ..GpOptions::default()
    };
    let gp = GaussianProcess::fit(&x, &y, &options, None, &mut rng).unwrap();
    let l = &gp.hyperparameters().lengthscales;
    for (i, length) in l.iter().enumerate() {
        let matters = i == 3 || i == 17;
        assert_eq!(*length < 5.0, matters, "{i}: {l:?}");
    }
    // A warm start takes it from there.
    let warm = gp.hyperparameters().clone();
    let again = GaussianProcess::fit(&x, &y, &options, Some(&warm), &mut rng).unwrap();
    assert!(again.log_likelihood() > gp.log_likelihood() - 0.5);
}
