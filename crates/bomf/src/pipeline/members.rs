//! Members on disk, opened as one set that fuses into the network's flat parameters.

use crate::Error;
use bomf_checkpoint::Checkpoint;
use bomf_fuse::{MemberSet, MemberTensor, Values};
use bomf_tune::models::Network;
use std::path::Path;
use std::sync::Arc;

/// Opens the folders as members of `network`, each with a label for messages.
/// Tensors stay on disk, mapped, where they are aligned `f32`.
pub(super) fn open<'p>(
    network: &Network,
    folders: impl IntoIterator<Item = (String, &'p Path)>,
) -> Result<MemberSet<'static>, Error> {
    let names: Vec<&str> = network.layout().entries().map(|(name, _)| name).collect();
    let mut members = MemberSet::new();
    for (label, dir) in folders {
        let checkpoint = Arc::new(Checkpoint::open(dir)?);
        let mut tensors = Vec::with_capacity(names.len());
        for (name, tensor) in names.iter().zip(network.tensors(&checkpoint, dir)?) {
            tensors.push(MemberTensor {
                name: name.to_string(),
                shape: tensor.shape().to_vec(),
                values: Values::of_checkpoint(&checkpoint, tensor.name())?,
            });
        }
        members.push(label, tensors)?;
    }
    Ok(members)
}
