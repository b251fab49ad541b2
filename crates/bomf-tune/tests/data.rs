//! Reading data sets: what is read, guessed and carved off.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::HashSet;

use bomf_tune::data::{DataError, DataOptions, Dataset, Example, Labels, Task, positive_class};
use common::{lines, message, read, read_thrice, read_with};

fn example(text: &str, text_pair: Option<&str>) -> Example {
    Example {
        text: text.into(),
        text_pair: text_pair.map(Into::into),
        ..Example::default()
    }
}

fn has_note(data: &Dataset, part: &str) -> bool {
    data.notes.iter().any(|n| n.contains(part))
}

// What is read.

#[test]
fn the_same_data_in_every_format_are_the_same() {
    let json = "{\"text\": \"a, \\\"b\\\"\", \"text_pair\": \"c\", \"label\": \"x\"}\n\
                {\"text\": \"d\", \"text_pair\": \"\", \"label\": \"y\"}\n";
    let csv = "text,text_pair,label\n\"a, \"\"b\"\"\",c,x\nd,,y\n";
    let tsv = "text\ttext_pair\tlabel\na, \"b\"\tc\tx\nd\t\ty\n";
    for (extension, content) in [
        ("jsonl", json),
        ("json", json),
        ("ndjson", json),
        ("csv", csv),
        ("tsv", tsv),
        ("JSONL", json),
    ] {
        for text in [
            content.to_owned(),
            content.replace('\n', "\r\n"),
            format!("\u{FEFF}{content}"),
            content.replace('\n', "\n\n"),
            content.trim_end().to_owned(),
        ] {
            let data = read_thrice(extension, &text).unwrap();
            let expected = [example("a, \"b\"", Some("c")), example("d", Some(""))];
            assert_eq!(data.train.texts, expected, "{extension}: {text:?}");
            assert_eq!(data.train.labels, Labels::Class(vec![0, 1]));
            assert_eq!(data.label_names, ["x", "y"]);
        }
    }
}

#[test]
fn quotes_in_tab_separated_files_are_taken_as_they_are_unless_well_formed() {
    let tsv = "sentence\tlabel\n\
               \"Stop!\" he said.\t1\n\
               5\" of \"snow\"\t0\n\
               \"he said \"\"no\"\"\"\t1\n\
               \"a\" or \"b\"\t0\n\
               \"\t1\n";
    let data = read_thrice("tsv", tsv).unwrap();
    let texts: Vec<_> = data.train.texts.iter().map(|e| e.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "\"Stop!\" he said.",
            "5\" of \"snow\"",
            "he said \"no\"",
            "\"a\" or \"b\"",
            "\""
        ]
    );
}

#[test]
fn a_quoted_csv_field_may_run_over_lines() {
    let data = read_thrice("csv", "text,label\n\"a\nb\",0\nc,1\n").unwrap();
    assert_eq!(data.train.texts[0].text, "a\nb");
}

#[test]
fn other_names_of_the_validation_split_are_known() {
    for name in ["dev.jsonl", "valid.jsonl", "val.jsonl", "validation.jsonl"] {
        let content = lines(4, 2);
        let files = [
            ("train.jsonl", &*content),
            (name, &content),
            ("test.csv", "text,label\nq,1"),
        ];
        let data = read(&files).unwrap();
        assert!(data.validation.file.ends_with(name));
        assert_eq!((data.validation.len(), data.test.len()), (4, 1));
        assert_eq!(data.validation.name, "validation");
    }
}

#[test]
fn rows_may_give_their_keys_in_any_order() {
    let json = "{\"label\": 0, \"text\": \"a\"}\n{\"text\": \"b\", \"id\": 7, \"label\": 1}\n";
    let data = read_thrice("jsonl", json).unwrap();
    assert_eq!(data.train.texts, [example("a", None), example("b", None)]);
    assert_eq!(data.train.labels, Labels::Class(vec![0, 1]));
}

// What is guessed.

#[test]
fn columns_are_guessed_by_their_names_and_said() {
    for (header, text, pair, label) in [
        ("sentence,label,idx", "sentence", None, "label"),
        (
            "sentence1,sentence2,label",
            "sentence1",
            Some("sentence2"),
            "label",
        ),
        (
            "idx,premise,hypothesis,label",
            "premise",
            Some("hypothesis"),
            "label",
        ),
        (
            "question,sentence,label",
            "question",
            Some("sentence"),
            "label",
        ),
        (
            "question1,question2,is_duplicate",
            "question1",
            Some("question2"),
            "is_duplicate",
        ),
        ("Review,Sentiment,x", "Review", None, "Sentiment"),
        ("message,target", "message", None, "target"),
        ("score,text,other", "text", None, "score"),
    ] {
        let rows = match header.split(',').count() {
            2 => "0,0\n1,1\n",
            _ => "0,0,0,0\n1,1,1,1\n",
        };
        let width = header.split(',').count() * 2;
        let rows: String = rows
            .lines()
            .map(|l| format!("{}\n", &l[..width - 1]))
            .collect();
        let data = read_thrice("csv", &format!("{header}\n{rows}")).unwrap();
        assert_eq!(data.columns.text, text);
        assert_eq!(data.columns.text_pair.as_deref(), pair);
        assert_eq!(data.columns.label, label);
        assert!(
            has_note(&data, &format!("text `{text}`")),
            "{:?}",
            data.notes
        );
    }
}

#[test]
fn columns_that_are_told_are_taken() {
    let csv = "text,label,title,stars\na,0,b,1\nc,1,d,2\n";
    let files = [("train.csv", csv), ("dev.csv", csv), ("test.csv", csv)];
    let mut options = DataOptions {
        text: Some("title".into()),
        label: Some("stars".into()),
        ..DataOptions::default()
    };
    let data = read_with(&files, &options).unwrap();
    assert_eq!(data.train.texts, [example("b", None), example("d", None)]);
    assert_eq!(data.label_names, ["1", "2"]);
    assert!(!has_note(&data, "columns guessed"));
    options.text_pair = Some("text".into());
    let data = read_with(&files, &options).unwrap();
    assert_eq!(data.train.texts[0], example("b", Some("a")));
    options.text = None;
    options.text_pair = Some("title".into());
    let data = read_with(&files, &options).unwrap();
    assert_eq!(data.train.texts[0], example("a", Some("b")));
}

#[test]
fn prompts_and_completions_are_found_where_a_language_model_is_told() {
    let options = DataOptions {
        task: Some(Task::CausalLm),
        ..DataOptions::default()
    };
    for (first, second) in [("prompt", "completion"), ("instruction", "output")] {
        let row = |i: usize| {
            format!("{{\"{first}\": \"a {i}\", \"{second}\": \"b {i}\", \"id\": {i}}}\n")
        };
        let rows: String = (0..20).map(row).collect();
        let data = read_with(&[("train.jsonl", &rows)], &options).unwrap();
        assert_eq!(data.task, Task::CausalLm);
        assert_eq!(data.columns.text, first);
        assert_eq!(data.columns.text_pair.as_deref(), Some(second));
        assert_eq!(data.columns.label, "");
        assert_eq!(
            data.train.texts[0].text_pair.as_deref().map(|t| &t[..1]),
            Some("b")
        );
        assert_eq!(data.train.labels, Labels::Tokens(vec![0; data.train.len()]));
        assert!(data.label_names.is_empty());
    }
    let plain: String = (0..20)
        .map(|i| format!("{{\"text\": \"words {i}\"}}\n"))
        .collect();
    let data = read_with(&[("train.jsonl", &plain)], &options).unwrap();
    assert_eq!(
        (data.columns.text.as_str(), data.columns.text_pair),
        ("text", None)
    );
}

fn task_of(labels: &[&str]) -> (Task, Vec<String>) {
    let line = |l: &&str| format!("{{\"text\": \"t\", \"label\": {l}}}\n");
    let content: String = labels.iter().map(line).collect();
    let data = read_thrice("jsonl", &content).unwrap();
    assert!(has_note(&data, "task guessed"));
    (data.task, data.label_names)
}

#[test]
fn the_task_is_guessed_from_the_labels() {
    use Task::{Classification, Regression};
    assert_eq!(
        task_of(&["10", "9", "-1", "10"]),
        (Classification, vec!["-1".into(), "9".into(), "10".into()])
    );
    assert_eq!(
        task_of(&["\"b\"", "\"10\"", "\"9\""]),
        (Classification, vec!["10".into(), "9".into(), "b".into()])
    );
    assert_eq!(
        task_of(&["true", "false"]),
        (Classification, vec!["false".into(), "true".into()])
    );
    assert_eq!(
        task_of(&["1.0", "0.0"]),
        (Classification, vec!["0".into(), "1".into()])
    );
    assert_eq!(
        task_of(&["\"nan\"", "\"inf\""]),
        (Classification, vec!["inf".into(), "nan".into()])
    );
    assert_eq!(task_of(&["\"5.000\"", "\"3.800\""]), (Regression, vec![]));
    assert_eq!(task_of(&["0.5", "1", "2"]), (Regression, vec![]));
    let many: Vec<String> = (0..21).map(|i| format!("{i}.0")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(task_of(&many).0, Regression);
    assert_eq!(task_of(&many[..20]).0, Classification);
}

#[test]
fn the_task_and_the_names_that_are_told_are_taken() {
    let content = lines(6, 2);
    let files = [
        ("train.jsonl", &*content),
        ("dev.jsonl", &content),
        ("test.jsonl", &content),
    ];
    let options = DataOptions {
        task: Some(Task::Regression),
        ..DataOptions::default()
    };
    let data = read_with(&files, &options).unwrap();
    assert_eq!(
        data.train.labels,
        Labels::Value(vec![0.0, 1.0, 0.0, 1.0, 0.0, 1.0])
    );
    assert_eq!((data.num_classes(), data.num_outputs()), (0, 1));
    let options = DataOptions {
        label_names: Some(vec!["1".into(), "0".into(), "2".into()]),
        ..DataOptions::default()
    };
    let data = read_with(&files, &options).unwrap();
    assert_eq!(data.train.labels, Labels::Class(vec![1, 0, 1, 0, 1, 0]));
    assert_eq!(data.num_outputs(), 3);
    assert!(has_note(
        &data,
        "labels without an example in the train split: `2`"
    ));
}

#[test]
fn the_positive_class_is_judged_by_the_names() {
    for (names, positive) in [
        (["equivalent", "not_equivalent"], 0),
        (["entailment", "not_entailment"], 0),
        (["acceptable", "unacceptable"], 0),
        (["not spam", "spam"], 1),
        (["OFFENSE", "OTHER"], 0),
        (["No", "Yes"], 1),
        (["negative", "positive"], 1),
        (["positive", "negative"], 0),
        (["0", "1"], 1),
        (["1", "2"], 1),
        (["cat", "dog"], 1),
    ] {
        let names = names.map(str::to_owned);
        assert_eq!(positive_class(&names), positive, "{names:?}");
    }
    assert_eq!(positive_class(&[]), 1);
}

#[test]
fn repeated_examples_are_noted() {
    let data = read_thrice("jsonl", &lines(4, 2)).unwrap();
    assert!(has_note(
        &data,
        "4 of the 4 test examples are also in the train split, word for word"
    ));
    let files = [
        ("train.csv", "text,label\na,0\nb,1\n"),
        ("dev.csv", "text,label\n ,0\n"),
        ("test.csv", "text,label\nd,1\n"),
    ];
    let data = read(&files).unwrap();
    assert!(!has_note(&data, "word for word"));
    assert!(has_note(
        &data,
        "1 of the 1 validation examples have an empty text"
    ));
}

// What is carved off.

#[test]
fn missing_splits_are_carved_off_by_class_and_said() {
    let content: String = (0..200)
        .map(|i| {
            format!(
                "{{\"text\": \"text {i}\", \"label\": \"{}\"}}\n",
                if i % 10 == 0 { "rare" } else { "common" }
            )
        })
        .collect();
    let data = read(&[("train.jsonl", &content)]).unwrap();
    assert_eq!(
        (data.train.len(), data.validation.len(), data.test.len()),
        (150, 20, 30)
    );
    for (split, rare) in data.splits().iter().zip([15, 2, 3]) {
        let ids = split.labels.classes().unwrap();
        assert_eq!(
            ids.iter().filter(|&&id| id == 1).count(),
            rare,
            "{}",
            split.name
        );
    }
    assert!(has_note(
        &data,
        "no test file: 30 of the 200 train examples carved off (seed 0)"
    ));
    assert!(has_note(&data, "no validation file: 20 of the 200"));
    let all: HashSet<_> = data.splits().iter().flat_map(|s| s.texts.clone()).collect();
    assert_eq!(all.len(), 200);
    // In their old order.
    let number = |e: &Example| e.text[5..].parse::<u32>().unwrap();
    assert!(data.test.texts.iter().map(number).is_sorted());
}

#[test]
fn carving_depends_on_the_seed_alone() {
    let content = lines(100, 2);
    let run = |seed| {
        let options = DataOptions {
            seed,
            ..DataOptions::default()
        };
        read_with(&[("train.jsonl", &content)], &options)
            .unwrap()
            .test
    };
    assert_eq!(run(1).texts, run(1).texts);
    assert_ne!(run(1).texts, run(2).texts);
}

#[test]
fn a_given_test_split_does_not_move_the_validation_split_out_of_train() {
    let content = lines(100, 2);
    let data = read(&[
        ("train.jsonl", &content),
        ("test.jsonl", "{\"text\": \"q\", \"label\": 1}"),
    ]);
    let data = data.unwrap();
    assert_eq!(
        (data.train.len(), data.validation.len(), data.test.len()),
        (90, 10, 1)
    );
}

#[test]
fn examples_with_the_same_text_are_never_parted_by_carving() {
    let content: String = (0..300)
        .map(|i| format!("{{\"text\": \"text {}\", \"label\": {}}}\n", i % 60, i % 2))
        .collect();
    let data = read(&[("train.jsonl", &content)]).unwrap();
    assert!(!has_note(&data, "word for word"), "{:?}", data.notes);
    assert!((40..=50).contains(&data.test.len()));
}

#[test]
fn regression_splits_are_carved_off_at_random() {
    let line = |i| format!("{{\"text\": \"t{i}\", \"label\": {}.5}}\n", i);
    let content: String = (0..40).map(line).collect();
    let data = read(&[("train.jsonl", &content)]).unwrap();
    assert_eq!(
        (data.train.len(), data.validation.len(), data.test.len()),
        (30, 4, 6)
    );
}

#[test]
fn without_train_the_rest_is_read_if_allowed() {
    let content = lines(20, 2);
    let files = [("dev.jsonl", &*content)];
    assert!(matches!(
        read(&files),
        Err(DataError::MissingSplit { split: "train", .. })
    ));
    let options = DataOptions {
        allow_no_train: true,
        ..DataOptions::default()
    };
    let data = read_with(&files, &options).unwrap();
    assert_eq!(
        (data.train.len(), data.validation.len(), data.test.len()),
        (0, 17, 3)
    );
    assert_eq!(data.train.labels, Labels::Class(vec![]));
}

#[test]
fn too_few_examples_to_carve_are_said() {
    assert_eq!(
        message("train.jsonl", &lines(3, 2)),
        "`train.jsonl` has 3 examples: too few to carve a test split off"
    );
}
