//! One piece of one tensor.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use bomf_checkpoint::{Dtype, Encoded, encode_f32, encode_f64};

use crate::method::{Block, Fuser, Inputs, Source};

/// Room for one piece, kept from one to the next.
#[derive(Default)]
pub(super) struct Buffers {
    values: Vec<f32>,
    wide: Vec<f64>,
    /// The piece in the output's type.
    pub bytes: Vec<u8>,
}

/// Buffers that no thread is using.
#[derive(Default)]
pub(super) struct Pool(Mutex<Vec<Buffers>>);

impl Pool {
    /// Lends buffers to `work`, which must not wait for other work of the pool.
    pub fn with<T>(&self, work: impl FnOnce(&mut Buffers) -> T) -> T {
        let free = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffers = free().pop().unwrap_or_default();
        let result = work(&mut buffers);
        free().push(buffers);
        result
    }
}

/// Some elements of a tensor to be made.
pub(super) struct Piece<'a> {
    pub inputs: &'a Inputs<'a>,
    pub fuser: &'a dyn Fuser,
    /// The output's type.
    pub dtype: Dtype,
    /// The elements.
    pub range: Range<usize>,
    /// How many are fused at a time.
    pub block: usize,
    /// Whether they are fused in `f64`.
    pub is_wide: bool,
}

impl Piece<'_> {
    /// Makes it into `buffers.bytes`.
    pub fn make(&self, buffers: &mut Buffers) -> Encoded {
        if self.is_wide {
            return self.make_wide(buffers);
        }
        let inputs = || self.inputs.models.iter().copied().chain(self.inputs.base);
        let count = inputs().count();
        let size = self.dtype.bitsize() / 8;
        buffers.bytes.resize(self.range.len() * size, 0);
        buffers.values.resize((count + 1) * self.block, 0.0);
        let (out, room) = buffers.values.split_at_mut(self.block);
        let mut total = Encoded::default();
        for (i, bytes) in buffers.bytes.chunks_mut(self.block * size).enumerate() {
            let start = self.range.start + i * self.block;
            let length = bytes.len() / size;
            let mut views: Vec<&[f32]> = Vec::with_capacity(count);
            for (input, room) in inputs().zip(room.chunks_exact_mut(self.block)) {
                views.push(view(input, start, &mut room[..length]));
            }
            let (models, base) = views.split_at(self.inputs.models.len());
            let block = Block {
                start,
                models,
                base: base.first().copied(),
            };
            let out = &mut out[..length];
            self.fuser.fuse(&block, out);
            total += encode_f32(self.dtype, out, bytes).unwrap_or_default();
        }
        total
    }

    /// As [`make`](Self::make), in `f64`, with half as many elements at a time.
    fn make_wide(&self, buffers: &mut Buffers) -> Encoded {
        let models = &self.inputs.models;
        let size = self.dtype.bitsize() / 8;
        let block = (self.block / 2).max(1);
        buffers.bytes.resize(self.range.len() * size, 0);
        buffers.wide.resize((models.len() + 1) * block, 0.0);
        let (out, room) = buffers.wide.split_at_mut(block);
        let mut total = Encoded::default();
        for (i, bytes) in buffers.bytes.chunks_mut(block * size).enumerate() {
            let start = self.range.start + i * block;
            let length = bytes.len() / size;
            for (model, room) in models.iter().zip(room.chunks_exact_mut(block)) {
                model.read_f64(start, &mut room[..length]);
            }
            let views = room.chunks_exact(block).map(|room| &room[..length]);
            let views: Vec<&[f64]> = views.take(models.len()).collect();
            let out = &mut out[..length];
            let is_done = self.fuser.fuse_wide(&views, out);
            debug_assert!(is_done, "the method says that it can");
            total += encode_f64(self.dtype, out, bytes).unwrap_or_default();
        }
        total
    }
}

/// The elements from `start` on: where they lie, or else read into `room`.
fn view<'a>(input: &'a dyn Source, start: usize, room: &'a mut [f32]) -> &'a [f32] {
    match input.as_slice() {
        Some(values) => &values[start..start + room.len()],
        None => {
            input.read(start, room);
            room
        }
    }
}
