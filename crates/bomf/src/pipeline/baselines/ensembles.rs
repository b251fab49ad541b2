//! Predictions combined: `weighted_ensemble` and `stacking`. They keep every member at
//! inference; fitting them costs no forward pass, since the members' outputs are there.
//!
//! - The weighted ensemble is the mixture of the members' probabilities with the highest
//!   likelihood on the select split, which is concave in the weights; expectation
//!   maximisation climbs to it (Dempster, Laird and Rubin 1977, section 4.3). For a regression
//!   it is the convex combination with the least squared error.
//! - Stacking (Wolpert, "Stacked generalization", Neural Networks 1992; Ting and Witten 1999 on
//!   probabilities) is a multinomial logistic regression on the members' log-probabilities with
//!   one coefficient a member and a bias a class, drawn to the mean of the log-probabilities by
//!   a ridge penalty; for a regression a ridge regression on the members' values (Breiman,
//!   "Stacked regressions", 1996). The penalty is chosen by cross-validation.

use super::newton::{Convex, minimise};
use crate::pipeline::evaluator::Member;
use crate::pipeline::task::Task;
use bomf_study::MethodName;
use bomf_tune::data::Labels;
use std::time::Instant;

/// Rounds of expectation maximisation at most, and the gain in mean log-likelihood that ends
/// them.
const ROUNDS: usize = 2000;
const GAIN: f64 = 1e-10;

/// Parts of the cross-validation.
const FOLDS: usize = 5;

/// Penalties that are tried, weakest first.
const PENALTIES: [f64; 5] = [1e-4, 1e-3, 1e-2, 1e-1, 1.0];

/// Probabilities are no smaller than this before their logarithm is taken.
const LEAST: f64 = f32::MIN_POSITIVE as f64;

/// A way to combine the members' outputs that was fitted on the select split.
pub(in crate::pipeline) struct Combined {
    pub name: MethodName,
    /// Its outputs on the select split.
    pub select: Vec<f32>,
    /// What it took to fit it.
    pub seconds: f64,
    /// The members that take part: those whose outputs are finite.
    members: Vec<usize>,
    rule: Rule,
}

enum Rule {
    /// Weights of probabilities, or of values.
    Weighted(Vec<f64>),
    /// A coefficient a member, then a bias a class (or one).
    Stacked(Vec<f64>),
}

impl Combined {
    /// The combined outputs on another split, from those of all members there.
    pub fn outputs(&self, members: &[&[f32]], labels: &Labels) -> Vec<f32> {
        let own: Vec<&[f32]> = self.members.iter().map(|&i| members[i]).collect();
        let targets = Targets::of(labels);
        targets.map_or_else(Vec::new, |targets| {
            Design::new(&own, targets).combine(&self.rule)
        })
    }
}

/// Outputs of the members on a split: probabilities, or values of a regression.
struct Design<'a> {
    /// By member, `[examples, classes]`: log-probabilities or values.
    inputs: Vec<Vec<f64>>,
    targets: Targets<'a>,
    classes: usize,
}

/// What the outputs are to give, the tags of words being classes. Predictions of tokens and
/// answers are not combined here.
#[derive(Clone, Copy)]
enum Targets<'a> {
    Classes(&'a [u32]),
    Values(&'a [f32]),
}

impl<'a> Targets<'a> {
    fn of(labels: &'a Labels) -> Option<Self> {
        match labels {
            Labels::Class(ids) => Some(Targets::Classes(ids)),
            Labels::Value(values) => Some(Targets::Values(values)),
            Labels::Tags(tags) => Some(Targets::Classes(&tags.ids)),
            Labels::Tokens(_) | Labels::Answers(_) => None,
        }
    }

    fn len(self) -> usize {
        match self {
            Targets::Classes(ids) => ids.len(),
            Targets::Values(values) => values.len(),
        }
    }
}

impl<'a> Design<'a> {
    fn new(members: &[&[f32]], targets: Targets<'a>) -> Self {
        let length = members.first().map_or(0, |outputs| outputs.len());
        let classes = match targets {
            Targets::Classes(ids) => length / ids.len().max(1),
            Targets::Values(_) => 0,
        };
        let inputs = members.iter().map(|outputs| match classes {
            0 => outputs.iter().map(|v| f64::from(*v)).collect(),
            classes => outputs.chunks(classes).flat_map(log_softmax).collect(),
        });
        Design {
            inputs: inputs.collect(),
            targets,
            classes,
        }
    }

    fn width(&self) -> usize {
        self.classes.max(1)
    }

    fn examples(&self) -> usize {
        self.targets.len()
    }

    fn combine(&self, rule: &Rule) -> Vec<f32> {
        let width = self.width();
        let length = self.examples() * width;
        let n = self.inputs.len();
        let sum = |weights: &[f64], at: usize, is_exp: bool| -> f64 {
            let terms = self.inputs.iter().zip(weights);
            let value = |z: f64| if is_exp { z.exp() } else { z };
            terms.map(|(z, w)| w * value(z[at])).sum()
        };
        let out = (0..length).map(|at| match rule {
            Rule::Weighted(w) if self.classes > 0 => sum(w, at, true).max(LEAST).ln(),
            Rule::Weighted(w) => sum(w, at, false),
            Rule::Stacked(p) => sum(&p[..n], at, false) + p[n + at % width],
        });
        out.map(|v| v as f32).collect()
    }
}

fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let shifted = || logits.iter().map(|z| f64::from(z - max));
    let log_sum = shifted().map(f64::exp).sum::<f64>().ln();
    shifted().map(|z| z - log_sum).collect()
}

fn fitted(
    name: MethodName,
    members: &[Member],
    task: &Task,
    fit: impl FnOnce(&Design<'_>) -> Rule,
) -> Option<Combined> {
    let started = Instant::now();
    let targets = Targets::of(&task.select.labels)?;
    let own: Vec<usize> = (0..members.len())
        .filter(|&i| !members[i].outputs.is_empty())
        .collect();
    if own.is_empty() {
        return None;
    }
    let outputs: Vec<&[f32]> = own.iter().map(|&i| members[i].outputs.as_slice()).collect();
    let design = Design::new(&outputs, targets);
    let rule = fit(&design);
    Some(Combined {
        name,
        select: design.combine(&rule),
        seconds: started.elapsed().as_secs_f64(),
        members: own,
        rule,
    })
}

/// The best weights of the members' predictions; `None` where no member gives any.
pub(super) fn weighted(members: &[Member], task: &Task) -> Option<Combined> {
    fitted(MethodName::WeightedEnsemble, members, task, |design| {
        Rule::Weighted(match design.targets {
            Targets::Classes(ids) => likeliest(&design.inputs, ids, design.classes),
            Targets::Values(values) => least_squares(&design.inputs, values),
        })
    })
}

/// Weights of the highest likelihood.
fn likeliest(log_probabilities: &[Vec<f64>], ids: &[u32], classes: usize) -> Vec<f64> {
    let n = log_probabilities.len();
    let mut weights = vec![1.0 / n as f64; n];
    let of_label = |i: usize, example: usize| {
        let at = example * classes + ids[example] as usize;
        log_probabilities[i][at].exp().max(LEAST)
    };
    let mut before = f64::NEG_INFINITY;
    for _ in 0..ROUNDS {
        let mut next = vec![0.0; n];
        let mut likelihood = 0.0;
        for example in 0..ids.len() {
            let joint: Vec<f64> = (0..n).map(|i| weights[i] * of_label(i, example)).collect();
            let sum: f64 = joint.iter().sum();
            likelihood += sum.ln() / ids.len() as f64;
            for (next, joint) in next.iter_mut().zip(&joint) {
                *next += joint / sum / ids.len() as f64;
            }
        }
        if likelihood - before <= GAIN || !likelihood.is_finite() {
            break;
        }
        before = likelihood;
        weights = next;
    }
    weights
}

/// Weights on the simplex of the least squared error: mass moves from the member whose
/// slope is worst to the one whose slope is best, by the exact step, until no move helps.
fn least_squares(values: &[Vec<f64>], targets: &[f32]) -> Vec<f64> {
    let n = values.len();
    let mut weights = vec![1.0 / n as f64; n];
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    for _ in 0..ROUNDS {
        let residual: Vec<f64> = targets
            .iter()
            .enumerate()
            .map(|(e, y)| (0..n).map(|i| weights[i] * values[i][e]).sum::<f64>() - f64::from(*y))
            .collect();
        let slope: Vec<f64> = values.iter().map(|v| dot(v, &residual)).collect();
        let used = (0..n).filter(|&i| weights[i] > 0.0);
        let worst = used.max_by(|&a, &b| slope[a].total_cmp(&slope[b]));
        let best = (0..n).min_by(|&a, &b| slope[a].total_cmp(&slope[b]));
        let (Some(from), Some(to)) = (worst, best) else {
            break;
        };
        let direction: Vec<f64> = values[to]
            .iter()
            .zip(&values[from])
            .map(|(a, b)| a - b)
            .collect();
        let (gain, curve) = (slope[from] - slope[to], dot(&direction, &direction));
        if !(gain > GAIN * targets.len() as f64 && curve > 0.0) {
            break;
        }
        let step = (gain / curve).min(weights[from]);
        weights[to] += step;
        weights[from] -= step;
    }
    weights
}

/// A regression on the members' outputs; `None` where no member gives any.
pub(super) fn stacking(members: &[Member], task: &Task) -> Option<Combined> {
    fitted(MethodName::Stacking, members, task, |design| {
        let examples: Vec<usize> = (0..design.examples()).collect();
        let error_of = |penalty: f64| -> f64 {
            (0..FOLDS)
                .map(|fold| {
                    let (test, train): (Vec<usize>, Vec<usize>) =
                        examples.iter().partition(|&&e| e % FOLDS == fold);
                    let p = regression(design, &train, penalty);
                    Regression {
                        design,
                        examples: &test,
                        penalty: 0.0,
                    }
                    .value(&p)
                        * test.len() as f64
                })
                .sum()
        };
        // Of equals the stronger one.
        let mut best = (f64::INFINITY, PENALTIES[PENALTIES.len() - 1]);
        for penalty in PENALTIES.into_iter().rev() {
            let error = error_of(penalty);
            if error < best.0 {
                best = (error, penalty);
            }
        }
        Rule::Stacked(regression(design, &examples, best.1))
    })
}

fn regression(design: &Design<'_>, examples: &[usize], penalty: f64) -> Vec<f64> {
    let n = design.inputs.len();
    let mut start = vec![1.0 / n as f64; n];
    start.resize(n + design.width(), 0.0);
    let problem = Regression {
        design,
        examples,
        penalty,
    };
    minimise(&problem, start)
}

/// The mean loss on some examples plus the penalty.
struct Regression<'a> {
    design: &'a Design<'a>,
    examples: &'a [usize],
    penalty: f64,
}

impl Regression<'_> {
    /// Inputs of an example by member for a class, and the combined score.
    fn score(&self, p: &[f64], example: usize, class: usize) -> f64 {
        let n = self.design.inputs.len();
        let at = example * self.design.width() + class;
        let terms = self.design.inputs.iter().zip(&p[..n]);
        terms.map(|(z, a)| a * z[at]).sum::<f64>() + p[n + class]
    }

    /// Probabilities of an example, and the log of their normaliser.
    fn probabilities(&self, p: &[f64], example: usize) -> (Vec<f64>, Vec<f64>, f64) {
        let scores: Vec<f64> = (0..self.design.width())
            .map(|class| self.score(p, example, class))
            .collect();
        let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let exp: Vec<f64> = scores.iter().map(|s| (s - max).exp()).collect();
        let sum: f64 = exp.iter().sum();
        let probabilities = exp.iter().map(|e| e / sum).collect();
        (scores, probabilities, max + sum.ln())
    }
}

impl Convex for Regression<'_> {
    fn value(&self, p: &[f64]) -> f64 {
        let n = self.design.inputs.len();
        let loss = |&example: &usize| match self.design.targets {
            Targets::Classes(ids) => {
                let (scores, _, log_sum) = self.probabilities(p, example);
                log_sum - scores[ids[example] as usize]
            }
            Targets::Values(values) => {
                0.5 * (self.score(p, example, 0) - f64::from(values[example])).powi(2)
            }
        };
        let count = self.examples.len().max(1) as f64;
        let mean = self.examples.iter().map(loss).sum::<f64>() / count;
        let even = 1.0 / n as f64;
        let drawn = |(i, p): (usize, &f64)| (p - if i < n { even } else { 0.0 }).powi(2);
        mean + 0.5 * self.penalty * p.iter().enumerate().map(drawn).sum::<f64>()
    }

    fn slopes(&self, p: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (n, width, size) = (self.design.inputs.len(), self.design.width(), p.len());
        let count = self.examples.len().max(1) as f64;
        let mut gradient = vec![0.0; size];
        let mut hessian = vec![0.0; size * size];
        for &example in self.examples {
            let z = |i: usize, class: usize| self.design.inputs[i][example * width + class];
            // d loss / d score, and its derivative: diag(q) - q q', or 1 for a square.
            let (residual, q): (Vec<f64>, Option<Vec<f64>>) = match self.design.targets {
                Targets::Classes(ids) => {
                    let (_, q, _) = self.probabilities(p, example);
                    let mut residual = q.clone();
                    residual[ids[example] as usize] -= 1.0;
                    (residual, Some(q))
                }
                Targets::Values(values) => {
                    let off = self.score(p, example, 0) - f64::from(values[example]);
                    (vec![off], None)
                }
            };
            for class in 0..width {
                (0..n).for_each(|i| gradient[i] += residual[class] * z(i, class) / count);
                gradient[n + class] += residual[class] / count;
            }
            let curve = |class: usize| q.as_ref().map_or(1.0, |q| q[class]);
            let is_class = q.is_some();
            let means: Vec<f64> = (0..n)
                .map(|i| match is_class {
                    true => (0..width).map(|c| curve(c) * z(i, c)).sum(),
                    false => 0.0,
                })
                .collect();
            for i in 0..n {
                for j in 0..=i {
                    let sum: f64 = (0..width).map(|c| curve(c) * z(i, c) * z(j, c)).sum();
                    hessian[i * size + j] += (sum - means[i] * means[j]) / count;
                }
            }
            for class in 0..width {
                let row = (n + class) * size;
                for i in 0..n {
                    hessian[row + i] += curve(class) * (z(i, class) - means[i]) / count;
                }
                hessian[row + n + class] += curve(class) / count;
                if is_class {
                    for other in 0..=class {
                        hessian[row + n + other] -= curve(class) * curve(other) / count;
                    }
                }
            }
        }
        let even = 1.0 / n as f64;
        for i in 0..size {
            gradient[i] += self.penalty * (p[i] - if i < n { even } else { 0.0 });
            hessian[i * size + i] += self.penalty;
        }
        (gradient, hessian)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Log-probabilities of two members of three classes on some examples.
    fn classes() -> (Vec<Vec<f32>>, Labels) {
        let labels: Vec<u32> = (0..40).map(|e| (e * 7 % 3) as u32).collect();
        // The first is right more often than not, the second guesses.
        let logits = |strength: f32, noise: usize| -> Vec<f32> {
            let label = |e: usize, c: usize| {
                let chance = ((e * 31 + c * 17 + noise * 13) % 19) as f32 / 9.5 - 1.0;
                strength * f32::from(u8::from(labels[e] as usize == c)) + chance
            };
            (0..40)
                .flat_map(|e| (0..3).map(move |c| (e, c)))
                .map(|(e, c)| label(e, c))
                .collect()
        };
        (vec![logits(1.5, 1), logits(0.1, 5)], Labels::Class(labels))
    }

    fn loss(outputs: &[f32], labels: &Labels) -> f64 {
        let Labels::Class(ids) = labels else { panic!() };
        let rows = outputs.chunks(3).zip(ids);
        let terms = rows.map(|(z, id)| -log_softmax(z)[*id as usize]);
        terms.sum::<f64>() / ids.len() as f64
    }

    #[test]
    fn the_weighted_ensemble_is_no_worse_than_any_other_mixture() {
        let (members, labels) = classes();
        let slices: Vec<&[f32]> = members.iter().map(Vec::as_slice).collect();
        let design = Design::new(&slices, Targets::of(&labels).unwrap());
        let Labels::Class(ids) = &labels else {
            panic!()
        };
        let weights = likeliest(&design.inputs, ids, 3);
        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        let of = |w: Vec<f64>| loss(&design.combine(&Rule::Weighted(w)), &labels);
        let best = of(weights);
        for share in 0..=100 {
            let share = f64::from(share) / 100.0;
            assert!(best <= of(vec![share, 1.0 - share]) + 1e-6, "{share}");
        }
    }

    #[test]
    fn stacking_stands_where_its_gradient_vanishes_and_the_gradient_is_right() {
        let (members, labels) = classes();
        let slices: Vec<&[f32]> = members.iter().map(Vec::as_slice).collect();
        let values: Vec<Vec<f32>> = vec![vec![0.1, 0.4, 0.2, 0.9], vec![1.0, 0.3, 0.5, 0.6]];
        let of_values: Vec<&[f32]> = values.iter().map(Vec::as_slice).collect();
        let targets = Labels::Value(vec![0.3, 0.4, 0.1, 1.1]);
        for (slices, labels) in [(slices, &labels), (of_values, &targets)] {
            let design = Design::new(&slices, Targets::of(labels).unwrap());
            let examples: Vec<usize> = (0..design.examples()).collect();
            let problem = Regression {
                design: &design,
                examples: &examples,
                penalty: 0.01,
            };
            let p: Vec<f64> = (0..2 + design.width())
                .map(|i| 0.3 - 0.2 * i as f64)
                .collect();
            let (gradient, hessian) = problem.slopes(&p);
            let step = 1e-5;
            for i in 0..p.len() {
                let moved = |by: f64| {
                    let mut moved = p.clone();
                    moved[i] += by;
                    moved
                };
                let slope =
                    (problem.value(&moved(step)) - problem.value(&moved(-step))) / (2.0 * step);
                assert!((slope - gradient[i]).abs() < 1e-8, "gradient {i}");
                let (up, _) = problem.slopes(&moved(step));
                let (down, _) = problem.slopes(&moved(-step));
                for j in 0..=i {
                    let curve = (up[j] - down[j]) / (2.0 * step);
                    assert!(
                        (curve - hessian[i * p.len() + j]).abs() < 1e-8,
                        "hessian {i} {j}"
                    );
                }
            }
            let fitted = regression(&design, &examples, 0.01);
            let (gradient, _) = problem.slopes(&fitted);
            assert!(gradient.iter().all(|g| g.abs() < 1e-6), "{gradient:?}");
        }
    }

    #[test]
    fn values_are_combined_with_the_least_squared_error_on_the_simplex() {
        let values = vec![
            vec![1.0, 0.0, 0.0],
            vec![0.0, 1.0, 0.0],
            vec![-5.0, -5.0, 9.0],
        ];
        let weights = least_squares(&values, &[0.25, 0.75, 0.0]);
        assert!(
            (weights[0] - 0.25).abs() < 1e-4 && (weights[1] - 0.75).abs() < 1e-4,
            "{weights:?}"
        );
        assert!(weights.iter().all(|w| *w >= 0.0));
        // Members that are all alike stay as they are.
        assert_eq!(least_squares(&vec![vec![1.0]; 2], &[3.0]), [0.5, 0.5]);
    }
}
