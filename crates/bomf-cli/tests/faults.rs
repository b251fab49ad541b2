//! What a merge leaves behind when it is killed, when the disk gives out, and when its inputs are
//! damaged: never anything half-written under the final name, and always a clear error.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may unwrap as tests do"
)]

mod support;

use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use support::*;

/// Elements of each of the tensors that are merged: enough for a merge to take some time, few
/// enough for many of them.
const ELEMENTS: usize = 400_000;

/// What makes four files of the output.
const SHARDS: [&str; 2] = ["--max-shard-size", "1MB"];

/// A model whose tensors lie in a file each, behind an index.
fn sharded_model(folder: &Path, value: f32) {
    let names = ["model.layers.0.w", "model.layers.1.w", "x"];
    let mut index = serde_json::Map::new();
    for (i, name) in names.iter().enumerate() {
        let shard = format!("model-0000{}-of-00003.safetensors", i + 1);
        write_model(folder, "F32", &[(name, vec![value; ELEMENTS])]);
        fs::rename(folder.join("model.safetensors"), folder.join(&shard)).unwrap();
        index.insert(name.to_string(), shard.into());
    }
    let index = json!({"metadata": {}, "weight_map": index}).to_string();
    fs::write(folder.join("model.safetensors.index.json"), index).unwrap();
}

fn sharded_models() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    sharded_model(&folder.path().join("a"), 1.0);
    sharded_model(&folder.path().join("b"), 3.0);
    write_recipe(folder.path(), LINEAR);
    folder
}

/// Numbers from 0 to 1 that look random, the same every time.
fn uniform(state: &mut u64) -> f64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*state >> 11) as f64 / (1u64 << 53) as f64
}

/// `BOMF_KILLS` asks for more than the 20 of every day.
#[test]
fn a_killed_merge_leaves_nothing_under_the_final_name() {
    let kills: usize = match std::env::var("BOMF_KILLS") {
        Ok(number) => number.parse().unwrap(),
        Err(_) => 20,
    };
    let folder = sharded_models();
    let folder = folder.path();
    let out = folder.join("out");
    let arguments = [
        "merge",
        "recipe.yaml",
        "-o",
        "out",
        "--quiet",
        SHARDS[0],
        SHARDS[1],
    ];
    let began = Instant::now();
    done(folder, &arguments);
    let whole = began.elapsed();
    fs::remove_dir_all(&out).unwrap();

    let mut state = 7;
    let (mut killed, mut begun) = (0, 0);
    for number in 0..kills {
        // From the start to a little beyond the usual end; the first at once.
        let delay = match number {
            0 => Duration::ZERO,
            _ => whole.mul_f64(1.1 * uniform(&mut state)),
        };
        let mut merge = command(folder, &arguments);
        let mut child = merge.stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(delay);
        let _ = child.kill();
        let is_done = child.wait().unwrap().success();
        killed += usize::from(!is_done);
        if out.exists() {
            // Whatever stands under the final name is whole: `verify` derives it again.
            done(folder, &["verify", "out", "--quiet"]);
            fs::remove_dir_all(&out).unwrap();
        } else {
            assert!(!is_done, "done after {delay:?}, and nothing there");
        }
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if name.starts_with(".out.") && name.ends_with(".tmp") {
                begun += 1;
                fs::remove_dir_all(entry.path()).unwrap();
            } else {
                assert!(
                    ["a", "b", "recipe.yaml", ".cache"].contains(&name.as_str()),
                    "{name}"
                );
            }
        }
    }
    assert!(killed > 0, "none of {kills} was killed before its end");
    println!("{kills} merges: {killed} killed, {begun} of them while they wrote");
}

/// Runs `bomf` where files may have at most so many blocks of 512 bytes: a write beyond fails, as
/// it does on a disk that gives out.
fn with_small_files(folder: &Path, blocks: usize, arguments: &[&str]) -> Output {
    let bomf = command(folder, arguments);
    let mut shell = Command::new("sh");
    shell
        .args([
            "-c",
            &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\""),
        ])
        .arg(bomf.get_program())
        .args(bomf.get_args())
        .current_dir(folder);
    for (name, value) in bomf.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.output().unwrap()
}

#[test]
fn a_write_that_fails_ends_the_merge_and_leaves_nothing() {
    let folder = sharded_models();
    let folder = folder.path();
    // Room for nothing, for the small files, and for half of a shard.
    for blocks in [0, 2, 1000] {
        let arguments = ["merge", "recipe.yaml", "-o", "out", SHARDS[0], SHARDS[1]];
        let output = with_small_files(folder, blocks, &arguments);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{blocks}: {told}");
        assert!(
            told.contains("error: cannot ") && told.contains("out/"),
            "{told}"
        );
        nothing_is_left(folder, &told);
    }
    // The old model stays where the new one fails.
    done(folder, &["merge", "recipe.yaml", "-o", "out", "--quiet"]);
    let arguments = ["merge", "recipe.yaml", "-o", "out", "--overwrite"];
    assert_eq!(
        with_small_files(folder, 1000, &arguments).status.code(),
        Some(1)
    );
    done(folder, &["verify", "out", "--quiet"]);
}

/// Merges a sharded model with one that `damage` has been done to; the error, which must be of
/// wrong input and leave nothing.
fn error_after(damage: impl Fn(&Path)) -> String {
    let folder = sharded_models();
    let folder = folder.path();
    damage(&folder.join("b"));
    let output = bomf(folder, &["merge", "recipe.yaml", "-o", "out"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    nothing_is_left(folder, &told);
    let here = folder.canonicalize().unwrap().display().to_string();
    told.replace(&here, "HERE")
}

const SECOND: &str = "model-00002-of-00003.safetensors";

/// Writes the second shard anew, with another header.
fn with_header(model: &Path, change: impl Fn(&mut serde_json::Value)) {
    let path = model.join(SECOND);
    let bytes = fs::read(&path).unwrap();
    let (head, rest) = bytes.split_first_chunk::<8>().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*head) as usize);
    let mut header: serde_json::Value = serde_json::from_slice(header).unwrap();
    change(&mut header["model.layers.1.w"]);
    let mut header = serde_json::to_vec(&header).unwrap();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.extend(data);
    fs::write(&path, file).unwrap();
}

#[test]
fn damaged_shards_are_named() {
    let told = error_after(|model| {
        let file = fs::File::options().write(true).open(model.join(SECOND));
        file.unwrap().set_len(1000).unwrap();
    });
    assert!(
        told.contains(SECOND) && told.contains("is truncated"),
        "{told}"
    );
    let told = error_after(|model| fs::remove_file(model.join(SECOND)).unwrap());
    assert!(
        told.contains(&format!("shard `{SECOND}` is missing")),
        "{told}"
    );
    let told = error_after(|model| fs::write(model.join(SECOND), b"").unwrap());
    assert!(
        told.contains(SECOND) && told.contains("is truncated"),
        "{told}"
    );
}

#[test]
fn headers_that_lie_are_refused() {
    for (change, words) in [
        (json!({"shape": [ELEMENTS + 1]}), "safetensors header"),
        (json!({"dtype": "F64"}), "safetensors header"),
        (json!({"data_offsets": [0, 4 * ELEMENTS + 4]}), SECOND),
        (
            json!({"data_offsets": [4 * ELEMENTS, 0]}),
            "safetensors header",
        ),
        (json!({"shape": [u64::MAX, 3]}), "safetensors header"),
        // As many bytes, another shape: no lie that a header alone gives away.
        (
            json!({"shape": [ELEMENTS / 2, 2]}),
            "tensor `model.layers.1.w` is",
        ),
        (
            json!({"dtype": "I32"}),
            "tensor `model.layers.1.w` is of type",
        ),
    ] {
        let told = error_after(|model| {
            with_header(model, |entry| {
                for (key, value) in change.as_object().unwrap() {
                    entry[key.as_str()] = value.clone();
                }
            });
        });
        assert!(told.contains(words), "{change}: {told}");
    }
}

#[test]
fn links_that_lead_nowhere_are_said() {
    let loops = |path: &Path| {
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
        symlink(path.file_name().unwrap(), path).unwrap();
    };
    let told = error_after(|model| loops(&model.join(SECOND)));
    assert!(
        told.contains(&format!("b/{SECOND}` is a link that leads nowhere")),
        "{told}"
    );
    let told = error_after(|model| {
        fs::remove_file(model.join("model.safetensors.index.json")).unwrap();
        // A file that the cache of the hub has lost.
        symlink("../blobs/0123", model.join("model.safetensors")).unwrap();
    });
    assert!(
        told.contains("b/model.safetensors` is a link that leads nowhere"),
        "{told}"
    );
    assert!(told.contains("hint: "), "{told}");
}
