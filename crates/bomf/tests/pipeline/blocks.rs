//! Weights by block of the model: searched, written down, picked again.

use crate::fixture::{FIXED, Recording, finished, finished_members, fusion, recipe};
use bomf::study::{BlockWeights, Event, Front, MethodName, Results};
use bomf::{EvalRequest, Pick, PickRequest, Recipe, Silent, Split};
use std::path::Path;

/// The blocks of the fixture's two layers.
const NAMES: [&str; 4] = ["embeddings", "layer 0", "layer 1", "head"];

fn with_stage2(fields: &str) -> Recipe {
    recipe(&FIXED.replace("stage2: {evaluations: 6}", &format!("stage2: {{{fields}}}")))
}

fn by_block(more: &str) -> Recipe {
    with_stage2(&format!(
        "choose: one_standard_error, evaluations: 12, blocks: layers{more}"
    ))
}

fn fuse(recipe: Recipe, out: &Path) -> Results {
    let request = fusion(&finished_members(), &finished().data, out, recipe);
    bomf::fuse(&request, &mut Silent).unwrap()
}

#[track_caller]
fn assert_on_simplexes(weights: &BlockWeights, members: usize) {
    let names: Vec<&str> = weights.keys().map(String::as_str).collect();
    assert_eq!(names, NAMES);
    for own in weights.values() {
        assert_eq!(own.len(), members);
        assert!(own.iter().all(|w| *w >= 0.0));
        assert!((own.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{own:?}");
    }
}

#[test]
fn blocks_have_their_own_part_of_the_evaluations_and_weights_under_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let results = fuse(by_block(""), &out);
    let blocks = results.stage2.blocks.as_ref().unwrap();
    assert_eq!(blocks.names, NAMES);
    let bomf = results.methods.iter().find(|m| m.name == MethodName::Bomf);
    let total = bomf.unwrap().evaluations;
    assert_eq!(total, results.stage2.initial_evaluations + 12);
    assert_eq!(blocks.after, total - 6, "half is theirs");

    let (_, events) = bomf::read_output(&out).unwrap();
    let members = results.finetune.members.len();
    let mut shared = 0;
    let mut own = 0;
    for event in &events {
        let Event::Stage2 {
            method,
            weights,
            block_weights,
            ..
        } = event
        else {
            continue;
        };
        assert_eq!(weights.len(), members);
        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        match block_weights {
            Some(blocks) => {
                assert_eq!(method, "bomf");
                assert_on_simplexes(blocks, members);
                own += 1;
            }
            None => shared += usize::from(method == "bomf"),
        }
    }
    assert_eq!((shared, own), (6, 6));

    // The front on disk is that of the results, and so are its weights.
    let text = std::fs::read(out.join("pareto.json")).unwrap();
    let front: Front = serde_json::from_slice(&text).unwrap();
    assert_eq!(front.points, results.front);
    for point in &results.front {
        if let Some(blocks) = &point.block_weights {
            assert_on_simplexes(blocks, members);
        }
    }
}

#[test]
fn a_search_of_shared_weights_is_the_same_with_or_without_one_by_block_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let half = with_stage2("choose: one_standard_error, evaluations: 6");
    let shared = fuse(half, &dir.path().join("shared"));
    let whole = fuse(by_block(""), &dir.path().join("whole"));
    let after = whole.stage2.blocks.as_ref().unwrap().after;
    let at = |results: &Results| {
        let mut history = results.stage2.history.iter();
        history.find(|h| h.evaluations == after).unwrap().bomf
    };
    assert_eq!(at(&shared), at(&whole));
    let last = |results: &Results| results.stage2.history.last().unwrap().bomf;
    assert!(last(&whole) >= last(&shared));
}

#[test]
fn what_is_picked_by_block_scores_what_the_search_saw() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    // All but the first is by block, so that the front holds some of it.
    let results = fuse(by_block(", block_evaluations: 11"), &out);
    let point = results.front.iter().position(|p| p.block_weights.is_some());
    let Some(point) = point else {
        panic!("no point by block among {:?}", results.front);
    };
    let target = dir.path().join("model");
    let picked = bomf::pick(&PickRequest {
        run: out.clone(),
        pick: Pick::Point(point + 1),
        target: target.clone(),
        threads: 1,
    })
    .unwrap();
    assert_eq!(picked, results.front[point].select);
    let scores = bomf::eval(
        &EvalRequest {
            model: target.display().to_string(),
            data: finished().data.clone(),
            split: Split::Validation,
            predictions: None,
            recipe: recipe(FIXED),
            threads: 1,
        },
        &mut Silent,
    )
    .unwrap();
    for (name, score) in &picked {
        assert!((score - scores[name]).abs() < 1e-5, "{name}");
    }
}

#[test]
fn an_average_over_resamples_may_be_by_block() {
    let dir = tempfile::tempdir().unwrap();
    let fields = "choose: bagged, evaluations: 12, blocks: 1, block_evaluations: 11";
    let results = fuse(with_stage2(fields), &dir.path().join("out"));
    assert_eq!(results.stage2.choice.rule, "bagged");
    let chosen = results.front.iter().find(|point| point.chosen).unwrap();
    let members = results.finetune.members.len();
    assert_eq!(chosen.weights.len(), members);
    assert!((chosen.weights.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    for own in chosen
        .block_weights
        .iter()
        .flat_map(|blocks| blocks.values())
    {
        assert_eq!(own.len(), members);
        assert!((own.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }
}

#[test]
fn the_objectives_can_be_modelled_by_block_too() {
    let dir = tempfile::tempdir().unwrap();
    let results = fuse(by_block(", surrogate: direct"), &dir.path().join("out"));
    assert!(results.stage2.blocks.is_some());
    assert!(results.stage2.surrogates.values().all(|s| s == "direct"));
}

#[test]
fn without_evaluations_for_blocks_there_is_no_search_by_block() {
    let dir = tempfile::tempdir().unwrap();
    let results = fuse(by_block(", block_evaluations: 0"), &dir.path().join("out"));
    assert_eq!(results.stage2.blocks, None);
    assert!(results.front.iter().all(|p| p.block_weights.is_none()));
}

#[test]
fn the_segments_between_members_are_looked_at_when_a_fusion_asks_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let recipe = recipe(&FIXED.replace("count: 4", "count: 4, basin: 4"));
    let request = fusion(&finished_members(), &finished().data, &out, recipe);
    let mut told = Recording::default();
    let results = bomf::fuse(&request, &mut told).unwrap();
    let basin = results.stage2.basin.as_ref().unwrap();
    let n = results.finetune.members.len();
    assert_eq!(basin.segments.len(), n - 1);
    assert_eq!(basin.places.len(), 4);
    let best = basin.segments[0].from;
    for segment in &basin.segments {
        assert_eq!(segment.from, best);
        assert_eq!(segment.loss.len(), 4);
        for (member, place) in [(segment.from, 0), (segment.to, 3)] {
            let own = results.finetune.members[member].select["loss"];
            assert!((segment.loss[place].unwrap() - own).abs() < 1e-9);
        }
    }
    // Of one run: no barrier, and nothing to warn of.
    assert!(basin.segments.iter().all(|s| !s.separated), "{basin:?}");
    assert!(told.notes.iter().all(|n| !n.contains("basins")));
    // What was evaluated on the way counts and is known to the search.
    let (_, events) = bomf::read_output(&out).unwrap();
    let is_own = |e: &&Event| matches!(e, Event::Stage2 { method, .. } if method == "basin");
    assert_eq!(events.iter().filter(is_own).count(), 2 * (n - 1));
    assert!(results.stage2.initial_evaluations >= 2 * (n - 1));
}
