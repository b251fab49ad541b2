//! How fast members are fused in memory, beside what the memory itself can give.
//!
//! `cargo bench -p bomf-fuse --bench fusion -- [MEMBERS] [PARAMETERS] [THREADS]` (15, 22 million,
//! all)
//!
//! For members of `f32`, bf16 and f16, in files that are mapped: the time of a fusion, and its
//! rate (the members' bytes once each and the output's once) beside that of a plain sum over as
//! many streams of that type, each thread with its own part of them and nothing else to do. Best
//! of several rounds, in turn. Then what it costs to open members that share all but the last
//! tenth, what is saved by it, and what digests would cost that find the same.
#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bomf_checkpoint::{Checkpoint, Dtype, FolderWriter, ModelLayout, TensorData, TensorSpec};
use bomf_fuse::{Fusion, MemberSet};
use rayon::prelude::*;

/// The best of this many runs, taken in turn.
const ROUNDS: usize = 9;

/// Roughly the tensor sizes of a transformer: a large embedding and many smaller matrices.
fn tensor_lengths(parameters: usize) -> Vec<usize> {
    let mut lengths = vec![parameters / 2];
    let mut rest = parameters - parameters / 2;
    while rest > 0 {
        let len = rest.min(parameters / 60 + 1);
        lengths.push(len);
        rest -= len;
    }
    lengths
}

/// Writes a member whose tensors from `shared` elements on are its own.
fn write(dir: &Path, dtype: Dtype, member: usize, parameters: usize, shared: usize) -> Checkpoint {
    let lengths = tensor_lengths(parameters);
    let specs: Vec<TensorSpec> = lengths
        .iter()
        .enumerate()
        .map(|(k, &len)| TensorSpec::new(format!("layers.{k}.w"), dtype, &[len]))
        .collect();
    let mut writer = FolderWriter::create(dir, true).expect("a folder");
    writer
        .write_model(&specs, &ModelLayout::default(), |i| {
            let begin: usize = lengths[..i].iter().sum();
            let own = if begin < shared { 0 } else { member };
            let value = |k: usize| ((k * 31 + own) % 1009) as f32 / 1024.0;
            let values: Vec<f32> = (0..lengths[i]).map(value).collect();
            Ok(TensorData::F32(values.into()))
        })
        .expect("the member is written");
    writer.commit().expect("the member is written");
    Checkpoint::open(dir).expect("what was just written")
}

/// The sum of all elements: four streams of a part at a time would be no faster.
fn plain_sum(checkpoints: &[Arc<Checkpoint>], dtype: Dtype, threads: usize) -> f32 {
    let parts = |bytes: &[u8], t: usize| {
        let part = bytes.len().div_ceil(threads).next_multiple_of(64);
        (t * part).min(bytes.len())..((t + 1) * part).min(bytes.len())
    };
    (0..threads)
        .into_par_iter()
        .map(|t| {
            let mut total = 0.0;
            for tensor in checkpoints.iter().flat_map(|c| c.tensors()) {
                let bytes = &tensor.bytes()[parts(tensor.bytes(), t)];
                total += match dtype {
                    Dtype::F32 => sum_lanes(bytes.as_chunks().0, f32::from_le_bytes),
                    // f16 is summed as if it were bf16: the memory is the same.
                    _ => sum_lanes(bytes.as_chunks().0, |b| {
                        f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16)
                    }),
                };
            }
            total
        })
        .sum()
}

fn sum_lanes<T: Copy>(values: &[T], value: impl Fn(T) -> f32) -> f32 {
    let mut lanes = [0.0f32; 64];
    for chunk in values.as_chunks::<64>().0 {
        for (l, v) in lanes.iter_mut().zip(chunk) {
            *l += value(*v);
        }
    }
    lanes.iter().sum::<f32>()
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed(), result)
}

fn main() {
    let args: Vec<usize> = std::env::args()
        .filter_map(|a| a.replace('_', "").parse().ok())
        .collect();
    let n = args.first().copied().unwrap_or(15);
    let parameters = args.get(1).copied().unwrap_or(22_000_000);
    let threads = args
        .get(2)
        .copied()
        .unwrap_or_else(rayon::current_num_threads);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.expect("a thread pool").install(|| {
        println!("{n} members of {parameters} parameters, {threads} threads");
        for dtype in [Dtype::F32, Dtype::BF16, Dtype::F16] {
            run(n, parameters, threads, dtype);
        }
        frozen(n, parameters);
    });
}

fn open(
    root: &Path,
    dtype: Dtype,
    n: usize,
    parameters: usize,
    shared: usize,
) -> Vec<Arc<Checkpoint>> {
    (0..n)
        .map(|i| write(&root.join(format!("{i}")), dtype, i, parameters, shared))
        .map(Arc::new)
        .collect()
}

fn members(checkpoints: &[Arc<Checkpoint>]) -> MemberSet<'static> {
    let names: Vec<String> = checkpoints[0].names().map(str::to_owned).collect();
    let labelled = checkpoints.iter().enumerate();
    let labelled = labelled.map(|(i, c)| (format!("member {i}"), Arc::clone(c)));
    MemberSet::from_checkpoints(labelled, &names).expect("equal shapes")
}

fn weights(n: usize) -> Vec<f64> {
    let total = (n * (n + 1) / 2) as f64;
    (0..n).map(|i| (i + 1) as f64 / total).collect()
}

fn run(n: usize, parameters: usize, threads: usize, dtype: Dtype) {
    let root = tempfile::tempdir().expect("a temporary folder");
    let checkpoints = open(root.path(), dtype, n, parameters, 0);
    let members = members(&checkpoints);
    let weights = weights(n);
    let mut out = vec![0.0f32; parameters];
    let (mut fuse, mut sum) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        let (time, result) = timed(|| members.fuse_into(&weights, &mut out));
        result.expect("valid weights");
        fuse = fuse.min(time);
        let (time, total) = timed(|| plain_sum(&checkpoints, dtype, threads));
        black_box(total);
        sum = sum.min(time);
    }
    let (gram, result) = timed(|| members.gram(|_| true));
    black_box(result.expect("there are members"));
    let read = (n * parameters * dtype.bitsize() / 8) as f64;
    let written = (parameters * 4) as f64;
    let rate = |bytes: f64, time: Duration| bytes / time.as_secs_f64() / 1e9;
    let (own, peer) = (rate(read + written, fuse), rate(read, sum));
    println!(
        "{dtype:4}  fuse {:7.2} ms {own:5.1} GB/s   plain sum {:7.2} ms {peer:5.1} GB/s   \
         ratio {:.2}   gram {:7.2} ms",
        fuse.as_secs_f64() * 1e3,
        sum.as_secs_f64() * 1e3,
        own / peer,
        gram.as_secs_f64() * 1e3
    );
}

/// Members that share nine tenths: what recognising it costs and saves.
fn frozen(n: usize, parameters: usize) {
    let root = tempfile::tempdir().expect("a temporary folder");
    let checkpoints = open(root.path(), Dtype::F32, n, parameters, parameters / 10 * 9);
    let weights = weights(n);
    let mut best = [Duration::MAX; 4];
    for _ in 0..ROUNDS {
        let (time, set) = timed(|| {
            let set = members(&checkpoints);
            black_box(set.is_frozen(0));
            set
        });
        best[0] = best[0].min(time);
        let mut fusion = Fusion::new(&set);
        let (time, result) = timed(|| fusion.fuse(&weights).map(|_| ()));
        result.expect("valid weights");
        best[1] = best[1].min(time);
        let other: Vec<f64> = weights.iter().rev().copied().collect();
        let (time, result) = timed(|| fusion.fuse(&other).map(|_| ()));
        result.expect("valid weights");
        best[2] = best[2].min(time);
        // The cheapest digest of all that would tell them apart: a sum of the words.
        let (time, total) =
            timed(|| plain_sum(&checkpoints, Dtype::F32, rayon::current_num_threads()));
        black_box(total);
        best[3] = best[3].min(time);
    }
    let ms = best.map(|time| time.as_secs_f64() * 1e3);
    println!(
        "nine tenths frozen, F32: opening by comparison {:.2} ms (a digest, at least {:.2} ms), \
         first fusion {:.2} ms, each further one {:.2} ms",
        ms[0], ms[3], ms[1], ms[2]
    );
}
