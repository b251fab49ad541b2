//! How much of the differences between trials goes with one hyperparameter alone.
//!
//! Trials are grouped by a hyperparameter (equal counts along a numeric one, equal values of
//! another); with `k` groups of `n` trials,
//!
//! ```text
//! ε² = (SS_between − (k − 1) MS_within) / SS_total
//! ```
//!
//! (Kelley, "An unbiased correlation ratio measure", PNAS 21, 1935): the share of the variance
//! of the values between the groups, less what chance alone would put there; below 0 it is 0.
//! It sees no interplay of hyperparameters, and only where the search went.

use super::WIDTH;
use crate::format;
use crate::names;
use crate::svg::Figure;
use crate::svg::node::{Node, group, line, rect, text};
use crate::svg::text::shortened;
use bomf_study::Stage1Trial;
use serde_json::Value;

/// Trials a group, at least, and groups, at most.
const LEAST_IN_GROUP: usize = 3;
const MOST_GROUPS: usize = 8;
/// Fewer trials say nothing.
pub(crate) const LEAST_TRIALS: usize = 2 * LEAST_IN_GROUP;
const ROW: f64 = 26.0;

/// ε² of every hyperparameter, the largest first; empty with fewer than [`LEAST_TRIALS`] trials
/// that have a value, or where all values are equal.
pub(crate) fn importances(trials: &[Stage1Trial]) -> Vec<(String, f64)> {
    let valued: Vec<(&Stage1Trial, f64)> = trials
        .iter()
        .filter_map(|t| Some((t, t.value.filter(|v| v.is_finite())?)))
        .collect();
    let mut names: Vec<&String> = Vec::new();
    for name in valued.iter().flat_map(|(t, _)| t.parameters.keys()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut all: Vec<(String, f64)> = names
        .into_iter()
        .filter_map(|name| {
            let with = valued.iter();
            let pairs: Vec<(&Value, f64)> = with
                .filter_map(|(t, v)| Some((t.parameters.get(name)?, *v)))
                .collect();
            Some((name.clone(), explained(pairs)?))
        })
        .collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all
}

fn explained(mut pairs: Vec<(&Value, f64)>) -> Option<f64> {
    let n = pairs.len();
    if n < LEAST_TRIALS {
        return None;
    }
    let are_numbers = pairs.iter().all(|(p, _)| p.is_number());
    if are_numbers {
        let number = |p: &Value| p.as_f64().unwrap_or(0.0);
        pairs.sort_by(|a, b| number(a.0).total_cmp(&number(b.0)));
    } else {
        pairs.sort_by_cached_key(|(p, _)| p.to_string());
    }
    let size = n.div_ceil(MOST_GROUPS.min(n / LEAST_IN_GROUP));
    let mut groups: Vec<Vec<f64>> = Vec::new();
    let mut before: Option<&Value> = None;
    for (parameter, value) in pairs {
        let is_same = before == Some(parameter);
        let is_full = !are_numbers || groups.last().is_none_or(|g| g.len() >= size);
        // Equal values of the hyperparameter stay together.
        match groups.last_mut() {
            Some(group) if is_same || !is_full => group.push(value),
            _ => groups.push(vec![value]),
        }
        before = Some(parameter);
    }
    let k = groups.len();
    let mean = |values: &mut dyn Iterator<Item = f64>| -> f64 {
        let (sum, n) = values.fold((0.0, 0.0), |(s, n), v| (s + v, n + 1.0));
        sum / n
    };
    let all = mean(&mut groups.iter().flatten().copied());
    let (mut between, mut within) = (0.0, 0.0);
    for group in &groups {
        let own = mean(&mut group.iter().copied());
        between += group.len() as f64 * (own - all).powi(2);
        within += group.iter().map(|v| (v - own).powi(2)).sum::<f64>();
    }
    let total = between + within;
    if !total.is_finite() || total <= 0.0 {
        return None;
    }
    if k < 2 || n <= k {
        return Some(0.0);
    }
    let chance = (k - 1) as f64 * within / (n - k) as f64;
    Some(((between - chance) / total).clamp(0.0, 1.0))
}

/// The figure; `None` where nothing can be said.
pub(crate) fn importance(trials: &[Stage1Trial]) -> Option<Node> {
    let all = importances(trials);
    if all.is_empty() {
        return None;
    }
    let (left, right) = (150.0, WIDTH - 70.0);
    let height = 20.0 + all.len() as f64 * ROW;
    let mut figure = Figure::new(
        "importance",
        WIDTH,
        height,
        "Importance of the hyperparameters",
        "For each hyperparameter the share of the variance of the trials' values that goes with it alone.",
    );
    let mut bars = group("k-checkpoint");
    for (k, (name, share)) in all.iter().enumerate() {
        let y = 8.0 + k as f64 * ROW;
        let title = shortened(&names::parameter(name), 20);
        bars.push(text(left - 12.0, y + 14.0, "end", "row", title));
        bars.push(rect(left, y + 3.0, right - left, 14.0, "shade"));
        bars.push(rect(left, y + 3.0, share * (right - left), 14.0, "bar"));
        let label = format!("{} %", format::fixed(100.0 * share, 0));
        bars.push(text(right + 10.0, y + 14.0, "start", "val", label));
    }
    figure.push(bars);
    figure.push(line((left, 6.0), (left, height - 8.0), "base"));
    Some(figure.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn trial(x: Value, y: Value, value: f64) -> Stage1Trial {
        Stage1Trial {
            pruned: false,
            parameters: [("x".to_string(), x), ("y".to_string(), y)]
                .into_iter()
                .collect(),
            select: Default::default(),
            value: Some(value),
            seconds: 1.0,
        }
    }

    #[test]
    fn what_decides_comes_first_and_what_does_not_has_none() {
        let trials: Vec<Stage1Trial> = (0..40)
            .map(|i| trial(json!(i), json!(i * 17 % 40), f64::from(i * i)))
            .collect();
        let all = importances(&trials);
        assert_eq!(all[0].0, "x");
        assert!(all[0].1 > 0.9, "{all:?}");
        assert!(all[1].1 < 0.3, "{all:?}");
    }

    #[test]
    fn words_are_groups_and_few_or_equal_trials_say_nothing() {
        let words: Vec<Stage1Trial> = (0..12)
            .map(|i| trial(json!(["a", "b"][i % 2]), json!(1), (i % 2) as f64))
            .collect();
        assert_eq!(
            importances(&words),
            [("x".to_string(), 1.0), ("y".to_string(), 0.0)]
        );
        assert!(importances(&words[..5]).is_empty());
        let equal: Vec<Stage1Trial> = (0..12).map(|i| trial(json!(i), json!(i), 0.5)).collect();
        assert!(importances(&equal).is_empty());
        assert!(importances(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn a_share_is_a_share(values in prop::collection::vec((any::<f64>(), any::<f64>()), 0..40)) {
            let trials: Vec<Stage1Trial> = values
                .iter()
                .map(|(x, value)| trial(json!(x), json!("w"), *value))
                .collect();
            for (_, share) in importances(&trials) {
                prop_assert!((0.0..=1.0).contains(&share), "{share}");
            }
        }
    }
}
