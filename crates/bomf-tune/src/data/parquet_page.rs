//! The values of a Parquet column, page by page.
//!
//! The library takes pages out of the file and decompresses them; its own decoders of what is in
//! them trust the numbers they find there, and panic where a file is broken. These do not. They
//! know the encodings that pandas, pyarrow and Hugging Face's `datasets` write by default: plain,
//! dictionary, and runs of levels and booleans
//! (<https://parquet.apache.org/docs/file-format/data-pages/encodings/>).

use parquet::basic::{Encoding, Type};
use parquet::column::page::{Page, PageReader};
use parquet::errors::ParquetError;

/// Why a column could not be read.
pub(super) enum Fault {
    /// Its bytes make no sense.
    Broken(String),
    /// An encoding that is not read.
    Encoding(Encoding),
}

impl From<ParquetError> for Fault {
    fn from(error: ParquetError) -> Self {
        Fault::Broken(error.to_string())
    }
}

fn broken(reason: &str) -> Fault {
    Fault::Broken(reason.to_owned())
}

/// One value as it is stored.
pub(super) enum Stored<'a> {
    Bool(bool),
    Int32(i32),
    Int64(i64),
    Float(f32),
    Double(f64),
    Bytes(&'a [u8]),
}

/// Every value of a column, `null` where there is none; at most `rows` of them.
pub(super) fn read_values<T: Clone>(
    pages: &mut dyn PageReader,
    physical: Type,
    is_optional: bool,
    rows: usize,
    null: T,
    value: impl Fn(Stored<'_>) -> T,
) -> Result<Vec<T>, Fault> {
    let mut all = Vec::new();
    let mut dictionary: Vec<T> = Vec::new();
    while let Some(page) = pages.get_next_page()? {
        let (mut bytes, count, encoding, levels) = match &page {
            Page::DictionaryPage {
                buf, num_values, ..
            } => {
                dictionary = plain(buf, physical, *num_values as usize, &value)?;
                continue;
            }
            Page::DataPage {
                buf,
                num_values,
                encoding,
                def_level_encoding,
                ..
            } => {
                let mut bytes = &buf[..];
                let levels = match is_optional {
                    true if *def_level_encoding != Encoding::RLE => {
                        return Err(Fault::Encoding(*def_level_encoding));
                    }
                    true => Some(prefixed(&mut bytes)?),
                    false => None,
                };
                (bytes, *num_values, *encoding, levels)
            }
            Page::DataPageV2 {
                buf,
                num_values,
                encoding,
                def_levels_byte_len,
                rep_levels_byte_len,
                ..
            } => {
                let mut bytes = &buf[..];
                take(&mut bytes, *rep_levels_byte_len as usize)?;
                let levels = take(&mut bytes, *def_levels_byte_len as usize)?;
                (bytes, *num_values, *encoding, is_optional.then_some(levels))
            }
        };
        let count = count as usize;
        if count > rows - all.len() {
            return Err(broken("it has more values than rows"));
        }
        let is_there = match levels {
            Some(levels) => Some(runs(levels, 1, count)?),
            None => None,
        };
        let present = match &is_there {
            Some(levels) => levels.iter().filter(|&&level| level == 1).count(),
            None => count,
        };
        let values = match encoding {
            Encoding::PLAIN => plain(bytes, physical, present, &value)?,
            Encoding::RLE if physical == Type::BOOLEAN => {
                let runs = runs(prefixed(&mut bytes)?, 1, present)?;
                runs.iter()
                    .map(|&bit| value(Stored::Bool(bit == 1)))
                    .collect()
            }
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => {
                from_dictionary(bytes, &dictionary, present)?
            }
            other => return Err(Fault::Encoding(other)),
        };
        match is_there {
            None => all.extend(values),
            Some(levels) => {
                let mut values = values.into_iter();
                all.extend(levels.iter().map(|&level| match level {
                    1 => values.next().unwrap_or_else(|| null.clone()),
                    _ => null.clone(),
                }));
            }
        }
    }
    Ok(all)
}

fn from_dictionary<T: Clone>(
    bytes: &[u8],
    dictionary: &[T],
    count: usize,
) -> Result<Vec<T>, Fault> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let (&width, bytes) = bytes.split_first().ok_or_else(cut_off)?;
    let indices = runs(bytes, u32::from(width), count)?;
    let values = indices.iter().map(|&i| dictionary.get(i as usize).cloned());
    let values: Option<Vec<T>> = values.collect();
    values.ok_or_else(|| broken("a value is not in its dictionary"))
}

fn cut_off() -> Fault {
    broken("a page ends within a value")
}

/// The next `count` bytes.
fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8], Fault> {
    let (taken, rest) = bytes.split_at_checked(count).ok_or_else(cut_off)?;
    *bytes = rest;
    Ok(taken)
}

fn array<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Fault> {
    let (taken, rest) = bytes.split_first_chunk::<N>().ok_or_else(cut_off)?;
    *bytes = rest;
    Ok(*taken)
}

/// What a length of four bytes stands before.
fn prefixed<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], Fault> {
    let length = u32::from_le_bytes(array(bytes)?) as usize;
    take(bytes, length)
}

/// `count` values one behind another.
fn plain<T>(
    mut bytes: &[u8],
    physical: Type,
    count: usize,
    value: impl Fn(Stored<'_>) -> T,
) -> Result<Vec<T>, Fault> {
    // Booleans take a bit, everything else four bytes or more.
    if count > bytes.len().saturating_mul(8) {
        return Err(cut_off());
    }
    let bytes = &mut bytes;
    if physical == Type::BOOLEAN {
        let bit = |i: usize| value(Stored::Bool(bytes[i / 8] >> (i % 8) & 1 == 1));
        return Ok((0..count).map(bit).collect());
    }
    let mut one = || -> Result<T, Fault> {
        Ok(value(match physical {
            Type::INT32 => Stored::Int32(i32::from_le_bytes(array(bytes)?)),
            Type::INT64 => Stored::Int64(i64::from_le_bytes(array(bytes)?)),
            Type::FLOAT => Stored::Float(f32::from_le_bytes(array(bytes)?)),
            Type::DOUBLE => Stored::Double(f64::from_le_bytes(array(bytes)?)),
            _ => Stored::Bytes(prefixed(bytes)?),
        }))
    };
    (0..count).map(|_| one()).collect()
}

/// Runs of equal numbers and packs of eight, of `width` bits each; `count` of them, which the
/// caller has bounded.
fn runs(mut bytes: &[u8], width: u32, count: usize) -> Result<Vec<u32>, Fault> {
    if width > u32::BITS {
        return Err(broken("numbers of more than 32 bits"));
    }
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let left = count - numbers.len();
        let header = varint(&mut bytes)?;
        let length = (header >> 1) as usize;
        if header & 1 == 0 {
            let mut number = [0; 4];
            let stored = take(&mut bytes, width.div_ceil(8) as usize)?;
            number[..stored.len()].copy_from_slice(stored);
            let number = u32::from_le_bytes(number);
            if length == 0 {
                return Err(broken("a run of no values"));
            }
            numbers.extend(std::iter::repeat_n(number, length.min(left)));
        } else {
            // Writers may leave the last pack short.
            let wanted = (length.saturating_mul(8)).min(left);
            let bits = wanted as u64 * u64::from(width);
            let size = (length as u64).saturating_mul(u64::from(width));
            let size = size.min(bytes.len() as u64) as usize;
            let packed = take(&mut bytes, size)?;
            if wanted == 0 || (packed.len() as u64) * 8 < bits {
                return Err(cut_off());
            }
            numbers.extend((0..wanted).map(|i| unpack(packed, i, width)));
        }
    }
    Ok(numbers)
}

/// Number `i` of `width` bits each, the least significant bit first.
fn unpack(packed: &[u8], i: usize, width: u32) -> u32 {
    let bit = i * width as usize;
    let mut number = 0u64;
    for (k, &byte) in packed[bit / 8..].iter().take(5).enumerate() {
        number |= u64::from(byte) << (8 * k);
    }
    (number >> (bit % 8) & ((1u64 << width) - 1)) as u32
}

/// A number in groups of seven bits.
fn varint(bytes: &mut &[u8]) -> Result<u64, Fault> {
    let mut number = 0;
    for shift in (0..35).step_by(7) {
        let [byte] = array(bytes)?;
        number |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(broken("a number that does not end"))
}
