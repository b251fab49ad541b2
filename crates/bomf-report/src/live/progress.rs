//! How far a run has come: its parts, what is done of each, and how long the rest may take.

use bomf_study::{Event, MethodName, Record};

/// A part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// Trials of stage 1.
    Stage1,
    /// Steps of fine-tuning.
    Finetune,
    /// Evaluations of stage 2.
    Stage2,
}

/// How far a part has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Which.
    pub part: Part,
    /// Trials, steps or evaluations that are done.
    pub done: usize,
    /// How many there will be, at most; 0 where that is not known yet.
    pub planned: usize,
    /// Whether a later part has begun.
    pub is_over: bool,
}

impl Progress {
    /// What is left of it, at most.
    pub fn left(&self) -> usize {
        match self.is_over {
            true => 0,
            false => self.planned.saturating_sub(self.done),
        }
    }
}

/// Evaluations of stage 2 a member, where the recipe says nothing.
const EVALUATIONS_A_MEMBER: usize = 5;

/// The parts that the run of a record has, in their order.
pub fn progress(record: &Record) -> Vec<Progress> {
    let command = record.facts.get("command").map_or("run", String::as_str);
    let is_done = record.results.is_some();
    let plan = &record.plan;
    let mut parts = Vec::new();
    let trains = record
        .events
        .iter()
        .any(|e| matches!(e, Event::Finetune { .. }));
    let searches = !record.evaluations.is_empty();
    if matches!(command, "run" | "tune") && plan.trials.max(record.trials.len()) > 0 {
        parts.push(Progress {
            part: Part::Stage1,
            done: record.trials.len(),
            planned: plan.trials,
            is_over: trains || searches || is_done || !record.finetunes.is_empty(),
        });
    }
    if matches!(command, "run" | "finetune") {
        let (done, planned) = steps(record);
        parts.push(Progress {
            part: Part::Finetune,
            done,
            planned,
            is_over: searches || is_done || record.finetunes.len() >= plan.runs.max(1),
        });
    }
    if matches!(command, "run" | "fuse") {
        parts.push(Progress {
            part: Part::Stage2,
            done: record.evaluations.len(),
            planned: planned_evaluations(record),
            is_over: is_done,
        });
    }
    parts
}

/// Steps of all fine-tuning runs: done, and planned from what an epoch takes.
fn steps(record: &Record) -> (usize, usize) {
    let (mut done, mut here, mut run_now) = (0, 0, 1);
    let mut per_epoch = 0.0;
    for event in &record.events {
        if let Event::Finetune {
            run, step, epoch, ..
        } = event
        {
            if run.unwrap_or(1) != run_now {
                run_now = run.unwrap_or(1);
                done += here;
            }
            here = *step as usize;
            if *epoch > 0.0 {
                per_epoch = *step as f64 / epoch;
            }
        }
    }
    let plan = &record.plan;
    let planned = per_epoch * plan.epochs as f64 * plan.runs.max(1) as f64;
    (done + here, planned.round() as usize)
}

/// Members, the classical averages, the search, and random weights with as many evaluations.
fn planned_evaluations(record: &Record) -> usize {
    let count = |method: MethodName| {
        let own = record.evaluations.iter();
        own.filter(|e| e.method == method.as_str()).count()
    };
    let first = record.evaluations.first();
    let members = first.map_or(0, |e| e.weights.len());
    if members == 0 {
        return 0;
    }
    let search = record.plan.evaluations;
    let search = search.unwrap_or(EVALUATIONS_A_MEMBER * members);
    let others =
        record.evaluations.len() - count(MethodName::Bomf) - count(MethodName::RandomSimplex);
    // The greedy soup tries each member but the best.
    let others = others.max(members + 2 + members - 1);
    others + search + (others - members + search)
}
