//! The method `net`: tiny networks whose result is known, real motion, refusals.
//!
//! The networks are made by `tests/models/make.py`.

#[path = "../common/mod.rs"]
mod common;

mod arithmetic;
mod doors;
mod motion;
mod refusals;

use common::Collect;
use shiftmap::field::Measurement;
use shiftmap::grid::{Grid, Image, MemoryImage, Window};
use shiftmap::layout::Layout;
use shiftmap::net::{Net, NetOptions};
use shiftmap::pipeline::{self, MethodName, Pair, Params, Report};
use shiftmap::progress::Silent;

/// Whether ONNX Runtime is there; says so where it is not.
pub fn runtime() -> bool {
    match shiftmap::net::runtime::load(None) {
        Ok(_) => true,
        Err(e) => {
            println!("skipped: {e}");
            false
        }
    }
}

/// The file of a tiny network.
pub fn model(name: &str) -> String {
    format!("{}/tests/models/{name}.onnx", env!("CARGO_MANIFEST_DIR"))
}

pub fn options(name: &str) -> NetOptions {
    NetOptions { model: Some(model(name)), ..NetOptions::default() }
}

/// A value at every pixel; outliers are kept.
pub fn params(options: &NetOptions) -> Params {
    Params {
        method: MethodName::Net,
        window: (9, 9),
        step: (1, 1),
        reject_outliers: false,
        min_valid: 0.2,
        net: Some(Net::load(options).unwrap()),
        ..Params::default()
    }
}

pub fn measure(
    bands: &[(Image, Image)],
    params: &Params,
    threads: usize,
    region: Option<Window>,
) -> shiftmap::Result<(Grid<Measurement>, Report)> {
    let files: Vec<_> = bands.iter().map(|(a, b)| (MemoryImage(a.clone()), MemoryImage(b.clone()))).collect();
    let size = (bands[0].0.width(), bands[0].0.height());
    let layout = Layout::new(size, params.window, params.step, region)?;
    let mut found = Collect(Vec::new());
    let mut pair = Pair::new(&files[0].0, &files[0].1, (0.0, 0.0));
    pair.bands = files.iter().map(|(a, b)| (a as _, b as _)).collect();
    let report = pipeline::run(&pair, &layout, params, threads, &mut found, &mut Silent)?;
    Ok((found.map(&layout), report))
}

/// The map of one pair of images.
pub fn map(pre: &Image, post: &Image, params: &Params) -> Grid<Measurement> {
    measure(&[(pre.clone(), post.clone())], params, 2, None).unwrap().0
}

/// Rough texture around 0 with a standard deviation of about 1, moved by a displacement.
pub fn rough(size: (usize, usize), d: impl Fn(f64, f64) -> (f64, f64)) -> Image {
    Image::from_values(Grid::from_fn(size.0, size.1, |x, y| {
        let (dx, dy) = d(x as f64, y as f64);
        ((common::rough_at(x as f64 - dx, y as f64 - dy) - 4000.0) / 500.0) as f32
    }))
}

pub fn bits(field: &Grid<Measurement>) -> Vec<(u64, u64, u64, u64, u8)> {
    let one = |m: &Measurement| {
        let c = m.covariance;
        (m.shift.dx.to_bits(), m.shift.dy.to_bits(), c.xx.to_bits(), c.yy.to_bits(), m.status as u8)
    };
    field.data.iter().map(one).collect()
}
