//! Displacement fields that are known exactly at every point.

use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::event::{EventField, EventRecord, Scene, View, make_event};
use super::fault::{Fault, FaultSpec};
use super::faulted::{FaultedField, PixelLine};
use super::inverse::Displacement;
use super::random::{Purpose, stream};
use super::rupture::Wishes;
use crate::Result;
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
    /// An earthquake on a rough fault in an elastic half-space; not together with `fault`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earthquake: Option<EarthquakeSpec>,
}

/// What is asked of an earthquake; the rest is drawn from the seed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EarthquakeSpec {
    #[serde(flatten)]
    pub wishes: Wishes,
    /// Side of a pixel in metres.
    pub pixel: f64,
    /// Part of the earthquake that the image shows; `None`: drawn.
    pub view: Option<View>,
    /// Largest displacement in pixels to which the field is scaled; `None`: as the magnitude gives it.
    pub largest: Option<f64>,
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

    /// An earthquake.
    pub fn earthquake(earthquake: EarthquakeSpec) -> FieldSpec {
        FieldSpec { earthquake: Some(earthquake), ..FieldSpec::default() }
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
    event: Option<Event>,
}

/// A computed earthquake.
#[derive(Debug, Clone)]
struct Event {
    field: FaultedField,
    /// `None`: of given faults.
    record: Option<EventRecord>,
}

/// Pixels around the image in which an earthquake's field is known.
pub const MARGIN: usize = 32;

impl Field {
    /// The field on an image of the given size, its earthquake included.
    ///
    /// # Errors
    /// [`crate::Error::Option`] for an earthquake that cannot be.
    pub fn complete(spec: &FieldSpec, width: usize, height: usize, seed: u64) -> Result<Field> {
        let mut field = Field::new(spec, width, height, seed);
        if let Some(quake) = &spec.earthquake {
            let scene = Scene { width, height, margin: MARGIN, pixel: quake.pixel, radar: None, view: quake.view };
            let (mut event, record) = make_event(&scene, quake.wishes, seed)?;
            if let Some(largest) = quake.largest {
                event.scale(largest / event.largest().max(f64::MIN_POSITIVE));
            }
            field.event = Some(Event { field: event.faulted(), record: Some(record) });
        }
        Ok(field)
    }

    /// The field on an image of the given size without its earthquake, which takes a computation that can fail
    /// ([`Field::complete`]).
    pub fn new(spec: &FieldSpec, width: usize, height: usize, seed: u64) -> Field {
        Field {
            uniform: spec.uniform,
            ramp: spec.ramp,
            middle: ((width as f64 - 1.0) / 2.0, (height as f64 - 1.0) / 2.0),
            waves: waves(spec.smooth, width.max(height) as f64, seed),
            fault: spec.fault.as_ref().map(|f| Fault::new(f, seed)),
            event: None,
        }
    }

    /// With the field of given faults (margin: [`MARGIN`]) in the place of an earthquake.
    pub fn with_faults(self, field: &EventField) -> Field {
        Field { event: Some(Event { field: field.faulted(), record: None }), ..self }
    }

    /// The fault, when there is one.
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// How the earthquake came about, when there is one.
    pub fn event(&self) -> Option<&EventRecord> {
        self.event.as_ref().and_then(|e| e.record.as_ref())
    }

    /// Traces of all faults, (column, row).
    pub fn traces(&self) -> Vec<Vec<(f64, f64)>> {
        let m = MARGIN as f64;
        let moved = |l: &PixelLine| l.points.iter().map(|p| (p.0 - m, p.1 - m)).collect();
        let of_event = self.event.iter().flat_map(|e| e.field.lines().iter().map(moved));
        self.fault.iter().map(Fault::trace).chain(of_event).collect()
    }

    /// Displacement at (x, y).
    pub fn at(&self, x: f64, y: f64) -> PixelShift {
        let m = MARGIN as f64;
        match &self.event {
            Some(event) => self.add(Some(event.field.at(x + m, y + m)), x, y),
            None => self.add(self.fault.as_ref().map(|f| f.at(x, y)), x, y),
        }
    }

    /// Displacement of the block on the right (or left) of the fault, continued smoothly beyond it.
    pub fn on_side(&self, x: f64, y: f64, right: bool) -> PixelShift {
        let m = MARGIN as f64;
        match &self.event {
            Some(event) => self.add(Some(event.field.on_side(x + m, y + m, right)), x, y),
            None => self.add(self.fault.as_ref().map(|f| f.on_side(x, y, right)), x, y),
        }
    }

    /// Distance to the fault near (x, y), positive on its right; `None` where none is near.
    pub fn across(&self, x: f64, y: f64) -> Option<f64> {
        let m = MARGIN as f64;
        match &self.event {
            Some(event) => event.field.across(x + m, y + m),
            None => self.fault.as_ref().map(|f| f.across(x, y)),
        }
    }

    /// Largest jump across a fault.
    pub fn largest_jump(&self) -> f64 {
        let event = self.event.as_ref().map_or(0.0, |e| e.field.largest_jump());
        self.fault.as_ref().map_or(0.0, Fault::largest_slip).max(event)
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
