//! Many outputs under one process, and objectives computed from them: against
//! the process of one output, refits without an observation, differences and
//! closed forms.

#![allow(clippy::unwrap_used)]

use bomf_bo::acquisition::analytic::LogEi;
use bomf_bo::acquisition::composite::{
    Composite, CompositeModel, LogCompositeEhvi, PatternOptions, Source, leave_one_out,
    pattern_search, prior_objectives, search_simplex,
};
use bomf_bo::models::{
    ConstantMean, Correlation, GaussianProcess, GpOptions, Gram, Hyperparameters, Kernel,
    LeaveOneOut, Lengthscales, LinearMean, MeanFunction, MultiOutputGp, SharedHyperparameters,
};
use bomf_bo::optim::{Scored, SearchOptions};
use bomf_bo::sampling::uniform_simplex;
use bomf_bo::space::SimplexSpace;
use bomf_bo::{Acquisition, BoError};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// Conditioned by a noise of 1e-3: about 1e4 times rounding.
const ROUNDING: f64 = 1e-10;

/// Central differences with steps of 1e-5 of functions of order one.
const DIFFERENCES: f64 = 1e-6;

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * (1.0 + b.abs())
}

/// `n` mixtures of three members, the members first.
fn mixtures(n: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut rng = rng(seed);
    (0..n)
        .map(|i| {
            if i < 3 {
                (0..3).map(|j| f64::from(u8::from(i == j))).collect()
            } else {
                uniform_simplex(3, &mut rng)
            }
        })
        .collect()
}

/// `p` outputs that are not linear in the mixture.
fn outputs(w: &[f64], p: usize) -> Vec<f64> {
    (0..p)
        .map(|j| {
            let f = 1.0 + 0.1 * j as f64;
            2.0 * w[0] - w[1] + (f * w[0]).sin() * (1.0 + w[2]) + f * w[1] * w[2]
        })
        .collect()
}

struct Fixture {
    x: Vec<Vec<f64>>,
    y: Vec<Vec<f64>>,
    mean: LinearMean,
}

fn fixture(n: usize, p: usize) -> Fixture {
    let x = mixtures(n, 11);
    let y: Vec<Vec<f64>> = x.iter().map(|w| outputs(w, p)).collect();
    let mean = LinearMean::new(&y[..3]).unwrap();
    Fixture { x, y, mean }
}

fn shared(lengthscale: f64, noise: f64) -> SharedHyperparameters {
    SharedHyperparameters {
        lengthscales: vec![lengthscale],
        noise,
    }
}

fn gp(f: &Fixture) -> MultiOutputGp<&LinearMean> {
    let options = GpOptions::default();
    MultiOutputGp::with_hyperparameters(&f.x, &f.y, &f.mean, &options, shared(0.8, 1e-3)).unwrap()
}

/// Squares of the outputs' distance from a target, averaged, and how many
/// exceed one half.
struct Objectives {
    outputs: usize,
    smooth: bool,
}

impl Composite for Objectives {
    fn outputs(&self) -> usize {
        self.outputs
    }

    fn objectives(&self) -> usize {
        2
    }

    fn evaluate(&self, z: &[f64], y: &mut [f64]) {
        let p = self.outputs as f64;
        y[0] = -z.iter().map(|z| (z - 1.0) * (z - 1.0)).sum::<f64>() / p;
        y[1] = if self.smooth {
            z.iter().map(|z| z.tanh()).sum::<f64>() / p
        } else {
            z.iter().filter(|z| **z > 0.5).count() as f64 / p
        };
    }

    fn pull_back(&self, z: &[f64], c: &[f64], gradient: &mut [f64]) {
        let p = self.outputs as f64;
        for (g, z) in gradient.iter_mut().zip(z) {
            *g -= c[0] * 2.0 * (z - 1.0) / p;
            if self.smooth {
                *g += c[1] * (1.0 - z.tanh().powi(2)) / p;
            }
        }
    }

    fn is_smooth(&self) -> bool {
        self.smooth
    }
}

/// The single output itself.
struct Identity;

impl Composite for Identity {
    fn outputs(&self) -> usize {
        1
    }

    fn objectives(&self) -> usize {
        1
    }

    fn evaluate(&self, z: &[f64], y: &mut [f64]) {
        y[0] = z[0];
    }

    fn pull_back(&self, _: &[f64], c: &[f64], gradient: &mut [f64]) {
        gradient[0] += c[0];
    }

    fn is_smooth(&self) -> bool {
        true
    }
}

#[test]
fn one_output_around_a_constant_is_the_plain_process() {
    let x = mixtures(12, 1);
    let y: Vec<f64> = x.iter().map(|w| outputs(w, 1)[0]).collect();
    for (kernel, lengthscales) in [
        (Kernel::Matern52, Lengthscales::Isotropic),
        (Kernel::Rbf, Lengthscales::PerDimension),
    ] {
        let lengths = match lengthscales {
            Lengthscales::Isotropic => vec![0.7],
            Lengthscales::PerDimension => vec![0.7, 0.5, 0.9],
        };
        let options = GpOptions {
            kernel,
            lengthscales: Some(lengthscales),
            ..GpOptions::default()
        };
        let hyper = Hyperparameters {
            lengthscales: lengths.clone(),
            outputscale: 1.0,
            noise: 1e-3,
            mean: 0.0,
        };
        let plain = GaussianProcess::with_hyperparameters(&x, &y, &options, hyper).unwrap();
        let rows: Vec<[f64; 1]> = y.iter().map(|y| [*y]).collect();
        let mean = ConstantMean::new(3, vec![plain.outcome().mean]);
        let hyper = SharedHyperparameters {
            lengthscales: lengths,
            noise: 1e-3,
        };
        let many = MultiOutputGp::with_hyperparameters(&x, &rows, mean, &options, hyper).unwrap();
        for q in mixtures(6, 2) {
            let (a, b) = (plain.predict(&q).unwrap(), many.predict(&q).unwrap());
            assert!(close(b.mean[0], a.mean, ROUNDING));
            let variance = a.variance / plain.outcome().undo_variance(1.0);
            assert!((b.sigma * b.sigma - variance).abs() < ROUNDING);
        }
        let left = many.leave_one_out();
        let plain_left = LeaveOneOut::new(&plain.leave_one_out(), &y);
        for (i, own) in left.iter().enumerate() {
            let error = own.observed[0] - own.prediction.mean[0];
            assert!(close(error, plain_left.error[i], ROUNDING));
            let variance = plain.outcome().undo_variance(own.prediction.sigma.powi(2));
            assert!(close(variance, plain_left.variance[i], ROUNDING));
        }
    }
}

#[test]
fn a_block_of_points_is_predicted_as_each_alone_and_data_are_met() {
    let f = fixture(14, 7);
    let options = GpOptions::default();
    let exact =
        MultiOutputGp::with_hyperparameters(&f.x, &f.y, &f.mean, &options, shared(0.8, 1e-9))
            .unwrap();
    let mut means = vec![f64::NAN; 14 * 7];
    let sigmas = exact.predict_into(&f.x, &mut means).unwrap();
    for (i, y) in f.y.iter().enumerate() {
        let single = exact.predict(&f.x[i]).unwrap();
        for j in 0..7 {
            assert!(close(means[i * 7 + j], single.mean[j], ROUNDING));
            // What a noise of 1e-9 lets the mean miss.
            assert!(close(single.mean[j], y[j], 1e-6));
        }
        assert!((sigmas[i] - single.sigma).abs() < 1e-6 && sigmas[i] < 1e-3);
    }
    // Far away the mean function is all that is known.
    let far = [40.0, -20.0, 30.0];
    let p = exact.predict(&far).unwrap();
    let mut prior = vec![0.0; 7];
    f.mean.add_to(&[far.to_vec()], &mut prior);
    assert!(close(p.sigma, 1.0, ROUNDING));
    assert!(
        p.mean
            .iter()
            .zip(&prior)
            .all(|(a, b)| close(*a, *b, ROUNDING))
    );
}

#[test]
fn gradients_of_outputs_against_differences() {
    let f = fixture(12, 5);
    let metric = Gram::new(&[[2.0, 0.5, 0.0], [0.5, 1.0, 0.1], [0.0, 0.1, 0.3]]).unwrap();
    let cotangent = [0.3, -1.0, 0.5, 2.0, -0.2];
    for (kernel, metric) in [
        (Kernel::Matern52, None),
        (Kernel::Rbf, None),
        (Kernel::Matern52, Some(metric)),
    ] {
        let options = GpOptions {
            kernel,
            metric,
            ..GpOptions::default()
        };
        let gp =
            MultiOutputGp::with_hyperparameters(&f.x, &f.y, &f.mean, &options, shared(0.6, 1e-4))
                .unwrap();
        for q in mixtures(8, 3).split_off(3) {
            let gradient = gp.pull_back(&q, &cotangent, 0.7).unwrap();
            for i in 0..3 {
                let h = 1e-5;
                let at = |step: f64| {
                    let mut x = q.clone();
                    x[i] += step;
                    let p = gp.predict(&x).unwrap();
                    let sum: f64 = p.mean.iter().zip(&cotangent).map(|(a, b)| a * b).sum();
                    sum + 0.7 * p.sigma
                };
                let numeric = (at(h) - at(-h)) / (2.0 * h);
                assert!(close(gradient[i], numeric, DIFFERENCES), "{kernel:?} {i}");
            }
        }
    }
}

/// A draw of `p` outputs at `x` from a process of the given lengthscale, the
/// outputs' covariance `factor factor'` (`factor`: `p x r` by rows).
fn draw(x: &[Vec<f64>], lengthscale: f64, factor: &[Vec<f64>], seed: u64) -> Vec<Vec<f64>> {
    let mut rng = rng(seed);
    // Random cosines: cheap, and no factorisation of ours.
    let features = 2000;
    let r = factor[0].len();
    let mut latent = vec![vec![0.0; x.len()]; r];
    for own in &mut latent {
        for _ in 0..features {
            let direction: Vec<f64> = (0..x[0].len())
                .map(|_| rng.sample::<f64, _>(StandardNormal) / lengthscale)
                .collect();
            let phase = rng.random::<f64>() * std::f64::consts::TAU;
            let size: f64 = rng.sample(StandardNormal);
            for (value, x) in own.iter_mut().zip(x) {
                let at: f64 = x.iter().zip(&direction).map(|(a, b)| a * b).sum();
                *value += size * (2.0 / features as f64).sqrt() * (at + phase).cos();
            }
        }
    }
    (0..x.len())
        .map(|i| {
            factor
                .iter()
                .map(|row| row.iter().zip(&latent).map(|(a, l)| a * l[i]).sum())
                .collect()
        })
        .collect()
}

#[test]
fn the_fit_finds_the_lengthscale_and_the_scales_of_drawn_outputs() {
    let mut source = rng(5);
    let x: Vec<Vec<f64>> = (0..40)
        .map(|_| (0..2).map(|_| source.random()).collect())
        .collect();
    // 60 outputs in 6 independent groups, of scales 1 and 3.
    let factor: Vec<Vec<f64>> = (0..60)
        .map(|j| {
            let mut row = vec![0.0; 6];
            row[j % 6] = if j % 2 == 0 { 1.0 } else { 3.0 };
            row
        })
        .collect();
    let y = draw(&x, 0.4, &factor, 6);
    let options = GpOptions {
        kernel: Kernel::Rbf,
        ..GpOptions::default()
    };
    let mean = ConstantMean::new(2, vec![0.0; 60]);
    let fit = |warm: Option<&SharedHyperparameters>| {
        MultiOutputGp::fit(&x, &y, mean.clone(), &options, warm, &mut rng(7)).unwrap()
    };
    let gp = fit(None);
    let hyper = gp.hyperparameters();
    // Six draws of a smooth function tell a lengthscale to about a tenth.
    assert!((hyper.lengthscales[0] / 0.4).ln().abs() < 0.25, "{hyper:?}");
    assert!(hyper.noise < 1e-3);
    let mean_scale = |offset: usize| {
        let own: Vec<f64> = gp
            .scales()
            .iter()
            .skip(offset)
            .step_by(2)
            .copied()
            .collect();
        own.iter().sum::<f64>() / own.len() as f64
    };
    let ratio = mean_scale(1) / mean_scale(0);
    // The pooled part of the scales takes off a little, luck a quarter.
    assert!((2.0..4.0).contains(&ratio), "{ratio}");
    // A warm start ends at the same place.
    let again = fit(Some(hyper));
    assert!(close(
        again.hyperparameters().lengthscales[0],
        hyper.lengthscales[0],
        0.02
    ));
}

#[test]
fn known_vertices_do_not_make_the_outputs_look_certain() {
    // Residuals from the ensemble are zero at the members. Their scale must be
    // that of the other mixtures, however many members there are.
    let members = 12;
    let mut x: Vec<Vec<f64>> = (0..members)
        .map(|i| (0..members).map(|j| f64::from(u8::from(i == j))).collect())
        .collect();
    let mut source = rng(8);
    x.extend((0..6).map(|_| uniform_simplex(members, &mut source)));
    let bend = |w: &[f64], j: usize| -> f64 {
        let spread: f64 = w.iter().map(|v| v * v).sum();
        (1.0 - spread) * (1.0 + 0.2 * (j as f64).sin())
    };
    let y: Vec<Vec<f64>> = x
        .iter()
        .map(|w| (0..30).map(|j| w[0] + bend(w, j)).collect())
        .collect();
    let mean = LinearMean::new(&y[..members]).unwrap();
    let options = GpOptions::default();
    let gp = MultiOutputGp::fit(&x, &y, &mean, &options, None, &mut rng(9)).unwrap();
    for _ in 0..20 {
        let q = uniform_simplex(members, &mut source);
        let p = gp.predict(&q).unwrap();
        for j in 0..30 {
            let sigma = p.sigma * gp.scales()[j];
            let error = (p.mean[j] - q[0] - bend(&q, j)).abs();
            assert!(error < 3.0 * sigma, "{error} {sigma}");
        }
    }
    // The anchors are put first inside; nothing of it shows outside.
    let order: Vec<usize> = (0..x.len()).rev().collect();
    let turned_x: Vec<Vec<f64>> = order.iter().map(|i| x[*i].clone()).collect();
    let turned_y: Vec<Vec<f64>> = order.iter().map(|i| y[*i].clone()).collect();
    let hyper = gp.hyperparameters().clone();
    let turned =
        MultiOutputGp::with_hyperparameters(&turned_x, &turned_y, &mean, &options, hyper).unwrap();
    let (left, turned_left) = (gp.leave_one_out(), turned.leave_one_out());
    for (k, i) in order.iter().enumerate() {
        assert_eq!(turned_left[k].observed, y[*i]);
        for (a, b) in left[*i]
            .prediction
            .mean
            .iter()
            .zip(&turned_left[k].prediction.mean)
        {
            assert!(close(*a, *b, 1e-6));
        }
    }
}

#[test]
fn an_average_of_outputs_varies_as_their_correlation_says() {
    // Outputs in groups that move together: an average over all varies by the
    // number of groups, not of outputs.
    let (n, p, groups) = (60, 240, 4);
    let mut source = rng(12);
    let x: Vec<Vec<f64>> = (0..n)
        .map(|_| (0..6).map(|_| source.random()).collect())
        .collect();
    let factor: Vec<Vec<f64>> = (0..p)
        .map(|j| {
            let mut row = vec![0.0; groups];
            row[j % groups] = 1.0;
            row
        })
        .collect();
    let y = draw(&x, 0.5, &factor, 13);
    let options = GpOptions {
        kernel: Kernel::Rbf,
        ..GpOptions::default()
    };
    let mean = ConstantMean::new(6, vec![0.0; p]);
    let gp =
        MultiOutputGp::with_hyperparameters(&x, &y, mean, &options, shared(0.5, 1e-4)).unwrap();
    let variance = |correlation| {
        let draws = gp.draws(1000, correlation, &mut rng(14));
        let averages: Vec<f64> = draws
            .deviations()
            .map(|e| e.iter().sum::<f64>() / p as f64)
            .collect();
        // Antithetic: the mean is exact.
        assert!(averages.iter().sum::<f64>().abs() < 1e-9);
        averages.iter().map(|a| a * a).sum::<f64>() / 1000.0
    };
    let residuals = variance(Correlation::Residuals);
    // 1 / groups, estimated from 60 residuals and 500 pairs: a fifth.
    assert!((residuals * groups as f64).ln().abs() < 0.5, "{residuals}");
    assert!(variance(Correlation::Independent) < 0.1 * residuals);
    assert!(variance(Correlation::Shared) > 2.0 * residuals);
    // Each output's own variance is its scale's in all three.
    for correlation in [
        Correlation::Residuals,
        Correlation::Independent,
        Correlation::Shared,
    ] {
        let draws = gp.draws(1000, correlation, &mut rng(15));
        for j in [0, 17] {
            let own: f64 = draws.deviations().map(|e| e[j] * e[j]).sum::<f64>() / 1000.0;
            // 500 squares: a standard error of 6 %.
            assert!(
                close(own / gp.scales()[j].powi(2), 1.0, 0.12),
                "{correlation:?}"
            );
        }
    }
    assert_eq!(gp.draws(3, Correlation::Residuals, &mut rng(1)).len(), 3);
    assert!(gp.draws(0, Correlation::Residuals, &mut rng(1)).is_empty());
}

#[test]
fn leaving_one_out_is_conditioning_on_the_others() {
    let f = fixture(10, 4);
    let all = gp(&f).leave_one_out();
    for (i, left) in all.iter().enumerate() {
        let keep: Vec<usize> = (0..10).filter(|k| *k != i).collect();
        let x: Vec<Vec<f64>> = keep.iter().map(|k| f.x[*k].clone()).collect();
        let y: Vec<Vec<f64>> = keep.iter().map(|k| f.y[*k].clone()).collect();
        let rest = MultiOutputGp::with_hyperparameters(
            &x,
            &y,
            &f.mean,
            &GpOptions::default(),
            shared(0.8, 1e-3),
        )
        .unwrap();
        let p = rest.predict(&f.x[i]).unwrap();
        for j in 0..4 {
            assert!(close(left.prediction.mean[j], p.mean[j], ROUNDING));
        }
        let with_noise = p.sigma * p.sigma + 1e-3;
        assert!(close(left.prediction.sigma.powi(2), with_noise, ROUNDING));
    }
}

#[test]
fn the_evidence_of_left_out_objectives_prefers_the_model_that_predicts_better() {
    let f = fixture(24, 40);
    let composite = Objectives {
        outputs: 40,
        smooth: false,
    };
    let gp = gp(&f);
    let draws = gp.draws(32, Correlation::Residuals, &mut rng(3));
    let through = leave_one_out(&gp, &composite, &draws);
    let observed: Vec<f64> =
        f.y.iter()
            .map(|z| {
                let mut y = [0.0; 2];
                composite.evaluate(z, &mut y);
                y[1]
            })
            .collect();
    let options = GpOptions::default();
    let direct = GaussianProcess::fit(&f.x, &observed, &options, None, &mut rng(4)).unwrap();
    let direct = LeaveOneOut::new(&direct.leave_one_out(), &observed);
    assert_eq!(through.len(), 2);
    assert_eq!(through[1].error.len(), 24);
    // The count is jagged, the outputs are not.
    assert!(through[1].log_density_from(3) > direct.log_density_from(3));
    assert!(through[1].mean_squared_error() < direct.mean_squared_error());
    // At the members the ensemble is exact.
    let prior = prior_objectives(&f.mean, &composite, &f.x).unwrap();
    for i in 0..3 {
        assert!(close(prior[i][1], observed[i], ROUNDING));
    }
    assert_eq!(through[1].log_density(), through[1].log_density_from(0));
}

fn front() -> Vec<Vec<f64>> {
    vec![vec![-1.2, 0.3], vec![-1.0, 0.2], vec![-0.8, 0.1]]
}

const REF_POINT: [f64; 2] = [-3.0, -0.5];
const SCALES: [f64; 2] = [0.5, 0.2];

#[test]
fn the_acquisition_is_the_drawn_points_mean_gain_in_hypervolume() {
    let f = fixture(8, 6);
    let composite = Objectives {
        outputs: 6,
        smooth: true,
    };
    let gp = gp(&f);
    let model = CompositeModel::new(&gp, &composite, 16, Correlation::Residuals, &mut rng(6));
    let acquisition = LogCompositeEhvi::new(model.unwrap(), &front(), &REF_POINT, &SCALES).unwrap();
    let queries = mixtures(8, 7);
    let values = acquisition.values(&queries).unwrap();
    assert!(acquisition.values(&[]).unwrap().is_empty());
    let base = bomf_pareto::hypervolume(&front(), &REF_POINT).unwrap();
    let mut compared = 0;
    for (q, value) in queries.iter().zip(values) {
        let drawn = acquisition.model().sample(std::slice::from_ref(q)).unwrap();
        let gain: f64 = drawn
            .chunks_exact(2)
            .map(|y| {
                let mut all = front();
                all.push(y.to_vec());
                bomf_pareto::hypervolume(&all, &REF_POINT).unwrap() - base
            })
            .sum::<f64>()
            / 16.0;
        let mut gradient = vec![0.0; 3];
        let single = acquisition.value_and_gradient(q, &mut gradient).unwrap();
        assert!(close(single, value, ROUNDING));
        if gain > 1e-3 {
            // The smoothing is a thousandth of the scales.
            assert!((value - gain.ln()).abs() < 0.05, "{} {}", value.exp(), gain);
            compared += 1;
        } else {
            assert!(value.is_finite());
        }
    }
    assert!(compared >= 3, "{compared}");
}

#[test]
fn the_acquisitions_gradient_against_differences_from_every_source() {
    let f = fixture(9, 6);
    let composite = Objectives {
        outputs: 6,
        smooth: true,
    };
    let many = gp(&f);
    let prior = prior_objectives(&f.mean, &composite, &f.x).unwrap();
    let mut objective = [0.0; 2];
    let (direct, around): (Vec<f64>, Vec<f64>) =
        f.y.iter()
            .zip(&prior)
            .map(|(z, prior)| {
                composite.evaluate(z, &mut objective);
                (objective[1], objective[1] - prior[1])
            })
            .unzip();
    let options = GpOptions::default();
    let fit = |y: &[f64]| GaussianProcess::fit(&f.x, y, &options, None, &mut rng(1)).unwrap();
    let (direct, around) = (fit(&direct), fit(&around));
    for source in [
        Source::Composite,
        Source::Direct(&direct),
        Source::AroundPrior(&around),
    ] {
        let model = CompositeModel::new(&many, &composite, 7, Correlation::Residuals, &mut rng(6))
            .and_then(|m| m.with_source(1, source))
            .unwrap();
        assert!(model.is_smooth());
        let acquisition = LogCompositeEhvi::new(model, &front(), &REF_POINT, &SCALES).unwrap();
        for q in mixtures(9, 8).split_off(3) {
            let mut gradient = vec![0.0; 3];
            acquisition.value_and_gradient(&q, &mut gradient).unwrap();
            for i in 0..3 {
                let h = 1e-7;
                let at = |step: f64| {
                    let mut x = q.clone();
                    x[i] += step;
                    acquisition.values(&[x]).unwrap()[0]
                };
                let numeric = (at(h) - at(-h)) / (2.0 * h);
                // The smoothing bends within 1e-4: a smaller step, and fewer
                // digits.
                assert!(
                    close(gradient[i], numeric, 1e-4),
                    "{source:?} {i}: {} {numeric}",
                    gradient[i]
                );
            }
        }
    }
}

#[test]
fn with_many_draws_it_is_the_closed_form_expected_improvement() {
    let x = mixtures(7, 1);
    let y: Vec<f64> = x.iter().map(|w| outputs(w, 1)[0]).collect();
    let hyper = Hyperparameters {
        lengthscales: vec![0.7],
        outputscale: 1.0,
        noise: 1e-3,
        mean: 0.0,
    };
    let options = GpOptions {
        lengthscales: Some(Lengthscales::Isotropic),
        ..GpOptions::default()
    };
    let rows: Vec<[f64; 1]> = y.iter().map(|y| [*y]).collect();
    let plain = GaussianProcess::with_hyperparameters(&x, &y, &options, hyper).unwrap();
    let mean = ConstantMean::new(3, vec![plain.outcome().mean]);
    let many =
        MultiOutputGp::with_hyperparameters(&x, &rows, mean, &options, shared(0.7, 1e-3)).unwrap();
    // The same process in the closed form: its variance is the fitted scale's.
    let outputscale = (many.scales()[0] / plain.outcome().scale).powi(2);
    let hyper = Hyperparameters {
        outputscale,
        noise: 1e-3 * outputscale,
        ..plain.hyperparameters().clone()
    };
    let plain = GaussianProcess::with_hyperparameters(&x, &y, &options, hyper).unwrap();
    // Low enough that most points may improve on it.
    let best = plain.outcome().mean;
    let model = CompositeModel::new(
        &many,
        &Identity,
        20_000,
        Correlation::Independent,
        &mut rng(2),
    )
    .unwrap();
    let sampled = LogCompositeEhvi::single(model, best, plain.outcome().scale).unwrap();
    let closed = LogEi::new(&plain, best);
    let queries = mixtures(23, 4).split_off(3);
    let (a, b) = (
        sampled.values(&queries).unwrap(),
        closed.values(&queries).unwrap(),
    );
    let mut compared = 0;
    for (a, b) in a.iter().zip(b) {
        // Where one draw in fifty improves or more: a standard error of 5 %.
        if b > (0.01 * plain.outcome().scale).ln() {
            assert!((a - b).abs() < 0.15, "{a} {b}");
            compared += 1;
        }
    }
    assert!(compared >= 8, "{compared}");
}

/// NaN where the first output is large.
struct Fails;

impl Composite for Fails {
    fn outputs(&self) -> usize {
        6
    }

    fn objectives(&self) -> usize {
        1
    }

    fn evaluate(&self, z: &[f64], y: &mut [f64]) {
        y[0] = if z[0] > 0.0 { f64::NAN } else { z[0] };
    }
}

#[test]
fn draws_without_improvement_are_told_apart_and_nan_is_none() {
    let f = fixture(8, 6);
    let gp = gp(&f);
    let composite = Objectives {
        outputs: 6,
        smooth: true,
    };
    let model = CompositeModel::new(&gp, &composite, 4, Correlation::Residuals, &mut rng(6));
    // Out of reach by a thousand scales.
    let hopeless = LogCompositeEhvi::new(
        model.unwrap(),
        &[vec![500.0, 200.0]],
        &[400.0, 150.0],
        &SCALES,
    )
    .unwrap();
    let q = mixtures(5, 9).split_off(3);
    let values = hopeless.values(&q).unwrap();
    assert!(values.iter().all(|v| v.is_finite()) && values[0] != values[1]);
    let mut gradient = vec![0.0; 3];
    hopeless.value_and_gradient(&q[0], &mut gradient).unwrap();
    assert!(gradient.iter().any(|g| *g != 0.0));

    let model = CompositeModel::new(&gp, &Fails, 4, Correlation::Residuals, &mut rng(6)).unwrap();
    let acquisition = LogCompositeEhvi::single(model, -1.0, 1.0).unwrap();
    let values = acquisition.values(&mixtures(10, 10)).unwrap();
    assert!(values.iter().all(|v| !v.is_nan()));
    assert!(values.contains(&f64::NEG_INFINITY));
}

/// `-|w - target|`, rounded down to a twentieth: no gradient anywhere.
struct Jagged {
    target: Vec<f64>,
}

impl Acquisition for Jagged {
    fn dim(&self) -> usize {
        self.target.len()
    }

    fn values(&self, points: &[Vec<f64>]) -> bomf_bo::Result<Vec<f64>> {
        Ok(points
            .iter()
            .map(|w| {
                let distance: f64 = w.iter().zip(&self.target).map(|(a, b)| (a - b).abs()).sum();
                -(20.0 * distance).ceil() / 20.0
            })
            .collect())
    }

    fn value_and_gradient(&self, x: &[f64], gradient: &mut [f64]) -> bomf_bo::Result<f64> {
        gradient.fill(0.0);
        Ok(self.values(&[x.to_vec()])?[0])
    }
}

#[test]
fn a_jagged_function_is_climbed_without_gradients_to_faces_and_vertices() {
    let space = SimplexSpace::new(4).unwrap();
    for target in [
        vec![0.0, 1.0, 0.0, 0.0],
        vec![0.5, 0.0, 0.5, 0.0],
        vec![0.1, 0.2, 0.3, 0.4],
    ] {
        let acquisition = Jagged { target };
        let found = search_simplex(
            &space,
            &acquisition,
            &[],
            false,
            &SearchOptions {
                raw_samples: 64,
                restarts: 4,
                ..SearchOptions::default()
            },
            &PatternOptions::default(),
            &mut rng(3),
        )
        .unwrap();
        // Two steps of the function.
        assert!(found[0].value >= -0.1, "{:?}", found[0]);
        assert!(found.windows(2).all(|w| w[0].value >= w[1].value));
    }
    let found = pattern_search(
        &Jagged {
            target: vec![1.0, 0.0],
        },
        &Scored {
            x: vec![0.0, 1.0],
            value: -2.0,
        },
        &PatternOptions::default(),
    )
    .unwrap();
    assert_eq!(found.x, [1.0, 0.0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn the_pattern_search_stays_on_the_simplex_and_never_loses(seed in 0_u64..1000, n in 1_usize..7) {
        let mut rng = rng(seed);
        let acquisition = Jagged { target: uniform_simplex(n, &mut rng) };
        let x = uniform_simplex(n, &mut rng);
        let value = acquisition.values(std::slice::from_ref(&x)).unwrap()[0];
        let start = Scored { x, value };
        let found = pattern_search(&acquisition, &start, &PatternOptions::default()).unwrap();
        prop_assert!(found.value >= value);
        let space = SimplexSpace::new(n).unwrap();
        prop_assert!(space.clean(&found.x).is_ok());
        prop_assert_eq!(found.value, acquisition.values(std::slice::from_ref(&found.x)).unwrap()[0]);
    }
}

#[test]
fn the_search_finds_better_mixtures_than_its_incumbents() {
    let f = fixture(8, 40);
    let composite = Objectives {
        outputs: 40,
        smooth: false,
    };
    let gp = gp(&f);
    let model = CompositeModel::new(&gp, &composite, 8, Correlation::Residuals, &mut rng(6));
    let model = model.unwrap();
    assert!(!model.is_smooth());
    let acquisition = LogCompositeEhvi::new(model, &front(), &REF_POINT, &SCALES).unwrap();
    let space = SimplexSpace::new(3).unwrap();
    let options = SearchOptions {
        raw_samples: 128,
        restarts: 3,
        ..SearchOptions::default()
    };
    let best = |smooth: bool| {
        search_simplex(
            &space,
            &acquisition,
            &f.x,
            smooth,
            &options,
            &PatternOptions::default(),
            &mut rng(9),
        )
        .unwrap()
        .remove(0)
    };
    let incumbents = acquisition.values(&f.x).unwrap();
    let top = incumbents.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    assert!(best(false).value > top && best(true).value > top);
    // The same seed gives the same point.
    assert_eq!(best(false), best(false));
}

#[test]
fn data_that_would_upset_a_careless_process() {
    let options = GpOptions::default();
    let fit = |x: &[Vec<f64>], y: &[Vec<f64>], mean: &LinearMean| {
        MultiOutputGp::fit(x, y, mean.clone(), &options, None, &mut rng(1)).unwrap()
    };
    let f = fixture(6, 5);
    // Nothing but the members: every residual is zero, and nothing varies.
    let gp = fit(&f.x[..3], &f.y[..3], &f.mean);
    assert!(gp.scales().iter().all(|s| *s == 0.0));
    assert!(
        gp.predict(&f.x[4])
            .unwrap()
            .mean
            .iter()
            .all(|v| v.is_finite())
    );
    for correlation in [Correlation::Residuals, Correlation::Shared] {
        let draws = gp.draws(4, correlation, &mut rng(2));
        assert!(draws.deviations().flatten().all(|v| *v == 0.0));
    }
    // One observation; duplicates.
    let one = fit(&f.x[4..5], &f.y[4..5], &f.mean);
    assert!(one.scales().iter().all(|s| *s > 0.0));
    let x = vec![f.x[4].clone(); 3];
    let y = vec![f.y[4].clone(); 3];
    let same = fit(&x, &y, &f.mean);
    assert!(close(
        same.predict(&f.x[4]).unwrap().mean[2],
        f.y[4][2],
        0.05
    ));
    // An output whose residuals are all zero keeps a scale above zero.
    let mut y = f.y.clone();
    for (row, w) in y.iter_mut().zip(&f.x) {
        row[1] = (0..3).map(|i| w[i] * f.y[i][1]).sum();
    }
    let gp = fit(&f.x, &y, &f.mean);
    assert!(gp.scales()[1] > 0.0 && gp.scales()[1] < gp.scales()[0]);
    let draws = gp.draws(8, Correlation::Residuals, &mut rng(3));
    assert!(draws.deviations().flatten().all(|v| v.is_finite()));
}

#[test]
fn what_cannot_be_is_refused() {
    let f = fixture(6, 5);
    let options = GpOptions::default();
    let build = |x: &[Vec<f64>], y: &[Vec<f64>], hyper| {
        MultiOutputGp::with_hyperparameters(x, y, &f.mean, &options, hyper).map(|_| ())
    };
    let fine = || shared(0.5, 1e-3);
    assert_eq!(build(&[], &[], fine()), Err(BoError::NoData));
    assert!(matches!(
        build(&f.x, &f.y[..5], fine()),
        Err(BoError::Dimension {
            found: 5,
            expected: 6,
            ..
        })
    ));
    let mut y = f.y.clone();
    y[2][3] = f64::NAN;
    assert!(matches!(
        build(&f.x, &y, fine()),
        Err(BoError::NotFinite { index: 2, .. })
    ));
    y[2].pop();
    assert!(matches!(
        build(&f.x, &y, fine()),
        Err(BoError::Dimension { .. })
    ));
    assert!(matches!(
        build(&f.x, &f.y, shared(-1.0, 1e-3)),
        Err(BoError::Option {
            option: "lengthscale",
            ..
        })
    ));
    let two = SharedHyperparameters {
        lengthscales: vec![1.0, 1.0],
        noise: 1e-3,
    };
    assert!(matches!(
        build(&f.x, &f.y, two),
        Err(BoError::Dimension { .. })
    ));
    assert_eq!(LinearMean::new::<Vec<f64>>(&[]), Err(BoError::NoData));
    assert!(matches!(
        LinearMean::new(&[vec![1.0], vec![1.0, 2.0]]),
        Err(BoError::Dimension { .. })
    ));

    let gp = gp(&f);
    assert!(matches!(gp.predict(&[1.0]), Err(BoError::Dimension { .. })));
    assert!(matches!(
        gp.pull_back(&[0.2, 0.3, 0.5], &[1.0], 0.0),
        Err(BoError::Dimension { .. })
    ));
    let composite = |outputs| Objectives {
        outputs,
        smooth: true,
    };
    let model = |c: &Objectives, draws| {
        CompositeModel::new(&gp, c, draws, Correlation::Shared, &mut rng(1)).map(|_| ())
    };
    assert!(matches!(
        model(&composite(4), 8),
        Err(BoError::Dimension { .. })
    ));
    assert!(matches!(
        model(&composite(5), 0),
        Err(BoError::Option { .. })
    ));
    let c = composite(5);
    let model = || CompositeModel::new(&gp, &c, 2, Correlation::Shared, &mut rng(1)).unwrap();
    assert!(model().with_source(2, Source::Composite).is_err());
    assert!(LogCompositeEhvi::new(model(), &front(), &[0.0], &SCALES).is_err());
    assert!(LogCompositeEhvi::new(model(), &front(), &REF_POINT, &[0.0, 1.0]).is_err());
}
