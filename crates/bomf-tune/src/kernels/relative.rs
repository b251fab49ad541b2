//! T5's relative positions (Raffel et al. 2020, section 2.1): distances fall into buckets,
//! and each head learns a number a bucket that is added to its scores.
//!
//! Half of the buckets are for one distance each, the other half for ranges that grow
//! logarithmically up to a largest distance. An encoder has buckets of their own for keys
//! behind the query, a decoder sees none of these.

/// How distances fall into buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buckets {
    /// How many there are, at least 4.
    pub count: usize,
    /// The distance from which on all fall into the last.
    pub max_distance: usize,
    /// Whether keys behind the query are told from those before it.
    pub bidirectional: bool,
}

impl Buckets {
    /// The bucket of a key `distance` behind its query, negative for one before it.
    ///
    /// ```
    /// use bomf_tune::kernels::relative::Buckets;
    /// let buckets = Buckets { count: 32, max_distance: 128, bidirectional: true };
    /// assert_eq!([0, -7, 7, -8, 1000].map(|d| buckets.of(d)), [0, 7, 23, 8, 31]);
    /// ```
    pub fn of(self, distance: i64) -> usize {
        let (count, first) = match (self.bidirectional, distance > 0) {
            (true, behind) => (self.count / 2, if behind { self.count / 2 } else { 0 }),
            (false, _) => (self.count, 0),
        };
        let distance = match self.bidirectional {
            true => distance.unsigned_abs() as usize,
            false => distance.min(0).unsigned_abs() as usize,
        };
        let exact = count / 2;
        if distance < exact {
            return first + distance;
        }
        // In `f32`, as the reference rounds it: the edges of the ranges depend on it.
        let ratio = (distance as f32 / exact as f32).ln();
        let range = (self.max_distance as f64 / exact as f64).ln() as f32;
        let above = (ratio / range * (count - exact) as f32) as usize;
        first + (exact + above).min(count - 1)
    }

    /// For each head, the numbers of all distances up to `span - 1` either way, from those
    /// of the buckets: `[heads, 2 span - 1]` from `table` `[buckets, heads]`.
    pub fn spread(self, by_distance: &mut [f32], table: &[f32], span: usize) {
        let heads = table.len() / self.count;
        for i in 0..2 * span - 1 {
            let bucket = self.of(i as i64 - (span as i64 - 1));
            for head in 0..heads {
                by_distance[head * (2 * span - 1) + i] = table[bucket * heads + head];
            }
        }
    }

    /// Adds to the gradient of the table that of the numbers by distance.
    pub fn gather(self, d_table: &mut [f32], d_by_distance: &[f32], span: usize) {
        let heads = d_table.len() / self.count;
        for i in 0..2 * span - 1 {
            let bucket = self.of(i as i64 - (span as i64 - 1));
            for head in 0..heads {
                d_table[bucket * heads + head] += d_by_distance[head * (2 * span - 1) + i];
            }
        }
    }
}
