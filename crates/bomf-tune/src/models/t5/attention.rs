//! An attention's parameters, and how the reference initialises them.

use crate::kernels::relative::Buckets;
use crate::models::config::{Config, EncoderDecoder};
use crate::params::{Init, Layout, Param};
use crate::tape::{Attending, RelativeBias, WindowRows};

/// Projections of an attention, and the norm before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attention {
    pub norm: Param,
    pub query: Param,
    pub key_value: Param,
    pub output: Param,
    /// The bias, of attention within a text.
    pub bias: Option<RelativeBias>,
}

/// Standard deviations by which the reference initialises, before its factor.
pub(super) struct Spread {
    pub query: f32,
    pub hidden: f32,
    pub inner: f32,
    pub wide: f32,
}

impl Spread {
    pub fn new(c: &Config, d: &EncoderDecoder) -> Self {
        let by = |size: usize| c.initializer_range / (size as f32).sqrt();
        Spread {
            query: by(c.hidden_size * d.head_dim),
            hidden: by(c.hidden_size),
            inner: by(c.num_heads * d.head_dim),
            wide: by(c.intermediate_size),
        }
    }
}

impl Attention {
    /// An attention called `name` behind `prefix`. That within a text has `buckets`; `bias` is
    /// the one that the blocks of its half share, declared with the first of them.
    pub fn declare(
        layout: &mut Layout,
        prefix: &str,
        name: &str,
        c: &Config,
        d: &EncoderDecoder,
        bias: &mut Option<RelativeBias>,
        buckets: Option<Buckets>,
    ) -> Self {
        let (h, inner) = (c.hidden_size, c.num_heads * d.head_dim);
        let spread = Spread::new(c, d);
        let matrix = |layout: &mut Layout, n: &str, rows, cols, std| {
            layout.matrix(format!("{prefix}{name}.{n}.weight"), rows, cols, std)
        };
        let norm = layout.vector(format!("{prefix}layer_norm.weight"), h, Init::Ones);
        let query = matrix(layout, "q", inner, h, spread.query);
        let key = matrix(layout, "k", inner, h, spread.hidden);
        let value = matrix(layout, "v", inner, h, spread.hidden);
        let output = matrix(layout, "o", h, inner, spread.inner);
        if let (None, Some(buckets)) = (&bias, buckets) {
            let name = format!("{prefix}{name}.relative_attention_bias.weight");
            let table = layout.table(name, d.buckets, c.num_heads, spread.hidden);
            *bias = Some(RelativeBias { table, buckets });
        }
        Attention {
            norm,
            query,
            key_value: key.stacked_with(value),
            output,
            bias: bias.filter(|_| buckets.is_some()),
        }
    }

    pub fn attending(&self, c: &Config, window: Option<WindowRows>) -> Attending {
        Attending {
            heads: (c.num_heads, c.num_heads),
            scale: Some(1.0),
            window,
            bias: self.bias,
            dropout: c.dropout.attention,
        }
    }
}
