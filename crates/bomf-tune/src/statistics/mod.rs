//! What merging by statistics must know of a model: its Fisher information, and the inputs of its
//! linear layers.
//!
//! Both are means over examples, without dropout, so that they compare between splits of any size.

mod fisher;
mod gram;

pub use fisher::{Expectation, fisher};
pub use gram::{InputGrams, LayerGram, input_grams};
