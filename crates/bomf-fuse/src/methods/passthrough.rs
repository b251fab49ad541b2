//! One model's tensors as they are, or scaled: what recipes of slices are made of.

use super::common::declare::{FINITE, number};
use super::common::kernels;
use crate::error::Result;
use crate::method::{Base, Block, Fuser, Inputs, Method, MethodSpec, Params, Scope};

/// `scale x`; with a scale of one (the default) a copy byte for byte, NaNs included.
pub struct Passthrough;

static SPEC: MethodSpec = MethodSpec {
    name: "passthrough",
    summary: "one model as it is, or scaled",
    paper: "",
    base: Base::Unused,
    models: (1, 1),
    params: &[number(
        "scale",
        "the factor for all elements",
        Scope::Model,
        FINITE,
        Some(1.0),
    )],
};

impl Method for Passthrough {
    fn spec(&self) -> &'static MethodSpec {
        &SPEC
    }

    fn prepare<'a>(
        &self,
        inputs: &Inputs<'a>,
        params: &Params,
        _seed: u64,
    ) -> Result<Box<dyn Fuser + 'a>> {
        inputs.check(&SPEC)?;
        Ok(Box::new(Scaled(params.numbers("scale")[0] as f32)))
    }
}

/// `factor x` of the first model; a copy if the factor is one.
pub(crate) struct Scaled(pub(crate) f32);

impl Fuser for Scaled {
    fn fuse(&self, block: &Block<'_>, out: &mut [f32]) {
        out.copy_from_slice(block.models[0]);
        if self.0 != 1.0 {
            kernels::scale(self.0, out);
        }
    }
}
