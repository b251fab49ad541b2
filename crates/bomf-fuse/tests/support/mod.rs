//! What the tests of the methods share: inputs, parameters and a plain executor.
#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use bomf_fuse::method::{
    Base, Block, Fuser, Inputs, Method, Params, Source, Statistic, Statistics, Value,
};
use bomf_fuse::{FuseError, Result};

/// A tensor that can only be read, as one in another type would be.
pub struct Read(pub Vec<f32>);

impl Source for Read {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn read(&self, start: usize, out: &mut [f32]) {
        out.copy_from_slice(&self.0[start..start + out.len()]);
    }
}

/// Models and a base of one shape.
#[derive(Clone)]
pub struct Tensors {
    pub shape: Vec<usize>,
    pub base: Vec<f32>,
    pub models: Vec<Vec<f32>>,
    /// Whether methods that could do without the base get it.
    pub optional_base: bool,
}

impl Tensors {
    pub fn len(&self) -> usize {
        self.base.len()
    }

    /// Tensors of differing values, all about one, by a small generator of its own.
    pub fn random(shape: &[usize], models: usize, seed: u64) -> Self {
        let len = shape.iter().product();
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
        };
        let base: Vec<f32> = (0..len).map(|_| 2.0 * next()).collect();
        let changed = |x: &f32, change: f32| x + 0.3 * change;
        let models = (0..models)
            .map(|_| base.iter().map(|x| changed(x, next() + next())).collect())
            .collect();
        Self {
            shape: shape.to_vec(),
            base,
            models,
            optional_base: true,
        }
    }

    /// As inputs of a method, with the base where the method can use one.
    pub fn with<T>(&self, method: &dyn Method, work: impl FnOnce(&Inputs<'_>) -> T) -> T {
        let use_base = match method.spec().base {
            Base::Required => true,
            Base::Optional => self.optional_base,
            Base::Unused => false,
        };
        let base = use_base.then_some(&self.base);
        let kept = self.statistics(method);
        work(&Inputs {
            statistics: as_statistics(&kept),
            name: "layer.weight",
            shape: &self.shape,
            models: self
                .models
                .iter()
                .map(|m| m as &dyn Source)
                .collect::<Vec<_>>(),
            base: base.map(|b| b as &dyn Source),
        })
    }
}

/// Wider matrices are given no Gram matrices.
const WIDEST: usize = 400;

/// Statistics as a method is given them.
pub fn as_statistics(kept: &[Vec<f32>]) -> Vec<Statistic<'_>> {
    let of = |values| Statistic {
        source: values,
        inputs_first: false,
        norm: 1.0,
    };
    kept.iter().map(|values| of(values)).collect()
}

impl Tensors {
    /// Statistics for a method that asks for some: of each model others.
    pub fn statistics(&self, method: &dyn Method) -> Vec<Vec<f32>> {
        let square = |x: f32| x * x;
        let n = self.models.len();
        match (method.statistics(), &self.shape[..]) {
            (Some(Statistics::Fisher), _) => (0..n)
                .map(|i| {
                    let drawn = Self::random(&self.shape, 0, 100 + i as u64).base;
                    drawn.into_iter().map(square).collect()
                })
                .collect(),
            (Some(Statistics::Gram), &[_, columns]) if columns <= WIDEST => {
                (0..n).map(|i| gram(columns, 100 + i as u64)).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// `X'X` for twice as many random rows as columns.
fn gram(columns: usize, seed: u64) -> Vec<f32> {
    let rows = 2 * columns;
    let x = Tensors::random(&[rows, columns], 0, seed).base;
    let mut gram = vec![0.0; columns * columns];
    for row in x.chunks(columns.max(1)) {
        for (i, a) in row.iter().enumerate() {
            for (j, b) in row.iter().enumerate() {
                gram[i * columns + j] += a * b;
            }
        }
    }
    gram
}

/// As many models as a method takes, three if it can be.
pub fn models_for(method: &dyn Method) -> usize {
    let (low, high) = method.spec().models;
    3.clamp(low, high)
}

/// Parameters that make a method do all it can.
pub fn params(method: &dyn Method, models: usize) -> Params {
    params_with(method, models, |_, _| None)
}

pub fn params_with(
    method: &dyn Method,
    models: usize,
    given: impl Fn(&str, Option<usize>) -> Option<Value>,
) -> Params {
    Params::new(method.spec(), models, |name, model| {
        given(name, model).or_else(|| {
            let number = match name {
                "weight" => 0.4 + 0.3 * model.unwrap_or(0) as f64,
                "density" => 0.6 - 0.1 * model.unwrap_or(0) as f64,
                "gamma" => 0.1,
                "t" => 0.3,
                "select_topk" => 0.5,
                "scale" => 1.5,
                "lambda" => 0.9,
                _ => return None,
            };
            Some(Value::Number(number))
        })
    })
    .unwrap()
}

/// Fuses in blocks of the given lengths, in turn.
pub fn in_blocks(fuser: &dyn Fuser, inputs: &Inputs<'_>, lengths: &[usize]) -> Vec<f32> {
    let len = inputs.len();
    let mut out = vec![0.0; len];
    let mut buffers = vec![Vec::new(); inputs.models.len() + 1];
    let mut start = 0;
    for &length in lengths.iter().cycle() {
        let length = length.clamp(1, len.max(1)).min(len - start);
        if length == 0 {
            break;
        }
        let sources = inputs.models.iter().copied().chain(inputs.base);
        for (buffer, source) in buffers.iter_mut().zip(sources) {
            buffer.resize(length, 0.0);
            source.read(start, buffer);
        }
        let models: Vec<&[f32]> = buffers[..inputs.models.len()]
            .iter()
            .map(|b| &b[..])
            .collect();
        let block = Block {
            start,
            models: &models,
            base: inputs.base.map(|_| &buffers[inputs.models.len()][..]),
        };
        fuser.fuse(&block, &mut out[start..start + length]);
        start += length;
    }
    out
}

/// The whole tensor in one block.
pub fn fuse(
    method: &dyn Method,
    tensors: &Tensors,
    params: &Params,
    seed: u64,
) -> Result<Vec<f32>> {
    tensors.with(method, |inputs| {
        let fuser = method.prepare(inputs, params, seed)?;
        Ok(in_blocks(&*fuser, inputs, &[inputs.len()]))
    })
}

pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

pub fn is_random(method: &dyn Method) -> bool {
    let name = method.spec().name;
    name.starts_with("dare") || name.starts_with("della")
}

/// Whether the error is one that the inputs deserve.
pub fn deserved(error: &FuseError) -> bool {
    matches!(
        error,
        FuseError::OpposedModels { .. } | FuseError::ZeroWeights { .. }
    )
}
