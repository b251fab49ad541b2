//! One training run by a program: what it is given, how it is run, what it reports.

use super::lines::{self, Reports};
use crate::pipeline::external::{EvaluatorFault as Fault, process};
use crate::pipeline::goals::Goals;
use crate::recipe::{ExternalTrainer, Finetune, GIVEN};
use crate::{Error, RunRequest};
use bomf_study::StudyError;
use serde_json::{Map, Value, json};
use std::cell::Cell;
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What trainers say, in the output folder.
pub(crate) const LOG: &str = "trainer.log";

/// The files in a trainer's output folder: what it is given, and where it reports.
const CONFIG: &str = "bomf-config.json";
const METRICS: &str = "bomf-metrics.jsonl";

/// What bomf's own lines in the log begin with, and one that tells a process number goes
/// on with.
const SAID: &str = "== bomf: ";
const PROCESS: &str = "process ";

/// Version of what a trainer is given.
const PROTOCOL: u32 = 1;

/// Trains by a command line.
pub(super) struct Trainer<'a> {
    pub trainer: &'a ExternalTrainer,
    pub goals: &'a Goals,
    pub request: &'a RunRequest,
    /// Absolute.
    pub out: &'a Path,
    /// Whether it has trained once: before that, a failure is the command line's.
    pub has_worked: bool,
}

/// One training run.
pub(super) struct Job<'a> {
    /// Number of the trial; `None` for the full run.
    pub trial: Option<usize>,
    pub choices: &'a Finetune,
    pub evaluations_per_epoch: usize,
    pub seed: u32,
    /// The folder that it writes to, absolute.
    pub output: &'a Path,
    /// Whether there may be checkpoints to go on from.
    pub resumes: bool,
}

impl Job<'_> {
    fn mode(&self) -> &'static str {
        match self.trial {
            Some(_) => "trial",
            None => "finetune",
        }
    }

    /// The hyperparameters by their names in a recipe; what is not set is left out.
    fn hyperparameters(&self) -> Map<String, Value> {
        let c = self.choices;
        let value = |name: &str| -> Option<Value> {
            Some(match name {
                "learning_rate" => c.learning_rate?.into(),
                "batch_size" => c.batch_size?.into(),
                "epochs" => c.epochs.into(),
                "weight_decay" => c.weight_decay.into(),
                "adam_beta1" => c.adam_beta1.into(),
                "adam_beta2" => c.adam_beta2.into(),
                "adam_epsilon" => c.adam_epsilon.into(),
                "warmup_ratio" => c.warmup_ratio.into(),
                "schedule" => c.schedule.as_str().into(),
                "dropout" => c.dropout?.into(),
                "max_grad_norm" => c.max_grad_norm.into(),
                "gradient_accumulation_steps" => c.gradient_accumulation_steps.into(),
                "evaluations_per_epoch" => self.evaluations_per_epoch.into(),
                "lora_r" => c.lora.as_ref()?.r.into(),
                "lora_alpha" => c.lora.as_ref()?.alpha.into(),
                _ => return None,
            })
        };
        let known = GIVEN.iter();
        known
            .filter_map(|name| Some((name.to_string(), value(name)?)))
            .collect()
    }
}

impl Trainer<'_> {
    fn log(&self) -> PathBuf {
        self.out.join(LOG)
    }

    fn open_log(&self) -> Result<File, Error> {
        let path = self.log();
        let log = File::options().create(true).append(true).open(&path);
        log.map_err(|source| Error::Output { path, source })
    }

    fn say(&self, text: &str) -> Result<(), Error> {
        let said = self
            .open_log()?
            .write_all(format!("{SAID}{text}\n").as_bytes());
        said.map_err(|source| Error::Output {
            path: self.log(),
            source,
        })
    }

    /// Ends what an earlier bomf, which was killed itself, has left running: it would write
    /// where the next one writes. A trainer holds the lock on its log, the file that it
    /// prints to; its process number stands there.
    #[cfg(unix)]
    pub fn end_leftover(&self) -> Result<(), Error> {
        let log = self.open_log()?;
        let is_gone = || log.try_lock().is_ok();
        if is_gone() {
            return Ok(());
        }
        let text = std::fs::read(self.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        // Only if nothing was said since: an older number may be another program's by now.
        let last = text.lines().rfind(|line| line.starts_with(SAID));
        let number = last.and_then(|line| line.strip_prefix(SAID)?.strip_prefix(PROCESS));
        let number = number.and_then(|number| number.trim().parse::<i32>().ok());
        let group = number.filter(|group| *group > 1);
        if let Some(group) = group {
            self.say("a trainer of an earlier bomf still runs, and is ended")?;
            process::end_group(group, &is_gone);
        }
        match is_gone() {
            true => Ok(()),
            false => Err(StudyError::InUse {
                path: self.out.into(),
                owner: group.and_then(|group| u32::try_from(group).ok()),
            }
            .into()),
        }
    }

    /// The error of a trainer that cannot be relied on.
    pub fn error(&self, fault: Fault) -> Error {
        Error::Trainer {
            fault,
            log: self.log(),
        }
    }

    /// Trains once. `told` hears of what is reported meanwhile, and says whether that is enough:
    /// then the program is ended, and what it had reported counts.
    pub fn train(
        &self,
        job: &Job<'_>,
        interrupted: &dyn Fn() -> bool,
        told: &dyn Fn(&Reports) -> bool,
    ) -> Result<Result<Reports, Fault>, Error> {
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| Error::Output { path, source }
        };
        std::fs::create_dir_all(job.output).map_err(failed(job.output))?;
        let (config, metrics) = (job.output.join(CONFIG), job.output.join(METRICS));
        let hyperparameters = job.hyperparameters();
        let given = json!({
            "protocol": PROTOCOL,
            "mode": job.mode(),
            "trial": job.trial,
            "model": self.request.model,
            "data": self.request.data.display().to_string(),
            "output": job.output.display().to_string(),
            "metrics": metrics.display().to_string(),
            "objectives": self.goals.objectives,
            "seed": job.seed,
            "resume": job.resumes,
            "hyperparameters": hyperparameters,
        });
        let text = format!("{given:#}\n");
        std::fs::write(&config, text).map_err(failed(&config))?;
        let value = |name: &str| -> OsString {
            match name {
                "config" => config.clone().into(),
                "output" => job.output.into(),
                "metrics" => metrics.clone().into(),
                "model" => self.request.model.clone().into(),
                "data" => self.request.data.clone().into(),
                "seed" => job.seed.to_string().into(),
                name => hyperparameters
                    .get(name)
                    .map(plain)
                    .unwrap_or_default()
                    .into(),
            }
        };
        let words = self.trainer.command.words(value);
        let mut environment: Vec<(String, OsString)> = ["config", "output", "metrics", "model"]
            .into_iter()
            .chain(["data", "seed"])
            .chain(hyperparameters.keys().map(String::as_str))
            .map(|name| (format!("BOMF_{}", name.to_uppercase()), value(name)))
            .collect();
        environment.push(("BOMF_MODE".into(), job.mode().into()));
        environment.push((
            "BOMF_RESUME".into(),
            u8::from(job.resumes).to_string().into(),
        ));
        if let Some(trial) = job.trial {
            environment.push(("BOMF_TRIAL".into(), trial.to_string().into()));
        }
        let shown: Vec<_> = words.iter().map(|w| w.to_string_lossy()).collect();
        let what = match job.trial {
            Some(trial) => format!("trial {trial}"),
            None => "fine-tuning".into(),
        };
        let own: Vec<String> = hyperparameters
            .iter()
            .map(|(k, v)| format!("{k} {v}"))
            .collect();
        self.say(&format!("{what} ({}): {}", own.join(", "), shown.join(" ")))?;
        let log = self.open_log()?;
        let from = log.metadata().map_err(failed(&self.log()))?.len();
        // Held by the trainer for as long as it runs, whatever becomes of bomf.
        let _ = log.try_lock();
        let stderr = log.try_clone().map_err(failed(&self.log()))?;
        let goals = self.goals.objectives.iter();
        let objectives: Vec<&str> = goals.map(|o| o.name.as_str()).collect();
        let read = || -> Result<Reports, Fault> {
            let mut all = lines::lines(&metrics, 0, false)?;
            all.extend(lines::lines(&self.log(), from, true)?);
            lines::reports(&all, &objectives)
        };
        let started = Instant::now();
        let (said, is_enough) = (self.log(), Cell::new(false));
        let watch = Watch::new([&metrics, &said]);
        let looked = || {
            let is_told = watch.has_grown() && read().is_ok_and(|reports| told(&reports));
            is_enough.set(is_told);
            is_told || interrupted()
        };
        let limit = Duration::from_secs_f64(self.trainer.timeout);
        let number = |number: u32| {
            // For whoever goes on after this bomf was killed; without it, too, all goes well.
            let _ = self
                .open_log()
                .map(|mut log| writeln!(log, "{SAID}{PROCESS}{number}"));
        };
        let outcome = process::run(&words, &environment, log, stderr, limit, &number, &looked);
        let outcome = match outcome {
            Ok(()) => read(),
            Err(_) if is_enough.get() => read(),
            // It died before anybody looked: whether it was enough does not depend on when one looks.
            Err(fault @ (Fault::Failed { .. } | Fault::TimedOut { .. })) => match read() {
                Ok(reports) if told(&reports) => {
                    is_enough.set(true);
                    Ok(reports)
                }
                _ => Err(fault),
            },
            Err(fault) => Err(fault),
        };
        let seconds = started.elapsed().as_secs_f64();
        self.say(&match &outcome {
            Ok(reports) => format!(
                "{what}{}: {} evaluations in {seconds:.1} s",
                if is_enough.get() {
                    " was ended early"
                } else {
                    ""
                },
                reports.curve.len()
            ),
            Err(fault) => format!("{what} failed after {seconds:.1} s: {fault}"),
        })?;
        Ok(outcome)
    }
}

/// A value as a word: a text without its quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Looks now and then whether one of two files has grown.
struct Watch<'a> {
    paths: [&'a Path; 2],
    seen: Cell<(u64, Instant)>,
}

/// Reports are read no oftener than this.
const INTERVAL: Duration = Duration::from_secs(1);

impl<'a> Watch<'a> {
    fn new(paths: [&'a Path; 2]) -> Self {
        Watch {
            paths,
            seen: Cell::new((0, Instant::now())),
        }
    }

    fn has_grown(&self) -> bool {
        let (length, at) = self.seen.get();
        if at.elapsed() < INTERVAL {
            return false;
        }
        let lengths = self.paths.iter();
        let lengths = lengths.map(|path| std::fs::metadata(path).map_or(0, |m| m.len()));
        let now = lengths.sum();
        self.seen.set((now, Instant::now()));
        now > length
    }
}
