//! Stage 1: Bayesian optimisation of the hyperparameters on the lightweight model
//! (BOMF, Jang et al. 2024, section 4.2): the lower layers frozen or adapters of low
//! rank, a short run a trial, the trial's value that of its best checkpoint.

use super::seeds::{Purpose, generator};
use super::task::Task;
use super::training::{is_evaluation, score, train_options};
use crate::recipe::{Dimension, Finetune, HyperValue, Hyperparameter, PLATEAU, Recipe};
use crate::{Error, Observer, Phase};
use bomf_bo::space::{BoxSpace, Configuration, Value};
use bomf_bo::strategy::{SingleObjective, SingleObjectiveOptions, StoppingRule};
use bomf_study::{Event, Journal, Scores, Stage1, Stage1Trial, State};
use bomf_tune::TuneError;
use bomf_tune::models::{Dropout, Model};
use bomf_tune::tape::Workspace;
use bomf_tune::train::{
    Control, FineTuning, FrozenStates, TrainObserver, TrainOptions, TrainPoint, train,
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
const UNITS: u64 = 100;

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
    journal: &mut Journal,
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
    observer.begin(Phase::Tune, recipe.stage1.trials as u64 * UNITS);
    let lower = |split: &bomf_tune::train::EncodedSplit, observer: &dyn Observer| {
        FrozenStates::new(
            &model.network,
            &model.params,
            &split.sequences,
            frozen_layers,
            MAX_STATES_BYTES,
            &|| observer.interrupted(),
        )
    };
    let states = lower(&task.train, observer)
        .and_then(|train| Ok((train, lower(&task.select, observer)?)))
        .map_err(|error| match error {
            TuneError::Interrupted => interrupted(),
            error => error.into(),
        })?;
    let start = model.params.clone();
    let dropout = model.network.config().dropout;
    let mut search = SingleObjective::new(
        box_space(recipe)?,
        SingleObjectiveOptions {
            n_initial: recipe.stage1.initial,
            ..Default::default()
        },
    )?;
    let mut rng = generator(recipe.seed, Purpose::Stage1);
    let mut seeds = generator(recipe.seed, Purpose::Trial);
    let patience = recipe
        .stage1
        .patience
        .map(|evaluations| StoppingRule::Plateau {
            evaluations,
            gain: PLATEAU,
        });
    for trial in 0..recipe.stage1.trials {
        // The first trials were drawn at random: only what the model chose counts.
        if let Some(rule) = patience
            && recipe.stage1.patience <= Some(trial.saturating_sub(recipe.stage1.initial))
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
        let options = train_options(&trial_choices, trial_choices.epochs, seeds.random());
        let options = options.ok_or_else(|| super::untuned(&trial_choices))?;
        model.params.copy_from_slice(&start);
        if let Some(rate) = trial_choices.dropout {
            model.network.set_dropout(Dropout::uniform(rate as f32));
        }
        let mut run = Trial {
            task,
            states: &states.1,
            evaluations: recipe.stage1.evaluations_per_epoch,
            best: None,
            workspace: Workspace::default(),
            progress: trial as u64 * UNITS,
            message: summary(&record, task),
            observer,
        };
        let outcome = run.run(
            model,
            &FineTuning {
                split: &task.train,
                frozen: &states.0,
            },
            &options,
        );
        let best = run.best.take();
        match outcome {
            Ok(()) | Err(Error::Tune(TuneError::Diverged { .. })) => {}
            Err(Error::Tune(TuneError::Interrupted)) => return Err(interrupted()),
            Err(error) => return Err(error),
        }
        let value = best
            .as_ref()
            .map(|(_, scores)| task.scorer.stage1_value(scores));
        search.tell(&proposal, value)?;
        let (step, scores) = best.unwrap_or_default();
        let seconds = started.elapsed().as_secs_f64();
        journal.append(&Event::Stage1 {
            trial,
            parameters: json(&values),
            state: if value.is_some() {
                State::Complete
            } else {
                State::Failed
            },
            scores: scores.clone(),
            step,
            seconds,
        })?;
        let parameters = json(&values);
        record.trials.push(Stage1Trial {
            parameters,
            select: scores,
            value,
            seconds,
        });
        observer.advance(
            Phase::Tune,
            (trial as u64 + 1) * UNITS,
            &summary(&record, task),
        );
    }
    observer.end(Phase::Tune);
    model.params.copy_from_slice(&start);
    model.network.set_dropout(dropout);
    model.drop_adapters()?;
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
    Ok(record)
}

/// How stage 1 stands, in a few words.
fn summary(record: &Stage1, task: &Task) -> String {
    let done = record.trials.len();
    let valued = record.trials.iter().filter(|trial| trial.value.is_some());
    let best = valued.max_by(|a, b| a.value.partial_cmp(&b.value).unwrap_or(Ordering::Equal));
    let name = &task.scorer.objectives[task.scorer.chosen].name;
    match best.and_then(|trial| trial.select.get(name)) {
        Some(score) => format!("{done} trials, best {name} {score:.4}"),
        None => format!("{done} trials"),
    }
}

/// One short run, and the best of its evaluations.
struct Trial<'a> {
    task: &'a Task,
    states: &'a FrozenStates,
    evaluations: usize,
    best: Option<(u64, Scores)>,
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
            if let Some(scores) = scores {
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
