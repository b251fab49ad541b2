//! How long work tells of itself, and how it is stopped.

/// A part of the pipeline that takes long enough to be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Fetching a model from the hub; unit: bytes.
    Download,
    /// Masked-language-model pre-training; unit: training steps.
    Pretrain,
    /// Stage 1, the hyperparameter search; unit: hundredths of a trial.
    Tune,
    /// The one fine-tuning run of the full model; unit: training steps.
    Finetune,
    /// Stage 2 and the baselines; unit: forward passes over the select split, the
    /// members' own among them.
    Fuse,
    /// Evaluation of one model on a split, or of every method on the report split at
    /// the end of a run; unit: examples.
    Evaluate,
    /// A program's evaluation of every method on the report split; unit: models.
    Report,
    /// Merging checkpoints by a recipe; unit: bytes of the output.
    Merge,
    /// Digests of files; unit: bytes.
    Hash,
    /// Deriving a merged model again; unit: bytes of the output.
    Verify,
    /// Comparing two checkpoints; unit: bytes of the first.
    Diff,
}

/// Told of progress; asked whether to go on.
///
/// Calls come from one thread, the one that runs the pipeline.
pub trait Observer: Send {
    /// A phase begins, of about `total` units; a later call for the same phase
    /// corrects the total.
    fn begin(&mut self, phase: Phase, total: u64);
    /// `done` units of the phase are done; `message` says how it stands in a few
    /// words (the best value so far, say).
    fn advance(&mut self, phase: Phase, done: u64, message: &str);
    /// The phase is over.
    fn end(&mut self, phase: Phase);
    /// Something that people should know: a guess, a carved-off split.
    fn note(&mut self, note: &str);
    /// Whether to stop at the next safe point; the work then returns
    /// [`crate::Error::Interrupted`], and what is on disk stays usable.
    fn interrupted(&self) -> bool {
        false
    }
}

/// An observer that listens to nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct Silent;

impl Observer for Silent {
    fn begin(&mut self, _: Phase, _: u64) {}
    fn advance(&mut self, _: Phase, _: u64, _: &str) {}
    fn end(&mut self, _: Phase) {}
    fn note(&mut self, _: &str) {}
}
