//! The displacement field on a pixel grid against the direct sum over all elements.
mod common;

use common::SEED;
use rand::RngExt;
use shiftmap::synth::elastic::{PixelGrid, on_grid};
use shiftmap::synth::random::{Purpose, stream};
use shiftmap::synth::tde::{Loops, Triangle};
use shiftmap::synth::trace::{Distance, self_affine};

const PIXEL: f64 = 15.0;

/// A rough fault as graded rows of cells, each two triangles; top edges of 1.5 pixels, cells growing with depth.
/// `tip`: where it starts, along north; `dip`: horizontal metres east per metre of depth; `top`: depth of its top.
fn fault(tip: f64, length: f64, top: f64, dip: f64, slip: [f64; 3], seed: u64) -> (Vec<Triangle>, Vec<(f64, f64)>) {
    let mut triangles = Vec::new();
    let columns = 1024usize;
    let profile = self_affine(columns + 1, 0.8, 4e-3 * length, &mut stream(seed, Purpose::Trace));
    let point = |k: usize, z: f64| {
        let t = k as f64 / columns as f64;
        [profile[k] + dip * z, tip + t * length, -(top + z)]
    };
    let bell = |k: usize, z: f64| {
        let t = k as f64 / columns as f64;
        let ends = (std::f64::consts::PI * t).sin();
        (0.3 + 0.7 * ends) * ends * (1.0 - z / 12e3)
    };
    // Each row joins `step` columns to a cell; the first rows have as many cells as the trace has pieces.
    let (mut z, mut step) = (0.0, 1usize);
    while z < 9e3 {
        let height = (length / columns as f64) * step as f64;
        for k in (0..columns).step_by(step) {
            let (a, b) = (point(k, z), point(k + step, z));
            let (c, d) = (point(k + step, z + height), point(k, z + height));
            let share = bell(k + step / 2, z + 0.5 * height);
            for vertices in [[a, d, b], [b, d, c]] {
                triangles.push(Triangle { vertices, slip: slip.map(|s| s * share) });
            }
        }
        z += height;
        step = (step * 2).min(128);
    }
    let trace = (0..=columns).map(|k| (profile[k], tip + k as f64 / columns as f64 * length)).collect();
    (triangles, trace)
}

/// Largest error in pixels at random pixels: within 2 px of the traces (0.5 px left out), and beyond.
fn errors(triangles: &[Triangle], traces: &[Vec<(f64, f64)>], grid: &PixelGrid) -> (f64, f64) {
    let loops = Loops::new(triangles, 0.25).unwrap();
    let start = std::time::Instant::now();
    let field = on_grid(&loops, grid).unwrap();
    println!("{} triangles: {:.2} s", triangles.len(), start.elapsed().as_secs_f64());
    let distance = Distance::new(traces);
    let rng = &mut stream(SEED, Purpose::NoisePre);
    let (mut near, mut far) = (0.0f64, 0.0f64);
    let mut counted = [0, 0];
    let mut chosen: Vec<(usize, usize)> =
        (0..2000).map(|_| (rng.random_range(0..grid.width), rng.random_range(0..grid.height))).collect();
    // And pixels beside the traces, which random ones rarely meet.
    for trace in traces {
        for k in (0..trace.len()).step_by(2) {
            let (x, y) = ((trace[k].0 - grid.origin.0) / PIXEL, (grid.origin.1 - trace[k].1) / PIXEL);
            let (x, y) = (x.round() + (k % 7) as f64 - 3.0, y.round());
            if x >= 0.0 && y >= 0.0 && x < grid.width as f64 && y < grid.height as f64 {
                chosen.push((x as usize, y as usize));
            }
        }
    }
    let obs: Vec<[f64; 2]> = chosen.iter().map(|p| grid.map(p.0 as f64, p.1 as f64)).collect();
    let mut exact = vec![[0.0; 3]; obs.len()];
    loops.surface(&obs, &mut exact).unwrap();
    for ((p, o), exact) in chosen.iter().zip(&obs).zip(&exact) {
        let r = distance.at(o[0], o[1]) / PIXEL;
        let got = field.get(p.0, p.1);
        let error = (0..3).map(|i| (got[i] - exact[i]).abs() / PIXEL).fold(0.0, f64::max);
        assert!(error.is_finite());
        if r > 2.0 {
            (far, counted[1]) = (far.max(error), counted[1] + 1);
        } else if r > 0.5 {
            (near, counted[0]) = (near.max(error), counted[0] + 1);
        }
    }
    assert!(traces.is_empty() || counted[0] > 100 && counted[1] > 1000, "{counted:?}");
    (near, far)
}

fn grid(width: usize, height: usize) -> PixelGrid {
    let origin = (-(width as f64) / 2.0 * PIXEL + 3.7, height as f64 / 2.0 * PIXEL - 2.1);
    PixelGrid { width, height, origin, column: (PIXEL, 0.0), row: (0.0, -PIXEL) }
}

#[test]
fn the_field_on_the_grid_is_the_direct_sum() {
    // 75 m of slip: 5 pixels.
    let right_lateral = [-75.0, 0.0, 0.0];
    let (through, trace) = fault(-9e3, 18e3, 0.0, 0.05, right_lateral, 1);
    assert!(through.len() > 2500, "{}", through.len());
    let (near, far) = errors(&through, std::slice::from_ref(&trace), &grid(1024, 1024));
    println!("through the image: {near:.1e} px near the trace, {far:.1e} beyond");
    assert!(near < 1e-4 && far < 1e-4);

    // Tips inside, oblique slip, a second fault beside it; an image that is not square.
    let (mut both, first) = fault(-3e3, 5e3, 0.0, 0.6, [-40.0, 40.0, 0.0], 2);
    let (second, other) = fault(-500.0, 3e3, 0.0, -0.2, [60.0, 0.0, 0.0], 3);
    both.extend(second.into_iter().map(|mut t| {
        t.vertices.iter_mut().for_each(|v| v[0] += 1500.0);
        t
    }));
    let other = other.into_iter().map(|(x, y)| (x + 1500.0, y)).collect();
    let (near, far) = errors(&both, &[first, other], &grid(500, 333));
    println!("two faults: {near:.1e} px near the traces, {far:.1e} beyond");
    assert!(near < 1e-4 && far < 1e-4);

    // Buried thrust: nothing breaks the surface.
    let (buried, _) = fault(-4e3, 8e3, 300.0, 2.0, [0.0, 60.0, 0.0], 4);
    let (_, far) = errors(&buried, &[], &grid(600, 600));
    println!("buried: {far:.1e} px");
    assert!(far < 1e-4);
}

#[test]
fn the_jump_stays_between_two_pixels() {
    let (triangles, trace) = fault(-9e3, 18e3, 0.0, 0.0, [-75.0, 0.0, 0.0], 1);
    let grid = grid(256, 256);
    let field = on_grid(&Loops::new(&triangles, 0.25).unwrap(), &grid).unwrap();
    let at = |north: f64| {
        let k = trace.partition_point(|p| p.1 < north).max(1);
        let t = (north - trace[k - 1].1) / (trace[k].1 - trace[k - 1].1);
        trace[k - 1].0 + t * (trace[k].0 - trace[k - 1].0)
    };
    for y in 20..236 {
        let [_, north] = grid.map(0.0, y as f64);
        let x = ((at(north) - grid.origin.0) / PIXEL).floor() as usize;
        let jump = field.get(x, y)[1] - field.get(x + 1, y)[1];
        let (before, after) =
            (field.get(x - 1, y)[1] - field.get(x, y)[1], field.get(x + 1, y)[1] - field.get(x + 2, y)[1]);
        assert!(jump > 50.0 && before.abs() < 6.0 && after.abs() < 6.0, "row {y}: {before} {jump} {after}");
    }
}

#[test]
fn threads_do_not_matter() {
    let (triangles, _) = fault(-3e3, 5e3, 0.0, 0.6, [-40.0, 40.0, 0.0], 2);
    let loops = Loops::new(&triangles, 0.25).unwrap();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| on_grid(&loops, &grid(200, 150)).unwrap()).data
    };
    assert_eq!(run(1), run(4));
}
