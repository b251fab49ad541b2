//! The walls between the crates, held over `cargo metadata`: who may use whom, and
//! which dependencies stay in one crate. The same table stands in ARCHITECTURE.md.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may unwrap as tests do"
)]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Every crate of the workspace, and the crates of the workspace that it may use.
const ARROWS: &[(&str, &[&str])] = &[
    ("bomf-pareto", &[]),
    ("bomf-bo", &["bomf-pareto"]),
    ("bomf-checkpoint", &[]),
    ("bomf-fuse", &["bomf-checkpoint"]),
    ("bomf-tune", &["bomf-checkpoint"]),
    ("bomf-study", &["bomf-pareto"]),
    ("bomf-report", &["bomf-study", "bomf-pareto"]),
    ("bomf-serve", &["bomf-report", "bomf-study"]),
    (
        "bomf",
        &[
            "bomf-bo",
            "bomf-fuse",
            "bomf-tune",
            "bomf-study",
            "bomf-checkpoint",
            "bomf-pareto",
        ],
    ),
    ("bomf-cli", &["bomf", "bomf-report", "bomf-serve"]),
];

/// Dependencies that belong to one crate alone, because what they do belongs there:
/// the command line, HTML, the hub, files of weights, tokenisation.
const OWNERS: &[(&str, &str)] = &[
    ("anstream", "bomf-cli"),
    ("axum", "bomf-serve"),
    ("hyper", "bomf-serve"),
    ("tokio", "bomf-serve"),
    ("clap", "bomf-cli"),
    ("ctrlc", "bomf-cli"),
    ("indicatif", "bomf-cli"),
    ("tracing-subscriber", "bomf-cli"),
    ("maud", "bomf-report"),
    ("postgres", "bomf-study"),
    ("rusqlite", "bomf-study"),
    ("hf-hub", "bomf"),
    ("serde-saphyr", "bomf"),
    ("sha2", "bomf"),
    ("ureq", "bomf"),
    ("fs4", "bomf-checkpoint"),
    ("memmap2", "bomf-checkpoint"),
    ("safetensors", "bomf-checkpoint"),
    ("csv", "bomf-tune"),
    ("tokenizers", "bomf-tune"),
];

/// All that the two numerical crates may use from outside: arithmetic, random
/// numbers handed in by the caller, serialisable types, errors. No files, no
/// tensors, no storage, no log.
const NUMERICAL: &[(&str, &[&str])] = &[
    ("bomf-pareto", &["multiversion", "thiserror"]),
    (
        "bomf-bo",
        &[
            "faer",
            "libm",
            "multiversion",
            "rand",
            "rand_distr",
            "rayon",
            "serde",
            "sobol_burley",
            "thiserror",
        ],
    ),
];

/// What code of the numerical crates must not even name.
const NO_OUTSIDE_WORLD: &[&str] = &["std::fs", "std::net", "std::env", "std::process"];

/// A crate of the workspace.
struct Package {
    folder: PathBuf,
    /// Names of its normal dependencies: those of its library or binary, not of its
    /// tests.
    dependencies: BTreeSet<String>,
}

fn packages() -> BTreeMap<String, Package> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
            "--offline",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let package = |package: &Value| {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap());
        let dependencies = package["dependencies"].as_array().unwrap();
        let own = Package {
            folder: manifest.parent().unwrap().into(),
            dependencies: dependencies
                .iter()
                .filter(|dependency| dependency["kind"].is_null())
                .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
                .collect(),
        };
        (package["name"].as_str().unwrap().to_owned(), own)
    };
    let all = metadata["packages"].as_array().unwrap();
    all.iter().map(package).collect()
}

#[test]
fn every_crate_has_its_place_in_the_table() {
    let known: BTreeSet<String> = ARROWS.iter().map(|(name, _)| name.to_string()).collect();
    let found: BTreeSet<String> = packages().into_keys().collect();
    assert_eq!(
        found, known,
        "crates of the workspace, and those of the table"
    );
}

#[test]
fn crates_use_only_those_below_them() {
    let packages = packages();
    for (name, allowed) in ARROWS {
        let used: Vec<&String> = packages[*name]
            .dependencies
            .iter()
            .filter(|dependency| packages.contains_key(*dependency))
            .collect();
        for dependency in used {
            assert!(
                allowed.contains(&dependency.as_str()),
                "{name} uses {dependency}; it may use {allowed:?}"
            );
        }
    }
}

#[test]
fn some_dependencies_belong_to_one_crate_alone() {
    for (name, package) in packages() {
        for (dependency, owner) in OWNERS {
            assert!(
                name == *owner || !package.dependencies.contains(*dependency),
                "{name} uses {dependency}, which only {owner} may"
            );
        }
    }
}

#[test]
fn the_numerical_crates_know_numbers_only() {
    let packages = packages();
    for (name, allowed) in NUMERICAL {
        for dependency in &packages[*name].dependencies {
            assert!(
                packages.contains_key(dependency) || allowed.contains(&dependency.as_str()),
                "{name} uses {dependency}; from outside it may use {allowed:?}"
            );
        }
        let mut folders = vec![packages[*name].folder.join("src")];
        let mut files = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                files += 1;
                let text = std::fs::read_to_string(&path).unwrap();
                for forbidden in NO_OUTSIDE_WORLD {
                    assert!(
                        !text.contains(forbidden),
                        "{} names {forbidden}; {name} does no input or output",
                        path.display()
                    );
                }
            }
        }
        assert!(files > 1, "{name} has its code elsewhere");
    }
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    for (name, package) in packages() {
        let manifest = std::fs::read_to_string(package.folder.join("Cargo.toml")).unwrap();
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{name}'s Cargo.toml lacks `[lints] workspace = true`"
        );
    }
}
