//! From a view into a storage to a tensor whose every element lies within the file.

use std::path::Path;

use super::archive::Archive;
use super::pickle::{Entry, View};
use super::strided::Strided;
use super::{Place, Tensor};
use crate::error::{CheckpointError, Result};

/// The tensor of an entry, all its numbers checked.
pub(super) fn tensor(path: &Path, archive: &Archive<'_>, entry: &Entry<'_>) -> Result<Tensor> {
    let view = &entry.view;
    let (start, len) = archive
        .place(&format!("data/{}", view.key))
        .ok_or_else(|| CheckpointError::MissingStorage {
            path: path.to_path_buf(),
            tensor: entry.name.to_owned(),
            key: view.key.to_owned(),
        })?;
    place(view, start, len).ok_or_else(|| CheckpointError::OutsideStorage {
        path: path.to_path_buf(),
        tensor: entry.name.to_owned(),
        shape: view.shape.clone(),
        stride: view.stride.clone(),
        offset: view.offset,
        dtype: view.dtype,
        bytes: len as u64,
    })
}

/// Where a view lies, given the begin and length of its storage in bytes; `None` if it does not
/// fit, or if it has more elements than its storage (`Tensor.expand` makes such views).
fn place(view: &View<'_>, start: usize, len: usize) -> Option<Tensor> {
    let size = view.dtype.bitsize() / 8;
    let narrow = |values: &[u64]| -> Option<Vec<usize>> {
        values.iter().map(|&v| usize::try_from(v).ok()).collect()
    };
    let shape = narrow(&view.shape)?;
    let tensor = |shape, place| Tensor {
        dtype: view.dtype,
        shape,
        place,
    };
    if shape.contains(&0) {
        return Some(tensor(shape, Place::Plain(start..start)));
    }
    let mut stride = narrow(&view.stride)?;
    for (s, _) in stride.iter_mut().zip(&shape).filter(|(_, d)| **d == 1) {
        // Never taken, so it may be anything.
        *s = 0;
    }
    let offset = usize::try_from(view.offset).ok()?;
    let elements = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))?;
    let last = shape.iter().zip(&stride).try_fold(offset, |at, (&d, &s)| {
        at.checked_add((d - 1).checked_mul(s)?)
    })?;
    let held = len / size;
    if elements > held || last >= held {
        return None;
    }
    let first = start + offset * size;
    let place = match is_row_major(&shape, &stride) {
        true => Place::Plain(first..first + elements * size),
        false => Place::Strided(Strided::new(first, size, shape.clone(), stride)),
    };
    Some(tensor(shape, place))
}

/// Whether elements lie one behind another; strides along single elements do not matter.
fn is_row_major(shape: &[usize], stride: &[usize]) -> bool {
    let mut expected = 1;
    shape.iter().zip(stride).rev().all(|(&d, &s)| {
        let fits = d == 1 || s == expected;
        expected *= d;
        fits
    })
}
