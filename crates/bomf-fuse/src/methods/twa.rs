//! Trainable weight averaging: training on in the plane through the members.
//!
//! Li, Huang, Tao, Cheng and Fei, "Trainable weight averaging: accelerating training and
//! improving generalization", ICLR 2023 (arXiv 2205.13104): the parameters move within the span of
//! the members alone, from their average, by gradients of the training loss projected onto an
//! orthonormal basis of it. Here the span is the affine one, through the members, so that weights
//! sum to 1; they may leave the simplex.
//!
//! Nothing of the model's size is orthogonalised. With `u` the weights of all members but the last,
//! `theta = theta_n + D u` (D: differences from the last), and with the Cholesky factor of `D'D = L L'`
//! the vector `b = L' u` holds the coordinates in the orthonormal basis `D L'^-1`: the slopes by `b`
//! are `L^-1 D' grad`. `D'D` comes from the [`Gram`] matrix of the members.

use crate::gram::Gram;

/// Shares of the mean squared distance that are added to `D'D`, so that members which are equal,
/// or lie in a line, have a factor, too: 1e-9 of a coordinate's square is far below what a step
/// moves it.
const RIDGE: f64 = 1e-9;

/// Adam's decays and the term in its denominator (Kingma and Ba 2015, section 2).
const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// The first step moves a coordinate by this share of the members' root mean squared distance from
/// their mean; later steps fall in a line to 0.
const STEP: f64 = 0.02;

/// The walk in the members' span.
#[derive(Debug, Clone)]
pub struct Twa {
    n: usize,
    /// `L`, row-major, `(n - 1) x (n - 1)`.
    factor: Vec<f64>,
    step: f64,
    /// `b`, and Adam's moments of it.
    coordinates: Vec<f64>,
    first: Vec<f64>,
    second: Vec<f64>,
    made: u32,
    planned: u32,
}

impl Twa {
    /// A walk of `steps` steps that begins at the members' average.
    pub fn new(gram: &Gram, steps: u32) -> Self {
        let n = gram.n();
        let k = n.saturating_sub(1);
        let trace: f64 = (0..n).map(|i| gram.get(i, i)).sum();
        let mut factor = vec![0.0; k * k];
        for i in 0..k {
            for j in 0..=i {
                let mut sum = gram.get(i, j) - gram.get(i, k) - gram.get(j, k) + gram.get(k, k);
                if i == j {
                    sum += RIDGE * trace.max(f64::MIN_POSITIVE);
                }
                for m in 0..j {
                    sum -= factor[i * k + m] * factor[j * k + m];
                }
                factor[i * k + j] = match i == j {
                    true => sum.max(RIDGE * trace.max(f64::MIN_POSITIVE)).sqrt(),
                    false => sum / factor[j * k + j],
                };
            }
        }
        let even = vec![1.0 / n.max(1) as f64; k];
        let mut walk = Twa {
            n,
            step: STEP * (trace / n.max(1) as f64).sqrt(),
            coordinates: vec![0.0; k],
            first: vec![0.0; k],
            second: vec![0.0; k],
            factor,
            made: 0,
            planned: steps,
        };
        for j in 0..k {
            walk.coordinates[j] = (j..k).map(|i| walk.factor[i * k + j] * even[i]).sum();
        }
        walk
    }

    /// The weights of all members; their sum is 1, and some may lie below 0.
    pub fn weights(&self) -> Vec<f64> {
        let k = self.n.saturating_sub(1);
        let mut u = self.coordinates.clone();
        for i in (0..k).rev() {
            for j in i + 1..k {
                u[i] -= self.factor[j * k + i] * u[j];
            }
            u[i] /= self.factor[i * k + i];
        }
        if self.n > 0 {
            let rest = 1.0 - u.iter().sum::<f64>();
            u.push(rest);
        }
        u
    }

    /// One step, by the slopes of the loss with respect to the weights (up to a constant that all
    /// of them share), one a member. Slopes that are not finite move nothing.
    ///
    /// # Panics
    /// If there is not one slope a member.
    pub fn step(&mut self, slopes: &[f64]) {
        assert!(slopes.len() == self.n, "one slope a member");
        let k = self.n.saturating_sub(1);
        let Some(last) = slopes.last() else { return };
        let mut gradient: Vec<f64> = slopes[..k].iter().map(|s| s - last).collect();
        for i in 0..k {
            for j in 0..i {
                gradient[i] -= self.factor[i * k + j] * gradient[j];
            }
            gradient[i] /= self.factor[i * k + i];
        }
        if gradient.iter().any(|g| !g.is_finite()) {
            return;
        }
        let left =
            f64::from(self.planned.saturating_sub(self.made)) / f64::from(self.planned.max(1));
        self.made += 1;
        let (debias1, debias2) = (
            1.0 - BETA1.powf(f64::from(self.made)),
            1.0 - BETA2.powf(f64::from(self.made)),
        );
        // The gradient's own scale does not matter to Adam, but for the term in the denominator.
        for (i, g) in gradient.iter().enumerate() {
            self.first[i] = BETA1 * self.first[i] + (1.0 - BETA1) * g;
            self.second[i] = BETA2 * self.second[i] + (1.0 - BETA2) * g * g;
            let (m, v) = (self.first[i] / debias1, self.second[i] / debias2);
            self.coordinates[i] -= self.step * left * m / (v.sqrt() + EPSILON);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::members::{MemberSet, MemberTensor, Values};

    fn set(members: &[[f32; 3]]) -> MemberSet<'_> {
        let mut set = MemberSet::new();
        for (i, values) in members.iter().enumerate() {
            let tensor = MemberTensor {
                name: "w".into(),
                shape: vec![3],
                values: Values::Borrowed(values),
            };
            set.push(format!("{i}"), vec![tensor]).unwrap();
        }
        set
    }

    const MEMBERS: [[f32; 3]; 3] = [[0.0, 0.0, 1.0], [2.0, 0.0, 1.0], [0.0, 1.0, 1.0]];

    #[test]
    fn the_walk_begins_at_the_average() {
        let gram = set(&MEMBERS).gram(|_| true).unwrap();
        for w in Twa::new(&gram, 10).weights() {
            assert!((w - 1.0 / 3.0).abs() < 1e-6, "{w}");
        }
    }

    /// The point of the plane that is nearest to a target, by slopes of the squared distance.
    #[test]
    fn the_best_point_of_the_plane_is_found_outside_the_simplex_too() {
        let members = set(&MEMBERS);
        let gram = members.gram(|_| true).unwrap();
        let target = [1.5f32, -0.5, 4.0];
        let mut walk = Twa::new(&gram, 2000);
        let mut fused = [0.0; 3];
        for _ in 0..2000 {
            members.fuse_into(&walk.weights(), &mut fused).unwrap();
            let gradient: Vec<f32> = fused
                .iter()
                .zip(target)
                .map(|(a, b)| 2.0 * (a - b))
                .collect();
            walk.step(&crate::methods::learned_swa::slopes(&members, &gradient).unwrap());
        }
        members.fuse_into(&walk.weights(), &mut fused).unwrap();
        assert!(
            (fused[0] - 1.5).abs() < 1e-2 && (fused[1] + 0.5).abs() < 1e-2,
            "{fused:?}"
        );
        let weights = walk.weights();
        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(weights.iter().any(|w| *w < 0.0));
    }

    #[test]
    fn equal_members_one_member_and_slopes_that_are_nan_do_no_harm() {
        for members in [&[[1.0f32, 2.0, 3.0]; 3][..], &[[1.0, 2.0, 3.0]]] {
            let gram = set(members).gram(|_| true).unwrap();
            let mut walk = Twa::new(&gram, 3);
            walk.step(&vec![f64::NAN; members.len()]);
            walk.step(&vec![1.0; members.len()]);
            let weights = walk.weights();
            assert!(weights.iter().all(|w| w.is_finite()), "{weights:?}");
            assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        }
    }
}
