//! Stage 2 by a program's word: models of any architecture, fused from disk to disk, and
//! evaluated by whatever command can.
//!
//! [`candidate`] fuses, [`program`] has the fused folder evaluated through [`process`],
//! [`metrics`] reads what came of it; search, baselines, choice and files are those of the
//! engine's own evaluator. What a program cannot give is left out of the results: without
//! standard errors there are no intervals, without predictions no paired differences and
//! no ensemble, and without a command for it the report split is never seen.

pub(super) mod candidate;
pub(super) mod metrics;
pub(super) mod process;
pub(super) mod program;

use super::baselines;
use super::compare::points;
use super::evaluator::Evaluator;
use super::fuse::{Folder, at_least_two, folders, label};
use super::goals::Goals;
use super::identity::Identity;
use super::ledger::{Ledger, Start, entry};
use super::settle::{Settled, settle};
use super::source::{Measured, Source};
use super::stage2::Found;
use super::{peak_rss_mb, threads};
use crate::output::check_inputs;
use crate::recipe::{ExternalEvaluator, Recipe};
use crate::{Error, FuseRequest, Observer, Phase, claim_output};
use bomf_checkpoint::write_json_atomic;
use bomf_study::{
    EvaluatedSplit, Finetune, MemberRecord, Method, MethodName, Objective, Results, Scores,
    Seconds, Splits, Stage1, State,
};
use candidate::{Checkpoints, Durability};
use indexmap::IndexMap;
use program::Program;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Instant;

/// The kind of a task that the engine knows nothing of, in `results.json`.
pub(super) const KIND: &str = "external";

/// What the programs say on stderr, in the output folder.
pub(crate) const LOG: &str = "evaluator.log";

/// What can go wrong with an evaluation by a program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluatorFault {
    /// It could not be started.
    #[error("cannot start `{program}`: {source}")]
    NotStarted {
        /// The command line's first word.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// It said that it failed.
    #[error("it ended with {status}")]
    Failed {
        /// How it ended.
        status: ExitStatus,
    },
    /// It took too long and was ended.
    #[error("it took longer than {seconds} s and was ended")]
    TimedOut {
        /// The limit.
        seconds: f64,
    },
    /// bomf was told to stop, and the program was ended.
    #[error("it was interrupted")]
    Interrupted,
    /// It printed nothing.
    #[error("it printed nothing")]
    Silent,
    /// Nothing lies where it was told to write.
    #[error("it wrote no JSON to {{output}}")]
    NothingWritten,
    /// Its output could not be read.
    #[error("its output cannot be read: {source}")]
    Unreadable {
        /// Why.
        source: std::io::Error,
    },
    /// Its output is too long for metrics alone.
    #[error("its output of {bytes} bytes is too long")]
    TooLong {
        /// How long it is.
        bytes: u64,
    },
    /// Its output is no JSON object.
    #[error("neither its output nor the last line of it is a JSON object: {reason}")]
    NotJson {
        /// The parser's words.
        reason: String,
    },
    /// An objective is not among its metrics.
    #[error("it gives no metric `{metric}`; it gives {}", list(known))]
    Missing {
        /// The objective.
        metric: String,
        /// What there is.
        known: Vec<String>,
    },
    /// An objective's name means several of its metrics.
    #[error("`{metric}` may be {}", list(candidates))]
    Ambiguous {
        /// The objective.
        metric: String,
        /// What it may mean.
        candidates: Vec<String>,
    },
    /// A line of what a trainer reports does not say of which step it is.
    #[error("a line of its reports has no `step`")]
    NoStep,
    /// A trainer reported no evaluation.
    #[error("it reported no evaluation on the select split")]
    NoMetrics,
    /// A metric of this model is null or no finite number.
    #[error("its metric `{metric}` is no finite number")]
    NotFinite {
        /// The objective.
        metric: String,
    },
}

use EvaluatorFault as Fault;

/// The most names that a message lists.
const LISTED: usize = 12;

fn list(names: &[String]) -> String {
    let shown = names.len().min(LISTED);
    match (shown, names.len() - shown) {
        (0, _) => "none".into(),
        (_, 0) => names.join(", "),
        (_, more) => format!("{} and {more} more", names[..shown].join(", ")),
    }
}

impl EvaluatorFault {
    /// How to mend it, where that can be said.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Fault::NotStarted { .. } => {
                "the first word is the program; no shell reads the command line, unless it is \
                 `sh -c '...' sh {model}`"
            }
            Fault::TimedOut { .. } => "give it longer with --evaluator-timeout",
            Fault::Silent | Fault::NotJson { .. } => {
                "its last line on stdout must be JSON like {\"loss\": 0.31, \"accuracy\": 0.88}"
            }
            Fault::NothingWritten => {
                "leave {output} out of the command line if the metrics are printed"
            }
            Fault::NoStep | Fault::NoMetrics => {
                "write lines like {\"step\": 100, \"eval_accuracy\": 0.88} to $BOMF_METRICS, or \
                 print them after `bomf: `"
            }
            Fault::Missing { .. } => "name objectives as the program does",
            Fault::Ambiguous { .. } => "name one of them in full",
            _ => return None,
        };
        Some(hint.into())
    }

    /// Whether there is nothing to be hoped for from another model.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Fault::NotStarted { .. } | Fault::Interrupted)
    }

    /// Whether another try may go otherwise.
    fn may_pass(&self) -> bool {
        matches!(
            self,
            Fault::Failed { .. }
                | Fault::Silent
                | Fault::NothingWritten
                | Fault::Unreadable { .. }
                | Fault::NotJson { .. }
        )
    }
}

/// Everything that a search by a program's word works on.
pub(super) struct Prepared {
    pub checkpoints: Checkpoints,
    pub goals: Goals,
    pub journal: Ledger,
    pub records: Vec<MemberRecord>,
    /// Absolute.
    pub out: PathBuf,
}

/// What is usable in the output folder from the beginning on.
pub(super) fn on_disk() -> Vec<String> {
    vec!["trials.jsonl".into(), LOG.into()]
}

/// Opens the members and takes the output folder for what cannot go on.
pub(super) fn prepare_for_once(
    request: &FuseRequest,
    evaluator: &ExternalEvaluator,
) -> Result<Prepared, Error> {
    prepare(request, evaluator, |_| {
        claim_output(&request.out, request.overwrite, &request.recipe)?;
        Ledger::of_journal(&request.out)
    })
}

/// Opens the members; `begin` takes the output folder, given their folders.
fn prepare(
    request: &FuseRequest,
    evaluator: &ExternalEvaluator,
    begin: impl FnOnce(&[PathBuf]) -> Result<Ledger, Error>,
) -> Result<Prepared, Error> {
    let recipe = &request.recipe;
    // One made in code may hold what none read from a file can.
    Recipe::from_yaml(&recipe.to_yaml(), "")?;
    let folders = folders(&request.members)?;
    at_least_two(&folders)?;
    let absolute = |(_, path): &Folder| {
        std::path::absolute(path).map_err(|source| Error::Output {
            path: path.clone(),
            source,
        })
    };
    let paths = folders.iter().map(absolute).collect::<Result<_, _>>()?;
    let checkpoints = Checkpoints::open(paths)?;
    if request.overwrite {
        let members = folders.iter().map(|(_, path)| path.as_path());
        check_inputs(&request.out, members)?;
    }
    let journal = begin(checkpoints.folders())?;
    let out = std::path::absolute(&request.out).map_err(|source| Error::Output {
        path: request.out.clone(),
        source,
    })?;
    let records = folders
        .iter()
        .enumerate()
        .map(|(i, (step, path))| MemberRecord {
            step: step.unwrap_or(i as u64),
            run: None,
            path: label(path),
            select: Scores::new(),
        });
    Ok(Prepared {
        checkpoints,
        goals: goals(evaluator),
        journal,
        records: records.collect(),
        out,
    })
}

pub(super) fn goals(evaluator: &ExternalEvaluator) -> Goals {
    let all = || evaluator.objectives.values();
    let objectives = evaluator.objectives.iter().map(|(name, own)| Objective {
        name: name.clone(),
        direction: own.direction,
    });
    Goals {
        objectives: objectives.collect(),
        chosen: evaluator.chosen(),
        second: evaluator.second(),
        weights: Some(all().map(|own| own.weight.unwrap_or(1.0)).collect()),
        ref_point: all().map(|own| own.ref_point).collect(),
    }
}

/// Stage 2 and everything after it.
pub(super) fn fuse(
    request: &FuseRequest,
    evaluator: &ExternalEvaluator,
    start: Start,
    observer: &mut dyn Observer,
) -> Result<Results, Error> {
    let started = Instant::now();
    let recipe = &request.recipe;
    let prepared = prepare(request, evaluator, |folders| {
        let identity = Identity {
            command: "fuse",
            recipe,
            settled: recipe,
            model: None,
            data: None,
            members: &request.members,
            folders,
            workers: None,
        };
        let facts = identity.facts()?;
        Ledger::begin(&request.out, start, request.overwrite, None, recipe, &facts)
    })?;
    let Prepared {
        checkpoints,
        goals,
        mut journal,
        records,
        out,
    } = prepared;
    let steps = records.iter().map(|r| r.step).max().unwrap_or(0);
    let before = Before {
        model: label(&checkpoints.folders()[0]),
        stage1: Stage1 {
            layers: 0,
            frozen_layers: 0,
            lora_r: None,
            known: Vec::new(),
            trials: Vec::new(),
            best: IndexMap::new(),
        },
        finetune: Finetune {
            best_step: 0,
            steps,
            steps_per_epoch: 0,
            curve: Vec::new(),
            members: records,
            further_runs: Vec::new(),
        },
        notes: Vec::new(),
        started,
        seconds: Seconds {
            stage1: 0.0,
            finetune: 0.0,
            stage2: 0.0,
            total: 0.0,
        },
        on_disk: on_disk(),
    };
    let opened = Opened {
        checkpoints: &checkpoints,
        goals: &goals,
        out: &out,
        named: &request.out,
    };
    finish(recipe, evaluator, opened, &mut journal, before, observer)
}

/// What the earlier parts of a run hand over.
pub(super) struct Before {
    pub model: String,
    pub stage1: Stage1,
    /// With the members, whose scores are still to be filled in.
    pub finetune: Finetune,
    pub notes: Vec<String>,
    pub started: Instant,
    pub seconds: Seconds,
    /// What is usable in the output folder.
    pub on_disk: Vec<String>,
}

/// What stage 2 works on.
pub(super) struct Opened<'a> {
    pub checkpoints: &'a Checkpoints,
    pub goals: &'a Goals,
    /// The output folder, absolute.
    pub out: &'a Path,
    /// As the request names it.
    pub named: &'a Path,
}

/// Stage 2 and everything after it.
pub(super) fn finish(
    recipe: &Recipe,
    evaluator: &ExternalEvaluator,
    opened: Opened<'_>,
    journal: &mut Ledger,
    before: Before,
    observer: &mut dyn Observer,
) -> Result<Results, Error> {
    let Opened {
        checkpoints,
        goals,
        out,
        named,
    } = opened;
    let Before {
        mut finetune,
        mut notes,
        mut seconds,
        mut on_disk,
        ..
    } = before;
    let (stage2_started, known) = (Instant::now(), journal.seconds());
    let mut program = Program::new(&evaluator.command, evaluator, checkpoints, goals, out);
    let mut evaluations = Evaluator::new(
        recipe,
        &mut program,
        goals,
        journal,
        observer,
        named,
        &on_disk,
    );
    let mut settled = settle(recipe, &mut evaluations, &mut finetune.members)?;
    let baselines = baselines::run(recipe, &mut evaluations, None, &settled)?;
    settled.methods.extend(baselines.found);
    let stopped = |on_disk: &[String]| Error::Interrupted {
        out: named.into(),
        on_disk: on_disk.into(),
    };
    let written = checkpoints.write(
        settled.chosen()?,
        &out.join("fused"),
        Durability::Kept,
        &|| observer.interrupted(),
    );
    match written {
        Err(_) if observer.interrupted() => return Err(stopped(&on_disk)),
        written => written?,
    }
    settled.write_front(goals, &finetune.members, out)?;
    seconds.stage2 = stage2_started.elapsed().as_secs_f64() + journal.seconds() - known;
    on_disk.extend(["pareto.json".into(), "fused/".into()]);

    let own_notes = notes.len();
    notes.extend(std::mem::take(&mut settled.notes));
    notes.extend(baselines.notes);
    // The report split is touched here, and nowhere else.
    let reports = match &evaluator.report_command {
        Some(command) => {
            let mut program = Program::new(command, evaluator, checkpoints, goals, out);
            let reports = reports(&mut program, &settled.methods, journal, observer);
            match reports {
                Err(_) if observer.interrupted() => return Err(stopped(&on_disk)),
                reports => reports?,
            }
        }
        None => {
            notes.push(
                "no report split was seen: every score is one on the split that drove the \
                 choice, and flatters what was chosen by it (`--report-evaluator` names a \
                 command for another split)"
                    .to_string(),
            );
            Vec::new()
        }
    };
    notes[own_notes..]
        .iter()
        .for_each(|note| observer.note(note));
    let methods = methods(&settled, goals, &reports)?;
    let (parameters, _) = checkpoints.size()?;
    seconds.total = before.started.elapsed().as_secs_f64() + journal.seconds();
    let results = Results {
        version: env!("CARGO_PKG_VERSION").into(),
        task: task_name(recipe, named),
        task_kind: KIND.into(),
        model: before.model,
        parameters: usize::try_from(parameters).unwrap_or(usize::MAX),
        seed: recipe.seed,
        threads: threads(),
        splits: Splits {
            train: 0,
            select: 0,
            report: 0,
        },
        objectives: goals.objectives.clone(),
        chosen_metric: goals.objectives[goals.chosen].name.clone(),
        ref_point: settled.own_ref_point.clone(),
        stage1: before.stage1,
        finetune,
        stage2: settled.record,
        methods,
        front: settled.front,
        notes,
        seconds,
        peak_rss_mb: peak_rss_mb(),
    };
    write_json_atomic(out.join("results.json"), &results)?;
    Ok(results)
}

/// The task's name: the recipe's, else that of the output folder.
pub(super) fn task_name(recipe: &Recipe, out: &Path) -> String {
    let folder = || {
        out.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    let name = recipe.task.name.clone().or_else(folder);
    name.unwrap_or_else(|| "fusion".into())
}

/// What a mixture gives on the report split; `None` for one whose evaluation failed.
type Report = (Vec<f64>, Option<Measured>);

/// Every method's mixture on the report split, each once.
fn reports(
    program: &mut Program<'_>,
    found: &[Found],
    ledger: &mut Ledger,
    observer: &mut dyn Observer,
) -> Result<Vec<Report>, Error> {
    let mut wanted: Vec<&[f64]> = Vec::new();
    for found in found {
        if !wanted.contains(&found.best.weights.as_slice()) {
            wanted.push(&found.best.weights);
        }
    }
    observer.begin(Phase::Report, wanted.len() as u64);
    let mut reports = Vec::with_capacity(wanted.len());
    for weights in wanted {
        let measured = match ledger.evaluation(EvaluatedSplit::Report, weights)? {
            Some(known) => {
                let has_worked = known.state == State::Complete;
                program.recalled(has_worked);
                has_worked.then(|| Measured {
                    scores: known.scores,
                    std_errors: known.std_errors,
                    ..Measured::default()
                })
            }
            None => report(program, weights, ledger, observer)?,
        };
        reports.push((weights.to_vec(), measured));
        observer.advance(Phase::Report, reports.len() as u64, "");
    }
    observer.end(Phase::Report);
    Ok(reports)
}

/// A mixture on the report split.
fn report(
    program: &mut Program<'_>,
    weights: &[f64],
    ledger: &mut Ledger,
    observer: &mut dyn Observer,
) -> Result<Option<Measured>, Error> {
    let started = Instant::now();
    let measured = program.measure(weights, &|| observer.interrupted())?;
    ledger.add_evaluation(|| {
        let (split, label) = (EvaluatedSplit::Report, MethodName::Bomf.as_str());
        let seconds = started.elapsed().as_secs_f64();
        entry(
            split,
            label,
            weights,
            measured.as_ref(),
            Vec::new(),
            seconds,
        )
    })?;
    Ok(measured)
}

fn methods(settled: &Settled, goals: &Goals, reports: &[Report]) -> Result<Vec<Method>, Error> {
    let mut methods = Vec::new();
    for name in MethodName::ALL {
        let Some(found) = settled.methods.iter().find(|found| found.name == name) else {
            continue;
        };
        let report = reports.iter().find(|(w, _)| *w == found.best.weights);
        let report = report.and_then(|(_, measured)| measured.clone());
        let report = report.unwrap_or_default();
        let all = match name.is_search() {
            true => points(goals, &found.all),
            false => vec![goals.maximised(&found.best.scores)],
        };
        methods.push(Method {
            name,
            weights: Some(found.best.weights.clone()),
            block_weights: None,
            select: found.best.scores.clone(),
            report_interval: metrics::intervals(&report),
            report: report.scores,
            bomf_minus_this: IndexMap::new(),
            hypervolume: bomf_pareto::hypervolume(&all, &settled.ref_point)?,
            evaluations: found.evaluations,
            seconds: found.seconds,
        });
    }
    Ok(methods)
}
