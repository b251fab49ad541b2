//! A program that evaluates models in the engine's place.

use super::node::Value;
use super::read::{Field, Range, Section};
use super::{CommandLine, RecipeError};
use bomf_study::Direction;
use indexmap::IndexMap;

/// How long an evaluation may take unless the recipe says otherwise, in seconds.
const TIMEOUT: f64 = 3600.0;

/// The longest time limit, in seconds: a year.
const MAX_SECONDS: f64 = 366.0 * 24.0 * 3600.0;

/// The most tries again.
const MAX_RETRIES: usize = 100;

/// The objective that decides between models which are alike in the chosen one, and is
/// not chosen itself unless there is no other.
const LOSS: &str = "loss";

/// A program that is given a model's folder and gives metrics as JSON, for models that
/// the engine does not know.
#[derive(Debug, Clone, PartialEq)]
pub struct ExternalEvaluator {
    /// Evaluates a model on the select split.
    pub command: CommandLine,
    /// Evaluates a model on the report split; `None`: none is looked at.
    pub report_command: Option<CommandLine>,
    /// Which of the metrics are optimised, in order; never empty.
    pub objectives: IndexMap<String, ExternalObjective>,
    /// The objective by which models are chosen; `None` takes the first that is not
    /// called `loss`.
    pub choose_by: Option<String>,
    /// How long an evaluation may take, in seconds: above 0, at most a year. Default
    /// 3600.
    pub timeout: f64,
    /// How often one that failed (but not for its time) is tried again. Default 1, at
    /// most 100.
    pub retries: usize,
}

/// An objective of an [`ExternalEvaluator`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExternalObjective {
    /// Whether it is minimised or maximised.
    pub direction: Direction,
    /// Its weight for [`super::Choose::Weights`], at least 0; 1 where there is none.
    pub weight: Option<f64>,
    /// Its part of the reference point; given for all of them or for none.
    pub ref_point: Option<f64>,
}

impl ExternalObjective {
    /// With this direction, and nothing else set.
    pub fn new(direction: Direction) -> Self {
        ExternalObjective {
            direction,
            weight: None,
            ref_point: None,
        }
    }
}

const DIRECTIONS: &[(&str, Direction)] = &[
    ("min", Direction::Minimize),
    ("max", Direction::Maximize),
    ("minimize", Direction::Minimize),
    ("maximize", Direction::Maximize),
];

/// The name of a direction in recipes.
pub(super) fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Minimize => "min",
        Direction::Maximize => "max",
    }
}

impl ExternalEvaluator {
    /// A program with its objectives, and defaults for the rest.
    ///
    /// # Errors
    /// [`RecipeError::BadValue`] without objectives.
    pub fn new(
        command: CommandLine,
        objectives: IndexMap<String, ExternalObjective>,
    ) -> Result<Self, RecipeError> {
        if objectives.is_empty() {
            return Err(RecipeError::BadValue {
                file: String::new(),
                line: 0,
                field: "evaluator.objectives".into(),
                value: "empty".into(),
                expected: "a metric or several, such as `loss: min` and `accuracy: max` \
                           (--objective loss:min --objective accuracy:max)"
                    .into(),
                nearest: None,
            });
        }
        Ok(ExternalEvaluator {
            command,
            report_command: None,
            objectives,
            choose_by: None,
            timeout: TIMEOUT,
            retries: 1,
        })
    }

    /// Reads objectives as the command line has them, `accuracy:max`.
    ///
    /// # Errors
    /// [`RecipeError::BadValue`] for anything else, and for a name that comes twice.
    pub fn parse_objectives(
        texts: &[String],
    ) -> Result<IndexMap<String, ExternalObjective>, RecipeError> {
        let mut objectives = IndexMap::new();
        for text in texts {
            let wrong = |expected: &str| RecipeError::BadValue {
                file: String::new(),
                line: 0,
                field: "--objective".into(),
                value: format!("`{text}`"),
                expected: expected.into(),
                nearest: None,
            };
            // A metric's own name may hold a colon.
            let parts = text.rsplit_once(':').filter(|(name, _)| !name.is_empty());
            let known = |(name, word)| {
                let known = DIRECTIONS.iter().find(|(known, _)| *known == word)?;
                Some((name, known.1))
            };
            let found = parts.and_then(known);
            let (name, direction) = found.ok_or_else(|| wrong("NAME:min or NAME:max"))?;
            let objective = ExternalObjective::new(direction);
            if objectives.insert(name.to_string(), objective).is_some() {
                return Err(wrong("a metric that was not named before"));
            }
        }
        Ok(objectives)
    }

    /// Optimises these objectives, if there are any, in place of those before; what chose
    /// before does so no more unless it is among them.
    pub fn set_objectives(&mut self, objectives: IndexMap<String, ExternalObjective>) {
        if objectives.is_empty() {
            return;
        }
        let chosen = self.choose_by.take();
        self.choose_by = chosen.filter(|name| objectives.contains_key(name));
        self.objectives = objectives;
    }

    /// Chooses by this objective from now on.
    ///
    /// # Errors
    /// [`RecipeError::BadValue`] where it is not one of the objectives.
    pub fn choose_by(&mut self, name: &str) -> Result<(), RecipeError> {
        if !self.objectives.contains_key(name) {
            return Err(RecipeError::BadValue {
                file: String::new(),
                line: 0,
                field: "choose_by".into(),
                value: format!("`{name}`"),
                expected: self.names(),
                nearest: None,
            });
        }
        self.choose_by = Some(name.into());
        Ok(())
    }

    /// Sets how long an evaluation may take, in seconds.
    ///
    /// # Errors
    /// [`RecipeError::BadValue`] for none, or more than a year.
    pub fn set_timeout(&mut self, seconds: f64) -> Result<(), RecipeError> {
        if !time_limits().contains(seconds) {
            return Err(RecipeError::BadValue {
                file: String::new(),
                line: 0,
                field: "timeout".into(),
                value: seconds.to_string(),
                expected: format!("a number of seconds {}", time_limits()),
                nearest: None,
            });
        }
        self.timeout = seconds;
        Ok(())
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.objectives.keys().map(String::as_str).collect();
        format!("one of the objectives {}", names.join(", "))
    }

    /// The place of the objective by which models are chosen.
    pub fn chosen(&self) -> usize {
        let named = self.choose_by.as_ref();
        let named = named.and_then(|name| self.objectives.get_index_of(name));
        let metric = || self.objectives.keys().position(|name| name != LOSS);
        named.or_else(metric).unwrap_or(0)
    }

    /// The place of the objective that decides between models which are alike in the
    /// chosen one: `loss`, else the first other one.
    pub fn second(&self) -> usize {
        let chosen = self.chosen();
        let others = || (0..self.objectives.len()).filter(|i| *i != chosen);
        let loss = self.objectives.get_index_of(LOSS);
        loss.or_else(|| others().next()).unwrap_or(chosen)
    }
}

/// From above nothing to a year.
fn time_limits() -> Range {
    Range::above(0.0).to(MAX_SECONDS)
}

/// The section of a recipe; `None` where it is left out.
pub(super) fn read(mut section: Section<'_>) -> Result<Option<ExternalEvaluator>, RecipeError> {
    let command = section.field("command");
    let report = section.field("report_command");
    let goals = section.field("objectives");
    let Some(command) = command else {
        // What belongs to a program needs one.
        if let Some(other) = report.or(goals) {
            return Err(RecipeError::Needed {
                file: other.file.into(),
                line: other.node.line,
                field: "evaluator.command",
                other: "evaluator",
                value: "given".into(),
            });
        }
        for name in ["choose_by", "timeout", "retries"] {
            section.field(name);
        }
        section.finish()?;
        return Ok(None);
    };
    let line = command.node.line;
    let objectives = match &goals {
        Some(field) => objectives(field)?,
        None => {
            return Err(RecipeError::Needed {
                file: command.file.into(),
                line,
                field: "evaluator.objectives",
                other: "evaluator.command",
                value: "given".into(),
            });
        }
    };
    let mut evaluator = ExternalEvaluator::new(command_line(&command)?, objectives)?;
    evaluator.report_command = report.as_ref().map(command_line).transpose()?;
    let names = evaluator.names();
    let known = &evaluator.objectives;
    section.read("choose_by", &mut evaluator.choose_by, |f| {
        let name = f.text()?;
        match known.contains_key(&name) {
            true => Ok(Some(name)),
            false => Err(f.wrong(names)),
        }
    })?;
    section.read("timeout", &mut evaluator.timeout, |f| {
        f.number(time_limits())
    })?;
    section.read("retries", &mut evaluator.retries, |f| {
        f.count(0, MAX_RETRIES)
    })?;
    section.finish()?;
    Ok(Some(evaluator))
}

fn command_line(field: &Field<'_>) -> Result<CommandLine, RecipeError> {
    let text = field.text()?;
    CommandLine::new(&text, &field.path).map_err(|error| match error {
        RecipeError::BadValue { expected, .. } => field.wrong(expected),
        error => error,
    })
}

fn objectives(field: &Field<'_>) -> Result<IndexMap<String, ExternalObjective>, RecipeError> {
    let expected = "a mapping from names of metrics to min or max";
    let Value::Map(entries) = &field.node.value else {
        return Err(field.wrong(expected));
    };
    let mut objectives = IndexMap::new();
    for (key, node) in entries {
        let own = Field {
            file: field.file,
            path: format!("{}.{}", field.path, key.name),
            node,
        };
        objectives.insert(key.name.clone(), objective(&own)?);
    }
    if objectives.is_empty() {
        return Err(field.wrong(expected));
    }
    let with_point = objectives.values().filter(|o| o.ref_point.is_some());
    if ![0, objectives.len()].contains(&with_point.count()) {
        return Err(field.wrong("a mapping with `ref_point` for every objective, or for none"));
    }
    let weights = || objectives.values().map(|o| o.weight.unwrap_or(1.0));
    if weights().all(|weight| weight == 0.0) {
        return Err(field.wrong("a mapping with a weight above 0"));
    }
    Ok(objectives)
}

fn objective(field: &Field<'_>) -> Result<ExternalObjective, RecipeError> {
    if !matches!(field.node.value, Value::Map(_)) {
        return Ok(ExternalObjective::new(field.word(DIRECTIONS)?));
    }
    let mut section = field.section()?;
    let direction = section.field("direction");
    let direction = direction.ok_or_else(|| field.wrong("a mapping that has `direction`"))?;
    let mut objective = ExternalObjective::new(direction.word(DIRECTIONS)?);
    section.read("weight", &mut objective.weight, |f| {
        f.number(Range::from(0.0).to(1e6)).map(Some)
    })?;
    section.read("ref_point", &mut objective.ref_point, |f| {
        f.number(Range::FINITE).map(Some)
    })?;
    section.finish()?;
    Ok(objective)
}
