//! Lines on stdin and stdout, as conversations with other programs need them.

use crate::output;
use std::io::BufRead;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// How often a wait for the next line looks for Ctrl-C.
const PATIENCE: Duration = Duration::from_millis(100);

/// The lines of stdin, read by a thread, since a read cannot be interrupted.
pub struct Lines(Receiver<std::io::Result<Vec<u8>>>);

impl Lines {
    /// Begins to read.
    pub fn of_stdin() -> Self {
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
        Lines(lines)
    }

    /// The next line with its end; `None` after the last one, or once `interrupted` says
    /// yes.
    pub fn next(&self, interrupted: &dyn Fn() -> bool) -> std::io::Result<Option<Vec<u8>>> {
        while !interrupted() {
            match self.0.recv_timeout(PATIENCE) {
                Ok(line) => return line.map(|line| Some(line).filter(|line| !line.is_empty())),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(None)
    }
}

impl bomf::Conversation for Lines {
    fn next(&mut self, interrupted: &dyn Fn() -> bool) -> std::io::Result<Option<Vec<u8>>> {
        Lines::next(self, interrupted)
    }

    fn send(&mut self, line: &str) -> std::io::Result<()> {
        output::answer(line)
    }
}
