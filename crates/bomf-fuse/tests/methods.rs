//! The methods that choose weights.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use bomf_fuse::FuseError;
use bomf_fuse::methods::{ema, greedy_soup, swa, uniform_soup};
use proptest::collection::vec;
use proptest::prelude::*;

#[test]
fn uniform_soup_weighs_all_members_alike() {
    assert_eq!(uniform_soup::weights(4), [0.25; 4]);
    assert_eq!(uniform_soup::weights(0), [0.0; 0]);
    assert_eq!(uniform_soup::weights_of(&[2, 0], 4), [0.5, 0.0, 0.5, 0.0]);
    // Named twice or beyond the end: counted once or not at all.
    assert_eq!(uniform_soup::weights_of(&[1, 1, 9], 3), [0.0, 1.0, 0.0]);
    assert_eq!(uniform_soup::weights_of(&[], 2), [0.0, 0.0]);
}

#[test]
fn swa_averages_the_last_quarter_rounded_up() {
    let averaged = |n| swa::weights(n).iter().filter(|w| **w > 0.0).count();
    let counts: Vec<_> = (1..=9).map(averaged).collect();
    assert_eq!(counts, [1, 1, 1, 1, 2, 2, 2, 2, 3]);
    assert_eq!(averaged(15), 4);
    assert_eq!(swa::weights(5), [0.0, 0.0, 0.0, 0.5, 0.5]);
    assert_eq!(swa::weights(0), [0.0; 0]);
}

#[test]
fn swa_by_step_takes_what_lies_after_three_quarters_of_the_run() {
    assert_eq!(
        swa::weights_by_step(&[100, 75, 76, 50], 100),
        [0.5, 0.0, 0.5, 0.0]
    );
    // Nothing so late: the latest one.
    assert_eq!(swa::weights_by_step(&[20, 50, 40], 100), [0.0, 1.0, 0.0]);
    assert_eq!(swa::weights_by_step(&[], 100), [0.0; 0]);
}

#[test]
fn ema_weighs_the_latest_most() {
    assert_eq!(ema::weights(3, 0.5).unwrap(), [0.25, 0.25, 0.5]);
    assert_eq!(ema::weights(3, 0.0).unwrap(), [0.0, 0.0, 1.0]);
    assert_eq!(ema::weights(3, 1.0).unwrap(), [1.0, 0.0, 0.0]);
    assert_eq!(ema::weights(1, 0.9).unwrap(), [1.0]);
    assert_eq!(ema::weights(0, 0.9).unwrap(), [0.0; 0]);
    // As the average is usually kept, step by step.
    let values = [3.0, -1.0, 4.0, 1.5, -9.0];
    let kept = values[1..]
        .iter()
        .fold(values[0], |ema, x| 0.9 * ema + 0.1 * x);
    let weights = ema::weights(5, 0.9).unwrap();
    let weighted: f64 = weights.iter().zip(values).map(|(w, x)| w * x).sum();
    assert!((kept - weighted).abs() < 1e-12);
    for decay in [-0.1, 1.5, f64::NAN] {
        let error = ema::weights(2, decay).unwrap_err();
        assert!(matches!(error, FuseError::InvalidDecay { .. }));
    }
}

/// A search in which the score of an average is looked up in a table of sets.
fn search(scores: &[f64], score_of: impl Fn(&[usize]) -> f64) -> greedy_soup::GreedySoup {
    greedy_soup::search(scores, |weights| {
        let chosen: Vec<usize> = (0..weights.len()).filter(|&i| weights[i] > 0.0).collect();
        Ok::<_, FuseError>(score_of(&chosen))
    })
    .unwrap()
}

#[test]
fn greedy_soup_adds_what_does_not_make_it_worse() {
    // Best is 2, then 0, then 3, then 1.
    let soup = search(&[0.8, 0.5, 0.9, 0.7], |chosen| match chosen {
        [0, 2] => 0.85,
        [2, 3] => 0.9,
        [1, 2, 3] => 0.95,
        other => panic!("{other:?} should not be tried"),
    });
    assert_eq!(soup.chosen, [2, 3, 1]);
    assert_eq!(soup.weights, [0.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0]);
    assert_eq!((soup.score, soup.evaluations), (0.95, 3));
}

#[test]
fn greedy_soup_of_one_member_is_that_member() {
    let soup = search(&[0.3], |_| panic!("nothing to try"));
    assert_eq!((soup.weights, soup.evaluations), (vec![1.0], 0));
}

#[test]
fn greedy_soup_tries_equal_members_in_their_order() {
    let soup = search(&[0.0, -0.0, 0.0], |chosen| chosen.len() as f64);
    assert_eq!(soup.chosen, [0, 1, 2]);
}

#[test]
fn greedy_soup_never_takes_what_has_no_score() {
    let soup = search(&[f64::NAN, 0.5, 0.4], |_| f64::NAN);
    assert_eq!(soup.chosen, [1]);
    assert_eq!(soup.evaluations, 1);
    let soup = search(&[f64::NAN, f64::NAN], |_| 1.0);
    assert_eq!((soup.chosen, soup.evaluations), (vec![0], 0));
}

#[test]
fn greedy_soup_hands_errors_on() {
    let none = greedy_soup::search(&[], |_| Ok::<_, FuseError>(0.0));
    assert!(matches!(none, Err(FuseError::NoMembers)));
    #[derive(Debug, PartialEq)]
    struct Stopped;
    impl From<FuseError> for Stopped {
        fn from(_: FuseError) -> Self {
            Stopped
        }
    }
    let stopped = greedy_soup::search(&[0.1, 0.2], |_| Err(Stopped));
    assert_eq!(stopped, Err(Stopped));
}

proptest! {
    #[test]
    fn chosen_weights_lie_on_the_simplex(
        scores in vec(0f64..1.0, 1..20),
        gains in vec(-1f64..1.0, 20),
    ) {
        let n = scores.len();
        let best = scores.iter().copied().fold(0.0, f64::max);
        let mut call = 0;
        let soup = greedy_soup::search(&scores, |_| {
            call += 1;
            Ok::<_, FuseError>(best + gains[call - 1])
        })
        .unwrap();
        prop_assert_eq!(soup.evaluations, n - 1);
        prop_assert!(soup.score >= best);
        for weights in [
            soup.weights,
            swa::weights(n),
            uniform_soup::weights(n),
            ema::weights(n, scores[0]).unwrap(),
            swa::weights_by_step(&(0..n as u64).collect::<Vec<_>>(), n as u64),
        ] {
            prop_assert_eq!(weights.len(), n);
            prop_assert!(weights.iter().all(|w| *w >= 0.0));
            prop_assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }
}
