//! Three kernels, once each, for counting their instructions: `make bench-guard`.
//!
//! The counts do not depend on the load of the machine. They are those of the code path that Valgrind can run (no AVX-512).

mod fixture;

use fixture::{Images, Ready, engine_with};
use shiftmap::correlate::search::integer_peaks;
use shiftmap::pipeline::{MethodName, Params};
use std::hint::black_box;

/// Whole-pixel correlation peaks of `spatial`, 64 px windows every 16, search of 10 px.
#[inline(never)]
fn counted_spatial_search(ready: &Ready) {
    let tile = ready.tile();
    black_box(integer_peaks(&tile.pairs(), &tile.windows, &tile.area, tile.stop));
}

/// `frequency`, 64 px windows every 32.
#[inline(never)]
fn counted_frequency_windows(ready: &Ready, method: &mut dyn shiftmap::correlate::Method) {
    // Functions of equal bodies would be merged into one.
    black_box(("frequency", method.match_tile(&ready.tile())));
}

/// `lsm`, 32 px windows every 16.
#[inline(never)]
fn counted_lsm_windows(ready: &Ready, method: &mut dyn shiftmap::correlate::Method) {
    black_box(method.match_tile(&ready.tile()));
}

fn main() {
    // `cargo test --benches` only wants to know that it starts.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let images = Images::new();
    let plan = |method, window, step, search| {
        let (window, step, search) = ((window, window), (step, step), (search, search));
        engine_with(&images, Params { method, window, step, search, ..Params::default() })
    };
    let engine = plan(MethodName::Spatial, 64, 16, 10.0);
    counted_spatial_search(&Ready::new(&images, &engine));
    let engine = plan(MethodName::Frequency, 64, 32, 4.0);
    counted_frequency_windows(&Ready::new(&images, &engine), &mut *engine.method());
    let engine = plan(MethodName::Lsm, 32, 16, 4.0);
    counted_lsm_windows(&Ready::new(&images, &engine), &mut *engine.method());
}
