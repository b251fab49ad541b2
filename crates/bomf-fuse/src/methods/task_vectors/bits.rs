//! Masks of a whole tensor at one bit an element, piece by piece.

/// Masks made once to be used again.
pub(super) struct Bits {
    /// Elements of a piece; each piece begins with a new byte.
    piece: usize,
    bytes: Vec<u8>,
}

impl Bits {
    pub(super) fn new(piece: usize) -> Self {
        Self {
            piece,
            bytes: Vec::new(),
        }
    }

    /// The bytes of a piece's mask of zeros and ones.
    pub(super) fn pack(mask: &[u8]) -> Vec<u8> {
        let byte = |bits: &[u8]| {
            let bits = bits.iter().enumerate();
            bits.fold(0, |byte, (k, bit)| byte | bit << k)
        };
        mask.chunks(8).map(byte).collect()
    }

    /// Adds the next piece.
    pub(super) fn push(&mut self, packed: &[u8]) {
        self.bytes.extend_from_slice(packed);
    }

    /// Writes the mask of the elements from `start` on, all of one piece.
    pub(super) fn unpack(&self, start: usize, mask: &mut [u8]) {
        let (piece, mut at) = (start / self.piece, start % self.piece);
        let bytes = &self.bytes[piece * self.piece.div_ceil(8)..];
        let mut rest = mask;
        while !rest.is_empty() {
            // Up to the end of a byte, so that whole bytes follow.
            let head = (8 - at % 8).min(rest.len());
            if head < 8 {
                let (now, later) = rest.split_at_mut(head);
                for (k, mask) in now.iter_mut().enumerate() {
                    *mask = bytes[at / 8] >> (at % 8 + k) & 1;
                }
                rest = later;
                at += head;
                continue;
            }
            let whole = rest.len() / 8;
            let (now, later) = rest.split_at_mut(whole * 8);
            let (chunks, _) = now.as_chunks_mut::<8>();
            for (chunk, byte) in chunks.iter_mut().zip(&bytes[at / 8..]) {
                for (k, mask) in chunk.iter_mut().enumerate() {
                    *mask = byte >> k & 1;
                }
            }
            rest = later;
            at += whole * 8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Bits;

    #[test]
    fn what_is_packed_is_unpacked_in_any_parts() {
        let mask: Vec<u8> = (0..100usize).map(|i| u8::from(i * i % 7 < 3)).collect();
        let mut bits = Bits::new(13);
        for piece in mask.chunks(13) {
            bits.push(&Bits::pack(piece));
        }
        for (i, piece) in mask.chunks(13).enumerate() {
            for from in 0..piece.len() {
                for to in from..=piece.len() {
                    let mut out = vec![9; to - from];
                    bits.unpack(i * 13 + from, &mut out);
                    assert_eq!(out, piece[from..to]);
                }
            }
        }
    }
}
