//! Passes over inputs that may be larger than memory.
//!
//! Tensors are read in pieces of a fixed size, several at a time. What is counted may be added up
//! in any order ([`count`]); what is summed in floating point is summed piece by piece in their
//! order ([`in_order`]). Either way the outcome is the same for any number of threads.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use crate::method::{Block, Inputs, Source};

/// The elements of a piece: eight inputs of 64 KiB fit a second-level cache.
pub(crate) const PIECE: usize = 1 << 14;

/// How many pieces' results wait to be joined at a time.
const WINDOW: usize = 256;

/// Memory to read pieces into.
#[derive(Default)]
pub(crate) struct Buffers(Vec<Vec<f32>>);

impl Buffers {
    /// Runs `work` on `len` elements of the inputs from `start` on.
    pub(crate) fn with_block<T>(
        &mut self,
        inputs: &Inputs<'_>,
        start: usize,
        len: usize,
        work: impl FnOnce(&Block<'_>) -> T,
    ) -> T {
        self.0.resize(inputs.models.len() + 1, Vec::new());
        let (for_base, for_models) = self.0.split_last_mut().expect("one buffer at least");
        let base = inputs.base.map(|base| view(base, start, len, for_base));
        let models = inputs.models.iter().zip(for_models);
        let models: Vec<&[f32]> = models
            .map(|(model, buffer)| view(*model, start, len, buffer))
            .collect();
        work(&Block {
            start,
            models: &models,
            base,
        })
    }
}

/// A part of a tensor: where it lies if it can be seen there, or else read into the buffer.
pub(crate) fn view<'a>(
    source: &'a dyn Source,
    start: usize,
    len: usize,
    buffer: &'a mut Vec<f32>,
) -> &'a [f32] {
    match source.as_slice() {
        Some(values) => &values[start..start + len],
        None => {
            buffer.resize(len, 0.0);
            source.read(start, buffer);
            buffer
        }
    }
}

/// Runs `work` on all pieces of `piece` elements, and `join` on its results in the order of the
/// pieces, until that breaks off.
pub(crate) fn in_order<T: Send>(
    inputs: &Inputs<'_>,
    piece: usize,
    work: impl Fn(&Block<'_>) -> T + Sync,
    mut join: impl FnMut(T) -> ControlFlow<()>,
) {
    let len = inputs.len();
    let pieces = len.div_ceil(piece);
    for window in (0..pieces).step_by(WINDOW) {
        let results: Vec<T> = (window..pieces.min(window + WINDOW))
            .into_par_iter()
            .map_init(Buffers::default, |buffers, i| {
                let start = i * piece;
                buffers.with_block(inputs, start, piece.min(len - start), &work)
            })
            .collect();
        for result in results {
            if join(result).is_break() {
                return;
            }
        }
    }
}

/// The sum of vectors over all pieces of `piece` elements, in their order.
pub(crate) fn sum(
    inputs: &Inputs<'_>,
    piece: usize,
    zero: Vec<f64>,
    work: impl Fn(&Block<'_>) -> Vec<f64> + Sync,
) -> Vec<f64> {
    let mut total = zero;
    in_order(inputs, piece, work, |part| {
        for (total, part) in total.iter_mut().zip(part) {
            *total += part;
        }
        ControlFlow::Continue(())
    });
    total
}

/// Runs `add` on all pieces of [`PIECE`] elements, each thread with a counter of its own, and
/// gives the counters back. Nothing but the order of the additions depends on the threads.
pub(crate) fn count<A: Send>(
    inputs: &Inputs<'_>,
    new: impl Fn() -> A + Sync,
    add: impl Fn(&mut A, &Block<'_>) + Sync,
) -> Vec<A> {
    let len = inputs.len();
    let pieces = len.div_ceil(PIECE);
    let next = AtomicUsize::new(0);
    (0..pieces.min(rayon::current_num_threads()))
        .into_par_iter()
        .with_max_len(1)
        .map(|_| {
            let mut counter = new();
            let mut buffers = Buffers::default();
            loop {
                let piece = next.fetch_add(1, Ordering::Relaxed);
                if piece >= pieces {
                    return counter;
                }
                let start = piece * PIECE;
                buffers.with_block(inputs, start, PIECE.min(len - start), |block| {
                    add(&mut counter, block);
                });
            }
        })
        .collect()
}
