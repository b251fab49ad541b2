//! Data and options that cannot be.

use super::*;

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
