//! The contract of [`Storage`], over every back-end, and what is SQLite's alone.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may unwrap as tests do"
)]

mod server;

use bomf_study::{
    CurvePoint, EvaluatedSplit, EvaluationRecord, Finetune, FinetuneRecord, MemberRecord, Memory,
    Postgres, Queue, Scores, Sqlite, Standing, State, Storage, StudyError, TrialRecord,
};
use indexmap::IndexMap;
use proptest::prelude::*;
use server::Server;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// Numbers that decimal digits or a careless format would change.
const AWKWARD: [f64; 7] = [
    0.1 + 0.2,
    f64::MIN_POSITIVE,
    5e-324,
    f64::MAX,
    -0.0,
    1.0 / 3.0,
    9_007_199_254_740_993.0,
];

fn scores(value: f64) -> Scores {
    Scores::from_iter([("loss".into(), value), ("accuracy".into(), 1.0 / 3.0)])
}

fn trial(number: usize) -> TrialRecord {
    TrialRecord {
        number,
        parameters: IndexMap::from_iter([
            ("learning_rate".into(), (0.1 + 0.2).into()),
            ("batch_size".into(), 17.into()),
            ("schedule".into(), "linear".into()),
        ]),
        state: State::Complete,
        scores: scores(AWKWARD[number % AWKWARD.len()]),
        value: Some(AWKWARD[number % AWKWARD.len()]),
        step: 12,
        curve: vec![
            CurvePoint {
                step: 6,
                train_loss: 0.7,
                select: scores(0.6),
            },
            CurvePoint {
                step: 12,
                train_loss: 0.1 + 0.7,
                select: scores(0.5),
            },
        ],
        seconds: 1.5,
    }
}

fn failed(number: usize) -> TrialRecord {
    TrialRecord {
        state: State::Failed,
        scores: Scores::new(),
        value: None,
        step: 0,
        curve: Vec::new(),
        ..trial(number)
    }
}

fn run(number: usize) -> FinetuneRecord {
    FinetuneRecord {
        number,
        run: Finetune {
            best_step: 7,
            steps: 14,
            steps_per_epoch: 7,
            curve: trial(0).curve,
            members: vec![MemberRecord {
                step: 7,
                run: None,
                path: "members/checkpoint-7".into(),
                select: Scores::new(),
            }],
            further_runs: Vec::new(),
        },
        seconds: 3.25,
    }
}

fn evaluation(split: EvaluatedSplit, weights: &[f64]) -> EvaluationRecord {
    EvaluationRecord {
        split,
        method: "bomf".into(),
        weights: weights.into(),
        state: State::Complete,
        scores: scores(0.25),
        std_errors: Scores::from_iter([("accuracy".into(), 0.01)]),
        outputs: vec![0.1, -0.0, f32::MIN_POSITIVE, f32::MAX, 1.0e-45],
        seconds: 0.5,
    }
}

fn facts(entries: &[(&str, &str)]) -> IndexMap<String, String> {
    let entries = entries.iter();
    entries
        .map(|(k, v)| (k.to_string(), v.to_string()))
        .collect()
}

/// Runs over every back-end; `again` closes a storage and opens it anew, where that means
/// something.
fn check(test: impl Fn(Box<dyn Storage>, &dyn Fn(Box<dyn Storage>) -> Box<dyn Storage>)) {
    test(Box::new(Memory::default()), &|storage| storage);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.db");
    test(Box::new(Sqlite::create(&path).unwrap()), &|storage| {
        drop(storage);
        Box::new(Sqlite::open(&path).unwrap())
    });
    if let Some(server) = server() {
        let url = server.study();
        test(Box::new(Postgres::create(&url).unwrap()), &|storage| {
            drop(storage);
            Box::new(Postgres::open(&url).unwrap())
        });
        Postgres::remove(&url).unwrap();
    }
}

/// One server for all tests; the last of them takes it along.
fn server() -> Option<Arc<Server>> {
    static SERVER: Mutex<Option<Weak<Server>>> = Mutex::new(None);
    let mut known = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = known.as_ref().and_then(Weak::upgrade) {
        return Some(server);
    }
    let server = Arc::new(Server::start()?);
    *known = Some(Arc::downgrade(&server));
    Some(server)
}

#[track_caller]
fn assert_final(result: Result<(), StudyError>) {
    let error = result.unwrap_err();
    assert!(matches!(error, StudyError::Final { .. }), "{error}");
}

#[test]
fn an_empty_study_has_nothing() {
    check(|study, again| {
        let study = again(study);
        assert!(study.facts().unwrap().is_empty());
        assert!(study.trials().unwrap().is_empty());
        assert!(study.finetune(1).unwrap().is_none());
        let none = study.evaluation(EvaluatedSplit::Select, &[]).unwrap();
        assert!(none.is_none());
        assert!(
            study
                .evaluations(EvaluatedSplit::Report)
                .unwrap()
                .is_empty()
        );
    });
}

#[test]
fn what_is_stored_is_read_back_to_the_bit_in_its_order() {
    check(|study, again| {
        let known = facts(&[("seed", "0"), ("data", "äöü \"'"), ("a", "")]);
        study.add_facts(&known).unwrap();
        study.add_trial(&failed(7)).unwrap();
        (3..7)
            .rev()
            .for_each(|n| study.add_trial(&trial(n)).unwrap());
        study.add_trials(&[trial(2), trial(0), trial(1)]).unwrap();
        study.add_trials(&[]).unwrap();
        study.add_finetune(&run(2)).unwrap();
        study.add_finetune(&run(1)).unwrap();
        let mixtures: Vec<Vec<f64>> = AWKWARD.iter().map(|w| vec![*w, 0.5]).collect();
        for split in [EvaluatedSplit::Select, EvaluatedSplit::Report] {
            for weights in &mixtures {
                study.add_evaluation(&evaluation(split, weights)).unwrap();
            }
        }
        let study = again(study);
        let read: Vec<_> = study.facts().unwrap().into_iter().collect();
        assert_eq!(read, known.into_iter().collect::<Vec<_>>());
        let trials = study.trials().unwrap();
        assert_eq!(trials[..7], (0..7).map(trial).collect::<Vec<_>>());
        assert_eq!(trials[7], failed(7));
        for number in [1, 2] {
            assert_eq!(study.finetune(number).unwrap(), Some(run(number)));
        }
        assert_eq!(study.finetune(3).unwrap(), None);
        for split in [EvaluatedSplit::Select, EvaluatedSplit::Report] {
            let all = study.evaluations(split).unwrap();
            let weights: Vec<_> = all.iter().map(|e| e.weights.clone()).collect();
            assert_eq!(weights, mixtures);
            assert!(all.iter().all(|e| e.outputs.is_empty()));
            for weights in &mixtures {
                let found = study.evaluation(split, weights).unwrap().unwrap();
                assert_eq!(found, evaluation(split, weights));
                let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                let expected = evaluation(split, weights).outputs;
                assert_eq!(bits(&found.outputs), bits(&expected));
            }
        }
    });
}

#[test]
fn what_is_stored_is_final() {
    check(|study, again| {
        study.add_facts(&facts(&[("seed", "0")])).unwrap();
        study.add_trial(&trial(0)).unwrap();
        study.add_finetune(&run(1)).unwrap();
        let own = evaluation(EvaluatedSplit::Select, &[0.25, 0.75]);
        study.add_evaluation(&own).unwrap();
        let study = again(study);
        for _ in 0..2 {
            assert_final(study.add_facts(&facts(&[("new", "x"), ("seed", "1")])));
            assert_final(study.add_trial(&failed(0)));
            assert_final(study.add_trial(&trial(0)));
            assert_final(study.add_trials(&[trial(1), trial(0)]));
            assert_final(study.add_trials(&[trial(1), trial(1)]));
            assert_final(study.add_finetune(&run(1)));
            let other = EvaluationRecord {
                seconds: 9.0,
                ..own.clone()
            };
            assert_final(study.add_evaluation(&other));
        }
        assert_eq!(
            study.facts().unwrap(),
            facts(&[("seed", "0")]),
            "all or none"
        );
        assert_eq!(study.trials().unwrap(), [trial(0)]);
        assert_eq!(
            study.evaluation(own.split, &own.weights).unwrap(),
            Some(own)
        );
    });
}

#[test]
fn splits_and_weights_that_differ_in_one_bit_are_apart() {
    check(|study, _| {
        let (split, other) = (EvaluatedSplit::Select, EvaluatedSplit::Report);
        study
            .add_evaluation(&evaluation(split, &[0.0, 1.0]))
            .unwrap();
        assert!(study.evaluation(other, &[0.0, 1.0]).unwrap().is_none());
        assert!(study.evaluation(split, &[-0.0, 1.0]).unwrap().is_none());
        let next = f64::from_bits(1.0_f64.to_bits() + 1);
        assert!(study.evaluation(split, &[0.0, next]).unwrap().is_none());
        assert!(study.evaluation(split, &[0.0]).unwrap().is_none());
        study
            .add_evaluation(&evaluation(split, &[0.0, next]))
            .unwrap();
    });
}

#[test]
fn of_threads_that_store_the_same_one_wins_and_nothing_else_is_lost() {
    const THREADS: usize = 4;
    const TRIALS: usize = 25;
    check(|study, again| {
        let won = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (study, won) = (&study, &won);
                scope.spawn(move || {
                    for n in 0..TRIALS {
                        study.add_trial(&trial(1 + thread * TRIALS + n)).unwrap();
                        if study.add_trial(&trial(1000 + n)).is_ok() {
                            won.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert_eq!(won.into_inner(), TRIALS);
        let study = again(study);
        assert_eq!(study.trials().unwrap().len(), (THREADS + 1) * TRIALS);
    });
}

fn finite() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("JSON holds no others", |v| v.is_finite())
}

proptest! {
    #[test]
    fn any_finite_numbers_come_back_as_they_were(
        weights in proptest::collection::vec(finite(), 0..6),
        outputs in proptest::collection::vec(any::<u32>(), 0..9),
        value in finite(),
        name in ".*",
    ) {
        // Without a disk: the numbers go the same way.
        let studies: [Box<dyn Storage>; 2] = [
            Box::new(Memory::default()),
            Box::new(Sqlite::create(Path::new(":memory:")).unwrap()),
        ];
        for study in studies {
            let own = EvaluationRecord {
                outputs: outputs.iter().map(|bits| f32::from_bits(*bits)).collect(),
                scores: Scores::from_iter([(name.clone(), value)]),
                seconds: value.abs(),
                ..evaluation(EvaluatedSplit::Select, &weights)
            };
            study.add_evaluation(&own).unwrap();
            let read = study.evaluation(own.split, &weights).unwrap().unwrap();
            let bits: Vec<u32> = read.outputs.iter().map(|v| v.to_bits()).collect();
            assert_eq!(bits, outputs);
            assert_eq!(read.scores[&name].to_bits(), value.to_bits());
            assert_eq!(read.seconds.to_bits(), value.abs().to_bits());
        }
    }
}

fn raw(path: &Path, sql: &str) -> rusqlite::Result<()> {
    rusqlite::Connection::open(path)?.execute_batch(sql)
}

#[test]
fn the_database_itself_refuses_changes_from_other_programs() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.db");
    let study = Sqlite::create(&path).unwrap();
    study.add_trial(&trial(0)).unwrap();
    study.add_facts(&facts(&[("seed", "0")])).unwrap();
    for sql in ["UPDATE trial SET value = 1", "UPDATE fact SET value = '1'"] {
        let error = raw(&path, sql).unwrap_err();
        assert!(error.to_string().contains("never changes"), "{error}");
    }
    assert_eq!(study.trials().unwrap(), [trial(0)]);
}

#[test]
fn at_a_rung_everyone_sees_who_came_before_and_always_the_same() {
    check(|study, again| {
        assert_eq!(study.reach(0, 4, AWKWARD[0]).unwrap(), [AWKWARD[0]]);
        let two = [AWKWARD[0], AWKWARD[2]];
        assert_eq!(study.reach(0, 1, AWKWARD[2]).unwrap(), two);
        assert_eq!(study.reach(1, 4, 7.0).unwrap(), [7.0], "a rung of its own");
        let study = again(study);
        assert_eq!(study.reach(0, 9, f64::NEG_INFINITY).unwrap().len(), 3);
        assert!(study.reach(0, 8, f64::NAN).unwrap()[3].is_nan());
        // The first value stays, and what came later is not seen.
        assert_eq!(study.reach(0, 1, 0.0).unwrap(), two);
        assert_eq!(study.reach(0, 4, f64::NAN).unwrap(), [AWKWARD[0]]);
        let rungs = study.rungs().unwrap();
        let came: Vec<_> = rungs.iter().map(|r| (r.rung, r.trial)).collect();
        assert_eq!(came, [(0, 4), (0, 1), (0, 9), (0, 8), (1, 4)]);
        assert_eq!(rungs[1].value.to_bits(), AWKWARD[2].to_bits());
        assert!(rungs[3].value.is_nan());
    });
}

#[test]
fn whoever_comes_to_a_rung_at_once_stands_in_one_order() {
    check(|study, _| {
        const TRIALS: usize = 24;
        let study = &*study;
        let seen: Vec<Vec<f64>> = std::thread::scope(|scope| {
            let reach = |trial| scope.spawn(move || study.reach(0, trial, trial as f64).unwrap());
            let all: Vec<_> = (0..TRIALS).map(reach).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let longest = seen.iter().max_by_key(|values| values.len()).unwrap();
        assert_eq!(longest.len(), TRIALS);
        for (trial, values) in seen.iter().enumerate() {
            assert_eq!(values.last(), Some(&(trial as f64)));
            assert_eq!(values, &longest[..values.len()]);
            assert_eq!(&study.reach(0, trial, 0.0).unwrap(), values);
        }
    });
}

#[test]
fn databases_of_every_earlier_schema_open_with_all_they_hold() {
    for (schema, sql) in [
        (1, include_str!("assets/study-v1.sql")),
        (2, include_str!("assets/study-v2.sql")),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("study.db");
        raw(&path, sql).unwrap();
        // Whoever only reads leaves it as it is.
        let study = Sqlite::open_to_read(&path).unwrap();
        assert_eq!(study.trials().unwrap(), [trial(0), failed(1)]);
        drop(study);
        assert_eq!(version(&path), schema);
        check_old(&path);
        assert_eq!(version(&path), NEWEST);
    }
}

/// The newest schema.
const NEWEST: i64 = 3;

fn version(path: &Path) -> i64 {
    let connection = rusqlite::Connection::open(path).unwrap();
    let sql = "PRAGMA user_version";
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// A study of an earlier schema has what it had, and takes what is new.
fn check_old(path: &Path) {
    let study = Sqlite::open(path).unwrap();
    assert_eq!(study.facts().unwrap(), facts(&[("seed", "7")]));
    assert_eq!(study.trials().unwrap(), [trial(0), failed(1)]);
    assert_eq!(study.finetune(1).unwrap(), Some(run(1)));
    let own = evaluation(EvaluatedSplit::Select, &[0.25, 0.75]);
    assert_eq!(
        study.evaluation(own.split, &own.weights).unwrap(),
        Some(own)
    );
    study.add_trial(&trial(2)).unwrap();
    assert_eq!(study.reach(0, 2, 0.5).unwrap(), [0.5]);
    let waiting = study.jobs().unwrap();
    let waiting = waiting.iter().filter(|j| j.standing == Standing::Queued);
    match study.results(0).unwrap().as_slice() {
        [] => assert_eq!(waiting.count(), 0),
        results => {
            assert_eq!(results, [(0, r#"{"number":0}"#.to_string())]);
            assert_eq!(waiting.count(), 1, "its lease has run out");
            let claim = study.claim("w", Duration::from_secs(60)).unwrap().unwrap();
            assert_eq!((claim.number, claim.attempt), (1, 3));
        }
    }
}

#[test]
fn a_later_schema_a_foreign_database_and_garbage_are_refused_by_name_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.db");
    drop(Sqlite::create(&path).unwrap());
    raw(&path, "PRAGMA user_version = 99").unwrap();
    let error = Sqlite::open(&path).unwrap_err();
    assert!(
        matches!(error, StudyError::TooNew { found: 99, .. }),
        "{error}"
    );
    assert!(error.is_bad_input() && error.hint().is_some());

    let foreign = dir.path().join("foreign.db");
    raw(&foreign, "CREATE TABLE cats (name TEXT)").unwrap();
    let before = std::fs::read(&foreign).unwrap();
    let error = Sqlite::open(&foreign).unwrap_err();
    assert!(matches!(error, StudyError::NotAStudy { .. }), "{error}");
    assert_eq!(std::fs::read(&foreign).unwrap(), before);

    let garbage = dir.path().join("garbage.db");
    std::fs::write(
        &garbage,
        "no database at all, and long enough to be looked at ".repeat(20),
    )
    .unwrap();
    let error = Sqlite::open(&garbage).unwrap_err();
    assert!(matches!(error, StudyError::NotAStudy { .. }), "{error}");

    let error = Sqlite::open(&dir.path().join("none.db")).unwrap_err();
    assert!(matches!(error, StudyError::NoStudy { .. }), "{error}");
    assert!(!dir.path().join("none.db").exists());
}

#[test]
fn a_full_disk_is_said_and_what_was_stored_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.db");
    let study = Sqlite::create(&path).unwrap();
    study.add_trial(&trial(0)).unwrap();
    drop(study);
    // SQLite's own bound on the pages of a file stands for the disk's.
    let study = Sqlite::open(&path).unwrap();
    study.limit_pages(1).unwrap();
    let error = study
        .add_evaluation(&EvaluationRecord {
            outputs: vec![1.0; 1 << 20],
            ..evaluation(EvaluatedSplit::Select, &[1.0])
        })
        .unwrap_err();
    assert!(matches!(error, StudyError::DatabaseFull { .. }), "{error}");
    assert!(error.hint().unwrap().contains("nothing is lost"));
    assert_eq!(study.trials().unwrap(), [trial(0)]);
    drop(study);
    let study = Sqlite::open(&path).unwrap();
    study
        .add_evaluation(&evaluation(EvaluatedSplit::Select, &[1.0]))
        .unwrap();
}

#[test]
fn a_database_that_another_program_holds_is_an_error_and_fine_once_it_lets_go() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.db");
    let study = Sqlite::create(&path).unwrap();
    study
        .set_patience(std::time::Duration::from_millis(50))
        .unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = study.add_trial(&trial(0)).unwrap_err();
    assert!(
        matches!(error, StudyError::DatabaseLocked { .. }),
        "{error}"
    );
    assert!(error.is_bad_input());
    assert!(study.trials().unwrap().is_empty(), "reading goes on");
    other.execute_batch("ROLLBACK").unwrap();
    study.add_trial(&trial(0)).unwrap();
}
