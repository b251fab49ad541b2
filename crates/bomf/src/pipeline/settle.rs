//! Stage 2 as it is written down, whatever gives the scores: members, search, front,
//! `pareto.json`.

use super::basin;
use super::blocks::{Written, written};
use super::evaluator::{Evaluated, Evaluator, Member};
use super::goals::Goals;
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
    /// What there is to say of the members.
    pub notes: Vec<String>,
    /// Evaluations that `bomf` made in all.
    pub budget: usize,
}

/// Scores the members (filling in `records`), and searches.
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
    let looked = basin::look(recipe, evaluator, &members, records)?;
    let notes = looked.notes.clone();
    let outcome = stage2::search(recipe, evaluator, &members, looked)?;
    let methods = outcome.methods;
    let Some(bomf) = methods.last() else {
        return Err(Error::NoMember);
    };
    let budget = bomf.evaluations;
    let n = members.len();
    let point = |mixture: &Evaluated| written(&mixture.weights, n, evaluator.source.blocks());
    let front = front(&bomf.all, outcome.front, outcome.chosen, goals, &point);
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
        notes,
    })
}

/// The points of the front, and the mixture that was chosen wherever it lies.
fn front(
    all: &[Evaluated],
    mut front: Vec<usize>,
    chosen: usize,
    goals: &Goals,
    written: &dyn Fn(&Evaluated) -> Written,
) -> Vec<FrontPoint> {
    // Of mixtures with equal scores the front has the first: the chosen one stands for it.
    let equal = front
        .iter()
        .position(|&i| all[i].scores == all[chosen].scores);
    if let Some(equal) = equal {
        front[equal] = chosen;
    } else {
        let value = |i: usize| goals.chosen_value(&all[i].scores);
        let place = front.partition_point(|&i| value(i) >= value(chosen));
        front.insert(place, chosen);
    }
    let point = |i: usize| {
        let Written {
            weights,
            block_weights,
        } = written(&all[i]);
        FrontPoint {
            weights,
            block_weights,
            select: all[i].scores.clone(),
            chosen: i == chosen,
            dominated: i == chosen && equal.is_none(),
        }
    };
    front.into_iter().map(point).collect()
}

impl Settled {
    /// The weights of the point that was chosen, of all blocks or block after block.
    pub fn chosen(&self) -> Result<&[f64], Error> {
        let mut methods = self.methods.iter();
        let bomf = methods.find(|found| found.name == MethodName::Bomf);
        bomf.map(|found| found.best.weights.as_slice())
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
