//! Stage 2 and the choice of a point, whatever gives the scores: members, search,
//! front, `pareto.json`.

use super::choose::choose;
use super::evaluator::{Evaluator, Member};
use super::goals::Goals;
use super::seeds::{Purpose, generator};
use super::stage2::{self, Found};
use crate::Error;
use crate::recipe::Recipe;
use bomf_checkpoint::write_json_atomic;
use bomf_study::{Front, FrontPoint, MemberRecord, MethodName, Stage2};
use std::path::Path;

/// What stage 2 came to.
pub(super) struct Settled {
    pub members: Vec<Member>,
    /// The weight-averaging methods; `bomf` has the point that was chosen.
    pub methods: Vec<Found>,
    pub front: Vec<FrontPoint>,
    /// Maximised.
    pub ref_point: Vec<f64>,
    /// In the objectives' own directions.
    pub own_ref_point: Vec<f64>,
    pub record: Stage2,
    /// Evaluations that `bomf` made in all.
    pub budget: usize,
}

/// Scores the members (filling in `records`), searches, and takes a point of the front.
pub(super) fn settle(
    recipe: &Recipe,
    evaluator: &mut Evaluator<'_>,
    records: &mut [MemberRecord],
) -> Result<Settled, Error> {
    let goals = evaluator.goals;
    let members = evaluator.members()?;
    for (record, member) in records.iter_mut().zip(&members) {
        record.select = member.scores.clone().unwrap_or_default();
    }
    let outcome = stage2::search(recipe, evaluator, &members)?;
    let mut methods = outcome.methods;
    let mut rng = generator(recipe.seed, Purpose::Bootstrap);
    let classical = methods
        .iter()
        .filter(|m| !matches!(m.name, MethodName::Bomf | MethodName::RandomSimplex));
    let floor = classical
        .map(|m| goals.chosen_value(&m.best.scores))
        .fold(f64::NEG_INFINITY, f64::max);
    let Some(bomf) = methods.last_mut() else {
        return Err(Error::NoMember);
    };
    let place = choose(
        recipe.stage2.choose,
        &bomf.all,
        &outcome.front,
        floor,
        goals,
        &mut *evaluator.source,
        &mut rng,
    )?;
    let budget = bomf.evaluations;
    bomf.best = bomf.all[outcome.front[place]].clone();
    let front = outcome
        .front
        .iter()
        .enumerate()
        .map(|(i, &index)| FrontPoint {
            weights: bomf.all[index].weights.clone(),
            select: bomf.all[index].scores.clone(),
            chosen: i == place,
        })
        .collect();
    let own =
        |(objective, value): (&bomf_study::Objective, &f64)| objective.direction.maximised(*value);
    Ok(Settled {
        members,
        methods,
        front,
        own_ref_point: goals
            .objectives
            .iter()
            .zip(&outcome.ref_point)
            .map(own)
            .collect(),
        ref_point: outcome.ref_point,
        budget,
        record: outcome.record,
    })
}

impl Settled {
    /// The weights of the point that was chosen.
    pub fn chosen(&self) -> Result<&[f64], Error> {
        let point = self.front.iter().find(|point| point.chosen);
        point
            .map(|point| point.weights.as_slice())
            .ok_or(Error::NoMember)
    }

    /// Writes `pareto.json`.
    pub fn write_front(
        &self,
        goals: &Goals,
        records: &[MemberRecord],
        out: &Path,
    ) -> Result<(), Error> {
        let pareto = Front {
            objectives: goals.objectives.clone(),
            ref_point: self.own_ref_point.clone(),
            member_steps: records.iter().map(|m| m.step).collect(),
            points: self.front.clone(),
        };
        Ok(write_json_atomic(out.join("pareto.json"), &pareto)?)
    }
}
