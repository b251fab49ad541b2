//! Beam search: the likeliest hypotheses of an example, side by side, as transformers'
//! `generate` follows them.
//!
//! Of all continuations of the running hypotheses the likeliest are looked at: enough that as
//! many as there are beams do not end. Those that end, and are among the likeliest beams, are
//! finished with the score `log p / length^penalty`, and the best so many of them are kept.

use super::logits::penalise;
use super::{EarlyStopping, GenerationOptions};
use crate::kernels::cross_entropy::log_softmax;
use std::cmp::Ordering;
use std::collections::BTreeSet;

#[derive(Debug, Clone)]
struct Hypothesis {
    tokens: Vec<u32>,
    score: f32,
}

/// A continuation: its score, the number of the hypothesis that it continues, and how.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    score: f32,
    parent: usize,
    token: u32,
}

/// The hypotheses of one example.
#[derive(Debug)]
pub(super) struct Beams {
    context: BTreeSet<u32>,
    running: Vec<Hypothesis>,
    /// Best first, at most as many as beams.
    finished: Vec<Hypothesis>,
}

fn descending(a: f32, b: f32) -> Ordering {
    b.total_cmp(&a)
}

impl Beams {
    /// Of an example whose decoder has read `context`.
    pub fn new(context: &[u32]) -> Self {
        Beams {
            context: context.iter().copied().collect(),
            running: vec![Hypothesis {
                tokens: Vec::new(),
                score: 0.0,
            }],
            finished: Vec::new(),
        }
    }

    /// How many hypotheses are running.
    pub fn width(&self) -> usize {
        self.running.len()
    }

    /// Chooses the next hypotheses by the logits of each, `[hypotheses, vocabulary]`; for
    /// each of them which one it continues, and its new token. Empty where the search ends.
    pub fn advance(
        &mut self,
        logits: &mut [f32],
        options: &GenerationOptions,
        ends: &[u32],
        limit: usize,
    ) -> Vec<(usize, u32)> {
        let beams = options.beams;
        let candidates = self.candidates(logits, options, beams * (1 + ends.len().max(1)));
        let length = self.running[0].tokens.len() + 1;
        let at_limit = length >= limit;
        let full = self.finished.len() == beams;
        let may_finish = !(full && options.early_stopping == EarlyStopping::First);
        let power = f64::from(options.length_penalty);
        let penalty = |length: usize| (length as f64).powf(power) as f32;
        let mut next = Vec::new();
        for (rank, candidate) in candidates.iter().enumerate() {
            let ended = at_limit || ends.contains(&candidate.token);
            if !ended && next.len() < beams {
                next.push(*candidate);
            }
            if ended && rank < beams && may_finish {
                let mut tokens = self.running[candidate.parent].tokens.clone();
                tokens.push(candidate.token);
                let score = candidate.score / penalty(length);
                self.finished.push(Hypothesis { tokens, score });
            }
        }
        self.finished.sort_by(|a, b| descending(a.score, b.score));
        self.finished.truncate(beams);
        let extended = next.iter().map(|c| {
            let mut tokens = self.running[c.parent].tokens.clone();
            tokens.push(c.token);
            Hypothesis {
                tokens,
                score: c.score,
            }
        });
        let extended: Vec<Hypothesis> = extended.collect();
        let Some(best) = extended.first().map(|h| h.score) else {
            return Vec::new();
        };
        self.running = extended;
        if self.finished.len() == beams {
            let reachable = match options.early_stopping {
                EarlyStopping::Never if options.length_penalty > 0.0 => limit,
                _ => length,
            };
            let worst = self.finished[beams - 1].score;
            let hopeless = best / penalty(reachable) <= worst;
            if hopeless || options.early_stopping == EarlyStopping::First {
                return Vec::new();
            }
        }
        next.iter().map(|c| (c.parent, c.token)).collect()
    }

    /// The likeliest `count` continuations, best first; of equal ones those of the first
    /// hypothesis and token.
    fn candidates(
        &self,
        logits: &mut [f32],
        options: &GenerationOptions,
        count: usize,
    ) -> Vec<Candidate> {
        let entries = logits.len() / self.running.len();
        let mut best: Vec<Candidate> = Vec::with_capacity(count + 1);
        let rows = logits.chunks_exact_mut(entries).zip(&self.running);
        for (parent, (scores, hypothesis)) in rows.enumerate() {
            log_softmax(scores);
            if options.repetition_penalty != 1.0 {
                let mut context = self.context.clone();
                context.extend(&hypothesis.tokens);
                penalise(scores, &context, options.repetition_penalty);
            }
            for (token, score) in scores.iter().enumerate() {
                let score = score + hypothesis.score;
                if best.len() == count && score <= best[count - 1].score {
                    continue;
                }
                let place = best.partition_point(|other| other.score >= score);
                let token = token as u32;
                best.insert(
                    place,
                    Candidate {
                        score,
                        parent,
                        token,
                    },
                );
                best.truncate(count);
            }
        }
        best
    }

    /// The best finished text, or the best running one where none is.
    pub fn into_best(self) -> Vec<u32> {
        let best = self.finished.into_iter().next();
        let best = best.or_else(|| self.running.into_iter().next());
        best.map_or_else(Vec::new, |hypothesis| hypothesis.tokens)
    }
}
