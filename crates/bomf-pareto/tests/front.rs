//! The incremental front against the front of the whole set.

use bomf_pareto::{Front, Insertion, dominates, non_dominated};
use proptest::prelude::*;

fn points() -> impl Strategy<Value = Vec<Vec<f64>>> {
    prop::collection::vec(
        prop::collection::vec(
            prop_oneof![9 => (0_u8..5).prop_map(f64::from), 1 => Just(f64::NAN)],
            3,
        ),
        0..20,
    )
}

proptest! {
    #[test]
    fn equals_the_front_of_the_whole_set(y in points()) {
        let mut front = Front::new(3);
        for (i, p) in y.iter().enumerate() {
            front.insert(i, p).unwrap();
        }
        prop_assert_eq!(front.ids(), non_dominated(&y).unwrap());
    }

    #[test]
    fn no_point_dominates_another_and_none_is_lost(y in points()) {
        let front = non_dominated(&y).unwrap();
        for &i in &front {
            prop_assert!(front.iter().all(|&k| !dominates(&y[k], &y[i])));
        }
        for p in y.iter().filter(|p| p.iter().all(|v| !v.is_nan())) {
            prop_assert!(front.iter().any(|&k| dominates(&y[k], p) || &y[k] == p));
        }
    }
}

#[test]
fn refuses_other_lengths_and_leaves_nan_out() {
    let mut front = Front::new(2);
    assert!(front.insert(0, &[1.0]).is_err());
    assert_eq!(
        front.insert(0, &[f64::NAN, 1.0]).unwrap(),
        Insertion::NotComparable
    );
    assert!(front.is_empty());
}
