//! Ctrl-C: asked once, work stops at its next safe point; asked twice, at once.

use crate::output;
use indicatif::MultiProgress;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit code after a second Ctrl-C, as shells have it for a process that SIGINT
/// ended.
const AT_ONCE: i32 = 130;

/// Set by the first Ctrl-C (or SIGTERM).
pub type Flag = Arc<AtomicBool>;

/// Begins to listen; `bars` are held back while the handler prints.
pub fn listen(bars: &MultiProgress) -> Flag {
    let flag = Flag::default();
    let (seen, bars) = (flag.clone(), bars.clone());
    let heard = ctrlc::set_handler(move || {
        if seen.swap(true, Ordering::SeqCst) {
            std::process::exit(AT_ONCE);
        }
        bars.suspend(|| {
            output::line("stopping at the next safe point; Ctrl-C again stops at once");
        });
    });
    if let Err(error) = heard {
        tracing::warn!(%error, "Ctrl-C will stop at once");
    }
    flag
}

/// Sets the flag when standard input ends: whoever holds its other end has gone, or says that
/// this program is to go.
pub fn when_stdin_ends(flag: Flag) {
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        flag.store(true, Ordering::SeqCst);
    });
}
