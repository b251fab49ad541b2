//! The search over composite objectives: what it asks for, and what it makes of what it is told.

use bomf_bo::acquisition::composite::Composite;
use bomf_bo::optim::SearchOptions;
use bomf_bo::space::SimplexSpace;
use bomf_bo::strategy::{
    CompositeObjective, CompositeOptions, MultiObjective, MultiObjectiveOptions, Outcome, RefPoint,
    Strategy, Surrogate,
};
use bomf_bo::{BoError, strategy};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Members of the fixture, and examples that it has outputs for.
const MEMBERS: usize = 5;
const EXAMPLES: usize = 60;

/// Of two classes: minus the mean cross-entropy, and the accuracy, of margins; the accuracy is
/// left out (NaN) where `knows_accuracy` is not set.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Classifier {
    knows_accuracy: bool,
}

/// The right class of example `k`, as a sign.
fn sign(k: usize) -> f64 {
    if k.is_multiple_of(3) { 1.0 } else { -1.0 }
}

impl Composite for Classifier {
    fn outputs(&self) -> usize {
        EXAMPLES
    }

    fn objectives(&self) -> usize {
        2
    }

    fn evaluate(&self, z: &[f64], y: &mut [f64]) {
        let n = z.len() as f64;
        let right = || z.iter().enumerate().map(|(k, z)| z * sign(k));
        y[0] = -right().map(|m| (-m).exp().ln_1p()).sum::<f64>() / n;
        y[1] = match self.knows_accuracy {
            true => right().filter(|m| *m > 0.0).count() as f64 / n,
            false => f64::NAN,
        };
    }
}

/// Margins of the mixture `w`: each member is right on examples of its own, and what a mixture
/// gives bends away from the mixture of what they give.
fn outputs(w: &[f64]) -> Vec<f64> {
    (0..EXAMPLES)
        .map(|k| {
            let own = |i: usize| ((k * 7 + i * 13) as f64).sin() * 1.5 + 0.4 * sign(k);
            let mixed: f64 = w.iter().enumerate().map(|(i, w)| w * own(i)).sum();
            let spread: f64 = w.iter().map(|w| w * (1.0 - w)).sum();
            mixed + 0.5 * sign(k) * spread * (k as f64).cos().abs()
        })
        .collect()
}

fn objectives(z: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; 2];
    Classifier {
        knows_accuracy: true,
    }
    .evaluate(z, &mut y);
    y
}

fn options() -> CompositeOptions {
    CompositeOptions {
        ref_point: RefPoint::Fixed(vec![-1.5, 0.2]),
        search: SearchOptions {
            raw_samples: 96,
            restarts: 2,
            ..SearchOptions::default()
        },
        ..CompositeOptions::default()
    }
}

fn search(options: CompositeOptions, knows_accuracy: bool) -> CompositeObjective<Classifier> {
    let space = SimplexSpace::new(MEMBERS).expect("a space");
    CompositeObjective::new(space, Classifier { knows_accuracy }, options).expect("a search")
}

/// Asks for and evaluates `count` mixtures.
fn go(
    search: &mut CompositeObjective<Classifier>,
    count: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<Vec<f64>> {
    (0..count)
        .map(|_| {
            let w = search.ask(rng).expect("a mixture");
            let z = outputs(&w);
            search
                .tell_outputs(&w, &z, &objectives(&z))
                .expect("fits the search");
            w
        })
        .collect()
}

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(4)
}

#[test]
fn the_members_are_asked_for_first_and_then_their_average() {
    let mut search = search(options(), true);
    let asked = go(&mut search, MEMBERS + 1, &mut rng());
    for (i, w) in asked[..MEMBERS].iter().enumerate() {
        assert_eq!(w[i], 1.0);
    }
    assert!(asked[MEMBERS].iter().all(|w| (w - 0.2).abs() < 1e-12));
}

#[test]
fn what_is_known_beforehand_is_not_asked_for() {
    let mut search = search(options(), true);
    for i in 0..MEMBERS {
        let mut w = vec![0.0; MEMBERS];
        w[i] = 1.0;
        let z = outputs(&w);
        search.tell_outputs(&w, &z, &objectives(&z)).expect("fits");
    }
    let first = search.ask(&mut rng()).expect("a mixture");
    assert!(first.iter().all(|w| (w - 0.2).abs() < 1e-12), "{first:?}");
}

#[test]
fn it_needs_fewer_evaluations_than_models_of_the_objectives() {
    let (mut rng, evaluations) = (rng(), 14);
    let mut composite = search(options(), true);
    go(&mut composite, evaluations, &mut rng);

    let space = SimplexSpace::new(MEMBERS).expect("a space");
    let mut direct = MultiObjective::new(
        space,
        MultiObjectiveOptions {
            n_initial: Some(1),
            ref_point: options().ref_point,
            ..MultiObjectiveOptions::default()
        },
    )
    .expect("a search");
    for k in 0..2 * evaluations {
        let w = match k {
            0..MEMBERS => space.vertex(k).expect("a vertex"),
            MEMBERS => space.centre(),
            _ => direct.ask(&mut rng).expect("a mixture"),
        };
        direct
            .tell(&w, Some(&objectives(&outputs(&w))))
            .expect("fits");
    }
    let reached = *composite.hypervolume_history().last().expect("evaluations");
    let direct = *direct.hypervolume_history().last().expect("evaluations");
    assert!(
        reached > direct,
        "{reached} after {evaluations}, {direct} after twice as many"
    );
    assert_eq!(composite.surrogates(), [Surrogate::Composite; 2]);
    assert!(composite.expected_gain().is_some_and(|gain| gain >= 0.0));
}

#[test]
fn stored_and_read_back_it_goes_on_bit_for_bit() {
    let mut rng = rng();
    let mut own = search(options(), true);
    go(&mut own, MEMBERS + 3, &mut rng);
    let text = serde_json::to_string(&(&own, &rng)).expect("state as text");
    let (mut read, mut its_rng): (CompositeObjective<Classifier>, ChaCha8Rng) =
        serde_json::from_str(&text).expect("the same state");
    assert_eq!(go(&mut own, 2, &mut rng), go(&mut read, 2, &mut its_rng));
}

#[test]
fn members_and_mixtures_that_fail_are_not_asked_for_again() {
    let mut rng = rng();
    let mut search = search(options(), true);
    let mut asked = Vec::new();
    for k in 0..MEMBERS + 5 {
        let w = search.ask(&mut rng).expect("a mixture");
        match k {
            // A member, and a mixture.
            1 | 7 => search.tell(&w, None).expect("a failure"),
            // One that gave something, but not a number.
            8 => search
                .tell_outputs(&w, &[f64::NAN; EXAMPLES], &[0.0, 0.0])
                .expect("a failure"),
            _ => {
                let z = outputs(&w);
                search.tell_outputs(&w, &z, &objectives(&z)).expect("fits");
            }
        }
        assert!(!asked.contains(&w), "{w:?} twice");
        asked.push(w);
    }
    let failed = search.observations().iter().filter(|o| o.y().is_none());
    assert_eq!(failed.count(), 3);
}

#[test]
fn a_batch_spreads_over_the_mixtures() {
    let mut rng = rng();
    let mut search = search(options(), true);
    go(&mut search, MEMBERS + 1, &mut rng);
    let batch = search.ask_batch(4, &mut rng).expect("four mixtures");
    for (i, a) in batch.iter().enumerate() {
        for b in &batch[..i] {
            let apart: f64 = a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum();
            assert!(apart > 0.01, "{a:?} {b:?}");
        }
    }
}

#[test]
fn a_surrogate_that_is_forced_is_the_one_in_use() {
    for surrogate in [
        Surrogate::Composite,
        Surrogate::Direct,
        Surrogate::AroundMixture,
    ] {
        let forced = CompositeOptions {
            surrogate: Some(surrogate),
            ..options()
        };
        let mut search = search(forced, true);
        go(&mut search, MEMBERS + 4, &mut rng());
        assert_eq!(search.surrogates(), [surrogate; 2]);
    }
}

#[test]
fn an_objective_that_the_outputs_do_not_give_has_a_model_of_its_own() {
    let mut rng = rng();
    let mut search = search(options(), false);
    go(&mut search, MEMBERS + 6, &mut rng);
    assert_eq!(search.surrogates()[1], Surrogate::Direct);
}

#[test]
fn objectives_told_without_outputs_count_too() {
    let mut rng = rng();
    let mut search = search(options(), true);
    go(&mut search, MEMBERS + 1, &mut rng);
    let w = [0.3, 0.3, 0.4, 0.0, 0.0];
    search
        .tell_outcome(&w, Outcome::of([-0.1, 0.99]))
        .expect("fits the search");
    assert_eq!(search.front().len(), 1);
    go(&mut search, 1, &mut rng);
    assert_eq!(Strategy::evaluations(&search), MEMBERS + 3);
}

#[test]
fn what_cannot_be_is_refused_and_nothing_is_recorded() {
    let space = || SimplexSpace::new(3).expect("a space");
    let classifier = || Classifier {
        knows_accuracy: true,
    };
    let with = |options| CompositeObjective::new(space(), classifier(), options);
    let no_draws = CompositeOptions {
        draws: 0,
        ..CompositeOptions::default()
    };
    assert!(matches!(
        with(no_draws),
        Err(BoError::Option {
            option: "draws",
            ..
        })
    ));
    let other_ref_point = CompositeOptions {
        ref_point: RefPoint::Fixed(vec![0.0]),
        ..CompositeOptions::default()
    };
    assert!(matches!(
        with(other_ref_point),
        Err(BoError::Dimension { expected: 2, .. })
    ));
    let mut search = with(CompositeOptions::default()).expect("a search");
    let w = [1.0, 0.0, 0.0];
    let z = outputs(&[1.0, 0.0, 0.0, 0.0, 0.0]);
    let refused = [
        search.tell_outputs(&w, &z[1..], &[0.0, 0.0]),
        search.tell_outputs(&w, &z, &[0.0]),
        search.tell_outputs(&[0.5, 0.0, 0.0], &z, &[0.0, 0.0]),
        search.tell_outcome(&w, Outcome::of([1.0])),
    ];
    assert!(refused.iter().all(Result::is_err), "{refused:?}");
    assert!(search.observations().is_empty());
}

#[test]
fn five_objectives_are_too_many() {
    struct Five;
    impl Composite for Five {
        fn outputs(&self) -> usize {
            1
        }
        fn objectives(&self) -> usize {
            5
        }
        fn evaluate(&self, z: &[f64], y: &mut [f64]) {
            y.fill(z[0]);
        }
    }
    let space = SimplexSpace::new(2).expect("a space");
    let found = strategy::CompositeObjective::new(space, Five, CompositeOptions::default());
    assert!(matches!(
        found.err(),
        Some(BoError::Option {
            option: "objectives",
            ..
        })
    ));
}
