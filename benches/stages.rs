#![allow(unused)]
pub use shiftmap::{field, grid, pipeline};
pub mod correlate {
    pub use shiftmap::correlate::*;
    #[path = "/tmp/wt-dense/src/correlate/agreement.rs"]
    pub mod agreement;
    #[path = "/tmp/wt-dense/src/correlate/dense/mod.rs"]
    pub mod dense;
}
use shiftmap::correlate::Method;
use shiftmap::correlate::search::{SearchArea, TileWindows};
use shiftmap::correlate::{Alignment, Tile};
use shiftmap::engine::Engine;
use shiftmap::engine::Engine as _E;
use shiftmap::field::PixelShift;
use shiftmap::grid::{Image, MemoryImage, Window};
use shiftmap::layout::Layout;
use shiftmap::pipeline::{MethodName, Pair, Params};
use shiftmap::synth::pair::{PairSpec, Preset, make_pair};
use std::hint::black_box;
use std::sync::atomic::AtomicBool;
use std::time::Instant;
#[global_allocator]
static HEAP: mimalloc::MiMalloc = mimalloc::MiMalloc;
use crate::correlate::agreement::Agreement;
use crate::correlate::dense::{candidates::*, levels::*, whiten::*, windows::*, *};
use shiftmap::correlate::fill::ValidCounts;

const SIDE: usize = 768;
const WINDOW: usize = 33;
const TILE: usize = 512;

fn t<R>(name: &str, mut work: impl FnMut() -> R) -> R {
    let mut best = f64::INFINITY;
    let mut out = None;
    for _ in 0..5 {
        let t = Instant::now();
        let r = black_box(work());
        best = best.min(t.elapsed().as_secs_f64());
        out = Some(r);
    }
    println!("{name:40} {:8.2} ms", best * 1e3);
    out.unwrap()
}

fn compare(a: &[shiftmap::field::Measurement], b: &[shiftmap::field::Measurement]) {
    let mut e: Vec<f64> = Vec::new();
    let mut s: Vec<f64> = Vec::new();
    let (mut status, mut same) = (0, 0);
    for (a, b) in a.iter().zip(b) {
        if a == b {
            same += 1
        }
        if a.status != b.status {
            status += 1;
            continue;
        }
        if a.status != shiftmap::field::Status::Valid {
            continue;
        }
        e.push((a.shift.dx - b.shift.dx).abs().max((a.shift.dy - b.shift.dy).abs()));
        s.push((a.covariance.xx / b.covariance.xx).ln().abs());
    }
    e.sort_by(f64::total_cmp);
    s.sort_by(f64::total_cmp);
    let q = |e: &Vec<f64>, q: f64| e[((e.len() - 1) as f64 * q) as usize];
    println!(
        "same {same}/{} status {status} shift 99% {:.2e} 99.9% {:.2e} max {:.2e}; ln var 99% {:.2e} max {:.2e}",
        a.len(),
        q(&e, 0.99),
        q(&e, 0.999),
        q(&e, 1.0),
        q(&s, 0.99),
        q(&s, 1.0)
    );
}

fn main() {
    let pair = make_pair(&PairSpec::preset(
        if std::env::args().any(|a| a == "sar") { Preset::Sar } else { Preset::Real },
        SIDE,
        1,
    ))
    .expect("the preset is valid");
    let [pre, post] = [(pair.pre, pair.pre_valid), (pair.post, pair.post_valid)]
        .map(|(values, valid)| MemoryImage(Image { values, valid }));
    let pair = Pair::new(&pre, &post, (0.0, 0.0));
    let method = MethodName::Dense;
    let params = Params { method, window: (WINDOW, WINDOW), step: (1, 1), ..Params::default() };
    let layout = Layout::new((SIDE, SIDE), params.window, params.step, None).expect("a valid layout");
    let go_on = AtomicBool::new(false);
    let engine = Engine::new(&pair, &layout, &params, &go_on).expect("the pair can be analysed");
    let (mut method, mut worker) = (engine.method(), engine.worker(&pair).expect("in memory"));
    let halo = method.halo();
    let first = (SIDE - TILE - WINDOW + 1) / 2;
    let pixels = Window::new(first as i64, first as i64, TILE + WINDOW - 1, TILE + WINDOW - 1).grown(halo);
    let bands = worker.images(pixels).expect("in memory").expect("valid pixels");
    let tile = Tile {
        bands: &bands,
        windows: TileWindows { cells: (TILE, TILE), window: params.window, step: params.step },
        area: SearchArea { range: Alignment::new((0.0, 0.0), params.search).range, starts: &[] },
        offset: PixelShift::default(),
        prior: &[],
        search: params.search,
        cuts: None,
        halo,
        stop: &go_on,
    };
    t("prepare (worker.images)", || worker.images(pixels).unwrap().map(|_| ()));
    let old = t("old match_tile", || method.match_tile(&tile));
    let mut mine = Dense::new(&params);
    let new = t("new match_tile", || Method::match_tile(&mut mine, &tile));
    compare(&old, &new);
    let peaks = t("peaks", || start::Peaks::new(&tile));
    let d = t("peaks.field", || peaks.field(None));
    let mut levels: Vec<Level> = t("Level::new", || tile.bands.iter().map(Level::new).collect());
    let table = t("table", || warp::PhaseTable::new(&bands[0].post.coefficients));
    let mut d2 = d.clone();
    t("iterate", || {
        d2 = d.clone();
        levels::iterate(&mut levels, &mut d2, || false)
    });
    let d = d2;
    let (mut image, mut weight) = (d[0].clone(), d[0].clone());
    t("warp", || warp::warp(&bands[0].post, &table, [&d[0], &d[1]], &mut image, &mut weight));
    t("box15", || box_sum(&image, 15));
    t("box2", || box_sum(&image, 2));
    t("halve", || halve(&image));
    t("double", || double(&halve(&image), image.width, image.height));
    t("convolve9", || convolve(&image, &TRIANGLE9));
    let counts = box_sum(&weight, 15);
    let f = t("whiten", || whiten(&image, &weight, &counts, 0, 1.0));
    let products: Products = [0; 7].map(|_| image.map(|_| 0.0));
    let mut p = products.clone();
    t("add_products", || add_products(&mut p, &f, &image, &weight));
    t("clone 7 planes", || products.clone());
    t("solve finest 0 (incl clone)", || solve_scales(p.clone(), &NOISE[0], 0));
    t("solve finest 1 (incl clone)", || solve_scales(p.clone(), &NOISE[0], 1));
    t("solve finest 3 (incl clone)", || solve_scales(p.clone(), &NOISE[0], 3));
    let c0 = t("candidates 0", || levels::candidates(&mut levels, [&d[0], &d[1]], 0));
    let c1 = t("candidates 1", || levels::candidates(&mut levels, [&d[0], &d[1]], 1));
    let c3 = t("candidates 3", || levels::candidates(&mut levels, [&d[0], &d[1]], 3));
    let f0 = t("fuse 0", || fuse::fuse(&c0, 0, d[0].width, d[0].height));
    t("fuse 1", || fuse::fuse(&c1, 1, d[0].width, d[0].height));
    t("fuse 3", || fuse::fuse(&c3, 3, d[0].width, d[0].height));
    t("sharpen 0 (incl clone)", || {
        let mut e = d.clone();
        edges::sharpen(&mut e, &d, &c0, &f0)
    });
    t("agreement", || Level::agreement(&levels));
    let _ = t("counts", || ValidCounts::new(&levels[0].both_valid()));
}
