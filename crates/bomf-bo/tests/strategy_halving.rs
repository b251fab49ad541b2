//! Asynchronous successive halving: where the rungs are, and who goes on.

#![allow(clippy::unwrap_used)]

use bomf_bo::BoError;
use bomf_bo::strategy::SuccessiveHalving;
use proptest::prelude::*;

fn rule(factor: usize, first: f64) -> SuccessiveHalving {
    SuccessiveHalving::new(factor, first).unwrap()
}

#[test]
fn rungs_lie_at_growing_shares_below_the_whole() {
    for (factor, first, shares) in [
        (3, 0.2, &[0.2, 0.6][..]),
        (4, 0.25, &[0.25]),
        (2, 0.125, &[0.125, 0.25, 0.5]),
        (3, 1.0 / 9.0, &[1.0 / 9.0, 1.0 / 3.0]),
        (10, 0.999, &[0.999]),
    ] {
        let rule = rule(factor, first);
        assert_eq!(rule.rungs(), shares.len(), "{factor} {first}");
        for (rung, share) in shares.iter().enumerate() {
            assert!((rule.share(rung) - share).abs() < 1e-12);
            assert_eq!(rule.reached(*share), rung + 1, "{factor} {first} {share}");
            assert_eq!(rule.reached(share * 0.99), rung);
        }
        assert_eq!(rule.reached(1.0), shares.len());
        assert_eq!(rule.reached(f64::INFINITY), shares.len());
        assert_eq!(rule.reached(0.0), 0);
        assert_eq!(rule.reached(-1.0), 0);
        assert_eq!(rule.reached(f64::NAN), 0);
    }
}

#[test]
fn a_rung_is_reached_at_the_step_that_it_falls_on_whatever_rounding_says() {
    // In floating-point numbers 0.1 * 3 lies above 3 / 10.
    let rule = rule(3, 0.1);
    assert!(rule.share(1) > 3.0 / 10.0);
    assert_eq!(rule.reached(3.0 / 10.0), 2);
}

#[test]
fn the_best_share_of_what_was_seen_goes_on() {
    let rule = rule(3, 0.2);
    let goes_on = |seen: &[f64]| rule.goes_on(seen);
    assert!(goes_on(&[]));
    assert!(goes_on(&[0.0]));
    assert!(goes_on(&[1.0, 0.0]), "too few to tell");
    assert!(!goes_on(&[1.0, 0.5, 0.9]));
    assert!(goes_on(&[1.0, 0.5, 1.1]));
    assert!(goes_on(&[1.0, 0.5, 1.0]), "a tie");
    assert!(!goes_on(&[1.0, 0.5, 0.2, 0.4, 0.9]), "one of five");
    assert!(goes_on(&[1.0, 0.5, 0.2, 0.4, 0.3, 0.9]), "two of six");
    assert!(!goes_on(&[1.0, 0.5, 0.2, 0.4, 0.95, 0.9]));
    assert!(!goes_on(&[1.0, 0.5, f64::NAN]), "the worst of all");
    assert!(goes_on(&[f64::NAN, f64::NAN, f64::NAN]), "a tie of them");
    assert!(goes_on(&[f64::NAN, 0.1, 0.2]));
    assert!(!goes_on(&[f64::INFINITY, 0.1, 0.2]));
}

#[test]
fn what_cannot_be_is_refused_also_when_it_is_read() {
    for (factor, first) in [
        (0, 0.5),
        (1, 0.5),
        (3, 0.0),
        (3, 1.0),
        (3, -0.1),
        (3, f64::NAN),
    ] {
        let error = SuccessiveHalving::new(factor, first).unwrap_err();
        assert!(matches!(error, BoError::Option { .. }), "{error}");
    }
    let read = serde_json::from_str::<SuccessiveHalving>;
    assert_eq!(
        read(r#"{"factor": 3, "first": 0.2}"#).unwrap(),
        rule(3, 0.2)
    );
    let error = read(r#"{"factor": 1, "first": 0.2}"#).unwrap_err();
    assert!(error.to_string().contains("factor"), "{error}");
}

fn values() -> impl Strategy<Value = Vec<f64>> {
    // Few different ones, so that there are ties.
    let value = prop_oneof![
        8 => (-3i32..3).prop_map(f64::from),
        1 => Just(f64::NAN),
        1 => Just(f64::NEG_INFINITY),
        2 => any::<f64>(),
    ];
    prop::collection::vec(value, 0..40)
}

proptest! {
    #[test]
    fn the_best_so_far_always_goes_on(values in values(), factor in 2usize..6) {
        let rule = rule(factor, 0.2);
        let mut best = f64::NEG_INFINITY;
        for n in 1..=values.len() {
            let own = values[n - 1];
            if !own.is_nan() && own >= best {
                best = own;
                prop_assert!(rule.goes_on(&values[..n]));
            }
        }
    }

    #[test]
    fn worth_more_is_never_worse(values in values(), more in 0.0f64..5.0, factor in 2usize..6) {
        let rule = rule(factor, 0.2);
        let mut better = values.clone();
        if let Some(last) = better.last_mut() {
            *last += more;
        }
        prop_assert!(!rule.goes_on(&values) || rule.goes_on(&better));
    }

    #[test]
    fn the_order_of_the_others_and_the_scale_do_not_matter(
        values in prop::collection::vec(-100i32..100, 1..40),
        factor in 2usize..6,
        at in any::<prop::sample::Index>(),
    ) {
        let rule = rule(factor, 0.2);
        let values: Vec<f64> = values.into_iter().map(f64::from).collect();
        let others = values.len() - 1;
        let mut turned = values.clone();
        turned[..others].rotate_left(if others == 0 { 0 } else { at.index(others) });
        let scaled: Vec<f64> = turned.iter().map(|v| 0.5 * v - 7.0).collect();
        prop_assert_eq!(rule.goes_on(&values), rule.goes_on(&scaled));
    }

    #[test]
    fn without_ties_no_more_than_the_share_would_go_on_in_any_order_of_coming(
        values in prop::collection::btree_set(-1000i32..1000, 1..40),
        factor in 2usize..6,
    ) {
        // In rising order each is the best so far; in falling order none after the first is.
        let rule = rule(factor, 0.2);
        let rising: Vec<f64> = values.into_iter().map(f64::from).collect();
        prop_assert!((1..=rising.len()).all(|n| rule.goes_on(&rising[..n])));
        let falling: Vec<f64> = rising.iter().rev().copied().collect();
        let on = (1..=falling.len()).filter(|&n| rule.goes_on(&falling[..n])).count();
        prop_assert_eq!(on, falling.len().min(factor - 1));
    }

    #[test]
    fn rungs_are_as_many_as_lie_below_the_whole(factor in 2usize..20, first in 0.001f64..0.999) {
        let rule = rule(factor, first);
        let rungs = rule.rungs();
        prop_assert!(rungs >= 1);
        prop_assert!(rule.share(rungs - 1) < 1.0);
        prop_assert!(rule.share(rungs) > 1.0 - 1e-6);
        for share in [0.0, first, 0.3, 0.5, 0.99] {
            prop_assert!(rule.reached(share) <= rungs);
        }
    }
}
