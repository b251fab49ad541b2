//! What the runs of an experiment say together.

use super::plan::Plan;
use super::runner::Outcome;
use super::statistics::{mean_of_differences, rank_correlation};
use bomf_pareto::hypervolume;
use bomf_study::experiment::{
    AlignmentRow, Claim, CorrelationRow, CostRow, Experiment, FailedRun, Gain, HypervolumeRow,
    MeanSd, RunRecord, ScoreRow,
};
use bomf_study::{Direction, Event, MethodName, Objective, Results, Scores, State};
use std::collections::BTreeMap;

/// Methods that average members without a search.
const AVERAGES: [MethodName; 5] = [
    MethodName::BestCheckpoint,
    MethodName::LastCheckpoint,
    MethodName::Swa,
    MethodName::UniformSoup,
    MethodName::GreedySoup,
];

/// What the finished runs say.
pub(super) fn summary(plan: &Plan, outcomes: &[Outcome], failed: &[FailedRun]) -> Experiment {
    let all = All { plan, outcomes };
    Experiment {
        name: plan.name.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        planned: plan.tasks.len() * plan.variants.len() * plan.seeds.len(),
        runs: all.runs(),
        failed: failed.to_vec(),
        scores: all.scores(),
        gains: all.gains(),
        ablation: all.ablation(),
        claims: all.claims(),
        hypervolume: all.hypervolumes(),
        correlation: all.correlations(),
        alignment: all.alignments(),
        costs: all.costs(),
    }
}

struct All<'a> {
    plan: &'a Plan,
    outcomes: &'a [Outcome],
}

impl<'a> All<'a> {
    fn of(&self, task: usize, variant: usize) -> Vec<&'a Outcome> {
        let is_of = |o: &&Outcome| (o.task, o.variant) == (task, variant);
        self.outcomes.iter().filter(is_of).collect()
    }

    fn names(&self, task: usize, variant: usize) -> (String, String) {
        let (task, variant) = (&self.plan.tasks[task], &self.plan.variants[variant]);
        (task.name.clone(), variant.name.clone())
    }

    /// Every task under every variant that has runs.
    fn groups(&self) -> Vec<(usize, usize, Vec<&'a Outcome>)> {
        let mut groups = Vec::new();
        for task in 0..self.plan.tasks.len() {
            for variant in 0..self.plan.variants.len() {
                let runs = self.of(task, variant);
                if !runs.is_empty() {
                    groups.push((task, variant, runs));
                }
            }
        }
        groups
    }

    fn runs(&self) -> Vec<RunRecord> {
        let record = |outcome: &Outcome| {
            let (task, variant) = self.names(outcome.task, outcome.variant);
            RunRecord {
                task,
                variant,
                seed: outcome.seed,
                folder: outcome.folder.clone(),
                peak_rss_mb: outcome.results.peak_rss_mb,
            }
        };
        self.outcomes.iter().map(record).collect()
    }

    fn scores(&self) -> Vec<ScoreRow> {
        let mut rows = Vec::new();
        for (task, variant, runs) in self.groups() {
            let (task, variant) = self.names(task, variant);
            for name in MethodName::ALL {
                let methods: Vec<_> = runs
                    .iter()
                    .filter_map(|run| run.results.methods.iter().find(|m| m.name == name))
                    .collect();
                if methods.is_empty() {
                    continue;
                }
                let over_seeds = |scores: &dyn Fn(usize) -> &'a Scores| {
                    let names = scores(0).keys();
                    let mean = |name: &String| {
                        let values = (0..methods.len()).filter_map(|i| scores(i).get(name));
                        let values: Vec<f64> = values.copied().collect();
                        (name.clone(), MeanSd::of(&values))
                    };
                    names.map(mean).collect()
                };
                let volumes: Vec<f64> = methods.iter().map(|m| m.hypervolume).collect();
                let evaluations = methods.iter().map(|m| m.evaluations as f64).sum::<f64>();
                rows.push(ScoreRow {
                    task: task.clone(),
                    variant: variant.clone(),
                    method: name,
                    runs: methods.len(),
                    chosen: runs[0].results.chosen_metric.clone(),
                    select: over_seeds(&|i| &methods[i].select),
                    report: over_seeds(&|i| &methods[i].report),
                    hypervolume: MeanSd::of(&volumes),
                    evaluations: evaluations / methods.len() as f64,
                });
            }
        }
        rows
    }

    fn gains(&self) -> Vec<Gain> {
        let mut gains = Vec::new();
        for (variant, named) in self.plan.variants.iter().enumerate() {
            for name in MethodName::ALL {
                if name == MethodName::Bomf {
                    continue;
                }
                for of in [Of::ReportChosen, Of::ReportLoss] {
                    let by_task = (0..self.plan.tasks.len()).map(|task| {
                        let runs = self.of(task, variant);
                        let gain = |run: &&Outcome| {
                            let results = &run.results;
                            Some(of.of(results, MethodName::Bomf)? - of.of(results, name)?)
                        };
                        runs.iter().filter_map(gain).collect()
                    });
                    gains.extend(gain(&named.name, name.as_str(), of, by_task.collect()));
                }
            }
        }
        gains
    }

    fn ablation(&self) -> Vec<Gain> {
        let mut gains = Vec::new();
        let first = &self.plan.variants[0].name;
        for (variant, named) in self.plan.variants.iter().enumerate().skip(1) {
            for of in [Of::ReportChosen, Of::ReportLoss, Of::SelectHypervolume] {
                let by_task = (0..self.plan.tasks.len()).map(|task| {
                    let pairs = self.pairs(task, variant);
                    let gain = |(first, other): &(&Outcome, &Outcome)| {
                        // Volumes from two reference points are no pair.
                        if of == Of::SelectHypervolume && !has_same_reference(first, other) {
                            return None;
                        }
                        let (first, other) = (&first.results, &other.results);
                        Some(of.of(other, MethodName::Bomf)? - of.of(first, MethodName::Bomf)?)
                    };
                    pairs.iter().filter_map(gain).collect()
                });
                gains.extend(gain(&named.name, first, of, by_task.collect()));
            }
        }
        gains
    }

    /// Runs of the first variant and of another with the same task and seed.
    fn pairs(&self, task: usize, variant: usize) -> Vec<(&'a Outcome, &'a Outcome)> {
        let others = self.of(task, variant);
        let pair = |first: &'a Outcome| {
            let other = others.iter().find(|other| other.seed == first.seed)?;
            Some((first, *other))
        };
        self.of(task, 0).into_iter().filter_map(pair).collect()
    }

    fn claims(&self) -> Vec<Claim> {
        let mut claims = Vec::new();
        for (variant, named) in self.plan.variants.iter().enumerate() {
            let runs: Vec<&Results> = (0..self.plan.tasks.len())
                .flat_map(|task| self.of(task, variant))
                .map(|run| &run.results)
                .collect();
            if runs.is_empty() {
                continue;
            }
            let mut claim = |text: &str, holds: &dyn Fn(&Results) -> bool| {
                claims.push(Claim {
                    variant: named.name.clone(),
                    claim: text.into(),
                    held: runs.iter().filter(|run| holds(run)).count(),
                    runs: runs.len(),
                });
            };
            let volume = |run: &Results, name: MethodName| Of::SelectHypervolume.of(run, name);
            let chosen = |run: &Results, name: MethodName| Of::SelectChosen.of(run, name);
            let at_least = |run: &Results, value: &dyn Fn(&Results, MethodName) -> Option<f64>| {
                let own = value(run, MethodName::Bomf);
                AVERAGES.iter().all(|&name| value(run, name) <= own)
            };
            claim(
                "hypervolume of bomf is at least that of every average",
                &|run| at_least(run, &volume),
            );
            claim(
                "chosen metric of bomf is at least that of every average",
                &|run| at_least(run, &chosen),
            );
            claim(
                "hypervolume of bomf is above that of random search",
                &|run| volume(run, MethodName::Bomf) > volume(run, MethodName::RandomSimplex),
            );
        }
        claims
    }

    fn hypervolumes(&self) -> Vec<HypervolumeRow> {
        // By variant and method: the share after each count, one list a run.
        let mut shares: BTreeMap<(usize, MethodName, usize), Vec<f64>> = BTreeMap::new();
        for outcome in self.outcomes {
            let first = self.of(outcome.task, 0);
            let Some(first) = first.into_iter().find(|first| first.seed == outcome.seed) else {
                continue;
            };
            let whole = searched(first, MethodName::Bomf);
            let Some(whole) = whole.and_then(|curve| curve.last().copied()) else {
                continue;
            };
            if !has_same_reference(first, outcome) || whole <= 0.0 {
                continue;
            }
            for name in MethodName::ALL.into_iter().filter(|name| name.is_search()) {
                let Some(curve) = searched(outcome, name) else {
                    continue;
                };
                for &count in &self.plan.evaluations {
                    if let Some(volume) = curve.get(count) {
                        let key = (outcome.variant, name, count);
                        shares.entry(key).or_default().push(volume / whole);
                    }
                }
            }
        }
        let row =
            |((variant, method, evaluations), shares): ((usize, MethodName, usize), Vec<f64>)| {
                HypervolumeRow {
                    variant: self.plan.variants[variant].name.clone(),
                    method,
                    evaluations,
                    share: MeanSd::of(&shares),
                    runs: shares.len(),
                }
            };
        shares.into_iter().map(row).collect()
    }

    fn correlations(&self) -> Vec<CorrelationRow> {
        let mut rows = Vec::new();
        for outcome in self.outcomes.iter().filter(|outcome| outcome.variant == 0) {
            let mixtures = evaluated(outcome, MethodName::RandomSimplex);
            let objectives = &outcome.results.objectives;
            let Some(loss) = objectives.iter().find(|o| o.name == LOSS) else {
                continue;
            };
            for metric in objectives.iter().filter(|o| o.name != LOSS) {
                let (low, good): (Vec<f64>, Vec<f64>) = mixtures
                    .iter()
                    .filter_map(|scores| {
                        Some((maximised(scores, loss)?, maximised(scores, metric)?))
                    })
                    .unzip();
                rows.extend(
                    rank_correlation(&low, &good).map(|spearman| CorrelationRow {
                        task: self.plan.tasks[outcome.task].name.clone(),
                        seed: outcome.seed,
                        metric: metric.name.clone(),
                        spearman,
                        mixtures: low.len(),
                    }),
                );
            }
        }
        rows
    }

    fn alignments(&self) -> Vec<AlignmentRow> {
        let mut rows = Vec::new();
        for task in 0..self.plan.tasks.len() {
            for variant in 1..self.plan.variants.len() {
                for (first, other) in self.pairs(task, variant) {
                    rows.extend(self.alignment(first, other));
                }
            }
        }
        rows
    }

    /// By objective, over the configurations that two runs both tried.
    fn alignment(&self, first: &Outcome, other: &Outcome) -> Vec<AlignmentRow> {
        let others = &other.results.stage1.trials;
        let trials = first.results.stage1.trials.iter();
        let both: Vec<_> = trials
            .filter_map(|trial| {
                let other = others.iter().find(|o| o.parameters == trial.parameters)?;
                Some((trial, other))
            })
            .collect();
        let (task, variant) = self.names(other.task, other.variant);
        let row = |objective: &Objective| {
            let (x, y): (Vec<f64>, Vec<f64>) = both
                .iter()
                .filter_map(|(a, b)| {
                    Some((
                        maximised(&a.select, objective)?,
                        maximised(&b.select, objective)?,
                    ))
                })
                .unzip();
            let seconds: (Vec<f64>, Vec<f64>) =
                both.iter().map(|(a, b)| (a.seconds, b.seconds)).unzip();
            Some(AlignmentRow {
                task: task.clone(),
                seed: first.seed,
                variant: variant.clone(),
                objective: objective.name.clone(),
                spearman: rank_correlation(&x, &y)?,
                configurations: x.len(),
                seconds: [MeanSd::of(&seconds.0).mean, MeanSd::of(&seconds.1).mean],
            })
        };
        first.results.objectives.iter().filter_map(row).collect()
    }

    fn costs(&self) -> Vec<CostRow> {
        let row = |(task, variant, runs): (usize, usize, Vec<&Outcome>)| {
            let mean = |of: fn(&Results) -> f64| {
                let values: Vec<f64> = runs.iter().map(|run| of(&run.results)).collect();
                MeanSd::of(&values).mean
            };
            let (task, variant) = self.names(task, variant);
            CostRow {
                task,
                variant,
                stage1: mean(|r| r.seconds.stage1),
                finetune: mean(|r| r.seconds.finetune),
                stage2: mean(|r| r.seconds.stage2),
                total: mean(|r| r.seconds.total),
            }
        };
        self.groups().into_iter().map(row).collect()
    }
}

/// The objective that every run has.
const LOSS: &str = "loss";

/// What of a method is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    SelectChosen,
    SelectHypervolume,
    ReportChosen,
    ReportLoss,
}

impl Of {
    fn words(self) -> &'static str {
        match self {
            Of::SelectChosen => "select chosen",
            Of::SelectHypervolume => "select hypervolume",
            Of::ReportChosen => "report chosen",
            Of::ReportLoss => "report loss",
        }
    }

    /// The value of a method, more being better.
    fn of(self, results: &Results, name: MethodName) -> Option<f64> {
        let method = results.methods.iter().find(|method| method.name == name)?;
        let objective = |wanted: &str| results.objectives.iter().find(|o| o.name == wanted);
        match self {
            Of::SelectChosen => maximised(&method.select, objective(&results.chosen_metric)?),
            Of::SelectHypervolume => Some(method.hypervolume),
            Of::ReportChosen => maximised(&method.report, objective(&results.chosen_metric)?),
            Of::ReportLoss => maximised(&method.report, objective(LOSS)?),
        }
    }
}

fn maximised(scores: &Scores, objective: &Objective) -> Option<f64> {
    let value = scores.get(&objective.name)?;
    let value = objective.direction.maximised(*value);
    value.is_finite().then_some(value)
}

fn gain(variant: &str, over: &str, of: Of, by_task: Vec<Vec<f64>>) -> Option<Gain> {
    let all: Vec<f64> = by_task.iter().flatten().copied().collect();
    if all.is_empty() {
        return None;
    }
    let (mean, interval) = mean_of_differences(&by_task);
    Some(Gain {
        variant: variant.into(),
        over: over.into(),
        of: of.words().into(),
        mean,
        interval,
        runs: all.len(),
        better: all.iter().filter(|x| **x > 0.0).count(),
        equal: all.iter().filter(|x| **x == 0.0).count(),
    })
}

fn has_same_reference(a: &Outcome, b: &Outcome) -> bool {
    let (a, b) = (&a.results, &b.results);
    (&a.ref_point, &a.objectives) == (&b.ref_point, &b.objectives)
}

/// Scores of the mixtures that a search asked for, in its order.
fn evaluated(outcome: &Outcome, name: MethodName) -> Vec<&Scores> {
    let of = outcome.journal.iter().filter_map(|event| match event {
        Event::Stage2 {
            method,
            state: State::Complete,
            scores,
            ..
        } if method == name.as_str() => Some(scores),
        _ => None,
    });
    of.collect()
}

/// Hypervolume of a search after 0, 1, 2, ... evaluations of mixtures; the members' own scores
/// count from the beginning. `None` if the run has no such search.
fn searched(outcome: &Outcome, name: MethodName) -> Option<Vec<f64>> {
    let results = &outcome.results;
    let point = |scores: &Scores| -> Option<Vec<f64>> {
        let objectives = results.objectives.iter();
        objectives.map(|o| maximised(scores, o)).collect()
    };
    let directions = results.objectives.iter().map(|o| o.direction);
    let reference: Vec<f64> = directions
        .zip(&results.ref_point)
        .map(|(direction, value): (Direction, &f64)| direction.maximised(*value))
        .collect();
    let mixtures = evaluated(outcome, name);
    if mixtures.is_empty() {
        return None;
    }
    let members = results.finetune.members.iter();
    let mut points: Vec<Vec<f64>> = members.filter_map(|m| point(&m.select)).collect();
    let mut curve = vec![hypervolume(&points, &reference).ok()?];
    for scores in mixtures {
        points.extend(point(scores));
        curve.push(hypervolume(&points, &reference).ok()?);
    }
    Some(curve)
}
