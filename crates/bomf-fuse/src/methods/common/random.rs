//! Random numbers that depend on their place alone.
//!
//! The draw for an element is a hash of the seed, the tensor's name, the model's number and the
//! element's number. So it is the same whichever thread asks, in whatever order, and for whatever
//! block of the tensor.
//!
//! The hash mixes the element's number in three rounds of shift and multiplication, with the
//! constants of `triple32` (C. Wellons, "hash-prospector"), whose bias is close to the least that
//! 32 bits allow. A key of its own goes into each round, so that the draws of two models are no
//! rearrangement of each other.

use multiversion::multiversion;

/// The draws of one model for one tensor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draws {
    key: u64,
}

impl Draws {
    /// The draws for model `model` of the tensor `name` under a recipe's seed.
    pub(crate) fn new(seed: u64, name: &str, model: usize) -> Self {
        // FNV-1a of the name.
        let name = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self {
            key: mix(mix(mix(seed) ^ name).wrapping_add(model as u64)),
        }
    }

    /// The draws of the elements from `start` on, uniform over all `u32`.
    pub(crate) fn fill(&self, start: usize, out: &mut [u32]) {
        let mut start = start as u64;
        let mut rest = out;
        while !rest.is_empty() {
            // The upper half of an element's number picks the keys, the lower half is hashed.
            let left = (1u64 << 32) - (start & 0xffff_ffff);
            let (now, later) = rest.split_at_mut((rest.len() as u64).min(left) as usize);
            let a = mix(self.key.wrapping_add(start >> 32));
            let b = mix(a);
            let keys = [a as u32, (a >> 32) as u32, b as u32];
            hash(keys, start as u32, now);
            start += now.len() as u64;
            rest = later;
        }
    }
}

/// How many of the 2^32 draws make an event of probability `p < 1`.
pub(crate) fn below(p: f64) -> u32 {
    (p * 4_294_967_296.0) as u32
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014), after adding its increment.
fn mix(z: u64) -> u64 {
    let z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn hash(keys: [u32; 3], start: u32, out: &mut [u32]) {
    for (i, out) in out.iter_mut().enumerate() {
        let mut x = start.wrapping_add(i as u32) ^ keys[0];
        x ^= x >> 17;
        x = x.wrapping_mul(0xed5a_d4bb).wrapping_add(keys[1]);
        x ^= x >> 11;
        x = x.wrapping_mul(0xac4c_1b51).wrapping_add(keys[2]);
        x ^= x >> 15;
        x = x.wrapping_mul(0x3184_8bab);
        *out = x ^ (x >> 14);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws of this many elements: a standard deviation of 1/1024 for a share of one half.
    const N: usize = 1 << 18;

    #[test]
    fn draws_are_the_same_in_any_parts_and_across_the_word() {
        let draws = Draws::new(7, "model.norm.weight", 3);
        let first = (1usize << 32) - 100;
        let mut whole = vec![0; 300];
        draws.fill(first, &mut whole);
        let mut parts = vec![0; 300];
        for (i, part) in parts.chunks_mut(7).enumerate() {
            draws.fill(first + 7 * i, part);
        }
        assert_eq!(whole, parts);
        let mut again = whole.clone();
        draws.fill(0, &mut again[..200]);
        assert_ne!(&whole[100..], &again[..200], "the upper word counts");
    }

    #[test]
    fn every_bit_is_fair_and_streams_are_unlike() {
        let streams = [
            Draws::new(0, "a", 0),
            Draws::new(0, "a", 1),
            Draws::new(0, "b", 0),
            Draws::new(1, "a", 0),
        ];
        let drawn: Vec<Vec<u32>> = streams
            .iter()
            .map(|s| {
                let mut out = vec![0; N];
                s.fill(0, &mut out);
                out
            })
            .collect();
        // Six standard deviations; the draws are fixed, so this either holds or does not.
        let fair = |count: usize| (count as f64 / N as f64 - 0.5).abs() < 6.0 / 1024.0;
        let ones = |bits: &[u32], k: u32| bits.iter().filter(|x| (*x >> k) & 1 == 1).count();
        for a in &drawn {
            assert!((0..32).all(|k| fair(ones(a, k))));
            let neighbours: Vec<u32> = a.windows(2).map(|w| w[0] ^ w[1]).collect();
            assert!((0..32).all(|k| fair(ones(&neighbours, k))));
        }
        for i in 0..drawn.len() {
            for j in 0..i {
                let both: Vec<u32> = drawn[i].iter().zip(&drawn[j]).map(|(a, b)| a ^ b).collect();
                assert!((0..32).all(|k| fair(ones(&both, k))), "{i} and {j}");
            }
        }
    }

    #[test]
    fn an_event_has_its_probability() {
        assert_eq!(below(0.0), 0);
        assert_eq!(below(0.5), 1 << 31);
        let mut out = vec![0; N];
        Draws::new(3, "w", 0).fill(5, &mut out);
        for p in [0.01, 0.3, 0.9] {
            let share = out.iter().filter(|x| **x < below(p)).count() as f64 / N as f64;
            let deviation = (p * (1.0 - p) / N as f64).sqrt();
            assert!((share - p).abs() < 6.0 * deviation, "{share} for {p}");
        }
    }
}
