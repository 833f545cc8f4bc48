//! Seconds per megapixel of `dense` at every pixel, one thread: matching of prepared tiles, and the whole run.
//!
//! `cargo bench --bench dense`. A tile is that of a run: 640 × 640 cells and the pixels around them that the method
//! wants; seconds are per million cells of the product, the best of several.

mod fixture;

use fixture::Discard;
use shiftmap::correlate::search::{SearchArea, TileWindows};
use shiftmap::correlate::{Alignment, Tile};
use shiftmap::engine::Engine;
use shiftmap::field::PixelShift;
use shiftmap::grid::{Image, MemoryImage, Window};
use shiftmap::layout::Layout;
use shiftmap::pipeline::{self, MethodName, Pair, Params};
use shiftmap::progress::Silent;
use shiftmap::synth::pair::{PairSpec, Preset, make_pair};
use std::hint::black_box;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// The program's.
#[global_allocator]
static HEAP: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIDE: usize = 1024;
const WINDOW: usize = 33;
const ROUNDS: usize = 7;

fn best(mut work: impl FnMut()) -> f64 {
    let time = |_| {
        let t = Instant::now();
        work();
        t.elapsed().as_secs_f64()
    };
    (0..ROUNDS).map(time).fold(f64::INFINITY, f64::min)
}

fn main() {
    // `cargo test --benches` only wants to know that it starts.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    println!("| preset | matching, s/Mpx | whole run, s/Mpx |\n|---|---|---|");
    for preset in [Preset::Real, Preset::Sar] {
        let pair = make_pair(&PairSpec::preset(preset, SIDE, 1)).expect("the preset is valid");
        let [pre, post] = [(pair.pre, pair.pre_valid), (pair.post, pair.post_valid)]
            .map(|(values, valid)| MemoryImage(Image { values, valid }));
        let pair = Pair::new(&pre, &post, (0.0, 0.0));
        let method = MethodName::Dense;
        let side = method.tile();
        let params = Params { method, window: (WINDOW, WINDOW), step: (1, 1), ..Params::default() };
        let layout =
            Layout::new((SIDE, SIDE), params.window, params.step, None).expect("a valid layout").with_tile(side);
        let go_on = AtomicBool::new(false);
        let engine = Engine::new(&pair, &layout, &params, &go_on).expect("the pair can be analysed");
        let (mut method, mut worker) = (engine.method(), engine.worker(&pair).expect("in memory"));
        let halo = method.halo();
        let first = (SIDE - side - WINDOW).div_ceil(2);
        let pixels = Window::new(first as i64, first as i64, side + WINDOW - 1, side + WINDOW - 1).grown(halo);
        let bands = worker.images(pixels).expect("in memory").expect("valid pixels");
        let tile = Tile {
            bands: &bands,
            windows: TileWindows { cells: (side, side), window: params.window, step: params.step },
            area: SearchArea { range: Alignment::new((0.0, 0.0), params.search).range, starts: &[] },
            offset: PixelShift::default(),
            prior: &[],
            search: params.search,
            cuts: None,
            centred: false,
            halo: (halo, halo),
            stop: &go_on,
        };
        let matching = best(|| drop(black_box(method.match_tile(&tile))));
        let whole =
            best(|| pipeline::run(&pair, &layout, &params, 1, &mut Discard, &mut Silent).map(drop).expect("runs"));
        let per = |seconds: f64, cells: usize| 1e6 * seconds / cells as f64;
        println!(
            "| {preset:?} | {:.3} | {:.3} |",
            per(matching, side * side),
            per(whole, layout.cells.0 * layout.cells.1)
        );
    }
}
