//! Tensors that a model may have or lack without being another architecture, by their names.

use crate::weights::Weights;

/// Output heads that share the input embedding where they are not stored.
const HEADS: [&str; 6] = [
    "lm_head.weight",
    "output.weight",
    "embed_out.weight",
    "cls.predictions.decoder.weight",
    "lm_head.decoder.weight",
    "vocab_projector.weight",
];

/// Input embeddings, by the end of their names.
const EMBEDDINGS: [&str; 7] = [
    "embed_tokens.weight",
    "wte.weight",
    "embeddings.word_embeddings.weight",
    "tok_embeddings.weight",
    "embed_in.weight",
    "backbone.embeddings.weight",
    "shared.weight",
];

/// Buffers that code computes anew: old checkpoints have them, new ones do not.
const DERIVED: [&str; 4] = [
    "rotary_emb.inv_freq",
    "position_ids",
    ".attn.bias",
    ".attn.masked_bias",
];

/// Biases of output heads: one number for each token.
const HEAD_BIASES: [&str; 5] = [
    "lm_head.bias",
    "cls.predictions.bias",
    "cls.predictions.decoder.bias",
    "lm_head.decoder.bias",
    "vocab_projector.bias",
];

/// Whether a tensor has a row, or a number, for each token of the vocabulary, by its name.
pub fn is_of_vocabulary(name: &str) -> bool {
    HEADS.contains(&name)
        || HEAD_BIASES.contains(&name)
        || EMBEDDINGS.iter().any(|end| name.ends_with(end))
}

/// Whether a tensor is an output head.
pub(super) fn is_head(name: &str) -> bool {
    HEADS.contains(&name)
}

/// Whether a tensor is a buffer that need not be stored.
pub(super) fn is_derived(name: &str) -> bool {
    DERIVED.iter().any(|end| name.ends_with(end))
}

/// The tensor that stands for `name` in a model that does not store it, because it is tied to it:
/// the input embedding for the output head.
pub(crate) fn tied_to<'a>(model: &'a dyn Weights, name: &str) -> Option<&'a str> {
    if !is_head(name) {
        return None;
    }
    let names = model.names();
    EMBEDDINGS
        .iter()
        .find_map(|end| names.iter().find(|n| n.ends_with(end)).copied())
}
