//! A tensor that does not lie row by row in the file, such as a transposed one.

use std::sync::OnceLock;

/// How such a tensor is found in the file; its elements are gathered when they are first asked
/// for, and kept.
#[derive(Debug)]
pub(crate) struct Strided {
    /// The first element's first byte.
    first: usize,
    /// Bytes of an element.
    size: usize,
    shape: Vec<usize>,
    /// In elements.
    stride: Vec<usize>,
    gathered: OnceLock<Vec<u8>>,
}

impl Strided {
    /// The caller has checked that every element lies within the file.
    pub(super) fn new(first: usize, size: usize, shape: Vec<usize>, stride: Vec<usize>) -> Self {
        Self {
            first,
            size,
            shape,
            stride,
            gathered: OnceLock::new(),
        }
    }

    /// The elements, row-major.
    pub(crate) fn bytes(&self, file: &[u8]) -> &[u8] {
        self.gathered.get_or_init(|| self.gather(file))
    }

    fn gather(&self, file: &[u8]) -> Vec<u8> {
        let elements: usize = self.shape.iter().product();
        let mut out = Vec::with_capacity(elements * self.size);
        let mut index = vec![0; self.shape.len()];
        let mut at = self.first;
        for _ in 0..elements {
            out.extend_from_slice(&file[at..at + self.size]);
            // Like an odometer: the last dimension turns fastest.
            for d in (0..index.len()).rev() {
                index[d] += 1;
                at += self.stride[d] * self.size;
                if index[d] < self.shape[d] {
                    break;
                }
                at -= self.shape[d] * self.stride[d] * self.size;
                index[d] = 0;
            }
        }
        out
    }
}
