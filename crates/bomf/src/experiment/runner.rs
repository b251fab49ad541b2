//! The runs of an experiment, one after another; what was finished is not run again.

use super::plan::Plan;
use crate::output::read_output;
use crate::pipeline::{self, stored_recipe};
use crate::{Error, FuseRequest, Observer, Recipe, ResumeRequest, RunRequest, Workers};
use bomf_study::experiment::FailedRun;
use bomf_study::{Event, Results};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One run of an experiment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outcome {
    pub task: usize,
    pub variant: usize,
    pub seed: u64,
    /// Its folder below the experiment's.
    pub folder: PathBuf,
    pub results: Results,
    pub journal: Vec<Event>,
}

/// Told of the finished and the failed runs.
pub(super) type Told<'a> = dyn FnMut(&[Outcome], &[FailedRun]) -> Result<(), Error> + 'a;

/// What every run is given.
pub(super) struct Setting<'a> {
    pub plan: &'a Plan,
    pub out: &'a Path,
    pub threads: usize,
    /// Processes that train trials, in a run that begins, and the command for one.
    pub workers: usize,
    pub launch: &'a [OsString],
}

/// One run that is to be.
struct Job {
    task: usize,
    variant: usize,
    seed: u64,
}

impl Setting<'_> {
    /// Does every run, in turn; `each` is told of what there is after each of them.
    ///
    /// # Errors
    /// [`Error::Interrupted`], [`Error::OtherStudy`] where a folder holds a run of another recipe,
    /// and other bad input. A run that fails otherwise is told of, and the others go on.
    pub fn run(&self, observer: &mut dyn Observer, each: &mut Told<'_>) -> Result<(), Error> {
        let jobs = self.jobs();
        let (mut outcomes, mut failed) = (Vec::new(), Vec::<FailedRun>::new());
        let mut spent = Vec::new();
        for (number, job) in jobs.iter().enumerate() {
            let folder = self.folder(job);
            let finished = self.out.join(&folder).join("results.json").is_file();
            if !finished {
                observer.note(&format!(
                    "run {} of {}: {}{}",
                    number + 1,
                    jobs.len(),
                    folder.display(),
                    time_left(&spent, jobs.len() - number)
                ));
            }
            let lost = self.source(job);
            let lost = lost.filter(|source| failed.iter().any(|run| run.folder == *source));
            let done = match lost {
                Some(source) => Err(format!(
                    "{}, whose members it fuses, failed",
                    source.display()
                )),
                None => match self.one(job, &folder, observer) {
                    Ok(outcome) => Ok(outcome),
                    // To be mended before anything else is paid for.
                    Err(error) if error.is_bad_input() => return Err(error),
                    Err(error @ Error::Interrupted { .. }) => return Err(error),
                    Err(error) => Err(error.to_string()),
                },
            };
            match done {
                Ok(outcome) => {
                    spent.push(outcome.results.seconds.total);
                    outcomes.push(outcome);
                }
                Err(error) => {
                    observer.note(&format!("{} failed: {error}", folder.display()));
                    failed.push(FailedRun { folder, error });
                }
            }
            if !finished || number + 1 == jobs.len() {
                each(&outcomes, &failed)?;
            }
        }
        Ok(())
    }

    /// By seed, so that an experiment that is stopped has as many of each task.
    fn jobs(&self) -> Vec<Job> {
        let plan = self.plan;
        let mut jobs = Vec::new();
        for &seed in &plan.seeds {
            for task in 0..plan.tasks.len() {
                for variant in 0..plan.variants.len() {
                    jobs.push(Job {
                        task,
                        variant,
                        seed,
                    });
                }
            }
        }
        jobs
    }

    fn folder(&self, job: &Job) -> PathBuf {
        self.folder_of(job.task, job.variant, job.seed)
    }

    fn folder_of(&self, task: usize, variant: usize, seed: u64) -> PathBuf {
        let (task, variant) = (&self.plan.tasks[task], &self.plan.variants[variant]);
        Path::new(&task.name)
            .join(&variant.name)
            .join(format!("seed-{seed}"))
    }

    /// The folder of the run whose members a run fuses.
    fn source(&self, job: &Job) -> Option<PathBuf> {
        let variant = self.plan.variants[job.variant].members_of?;
        Some(self.folder_of(job.task, variant, job.seed))
    }

    fn one(&self, job: &Job, folder: &Path, observer: &mut dyn Observer) -> Result<Outcome, Error> {
        let out = self.out.join(folder);
        let task = &self.plan.tasks[job.task];
        let recipe = Recipe {
            seed: job.seed,
            ..task.recipes[job.variant].clone()
        };
        match stored_recipe(&out)? {
            Some(stored) if stored != recipe.to_yaml() => {
                return Err(Error::OtherStudy {
                    what: format!("the recipe of {}", out.display()),
                    was: "another".into(),
                    is: "changed".into(),
                });
            }
            Some(_) if !out.join("results.json").is_file() => {
                let request = ResumeRequest {
                    out: out.clone(),
                    threads: self.threads,
                    seed: None,
                    launch: self.launch.to_vec(),
                };
                pipeline::resume(&request, observer)?;
            }
            Some(_) => {}
            None => self.begin(job, &out, recipe, observer)?,
        }
        let (results, journal) = read_output(&out)?;
        Ok(Outcome {
            task: job.task,
            variant: job.variant,
            seed: job.seed,
            folder: folder.into(),
            results,
            journal,
        })
    }

    fn begin(
        &self,
        job: &Job,
        out: &Path,
        recipe: Recipe,
        observer: &mut dyn Observer,
    ) -> Result<(), Error> {
        let data = self.plan.tasks[job.task].data.clone();
        match self.source(job) {
            Some(source) => {
                let request = FuseRequest {
                    members: vec![self.out.join(source).join("members")],
                    data: Some(data),
                    out: out.into(),
                    recipe,
                    threads: self.threads,
                    overwrite: true,
                };
                pipeline::fuse(&request, observer)?;
            }
            None => {
                let request = RunRequest {
                    model: self.plan.model.clone(),
                    data,
                    out: out.into(),
                    recipe,
                    threads: self.threads,
                    overwrite: true,
                    workers: (self.workers > 0).then(|| Workers {
                        local: self.workers,
                        elsewhere: 0,
                        lease: Workers::LEASE,
                        launch: self.launch.to_vec(),
                        storage: None,
                    }),
                };
                pipeline::run(&request, observer)?;
            }
        }
        Ok(())
    }
}

/// How long the rest may take, in words.
fn time_left(spent: &[f64], runs: usize) -> String {
    if spent.is_empty() {
        return String::new();
    }
    let mean = spent.iter().sum::<f64>() / spent.len() as f64;
    let left = Duration::from_secs_f64((mean * runs as f64).max(0.0));
    let minutes = left.as_secs().div_ceil(60);
    format!(", about {}:{:02} h left", minutes / 60, minutes % 60)
}
