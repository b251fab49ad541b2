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

/// A zip archive of stored records without checksums.
pub fn stored_archive(records: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut file, mut table) = (Vec::new(), Vec::new());
    for (name, data) in records {
        let len = (data.len() as u32).to_le_bytes();
        let name_len = (name.len() as u16).to_le_bytes();
        table.extend(b"PK\x01\x02");
        table.extend([0; 16]);
        table.extend([len, len].concat());
        table.extend(name_len);
        table.extend([0; 12]);
        table.extend((file.len() as u32).to_le_bytes());
        table.extend(name.bytes());
        file.extend(b"PK\x03\x04");
        file.extend([0; 22]);
        file.extend(name_len);
        file.extend([0; 2]);
        file.extend(name.bytes());
        file.extend(*data);
    }
    let count = (records.len() as u16).to_le_bytes();
    let start = (file.len() as u32).to_le_bytes();
    file.extend(&table);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend([count, count].concat());
    file.extend((table.len() as u32).to_le_bytes());
    file.extend(start);
    file.extend([0; 2]);
    file
}
