//! Work on another thread while Python waits: the interpreter is free, progress is told to it,
//! functions of it are called, and Ctrl-C is heard.
//!
//! Python handles signals between the instructions of its main thread, so the thread that asked
//! for the work must not disappear in it: it waits for messages, and looks for signals each
//! [`INTERVAL`].

use crate::errors;
use bomf::study::Scores;
use bomf::{Measurement, Observer, Phase};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How often signals are looked for.
const INTERVAL: Duration = Duration::from_millis(50);

/// How often progress is told, at most: a bar needs no more, and each time takes the
/// interpreter's lock.
const TOLD: Duration = Duration::from_millis(100);

/// What the work has to say.
enum Message {
    /// `(kind, phase, number, text)`.
    Progress(&'static str, &'static str, u64, String),
    /// Scores of a mixture are wanted.
    Measure(Vec<f64>, Sender<Measurement>),
}

/// The work's side.
pub struct Link<'a> {
    sender: Sender<Message>,
    stop: &'a AtomicBool,
    is_watched: bool,
    told: Option<Instant>,
}

impl Link<'_> {
    fn tell(&self, kind: &'static str, phase: Phase, number: u64, text: &str) {
        if self.is_watched {
            // Where nobody listens any more, the work is about to be stopped.
            let message = Message::Progress(kind, name(phase), number, text.to_owned());
            let _ = self.sender.send(message);
        }
    }

    /// A function that has Python measure a mixture; for [`bomf::search_mixtures`].
    pub fn measurer(&self) -> impl FnMut(&[f64]) -> Result<Measurement, bomf::Error> + use<> {
        let sender = self.sender.clone();
        move |weights| {
            let (answer, answered) = channel();
            let asked = sender.send(Message::Measure(weights.to_vec(), answer));
            // No answer: it raised an exception, which is what will be told.
            let measurement = asked.ok().and_then(|()| answered.recv().ok());
            measurement.ok_or(bomf::Error::NoMember)
        }
    }
}

impl Observer for Link<'_> {
    fn begin(&mut self, phase: Phase, total: u64) {
        self.tell("begin", phase, total, "");
        self.told = None;
    }

    fn advance(&mut self, phase: Phase, done: u64, message: &str) {
        if self.told.is_none_or(|told| told.elapsed() >= TOLD) {
            self.tell("advance", phase, done, message);
            self.told = Some(Instant::now());
        }
    }

    fn end(&mut self, phase: Phase) {
        self.tell("end", phase, 0, "");
    }

    fn note(&mut self, note: &str) {
        // Of no phase.
        self.tell("note", Phase::Fuse, 0, note);
    }

    fn interrupted(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// What a phase is called.
fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Download => "download",
        Phase::Pretrain => "pretrain",
        Phase::Tune => "tune",
        Phase::Finetune => "finetune",
        Phase::Fuse => "fuse",
        Phase::Evaluate | Phase::Report => "evaluate",
        Phase::Merge => "merge",
        Phase::Hash => "hash",
        Phase::Verify => "verify",
        Phase::Diff => "diff",
        _ => "work",
    }
}

/// Functions of Python that are called on the way.
#[derive(Default)]
pub struct Callbacks<'a> {
    /// `progress(kind, phase, number, text)`.
    pub progress: Option<&'a Py<PyAny>>,
    /// `measure(weights) -> dict | None`, or a pair of dicts: scores and standard errors.
    pub measure: Option<&'a Py<PyAny>>,
}

/// Runs `work` on a thread of its own; on a signal, or where a callback raises, tells it to stop
/// and raises that.
pub fn supervised<T: Send>(
    py: Python<'_>,
    callbacks: &Callbacks<'_>,
    work: impl FnOnce(&mut Link<'_>) -> Result<T, bomf::Error> + Send,
) -> PyResult<T> {
    let stop = AtomicBool::new(false);
    let mut raised: Option<PyErr> = None;
    let is_watched = callbacks.progress.is_some();
    let outcome = py.detach(|| {
        std::thread::scope(|scope| {
            let (sender, receiver) = channel();
            let stop = &stop;
            let worker = scope.spawn(move || {
                let mut link = Link {
                    sender,
                    stop,
                    is_watched,
                    told: None,
                };
                work(&mut link)
            });
            let mut looked = Instant::now();
            loop {
                let message = match receiver.recv_timeout(INTERVAL) {
                    Ok(message) => Some(message),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => break,
                };
                // After the first exception nothing of Python is called any more.
                if raised.is_some() || (message.is_none() && looked.elapsed() < INTERVAL) {
                    continue;
                }
                let handled = Python::attach(|py| {
                    looked = Instant::now();
                    py.check_signals()?;
                    message.map_or(Ok(()), |message| handle(py, callbacks, message))
                });
                if let Err(error) = handled {
                    raised = Some(error);
                    stop.store(true, Ordering::Relaxed);
                }
            }
            worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    });
    match raised {
        Some(error) => Err(error),
        None => outcome.map_err(|error| errors::of_bomf(&error)),
    }
}

fn handle(py: Python<'_>, callbacks: &Callbacks<'_>, message: Message) -> PyResult<()> {
    match message {
        Message::Progress(kind, phase, number, text) => {
            if let Some(progress) = callbacks.progress {
                progress.call1(py, (kind, phase, number, text))?;
            }
        }
        Message::Measure(weights, answer) => {
            let Some(measure) = callbacks.measure else {
                return Ok(());
            };
            let found = measure.call1(py, (weights,))?;
            // Where the work has been stopped nobody waits for it.
            let _ = answer.send(measurement(found.bind(py))?);
        }
    }
    Ok(())
}

/// What the measuring function returned.
fn measurement(found: &Bound<'_, PyAny>) -> PyResult<Measurement> {
    if found.is_none() {
        return Ok(None);
    }
    let (values, errors): (Bound<'_, PyDict>, Bound<'_, PyDict>) = found.extract()?;
    let scores = |dict: &Bound<'_, PyDict>| -> PyResult<Scores> {
        dict.iter()
            .map(|(name, value)| Ok((name.extract()?, value.extract()?)))
            .collect()
    };
    Ok(Some((scores(&values)?, scores(&errors)?)))
}

/// Runs `work` on a thread of its own that may be left behind: on a signal the exception is
/// raised at once, and what the work still comes to is dropped. For work that cannot be stopped
/// and changes nothing.
pub fn abandonable<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce() -> T + Send + 'static,
) -> PyResult<T> {
    let (sender, receiver) = channel();
    let worker = std::thread::spawn(move || {
        // Nobody may be waiting any more.
        let _ = sender.send(work());
    });
    py.detach(move || {
        loop {
            match receiver.recv_timeout(INTERVAL) {
                Ok(outcome) => return Ok(outcome),
                Err(RecvTimeoutError::Timeout) => Python::attach(|py| py.check_signals())?,
                Err(RecvTimeoutError::Disconnected) => {
                    // It panicked.
                    let panic = worker.join().err();
                    std::panic::resume_unwind(
                        panic.unwrap_or_else(|| Box::new("the work was lost")),
                    )
                }
            }
        }
    })
}
