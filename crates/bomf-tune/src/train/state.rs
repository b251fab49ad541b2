//! A training run on the disk, to go on from: after it has, every parameter is the same to
//! the bit as if it had never stopped.
//!
//! That takes the trained parameters, what the optimiser keeps, the order of the examples in this epoch and how far it has come, and
//! the state of the random generator. Learning rates follow from the number of steps.

use super::Trained;
use crate::TuneError;
use crate::models::Model;
use crate::optim::{Optimizer, Restored};
use bomf_checkpoint::{Checkpoint, Dtype, FolderWriter, TensorData, TensorSpec};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The file of all that is no array.
const STATE: &str = "state.json";
const ARRAYS: &str = "model.safetensors";

/// Its arrays, beside those of the optimiser.
const PARAMS: &str = "params";
const AWAKE: &str = "awake";
const ORDER: &str = "order";

/// A run as it stands after a step.
#[derive(Debug)]
pub struct TrainSnapshot<'a> {
    pub(super) model: &'a Model,
    /// The first parameter that is trained.
    pub(super) first: usize,
    pub(super) optimiser: &'a Optimizer,
    pub(super) rng: &'a ChaCha8Rng,
    pub(super) order: &'a [usize],
    /// Examples of the epoch that were seen.
    pub(super) seen: usize,
    pub(super) done: Trained,
}

/// A run that was read from the disk.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainState {
    state: State,
    params: Vec<f32>,
    /// The optimiser's, by their names.
    arrays: BTreeMap<String, Vec<f32>>,
    awake: Vec<bool>,
    order: Vec<usize>,
    /// What the observer of the run wrote along.
    pub note: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct State {
    first: usize,
    steps: u64,
    examples: u64,
    seen: usize,
    optimiser_steps: u64,
    seed: [u8; 32],
    stream: u64,
    /// A number of 128 bits, which JSON readers round.
    word_pos: String,
    note: String,
}

impl TrainSnapshot<'_> {
    /// Steps that were made.
    pub fn steps(&self) -> u64 {
        self.done.steps
    }

    /// Writes a folder that is on the disk as a whole when this returns, and not there
    /// before; `note` is for the caller when it is read again.
    ///
    /// # Errors
    /// Where the folder cannot be written, or holds something else.
    pub fn write(&self, folder: &Path, note: &str) -> Result<(), TuneError> {
        let optimiser = self.optimiser.parts();
        let state = State {
            first: self.first,
            steps: self.done.steps,
            examples: self.done.examples,
            seen: self.seen,
            optimiser_steps: optimiser.steps,
            seed: self.rng.get_seed(),
            stream: self.rng.get_stream(),
            word_pos: self.rng.get_word_pos().to_string(),
            note: note.into(),
        };
        let awake: Vec<u8> = optimiser.awake.into_iter().map(u8::from).collect();
        let order: Vec<u8> = self
            .order
            .iter()
            .flat_map(|&i| (i as u64).to_le_bytes())
            .collect();
        let floats = |values: &'_ [f32]| TensorData::F32(values.to_vec().into());
        let params = &self.model.params[self.first..];
        let mut specs = vec![
            TensorSpec::new(PARAMS, Dtype::F32, &[params.len()]),
            TensorSpec::new(AWAKE, Dtype::U8, &[awake.len()]),
            TensorSpec::new(ORDER, Dtype::U64, &[self.order.len()]),
        ];
        let own = specs.len();
        let arrays = optimiser.arrays;
        specs.extend(
            arrays
                .iter()
                .map(|(name, values)| TensorSpec::new(*name, Dtype::F32, &[values.len()])),
        );
        let mut writer = FolderWriter::create(folder, true)?;
        writer.write_tensors(ARRAYS, &specs, |i| {
            Ok(match i {
                0 => floats(params),
                1 => TensorData::Bytes(awake.as_slice().into()),
                2 => TensorData::Bytes(order.as_slice().into()),
                i => floats(arrays[i - own].1),
            })
        })?;
        writer.write_json(STATE, &state)?;
        writer.commit()?;
        Ok(())
    }
}

impl TrainState {
    /// Reads what [`TrainSnapshot::write`] wrote.
    ///
    /// # Errors
    /// Where the folder is not whole.
    pub fn read(folder: &Path) -> Result<Self, TuneError> {
        let path = folder.join(STATE);
        let text = std::fs::read(&path).map_err(|source| TuneError::Read {
            path: path.clone(),
            source,
        })?;
        let mut state: State = serde_json::from_slice(&text).map_err(|e| TuneError::Config {
            path,
            reason: e.to_string(),
        })?;
        let arrays = Checkpoint::open(folder)?;
        let order = arrays.tensor(ORDER)?;
        let (order, _) = order.bytes().as_chunks::<8>();
        let awake = arrays.tensor(AWAKE)?;
        let mut own = BTreeMap::new();
        for tensor in arrays.tensors() {
            if ![PARAMS, AWAKE, ORDER].contains(&tensor.name()) {
                own.insert(tensor.name().into(), tensor.to_f32()?);
            }
        }
        Ok(TrainState {
            params: arrays.tensor(PARAMS)?.to_f32()?,
            arrays: own,
            awake: awake.bytes().iter().map(|byte| *byte != 0).collect(),
            order: order
                .iter()
                .map(|bytes| u64::from_le_bytes(*bytes) as usize)
                .collect(),
            note: std::mem::take(&mut state.note),
            state,
        })
    }

    /// Steps that had been made.
    pub fn steps(&self) -> u64 {
        self.state.steps
    }

    /// Puts the run back: parameters and optimiser; gives order, examples seen of the
    /// epoch, generator and what was done. `None` where it is of another model, split or
    /// choice of parameters.
    pub(super) fn restore(
        self,
        model: &mut Model,
        first: usize,
        examples: usize,
        optimiser: &mut Optimizer,
    ) -> Option<(Vec<usize>, usize, ChaCha8Rng, Trained)> {
        let state = &self.state;
        let mut sorted = self.order.clone();
        sorted.sort_unstable();
        let is_order = sorted.iter().copied().eq(0..examples);
        let trained = model.params.get_mut(first..)?;
        let fits = state.first == first && trained.len() == self.params.len();
        if !is_order || !fits || state.seen > examples {
            return None;
        }
        let word_pos = state.word_pos.parse().ok()?;
        let saved = Restored {
            steps: state.optimiser_steps,
            arrays: &self.arrays,
            awake: &self.awake,
        };
        if !optimiser.restore(&saved) {
            return None;
        }
        trained.copy_from_slice(&self.params);
        let mut rng = ChaCha8Rng::from_seed(state.seed);
        rng.set_stream(state.stream);
        rng.set_word_pos(word_pos);
        let done = Trained {
            steps: state.steps,
            examples: state.examples,
        };
        Some((self.order, state.seen, rng, done))
    }
}
