//! Time of hypervolumes and contributions on random fronts.
//!
//! `cargo bench -p bomf-pareto`; `python benches/moocore_hypervolume.py` times
//! the peer on the same fronts.

#![allow(missing_docs)]

use bomf_pareto::{box_decomposition, hypervolume, hypervolume_contributions, non_dominated_sort};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main};
use std::time::Duration;

/// Knuth's 64-bit linear congruential generator: the script draws the same
/// numbers.
struct Lcg(u64);

impl Lcg {
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// `n` random points of the positive part of the unit sphere.
fn sphere(n: usize, m: usize) -> Vec<Vec<f64>> {
    let mut rng = Lcg(1);
    (0..n)
        .map(|_| {
            let y: Vec<f64> = (0..m).map(|_| rng.next() + 1e-3).collect();
            let norm = y.iter().map(|v| v * v).sum::<f64>().sqrt();
            y.iter().map(|v| v / norm).collect()
        })
        .collect()
}

/// All of them within a minute.
fn brief(group: &mut BenchmarkGroup<'_, WallTime>) {
    group
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800));
}

fn hypervolumes(c: &mut Criterion) {
    let mut group = c.benchmark_group("hypervolume");
    brief(&mut group);
    for m in 2..=6 {
        for n in [20, 50, 100, 200] {
            let front = sphere(n, m);
            let r = vec![0.0; m];
            group.bench_function(BenchmarkId::new(format!("m{m}"), n), |b| {
                b.iter(|| hypervolume(&front, &r));
            });
        }
    }
    group.finish();
}

fn contributions(c: &mut Criterion) {
    let mut group = c.benchmark_group("contributions");
    brief(&mut group);
    for m in 2..=5 {
        for n in [50, 100] {
            let front = sphere(n, m);
            let r = vec![0.0; m];
            group.bench_function(BenchmarkId::new(format!("m{m}"), n), |b| {
                b.iter(|| hypervolume_contributions(&front, &r));
            });
        }
    }
    group.finish();
}

fn boxes(c: &mut Criterion) {
    let mut group = c.benchmark_group("box_decomposition");
    brief(&mut group);
    for m in 2..=4 {
        let front = sphere(50, m);
        let r = vec![0.0; m];
        group.bench_function(BenchmarkId::new(format!("m{m}"), 50), |b| {
            b.iter(|| box_decomposition(&front, &r));
        });
    }
    group.finish();
}

fn sorting(c: &mut Criterion) {
    let mut group = c.benchmark_group("non_dominated_sort");
    brief(&mut group);
    for m in [2, 3, 5] {
        let mut rng = Lcg(2);
        let y: Vec<Vec<f64>> = (0..1000)
            .map(|_| (0..m).map(|_| rng.next()).collect())
            .collect();
        group.bench_function(BenchmarkId::new(format!("m{m}"), 1000), |b| {
            b.iter(|| non_dominated_sort(&y));
        });
    }
    group.finish();
}

criterion_group!(benches, hypervolumes, contributions, boxes, sorting);
criterion_main!(benches);
