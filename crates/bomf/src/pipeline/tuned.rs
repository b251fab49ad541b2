//! A fine-tuned model with the task that it is for, as the commands on one model begin.

use super::members::of_head;
use super::task::Task;
use crate::recipe::Recipe;
use crate::{Error, Observer, Split, resolve_model};
use bomf_tune::models::{Config, Network};
use bomf_tune::train::EncodedSplit;
use rand_chacha::ChaCha8Rng;
use std::path::{Path, PathBuf};

/// A model with its head, and the data.
pub(super) struct Tuned {
    pub base: PathBuf,
    pub task: Task,
    pub network: Network,
    pub params: Vec<f32>,
}

impl Tuned {
    /// Opens the model and reads the data, which need no training split.
    ///
    /// # Errors
    /// Where the model has no head for the task, the data do not fit it, or a file cannot be read.
    pub fn open(
        model: &str,
        data: &Path,
        recipe: &Recipe,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        let base = resolve_model(model, observer)?;
        let config = Config::read(&base)?;
        let task = Task::load(data, &base, &config, recipe, true, observer)?;
        let network = Network::new(config, task.labels.head())?;
        let mut params = vec![0.0; network.layout().len()];
        network
            .read_params::<ChaCha8Rng>(&base, &mut params, None)
            .map_err(|error| of_head(error, &network))?;
        Ok(Tuned {
            base,
            task,
            network,
            params,
        })
    }

    /// One of the splits.
    ///
    /// # Errors
    /// [`Error::EmptySplit`].
    pub fn split(&self, split: Split) -> Result<&EncodedSplit, Error> {
        let encoded = match split {
            Split::Train => &self.task.train,
            Split::Validation => &self.task.select,
            Split::Test => &self.task.report,
        };
        match encoded.labels.is_empty() {
            false => Ok(encoded),
            true => Err(Error::EmptySplit {
                split: split.as_str(),
            }),
        }
    }
}
