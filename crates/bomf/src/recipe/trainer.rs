//! A program that trains models in the engine's place.

use super::RecipeError;
use super::command::Template;
use super::read::{Range, Section};
use std::ffi::OsString;

/// How long a training run may take unless the recipe says otherwise, in seconds: a day.
const TIMEOUT: f64 = 24.0 * 3600.0;

/// The longest time limit, in seconds: a year.
const MAX_SECONDS: f64 = 366.0 * 24.0 * 3600.0;

/// What a trainer's command line may name, beside the hyperparameters.
const PLACES: [&str; 6] = ["config", "output", "metrics", "model", "data", "seed"];

/// Hyperparameters that a trainer is given.
pub(crate) const GIVEN: [&str; 15] = [
    "learning_rate",
    "batch_size",
    "epochs",
    "weight_decay",
    "adam_beta1",
    "adam_beta2",
    "adam_epsilon",
    "warmup_ratio",
    "schedule",
    "dropout",
    "max_grad_norm",
    "gradient_accumulation_steps",
    "evaluations_per_epoch",
    "lora_r",
    "lora_alpha",
];

/// A program that is given hyperparameters, trains, writes `checkpoint-<step>` folders and
/// reports metrics, for models that the engine does not know.
#[derive(Debug, Clone, PartialEq)]
pub struct ExternalTrainer {
    /// Trains a model. Every placeholder is optional: the program finds the same in its
    /// environment.
    pub command: TrainerCommand,
    /// How long a training run may take, in seconds: above 0, at most a year. Default a
    /// day.
    pub timeout: f64,
}

/// A command line that trains: words split as a POSIX shell splits them, with `{config}`,
/// `{output}`, `{metrics}`, `{model}`, `{data}`, `{seed}` and any hyperparameter by its name in
/// a recipe, such as `{learning_rate}`, in their places.
///
/// ```
/// use bomf::recipe::TrainerCommand;
///
/// assert!(TrainerCommand::new("python3 train.py --lr {learning_rate}", "command").is_ok());
/// assert!(TrainerCommand::new("python3 'train.py", "command").is_err());
/// # Ok::<(), bomf::RecipeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainerCommand(Template);

impl TrainerCommand {
    /// A command line from text; `field` is what messages call it.
    ///
    /// # Errors
    /// [`RecipeError::BadValue`] where quotes are left open or there is no word.
    pub fn new(text: &str, field: &str) -> Result<Self, RecipeError> {
        Template::new(text, field).map(TrainerCommand)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The program and its arguments; `value` is asked for what stands in a placeholder's
    /// place.
    pub(crate) fn words(&self, value: impl Fn(&str) -> OsString) -> Vec<OsString> {
        let names = PLACES.iter().chain(&GIVEN);
        let values: Vec<(String, OsString)> = names
            .map(|name| (format!("{{{name}}}"), value(name)))
            .collect();
        let pairs: Vec<(&str, OsString)> = values
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()))
            .collect();
        self.0.fill(&pairs)
    }
}

impl ExternalTrainer {
    /// A program, and defaults for the rest.
    pub fn new(command: TrainerCommand) -> Self {
        ExternalTrainer {
            command,
            timeout: TIMEOUT,
        }
    }
}

/// The section of a recipe; `None` where it is left out. `is_evaluated`: whether the recipe
/// has an evaluator, without which what is trained could not be fused.
pub(super) fn read(
    mut section: Section<'_>,
    is_evaluated: bool,
) -> Result<Option<ExternalTrainer>, RecipeError> {
    let command = section.field("command");
    let timeout = section.field("timeout");
    let needed = |file: &str, line, field, other: &'static str| RecipeError::Needed {
        file: file.into(),
        line,
        field,
        other,
        value: "given".into(),
    };
    let Some(command) = command else {
        if let Some(timeout) = timeout {
            let line = timeout.node.line;
            return Err(needed(timeout.file, line, "trainer.command", "trainer"));
        }
        section.finish()?;
        return Ok(None);
    };
    if !is_evaluated {
        let line = command.node.line;
        return Err(needed(
            command.file,
            line,
            "evaluator.command",
            "trainer.command",
        ));
    }
    let text = command.text()?;
    let parsed = TrainerCommand::new(&text, &command.path);
    let parsed = parsed.map_err(|error| match error {
        RecipeError::BadValue { expected, .. } => command.wrong(expected),
        error => error,
    })?;
    let mut trainer = ExternalTrainer::new(parsed);
    if let Some(field) = timeout {
        trainer.timeout = field.number(Range::above(0.0).to(MAX_SECONDS))?;
    }
    section.finish()?;
    Ok(Some(trainer))
}
