//! The masked-language-model objective: 15 % of the tokens are to be guessed; of
//! those, 80 % are masked, 10 % are random and 10 % stay (Devlin et al. 2019,
//! appendix A.1). Drawn anew each time a sequence is seen.

use super::Corpus;
use crate::TuneError;
use crate::batch::{Batch, Sequences};
use crate::models::{Model, Network};
use crate::tape::{Gradients, Tape, Workspace};
use crate::train::Objective;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

const GUESSED: f64 = 0.15;
const MASKED: f64 = 0.8;
const REPLACED: f64 = 0.1;

/// Cross-entropy of the guessed tokens of a corpus.
#[derive(Debug, Clone, Copy)]
pub struct MaskedLm<'a> {
    /// What is trained on.
    pub corpus: &'a Corpus,
}

impl MaskedLm<'_> {
    /// The sequences `indices` with tokens masked, and the tokens to be guessed.
    fn mask(&self, indices: &[usize], rng: &mut ChaCha8Rng) -> (Batch, Vec<u32>) {
        let mut masked = Sequences::default();
        let (mut rows, mut offsets, mut labels) = (Vec::new(), vec![0], Vec::new());
        for &i in indices {
            let mut ids = self.corpus.sequences.ids(i).to_vec();
            let last = ids.len() - 1;
            for (place, id) in ids.iter_mut().enumerate().take(last).skip(1) {
                if !rng.random_bool(GUESSED) {
                    continue;
                }
                rows.push((masked.num_tokens() + place) as u32);
                labels.push(*id);
                let draw: f64 = rng.random();
                if draw < MASKED {
                    *id = self.corpus.mask_id;
                } else if draw < MASKED + REPLACED {
                    *id = rng.random_range(0..self.corpus.vocab_size);
                }
            }
            offsets.push(rows.len());
            masked.push(&ids, &vec![0; ids.len()]);
        }
        (masked.into_batch(rows, offsets), labels)
    }

    /// Mean loss over the whole corpus, masked once with `rng`, without dropout.
    pub fn evaluate(&self, model: &Model, rng: &mut ChaCha8Rng, workspace: &Workspace) -> f64 {
        let (mut sum, mut count) = (0.0, 0);
        for group in self.corpus.sequences.groups(4096) {
            let (batch, labels) = self.mask(&group.collect::<Vec<_>>(), rng);
            if labels.is_empty() {
                continue;
            }
            let mut tape = Tape::inference(&model.params, workspace);
            let logits = model.network.forward(&mut tape, &batch);
            sum += tape.cross_entropy(&logits, &labels, 1.0);
            count += labels.len();
        }
        sum / count.max(1) as f64
    }
}

impl Objective for MaskedLm<'_> {
    fn num_examples(&self) -> usize {
        self.corpus.len()
    }

    fn first_trainable(&self, _: &Network) -> Result<usize, TuneError> {
        Ok(0)
    }

    fn accumulate(
        &self,
        model: &Model,
        gradients: &mut Gradients,
        indices: &[usize],
        rng: &mut ChaCha8Rng,
        workspace: &Workspace,
    ) -> (f64, usize) {
        let (batch, labels) = self.mask(indices, rng);
        if labels.is_empty() {
            return (0.0, 0);
        }
        let mut tape = Tape::training(&model.params, gradients, Some(rng.random()), workspace);
        let logits = model.network.forward(&mut tape, &batch);
        let loss = tape.cross_entropy(&logits, &labels, 1.0);
        drop(logits);
        tape.backward();
        (loss, labels.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn about_fifteen_percent_are_guessed_and_never_the_special_tokens() {
        let mut sequences = Sequences::default();
        for _ in 0..200 {
            let mut ids = vec![9; 100];
            (ids[0], ids[99]) = (2, 3);
            sequences.push(&ids, &[0; 100]);
        }
        let corpus = Corpus {
            sequences,
            vocab_size: 50,
            mask_id: 4,
        };
        let objective = MaskedLm { corpus: &corpus };
        let all: Vec<usize> = (0..200).collect();
        let (batch, labels) = objective.mask(&all, &mut ChaCha8Rng::seed_from_u64(1));
        let share = labels.len() as f64 / 19_600.0;
        assert!((share - GUESSED).abs() < 0.01, "{share}");
        assert!(labels.iter().all(|&label| label == 9));
        let masked = batch.ids.iter().filter(|&&id| id == 4).count() as f64;
        assert!((masked / labels.len() as f64 - MASKED).abs() < 0.03);
        assert!(batch.ids.chunks(100).all(|ids| ids[0] == 2 && ids[99] == 3));
        assert_eq!(batch.output_offsets[200], labels.len());
    }
}
