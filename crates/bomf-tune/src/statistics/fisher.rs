//! The diagonal of the Fisher information of a model's parameters,
//!
//! ```text
//! F[k] = 1/N sum_x E_y (d log p(y | x) / d theta[k])^2
//! ```
//!
//! With `y` as the model has it (its own probabilities), this is the Fisher information; with the
//! labels of the data, it is what is called the empirical one, another matrix (Kunstner, Balles
//! and Hennig, "Limitations of the empirical Fisher approximation", NeurIPS 2019, arXiv
//! 1905.12558). Matena and Raffel (arXiv 2111.09832) take the first. For a regression, `p` is a
//! normal distribution of variance one about the output.

use crate::TuneError;
use crate::data::Labels;
use crate::models::Network;
use crate::tape::{Gradients, Tape, Workspace};
use crate::train::{Control, EncodedSplit};
use rayon::prelude::*;

/// Over which labels the expectation is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Expectation {
    /// As probable as the model has them: exactly, a backward pass for each class (one for two).
    Model,
    /// Those of the data.
    Data,
}

/// Elements whose squares one task adds up.
const PIECE: usize = 1 << 16;

/// The diagonal of the Fisher information over the examples `indices` of a split, by the
/// network's layout; zeros without examples. `observe` is told how many examples are done and
/// says whether to go on.
///
/// An example counts as one observation: of a language model, all tokens that follow its prompt.
///
/// # Errors
/// [`TuneError::NoExactFisher`] with [`Expectation::Model`] for anything but classes and numbers;
/// [`TuneError::Interrupted`].
pub fn fisher(
    network: &Network,
    params: &[f32],
    split: &EncodedSplit,
    indices: &[usize],
    expectation: Expectation,
    observe: &mut dyn FnMut(usize) -> Control,
) -> Result<Vec<f32>, TuneError> {
    let mut sum = Squares {
        gradients: Gradients::zeros(0, params.len()),
        squares: vec![0.0; params.len()],
        workspace: Workspace::default(),
        network,
        params,
        split,
    };
    for (done, &index) in indices.iter().enumerate() {
        match (&split.labels, expectation) {
            (Labels::Class(_), Expectation::Model) => sum.classes(index),
            (Labels::Value(_), _) | (_, Expectation::Data) => sum.one(index, expectation),
            (_, Expectation::Model) => return Err(TuneError::NoExactFisher),
        }
        if observe(done + 1) == Control::Stop && done + 1 < indices.len() {
            return Err(TuneError::Interrupted);
        }
    }
    let n = indices.len().max(1) as f64;
    Ok(sum.squares.par_iter().map(|s| (s / n) as f32).collect())
}

/// Sums of squared gradients.
struct Squares<'a> {
    network: &'a Network,
    params: &'a [f32],
    split: &'a EncodedSplit,
    gradients: Gradients,
    squares: Vec<f64>,
    workspace: Workspace,
}

impl Squares<'_> {
    /// Adds the squares of the gradient that is there, and clears it.
    fn add(&mut self) {
        let gradients = self.gradients.values.par_chunks_mut(PIECE);
        let squares = self.squares.par_chunks_mut(PIECE);
        gradients.zip(squares).for_each(|(gradients, squares)| {
            for (g, sum) in gradients.iter_mut().zip(squares) {
                *sum += f64::from(*g) * f64::from(*g);
                *g = 0.0;
            }
        });
    }

    /// The expectation over the classes of one example.
    fn classes(&mut self, index: usize) {
        let batch = self.split.sequences.batch(&[index]);
        let mut tape = Tape::inference(self.params, &self.workspace);
        let logits = self.network.forward(&mut tape, &batch);
        let p = softmax(&logits);
        drop((logits, tape));
        if let [a, b] = p[..] {
            // d log p_c = ±(1 - p_c) d(z_0 - z_1): one direction, with the weight p_0 p_1. By the
            // less probable class, whose 1 - p_c is at least a half.
            let (class, p) = if a <= b { (0, a) } else { (1, b) };
            return self.class(index, class, (p / (1.0 - p)).sqrt() as f32);
        }
        for (class, p) in p.into_iter().enumerate() {
            self.class(index, class as u32, p.sqrt() as f32);
        }
    }

    /// Adds the squared gradient of `scale log p(class)`.
    fn class(&mut self, index: usize, class: u32, scale: f32) {
        if scale == 0.0 {
            return;
        }
        let batch = self.split.sequences.batch(&[index]);
        let params = self.params;
        let mut tape = Tape::training(params, &mut self.gradients, None, &self.workspace);
        let logits = self.network.forward(&mut tape, &batch);
        tape.cross_entropy(&logits, &[class], scale);
        drop(logits);
        tape.backward();
        self.add();
    }

    /// Adds the squared gradient of one example with one label.
    fn one(&mut self, index: usize, expectation: Expectation) {
        let batch = self.split.sequences.batch(&[index]);
        let params = self.params;
        let mut tape = Tape::training(params, &mut self.gradients, None, &self.workspace);
        let outputs = self.network.forward(&mut tape, &batch);
        match (&self.split.labels, expectation) {
            // (y - f)^2 is one on average, whatever f is.
            (Labels::Value(_), Expectation::Model) => {
                tape.squared_error(&outputs, &[outputs[0] - 1.0], 0.5);
            }
            (labels, _) => {
                let scale = match labels {
                    Labels::Value(_) => 0.5,
                    _ => 1.0,
                };
                let (network, indices) = (self.network, [index]);
                self.split
                    .loss(network, &mut tape, &outputs, &batch, &indices, scale);
            }
        }
        drop(outputs);
        tape.backward();
        self.add();
    }
}

fn softmax(logits: &[f32]) -> Vec<f64> {
    let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exp = |z: &f32| (f64::from(*z) - f64::from(greatest)).exp();
    let all: Vec<f64> = logits.iter().map(exp).collect();
    let sum: f64 = all.iter().sum();
    all.into_iter().map(|e| e / sum).collect()
}
