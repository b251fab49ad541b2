//! Central differences along directions, for gradients computed in `f32`.
#![allow(dead_code, reason = "each test file uses its own part")]

use bomf_tune::params::{Init, Layout, Param};
use bomf_tune::tape::{Gradients, Tape, Var, Workspace};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Distance of the differences. With a stencil of four points the truncation error
/// is `h⁴ f⁽⁵⁾ / 30`, about 2e-9 of the function here; the rounding error is `f32`'s
/// 6e-8 of a forward pass over `h`, 4e-6. Both lie well below [`TOLERANCE`]. A power
/// of two, so that `x ± h` loses as little as can be.
pub const STEP: f32 = 1.0 / 64.0;
/// Difference from the tape's gradient, as a share of the largest entry (of the norm
/// for a direction): twenty times what rounding makes of sums over some hundred
/// outputs.
pub const TOLERANCE: f64 = 5e-4;
/// What counts as the scale where a gradient is zero.
pub const FLOOR: f64 = 1e-2;

pub fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

pub fn normal(count: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    StandardNormal.sample_iter(rng).take(count).collect()
}

/// `f'` at 0 from `f(±h)` and `f(±2h)`.
pub fn derivative(f: impl Fn(f32) -> f64, h: f32) -> f64 {
    let near = f(h) - f(-h);
    let far = f(2.0 * h) - f(-2.0 * h);
    (8.0 * near - far) / (12.0 * h as f64)
}

/// `params` moved by `t` along `direction` from entry `start` on.
pub fn moved(params: &[f32], start: usize, direction: &[f32], t: f32) -> Vec<f32> {
    let mut params = params.to_vec();
    for (p, d) in params[start..].iter_mut().zip(direction) {
        *p += t * d;
    }
    params
}

/// Random signs: a direction that moves every entry by the step.
pub fn signs(count: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    normal(count, rng).iter().map(|x| x.signum()).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| a as f64 * b as f64).sum()
}

/// One operation (or a few) between parameters and a matrix.
pub struct Op<'f> {
    pub layout: Layout,
    pub params: Vec<f32>,
    /// Dropout is active with this seed.
    pub dropout_seed: Option<u64>,
    pub forward: Forward<'f>,
}

/// Runs the operation on a tape, given the parameters in their order.
pub type Forward<'f> = Box<dyn Fn(&mut Tape, &[Param]) -> Var + 'f>;

impl<'f> Op<'f> {
    /// Parameters of these shapes (one row: a vector), standard normal.
    pub fn new(
        shapes: &[(usize, usize)],
        seed: u64,
        forward: impl Fn(&mut Tape, &[Param]) -> Var + 'f,
    ) -> Self {
        let mut layout = Layout::default();
        for (i, &(rows, cols)) in shapes.iter().enumerate() {
            match rows {
                1 => layout.vector(format!("p{i}"), cols, Init::Zeros),
                _ => layout.matrix(format!("p{i}"), rows, cols, 1.0),
            };
        }
        let params = normal(layout.len(), &mut rng(seed));
        Op {
            layout,
            params,
            dropout_seed: Some(seed),
            forward: Box::new(forward),
        }
    }

    /// Changes parameter `i`'s values.
    pub fn map(mut self, i: usize, f: impl Fn(f32) -> f32) -> Self {
        let param = self.param(i);
        for value in &mut self.params[param.offset..][..param.len()] {
            *value = f(*value);
        }
        self
    }

    pub fn param(&self, i: usize) -> Param {
        self.all()[i]
    }

    fn all(&self) -> Vec<Param> {
        self.layout.entries().map(|(_, e)| e.param).collect()
    }

    /// The outcome.
    pub fn values(&self, params: &[f32]) -> Vec<f32> {
        let mut gradients = Gradients::zeros(params.len(), params.len());
        let workspace = Workspace::default();
        let mut tape = Tape::training(params, &mut gradients, self.dropout_seed, &workspace);
        (self.forward)(&mut tape, &self.all()).to_vec()
    }

    /// The gradient of `Σ (y - target)²`, for the parameters from `first` on.
    pub fn gradients(&self, target: &[f32], first: usize) -> Gradients {
        let mut gradients = Gradients::zeros(first, self.params.len());
        let workspace = Workspace::default();
        let mut tape = Tape::training(&self.params, &mut gradients, self.dropout_seed, &workspace);
        let y = (self.forward)(&mut tape, &self.all());
        tape.squared_error(&y, target, 1.0);
        drop(y);
        tape.backward();
        gradients
    }

    /// The loss whose gradient [`gradients`](Op::gradients) gives, summed in `f64`.
    fn loss(&self, params: &[f32], target: &[f32]) -> f64 {
        let y = self.values(params);
        y.iter()
            .zip(target)
            .map(|(&y, &t)| (y as f64 - t as f64).powi(2))
            .sum()
    }

    fn target(&self) -> Vec<f32> {
        normal(self.values(&self.params).len(), &mut rng(77))
    }

    /// Compares every entry of every parameter's gradient with central differences.
    #[track_caller]
    pub fn check_every_entry(&self) {
        let target = self.target();
        let gradients = self.gradients(&target, 0);
        for (name, entry) in self.layout.entries() {
            let got = entry.param.of(&gradients.values);
            let want: Vec<f64> = (0..got.len())
                .map(|i| {
                    let loss = |t| {
                        let at = moved(&self.params, entry.param.offset + i, &[1.0], t);
                        self.loss(&at, &target)
                    };
                    derivative(loss, STEP)
                })
                .collect();
            let scale = want.iter().fold(FLOOR, |m, v| m.max(v.abs()));
            for (i, (&g, w)) in got.iter().zip(&want).enumerate() {
                let difference = (g as f64 - w).abs();
                assert!(
                    difference <= TOLERANCE * scale,
                    "gradient of {name}[{i}] is {g}, by differences {w}"
                );
            }
        }
        self.check_directions();
        self.check_frozen(&target, &gradients);
    }

    /// Compares the gradient of each parameter along random directions: for sizes at
    /// which every entry would take too long.
    #[track_caller]
    pub fn check_directions(&self) {
        let target = self.target();
        let gradients = self.gradients(&target, 0);
        for (name, entry) in self.layout.entries() {
            let got = entry.param.of(&gradients.values);
            let norm = dot(got, got).sqrt().max(FLOOR);
            for seed in 0..3 {
                let direction = signs(got.len(), &mut rng(seed));
                let offset = entry.param.offset;
                let loss = |t| self.loss(&moved(&self.params, offset, &direction, t), &target);
                // A smaller step than for one entry: all of them move.
                let want = derivative(loss, STEP / 4.0);
                let along = dot(got, &direction);
                assert!(
                    (along - want).abs() <= TOLERANCE * norm,
                    "gradient of {name} along direction {seed} is {along}, by differences {want}"
                );
            }
        }
    }

    /// Frozen parameters change nothing about the gradients of the others. The cuts
    /// are before matrices: never between an operation's weight and its bias.
    #[track_caller]
    fn check_frozen(&self, target: &[f32], all: &Gradients) {
        for (name, entry) in self.layout.entries().filter(|(_, e)| e.shape.len() > 1) {
            let first = entry.param.offset;
            let tail = self.gradients(target, first);
            assert_eq!(tail.values, all.values[first..], "frozen below {name}");
        }
    }
}
