//! Merging by statistics and after alignment: fine-tuned members through `bomf statistics` and
//! `bomf merge`, scored on the data again.

use crate::fixture::{Interrupting, TINY, copy_folder, finished, finished_members, recipe};
use bomf::study::Scores;
use bomf::{
    Error, EvalRequest, MergeRequest, Observer, Phase, Silent, Split, StatisticsKind,
    StatisticsRequest, VerifyRequest,
};
use bomf_checkpoint::{Checkpoint, ModelLayout, TensorData, TensorSpec, write_tensors_atomic};
use std::path::{Path, PathBuf};

/// Losses of models that compute the same to the last digits of `f32`.
const ROUNDING: f64 = 1e-5;

fn statistics(
    model: &Path,
    kind: StatisticsKind,
    out: &Path,
    observer: &mut dyn Observer,
) -> Result<usize, Error> {
    let request = StatisticsRequest {
        model: model.display().to_string(),
        data: finished().data.clone(),
        split: Split::Train,
        kind,
        examples: Some(50),
        out: out.into(),
        recipe: recipe(TINY),
        threads: 1,
    };
    bomf::statistics(&request, observer).map(|outcome| outcome.tensors)
}

fn merge(recipe: &Path, out: &Path) -> Result<bomf::MergeOutcome, Error> {
    let request = MergeRequest {
        recipe: recipe.into(),
        out: out.into(),
        seed: 0,
        threads: 2,
        overwrite: false,
        max_memory: 1 << 26,
        max_shard_bytes: 1 << 30,
        hash: true,
        digest_cache: None,
    };
    bomf::merge(&request, &mut Silent)
}

fn verified(folder: &Path) -> bool {
    let request = VerifyRequest {
        folder: folder.into(),
        root: None,
        threads: 1,
        max_memory: 1 << 26,
    };
    bomf::verify(&request, &mut Silent).unwrap().is_same
}

fn scores(model: &Path) -> Scores {
    let request = EvalRequest {
        model: model.display().to_string(),
        data: finished().data.clone(),
        split: Split::Validation,
        predictions: None,
        recipe: recipe(TINY),
        threads: 1,
    };
    bomf::eval(&request, &mut Silent).unwrap()
}

/// A recipe for these models, each perhaps with its statistics.
fn write_recipe(path: &Path, head: &str, models: &[(PathBuf, Option<PathBuf>)]) {
    let mut text = format!("{head}\nmodels:\n");
    for (model, statistics) in models {
        text.push_str(&format!("  - model: {}\n", model.display()));
        if head.contains("linear") {
            text.push_str("    parameters: {weight: 1}\n");
        }
        if let Some(file) = statistics {
            text.push_str(&format!("    statistics: {}\n", file.display()));
        }
    }
    std::fs::write(path, text).unwrap();
}

#[test]
fn members_merged_by_their_statistics_are_better_than_the_worse_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let members = finished_members();
    let (first, last) = (&members[0], &members[members.len() - 1]);
    write_recipe(
        &path("r"),
        "merge_method: linear",
        &[(first.clone(), None), (last.clone(), None)],
    );
    merge(&path("r"), &path("average")).unwrap();
    let average = scores(&path("average"))["loss"];
    // Without normalisation the model with the larger gradients, which is the worse one, may
    // outweigh the other.
    let worse = scores(first)["loss"].max(scores(last)["loss"]);
    for (kind, method) in [
        (StatisticsKind::Fisher, "fisher"),
        (StatisticsKind::EmpiricalFisher, "fisher"),
        (StatisticsKind::Gram, "regmean"),
    ] {
        let files: Vec<PathBuf> = [first, last]
            .iter()
            .enumerate()
            .map(|(i, model)| {
                let file = path(&format!("{}{i}.safetensors", kind.as_str()));
                assert!(statistics(model, kind, &file, &mut Silent).unwrap() > 0);
                file
            })
            .collect();
        let own = Checkpoint::open(&files[0]).unwrap();
        assert_eq!(own.metadata()["kind"], kind.as_str());
        assert_eq!(own.metadata()["examples"], "50");
        let recipe = path(&format!("{}.yaml", kind.as_str()));
        let models = [
            (first.clone(), Some(files[0].clone())),
            (last.clone(), Some(files[1].clone())),
        ];
        write_recipe(&recipe, &format!("merge_method: {method}"), &models);
        let out = path(&format!("by-{}", kind.as_str()));
        assert_eq!(merge(&recipe, &out).unwrap().method, method);
        assert!(verified(&out));
        let loss = scores(&out)["loss"];
        assert!(
            loss < worse,
            "{}: {loss}, of the members {worse}, of their average {average}",
            kind.as_str()
        );
        assert!(loss != average);

        // The record knows the files of statistics, too.
        let mut bytes = std::fs::read(&files[0]).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&files[0], bytes).unwrap();
        assert!(!verified(&out), "{method}");
    }
    // One model alone, and statistics of another kind.
    let gram = path("gram1.safetensors");
    write_recipe(
        &path("none"),
        "merge_method: regmean",
        &[(first.clone(), Some(gram.clone())), (last.clone(), None)],
    );
    let error = merge(&path("none"), &path("x")).unwrap_err();
    assert!(
        error.is_bad_input() && error.to_string().contains("needs gram statistics"),
        "{error}"
    );
    assert!(
        error
            .hint()
            .unwrap()
            .contains("bomf statistics --kind gram")
    );
    write_recipe(
        &path("other"),
        "merge_method: fisher",
        &[
            (first.clone(), Some(gram.clone())),
            (last.clone(), Some(gram)),
        ],
    );
    let error = merge(&path("other"), &path("x")).unwrap_err();
    assert!(
        error.is_bad_input() && error.to_string().contains("fisher statistics of tensor"),
        "{error}"
    );
    assert!(!path("x").exists());
}

#[test]
fn statistics_that_are_interrupted_leave_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("fisher.safetensors");
    let mut observer = Interrupting::new(Phase::Evaluate, 3);
    let error = statistics(
        &finished_members()[0],
        StatisticsKind::Fisher,
        &out,
        &mut observer,
    );
    assert!(matches!(error, Err(Error::Interrupted { .. })), "{error:?}");
    assert!(!out.exists());
}

/// The elements of a matrix `[rows, columns]` in another order of its rows or columns.
fn reordered(
    values: &[f32],
    columns: usize,
    rows: Option<&[usize]>,
    cols: Option<&[usize]>,
) -> Vec<f32> {
    (0..values.len())
        .map(|k| {
            let (r, c) = (k / columns, k % columns);
            let (r, c) = (rows.map_or(r, |o| o[r]), cols.map_or(c, |o| o[c]));
            values[r * columns + c]
        })
        .collect()
}

/// Copies a BERT with its hidden units and heads turned round: the last first.
fn turned(from: &Path, to: &Path, heads: usize) {
    copy_folder(from, to);
    let model = Checkpoint::open(from).unwrap();
    let names: Vec<String> = model.names().map(str::to_owned).collect();
    let (mut specs, mut tensors) = (Vec::new(), Vec::new());
    for name in &names {
        let tensor = model.tensor(name).unwrap();
        let shape = tensor.shape().to_vec();
        let values = tensor.to_f32().unwrap();
        let columns = *shape.last().unwrap();
        let rows = values.len() / columns;
        let last_first = |n: usize| (0..n).rev().collect::<Vec<_>>();
        let of_heads = |n: usize| {
            let width = n / heads;
            (0..n)
                .map(|i| (heads - 1 - i / width) * width + i % width)
                .collect::<Vec<_>>()
        };
        let is_made = [".query.", ".key.", ".value."]
            .iter()
            .any(|m| name.contains(m));
        let changed = match () {
            () if is_made && name.ends_with("weight") => {
                reordered(&values, columns, Some(&of_heads(rows)), None)
            }
            () if is_made => reordered(&values, columns, None, Some(&of_heads(columns))),
            () if name.ends_with("attention.output.dense.weight") => {
                reordered(&values, columns, None, Some(&of_heads(columns)))
            }
            () if name.ends_with("intermediate.dense.weight") => {
                reordered(&values, columns, Some(&last_first(rows)), None)
            }
            () if name.ends_with("intermediate.dense.bias") => {
                reordered(&values, columns, None, Some(&last_first(columns)))
            }
            () if name.ends_with(".output.dense.weight") => {
                reordered(&values, columns, None, Some(&last_first(columns)))
            }
            () => values,
        };
        specs.push(TensorSpec::new(name, tensor.dtype(), &shape));
        tensors.push(changed);
    }
    let metadata = ModelLayout::default().metadata;
    write_tensors_atomic(to.join("model.safetensors"), &specs, &metadata, |i| {
        Ok(TensorData::F32(tensors[i].clone().into()))
    })
    .unwrap();
}

#[test]
fn a_model_whose_units_changed_places_computes_the_same_and_merges_to_itself() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let model = &finished_members()[0];
    turned(model, &path("turned"), 2);
    let loss = scores(model)["loss"];
    assert!((scores(&path("turned"))["loss"] - loss).abs() < ROUNDING);

    let models = [(model.clone(), None), (path("turned"), None)];
    write_recipe(&path("apart.yaml"), "merge_method: linear", &models);
    merge(&path("apart.yaml"), &path("apart")).unwrap();
    assert!((scores(&path("apart"))["loss"] - loss).abs() > 100.0 * ROUNDING);

    let head = "merge_method: linear\nalign: permutation";
    write_recipe(&path("aligned.yaml"), head, &models);
    merge(&path("aligned.yaml"), &path("aligned")).unwrap();
    // The mean of a number and itself is that number: every byte is the model's.
    let bytes = |folder: &Path| {
        let model = Checkpoint::open(folder).unwrap();
        let tensors = model
            .names()
            .map(|n| (n.to_owned(), model.tensor(n).unwrap().bytes().to_vec()));
        tensors.collect::<Vec<_>>()
    };
    assert_eq!(bytes(&path("aligned")), bytes(model));
    assert!(verified(&path("aligned")));

    let head = "merge_method: linear\nalign: {kind: transport, regularisation: 0.001}";
    write_recipe(&path("moved.yaml"), head, &models);
    merge(&path("moved.yaml"), &path("moved")).unwrap();
    assert!((scores(&path("moved"))["loss"] - loss).abs() < 1e-2 * loss);
    assert!(verified(&path("moved")));

    let config = path("turned").join("config.json");
    std::fs::remove_file(config).unwrap();
    let first = [(path("turned"), None), (model.clone(), None)];
    write_recipe(
        &path("no.yaml"),
        "merge_method: linear\nalign: permutation",
        &first,
    );
    let error = merge(&path("no.yaml"), &path("x")).unwrap_err();
    assert!(
        matches!(error, Error::NoHeads { .. }) && error.hint().is_some(),
        "{error}"
    );
}
