//! The simulated earthquake: its field, the displaced image and the truth.

use crate::Result;
use crate::field::PixelShift;
use crate::grid::{Grid, Image};
use crate::synth::fault::FaultSpec;
use crate::synth::field::{EarthquakeSpec, Field, FieldSpec};
use crate::synth::inverse::{Displacement, Source, sources};
use crate::synth::pair::{SPLINE_REACH, clear_of_gaps};
use crate::synth::random::{Purpose, normal, numbered};
use crate::synth::rupture::Wishes;
use crate::synth::warp::Warper;

use super::smooth::Quadratic;

/// What is asked of the simulated earthquake; the rest follows from the size of the part and the seed. Pixels and degrees.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Quake {
    /// Largest jump across the fault (or, with a magnitude, the largest displacement).
    pub slip: Option<f64>,
    pub strike: Option<f64>,
    pub half_length: Option<f64>,
    pub locking_depth: Option<f64>,
    pub roughness: Option<f64>,
    pub left_lateral: bool,
    /// An earthquake in an elastic half-space in the place of a simple fault.
    pub magnitude: Option<f64>,
}

impl Quake {
    /// As a field on a part of `size` pixels of `pixel` metres.
    pub fn spec(&self, size: (usize, usize), pixel: f64) -> Result<FieldSpec> {
        if let Some(magnitude) = self.magnitude {
            let wishes = Wishes { magnitude: Some(magnitude), strike_deg: self.strike, ..Wishes::default() };
            return Ok(FieldSpec::earthquake(EarthquakeSpec { wishes, pixel, view: None, largest: self.slip }));
        }
        let standard = FaultSpec::for_size(size.0, size.1);
        let half_length = self.half_length.unwrap_or(standard.half_length);
        let locking_depth = self.locking_depth.unwrap_or(standard.locking_depth);
        // Small parts cannot carry the standard slip.
        let most = 0.5 * locking_depth.min(0.12 * half_length);
        let fault = FaultSpec {
            slip: self.slip.unwrap_or(standard.slip.min(most)),
            strike_deg: self.strike.unwrap_or(standard.strike_deg),
            half_length,
            locking_depth,
            roughness: self.roughness.unwrap_or(standard.roughness),
            left_lateral: self.left_lateral,
            ..standard
        };
        fault.check()?;
        Ok(FieldSpec::fault(fault))
    }
}

/// A field seen from an array whose pixel `origin` is pixel (0, 0) of the field's own image.
struct Moved<'a> {
    field: &'a Field,
    origin: (f64, f64),
}

impl Displacement for Moved<'_> {
    fn at(&self, x: f64, y: f64) -> PixelShift {
        self.field.at(x - self.origin.0, y - self.origin.1)
    }

    fn across(&self, x: f64, y: f64) -> Option<f64> {
        self.field.across(x - self.origin.0, y - self.origin.1)
    }

    fn on_side(&self, x: f64, y: f64, right: bool) -> PixelShift {
        self.field.on_side(x - self.origin.0, y - self.origin.1, right)
    }

    fn largest_jump(&self) -> f64 {
        self.field.largest_jump()
    }
}

/// The source of every pixel of the later image; `origin` is where pixel (0, 0) of the field lies in it.
pub fn later(field: &Field, origin: (f64, f64), size: (usize, usize)) -> Grid<Source> {
    sources(&Moved { field, origin }, size.0, size.1)
}

/// The image after the earthquake, with white noise of standard deviation `noise` added.
pub fn displaced(image: &Image, sources: &Grid<Source>, noise: f64, seed: u64, band: u64) -> Image {
    let known = image.values.data.iter().zip(&image.valid.data).filter(|(_, ok)| **ok).map(|(v, _)| f64::from(*v));
    let (sum, n) = known.fold((0.0, 0usize), |(s, n), v| (s + v, n + 1));
    let mean = sum / n.max(1) as f64;
    let filled = Grid {
        width: image.width(),
        height: image.height(),
        data: image
            .values
            .data
            .iter()
            .zip(&image.valid.data)
            .map(|(v, ok)| if *ok { f64::from(*v) } else { mean })
            .collect(),
    };
    let mut values = Warper::mirrored(&filled).warp(sources);
    if noise > 0.0 {
        let mut rng = numbered(seed, Purpose::NoisePost, band);
        values.data.iter_mut().for_each(|v| *v += noise * normal(&mut rng));
    }
    let clear = clear_of_gaps(&image.valid, SPLINE_REACH);
    let (right, bottom) = ((image.width() - 1) as f64, (image.height() - 1) as f64);
    let valid = sources.map(|s| {
        let inside = s.x >= 0.0 && s.y >= 0.0 && s.x <= right && s.y <= bottom;
        s.covered && inside && clear.get(s.x.round() as usize, s.y.round() as usize)
    });
    let values = Grid {
        width: values.width,
        height: values.height,
        data: values.data.iter().zip(&valid.data).map(|(v, ok)| if *ok { *v as f32 } else { 0.0 }).collect(),
    };
    Image { values, valid }
}

/// True displacement at a point of the pre image: the misregistration takes it to the place where the earthquake then
/// moves it.
pub fn truth(field: &Field, misregistration: &Quadratic, x: f64, y: f64) -> PixelShift {
    let m = misregistration.at(x, y);
    let q = field.at(x + m.dx, y + m.dy);
    PixelShift::new(m.dx + q.dx, m.dy + q.dy)
}

/// The traces on the pre image.
pub fn traces(field: &Field, misregistration: &Quadratic) -> Vec<Vec<(f64, f64)>> {
    let back = |p: &(f64, f64)| {
        // The misregistration changes by far less than itself over its own length.
        let m = misregistration.at(p.0, p.1);
        let m = misregistration.at(p.0 - m.dx, p.1 - m.dy);
        (p.0 - m.dx, p.1 - m.dy)
    };
    field.traces().iter().map(|line| line.iter().map(back).collect()).collect()
}
