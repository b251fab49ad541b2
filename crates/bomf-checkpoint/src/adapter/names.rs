//! What the name of a tensor in an adapter says.

/// What PEFT puts before the base model's own names.
pub(super) const PREFIX: &str = "base_model.model.";

/// What a tensor is to its module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    A,
    B,
    EmbeddingA,
    EmbeddingB,
    Magnitude,
    /// No factor: the tensor itself.
    Saved,
}

/// The endings of names, by role. Early DoRA wrote `.weight` behind magnitudes too.
const ENDINGS: [(&str, Role); 6] = [
    (".lora_A.weight", Role::A),
    (".lora_B.weight", Role::B),
    (".lora_embedding_A", Role::EmbeddingA),
    (".lora_embedding_B", Role::EmbeddingB),
    (".lora_magnitude_vector", Role::Magnitude),
    (".lora_magnitude_vector.weight", Role::Magnitude),
];

/// The module of the base model that a factor belongs to, or the base tensor that a whole tensor
/// replaces; `None` for names of other kinds of adapters.
pub(super) fn parse(name: &str) -> Option<(String, Role)> {
    let name = name.strip_prefix(PREFIX)?;
    for (ending, role) in ENDINGS {
        if let Some(module) = name.strip_suffix(ending) {
            return Some((module.to_owned(), role));
        }
    }
    // `lora_B.bias`, `lora_diag` and whatever else is to come.
    if name.contains(".lora_") {
        return None;
    }
    // An adapted module is wrapped: what was its own lies in `base_layer`.
    Some((name.replace(".base_layer.", "."), Role::Saved))
}
