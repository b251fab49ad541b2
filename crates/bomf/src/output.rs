//! The output folder: taken only if it is free, cleared only of what bomf wrote.

use crate::pipeline::{EVALUATOR_LOG, TRAINER_LOG};
use crate::{Error, Recipe, recipe};
use bomf_study::{DATABASE, Event, FolderLock, LOCK, Results, StudyError, read_journal};
use std::path::{Path, PathBuf};

/// The file that marks a folder as the output of a run; written first.
pub(crate) const RECIPE: &str = "recipe.yaml";

/// What a run writes beside it, and what is removed before another one.
const FILES: [&str; 9] = [
    DATABASE,
    STUDY_URL,
    "trials.jsonl",
    "pareto.json",
    "results.json",
    "report.html",
    EVALUATOR_LOG,
    TRAINER_LOG,
    TUNED,
];
/// Where the study is that lies on a server, without the password.
pub(crate) const STUDY_URL: &str = "study.url";
/// The recipe with the outcome of stage 1 filled in.
pub(crate) const TUNED: &str = "tuned.yaml";
/// What the name of the folder begins with in which a run keeps candidates for its
/// members while it trains.
pub(crate) const CANDIDATES: &str = ".candidates-";
/// What SQLite writes beside a database.
const BESIDE_DATABASE: [&str; 2] = ["-wal", "-shm"];
/// What the name of the one begins with in which a fine-tuning run keeps what it goes on from;
/// its number follows.
pub(crate) const TRAINING: &str = ".candidates-training-";
/// The folder of the members' adapters, where these were trained.
pub(crate) const ADAPTERS: &str = "adapters";
/// The folder of a program's training run.
pub(crate) const TRAINER: &str = "trainer";
/// The folder of what local workers say and write.
pub(crate) const WORKERS: &str = "workers";
const FOLDERS: [&str; 5] = ["fused", "members", ADAPTERS, TRAINER, WORKERS];

/// Makes `out` ready for a run and writes its recipe there.
///
/// A folder that is missing or empty is taken. One that holds an earlier run's output is
/// cleared of it if `overwrite` is set; files of other origin in it stay. Anything else is
/// refused, and a folder that another program works on.
///
/// # Errors
/// [`Error::OutputNotEmpty`], [`Error::Output`] and [`StudyError::InUse`].
pub fn claim_output(out: &Path, overwrite: bool, recipe: &Recipe) -> Result<(), Error> {
    take_output(out, overwrite, recipe).map(drop)
}

/// As [`claim_output`], and keeps the folder for as long as the lock is held.
pub(crate) fn take_output(
    out: &Path,
    overwrite: bool,
    recipe: &Recipe,
) -> Result<FolderLock, Error> {
    let failed = |source| Error::Output {
        path: out.into(),
        source,
    };
    std::fs::create_dir_all(out).map_err(failed)?;
    is_free(out, overwrite)?;
    let lock = FolderLock::take(out)?;
    // Another program may have come and gone in between.
    if !is_free(out, overwrite)? {
        clear(out).map_err(failed)?;
    }
    write_recipe(out, recipe)?;
    Ok(lock)
}

/// Whether nothing is in a folder; refuses one that may not be taken.
fn is_free(out: &Path, overwrite: bool) -> Result<bool, Error> {
    let failed = |source| Error::Output {
        path: out.into(),
        source,
    };
    let mut is_empty = true;
    for entry in std::fs::read_dir(out).map_err(failed)? {
        is_empty &= entry.map_err(failed)?.file_name() == LOCK;
    }
    if !is_empty {
        let is_earlier_output = is_output(out);
        if !is_earlier_output || !overwrite {
            return Err(Error::OutputNotEmpty {
                path: out.into(),
                is_earlier_output,
            });
        }
    }
    Ok(is_empty)
}

/// Takes away what a killed program left half-written in a folder that a run goes on in,
/// but for the state of its training.
pub(crate) fn tidy(out: &Path) -> Result<(), Error> {
    let failed = |source| Error::Output {
        path: out.into(),
        source,
    };
    for entry in std::fs::read_dir(out).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_ours = [CANDIDATES, ".fused.", ".replaced.", ".tmp"]
            .iter()
            .any(|prefix| name.starts_with(prefix));
        if !is_ours || name.starts_with(TRAINING) {
            continue;
        }
        let kind = entry.file_type().map_err(failed)?;
        let removed = match kind.is_dir() {
            true => std::fs::remove_dir_all(entry.path()),
            false => std::fs::remove_file(entry.path()),
        };
        removed.map_err(failed)?;
    }
    Ok(())
}

/// Takes away the members of a fine-tuning run that did not come to its end: of the first run
/// what lies in `members/` itself, of a further one its own folder.
pub(crate) fn clear_members(out: &Path, run: Option<usize>) -> Result<(), Error> {
    for folder in ["members", ADAPTERS] {
        let folder = out.join(folder);
        let further = run.filter(|run| *run > 1);
        let gone: Vec<PathBuf> = match further {
            Some(run) => vec![folder.join(format!("run-{run}"))],
            None => std::fs::read_dir(&folder)
                .into_iter()
                .flatten()
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(|path| {
                    let name = path.file_name().unwrap_or_default();
                    !name.to_string_lossy().starts_with("run-")
                })
                .collect(),
        };
        for path in gone.into_iter().filter(|path| path.is_dir()) {
            std::fs::remove_dir_all(&path).map_err(|source| Error::Output { path, source })?;
        }
    }
    Ok(())
}

/// Refuses input that lies where a run's output would be cleared to make room.
///
/// # Errors
/// [`Error::InputInOutput`].
pub(crate) fn check_inputs<'a>(
    out: &Path,
    inputs: impl IntoIterator<Item = &'a Path>,
) -> Result<(), Error> {
    let cleared: Vec<PathBuf> = FOLDERS
        .iter()
        .filter_map(|folder| out.join(folder).canonicalize().ok())
        .collect();
    for input in inputs {
        let Ok(real) = input.canonicalize() else {
            continue;
        };
        if cleared.iter().any(|folder| real.starts_with(folder)) {
            return Err(Error::InputInOutput {
                input: input.into(),
                out: out.into(),
            });
        }
    }
    Ok(())
}

fn write_recipe(out: &Path, recipe: &Recipe) -> Result<(), Error> {
    let path = out.join(RECIPE);
    std::fs::write(&path, recipe.to_yaml()).map_err(|source| Error::Output { path, source })
}

/// What a run left in `out`: its results and everything it evaluated (empty where
/// `trials.jsonl` is missing).
///
/// # Errors
/// [`Error::Study`] where `results.json` is missing or a file is broken.
pub fn read_output(out: &Path) -> Result<(Results, Vec<Event>), Error> {
    let path = out.join("results.json");
    let text = std::fs::read(&path).map_err(|source| StudyError::Read {
        path: path.clone(),
        source,
    })?;
    let results = serde_json::from_slice(&text).map_err(|source| StudyError::Parse {
        path,
        line: source.line(),
        source,
    })?;
    let journal = out.join("trials.jsonl");
    let events = match journal.exists() {
        true => read_journal(&journal)?,
        false => Vec::new(),
    };
    Ok((results, events))
}

fn is_output(out: &Path) -> bool {
    std::fs::read_to_string(out.join(RECIPE)).is_ok_and(|text| text.starts_with(recipe::HEADER))
}

fn clear(out: &Path) -> std::io::Result<()> {
    let missing_is_fine = |result: std::io::Result<()>| match result {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => result,
    };
    for file in FILES {
        missing_is_fine(std::fs::remove_file(out.join(file)))?;
    }
    for end in BESIDE_DATABASE {
        missing_is_fine(std::fs::remove_file(out.join(format!("{DATABASE}{end}"))))?;
    }
    // What a killed run kept while it trained.
    for entry in std::fs::read_dir(out)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_string_lossy().starts_with(CANDIDATES) && entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    for folder in FOLDERS {
        let folder = out.join(folder);
        // A link is taken away, never followed.
        if folder.is_symlink() {
            std::fs::remove_file(folder)?;
        } else {
            missing_is_fine(std::fs::remove_dir_all(folder))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_and_an_empty_folder_are_taken_and_marked() {
        let dir = tempfile::tempdir().unwrap();
        for out in [dir.path().join("a/b"), dir.path().join("empty")] {
            if out.ends_with("empty") {
                std::fs::create_dir(&out).unwrap();
            }
            claim_output(&out, false, &Recipe::default()).unwrap();
            assert!(is_output(&out));
            assert_eq!(Recipe::load(&out.join(RECIPE)).unwrap(), Recipe::default());
        }
    }

    #[test]
    fn an_earlier_output_is_replaced_only_when_told_and_foreign_files_stay() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path();
        claim_output(out, false, &Recipe::default()).unwrap();
        std::fs::create_dir_all(out.join("members/checkpoint-1")).unwrap();
        for file in ["results.json", "notes.txt", "members/checkpoint-1/x"] {
            std::fs::write(out.join(file), "x").unwrap();
        }
        let error = claim_output(out, false, &Recipe::default()).unwrap_err();
        assert!(matches!(
            error,
            Error::OutputNotEmpty {
                is_earlier_output: true,
                ..
            }
        ));
        assert!(error.hint().unwrap().contains("--overwrite"));
        claim_output(out, true, &Recipe::default()).unwrap();
        let mut left: Vec<_> = std::fs::read_dir(out)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["notes.txt", RECIPE]);
    }

    #[test]
    fn a_folder_of_other_origin_is_refused_even_with_overwrite() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("members")).unwrap();
        std::fs::write(dir.path().join(RECIPE), "seed: 1\n").unwrap();
        for overwrite in [false, true] {
            let error = claim_output(dir.path(), overwrite, &Recipe::default()).unwrap_err();
            assert!(error.is_bad_input());
            assert!(error.to_string().ends_with(" is not empty"), "{error}");
        }
        assert!(dir.path().join("members").is_dir());
    }
}
