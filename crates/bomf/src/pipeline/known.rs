//! Trials of an earlier search, known to stage 1 before its own begin.

use super::ledger::Ledger;
use super::stage1::configuration;
use crate::recipe::{Dimension, Recipe};
use crate::{Error, Observer};
use bomf_bo::space::BoxSpace;
use bomf_bo::strategy::SingleObjective;
use bomf_study::Event;
use bomf_study::interchange::{KnownStudy, KnownTrial, read_optuna};
use indexmap::{IndexMap, IndexSet};
use std::path::Path;

/// The recipe's known trials; `None` where it names none.
///
/// # Errors
/// Where the file cannot be read, and [`Error::UnknownTrials`] where not one of its trials has
/// all hyperparameters that are searched.
pub(super) fn read(recipe: &Recipe) -> Result<Option<KnownStudy>, Error> {
    let Some(file) = &recipe.stage1.known else {
        return Ok(None);
    };
    let study = read_optuna(Path::new(file), recipe.stage1.known_study.as_deref())?;
    let searched = searched(recipe);
    let mut trials = study.trials.iter();
    if trials.any(|trial| {
        searched
            .iter()
            .all(|name| trial.parameters.contains_key(*name))
    }) {
        return Ok(Some(study));
    }
    let names = study
        .trials
        .iter()
        .flat_map(|trial| trial.parameters.keys());
    let names: IndexSet<&String> = names.collect();
    Err(Error::UnknownTrials {
        path: file.into(),
        searched: searched.iter().map(|name| name.to_string()).collect(),
        names: names.into_iter().cloned().collect(),
        study: study.name,
    })
}

/// The hyperparameters that are searched.
fn searched(recipe: &Recipe) -> Vec<&str> {
    let names = recipe.stage1.space.keys();
    names.map(|name| name.as_str()).collect()
}

/// Tells the search of the known trials, and gives those that it was told of. One outside the
/// space is left out, and a note names it.
///
/// # Errors
/// Those of [`read`].
pub(super) fn tell(
    recipe: &Recipe,
    search: &mut SingleObjective<BoxSpace>,
    journal: &mut Ledger,
    observer: &mut dyn Observer,
) -> Result<Vec<KnownTrial>, Error> {
    let (Some(file), Some(study)) = (&recipe.stage1.known, read(recipe)?) else {
        return Ok(Vec::new());
    };
    let searched = searched(recipe);
    let mut known = Vec::new();
    let mut others = IndexSet::new();
    for trial in study.trials {
        let beside = trial
            .parameters
            .keys()
            .filter(|name| !searched.contains(&name.as_str()));
        others.extend(beside.cloned());
        if let Some(why) = outside(recipe, &trial.parameters) {
            observer.note(&format!(
                "trial {} of {file} is left out: {why}",
                trial.number
            ));
            continue;
        }
        let Some(place) = configuration(recipe, &trial.parameters) else {
            continue;
        };
        let value = study.direction.maximised(trial.value);
        search.tell(&place, Some(value))?;
        // The searched ones, in the order of the space.
        let parameters = searched
            .iter()
            .filter_map(|name| Some((name.to_string(), trial.parameters.get(*name)?.clone())));
        let trial = KnownTrial {
            number: trial.number,
            parameters: parameters.collect(),
            value,
        };
        journal.append(&Event::Known {
            trial: trial.number,
            parameters: trial.parameters.clone(),
            value,
        })?;
        known.push(trial);
    }
    if !others.is_empty() {
        let names: Vec<&str> = others.iter().map(String::as_str).collect();
        observer.note(&format!(
            "{file} has hyperparameters that are not searched here: {}; its trials count as if they had had this run's",
            names.join(", ")
        ));
    }
    observer.note(&format!(
        "{} trials of {file} are known to stage 1",
        known.len()
    ));
    Ok(known)
}

/// Why a trial is none of the space; `None` where it is.
fn outside(recipe: &Recipe, parameters: &IndexMap<String, serde_json::Value>) -> Option<String> {
    recipe.stage1.space.iter().find_map(|(name, dimension)| {
        let name = name.as_str();
        let Some(value) = parameters.get(name) else {
            return Some(format!("it has no {name}"));
        };
        let range =
            |low: String, high: String| format!("{name} {value} lies outside {low} to {high}");
        match dimension {
            Dimension::Float { low, high } | Dimension::LogFloat { low, high } => {
                let own = value.as_f64();
                let is_inside = own.is_some_and(|v| (*low..=*high).contains(&v));
                (!is_inside).then(|| range(format!("{low:?}"), format!("{high:?}")))
            }
            Dimension::Int { low, high } => {
                let is_inside = value.as_u64().is_some_and(|v| (*low..=*high).contains(&v));
                (!is_inside).then(|| range(low.to_string(), high.to_string()))
            }
            Dimension::Categorical { choices } => {
                let is_one = choices
                    .iter()
                    .any(|choice| serde_json::Value::from(choice) == *value);
                let all = || {
                    choices
                        .iter()
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()
                        .join(", ")
                };
                (!is_one).then(|| format!("{name} {value} is none of {}", all()))
            }
        }
    })
}
