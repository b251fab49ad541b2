//! The process of many outputs.

use super::*;

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
