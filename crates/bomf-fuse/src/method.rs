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

use std::fmt;

use crate::error::{FuseError, Result};

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

impl<S: Source + ?Sized> Source for &S {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn read(&self, start: usize, out: &mut [f32]) {
        (**self).read(start, out);
    }

    fn as_slice(&self) -> Option<&[f32]> {
        (**self).as_slice()
    }
}

impl Source for Vec<f32> {
    fn len(&self) -> usize {
        self[..].len()
    }

    fn read(&self, start: usize, out: &mut [f32]) {
        self[..].read(start, out);
    }

    fn as_slice(&self) -> Option<&[f32]> {
        Some(self)
    }
}

/// The tensors of one name that become one, all of the same shape.
#[derive(Clone)]
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

impl Inputs<'_> {
    /// The number of elements of each tensor.
    pub fn len(&self) -> usize {
        let first = self.models.first().copied().or(self.base);
        first.map_or(0, |tensor| tensor.len())
    }

    /// Whether the tensors have no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a method can work on these: as many models as it takes, a base model where it must
    /// have one, and as many elements in each tensor as the shape says.
    ///
    /// # Errors
    /// [`FuseError::ModelCount`], [`FuseError::MissingBase`], [`FuseError::InputLength`].
    pub fn check(&self, spec: &'static MethodSpec) -> Result<()> {
        spec.check_models(self.models.len(), self.base.is_some())?;
        let expected: usize = self.shape.iter().product();
        let models = self.models.iter().enumerate().map(|(i, m)| (Some(i), *m));
        let base = self.base.map(|base| (None, base));
        for (model, source) in models.chain(base) {
            if source.len() != expected {
                return Err(FuseError::InputLength {
                    tensor: self.name.to_owned(),
                    model,
                    expected,
                    found: source.len(),
                });
            }
        }
        Ok(())
    }
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

impl Block<'_> {
    /// The number of elements.
    pub fn len(&self) -> usize {
        let first = self.models.first().copied().or(self.base);
        first.map_or(0, <[f32]>::len)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A parameter's value for one tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A number.
    Number(f64),
    /// Yes or no.
    Flag(bool),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(number) => number.fmt(f),
            Value::Flag(flag) => flag.fmt(f),
        }
    }
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

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Kind::Number { low, high } => match (low == f64::MIN, high == f64::MAX) {
                (true, true) => write!(f, "a finite number"),
                (false, true) => write!(f, "a finite number of at least {low}"),
                (true, false) => write!(f, "a finite number of at most {high}"),
                (false, false) => write!(f, "a number from {low} to {high}"),
            },
            Kind::Integer { low, high } => write!(f, "a whole number from {low} to {high}"),
            Kind::Flag => write!(f, "true or false"),
        }
    }
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

impl ParamSpec {
    /// Whether the parameter takes a value.
    pub fn takes(&self, value: Value) -> bool {
        match (self.kind, value) {
            (Kind::Number { low, high }, Value::Number(x)) => low <= x && x <= high,
            (Kind::Integer { low, high }, Value::Number(x)) => {
                x.fract() == 0.0 && low as f64 <= x && x <= high as f64
            }
            (Kind::Flag, Value::Flag(_)) => true,
            _ => false,
        }
    }
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

impl MethodSpec {
    /// Whether the method can work on so many models, with a base model or without.
    ///
    /// # Errors
    /// [`FuseError::ModelCount`], [`FuseError::MissingBase`].
    pub fn check_models(&'static self, models: usize, base: bool) -> Result<()> {
        let (low, high) = self.models;
        if models < low || models > high {
            return Err(FuseError::ModelCount {
                method: self.name,
                low,
                high,
                found: models,
            });
        }
        if self.base == Base::Required && !base {
            return Err(FuseError::MissingBase { method: self.name });
        }
        Ok(())
    }
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
    /// The declared parameters of a method for `models` models: what `given` says of each (asked
    /// with the model's number for those that every model has), or else its default.
    ///
    /// ```
    /// use bomf_fuse::method::{Params, Value};
    /// let ties = bomf_fuse::registry::get("ties")?.spec();
    /// let params = Params::new(ties, 2, |name, model| match (name, model) {
    ///     ("weight", Some(_)) => Some(Value::Number(0.5)),
    ///     ("density", Some(0)) => Some(Value::Number(0.2)),
    ///     _ => None,
    /// })?;
    /// assert_eq!(params.numbers("density"), [0.2, 1.0]);
    /// assert!(params.flag("normalize"));
    /// # Ok::<(), bomf_fuse::FuseError>(())
    /// ```
    ///
    /// # Errors
    /// [`FuseError::MissingParameter`], [`FuseError::InvalidParameter`].
    pub fn new(
        spec: &'static MethodSpec,
        models: usize,
        given: impl Fn(&str, Option<usize>) -> Option<Value>,
    ) -> Result<Self> {
        let value = |param: &'static ParamSpec, model| {
            let value = given(param.name, model).or(param.default);
            let value = value.ok_or(FuseError::MissingParameter {
                method: spec.name,
                parameter: param.name,
                model,
            })?;
            if !param.takes(value) {
                return Err(FuseError::InvalidParameter {
                    method: spec.name,
                    parameter: param.name,
                    model,
                    kind: param.kind,
                    found: value,
                });
            }
            Ok((param.name, value))
        };
        let of = |scope| spec.params.iter().filter(move |p| p.scope == scope);
        Ok(Self {
            method: of(Scope::Method)
                .map(|p| value(p, None))
                .collect::<Result<_>>()?,
            models: (0..models)
                .map(|i| of(Scope::Model).map(|p| value(p, Some(i))).collect())
                .collect::<Result<_>>()?,
        })
    }

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
