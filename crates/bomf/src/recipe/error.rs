//! What can be wrong with a recipe.

use std::path::PathBuf;

/// An error of a recipe: what, where, and what would be right.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// The file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The text is not YAML.
    #[error("{}{message}", at(file, *line))]
    Syntax {
        /// The file, as it was named.
        file: String,
        /// Line, from 1; 0 where it is not known.
        line: u64,
        /// The parser's words.
        message: String,
    },
    /// A field that no recipe has.
    #[error("{}unknown field `{field}` {}", at(file, *line), place_of(section))]
    UnknownField {
        /// The file, as it was named.
        file: String,
        /// Line of the field, from 1.
        line: u64,
        /// The field.
        field: String,
        /// Path of the section it stands in; empty at the top level.
        section: String,
        /// The fields that the section has.
        known: Vec<&'static str>,
        /// The one of them that is spelled most like it, if any is near.
        nearest: Option<&'static str>,
    },
    /// A value of the wrong type or out of range.
    #[error("{}`{field}` is {value}, but must be {expected}", at(file, *line))]
    BadValue {
        /// The file, as it was named; empty where the value came from elsewhere.
        file: String,
        /// Line of the value, from 1; 0 where it came from elsewhere.
        line: u64,
        /// Path of the field.
        field: String,
        /// What it holds.
        value: String,
        /// What it may hold.
        expected: String,
        /// The allowed word that is spelled most like it, if any is near.
        nearest: Option<&'static str>,
    },
    /// A hyperparameter that is both searched and fixed.
    #[error("{}`{name}` is searched in `stage1.space` and set in `finetune`", at(file, *line))]
    SearchedAndFixed {
        /// The file, as it was named.
        file: String,
        /// Line where it is searched.
        line: u64,
        /// The hyperparameter.
        name: &'static str,
    },
    /// A hyperparameter that is neither searched nor fixed.
    #[error(
        "{}`{name}` is neither searched in stage 1 nor set in `finetune`",
        at(file, 0)
    )]
    NeitherSearchedNorFixed {
        /// The file, as it was named.
        file: String,
        /// The hyperparameter.
        name: &'static str,
    },
    /// Two fields that do not go together.
    #[error("{}`{field}` is needed where `{other}` is {value}", at(file, *line))]
    Needed {
        /// The file, as it was named.
        file: String,
        /// Line of the field that needs the other one.
        line: u64,
        /// Path of the missing field.
        field: &'static str,
        /// Path of the field that needs it.
        other: &'static str,
        /// What that one holds.
        value: String,
    },
    /// A metric that this kind of task does not have.
    #[error("`{field}` names {name}, which {kind} does not have")]
    MetricOfOtherKind {
        /// Path of the field.
        field: &'static str,
        /// The metric.
        name: &'static str,
        /// The kind of the task.
        kind: &'static str,
    },
    /// An objective that the recipe does not compute.
    #[error("`{field}` names {name}, which is not among the objectives {}", objectives.join(", "))]
    UnknownObjective {
        /// Path of the field.
        field: &'static str,
        /// What it names.
        name: &'static str,
        /// Loss and metrics of this task.
        objectives: Vec<&'static str>,
    },
    /// An objective for which a value is missing.
    #[error("`{field}` holds no value for {name}")]
    MissingObjective {
        /// Path of the field.
        field: &'static str,
        /// The objective.
        name: &'static str,
    },
    /// A part of mergekit's recipes that bomf does not have.
    #[error("{}`{field}`: {what} is not supported", at(file, *line))]
    Unsupported {
        /// The file, as it was named.
        file: String,
        /// Line of the value, from 1.
        line: u64,
        /// Path of the field.
        field: String,
        /// What it asks for.
        what: String,
        /// What to do instead.
        instead: String,
    },
    /// Models, method and slices that do not go together.
    #[error("{}{source}", at(file, *line))]
    Merge {
        /// The file, as it was named.
        file: String,
        /// Line of the models or slices, from 1.
        line: u64,
        /// What is wrong with them.
        source: Box<bomf_fuse::FuseError>,
    },
}

/// What a message begins with: the place, where there is one.
fn at(file: &str, line: u64) -> String {
    match (file, line) {
        ("", _) => String::new(),
        (file, 0) => format!("{file}: "),
        (file, line) => format!("{file} line {line}: "),
    }
}

fn place_of(section: &str) -> String {
    match section {
        "" => "at the top level".into(),
        section => format!("in `{section}`"),
    }
}

impl RecipeError {
    /// How to mend it, where that can be said.
    pub fn hint(&self) -> Option<String> {
        match self {
            RecipeError::UnknownField {
                nearest: Some(nearest),
                ..
            }
            | RecipeError::BadValue {
                nearest: Some(nearest),
                ..
            } => Some(format!("did you mean `{nearest}`?")),
            RecipeError::UnknownField { known, .. } => {
                Some(format!("its fields are {}", known.join(", ")))
            }
            RecipeError::SearchedAndFixed { name, .. } => Some(format!(
                "leave `{name}` out of one of them, or skip the search with `stage1.trials: 0`"
            )),
            RecipeError::NeitherSearchedNorFixed { name, .. } => Some(format!(
                "set `finetune.{name}`, or search it in `stage1.space`"
            )),
            RecipeError::MetricOfOtherKind { .. } => {
                Some("set `task.kind` if it was guessed wrong".into())
            }
            RecipeError::Unsupported { instead, .. } => Some(instead.clone()),
            RecipeError::Merge { source, .. } => source.hint(),
            RecipeError::UnknownObjective { .. } => Some("add it to `task.metrics`".into()),
            _ => None,
        }
    }
}
