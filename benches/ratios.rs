//! Windows per second on one thread beside the least work that each method has to do, measured in the same minute.
//!
//! `cargo bench --bench ratios` prints Markdown; `cargo bench --bench ratios -- spatial` the table of that method alone. The floors:
//! * `frequency`: the one two-dimensional transform that a window needs (both windows packed), and the four of a phase
//!   correlation with a refining pass (initial windows packed, real inverse, final windows packed, before and after
//!   resampling), which sharing the search spares most windows;
//! * `spatial`: the block sums of the products at every shift of the search, without normalisation and sub-pixel peak; it may
//!   take less, because it looks at half the resolution first. Once by plain loops that the compiler makes vectors of, as a C program
//!   would have them, and once by the kernels of the method itself, which keep several shifts in registers;
//! * `lsm`: interpolation of the post window and the three product sums, times the mean number of iterations.
//!
//! Methods and floors take turns and the best time of each counts, so that other load on the machine cancels. Tiles are
//! prepared beforehand; the last table has the whole run with scene analysis and preparation.

mod fixture;

use fixture::{Discard, Images, METHODS, Ready, STEPS, WINDOWS, engine, engine_with};
use rustfft::FftPlanner;
use rustfft::num_complex::Complex32;
use shiftmap::correlate::batch_sums::{self, BatchSums, Part, Rows, Shifts, Totals};
use shiftmap::correlate::fft2::{ComplexFft2, FftCache};
use shiftmap::correlate::lsm::{Limits, LsmWindow};
use shiftmap::correlate::search::{TileWindows, integer_peaks};
use shiftmap::correlate::sums::Intervals;
use shiftmap::grid::Grid;
use shiftmap::layout::Layout;
use shiftmap::pipeline::{self, MethodName};
use shiftmap::progress::Silent;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Window, step and search of `spatial`.
const SPATIAL: [(usize, usize, f64); 6] =
    [(64, 16, 10.0), (64, 8, 10.0), (32, 8, 10.0), (32, 8, 4.0), (64, 2, 4.0), (128, 2, 10.0)];
/// At least this many rounds, and this long, for every figure.
const ROUNDS: usize = 6;
const TIME: Duration = Duration::from_secs(4);
/// Packed forward transforms of a phase correlation with a refining pass; the initial window is as large as the final one here.
const FORWARD: usize = 3;
/// Windows for one timing of the transforms.
const BATCH: usize = 64;

/// Best seconds of each job, the jobs taking turns.
fn best<const N: usize>(jobs: &mut [&mut dyn FnMut(); N]) -> [f64; N] {
    let mut least = [f64::INFINITY; N];
    let start = Instant::now();
    let mut round = 0;
    while round < ROUNDS || start.elapsed() < TIME {
        for (job, least) in jobs.iter_mut().zip(&mut least) {
            let t = Instant::now();
            job();
            *least = least.min(t.elapsed().as_secs_f64());
        }
        round += 1;
    }
    least
}

/// Noise, the same every time.
fn noise(n: usize) -> Vec<Complex32> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    (0..n).map(|_| Complex32::new(next(), next())).collect()
}

fn frequency(images: &Images, window: usize, step: usize) {
    let engine = engine(images, MethodName::Frequency, window, step);
    let ready = Ready::new(images, &engine);
    let (tile, mut method) = (ready.tile(), engine.method());
    let source = noise(window * window);
    let mut planner = FftPlanner::new();
    let mut plan = ComplexFft2::new(window, window, &mut planner);
    let mut ffts = FftCache::default();
    let half = (window / 2 + 1) * window;
    let (mut data, mut surface) = (source.clone(), vec![0.0; window * window]);
    let mut four = || {
        for _ in 0..BATCH {
            for _ in 0..FORWARD {
                data.copy_from_slice(&source);
                plan.forward(&mut data);
            }
            // The surface of the phase correlation is real: half a spectrum goes back.
            ffts.real(window, window).inverse(&data[..half], &mut surface);
            black_box((&data, &surface));
        }
    };
    let (mut alone, mut packed) = (ComplexFft2::new(window, window, &mut planner), source.clone());
    let mut one = || {
        for _ in 0..BATCH {
            packed.copy_from_slice(&source);
            alone.forward(&mut packed);
            black_box(&packed);
        }
    };
    let mut whole = || {
        black_box(method.match_tile(&tile));
    };
    let [whole, one, four] = best(&mut [&mut whole, &mut one, &mut four]);
    let (rate, one, four) = (tile.windows.len() as f64 / whole, BATCH as f64 / one, BATCH as f64 / four);
    println!(
        "| frequency | {window} | {step} | {rate:.0} | {one:.0} | {:.0} % | {four:.0} | {:.0} % |",
        100.0 * rate / one,
        100.0 * rate / four
    );
}

const LANES: usize = 16;

#[inline(always)]
fn product_sum(sum: &mut [f32; LANES], a: &[f32], b: &[f32]) {
    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for l in 0..LANES {
            sum[l] += a[l] * b[l];
        }
    }
}

/// Mean number of iterations over the tile's windows.
fn mean_iterations(ready: &Ready) -> f64 {
    let tile = ready.tile();
    let limits = Limits { min_valid: ready.params.min_valid, min_variance: ready.bands[0].scene.min_variance };
    let mut work = LsmWindow::new(ready.params.window);
    let peaks = integer_peaks(&tile.pairs(), &tile.windows, &tile.area, tile.stop);
    let (mut sum, mut count) = (0, 0usize);
    for (cell, peak) in peaks.iter().enumerate() {
        let corner = tile.windows.corner(cell);
        if work.load(tile.pre(), tile.post(), corner, peak.shift, None, &limits).is_ok() {
            sum += work.solve(tile.post(), corner, peak.start()).iterations;
            count += 1;
        }
    }
    sum as f64 / count.max(1) as f64
}

/// One interpolation with its product sums for every window of the tile.
#[inline(always)]
fn interpolate_all(ready: &Ready, basis: &[Vec<f32>; 3], rows: &mut [f32], line: &mut [f32]) -> f32 {
    let c = &ready.post().coefficients;
    let (w, h) = ready.params.window;
    let mut total = 0.0;
    for cell in 0..ready.windows.len() {
        let corner = ready.windows.corner(cell);
        let (tx, ty) = (c.taps(corner.0 as i64, 0.37), c.taps(corner.1 as i64, -0.21));
        c.along_x(&tx, ty.first, c.rows(h), w, rows);
        let mut sums = [[0.0f32; LANES]; 3];
        for y in 0..h {
            c.along_y(&ty.weights, rows, y, w, line);
            for (sum, basis) in sums.iter_mut().zip(basis) {
                product_sum(sum, &basis[y * w..(y + 1) * w], line);
            }
        }
        total += sums.iter().flatten().sum::<f32>();
    }
    total
}

fn lsm(images: &Images, window: usize, step: usize) {
    let engine = engine(images, MethodName::Lsm, window, step);
    let ready = Ready::new(images, &engine);
    let (tile, mut method) = (ready.tile(), engine.method());
    let iterations = mean_iterations(&ready);
    let basis = [0, 1, 2].map(|k| vec![0.1 + k as f32; window * window]);
    let mut rows = vec![0.0; ready.post().coefficients.rows(window) * window];
    let mut line = vec![0.0; window];
    let arch = pulp::Arch::new();
    let mut floor = || {
        black_box(arch.dispatch(
            #[inline(always)]
            || interpolate_all(&ready, &basis, &mut rows, &mut line),
        ));
    };
    let mut whole = || {
        black_box(method.match_tile(&tile));
    };
    let [whole, floor] = best(&mut [&mut whole, &mut floor]);
    let n = tile.windows.len() as f64;
    let (rate, floor) = (n / whole, n / (floor * iterations));
    println!(
        "| lsm | {window} | {step} | {rate:.0} | {iterations:.1} | {floor:.0} | {:.0} % | {} |",
        100.0 * rate / floor,
        ready.bands[0].scene.spline.describe()
    );
}

/// Sums of the products of `a` and of `b` moved by (x, y), for all windows: rows of blocks of `step` pixels, sums of neighbouring
/// blocks.
#[inline(always)]
fn plain_sums(a: &Grid<f32>, b: &Grid<f32>, (x, y): (usize, usize), w: &TileWindows, work: &mut PlainSums) {
    let (columns, (nx, ny)) = (a.width, w.cells);
    let (across, down) = (w.window.0 / w.step.0, w.window.1 / w.step.1);
    let blocks = nx + across - 1;
    for j in 0..ny + down - 1 {
        work.line.fill(0.0);
        for row in j * w.step.1..(j + 1) * w.step.1 {
            let (p, q) = (a.row(row), &b.row(row + y)[x..x + columns]);
            work.line.iter_mut().zip(p.iter().zip(q)).for_each(|(l, (p, q))| *l += p * q);
        }
        let own = &mut work.blocks[j * blocks..(j + 1) * blocks];
        own.iter_mut().zip(work.line.chunks_exact(w.step.0)).for_each(|(o, c)| *o = c.iter().sum());
    }
    for i in 0..ny {
        work.line[..blocks].fill(0.0);
        for row in work.blocks[i * blocks..(i + down) * blocks].chunks_exact(blocks) {
            work.line.iter_mut().zip(row).for_each(|(l, v)| *l += v);
        }
        let mut sum: f32 = work.line[..across - 1].iter().sum();
        for k in 0..nx {
            sum += work.line[k + across - 1];
            work.sums[i * nx + k] = sum;
            sum -= work.line[k];
        }
    }
}

struct PlainSums {
    line: Vec<f32>,
    blocks: Vec<f32>,
    sums: Vec<f32>,
}

/// `spatial` beside the block sums of a full search.
fn spatial(images: &Images, gaps: &str, window: usize, step: usize, search: f64) {
    let (window, step, method) = ((window, window), (step, step), MethodName::Spatial);
    let params = pipeline::Params { method, window, step, search: (search, search), ..pipeline::Params::default() };
    let engine = engine_with(images, params);
    let ready = Ready::new(images, &engine);
    let (tile, mut method) = (ready.tile(), engine.method());
    let mut whole = || {
        black_box(method.match_tile(&tile));
    };
    let w = &tile.windows;
    let intervals = (Intervals::new(w.cells.0, window.0, step.0), Intervals::new(w.cells.1, window.1, step.1));
    let part = Part { columns: (0, w.cells.0), rows: (0, w.cells.1) };
    let (mut sums, mut totals) = (BatchSums::default(), [Totals::default()]);
    let (pre, post) = (&ready.pre().values, ready.post());
    let reach = search as i32;
    let mut floor = || {
        for (shift, shifts) in batch_sums::shift_batches((-reach, -reach), (reach, reach)) {
            let at = |s: i32| post.search as i64 + i64::from(s);
            let b = Rows::of(&post.values).from((at(shift.0), at(shift.1)));
            let request = Shifts { a: Rows::of(pre), b, shifts, part };
            sums.window_sums(&[request], (&intervals.0, &intervals.1), &mut totals);
            black_box(&totals);
        }
    };
    let all = (w.cells.0 + window.0 / step.0) * (w.cells.1 + window.1 / step.1);
    let mut work = PlainSums { line: vec![0.0; pre.width], blocks: vec![0.0; all], sums: vec![0.0; w.len()] };
    let arch = pulp::Arch::new();
    let first = post.search - reach as usize;
    let mut plain = || {
        for shift in 0..(2 * reach + 1).pow(2) as usize {
            let side = 2 * reach as usize + 1;
            let shift = (first + shift % side, first + shift / side);
            arch.dispatch(
                #[inline(always)]
                || plain_sums(pre, &post.values, shift, w, &mut work),
            );
            black_box(&work.sums);
        }
    };
    let [whole, plain, floor] = best(&mut [&mut whole, &mut plain, &mut floor]);
    let n = tile.windows.len() as f64;
    println!(
        "| spatial | {} | {} | ±{search} | {gaps} | {:.0} | {:.0} | {:.0} % | {:.0} | {:.0} % |",
        window.0,
        step.0,
        n / whole,
        n / plain,
        100.0 * plain / whole,
        n / floor,
        100.0 * floor / whole
    );
}

/// Scene analysis, preparation and matching of the whole pair.
fn whole_run(images: &Images, method: MethodName, window: usize, step: usize) {
    let pair = images.pair();
    let params =
        pipeline::Params { method, window: (window, window), step: (step, step), ..pipeline::Params::default() };
    let layout = Layout::new(pair.pre().size(), params.window, params.step, None).expect("a valid layout");
    let run = || {
        black_box(pipeline::run(&pair, &layout, &params, 1, &mut Discard, &mut Silent).expect("the run succeeds"));
    };
    let least = (0..3).map(|_| {
        let t = Instant::now();
        run();
        t.elapsed().as_secs_f64()
    });
    let least = least.fold(f64::INFINITY, f64::min);
    let cells = (layout.cells.0 * layout.cells.1) as f64;
    println!("| {} | {window} | {step} | {cells} | {least:.2} | {:.0} |", method.name(), cells / least);
}

/// The steps of all benches, and that of the published setting.
fn steps(window: usize) -> impl Iterator<Item = usize> {
    (window == 64).then_some(16).into_iter().chain(STEPS)
}

/// Begins a table: its title and the names of its columns.
fn heading(title: &str, columns: &str) {
    let rule = "|---".repeat(columns.split(" | ").count());
    println!("\n{title}:\n\n| {columns} |\n{rule}|");
}

/// One row for each window and step.
fn by_window(images: &Images, row: fn(&Images, usize, usize)) {
    for window in WINDOWS {
        steps(window).for_each(|step| row(images, window, step));
    }
}

fn spatial_table(images: &Images) {
    heading(
        "The block sums of a full search, on the pair and on one without invalid pixels",
        "method | window | step | search | gaps | windows/s | plain block sums/s | share | its own block sums/s | share",
    );
    let whole = images.without_gaps();
    for (images, gaps) in [(images, "some"), (&whole, "none")] {
        for (window, step, search) in SPATIAL {
            spatial(images, gaps, window, step, search);
        }
    }
}

fn lsm_table(images: &Images) {
    heading(
        "Interpolation and product sums, mean number of iterations",
        "method | window | step | windows/s | iterations | floor/s | share | interpolation",
    );
    by_window(images, lsm);
}

fn frequency_table(images: &Images) {
    heading(
        "One transform a window, and the four of a phase correlation with a refining pass",
        "method | window | step | windows/s | one transform/s | share | four/s | share",
    );
    by_window(images, frequency);
}

type Table = fn(&Images);

fn main() {
    // `cargo test --benches` only wants to know that it starts.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let images = Images::new();
    let tables: [(&str, Table); 3] = [("frequency", frequency_table), ("spatial", spatial_table), ("lsm", lsm_table)];
    let wanted: Vec<String> = std::env::args().collect();
    let named = |name: &str| wanted.iter().any(|w| w == name);
    let all = !tables.iter().any(|(name, _)| named(name));
    tables.iter().filter(|(name, _)| all || named(name)).for_each(|(_, table)| table(&images));
    if !all {
        return;
    }
    heading(
        "Whole run on 640 x 640 pixels in memory, one thread",
        "method | window | step | windows | seconds | windows/s",
    );
    for method in METHODS {
        WINDOWS.iter().for_each(|&window| whole_run(&images, method, window, 8));
    }
}
