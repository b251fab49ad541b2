//! The task of a run: its data tokenised, its labels ordered, its scorer.

use super::dialogue::Dialogue;
use super::out_of_range;
use super::scorer::Scorer;
use super::seeds::{Purpose, generator};
use crate::recipe::{self, Columns, Metric, Recipe, TaskKind};
use crate::{Error, Observer};
use bomf_study::Splits;
use bomf_tune::TuneError;
use bomf_tune::data::{self, AnswerRules, DataOptions, Dataset, read_dataset};
use bomf_tune::generate::{GenerationError, Texts};
use bomf_tune::models::{Config, LabelNames};
use bomf_tune::tokenize::TextTokenizer;
use bomf_tune::train::EncodedSplit;
use rand::RngExt;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// Everything about the data that a command needs.
#[derive(Debug)]
pub(super) struct Task {
    pub name: String,
    pub kind: TaskKind,
    pub labels: LabelNames,
    pub scorer: Scorer,
    pub train: EncodedSplit,
    pub select: EncodedSplit,
    pub report: EncodedSplit,
    /// The recipe's part on the task with every guess filled in, so that a run
    /// can be repeated from what it wrote.
    settled: recipe::Task,
    /// What was guessed, carved off or looks odd.
    pub notes: Vec<String>,
}

impl Task {
    /// Reads and tokenises the data in `dir` for the model in `model_dir`.
    pub fn load(
        dir: &Path,
        model_dir: &Path,
        config: &Config,
        recipe: &Recipe,
        allow_no_train: bool,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        // One made in code may hold what none read from a file can.
        Recipe::from_yaml(&recipe.to_yaml(), "")?;
        let mut dataset = read(dir, config, recipe, allow_no_train)?;
        let kind = match (recipe.task.kind, dataset.task) {
            (Some(TaskKind::Seq2Seq), _) => TaskKind::Seq2Seq,
            (_, data::Task::Classification) => TaskKind::Classification,
            (_, data::Task::Regression) => TaskKind::Regression,
            (_, data::Task::CausalLm) => TaskKind::CausalLm,
            (_, data::Task::QuestionAnswering) => TaskKind::QuestionAnswering,
            (_, data::Task::MultipleChoice) => TaskKind::MultipleChoice,
            (_, data::Task::TokenClassification) => TaskKind::TokenClassification,
        };
        check_kind(kind, config, &dataset, recipe)?;
        let scorer = Scorer::new(recipe, kind, &dataset)?;
        let tokenizer = TextTokenizer::load(model_dir, config, recipe.task.max_length)?;
        let tokenizer = Arc::new(tokenizer);
        let examples = dataset.splits().into_iter().flat_map(|split| &split.texts);
        let dialogue = Dialogue::new(recipe, model_dir, examples)?;
        let answer_rules = answer_rules(recipe, &dataset);
        let encode = |split: &data::Split| -> Result<EncodedSplit, Error> {
            match &split.labels {
                data::Labels::Answers(answers) => {
                    let stride = recipe.task.question_answering.doc_stride;
                    let (sequences, answers) =
                        tokenizer.encode_questions(&split.texts, answers, stride, answer_rules)?;
                    return Ok(EncodedSplit::new(sequences, data::Labels::Answers(answers)));
                }
                data::Labels::Tags(tags) => {
                    let (sequences, tags) = tokenizer.encode_words(&split.texts, tags)?;
                    return Ok(EncodedSplit::new(sequences, data::Labels::Tags(tags)));
                }
                _ => {}
            }
            let texts = split
                .texts
                .iter()
                .map(|e| (e.text.as_str(), e.text_pair.as_deref()));
            let sequences = match kind {
                TaskKind::CausalLm => dialogue.encode(&tokenizer, &split.texts)?,
                TaskKind::Seq2Seq => {
                    let pairs = texts.map(|(source, target)| (source, target.unwrap_or_default()));
                    tokenizer.encode_pairs(pairs)?
                }
                TaskKind::MultipleChoice => {
                    let sequences =
                        tokenizer.encode_choices(&split.texts, dataset.num_choices())?;
                    return Ok(EncodedSplit::new(sequences, split.labels.clone()));
                }
                _ => {
                    let labels = split.labels.clone();
                    return Ok(EncodedSplit::new(tokenizer.encode(texts)?, labels));
                }
            };
            let counts = (0..sequences.len()).map(|i| sequences.targets(i).len() as u32);
            let labels = data::Labels::Tokens(counts.collect());
            Ok(EncodedSplit {
                texts: texts_of(split, kind, recipe, &scorer, &tokenizer, &dialogue)?,
                ..EncodedSplit::new(sequences, labels)
            })
        };
        let [train, select, report] =
            [&dataset.train, &dataset.validation, &dataset.test].map(encode);
        let (mut train, select, report) = (train?, select?, report?);
        train.label_smoothing = recipe.finetune.label_smoothing as f32;
        let encoded = [&train, &select, &report];
        let lost: Vec<String> = dataset
            .splits()
            .into_iter()
            .zip(encoded)
            .filter_map(|(split, encoded)| note_of(split, encoded))
            .collect();
        dataset.notes.extend(lost);
        let folder = dir.canonicalize().ok();
        let folder = folder
            .as_deref()
            .and_then(Path::file_name)
            .map(|n| n.to_string_lossy());
        let named = recipe.task.name.clone();
        let name = named
            .or(folder.map(String::from))
            .unwrap_or_else(|| "task".into());
        let task = Task {
            settled: settle(recipe, &name, kind, &dataset)?,
            name,
            kind,
            labels: match kind {
                TaskKind::Classification => LabelNames::Classes(dataset.label_names.clone()),
                TaskKind::Regression => LabelNames::Regression,
                TaskKind::CausalLm | TaskKind::Seq2Seq => LabelNames::Vocabulary,
                TaskKind::QuestionAnswering => LabelNames::Answers,
                TaskKind::MultipleChoice => LabelNames::Choices,
                TaskKind::TokenClassification => LabelNames::Tags(dataset.label_names.clone()),
            },
            train,
            select,
            report,
            scorer,
            notes: dataset.notes,
        };
        for note in &task.notes {
            observer.note(note);
        }
        Ok(task)
    }

    /// `recipe` with what was guessed about the task.
    pub fn settled(&self, recipe: &Recipe) -> Recipe {
        Recipe {
            task: self.settled.clone(),
            ..recipe.clone()
        }
    }

    pub fn splits(&self) -> Splits {
        Splits {
            train: self.train.labels.len(),
            select: self.select.labels.len(),
            report: self.report.labels.len(),
        }
    }
}

/// Refuses a kind of task for which the model or the data are not made.
fn check_kind(
    kind: TaskKind,
    config: &Config,
    dataset: &Dataset,
    recipe: &Recipe,
) -> Result<(), Error> {
    let smoothing = recipe.finetune.label_smoothing;
    if smoothing > 0.0 && matches!(kind, TaskKind::Regression | TaskKind::QuestionAnswering) {
        let expected = "0 for a task without classes or tokens to predict";
        let field = "finetune.label_smoothing";
        return Err(out_of_range(field, smoothing.to_string(), expected));
    }
    if recipe.task.chat && kind != TaskKind::CausalLm {
        let expected = "false for a task that is not causal_lm";
        return Err(out_of_range("task.chat", "true", expected));
    }
    let is_pair = config.model_type.is_encoder_decoder();
    let expected = match kind {
        TaskKind::Seq2Seq if !is_pair => "causal_lm for a model without an encoder of its own",
        TaskKind::Seq2Seq if dataset.has_chats() => "causal_lm for conversations",
        TaskKind::Seq2Seq if dataset.columns.text_pair.is_none() => {
            let expected = "the column of the targets";
            return Err(out_of_range("task.columns.text_pair", "null", expected));
        }
        kind if is_pair && kind != TaskKind::Seq2Seq => "seq2seq for an encoder-decoder like this",
        _ => return Ok(()),
    };
    Err(out_of_range("task.kind", kind.as_str(), expected))
}

/// How answers are read off, where questions are asked: one may have none where some do.
fn answer_rules(recipe: &Recipe, dataset: &Dataset) -> AnswerRules {
    let own = &recipe.task.question_answering;
    let has_none = |split: &&data::Split| match &split.labels {
        data::Labels::Answers(answers) => answers.questions().iter().any(|q| q.answers.is_empty()),
        _ => false,
    };
    AnswerRules {
        n_best_size: own.n_best_size,
        max_answer_length: own.max_answer_length,
        null_score_diff_threshold: own.null_score_diff_threshold as f32,
        has_no_answers: dataset.splits().iter().any(has_none),
    }
}

/// What a user should know of how a split was tokenised: words that were left out, windows.
fn note_of(split: &data::Split, encoded: &EncodedSplit) -> Option<String> {
    match (&split.labels, &encoded.labels) {
        (data::Labels::Tags(all), data::Labels::Tags(kept)) => {
            let left_out = all.ids.len() - kept.ids.len();
            (left_out > 0).then(|| {
                format!(
                    "{left_out} of the {} words of the {} split are left out: beyond `max_length`, \
                     or without a token",
                    all.ids.len(),
                    split.name
                )
            })
        }
        (_, data::Labels::Answers(answers)) if !split.is_empty() => Some(format!(
            "{} split: {} questions, {} of them without an answer, in {} windows",
            split.name,
            split.len(),
            answers
                .questions()
                .iter()
                .filter(|q| q.answers.is_empty())
                .count(),
            answers.windows().len()
        )),
        _ => None,
    }
}

/// What is to be generated for a split, where there are metrics of texts.
fn texts_of(
    split: &data::Split,
    kind: TaskKind,
    recipe: &Recipe,
    scorer: &Scorer,
    tokenizer: &Arc<TextTokenizer>,
    dialogue: &Dialogue,
) -> Result<Option<Texts>, Error> {
    if !scorer.writes() {
        return Ok(None);
    }
    let pairs = split.texts.iter();
    let references: Option<Vec<String>> = pairs.map(|e| e.text_pair.clone()).collect();
    let references = references.ok_or(TuneError::Generation(GenerationError::NoPrompt))?;
    let generation = &recipe.task.generation;
    let mut options = generation.options.clone();
    if let Some(sampling) = &mut options.sampling {
        sampling.seed = generator(recipe.seed, Purpose::Generation).random();
    }
    let sources = split.texts.iter().map(|e| e.text.as_str());
    Ok(Some(Texts {
        prompts: match kind {
            TaskKind::Seq2Seq => tokenizer.encode_sources(sources)?,
            _ => dialogue.encode_prompts(tokenizer, &split.texts, options.max_new_tokens)?,
        },
        references,
        metrics: scorer.text_metrics(),
        stemmed: generation.stem,
        options,
        tokenizer: tokenizer.clone(),
    }))
}

fn settle(
    recipe: &Recipe,
    name: &str,
    kind: TaskKind,
    dataset: &Dataset,
) -> Result<recipe::Task, Error> {
    let wanted = recipe.objectives(kind)?;
    let given = &recipe.task;
    let names = &dataset.label_names;
    let guessed = || names.get(data::positive_class(names) as usize).cloned();
    let needs_positive = kind == TaskKind::Classification && wanted.metrics.contains(&Metric::F1);
    Ok(recipe::Task {
        name: Some(name.into()),
        kind: Some(kind),
        columns: Columns {
            text: Some(dataset.columns.text.clone()),
            text_pair: dataset.columns.text_pair.clone(),
            label: Some(dataset.columns.label.clone()).filter(|label| !label.is_empty()),
            choices: dataset.columns.choices.clone(),
        },
        metrics: wanted.metrics,
        choose_by: Some(wanted.choose_by),
        positive_label: given
            .positive_label
            .clone()
            .or_else(|| guessed().filter(|_| needs_positive)),
        labels: (!names.is_empty()).then(|| names.clone()),
        ..given.clone()
    })
}

/// Reads the data; the classes are numbered as the recipe says, else as the model
/// does if it knows the same ones, else in their natural order.
fn read(
    dir: &Path,
    config: &Config,
    recipe: &Recipe,
    allow_no_train: bool,
) -> Result<Dataset, Error> {
    let columns = &recipe.task.columns;
    let mut options = DataOptions {
        text: columns.text.clone(),
        text_pair: columns.text_pair.clone(),
        label: columns.label.clone(),
        choices: columns.choices.clone(),
        task: recipe.task.kind.map(|kind| match kind {
            TaskKind::Classification => data::Task::Classification,
            TaskKind::Regression => data::Task::Regression,
            TaskKind::CausalLm | TaskKind::Seq2Seq => data::Task::CausalLm,
            TaskKind::QuestionAnswering => data::Task::QuestionAnswering,
            TaskKind::MultipleChoice => data::Task::MultipleChoice,
            TaskKind::TokenClassification => data::Task::TokenClassification,
        }),
        label_names: recipe.task.labels.clone(),
        allow_no_train,
        validation_fraction: recipe.task.validation_fraction,
        test_fraction: recipe.task.test_fraction,
        seed: recipe.seed,
    };
    let dataset = read_dataset(dir, &options)?;
    if let (None, Some(LabelNames::Classes(names))) =
        (&recipe.task.labels, LabelNames::from_config(config))
    {
        let set = |names: &[String]| names.iter().cloned().collect::<BTreeSet<_>>();
        if names != dataset.label_names && set(&names) == set(&dataset.label_names) {
            options.label_names = Some(names);
            return Ok(read_dataset(dir, &options)?);
        }
    }
    Ok(dataset)
}
