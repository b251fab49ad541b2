//! What goes wrong: it is said clearly, and leaves nothing half-done.

use crate::fixture::{
    FIXED, Interrupting, Kind, TINY, copy_folder, encoder, finished, finished_members, fusion,
    names, pretraining, recipe, request, rows, write_data, write_split,
};
use bomf::study::{Event, State};
use bomf::{Error, EvalRequest, Phase, Recipe, Silent, Split};
use std::path::Path;

/// Multiplies the weights by -9 at each step of learning rate 1: they overflow.
const DIVERGING: &str = "
finetune: {epochs: 2, weight_decay: 10, warmup_ratio: 0, batch_size: 1, evaluations_per_epoch: 1}
members: {count: 4}
stage2: {evaluations: 6}
";

fn diverging(stage1: &str, finetune: &str) -> Recipe {
    let finetune = format!("finetune: {{{finetune}");
    recipe(&format!(
        "stage1: {stage1}\n{}",
        DIVERGING.replace("finetune: {", &finetune)
    ))
}

#[test]
fn an_interrupt_leaves_whole_files_only_and_names_them() {
    let dir = tempfile::tempdir().unwrap();
    let data = &finished().data;
    for (phase, after, on_disk) in [
        (Phase::Tune, 1, &["trials.jsonl"][..]),
        (Phase::Tune, 12, &["trials.jsonl"]),
        (Phase::Finetune, 1, &["trials.jsonl"]),
        (Phase::Finetune, 9, &["trials.jsonl"]),
        (Phase::Fuse, 1, &["trials.jsonl", "members/"]),
        (Phase::Fuse, 9, &["trials.jsonl", "members/"]),
        (
            Phase::Evaluate,
            2,
            &["trials.jsonl", "members/", "pareto.json", "fused/"],
        ),
    ] {
        let out = dir.path().join(format!("{phase:?}-{after}"));
        let mut observer = Interrupting::new(phase, after);
        let error = bomf::run(&request(data, &out, recipe(TINY)), &mut observer).unwrap_err();
        assert!(!error.is_bad_input());
        let Error::Interrupted { on_disk: told, .. } = &error else {
            panic!("{phase:?} {after}: {error}");
        };
        assert_eq!(told, on_disk, "{phase:?} {after}");
        let mut expected: Vec<&str> = on_disk
            .iter()
            .map(|name| name.trim_end_matches('/'))
            .collect();
        expected.extend(["recipe.yaml", "study.db"]);
        expected.sort_unstable();
        let mut found = names(&out);
        // What a run that had trained for a while goes on from.
        found.retain(|name| !name.starts_with(".candidates-"));
        assert_eq!(found, expected, "{phase:?} {after}");
        bomf::study::read_journal(&out.join("trials.jsonl")).unwrap();
    }
}

#[test]
fn interrupted_pre_training_and_steps_leave_no_model() {
    let dir = tempfile::tempdir().unwrap();
    let corpus = dir.path().join("corpus.txt");
    let lines: Vec<String> = rows(Kind::Sentences, 60, 1)
        .into_iter()
        .map(|row| row.0)
        .collect();
    std::fs::write(&corpus, lines.join("\n")).unwrap();
    let out = dir.path().join("encoder");
    let mut observer = Interrupting::new(Phase::Pretrain, 2);
    let error = bomf::pretrain(&pretraining(&corpus, &out), &mut observer).unwrap_err();
    assert!(matches!(error, Error::Interrupted { .. }), "{error}");
    assert_eq!(names(dir.path()), ["corpus.txt"]);

    let out = dir.path().join("out");
    let request = request(&finished().data, &out, recipe(FIXED));
    let mut observer = Interrupting::new(Phase::Evaluate, 1);
    let error = bomf::finetune(&request, &mut observer).unwrap_err();
    assert!(
        error.to_string().ends_with("holds trials.jsonl, members/"),
        "{error}"
    );

    let out = dir.path().join("fused");
    let request = fusion(&finished_members(), &finished().data, &out, recipe(FIXED));
    let mut observer = Interrupting::new(Phase::Fuse, 3);
    let error = bomf::fuse(&request, &mut observer).unwrap_err();
    assert!(error.to_string().ends_with("holds trials.jsonl"), "{error}");
    assert_eq!(names(&out), ["recipe.yaml", "study.db", "trials.jsonl"]);
}

#[test]
fn a_trial_that_diverges_is_recorded_as_failed_and_the_run_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let space = "{trials: 2, initial: 1, epochs: 2, evaluations_per_epoch: 1, \
                 space: {learning_rate: {type: categorical, choices: [0.001, 1.0]}}}";
    let request = request(&finished().data, &out, diverging(space, ""));
    let results = bomf::run(&request, &mut Silent).unwrap();
    assert_eq!(results.stage1.best["learning_rate"], 0.001);
    let failed: Vec<_> = results
        .stage1
        .trials
        .iter()
        .filter(|t| t.value.is_none())
        .collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].parameters["learning_rate"], 1.0);
    assert!(failed[0].select.is_empty());
    let (read, events) = bomf::read_output(&out).unwrap();
    assert_eq!(read, results);
    let failed = |e: &&Event| {
        matches!(
            e,
            Event::Stage1 {
                state: State::Failed,
                ..
            }
        )
    };
    assert_eq!(events.iter().filter(failed).count(), 1);
}

#[test]
fn nothing_but_diverging_is_an_error_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let data = &finished().data;
    let space = "{trials: 2, initial: 1, epochs: 2, evaluations_per_epoch: 1, \
                 space: {learning_rate: {type: float, low: 0.9, high: 1.0}}}";
    let out = dir.path().join("trials");
    let error = bomf::run(&request(data, &out, diverging(space, "")), &mut Silent).unwrap_err();
    assert!(matches!(error, Error::NoTrial { trials: 2 }), "{error}");
    assert!(!error.is_bad_input() && error.hint().is_some());
    assert_eq!(names(&out), ["recipe.yaml", "study.db", "trials.jsonl"]);

    let out = dir.path().join("run");
    let fixed = diverging("{trials: 0}", "learning_rate: 1, ");
    let error = bomf::run(&request(data, &out, fixed), &mut Silent).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("no longer a finite number at step"),
        "{error}"
    );
    assert!(!error.is_bad_input() && error.hint().is_some());
    assert_eq!(names(&out), ["recipe.yaml", "study.db", "trials.jsonl"]);
}

#[test]
fn wrong_input_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let refused = |request: &bomf::RunRequest, words: &str| {
        let errors = [
            bomf::run(request, &mut Silent).unwrap_err(),
            bomf::tune(request, &mut Silent).unwrap_err(),
            bomf::finetune(request, &mut Silent).unwrap_err(),
        ];
        for error in errors {
            assert!(error.is_bad_input(), "{error}");
            assert!(error.to_string().contains(words), "{words}: {error}");
        }
        assert!(!out.exists(), "{words}");
    };

    let model = dir.path().join("model");
    let of_model = || {
        let mut request = request(&finished().data, &out, recipe(FIXED));
        request.model = model.display().to_string();
        request
    };
    refused(&of_model(), "model");
    for missing in ["tokenizer.json", "config.json", "model.safetensors"] {
        copy_folder(encoder(), &model);
        std::fs::remove_file(model.join(missing)).unwrap();
        refused(&of_model(), missing);
    }
    copy_folder(encoder(), &model);
    std::fs::write(model.join("config.json"), "{\"model_type\": \"mamba\"}").unwrap();
    refused(&of_model(), "model type `mamba` is not supported");
    copy_folder(encoder(), &model);
    let weights = std::fs::read(model.join("model.safetensors")).unwrap();
    std::fs::write(
        model.join("model.safetensors"),
        &weights[..weights.len() / 2],
    )
    .unwrap();
    refused(&of_model(), "truncated");

    let data = dir.path().join("data");
    let of_data = || request(&data, &out, recipe(FIXED));
    refused(&of_data(), "does not exist");
    write_data(&data, Kind::Sentences, "jsonl");
    let test = data.join("test.jsonl");
    std::fs::write(
        &test,
        "{\"text\": \"a\", \"label\": \"good\"}\n{\"text\": \"a\"}\n",
    )
    .unwrap();
    refused(&of_data(), "test.jsonl:2");
    std::fs::write(&test, "{\"text\": \"a\", \"label\": \"odd\"}\n").unwrap();
    refused(&of_data(), "unknown label `odd`");
    std::fs::write(&test, "").unwrap();
    refused(&of_data(), "has no examples");
    std::fs::write(&test, b"{\"text\": \"\xff\", \"label\": \"good\"}\n").unwrap();
    refused(&of_data(), "not valid UTF-8");
}

#[test]
fn a_recipe_made_in_code_is_held_to_the_same_ranges() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let mut wrong = recipe(FIXED);
    wrong.finetune.batch_size = Some(0);
    let error = bomf::run(&request(&finished().data, &out, wrong), &mut Silent).unwrap_err();
    assert!(error.is_bad_input(), "{error}");
    assert!(
        error.to_string().contains("`finetune.batch_size` is 0"),
        "{error}"
    );
    assert!(!out.exists());

    let mut request = pretraining(Path::new("none.txt"), &out);
    for change in [
        |r: &mut bomf::PretrainRequest| r.batch_size = 0,
        |r: &mut bomf::PretrainRequest| r.epochs = 0,
        |r: &mut bomf::PretrainRequest| r.vocab_size = 3,
        |r: &mut bomf::PretrainRequest| r.max_length = 1,
        |r: &mut bomf::PretrainRequest| r.num_attention_heads = 0,
        |r: &mut bomf::PretrainRequest| r.learning_rate = f64::NAN,
    ] {
        request = pretraining(&request.corpus[0].clone(), &out);
        change(&mut request);
        let error = bomf::pretrain(&request, &mut Silent).unwrap_err();
        assert!(error.is_bad_input(), "{error}");
        assert!(error.to_string().contains("but must be"), "{error}");
    }
    let error = bomf::pretrain(&pretraining(Path::new("none.txt"), &out), &mut Silent);
    assert!(error.unwrap_err().is_bad_input());
    assert!(!out.exists());
}

#[test]
fn a_taken_or_impossible_output_folder_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    write_split(&data, "train", "jsonl", &rows(Kind::Sentences, 100, 1));
    let out = dir.path().join("out");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("thesis.tex"), "x").unwrap();
    for overwrite in [false, true] {
        let mut request = request(&data, &out, recipe(FIXED));
        request.overwrite = overwrite;
        let error = bomf::run(&request, &mut Silent).unwrap_err();
        assert!(matches!(error, Error::OutputNotEmpty { .. }), "{error}");
        assert!(error.is_bad_input());
        assert_eq!(names(&out), ["thesis.tex"]);
    }
    let inside_a_file = out.join("thesis.tex/out");
    let error = bomf::run(&request(&data, &inside_a_file, recipe(FIXED)), &mut Silent);
    assert!(matches!(error, Err(Error::Output { .. })));
}

#[test]
fn outputs_that_are_not_finite_are_told_and_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("model");
    copy_folder(&finished().out.join("fused"), &model);
    let file = model.join("model.safetensors");
    let mut bytes = std::fs::read(&file).unwrap();
    // The last value of the last tensor.
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&file, bytes).unwrap();
    let predictions = dir.path().join("p.jsonl");
    let request = EvalRequest {
        model: model.display().to_string(),
        data: finished().data.clone(),
        split: Split::Test,
        predictions: Some(predictions.clone()),
        recipe: recipe(FIXED),
        threads: 1,
    };
    let error = bomf::eval(&request, &mut Silent).unwrap_err();
    assert!(matches!(error, Error::NotFinite), "{error}");
    assert!(!predictions.exists());
}
