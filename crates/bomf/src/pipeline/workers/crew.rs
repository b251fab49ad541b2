//! The workers of this host, as processes of the scheduler's.
//!
//! Each holds the end of a pipe whose other end is the scheduler's: when that is closed, by
//! the scheduler or by its death, the worker gives its trial back and goes.

use super::log;
use crate::output::WORKERS;
use crate::{Error, Observer};
use bomf_study::Queue;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A worker that ends so often without one finished trial in between is not started again.
const MAX_DEATHS: usize = 5;

/// Exit code of a program that was asked for what cannot be done: trying again helps nothing.
const BAD_INPUT: i32 = 2;

/// How long a worker that was told to go may take before it is ended. One that evaluates ends
/// at its next step.
const GRACE: Duration = Duration::from_secs(10);

const LOOK: Duration = Duration::from_millis(10);

/// So much of the end of a log is read for its last words.
const LAST_WORDS: usize = 4096;

/// How a worker is started.
pub(super) struct Launch {
    pub command: Vec<OsString>,
    /// Absolute.
    pub out: PathBuf,
    /// Output folder or URL of the study.
    pub study: String,
    /// The password that the URL lacks: others can read a command line.
    pub password: Option<String>,
    pub threads: usize,
}

/// The workers of this host.
pub(super) struct Crew {
    launch: Launch,
    wanted: usize,
    hands: Vec<Hand>,
    /// To give no name twice.
    started: usize,
}

/// One of them.
struct Hand {
    /// From 1.
    place: usize,
    name: String,
    child: Child,
    /// Deaths since a trial was finished.
    deaths: usize,
}

impl Crew {
    pub fn new(launch: Launch, wanted: usize) -> Self {
        Crew {
            launch,
            wanted,
            hands: Vec::new(),
            started: 0,
        }
    }

    /// Starts those that are wanted and not there.
    pub fn start(&mut self) -> Result<(), Error> {
        while self.hands.len() < self.wanted {
            let place = self.hands.len() + 1;
            let (name, child) = self.spawn(place)?;
            self.hands.push(Hand {
                place,
                name,
                child,
                deaths: 0,
            });
        }
        Ok(())
    }

    fn spawn(&mut self, place: usize) -> Result<(String, Child), Error> {
        self.started += 1;
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let name = format!(
            "worker-{place}.{}.{}.{}",
            std::process::id(),
            self.started,
            since.unwrap_or_default().as_nanos()
        );
        let path = log(&self.launch.out, place);
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| Error::Output { path, source }
        };
        let folder = self.launch.out.join(WORKERS);
        std::fs::create_dir_all(&folder).map_err(failed(&folder))?;
        let log = File::options().create(true).append(true).open(&path);
        let log = log.map_err(failed(&path))?;
        let said = log.try_clone().map_err(failed(&path))?;
        let (program, words) = match self.launch.command.split_first() {
            Some((program, words)) => (program.clone(), words),
            None => ("bomf".into(), &[][..]),
        };
        let mut command = Command::new(&program);
        command
            .args(words)
            .arg("--name")
            .arg(&name)
            .arg("--threads")
            .arg(self.launch.threads.to_string())
            .arg("--folder")
            .arg(folder.join(format!("worker-{place}")))
            .args(["--tied", "--quiet"])
            .arg(&self.launch.study)
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(said);
        if let Some(password) = &self.launch.password {
            command.env("PGPASSWORD", password);
        }
        // A Ctrl-C is the scheduler's, who then tells the workers.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.spawn();
        let child = child.map_err(failed(Path::new(&program)))?;
        Ok((name, child))
    }

    /// Starts those again that have died, and takes from them what they had.
    ///
    /// # Errors
    /// [`Error::Worker`] where one says that it cannot work, or dies again and again.
    pub fn look_after(
        &mut self,
        queue: &dyn Queue,
        observer: &mut dyn Observer,
    ) -> Result<(), Error> {
        for i in 0..self.hands.len() {
            let hand = &mut self.hands[i];
            let Ok(Some(status)) = hand.child.try_wait() else {
                continue;
            };
            queue.release(&hand.name)?;
            hand.deaths += 1;
            let (place, deaths) = (hand.place, hand.deaths);
            if status.code() == Some(BAD_INPUT) || deaths >= MAX_DEATHS {
                return Err(self.error(place, status));
            }
            observer.note(&format!(
                "worker {place} ended ({status}) and is started again"
            ));
            let (name, child) = self.spawn(place)?;
            let hand = &mut self.hands[i];
            (hand.name, hand.child) = (name, child);
        }
        Ok(())
    }

    /// A trial was finished: there is life in them.
    pub fn is_well(&mut self) {
        self.hands.iter_mut().for_each(|hand| hand.deaths = 0);
    }

    fn error(&self, place: usize, status: ExitStatus) -> Error {
        let log = log(&self.launch.out, place);
        let text = std::fs::read(&log).unwrap_or_default();
        let end = &text[text.len().saturating_sub(LAST_WORDS)..];
        let end = String::from_utf8_lossy(end);
        let said = end.lines().rev().find_map(|l| l.strip_prefix("error: "));
        Error::Worker {
            place,
            said: said.map_or_else(|| status.to_string(), String::from),
            is_bad_input: status.code() == Some(BAD_INPUT),
            log,
        }
    }

    /// Waits for workers that know that there is nothing more to do, then for those that must be
    /// told.
    pub fn leave(mut self) {
        self.wait();
    }

    /// Whether all have gone within the time that they are given.
    fn wait(&mut self) -> bool {
        let began = Instant::now();
        while began.elapsed() < GRACE {
            self.hands
                .retain_mut(|hand| !matches!(hand.child.try_wait(), Ok(Some(_))));
            if self.hands.is_empty() {
                return true;
            }
            std::thread::sleep(LOOK);
        }
        false
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        // The end of the pipe tells them to go.
        self.hands.iter_mut().for_each(|hand| {
            hand.child.stdin.take();
        });
        if !self.wait() {
            for hand in &mut self.hands {
                let _ = hand.child.kill();
                let _ = hand.child.wait();
            }
        }
        // Only where they left nothing in them.
        for place in 1..=self.wanted {
            let _ = std::fs::remove_dir(
                self.launch
                    .out
                    .join(WORKERS)
                    .join(format!("worker-{place}")),
            );
        }
    }
}
