//! Ticks at round values, and their labels.
//!
//! Linear steps are 1, 2 or 5 times a power of ten (Heckbert, "Nice numbers for
//! graph labels", Graphics Gems, 1990); logarithmic ones are decades, with their
//! 2s and 5s where there are few of them.

use super::scale::{Extent, Kind, Scale};
use crate::format;

/// More ticks than this are an error of arithmetic, not an axis.
const MOST: usize = 40;

/// A labelled value of an axis.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tick {
    /// Its value, inside the scale's domain.
    pub(crate) value: f64,
    /// What stands beside it; empty for a small tick.
    pub(crate) label: String,
}

/// About `target` ticks for a scale.
pub(crate) fn ticks(scale: &Scale, target: usize) -> Vec<Tick> {
    match scale.kind() {
        Kind::Linear => linear(scale.domain(), target, None),
        Kind::Log => logarithmic(scale.domain(), target),
    }
}

/// About `target` ticks at whole numbers only, for counts and steps.
pub(crate) fn whole(scale: &Scale, target: usize) -> Vec<Tick> {
    linear(scale.domain(), target, Some(1.0))
}

/// A round step that cuts `span` into about `target` parts.
fn step(span: f64, target: usize) -> f64 {
    let raw = span / target.max(1) as f64;
    let power = 10f64.powf(raw.log10().floor());
    let part = raw / power;
    // Cuts at the geometric means between 1, 2, 5 and 10.
    let nice = if part < 2f64.sqrt() {
        1.0
    } else if part < 10f64.sqrt() {
        2.0
    } else if part < 50f64.sqrt() {
        5.0
    } else {
        10.0
    };
    nice * power
}

fn linear(domain: Extent, target: usize, least: Option<f64>) -> Vec<Tick> {
    let mut step = step(domain.span(), target);
    if let Some(least) = least {
        step = step.max(least);
    }
    if !(step.is_finite() && step > 0.0) {
        return Vec::new();
    }
    // Half an ulp's worth of slack keeps an end that is itself round.
    let slack = step * 1e-9;
    let first = ((domain.low - slack) / step).ceil();
    let decimals = decimals(step);
    let largest = domain.low.abs().max(domain.high.abs());
    (0..MOST)
        .map(|k| (first + k as f64) * step)
        .take_while(|&value| value <= domain.high + slack)
        .map(|value| value.clamp(domain.low, domain.high))
        .map(|value| Tick {
            value,
            label: label(value, decimals, largest),
        })
        .collect()
}

/// Decimals that tell multiples of `step` apart.
fn decimals(step: f64) -> i32 {
    (-(step.log10() + 1e-9).floor()) as i32
}

fn label(value: f64, decimals: i32, largest: f64) -> String {
    if largest >= 1e7 || decimals > 6 {
        return format::short(value);
    }
    let decimals = decimals.max(0) as usize;
    if value.abs() < 0.5 * 10f64.powi(-(decimals as i32)) {
        return "0".into();
    }
    if decimals == 0 {
        return format::grouped(value);
    }
    format::fixed(value, decimals)
}

fn logarithmic(domain: Extent, target: usize) -> Vec<Tick> {
    let (low, high) = (domain.low.log10(), domain.high.log10());
    let decades = high - low;
    // Every how many decades a tick stands.
    let stride = (decades / target.max(1) as f64).ceil().max(1.0) as i32;
    let multiples: &[f64] = if decades <= 0.5 {
        &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0]
    } else if decades * 3.0 <= target as f64 + 1.0 {
        &[1.0, 2.0, 5.0]
    } else if decades * 2.0 <= target as f64 + 1.0 {
        &[1.0, 3.0]
    } else {
        &[1.0]
    };
    let first = low.floor() as i32;
    let last = high.ceil() as i32;
    (first..=last)
        .filter(|power| power.rem_euclid(stride) == 0)
        .flat_map(|power| multiples.iter().map(move |m| m * 10f64.powi(power)))
        .filter(|&value| domain.contains(value))
        .take(MOST)
        .map(|value| Tick {
            value,
            label: format::short(value),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(low: f64, high: f64, target: usize) -> Vec<String> {
        let scale = Scale::linear(Extent { low, high }, 0.0, 1.0);
        ticks(&scale, target).into_iter().map(|t| t.label).collect()
    }

    #[test]
    fn ticks_are_round_and_their_labels_as_short_as_they_can_be() {
        assert_eq!(
            labels(0.0, 1.0, 5),
            ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(labels(0.871, 0.884, 4), ["0.875", "0.880"]);
        assert_eq!(labels(-12.0, 31.0, 4), ["−10", "0", "10", "20", "30"]);
        assert_eq!(
            labels(0.0, 2400.0, 4),
            ["0", "500", "1\u{202f}000", "1\u{202f}500", "2\u{202f}000"]
        );
    }

    #[test]
    fn a_log_axis_shows_decades_and_few_of_them_get_company() {
        let of = |low, high| -> Vec<String> {
            let scale = Scale::log(Extent { low, high }, 0.0, 0.0, 1.0);
            ticks(&scale, 5).into_iter().map(|t| t.label).collect()
        };
        assert_eq!(of(9e-7, 1.1e-4), ["1e-6", "3e-6", "1e-5", "3e-5", "1e-4"]);
        assert_eq!(of(9e-9, 1.1), ["1e-8", "1e-6", "1e-4", "0.01", "1"]);
    }

    #[test]
    fn counts_have_no_ticks_between_whole_numbers() {
        let scale = Scale::linear(
            Extent {
                low: 0.0,
                high: 2.0,
            },
            0.0,
            1.0,
        );
        let values: Vec<f64> = whole(&scale, 6).into_iter().map(|t| t.value).collect();
        assert_eq!(values, [0.0, 1.0, 2.0]);
    }

    proptest! {
        #[test]
        fn ticks_lie_in_the_domain_rise_and_are_about_as_many_as_asked(
            low in -1e6..1e6f64, span in 1e-3..1e6f64, target in 2usize..10,
        ) {
            let scale = Scale::linear(Extent { low, high: low + span }, 0.0, 1.0);
            let found = ticks(&scale, target);
            prop_assert!(found.len() <= 2 * target + 2, "{found:?}");
            prop_assert!(found.len() + 1 >= target / 2, "{found:?}");
            prop_assert!(found.windows(2).all(|w| w[0].value < w[1].value));
            prop_assert!(found.iter().all(|t| scale.domain().contains(t.value)));
            let mut labels: Vec<_> = found.iter().map(|t| &t.label).collect();
            labels.dedup();
            prop_assert_eq!(labels.len(), found.len());
        }

        #[test]
        fn no_domain_makes_ticks_without_end(a: f64, b: f64, target in 0usize..20) {
            if let Some(extent) = Extent::of([a, b]) {
                prop_assert!(ticks(&Scale::linear(extent, 0.0, 1.0), target).len() <= MOST);
                prop_assert!(ticks(&Scale::log(extent, 0.1, 0.0, 1.0), target).len() <= MOST);
                prop_assert!(whole(&Scale::linear(extent, 0.0, 1.0), target).len() <= MOST);
            }
        }
    }
}
