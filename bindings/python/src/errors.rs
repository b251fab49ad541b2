//! The crates' errors as Python's exceptions: the same words, the hint beside them.
//!
//! The classes are those of `bomf.errors`, where Python's own names (`ValueError`) are among
//! their bases.

use bomf::Error;
use bomf_bo::BoError;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// An error's message, with those of its causes that it does not tell itself.
fn message(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !message.contains(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        cause = error.source();
    }
    message
}

/// An exception of a class of `bomf.errors`.
pub fn raised(class: &str, message: &str, hint: Option<String>) -> PyErr {
    let made = Python::attach(|py| {
        let class = py.import("bomf.errors")?.getattr(class)?;
        Ok::<_, PyErr>(PyErr::from_value(class.call1((message, hint))?))
    });
    // Without the package, as when the module is imported by itself.
    made.unwrap_or_else(|_| PyRuntimeError::new_err(message.to_owned()))
}

/// An error of the pipeline.
pub fn of_bomf(error: &Error) -> PyErr {
    let class = match error {
        Error::Recipe(_) | Error::Untuned { .. } => "RecipeError",
        Error::Hub(_) | Error::NoModel { .. } => "ModelNotFoundError",
        Error::Checkpoint(_) | Error::NoRecord { .. } | Error::OtherVocabulary { .. } => {
            "CheckpointError"
        }
        Error::NoVocabulary { .. } | Error::NoToken { .. } => "CheckpointError",
        Error::OtherArchitecture { .. } | Error::NoHead { .. } | Error::OtherHead { .. } => {
            "CheckpointError"
        }
        Error::Fuse(bomf_fuse::FuseError::Checkpoint(_)) => "CheckpointError",
        Error::Fuse(_) | Error::TooFewMembers { .. } => "FusionError",
        Error::Data(_) | Error::UnknownLabel { .. } | Error::EmptySplit { .. } | Error::NoData => {
            "DataError"
        }
        Error::Tune(_) | Error::NoTrial { .. } | Error::NotFinite | Error::Metric(_) => {
            "TrainingError"
        }
        Error::Bo(error) => return of_bo(error),
        Error::Pareto(_) => "ParetoError",
        Error::OutputNotEmpty { .. } | Error::InputInOutput { .. } | Error::Output { .. } => {
            "OutputError"
        }
        Error::Evaluator { .. } | Error::NoMember => "EvaluationError",
        Error::Interrupted { .. } => "InterruptedError",
        _ => "BomfError",
    };
    raised(class, &message(error), error.hint().map(in_python))
}

/// A hint in the words of Python's arguments.
fn in_python(hint: String) -> String {
    [
        ("--overwrite", "overwrite=True"),
        ("--out", "out"),
        ("--data", "data"),
    ]
    .iter()
    .fold(hint, |hint, (from, to)| hint.replace(from, to))
}

/// An error of the optimiser.
pub fn of_bo(error: &BoError) -> PyErr {
    let class = match error {
        BoError::Exhausted { .. } => "ExhaustedError",
        _ => "OptimizationError",
    };
    raised(class, &message(error), None)
}

/// An error of a front.
pub fn of_pareto(error: &bomf_pareto::ParetoError) -> PyErr {
    raised("ParetoError", &message(error), None)
}

/// A wrong argument, said in full.
pub fn wrong(message: impl AsRef<str>) -> PyErr {
    raised("ArgumentError", message.as_ref(), None)
}
