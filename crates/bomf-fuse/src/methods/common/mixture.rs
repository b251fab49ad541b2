//! A fuser for methods whose output is a fixed mixture of whole tensors.

use super::kernels;
use crate::method::{Block, Fuser};

/// `base + sum_i c_i (x_i - base)`, or `sum_i c_i x_i` where there is no base.
pub(crate) struct Mixture {
    pub(crate) coefficients: Vec<f32>,
    /// Whether to add differences to the base.
    pub(crate) on_base: bool,
}

/// Elements at a time, so that sums and differences stay in the first-level cache.
const RUN: usize = 2048;

impl Fuser for Mixture {
    fn fuse(&self, block: &Block<'_>, out: &mut [f32]) {
        let base = block.base.filter(|_| self.on_base);
        let mut difference = [0.0f32; RUN];
        for (i, out) in out.chunks_mut(RUN).enumerate() {
            let part = i * RUN..i * RUN + out.len();
            out.fill(0.0);
            for (c, x) in self.coefficients.iter().zip(block.models) {
                let x = &x[part.clone()];
                match base {
                    Some(base) => {
                        let difference = &mut difference[..out.len()];
                        kernels::differences(x, &base[part.clone()], difference);
                        kernels::add_scaled(*c, difference, out);
                    }
                    None => kernels::add_scaled(*c, x, out),
                }
            }
            if let Some(base) = base {
                kernels::add(&base[part], out);
            }
        }
    }
}
