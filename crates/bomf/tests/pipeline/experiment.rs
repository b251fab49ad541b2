//! Many runs from one file, and what they say together.

use crate::fixture::{
    FIXED, Interrupting, Kind, TINY, encoder, names, rows, write_data, write_split,
};
use bomf::experiment::{Experiment, tables};
use bomf::study::MethodName;
use bomf::{Error, ExperimentRequest, Observer, Phase, Silent, experiment};
use std::path::Path;

const PLAN: &str = "
seeds: 2
evaluations: [2, 4]
tasks:
  - {data: sentences, recipe: tiny.yaml}
  - {data: pairs, recipe: fixed.yaml}
variants:
  - name: all
    recipe: {stage2: {baselines: [bomf_paper]}}
  - {name: direct, members: all, recipe: {stage2: {surrogate: direct}}}
";

/// An experiment in a folder of its own, with its data and recipes.
fn place(folder: &Path, plan: &str) -> ExperimentRequest {
    write_data(&folder.join("data/sentences"), Kind::Sentences, "jsonl");
    write_data(&folder.join("data/pairs"), Kind::Pairs, "jsonl");
    for (name, text) in [
        ("plan.yaml", plan),
        ("tiny.yaml", TINY),
        ("fixed.yaml", FIXED),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    ExperimentRequest {
        file: folder.join("plan.yaml"),
        model: Some(encoder().display().to_string()),
        data: Some(folder.join("data")),
        out: folder.join("out"),
        seeds: None,
        threads: 1,
        workers: 0,
        launch: Vec::new(),
    }
}

fn run(request: &ExperimentRequest, observer: &mut dyn Observer) -> Experiment {
    experiment(request, observer).unwrap()
}

#[test]
fn every_task_variant_and_seed_is_run_once_and_summed_up() {
    let folder = tempfile::tempdir().unwrap();
    let request = place(folder.path(), PLAN);
    let found = run(&request, &mut Silent);
    assert_eq!((found.planned, found.runs.len()), (8, 8));
    assert!(found.failed.is_empty(), "{:?}", found.failed);

    // A variant on the members of another trains nothing.
    let of = |variant: &str| found.costs.iter().find(|c| c.variant == variant).unwrap();
    assert!(of("all").finetune > 0.0);
    assert_eq!(of("direct").finetune, 0.0);

    // The means are those of the runs' own results.
    let own: Vec<f64> = [0, 1]
        .map(|seed| {
            let out = request.out.join(format!("pairs/all/seed-{seed}"));
            let (results, _) = bomf::read_output(&out).unwrap();
            let methods = results.methods;
            let bomf = methods.into_iter().find(|m| m.name == MethodName::Bomf);
            bomf.unwrap().report["accuracy"]
        })
        .to_vec();
    let row = found
        .scores
        .iter()
        .find(|r| (&*r.task, &*r.variant, r.method) == ("pairs", "all", MethodName::Bomf))
        .unwrap();
    assert!((row.report["accuracy"].mean - (own[0] + own[1]) / 2.0).abs() < 1e-12);

    let gain = |over: &str, of: &str| {
        let gains = found.gains.iter().chain(&found.ablation);
        let mut gains = gains.filter(|g| g.over == over && g.of == of);
        gains.next().unwrap().clone()
    };
    assert_eq!(gain("greedy_soup", "report chosen").runs, 4);
    // Loss is turned: above zero is better.
    let lower: f64 = found
        .runs
        .iter()
        .filter(|run| run.variant == "all")
        .map(|run| {
            let (results, _) = bomf::read_output(&request.out.join(&run.folder)).unwrap();
            let loss = |name| {
                results
                    .methods
                    .iter()
                    .find(|m| m.name == name)
                    .unwrap()
                    .report["loss"]
            };
            loss(MethodName::LastCheckpoint) - loss(MethodName::Bomf)
        })
        .sum();
    let loss = gain("last_checkpoint", "report loss");
    assert!((loss.mean - lower / 4.0).abs() < 1e-12, "{loss:?} {lower}");
    let volume = gain("all", "select hypervolume");
    assert_eq!((volume.variant.as_str(), volume.runs), ("direct", 4));

    for claim in &found.claims[..2] {
        assert_eq!((claim.held, claim.runs), (4, 4), "{claim:?}");
    }
    let searches: Vec<MethodName> = found
        .hypervolume
        .iter()
        .filter(|row| row.variant == "all" && row.evaluations == 4)
        .map(|row| row.method)
        .collect();
    let all = [
        MethodName::RandomSimplex,
        MethodName::BomfPaper,
        MethodName::Bomf,
    ];
    assert_eq!(searches, all);
    assert!(found.hypervolume.iter().all(|row| row.share.mean > 0.0));
    assert_eq!(found.correlation.len(), 4);

    assert_eq!(
        names(&request.out),
        [
            "csv",
            "experiment.json",
            "pairs",
            "sentences",
            "tables.md",
            "tables.tex"
        ]
    );
    let json = std::fs::read(request.out.join("experiment.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Experiment>(&json).unwrap(), found);
    for table in tables(&found) {
        assert!(
            table.rows.iter().all(|row| row.len() == table.head.len()),
            "{}",
            table.name
        );
    }
}

/// Counts the runs that are begun.
#[derive(Default)]
struct Counting(usize);

impl Observer for Counting {
    fn begin(&mut self, _: Phase, _: u64) {}
    fn advance(&mut self, _: Phase, _: u64, _: &str) {}
    fn end(&mut self, _: Phase) {}
    fn note(&mut self, note: &str) {
        self.0 += usize::from(note.starts_with("run "));
    }
}

#[test]
fn what_was_stopped_goes_on_and_nothing_is_run_twice() {
    let folder = tempfile::tempdir().unwrap();
    let request = place(
        folder.path(),
        "tasks: [{data: sentences, recipe: tiny.yaml}]\nseeds: 2\n",
    );
    let stopped = experiment(&request, &mut Interrupting::new(Phase::Fuse, 3));
    assert!(
        matches!(stopped, Err(Error::Interrupted { .. })),
        "{stopped:?}"
    );
    let mut counting = Counting::default();
    let found = run(&request, &mut counting);
    assert_eq!((found.runs.len(), counting.0), (2, 2));
    let journal = request.out.join("sentences/bomf/seed-0/trials.jsonl");
    let written = std::fs::metadata(&journal).unwrap().modified().unwrap();

    let mut counting = Counting::default();
    assert_eq!(run(&request, &mut counting).scores, found.scores);
    assert_eq!(counting.0, 0);
    assert_eq!(
        std::fs::metadata(&journal).unwrap().modified().unwrap(),
        written
    );

    // More seeds are more runs; another recipe is another experiment.
    let more = ExperimentRequest {
        seeds: Some(vec![0, 2]),
        ..request.clone()
    };
    let mut counting = Counting::default();
    assert_eq!(run(&more, &mut counting).runs.len(), 2);
    assert_eq!(counting.0, 1);
    std::fs::write(folder.path().join("tiny.yaml"), FIXED).unwrap();
    let other = experiment(&request, &mut Silent);
    assert!(matches!(other, Err(Error::OtherStudy { .. })), "{other:?}");
}

#[test]
fn bad_input_ends_an_experiment_before_anything_is_paid_for() {
    let folder = tempfile::tempdir().unwrap();
    let request = place(
        folder.path(),
        "tasks: [{data: broken}, {data: sentences}]\n",
    );
    let text = rows(Kind::Sentences, 4, 0);
    write_split(
        &folder.path().join("data/broken"),
        "validation",
        "jsonl",
        &text,
    );
    let error = experiment(&request, &mut Silent).unwrap_err();
    assert!(error.is_bad_input(), "{error}");
    assert!(names(&request.out).is_empty());
}

#[test]
fn what_fuses_the_members_of_a_failed_run_is_told_of_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    // Multiplies the weights by -9 at each step: they overflow.
    let plan = "
tasks: [{data: sentences, recipe: fixed.yaml}]
variants:
  - name: diverged
    recipe: {finetune: {learning_rate: 1, weight_decay: 10, warmup_ratio: 0, batch_size: 1}}
  - {name: of_diverged, members: diverged}
  - {name: sound}
";
    let found = run(&place(folder.path(), plan), &mut Silent);
    let failed: Vec<&Path> = found.failed.iter().map(|run| &*run.folder).collect();
    let folders = ["diverged", "of_diverged"].map(|name| format!("sentences/{name}/seed-0"));
    assert_eq!(failed, folders.each_ref().map(Path::new));
    assert!(found.failed[1].error.contains(&folders[0]));
    assert_eq!(found.runs.len(), 1);
}

#[test]
fn configurations_that_two_variants_tried_are_compared_by_rank() {
    let folder = tempfile::tempdir().unwrap();
    let plan = "
tasks: [{data: sentences, recipe: tiny.yaml}]
variants:
  - {name: light, recipe: {stage1: {trials: 4, initial: 4}}}
  - {name: full, recipe: {stage1: {trials: 4, initial: 4, frozen_layers: 0}}}
";
    let found = run(&place(folder.path(), plan), &mut Silent);
    let row = found.alignment.iter().find(|row| row.objective == "loss");
    let row = row.unwrap();
    assert_eq!((row.variant.as_str(), row.configurations), ("full", 4));
    assert!(row.spearman.abs() <= 1.0);
}
