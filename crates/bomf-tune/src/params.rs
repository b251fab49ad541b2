//! Parameters: one flat array, and a layout that names its parts.
//!
//! A model's parameters lie one behind another in the order in which its forward
//! pass uses them: embeddings, layers from the bottom, head. So freezing the
//! lower part leaves a contiguous tail to train, the optimiser and the fusion
//! work on one array, and neighbours (the key and value matrices, say) can be
//! multiplied as one. Adapters lie between these and the head ([`lora`](crate::lora)).

use crate::TuneError;
use crate::lora::{Adapters, LoraOptions, Shared};
use indexmap::IndexMap;
use rand::{Rng, RngExt};
use rand_distr::{Distribution, Normal};
use std::sync::Arc;

/// How a parameter starts where no checkpoint gives it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Normal with mean 0 and this standard deviation.
    Normal(f32),
    /// All zeros.
    Zeros,
    /// All ones.
    Ones,
    /// Uniform between minus and plus this.
    Uniform(f32),
}

/// A parameter within the flat array: a matrix `[rows, cols]`, or a vector with
/// one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param {
    /// Where it begins.
    pub offset: usize,
    /// Output features of a linear layer, entries of a table, 1 for a vector.
    pub rows: usize,
    /// Input features, or the vector's length.
    pub cols: usize,
    /// Whether a linear layer's weight is stored as `[in, out]`: `rows` are the input
    /// features then.
    pub transposed: bool,
}

impl Param {
    /// How many numbers it has.
    pub fn len(self) -> usize {
        self.rows * self.cols
    }

    /// Whether it has none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Output features of the linear layer whose weight it is.
    pub fn outputs(self) -> usize {
        if self.transposed {
            self.cols
        } else {
            self.rows
        }
    }

    /// Input features of the linear layer whose weight it is.
    pub fn inputs(self) -> usize {
        if self.transposed {
            self.rows
        } else {
            self.cols
        }
    }

    /// Its numbers within `flat`.
    pub fn of(self, flat: &[f32]) -> &[f32] {
        &flat[self.offset..self.offset + self.len()]
    }

    /// This parameter and the one right behind it, as one: matrices stacked by
    /// rows, vectors end to end.
    pub fn stacked_with(self, next: Param) -> Param {
        debug_assert_eq!(self.offset + self.len(), next.offset);
        if self.rows == 1 && next.rows == 1 {
            Param {
                cols: self.cols + next.cols,
                ..self
            }
        } else {
            Param {
                rows: self.rows + next.rows,
                ..self
            }
        }
    }
}

/// One named parameter of a layout.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Where it lies.
    pub param: Param,
    /// Shape in the checkpoint.
    pub shape: Vec<usize>,
    /// How it starts where the checkpoint lacks it.
    pub init: Init,
    /// Whether it belongs to the task's head, which a checkpoint may lack.
    pub head: bool,
    /// Whether it is the weight of a linear layer, rather than a table, a vector or an
    /// adapter's factor.
    pub linear: bool,
}

impl Entry {
    /// Whether weight decay applies: to matrices, not to biases and norms.
    pub fn decays(&self) -> bool {
        self.shape.len() > 1
    }
}

/// Names, shapes and places of all parameters of a model.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    entries: IndexMap<String, Entry>,
    len: usize,
    in_head: bool,
    adapted: Option<(LoraOptions, &'static [&'static str])>,
    adapters: Shared,
}

impl Layout {
    /// Adds the weight of a linear layer, `[rows, cols]`, at the end.
    pub fn matrix(&mut self, name: impl Into<String>, rows: usize, cols: usize, std: f32) -> Param {
        self.push(name.into(), (rows, cols), Init::Normal(std), true)
    }

    /// Adds the weight of a linear layer that is stored as `[inputs, outputs]`.
    pub fn transposed_matrix(
        &mut self,
        name: impl Into<String>,
        inputs: usize,
        outputs: usize,
        std: f32,
    ) -> Param {
        let name = name.into();
        self.push(name.clone(), (inputs, outputs), Init::Normal(std), true);
        let Some(entry) = self.entries.get_mut(&name) else {
            unreachable!("pushed above");
        };
        entry.param.transposed = true;
        entry.param
    }

    /// Adds a table of embeddings, `[rows, cols]`, at the end.
    pub fn table(&mut self, name: impl Into<String>, rows: usize, cols: usize, std: f32) -> Param {
        self.push(name.into(), (rows, cols), Init::Normal(std), false)
    }

    /// Adds a factor of an adapter, `[rows, cols]`, at the end.
    pub fn factor(&mut self, name: String, rows: usize, cols: usize, init: Init) -> Param {
        self.push(name, (rows, cols), init, false)
    }

    /// Adds a vector at the end.
    pub fn vector(&mut self, name: impl Into<String>, len: usize, init: Init) -> Param {
        let param = self.push(name.into(), (1, len), init, false);
        if let Some(mut entry) = self.entries.last_entry() {
            entry.get_mut().shape = vec![len];
        }
        param
    }

    /// What follows belongs to the head; adapters, where there are to be any, come before it.
    ///
    /// # Errors
    /// [`TuneError::LoraTarget`] where they find no layer.
    pub fn begin_head(&mut self) -> Result<(), TuneError> {
        if let Some((options, defaults)) = self.adapted.take() {
            let adapters = Adapters::declare(self, &options, defaults)?;
            self.adapters = Some(Arc::new(adapters));
        }
        self.in_head = true;
        Ok(())
    }

    /// A layout that will have adapters; `defaults` are the names of the layers that are
    /// adapted where the options name none.
    pub(crate) fn with_adapters(options: LoraOptions, defaults: &'static [&'static str]) -> Self {
        Layout {
            adapted: Some((options, defaults)),
            ..Layout::default()
        }
    }

    /// The adapters that were declared.
    pub(crate) fn adapters(&self) -> Shared {
        self.adapters.clone()
    }

    /// Names (without `.weight`) and weights of the linear layers so far.
    pub(crate) fn linear_layers(&self) -> impl Iterator<Item = (&str, Param)> {
        self.entries().filter_map(|(name, entry)| {
            let module = name.strip_suffix(".weight").filter(|_| entry.linear)?;
            Some((module, entry.param))
        })
    }

    fn push(
        &mut self,
        name: String,
        (rows, cols): (usize, usize),
        init: Init,
        linear: bool,
    ) -> Param {
        let param = Param {
            offset: self.len,
            rows,
            cols,
            transposed: false,
        };
        self.len += param.len();
        let head = self.in_head;
        self.entries.insert(
            name,
            Entry {
                param,
                shape: vec![rows, cols],
                init,
                head,
                linear,
            },
        );
        param
    }

    /// How many numbers there are in all.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The parameters in their order.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&str, &Entry)> {
        self.entries
            .iter()
            .map(|(name, entry)| (name.as_str(), entry))
    }

    /// The parameter of this name.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// Fills `entry`'s place in `flat` with its starting values.
    pub fn initialise(entry: &Entry, flat: &mut [f32], rng: &mut impl Rng) {
        let Param { offset, .. } = entry.param;
        let values = &mut flat[offset..offset + entry.param.len()];
        match entry.init {
            Init::Zeros => values.fill(0.0),
            Init::Ones => values.fill(1.0),
            Init::Uniform(bound) => values.fill_with(|| rng.random_range(-bound..=bound)),
            Init::Normal(std) => {
                if let Ok(normal) = Normal::new(0.0, std) {
                    values.fill_with(|| normal.sample(rng));
                }
            }
        }
    }
}
