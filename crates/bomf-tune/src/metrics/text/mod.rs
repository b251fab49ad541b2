//! Metrics of texts against their references: ROUGE, BLEU, chrF, METEOR, exact match.
//!
//! Each example gives a row of *sufficient statistics*, and the metric of any sample is a
//! function of the sum of its rows: a mean of scores for some, a ratio of counts for the
//! others (BLEU and chrF are of a whole corpus, not means over sentences). So the bootstrap
//! needs no texts, and resamples by adding.
//!
//! All are shares in [0, 1]; sacreBLEU writes the same numbers times 100. Each example has
//! one reference.

mod bleu;
mod chrf;
mod meteor;
mod ngrams;
mod porter;
mod rouge;
mod tokens;

pub use porter::stem;
pub use tokens::{rouge_words, words_13a};

/// A measure of how like texts are to their references; more is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TextMetric {
    /// Share of the texts that are their references, white space around them aside.
    ExactMatch,
    /// Mean F1 of single words, as `rouge1` of google's rouge-score (Lin 2004).
    Rouge1,
    /// Mean F1 of pairs of words, as its `rouge2`.
    Rouge2,
    /// Mean F1 of the longest common subsequence of words, as its `rougeL`.
    RougeL,
    /// Corpus BLEU of words up to fours (Papineni et al. 2002), as sacreBLEU computes it by
    /// default: tokenised by 13a, exponential smoothing.
    Bleu,
    /// F₂ of sequences of up to six characters over the corpus (Popović 2015), as
    /// sacreBLEU's chrF2.
    Chrf,
    /// chrF with single words and pairs beside the characters (Popović 2017), as its
    /// chrF2++.
    ChrfPlusPlus,
    /// Mean METEOR by exact words and stems (Lavie and Agarwal 2007), as NLTK's without
    /// WordNet: synonyms do not match. Words are those of 13a in lower case.
    Meteor,
}

impl TextMetric {
    /// All of them.
    pub const ALL: [TextMetric; 8] = [
        TextMetric::ExactMatch,
        TextMetric::Rouge1,
        TextMetric::Rouge2,
        TextMetric::RougeL,
        TextMetric::Bleu,
        TextMetric::Chrf,
        TextMetric::ChrfPlusPlus,
        TextMetric::Meteor,
    ];

    /// The name in recipes and reports.
    pub fn name(self) -> &'static str {
        match self {
            TextMetric::ExactMatch => "exact_match",
            TextMetric::Rouge1 => "rouge1",
            TextMetric::Rouge2 => "rouge2",
            TextMetric::RougeL => "rouge_l",
            TextMetric::Bleu => "bleu",
            TextMetric::Chrf => "chrf",
            TextMetric::ChrfPlusPlus => "chrf++",
            TextMetric::Meteor => "meteor",
        }
    }

    /// Numbers in a row of statistics.
    pub fn width(self) -> usize {
        match self {
            TextMetric::Bleu => bleu::WIDTH,
            TextMetric::Chrf => chrf::width(0),
            TextMetric::ChrfPlusPlus => chrf::width(chrf::WORDS),
            _ => 1,
        }
    }

    /// The statistics of one example, [`width`](Self::width) numbers. ROUGE stems words
    /// (Porter 1980, as NLTK does) where `stemmed`; METEOR always does, the others never.
    ///
    /// Counts, and scores in [0, 1] rounded to `f32`. An empty text, or one against an empty
    /// reference, has the score 0, save that the two are an exact match.
    pub fn statistics(self, prediction: &str, reference: &str, stemmed: bool) -> Vec<f32> {
        match self {
            TextMetric::ExactMatch => {
                vec![f32::from(u8::from(prediction.trim() == reference.trim()))]
            }
            TextMetric::Rouge1 => vec![rouge::n_grams(prediction, reference, 1, stemmed) as f32],
            TextMetric::Rouge2 => vec![rouge::n_grams(prediction, reference, 2, stemmed) as f32],
            TextMetric::RougeL => vec![rouge::longest(prediction, reference, stemmed) as f32],
            TextMetric::Bleu => bleu::statistics(prediction, reference),
            TextMetric::Chrf => chrf::statistics(prediction, reference, 0),
            TextMetric::ChrfPlusPlus => chrf::statistics(prediction, reference, chrf::WORDS),
            TextMetric::Meteor => vec![meteor::score(prediction, reference) as f32],
        }
    }

    /// The metric of `examples` examples whose rows of statistics have these sums; 0 for
    /// none. Sums below 0, as a surrogate may draw them, count as 0.
    pub fn value(self, sums: &[f64], examples: f64) -> f64 {
        match self {
            TextMetric::Bleu => bleu::value(sums),
            TextMetric::Chrf | TextMetric::ChrfPlusPlus => chrf::value(sums),
            _ if examples > 0.0 => sums.first().map_or(0.0, |sum| sum / examples),
            _ => 0.0,
        }
    }

    /// The metric over all of `predictions`, which have a reference each.
    pub fn compute<'a>(
        self,
        predictions: impl IntoIterator<Item = (&'a str, &'a str)>,
        stemmed: bool,
    ) -> f64 {
        let (mut sums, mut examples) = (vec![0.0; self.width()], 0.0);
        for (prediction, reference) in predictions {
            let row = self.statistics(prediction, reference, stemmed);
            sums.iter_mut()
                .zip(row)
                .for_each(|(sum, v)| *sum += f64::from(v));
            examples += 1.0;
        }
        self.value(&sums, examples)
    }
}

/// Rows of statistics, to be added up as often as their examples count.
#[derive(Debug)]
pub(super) struct Statistics<'a> {
    metric: TextMetric,
    rows: &'a [f32],
}

impl<'a> Statistics<'a> {
    /// `rows` is `[examples, width]`.
    pub(super) fn new(metric: TextMetric, rows: &'a [f32], examples: usize) -> super::Result<Self> {
        super::check_lengths(rows.len() / metric.width(), examples)?;
        match rows.iter().position(|v| !v.is_finite()) {
            Some(at) => Err(super::MetricError::NotFinite {
                example: at / metric.width(),
            }),
            None => Ok(Statistics { metric, rows }),
        }
    }

    pub(super) fn value(&self, counts: &[u32]) -> f64 {
        let (mut sums, mut total) = (vec![0.0; self.metric.width()], 0.0);
        let rows = self.rows.chunks_exact(self.metric.width());
        for (row, &count) in rows.zip(counts).filter(|(_, count)| **count > 0) {
            let count = f64::from(count);
            sums.iter_mut()
                .zip(row)
                .for_each(|(sum, v)| *sum += f64::from(*v) * count);
            total += count;
        }
        self.metric.value(&sums, total)
    }
}
