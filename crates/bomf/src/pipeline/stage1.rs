//! Stage 1: Bayesian optimisation of the hyperparameters on the lightweight model
//! (BOMF, Jang et al. 2024, section 4.2).
//!
//! Trials may be under way side by side. The search is told of them **in the order in which
//! it asked for them**, whichever ends first, so that what it comes to depends on how many are
//! under way and not on how long each of them took, or on who died meanwhile.

use super::known;
use super::ledger::Ledger;
use super::lightweight::Lightweight;
use super::pruning::{self, Pruner};
use super::seeds::{Purpose, generator};
use super::task::Task;
use super::workers::Fleet;
use crate::recipe::{Dimension, Finetune, HyperValue, Hyperparameter, PLATEAU, Recipe};
use crate::{Error, Observer, Phase};
use bomf_bo::space::{BoxSpace, Configuration, Value};
use bomf_bo::strategy::{SingleObjective, SingleObjectiveOptions, StoppingRule};
use bomf_study::{CurvePoint, Event, Scores, Stage1, Stage1Trial, State, TrialRecord};
use bomf_tune::models::Model;
use indexmap::IndexMap;
use rand::RngExt;
use std::cmp::Ordering;
use std::collections::VecDeque;
use std::path::Path;
use std::time::Instant;

/// A trial's share of the phase, in units of progress.
pub(super) const UNITS: u64 = 100;

/// The search space of a recipe as the optimiser sees it.
fn box_space(recipe: &Recipe) -> Result<BoxSpace, Error> {
    let mut builder = BoxSpace::builder();
    for (name, dimension) in &recipe.stage1.space {
        let name = name.as_str();
        builder = match dimension {
            Dimension::Float { low, high } => builder.float(name, *low, *high),
            Dimension::LogFloat { low, high } => builder.log_float(name, *low, *high),
            Dimension::Int { low, high } => builder.integer(name, *low as i64, *high as i64),
            Dimension::Categorical { choices } => {
                builder.categorical(name, choices.iter().map(HyperValue::to_string))
            }
        };
    }
    Ok(builder.build()?)
}

/// The values of a proposal, in the recipe's terms.
fn values(recipe: &Recipe, proposal: &Configuration) -> IndexMap<Hyperparameter, HyperValue> {
    let dimensions = recipe.stage1.space.iter();
    dimensions
        .filter_map(|(&name, dimension)| {
            let value = match (proposal.get(name.as_str())?, dimension) {
                (Value::Integer(v), _) => HyperValue::Int((*v).max(0) as u64),
                (Value::Float(v), _) => HyperValue::Float(*v),
                (Value::Categorical(word), Dimension::Categorical { choices }) => choices
                    .iter()
                    .find(|choice| choice.to_string() == *word)?
                    .clone(),
                (Value::Categorical(word), _) => HyperValue::Text(word.clone()),
            };
            Some((name, value))
        })
        .collect()
}

fn json(values: &IndexMap<Hyperparameter, HyperValue>) -> IndexMap<String, serde_json::Value> {
    values
        .iter()
        .map(|(name, value)| (name.to_string(), value.into()))
        .collect()
}

/// Searches the hyperparameters, and sets the best in `choices`; trials are trained here, or
/// by a fleet of workers.
///
/// `model` holds the pre-trained parameters, and holds them again afterwards.
#[expect(clippy::too_many_arguments, reason = "each is its own")]
pub(super) fn search(
    recipe: &Recipe,
    task: &Task,
    model: &mut Model,
    choices: &mut Finetune,
    journal: &mut Ledger,
    fleet: Option<Fleet>,
    out: &Path,
    observer: &mut dyn Observer,
) -> Result<Stage1, Error> {
    let layers = model.network.num_layers();
    let lora = recipe.stage1.lora(choices.lora.as_ref());
    let mut record = Stage1 {
        layers,
        frozen_layers: match lora {
            Some(_) => 0,
            None => recipe.stage1.frozen_layers.count(layers),
        },
        lora_r: lora.as_ref().map(|lora| lora.r),
        trials: Vec::new(),
        known: Vec::new(),
        best: IndexMap::new(),
    };
    if recipe.stage1.trials == 0 || recipe.stage1.space.is_empty() {
        fleet.map(Fleet::finish).transpose()?;
        return Ok(record);
    }
    let chosen = &task.scorer.objectives[task.scorer.chosen].name;
    if let Some(mut fleet) = fleet {
        let trials = &mut fleet;
        search_with(
            recipe,
            chosen,
            choices,
            &mut record,
            journal,
            observer,
            trials,
        )?;
        fleet.finish()?;
        return Ok(record);
    }
    let study = journal.study();
    let pruner = Pruner::new(recipe, &*study);
    let mut lightweight = Lightweight::new(recipe, task, model, pruner, out)?;
    let mut trials = Here::new(|trial: &TrialJob, message, observer: &mut dyn Observer| {
        lightweight.run(trial, message, observer)
    });
    let trials = &mut trials;
    search_with(
        recipe,
        chosen,
        choices,
        &mut record,
        journal,
        observer,
        trials,
    )?;
    lightweight.restore()?;
    Ok(record)
}

/// Who trains trials.
pub(super) trait Trials {
    /// How many may be under way.
    fn window(&self) -> usize;

    /// Begins one.
    fn begin(&mut self, job: TrialJob) -> Result<(), Error>;

    /// Waits for the end of the earliest that was begun; `message` says how stage 1 stands.
    fn end(
        &mut self,
        number: usize,
        message: String,
        observer: &mut dyn Observer,
    ) -> Result<TrialRecord, Error>;
}

/// Trains them in this process, one after the other.
pub(super) struct Here<F> {
    job: Option<TrialJob>,
    run: F,
}

impl<F> Here<F>
where
    F: FnMut(&TrialJob, String, &mut dyn Observer) -> Result<Outcome, Error>,
{
    pub fn new(run: F) -> Self {
        Here { job: None, run }
    }
}

impl<F> Trials for Here<F>
where
    F: FnMut(&TrialJob, String, &mut dyn Observer) -> Result<Outcome, Error>,
{
    fn window(&self) -> usize {
        1
    }

    fn begin(&mut self, job: TrialJob) -> Result<(), Error> {
        self.job = Some(job);
        Ok(())
    }

    fn end(
        &mut self,
        number: usize,
        message: String,
        observer: &mut dyn Observer,
    ) -> Result<TrialRecord, Error> {
        let Some(job) = self.job.take() else {
            return Err(Error::NoTrial { trials: number });
        };
        let started = Instant::now();
        let outcome = (self.run)(&job, message, observer)?;
        Ok(job.record(outcome, started))
    }
}

/// A trial that is to run.
#[derive(Debug, Clone)]
pub(super) struct TrialJob {
    pub number: usize,
    /// Hyperparameters by name.
    pub parameters: IndexMap<String, serde_json::Value>,
    /// Every choice, with these.
    pub choices: Finetune,
    pub seed: u64,
}

impl TrialJob {
    /// A trial from what is known of it elsewhere; `None` for hyperparameters that are not of
    /// the recipe's space.
    pub fn read(
        recipe: &Recipe,
        number: usize,
        parameters: IndexMap<String, serde_json::Value>,
        seed: u64,
    ) -> Result<Option<Self>, Error> {
        let Some(proposal) = configuration(recipe, &parameters) else {
            return Ok(None);
        };
        Self::new(recipe, &recipe.finetune, number, &proposal, seed).map(Some)
    }

    fn new(
        recipe: &Recipe,
        choices: &Finetune,
        number: usize,
        proposal: &Configuration,
        seed: u64,
    ) -> Result<Self, Error> {
        let values = values(recipe, proposal);
        let mut choices = Finetune {
            epochs: recipe.stage1.epochs,
            ..choices.clone()
        };
        for (&name, value) in &values {
            choices.set(name, value)?;
        }
        Ok(TrialJob {
            number,
            parameters: json(&values),
            choices,
            seed,
        })
    }

    /// What is kept of it.
    pub fn record(self, outcome: Outcome, started: Instant) -> TrialRecord {
        let (step, scores) = outcome.best.unwrap_or_default();
        TrialRecord {
            number: self.number,
            parameters: self.parameters,
            state: match outcome.value {
                Some(_) if outcome.is_pruned => State::Pruned,
                Some(_) => State::Complete,
                None => State::Failed,
            },
            scores,
            value: outcome.value,
            step,
            curve: outcome.curve,
            seconds: started.elapsed().as_secs_f64(),
        }
    }
}

/// What a trial came to.
pub(super) struct Outcome {
    /// Step and scores of its best checkpoint; `None` if it failed.
    pub best: Option<(u64, Scores)>,
    /// What stage 1 maximises.
    pub value: Option<f64>,
    /// Whether it was ended early, for others were better.
    pub is_pruned: bool,
    pub curve: Vec<CurvePoint>,
}

/// The search, whoever trains: asks for trials, has them run or finds them in the ledger,
/// tells of them in their order, and sets the best in `choices`. `chosen` is the objective that messages tell of.
pub(super) fn search_with(
    recipe: &Recipe,
    chosen: &str,
    choices: &mut Finetune,
    record: &mut Stage1,
    journal: &mut Ledger,
    observer: &mut dyn Observer,
    trials: &mut dyn Trials,
) -> Result<(), Error> {
    if recipe.stage1.trials == 0 || recipe.stage1.space.is_empty() {
        return Ok(());
    }
    observer.begin(Phase::Tune, recipe.stage1.trials as u64 * UNITS);
    let mut search = SingleObjective::new(
        box_space(recipe)?,
        SingleObjectiveOptions {
            n_initial: recipe.stage1.initial,
            ..Default::default()
        },
    )?;
    record.known = known::tell(recipe, &mut search, journal, observer)?;
    let mut rng = generator(recipe.seed, Purpose::Stage1);
    let mut seeds = generator(recipe.seed, Purpose::Trial);
    let patience = recipe
        .stage1
        .patience
        .map(|evaluations| StoppingRule::Plateau {
            evaluations,
            gain: PLATEAU,
        });
    let study = journal.study();
    // Trials that came to their end, and their values.
    let mut complete: Vec<(usize, f64)> = Vec::new();
    let mut under_way: VecDeque<UnderWay> = VecDeque::new();
    let (mut next, mut last) = (0, recipe.stage1.trials);
    loop {
        while under_way.len() < trials.window() && next < last {
            // The first trials were drawn at random: only what the model chose counts.
            if let Some(rule) = patience
                && recipe.stage1.patience
                    <= Some(record.trials.len().saturating_sub(recipe.stage1.initial))
                && rule.is_met(&search)
            {
                last = next;
                break;
            }
            let proposal = search.ask(&mut rng)?;
            // Drawn whether it is used or not.
            let seed = seeds.random();
            let known = journal.trial(next);
            if known.is_none() {
                trials.begin(TrialJob::new(recipe, choices, next, &proposal, seed)?)?;
            }
            under_way.push_back(UnderWay {
                number: next,
                proposal,
                known,
            });
            next += 1;
        }
        let Some(first) = under_way.pop_front() else {
            break;
        };
        let finished = match first.known {
            Some(known) => known,
            None => {
                let finished = trials.end(first.number, summary(record, chosen), observer)?;
                journal.add_trial(&finished)?;
                finished
            }
        };
        let value = pruning::told(&*study, &complete, &finished)?;
        if finished.state == State::Complete {
            complete.extend(finished.value.map(|value| (finished.number, value)));
        }
        recall(
            recipe,
            &mut search,
            &first.proposal,
            &finished,
            value,
            observer,
        )?;
        enter(journal, record, finished)?;
        let done = record.trials.len() as u64 * UNITS;
        observer.advance(Phase::Tune, done, &summary(record, chosen));
    }
    observer.end(Phase::Tune);
    let Some((best, _)) = search.best() else {
        return Err(Error::NoTrial {
            trials: recipe.stage1.trials,
        });
    };
    for (&name, value) in &values(recipe, &best) {
        // The full run has its own number of epochs.
        if name != Hyperparameter::Epochs {
            choices.set(name, value)?;
        }
        record.best.insert(name.to_string(), value.into());
    }
    Ok(())
}

/// A trial that was asked for and not told of yet.
struct UnderWay {
    number: usize,
    proposal: Configuration,
    /// Where it was finished before the run was resumed.
    known: Option<TrialRecord>,
}

/// The proposal that a trial's hyperparameters were; `None` for hyperparameters that are
/// not of the space.
pub(super) fn configuration(
    recipe: &Recipe,
    parameters: &IndexMap<String, serde_json::Value>,
) -> Option<Configuration> {
    let dimensions = recipe.stage1.space.iter();
    let values = dimensions.map(|(name, dimension)| {
        let value = parameters.get(name.as_str())?;
        let value = match dimension {
            Dimension::Float { .. } | Dimension::LogFloat { .. } => Value::Float(value.as_f64()?),
            Dimension::Int { .. } => Value::Integer(value.as_i64()?),
            Dimension::Categorical { choices } => {
                let chosen = choices
                    .iter()
                    .find(|choice| serde_json::Value::from(*choice) == *value)?;
                Value::Categorical(chosen.to_string())
            }
        };
        Some((name.to_string(), value))
    });
    values.collect()
}

/// Tells the search of a trial that is finished, as worth `value`. What was tried counts, and not
/// what is proposed in its place now: on another machine that may be rounded otherwise.
fn recall(
    recipe: &Recipe,
    search: &mut SingleObjective<BoxSpace>,
    proposal: &Configuration,
    known: &TrialRecord,
    value: Option<f64>,
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    if json(&values(recipe, proposal)) == known.parameters {
        return Ok(search.tell(proposal, value)?);
    }
    let Some(tried) = configuration(recipe, &known.parameters) else {
        let words = |parameters: &IndexMap<String, serde_json::Value>| {
            serde_json::json!(parameters).to_string()
        };
        return Err(Error::OtherStudy {
            what: format!("trial {}", known.number),
            was: words(&known.parameters),
            is: words(&json(&values(recipe, proposal))),
        });
    };
    observer.note(&format!(
        "trial {} had other hyperparameters than are proposed here: what was tried counts",
        known.number
    ));
    Ok(search.tell(&tried, value)?)
}

/// Writes a finished trial down for people to read.
fn enter(journal: &mut Ledger, record: &mut Stage1, trial: TrialRecord) -> Result<(), Error> {
    journal.append(&Event::Stage1 {
        trial: trial.number,
        parameters: trial.parameters.clone(),
        state: trial.state,
        scores: trial.scores.clone(),
        step: trial.step,
        seconds: trial.seconds,
    })?;
    record.trials.push(Stage1Trial {
        parameters: trial.parameters,
        select: trial.scores,
        value: trial.value,
        pruned: trial.state == State::Pruned,
        seconds: trial.seconds,
    });
    Ok(())
}

/// How stage 1 stands, in a few words.
fn summary(record: &Stage1, chosen: &str) -> String {
    let done = record.trials.len();
    let valued = record.trials.iter().filter(|trial| trial.value.is_some());
    let best = valued.max_by(|a, b| a.value.partial_cmp(&b.value).unwrap_or(Ordering::Equal));
    let pruned = match record.trials.iter().filter(|trial| trial.pruned).count() {
        0 => String::new(),
        pruned => format!(" ({pruned} stopped early)"),
    };
    match best.and_then(|trial| trial.select.get(chosen)) {
        Some(score) => format!("{done} trials{pruned}, best {chosen} {score:.4}"),
        None => format!("{done} trials{pruned}"),
    }
}
