//! Digests that are known from earlier merges.
//!
//! A file is taken for the one that was digested as long as its path, length and time of
//! modification are the same, and on Unix its inode and the time of the inode's last change, which
//! no program can set. A file that was changed shortly before is not remembered: a change in the
//! same tick of the clock could not be told from it. `bomf verify` asks nothing here.
//!
//! What is wrong with the cache is never an error: files are then digested.

use super::RecordedFile;
use bomf_checkpoint::write_json_atomic;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How long a file must have been left alone: the coarsest clock of a usual file system (FAT)
/// ticks every two seconds.
const SETTLED: Duration = Duration::from_secs(2);

/// How many files are remembered, the last used ones.
const LIMIT: usize = 4096;

/// The file of the cache.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Stored {
    /// By absolute path.
    files: BTreeMap<String, Entry>,
}

/// One file that was digested.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    /// What must be the same for it to be the same file.
    stamp: String,
    sha256: String,
    /// Seconds since 1970 when it was last asked for.
    used: u64,
}

/// A file that is to be digested.
#[derive(Debug)]
struct Asked {
    path: PathBuf,
    key: String,
    stamp: String,
}

/// The digests of a merge's inputs, as far as they are known.
#[derive(Debug, Default)]
pub(super) struct DigestCache {
    file: Option<PathBuf>,
    stored: Stored,
    /// By the number of the input; nothing for one that cannot be remembered.
    asked: Vec<Option<Asked>>,
}

impl DigestCache {
    /// What the cache in `file` knows of `inputs`; nothing where there is none.
    pub fn open(file: Option<&Path>, inputs: &[PathBuf]) -> Self {
        let Some(file) = file else {
            return Self::default();
        };
        let stored = std::fs::read(file).ok();
        let stored = stored.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self {
            file: Some(file.to_path_buf()),
            stored: stored.unwrap_or_default(),
            asked: inputs.iter().map(|path| asked(path)).collect(),
        }
    }

    /// The digest of an input, by its number.
    pub fn get(&self, number: usize) -> Option<String> {
        let asked = self.asked.get(number)?.as_ref()?;
        let entry = self.stored.files.get(&asked.key)?;
        (entry.stamp == asked.stamp && is_digest(&entry.sha256)).then(|| entry.sha256.clone())
    }

    /// Remembers the digests of the inputs, which `files` begin with.
    pub fn remember(&mut self, files: &[RecordedFile]) {
        let Some(file) = &self.file else {
            return;
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let used = now.unwrap_or_default().as_secs();
        for (own, recorded) in self.asked.iter().flatten().zip(files) {
            // It must be the same after it was read as it was before.
            let is_settled = asked(&own.path).is_some_and(|now| now.stamp == own.stamp);
            if let (true, Some(sha256)) = (is_settled, &recorded.sha256) {
                let entry = Entry {
                    stamp: own.stamp.clone(),
                    sha256: sha256.clone(),
                    used,
                };
                self.stored.files.insert(own.key.clone(), entry);
            }
        }
        let files = &mut self.stored.files;
        if files.len() > LIMIT {
            let mut times: Vec<u64> = files.values().map(|entry| entry.used).collect();
            times.sort_unstable();
            let oldest = times[files.len() - LIMIT];
            files.retain(|_, entry| entry.used >= oldest);
        }
        let written = std::fs::create_dir_all(file.parent().unwrap_or(Path::new(".")))
            .map_err(|error| error.to_string())
            .and_then(|()| write_json_atomic(file, &self.stored).map_err(|e| e.to_string()));
        if let Err(error) = written {
            tracing::debug!("digests are not remembered: {error}");
        }
    }
}

fn asked(path: &Path) -> Option<Asked> {
    let key = path.canonicalize().ok()?.to_str()?.to_owned();
    let metadata = std::fs::metadata(path).ok()?;
    let age = SystemTime::now().duration_since(metadata.modified().ok()?);
    Some(Asked {
        path: path.to_path_buf(),
        key,
        stamp: stamp(&metadata)?,
    })
    .filter(|_| age.is_ok_and(|age| age >= SETTLED))
}

fn stamp(metadata: &Metadata) -> Option<String> {
    let modified = metadata.modified().ok()?;
    let modified = modified.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let common = format!("{} bytes, {} ns", metadata.len(), modified.as_nanos());
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let (device, inode) = (metadata.dev(), metadata.ino());
        let (seconds, nanos) = (metadata.ctime(), metadata.ctime_nsec());
        Some(format!("{common}, {device}:{inode}, {seconds}.{nanos:09}"))
    }
    #[cfg(not(unix))]
    Some(common)
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    fn write(path: &Path, bytes: &[u8], age: u64) {
        std::fs::write(path, bytes).unwrap();
        let time = SystemTime::now() - Duration::from_secs(age);
        File::options()
            .write(true)
            .open(path)
            .and_then(|file| file.set_modified(time))
            .unwrap();
    }

    fn file_of(digit: char) -> RecordedFile {
        RecordedFile {
            name: "x".into(),
            bytes: 1,
            sha256: Some(digit.to_string().repeat(64)),
        }
    }

    #[test]
    fn a_digest_is_known_until_its_file_changes() {
        let root = tempfile::tempdir().unwrap();
        let cache = root.path().join("cache/digests.json");
        let inputs = ["a", "b"].map(|name| root.path().join(name));
        write(&inputs[0], b"1", 10);
        write(&inputs[1], b"2", 10);
        let mut first = DigestCache::open(Some(&cache), &inputs);
        assert_eq!(
            (first.get(0), first.get(1), first.get(2)),
            (None, None, None)
        );
        first.remember(&[file_of('a'), file_of('b')]);
        let again = DigestCache::open(Some(&cache), &inputs);
        assert_eq!(again.get(0), file_of('a').sha256);
        assert_eq!(again.get(1), file_of('b').sha256);

        // As long, and as old by its own word.
        write(&inputs[1], b"3", 10);
        let changed = DigestCache::open(Some(&cache), &inputs);
        assert_eq!(
            (changed.get(0), changed.get(1)),
            (file_of('a').sha256, None)
        );
    }

    #[test]
    fn a_file_that_was_just_written_is_not_remembered() {
        let root = tempfile::tempdir().unwrap();
        let cache = root.path().join("digests.json");
        let inputs = [root.path().join("a")];
        write(&inputs[0], b"1", 0);
        DigestCache::open(Some(&cache), &inputs).remember(&[file_of('a')]);
        write(&inputs[0], b"1", 10);
        assert_eq!(DigestCache::open(Some(&cache), &inputs).get(0), None);
    }

    #[test]
    fn a_damaged_cache_is_as_good_as_none() {
        let root = tempfile::tempdir().unwrap();
        let cache = root.path().join("digests.json");
        let inputs = [root.path().join("a"), root.path().join("missing")];
        write(&inputs[0], b"1", 10);
        std::fs::write(&cache, b"{").unwrap();
        let mut opened = DigestCache::open(Some(&cache), &inputs);
        assert_eq!((opened.get(0), opened.get(1)), (None, None));
        opened.remember(&[file_of('a'), file_of('b')]);
        assert_eq!(
            DigestCache::open(Some(&cache), &inputs).get(0),
            file_of('a').sha256
        );
        let text = std::fs::read_to_string(&cache)
            .unwrap()
            .replace(&"a".repeat(64), "short");
        std::fs::write(&cache, text).unwrap();
        assert_eq!(DigestCache::open(Some(&cache), &inputs).get(0), None);
        // Nowhere to write to, and no cache at all.
        DigestCache::open(Some(&inputs[0].join("x")), &inputs).remember(&[file_of('a')]);
        DigestCache::open(None, &inputs).remember(&[file_of('a')]);
    }
}
