//! Random damage to files of `torch.save` never makes the reader panic: it opens them or says what
//! is wrong, and what it opens can be read.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;

use bomf_checkpoint::Checkpoint;
use common::{at_least, golden};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

fn open_and_read(bytes: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("pytorch_model.bin"), bytes).unwrap();
    match Checkpoint::open(dir.path()) {
        Ok(checkpoint) => {
            for tensor in checkpoint.tensors() {
                let bits = tensor.dtype().bitsize();
                assert_eq!(tensor.bytes().len() * 8, tensor.len() * bits);
            }
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            let _ = error.hint();
        }
    }
}

/// A file without checksums, so that damage to its pickle is not caught before it is run; `one`
/// has a single tensor of protocol 4, the other has all kinds.
fn valid(one: bool) -> Vec<u8> {
    let file = match one {
        true => "pytorch/other/protocol-4.bin",
        false => "pytorch/single/pytorch_model.bin",
    };
    let mut bytes = fs::read(golden(file)).unwrap();
    // The checksum in the first entry of the table of contents, which is the pickle's.
    let entry = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    bytes[entry + 16..entry + 20].fill(0);
    bytes
}

/// Where the pickle lies: the first record, up to the next one's header.
fn pickle(bytes: &[u8]) -> std::ops::Range<usize> {
    let start = bytes
        .windows(2)
        .position(|w| w == b"\x80\x02" || w == b"\x80\x04");
    let start = start.unwrap();
    let end = bytes[start..]
        .windows(4)
        .position(|w| w == b"PK\x07\x08" || w == b"PK\x03\x04");
    start..start + end.unwrap()
}

/// Where the table of contents lies.
fn table(bytes: &[u8]) -> std::ops::Range<usize> {
    let start = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    start..bytes.len()
}

fn flip(bytes: &mut [u8], within: std::ops::Range<usize>, flips: Vec<(Index, u8)>) {
    for (at, mask) in flips {
        bytes[within.start + at.index(within.len())] ^= mask;
    }
}

proptest! {
    #![proptest_config(at_least(512))]

    #[test]
    fn truncated_files_are_refused(keep in 0.0..1.0f64, one: bool) {
        let mut bytes = valid(one);
        bytes.truncate((bytes.len() as f64 * keep) as usize);
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("pytorch_model.bin"), &bytes).unwrap();
        prop_assert!(Checkpoint::open(dir.path()).is_err());
    }

    #[test]
    fn flipped_bytes_never_panic(flips in vec((any::<Index>(), 1u8..), 1..8), one: bool) {
        let mut bytes = valid(one);
        let all = 0..bytes.len();
        flip(&mut bytes, all, flips);
        open_and_read(&bytes);
    }

    #[test]
    fn flipped_opcodes_never_panic(flips in vec((any::<Index>(), 1u8..), 1..4), one: bool) {
        let mut bytes = valid(one);
        let range = pickle(&bytes);
        flip(&mut bytes, range, flips);
        open_and_read(&bytes);
    }

    #[test]
    fn a_table_of_contents_that_lies_never_panics(
        flips in vec((any::<Index>(), 1u8..), 1..4),
        one: bool,
    ) {
        let mut bytes = valid(one);
        let range = table(&bytes);
        flip(&mut bytes, range, flips);
        open_and_read(&bytes);
    }

    #[test]
    fn random_programs_never_panic(program in vec(opcode(), 0..60)) {
        open_and_read(&archive_of(&program.concat()));
    }
}

/// An opcode with an argument of a kind that fits it, so that programs come far.
fn opcode() -> impl Strategy<Value = Vec<u8>> {
    let simple = prop::sample::select(&b"(.012)N}]tueasRQb\x85\x86\x87\x88\x89\x93\x94"[..]);
    let memo = (prop::sample::select(&b"qhKM"[..]), 0u8..4);
    let name = prop::sample::select(vec![
        &b"ccollections\nOrderedDict\n"[..],
        b"ctorch\nFloatStorage\n",
        b"ctorch._utils\n_rebuild_tensor_v2\n",
        b"ctorch._utils\n_rebuild_parameter\n",
        b"X\x01\x00\x00\x000",
        b"X\x07\x00\x00\x00storage",
        b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f",
    ]);
    prop_oneof![
        4 => simple.prop_map(|op| vec![op]),
        2 => memo.prop_map(|(op, slot)| match op {
            b'M' => vec![op, slot, slot],
            _ => vec![op, slot],
        }),
        2 => name.prop_map(<[u8]>::to_vec),
    ]
}

/// An archive with this pickle and one storage of 16 bytes.
fn archive_of(program: &[u8]) -> Vec<u8> {
    let records: [(&[u8], &[u8]); 2] = [(b"m/data.pkl", program), (b"m/data/0", &[0; 16])];
    let mut file = Vec::new();
    let mut table = Vec::new();
    for (name, data) in records {
        let len = (data.len() as u32).to_le_bytes();
        let name_len = (name.len() as u16).to_le_bytes();
        let at = (file.len() as u32).to_le_bytes();
        file.extend(b"PK\x03\x04");
        file.extend([0; 22]);
        file.extend(name_len);
        file.extend([0; 2]);
        file.extend(name);
        file.extend(data);
        table.extend(b"PK\x01\x02");
        table.extend([0; 16]);
        table.extend(len);
        table.extend(len);
        table.extend(name_len);
        table.extend([0; 12]);
        table.extend(at);
        table.extend(name);
    }
    let start = (file.len() as u32).to_le_bytes();
    file.extend(&table);
    file.extend(b"PK\x05\x06");
    file.extend([0; 4]);
    file.extend([2, 0, 2, 0]);
    file.extend((table.len() as u32).to_le_bytes());
    file.extend(start);
    file.extend([0; 2]);
    file
}

#[test]
fn the_archive_of_the_tests_is_read() {
    let tensor = b"X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storage\
                   ctorch\nFloatStorage\nX\x01\x00\x00\x000NNtQK\x01K\x02\x85K\x01\x85\x89NtRs.";
    let dir = tempfile::tempdir().unwrap();
    let bytes = archive_of(&[&b"}"[..], tensor].concat());
    fs::write(dir.path().join("pytorch_model.bin"), bytes).unwrap();
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    assert_eq!(checkpoint.tensor("w").unwrap().to_f32().unwrap(), [0.0; 2]);
}
