//! The `spatial` method: masks, textureless ground, the rim of the search, threads and regions, its own options;
//! and the sums that windows share, of `spatial` and `lsm`.

mod common;

use common::{Collect, fine_at, rough_at};
use shiftmap::correlate::lsm_tile::LsmTile;
use shiftmap::correlate::search::{SearchArea, TileWindows};
use shiftmap::correlate::spatial::Spatial;
use shiftmap::correlate::{Alignment, Method, Tile};
use shiftmap::engine::Engine;
use shiftmap::field::{Measurement, PixelShift, Status};
use shiftmap::grid::{Grid, Image, MemoryImage, Window};
use shiftmap::layout::Layout;
use shiftmap::pipeline::{self, MethodName, Pair, Params, PeakQuality, PeakSigma};
use shiftmap::progress::Silent;

const SIZE: (usize, usize) = (640, 200);

fn params() -> Params {
    Params { method: MethodName::Spatial, reject_outliers: false, ..Params::default() }
}

type Texture = fn(f64, f64) -> f64;

fn image(d: (f64, f64)) -> Image {
    image_of(rough_at, d)
}

fn image_of(texture: Texture, d: (f64, f64)) -> Image {
    Image::from_values(Grid::from_fn(SIZE.0, SIZE.1, |x, y| texture(x as f64 - d.0, y as f64 - d.1) as f32))
}

fn measure(pre: Image, post: Image, params: &Params, threads: usize, region: Option<Window>) -> Vec<Measurement> {
    let (pre, post) = (MemoryImage(pre), MemoryImage(post));
    let layout = Layout::new(SIZE, params.window, params.step, region).unwrap();
    let mut found = Collect(Vec::new());
    pipeline::run(&Pair::new(&pre, &post, (0.0, 0.0)), &layout, params, threads, &mut found, &mut Silent).unwrap();
    found.map(&layout).data
}

/// Mean error along x and y over the windows on the right peak (within a pixel), share of the others, valid cells.
fn errors(found: &[Measurement], d: (f64, f64)) -> (f64, f64, f64, usize) {
    let (mut x, mut y, mut n, mut wrong) = (0.0, 0.0, 0, 0);
    for m in found.iter().filter(|m| m.status == Status::Valid) {
        let e = (m.shift.dx - d.0, m.shift.dy - d.1);
        if e.0.abs().max(e.1.abs()) > 1.0 {
            wrong += 1;
            continue;
        }
        x += e.0;
        y += e.1;
        n += 1;
    }
    (x / n as f64, y / n as f64, wrong as f64 / (n + wrong) as f64, n + wrong)
}

#[test]
fn masks_do_not_bias() {
    let d = (0.3, -1.6);
    let image = |d: (f64, f64)| image_of(fine_at, d);
    let (pre, mut post) = (image((0.0, 0.0)), image(d));
    // Clouds over two fifths of the post image, with values that would mislead.
    let cloud = |x: usize, y: usize, at: usize| (x + at) % 80 < 24 || (y + 2 * at) % 90 < 13;
    for y in 0..SIZE.1 {
        for x in 0..SIZE.0 {
            if cloud(x, y, 11) {
                post.values.set(x, y, 30_000.0);
                post.valid.set(x, y, false);
            }
        }
    }
    let clear = errors(&measure(pre.clone(), image(d), &params(), 2, None), d);
    let found = measure(pre, post, &Params { min_valid: 0.4, ..params() }, 2, None);
    let (x, y, wrong, n) = errors(&found, d);
    println!(
        "masked: mean {x:+.4} {y:+.4} wrong {wrong:.4} of {n} valid; without clouds {:+.4} {:+.4}",
        clear.0, clear.1
    );
    assert!(n * 3 > found.len() && x.abs() < 0.005 && y.abs() < 0.005 && wrong < 0.02);
}

#[test]
fn flat_ground_and_the_rim_of_the_search_have_no_value() {
    let (mut pre, mut post) = (image((0.0, 0.0)), image((5.0, 0.0)));
    for image in [&mut pre, &mut post] {
        for y in 0..SIZE.1 {
            for x in 0..200 {
                image.values.set(x, y, 777.0);
            }
        }
    }
    let found = measure(pre, post, &params(), 1, None);
    let columns = SIZE.0 / 8;
    for (cell, m) in found.iter().enumerate() {
        let x = cell % columns * 8;
        if x + 60 < 200 {
            assert!(m.status != Status::Valid, "flat at {x}: {m:?}");
        }
        // Displaced by more than the search of 4 pixels.
        if x > 240 {
            assert!(m.status != Status::Valid, "rim at {x}: {m:?}");
        }
    }
}

#[test]
fn threads_and_regions_give_the_same_bytes() {
    let d = (1.3, 0.4);
    let whole = measure(image((0.0, 0.0)), image(d), &params(), 1, None);
    assert_eq!(measure(image((0.0, 0.0)), image(d), &params(), 3, None), whole);
    let region = Window::new(160, 40, 400, 120);
    let part = measure(image((0.0, 0.0)), image(d), &params(), 2, Some(region));
    let layout = Layout::new(SIZE, (32, 32), (8, 8), Some(region)).unwrap();
    for (k, m) in part.iter().enumerate() {
        let (x, y) = (k % layout.region.width, k / layout.region.width);
        let cell = (layout.region.y as usize + y) * layout.cells.0 + layout.region.x as usize + x;
        assert_eq!(*m, whole[cell]);
    }
}

#[test]
fn windows_of_any_shape_and_step() {
    let d = (-0.7, 1.2);
    for (window, step) in [((5, 7), (40, 41)), ((48, 20), (3, 50)), ((33, 64), (31, 1)), ((128, 128), (64, 64))] {
        let p = Params { window, step, ..params() };
        let found = measure(image((0.0, 0.0)), image(d), &p, 2, None);
        let mut e: Vec<f64> = found
            .iter()
            .filter(|m| m.status == Status::Valid)
            .map(|m| (m.shift.dx - d.0).abs().max((m.shift.dy - d.1).abs()))
            .collect();
        e.sort_by(f64::total_cmp);
        println!("{window:?} {step:?}: median {:.4} of {} of {}", e[e.len() / 2], e.len(), found.len());
        assert!(e.len() * 2 > found.len() && e[e.len() / 2] < 0.02);
    }
}

#[test]
fn ampcor_measures_are_there_when_asked_for() {
    let d = (0.25, 0.75);
    let plain = measure(image((0.0, 0.0)), image(d), &params(), 1, None);
    let p = Params { peak_quality: PeakQuality::Snr, peak_sigma: PeakSigma::Ampcor, ..params() };
    let ampcor = measure(image((0.0, 0.0)), image(d), &p, 1, None);
    for (a, b) in plain.iter().zip(&ampcor).filter(|p| p.1.status == Status::Valid) {
        assert!((a.shift.dx - b.shift.dx).abs() + (a.shift.dy - b.shift.dy).abs() < 1e-6, "{a:?} {b:?}");
        assert!(b.quality > 1.0 && b.covariance.xx > 0.0 && b.covariance != a.covariance);
    }
    let wrong = Params { method: MethodName::Lsm, ..p };
    let (pre, post) = (MemoryImage(image((0.0, 0.0))), MemoryImage(image(d)));
    let layout = Layout::new(SIZE, wrong.window, wrong.step, None).unwrap();
    let pair = Pair::new(&pre, &post, (0.0, 0.0));
    let e = pipeline::run(&pair, &layout, &wrong, 1, &mut Collect(Vec::new()), &mut Silent).unwrap_err();
    assert!(e.to_string().contains("spatial"));
}

/// One tile, measured from the shared sums and window by window.
fn both_ways(
    method: MethodName,
    pre: Image,
    post: Image,
    window: usize,
    step: usize,
) -> (Vec<Measurement>, Vec<Measurement>) {
    let stop = std::sync::atomic::AtomicBool::new(false);
    let p = Params { method, window: (window, window), step: (step, step), ..params() };
    let (pre, post) = (MemoryImage(pre), MemoryImage(post));
    let pair = Pair::new(&pre, &post, (0.0, 0.0));
    let layout = Layout::new(SIZE, p.window, p.step, None).unwrap();
    let engine = Engine::new(&pair, &layout, &p, &stop).unwrap();
    let cells = ((560 - window) / step + 1, (130 - window) / step + 1);
    let windows = TileWindows { cells, window: p.window, step: p.step };
    let (w, h) = windows.pixels();
    let bands = engine.worker(&pair).unwrap().images(Window::new(40, 35, w, h)).unwrap().unwrap();
    let area = SearchArea { range: Alignment::new((0.0, 0.0), p.search).range, starts: &[] };
    let (offset, prior, search) = (PixelShift::default(), [].as_slice(), p.search);
    let tile = Tile {
        bands: &bands,
        windows,
        area,
        offset,
        prior,
        search,
        cuts: None,
        centred: false,
        halo: (0, 0),
        stop: &stop,
    };
    let scenes = [bands[0].scene.clone()];
    if method == MethodName::Lsm {
        let shared = LsmTile::new(&p, &scenes).match_tile(&tile);
        return (shared, LsmTile::window_by_window(&p, &scenes).match_tile(&tile));
    }
    let shared = Spatial::new(&p, &scenes).match_tile(&tile);
    (shared, Spatial::window_by_window(&p, &scenes).match_tile(&tile))
}

#[test]
fn shared_sums_give_what_each_window_gives_by_itself() {
    let d = (0.4, -1.3);
    let noisy = |mut image: Image, seed: usize| {
        for (k, v) in image.values.data.iter_mut().enumerate() {
            *v += ((k * 7919 + seed * 104_729) % 1009) as f32 * 0.02;
        }
        image
    };
    // Largest differences of displacement (px), covariance and quality.
    let bounds = [(MethodName::Spatial, [2e-4, 2e-3, 1e-4]), (MethodName::Lsm, [3e-4, 2e-3, 1e-4])];
    let settings = [(32, 8), (64, 16), (33, 5), (20, 1), (16, 40)];
    // Slightly aliased, which asks for another interpolator, and not.
    let textures: [Texture; 2] = [rough_at, fine_at];
    let gaps = ["none", "a band", "single pixels"];
    for ((method, bounds), (window, step)) in bounds.into_iter().flat_map(|b| settings.map(|s| (b, s))) {
        for (gaps, texture) in gaps.into_iter().flat_map(|g| textures.map(|t| (g, t))) {
            let (mut pre, mut post) = (noisy(image_of(texture, (0.0, 0.0)), 1), noisy(image_of(texture, d), 5));
            match gaps {
                "a band" => (0..SIZE.1).for_each(|y| (300..310).for_each(|x| post.valid.set(x, y, false))),
                "single pixels" => (0..SIZE.0 * SIZE.1).for_each(|k| {
                    pre.valid.data[k] = k * 7919 % 2003 != 0;
                    post.valid.data[k] = k * 104_729 % 1511 != 0;
                }),
                _ => {}
            }
            let (shared, alone) = both_ways(method, pre, post, window, step);
            let mut worst = [0.0f64; 3];
            for (a, b) in shared.iter().zip(&alone) {
                assert_eq!(a.status, b.status, "{method:?} {window}/{step}: {a:?} {b:?}");
                if a.status == Status::Valid {
                    worst[0] = worst[0].max((a.shift.dx - b.shift.dx).abs().max((a.shift.dy - b.shift.dy).abs()));
                    worst[1] = worst[1].max((a.covariance.xx / b.covariance.xx - 1.0).abs());
                    worst[2] = worst[2].max((a.quality - b.quality).abs() as f64);
                }
            }
            let valid = shared.iter().filter(|m| m.status == Status::Valid).count();
            println!("{method:?} {window}/{step} gaps: {gaps}: {valid} of {}: {worst:?}", shared.len());
            assert!(valid * 2 > shared.len());
            assert!(worst.iter().zip(bounds).all(|(w, b)| *w < b), "{worst:?}");
        }
    }
}

/// Sums that windows share must not reach beyond the image where a displacement is as large as the search allows, whatever the
/// interpolator.
#[test]
fn displacements_at_the_rim_of_the_search_are_measured() {
    let smooth = |d: (f64, f64)| {
        let at = |x: usize, y: usize| rough_at(0.4 * (x as f64 - d.0), 0.4 * (y as f64 - d.1)) as f32;
        Image::from_values(Grid::from_fn(SIZE.0, SIZE.1, at))
    };
    for method in [MethodName::Spatial, MethodName::Lsm] {
        for d in [(9.6, -9.6), (-9.6, 9.6), (0.3, 9.7), (0.4, -9.7)] {
            let p = Params { method, search: (10.0, 10.0), ..params() };
            for (pre, post) in [(image((0.0, 0.0)), image(d)), (smooth((0.0, 0.0)), smooth(d))] {
                let found = measure(pre, post, &p, 1, None);
                let right = |m: &&Measurement| (m.shift.dx - d.0).abs() < 0.1 && (m.shift.dy - d.1).abs() < 0.1;
                let share = found.iter().filter(right).count() as f64 / found.len() as f64;
                println!("{method:?} {d:?}: {share:.2} right");
                assert!(share > 0.5, "{method:?} {d:?}: {share}");
            }
        }
    }
}
