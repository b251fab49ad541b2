//! What is exported is what the record holds, in the shape that others read.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may unwrap as tests do"
)]

use bomf_study::interchange::{KnownTrial, csv, json, optuna_journal, read_optuna};
use bomf_study::{
    CurvePoint, DATABASE, Direction, Evaluation, Event, Journal, Objective, Plan, Range, Record,
    Scores, Sqlite, State, Storage, StudyError, TrialRecord,
};
use indexmap::IndexMap;
use proptest::prelude::*;
use serde_json::{Value, json as value};
use std::time::{Duration, UNIX_EPOCH};

fn scores(loss: f64, f1: f64) -> Scores {
    IndexMap::from([("loss".into(), loss), ("f1".into(), f1)])
}

fn plan() -> Plan {
    let objective = |name: &str, direction| Objective {
        name: name.into(),
        direction,
    };
    Plan {
        task: "t".into(),
        objectives: vec![
            objective("loss", Direction::Minimize),
            objective("f1", Direction::Maximize),
        ],
        chosen_metric: "f1".into(),
        stage1_value: vec!["f1".into()],
        trials: 2,
        space: IndexMap::from([
            (
                "learning_rate".into(),
                Range::Float {
                    low: 1e-5,
                    high: 1e-3,
                    log: true,
                },
            ),
            ("batch_size".into(), Range::Int { low: 8, high: 32 }),
            (
                "schedule".into(),
                Range::Categorical {
                    choices: vec![value!("constant"), value!("linear, \"so\"")],
                },
            ),
        ]),
        ..Plan::default()
    }
}

fn record() -> Record {
    let parameters = |rate: f64, batch: i64, schedule: &str| {
        IndexMap::from([
            ("learning_rate".to_string(), value!(rate)),
            ("batch_size".to_string(), value!(batch)),
            ("schedule".to_string(), value!(schedule)),
        ])
    };
    let point = |step, train_loss, select| CurvePoint {
        step,
        train_loss,
        select,
    };
    let evaluation = |number, weights: &[f64], state, scores| Evaluation {
        method: "bomf".into(),
        number,
        weights: weights.to_vec(),
        block_weights: None,
        state,
        scores,
        std_errors: Scores::new(),
        seconds: 0.25,
    };
    Record {
        plan: plan(),
        facts: IndexMap::from([("seed".to_string(), "3".to_string())]),
        trials: vec![
            TrialRecord {
                number: 0,
                parameters: parameters(1e-4, 16, "linear, \"so\""),
                state: State::Complete,
                scores: scores(0.5, 0.8),
                value: Some(0.8),
                step: 20,
                curve: vec![
                    point(10, f64::NAN, scores(0.75, 0.5)),
                    point(20, 0.625, scores(0.5, 0.8)),
                ],
                seconds: 1.5,
            },
            TrialRecord {
                number: 1,
                parameters: parameters(1e-2, 8, "constant"),
                state: State::Failed,
                scores: Scores::new(),
                value: None,
                step: 0,
                curve: Vec::new(),
                seconds: 0.125,
            },
        ],
        evaluations: vec![
            evaluation(0, &[0.25, 0.75], State::Complete, scores(0.4, 0.9)),
            evaluation(1, &[1.5, -0.5], State::Failed, Scores::new()),
        ],
        ..Record::default()
    }
}

/// Every operation, without who wrote it.
fn operations(record: &Record) -> Vec<Value> {
    let text = optuna_journal(record, UNIX_EPOCH + Duration::from_secs(60));
    assert!(text.is_empty() || text.ends_with('\n'));
    let mut all: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for operation in &mut all {
        let own = operation.as_object_mut().unwrap();
        assert_eq!(own.shift_remove("worker_id"), Some(value!("bomf")));
    }
    all
}

#[test]
fn a_journal_of_optunas_has_a_study_a_stage_and_finished_trials() {
    let all = operations(&record());
    let of = |code: u8| all.iter().filter(move |o| o["op_code"] == code);
    let studies: Vec<&Value> = of(0).collect();
    assert_eq!(
        studies,
        [
            &value!({"study_name": "stage1", "directions": [2], "op_code": 0}),
            &value!({"study_name": "stage2", "directions": [1, 2], "op_code": 0}),
        ]
    );
    let trials: Vec<&Value> = of(4).collect();
    assert_eq!(trials.len(), 4);
    assert_eq!(
        *trials[0],
        value!({
            "study_id": 0,
            "datetime_start": "1970-01-01T00:01:00.000000+00:00",
            "state": 1,
            "value": 0.8,
            "values": null,
            "datetime_complete": "1970-01-01T00:01:01.500000+00:00",
            "distributions": {
                // The space grows to where a trial went; keys are in Optuna's order.
                "learning_rate": r#"{"name":"FloatDistribution","attributes":{"step":null,"low":0.00001,"high":0.01,"log":true}}"#,
                "batch_size": r#"{"name":"IntDistribution","attributes":{"log":false,"step":1,"low":8,"high":32}}"#,
                "schedule": r#"{"name":"CategoricalDistribution","attributes":{"choices":["constant","linear, \"so\""]}}"#,
            },
            // Of a categorical parameter the index of its choice.
            "params": {"learning_rate": 1e-4, "batch_size": 16, "schedule": 1},
            "user_attrs": {"loss": 0.5, "f1": 0.8, "seconds": 1.5, "best_step": 20},
            "system_attrs": {},
            "intermediate_values": {"10": 0.5, "20": 0.8},
            "op_code": 4,
        })
    );
    let failed = (&trials[1]["state"], &trials[1]["value"]);
    assert_eq!(failed, (&value!(3), &Value::Null));
    // Two values stand in another field than one.
    let two = (&trials[2]["value"], &trials[2]["values"]);
    assert_eq!(two, (&Value::Null, &value!([0.4, 0.9])));
    assert_eq!(trials[3]["params"], value!({"w_0": 1.5, "w_1": -0.5}));
    assert!(
        trials[3]["distributions"]["w_0"]
            .as_str()
            .unwrap()
            .contains(r#""low":-0.5,"high":1.5"#)
    );
    assert_eq!(of(3).count(), 1);
}

#[test]
fn what_did_not_happen_has_no_study() {
    assert!(operations(&Record::default()).is_empty());
    let one = Record {
        evaluations: Vec::new(),
        ..record()
    };
    let studies = operations(&one);
    assert_eq!(studies.iter().filter(|o| o["op_code"] == 0).count(), 1);
}

/// The rows of a table without line breaks in its cells.
fn cells(text: &str) -> Vec<Vec<String>> {
    let row = |line: &str| {
        let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
        for c in line.chars() {
            match c {
                '"' => quoted = !quoted,
                ',' if !quoted => cells.push(std::mem::take(&mut cell)),
                c => cell.push(c),
            }
        }
        cells.push(cell);
        cells
    };
    text.split_terminator("\r\n").map(row).collect()
}

#[test]
fn a_table_has_a_row_for_each_thing_and_a_cell_for_each_number() {
    let text = csv(&record());
    let rows = cells(&text);
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{text}");
    let kinds: Vec<&str> = rows[1..].iter().map(|row| row[0].as_str()).collect();
    assert_eq!(
        kinds,
        [
            "trial",
            "trial_value",
            "trial_value",
            "trial",
            "evaluation",
            "evaluation"
        ]
    );
    let cell = |row: usize, column: &str| {
        let at = rows[0].iter().position(|name| name == column);
        rows[row][at.unwrap_or_else(|| panic!("{column} in {text}"))].as_str()
    };
    assert_eq!(cell(1, "param.learning_rate"), "0.0001");
    // Quotes are doubled in the text, and this reader takes them away.
    assert!(text.contains(r#""linear, ""so""""#), "{text}");
    assert_eq!((cell(1, "value"), cell(1, "seconds")), ("0.8", "1.5"));
    // NaN is an empty cell.
    assert_eq!(
        (cell(2, "train_loss"), cell(3, "train_loss")),
        ("", "0.625")
    );
    assert_eq!((cell(4, "state"), cell(4, "value")), ("failed", ""));
    assert_eq!((cell(5, "weight.1"), cell(6, "weight.1")), ("0.75", "-0.5"));
    assert_eq!(csv(&Record::default()).lines().count(), 1);
}

#[test]
fn json_holds_everything() {
    let all = json(&record());
    let again: Vec<TrialRecord> = serde_json::from_value(all["trials"].clone()).unwrap();
    // A NaN has become null, and reads back as what it was.
    assert_eq!(again.len(), record().trials.len());
    assert!(again[0].curve[0].train_loss.is_nan());
    assert_eq!(all["trials"][0]["curve"][0]["train_loss"], Value::Null);
    assert_eq!(all["trials"][0]["curve"][1]["train_loss"], 0.625);
    assert_eq!(all["evaluations"][1]["weights"], value!([1.5, -0.5]));
    assert_eq!(all["plan"]["space"]["batch_size"]["high"], 32);
    assert_eq!(all["facts"]["seed"], "3");
}

#[test]
fn a_record_is_read_at_every_moment_of_a_run() {
    // What has a meaning in the address of a database has none in a path.
    let dir = tempfile::Builder::new()
        .prefix("a ?#%41")
        .tempdir()
        .unwrap();
    let read = || Record::read(dir.path(), plan()).unwrap();
    assert!(read().is_empty());
    // An empty database: the program was killed before it wrote the first table.
    std::fs::write(dir.path().join(DATABASE), "").unwrap();
    assert!(read().is_empty());
    std::fs::remove_file(dir.path().join(DATABASE)).unwrap();

    let study = Sqlite::create(&dir.path().join(DATABASE)).unwrap();
    study.add_facts(&record().facts).unwrap();
    assert!(!read().is_empty());
    // Another program reads while this one writes.
    for trial in &record().trials {
        study.add_trial(trial).unwrap();
    }
    let mut journal = Journal::create(&dir.path().join("trials.jsonl")).unwrap();
    journal
        .append(&Event::Stage2 {
            method: "swa".into(),
            evaluation: 0,
            weights: vec![0.5, 0.5],
            block_weights: None,
            state: State::Complete,
            scores: scores(0.4, 0.9),
            seconds: 0.5,
        })
        .unwrap();
    let now = read();
    assert_eq!(now.trials[1], record().trials[1]);
    assert_eq!(now.evaluations.len(), 1);
    drop(study);
    let path = dir.path().join("trials.jsonl");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend(b"{\"stage\":\"sta");
    std::fs::write(&path, bytes).unwrap();
    let torn = read();
    assert_eq!(torn.events, now.events, "a torn last line is left out");
    assert_eq!(torn.evaluations, now.evaluations);
    assert_eq!(torn.trials[1], now.trials[1]);
    // To read is to leave nothing behind.
    let entries = std::fs::read_dir(dir.path()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [DATABASE, "trials.jsonl"]);
}

#[test]
fn a_folder_without_a_database_has_the_trials_of_its_journal() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(&dir.path().join("trials.jsonl")).unwrap();
    journal
        .append(&Event::Stage1 {
            trial: 0,
            parameters: IndexMap::new(),
            state: State::Complete,
            scores: scores(0.5, 0.8),
            step: 3,
            seconds: 1.0,
        })
        .unwrap();
    let read = Record::read(dir.path(), plan()).unwrap();
    assert_eq!(read.trials[0].value, Some(0.8));
}

#[test]
fn what_was_exported_reads_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.log");
    let mut text = optuna_journal(&record(), UNIX_EPOCH);
    // Half a line, as Optuna leaves it while it writes.
    text.push_str("{\"op_code\": 4, \"stu");
    std::fs::write(&path, text).unwrap();
    let study = read_optuna(&path, None).unwrap();
    assert_eq!(study.name, "stage1");
    assert_eq!(study.direction, Direction::Maximize);
    // The trial that failed has nothing to say.
    assert_eq!(study.trials.len(), 1);
    assert_eq!(study.trials[0].parameters, record().trials[0].parameters);
    assert_eq!((study.trials[0].number, study.trials[0].value), (0, 0.8));
    assert_eq!(study, read_optuna(&path, Some("stage1")).unwrap());
    for wanted in ["stage2", "stage3"] {
        let error = read_optuna(&path, Some(wanted)).unwrap_err();
        assert!(error.to_string().contains("stage1, stage2"), "{error}");
        assert!(error.is_bad_input());
    }
}

#[test]
fn a_journal_is_replayed_as_optuna_does() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.log");
    let float = r#""{\"name\":\"FloatDistribution\",\"attributes\":{\"low\":0.0,\"high\":1.0,\"log\":false,\"step\":null}}""#;
    let int = r#""{\"name\":\"IntDistribution\",\"attributes\":{\"low\":0,\"high\":9,\"log\":false,\"step\":1}}""#;
    let lines = [
        r#"{"op_code":0,"worker_id":"a","study_name":"gone","directions":[2]}"#.to_string(),
        r#"{"op_code":0,"worker_id":"a","study_name":"s","directions":[1]}"#.into(),
        // Twice the same name: the second counts for nothing.
        r#"{"op_code":0,"worker_id":"b","study_name":"s","directions":[2]}"#.into(),
        r#"{"op_code":4,"worker_id":"a","study_id":0,"datetime_start":null}"#.into(),
        r#"{"op_code":4,"worker_id":"a","study_id":1,"datetime_start":null}"#.into(),
        r#"{"op_code":4,"worker_id":"a","study_id":1,"datetime_start":null}"#.into(),
        r#"{"op_code":1,"worker_id":"a","study_id":0}"#.into(),
        format!(r#"{{"op_code":5,"worker_id":"a","trial_id":2,"param_name":"x","param_value_internal":0.5,"distribution":{float}}}"#),
        format!(r#"{{"op_code":5,"worker_id":"a","trial_id":2,"param_name":"n","param_value_internal":3.0,"distribution":{int}}}"#),
        r#"{"op_code":7,"worker_id":"a","trial_id":2,"step":1,"intermediate_value":NaN,"a \" NaN":-Infinity}"#.into(),
        r#"{"op_code":6,"worker_id":"a","trial_id":2,"state":1,"values":[0.25],"datetime_complete":""}"#.into(),
        // It has finished: nothing changes it.
        r#"{"op_code":6,"worker_id":"a","trial_id":2,"state":3,"values":null,"datetime_complete":""}"#.into(),
        r#"{"op_code":6,"worker_id":"a","trial_id":1,"state":2,"values":[0.5],"datetime_complete":""}"#.into(),
        // Nothing of the kind is there.
        r#"{"op_code":6,"worker_id":"a","trial_id":77,"state":1,"values":[1]}"#.into(),
        r#"{"op_code":99,"worker_id":"a"}"#.into(),
    ];
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    let study = read_optuna(&path, None).unwrap();
    assert_eq!(
        (study.name.as_str(), study.direction),
        ("s", Direction::Minimize)
    );
    assert_eq!(study.trials.len(), 1);
    let trial = &study.trials[0];
    assert_eq!((trial.number, trial.value), (1, 0.25));
    let expected = IndexMap::from([("x".into(), value!(0.5)), ("n".into(), value!(3))]);
    assert_eq!(trial.parameters, expected);
}

#[test]
fn what_is_no_study_of_optunas_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        read_optuna(&path, None).unwrap_err()
    };
    for bytes in [&b"hello\n"[..], b"{}\n", b"[1]\n", b"\xff\n", b"3\n"] {
        let error = read(bytes);
        assert!(matches!(error, StudyError::NotOptuna { .. }), "{error}");
    }
    let empty = read(b"");
    assert!(matches!(empty, StudyError::WhichStudy { .. }), "{empty}");
    let broken = read(b"{\"op_code\": 9}\nnonsense\n");
    assert!(
        matches!(broken, StudyError::Parse { line: 2, .. }),
        "{broken}"
    );
    // A study of bomf's own is an SQLite file, too.
    std::fs::remove_file(&path).unwrap();
    Sqlite::create(&path).unwrap();
    let own = read_optuna(&path, None).unwrap_err();
    assert!(matches!(own, StudyError::NotOptuna { .. }), "{own}");
    assert!(read_optuna(&dir.path().join("none"), None).is_err());
}

/// What `golden/known.py` wrote with the real Optuna.
fn golden(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    std::fs::read_to_string(path.join(name)).unwrap()
}

#[test]
fn what_optuna_wrote_is_read_from_its_journal_and_from_its_database() {
    let expected: Vec<KnownTrial> = serde_json::from_str(&golden("known.json")).unwrap();
    assert!(expected.len() > 3);
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("optuna.log");
    std::fs::write(&journal, golden("known.log")).unwrap();
    let database = dir.path().join("optuna.db");
    let connection = rusqlite::Connection::open(&database).unwrap();
    // A dump has its tables in an order of its own.
    let dump = format!("PRAGMA foreign_keys = off;\n{}", golden("known.sql"));
    connection.execute_batch(&dump).unwrap();
    drop(connection);
    for path in [journal, database] {
        // The study with two objectives is not meant.
        let study = read_optuna(&path, None).unwrap();
        assert_eq!(
            (study.name.as_str(), study.direction),
            ("one", Direction::Minimize)
        );
        let text = |trials: &[KnownTrial]| serde_json::to_string_pretty(trials).unwrap();
        assert_eq!(text(&study.trials), text(&expected), "{}", path.display());
        assert!(read_optuna(&path, Some("two")).is_err());
    }
}

proptest! {
    #[test]
    fn no_journal_makes_the_reader_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        length in any::<prop::sample::Index>(),
    ) {
        let mut bytes = golden("known.log").into_bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(length.index(bytes.len() + 1));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        std::fs::write(&path, bytes).unwrap();
        if let Ok(study) = read_optuna(&path, None) {
            prop_assert!(study.trials.iter().all(|trial| trial.value.is_finite()));
        }
    }
}

#[test]
fn a_trial_that_was_stopped_early_is_pruned_in_every_form() {
    let mut record = record();
    record.trials[0].state = State::Pruned;
    let mut trials = operations(&record).into_iter();
    let trial = trials.find(|o| o["op_code"] == 4).unwrap();
    // As Optuna numbers its states.
    assert_eq!(trial["state"], 2);
    assert_eq!(trial["value"], 0.8);
    assert_eq!(trial["intermediate_values"].as_object().unwrap().len(), 2);
    let table = csv(&record);
    assert!(table.contains(",pruned,0.8,"), "{table}");
    assert_eq!(json(&record)["trials"][0]["state"], "pruned");
    let event: Event = serde_json::from_value(value!({
        "stage": "stage1", "trial": 0, "parameters": {}, "state": "pruned", "scores": {},
        "step": 3, "seconds": 1.0,
    }))
    .unwrap();
    assert!(matches!(
        event,
        Event::Stage1 {
            state: State::Pruned,
            ..
        }
    ));
}
