//! One hypothesis an example: the likeliest token each time, or one that is drawn.

use super::logits::{argmax, penalise};
use super::{GenerationOptions, Sampling};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;

/// The text of one example as it grows.
#[derive(Debug)]
pub(super) struct Single {
    pub tokens: Vec<u32>,
    context: BTreeSet<u32>,
    draws: Option<(Sampling, ChaCha8Rng)>,
}

impl Single {
    /// Of example number `example`, whose decoder has read `context`.
    pub fn new(options: &GenerationOptions, context: &[u32], example: usize) -> Self {
        let draws = options.sampling.map(|sampling| {
            let mut rng = ChaCha8Rng::seed_from_u64(sampling.seed);
            rng.set_stream(example as u64);
            (sampling, rng)
        });
        Single {
            tokens: Vec::new(),
            context: context.iter().copied().collect(),
            draws,
        }
    }

    /// Chooses the next token by its logits; whether the text is done.
    pub fn advance(
        &mut self,
        logits: &mut [f32],
        options: &GenerationOptions,
        ends: &[u32],
        limit: usize,
    ) -> bool {
        penalise(logits, &self.context, options.repetition_penalty);
        let token = match &mut self.draws {
            Some((sampling, rng)) => draw(logits, *sampling, rng.random()),
            None => argmax(logits),
        };
        self.tokens.push(token);
        self.context.insert(token);
        ends.contains(&token) || self.tokens.len() >= limit
    }
}

/// The token at the share `at` of the probability of those that are drawn from, the
/// likeliest first.
fn draw(logits: &[f32], sampling: Sampling, at: f64) -> u32 {
    let mut order: Vec<u32> = (0..logits.len() as u32).collect();
    let logit = |token: &u32| logits[*token as usize];
    order.sort_unstable_by(|a, b| logit(b).total_cmp(&logit(a)).then(a.cmp(b)));
    order.truncate(sampling.top_k.unwrap_or(usize::MAX).min(order.len()));
    let max = order.first().map_or(0.0, logit);
    let weight = |token: &u32| f64::from((logit(token) - max) / sampling.temperature).exp();
    let mut weights: Vec<f64> = order.iter().map(weight).collect();
    if sampling.top_p < 1.0 {
        let wanted = f64::from(sampling.top_p) * weights.iter().sum::<f64>();
        let mut sum = 0.0;
        let reached = weights.iter().position(|w| {
            sum += w;
            sum >= wanted
        });
        weights.truncate(reached.map_or(weights.len(), |last| last + 1));
    }
    let mut left = at * weights.iter().sum::<f64>();
    let chosen = weights.iter().position(|w| {
        left -= w;
        left < 0.0
    });
    let place = chosen.unwrap_or(weights.len().saturating_sub(1));
    order.get(place).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Sampling = Sampling {
        temperature: 1.0,
        top_k: None,
        top_p: 1.0,
        seed: 0,
    };

    /// How often each token is drawn over evenly spread shares.
    fn shares(logits: &[f32], sampling: Sampling) -> Vec<f64> {
        const DRAWS: usize = 10_000;
        let mut counts = vec![0.0; logits.len()];
        for i in 0..DRAWS {
            let at = (i as f64 + 0.5) / DRAWS as f64;
            counts[draw(logits, sampling, at) as usize] += 1.0 / DRAWS as f64;
        }
        counts
    }

    #[track_caller]
    fn assert_shares(got: &[f64], want: &[f64]) {
        for (g, w) in got.iter().zip(want) {
            assert!((g - w).abs() < 2e-4, "{got:?}, not {want:?}");
        }
    }

    #[test]
    fn tokens_are_drawn_as_often_as_they_are_likely() {
        let logits = [0.1f32, 0.4, 0.3, 0.2].map(f32::ln);
        assert_shares(&shares(&logits, ALL), &[0.1, 0.4, 0.3, 0.2]);
        let top = Sampling {
            top_k: Some(2),
            ..ALL
        };
        assert_shares(&shares(&logits, top), &[0.0, 4.0 / 7.0, 3.0 / 7.0, 0.0]);
        // The likeliest two have 0.7: they are not enough, three are.
        let nucleus = Sampling { top_p: 0.75, ..ALL };
        assert_shares(
            &shares(&logits, nucleus),
            &[0.0, 4.0 / 9.0, 3.0 / 9.0, 2.0 / 9.0],
        );
        let cold = Sampling {
            temperature: 0.5,
            ..ALL
        };
        assert_shares(
            &shares(&logits, cold),
            &[1.0 / 30.0, 16.0 / 30.0, 9.0 / 30.0, 4.0 / 30.0],
        );
    }

    #[test]
    fn a_draw_of_one_token_or_of_infinite_logits_is_that_token() {
        assert_eq!(draw(&[3.0], ALL, 0.99), 0);
        assert_eq!(
            draw(&[f32::NEG_INFINITY, 1.0, f32::NEG_INFINITY], ALL, 0.999_999),
            1
        );
    }
}
