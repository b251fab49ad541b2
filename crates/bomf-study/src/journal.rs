//! `trials.jsonl`: one JSON object a line, appended and flushed as it happens.
//!
//! A killed process leaves at most one torn line, the last; [`read_journal`]
//! leaves such a line out.

use crate::{Event, StudyError};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// An open `trials.jsonl`.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
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
        self.file
            .write_all(&line)
            .map_err(|source| StudyError::Write {
                path: self.path.clone(),
                source,
            })
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
