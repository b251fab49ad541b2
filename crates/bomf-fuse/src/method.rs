//! What a method of fusion is: from the tensors of n models, one tensor.
//!
//! Tensors may be larger than memory, so a method never holds one. It works in two steps:
//!
//! 1. [`Method::prepare`] reads the inputs as often as it needs to, block by block, and keeps what
//!    it must know of the whole tensor (norms, inner products, a threshold);
//! 2. [`Fuser::fuse`] then maps any block of the inputs to the same block of the output, by
//!    itself and in any order, so that blocks can be shared out among threads.
//!
//! Both steps give the same bits for any number of threads and any size of block.

use crate::error::Result;

/// A tensor's elements, readable in any part, as `f32`, row-major.
pub trait Source: Sync {
    /// The number of elements.
    fn len(&self) -> usize;

    /// Writes the elements from `start` on to `out`.
    ///
    /// # Panics
    /// If the part does not lie within the tensor.
    fn read(&self, start: usize, out: &mut [f32]);

    /// The elements where they lie, if they are `f32` in memory: nothing needs to be copied then.
    fn as_slice(&self) -> Option<&[f32]> {
        None
    }

    /// Whether there are no elements.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Source for [f32] {
    fn len(&self) -> usize {
        <[f32]>::len(self)
    }

    fn read(&self, start: usize, out: &mut [f32]) {
        out.copy_from_slice(&self[start..start + out.len()]);
    }

    fn as_slice(&self) -> Option<&[f32]> {
        Some(self)
    }
}

/// The tensors of one name that become one, all of the same shape.
pub struct Inputs<'a> {
    /// The tensor's name, which random methods mix into their seed.
    pub name: &'a str,
    /// Its shape.
    pub shape: &'a [usize],
    /// The models' tensors, in the order of the recipe, the base model not among them.
    pub models: Vec<&'a dyn Source>,
    /// The base model's tensor.
    pub base: Option<&'a dyn Source>,
}

/// A block of the inputs: the same elements of each.
pub struct Block<'a> {
    /// The number of the first element within the tensor.
    pub start: usize,
    /// The models' elements.
    pub models: &'a [&'a [f32]],
    /// The base model's.
    pub base: Option<&'a [f32]>,
}

/// A parameter's value for one tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A number.
    Number(f64),
    /// Yes or no.
    Flag(bool),
}

/// What values a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// A finite number from `low` to `high`.
    Number {
        /// The least value.
        low: f64,
        /// The greatest value.
        high: f64,
    },
    /// A whole number from `low` to `high`.
    Integer {
        /// The least value.
        low: i64,
        /// The greatest value.
        high: i64,
    },
    /// Yes or no.
    Flag,
}

/// Whether a parameter is one for all models or one a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One for the whole method.
    Method,
    /// One for each model.
    Model,
}

/// A parameter that a method declares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParamSpec {
    /// Its name in recipes.
    pub name: &'static str,
    /// What it does, in one line.
    pub help: &'static str,
    /// Its values.
    pub kind: Kind,
    /// For the method or for each model.
    pub scope: Scope,
    /// The value where the recipe gives none; without one, the recipe must.
    pub default: Option<Value>,
}

/// Whether a method wants a base model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// It cannot do without: it works on differences from the base.
    Required,
    /// It can use one.
    Optional,
    /// It has no use for one.
    Unused,
}

/// What a method says of itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MethodSpec {
    /// Its name in recipes.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// The paper it comes from, with its arXiv number; empty if there is none.
    pub paper: &'static str,
    /// Whether it wants a base model.
    pub base: Base,
    /// The least and the greatest number of models, the base model not counted.
    pub models: (usize, usize),
    /// Its parameters.
    pub params: &'static [ParamSpec],
}

/// The parameters of one method for one tensor: every declared one has a valid value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Params {
    /// By name, for the method.
    pub method: Vec<(&'static str, Value)>,
    /// By model, then by name.
    pub models: Vec<Vec<(&'static str, Value)>>,
}

impl Params {
    /// A number of the method.
    ///
    /// # Panics
    /// If the method declares no such number.
    pub fn number(&self, name: &str) -> f64 {
        number(&self.method, name)
    }

    /// A flag of the method.
    ///
    /// # Panics
    /// If the method declares no such flag.
    pub fn flag(&self, name: &str) -> bool {
        flag(&self.method, name)
    }

    /// A number of each model, in their order.
    ///
    /// # Panics
    /// If the method declares no such number.
    pub fn numbers(&self, name: &str) -> Vec<f64> {
        self.models.iter().map(|m| number(m, name)).collect()
    }
}

fn number(values: &[(&'static str, Value)], name: &str) -> f64 {
    match values.iter().find(|(n, _)| *n == name) {
        Some((_, Value::Number(value))) => *value,
        _ => panic!("the method declares no number `{name}`"),
    }
}

fn flag(values: &[(&'static str, Value)], name: &str) -> bool {
    match values.iter().find(|(n, _)| *n == name) {
        Some((_, Value::Flag(value))) => *value,
        _ => panic!("the method declares no flag `{name}`"),
    }
}

/// A method of fusion.
pub trait Method: Sync {
    /// Its name, paper and parameters.
    fn spec(&self) -> &'static MethodSpec;

    /// Learns what must be known of the whole tensor. `seed` is the recipe's; a random method
    /// draws from it, the tensor's name, the model's number and the element's number, so that
    /// what it draws depends on nothing else.
    ///
    /// # Errors
    /// Inputs that the method cannot fuse.
    fn prepare<'a>(
        &self,
        inputs: &Inputs<'a>,
        params: &Params,
        seed: u64,
    ) -> Result<Box<dyn Fuser + 'a>>;
}

/// A method that knows its tensor.
pub trait Fuser: Sync {
    /// Writes the output's elements for a block of the inputs; `out` is as long as each of them.
    fn fuse(&self, block: &Block<'_>, out: &mut [f32]);
}
