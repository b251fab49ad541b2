//! Layers, found in the names of tensors.
//!
//! Hugging Face models number their layers in the names: `model.layers.3.mlp.up_proj.weight`,
//! `transformer.h.3.ln_1.weight`, `bert.encoder.layer.3.output.dense.bias`,
//! `encoder.block.3.layer.0.SelfAttention.q.weight`. The first number that follows one of a few
//! words is the layer's; what stands before it names the stack (encoder and decoder are two).

use std::collections::BTreeMap;

/// The words that a layer's number follows.
const WORDS: [&str; 6] = ["layers", "layer", "h", "block", "blocks", "resblocks"];

/// A tensor's name, taken apart at its layer's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerName<'a> {
    /// All before the number, its full stop included: the name of the stack.
    pub stack: &'a str,
    /// The layer's number.
    pub layer: usize,
    /// All behind the number, its full stop included.
    pub rest: &'a str,
}

impl<'a> LayerName<'a> {
    /// Takes a name apart; `None` for a tensor that belongs to no layer.
    pub fn of(name: &'a str) -> Option<Self> {
        let mut start = 0;
        let mut before = "";
        for part in name.split('.') {
            let end = start + part.len();
            let is_number = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            if is_number && WORDS.contains(&before) {
                return Some(Self {
                    stack: &name[..start],
                    layer: part.parse().ok()?,
                    rest: &name[end..],
                });
            }
            before = part;
            start = (end + 1).min(name.len());
        }
        None
    }

    /// The name of the same tensor in another layer.
    pub fn at(&self, layer: usize) -> String {
        format!("{}{layer}{}", self.stack, self.rest)
    }
}

/// The stacks of layers that tensors of these names make up, and the number of layers of each.
pub(crate) fn stacks<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    let mut stacks = BTreeMap::new();
    for name in names.into_iter().filter_map(LayerName::of) {
        let layers = stacks.entry(name.stack).or_insert(0);
        *layers = (*layers).max(name.layer + 1);
    }
    stacks
}

/// Where a layer stands among `layers`, from 0 to 1; the only one stands at 1, as in mergekit.
pub(super) fn place(layer: usize, layers: usize) -> f64 {
    match layers {
        0 | 1 => 1.0,
        n => layer as f64 / (n - 1) as f64,
    }
}

/// Whether a tensor outside the layers comes before them: embeddings and what belongs to them.
/// (Norms, pooler and heads come after.)
pub(crate) fn is_before_layers(name: &str) -> bool {
    let is_embedding = ["embed", "embd", "wte", "wpe", "relative_pe", "rotary_pos"];
    is_embedding.iter().any(|part| name.contains(part)) && !name.contains("embed_out")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_found_in_names() {
        for (name, expected) in [
            ("model.layers.3.mlp.w", Some(("model.layers.", 3, ".mlp.w"))),
            ("h.12.ln_1.weight", Some(("h.", 12, ".ln_1.weight"))),
            (
                "encoder.block.1.layer.0.q",
                Some(("encoder.block.", 1, ".layer.0.q")),
            ),
            ("layers.0", Some(("layers.", 0, ""))),
            ("classifier.0.weight", None),
            ("model.layers.weight", None),
            ("model.norm.weight", None),
            ("layers.99999999999999999999999.w", None),
            ("layers..0", None),
            ("", None),
        ] {
            let found = LayerName::of(name).map(|n| (n.stack, n.layer, n.rest));
            assert_eq!(found, expected, "{name}");
        }
        let name = LayerName::of("model.layers.3.mlp.w").unwrap();
        assert_eq!(name.at(10), "model.layers.10.mlp.w");
    }

    #[test]
    fn each_stack_has_its_number_of_layers() {
        let names = [
            "decoder.block.1.a",
            "decoder.block.0.a",
            "encoder.block.3.a",
            "x",
        ];
        let stacks = stacks(names);
        assert_eq!(stacks.len(), 2);
        assert_eq!(stacks["decoder.block."], 2);
        assert_eq!(stacks["encoder.block."], 4);
    }

    #[test]
    fn embeddings_come_before_the_layers_and_heads_after() {
        for name in ["model.embed_tokens.weight", "transformer.wpe.weight"] {
            assert!(is_before_layers(name), "{name}");
        }
        for name in ["model.norm.weight", "lm_head.weight", "embed_out.weight"] {
            assert!(!is_before_layers(name), "{name}");
        }
    }
}
