//! Mixtures of checkpoints of any architecture as model folders: the weighted average of
//! `bomf merge`, streamed from mapped files to the disk.

use crate::Error;
use crate::pipeline::{in_pool, threads};
use bomf_checkpoint::{Checkpoint, FilesPlan, FolderWriter, ModelLayout};
use bomf_fuse::execute::DEFAULT_MEMORY;
use bomf_fuse::method::Value;
use bomf_fuse::recipe::{Body, Input, MergeParts, MergeRecipe, Setting, Settings};
use bomf_fuse::{Control, FuseError, Plan, Weights, execute, registry};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// How often an interruption is looked for while a candidate is fused.
const INTERVAL: Duration = Duration::from_millis(50);

/// Room for configuration and tokenizer beside the weights.
const SMALL_FILES: u64 = 64 << 20;

/// The checkpoints, mapped.
pub(crate) struct Checkpoints {
    folders: Vec<PathBuf>,
    checkpoints: Vec<Checkpoint>,
}

/// Whether a model has to outlast a power failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// It is read once and thrown away.
    Scratch,
    /// It is the outcome, and replaces an earlier one.
    Kept,
    /// It is kept, and must not be there yet.
    New,
}

impl Checkpoints {
    /// Opens model folders, and refuses those that do not go together: tensors of other
    /// names, shapes or kinds than the first one's.
    pub fn open(folders: Vec<PathBuf>) -> Result<Self, Error> {
        let checkpoints = folders
            .iter()
            .map(Checkpoint::open)
            .collect::<Result<Vec<_>, _>>()?;
        let all = Checkpoints {
            folders,
            checkpoints,
        };
        let even = vec![1.0 / all.len() as f64; all.len()];
        all.recipe(&even)
            .and_then(|recipe| Plan::new(&recipe, all.weights()).map(drop))?;
        Ok(all)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.folders.len()
    }

    /// Where each lies.
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// Numbers of the output, and bytes of its weights.
    pub fn size(&self) -> Result<(u64, u64), Error> {
        let recipe = self.recipe(&vec![1.0 / self.len() as f64; self.len()])?;
        let plan = Plan::new(&recipe, self.weights())?;
        let bytes = FilesPlan::new(&plan.specs(), &self.layout())?.bytes();
        Ok((plan.num_parameters(), bytes))
    }

    fn weights(&self) -> Vec<&dyn Weights> {
        self.checkpoints.iter().map(|c| c as &dyn Weights).collect()
    }

    fn layout(&self) -> ModelLayout {
        let mut layout = ModelLayout::default();
        let own = self.checkpoints[0].metadata().clone();
        layout.metadata.extend(own);
        layout
    }

    /// The weighted sum of the members with a weight; what is no float is the first one's.
    fn recipe(&self, weights: &[f64]) -> Result<MergeRecipe, FuseError> {
        let names = self.folders.iter().map(|f| f.display().to_string());
        let inputs = weights.iter().enumerate().filter(|(_, w)| **w != 0.0);
        let inputs = inputs.map(|(model, weight)| {
            let mut parameters = Settings::default();
            parameters.set("weight", Setting::constant(Value::Number(*weight)));
            Input { model, parameters }
        });
        let mut parameters = Settings::default();
        parameters.set("normalize", Setting::constant(Value::Flag(false)));
        MergeRecipe::new(MergeParts {
            method: registry::get("linear")?,
            models: names.collect(),
            base: None,
            body: Body::Models(inputs.collect()),
            parameters,
            dtype: None,
            out_dtype: None,
            seed: 0,
        })
    }

    /// Writes a mixture as a model folder at `target`, with the side files of the first
    /// member; nothing stands under that name before all of it is there.
    pub fn write(
        &self,
        weights: &[f64],
        target: &Path,
        durability: Durability,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        let recipe = self.recipe(weights)?;
        let plan = Plan::new(&recipe, self.weights())?;
        let files = FilesPlan::new(&plan.specs(), &self.layout())?;
        let mut writer = FolderWriter::create(target, durability == Durability::Kept)?;
        writer.require_space(files.bytes() + SMALL_FILES)?;
        let opened = writer.open_files(&files)?;
        watched(interrupted, |control| {
            execute(&plan, &files, &opened, DEFAULT_MEMORY, control)
        })?;
        if durability != Durability::Scratch {
            opened.sync()?;
        }
        writer.copy_sidecars(&self.folders[0])?;
        writer.commit()?;
        Ok(())
    }
}

/// Runs `work` on as many threads as the pipeline has, and stops it when told to.
fn watched<T: Send>(
    interrupted: &dyn Fn() -> bool,
    work: impl FnOnce(&Control) -> Result<T, FuseError> + Send,
) -> Result<T, Error> {
    let control = Control::default();
    let count = threads();
    std::thread::scope(|scope| {
        let (sender, receiver) = channel::<()>();
        let control = &control;
        let worker = scope.spawn(move || {
            // Dropped when all is done, or on a panic.
            let _sender = sender;
            in_pool(count, || Ok(work(control)?))
        });
        while receiver.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
            if interrupted() {
                control.stop.store(true, Ordering::Relaxed);
            }
        }
        worker
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
