//! The outputs that are expected of a mixture before it is evaluated.
//!
//! With one set of coefficients: the mixture `e(w) = sum_i w_i z_i` of the members' outputs.
//! With coefficients by block: `sum_b a_b e(w^b)`, where `a_b` is how much of the outputs
//! hangs on block `b`. These parts, on the simplex, are fitted by least squares to what
//! mixtures by block gave, and drawn towards the blocks' parts in the members' differences
//! by as much as one such mixture says. (Where all coefficients are equal they do not matter.)

use faer::Mat;

use super::CompositeObjective;
use crate::Result;
use crate::acquisition::composite::Composite;
use crate::linalg::{Cholesky, axpy, dot};
use crate::models::LinearMean;
use crate::optim::SearchSpace;
use crate::space::{MixtureSpace, project_onto_simplex};

/// Two sets of coefficients that differ by no more are equal: rounding.
const EQUAL: f64 = 1e-9;

impl<C: Composite, S: MixtureSpace + SearchSpace> CompositeObjective<C, S> {
    /// The mean of the outputs' model, from mixtures `x` and their outputs `z`.
    pub(super) fn mean(&self, x: &[Vec<f64>], z: &[Vec<f64>]) -> Result<LinearMean> {
        let members = self.member_outputs(x, z);
        let blocks = self.inner.trials.space.blocks();
        if blocks == 1 {
            return LinearMean::new(&members);
        }
        let parts = self.block_parts(&members, x, z)?;
        let scaled = |part: f64| {
            members
                .iter()
                .map(move |z| -> Vec<f64> { z.iter().map(|z| part * z).collect() })
        };
        let rows: Vec<Vec<f64>> = parts.into_iter().flat_map(scaled).collect();
        LinearMean::new(&rows)
    }

    /// The outputs of each member; the mean of the others' for one that gave none.
    fn member_outputs(&self, x: &[Vec<f64>], z: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let space = &self.inner.trials.space;
        let known: Vec<Option<&Vec<f64>>> = (0..space.members())
            .map(|i| {
                let place = x.iter().position(|x| space.vertex_of(x) == Some(i))?;
                Some(&z[place])
            })
            .collect();
        let found: Vec<&Vec<f64>> = known.iter().copied().flatten().collect();
        // Without any vertex, whatever is known stands for them.
        let of = if found.is_empty() {
            z.iter().collect()
        } else {
            found
        };
        let average: Vec<f64> = (0..self.composite.outputs())
            .map(|p| of.iter().map(|z| z[p]).sum::<f64>() / of.len() as f64)
            .collect();
        let known = known.into_iter();
        known.map(|z| z.unwrap_or(&average).clone()).collect()
    }

    /// The part of the outputs that hangs on each block.
    fn block_parts(
        &self,
        members: &[Vec<f64>],
        x: &[Vec<f64>],
        z: &[Vec<f64>],
    ) -> Result<Vec<f64>> {
        let (n, blocks) = (members.len(), self.inner.trials.space.blocks());
        let prior = match &self.options.metric {
            Some(metric) => metric.block_shares(blocks),
            None => vec![1.0 / blocks as f64; blocks],
        };
        // a minimises sum_k |z_k - sum_b a_b e_kb|^2. With c_k = sum_b prior_b e_kb and
        // d_kb = e_kb - c_k, and since parts sum to one, that is |z_k - c_k - sum_b a_b d_kb|^2.
        let mut normal = Mat::zeros(blocks, blocks);
        let mut right = vec![0.0; blocks];
        let mut count = 0.0;
        for (x, z) in x.iter().zip(z) {
            let own = |b: usize| &x[b * n..(b + 1) * n];
            let is_equal = |(v, w): (&f64, &f64)| (v - w).abs() <= EQUAL;
            if (1..blocks).all(|b| own(0).iter().zip(own(b)).all(is_equal)) {
                continue;
            }
            count += 1.0;
            let mut e = vec![vec![0.0; z.len()]; blocks];
            let mut centre = vec![0.0; z.len()];
            for (b, e) in e.iter_mut().enumerate() {
                for (w, z) in own(b).iter().zip(members) {
                    axpy(*w, z, e);
                }
                axpy(prior[b], e, &mut centre);
            }
            e.iter_mut().for_each(|e| axpy(-1.0, &centre, e));
            let mut missed = z.clone();
            axpy(-1.0, &centre, &mut missed);
            for b in 0..blocks {
                right[b] += dot(&e[b], &missed);
                for c in 0..blocks {
                    normal[(b, c)] += dot(&e[b], &e[c]);
                }
            }
        }
        let trace: f64 = (0..blocks).map(|b| normal[(b, b)]).sum();
        let ridge = trace / (count * blocks as f64);
        if !(ridge > 0.0 && ridge.is_finite()) {
            return Ok(prior);
        }
        for b in 0..blocks {
            let given: f64 = (0..blocks).map(|c| normal[(b, c)] * prior[c]).sum();
            right[b] -= given;
        }
        for b in 0..blocks {
            normal[(b, b)] += ridge;
        }
        Cholesky::new(&normal)?.solve(&mut right);
        let mut parts: Vec<f64> = prior.iter().zip(&right).map(|(p, d)| p + d).collect();
        project_onto_simplex(&mut parts);
        Ok(parts)
    }
}
