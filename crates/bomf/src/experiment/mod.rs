//! `bomf experiment`: tasks, variants and seeds in one file, run one after another, and what they
//! say together.
//!
//! [`plan`] reads the file, `runner` does the runs (each is a `bomf run`, or a `bomf fuse` on the
//! members of an earlier variant, in a folder of its own, so that an experiment that was stopped
//! goes on where it was), `summary` computes, `statistics` knows means and intervals, [`mod@tables`]
//! writes.

pub mod plan;
mod runner;
mod statistics;
mod summary;
pub mod tables;

pub use bomf_study::experiment::Experiment;
pub use plan::Plan;
pub use tables::{Table, tables};

use crate::{Error, Observer};
use runner::Setting;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Several runs and their tables: `bomf experiment`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExperimentRequest {
    /// The experiment's file.
    pub file: PathBuf,
    /// The pre-trained model, instead of the file's.
    pub model: Option<String>,
    /// Folder in which the tasks' data lies; `None` is that of the file.
    pub data: Option<PathBuf>,
    /// Folder of all runs and of the tables.
    pub out: PathBuf,
    /// Seeds, instead of the file's.
    pub seeds: Option<Vec<u64>>,
    /// Threads; 0 takes every core.
    pub threads: usize,
    /// Processes that train the trials of stage 1 side by side, in every run that begins; 0 for
    /// none.
    pub workers: usize,
    /// The command that such a worker is started by.
    pub launch: Vec<OsString>,
}

/// Does every run of an experiment that is not finished yet, and writes `experiment.json`,
/// `tables.md`, `tables.tex` and `csv/` anew after each.
///
/// # Errors
/// What is wrong with the file or the input; [`Error::Interrupted`], after which the same command
/// goes on; [`Error::OtherStudy`] where `out` holds runs of other recipes. A run that fails
/// otherwise is in the tables, and is tried again the next time.
pub fn experiment(
    request: &ExperimentRequest,
    observer: &mut dyn Observer,
) -> Result<Experiment, Error> {
    let model = request.model.as_deref();
    let mut plan = Plan::load(&request.file, request.data.as_deref(), model)?;
    if let Some(seeds) = &request.seeds {
        plan.seeds.clone_from(seeds);
    }
    let setting = Setting {
        plan: &plan,
        out: &request.out,
        threads: request.threads,
        workers: request.workers,
        launch: &request.launch,
    };
    let mut last = summary::summary(&plan, &[], &[]);
    setting.run(observer, &mut |outcomes, failed| {
        last = summary::summary(&plan, outcomes, failed);
        write(&request.out, &last)
    })?;
    Ok(last)
}

fn write(out: &Path, experiment: &Experiment) -> Result<(), Error> {
    let csv = out.join("csv");
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| Error::Output { path, source }
    };
    std::fs::create_dir_all(&csv).map_err(failed(&csv))?;
    let save = |path: PathBuf, text: String| std::fs::write(&path, text).map_err(failed(&path));
    let json = serde_json::to_string_pretty(experiment).unwrap_or_default();
    save(out.join("experiment.json"), json + "\n")?;
    save(out.join("tables.md"), tables::markdown(experiment))?;
    let tables = tables(experiment);
    let latex: Vec<String> = tables.iter().map(Table::latex).collect();
    save(out.join("tables.tex"), latex.join("\n"))?;
    for group in tables.chunk_by(|a, b| a.name == b.name) {
        let text: String = group.iter().map(Table::csv).collect();
        save(csv.join(format!("{}.csv", group[0].name)), text)?;
    }
    Ok(())
}
