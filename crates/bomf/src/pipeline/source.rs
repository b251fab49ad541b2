//! Where the scores of a mixture come from: the engine's own forward pass
//! ([`super::mixtures`]) or a program ([`super::external`]). The search knows neither.

use super::blocks::Blocks;
use super::evaluator::Evaluated;
use super::outputs::{Modelled, OutputObjectives};
use crate::Error;
use bomf_study::Scores;
use rand_chacha::ChaCha8Rng;

/// What a mixture gives on the select split.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Measured {
    /// One an objective, all finite.
    pub scores: Scores,
    /// Standard errors of some or all of them, where they are known.
    pub std_errors: Scores,
    /// The model's outputs, example by example; empty from a source that has none.
    pub outputs: Vec<f32>,
    /// What a surrogate of the outputs models, see [`Source::output_objectives`]; empty
    /// without one.
    pub modelled: Modelled,
}

/// The inner products of the members' differences, `n x n`.
pub(super) type Rows = Vec<Vec<f64>>;

/// Gives the scores of mixtures of the members on the select split.
pub(super) trait Source {
    /// Number of members.
    fn len(&self) -> usize;

    /// Fuses the members with these weights and measures the outcome; `None` where that
    /// gives no finite scores. Asks `interrupted` now and then, and may end with
    /// any error where that says yes.
    fn measure(
        &mut self,
        weights: &[f64],
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Option<Measured>, Error>;

    /// The standard error of the chosen objective of a mixture that was measured; `None`
    /// where it is not known.
    fn chosen_std_error(
        &mut self,
        evaluated: &Evaluated,
        rng: &mut ChaCha8Rng,
    ) -> Result<Option<f64>, Error>;

    /// Told of an evaluation that was made before the run was resumed, and whether it gave
    /// scores.
    fn recalled(&mut self, _has_worked: bool) {}

    /// How the objectives come from the outputs; `None` from a source that has none.
    fn output_objectives(&self) -> Option<OutputObjectives> {
        None
    }

    /// Whether random search, which takes as many evaluations as the search itself, is run
    /// beside it for comparison.
    fn is_compared(&self) -> bool {
        true
    }

    /// Inner products of the members' differences from their mean (`n x n`), where the
    /// members lie in memory.
    fn gram(&self) -> Result<Option<Rows>, Error> {
        Ok(None)
    }

    /// Blocks of the model that may have weights of their own; `None` where all share one set.
    /// Where there are any, a mixture has as many weights as members, or as many a block.
    fn blocks(&self) -> Option<&Blocks> {
        None
    }

    /// [`Source::gram`] of each block.
    fn block_grams(&self) -> Result<Option<Vec<Rows>>, Error> {
        Ok(None)
    }

    /// The loss of each example, from a mixture's outputs; `None` from a source that has none.
    fn losses(&self, _outputs: &[f32]) -> Result<Option<Vec<f64>>, Error> {
        Ok(None)
    }
}
