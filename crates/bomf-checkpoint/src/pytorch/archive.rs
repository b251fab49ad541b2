//! The zip archive around a state dict: where each record lies in the file.
//!
//! Only what PyTorch writes is taken: stored records, described by the central directory at the
//! end (APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.3, of PKWARE). Nothing is copied.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{CheckpointError, Result};

const LOCAL_HEADER: u32 = 0x0403_4b50;
const CENTRAL_HEADER: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END_64: u32 = 0x0606_4b50;
const END_64_LOCATOR: u32 = 0x0706_4b50;

const LOCAL_HEADER_BYTES: usize = 30;
const CENTRAL_HEADER_BYTES: usize = 46;
const END_BYTES: usize = 22;
const END_64_LOCATOR_BYTES: usize = 20;
/// The greatest length of the comment behind the end record.
const MAX_COMMENT_BYTES: usize = 0xFFFF;
/// The id of the extra field with 64-bit sizes, and what the 32-bit fields then hold.
const EXTRA_64: u16 = 1;
const SEE_64: u32 = u32::MAX;

/// The greatest pickle that is read: some 100 000 tensors' worth. It bounds the memory that a
/// hostile file can claim, up to some 50 bytes for a byte of pickle.
const MAX_PICKLE_BYTES: usize = 16 << 20;

/// An archive whose records are known by name, without the folder that they all lie in.
#[derive(Debug)]
pub(crate) struct Archive<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    /// The stored records.
    records: BTreeMap<&'a str, Record>,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    start: usize,
    len: usize,
    crc: u32,
}

impl<'a> Archive<'a> {
    pub(crate) fn open(path: &'a Path, bytes: &'a [u8]) -> Result<Self> {
        let records = read_directory(bytes).map_err(|reason| CheckpointError::BrokenArchive {
            path: path.to_path_buf(),
            reason,
        })?;
        Ok(Self {
            path,
            bytes,
            records,
        })
    }

    /// The bytes of a record.
    pub(crate) fn get(&self, name: &str) -> Option<&'a [u8]> {
        let record = self.records.get(name)?;
        // In bounds: checked when the directory was read.
        Some(&self.bytes[record.start..record.start + record.len])
    }

    /// Where a record begins in the file, and how long it is.
    pub(crate) fn place(&self, name: &str) -> Option<(usize, usize)> {
        self.records.get(name).map(|r| (r.start, r.len))
    }

    /// The pickled dictionary, whose checksum is right.
    pub(crate) fn pickle(&self) -> Result<&'a [u8]> {
        let broken = |reason| CheckpointError::BrokenArchive {
            path: self.path.to_path_buf(),
            reason,
        };
        let name = "data.pkl";
        let (Some(record), Some(program)) = (self.records.get(name), self.get(name)) else {
            return Err(broken("it has no stored record `data.pkl`"));
        };
        if program.len() > MAX_PICKLE_BYTES {
            return Err(broken("its `data.pkl` is longer than 16 MiB"));
        }
        // PyTorch can be told to leave checksums out: it writes 0 then.
        if record.crc != 0 && crc32fast::hash(program) != record.crc {
            return Err(broken("the checksum of its `data.pkl` is wrong"));
        }
        Ok(program)
    }
}

type Fault = &'static str;

const CUT: Fault = "it has no table of contents at its end: the file is cut short";
const BAD_TABLE: Fault = "its table of contents is damaged";
const OUTSIDE: Fault = "a record lies beyond the end of the file";

fn read_directory(bytes: &[u8]) -> Result<BTreeMap<&str, Record>, Fault> {
    let (start, len, count) = find_directory(bytes)?;
    let mut table = start
        .checked_add(len)
        .and_then(|end| bytes.get(start..end))
        .ok_or(BAD_TABLE)?;
    let mut records = BTreeMap::new();
    for _ in 0..count {
        let (name, record, rest) = read_entry(bytes, table)?;
        table = rest;
        // Everything lies in one folder, which is called as the file was.
        let name = name.split_once('/').map_or(name, |(_, inner)| inner);
        // Only source code is ever compressed, in archives of TorchScript.
        let Some(record) = record else {
            continue;
        };
        if records.insert(name, record).is_some() {
            return Err("it has two records of one name");
        }
    }
    Ok(records)
}

/// Begin, length and number of entries of the central directory.
fn find_directory(bytes: &[u8]) -> Result<(usize, usize, u64), Fault> {
    let last = bytes.len().checked_sub(END_BYTES).ok_or(CUT)?;
    let first = last.saturating_sub(MAX_COMMENT_BYTES);
    let at = (first..=last)
        .rev()
        .find(|&at| u32_at(bytes, at) == Some(END))
        .ok_or(CUT)?;
    let count = u16_at(bytes, at + 10).ok_or(CUT)?;
    let len = u32_at(bytes, at + 12).ok_or(CUT)?;
    let start = u32_at(bytes, at + 16).ok_or(CUT)?;
    if count != u16::MAX && len != SEE_64 && start != SEE_64 {
        return Ok((start as usize, len as usize, count.into()));
    }
    let locator = at.checked_sub(END_64_LOCATOR_BYTES).ok_or(BAD_TABLE)?;
    if u32_at(bytes, locator) != Some(END_64_LOCATOR) {
        return Err(BAD_TABLE);
    }
    let at = usize_at(bytes, locator + 8).ok_or(BAD_TABLE)?;
    if u32_at(bytes, at) != Some(END_64) {
        return Err(BAD_TABLE);
    }
    let count = u64_at(bytes, at + 32).ok_or(BAD_TABLE)?;
    let len = usize_at(bytes, at + 40).ok_or(BAD_TABLE)?;
    let start = usize_at(bytes, at + 48).ok_or(BAD_TABLE)?;
    Ok((start, len, count))
}

/// The name and place (unless it is compressed) of the record that `table` begins with, and the
/// rest of the table.
fn read_entry<'a>(
    bytes: &'a [u8],
    table: &'a [u8],
) -> Result<(&'a str, Option<Record>, &'a [u8]), Fault> {
    if u32_at(table, 0) != Some(CENTRAL_HEADER) {
        return Err(BAD_TABLE);
    }
    let short = |at| u16_at(table, at).ok_or(BAD_TABLE);
    let long = |at| u32_at(table, at).ok_or(BAD_TABLE);
    let (method, crc) = (short(10)?, long(16)?);
    let (packed, size, header) = (long(20)?, long(24)?, long(42)?);
    let name_end = CENTRAL_HEADER_BYTES + usize::from(short(28)?);
    let extra_end = name_end + usize::from(short(30)?);
    let end = extra_end + usize::from(short(32)?);
    let part = |from, to| table.get(from..to).ok_or(BAD_TABLE);
    let name = part(CENTRAL_HEADER_BYTES, name_end)?;
    let name = std::str::from_utf8(name).map_err(|_| "a record's name is not UTF-8")?;
    let mut wide = wide_fields(part(name_end, extra_end)?);
    // The 64-bit fields stand in this order, each only where its 32-bit field is full.
    let mut widen = |value: u32| match value {
        SEE_64 => wide.next().ok_or(BAD_TABLE),
        value => Ok(value as usize),
    };
    let size = widen(size)?;
    let packed = widen(packed)?;
    let header = widen(header)?;
    let rest = part(end, table.len())?;
    if method != 0 || packed != size {
        return Ok((name, None, rest));
    }
    let start = data_start(bytes, header)?;
    match start.checked_add(size) {
        Some(end) if end <= bytes.len() => {}
        _ => return Err(OUTSIDE),
    }
    let record = Record {
        start,
        len: size,
        crc,
    };
    Ok((name, Some(record), rest))
}

/// Where the data behind a local header begin.
fn data_start(bytes: &[u8], header: usize) -> Result<usize, Fault> {
    let read = || {
        if u32_at(bytes, header)? != LOCAL_HEADER {
            return None;
        }
        let name = u16_at(bytes, header + 26)?;
        let extra = u16_at(bytes, header + 28)?;
        Some(header + LOCAL_HEADER_BYTES + usize::from(name) + usize::from(extra))
    };
    read().ok_or("a record is not where the table of contents puts it")
}

/// The 64-bit numbers in a record's extra fields.
fn wide_fields(mut extra: &[u8]) -> impl Iterator<Item = usize> {
    let mut wide: &[u8] = &[];
    while let (Some(id), Some(len)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let Some(field) = extra.get(4..4 + usize::from(len)) else {
            break;
        };
        if id == EXTRA_64 {
            wide = field;
        }
        extra = &extra[4 + field.len()..];
    }
    let (numbers, _) = wide.as_chunks::<8>();
    numbers
        .iter()
        .map_while(|b| usize::try_from(u64::from_le_bytes(*b)).ok())
}

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes_at(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes_at(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes_at(bytes, at).map(u64::from_le_bytes)
}

fn usize_at(bytes: &[u8], at: usize) -> Option<usize> {
    u64_at(bytes, at).and_then(|v| usize::try_from(v).ok())
}
