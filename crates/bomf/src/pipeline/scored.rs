//! Stage 2 by the word of a function: mixtures of n members, scored by whoever calls.
//!
//! Baselines, search and choice are those of `bomf fuse`; members and scores are not its
//! affair. Random search, which would double the evaluations, is not run.

use super::at_least;
use super::evaluator::{Evaluated, Evaluator};
use super::goals::Goals;
use super::ledger::Ledger;
use super::settle::settle;
use super::source::{Measured, Source};
use crate::recipe::{Recipe, RecipeError};
use crate::{Error, Observer};
use bomf_study::{FrontPoint, MemberRecord, MethodName, Objective, Scores};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::path::PathBuf;

/// Mixtures to be searched.
#[derive(Debug, Clone, PartialEq)]
pub struct MixturesRequest {
    /// How many members there are, at least 2.
    pub members: usize,
    /// What is optimised, at least one, each by its name once.
    pub objectives: Vec<Objective>,
    /// Index of the objective by which a point is chosen.
    pub chosen: usize,
    /// Weight of each objective for [`Choose::Weights`](crate::recipe::Choose::Weights).
    pub objective_weights: Option<Vec<f64>>,
    /// Reference point of the hypervolume, in the objectives' own directions; inferred from
    /// the members without it.
    pub ref_point: Option<Vec<f64>>,
    /// The choices of stage 2, and the seed; nothing else of it is looked at.
    pub recipe: Recipe,
    /// The file that every evaluation is written to as it happens; it is made anew.
    pub journal: PathBuf,
}

/// What came of a search of mixtures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MixturesOutcome {
    /// The scores of each member; empty where it gave none.
    pub members: Vec<Scores>,
    /// What each method came to, `bomf` last.
    pub methods: Vec<MixtureMethod>,
    /// The Pareto front, by falling chosen objective, one point of it chosen.
    pub front: Vec<FrontPoint>,
    /// Reference point of every hypervolume, in the objectives' own directions.
    pub ref_point: Vec<f64>,
    /// Evaluations that were made, the members' among them.
    pub evaluations: usize,
}

/// What a method came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MixtureMethod {
    /// Which.
    pub name: MethodName,
    /// Its mixture.
    pub weights: Vec<f64>,
    /// The mixture's scores.
    pub scores: Scores,
}

/// Scores of a mixture, and standard errors where they are known; `None` where it gives no
/// finite ones.
pub type Measurement = Option<(Scores, Scores)>;

/// Searches mixtures of members that only `measure` knows: it is handed weights (one a
/// member, at least 0, their sum 1), and returns the scores by the objectives' names.
///
/// ```
/// use bomf::study::{Direction, Objective, Scores};
/// use bomf::{MixturesRequest, Recipe, Silent, search_mixtures};
///
/// let journal = std::env::temp_dir().join(format!("bomf-doc-{}.jsonl", std::process::id()));
/// let objective = |name: &str, direction| Objective { name: name.into(), direction };
/// let mut recipe = Recipe::default();
/// recipe.stage2.evaluations = Some(5);
/// let request = MixturesRequest {
///     members: 3,
///     objectives: vec![objective("loss", Direction::Minimize)],
///     chosen: 0,
///     objective_weights: None,
///     ref_point: None,
///     recipe,
///     journal: journal.clone(),
/// };
/// let loss = |w: &[f64]| (w[0] - 0.2_f64).powi(2) + (w[1] - 0.7).powi(2);
/// let mut measure = |w: &[f64]| {
///     Ok(Some((Scores::from_iter([("loss".to_string(), loss(w))]), Scores::new())))
/// };
/// let outcome = search_mixtures(&request, &mut measure, &mut Silent)?;
/// let best = outcome.front.iter().find(|point| point.chosen).unwrap();
/// assert!(best.select["loss"] <= loss(&[1.0 / 3.0; 3]));
/// # std::fs::remove_file(journal).unwrap();
/// # Ok::<(), bomf::Error>(())
/// ```
///
/// # Errors
/// What `measure` returns; a wrong request; [`Error::NoMember`] where no member has scores;
/// [`Error::Interrupted`].
pub fn search_mixtures(
    request: &MixturesRequest,
    measure: &mut dyn FnMut(&[f64]) -> Result<Measurement, Error>,
    observer: &mut dyn Observer,
) -> Result<MixturesOutcome, Error> {
    let goals = goals(request)?;
    let mut journal = Ledger::of_file(&request.journal)?;
    let mut counted = 0;
    let mut source = Measurer {
        members: request.members,
        goals: &goals,
        measure,
        counted: &mut counted,
    };
    let on_disk: Vec<String> = Vec::new();
    let mut evaluator = Evaluator::new(
        &request.recipe,
        &mut source,
        &goals,
        &mut journal,
        observer,
        &request.journal,
        &on_disk,
    );
    let mut records: Vec<MemberRecord> = (0..request.members)
        .map(|i| MemberRecord {
            step: i as u64,
            run: None,
            path: String::new(),
            select: Scores::new(),
        })
        .collect();
    let settled = settle(&request.recipe, &mut evaluator, &mut records)?;
    let methods = settled.methods.into_iter();
    Ok(MixturesOutcome {
        members: records.into_iter().map(|record| record.select).collect(),
        methods: methods
            .filter(|method| method.name != MethodName::RandomSimplex)
            .map(|method| MixtureMethod {
                name: method.name,
                weights: method.best.weights,
                scores: method.best.scores,
            })
            .collect(),
        front: settled.front,
        ref_point: settled.own_ref_point,
        evaluations: counted,
    })
}

/// What the request optimises.
fn goals(request: &MixturesRequest) -> Result<Goals, Error> {
    if request.members < 2 {
        return Err(Error::TooFewMembers {
            found: request.members,
        });
    }
    let names: Vec<&str> = request.objectives.iter().map(|o| o.name.as_str()).collect();
    let m = names.len();
    at_least("objectives", m, 1)?;
    if let Some(i) = (1..m).find(|&i| names[..i].contains(&names[i])) {
        return Err(wrong("objectives", names[i], "each name once"));
    }
    if request.chosen >= m {
        return Err(wrong("chosen", request.chosen, "one of the objectives"));
    }
    for (field, values) in [
        ("ref_point", &request.ref_point),
        ("objective_weights", &request.objective_weights),
    ] {
        let Some(values) = values else { continue };
        if values.len() != m {
            let found = format!("a list of {}", values.len());
            return Err(wrong(field, found, "one number an objective"));
        }
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(wrong(field, value, "finite numbers"));
        }
    }
    // As everywhere: the loss decides between models that are alike in the chosen one.
    let loss = names.iter().position(|name| *name == "loss");
    let other = (0..m).find(|&j| j != request.chosen);
    let second = loss.filter(|&j| j != request.chosen).or(other);
    Ok(Goals {
        objectives: request.objectives.clone(),
        chosen: request.chosen,
        second: second.unwrap_or(request.chosen),
        weights: request.objective_weights.clone(),
        ref_point: request.ref_point.clone(),
    })
}

fn wrong(field: &str, value: impl std::fmt::Display, expected: &str) -> Error {
    Error::Recipe(RecipeError::BadValue {
        file: String::new(),
        line: 0,
        field: field.into(),
        value: value.to_string(),
        expected: expected.into(),
        nearest: None,
    })
}

/// The function as a source of scores.
struct Measurer<'a> {
    members: usize,
    goals: &'a Goals,
    measure: &'a mut dyn FnMut(&[f64]) -> Result<Measurement, Error>,
    counted: &'a mut usize,
}

impl Source for Measurer<'_> {
    fn len(&self) -> usize {
        self.members
    }

    fn measure(
        &mut self,
        weights: &[f64],
        _interrupted: &dyn Fn() -> bool,
    ) -> Result<Option<Measured>, Error> {
        *self.counted += 1;
        let Some((given, errors)) = (self.measure)(weights)? else {
            return Ok(None);
        };
        // What else it may have told is not kept.
        let own = |from: &Scores| -> Scores {
            let objectives = self.goals.objectives.iter();
            objectives
                .filter_map(|o| Some((o.name.clone(), *from.get(&o.name)?)))
                .collect()
        };
        let scores = own(&given);
        let is_whole = scores.len() == self.goals.objectives.len()
            && scores.values().all(|value| value.is_finite());
        let std_errors = own(&errors)
            .into_iter()
            .filter(|(_, e)| e.is_finite() && *e >= 0.0);
        Ok(is_whole.then(|| Measured {
            scores,
            std_errors: std_errors.collect(),
            ..Measured::default()
        }))
    }

    fn chosen_std_error(
        &mut self,
        evaluated: &Evaluated,
        _rng: &mut ChaCha8Rng,
    ) -> Result<Option<f64>, Error> {
        let chosen = &self.goals.objectives[self.goals.chosen].name;
        Ok(evaluated.std_errors.get(chosen).copied())
    }

    fn is_compared(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Silent;
    use bomf_study::Direction;

    fn request(dir: &std::path::Path, names: &[(&str, Direction)]) -> MixturesRequest {
        let mut recipe = Recipe::default();
        recipe.stage2.evaluations = Some(6);
        let objective = |&(name, direction): &(&str, Direction)| Objective {
            name: name.into(),
            direction,
        };
        MixturesRequest {
            members: 4,
            objectives: names.iter().map(objective).collect(),
            chosen: names.len() - 1,
            objective_weights: None,
            ref_point: None,
            recipe,
            journal: dir.join("trials.jsonl"),
        }
    }

    const BOTH: [(&str, Direction); 2] =
        [("loss", Direction::Minimize), ("f1", Direction::Maximize)];

    fn scores(w: &[f64]) -> Scores {
        let loss = (w[0] - 0.3).powi(2) + (w[1] - 0.5).powi(2);
        let f1 = 1.0 - (w[2] - 0.4).powi(2);
        Scores::from_iter([("loss".to_string(), loss), ("f1".to_string(), f1)])
    }

    #[test]
    fn the_search_is_no_worse_than_what_it_begins_with_and_evaluates_nothing_twice() {
        let dir = tempfile::tempdir().unwrap();
        let request = request(dir.path(), &BOTH);
        let mut seen: Vec<Vec<f64>> = Vec::new();
        let mut measure = |w: &[f64]| {
            assert!(!seen.contains(&w.to_vec()));
            seen.push(w.to_vec());
            Ok(Some((scores(w), Scores::new())))
        };
        let outcome = search_mixtures(&request, &mut measure, &mut Silent).unwrap();
        assert_eq!(outcome.evaluations, seen.len());
        let lines = std::fs::read_to_string(&request.journal).unwrap();
        assert_eq!(lines.lines().count(), seen.len());
        let bomf = outcome.methods.last().unwrap();
        assert_eq!(bomf.name, MethodName::Bomf);
        for method in &outcome.methods {
            assert!(bomf.scores["f1"] >= method.scores["f1"], "{method:?}");
            assert_ne!(method.name, MethodName::RandomSimplex);
        }
        assert_eq!(outcome.front.iter().filter(|p| p.chosen).count(), 1);
    }

    #[test]
    fn a_mixture_without_scores_is_a_failure_and_no_member_with_scores_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let request = request(dir.path(), &BOTH);
        let mut measure = |w: &[f64]| {
            let fails = w[0] > 0.6;
            Ok((!fails).then(|| (scores(w), Scores::new())))
        };
        let outcome = search_mixtures(&request, &mut measure, &mut Silent).unwrap();
        assert!(outcome.members[0].is_empty() && !outcome.members[1].is_empty());
        let mut none = |_: &[f64]| Ok(None);
        let error = search_mixtures(&request, &mut none, &mut Silent).unwrap_err();
        assert!(matches!(error, Error::NoMember), "{error}");
    }

    #[test]
    fn an_error_of_the_function_ends_the_search() {
        let dir = tempfile::tempdir().unwrap();
        let request = request(dir.path(), &BOTH);
        let mut calls = 0;
        let mut measure = |w: &[f64]| {
            calls += 1;
            match calls {
                7 => Err(Error::NotFinite),
                _ => Ok(Some((scores(w), Scores::new()))),
            }
        };
        let error = search_mixtures(&request, &mut measure, &mut Silent).unwrap_err();
        assert!(matches!(error, Error::NotFinite), "{error}");
        assert_eq!(calls, 7);
    }

    #[test]
    fn a_wrong_request_is_refused_before_anything_is_evaluated() {
        let dir = tempfile::tempdir().unwrap();
        let good = request(dir.path(), &BOTH);
        let twice = [BOTH[0], BOTH[0]];
        let wrong = [
            MixturesRequest {
                members: 1,
                ..good.clone()
            },
            request(dir.path(), &twice),
            MixturesRequest {
                chosen: 2,
                ..good.clone()
            },
            MixturesRequest {
                ref_point: Some(vec![f64::NAN, 0.0]),
                ..good.clone()
            },
            MixturesRequest {
                objective_weights: Some(vec![1.0]),
                ..good
            },
        ];
        for request in wrong {
            let mut measure = |_: &[f64]| panic!("evaluated");
            assert!(search_mixtures(&request, &mut measure, &mut Silent).is_err());
        }
    }

    #[test]
    fn one_objective_is_enough() {
        let dir = tempfile::tempdir().unwrap();
        let request = request(dir.path(), &BOTH[..1]);
        let mut measure = |w: &[f64]| Ok(Some((scores(w), Scores::new())));
        let outcome = search_mixtures(&request, &mut measure, &mut Silent).unwrap();
        assert_eq!(outcome.front.len(), 1);
        assert!(outcome.front[0].select["loss"] < scores(&[0.25; 4])["loss"]);
    }
}
