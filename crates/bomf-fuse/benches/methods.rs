//! How fast each method fuses one tensor, beside the plain weighted average.
//!
//! `cargo bench -p bomf-fuse --bench methods -- [MODELS] [ROWS] [COLUMNS] [THREADS] [METHOD ...]`
//! (7, 4000, 4096, all, all)
//!
//! Models and base are bf16 in memory. The rate counts the bytes of each input once and those of the
//! output, in bf16, once; what a method reads again counts for nothing. Elements are those of all
//! models, the base not counted.
#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use std::time::{Duration, Instant};

use bomf_fuse::method::{Base, Block, Inputs, Method, Params, Source, Value};
use bomf_fuse::registry;
use multiversion::multiversion;
use rayon::prelude::*;

/// The best of this many runs.
const ROUNDS: usize = 3;

/// Elements of a block of the output.
const BLOCK: usize = 1 << 16;

struct Bf16(Vec<u16>);

impl Source for Bf16 {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn read(&self, start: usize, out: &mut [f32]) {
        widen(&self.0[start..start + out.len()], out);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn widen(part: &[u16], out: &mut [f32]) {
    for (out, bits) in out.iter_mut().zip(part) {
        *out = f32::from_bits(u32::from(*bits) << 16);
    }
}

/// Weights about 0.02 and changes a tenth as large, as of a fine-tuned model.
fn tensors(n: usize, len: usize) -> (Bf16, Vec<Bf16>) {
    let uniform = |i: usize, stream: u64| {
        let mut x = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (stream << 17);
        x ^= x >> 31;
        x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x ^= x >> 29;
        x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
        (x >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    let normal = |i, stream| {
        let of = |k| uniform(i, 4 * stream + k);
        of(0) + of(1) + of(2) + of(3)
    };
    // Rounded towards zero, which is as good here.
    let bf16 = |x: f32| (x.to_bits() >> 16) as u16;
    let of = |stream: u64, change: f32| {
        let value = |i| 0.03 * normal(i, 0) + change * normal(i, stream);
        Bf16((0..len).into_par_iter().map(|i| bf16(value(i))).collect())
    };
    (
        of(1, 0.0),
        (0..n).map(|k| of(k as u64 + 2, 0.002)).collect(),
    )
}

fn params(method: &dyn Method, n: usize) -> Params {
    let given = |name: &str, _| {
        let number = match name {
            "weight" => 1.0 / n as f64,
            "density" => 0.5,
            "select_topk" => 0.2,
            "t" => 0.4,
            _ => return None,
        };
        Some(Value::Number(number))
    };
    Params::new(method.spec(), n, given).expect("valid parameters")
}

fn fuse(
    method: &dyn Method,
    inputs: &Inputs<'_>,
    params: &Params,
    out: &mut [u16],
) -> [Duration; 2] {
    let start = Instant::now();
    let fuser = method.prepare(inputs, params, 1).expect("fusible inputs");
    let prepared = start.elapsed();
    let sources: Vec<&dyn Source> = inputs.models.iter().copied().chain(inputs.base).collect();
    let n = inputs.models.len();
    out.par_chunks_mut(BLOCK).enumerate().for_each_init(
        || vec![vec![0.0f32; BLOCK]; sources.len() + 1],
        |buffers, (i, out)| {
            let (fused, buffers) = buffers.split_last_mut().expect("one at least");
            for (source, buffer) in sources.iter().zip(&mut *buffers) {
                source.read(i * BLOCK, &mut buffer[..out.len()]);
            }
            let models: Vec<&[f32]> = buffers[..n].iter().map(|b| &b[..out.len()]).collect();
            let block = Block {
                start: i * BLOCK,
                models: &models,
                base: inputs.base.map(|_| &buffers[n][..out.len()]),
            };
            fuser.fuse(&block, &mut fused[..out.len()]);
            for (out, fused) in out.iter_mut().zip(fused) {
                *out = (fused.to_bits() >> 16) as u16;
            }
        },
    );
    [prepared, start.elapsed()]
}

fn main() {
    let args = std::env::args().skip(1).filter(|a| !a.starts_with("--"));
    let (numbers, names): (Vec<_>, Vec<_>) = args.partition(|a| a.parse::<usize>().is_ok());
    let numbers: Vec<usize> = numbers.iter().filter_map(|a| a.parse().ok()).collect();
    let number = |i: usize, default| numbers.get(i).copied().unwrap_or(default);
    let (n, rows, columns) = (number(0, 7), number(1, 4000), number(2, 4096));
    let threads = number(3, rayon::current_num_threads());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.expect("a thread pool")
        .install(|| run(n, rows, columns, &names));
}

fn run(n: usize, rows: usize, columns: usize, names: &[String]) {
    let (base, models) = tensors(n, rows * columns);
    let mut out = vec![0u16; rows * columns];
    println!(
        "{n} models of {rows} x {columns} in bf16, {} threads",
        rayon::current_num_threads()
    );
    println!("method             prepare      all   GB/s  M elements/s  linear = 1");
    let mut linear = None;
    for method in registry::all() {
        let spec = method.spec();
        if spec.name != "linear" && !names.is_empty() && !names.iter().any(|a| a == spec.name) {
            continue;
        }
        let n = n.clamp(spec.models.0, spec.models.1);
        let shape = [rows, columns];
        let inputs = Inputs {
            name: "weight",
            shape: &shape,
            models: models[..n].iter().map(|m| m as &dyn Source).collect(),
            base: (spec.base == Base::Required).then_some(&base as &dyn Source),
            statistics: Vec::new(),
        };
        let params = params(*method, n);
        let runs = (0..ROUNDS).map(|_| fuse(*method, &inputs, &params, &mut out));
        let [prepared, all] = runs.min_by_key(|run| run[1]).expect("one run at least");
        let streams = n + usize::from(inputs.base.is_some()) + 1;
        let gigabytes = (streams * out.len() * 2) as f64 / 1e9;
        let rate = gigabytes / all.as_secs_f64();
        let linear = *linear.get_or_insert(rate);
        println!(
            "{:17} {:6.0} ms {:5.0} ms {rate:6.2} {:13.0} {:13.2}",
            spec.name,
            prepared.as_secs_f64() * 1e3,
            all.as_secs_f64() * 1e3,
            (n * out.len()) as f64 / all.as_secs_f64() / 1e6,
            linear / rate,
        );
    }
}
