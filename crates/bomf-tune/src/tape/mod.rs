//! Reverse-mode differentiation over fused transformer operations.
//!
//! A [`Tape`] runs operations as they are called and, where a gradient will be
//! wanted, writes down what each needs for its backward pass, and nothing more:
//! probabilities, masks and activations are computed again rather than kept.
//! [`Tape::backward`] then walks the record from the end. The set of operations
//! is small on purpose: whoever implements these few on another device has ported
//! every model.
//!
//! Activations are matrices `[tokens, features]`, all sequences of a batch one
//! behind another, without padding.

mod backward;
mod forward;
mod pool;

use crate::kernels::activation::Activation;
use crate::kernels::dropout::Mask;
use crate::kernels::relative::Buckets;
use crate::kernels::rms_norm::Groups;
use crate::kernels::rope::Rotation;
use crate::lora::Shared;
use crate::params::Param;
use crate::statistics::InputGrams;
use pool::{Buffer, Pool};
use std::ops::Deref;
use std::rc::Rc;

/// The outcome of an operation: a matrix on the tape. Clones are cheap and share it.
#[derive(Debug, Clone)]
pub struct Var(Rc<Value>);

/// The place of a gradient among the tape's; `None` where none is wanted.
type Slot = Option<usize>;

#[derive(Debug)]
struct Value {
    grad: Slot,
    rows: usize,
    cols: usize,
    data: Buffer,
}

impl Var {
    /// Rows of the matrix.
    pub fn rows(&self) -> usize {
        self.0.rows
    }

    /// Columns of the matrix.
    pub fn cols(&self) -> usize {
        self.0.cols
    }
}

/// The numbers, row-major.
impl Deref for Var {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.0.data
    }
}

/// What an operation's backward pass needs: the numbers of an input only where they are
/// read again, else the place of its gradient.
#[derive(Debug)]
enum Op {
    Embedding {
        tables: Vec<(Param, Rc<[u32]>)>,
    },
    LayerNorm {
        x: Slot,
        residual: Slot,
        dropout: Option<Mask>,
        x_hat: Buffer,
        inv_std: Buffer,
        gamma: Param,
        beta: Option<Param>,
    },
    Linear {
        x: Slot,
        /// Its input, where the weight is trained or something is done to the input.
        kept: Option<Var>,
        input: Input,
        weight: Param,
        bias: Option<Param>,
    },
    Activation {
        x: Var,
        input: Input,
    },
    RmsNorm {
        x: Var,
        inv: Buffer,
        gamma: Param,
        groups: Groups,
    },
    /// Heads turned in place of what had the slot `base`.
    Rope {
        base: Slot,
        rotation: Rc<Rotation>,
        shape: (usize, usize),
    },
    /// `dropout(x) + residual`, in place of what had the slot `base`.
    Add {
        base: Slot,
        residual: Slot,
        mask: Option<Mask>,
    },
    Dropout {
        x: Slot,
        mask: Mask,
    },
    Attention {
        q: Var,
        kv: Var,
        lse: Buffer,
        q_offsets: Rc<[usize]>,
        k_offsets: Rc<[usize]>,
        heads: crate::kernels::attention::Heads,
        window: Option<WindowRows>,
        /// The bias spread over distances, with their span.
        bias: Option<(RelativeBias, Buffer, usize)>,
    },
    /// An adapter's part, added in place to what had the slot `base`.
    LowRank {
        base: Slot,
        x: Var,
        mask: Option<Mask>,
        /// `dropout(x) Aᵀ`
        low: Buffer,
        factors: Factors,
    },
    Gather {
        x: Slot,
        /// Of the whole matrix.
        shape: (usize, usize),
        rows: Rc<[u32]>,
    },
    /// `factor x`, in place of what had the slot `base`.
    Scale {
        base: Slot,
        factor: f32,
    },
    /// Rows of what had the slot `base` replaced.
    Scatter {
        base: Slot,
        x: Slot,
        cols: usize,
        rows: Rc<[u32]>,
    },
    /// A part of the network of which only the input is kept; `dropouts` masks were drawn before
    /// it.
    Again {
        x: Var,
        run: Again,
        dropouts: u64,
    },
    /// The mean of the rows of each sequence.
    Mean {
        x: Slot,
        cols: usize,
        offsets: Rc<[usize]>,
    },
    Columns {
        x: Slot,
        /// Of the whole matrix.
        shape: (usize, usize),
        first: usize,
    },
}

/// What is computed again on the way back.
struct Again(Box<Segment>);

/// A part of a network.
type Segment = dyn Fn(&mut Tape<'_>, &Var) -> Var;

impl std::fmt::Debug for Again {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Again")
    }
}

/// What is done to the input of a linear layer on the way.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Input {
    /// Nothing.
    Plain,
    /// `f(x)`
    Activated(Activation),
    /// `f(g) u`, where `x` is `[g, u]`.
    Gated(Activation),
}

/// Queries that do not see all of their sequence: what
/// [`Window`](crate::kernels::attention::Window) says, owned.
#[derive(Debug, Clone)]
pub struct WindowRows {
    /// The place of each query row in its sequence, from 0.
    pub positions: Rc<[u32]>,
    /// How many keys before its own a query sees at most.
    pub behind: usize,
    /// How many after its own.
    pub ahead: usize,
}

impl WindowRows {
    /// The queries of a decoder, which see at most `window` keys up to their own, from 1.
    pub fn causal(positions: Rc<[u32]>, window: usize) -> Self {
        WindowRows {
            positions,
            behind: window.saturating_sub(1),
            ahead: 0,
        }
    }
}

/// A bias of scores by head and distance.
#[derive(Debug, Clone, Copy)]
pub struct RelativeBias {
    /// `[buckets, heads]`
    pub table: Param,
    /// How distances fall into buckets.
    pub buckets: Buckets,
}

/// How a model attends, beside its sizes.
#[derive(Debug, Clone)]
pub struct Attending {
    /// Heads of the queries, and of the keys and values, a divisor of these.
    pub heads: (usize, usize),
    /// On the products of queries and keys; `None` for `1/√d`.
    pub scale: Option<f32>,
    /// What a query sees; `None` for all of its sequence.
    pub window: Option<WindowRows>,
    /// What is added to the scores.
    pub bias: Option<RelativeBias>,
    /// Dropout rate of the probabilities.
    pub dropout: f32,
}

/// An adapter's factors and the columns of the output to which they add.
#[derive(Debug, Clone, Copy)]
struct Factors {
    a: Param,
    b: Param,
    scale: f32,
    first_column: usize,
}

/// Gradients of the trainable tail of a model's parameters.
#[derive(Debug)]
pub struct Gradients {
    /// Parameters before this one are frozen.
    pub first: usize,
    /// One number a parameter from `first` on.
    pub values: Vec<f32>,
}

impl Gradients {
    /// Zeros for the parameters from `first` to `len`.
    pub fn zeros(first: usize, len: usize) -> Self {
        Gradients {
            first,
            values: vec![0.0; len - first],
        }
    }

    /// The gradient of `param`; `None` where it is frozen.
    pub fn of(&mut self, param: Param) -> Option<&mut [f32]> {
        let start = param.offset.checked_sub(self.first)?;
        Some(&mut self.values[start..start + param.len()])
    }
}

/// Runs operations and records them.
#[derive(Debug)]
pub struct Tape<'p> {
    params: &'p [f32],
    gradients: Option<&'p mut Gradients>,
    /// Each recorded operation with the gradient slot of its outcome.
    ops: Vec<(Op, usize)>,
    grads: Vec<Option<Buffer>>,
    pool: Pool,
    dropout_seed: Option<u64>,
    dropouts: u64,
    adapters: Shared,
    /// Who wants to know what linear layers are given.
    watched: Option<&'p mut InputGrams>,
    label_smoothing: f32,
    /// Whether operations are recorded now, where there are gradients at all.
    records: bool,
    /// Whether one was not that would have been.
    skipped: bool,
}

/// Buffers that outlive one tape and serve the next.
#[derive(Debug, Clone, Default)]
pub struct Workspace(Pool);

impl Workspace {
    /// Bytes of the buffers that wait for their next use: after a step, about the most that its
    /// activations and their gradients took.
    pub fn bytes(&self) -> usize {
        self.0.numbers() * size_of::<f32>()
    }
}

impl<'p> Tape<'p> {
    /// A tape that only computes: nothing is recorded, nothing dropped.
    pub fn inference(params: &'p [f32], workspace: &Workspace) -> Self {
        Tape {
            params,
            gradients: None,
            ops: Vec::new(),
            grads: Vec::new(),
            pool: workspace.0.clone(),
            dropout_seed: None,
            dropouts: 0,
            adapters: None,
            watched: None,
            label_smoothing: 0.0,
            records: true,
            skipped: false,
        }
    }

    /// As [`inference`](Tape::inference), gathering the inputs of every linear layer.
    pub fn watching(params: &'p [f32], inputs: &'p mut InputGrams, workspace: &Workspace) -> Self {
        Tape {
            watched: Some(inputs),
            ..Tape::inference(params, workspace)
        }
    }

    /// A tape whose [`backward`](Tape::backward) adds to `gradients`. Dropout is
    /// active where a seed is given.
    pub fn training(
        params: &'p [f32],
        gradients: &'p mut Gradients,
        dropout_seed: Option<u64>,
        workspace: &Workspace,
    ) -> Self {
        Tape {
            gradients: Some(gradients),
            dropout_seed,
            ..Tape::inference(params, workspace)
        }
    }

    /// Adds the part of `adapters` to every linear layer from here on that has one.
    pub(crate) fn adapt(&mut self, adapters: &Shared) {
        self.adapters.clone_from(adapters);
    }

    /// Spreads this share of each label over all classes, in the cross-entropies from here on.
    pub fn smooth_labels(&mut self, share: f32) {
        self.label_smoothing = share;
    }

    /// The parameters that the operations read.
    pub fn params(&self) -> &'p [f32] {
        self.params
    }

    /// The mask of the next dropout operation of rate `p`, where dropout is active.
    fn mask(&mut self, p: f32) -> Option<Mask> {
        let seed = self.dropout_seed.filter(|_| p > 0.0)?;
        self.dropouts += 1;
        Some(Mask::new(p, seed.wrapping_add(self.dropouts << 32)))
    }

    fn trains(&self, param: Param) -> bool {
        self.gradients
            .as_ref()
            .is_some_and(|gradients| param.offset >= gradients.first)
    }

    /// Makes the outcome of an operation; `wanted` says whether anything below it
    /// needs a gradient, and then `op` is recorded.
    fn push(
        &mut self,
        (rows, cols): (usize, usize),
        data: Buffer,
        wanted: bool,
        op: impl FnOnce() -> Op,
    ) -> Var {
        self.skipped |= wanted;
        let grad = (wanted && self.records).then(|| {
            self.grads.push(None);
            let slot = self.grads.len() - 1;
            self.ops.push((op(), slot));
            slot
        });
        Var(Rc::new(Value {
            grad,
            rows,
            cols,
            data,
        }))
    }
}
