//! Results of a run that has not ended: what can be said by now, in the form that the figures
//! take. Methods have no scores on the report split yet, and no mixture is chosen.

use bomf_pareto::{hypervolume, non_dominated};
use bomf_study::{
    CurvePoint, Evaluation, Event, Finetune, FrontPoint, HypervolumePoint, MemberRecord, Method,
    MethodName, Plan, Record, Results, Scores, Seconds, Splits, Stage1, Stage1Trial, Stage2, State,
};
use indexmap::IndexMap;

/// Points of the history of hypervolumes, at most: a figure is not finer.
const MOST_HISTORY: usize = 240;

/// What a record says by now; its results themselves once it has some.
pub(super) fn so_far(record: &Record) -> Results {
    if let Some(results) = &record.results {
        let mut results = results.clone();
        thin(&mut results.stage2.history);
        return results;
    }
    let plan = &record.plan;
    let finetune = finetune(record);
    let complete: Vec<(&Evaluation, Vec<f64>)> = record
        .evaluations
        .iter()
        .filter(|e| e.state == State::Complete)
        .filter_map(|e| Some((e, maximised(plan, &e.scores)?)))
        .collect();
    let vertices: Vec<&Vec<f64>> = complete
        .iter()
        .filter(|(e, _)| is_member(e))
        .map(|(_, y)| y)
        .collect();
    let reference = match &plan.ref_point {
        Some(own) => Some(turned(plan, own)),
        None => reference(&vertices),
    };
    let fact = |name: &str| record.facts.get(name).cloned().unwrap_or_default();
    Results {
        version: fact("version"),
        task: plan.task.clone(),
        task_kind: String::new(),
        model: fact("model"),
        parameters: 0,
        seed: fact("seed").parse().unwrap_or(0),
        threads: fact("threads").parse().unwrap_or(0),
        splits: Splits {
            train: 0,
            select: 0,
            report: 0,
        },
        objectives: plan.objectives.clone(),
        chosen_metric: plan.chosen_metric.clone(),
        ref_point: reference
            .as_ref()
            .map(|r| turned(plan, r))
            .unwrap_or_default(),
        stage1: stage1(record),
        methods: methods(plan, &finetune.members, &complete),
        finetune,
        stage2: Stage2 {
            initial_evaluations: before_search(&record.evaluations),
            surrogates: IndexMap::new(),
            choice: Default::default(),
            blocks: None,
            basin: None,
            history: history(&complete, reference.as_deref()),
        },
        front: front(plan, &complete),
        notes: Vec::new(),
        seconds: Seconds {
            stage1: record.trials.iter().map(|t| t.seconds).sum(),
            finetune: record.finetunes.iter().map(|f| f.seconds).sum(),
            stage2: record.evaluations.iter().map(|e| e.seconds).sum(),
            total: 0.0,
        },
        peak_rss_mb: 0.0,
    }
}

/// Every objective, more being better; `None` where one is missing or no number.
fn maximised(plan: &Plan, scores: &Scores) -> Option<Vec<f64>> {
    let value = |o: &bomf_study::Objective| {
        let score = scores.get(&o.name).filter(|score| score.is_finite())?;
        Some(o.direction.maximised(*score))
    };
    let all: Option<Vec<f64>> = plan.objectives.iter().map(value).collect();
    all.filter(|all| !all.is_empty())
}

/// From the objectives' own directions to more being better, or back.
fn turned(plan: &Plan, values: &[f64]) -> Vec<f64> {
    let pairs = plan.objectives.iter().zip(values);
    pairs.map(|(o, v)| o.direction.maximised(*v)).collect()
}

/// The rule of the search: the members' worst value in each objective and a tenth of their range
/// beyond it, more being better.
fn reference(members: &[&Vec<f64>]) -> Option<Vec<f64>> {
    const MARGIN: f64 = 0.1;
    let objectives = members.first()?.len();
    let beyond = |j: usize| {
        let column = || members.iter().map(|y| y[j]);
        let low = column().fold(f64::INFINITY, f64::min);
        let high = column().fold(f64::NEG_INFINITY, f64::max);
        let range = match high - low {
            range if range > 0.0 => range,
            _ if low == 0.0 => 1.0,
            _ => low.abs(),
        };
        low - MARGIN * range
    };
    Some((0..objectives).map(beyond).collect())
}

fn stage1(record: &Record) -> Stage1 {
    let trials: Vec<Stage1Trial> = record
        .trials
        .iter()
        .map(|trial| Stage1Trial {
            pruned: trial.state == State::Pruned,
            parameters: trial.parameters.clone(),
            select: trial.scores.clone(),
            value: trial.value,
            seconds: trial.seconds,
        })
        .collect();
    let best = crate::figures::best_trial(&trials);
    Stage1 {
        layers: 0,
        frozen_layers: 0,
        lora_r: None,
        known: Vec::new(),
        best: best.map_or_else(IndexMap::new, |k| trials[k].parameters.clone()),
        trials,
    }
}

/// The first fine-tuning run: complete, or as far as its evaluations go.
fn finetune(record: &Record) -> Finetune {
    let mut finetune = match record.finetunes.first() {
        Some(run) => run.run.clone(),
        None => growing(record),
    };
    // Of several runs each has members of its own; they are put together at the end.
    if record.finetunes.len() < record.plan.runs.max(1) && !record.finetunes.is_empty() {
        finetune.members.clear();
    }
    for (i, member) in finetune.members.iter_mut().enumerate() {
        let vertex = record.evaluations.iter().find(|e| {
            let weights = e.weights.iter().enumerate();
            e.weights.len() > i
                && weights
                    .clone()
                    .all(|(k, &w)| w == f64::from(u8::from(k == i)))
        });
        if let Some(vertex) = vertex {
            member.select.clone_from(&vertex.scores);
        }
    }
    if finetune.members.is_empty() {
        finetune.members = nameless(record);
    }
    finetune
}

/// The members of checkpoints that another trainer gave: as many as there are weights.
fn nameless(record: &Record) -> Vec<MemberRecord> {
    let vertices = record
        .evaluations
        .iter()
        .filter(|e| e.method == MethodName::BestCheckpoint.as_str() && e.weights.contains(&1.0));
    let member = |(i, e): (usize, &Evaluation)| MemberRecord {
        step: i as u64 + 1,
        run: None,
        path: String::new(),
        select: e.scores.clone(),
    };
    vertices.enumerate().map(member).collect()
}

fn growing(record: &Record) -> Finetune {
    let mut curve = Vec::new();
    let mut per_epoch = 0.0;
    for event in &record.events {
        if let Event::Finetune {
            run,
            step,
            epoch,
            train_loss,
            scores,
        } = event
            && run.unwrap_or(1) == 1
        {
            if *epoch > 0.0 {
                per_epoch = *step as f64 / epoch;
            }
            curve.push(CurvePoint {
                step: *step,
                train_loss: *train_loss,
                select: scores.clone(),
            });
        }
    }
    let plan = &record.plan;
    let chosen = plan
        .objectives
        .iter()
        .find(|o| o.name == plan.chosen_metric);
    let value = |point: &&CurvePoint| {
        let score = chosen.and_then(|o| Some(o.direction.maximised(*point.select.get(&o.name)?)));
        score.unwrap_or(f64::NEG_INFINITY)
    };
    // The first of equals.
    let best = curve
        .iter()
        .rev()
        .max_by(|a, b| value(a).total_cmp(&value(b)));
    Finetune {
        best_step: best.map_or(0, |point| point.step),
        steps: curve.last().map_or(0, |point| point.step),
        steps_per_epoch: per_epoch.round() as u64,
        curve,
        members: Vec::new(),
        further_runs: Vec::new(),
    }
}

/// Evaluations before those of the search itself, the members' own left out.
fn before_search(evaluations: &[Evaluation]) -> usize {
    let own = |e: &&Evaluation| e.method == MethodName::Bomf.as_str();
    let first = evaluations.iter().position(|e| own(&e));
    let before = &evaluations[..first.unwrap_or(evaluations.len())];
    before.iter().filter(|e| !is_member(e)).count()
}

fn is_member(evaluation: &Evaluation) -> bool {
    evaluation.method == MethodName::BestCheckpoint.as_str()
}

/// Whether what this method evaluates is part of what `bomf` starts from or finds.
fn is_contained(method: &str) -> bool {
    [
        MethodName::BestCheckpoint,
        MethodName::Swa,
        MethodName::UniformSoup,
        MethodName::GreedySoup,
        MethodName::Bomf,
    ]
    .iter()
    .any(|name| name.as_str() == method)
}

/// What a method has come to: the best mixture that it evaluated.
fn methods(
    plan: &Plan,
    members: &[MemberRecord],
    complete: &[(&Evaluation, Vec<f64>)],
) -> Vec<Method> {
    let chosen = plan
        .objectives
        .iter()
        .position(|o| o.name == plan.chosen_metric)
        .unwrap_or(0);
    let mut methods: Vec<Method> = MethodName::ALL
        .into_iter()
        .filter(|name| *name != MethodName::Bomf)
        .filter_map(|name| {
            let own = || complete.iter().filter(|(e, _)| e.method == name.as_str());
            let (best, _) = own()
                .rev()
                .max_by(|a, b| a.1[chosen].total_cmp(&b.1[chosen]))?;
            Some(Method {
                name,
                weights: Some(best.weights.clone()),
                block_weights: best.block_weights.clone(),
                select: best.scores.clone(),
                report: Scores::new(),
                report_interval: IndexMap::new(),
                bomf_minus_this: IndexMap::new(),
                hypervolume: f64::NAN,
                evaluations: own().filter(|(e, _)| !is_member(e)).count(),
                seconds: own().map(|(e, _)| e.seconds).sum(),
            })
        })
        .collect();
    if let (Some(last), Some(first)) = (members.last(), methods.first())
        && first.name == MethodName::BestCheckpoint
        && !last.select.is_empty()
    {
        let mut weights = vec![0.0; members.len()];
        weights[members.len() - 1] = 1.0;
        let last = Method {
            name: MethodName::LastCheckpoint,
            weights: Some(weights),
            select: last.select.clone(),
            ..first.clone()
        };
        methods.insert(1, last);
    }
    methods
}

/// The front of what `bomf` has, by falling chosen objective.
fn front(plan: &Plan, complete: &[(&Evaluation, Vec<f64>)]) -> Vec<FrontPoint> {
    let own: Vec<&(&Evaluation, Vec<f64>)> = complete
        .iter()
        .filter(|(e, _)| is_contained(&e.method))
        .collect();
    let y: Vec<&Vec<f64>> = own.iter().map(|(_, y)| y).collect();
    let mut ids = non_dominated(&y).unwrap_or_default();
    ids.sort_unstable();
    let mut seen: Vec<&Vec<f64>> = Vec::new();
    ids.retain(|&i| {
        let is_new = !seen.contains(&y[i]);
        seen.push(y[i]);
        is_new
    });
    let chosen = plan
        .objectives
        .iter()
        .position(|o| o.name == plan.chosen_metric);
    let chosen = chosen.unwrap_or(0);
    ids.sort_by(|&a, &b| y[b][chosen].total_cmp(&y[a][chosen]));
    let point = |i: usize| FrontPoint {
        weights: own[i].0.weights.clone(),
        block_weights: own[i].0.block_weights.clone(),
        select: own[i].0.scores.clone(),
        chosen: false,
        dominated: false,
    };
    ids.into_iter().map(point).collect()
}

/// Hypervolume over the evaluations, at as many counts as a figure can show.
fn history(
    complete: &[(&Evaluation, Vec<f64>)],
    reference: Option<&[f64]>,
) -> Vec<HypervolumePoint> {
    let Some(reference) = reference else {
        return Vec::new();
    };
    let random = MethodName::RandomSimplex.as_str();
    let (members, found) = split(complete, &is_contained);
    let (_, drawn) = split(complete, &|method| method == random);
    let most = found.len().max(drawn.len());
    let counts = sampled(most);
    let bomf = volumes(members, &found, &counts, reference);
    let drawn_volumes = volumes(Vec::new(), &drawn, &counts, reference);
    let points = counts.iter().zip(bomf.into_iter().zip(drawn_volumes));
    points
        .map(|(&evaluations, (bomf, random))| HypervolumePoint {
            evaluations,
            bomf: bomf.unwrap_or(f64::NAN),
            random_simplex: random.filter(|_| !drawn.is_empty()),
        })
        .collect()
}

/// The scores of the members, and of the other mixtures of some methods.
fn split<'a>(
    complete: &'a [(&Evaluation, Vec<f64>)],
    is_own: &dyn Fn(&str) -> bool,
) -> (Vec<&'a [f64]>, Vec<&'a [f64]>) {
    let (mut members, mut others) = (Vec::new(), Vec::new());
    for (evaluation, y) in complete.iter().filter(|(e, _)| is_own(&e.method)) {
        match is_member(evaluation) {
            true => members.push(y.as_slice()),
            false => others.push(y.as_slice()),
        }
    }
    (members, others)
}

/// Numbers from 0 to `most`, both among them, at most [`MOST_HISTORY`] and evenly.
fn sampled(most: usize) -> Vec<usize> {
    let points = (most + 1).min(MOST_HISTORY);
    let at = |k: usize| k * most / (points - 1).max(1);
    (0..points).map(at).collect()
}

/// The hypervolume of `start` and the first so many of `more`; `None` beyond them all.
fn volumes(
    start: Vec<&[f64]>,
    more: &[&[f64]],
    counts: &[usize],
    reference: &[f64],
) -> Vec<Option<f64>> {
    let mut front = start;
    let mut done = 0;
    let mut volume = None;
    counts
        .iter()
        .map(|&count| {
            if count > more.len() {
                return None;
            }
            if count > done || volume.is_none() {
                front.extend(&more[done..count]);
                done = count;
                // Only the front goes on, so that this stays cheap.
                let kept = non_dominated(&front).ok()?;
                front = kept.into_iter().map(|i| front[i]).collect();
                volume = hypervolume(&front, reference).ok();
            }
            volume
        })
        .collect()
}

fn thin(history: &mut Vec<HypervolumePoint>) {
    if history.len() > MOST_HISTORY {
        let kept = sampled(history.len() - 1);
        *history = kept.into_iter().map(|i| history[i]).collect();
    }
}
