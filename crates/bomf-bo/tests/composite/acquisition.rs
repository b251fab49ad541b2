//! The expected gain in hypervolume over drawn objectives.

use super::*;

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
