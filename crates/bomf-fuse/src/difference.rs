//! How far two tensors are apart: norms, distance and the angle between them.
//!
//! Products and sums run in `f64`, over pieces of a fixed size that are added in their order: the
//! same bits for any number of threads.

use rayon::prelude::*;

use crate::method::Source;

/// Elements of a piece.
const PIECE: usize = 1 << 16;

/// Sums over the elements of two tensors a and b of one shape.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Difference {
    /// `sum a²`.
    pub aa: f64,
    /// `sum b²`.
    pub bb: f64,
    /// `sum a b`.
    pub ab: f64,
    /// `sum (b - a)²`.
    pub dd: f64,
    /// The greatest `|b - a|`.
    pub most: f64,
    /// How many elements differ; NaN differs from everything.
    pub different: u64,
    /// How many elements there are.
    pub elements: u64,
}

impl std::ops::AddAssign for Difference {
    fn add_assign(&mut self, other: Self) {
        self.aa += other.aa;
        self.bb += other.bb;
        self.ab += other.ab;
        self.dd += other.dd;
        self.most = self.most.max(other.most);
        self.different += other.different;
        self.elements += other.elements;
    }
}

impl Difference {
    /// `|b - a|`, Euclid's.
    pub fn norm(&self) -> f64 {
        self.dd.sqrt()
    }

    /// `|b - a| / |a|`; 0 where both are 0, infinite where only a is.
    pub fn relative(&self) -> f64 {
        match self.dd == 0.0 {
            true => 0.0,
            false => (self.dd / self.aa).sqrt(),
        }
    }

    /// The cosine of the angle between a and b; `None` where one of them is 0.
    pub fn cosine(&self) -> Option<f64> {
        let norms = self.aa.sqrt() * self.bb.sqrt();
        (norms > 0.0).then(|| (self.ab / norms).clamp(-1.0, 1.0))
    }
}

/// Compares two tensors as long as each other, on the threads of the current rayon pool.
///
/// # Panics
/// If their lengths differ.
pub fn difference(a: &dyn Source, b: &dyn Source) -> Difference {
    assert_eq!(a.len(), b.len(), "tensors of one shape");
    let pieces: Vec<Difference> = (0..a.len().div_ceil(PIECE))
        .into_par_iter()
        .map_init(
            || (vec![0.0; PIECE], vec![0.0; PIECE]),
            |(of_a, of_b), piece| {
                let start = piece * PIECE;
                let length = PIECE.min(a.len() - start);
                let (of_a, of_b) = (&mut of_a[..length], &mut of_b[..length]);
                a.read(start, of_a);
                b.read(start, of_b);
                of_block(of_a, of_b)
            },
        )
        .collect();
    let mut total = Difference::default();
    pieces.into_iter().for_each(|piece| total += piece);
    total
}

fn of_block(a: &[f32], b: &[f32]) -> Difference {
    let mut sum = Difference {
        elements: a.len() as u64,
        ..Difference::default()
    };
    for (&a, &b) in a.iter().zip(b) {
        let (x, y) = (f64::from(a), f64::from(b));
        let d = y - x;
        sum.aa += x * x;
        sum.bb += y * y;
        sum.ab += x * y;
        sum.dd += d * d;
        sum.most = sum.most.max(d.abs());
        sum.different += u64::from(a != b);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tensor of plain floats.
    struct Plain(Vec<f32>);

    impl Source for Plain {
        fn len(&self) -> usize {
            self.0.len()
        }

        fn read(&self, start: usize, out: &mut [f32]) {
            self.0.read(start, out);
        }
    }

    fn of(a: &[f32], b: &[f32]) -> Difference {
        difference(&Plain(a.to_vec()), &Plain(b.to_vec()))
    }

    #[test]
    fn norms_and_angles_by_hand() {
        let found = of(&[3.0, 0.0], &[3.0, 4.0]);
        assert_eq!((found.norm(), found.most, found.different), (4.0, 4.0, 1));
        assert_eq!(found.relative(), 4.0 / 3.0);
        assert_eq!(found.cosine(), Some(0.6));
    }

    #[test]
    fn zeros_and_equal_tensors_have_no_difference() {
        assert_eq!(of(&[0.0, 0.0], &[0.0, -0.0]).relative(), 0.0);
        assert_eq!(of(&[0.0], &[0.0]).cosine(), None);
        assert_eq!(of(&[0.0], &[1.0]).relative(), f64::INFINITY);
        assert_eq!(of(&[], &[]).norm(), 0.0);
        assert_eq!(of(&[f32::NAN], &[f32::NAN]).different, 1);
    }

    #[test]
    fn many_pieces_are_one_sum() {
        let a = vec![1.0; 3 * PIECE + 7];
        let found = of(&a, &vec![0.5; a.len()]);
        assert_eq!(found.aa, a.len() as f64);
        assert_eq!(found.dd, 0.25 * a.len() as f64);
        assert_eq!(found.elements, a.len() as u64);
    }
}
