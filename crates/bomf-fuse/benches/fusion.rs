//! How fast members are fused in memory, beside what the memory itself can give.
//!
//! `cargo bench -p bomf-fuse -- [MEMBERS] [PARAMETERS] [THREADS]` (15, 22 million, all)
//!
//! The rate counts the members' bytes once each and the output's once. The yardstick is a plain
//! sum of as many streams, each thread with its own part of them and nothing else to do.
#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bomf_fuse::{MemberSet, MemberTensor, Values};
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

fn plain_sum(streams: &[Vec<f32>], threads: usize) -> f32 {
    let len = streams[0].len();
    let part = len.div_ceil(threads);
    (0..threads)
        .into_par_iter()
        .map(|t| {
            let range = (t * part).min(len)..((t + 1) * part).min(len);
            let mut total = 0.0;
            for stream in streams {
                let mut lanes = [0.0f32; 32];
                for chunk in stream[range.clone()].as_chunks::<32>().0 {
                    for (l, v) in lanes.iter_mut().zip(chunk) {
                        *l += v;
                    }
                }
                total += lanes.iter().sum::<f32>();
            }
            total
        })
        .sum()
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
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
    pool.expect("a thread pool")
        .install(|| run(n, parameters, threads));
}

fn run(n: usize, parameters: usize, threads: usize) {
    let lengths = tensor_lengths(parameters);
    let streams: Vec<Vec<f32>> = (0..n)
        .map(|i| {
            (0..parameters)
                .map(|k| ((k * 31 + i) % 1009) as f32 * 1e-3)
                .collect()
        })
        .collect();
    let mut members = MemberSet::new();
    for (i, stream) in streams.iter().enumerate() {
        let mut rest = &stream[..];
        let tensors = lengths.iter().enumerate().map(|(k, &len)| {
            let (head, tail) = rest.split_at(len);
            rest = tail;
            MemberTensor {
                name: format!("tensor{k}"),
                shape: vec![len],
                values: Values::Borrowed(head),
            }
        });
        let tensors = tensors.collect();
        members
            .push(format!("member {i}"), tensors)
            .expect("equal shapes");
    }
    let weights: Vec<f64> = (0..n)
        .map(|i| (i + 1) as f64 / (n * (n + 1) / 2) as f64)
        .collect();
    let mut out = vec![0.0f32; parameters];

    let mut best = [Duration::MAX; 3];
    for _ in 0..ROUNDS {
        let fuse = timed(|| {
            members
                .fuse_into(&weights, &mut out)
                .expect("valid weights")
        });
        let sum = timed(|| {
            black_box(plain_sum(&streams, threads));
        });
        best[0] = best[0].min(fuse);
        best[1] = best[1].min(sum);
    }
    best[2] = timed(|| drop(black_box(members.gram(|_| true))));
    let rate =
        |streams: usize, t: Duration| (streams * parameters * 4) as f64 / t.as_secs_f64() / 1e9;
    println!("{n} members of {parameters} parameters, {threads} threads");
    println!(
        "fuse      {:8.2} ms  {:6.1} GB/s",
        best[0].as_secs_f64() * 1e3,
        rate(n + 1, best[0])
    );
    println!(
        "plain sum {:8.2} ms  {:6.1} GB/s",
        best[1].as_secs_f64() * 1e3,
        rate(n, best[1])
    );
    println!(
        "gram      {:8.2} ms  {:6.1} GB/s",
        best[2].as_secs_f64() * 1e3,
        rate(n, best[2])
    );
}
