//! Random damage to valid files never makes the reader panic: it opens or it says what is wrong.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;

use bomf_checkpoint::Checkpoint;
use common::{at_least, golden};
use proptest::collection::vec;
use proptest::prelude::*;

/// Opens a single file of these bytes and reads all that can be read.
fn open_and_read(bytes: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("model.safetensors"), bytes).unwrap();
    read_all(dir.path());
}

fn read_all(dir: &std::path::Path) {
    match Checkpoint::open(dir) {
        Ok(checkpoint) => {
            for tensor in checkpoint.tensors() {
                if let Ok(values) = tensor.to_f32() {
                    assert_eq!(values.len(), tensor.len());
                }
            }
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            let _ = error.hint();
        }
    }
}

fn valid() -> Vec<u8> {
    fs::read(golden("single/model.safetensors")).unwrap()
}

proptest! {
    #![proptest_config(at_least(512))]

    #[test]
    fn truncated_files_are_refused(keep in 0.0..1.0f64) {
        let mut bytes = valid();
        bytes.truncate((bytes.len() as f64 * keep) as usize);
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("model.safetensors"), &bytes).unwrap();
        prop_assert!(Checkpoint::open(dir.path()).is_err());
    }

    #[test]
    fn flipped_bytes_never_panic(flips in vec((any::<prop::sample::Index>(), 1u8..), 1..8)) {
        let mut bytes = valid();
        for (at, mask) in flips {
            let i = at.index(bytes.len());
            bytes[i] ^= mask;
        }
        open_and_read(&bytes);
    }

    #[test]
    fn changed_digits_in_the_header_never_panic(
        changes in vec((any::<prop::sample::Index>(), b'0'..=b'9'), 1..6),
    ) {
        // Offsets and shapes that lie, in a header that still parses.
        let mut bytes = valid();
        let len = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
        let digits: Vec<usize> = (8..8 + len).filter(|&i| bytes[i].is_ascii_digit()).collect();
        for (at, digit) in changes {
            bytes[digits[at.index(digits.len())]] = digit;
        }
        open_and_read(&bytes);
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        open_and_read(&bytes);
    }

    #[test]
    fn random_headers_never_panic(header in "\\PC{0,200}", data in vec(any::<u8>(), 0..64)) {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.bytes());
        bytes.extend(data);
        open_and_read(&bytes);
    }

    #[test]
    fn damaged_indices_never_panic(flips in vec((any::<prop::sample::Index>(), 1u8..), 1..6)) {
        let dir = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(golden("sharded")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
        }
        let index = dir.path().join("model.safetensors.index.json");
        let mut bytes = fs::read(&index).unwrap();
        for (at, mask) in flips {
            let i = at.index(bytes.len());
            bytes[i] ^= mask;
        }
        fs::write(&index, bytes).unwrap();
        read_all(dir.path());
    }
}
