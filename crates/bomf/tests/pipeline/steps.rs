//! The steps alone: tune, finetune, fuse on what they left, eval.

use crate::fixture::{
    FIXED, Interrupting, Kind, Recording, TINY, finished, finished_members, fusion, names, recipe,
    request, rows, write_split,
};
use bomf::recipe::Hyperparameter;
use bomf::study::Event;
use bomf::{Error, EvalRequest, Phase, Recipe, Silent, Split};

#[test]
fn tune_then_finetune_then_fuse() {
    let dir = tempfile::tempdir().unwrap();
    let data = &finished().data;
    let out = |name: &str| dir.path().join(name);

    let stage1 = bomf::tune(&request(data, &out("tuned"), recipe(TINY)), &mut Silent).unwrap();
    assert_eq!(stage1.trials.len(), 2);
    assert_eq!(
        names(&out("tuned")),
        ["recipe.yaml", "study.db", "trials.jsonl", "tuned.yaml"]
    );
    let tuned = Recipe::load(&out("tuned").join("tuned.yaml")).unwrap();
    assert_eq!(tuned.stage1.trials, 0);
    let rate = stage1.best["learning_rate"].as_f64();
    assert_eq!(tuned.finetune.learning_rate, rate);
    assert_eq!(
        tuned.finetune.batch_size.map(|n| n as u64),
        stage1.best["batch_size"].as_u64()
    );
    // Stage 1 is that of a whole run with this seed.
    assert_eq!(stage1.best, finished().results.stage1.best);

    let run = request(data, &out("tuned-run"), tuned.clone());
    let finetune = bomf::finetune(&run, &mut Silent).unwrap();
    assert_eq!(
        names(&run.out),
        ["members", "recipe.yaml", "study.db", "trials.jsonl"]
    );
    let whole = &finished().results.finetune;
    assert_eq!(
        finetune.curve, whole.curve,
        "the run is that of a whole run"
    );
    for (member, of_whole) in finetune.members.iter().zip(&whole.members) {
        assert_eq!(member.step, of_whole.step);
        for (name, score) in &member.select {
            assert!((score - of_whole.select[name]).abs() < 1e-6, "{name}");
        }
        assert_eq!(member.select.len(), 2, "each has its scores");
    }

    let fuse = fusion(&[run.out.join("members")], data, &out("fused"), tuned);
    let results = bomf::fuse(&fuse, &mut Silent).unwrap();
    assert_eq!(
        names(&fuse.out),
        [
            "fused",
            "pareto.json",
            "recipe.yaml",
            "results.json",
            "study.db",
            "trials.jsonl"
        ]
    );
    let steps: Vec<u64> = results.finetune.members.iter().map(|m| m.step).collect();
    let expected: Vec<u64> = whole.members.iter().map(|m| m.step).collect();
    assert_eq!(steps, expected);
    assert_eq!(
        results.front,
        finished().results.front,
        "and so is the fusion"
    );
    let (read, events) = bomf::read_output(&fuse.out).unwrap();
    assert_eq!(read, results);
    assert!(events.iter().all(|e| matches!(e, Event::Stage2 { .. })));
}

#[test]
fn epochs_of_the_trials_are_not_those_of_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let space =
        "epochs: {type: int, low: 1, high: 2}\n    dropout: {type: float, low: 0.0, high: 0.2}";
    let recipe = recipe(&TINY.replace("batch_size: {", &format!("{space}\n    batch_size: {{")));
    assert!(recipe.stage1.space.contains_key(&Hyperparameter::Epochs));
    let out = dir.path().join("out");
    let stage1 = bomf::tune(&request(&finished().data, &out, recipe), &mut Silent).unwrap();
    let tuned = Recipe::load(&out.join("tuned.yaml")).unwrap();
    assert_eq!(tuned.finetune.epochs, 4);
    assert_eq!(tuned.finetune.dropout, stage1.best["dropout"].as_f64());
}

#[test]
fn fine_tuning_needs_its_hyperparameters() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let error = bomf::finetune(&request(&finished().data, &out, recipe(TINY)), &mut Silent);
    let error = error.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Untuned {
                missing: "learning_rate"
            }
        ),
        "{error}"
    );
    assert!(error.is_bad_input() && error.hint().unwrap().contains("tuned.yaml"));
    assert!(!out.exists());
}

#[test]
fn an_evaluation_writes_its_predictions() {
    let dir = tempfile::tempdir().unwrap();
    let run = finished();
    let path = dir.path().join("p.jsonl");
    let request = EvalRequest {
        model: run.out.join("fused").display().to_string(),
        data: run.data.clone(),
        split: Split::Test,
        predictions: Some(path.clone()),
        recipe: recipe(FIXED),
        threads: 1,
    };
    let scores = bomf::eval(&request, &mut Silent).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let gold = rows(Kind::Sentences, 48, 3);
    let mut right = 0;
    for (i, line) in text.lines().enumerate() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["index"], i);
        assert_eq!(line["logits"].as_array().unwrap().len(), 2);
        right += usize::from(line["prediction"] == gold[i].2);
    }
    assert_eq!(text.lines().count(), 48);
    assert!((right as f64 / 48.0 - scores["accuracy"]).abs() < 1e-9);
}

#[test]
fn an_evaluation_needs_no_other_split_but_a_head_for_the_task() {
    let dir = tempfile::tempdir().unwrap();
    let run = finished();
    let data = dir.path().join("data");
    write_split(&data, "validation", "csv", &rows(Kind::Sentences, 40, 2));
    write_split(&data, "test", "csv", &rows(Kind::Sentences, 48, 3));
    let mut request = EvalRequest {
        model: run.out.join("fused").display().to_string(),
        data: data.clone(),
        split: Split::Test,
        predictions: None,
        recipe: recipe(FIXED),
        threads: 1,
    };
    let bomf = run.results.methods.last().unwrap();
    let scores = bomf::eval(&request, &mut Silent).unwrap();
    assert!((scores["loss"] - bomf.report["loss"]).abs() < 1e-6);

    request.split = Split::Train;
    let error = bomf::eval(&request, &mut Silent).unwrap_err();
    assert!(
        matches!(error, Error::EmptySplit { split: "train" }),
        "{error}"
    );

    request.split = Split::Test;
    request.model = crate::fixture::encoder().display().to_string();
    let error = bomf::eval(&request, &mut Silent).unwrap_err();
    assert!(matches!(error, Error::NoHead { .. }), "{error}");

    request.model = run.out.join("fused").display().to_string();
    write_split(&data, "validation", "csv", &rows(Kind::Three, 40, 2));
    let error = bomf::eval(&request, &mut Silent).unwrap_err();
    assert!(
        matches!(
            error,
            Error::OtherHead {
                found: 2,
                expected: 3,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.is_bad_input() && error.hint().is_some());
}

#[test]
fn an_evaluation_tells_of_its_progress_and_stops_when_told() {
    const EXAMPLES: usize = 1000;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    write_split(&data, "validation", "csv", &rows(Kind::Sentences, 40, 2));
    write_split(&data, "test", "csv", &rows(Kind::Sentences, EXAMPLES, 3));
    let predictions = dir.path().join("p.jsonl");
    let request = EvalRequest {
        model: finished().out.join("fused").display().to_string(),
        data,
        split: Split::Test,
        predictions: Some(predictions.clone()),
        recipe: recipe(FIXED),
        threads: 1,
    };
    let mut observer = Interrupting::new(Phase::Evaluate, 2);
    let error = bomf::eval(&request, &mut observer).unwrap_err();
    assert_eq!(error.to_string(), "interrupted; nothing was written");
    assert!(!error.is_bad_input() && !predictions.exists());

    let mut observer = Recording::default();
    bomf::eval(&request, &mut observer).unwrap();
    assert!(predictions.exists());
    assert_eq!(observer.totals, [(Phase::Evaluate, EXAMPLES as u64)]);
    assert_eq!(observer.ended, [Phase::Evaluate]);
    let done: Vec<u64> = observer.progress.iter().map(|&(_, done)| done).collect();
    assert!(done.len() > 2 && done.is_sorted(), "{done:?}");
    assert_eq!(done.last(), Some(&(EXAMPLES as u64)));
}

#[test]
fn what_the_search_models_is_the_recipes_choice_and_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let data = &finished().data;
    let surrogates = |text: &str, name: &str| -> Vec<(String, String)> {
        let recipe = recipe(&FIXED.replace("evaluations: 6", text));
        let request = fusion(&finished_members(), data, &dir.path().join(name), recipe);
        let results = bomf::fuse(&request, &mut Silent).unwrap();
        results.stage2.surrogates.into_iter().collect()
    };
    let pair = |a: &str, b: &str| (a.to_string(), b.to_string());
    assert_eq!(
        surrogates("evaluations: 2, surrogate: direct", "direct"),
        [pair("loss", "direct"), pair("accuracy", "direct")]
    );
    // With so few evaluations of mixtures nothing speaks against it yet.
    let few = surrogates("evaluations: 1", "composite");
    assert_eq!(few[0], pair("loss", "composite"));
}
