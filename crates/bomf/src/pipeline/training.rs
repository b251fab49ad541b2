//! What stage 1 and the full run share: the recipe's choices as training options,
//! and the steps at which a run is evaluated.

use super::scorer::Scorer;
use crate::Error;
use crate::recipe::{Finetune, Optimizer, Schedule};
use bomf_study::Scores;
use bomf_tune::models::Network;
use bomf_tune::optim::{self, AdafactorOptions, AdamWOptions, OptimizerOptions, SgdOptions};
use bomf_tune::tape::Workspace;
use bomf_tune::train::{EncodedSplit, FrozenStates, TrainOptions, split_outputs};

/// The recipe's choices for one run; `learning_rate` and `batch_size` must be set.
pub(super) fn train_options(choices: &Finetune, epochs: usize, seed: u64) -> Option<TrainOptions> {
    Some(TrainOptions {
        epochs: epochs as f64,
        batch_size: choices.batch_size?,
        gradient_accumulation_steps: choices.gradient_accumulation_steps,
        learning_rate: choices.learning_rate?,
        warmup_ratio: choices.warmup_ratio,
        schedule: match choices.schedule {
            Schedule::Constant => optim::Schedule::Constant,
            Schedule::Linear => optim::Schedule::Linear,
            Schedule::Cosine => optim::Schedule::Cosine,
            Schedule::WarmupStableDecay => optim::Schedule::WarmupStableDecay,
            Schedule::Swa => optim::Schedule::Swa,
        },
        optimizer: optimizer(choices),
        seed,
    })
}

/// The recipe's optimiser.
pub(super) fn optimizer(choices: &Finetune) -> OptimizerOptions {
    let max_grad_norm = match choices.max_grad_norm {
        0.0 => f64::INFINITY,
        norm => norm,
    };
    let weight_decay = choices.weight_decay;
    match choices.optimizer {
        Optimizer::AdamW => OptimizerOptions::AdamW(AdamWOptions {
            beta1: choices.adam_beta1,
            beta2: choices.adam_beta2,
            epsilon: choices.adam_epsilon,
            weight_decay,
            max_grad_norm,
        }),
        Optimizer::Adafactor => OptimizerOptions::Adafactor(AdafactorOptions {
            weight_decay,
            max_grad_norm,
            ..AdafactorOptions::default()
        }),
        Optimizer::Sgd => OptimizerOptions::Sgd(SgdOptions {
            momentum: choices.sgd_momentum,
            nesterov: choices.sgd_nesterov,
            weight_decay,
            max_grad_norm,
        }),
    }
}

/// Whether step `step` (from 1) of an epoch of `per_epoch` steps, evaluated
/// `evaluations` times each, ends one of its parts; the last step of a run always
/// does.
pub(super) fn is_evaluation(step: u64, steps: u64, per_epoch: u64, evaluations: usize) -> bool {
    let evaluations = (evaluations as u64).min(per_epoch);
    // Part k of an epoch ends at ceil(k per_epoch / evaluations).
    let part = |step: u64| step * evaluations / per_epoch;
    step == steps || part(step) > part(step - 1)
}

/// Scores of `params` on a split; `None` where they are not finite.
pub(super) fn score(
    network: &Network,
    params: &[f32],
    split: &EncodedSplit,
    frozen: &FrozenStates,
    scorer: &Scorer,
    workspace: &Workspace,
) -> Result<Option<Scores>, Error> {
    let outputs = split_outputs(network, params, split, frozen, workspace)?;
    scorer.scores(&outputs, &split.labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_is_evaluated_as_often_as_asked_and_at_its_end() {
        for (per_epoch, evaluations) in [(7, 2), (8, 4), (3, 10), (1, 1), (115, 4)] {
            let steps = per_epoch * 3;
            let at: Vec<u64> = (1..=steps)
                .filter(|&s| is_evaluation(s, steps, per_epoch, evaluations))
                .collect();
            assert_eq!(at.len() as u64, 3 * (evaluations as u64).min(per_epoch));
            assert!((1..=3).all(|epoch| at.contains(&(epoch * per_epoch))));
        }
        assert!(
            is_evaluation(5, 5, 7, 1),
            "the last step of a run is evaluated"
        );
    }
}
