//! What a run is of, as facts in its ledger: enough to begin it again, and enough to know
//! that what is begun again is the same run.

use super::workers::threads_of;
use super::{known, threads};
use crate::{Error, Recipe, Workers};
use indexmap::IndexMap;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Names of the facts that the command begins again from.
pub(super) const COMMAND: &str = "command";
pub(super) const RECIPE: &str = "recipe";
pub(super) const MODEL: &str = "model";
pub(super) const DATA: &str = "data";
pub(super) const MEMBERS: &str = "members";
pub(super) const THREADS: &str = "threads";
/// The working directory, from which relative paths were taken. It may change.
pub(super) const DIRECTORY: &str = "directory";
/// Digest of the recipe with every guess filled in, as `recipe.yaml` holds it.
pub(super) const SETTLED: &str = "recipe_sha256";

/// The version of bomf.
const VERSION: &str = "version";
/// What workers there are, where there are some.
pub(super) const LOCAL: &str = "workers";
pub(super) const ELSEWHERE: &str = "workers_elsewhere";
/// Threads of one.
pub(super) const WORKER_THREADS: &str = "worker_threads";
/// Seconds without a sign of life after which a worker's trial is another's.
pub(super) const LEASE: &str = "worker_lease";

/// Files of a model that what it computes depends on, by their extensions.
const MODEL_FILES: [&str; 6] = ["json", "safetensors", "bin", "txt", "model", "jinja"];

/// Files of data, by their extensions.
const DATA_FILES: [&str; 6] = ["jsonl", "json", "csv", "tsv", "parquet", "txt"];

/// A file beyond this length is digested by [`SAMPLES`] pieces of it: who changes weights
/// changes all of them, and reading a hundred gigabytes takes minutes.
const WHOLE: u64 = 1 << 30;
const SAMPLES: u64 = 64;
const BLOCK: usize = 1 << 20;

/// Digits of a digest that messages show.
const SHOWN: usize = 12;

/// What a run is of.
pub(super) struct Identity<'a> {
    /// `run`, `tune`, `finetune` or `fuse`.
    pub command: &'a str,
    /// As the request has it.
    pub recipe: &'a Recipe,
    /// With every guess filled in.
    pub settled: &'a Recipe,
    /// The model as the request names it, and where it lies, if that is known.
    pub model: Option<(&'a str, Option<&'a Path>)>,
    pub data: Option<&'a Path>,
    /// Members as the request names them.
    pub members: &'a [PathBuf],
    /// Their folders.
    pub folders: &'a [PathBuf],
    /// Who trains trials.
    pub workers: Option<&'a Workers>,
}

impl Identity<'_> {
    /// As facts, by name.
    pub fn facts(&self) -> Result<IndexMap<String, String>, Error> {
        let mut facts = IndexMap::new();
        let mut add = |name: &str, value: String| {
            facts.insert(name.to_string(), value);
        };
        add(COMMAND, self.command.into());
        add(VERSION, env!("CARGO_PKG_VERSION").into());
        add(THREADS, threads().to_string());
        add("seed", self.recipe.seed.to_string());
        add(RECIPE, self.recipe.to_yaml());
        add(SETTLED, digest_of(self.settled.to_yaml().as_bytes()));
        if let Some((name, folder)) = self.model {
            add(MODEL, name.into());
            if let Some(folder) = folder {
                add("model_sha256", model_digest(folder)?);
            }
        }
        if let Some(folder) = self.data {
            add(DATA, folder.display().to_string());
            // Else it is a name that a program knows.
            if folder.is_dir() {
                let is_data = |extension: &str| DATA_FILES.contains(&extension);
                add("data_sha256", folder_digest(folder, &is_data)?);
            }
        }
        if let Some(file) = &self.recipe.stage1.known {
            // What is wrong with it is told before anything is written.
            known::read(self.recipe)?;
            let path = Path::new(file);
            let digest = file_digest(path).map_err(|source| Error::Unreadable {
                path: path.into(),
                source,
            })?;
            add("known_trials_sha256", digest);
        }
        if !self.members.is_empty() {
            let names: Vec<String> = self
                .members
                .iter()
                .map(|m| m.display().to_string())
                .collect();
            add(MEMBERS, serde_json::Value::from(names).to_string());
            let digests = self.folders.iter().map(|folder| model_digest(folder));
            let digests = digests.collect::<Result<Vec<_>, _>>()?;
            add("members_sha256", digest_of(digests.concat().as_bytes()));
        }
        if let Some(workers) = self.workers {
            add(LOCAL, workers.local.to_string());
            add(ELSEWHERE, workers.elsewhere.to_string());
            add(WORKER_THREADS, threads_of(workers).to_string());
            add(LEASE, workers.lease.as_secs_f64().to_string());
        }
        let directory = std::env::current_dir().unwrap_or_default();
        add(DIRECTORY, directory.display().to_string());
        Ok(facts)
    }
}

/// Refuses to go on with a run that was of something else.
pub(super) fn check(
    stored: &IndexMap<String, String>,
    now: &IndexMap<String, String>,
) -> Result<(), Error> {
    let compared = now.iter().filter(|(name, _)| *name != DIRECTORY);
    for (name, is) in compared {
        let was = stored.get(name);
        if was != Some(is) {
            return Err(differs(name, was.map_or("", String::as_str), is));
        }
    }
    Ok(())
}

/// Refuses to train for a run of another version.
pub(super) fn check_version(stored: &IndexMap<String, String>) -> Result<(), Error> {
    let was = stored.get(VERSION).map_or("", String::as_str);
    match was == env!("CARGO_PKG_VERSION") {
        true => Ok(()),
        false => Err(differs(VERSION, was, env!("CARGO_PKG_VERSION"))),
    }
}

/// Refuses to train for a run that is of something else than what lies here. Names and places
/// may differ, and how many threads there are; the recipe is the run's own.
pub(super) fn check_work(
    stored: &IndexMap<String, String>,
    here: &IndexMap<String, String>,
) -> Result<(), Error> {
    let compared = [VERSION, "seed", "model_sha256", "data_sha256"];
    for name in compared {
        let (was, is) = (stored.get(name), here.get(name));
        if was != is {
            let word = |value: Option<&String>| value.map_or(String::new(), String::clone);
            return Err(differs(name, &word(was), &word(is)));
        }
    }
    Ok(())
}

/// The error of a fact that differs.
pub(super) fn differs(name: &str, was: &str, is: &str) -> Error {
    let (what, is_digest) = match name.strip_suffix("_sha256") {
        Some(what) => (what, true),
        None => (name, false),
    };
    let shown = |value: &str| match (value, is_digest) {
        ("", _) => "nothing".to_string(),
        (digest, true) => format!("sha256 {}", &digest[..SHOWN.min(digest.len())]),
        (value, false) => value.to_string(),
    };
    Error::OtherStudy {
        what: what.into(),
        was: shown(was),
        is: shown(is),
    }
}

fn hex(digest: impl AsRef<[u8]>) -> String {
    let bytes = digest.as_ref().iter();
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 of bytes, in hexadecimal digits.
pub(super) fn digest_of(bytes: &[u8]) -> String {
    hex(Sha256::digest(bytes))
}

/// The digest of a model's files.
fn model_digest(folder: &Path) -> Result<String, Error> {
    folder_digest(folder, &|extension| MODEL_FILES.contains(&extension))
}

/// The digest of the files in a folder, their names among them, whose extension is wanted.
fn folder_digest(folder: &Path, is_wanted: &dyn Fn(&str) -> bool) -> Result<String, Error> {
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| Error::Unreadable { path, source }
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        let extension = path.extension().and_then(|e| e.to_str());
        if is_wanted(extension.unwrap_or_default()) && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    let digests = files.par_iter().map(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let digest = file_digest(path).map_err(failed(path))?;
        Ok(format!("{name} {digest}\n"))
    });
    let lines = digests.collect::<Result<Vec<String>, Error>>()?;
    Ok(digest_of(lines.concat().as_bytes()))
}

fn file_digest(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut digest = Sha256::new();
    digest.update(length.to_le_bytes());
    let mut block = vec![0; BLOCK];
    if length > WHOLE {
        for sample in 0..SAMPLES {
            // From the first block to the last.
            let at = (length - BLOCK as u64) / (SAMPLES - 1) * sample;
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(&mut block)?;
            digest.update(&block);
        }
        return Ok(hex(digest.finalize()));
    }
    loop {
        match file.read(&mut block) {
            Ok(0) => return Ok(hex(digest.finalize())),
            Ok(read) => digest.update(&block[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    #[test]
    fn a_models_digest_is_that_of_its_names_and_bytes_alone() {
        let digest = |files: &[(&str, &str)]| model_digest(folder(files).path()).unwrap();
        let own = digest(&[("config.json", "{}"), ("model.safetensors", "ab")]);
        assert_eq!(
            own,
            digest(&[
                ("model.safetensors", "ab"),
                ("config.json", "{}"),
                ("optimizer.pt", "x"),
                ("README.md", "y")
            ])
        );
        for other in [
            &[("config.json", "{}"), ("model.safetensors", "ac")][..],
            &[("config.json", "{}a"), ("model.safetensors", "b")],
            &[("config.json", "{}")],
        ] {
            assert_ne!(own, digest(other), "{other:?}");
        }
    }

    #[test]
    fn a_file_too_long_to_read_whole_is_digested_by_pieces_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.safetensors");
        let file = File::create(&path).unwrap();
        // A hole: it takes no room.
        file.set_len(WHOLE + 1).unwrap();
        let zeros = file_digest(&path).unwrap();
        let mut file = File::options().write(true).open(&path).unwrap();
        file.seek(SeekFrom::Start(WHOLE / 2)).unwrap();
        std::io::Write::write_all(&mut file, &vec![1; 1 << 25]).unwrap();
        assert_ne!(file_digest(&path).unwrap(), zeros);
    }

    #[test]
    fn what_differs_is_named_and_the_directory_may() {
        let facts = |version: &str, model: &str, directory: &str| {
            IndexMap::from_iter(
                [
                    ("version", version),
                    ("model_sha256", model),
                    (DIRECTORY, directory),
                ]
                .map(|(k, v)| (k.to_string(), v.to_string())),
            )
        };
        let own = facts("0.1.0", "abcdef0123456789", "/a");
        check(&own, &facts("0.1.0", "abcdef0123456789", "/b")).unwrap();
        for (other, expected) in [
            (
                facts("0.2.0", "abcdef0123456789", "/a"),
                "version was 0.1.0 when the run began, and is 0.2.0 now",
            ),
            (
                facts("0.1.0", "abc", "/a"),
                "model was sha256 abcdef012345 when the run began, and is sha256 abc now",
            ),
        ] {
            let error = check(&own, &other).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert!(error.is_bad_input() && error.hint().is_some());
        }
    }

    #[test]
    fn a_worker_of_another_version_or_data_is_told_so_and_names_and_threads_may_differ() {
        let facts = |version: &str, data: &str, name: &str| {
            let pairs = [
                (VERSION, version),
                ("data_sha256", data),
                (DATA, name),
                (THREADS, name),
            ];
            IndexMap::from_iter(pairs.map(|(k, v)| (k.to_string(), v.to_string())))
        };
        let own = env!("CARGO_PKG_VERSION");
        check_version(&facts(own, "ab", "x")).unwrap();
        let error = check_version(&facts("0.0.7", "ab", "x")).unwrap_err();
        let expected = format!("version was 0.0.7 when the run began, and is {own} now");
        assert!(error.to_string().contains(&expected), "{error}");
        assert!(check_version(&IndexMap::new()).is_err());
        check_work(&facts(own, "ab", "x"), &facts(own, "ab", "y")).unwrap();
        let error = check_work(&facts(own, "ab", "x"), &facts(own, "cd", "x")).unwrap_err();
        assert!(error.to_string().contains("data was sha256 ab"), "{error}");
        assert!(error.is_bad_input());
    }
}
