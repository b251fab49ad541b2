//! Which parts of which tensors belong to one unit, by the names that architectures give them.
//!
//! Known are BERT, RoBERTa and their kind, DistilBERT, GPT-2, and what is named like Llama
//! (Mistral, Qwen, Gemma). What is named otherwise is left as it is.

use crate::error::{FuseError, Result};
use crate::plan::LayerName;
use crate::weights::Weights;

/// The attention heads of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// Heads of the queries.
    pub queries: usize,
    /// Heads of keys and values; they divide those of the queries.
    pub key_values: usize,
}

/// A part of a tensor along one axis: unit u has its elements from `start + u width` on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The tensor's name.
    pub tensor: String,
    /// The axis that the units lie along.
    pub axis: usize,
    /// Where the first begins.
    pub start: usize,
    /// Elements of a unit along the axis.
    pub width: usize,
}

impl Part {
    /// Whether a tensor of this shape has room for so many units.
    pub(super) fn fits(&self, shape: &[usize], units: usize) -> bool {
        let length = shape.get(self.axis).copied().unwrap_or(0);
        self.start + units * self.width <= length
    }
}

/// Units that may change places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What it is called: the layer and what of it.
    pub name: String,
    /// How many units.
    pub units: usize,
    /// What makes and what reads them.
    pub parts: Vec<Part>,
    /// Units within each unit, and their parts: unit i of unit u is number `u members + i`.
    pub within: Option<(usize, Vec<Part>)>,
}

/// A linear layer's module, and the shape it is stored in.
struct Attention {
    query: &'static str,
    key: &'static str,
    value: &'static str,
    output: &'static str,
}

const ATTENTION: [Attention; 3] = [
    Attention {
        query: "attention.self.query",
        key: "attention.self.key",
        value: "attention.self.value",
        output: "attention.output.dense",
    },
    Attention {
        query: "attention.q_lin",
        key: "attention.k_lin",
        value: "attention.v_lin",
        output: "attention.out_lin",
    },
    Attention {
        query: "self_attn.q_proj",
        key: "self_attn.k_proj",
        value: "self_attn.v_proj",
        output: "self_attn.o_proj",
    },
];

/// What makes the hidden units of a feed-forward block, and what reads them.
const FEED_FORWARD: [(&[&str], &str); 3] = [
    (&["intermediate.dense"], "output.dense"),
    (&["ffn.lin1"], "ffn.lin2"),
    (&["mlp.gate_proj", "mlp.up_proj"], "mlp.down_proj"),
];

/// Those of GPT-2, stored as `[in, out]`.
const GPT2_ATTENTION: (&str, &str) = ("attn.c_attn", "attn.c_proj");
const GPT2_FEED_FORWARD: (&str, &str) = ("mlp.c_fc", "mlp.c_proj");

/// The units of all layers of a model.
///
/// # Errors
/// [`FuseError::BadHeads`] where the heads do not divide a projection;
/// [`FuseError::NothingToAlign`] where no layer has names that are known.
pub fn groups(model: &dyn Weights, heads: Heads) -> Result<Vec<Group>> {
    let mut layers: Vec<(String, usize)> = Vec::new();
    for name in model.names().into_iter().filter_map(LayerName::of) {
        let layer = (name.stack.to_owned(), name.layer);
        if !layers.contains(&layer) {
            layers.push(layer);
        }
    }
    layers.sort();
    let mut groups = Vec::new();
    for (stack, layer) in layers {
        let layer = Layer {
            model,
            heads,
            prefix: format!("{stack}{layer}."),
        };
        groups.extend(layer.feed_forward()?);
        groups.extend(layer.attention()?);
    }
    match groups.is_empty() {
        true => Err(FuseError::NothingToAlign {
            model: model.name(),
        }),
        false => Ok(groups),
    }
}

struct Layer<'a> {
    model: &'a dyn Weights,
    heads: Heads,
    prefix: String,
}

impl Layer<'_> {
    /// A module's weight as parts along an axis of its outputs or inputs, and its bias where the
    /// units are its outputs.
    fn module(&self, module: &str, of: Side, start: usize, width: usize) -> Vec<Part> {
        let (axis, is_output) = match of {
            Side::Outputs { axis } => (axis, true),
            Side::Inputs { axis } => (axis, false),
        };
        let part = |name: &str, axis| Part {
            tensor: format!("{}{module}.{name}", self.prefix),
            axis,
            start,
            width,
        };
        let mut parts = vec![part("weight", axis)];
        let bias = part("bias", 0);
        if is_output && self.model.info(&bias.tensor).is_some() {
            parts.push(bias);
        }
        parts
    }

    /// The length of an axis of a module's weight, where there is a matrix of the name.
    fn length(&self, module: &str, axis: usize) -> Option<usize> {
        let info = self
            .model
            .info(&format!("{}{module}.weight", self.prefix))?;
        match info.shape {
            &[rows, columns] => Some([rows, columns][axis]),
            _ => None,
        }
    }

    fn feed_forward(&self) -> Result<Option<Group>> {
        let plain = FEED_FORWARD.into_iter().find_map(|(up, down)| {
            let units = self.length(down, 1)?;
            let fits = |module: &&str| self.length(module, 0) == Some(units);
            up.iter().all(fits).then_some((up, down, units))
        });
        let name = format!("{}feed-forward", self.prefix);
        if let Some((up, down, units)) = plain {
            let outputs = Side::Outputs { axis: 0 };
            let made = up.iter().flat_map(|m| self.module(m, outputs, 0, 1));
            let mut parts: Vec<Part> = made.collect();
            parts.extend(self.module(down, Side::Inputs { axis: 1 }, 0, 1));
            return Ok(Some(Group::plain(name, units, parts)));
        }
        let (up, down) = GPT2_FEED_FORWARD;
        Ok(match (self.length(up, 1), self.length(down, 0)) {
            (Some(units), Some(read)) if units == read => {
                let mut parts = self.module(up, Side::Outputs { axis: 1 }, 0, 1);
                parts.extend(self.module(down, Side::Inputs { axis: 0 }, 0, 1));
                Some(Group::plain(name, units, parts))
            }
            _ => None,
        })
    }

    fn attention(&self) -> Result<Option<Group>> {
        let name = format!("{}attention", self.prefix);
        let (made, read) = GPT2_ATTENTION;
        if let (Some(outputs), Some(width)) = (self.length(made, 1), self.length(read, 0))
            && outputs == 3 * width
        {
            let units = self.heads.queries;
            let head = self.divided(made, width, units)?;
            let three = [0, width, 2 * width];
            let made = three
                .into_iter()
                .flat_map(|start| self.module(made, Side::Outputs { axis: 1 }, start, head));
            let mut parts: Vec<Part> = made.collect();
            parts.extend(self.module(read, Side::Inputs { axis: 0 }, 0, head));
            return Ok(Some(Group::plain(name, units, parts)));
        }
        let known = |a: &&Attention| self.length(a.query, 0).is_some();
        let Some(of) = ATTENTION.iter().find(known) else {
            return Ok(None);
        };
        let Heads {
            queries,
            key_values,
        } = self.heads;
        let lengths = (
            self.length(of.query, 0),
            self.length(of.key, 0),
            self.length(of.value, 0),
            self.length(of.output, 1),
        );
        let (Some(query), Some(key), Some(value), Some(output)) = lengths else {
            return Ok(None);
        };
        let head = self.divided(of.query, query, queries)?;
        let is_whole = key_values > 0 && queries.is_multiple_of(key_values);
        if !is_whole || (key, value, output) != (key_values * head, key_values * head, query) {
            return Err(self.bad_heads(of.key, key));
        }
        let outputs = Side::Outputs { axis: 0 };
        let mut parts = self.module(of.key, outputs, 0, head);
        parts.extend(self.module(of.value, outputs, 0, head));
        let mut of_queries = self.module(of.query, outputs, 0, head);
        of_queries.extend(self.module(of.output, Side::Inputs { axis: 1 }, 0, head));
        let group = queries / key_values;
        Ok(Some(match group {
            1 => {
                parts.extend(of_queries);
                Group::plain(name, queries, parts)
            }
            _ => Group {
                name,
                units: key_values,
                parts,
                within: Some((group, of_queries)),
            },
        }))
    }

    /// The width of a head.
    fn divided(&self, module: &str, length: usize, heads: usize) -> Result<usize> {
        match heads > 0 && length.is_multiple_of(heads) {
            true => Ok(length / heads),
            false => Err(self.bad_heads(module, length)),
        }
    }

    fn bad_heads(&self, module: &str, length: usize) -> FuseError {
        FuseError::BadHeads {
            tensor: format!("{}{module}.weight", self.prefix),
            length,
            heads: self.heads,
        }
    }
}

/// Whether units are what a module puts out or what it reads, and along which axis they lie.
#[derive(Clone, Copy)]
enum Side {
    Outputs { axis: usize },
    Inputs { axis: usize },
}

impl Group {
    fn plain(name: String, units: usize, parts: Vec<Part>) -> Self {
        Self {
            name,
            units,
            parts,
            within: None,
        }
    }
}
