//! A whole run: its files, its results, and that it can be repeated.

use crate::fixture::{
    FIXED, Finished, Kind, TINY, copy_folder, finished, finished_members, fusion, names, recipe,
    request, rows, write_data, write_split,
};
use bomf::study::{Direction, Event, Front, Method, MethodName, Results, Seconds};
use bomf::{EvalRequest, Phase, Pick, PickRequest, Recipe, Silent, Split};
use bomf_checkpoint::Checkpoint;
use serde_json::Value;
use std::path::Path;

fn method(results: &Results, name: MethodName) -> &Method {
    results.methods.iter().find(|m| m.name == name).unwrap()
}

/// The results without what the clock and the machine say.
fn timeless(results: &Results) -> Results {
    let mut results = results.clone();
    results.seconds = Seconds {
        stage1: 0.0,
        finetune: 0.0,
        stage2: 0.0,
        total: 0.0,
    };
    results.peak_rss_mb = 0.0;
    results.methods.iter_mut().for_each(|m| m.seconds = 0.0);
    let trials = results.stage1.trials.iter_mut();
    trials.for_each(|trial| trial.seconds = 0.0);
    results
}

fn weights_of(results: &Results) -> &[f64] {
    let bomf = method(results, MethodName::Bomf);
    bomf.weights.as_deref().unwrap()
}

#[test]
fn every_promised_file_is_written_and_nothing_else_is_left() {
    let run = finished();
    assert_eq!(
        names(&run.out),
        [
            "fused",
            "members",
            "pareto.json",
            "recipe.yaml",
            "results.json",
            "study.db",
            "trials.jsonl"
        ]
    );
    for model in finished_members().iter().chain([&run.out.join("fused")]) {
        for file in ["config.json", "model.safetensors", "tokenizer.json"] {
            assert!(model.join(file).is_file(), "{file} in {}", model.display());
        }
    }
    let folders: Vec<String> = run
        .results
        .finetune
        .members
        .iter()
        .map(|m| m.path.clone())
        .collect();
    let steps = run.results.finetune.members.iter();
    let expected: Vec<String> = steps
        .map(|m| format!("members/checkpoint-{}", m.step))
        .collect();
    assert_eq!(folders, expected);
    assert_eq!(names(&run.out.join("members")).len(), folders.len());
}

#[test]
fn the_results_read_back_and_hold_every_method_and_finite_numbers_only() {
    let run = finished();
    let (read, events) = bomf::read_output(&run.out).unwrap();
    assert_eq!(read, run.results);
    let named: Vec<MethodName> = read.methods.iter().map(|m| m.name).collect();
    assert_eq!(named, MethodName::OF_EVERY_RUN);
    let text = std::fs::read_to_string(run.out.join("results.json")).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    let mut nulls = Vec::new();
    find_nulls(&value, "", &mut nulls);
    // Only the ensemble is not one model.
    assert_eq!(nulls, ["/methods/6/weights"]);

    let trials = events.iter().filter(|e| matches!(e, Event::Stage1 { .. }));
    assert_eq!(trials.count(), read.stage1.trials.len());
    for method in &read.methods {
        let own = |event: &&Event| matches!(event, Event::Stage2 { method: by, .. } if by == method.name.as_str());
        let found = events.iter().filter(own).count();
        let expected = match method.name {
            MethodName::BestCheckpoint => read.finetune.members.len(),
            MethodName::Bomf => method.evaluations - read.stage2.initial_evaluations,
            _ => method.evaluations,
        };
        assert_eq!(found, expected, "{:?}", method.name);
    }
}

fn find_nulls(value: &Value, path: &str, nulls: &mut Vec<String>) {
    match value {
        Value::Null => nulls.push(path.into()),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(i, item)| find_nulls(item, &format!("{path}/{i}"), nulls)),
        Value::Object(fields) => fields
            .iter()
            .for_each(|(name, item)| find_nulls(item, &format!("{path}/{name}"), nulls)),
        _ => {}
    }
}

#[test]
fn on_the_select_split_bomf_is_at_least_as_good_as_every_average_it_starts_from() {
    let results = &finished().results;
    let bomf = method(results, MethodName::Bomf);
    for name in [
        MethodName::BestCheckpoint,
        MethodName::LastCheckpoint,
        MethodName::Swa,
        MethodName::UniformSoup,
        MethodName::GreedySoup,
    ] {
        let other = method(results, name);
        assert!(bomf.hypervolume >= other.hypervolume, "{name:?}");
        let metric = &results.chosen_metric;
        assert!(bomf.select[metric] >= other.select[metric], "{name:?}");
    }
}

#[test]
fn the_history_counts_mixtures_for_both_searches_alike() {
    let results = &finished().results;
    let (bomf, random) = (
        method(results, MethodName::Bomf),
        method(results, MethodName::RandomSimplex),
    );
    assert_eq!(bomf.evaluations, random.evaluations, "one budget");
    let history = &results.stage2.history;
    assert_eq!(history.len(), bomf.evaluations + 1);
    // Six of the search, and one to four of the choice.
    let beyond = bomf.evaluations - results.stage2.initial_evaluations;
    assert!((6..=10).contains(&beyond));
    for (i, point) in history.iter().enumerate() {
        assert_eq!(point.evaluations, i);
        if i > 0 {
            assert!(point.bomf >= history[i - 1].bomf, "it never falls");
            assert!(point.random_simplex >= history[i - 1].random_simplex);
        }
    }
    assert_eq!(history[0].random_simplex, Some(0.0));
    let last = history[history.len() - 1];
    assert_eq!(last.bomf, bomf.hypervolume);
    assert_eq!(last.random_simplex, Some(random.hypervolume));
}

#[test]
fn the_fused_model_is_the_members_by_their_weights_and_scores_as_told() {
    let run = finished();
    let weights = weights_of(&run.results);
    assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    let fused = Checkpoint::open(run.out.join("fused")).unwrap();
    let members: Vec<Checkpoint> = finished_members()
        .iter()
        .map(|dir| Checkpoint::open(dir).unwrap())
        .collect();
    for name in fused.names() {
        let mut expected = vec![0.0f64; fused.tensor(name).unwrap().to_f32().unwrap().len()];
        for (member, weight) in members.iter().zip(weights) {
            let values = member.tensor(name).unwrap().to_f32().unwrap();
            let sum = expected.iter_mut().zip(values);
            sum.for_each(|(e, v)| *e += weight * f64::from(v));
        }
        let values = fused.tensor(name).unwrap().to_f32().unwrap();
        for (value, expected) in values.iter().zip(&expected) {
            assert!((f64::from(*value) - expected).abs() < 1e-5, "{name}");
        }
    }

    let bomf = method(&run.results, MethodName::Bomf);
    for (split, told) in [
        (Split::Validation, &bomf.select),
        (Split::Test, &bomf.report),
    ] {
        let scores = bomf::eval(
            &evaluation(&run.out.join("fused"), &run.data, split),
            &mut Silent,
        );
        for (name, score) in scores.unwrap() {
            assert!((score - told[&name]).abs() < 1e-6, "{name} on {split:?}");
        }
    }
}

fn evaluation(model: &Path, data: &Path, split: Split) -> EvalRequest {
    EvalRequest {
        model: model.display().to_string(),
        data: data.into(),
        split,
        predictions: None,
        recipe: recipe(TINY),
        threads: 1,
    }
}

#[test]
fn the_front_holds_the_chosen_point_and_lies_in_both_files() {
    let run = finished();
    let text = std::fs::read_to_string(run.out.join("pareto.json")).unwrap();
    let front: Front = serde_json::from_str(&text).unwrap();
    assert_eq!(front.points, run.results.front);
    assert_eq!(front.ref_point, run.results.ref_point);
    assert_eq!(front.member_steps.len(), weights_of(&run.results).len());
    let chosen: Vec<_> = front.points.iter().filter(|p| p.chosen).collect();
    assert_eq!(chosen.len(), 1);
    assert_eq!(chosen[0].weights, weights_of(&run.results));
    let points: Vec<_> = front.points.iter().filter(|p| !p.dominated).collect();
    for (a, b) in points.iter().zip(&points[1..]) {
        assert!(a.select["accuracy"] > b.select["accuracy"]);
        assert!(
            a.select["loss"] > b.select["loss"],
            "none dominates another"
        );
    }
}

#[test]
fn a_run_repeats_from_its_own_recipe_and_another_seed_gives_another() {
    let run = finished();
    let dir = tempfile::tempdir().unwrap();
    let own = Recipe::load(&run.out.join("recipe.yaml")).unwrap();
    let again = request(&run.data, &dir.path().join("again"), own.clone());
    let again = bomf::run(&again, &mut Silent).unwrap();
    // What the first run guessed is in its recipe: the second has nothing to guess.
    assert!(own.task.kind.is_some() && own.task.columns.label.is_some());
    assert!(!again.notes.iter().any(|note| note.contains("guessed")));
    let noteless = |results: &Results| Results {
        notes: Vec::new(),
        ..timeless(results)
    };
    assert_eq!(noteless(&again), noteless(&run.results));

    let other = Recipe { seed: 1, ..own };
    let other = request(&run.data, &dir.path().join("other"), other);
    let other = bomf::run(&other, &mut Silent).unwrap();
    assert_ne!(weights_of(&other), weights_of(&run.results));
    assert_ne!(other.stage1.best, run.results.stage1.best);
}

#[test]
fn the_report_split_has_no_say_in_what_is_chosen() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    write_data(&data, Kind::Sentences, "jsonl");
    let mut test = rows(Kind::Sentences, 48, 3);
    for (_, _, label) in &mut test {
        *label = if label == "good" { "bad" } else { "good" }.into();
    }
    write_split(&data, "test", "jsonl", &test);
    let out = dir.path().join("out");
    let turned = bomf::run(&request(&data, &out, recipe(TINY)), &mut Silent).unwrap();
    let run = finished();
    assert_eq!(turned.front, run.results.front);
    assert_eq!(turned.stage1.best, run.results.stage1.best);
    let model = |out: &Path| std::fs::read(out.join("fused/model.safetensors")).unwrap();
    assert!(model(&out) == model(&run.out));
    let accuracy = |results: &Results| method(results, MethodName::Bomf).report["accuracy"];
    assert!((accuracy(&turned) + accuracy(&run.results) - 1.0).abs() < 1e-9);
}

#[test]
fn progress_rises_to_what_was_announced_in_every_phase() {
    let told = &finished().told;
    let phases = [Phase::Tune, Phase::Finetune, Phase::Fuse, Phase::Evaluate];
    assert_eq!(told.ended, phases);
    for phase in phases {
        let own = told.progress.iter().filter(|(p, _)| *p == phase);
        let done: Vec<u64> = own.map(|(_, done)| *done).collect();
        assert!(done.is_sorted(), "{phase:?}: {done:?}");
        let total = told.totals.iter().rfind(|(p, _)| *p == phase).unwrap().1;
        let last = *done.last().unwrap();
        match phase {
            Phase::Finetune => assert!(last <= total, "it may stop early"),
            _ => assert_eq!(last, total, "{phase:?}"),
        }
    }
    let results = &finished().results;
    assert_eq!(told.notes, results.notes, "each note is told, and once");
    assert!(told.notes.iter().any(|n| n.contains("newly initialised")));
}

#[test]
fn each_rule_takes_the_point_of_the_front_that_it_names() {
    let dir = tempfile::tempdir().unwrap();
    let run = finished();
    let chosen = |rule: &str| {
        let text =
            format!("{FIXED}\n").replace("evaluations: 6", &format!("evaluations: 6, {rule}"));
        let out = dir.path().join(rule.len().to_string());
        let request = fusion(&finished_members(), &run.data, &out, recipe(&text));
        let results = bomf::fuse(&request, &mut Silent).unwrap();
        let place = results.front.iter().position(|p| p.chosen).unwrap();
        (place, results)
    };
    let (best, results) = chosen("choose: best_metric");
    assert_eq!(best, 0, "the front falls in the chosen metric");
    let (place, _) = chosen("choose: one_standard_error");
    let loss = |place: usize| results.front[place].select["loss"];
    assert!(loss(place) <= loss(best));
    let accuracy = results.front[place].select["accuracy"];
    for method in &results.methods {
        let is_search =
            ["bomf", "random_simplex", "prediction_ensemble"].contains(&method.name.as_str());
        assert!(is_search || accuracy >= method.select["accuracy"]);
    }
    let (place, same) = chosen("choose: weights, objective_weights: {loss: 1}");
    assert_eq!(same.front.len(), results.front.len());
    assert_eq!(
        place,
        results.front.len() - 1,
        "the lowest loss is at its other end"
    );
    let (place, _) = chosen("choose: knee");
    assert!(place < results.front.len());
    let (_, own) = chosen("choose: best_metric, ref_point: {loss: 3, accuracy: 0.25}");
    assert_eq!(own.ref_point, [3.0, 0.25]);
    assert_eq!(own.objectives[0].direction, Direction::Minimize);
}

#[test]
fn the_bagged_choice_is_no_worse_than_the_classical_methods_and_counts_what_it_evaluates() {
    let dir = tempfile::tempdir().unwrap();
    let run = finished();
    let with = |rule: &str| {
        let text =
            format!("{FIXED}\n").replace("evaluations: 6", &format!("evaluations: 6, {rule}"));
        let out = dir.path().join(rule.len().to_string());
        let request = fusion(&finished_members(), &run.data, &out, recipe(&text));
        bomf::fuse(&request, &mut Silent).unwrap()
    };
    let bagged = with("choose: bagged");
    let plain = with("choose: one_standard_error");
    let choice = &bagged.stage2.choice;
    assert_eq!(choice.rule, "bagged");
    assert!(choice.gap.values().all(|gap| gap.is_finite()));
    assert!(choice.gap.keys().eq(bagged.front[0].select.keys()));
    assert_eq!(plain.stage2.choice.rule, "one_standard_error");
    assert_eq!(plain.stage2.choice.share, None);

    let ours = method(&bagged, MethodName::Bomf);
    for name in [
        "best_checkpoint",
        "last_checkpoint",
        "swa",
        "uniform_soup",
        "greedy_soup",
    ] {
        let other = bagged.methods.iter().find(|m| m.name.as_str() == name);
        assert!(
            ours.select["accuracy"] >= other.unwrap().select["accuracy"],
            "{name}"
        );
    }
    let beyond = |results: &Results| method(results, MethodName::Bomf).evaluations;
    assert!(beyond(&bagged) - beyond(&plain) <= 4);
    let random = method(&bagged, MethodName::RandomSimplex);
    assert_eq!(random.evaluations, ours.evaluations);
    assert!(ours.hypervolume >= method(&plain, MethodName::Bomf).hypervolume);
}

#[test]
fn an_earlier_output_is_replaced_as_a_whole_when_told() {
    let dir = tempfile::tempdir().unwrap();
    let run = finished();
    let out = dir.path().join("out");
    std::fs::create_dir_all(out.join("members/checkpoint-999999")).unwrap();
    std::fs::create_dir_all(out.join(".candidates-abc")).unwrap();
    copy_folder(&run.out.join("fused"), &out.join("fused"));
    std::fs::copy(run.out.join("recipe.yaml"), out.join("recipe.yaml")).unwrap();
    let mut request = request(&run.data, &out, recipe(FIXED));
    request.overwrite = true;
    let results = bomf::run(&request, &mut Silent).unwrap();
    assert!(results.stage1.trials.is_empty());
    assert!(!out.join("members/checkpoint-999999").exists());
    assert!(!out.join(".candidates-abc").exists());

    // But never what is being read.
    request.model = out.join("fused").display().to_string();
    let error = bomf::run(&request, &mut Silent).unwrap_err();
    assert!(
        matches!(error, bomf::Error::InputInOutput { .. }),
        "{error}"
    );
    assert!(error.is_bad_input());
    assert!(out.join("fused/model.safetensors").exists());
}

#[test]
fn a_search_that_gains_nothing_more_ends_early_and_random_search_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let impatient = FIXED.replace("evaluations: 6", "evaluations: 60, patience: 4");
    let members = finished_members();
    let request = fusion(
        &members,
        &finished().data,
        &dir.path().join("out"),
        recipe(&impatient),
    );
    let results = bomf::fuse(&request, &mut Silent).unwrap();
    let initial = results.stage2.initial_evaluations;
    let made = method(&results, MethodName::Bomf).evaluations;
    assert!(made >= initial + 4 && made < initial + 60, "{made}");
    assert_eq!(
        method(&results, MethodName::RandomSimplex).evaluations,
        made
    );
    assert_eq!(results.stage2.history.len(), made + 1);
    let share = |k: usize| results.stage2.history[k].bomf / results.stage2.history[made].bomf;
    assert!(share(made - 4) >= 0.999);
}

#[test]
fn stage_1_ends_when_the_last_trials_brought_nothing_better() {
    let dir = tempfile::tempdir().unwrap();
    let impatient = TINY.replace("trials: 2", "trials: 40\n  patience: 2");
    let out = dir.path().join("out");
    let request = request(&finished().data, &out, recipe(&impatient));
    let stage1 = bomf::tune(&request, &mut Silent).unwrap();
    let trials = stage1.trials.len();
    assert!((3..40).contains(&trials), "{trials}");
    let best = |trials: &[bomf::study::Stage1Trial]| {
        trials
            .iter()
            .filter_map(|t| t.value)
            .fold(f64::NEG_INFINITY, f64::max)
    };
    let gained = best(&stage1.trials) - best(&stage1.trials[..trials - 2]);
    assert!(gained <= 1e-3, "{gained}");
}

#[test]
fn any_point_of_the_front_and_any_average_can_be_picked_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let Finished {
        out, results, data, ..
    } = finished();
    let pick = |pick: Pick, name: &str| {
        let request = PickRequest {
            run: out.clone(),
            pick,
            target: dir.path().join(name),
            threads: 1,
        };
        bomf::pick(&request).map(|select| (request.target, select))
    };
    // The point that the run chose is the model that it wrote, file for file.
    let chosen = results.front.iter().position(|p| p.chosen).unwrap() + 1;
    let (again, _) = pick(Pick::Point(chosen), "chosen").unwrap();
    let names = names(&out.join("fused"));
    assert_eq!(crate::fixture::names(&again), names);
    for name in &names {
        let read = |folder: &Path| std::fs::read(folder.join(name)).unwrap();
        assert!(read(&out.join("fused")) == read(&again), "{name}");
    }
    // Another one scores what the run told of it.
    let soup = Pick::Method(MethodName::UniformSoup);
    let (model, told) = pick(soup, "soup").unwrap();
    let scores = bomf::eval(&evaluation(&model, data, Split::Validation), &mut Silent).unwrap();
    for (name, value) in &told {
        assert!((scores[name] - value).abs() < 1e-5, "{name}");
    }

    let points = results.front.len();
    for number in [0, points + 1] {
        let error = pick(Pick::Point(number), "none").unwrap_err();
        assert!(matches!(error, bomf::Error::NoSuchPoint { .. }), "{error}");
    }
    let ensemble = Pick::Method(MethodName::PredictionEnsemble);
    assert!(pick(ensemble, "none").is_err());
    assert!(pick(soup, "soup").is_err(), "it is there already");
    assert!(!dir.path().join("none").exists());
}
