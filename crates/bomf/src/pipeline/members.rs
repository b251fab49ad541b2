//! Members on disk, opened as one set that fuses into the network's flat parameters.

use crate::Error;
use bomf_checkpoint::Checkpoint;
use bomf_fuse::{FuseError, MemberSet, MemberTensor, Values};
use bomf_tune::TuneError;
use bomf_tune::models::{Config, Head, Network};
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
        let found = network.tensors(&checkpoint, dir);
        let found = found.map_err(|error| compared(error, network, &label, members.labels()))?;
        let mut tensors = Vec::with_capacity(names.len());
        for (name, tensor) in names.iter().zip(found) {
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

/// The members that hold a value which is not a finite number, by their places.
pub(super) fn not_finite(members: &MemberSet<'_>) -> Vec<usize> {
    let segments = members.segments().len();
    let is_finite = |&i: &usize| {
        (0..segments).all(|segment| members.values(i, segment).iter().all(|v| v.is_finite()))
    };
    (0..members.len()).filter(|i| !is_finite(i)).collect()
}

/// Refuses a member of another architecture than the first one's. Tensors of a member
/// that the network does not know are passed over, so that shapes alone do not tell.
pub(super) fn check_architecture(
    config: &Config,
    reference: &Path,
    member: &Path,
) -> Result<(), Error> {
    // Some trainers leave the configuration out of their checkpoints.
    if !member.join("config.json").is_file() {
        return Ok(());
    }
    let fields = |config: &Config| {
        [
            ("model_type", format!("{:?}", config.model_type)),
            ("hidden_size", config.hidden_size.to_string()),
            ("num_hidden_layers", config.num_layers.to_string()),
            ("num_attention_heads", config.num_heads.to_string()),
            ("intermediate_size", config.intermediate_size.to_string()),
            ("hidden_act", format!("{:?}", config.activation)),
            ("vocab_size", config.vocab_size.to_string()),
            ("max_position_embeddings", config.max_positions.to_string()),
        ]
    };
    let own = fields(&Config::read(member)?);
    for ((field, found), (_, expected)) in own.into_iter().zip(fields(config)) {
        if found != expected {
            return Err(Error::OtherArchitecture {
                field,
                member: member.into(),
                found,
                reference: reference.into(),
                expected,
            });
        }
    }
    Ok(())
}

/// The error of reading a member, told against the first member where there is one.
fn compared(error: TuneError, network: &Network, member: &str, before: &[String]) -> Error {
    match (error, before.first()) {
        (
            TuneError::Shape {
                name,
                found,
                expected,
                ..
            },
            Some(reference),
        ) => Error::Fuse(FuseError::ShapeMismatch {
            tensor: name,
            member: member.into(),
            shape: found,
            reference: reference.clone(),
            expected,
        }),
        (error, _) => of_head(error, network),
    }
}

/// The error of reading a model, in the task's terms where the head is at fault.
pub(super) fn of_head(error: TuneError, network: &Network) -> Error {
    let Head::Classifier { outputs } = network.head() else {
        return error.into();
    };
    let is_head = |name: &str| network.layout().get(name).is_some_and(|e| e.head);
    match error {
        TuneError::MissingTensor { name, path } if is_head(&name) => Error::NoHead { path },
        TuneError::Shape {
            name,
            path,
            found,
            expected,
        } if is_head(&name)
            && expected[0] == outputs
            && found.len() == expected.len()
            && found[1..] == expected[1..] =>
        {
            Error::OtherHead {
                path,
                found: found[0],
                expected: outputs,
            }
        }
        error => error.into(),
    }
}
