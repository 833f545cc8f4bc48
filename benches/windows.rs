//! Criterion benchmarks: matching of one prepared tile on one thread, windows per second as throughput.
//!
//! `cargo bench --bench windows`; one of them: `cargo bench --bench windows -- lsm/32`. The comparison with the least
//! work that a method needs is in `ratios.rs`.

mod fixture;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use fixture::{Images, METHODS, Ready, STEPS, WINDOWS, engine};
use std::hint::black_box;
use std::time::Duration;

fn windows(c: &mut Criterion) {
    let images = Images::new();
    for method in METHODS {
        let mut group = c.benchmark_group(method.name());
        group.sample_size(10).sampling_mode(SamplingMode::Flat).warm_up_time(Duration::from_millis(300));
        group.measurement_time(Duration::from_secs(3));
        for window in WINDOWS {
            for step in STEPS {
                let engine = engine(&images, method, window, step);
                let ready = Ready::new(&images, &engine);
                let (tile, mut worker) = (ready.tile(), engine.method());
                group.throughput(Throughput::Elements(tile.windows.len() as u64));
                group.bench_function(BenchmarkId::new(window.to_string(), format!("step {step}")), |b| {
                    b.iter(|| black_box(worker.match_tile(&tile)));
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, windows);
criterion_main!(benches);
