//! A search as it is written down, with where its generator stands.

use super::setup::Setup;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// The version of [`Stored`].
pub const FORMAT: u32 = 1;

/// A search as it is written down.
#[derive(Serialize, Deserialize)]
pub struct Stored {
    pub format: u32,
    pub bomf: String,
    pub setup: Setup,
    pub engine: serde_json::Value,
    pub rng: Generator,
}

/// Where a generator stands.
#[derive(Serialize, Deserialize)]
pub struct Generator {
    seed: [u8; 32],
    stream: u64,
    /// In words of 32 bits.
    position: u128,
}

impl From<&ChaCha8Rng> for Generator {
    fn from(rng: &ChaCha8Rng) -> Self {
        Generator {
            seed: rng.get_seed(),
            stream: rng.get_stream(),
            position: rng.get_word_pos(),
        }
    }
}

impl Generator {
    pub fn rng(&self) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::from_seed(self.seed);
        rng.set_stream(self.stream);
        rng.set_word_pos(self.position);
        rng
    }
}
