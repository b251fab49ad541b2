//! Models whose configuration ties the output head to the input embedding.

use super::names::is_head;
use crate::method::Source;
use crate::weights::{TensorInfo, Weights};

/// A model whose output head is its input embedding, whatever it stores under the head's name: a
/// copy, or what nobody reads. The head is hidden, so that it is stored once, and fused once.
pub struct Tied<W>(pub W);

impl<W: Weights> Tied<W> {
    /// The head that the model stores all the same, if it does.
    pub fn hidden(&self) -> Option<&str> {
        self.0.names().into_iter().find(|name| is_head(name))
    }
}

impl<W: Weights> Weights for Tied<W> {
    fn name(&self) -> String {
        self.0.name()
    }

    fn names(&self) -> Vec<&str> {
        let mut names = self.0.names();
        names.retain(|name| !is_head(name));
        names
    }

    fn info(&self, name: &str) -> Option<TensorInfo<'_>> {
        self.0.info(name).filter(|_| !is_head(name))
    }

    fn source(&self, name: &str) -> Option<Box<dyn Source + '_>> {
        self.0.source(name).filter(|_| !is_head(name))
    }

    fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.0.bytes(name).filter(|_| !is_head(name))
    }

    fn statistics(&self) -> Option<&dyn Weights> {
        self.0.statistics()
    }
}
