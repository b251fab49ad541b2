//! Many outputs under one process, and objectives computed from them: against
//! the process of one output, refits without an observation, differences and
//! closed forms.

#![allow(clippy::unwrap_used)]

mod acquisition;
mod faults;
mod outputs;
mod search;

use bomf_bo::acquisition::analytic::LogEi;
use bomf_bo::acquisition::composite::{
    Composite, CompositeModel, LogCompositeEhvi, PatternOptions, Source, leave_one_out,
    pattern_search, prior_objectives, search_simplex,
};
use bomf_bo::models::{
    ConstantMean, Correlation, GaussianProcess, GpOptions, Gram, Hyperparameters, Kernel,
    LeaveOneOut, Lengthscales, LinearMean, MeanFunction, MultiOutputGp, SharedHyperparameters,
};
use bomf_bo::optim::{Scored, SearchOptions};
use bomf_bo::sampling::uniform_simplex;
use bomf_bo::space::SimplexSpace;
use bomf_bo::{Acquisition, BoError};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// Conditioned by a noise of 1e-3: about 1e4 times rounding.
const ROUNDING: f64 = 1e-10;

/// Central differences with steps of 1e-5 of functions of order one.
const DIFFERENCES: f64 = 1e-6;

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * (1.0 + b.abs())
}

/// `n` mixtures of three members, the members first.
fn mixtures(n: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut rng = rng(seed);
    (0..n)
        .map(|i| {
            if i < 3 {
                (0..3).map(|j| f64::from(u8::from(i == j))).collect()
            } else {
                uniform_simplex(3, &mut rng)
            }
        })
        .collect()
}

/// `p` outputs that are not linear in the mixture.
fn outputs(w: &[f64], p: usize) -> Vec<f64> {
    (0..p)
        .map(|j| {
            let f = 1.0 + 0.1 * j as f64;
            2.0 * w[0] - w[1] + (f * w[0]).sin() * (1.0 + w[2]) + f * w[1] * w[2]
        })
        .collect()
}

struct Fixture {
    x: Vec<Vec<f64>>,
    y: Vec<Vec<f64>>,
    mean: LinearMean,
}

fn fixture(n: usize, p: usize) -> Fixture {
    let x = mixtures(n, 11);
    let y: Vec<Vec<f64>> = x.iter().map(|w| outputs(w, p)).collect();
    let mean = LinearMean::new(&y[..3]).unwrap();
    Fixture { x, y, mean }
}

fn shared(lengthscale: f64, noise: f64) -> SharedHyperparameters {
    SharedHyperparameters {
        lengthscales: vec![lengthscale],
        noise,
    }
}

fn gp(f: &Fixture) -> MultiOutputGp<&LinearMean> {
    let options = GpOptions::default();
    MultiOutputGp::with_hyperparameters(&f.x, &f.y, &f.mean, &options, shared(0.8, 1e-3)).unwrap()
}

/// Squares of the outputs' distance from a target, averaged, and how many
/// exceed one half.
struct Objectives {
    outputs: usize,
    smooth: bool,
}

impl Composite for Objectives {
    fn outputs(&self) -> usize {
        self.outputs
    }

    fn objectives(&self) -> usize {
        2
    }

    fn evaluate(&self, z: &[f64], y: &mut [f64]) {
        let p = self.outputs as f64;
        y[0] = -z.iter().map(|z| (z - 1.0) * (z - 1.0)).sum::<f64>() / p;
        y[1] = if self.smooth {
            z.iter().map(|z| z.tanh()).sum::<f64>() / p
        } else {
            z.iter().filter(|z| **z > 0.5).count() as f64 / p
        };
    }

    fn pull_back(&self, z: &[f64], c: &[f64], gradient: &mut [f64]) {
        let p = self.outputs as f64;
        for (g, z) in gradient.iter_mut().zip(z) {
            *g -= c[0] * 2.0 * (z - 1.0) / p;
            if self.smooth {
                *g += c[1] * (1.0 - z.tanh().powi(2)) / p;
            }
        }
    }

    fn is_smooth(&self) -> bool {
        self.smooth
    }
}

/// The single output itself.
struct Identity;

impl Composite for Identity {
    fn outputs(&self) -> usize {
        1
    }

    fn objectives(&self) -> usize {
        1
    }

    fn evaluate(&self, z: &[f64], y: &mut [f64]) {
        y[0] = z[0];
    }

    fn pull_back(&self, _: &[f64], c: &[f64], gradient: &mut [f64]) {
        gradient[0] += c[0];
    }

    fn is_smooth(&self) -> bool {
        true
    }
}

fn front() -> Vec<Vec<f64>> {
    vec![vec![-1.2, 0.3], vec![-1.0, 0.2], vec![-0.8, 0.1]]
}

const REF_POINT: [f64; 2] = [-3.0, -0.5];
const SCALES: [f64; 2] = [0.5, 0.2];
