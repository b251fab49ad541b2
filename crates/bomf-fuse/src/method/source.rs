//! Where a tensor's elements are read.

/// Elements that pass through `f32` at a time.
const NARROW: usize = 1024;

/// A tensor's elements, readable in any part, as `f32`, row-major.
pub trait Source: Sync {
    /// The number of elements.
    fn len(&self) -> usize;

    /// Writes the elements from `start` on to `out`.
    ///
    /// # Panics
    /// If the part does not lie within the tensor.
    fn read(&self, start: usize, out: &mut [f32]);

    /// Writes the elements from `start` on to `out` as `f64`, exactly where they are stored so.
    ///
    /// # Panics
    /// If the part does not lie within the tensor.
    fn read_f64(&self, start: usize, out: &mut [f64]) {
        let mut narrow = [0.0; NARROW];
        for (i, out) in out.chunks_mut(NARROW).enumerate() {
            let narrow = &mut narrow[..out.len()];
            self.read(start + i * NARROW, narrow);
            for (out, x) in out.iter_mut().zip(narrow) {
                *out = f64::from(*x);
            }
        }
    }

    /// The elements where they lie, if they are `f32` in memory: nothing needs to be copied then.
    fn as_slice(&self) -> Option<&[f32]> {
        None
    }

    /// Whether there are no elements.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Source for [f32] {
    fn len(&self) -> usize {
        <[f32]>::len(self)
    }

    fn read(&self, start: usize, out: &mut [f32]) {
        out.copy_from_slice(&self[start..start + out.len()]);
    }

    fn as_slice(&self) -> Option<&[f32]> {
        Some(self)
    }
}

impl<S: Source + ?Sized> Source for &S {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn read(&self, start: usize, out: &mut [f32]) {
        (**self).read(start, out);
    }

    fn read_f64(&self, start: usize, out: &mut [f64]) {
        (**self).read_f64(start, out);
    }

    fn as_slice(&self) -> Option<&[f32]> {
        (**self).as_slice()
    }
}

impl Source for Vec<f32> {
    fn len(&self) -> usize {
        self[..].len()
    }

    fn read(&self, start: usize, out: &mut [f32]) {
        self[..].read(start, out);
    }

    fn as_slice(&self) -> Option<&[f32]> {
        Some(self)
    }
}
