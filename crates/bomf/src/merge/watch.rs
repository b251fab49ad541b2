//! Work on all threads that is watched, and stopped, from the one that asked for it.

use crate::pipeline::in_pool;
use crate::{Error, Observer, Phase};
use bomf_fuse::Control;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// How often the observer is told and asked.
const INTERVAL: Duration = Duration::from_millis(50);

/// Runs `work` on `threads` threads (0 takes every core) while the observer is told how many of
/// `total` bytes are done.
///
/// # Errors
/// What `work` returns; [`Error::Threads`] if the threads could not be started.
pub fn watched<T: Send>(
    phase: Phase,
    total: u64,
    threads: usize,
    observer: &mut dyn Observer,
    work: impl FnOnce(&Control) -> Result<T, Error> + Send,
) -> Result<T, Error> {
    let control = Control::default();
    observer.begin(phase, total);
    let result = std::thread::scope(|scope| {
        let (sender, receiver) = channel::<()>();
        let control = &control;
        let worker = scope.spawn(move || {
            // Dropped when all is done, or on a panic.
            let _sender = sender;
            in_pool(threads, || work(control))
        });
        while receiver.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
            observer.advance(phase, control.done.load(Ordering::Relaxed), "");
            if observer.interrupted() {
                control.stop.store(true, Ordering::Relaxed);
            }
        }
        worker
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    observer.advance(phase, control.done.load(Ordering::Relaxed), "");
    observer.end(phase);
    result
}
