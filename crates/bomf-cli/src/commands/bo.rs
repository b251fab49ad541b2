//! `bomf bo`.

use super::Context;
use crate::failure::Failure;
use crate::output;
use bomf::Observer;
use bomf::ask_tell::Session;
use std::io::BufRead;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

/// How often a wait for the next line looks for Ctrl-C.
const PATIENCE: Duration = Duration::from_millis(100);

pub fn command(context: &mut Context<'_>) -> Result<(), Failure> {
    // A read cannot be interrupted: another thread does it.
    let (sender, lines) = sync_channel(1);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        loop {
            let mut line = Vec::new();
            let read = input.read_until(b'\n', &mut line);
            let is_end = !matches!(read, Ok(n) if n > 0);
            if sender.send(read.map(|_| line)).is_err() || is_end {
                return;
            }
        }
    });
    let mut session = Session::with_seed(context.global.seed.unwrap_or_default());
    while !session.is_stopped() && !context.progress.interrupted() {
        let line = match lines.recv_timeout(PATIENCE) {
            Ok(line) => line.map_err(|source| Failure::Read {
                path: "stdin".into(),
                source,
            })?,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        if let Some(reply) = session.reply_to_bytes(&line) {
            output::data(&reply)?;
        }
    }
    Ok(())
}
