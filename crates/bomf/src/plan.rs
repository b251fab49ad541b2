//! What an output folder's run set out to do, and what has come of it.

use crate::Error;
use crate::output::RECIPE;
use crate::recipe::{Dimension, HyperValue, Metric, Optimised, Recipe};
use bomf_study::{Direction, Objective, Plan, Range, Record};
use std::path::Path;

/// Everything that an output folder says of its run, whether it runs, was stopped, or is done.
///
/// # Errors
/// Where a file that is there cannot be read or understood. A folder without a run is no error
/// but an empty record.
pub fn read_record(out: &Path) -> Result<Record, Error> {
    let path = out.join(RECIPE);
    let plan = match path.is_file() {
        true => plan(&Recipe::load(&path)?),
        false => Plan::default(),
    };
    Ok(Record::read(out, plan)?)
}

/// What a run of a recipe sets out to do. `recipe.yaml` of an output folder has the kind of the
/// task; without it nothing is known of the objectives.
pub fn plan(recipe: &Recipe) -> Plan {
    let (objectives, chosen, ref_point) = goals(recipe);
    let metrics = objectives.iter().skip(1).map(|o| o.name.clone());
    let stage1_value = match objectives.first() {
        // The engine sums the metrics unless the loss is chosen; programs have one value.
        Some(loss) if recipe.trainer.is_none() && loss.name != chosen => metrics.collect(),
        Some(_) => vec![chosen.clone()],
        None => Vec::new(),
    };
    let space = &recipe.stage1.space;
    Plan {
        task: recipe.task.name.clone().unwrap_or_default(),
        objectives,
        chosen_metric: chosen,
        stage1_value,
        trials: recipe.stage1.trials * usize::from(!space.is_empty()),
        space: space
            .iter()
            .map(|(name, dimension)| (name.to_string(), range(dimension)))
            .collect(),
        runs: recipe.members.runs(),
        epochs: recipe.finetune.epochs,
        members: recipe.members.count,
        evaluations: recipe.stage2.evaluations,
        ref_point,
    }
}

/// Objectives, the chosen one, and the reference point if it is set.
fn goals(recipe: &Recipe) -> (Vec<Objective>, String, Option<Vec<f64>>) {
    if let Some(evaluator) = &recipe.evaluator {
        let own = evaluator.objectives.iter();
        let objectives = own.map(|(name, own)| Objective {
            name: name.clone(),
            direction: own.direction,
        });
        let objectives: Vec<Objective> = objectives.collect();
        let chosen = objectives[evaluator.chosen()].name.clone();
        let ref_point = evaluator.objectives.values().map(|own| own.ref_point);
        return (objectives, chosen, ref_point.collect());
    }
    let Some(Ok(goals)) = recipe.task.kind.map(|kind| recipe.objectives(kind)) else {
        return Default::default();
    };
    let metrics = goals.metrics.iter().map(|&metric| Objective {
        name: Optimised::Metric(metric).as_str().into(),
        direction: direction(metric),
    });
    let loss = Objective {
        name: Optimised::Loss.as_str().into(),
        direction: Direction::Minimize,
    };
    let objectives = std::iter::once(loss).chain(metrics).collect();
    (objectives, goals.choose_by.as_str().into(), goals.ref_point)
}

fn direction(metric: Metric) -> Direction {
    match metric {
        Metric::Mse | Metric::Perplexity => Direction::Minimize,
        _ => Direction::Maximize,
    }
}

fn range(dimension: &Dimension) -> Range {
    match dimension {
        Dimension::Float { low, high } => Range::Float {
            low: *low,
            high: *high,
            log: false,
        },
        Dimension::LogFloat { low, high } => Range::Float {
            low: *low,
            high: *high,
            log: true,
        },
        Dimension::Int { low, high } => Range::Int {
            low: *low as i64,
            high: *high as i64,
        },
        Dimension::Categorical { choices } => Range::Categorical {
            choices: choices
                .iter()
                .map(|choice: &HyperValue| choice.into())
                .collect(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bomf_tune::metrics;
    use indexmap::IndexMap;

    #[test]
    fn metrics_have_the_direction_that_they_are_computed_with() {
        for computed in metrics::Metric::ALL {
            let mut named = Metric::NAMED.iter();
            let known = named.find(|(name, _)| *name == computed.name());
            let Some(&(_, metric)) = known else {
                panic!("{} has no name in recipes", computed.name());
            };
            let own = match computed.direction() {
                metrics::Direction::Maximize => Direction::Maximize,
                metrics::Direction::Minimize => Direction::Minimize,
            };
            assert_eq!(direction(metric), own, "{}", computed.name());
        }
    }

    #[test]
    fn a_recipe_says_what_is_searched_and_what_is_optimised() {
        let text = "
task: {kind: classification, name: t, metrics: [f1, accuracy], choose_by: f1}
stage1: {trials: 4, space: {learning_rate: {type: log_float, low: 0.1, high: 0.2}}}
finetune: {batch_size: 8}
stage2: {evaluations: 7, ref_point: {loss: 1.0, f1: 0.5, accuracy: 0.25}}";
        let plan = plan(&Recipe::from_yaml(text, "r").unwrap());
        let names: Vec<&str> = plan.objectives.iter().map(|o| o.name.as_str()).collect();
        assert_eq!(names, ["loss", "f1", "accuracy"]);
        assert_eq!(plan.stage1_value, ["f1", "accuracy"]);
        assert_eq!((plan.trials, plan.evaluations), (4, Some(7)));
        assert_eq!(plan.ref_point, Some(vec![1.0, 0.5, 0.25]));
        let expected = Range::Float {
            low: 0.1,
            high: 0.2,
            log: true,
        };
        assert_eq!(
            plan.space,
            IndexMap::from([("learning_rate".into(), expected)])
        );
    }

    #[test]
    fn what_no_kind_is_known_of_has_no_objectives() {
        let plan = plan(&Recipe::default());
        assert!(plan.objectives.is_empty() && plan.stage1_value.is_empty());
        assert_eq!(plan.chosen_metric, "");
    }
}
