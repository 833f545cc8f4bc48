//! Displacement between two images held in memory: a textured scene and the same scene moved by 0.3 pixels to the right
//! and 0.2 pixels up.
//!
//! `cargo run --release --example displacement`

use shiftmap::field::{Measurement, Status};
use shiftmap::grid::{Grid, Image, MemoryImage, Window};
use shiftmap::layout::Layout;
use shiftmap::pipeline::{self, FieldSink, Pair, Params};
use shiftmap::progress::Silent;
use shiftmap::synth::field::FieldSpec;
use shiftmap::synth::pair::{PairSpec, make_pair};

/// Keeps what the run delivers, tile by tile.
struct Collect(Vec<Measurement>);

impl FieldSink for Collect {
    fn write(&mut self, _cells: Window, found: &Grid<Measurement>) -> shiftmap::Result<()> {
        self.0.extend_from_slice(&found.data);
        Ok(())
    }
}

fn main() -> shiftmap::Result<()> {
    // Any Grid<f32> will do; here a simulated scene. Rows run downwards: 0.2 pixels up is dy = -0.2.
    let scene = make_pair(&PairSpec::plain(256, 256, 1, FieldSpec::uniform(0.3, -0.2)))?;
    let pre = MemoryImage(Image::from_values(scene.pre));
    let post = MemoryImage(Image::from_values(scene.post));

    let params = Params { window: (32, 32), step: (8, 8), ..Params::default() };
    let layout = Layout::new((256, 256), params.window, params.step, None)?;
    let pair = Pair::new(&pre, &post, (0.0, 0.0));
    let mut found = Collect(Vec::new());
    pipeline::run(&pair, &layout, &params, 2, &mut found, &mut Silent)?;

    let valid: Vec<_> = found.0.iter().filter(|m| m.status == Status::Valid).collect();
    let mean = |value: fn(&Measurement) -> f64| valid.iter().map(|m| value(m)).sum::<f64>() / valid.len() as f64;
    println!("{} of {} windows matched", valid.len(), found.0.len());
    println!("right {:+.4} px, down {:+.4} px", mean(|m| m.shift.dx), mean(|m| m.shift.dy));
    println!("standard deviation of one window {:.4} px", mean(|m| m.covariance.xx).sqrt());
    Ok(())
}
