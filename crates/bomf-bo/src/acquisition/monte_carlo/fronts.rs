//! Expected hypervolume improvements over many fronts, quickly.
//!
//! As [`LogEhvi`](crate::acquisition::analytic::LogEhvi): the sum over the
//! disjoint boxes `[l, u]` that a front leaves free of
//! `prod_j (psi_j(l_j) - psi_j(u_j))`, `psi_j(a) = sigma_j h((mu_j - a) / sigma_j)`
//! (Yang, Emmerich, Deutz and Bäck 2019, equation 17), but in plain floats, with
//! `psi` computed once for each coordinate of each front, all in one pass.
//! Differences of two `psi` lose digits only where their box is a vanishing part
//! of the sum. Where every product leaves the range of floats,
//! [`Fronts::far`] sums logarithms instead.

use bomf_pareto::box_decomposition;

use super::conditional::{Given, Slopes, Utility};
use super::mills::{h, h_with_derivatives};
use crate::Result;
use crate::acquisition::analytic::{LogCover, log_cover};
use crate::acquisition::normal::log_sum_exp;

/// Below this a sum may have lost terms to underflow.
const UNDERFLOW: f64 = 1e-280;

/// The boxes that each sample's front leaves free.
#[derive(Debug, Clone)]
pub(super) struct Fronts {
    m: usize,
    /// The distinct corners of each front in each objective, ascending, in a row.
    levels: Vec<f64>,
    /// Where they begin, `S m + 1`.
    begins: Vec<usize>,
    /// Of each box, for each objective, the lower and upper level.
    corners: Vec<(u32, u32)>,
    /// Where each front's corners begin, `S + 1`.
    boxes: Vec<usize>,
}

/// Buffers that are kept between calls.
#[derive(Debug, Default)]
pub(super) struct Work {
    h: Vec<f64>,
    cumulative: Vec<f64>,
    density: Vec<f64>,
    /// Products of the factors before the current one.
    before: Vec<f64>,
    by_mean: Vec<f64>,
    by_sigma: Vec<f64>,
}

impl Fronts {
    /// None yet, of `m` objectives.
    pub(super) fn new(m: usize) -> Self {
        Self {
            m,
            levels: Vec::new(),
            begins: vec![0],
            corners: Vec::new(),
            boxes: vec![0],
        }
    }

    /// Adds `front` (`n x m`) above `ref_point` (`m`).
    pub(super) fn push<P: AsRef<[f64]>>(&mut self, front: &[P], ref_point: &[f64]) -> Result<()> {
        let cells = box_decomposition(front, ref_point)?;
        let first = self.begins.len() - 1;
        for j in 0..self.m {
            let mut own: Vec<f64> = cells
                .iter()
                .flat_map(|c| [c.lower[j], c.upper[j]])
                .collect();
            own.sort_by(f64::total_cmp);
            own.dedup();
            self.levels.extend(own);
            self.begins.push(self.levels.len());
        }
        let at = |j: usize, a: f64| {
            let begin = self.begins[first + j];
            let own = &self.levels[begin..self.begins[first + j + 1]];
            (begin + own.partition_point(|l| *l < a)) as u32
        };
        for c in &cells {
            for j in 0..self.m {
                self.corners.push((at(j, c.lower[j]), at(j, c.upper[j])));
            }
        }
        self.boxes.push(self.corners.len());
        Ok(())
    }

    /// `(mu - a) / sigma` for every level.
    fn standardise(&self, given: &Given<'_>, z: &mut Vec<f64>) {
        z.clear();
        let m = self.m;
        for (s, mean) in given.means.chunks_exact(m).enumerate() {
            for (j, (mean, sigma)) in mean.iter().zip(given.sigma).enumerate() {
                let inverse = 1.0 / sigma;
                let own = &self.levels[self.begins[s * m + j]..self.begins[s * m + j + 1]];
                z.extend(own.iter().map(|a| (mean - a) * inverse));
            }
        }
    }

    /// The sum over the boxes of front `s`, in units of the deviations.
    fn sum(&self, s: usize, h: &[f64]) -> f64 {
        let (m, b) = (self.m, &self.begins);
        if m == 2 {
            // Strips: neighbours in the first objective; in the second one the
            // lower levels descend and the upper one is infinite.
            let x = &h[b[2 * s]..b[2 * s + 1]];
            let y = &h[b[2 * s + 1]..b[2 * s + 2]];
            let floors = y.iter().rev().skip(1);
            return x
                .windows(2)
                .zip(floors)
                .map(|(x, y)| (x[0] - x[1]) * y)
                .sum();
        }
        let corners = &self.corners[self.boxes[s]..self.boxes[s + 1]];
        let factor = |c: &(u32, u32)| h[c.0 as usize] - h[c.1 as usize];
        corners
            .chunks_exact(m)
            .map(|c| c.iter().map(factor).product::<f64>())
            .sum()
    }
}

impl Utility for Fronts {
    type Work = Work;

    fn log_values(&self, given: &Given<'_>, logs: &mut [f64], work: &mut Work) {
        self.standardise(given, &mut work.h);
        h(&mut work.h);
        let unit = given.sigma.iter().product::<f64>().ln();
        for (s, log) in logs.iter_mut().enumerate() {
            *log = log_of(self.sum(s, &work.h), unit);
        }
    }

    fn derivatives(
        &self,
        given: &Given<'_>,
        logs: &mut [f64],
        slopes: &mut Slopes,
        work: &mut Work,
    ) {
        let m = self.m;
        self.standardise(given, &mut work.h);
        work.cumulative.resize(work.h.len(), 0.0);
        work.density.resize(work.h.len(), 0.0);
        h_with_derivatives(&mut work.h, &mut work.cumulative, &mut work.density);
        let Work {
            h,
            cumulative,
            density,
            before,
            by_mean,
            by_sigma,
        } = work;
        let unit = given.sigma.iter().product::<f64>().ln();
        let difference = |of: &[f64], c: (u32, u32)| of[c.0 as usize] - of[c.1 as usize];
        before.resize(m, 1.0);
        by_mean.resize(m, 0.0);
        by_sigma.resize(m, 0.0);
        for (s, log) in logs.iter_mut().enumerate() {
            by_mean.fill(0.0);
            by_sigma.fill(0.0);
            let mut sum = 0.0;
            for c in self.corners[self.boxes[s]..self.boxes[s + 1]].chunks_exact(m) {
                let mut product = 1.0;
                for j in 0..m {
                    before[j] = product;
                    product *= difference(h, c[j]);
                }
                sum += product;
                let mut after = 1.0;
                for j in (0..m).rev() {
                    let others = before[j] * after;
                    by_mean[j] += others * difference(cumulative, c[j]);
                    by_sigma[j] += others * difference(density, c[j]);
                    after *= difference(h, c[j]);
                }
            }
            *log = log_of(sum, unit);
            if *log > f64::NEG_INFINITY {
                for j in 0..m {
                    let scale = 1.0 / (sum * given.sigma[j]);
                    slopes.by_mean[s * m + j] = by_mean[j] * scale;
                    slopes.by_sigma[s * m + j] = by_sigma[j] * scale;
                }
            }
        }
    }

    fn far(&self, given: &Given<'_>, logs: &mut [f64], slopes: &mut Slopes) {
        let m = self.m;
        for (s, log) in logs.iter_mut().enumerate() {
            let own = s * m..(s + 1) * m;
            *log = self.far_of(
                s,
                &given.means[own.clone()],
                given.sigma,
                &mut slopes.by_mean[own.clone()],
                &mut slopes.by_sigma[own],
            );
        }
    }
}

impl Fronts {
    /// The logarithm of front `s`'s sum and its derivatives, by logarithms.
    fn far_of(
        &self,
        s: usize,
        mean: &[f64],
        sigma: &[f64],
        by_mean: &mut [f64],
        by_sigma: &mut [f64],
    ) -> f64 {
        let m = self.m;
        let corners = &self.corners[self.boxes[s]..self.boxes[s + 1]];
        let mut covers: Vec<(LogCover, (u32, u32))> = Vec::new();
        let mut own: Vec<usize> = vec![0; corners.len()];
        for j in 0..m {
            // Boxes share intervals: each is computed once.
            let mut order: Vec<usize> = (j..corners.len()).step_by(m).collect();
            order.sort_by_key(|i| corners[*i]);
            let first = covers.len();
            for i in order {
                let c = corners[i];
                if covers.len() == first || covers[covers.len() - 1].1 != c {
                    let (l, u) = (self.levels[c.0 as usize], self.levels[c.1 as usize]);
                    covers.push((log_cover(mean[j], sigma[j], l, u), c));
                }
                own[i] = covers.len() - 1;
            }
        }
        let terms: Vec<f64> = own
            .chunks_exact(m)
            .map(|b| b.iter().map(|i| covers[*i].0.value).sum())
            .collect();
        let total = log_sum_exp(&terms);
        by_mean.fill(0.0);
        by_sigma.fill(0.0);
        if total.is_finite() {
            for (term, b) in terms.iter().zip(own.chunks_exact(m)) {
                let share = (term - total).exp();
                for (j, i) in b.iter().enumerate() {
                    by_mean[j] += share * covers[*i].0.by_mean;
                    by_sigma[j] += share * covers[*i].0.by_sigma;
                }
            }
        }
        total
    }
}

/// The logarithm of a sum in units of the deviations, whose product's
/// logarithm is `unit`.
fn log_of(sum: f64, unit: f64) -> f64 {
    if sum > UNDERFLOW {
        sum.ln() + unit
    } else {
        f64::NEG_INFINITY
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};

    use super::*;

    fn random(n: usize, m: usize, rng: &mut rand_chacha::ChaCha8Rng) -> Vec<Vec<f64>> {
        (0..n)
            .map(|_| (0..m).map(|_| rng.random()).collect())
            .collect()
    }

    #[test]
    fn plain_sums_agree_with_sums_of_logarithms() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let mut work = Work::default();
        for m in 1..=4 {
            let mut fronts = Fronts::new(m);
            let sizes = [0, 1, 5, 12];
            for n in sizes {
                fronts.push(&random(n, m, &mut rng), &vec![0.0; m]).unwrap();
            }
            for spread in [0.01, 0.3, 5.0] {
                for offset in [-0.2, 0.0, 0.5, 3.0] {
                    let means: Vec<f64> = (0..m * sizes.len())
                        .map(|_| offset + rng.random::<f64>())
                        .collect();
                    let sigma = vec![spread; m];
                    let given = Given {
                        means: &means,
                        sigma: &sigma,
                    };
                    let mut quick = [0.0; 4];
                    let mut values = [0.0; 4];
                    let mut slow = [0.0; 4];
                    let mut a = Slopes::new(4 * m);
                    let mut b = Slopes::new(4 * m);
                    fronts.log_values(&given, &mut values, &mut work);
                    fronts.derivatives(&given, &mut quick, &mut a, &mut work);
                    fronts.far(&given, &mut slow, &mut b);
                    for s in 0..4 {
                        if slow[s] < -600.0 {
                            continue;
                        }
                        // Cancellation between neighbours of the front.
                        assert!(
                            (quick[s] - slow[s]).abs() < 1e-9,
                            "{m} {s} {quick:?} {slow:?}"
                        );
                        assert!((quick[s] - values[s]).abs() < 1e-9);
                        for i in s * m..(s + 1) * m {
                            let near = |a: f64, b: f64| (a - b).abs() < 1e-7 * (1.0 + b.abs());
                            assert!(near(a.by_mean[i], b.by_mean[i]), "{m} {s}");
                            assert!(near(a.by_sigma[i], b.by_sigma[i]), "{m} {s}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn out_of_the_floats_the_quick_sum_says_so() {
        let mut fronts = Fronts::new(2);
        fronts.push(&[[1.0, 1.0]], &[0.0, 0.0]).unwrap();
        let given = Given {
            means: &[-30.0, -30.0],
            sigma: &[1.0, 1.0],
        };
        let mut logs = [0.0];
        fronts.log_values(&given, &mut logs, &mut Work::default());
        assert_eq!(logs, [f64::NEG_INFINITY]);
        fronts.far(&given, &mut logs, &mut Slopes::new(2));
        assert!(logs[0] < -900.0 && logs[0].is_finite());
    }
}
