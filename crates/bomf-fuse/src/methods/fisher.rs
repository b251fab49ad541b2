//! Fisher-weighted averaging: each parameter is averaged by how sure each model is of it.
//!
//! With a Gaussian about each model's parameters `theta_i`, of the precision that its diagonal
//! Fisher information `F_i` gives, the most likely common parameters are
//!
//! ```text
//! theta[k] = sum_i w_i f_i[k] theta_i[k] / sum_i w_i f_i[k],   f_i[k] = max(F_i[k], floor)
//! ```
//!
//! Matena and Raffel, "Merging models with Fisher-weighted averaging", NeurIPS 2022, arXiv
//! 2111.09832, equation 3. With `normalize`, `w_i` is divided by the Euclidean norm of all of
//! `F_i` (section 3.3 there), so that a model with larger gradients does not speak for all.

use multiversion::multiversion;
use rayon::prelude::*;

use super::common::declare::{NOT_NEGATIVE, flag, number};
use super::common::kernels;
use super::common::pieces::{self, PIECE, view};
use super::linear::{self, WeightedSum};
use crate::error::{FuseError, Result};
use crate::method::{
    Base, Block, Fuser, Inputs, Method, MethodSpec, Params, Scope, Source, Statistic, Statistics,
};

/// The average weighted by Fisher information, element by element.
///
/// Tensors without statistics get the average by the models' weights, and so do elements of
/// which every model has a Fisher information of zero (and the floor is zero). A NaN in a model
/// or its statistics stays in its element.
pub struct Fisher;

/// Below this the Fisher information says nothing; the authors' floor.
const FLOOR: f64 = 1e-6;

static SPEC: MethodSpec = MethodSpec {
    name: "fisher",
    summary: "average weighted by each model's diagonal Fisher information",
    paper: "Matena and Raffel, Fisher-weighted averaging, NeurIPS 2022, arXiv 2111.09832",
    base: Base::Unused,
    models: (1, usize::MAX),
    params: &[
        number(
            "weight",
            "factor of the model's Fisher information",
            Scope::Model,
            NOT_NEGATIVE,
            Some(1.0),
        ),
        number(
            "floor",
            "Fisher information counts as no smaller than this",
            Scope::Method,
            NOT_NEGATIVE,
            Some(FLOOR),
        ),
        flag(
            "normalize",
            "divide each model's weight by the norm of its Fisher information",
            false,
        ),
    ],
};

impl Method for Fisher {
    fn spec(&self) -> &'static MethodSpec {
        &SPEC
    }

    fn statistics(&self) -> Option<Statistics> {
        Some(Statistics::Fisher)
    }

    /// # Errors
    /// [`FuseError::ZeroWeights`], [`FuseError::StatisticLength`]; those of [`Inputs::check`].
    fn prepare<'a>(
        &self,
        inputs: &Inputs<'a>,
        params: &Params,
        _seed: u64,
    ) -> Result<Box<dyn Fuser + 'a>> {
        inputs.check(&SPEC)?;
        let average = linear::average(inputs, &params.numbers("weight"))?;
        if inputs.statistics.is_empty() {
            return Ok(Box::new(average));
        }
        for (model, statistic) in inputs.statistics.iter().enumerate() {
            let (expected, found) = (inputs.len(), statistic.source.len());
            if expected != found {
                return Err(FuseError::StatisticLength {
                    tensor: inputs.name.to_owned(),
                    model,
                    expected,
                    found,
                });
            }
        }
        let is_normalised = params.flag("normalize");
        let models = inputs.statistics.iter().zip(params.numbers("weight"));
        let models = models.map(|(statistic, weight)| {
            let norm = statistic.norm;
            let weight = match is_normalised && norm > 0.0 && norm.is_finite() {
                true => weight / norm,
                false => weight,
            };
            (weight, *statistic)
        });
        Ok(Box::new(ByFisher {
            models: models.collect(),
            floor: params.number("floor"),
            average,
        }))
    }
}

/// The sum of squares of Fisher information, in `f64`: the same for any number of threads.
pub fn squared_norm(fisher: &dyn Source) -> f64 {
    let inputs = Inputs {
        name: "",
        shape: &[],
        models: vec![fisher],
        base: None,
        statistics: Vec::new(),
    };
    let squares = |block: &Block<'_>| vec![kernels::sum_of_squares(block.models[0])];
    pieces::sum(&inputs, PIECE, vec![0.0], squares)[0]
}

/// The same average, model by model, for models whose Fisher information is not all there at
/// once.
#[derive(Debug)]
pub struct RunningFisher {
    sums: Vec<f64>,
    weights: Vec<f64>,
}

impl RunningFisher {
    /// Of models with so many parameters.
    pub fn new(parameters: usize) -> Self {
        Self {
            sums: vec![0.0; parameters],
            weights: vec![0.0; parameters],
        }
    }

    /// Adds a model of weight one: its parameters and their Fisher information.
    ///
    /// # Panics
    /// If these are not as many as there are parameters.
    pub fn add(&mut self, params: &[f32], fisher: &[f32]) {
        assert!(params.len() == self.sums.len() && fisher.len() == params.len());
        let sums = self.sums.par_chunks_mut(PIECE);
        let weights = self.weights.par_chunks_mut(PIECE);
        let inputs = params.par_chunks(PIECE).zip(fisher.par_chunks(PIECE));
        sums.zip(weights)
            .zip(inputs)
            .for_each(|((sums, weights), (x, f))| add(1.0, FLOOR, f, x, sums, weights));
    }

    /// The average into `out`, where the models' plain average stands.
    ///
    /// # Panics
    /// If it is not as long as there are parameters.
    pub fn finish(self, out: &mut [f32]) {
        assert_eq!(out.len(), self.sums.len(), "a place for each parameter");
        let plain = out.to_vec();
        divide(&self.sums, &self.weights, &plain, out);
    }
}

struct ByFisher<'a> {
    models: Vec<(f64, Statistic<'a>)>,
    floor: f64,
    /// Of elements of which nothing is known.
    average: WeightedSum,
}

/// Elements at a time, so that the sums stay in the first-level cache.
const RUN: usize = 1024;

impl Fuser for ByFisher<'_> {
    fn fuse(&self, block: &Block<'_>, out: &mut [f32]) {
        let mut buffer = Vec::new();
        let mut averaged = [0.0; RUN];
        for (i, out) in out.chunks_mut(RUN).enumerate() {
            let part = i * RUN..i * RUN + out.len();
            let (mut sums, mut weights) = ([0.0; RUN], [0.0; RUN]);
            for ((weight, statistic), x) in self.models.iter().zip(block.models) {
                let start = block.start + part.start;
                let fisher = view(statistic.source, start, out.len(), &mut buffer);
                let x = &x[part.clone()];
                add(*weight, self.floor, fisher, x, &mut sums, &mut weights);
            }
            let parts: Vec<&[f32]> = block.models.iter().map(|m| &m[part.clone()]).collect();
            let averaged = &mut averaged[..out.len()];
            // The same for any block: it is element by element.
            if weights[..out.len()].contains(&0.0) {
                let block = Block {
                    start: block.start + part.start,
                    models: &parts,
                    base: None,
                };
                self.average.fuse(&block, averaged);
            }
            divide(&sums, &weights, averaged, out);
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn add(weight: f64, floor: f64, fisher: &[f32], x: &[f32], sums: &mut [f64], weights: &mut [f64]) {
    for (((f, x), sum), total) in fisher.iter().zip(x).zip(sums).zip(weights) {
        let f = f64::from(*f);
        // NaN stays NaN.
        let f = weight * if f < floor { floor } else { f };
        *sum += f * f64::from(*x);
        *total += f;
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn divide(sums: &[f64], weights: &[f64], averaged: &[f32], out: &mut [f32]) {
    for (((out, sum), weight), averaged) in out.iter_mut().zip(sums).zip(weights).zip(averaged) {
        *out = match *weight == 0.0 {
            true => *averaged,
            false => (sum / weight) as f32,
        };
    }
}
