//! What the fuzz targets share: a folder that the bytes are written to.

use std::path::Path;
use std::sync::OnceLock;
use tempfile::TempDir;

/// The process's own folder, in memory where the system has such a place.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            let memory = Path::new("/dev/shm");
            match memory.is_dir() {
                true => tempfile::tempdir_in(memory),
                false => tempfile::tempdir(),
            }
            .expect("a temporary folder")
        })
        .path()
}

/// Writes a file into it.
pub fn write(name: &str, bytes: &[u8]) {
    std::fs::write(folder().join(name), bytes).expect("the temporary folder can be written to");
}

/// The bytes before the first `0xFF`, which is in no UTF-8 text, and those after it.
pub fn split(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|&b| b == 0xFF) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &[]),
    }
}
