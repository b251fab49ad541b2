//! Running a program: no shell, its output in files, a time limit, and an end to it and all
//! that it started when the time is up or bomf is told to stop.

use super::EvaluatorFault as Fault;
use std::ffi::OsString;
use std::fs::File;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A wait for a program begins with looks this close together and ends with looks this
/// far apart: a program of milliseconds is not held up, and one of hours not watched
/// closely.
const FIRST_LOOK: Duration = Duration::from_millis(1);
const LAST_LOOK: Duration = Duration::from_millis(50);

/// How long a program that was asked to end may take before it is ended.
const GRACE: Duration = Duration::from_secs(5);

/// Runs a program to its end. `words` is the program with its arguments, `environment`
/// is added to its own; `started` is told its process number, which is that of its group.
pub(in crate::pipeline) fn run(
    words: &[OsString],
    environment: &[(String, OsString)],
    stdout: File,
    stderr: File,
    limit: Duration,
    started: &dyn Fn(u32),
    interrupted: &dyn Fn() -> bool,
) -> Result<(), Fault> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(Fault::Silent);
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr);
    // A group of its own, so that what it starts can be ended with it.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let began = Instant::now();
    let child = command.spawn().map_err(|source| Fault::NotStarted {
        program: program.to_string_lossy().into_owned(),
        source,
    })?;
    started(child.id());
    let mut running = Running(child);
    let mut look = FIRST_LOOK;
    loop {
        if let Some(status) = running.status()? {
            return match status.success() {
                true => Ok(()),
                // Whoever goes on in this bomf's place may have ended the program already: that
                // says nothing of it.
                false if interrupted() => Err(Fault::Interrupted),
                false => Err(Fault::Failed { status }),
            };
        }
        if interrupted() {
            return Err(Fault::Interrupted);
        }
        if began.elapsed() >= limit {
            return Err(Fault::TimedOut {
                seconds: limit.as_secs_f64(),
            });
        }
        std::thread::sleep(look.min(limit.saturating_sub(began.elapsed())));
        look = (2 * look).min(LAST_LOOK);
    }
}

/// Ends the group of a program that an earlier bomf started, until `is_gone` says so or
/// there is nothing more to be done.
#[cfg(unix)]
pub(in crate::pipeline) fn end_group(group: i32, is_gone: &dyn Fn() -> bool) {
    use nix::sys::signal::Signal::{SIGKILL, SIGTERM};
    for signal in [SIGTERM, SIGKILL] {
        // Whoever is gone already needs no signal.
        let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(group), signal);
        let asked = Instant::now();
        while asked.elapsed() < GRACE {
            if is_gone() {
                return;
            }
            std::thread::sleep(LAST_LOOK);
        }
    }
}

/// A program that is ended, with its group, when this goes.
struct Running(Child);

impl Running {
    fn status(&mut self) -> Result<Option<ExitStatus>, Fault> {
        let status = self.0.try_wait();
        status.map_err(|source| Fault::Unreadable { source })
    }

    #[cfg(unix)]
    fn signal(&self, signal: nix::sys::signal::Signal) {
        let group = i32::try_from(self.0.id()).ok();
        if let Some(group) = group.filter(|group| *group > 0) {
            // Whoever is gone already needs no signal.
            let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(group), signal);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended was waited for: its number may be another's by now.
        if matches!(self.0.try_wait(), Ok(Some(_))) {
            return;
        }
        #[cfg(unix)]
        {
            self.signal(nix::sys::signal::Signal::SIGTERM);
            let asked = Instant::now();
            while asked.elapsed() < GRACE && !matches!(self.0.try_wait(), Ok(Some(_))) {
                std::thread::sleep(LAST_LOOK);
            }
            // Its workers may have taken no notice.
            self.signal(nix::sys::signal::Signal::SIGKILL);
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
