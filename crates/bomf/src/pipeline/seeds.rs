//! One generator a purpose, all from the run's seed: what one part draws does not
//! shift what another does.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a generator is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    /// New parameters of the head.
    Head = 1,
    /// Proposals of stage 1.
    Stage1 = 2,
    /// Proposals of stage 2.
    Stage2 = 3,
    /// The random simplex search.
    RandomSimplex = 4,
    /// Resamples of the intervals.
    Bootstrap = 5,
    /// Shuffling and dropout of the fine-tuning run.
    Finetune = 6,
    /// Shuffling and dropout of a trial.
    Trial = 7,
    /// New factors of adapters.
    Adapters = 8,
    /// Resamples that the choice of a mixture is put to.
    Bagging = 9,
    /// Tokens of generated texts, where they are drawn.
    Generation = 10,
    /// Populations of the evolution strategy.
    CmaEs = 20,
    /// Proposals of the search by the loss alone.
    BoLoss = 21,
    /// Proposals of the search by the chosen objective alone.
    BoMetric = 22,
    /// Proposals of the paper's own search.
    BomfPaper = 23,
    /// Order of the training examples within the members' span.
    Twa = 24,
}

/// The generator of a purpose under a seed.
pub(super) fn generator(seed: u64, purpose: Purpose) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(purpose as u64);
    rng
}
