//! Hyperparameters: their names, their ranges, and where they are searched.

use super::read::Range;
use super::{Finetune, RecipeError, Schedule, named};

/// A hyperparameter of the fine-tuning that stage 1 can search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hyperparameter {
    /// Peak learning rate.
    LearningRate,
    /// Examples in a batch.
    BatchSize,
    /// Decoupled weight decay.
    WeightDecay,
    /// Share of the steps that are warm-up.
    WarmupRatio,
    /// Dropout probability.
    Dropout,
    /// Passes over the training split.
    Epochs,
    /// Learning-rate schedule.
    Schedule,
}

named!(Hyperparameter {
    LearningRate = "learning_rate",
    BatchSize = "batch_size",
    WeightDecay = "weight_decay",
    WarmupRatio = "warmup_ratio",
    Dropout = "dropout",
    Epochs = "epochs",
    Schedule = "schedule",
});

/// What a hyperparameter's values are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Domain {
    Real(Range),
    Integer(u64, u64),
    Schedule,
}

impl Hyperparameter {
    /// The values that are allowed, searched or set.
    pub(super) fn domain(self) -> Domain {
        match self {
            Hyperparameter::LearningRate => Domain::Real(Range::above(0.0).to(1.0)),
            Hyperparameter::BatchSize => Domain::Integer(1, 4096),
            Hyperparameter::WeightDecay => Domain::Real(Range::from(0.0).to(10.0)),
            Hyperparameter::WarmupRatio => Domain::Real(Range::from(0.0).to(1.0)),
            Hyperparameter::Dropout => Domain::Real(Range::from(0.0).below(1.0)),
            Hyperparameter::Epochs => Domain::Integer(1, 10_000),
            Hyperparameter::Schedule => Domain::Schedule,
        }
    }
}

/// Where a hyperparameter is searched.
#[derive(Debug, Clone, PartialEq)]
pub enum Dimension {
    /// Uniform on [low, high].
    Float {
        /// Smallest value.
        low: f64,
        /// Largest value.
        high: f64,
    },
    /// Uniform in the logarithm on [low, high], low above 0.
    LogFloat {
        /// Smallest value.
        low: f64,
        /// Largest value.
        high: f64,
    },
    /// The whole numbers from low to high.
    Int {
        /// Smallest value.
        low: u64,
        /// Largest value.
        high: u64,
    },
    /// One of several values, at least two, all different.
    Categorical {
        /// The values.
        choices: Vec<HyperValue>,
    },
}

/// A value of a hyperparameter.
#[derive(Debug, Clone, PartialEq)]
pub enum HyperValue {
    /// A number.
    Float(f64),
    /// A whole number.
    Int(u64),
    /// A word.
    Text(String),
}

impl std::fmt::Display for HyperValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            HyperValue::Float(value) => write!(f, "{value:?}"),
            HyperValue::Int(value) => write!(f, "{value}"),
            HyperValue::Text(value) => f.write_str(value),
        }
    }
}

impl From<&HyperValue> for serde_json::Value {
    fn from(value: &HyperValue) -> Self {
        match value {
            HyperValue::Float(value) => (*value).into(),
            HyperValue::Int(value) => (*value).into(),
            HyperValue::Text(value) => value.as_str().into(),
        }
    }
}

impl Finetune {
    /// Gives a hyperparameter a value, as a trial of stage 1 or its winner does.
    ///
    /// # Errors
    /// [`RecipeError::BadValue`] where the value is of the wrong type or out of
    /// range.
    pub fn set(&mut self, name: Hyperparameter, value: &HyperValue) -> Result<(), RecipeError> {
        let wrong = |expected: String| RecipeError::BadValue {
            file: String::new(),
            line: 0,
            field: name.as_str().into(),
            value: value.to_string(),
            expected,
            nearest: None,
        };
        match name.domain() {
            Domain::Real(range) => {
                let value = match *value {
                    HyperValue::Float(value) if range.contains(value) => value,
                    HyperValue::Int(value) if range.contains(value as f64) => value as f64,
                    _ => return Err(wrong(format!("a number {range}"))),
                };
                match name {
                    Hyperparameter::LearningRate => self.learning_rate = Some(value),
                    Hyperparameter::WeightDecay => self.weight_decay = value,
                    Hyperparameter::WarmupRatio => self.warmup_ratio = value,
                    Hyperparameter::Dropout => self.dropout = Some(value),
                    _ => {}
                }
            }
            Domain::Integer(low, high) => {
                let value = match *value {
                    HyperValue::Int(value) if (low..=high).contains(&value) => value as usize,
                    _ => return Err(wrong(format!("a whole number from {low} to {high}"))),
                };
                match name {
                    Hyperparameter::BatchSize => self.batch_size = Some(value),
                    Hyperparameter::Epochs => self.epochs = value,
                    _ => {}
                }
            }
            Domain::Schedule => {
                let named = Schedule::NAMED
                    .iter()
                    .find(|(word, _)| matches!(value, HyperValue::Text(text) if text == word));
                match named {
                    Some((_, schedule)) => self.schedule = *schedule,
                    None => {
                        let words = Schedule::NAMED.iter().map(|(word, _)| *word);
                        let words: Vec<&str> = words.collect();
                        return Err(wrong(format!("one of {}", words.join(", "))));
                    }
                }
            }
        }
        Ok(())
    }
}
