//! Learned averages: weights on the simplex by gradient descent on the loss.
//!
//! Wortsman et al., "Model soups", ICML 2022 (arXiv 2203.05482), appendix I ("learned soup"),
//! on the checkpoints of one run as in BOMF (arXiv 2411.06710, "learned SWA"). One backward
//! pass at `theta(w)` gives every slope at once, `d loss / d w_i = <grad theta(w), theta_i>`
//! ([`slopes`]); on the simplex only their differences matter.
//!
//! The descent is exponentiated gradient (Kivinen and Warmuth, "Exponentiated gradient versus
//! gradient descent for linear predictors", 1997), `w_i <- w_i exp(-eta s_i) / Z`: gradient
//! descent in the geometry that softmax weights have. The step `eta` is found by trying.

use crate::error::{FuseError, Result};
use crate::members::{Groups, MemberSet};
use multiversion::multiversion;
use rayon::prelude::*;

/// Elements of a piece whose products one task sums.
const PIECE: usize = 1 << 16;

/// The first step moves the logarithms of the weights by so much at most.
const FIRST_STEP: f64 = 1.0;

/// A step that helped is followed by one this many times longer, one that did not is tried
/// again this many times shorter.
const LONGER: f64 = 2.0;
const SHORTER: f64 = 0.25;

/// Steps that move no logarithm of a weight by more than this are none.
const LEAST_STEP: f64 = 1e-3;

/// `<gradient, theta_i - theta_1>` for every member i: how fast the loss changes when weight
/// moves from the first member to the i-th (0 for the first). `gradient` is that of the loss with
/// respect to the fused parameters.
///
/// Differences of near numbers are exact or nearly so, products and sums run in `f64`.
///
/// # Errors
/// [`FuseError::NoMembers`], [`FuseError::OutputLength`] for a gradient of another length.
pub fn slopes(members: &MemberSet<'_>, gradient: &[f32]) -> Result<Vec<f64>> {
    let mut sum = vec![0.0; members.len()];
    for (_, part) in products(members, gradient)? {
        sum.iter_mut().zip(part).for_each(|(s, p)| *s += p);
    }
    Ok(sum)
}

/// As [`slopes`], for weights of each group of segments: how fast the loss changes when weight
/// moves from the first member to the i-th in that group alone (shape groups x members). Over
/// all groups they sum to `slopes`.
///
/// # Errors
/// Those of `slopes`; [`FuseError::OtherSegments`] for groups of other segments.
pub fn group_slopes(
    members: &MemberSet<'_>,
    groups: &Groups,
    gradient: &[f32],
) -> Result<Vec<Vec<f64>>> {
    if groups.num_segments() != members.segments().len() {
        return Err(FuseError::OtherSegments {
            expected: members.segments().len(),
            found: groups.num_segments(),
        });
    }
    let mut sums = vec![vec![0.0; members.len()]; groups.len()];
    for (segment, part) in products(members, gradient)? {
        let sum = &mut sums[groups.of(segment)];
        sum.iter_mut().zip(part).for_each(|(s, p)| *s += p);
    }
    Ok(sums)
}

/// The products of a gradient with the members' differences from the first, piece by piece,
/// each with its segment: the same for any number of threads.
fn products(members: &MemberSet<'_>, gradient: &[f32]) -> Result<Vec<(usize, Vec<f64>)>> {
    if members.is_empty() {
        return Err(FuseError::NoMembers);
    }
    if gradient.len() != members.dim() {
        return Err(FuseError::OutputLength {
            expected: members.dim(),
            found: gradient.len(),
        });
    }
    let n = members.len();
    let pieces: Vec<(usize, usize)> = members
        .segments()
        .iter()
        .enumerate()
        .flat_map(|(i, segment)| (0..segment.len).step_by(PIECE).map(move |start| (i, start)))
        .collect();
    Ok(pieces
        .par_iter()
        .map(|&(segment, start)| {
            let place = &members.segments()[segment];
            let range = start..place.len.min(start + PIECE);
            let slope = &gradient[place.offset + range.start..place.offset + range.end];
            let first = &members.values(0, segment)[range.clone()];
            let product = |i| product(slope, &members.values(i, segment)[range.clone()], first);
            let part = (0..n).map(|i| if i == 0 { 0.0 } else { product(i) });
            (segment, part.collect())
        })
        .collect())
}

/// `<g, x - y>`, summed in lanes whose number does not depend on the machine.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn product(g: &[f32], x: &[f32], y: &[f32]) -> f64 {
    const LANES: usize = 16;
    let mut lanes = [0.0f64; LANES];
    let whole = g.len() / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        let at = start..start + LANES;
        let (g, x, y) = (&g[at.clone()], &x[at.clone()], &y[at]);
        for k in 0..LANES {
            lanes[k] += f64::from(g[k]) * (f64::from(x[k]) - f64::from(y[k]));
        }
    }
    let rest = whole..g.len();
    let tail: f64 = rest
        .map(|k| f64::from(g[k]) * (f64::from(x[k]) - f64::from(y[k])))
        .sum();
    lanes.iter().sum::<f64>() + tail
}

/// Descends from weights that are all above 0 (the average, say), for at most `budget` values
/// of the loss. `loss` gives it for weights (`None` where it is not finite), `slopes` its slopes
/// there, up to a constant. Returns the best weights and their loss; the start where the loss is
/// `None` already.
///
/// # Errors
/// Whatever the closures return.
pub fn search<E>(
    start: &[f64],
    budget: usize,
    mut loss: impl FnMut(&[f64]) -> std::result::Result<Option<f64>, E>,
    mut slopes: impl FnMut(&[f64]) -> std::result::Result<Vec<f64>, E>,
) -> std::result::Result<(Vec<f64>, Option<f64>), E> {
    let mut weights = start.to_vec();
    if budget == 0 {
        return Ok((weights, None));
    }
    let mut best = loss(&weights)?;
    let mut left = budget - 1;
    let mut step = FIRST_STEP;
    while let (Some(value), true) = (best, left > 0) {
        let slope = slopes(&weights)?;
        let mean: f64 = weights.iter().zip(&slope).map(|(w, s)| w * s).sum();
        let centred: Vec<f64> = slope.iter().map(|s| s - mean).collect();
        let steepest = centred.iter().map(|s| s.abs()).fold(0.0, f64::max);
        if !(steepest > 0.0 && steepest.is_finite()) {
            break;
        }
        let mut moved = false;
        while left > 0 && step >= LEAST_STEP {
            let trial = moved_by(&weights, &centred, step / steepest);
            left -= 1;
            let found = loss(&trial)?;
            if found.is_some_and(|found| found < value) {
                (weights, best, moved) = (trial, found, true);
                step *= LONGER;
                break;
            }
            step *= SHORTER;
        }
        if !moved {
            break;
        }
    }
    Ok((weights, best))
}

fn moved_by(weights: &[f64], slope: &[f64], eta: f64) -> Vec<f64> {
    let scaled = weights.iter().zip(slope).map(|(w, s)| w * (-eta * s).exp());
    let mut moved: Vec<f64> = scaled.collect();
    let sum: f64 = moved.iter().sum();
    moved.iter_mut().for_each(|w| *w /= sum);
    moved
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::members::{MemberTensor, Values};

    /// A smooth loss whose best weights lie inside the simplex.
    fn distance(w: &[f64], to: &[f64]) -> f64 {
        w.iter().zip(to).map(|(a, b)| (a - b).powi(2)).sum()
    }

    fn descend(to: &[f64], budget: usize) -> (Vec<f64>, usize) {
        let mut spent = 0;
        let start = vec![1.0 / to.len() as f64; to.len()];
        let found = search::<()>(
            &start,
            budget,
            |w| {
                spent += 1;
                Ok(Some(distance(w, to)))
            },
            |w| Ok(w.iter().zip(to).map(|(a, b)| 2.0 * (a - b)).collect()),
        );
        (found.unwrap().0, spent)
    }

    #[test]
    fn the_best_weights_are_found_inside_and_at_a_vertex() {
        for to in [[0.6, 0.3, 0.1], [1.0, 0.0, 0.0]] {
            let (found, spent) = descend(&to, 300);
            assert!(distance(&found, &to) < 1e-3, "{found:?}");
            assert!(spent <= 300);
        }
    }

    #[test]
    fn the_budget_is_kept_and_no_step_makes_it_worse() {
        let to = [0.1, 0.2, 0.7];
        let mut before = f64::INFINITY;
        for budget in 1..20 {
            let (found, spent) = descend(&to, budget);
            let after = distance(&found, &to);
            assert!(spent <= budget && after <= before);
            assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            before = after;
        }
        assert_eq!(descend(&to, 0).1, 0);
    }

    #[test]
    fn a_loss_that_is_not_finite_or_flat_leaves_the_start() {
        let start = [0.5, 0.5];
        let flat = search::<()>(&start, 9, |_| Ok(Some(1.0)), |_| Ok(vec![3.0, 3.0]));
        assert_eq!(flat, Ok((start.to_vec(), Some(1.0))));
        let broken = search::<()>(&start, 9, |_| Ok(None), |_| Ok(vec![0.0, 1.0]));
        assert_eq!(broken, Ok((start.to_vec(), None)));
        let nan = search::<()>(&start, 9, |_| Ok(Some(1.0)), |_| Ok(vec![f64::NAN, 1.0]));
        assert_eq!(nan, Ok((start.to_vec(), Some(1.0))));
    }

    #[test]
    fn slopes_are_products_with_the_differences_on_any_number_of_threads() {
        // Longer than a piece, and no multiple of the lanes.
        let len = PIECE + 37;
        let values = |seed: usize| -> Vec<f32> {
            (0..len)
                .map(|i| ((i * 7 + seed * 13) % 101) as f32 / 50.0 - 1.0)
                .collect()
        };
        let mut members = MemberSet::new();
        for seed in 0..3 {
            let tensor = MemberTensor {
                name: "w".into(),
                shape: vec![len],
                values: Values::Owned(values(seed)),
            };
            members.push(format!("{seed}"), vec![tensor]).unwrap();
        }
        let gradient = values(9);
        let found = slopes(&members, &gradient).unwrap();
        for (i, slope) in found.iter().enumerate() {
            let exact: f64 = values(i)
                .iter()
                .zip(values(0))
                .zip(&gradient)
                .map(|((x, y), g)| (f64::from(*x) - f64::from(y)) * f64::from(*g))
                .sum();
            assert!((slope - exact).abs() <= 1e-9 * exact.abs().max(1.0));
        }
        let alone = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap();
        assert_eq!(
            alone.install(|| slopes(&members, &gradient)).unwrap(),
            found
        );
        assert!(slopes(&members, &gradient[1..]).is_err());
        assert!(slopes(&MemberSet::new(), &[]).is_err());
    }

    #[test]
    fn slopes_by_group_are_the_central_differences_of_a_loss_and_sum_to_the_slopes() {
        let names = ["embeddings.w", "layer.0.w", "layer.1.w", "classifier.w"];
        let value = |member: usize, i: usize| ((i * 7 + member * 13) % 31) as f32 / 15.0 - 1.0;
        let mut members = MemberSet::new();
        for member in 0..3 {
            let tensor = |(k, name): (usize, &&str)| MemberTensor {
                name: name.to_string(),
                shape: vec![5],
                values: Values::Owned((0..5).map(|i| value(member, 5 * k + i)).collect()),
            };
            let tensors = names.iter().enumerate().map(tensor).collect();
            members.push(format!("{member}"), tensors).unwrap();
        }
        let groups = Groups::proposed(members.segments(), 1);
        assert_eq!(groups.names(), ["embeddings", "layers 0 to 1", "head"]);
        // Half the squared distance from a target: its gradient is exact, and so are central
        // differences but for rounding to f32.
        let target: Vec<f32> = (0..20).map(|i| (i as f32 * 0.7).sin()).collect();
        let fused = |weights: &[Vec<f64>]| {
            let mut out = vec![0.0; 20];
            members
                .fuse_groups_into(&groups, weights, &mut out)
                .unwrap();
            out
        };
        let loss = |weights: &[Vec<f64>]| -> f64 {
            let pairs = fused(weights).into_iter().zip(&target);
            pairs.map(|(x, t)| 0.5 * f64::from(x - t).powi(2)).sum()
        };
        let at = vec![
            vec![0.2, 0.3, 0.5],
            vec![0.5, 0.25, 0.25],
            vec![0.0, 0.6, 0.4],
        ];
        let gradient: Vec<f32> = fused(&at).iter().zip(&target).map(|(x, t)| x - t).collect();
        let found = group_slopes(&members, &groups, &gradient).unwrap();
        for group in 0..3 {
            for member in 0..3 {
                let moved = |step: f64| {
                    let mut weights = at.clone();
                    weights[group][0] -= step;
                    weights[group][member] += step;
                    loss(&weights)
                };
                let numeric = (moved(0.125) - moved(-0.125)) / 0.25;
                let slope = found[group][member];
                assert!((slope - numeric).abs() < 1e-5, "{slope} {numeric}");
            }
        }
        let whole = slopes(&members, &gradient).unwrap();
        for (member, slope) in whole.iter().enumerate() {
            let sum: f64 = found.iter().map(|own| own[member]).sum();
            assert!((sum - slope).abs() < 1e-12);
        }
        let other = Groups::one(&members.segments()[1..]);
        assert!(matches!(
            group_slopes(&members, &other, &gradient),
            Err(FuseError::OtherSegments { .. })
        ));
    }
}
