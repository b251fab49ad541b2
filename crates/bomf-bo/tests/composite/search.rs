//! Maxima of functions without useful gradients.

use super::*;

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
