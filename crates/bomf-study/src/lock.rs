//! One program at a time on an output folder.
//!
//! The lock is the operating system's, on an open file: it goes with the process that
//! holds it, however that ends, and a dead owner's is free at once. (On a network file
//! system it is as good as that one's locks are.)

use crate::StudyError;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The name of the lock's file; it is there while a program works on the folder, or after
/// one was killed.
pub const LOCK: &str = ".bomf.lock";

/// Tries to get hold of the file that bears the name: others may take it away meanwhile.
const TRIES: usize = 100;

/// How often, and after what pause, a lock that is held is asked for again: who looks whether
/// a folder is in use ([`FolderLock::is_held`]) holds it for an instant.
const LOOKS: usize = 3;
const LOOK: Duration = Duration::from_millis(20);

/// Held while a program works on a folder.
#[derive(Debug)]
pub struct FolderLock {
    path: PathBuf,
    /// Locked until it is closed.
    _file: File,
}

impl FolderLock {
    /// Takes the folder.
    ///
    /// # Errors
    /// [`StudyError::InUse`] where another program has it, [`StudyError::Write`] where its
    /// file cannot be made.
    pub fn take(folder: &Path) -> Result<Self, StudyError> {
        let path = folder.join(LOCK);
        let failed = |source| StudyError::Write {
            path: path.clone(),
            source,
        };
        let mut looks = 0;
        for _ in 0..TRIES {
            let mut options = File::options();
            options.read(true).write(true).create(true).truncate(false);
            let mut file = options.open(&path).map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) if looks < LOOKS => {
                    looks += 1;
                    std::thread::sleep(LOOK);
                    continue;
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(StudyError::InUse {
                        path: folder.into(),
                        owner: owner(&mut file),
                    });
                }
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
            if !bears_name(&file, &path) {
                continue;
            }
            let id = std::process::id().to_string();
            file.set_len(0)
                .and_then(|()| file.rewind())
                .and_then(|()| file.write_all(id.as_bytes()))
                .map_err(failed)?;
            return Ok(FolderLock { path, _file: file });
        }
        Err(StudyError::InUse {
            path: folder.into(),
            owner: None,
        })
    }
}

impl FolderLock {
    /// Whether a program works on the folder now; writes nothing. A folder that cannot be
    /// looked into is not held.
    pub fn is_held(folder: &Path) -> bool {
        let Ok(file) = File::open(folder.join(LOCK)) else {
            return false;
        };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Before the lock goes, so that nobody's else is taken away.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The process that wrote its number into the file.
fn owner(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Whether the file is still the one of its name, and was not taken away before it was
/// locked.
#[cfg(unix)]
fn bears_name(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let number = |m: std::fs::Metadata| (m.dev(), m.ino());
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(own), Ok(named)) => number(own) == number(named),
        _ => false,
    }
}

/// Elsewhere a file that is open keeps its name.
#[cfg(not(unix))]
fn bears_name(_: &File, _: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_one_programs_until_it_lets_go() {
        let dir = tempfile::tempdir().unwrap();
        let held = FolderLock::take(dir.path()).unwrap();
        let error = FolderLock::take(dir.path()).unwrap_err();
        let own = std::process::id();
        assert!(
            matches!(error, StudyError::InUse { owner: Some(owner), .. } if owner == own),
            "{error}"
        );
        assert!(FolderLock::is_held(dir.path()));
        drop(held);
        assert!(!dir.path().join(LOCK).exists());
        assert!(!FolderLock::is_held(dir.path()));
        FolderLock::take(dir.path()).unwrap();
    }

    #[test]
    fn a_dead_owners_folder_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(LOCK), "1234567").unwrap();
        assert!(!FolderLock::is_held(dir.path()));
        FolderLock::take(dir.path()).unwrap();
    }

    #[test]
    fn of_many_that_ask_at_once_one_at_a_time_gets_it() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let dir = tempfile::tempdir().unwrap();
        let (holders, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        if let Ok(_held) = FolderLock::take(dir.path()) {
                            assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                            taken.fetch_add(1, Ordering::SeqCst);
                            holders.fetch_sub(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert!(taken.into_inner() > 0);
    }
}
