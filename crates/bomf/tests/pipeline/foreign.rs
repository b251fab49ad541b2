//! Fusing checkpoints of other trainers.

use crate::fixture::{
    FIXED, Kind, Recording, copy_folder, finished, finished_members, fusion, names, recipe, rows,
    write_split,
};
use bomf::study::{MethodName, Results};
use bomf::{Error, Silent};
use bomf_checkpoint::{Checkpoint, Dtype, FolderWriter, ModelLayout, TensorData, TensorSpec};
use bomf_fuse::FuseError;
use std::path::{Path, PathBuf};

/// How a copy of a member differs from it.
struct Foreign {
    dtype: Dtype,
    prefix: &'static str,
    max_shard_bytes: Option<u64>,
}

const AS_OURS: Foreign = Foreign {
    dtype: Dtype::F32,
    prefix: "bert.",
    max_shard_bytes: None,
};

impl Foreign {
    fn write(&self, from: &Path, to: &Path) {
        self.write_with(from, to, |_, _| {});
    }

    /// Copies a model, its tensors changed by `change`.
    fn write_with(&self, from: &Path, to: &Path, change: impl Fn(&str, &mut Vec<f32>)) {
        let source = Checkpoint::open(from).unwrap();
        let tensors: Vec<_> = source.names().map(|n| source.tensor(n).unwrap()).collect();
        let name = |ours: &str| match ours.strip_prefix("bert.") {
            Some(rest) => format!("{}{rest}", self.prefix),
            None => ours.to_string(),
        };
        let specs: Vec<TensorSpec> = tensors
            .iter()
            .map(|t| TensorSpec::new(name(t.name()), self.dtype, t.shape()))
            .collect();
        let layout = ModelLayout {
            max_shard_bytes: self.max_shard_bytes,
            ..ModelLayout::default()
        };
        let mut writer = FolderWriter::create(to, false).unwrap();
        let fetch = |i: usize| {
            let mut values = tensors[i].to_f32()?;
            change(tensors[i].name(), &mut values);
            Ok(TensorData::F32(values.into()))
        };
        writer.write_model(&specs, &layout, fetch).unwrap();
        writer.copy_sidecars(from).unwrap();
        writer.commit().unwrap();
    }
}

fn fuse(members: &[PathBuf], out: &Path) -> Result<Results, Error> {
    let request = fusion(members, &finished().data, out, recipe(FIXED));
    bomf::fuse(&request, &mut Silent)
}

fn steps(results: &Results) -> Vec<u64> {
    results.finetune.members.iter().map(|m| m.step).collect()
}

#[test]
fn members_of_other_names_and_in_shards_fuse_to_the_same_model() {
    let dir = tempfile::tempdir().unwrap();
    let out = |name: &str| dir.path().join(name);
    let ours = fuse(&finished_members(), &out("ours")).unwrap();
    let foreign = Foreign {
        prefix: "",
        max_shard_bytes: Some(20_000),
        ..AS_OURS
    };
    let copies = finished_members()
        .into_iter()
        .zip(steps(&ours))
        .map(|(from, step)| {
            let to = dir.path().join(format!("foreign/checkpoint-{step}"));
            foreign.write(&from, &to);
            to
        });
    let copies: Vec<PathBuf> = copies.collect();
    assert!(copies[0].join("model.safetensors.index.json").exists());
    let theirs = fuse(&copies, &out("theirs")).unwrap();
    assert_eq!(theirs.front, ours.front);
    assert_eq!(steps(&theirs), steps(&ours));
    let model = |name: &str| std::fs::read(out(name).join("fused/model.safetensors")).unwrap();
    assert!(model("ours") == model("theirs"));
    assert!(out("theirs/fused/tokenizer.json").exists());
}

#[test]
fn bf16_members_fuse_to_nearly_the_same_scores() {
    let dir = tempfile::tempdir().unwrap();
    let half = Foreign {
        dtype: Dtype::BF16,
        ..AS_OURS
    };
    let copies: Vec<PathBuf> = (0..4)
        .map(|i| dir.path().join(format!("soup-{i}")))
        .collect();
    for (from, to) in finished_members().iter().zip(&copies) {
        half.write(from, to);
    }
    // Folders without steps are numbered as they come.
    let results = fuse(&copies, &dir.path().join("out")).unwrap();
    assert_eq!(steps(&results), [0, 1, 2, 3]);
    let ours = &finished().results.finetune.members;
    for (theirs, ours) in results.finetune.members.iter().zip(ours) {
        assert!((theirs.select["loss"] - ours.select["loss"]).abs() < 0.02);
    }
}

#[test]
fn checkpoints_are_sorted_by_number_however_they_are_given() {
    let dir = tempfile::tempdir().unwrap();
    let trainer = dir.path().join("trainer-output");
    let members = finished_members();
    for (member, step) in members.iter().zip([20, 100, 1000]) {
        copy_folder(member, &trainer.join(format!("checkpoint-{step}")));
    }
    // A trainer leaves its last model beside its checkpoints.
    copy_folder(&members[3], &trainer);
    std::fs::create_dir(trainer.join("runs")).unwrap();
    let whole = fuse(std::slice::from_ref(&trainer), &dir.path().join("whole")).unwrap();
    assert_eq!(steps(&whole), [20, 100, 1000]);

    // As a shell gives them.
    let by_name = ["checkpoint-100", "checkpoint-1000", "checkpoint-20"];
    let by_name: Vec<PathBuf> = by_name.iter().map(|name| trainer.join(name)).collect();
    let one_by_one = fuse(&by_name, &dir.path().join("one-by-one")).unwrap();
    assert_eq!(steps(&one_by_one), [20, 100, 1000]);
    assert_eq!(one_by_one.front, whole.front);
    let last = one_by_one
        .methods
        .iter()
        .find(|m| m.name == MethodName::LastCheckpoint);
    assert_eq!(last.unwrap().weights, Some(vec![0.0, 0.0, 1.0]));
}

#[test]
fn members_that_do_not_fit_each_other_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let members = finished_members();
    let other = dir.path().join("other");
    copy_folder(&members[1], &other);
    let config = std::fs::read_to_string(other.join("config.json")).unwrap();
    let deeper = config.replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3");
    assert_ne!(config, deeper);
    std::fs::write(other.join("config.json"), deeper).unwrap();
    let error = fuse(&[members[0].clone(), other.clone()], &out).unwrap_err();
    assert!(
        matches!(
            error,
            Error::OtherArchitecture {
                field: "num_hidden_layers",
                ..
            }
        ),
        "{error}"
    );

    // The same configuration, but a head of three classes.
    std::fs::remove_dir_all(&other).unwrap();
    let data = dir.path().join("data");
    for (split, n) in [("train", 64), ("validation", 48), ("test", 48)] {
        write_split(&data, split, "jsonl", &rows(Kind::Three, n, 1));
    }
    let mut run = crate::fixture::request(&data, &other, recipe(FIXED));
    run.recipe.finetune.epochs = 1;
    let three = bomf::finetune(&run, &mut Silent).unwrap();
    let three: Vec<PathBuf> = three.members.iter().map(|m| other.join(&m.path)).collect();
    let odd = dir.path().join("odd");
    copy_folder(&three[0], &odd);
    let error = fuse(&[members[0].clone(), odd], &out).unwrap_err();
    assert!(
        matches!(error, Error::Fuse(FuseError::ShapeMismatch { .. })),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains(&members[0].display().to_string())
    );
    let error = fuse(&three, &out).unwrap_err();
    assert!(
        matches!(
            error,
            Error::OtherHead {
                found: 3,
                expected: 2,
                ..
            }
        ),
        "{error}"
    );

    for members in [&members[..1], &[]] {
        let error = fuse(members, &out).unwrap_err();
        assert!(matches!(error, Error::TooFewMembers { .. }), "{error}");
        assert!(error.is_bad_input() && error.hint().is_some());
    }
    let error = fuse(&[dir.path().join("none")], &out).unwrap_err();
    assert!(error.is_bad_input(), "{error}");
    assert!(!out.exists());
}

#[test]
fn a_broken_member_is_left_out_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut members = finished_members();
    let broken = dir.path().join("broken");
    AS_OURS.write_with(&members[2], &broken, |name, values| {
        if name == "classifier.weight" {
            values[3] = f32::NAN;
        }
    });
    members[2] = broken.clone();
    let out = dir.path().join("out");
    let mut told = Recording::default();
    let request = fusion(&members, &finished().data, &out, recipe(FIXED));
    let results = bomf::fuse(&request, &mut told).unwrap();
    assert_eq!(results.finetune.members.len(), 3);
    assert_eq!(results.methods.len(), MethodName::OF_EVERY_RUN.len());
    assert_eq!(told.notes, results.notes);
    let named = |note: &&String| note.starts_with(&broken.display().to_string());
    assert_eq!(results.notes.iter().filter(named).count(), 1);

    std::fs::remove_dir_all(&out).unwrap();
    let error = fuse(&[members[0].clone(), broken], &out).unwrap_err();
    assert!(
        matches!(error, Error::TooFewMembers { found: 1 }),
        "{error}"
    );
    assert!(!out.exists());
}

#[test]
fn members_are_never_cleared_to_make_room_for_their_fusion() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    std::fs::create_dir_all(&out).unwrap();
    std::fs::copy(finished().out.join("recipe.yaml"), out.join("recipe.yaml")).unwrap();
    for member in finished_members() {
        copy_folder(
            &member,
            &out.join("members").join(member.file_name().unwrap()),
        );
    }
    let mut request = fusion(
        &[out.join("members")],
        &finished().data,
        &out,
        recipe(FIXED),
    );
    request.overwrite = true;
    let error = bomf::fuse(&request, &mut Silent).unwrap_err();
    assert!(matches!(error, Error::InputInOutput { .. }), "{error}");
    assert_eq!(names(&out.join("members")).len(), 4);
}
