//! `trials.jsonl`: one JSON object a line, appended and flushed as it happens.
//!
//! A killed process leaves at most one torn line, the last; [`read_journal`]
//! leaves such a line out, and [`Journal::resume`] takes it away. A run that goes on
//! appends the same lines again from the first: those that are there stay.

use crate::{Event, StudyError};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// An open `trials.jsonl`.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Lines that are there and have not been appended again.
    ahead: VecDeque<Vec<u8>>,
    /// Where they begin.
    at: u64,
}

impl Journal {
    /// Starts an empty journal at `path`.
    ///
    /// # Errors
    /// [`StudyError::Write`] where the file cannot be made.
    pub fn create(path: &Path) -> Result<Self, StudyError> {
        let file = File::create(path).map_err(|source| StudyError::Write {
            path: path.into(),
            source,
        })?;
        Ok(Journal {
            path: path.into(),
            file,
            ahead: VecDeque::new(),
            at: 0,
        })
    }

    /// Opens the journal of a run that is to go on, or starts one where there is none. A
    /// torn last line goes. A line that is there already, in its place, is not written
    /// again; where another one comes, the journal is cut there.
    ///
    /// # Errors
    /// [`StudyError::Write`] where the file cannot be opened or written.
    pub fn resume(path: &Path) -> Result<Self, StudyError> {
        let failed = |source| StudyError::Write {
            path: path.into(),
            source,
        };
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed(error)),
        };
        let lines = bytes.split_inclusive(|byte| *byte == b'\n');
        let whole = lines.filter(|line| line.ends_with(b"\n"));
        let ahead: VecDeque<Vec<u8>> = whole.map(<[u8]>::to_vec).collect();
        let mut options = File::options();
        options.write(true).create(true).truncate(false);
        let file = options.open(path).map_err(failed)?;
        let length = ahead.iter().map(|line| line.len() as u64).sum();
        file.set_len(length).map_err(failed)?;
        Ok(Journal {
            path: path.into(),
            file,
            ahead,
            at: 0,
        })
    }

    /// Appends one line; it has reached the operating system when this returns.
    ///
    /// # Errors
    /// [`StudyError::Write`], on a full disk for one.
    pub fn append(&mut self, event: &Event) -> Result<(), StudyError> {
        let mut line = serde_json::to_vec(event).map_err(|source| StudyError::Parse {
            path: self.path.clone(),
            line: 0,
            source,
        })?;
        line.push(b'\n');
        let is_there = self.ahead.front().is_some_and(|there| *there == line);
        if is_there {
            self.ahead.pop_front();
        } else {
            self.write(&line).map_err(|source| StudyError::Write {
                path: self.path.clone(),
                source,
            })?;
        }
        self.at += line.len() as u64;
        Ok(())
    }

    fn write(&mut self, line: &[u8]) -> std::io::Result<()> {
        if !self.ahead.is_empty() {
            self.file.set_len(self.at)?;
            self.ahead.clear();
        }
        self.file.seek(SeekFrom::End(0))?;
        self.file.write_all(line)
    }
}

/// Every whole line of a journal, in order.
///
/// # Errors
/// [`StudyError::Read`], or [`StudyError::Parse`] for a line that ends in a line
/// break and is no [`Event`].
pub fn read_journal(path: &Path) -> Result<Vec<Event>, StudyError> {
    let text = std::fs::read_to_string(path).map_err(|source| StudyError::Read {
        path: path.into(),
        source,
    })?;
    text.split_inclusive('\n')
        .enumerate()
        .filter(|(_, line)| line.ends_with('\n'))
        .map(|(index, line)| {
            serde_json::from_str(line).map_err(|source| StudyError::Parse {
                path: path.into(),
                line: index + 1,
                source,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Scores, State};

    fn event(evaluation: usize) -> Event {
        Event::Stage2 {
            method: "bomf".into(),
            evaluation,
            weights: vec![0.25, 0.75],
            block_weights: None,
            state: State::Complete,
            scores: Scores::from_iter([("loss".to_string(), 0.1 + 0.2)]),
            seconds: 0.5,
        }
    }

    #[test]
    fn a_journal_reads_back_what_was_appended_and_drops_a_torn_last_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trials.jsonl");
        let mut journal = Journal::create(&path).unwrap();
        journal.append(&event(0)).unwrap();
        journal.append(&event(1)).unwrap();
        journal.file.write_all(b"{\"stage\":\"sta").unwrap();
        assert_eq!(read_journal(&path).unwrap(), vec![event(0), event(1)]);
    }

    #[test]
    fn a_journal_that_goes_on_keeps_equal_lines_and_is_cut_at_the_first_other_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trials.jsonl");
        let written = |journal: &mut Journal, numbers: &[usize]| {
            for &number in numbers {
                journal.append(&event(number)).unwrap();
            }
            read_journal(&path).unwrap()
        };
        let events = |numbers: &[usize]| numbers.iter().map(|n| event(*n)).collect::<Vec<_>>();
        let mut journal = Journal::resume(&path).unwrap();
        written(&mut journal, &[0, 1, 2]);
        journal.file.write_all(b"{\"stage\":\"sta").unwrap();

        let mut journal = Journal::resume(&path).unwrap();
        assert_eq!(written(&mut journal, &[]), events(&[0, 1, 2]));
        assert_eq!(written(&mut journal, &[0]), events(&[0, 1, 2]));
        assert_eq!(written(&mut journal, &[1, 2, 3]), events(&[0, 1, 2, 3]));

        let mut journal = Journal::resume(&path).unwrap();
        assert_eq!(written(&mut journal, &[0, 7]), events(&[0, 7]));
        assert_eq!(written(&mut journal, &[8]), events(&[0, 7, 8]));
    }

    #[test]
    fn a_broken_line_in_the_middle_is_named_with_its_number() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trials.jsonl");
        let mut journal = Journal::create(&path).unwrap();
        journal.append(&event(0)).unwrap();
        journal.file.write_all(b"nonsense\n").unwrap();
        journal.append(&event(1)).unwrap();
        let error = read_journal(&path).unwrap_err();
        assert!(
            matches!(error, StudyError::Parse { line: 2, .. }),
            "{error}"
        );
    }
}
