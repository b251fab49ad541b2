//! The data of a run and what is measured on it.

use super::named;
use bomf_tune::data::AnswerRules;
use bomf_tune::generate::{EarlyStopping, GenerationOptions};
use bomf_tune::metrics::TextMetric;

/// The data and what is measured on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Name for the report; `None` takes the data folder's.
    pub name: Option<String>,
    /// What is to be learnt; `None` (`auto`) looks at the labels, and takes classification or
    /// regression.
    pub kind: Option<TaskKind>,
    /// Which columns of the data are what.
    pub columns: Columns,
    /// Metrics, each an objective of stage 2 beside the loss; empty takes accuracy
    /// for classification and multiple choice, pearson for regression, F1 for answers and tags
    /// and the accuracy of tokens for causal language modelling and sequence to sequence.
    pub metrics: Vec<Metric>,
    /// The objective by which checkpoints, soups and the front's point are chosen;
    /// `None` takes the first metric.
    pub choose_by: Option<Optimised>,
    /// The label that counts as positive for `f1`; `None` guesses by
    /// the labels' names (`yes` rather than `no`, `equivalent` rather than
    /// `not_equivalent`), else takes the one with index 1.
    pub positive_label: Option<String>,
    /// The labels in the order of their indices; `None` takes those of the model's
    /// `config.json` where they match, and otherwise sorts them.
    pub labels: Option<Vec<String>>,
    /// Tokens of an example that are kept, or of a window of a question's text. Default 128, and
    /// 384 for question answering; from 4 to 32,768.
    pub max_length: usize,
    /// Whether prompts and completions are a user's and an assistant's words, as the model's chat
    /// template writes them. Conversations in the data are so written in any case. Default
    /// false.
    pub chat: bool,
    /// How answers are found, for question answering.
    pub question_answering: QuestionAnswering,
    /// How texts are generated, for metrics of texts.
    pub generation: Generation,
    /// Share of `train` that is carved off where `validation` is missing. Default
    /// 0.1, above 0 and at most 0.5.
    pub validation_fraction: f64,
    /// Share of `train` that is carved off where `test` is missing. Default 0.1,
    /// above 0 and at most 0.5.
    pub test_fraction: f64,
}

/// How answers are looked for in texts.
#[derive(Debug, Clone, PartialEq)]
pub struct QuestionAnswering {
    /// Tokens by which the windows of a text overlap, fewer than `max_length`. Default 128, at
    /// most a third of `max_length`.
    pub doc_stride: usize,
    /// The most tokens of an answer. Default 30, from 1 to 1,024.
    pub max_answer_length: usize,
    /// How many of the likeliest first and last tokens are combined. Default 20, from 1 to
    /// 1,000.
    pub n_best_size: usize,
    /// Where some questions have no answer, none is given where that scores higher than the
    /// best answer by more than this. Default 0.
    pub null_score_diff_threshold: f64,
}

/// Tokens by which windows overlap, as BERT's were.
const DOC_STRIDE: usize = 128;

impl QuestionAnswering {
    /// The defaults for windows of so many tokens.
    pub fn for_length(max_length: usize) -> Self {
        let rules = AnswerRules::default();
        QuestionAnswering {
            doc_stride: DOC_STRIDE.min(max_length / 3),
            max_answer_length: rules.max_answer_length,
            n_best_size: rules.n_best_size,
            null_score_diff_threshold: 0.0,
        }
    }
}

/// How texts are generated and compared, for metrics of texts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Generation {
    /// How texts are generated; where tokens are drawn, from the run's seed. Default greedy,
    /// 64 tokens at most.
    pub options: GenerationOptions,
    /// Whether ROUGE stems words. Default no.
    pub stem: bool,
}

/// What `early_stopping` may be, by name.
pub(super) const EARLY_STOPPING: &[(&str, EarlyStopping)] = &[
    ("false", EarlyStopping::Heuristic),
    ("true", EarlyStopping::First),
    ("never", EarlyStopping::Never),
];

/// Names of the columns; one that is `None` is guessed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Columns {
    /// The text, or the first of a pair; the prompt, where a causal language model is to
    /// learn completions; the source; the question; the words.
    pub text: Option<String>,
    /// The second text of a pair; the completion; the target; the text with the answer.
    pub text_pair: Option<String>,
    /// The label; answers, tags, the right choice.
    pub label: Option<String>,
    /// The column that lists the choices, or the columns with one each; guessed if empty.
    pub choices: Vec<String>,
}

/// What the labels are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskKind {
    /// One of several classes.
    Classification,
    /// A number.
    Regression,
    /// The next token, of a text or of the completion of a prompt.
    CausalLm,
    /// A text from another, by an encoder with a decoder.
    Seq2Seq,
    /// Where in a text the answer to a question stands, if it does.
    QuestionAnswering,
    /// Which of an example's choices is right.
    MultipleChoice,
    /// A tag for each word.
    TokenClassification,
}

impl TaskKind {
    /// Whether tokens are predicted.
    pub fn is_language(self) -> bool {
        matches!(self, TaskKind::CausalLm | TaskKind::Seq2Seq)
    }
}

/// A metric over a whole split; more is better, save for [`Metric::Mse`] and
/// [`Metric::Perplexity`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// Share of the examples that are right; of the words, for tags.
    Accuracy,
    /// F1 of the positive label; of an answer's words; of entities.
    F1,
    /// Unweighted mean of every label's F1.
    F1Macro,
    /// Matthews' correlation coefficient.
    Matthews,
    /// Pearson's correlation coefficient.
    Pearson,
    /// Spearman's rank correlation coefficient.
    Spearman,
    /// Mean squared error; less is better.
    Mse,
    /// `e` to the loss; less is better.
    Perplexity,
    /// Share of the tokens that are right.
    TokenAccuracy,
    /// Share of the texts that are their references; of the answers that are right.
    ExactMatch,
    /// F1 of words.
    Rouge1,
    /// F1 of pairs of words.
    Rouge2,
    /// F1 of the longest common subsequence of words.
    RougeL,
    /// BLEU of the split, as a share.
    Bleu,
    /// chrF of the split, as a share.
    Chrf,
    /// chrF++ of the split, as a share.
    ChrfPlusPlus,
    /// METEOR without synonyms.
    Meteor,
    /// Share of the entities found that are right.
    Precision,
    /// Share of the entities there that are found.
    Recall,
}

impl Metric {
    /// The kind of task that has this metric, the first of several.
    pub fn kind(self) -> TaskKind {
        match self {
            Metric::Accuracy | Metric::F1 | Metric::F1Macro | Metric::Matthews => {
                TaskKind::Classification
            }
            Metric::Pearson | Metric::Spearman | Metric::Mse => TaskKind::Regression,
            Metric::Precision | Metric::Recall => TaskKind::TokenClassification,
            _ => TaskKind::CausalLm,
        }
    }

    /// Whether a task of this kind has it: what a language model has, sequence to sequence
    /// has too.
    pub fn fits(self, kind: TaskKind) -> bool {
        match kind {
            TaskKind::QuestionAnswering => matches!(self, Metric::F1 | Metric::ExactMatch),
            TaskKind::MultipleChoice => self == Metric::Accuracy,
            TaskKind::TokenClassification => matches!(
                self,
                Metric::F1 | Metric::Precision | Metric::Recall | Metric::Accuracy
            ),
            _ => self.kind() == kind || (self.kind().is_language() && kind.is_language()),
        }
    }

    /// The metric of texts that it is, where it is one.
    pub fn of_texts(self) -> Option<TextMetric> {
        let name = self.as_str();
        TextMetric::ALL
            .into_iter()
            .find(|metric| metric.name() == name)
    }
}

/// An objective: the loss or a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Optimised {
    /// Mean loss: cross-entropy for classification and for each token, squared error for
    /// regression.
    Loss,
    /// A metric.
    Metric(Metric),
}

impl Optimised {
    pub(super) const NAMED: &[(&'static str, Self)] = &[
        ("loss", Optimised::Loss),
        ("accuracy", Optimised::Metric(Metric::Accuracy)),
        ("f1", Optimised::Metric(Metric::F1)),
        ("f1_macro", Optimised::Metric(Metric::F1Macro)),
        ("matthews", Optimised::Metric(Metric::Matthews)),
        ("pearson", Optimised::Metric(Metric::Pearson)),
        ("spearman", Optimised::Metric(Metric::Spearman)),
        ("mse", Optimised::Metric(Metric::Mse)),
        ("perplexity", Optimised::Metric(Metric::Perplexity)),
        ("token_accuracy", Optimised::Metric(Metric::TokenAccuracy)),
        ("exact_match", Optimised::Metric(Metric::ExactMatch)),
        ("rouge1", Optimised::Metric(Metric::Rouge1)),
        ("rouge2", Optimised::Metric(Metric::Rouge2)),
        ("rouge_l", Optimised::Metric(Metric::RougeL)),
        ("bleu", Optimised::Metric(Metric::Bleu)),
        ("chrf", Optimised::Metric(Metric::Chrf)),
        ("chrf++", Optimised::Metric(Metric::ChrfPlusPlus)),
        ("meteor", Optimised::Metric(Metric::Meteor)),
        ("precision", Optimised::Metric(Metric::Precision)),
        ("recall", Optimised::Metric(Metric::Recall)),
    ];

    /// Its name in a recipe and in `results.json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Optimised::Loss => "loss",
            Optimised::Metric(metric) => metric.as_str(),
        }
    }
}

named!(TaskKind {
    Classification = "classification",
    Regression = "regression",
    CausalLm = "causal_lm",
    Seq2Seq = "seq2seq",
    QuestionAnswering = "question_answering",
    MultipleChoice = "multiple_choice",
    TokenClassification = "token_classification",
});

named!(Metric {
    Accuracy = "accuracy",
    F1 = "f1",
    F1Macro = "f1_macro",
    Matthews = "matthews",
    Pearson = "pearson",
    Spearman = "spearman",
    Mse = "mse",
    Perplexity = "perplexity",
    TokenAccuracy = "token_accuracy",
    ExactMatch = "exact_match",
    Rouge1 = "rouge1",
    Rouge2 = "rouge2",
    RougeL = "rouge_l",
    Bleu = "bleu",
    Chrf = "chrf",
    ChrfPlusPlus = "chrf++",
    Meteor = "meteor",
    Precision = "precision",
    Recall = "recall",
});

/// Tokens of an example that are kept where a recipe says nothing; for question answering, of
/// whose texts a window must hold a good part.
const MAX_LENGTH: usize = 128;
pub(super) const WINDOW_LENGTH: usize = 384;

impl Default for Task {
    fn default() -> Self {
        Task {
            name: None,
            kind: None,
            columns: Columns::default(),
            metrics: Vec::new(),
            choose_by: None,
            positive_label: None,
            labels: None,
            max_length: MAX_LENGTH,
            chat: false,
            question_answering: QuestionAnswering::for_length(MAX_LENGTH),
            generation: Generation::default(),
            validation_fraction: 0.1,
            test_fraction: 0.1,
        }
    }
}
