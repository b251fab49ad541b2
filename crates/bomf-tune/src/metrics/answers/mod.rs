//! Answers read off the scores of tokens, and SQuAD's metrics of them.
//!
//! A window's answer from token `s` to token `e` scores `start[s] + end[e]`, of the likeliest
//! first and last tokens; no answer scores the first token's sum, the least of a question's
//! windows (Devlin et al. 2019, section 4.3; transformers' `run_qa.py`).

mod text;

use super::{MetricError, Result, check_lengths};
use crate::data::{AnswerRules, Answers, Window};
use crate::tokenize::byte_floor;
use rayon::prelude::*;
use std::ops::Range;

/// The most answers of a question that are looked through for a right and a wrong one.
const MAX_LOOKED_AT: usize = 64;

/// What the outputs say of one question.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Where the answer stands in the text, in bytes; `None` for no answer.
    pub span: Option<Range<usize>>,
    /// The score of the best answer.
    pub score: f32,
    /// The score of having none.
    pub null_score: f32,
    /// 1 where the answer is a right one, 0 otherwise.
    pub exact_match: f64,
    /// F1 of its words with the nearest right answer's.
    pub f1: f64,
    /// How far the best right answer leads the best wrong one: above 0 where the answer is
    /// right, and not otherwise.
    pub lead: f32,
    /// F1 of the best wrong answer.
    pub rival_f1: f64,
}

/// An answer that may be given; of no window, none.
#[derive(Debug, Clone)]
struct Candidate {
    score: f32,
    span: Option<Range<usize>>,
}

/// Reads the answer of every question off the scores `[tokens, 2]` of all windows' tokens.
///
/// Of answers with equal scores the first in the text is taken; no answer only where it scores
/// higher by more than the rules' threshold, or there is no other.
///
/// # Errors
/// No questions, outputs that do not fit the windows, or one that is not finite.
pub fn judge(outputs: &[f32], answers: &Answers) -> Result<Vec<Judged>> {
    check_lengths(answers.ends.len(), answers.questions.len())?;
    let tokens: usize = answers.windows.iter().map(|w| w.tokens as usize).sum();
    check_lengths(outputs.len() / 2, tokens)?;
    let mut starts = Vec::with_capacity(answers.questions.len());
    let mut start = 0;
    for i in 0..answers.questions.len() {
        starts.push(start);
        let windows = &answers.windows[answers.windows_of(i)];
        let end = start + windows.iter().map(|w| w.tokens as usize).sum::<usize>();
        if outputs[2 * start..2 * end].iter().any(|v| !v.is_finite()) {
            return Err(MetricError::NotFinite { example: i });
        }
        start = end;
    }
    let questions = starts.par_iter().enumerate();
    Ok(questions
        .map(|(i, &start)| judge_one(&outputs[2 * start..], answers, i))
        .collect())
}

fn judge_one(mut outputs: &[f32], answers: &Answers, i: usize) -> Judged {
    let (rules, question) = (answers.rules, &answers.questions[i]);
    let context = answers.context(i);
    let mut candidates = Vec::new();
    let mut null_score = f32::INFINITY;
    // The right answer itself may be too unlikely to be looked at.
    let mut aimed = f32::NEG_INFINITY;
    let right = text::right_words(&question.answers);
    let words = |span: &Option<Range<usize>>| match span {
        Some(span) => text::words(&context[span.clone()]),
        None => Vec::new(),
    };
    for window in &answers.windows[answers.windows_of(i)] {
        let (scores, others) = outputs.split_at(2 * window.tokens as usize);
        outputs = others;
        null_score = null_score.min(scores[0] + scores[1]);
        let [first, last] = window.target;
        let span = span_of(window, context, first, last);
        if span.is_some() && right.contains(&words(&span)) {
            let score = scores[2 * first as usize] + scores[2 * last as usize + 1];
            aimed = aimed.max(score);
        }
        add_candidates(&mut candidates, scores, window, context, rules);
    }
    // Stable, so that of equal ones the first stays first.
    candidates.sort_by(|a: &Candidate, b| b.score.total_cmp(&a.score));
    let best = candidates.first().cloned();
    let score = best.as_ref().map_or(f32::MIN, |best| best.score);
    let is_none = match &best {
        Some(best) => {
            rules.has_no_answers && null_score - best.score > rules.null_score_diff_threshold
        }
        None => true,
    };
    let span = best.filter(|_| !is_none).and_then(|best| best.span);
    if rules.has_no_answers || candidates.is_empty() {
        // Behind answers of equal scores, which go before it.
        let score = null_score - rules.null_score_diff_threshold;
        let place = candidates.partition_point(|c| c.score >= score);
        candidates.insert(place, Candidate { score, span: None });
    }
    let given = words(&span);
    let is_right = right.contains(&given);
    let (mut best_right, mut best_wrong) = (None, None);
    for candidate in candidates.iter().take(MAX_LOOKED_AT) {
        let own = words(&candidate.span);
        let slot = match right.contains(&own) {
            true => &mut best_right,
            false => &mut best_wrong,
        };
        slot.get_or_insert((candidate.score, own));
        if best_right.is_some() && best_wrong.is_some() {
            break;
        }
    }
    // What is not among the answers scores no more than the last of them, as far as is known.
    let least = candidates.last().map_or(0.0, |c| c.score);
    let of = |found: &Option<(f32, Vec<String>)>| found.as_ref().map(|(score, _)| *score);
    let right_score = of(&best_right).unwrap_or(f32::NEG_INFINITY).max(aimed);
    let right_score = if right_score.is_finite() {
        right_score
    } else {
        least
    };
    let lead = right_score - of(&best_wrong).unwrap_or(least);
    Judged {
        score,
        null_score,
        exact_match: f64::from(u8::from(is_right)),
        f1: text::f1(&given, &right),
        lead: match is_right {
            true => lead.max(f32::MIN_POSITIVE),
            false => lead.min(0.0),
        },
        rival_f1: best_wrong.map_or(0.0, |(_, words)| text::f1(&words, &right)),
        span,
    }
}

/// Where the tokens from `first` to `last` of a window stand in the text; `None` where they are
/// not its, or make up nothing.
fn span_of(window: &Window, context: &str, first: u32, last: u32) -> Option<Range<usize>> {
    let offset = |place: u32| {
        let place = place.checked_sub(window.first)?;
        window.offsets.get(place as usize)
    };
    let (start, end) = (offset(first)?.0 as usize, offset(last)?.1 as usize);
    // A tokenizer of bytes may part a character.
    let (start, end) = (byte_floor(context, start), byte_floor(context, end));
    (start < end).then_some(start..end)
}

fn add_candidates(
    candidates: &mut Vec<Candidate>,
    scores: &[f32],
    window: &Window,
    context: &str,
    rules: AnswerRules,
) {
    let likeliest = |side: usize| {
        let score = |place: u32| scores[2 * place as usize + side];
        let mut places: Vec<u32> = (0..window.tokens).collect();
        let order = |a: &u32, b: &u32| score(*b).total_cmp(&score(*a)).then(a.cmp(b));
        if places.len() > rules.n_best_size {
            places.select_nth_unstable_by(rules.n_best_size, order);
            places.truncate(rules.n_best_size);
        }
        places.sort_unstable();
        places
    };
    let (firsts, lasts) = (likeliest(0), likeliest(1));
    for &first in &firsts {
        for &last in &lasts {
            if last < first || (last - first) as usize >= rules.max_answer_length {
                continue;
            }
            if let Some(span) = span_of(window, context, first, last) {
                candidates.push(Candidate {
                    score: scores[2 * first as usize] + scores[2 * last as usize + 1],
                    span: Some(span),
                });
            }
        }
    }
}

/// Exact match and F1 of every question.
#[derive(Debug)]
pub(super) struct AnswerScores(Vec<[f64; 2]>);

impl AnswerScores {
    pub fn new(outputs: &[f32], answers: &Answers) -> Result<Self> {
        let judged = judge(outputs, answers)?;
        Ok(AnswerScores(
            judged.iter().map(|j| [j.exact_match, j.f1]).collect(),
        ))
    }

    fn mean(&self, which: usize, counts: &[u32]) -> f64 {
        let pairs = self.0.iter().zip(counts);
        let sum: f64 = pairs.map(|(scores, &c)| scores[which] * f64::from(c)).sum();
        let total: f64 = counts.iter().map(|&c| f64::from(c)).sum();
        if total == 0.0 { 0.0 } else { sum / total }
    }

    pub fn exact_match(&self, counts: &[u32]) -> f64 {
        self.mean(0, counts)
    }

    pub fn f1(&self, counts: &[u32]) -> f64 {
        self.mean(1, counts)
    }
}

/// The sum over each question's windows of the mean log probability of the answer's first and
/// last token, in nats.
///
/// # Errors
/// As [`judge`].
pub fn answer_log_probabilities(outputs: &[f32], answers: &Answers) -> Result<Vec<f64>> {
    check_lengths(answers.ends.len(), answers.questions.len())?;
    let tokens: usize = answers.windows.iter().map(|w| w.tokens as usize).sum();
    check_lengths(outputs.len() / 2, tokens)?;
    let mut rest = outputs;
    let mut sums = Vec::with_capacity(answers.questions.len());
    for i in 0..answers.questions.len() {
        let mut sum = 0.0;
        for window in &answers.windows[answers.windows_of(i)] {
            let (scores, others) = rest.split_at(2 * window.tokens as usize);
            rest = others;
            for (side, &target) in window.target.iter().enumerate() {
                let column = || scores.iter().skip(side).step_by(2).copied();
                let max = f64::from(column().fold(f32::NEG_INFINITY, f32::max));
                let total: f64 = column().map(|z| (f64::from(z) - max).exp()).sum();
                let own = f64::from(scores[2 * target as usize + side]);
                sum += 0.5 * (own - max - total.ln());
            }
        }
        if !sum.is_finite() {
            return Err(MetricError::NotFinite { example: i });
        }
        sums.push(sum);
    }
    Ok(sums)
}

/// One value a question whose mean is the mean loss over all windows, in nats; spread as
/// [`token_losses`](super::token_losses) is.
///
/// # Errors
/// As [`judge`].
pub fn answer_losses(outputs: &[f32], answers: &Answers) -> Result<Vec<f64>> {
    let sums = answer_log_probabilities(outputs, answers)?;
    let losses: Vec<f64> = sums.iter().map(|sum| -sum).collect();
    let windows = |i| answers.windows_of(i).len() as u32;
    let counts: Vec<u32> = (0..losses.len()).map(windows).collect();
    Ok(super::tokens::linearised(&losses, &counts))
}
