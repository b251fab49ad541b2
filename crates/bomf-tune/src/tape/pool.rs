//! Buffers that are used again from step to step.
//!
//! The same sizes come back in every step; asking the system for fresh pages each
//! time costs more than some of the operations.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

/// A free buffer serves a request if it is at most this much larger.
const SLACK: f64 = 1.5;

#[derive(Debug, Default)]
struct Free(RefCell<Vec<Vec<f32>>>);

/// A store of free buffers; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Pool(Rc<Free>);

/// `f32`s on loan from a [`Pool`], given back when dropped.
#[derive(Debug)]
pub struct Buffer {
    data: Vec<f32>,
    len: usize,
    pool: Pool,
}

impl Pool {
    /// A buffer of `len` numbers, what they hold left open.
    pub fn take(&self, len: usize) -> Buffer {
        let mut free = self.0.0.borrow_mut();
        let limit = (len as f64 * SLACK) as usize;
        let fitting = (0..free.len())
            .filter(|&i| (len..=limit).contains(&free[i].len()))
            .min_by_key(|&i| free[i].len());
        let data = match fitting {
            Some(i) => free.swap_remove(i),
            None => {
                // A buffer that has become too small makes way for the new one, so
                // the pool does not grow with the variety of sizes.
                let outgrown = (0..free.len())
                    .filter(|&i| free[i].len() < len && free[i].len() as f64 * SLACK >= len as f64)
                    .max_by_key(|&i| free[i].len());
                if let Some(i) = outgrown {
                    free.swap_remove(i);
                }
                vec![0.0; len + len / 16]
            }
        };
        Buffer {
            data,
            len,
            pool: self.clone(),
        }
    }
}

impl Pool {
    /// How many numbers its free buffers hold.
    pub fn numbers(&self) -> usize {
        self.0.0.borrow().iter().map(Vec::len).sum()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let data = std::mem::take(&mut self.data);
        if !data.is_empty() {
            self.pool.0.0.borrow_mut().push(data);
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.data[..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.data[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_buffer_serves_the_next_request_of_its_size() {
        let pool = Pool::default();
        let first = pool.take(1000);
        let address = first.as_ptr();
        drop(first);
        assert_eq!(pool.take(990).as_ptr(), address);
    }

    #[test]
    fn growing_requests_do_not_pile_up_buffers() {
        let pool = Pool::default();
        for len in 1000..2000 {
            assert_eq!(pool.take(len).len(), len);
        }
        let held: usize = pool.0.0.borrow().iter().map(Vec::len).sum();
        assert!(held < 5000, "{held} numbers kept");
    }
}
