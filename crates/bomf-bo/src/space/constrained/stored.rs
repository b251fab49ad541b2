//! Constrained spaces as they are stored.

use std::borrow::Borrow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Constrained;
use crate::optim::Polyhedral;
use crate::space::LinearConstraint;

/// A constrained space as it is stored, not yet checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared<S> {
    space: S,
    linear: Vec<LinearConstraint>,
    #[serde(default)]
    known: Vec<Vec<f64>>,
}

/// The same, borrowed.
#[derive(Serialize)]
struct Stored<'a, S> {
    space: &'a S,
    linear: Vec<&'a LinearConstraint>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    known: &'a [Vec<f64>],
}

impl<S: Polyhedral + Serialize> Serialize for Constrained<S> {
    fn serialize<T: Serializer>(&self, serializer: T) -> Result<T::Ok, T::Error> {
        if let Some(predicate) = self.predicates.first() {
            return Err(serde::ser::Error::custom(format!(
                "the predicate `{}` is code and cannot be stored: store the inner space, and put \
                 the constraints around it again",
                predicate.name
            )));
        }
        let stored = Stored {
            space: &self.inner,
            linear: self.linear().collect(),
            known: &self.known,
        };
        stored.serialize(serializer)
    }
}

impl<'de, S: Polyhedral + Deserialize<'de>> Deserialize<'de> for Constrained<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let declared = Declared::<S>::deserialize(deserializer)?;
        let mut builder = Self::builder(declared.space);
        builder.linear = declared.linear;
        for x in declared.known {
            let point = builder.inner.decode(&x).map_err(D::Error::custom)?;
            builder = builder.known(point.borrow()).map_err(D::Error::custom)?;
        }
        builder.build().map_err(D::Error::custom)
    }
}
