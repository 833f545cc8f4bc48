//! Speed of the dislocations on one thread: triangle-point pairs per second.
//!
//!     cargo bench --bench dislocations
//!
//! `separate`: triangles that share no edge; `mesh`: the triangles of one rough fault plane, where every inner edge
//! serves two. With a file name as argument, the separate triangles and points are written there for another program
//! (benches/peers/dislocations.py). Last comes the time of a whole field on a pixel grid.
use std::io::Write;
use std::time::Instant;

use rand::RngExt;
use shiftmap::synth::elastic::{PixelGrid, on_grid};
use shiftmap::synth::okada::{self, Rectangle};
use shiftmap::synth::random::{Purpose, stream};
use shiftmap::synth::tde::{Loops, Triangle, surface};

const ROUNDS: usize = 5;

fn main() {
    let file = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    let rng = &mut stream(1, Purpose::Slip);
    let mut number = |low: f64, high: f64| rng.random_range(low..high);
    let separate: Vec<Triangle> = (0..500)
        .map(|_| {
            let (x, y, z) = (number(-2e4, 2e4), number(-2e4, 2e4), number(-1.4e4, -2e3));
            let mut corner = || [x + number(-2e3, 2e3), y + number(-2e3, 2e3), z + number(-2e3, 2e3)];
            Triangle { vertices: [corner(), corner(), corner()], slip: [1.0, 0.5, 0.2] }
        })
        .collect();
    let obs: Vec<[f64; 2]> = (0..4096).map(|_| [number(-3e4, 3e4), number(-3e4, 3e4)]).collect();
    if let Some(path) = file {
        let mut out = std::io::BufWriter::new(std::fs::File::create(path).expect("the file can be made"));
        for t in &separate {
            writeln!(out, "{:?}", t.vertices.concat()).expect("the file can be written");
        }
        for p in &obs {
            writeln!(out, "{p:?}").expect("the file can be written");
        }
    }
    // A grid of 50 x 15 cells of a rough vertical plane, slip different on every element.
    let corner = |i: usize, j: usize| {
        [300.0 * i as f64, 40.0 * ((i * 7 + j * 3) as f64).sin(), -(j as f64) * 800.0 - 20.0 * (i as f64).cos().abs()]
    };
    let mesh: Vec<Triangle> = (0..50 * 15)
        .flat_map(|k| {
            let (i, j) = (k % 50, k / 50);
            let (a, b, c, d) = (corner(i, j), corner(i + 1, j), corner(i + 1, j + 1), corner(i, j + 1));
            [[a, b, c], [a, c, d]].map(|vertices| Triangle { vertices, slip: [k as f64, (k % 7) as f64, 0.0] })
        })
        .collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    pool.install(|| {
        for (name, triangles) in [("separate", &separate), ("mesh", &mesh)] {
            let mut out = vec![[0.0; 3]; obs.len()];
            let run = || surface(triangles, 0.25, &obs, &mut out).expect("good triangles");
            println!("triangles {name:9} {:7.2} million pairs/s", best(run, triangles.len() * obs.len()));
        }
        let fault = Rectangle {
            x: 0.0,
            y: 0.0,
            top_depth: 100.0,
            strike: 30.0,
            dip: 60.0,
            length: 2e4,
            width: 1e4,
            slip: [1.0, 0.5, 0.0],
        };
        // No edge in common.
        let faults: Vec<Rectangle> =
            (0..50).map(|k| Rectangle { x: 777.7 * f64::from(k), strike: 3.0 * f64::from(k), ..fault }).collect();
        let mut out = vec![[0.0; 3]; obs.len()];
        let run = || okada::surface(&faults, 0.25, &obs, &mut out).expect("good rectangles");
        println!("rectangles         {:7.2} million pairs/s", best(run, faults.len() * obs.len()));

        // The same mesh under an image of 15 m pixels.
        let loops = Loops::new(&mesh, 0.25).expect("good triangles");
        let grid =
            PixelGrid { width: 1024, height: 1024, origin: (0.0, 7680.0), column: (15.0, 0.0), row: (0.0, -15.0) };
        let run = || drop(on_grid(&loops, &grid).expect("a good grid"));
        let rate = best(run, mesh.len() << 20);
        println!(
            "field of 1024 x 1024 pixels, {} triangles: {:.2} s",
            mesh.len(),
            mesh.len() as f64 * 1.048_576 / rate
        );
    });
}

/// Millions of pairs per second in the best of some rounds.
fn best(mut run: impl FnMut(), pairs: usize) -> f64 {
    let time = |_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    let seconds = (0..ROUNDS).map(time).fold(f64::INFINITY, f64::min);
    pairs as f64 / seconds / 1e6
}
