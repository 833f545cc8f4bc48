//! Displacement fields that are known exactly at every point.

use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::fault::{Fault, FaultSpec};
use super::random::{Purpose, stream};
use crate::field::PixelShift;
use crate::grid::Grid;

/// A sum of simple parts; the default is no motion at all.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct FieldSpec {
    /// Uniform shift (dx right, dy down) in pixels.
    pub uniform: (f64, f64),
    /// Ramp: d(dx)/dx, d(dx)/dy, d(dy)/dx, d(dy)/dy, zero in the middle of the image.
    pub ramp: [f64; 4],
    /// Largest value of a smooth random field with wavelengths of 0.4 to 1.2 image sides, in each component.
    pub smooth: f64,
    /// A strike-slip fault.
    pub fault: Option<FaultSpec>,
}

impl FieldSpec {
    /// The same shift everywhere.
    pub fn uniform(dx: f64, dy: f64) -> FieldSpec {
        FieldSpec { uniform: (dx, dy), ..FieldSpec::default() }
    }

    /// A displacement that grows linearly from the middle of the image.
    pub fn ramp(gradient: [f64; 4]) -> FieldSpec {
        FieldSpec { ramp: gradient, ..FieldSpec::default() }
    }

    /// One strike-slip fault.
    pub fn fault(fault: FaultSpec) -> FieldSpec {
        FieldSpec { fault: Some(fault), ..FieldSpec::default() }
    }
}

/// One plane wave of the smooth part: wave vector, phase and amplitudes of the two components.
#[derive(Debug, Clone, Copy)]
struct Wave {
    kx: f64,
    ky: f64,
    phase: f64,
    dx: f64,
    dy: f64,
}

/// A field ready to be evaluated anywhere, in pixel-centre coordinates of the pre image.
#[derive(Debug, Clone)]
pub struct Field {
    uniform: (f64, f64),
    ramp: [f64; 4],
    middle: (f64, f64),
    waves: Vec<Wave>,
    fault: Option<Fault>,
}

impl Field {
    /// The field on an image of the given size.
    pub fn new(spec: &FieldSpec, width: usize, height: usize, seed: u64) -> Field {
        Field {
            uniform: spec.uniform,
            ramp: spec.ramp,
            middle: ((width as f64 - 1.0) / 2.0, (height as f64 - 1.0) / 2.0),
            waves: waves(spec.smooth, width.max(height) as f64, seed),
            fault: spec.fault.as_ref().map(|f| Fault::new(f, seed)),
        }
    }

    /// The fault, when there is one.
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// Displacement at (x, y).
    pub fn at(&self, x: f64, y: f64) -> PixelShift {
        self.add(self.fault.as_ref().map(|f| f.at(x, y)), x, y)
    }

    /// Displacement of the block on the right (or left) of the fault, continued smoothly beyond it.
    pub fn on_side(&self, x: f64, y: f64, right: bool) -> PixelShift {
        self.add(self.fault.as_ref().map(|f| f.on_side(x, y, right)), x, y)
    }

    /// Displacement at every pixel centre of an image.
    pub fn image(&self, width: usize, height: usize) -> Grid<PixelShift> {
        let mut data = vec![PixelShift::default(); width * height];
        data.par_chunks_mut(width.max(1)).enumerate().for_each(|(y, row)| {
            for (x, d) in row.iter_mut().enumerate() {
                *d = self.at(x as f64, y as f64);
            }
        });
        Grid::from_vec(width, height, data)
    }

    fn add(&self, fault: Option<PixelShift>, x: f64, y: f64) -> PixelShift {
        let mut d = fault.unwrap_or_default();
        let (u, v) = (x - self.middle.0, y - self.middle.1);
        d.dx += self.uniform.0 + self.ramp[0] * u + self.ramp[1] * v;
        d.dy += self.uniform.1 + self.ramp[2] * u + self.ramp[3] * v;
        for w in &self.waves {
            let value = (w.kx * x + w.ky * y + w.phase).cos();
            d.dx += w.dx * value;
            d.dy += w.dy * value;
        }
        d
    }
}

fn waves(amplitude: f64, side: f64, seed: u64) -> Vec<Wave> {
    if amplitude == 0.0 {
        return Vec::new();
    }
    const WAVES: usize = 4;
    let rng = &mut stream(seed, Purpose::SmoothField);
    let mut waves: Vec<Wave> = (0..WAVES)
        .map(|_| {
            let tau = std::f64::consts::TAU;
            let (sin, cos) = rng.random_range(0.0..tau).sin_cos();
            let k = tau / (side * rng.random_range(0.4..1.2));
            let phase = rng.random_range(0.0..tau);
            let (dx, dy) = (rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0));
            Wave { kx: k * cos, ky: k * sin, phase, dx, dy }
        })
        .collect();
    // The largest value that the sum can reach is the sum of the amplitudes.
    let (sx, sy) = waves.iter().fold((0.0, 0.0), |s: (f64, f64), w| (s.0 + w.dx.abs(), s.1 + w.dy.abs()));
    for w in &mut waves {
        w.dx *= amplitude / sx;
        w.dy *= amplitude / sy;
    }
    waves
}
