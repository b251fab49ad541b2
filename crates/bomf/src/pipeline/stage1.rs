//! Stage 1: Bayesian optimisation of the hyperparameters on the lightweight model
//! (BOMF, Jang et al. 2024, section 4.2): the lower layers frozen or adapters of low
//! rank, a short run a trial, the trial's value that of its best checkpoint.

use super::known;
use super::ledger::Ledger;
use super::seeds::{Purpose, generator};
use super::task::Task;
use super::training::{is_evaluation, score, train_options};
use crate::recipe::{Dimension, Finetune, HyperValue, Hyperparameter, PLATEAU, Recipe};
use crate::{Error, Observer, Phase};
use bomf_bo::space::{BoxSpace, Configuration, Value};
use bomf_bo::strategy::{SingleObjective, SingleObjectiveOptions, StoppingRule};
use bomf_study::{CurvePoint, Event, Scores, Stage1, Stage1Trial, State, TrialRecord};
use bomf_tune::TuneError;
use bomf_tune::models::{Dropout, Model, Network};
use bomf_tune::tape::Workspace;
use bomf_tune::train::{
    Control, EncodedSplit, FineTuning, FrozenStates, TrainObserver, TrainOptions, TrainPoint, train,
};
use indexmap::IndexMap;
use rand::RngExt;
use std::cmp::Ordering;
use std::path::Path;
use std::time::Instant;

/// Hidden states of frozen layers are kept where they take at most this; beyond it
/// they are computed anew in each step.
const MAX_STATES_BYTES: usize = 2 << 30;

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

/// Searches the hyperparameters, and sets the best in `choices`.
///
/// `model` holds the pre-trained parameters, and holds them again afterwards.
pub(super) fn search(
    recipe: &Recipe,
    task: &Task,
    model: &mut Model,
    choices: &mut Finetune,
    journal: &mut Ledger,
    out: &Path,
    observer: &mut dyn Observer,
) -> Result<Stage1, Error> {
    let layers = model.network.num_layers();
    let lora = recipe.stage1.lora(choices.lora.as_ref());
    let frozen_layers = match lora {
        Some(_) => 0,
        None => recipe.stage1.frozen_layers.count(layers),
    };
    let mut record = Stage1 {
        layers,
        frozen_layers,
        lora_r: lora.as_ref().map(|lora| lora.r),
        trials: Vec::new(),
        known: Vec::new(),
        best: IndexMap::new(),
    };
    if recipe.stage1.trials == 0 || recipe.stage1.space.is_empty() {
        return Ok(record);
    }
    let interrupted = || Error::Interrupted {
        out: out.into(),
        on_disk: vec!["trials.jsonl".into()],
    };
    if let Some(lora) = &lora {
        model.adapt(lora, &mut generator(recipe.seed, Purpose::Adapters))?;
    }
    let lower =
        |network: &Network, params: &[f32], split: &EncodedSplit, observer: &dyn Observer| {
            FrozenStates::new(
                network,
                params,
                &split.sequences,
                frozen_layers,
                MAX_STATES_BYTES,
                &|| observer.interrupted(),
            )
        };
    // Computed before the first trial that runs: where all are known, never.
    let mut states: Option<(FrozenStates, FrozenStates)> = None;
    let start = model.params.clone();
    let dropout = model.network.config().dropout;
    let chosen = &task.scorer.objectives[task.scorer.chosen].name;
    let run_trial = |trial: TrialJob<'_>, observer: &mut dyn Observer| {
        let options = train_options(trial.choices, trial.choices.epochs, trial.seed);
        let options = options.ok_or_else(|| super::untuned(trial.choices))?;
        let states = match &mut states {
            Some(states) => states,
            none => {
                let both =
                    lower(&model.network, &model.params, &task.train, observer).and_then(|train| {
                        let select = lower(&model.network, &model.params, &task.select, observer)?;
                        Ok((train, select))
                    });
                none.insert(both.map_err(|error| match error {
                    TuneError::Interrupted => interrupted(),
                    error => error.into(),
                })?)
            }
        };
        model.params.copy_from_slice(&start);
        if let Some(rate) = trial.choices.dropout {
            model.network.set_dropout(Dropout::uniform(rate as f32));
        }
        let mut run = Trial {
            task,
            states: &states.1,
            evaluations: recipe.stage1.evaluations_per_epoch,
            best: None,
            curve: Vec::new(),
            losses: Vec::new(),
            workspace: Workspace::default(),
            progress: trial.number as u64 * UNITS,
            message: trial.message,
            observer,
        };
        let objective = FineTuning {
            split: &task.train,
            frozen: &states.0,
        };
        let outcome = run.run(model, &objective, &options);
        match outcome {
            Ok(()) | Err(Error::Tune(TuneError::Diverged { .. })) => {}
            Err(Error::Tune(TuneError::Interrupted)) => return Err(interrupted()),
            Err(error) => return Err(error),
        }
        let best = run.best.take();
        Ok(Outcome {
            value: best
                .as_ref()
                .map(|(_, scores)| task.scorer.stage1_value(scores)),
            best,
            curve: run.curve,
        })
    };
    search_with(
        recipe,
        chosen,
        choices,
        &mut record,
        journal,
        observer,
        run_trial,
    )?;
    model.params.copy_from_slice(&start);
    model.network.set_dropout(dropout);
    model.drop_adapters()?;
    Ok(record)
}

/// A trial that is to run.
pub(super) struct TrialJob<'a> {
    pub number: usize,
    pub choices: &'a Finetune,
    pub seed: u64,
    /// How stage 1 stands.
    pub message: String,
}

/// What a trial came to.
pub(super) struct Outcome {
    /// Step and scores of its best checkpoint; `None` if it failed.
    pub best: Option<(u64, Scores)>,
    /// What stage 1 maximises.
    pub value: Option<f64>,
    pub curve: Vec<CurvePoint>,
}

/// The search, whoever trains: asks for trials, has them run or finds them in the ledger,
/// and sets the best in `choices`. `chosen` is the objective that messages tell of.
pub(super) fn search_with(
    recipe: &Recipe,
    chosen: &str,
    choices: &mut Finetune,
    record: &mut Stage1,
    journal: &mut Ledger,
    observer: &mut dyn Observer,
    mut run_trial: impl FnMut(TrialJob<'_>, &mut dyn Observer) -> Result<Outcome, Error>,
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
    for number in 0..recipe.stage1.trials {
        // The first trials were drawn at random: only what the model chose counts.
        if let Some(rule) = patience
            && recipe.stage1.patience <= Some(number.saturating_sub(recipe.stage1.initial))
            && rule.is_met(&search)
        {
            break;
        }
        let started = Instant::now();
        let proposal = search.ask(&mut rng)?;
        let values = values(recipe, &proposal);
        let mut trial_choices = Finetune {
            epochs: recipe.stage1.epochs,
            ..choices.clone()
        };
        for (&name, value) in &values {
            trial_choices.set(name, value)?;
        }
        // Drawn whether it is used or not.
        let seed = seeds.random();
        let finished = match journal.trial(number) {
            Some(known) => {
                recall(recipe, &mut search, &proposal, &known, observer)?;
                known
            }
            None => {
                let job = TrialJob {
                    number,
                    choices: &trial_choices,
                    seed,
                    message: summary(record, chosen),
                };
                let Outcome { best, value, curve } = run_trial(job, observer)?;
                search.tell(&proposal, value)?;
                let (step, scores) = best.unwrap_or_default();
                let finished = TrialRecord {
                    number,
                    parameters: json(&values),
                    state: match value {
                        Some(_) => State::Complete,
                        None => State::Failed,
                    },
                    scores,
                    value,
                    step,
                    curve,
                    seconds: started.elapsed().as_secs_f64(),
                };
                journal.add_trial(&finished)?;
                finished
            }
        };
        enter(journal, record, finished)?;
        let done = (number as u64 + 1) * UNITS;
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

/// Tells the search of a trial that is finished. What was tried counts, and not what is
/// proposed in its place now: on another machine that may be rounded otherwise.
fn recall(
    recipe: &Recipe,
    search: &mut SingleObjective<BoxSpace>,
    proposal: &Configuration,
    known: &TrialRecord,
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    if json(&values(recipe, proposal)) == known.parameters {
        return Ok(search.tell(proposal, known.value)?);
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
    Ok(search.tell(&tried, known.value)?)
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
        seconds: trial.seconds,
    });
    Ok(())
}

/// How stage 1 stands, in a few words.
fn summary(record: &Stage1, chosen: &str) -> String {
    let done = record.trials.len();
    let valued = record.trials.iter().filter(|trial| trial.value.is_some());
    let best = valued.max_by(|a, b| a.value.partial_cmp(&b.value).unwrap_or(Ordering::Equal));
    match best.and_then(|trial| trial.select.get(chosen)) {
        Some(score) => format!("{done} trials, best {chosen} {score:.4}"),
        None => format!("{done} trials"),
    }
}

/// One short run, and the best of its evaluations.
struct Trial<'a> {
    task: &'a Task,
    states: &'a FrozenStates,
    evaluations: usize,
    best: Option<(u64, Scores)>,
    curve: Vec<CurvePoint>,
    /// Of the steps since the last evaluation.
    losses: Vec<f64>,
    workspace: Workspace,
    progress: u64,
    message: String,
    observer: &'a mut dyn Observer,
}

impl Trial<'_> {
    fn run(
        &mut self,
        model: &mut Model,
        objective: &FineTuning<'_>,
        options: &TrainOptions,
    ) -> Result<(), Error> {
        train(model, objective, options, self).map(|_| ())
    }
}

impl TrainObserver for Trial<'_> {
    type Error = Error;

    fn after_step(&mut self, point: TrainPoint, model: &Model) -> Result<Control, Error> {
        if self.observer.interrupted() {
            return Err(TuneError::Interrupted.into());
        }
        let done = self.progress + UNITS * point.step / point.steps;
        self.observer.advance(Phase::Tune, done, &self.message);
        self.losses.push(point.loss);
        if is_evaluation(
            point.step,
            point.steps,
            point.steps_per_epoch,
            self.evaluations,
        ) {
            let (network, params) = (&model.network, &model.params);
            let (select, scorer) = (&self.task.select, &self.task.scorer);
            let scores = score(
                network,
                params,
                select,
                self.states,
                scorer,
                &self.workspace,
            )?;
            let losses = std::mem::take(&mut self.losses);
            if let Some(scores) = scores {
                self.curve.push(CurvePoint {
                    step: point.step,
                    train_loss: losses.iter().sum::<f64>() / losses.len().max(1) as f64,
                    select: scores.clone(),
                });
                let better = match &self.best {
                    None => true,
                    Some((_, best)) => scorer.stage1_value(&scores) > scorer.stage1_value(best),
                };
                if better {
                    self.best = Some((point.step, scores));
                }
            }
        }
        Ok(Control::Continue)
    }
}
