//! What the parts of a suggestion cost: the fit of a process (from nothing, and
//! from the last one's hyperparameters), its predictions, a further observation.
//!
//! `cargo bench -p bomf-bo --bench gp -- [ROUNDS]` (20)
//!
//! One thread; the best of so many rounds. From 33 observations on one warm fit in
//! four also looks for another optimum, which costs as much as a cold one besides.
#![allow(clippy::print_stdout, reason = "a benchmark prints")]
#![allow(clippy::unwrap_used, reason = "a benchmark may unwrap as tests do")]

use std::hint::black_box;
use std::time::Instant;

use bomf_bo::models::{GaussianProcess, GpOptions};
use bomf_pareto::test_functions::zdt1;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Observations and inputs of each case.
const CASES: [(usize, usize); 6] = [(20, 6), (50, 6), (100, 15), (200, 6), (500, 30), (1000, 60)];

/// Candidates of an acquisition function's first pass.
const BATCH: usize = 1024;

/// Observations beyond which a case has fewer rounds.
const LARGE: usize = 200;

/// The least milliseconds of `rounds` calls.
fn measure<T>(rounds: usize, mut f: impl FnMut() -> T) -> f64 {
    let time = |_| {
        let start = Instant::now();
        black_box(f());
        1e3 * start.elapsed().as_secs_f64()
    };
    (0..rounds).map(time).fold(f64::INFINITY, f64::min)
}

fn points(n: usize, d: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    (0..n)
        .map(|_| (0..d).map(|_| rng.random()).collect())
        .collect()
}

fn main() {
    let rounds: usize = std::env::args()
        .skip(1)
        .find_map(|a| a.parse().ok())
        .unwrap_or(20);
    println!("milliseconds; predictions of {BATCH} points at a time and one by one with gradient");
    println!("    n  d  cold fit  warm fit     batch  gradients  appended");
    for (n, d) in CASES {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let x = points(n, d, &mut rng);
        let problem = zdt1(d);
        let y: Vec<f64> = x.iter().map(|x| problem.evaluate(x).unwrap()[1]).collect();
        let options = GpOptions::default();
        let rounds = if n > LARGE { rounds.min(4) } else { rounds };

        let fit = |x: &[Vec<f64>], y: &[f64], warm, rng: &mut ChaCha8Rng| {
            GaussianProcess::fit(x, y, &options, warm, rng).unwrap()
        };
        let cold = measure(rounds, || fit(&x, &y, None, &mut rng));
        let before = fit(&x[..n - 1], &y[..n - 1], None, &mut rng);
        let last = Some(before.hyperparameters());
        let warm = measure(rounds, || fit(&x, &y, last, &mut rng));
        let queries = points(BATCH, d, &mut rng);
        let batch = measure(rounds, || before.predict_batch(&queries).unwrap());
        let gradients = measure(rounds, || {
            for q in &queries {
                black_box(before.predict_with_gradient(q).unwrap());
            }
        });
        let appended = measure(rounds, || {
            before.condition_on(&x[n - 1..], &y[n - 1..]).unwrap()
        });
        println!("{n:5} {d:2} {cold:9.2} {warm:9.2} {batch:9.2} {gradients:10.2} {appended:9.3}");
    }
}
