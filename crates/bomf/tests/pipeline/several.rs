//! Members of several runs.

use crate::fixture::{FIXED, Recording, TINY, finished, fusion, names, recipe, request};
use bomf::study::{Event, MemberRecord};
use bomf::{Recipe, Silent};

fn with(text: &str, members: &str) -> Recipe {
    let text = text
        .replace(
            "members:\n  count: 4",
            &format!("members: {{count: 4, {members}}}"),
        )
        .replace(
            "members: {count: 4}",
            &format!("members: {{count: 4, {members}}}"),
        );
    assert!(text.contains(members));
    recipe(&text)
}

fn runs(members: &[MemberRecord]) -> Vec<Option<usize>> {
    members.iter().map(|m| m.run).collect()
}

#[test]
fn the_best_checkpoint_of_each_run_is_a_member_and_the_best_configurations_comes_last() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let request = request(&finished().data, &out, with(TINY, "source: runs, runs: 3"));
    let results = bomf::run(&request, &mut Silent).unwrap();
    let members = &results.finetune.members;
    assert_eq!(runs(members), [Some(3), Some(2), Some(1)]);
    let further = &results.finetune.further_runs;
    assert_eq!(further.iter().map(|r| r.run).collect::<Vec<_>>(), [3, 2]);
    // Two trials: the third run takes the best configuration again, with another seed.
    assert_eq!(further[0].parameters, results.stage1.best);
    assert_ne!(further[1].parameters, results.stage1.best);
    assert_ne!(further[0].curve, results.finetune.curve);
    let last = &members[2];
    assert_eq!(
        last.path,
        format!("members/checkpoint-{}", results.finetune.best_step)
    );
    assert_eq!(
        members[1].path,
        format!("members/run-2/checkpoint-{}", further[1].best_step)
    );
    for member in members {
        assert!(out.join(&member.path).join("model.safetensors").is_file());
        assert_eq!(member.select.len(), 2);
    }
    // The run with the best configuration is the one that a run alone makes.
    assert_eq!(results.finetune.curve, finished().results.finetune.curve);

    let basin = results.stage2.basin.as_ref().unwrap();
    assert_eq!(basin.places, [0.0, 0.25, 0.5, 0.75, 1.0]);
    assert_eq!(basin.segments.len(), 2);
    let (read, events) = bomf::read_output(&out).unwrap();
    assert_eq!(read, results);
    for run in 1..=3 {
        let own = |e: &&Event| matches!(e, Event::Finetune { run: Some(r), .. } if *r == run);
        assert!(events.iter().filter(own).count() > 0, "run {run}");
    }
    assert_eq!(
        names(&out),
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
}

#[test]
fn a_trajectory_and_other_runs_go_together() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let recipe = with(FIXED, "source: both, runs: 2, basin: 0");
    let finetune = bomf::finetune(&request(&finished().data, &out, recipe), &mut Silent).unwrap();
    let members = runs(&finetune.members);
    assert_eq!(members[0], Some(2));
    assert!(
        members.len() > 2 && members[1..].iter().all(|r| *r == Some(1)),
        "{members:?}"
    );
    assert!(finetune.further_runs[0].parameters.is_empty());
    assert_eq!(finetune.members[0].step, finetune.further_runs[0].best_step);

    // Fused as members of anywhere.
    let folders = [out.join("members/run-2"), out.join("members")];
    let fused = dir.path().join("fused");
    let own = crate::fixture::recipe(&FIXED.replace("count: 4", "count: 4, basin: 3"));
    let mut told = Recording::default();
    let results = bomf::fuse(&fusion(&folders, &finished().data, &fused, own), &mut told).unwrap();
    assert_eq!(results.finetune.members.len(), members.len());
    assert!(results.stage2.basin.is_some());
}
