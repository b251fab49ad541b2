//! Data of questions, choices and tagged words, and their tokens.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;
mod tiny;

use bomf_tune::data::{AnswerRules, DataError, DataOptions, Dataset, Labels, Question, Task};
use bomf_tune::models::Config;
use bomf_tune::pretrain::train_tokenizer;
use bomf_tune::tokenize::TextTokenizer;
use common::{folder, read_with, without_folder};
use tempfile::TempDir;
use tiny::golden;

fn options(task: Task) -> DataOptions {
    DataOptions {
        task: Some(task),
        ..DataOptions::default()
    }
}

/// The same file as train, validation and test.
fn thrice(extension: &str, content: &str, task: Task) -> Result<Dataset, DataError> {
    let files = common::thrice(extension, content);
    let files: Vec<_> = files.iter().map(|(n, c)| (n.as_str(), *c)).collect();
    read_with(&files, &options(task))
}

fn questions(data: &Dataset) -> &[Question] {
    match &data.train.labels {
        Labels::Answers(answers) => answers.questions(),
        other => panic!("{other:?}"),
    }
}

fn message(name: &str, content: &str, task: Task) -> String {
    let dir = folder(&[(name, content)]);
    let error = bomf_tune::data::read_dataset(dir.path(), &options(task)).unwrap_err();
    without_folder(&error, dir.path())
}

#[test]
fn answers_come_as_squad_has_them_and_in_simpler_forms() {
    let forms = [
        r#"{"id": "7", "question": "who?", "context": "Zoë ate.", "answers": {"text": ["Zoë", "Zoë ate"], "answer_start": [0, 0]}}"#,
        r#"{"id": "7", "question": "who?", "context": "Zoë ate.", "answers": [{"text": "Zoë", "answer_start": 0}, {"text": "Zoë ate"}]}"#,
        r#"{"id": 7, "question": "who?", "context": "Zoë ate.", "answers": ["Zoë", "Zoë ate"]}"#,
    ];
    for form in forms {
        let data = thrice("jsonl", form, Task::QuestionAnswering).unwrap();
        let expected = Question {
            id: "7".into(),
            answers: vec!["Zoë".into(), "Zoë ate".into()],
            span: Some(0..4),
        };
        assert_eq!(questions(&data), [expected], "{form}");
        assert_eq!(data.train.texts[0].text, "who?");
        assert_eq!(data.train.texts[0].text_pair.as_deref(), Some("Zoë ate."));
        assert_eq!((data.num_outputs(), data.num_classes()), (2, 0));
    }
    for none in ["[]", "null", r#"{"text": [], "answer_start": []}"#, "\"\""] {
        let line = format!(r#"{{"question": "who?", "context": "x", "answers": {none}}}"#);
        let data = thrice("jsonl", &line, Task::QuestionAnswering).unwrap();
        assert!(questions(&data)[0].answers.is_empty(), "{none}");
        assert_eq!(questions(&data)[0].span, None);
    }
}

#[test]
fn squads_own_files_are_read() {
    let file = r#"{"version": "v2.0", "data": [{"title": "T", "paragraphs": [
        {"context": "A cat sat.", "qas": [
            {"id": "a", "question": "what sat?", "answers": [{"text": "cat", "answer_start": 2}], "is_impossible": false},
            {"id": "b", "question": "what flew?", "answers": [], "is_impossible": true}]}]}]}"#;
    let data = read_with(
        &[
            ("train-v2.0.json", file),
            ("dev-v2.0.json", file),
            ("test.json", file),
        ],
        &options(Task::QuestionAnswering),
    )
    .unwrap();
    let spans: Vec<_> = questions(&data).iter().map(|q| q.span.clone()).collect();
    assert_eq!(spans, [Some(2..5), None]);
    assert_eq!(data.validation.texts[1].text, "what flew?");
    let broken = r#"{"data": [{"paragraphs": 3}]}"#;
    let text = message("train.json", broken, Task::QuestionAnswering);
    assert!(text.contains("`paragraphs` should be a list"), "{text}");
}

#[test]
fn an_answer_that_moved_is_found_and_one_that_is_nowhere_refused() {
    let line = r#"{"question": "q", "context": "a b a b", "answers": {"text": ["b"], "answer_start": [5]}}"#;
    let data = thrice("jsonl", line, Task::QuestionAnswering).unwrap();
    assert_eq!(questions(&data)[0].span, Some(6..7));
    assert!(
        data.notes
            .iter()
            .any(|n| n.starts_with("1 of the 1 train answers"))
    );
    let line = r#"{"question": "q", "context": "a b", "answers": ["c"]}"#;
    let text = message("train.jsonl", line, Task::QuestionAnswering);
    assert_eq!(
        text,
        "train.jsonl:1: the answer `c` does not stand in the text"
    );
    let line = r#"{"question": "q", "context": "a b", "answers": [3]}"#;
    let text = message("train.jsonl", line, Task::QuestionAnswering);
    assert!(text.ends_with("column `answers` should be a list of answers, but is a number"));
}

#[test]
fn questions_on_one_text_are_never_parted_by_carving() {
    let line = |i: usize| {
        let context = format!("text {}", i / 5);
        format!(
            "{{\"question\": \"q {i}\", \"context\": \"{context}\", \"answers\": [\"text\"]}}\n"
        )
    };
    let content: String = (0..200).map(line).collect();
    let data = read_with(
        &[("train.jsonl", &content)],
        &options(Task::QuestionAnswering),
    )
    .unwrap();
    assert_eq!(
        data.train.len() + data.validation.len() + data.test.len(),
        200
    );
    let contexts = |split: &bomf_tune::data::Split| -> Vec<Option<String>> {
        split.texts.iter().map(|e| e.text_pair.clone()).collect()
    };
    let train = contexts(&data.train);
    for other in [&data.validation, &data.test] {
        assert!(!other.is_empty());
        assert!(
            contexts(other)
                .iter()
                .all(|context| !train.contains(context))
        );
    }
}

#[test]
fn choices_are_a_list_or_columns_and_the_right_one_has_many_names() {
    let lists = [
        r#"{"question": "q", "choices": ["x", "y", "z"], "answer": "B"}"#,
        r#"{"question": "q", "choices": ["x", "y", "z"], "label": 1}"#,
        r#"{"question": "q", "options": ["x", "y", "z"], "answer": "y"}"#,
        r#"{"question": "q", "choices": {"text": ["x", "y", "z"], "label": ["1", "2", "3"]}, "answerKey": "2"}"#,
        r#"{"question": "q", "ending0": "x", "ending1": "y", "ending2": "z", "label": "1"}"#,
        r#"{"question": "q", "option_a": "x", "option_b": "y", "option_c": "z", "label": "b"}"#,
    ];
    for line in lists {
        let data = thrice("jsonl", line, Task::MultipleChoice).unwrap();
        assert_eq!(data.train.labels, Labels::Class(vec![1]), "{line}");
        assert_eq!(data.train.texts[0].parts, ["x", "y", "z"]);
        assert_eq!((data.num_choices(), data.num_outputs()), (3, 3));
    }
    let pair = r#"{"sent1": "a man", "sent2": "he", "ending0": "x", "ending1": "y", "label": 0}"#;
    let data = thrice("jsonl", pair, Task::MultipleChoice).unwrap();
    assert_eq!(data.train.texts[0].text_pair.as_deref(), Some("he"));
    let csv = "question,choice1,choice2,label\nq,x,y,1\n";
    let data = thrice("csv", csv, Task::MultipleChoice).unwrap();
    assert_eq!(data.columns.choices, ["choice1", "choice2"]);
}

#[test]
fn choices_that_do_not_fit_are_refused() {
    let of = |content: &str| message("train.jsonl", content, Task::MultipleChoice);
    let text = of(r#"{"question": "q", "choices": ["x", "y"], "label": 2}"#);
    assert_eq!(text, "train.jsonl:1: `2` is none of the 2 choices");
    let text = of(r#"{"question": "q", "choices": ["x"], "label": 0}"#);
    assert!(text.contains("example 1 has 1 choices, not 2"), "{text}");
    let two = "{\"question\": \"q\", \"choices\": [\"x\", \"y\"], \"label\": 0}\n\
               {\"question\": \"q\", \"choices\": [\"x\", \"y\", \"z\"], \"label\": 0}";
    assert!(
        of(two).contains("example 2 has 3 choices, not 2"),
        "{}",
        of(two)
    );
    let text = of(r#"{"question": "q", "label": 0}"#);
    assert!(
        text.contains("which column is the list of choices?"),
        "{text}"
    );
}

#[test]
fn words_and_tags_are_lists_or_conll_lines() {
    let line = r#"{"tokens": ["Ann", "met", "Bo"], "ner_tags": ["B-PER", "O", "B-PER"]}"#;
    let conll = "-DOCSTART- -X- O\n\nAnn NNP B-PER\nmet VBD O\nBo NNP B-PER\n\n";
    for (extension, content) in [("jsonl", line), ("conll", conll)] {
        let data = thrice(extension, content, Task::TokenClassification).unwrap();
        assert_eq!(data.label_names, ["B-PER", "O"]);
        let Labels::Tags(tags) = &data.train.labels else {
            panic!()
        };
        assert_eq!(
            (&tags.ids[..], &tags.counts[..]),
            (&[0, 1, 0][..], &[3][..])
        );
        assert_eq!(data.train.texts[0].parts, ["Ann", "met", "Bo"]);
        assert_eq!(data.train.texts[0].text, "Ann met Bo");
    }
    let numbers = r#"{"tokens": ["Ann", "met"], "tags": [1, 0]}"#;
    let files = common::thrice("jsonl", numbers);
    let files: Vec<_> = files.iter().map(|(n, c)| (n.as_str(), *c)).collect();
    let named = DataOptions {
        label_names: Some(vec!["O".into(), "B-PER".into()]),
        ..options(Task::TokenClassification)
    };
    let data = read_with(&files, &named).unwrap();
    let Labels::Tags(tags) = &data.train.labels else {
        panic!()
    };
    assert_eq!(tags.ids, [1, 0]);
}

#[test]
fn tags_that_do_not_fit_are_refused() {
    let of = |content: &str| message("train.jsonl", content, Task::TokenClassification);
    let text = of(r#"{"tokens": ["a", "b"], "tags": ["O"]}"#);
    assert_eq!(text, "train.jsonl:1: 2 words, but 1 tags");
    let text = of(r#"{"tokens": "a b", "tags": ["O"]}"#);
    assert!(
        text.ends_with("should be a list of words, but is a string"),
        "{text}"
    );
    let text = of(r#"{"tokens": [], "tags": []}"#);
    assert!(text.contains("no value in column `tokens`"), "{text}");
    let text = message("train.conll", "Ann\n", Task::TokenClassification);
    assert!(text.contains("1 fields, but the header has 2"), "{text}");
}

fn tokenizer(max_length: usize) -> (TempDir, TextTokenizer) {
    let lines = vec!["the old man and the sea saw a boat in it".to_string(); 20];
    let dir = tempfile::tempdir().unwrap();
    let own = train_tokenizer(&lines, 66).unwrap();
    own.save(dir.path().join("tokenizer.json"), false).unwrap();
    let config = Config::read(&golden("tiny_bert")).unwrap();
    let tokenizer = TextTokenizer::load(dir.path(), &config, max_length).unwrap();
    (dir, tokenizer)
}

#[test]
fn windows_cover_the_text_and_hold_the_answer_where_it_fits() {
    let context = "the man and the sea and the old boat in the sea the man saw the old sea";
    let start = context.find("old boat").unwrap();
    let line = format!(
        r#"{{"question": "the old man saw it", "context": "{context}", "answers": {{"text": ["old boat"], "answer_start": [{start}]}}}}"#
    );
    let data = thrice("jsonl", &line, Task::QuestionAnswering).unwrap();
    let Labels::Answers(answers) = &data.train.labels else {
        panic!()
    };
    for (max_length, stride) in [(20, 0), (20, 4), (16, 3), (12, 6)] {
        let (_dir, tokenizer) = tokenizer(max_length);
        let rules = AnswerRules::default();
        let encoded = tokenizer.encode_questions(&data.train.texts, answers, stride, rules);
        let (sequences, answers) = encoded.unwrap();
        let windows = answers.windows();
        assert_eq!(sequences.len(), windows.len());
        assert_eq!(answers.windows_of(0), 0..windows.len());
        assert!(windows.len() > 1, "{max_length}");
        let mut held = 0;
        for (i, window) in windows.iter().enumerate() {
            assert_eq!(window.tokens as usize, sequences.ids(i).len());
            assert!(window.tokens as usize <= max_length);
            if let Some(next) = windows.get(i + 1) {
                let overlap = window.offsets.iter().filter(|o| next.offsets.contains(o));
                assert_eq!(overlap.count(), stride);
            }
            if window.target != [0, 0] {
                let at = |place: u32| window.offsets[(place - window.first) as usize];
                let [first, last] = window.target;
                let text = &context[at(first).0 as usize..at(last).1 as usize];
                assert_eq!(text, "old boat");
                held += 1;
            }
        }
        assert!(held > 0, "{max_length} {stride}");
        let last = windows.last().unwrap().offsets.last().unwrap();
        assert_eq!(last.1 as usize, context.len());
    }
    let (_dir, tokenizer) = tokenizer(8);
    let rules = AnswerRules::default();
    let error = tokenizer.encode_questions(&data.train.texts, answers, 5, rules);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("no room for a question"), "{error}");
}

#[test]
fn a_tag_is_asked_at_the_first_token_of_its_word() {
    let line = r#"{"tokens": ["the", "boatman", "saw", "seas"], "tags": ["O", "B-X", "O", "B-Y"]}"#;
    let data = thrice("jsonl", line, Task::TokenClassification).unwrap();
    let Labels::Tags(tags) = &data.train.labels else {
        panic!()
    };
    let (_dir, whole) = tokenizer(20);
    let (sequences, kept) = whole.encode_words(&data.train.texts, tags).unwrap();
    assert_eq!(kept, *tags);
    let batch = sequences.batch(&[0]);
    assert_eq!(batch.outputs.len(), 4);
    let alone = |word: &str| whole.encode([(word, None)].into_iter()).unwrap().ids(0)[1];
    for (place, word) in batch.outputs.iter().zip(["the", "boatman", "saw", "seas"]) {
        assert_eq!(batch.ids[*place as usize], alone(word), "{word}");
    }
    // What is too long loses its last words, with their tags.
    let (_dir, short) = tokenizer(5);
    let (sequences, kept) = short.encode_words(&data.train.texts, tags).unwrap();
    assert_eq!(kept.counts[0] as usize, sequences.batch(&[0]).outputs.len());
    assert!(kept.counts[0] < 4 && kept.ids == tags.ids[..kept.counts[0] as usize]);
}

#[test]
fn each_choice_is_a_sequence_of_its_own() {
    let line = r#"{"context": "the man", "question": "saw", "choices": ["a boat", "the sea"], "label": 0}"#;
    let data = thrice("jsonl", line, Task::MultipleChoice).unwrap();
    let (_dir, tokenizer) = tokenizer(20);
    let sequences = tokenizer.encode_choices(&data.train.texts, 2).unwrap();
    assert_eq!(sequences.len(), 1);
    let batch = sequences.batch(&[0]);
    assert_eq!(batch.outputs.len(), 2);
    let pair = tokenizer.encode([("the man", Some("saw the sea"))].into_iter());
    let second = batch.offsets[1]..batch.offsets[2];
    assert_eq!(batch.ids[second], *pair.unwrap().ids(0));
}
