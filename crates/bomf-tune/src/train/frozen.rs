//! Hidden states below a freezing cut, computed once.
//!
//! What lies below the cut never changes, so neither do its outputs: one forward
//! pass over the split replaces that part of every later one. Frozen layers run
//! without dropout.

use crate::TuneError;
use crate::batch::{Batch, Sequences};
use crate::models::Network;
use crate::tape::{Tape, Var, Workspace};

/// Tokens of a forward pass at once.
const TOKENS: usize = 2048;

/// The hidden states of a whole split above its frozen layers.
#[derive(Debug)]
pub struct FrozenStates {
    layers: usize,
    /// `[tokens of the split, hidden]`; `None` where they are computed each time.
    states: Option<Vec<f32>>,
    hidden: usize,
}

impl FrozenStates {
    /// Runs the lower `layers` blocks over `sequences`, and keeps the outcome if it
    /// takes at most `max_bytes` of memory.
    ///
    /// # Errors
    /// [`TuneError::Interrupted`] where `interrupted` says so.
    pub fn new(
        network: &Network,
        params: &[f32],
        sequences: &Sequences,
        layers: usize,
        max_bytes: usize,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Self, TuneError> {
        let hidden = network.config().hidden_size;
        let bytes = sequences.num_tokens() * hidden * size_of::<f32>();
        if layers == 0 || bytes > max_bytes {
            return Ok(FrozenStates {
                layers,
                states: None,
                hidden,
            });
        }
        let mut states = Vec::with_capacity(sequences.num_tokens() * hidden);
        let workspace = Workspace::default();
        for group in sequences.groups(TOKENS) {
            if interrupted() {
                return Err(TuneError::Interrupted);
            }
            let mut tape = Tape::inference(params, &workspace);
            let batch = sequences.batch(&group.collect::<Vec<_>>());
            states.extend_from_slice(&network.lower(&mut tape, &batch, layers));
        }
        Ok(FrozenStates {
            layers,
            states: Some(states),
            hidden,
        })
    }

    /// Nothing frozen.
    pub fn none() -> Self {
        FrozenStates {
            layers: 0,
            states: None,
            hidden: 0,
        }
    }

    /// How many lower blocks are frozen.
    pub fn layers(&self) -> usize {
        self.layers
    }

    /// Logits of the sequences `indices` of the split, which make up `batch`.
    pub(crate) fn forward(
        &self,
        network: &Network,
        tape: &mut Tape,
        sequences: &Sequences,
        indices: &[usize],
        batch: &Batch,
        workspace: &Workspace,
    ) -> Var {
        if self.layers == 0 {
            return network.forward(tape, batch);
        }
        let hidden = match &self.states {
            Some(states) => {
                let rows = indices.iter().map(|&i| sequences.range(i));
                let parts: Vec<&[f32]> = rows
                    .map(|r| &states[r.start * self.hidden..r.end * self.hidden])
                    .collect();
                tape.constant(&parts.concat(), self.hidden)
            }
            None => {
                let mut below = Tape::inference(tape.params(), workspace);
                let states = network.lower(&mut below, batch, self.layers);
                tape.constant(&states, self.hidden)
            }
        };
        network.upper(tape, hidden, batch, self.layers)
    }
}
