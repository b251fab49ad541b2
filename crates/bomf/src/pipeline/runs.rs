//! The fine-tuning runs whose checkpoints are members: one with the best configuration of
//! stage 1, and on request others with the next best ones.
//!
//! All begin with the same parameters, new head included, without which members of different
//! runs have little chance to lie in one basin (Wortsman et al., "Model soups", ICML 2022).
//! A further run gives its best checkpoint alone, so that disk space stays bounded. Where
//! stage 1 tried fewer configurations than there are runs, they are taken again in their
//! order, each time with another seed.

use super::ledger::Ledger;
use super::seeds::{Purpose, generator};
use super::task::Task;
use super::training::train_options;
use super::trajectory::{self, Folders, Gather};
use super::untuned;
use crate::recipe::{self, HyperValue, Hyperparameter, MembersSource, Recipe};
use crate::{Error, Observer};
use bomf_study::{Finetune, FurtherRun, Stage1};
use bomf_tune::TuneError;
use bomf_tune::models::{Dropout, Model};
use indexmap::IndexMap;
use rand::RngExt;

/// Hyperparameters of stage 1 as the study writes them.
type Parameters = IndexMap<String, serde_json::Value>;

/// Fine-tunes as often as the recipe says and gathers the members, the run with the best
/// configuration last; with what there is to say of runs that gave none. `recipe` has the
/// outcome of stage 1 filled in. `model` holds the parameters that training begins with.
pub(super) fn finetune(
    recipe: &Recipe,
    stage1: Option<&Stage1>,
    task: &Task,
    model: &mut Model,
    journal: &mut Ledger,
    folders: Folders<'_>,
    observer: &mut dyn Observer,
) -> Result<(Finetune, Vec<String>), Error> {
    let runs = recipe.members.runs();
    let mut seeds = generator(recipe.seed, Purpose::Finetune);
    let start = (runs > 1).then(|| (model.params.clone(), model.network.config().dropout));
    let mut one = |choices: &recipe::Finetune, gather, observer: &mut dyn Observer| {
        let options = train_options(choices, choices.epochs, seeds.random());
        let options = options.ok_or_else(|| untuned(choices))?;
        model
            .network
            .set_gradient_checkpointing(choices.gradient_checkpointing);
        if let Some(rate) = choices.dropout {
            model.network.set_dropout(Dropout::uniform(rate as f32));
        }
        let found = trajectory::finetune(
            recipe, task, model, &options, gather, journal, folders, observer,
        );
        if let Some((params, dropout)) = &start {
            model.drop_adapters()?;
            model.params.copy_from_slice(params);
            model.network.set_dropout(*dropout);
        }
        found
    };
    let gather = Gather {
        run: (runs > 1).then_some(1),
        best_only: recipe.members.source == MembersSource::Runs,
    };
    let mut record = one(&recipe.finetune, gather, observer)?;
    let configurations = configurations(stage1);
    let mut notes = Vec::new();
    for run in 2..=runs {
        let parameters = &configurations[(run - 1) % configurations.len()];
        let mut choices = recipe.finetune.clone();
        set(&mut choices, recipe, parameters)?;
        let gather = Gather {
            run: Some(run),
            best_only: true,
        };
        match one(&choices, gather, observer) {
            Ok(own) => {
                record.members.splice(0..0, own.members);
                let further = FurtherRun {
                    run,
                    parameters: parameters.clone(),
                    best_step: own.best_step,
                    steps: own.steps,
                    curve: own.curve,
                };
                record.further_runs.insert(0, further);
            }
            Err(Error::Tune(TuneError::Diverged { step })) => {
                notes.push(format!("run {run} left out: it diverged at step {step}"));
            }
            Err(error) => return Err(error),
        }
    }
    notes.iter().for_each(|note| observer.note(note));
    Ok((record, notes))
}

/// The configurations of stage 1, the best one first, each once; where it tried none, the
/// recipe's own stands for them.
fn configurations(stage1: Option<&Stage1>) -> Vec<Parameters> {
    let Some(stage1) = stage1 else {
        return vec![Parameters::new()];
    };
    let mut trials: Vec<_> = stage1
        .trials
        .iter()
        .filter_map(|trial| Some((trial.value?, &trial.parameters)))
        .collect();
    // Equals stay in the order in which they ran.
    trials.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut all = vec![stage1.best.clone()];
    for (_, parameters) in trials {
        if !all.contains(parameters) {
            all.push(parameters.clone());
        }
    }
    all
}

/// Sets what stage 1 gave a configuration; the number of epochs is the full run's own.
fn set(
    choices: &mut recipe::Finetune,
    recipe: &Recipe,
    parameters: &Parameters,
) -> Result<(), Error> {
    for (&name, dimension) in &recipe.stage1.space {
        let Some(value) = parameters.get(name.as_str()) else {
            continue;
        };
        let is_whole = matches!(dimension, recipe::Dimension::Int { .. });
        let value = match (value.as_u64(), value.as_f64(), value.as_str()) {
            (Some(whole), ..) if is_whole => HyperValue::Int(whole),
            (_, _, Some(word)) => HyperValue::Text(word.into()),
            (Some(whole), _, _) => HyperValue::Int(whole),
            (_, Some(number), _) => HyperValue::Float(number),
            _ => continue,
        };
        if name != Hyperparameter::Epochs {
            choices.set(name, &value)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bomf_study::{Scores, Stage1Trial};

    fn trial(rate: f64, value: Option<f64>) -> Stage1Trial {
        Stage1Trial {
            parameters: Parameters::from_iter([
                ("learning_rate".to_string(), rate.into()),
                ("batch_size".to_string(), 16.into()),
            ]),
            select: Scores::new(),
            value,
            pruned: false,
            seconds: 0.0,
        }
    }

    #[test]
    fn the_configurations_are_ranked_by_their_trials_and_failures_left_out() {
        let trials = vec![
            trial(1e-5, Some(0.7)),
            trial(2e-5, None),
            trial(3e-5, Some(0.9)),
            trial(4e-5, Some(0.8)),
            trial(3e-5, Some(0.9)),
        ];
        let stage1 = Stage1 {
            layers: 2,
            frozen_layers: 1,
            lora_r: None,
            known: Vec::new(),
            best: trials[2].parameters.clone(),
            trials,
        };
        let rates: Vec<f64> = configurations(Some(&stage1))
            .iter()
            .map(|own| own["learning_rate"].as_f64().unwrap())
            .collect();
        assert_eq!(rates, [3e-5, 4e-5, 1e-5]);
        assert_eq!(configurations(None), [Parameters::new()]);
    }

    #[test]
    fn a_configuration_is_set_as_stage_1_would_set_it() {
        let recipe = Recipe::default();
        let mut choices = recipe.finetune.clone();
        set(&mut choices, &recipe, &trial(3e-5, None).parameters).unwrap();
        assert_eq!(choices.learning_rate, Some(3e-5));
        assert_eq!(choices.batch_size, Some(16));
        // Nothing of stage 1: the recipe's own stays.
        let mut own = choices.clone();
        set(&mut own, &recipe, &Parameters::new()).unwrap();
        assert_eq!(own, choices);
    }
}
