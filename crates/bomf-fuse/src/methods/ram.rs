//! Task vectors kept whole where one model alone has changed, averaged where several have.
//!
//! A model has changed an element where `|d_i| > epsilon`. An element that only one model has
//! changed takes that change; of several changes it takes the mean (of those models alone). RAM+
//! scales what a model alone has changed by `1 + r min(rho_i, alpha)`, with rho_i the number of its
//! shared changes over that of its own: who shares much would be watered down most. Yuan et al.,
//! "Behavior knowledge merge in reinforced agentic models", arXiv 2601.13572; rho_i per tensor, as
//! in mergekit.

use multiversion::multiversion;

use super::common::declare::number;
use super::common::{consensus, kernels, pieces};
use crate::error::Result;
use crate::method::{Base, Block, Fuser, Inputs, Method, MethodSpec, ParamSpec, Params, Scope};

/// Elements at a time, so that counts and differences stay in the first-level cache.
const RUN: usize = 1024;

/// RAM or RAM+.
pub struct Ram {
    spec: &'static MethodSpec,
    /// Whether what a model alone has changed is scaled.
    plus: bool,
}

const EPSILON: ParamSpec = number(
    "epsilon",
    "changes up to this are none",
    Scope::Method,
    (0.0, f64::MAX),
    Some(1e-5),
);

const PAPER: &str = "Yuan et al., Behavior Knowledge Merge, arXiv 2601.13572";

/// Whole where one model has changed, the mean of the changes where several have.
pub static RAM: Ram = Ram {
    spec: &MethodSpec {
        name: "ram",
        summary: "task vectors, averaged where several models have changed",
        paper: PAPER,
        base: Base::Required,
        models: (1, usize::MAX),
        params: &[EPSILON],
    },
    plus: false,
};

/// As [`RAM`], with the changes of one model alone scaled up.
pub static RAM_PLUS: Ram = Ram {
    spec: &MethodSpec {
        name: "ramplus_tl",
        summary: "as ram, with what one model alone has changed scaled up",
        paper: PAPER,
        base: Base::Required,
        models: (1, usize::MAX),
        params: &[
            number(
                "r",
                "how much to scale",
                Scope::Method,
                (0.0, f64::MAX),
                Some(0.1),
            ),
            number(
                "alpha",
                "the greatest ratio of shared to own changes that counts",
                Scope::Method,
                (0.0, f64::MAX),
                Some(0.2),
            ),
            EPSILON,
        ],
    },
    plus: true,
};

impl Method for Ram {
    fn spec(&self) -> &'static MethodSpec {
        self.spec
    }

    fn prepare<'a>(
        &self,
        inputs: &Inputs<'a>,
        params: &Params,
        _seed: u64,
    ) -> Result<Box<dyn Fuser + 'a>> {
        inputs.check(self.spec)?;
        let epsilon = params.number("epsilon");
        let scales = match self.plus {
            false => vec![1.0; inputs.models.len()],
            true => {
                let (r, alpha) = (params.number("r"), params.number("alpha"));
                let scale = |(own, shared): (u64, u64)| {
                    let rho = shared as f64 / (own as f64).max(epsilon);
                    // None of either: nothing to scale.
                    1.0 + r * if shared == 0 { 0.0 } else { rho.min(alpha) }
                };
                let changes = changes(inputs, epsilon as f32);
                changes.into_iter().map(|c| scale(c) as f32).collect()
            }
        };
        Ok(Box::new(Changes {
            epsilon: epsilon as f32,
            scales,
        }))
    }
}

/// For each model, how many elements it alone has changed, and how many with others.
fn changes(inputs: &Inputs<'_>, epsilon: f32) -> Vec<(u64, u64)> {
    let n = inputs.models.len();
    let add = |sums: &mut Vec<(u64, u64)>, block: &Block<'_>| {
        let mut run = Run::new(n);
        for offset in (0..block.len()).step_by(RUN) {
            let len = RUN.min(block.len() - offset);
            run.load(block, offset, len, epsilon);
            for (sums, d) in sums.iter_mut().zip(run.d.chunks_exact(RUN)) {
                for (d, count) in d[..len].iter().zip(&run.count) {
                    let changed = u64::from(d.abs() > epsilon);
                    sums.0 += changed * u64::from(*count == 1.0);
                    sums.1 += changed * u64::from(*count > 1.0);
                }
            }
        }
    };
    let mut total = vec![(0, 0); n];
    for sums in pieces::count(inputs, || vec![(0, 0); n], add) {
        for (total, (own, shared)) in total.iter_mut().zip(sums) {
            total.0 += own;
            total.1 += shared;
        }
    }
    total
}

/// The task vectors of a run of elements, and how many models have changed each.
struct Run {
    d: Vec<f32>,
    count: [f32; RUN],
}

impl Run {
    fn new(models: usize) -> Self {
        Self {
            d: vec![0.0; models * RUN],
            count: [0.0; RUN],
        }
    }

    fn load(&mut self, block: &Block<'_>, offset: usize, len: usize, epsilon: f32) {
        let part = offset..offset + len;
        let base = &block.base.unwrap_or_default()[part.clone()];
        self.count.fill(0.0);
        for (d, model) in self.d.chunks_exact_mut(RUN).zip(block.models) {
            kernels::differences(&model[part.clone()], base, &mut d[..len]);
            count_changes(&d[..len], epsilon, &mut self.count);
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn count_changes(d: &[f32], epsilon: f32, count: &mut [f32; RUN]) {
    for (count, d) in count.iter_mut().zip(d) {
        *count += if d.abs() > epsilon { 1.0 } else { 0.0 };
    }
}

/// Adds a model's changes: its own, scaled, and its part in those that it shares.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn add_changes(d: &[f32], epsilon: f32, scale: f32, count: &[f32; RUN], sum: &mut [f32]) {
    for ((sum, d), count) in sum.iter_mut().zip(d).zip(count) {
        let d = d * if d.abs() > epsilon { 1.0 } else { 0.0 };
        *sum += if *count > 1.0 { d / count } else { d * scale };
    }
}

struct Changes {
    epsilon: f32,
    scales: Vec<f32>,
}

impl Fuser for Changes {
    fn fuse(&self, block: &Block<'_>, out: &mut [f32]) {
        let mut run = Run::new(self.scales.len());
        let base = block.base.unwrap_or_default();
        for (i, out) in out.chunks_mut(RUN).enumerate() {
            let (offset, len) = (i * RUN, out.len());
            run.load(block, offset, len, self.epsilon);
            out.fill(0.0);
            for (d, scale) in run.d.chunks_exact(RUN).zip(&self.scales) {
                add_changes(&d[..len], self.epsilon, *scale, &run.count, out);
            }
            consensus::apply(1.0, &base[offset..offset + len], out);
        }
    }
}
