//! Faults: rectangles in an elastic half-space, on the interface of a subduction zone or in the crust.
//!
//! Sizes from magnitudes: Strasser et al. (2010), Seismol. Res. Lett. 81, 941 (interface); Blaser et al. (2010), BSSA 100
//! (reverse and normal faults in the crust); Wells and Coppersmith (1994), BSSA 84 (strike slip).

use rand::RngExt;
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::spec::{SlipKind, SourceKind, SourceSpec, draw};
use crate::grid::Grid;
use crate::synth::elastic::on_grid;
use crate::synth::okada::{Rectangle, loops};
use crate::synth::random::{Purpose, normal, numbered};
use crate::synth::scaling::{Regression, SHEAR_MODULUS, ScalingLaw, moment};
use crate::synth::slip::{SlipField, SlipSpec, ends};
use crate::synth::tde::Loops;
use crate::{Error, Result};

/// Shear modulus at the interface in Pa.
const INTERFACE_MODULUS: f64 = 40e9;
/// Events that move nothing are drawn again this often.
const ATTEMPTS: u64 = 200;
/// Faults end this deep at least, so that no surface break crosses the frame; metres.
const SHALLOWEST: f64 = 500.0;
/// Bottom of the crust that breaks, metres.
const DEEPEST: f64 = 25e3;

const fn law(length: [f64; 3], width: [f64; 3]) -> [Regression; 2] {
    [
        Regression { intercept: length[0], slope: length[1], sigma: length[2] },
        Regression { intercept: width[0], slope: width[1], sigma: width[2] },
    ]
}

const STRASSER_INTERFACE: [Regression; 2] = law([-2.477, 0.585, 0.180], [-0.882, 0.351, 0.173]);
const BLASER_REVERSE: [Regression; 2] = law([-2.37, 0.57, 0.18], [-1.86, 0.46, 0.17]);
const BLASER_NORMAL: [Regression; 2] = law([-1.91, 0.52, 0.18], [-1.20, 0.36, 0.16]);

/// A fault that slipped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    pub kind: SourceKind,
    pub magnitude: f64,
    /// Degrees clockwise from north; the fault dips to the right.
    pub strike_deg: f64,
    pub dip_deg: f64,
    /// 0 left-lateral, 90 reverse, 180 right-lateral, -90 normal.
    pub rake_deg: f64,
    /// Along strike and down dip, metres.
    pub length: f64,
    pub width: f64,
    /// Metres.
    pub mean_slip: f64,
    pub shear_modulus: f64,
    /// Middle of the fault: east and north of the frame's middle, depth; metres.
    pub centre: [f64; 3],
    /// Duration of a slow event in days.
    pub slow_days: Option<f64>,
    /// Places are metres east and north of the frame's middle.
    pub rectangles: Vec<Rectangle>,
    pub poisson: f64,
}

impl Source {
    /// Draws a fault that moves some pixel by `spec.smallest`, and the displacement of the pixels (east, north, up; metres).
    ///
    /// # Errors
    /// [`Error::Option`] when no such event is found.
    pub fn draw(spec: &SourceSpec, frame: &Frame, seed: u64) -> Result<(Source, Grid<[f64; 3]>)> {
        for attempt in 0..ATTEMPTS {
            let source = Source::candidate(spec, frame, &mut numbered(seed, Purpose::InsarSource, attempt));
            let field = source.field(frame)?;
            if largest(&field) >= spec.smallest {
                return Ok((source, field));
            }
        }
        let why =
            format!("events of these magnitudes never move a pixel by {} mm: ask for larger ones", 1e3 * spec.smallest);
        Err(Error::option("--magnitude", format!("{:?}", spec.magnitude), why))
    }

    fn candidate(spec: &SourceSpec, frame: &Frame, rng: &mut Pcg64) -> Source {
        let megathrust = match spec.kind {
            SourceKind::Megathrust => true,
            SourceKind::Crustal => false,
            SourceKind::Mixed => rng.random_bool(0.5),
        };
        let mut source = if megathrust { interface(spec, rng) } else { crustal(spec, rng) };
        let [w, h] = frame.extent();
        source.centre[0] = w * rng.random_range(-0.3..0.3);
        source.centre[1] = h * rng.random_range(-0.3..0.3);
        let variable = match spec.slip {
            SlipKind::Uniform => false,
            SlipKind::Variable => true,
            SlipKind::Mixed => rng.random_bool(0.5),
        };
        source.slow_days = rng.random_bool(spec.slow).then(|| draw(spec.slow_days, rng));
        source.rectangles = if variable { source.patches(rng) } else { vec![source.rectangle()] };
        source
    }

    /// The fault as one rectangle with uniform slip.
    fn rectangle(&self) -> Rectangle {
        self.part((0.0, self.length), (0.0, self.width), self.mean_slip, self.rake_deg)
    }

    /// The part between two distances along strike and two down the dip.
    fn part(&self, along: (f64, f64), down: (f64, f64), slip: f64, rake_deg: f64) -> Rectangle {
        let (sin_strike, cos_strike) = self.strike_deg.to_radians().sin_cos();
        let (sin_dip, cos_dip) = self.dip_deg.to_radians().sin_cos();
        let (sin_rake, cos_rake) = rake_deg.to_radians().sin_cos();
        let forward = 0.5 * (along.0 + along.1 - self.length);
        let right = (down.0 - 0.5 * self.width) * cos_dip;
        Rectangle {
            x: self.centre[0] + forward * sin_strike + right * cos_strike,
            y: self.centre[1] + forward * cos_strike - right * sin_strike,
            top_depth: self.centre[2] + (down.0 - 0.5 * self.width) * sin_dip,
            strike: self.strike_deg,
            dip: self.dip_deg,
            length: along.1 - along.0,
            width: down.1 - down.0,
            slip: [slip * cos_rake, slip * sin_rake, 0.0],
        }
    }

    /// A tapered fractal distribution with the same moment, on patches of 3 km at least.
    fn patches(&self, rng: &mut Pcg64) -> Vec<Rectangle> {
        let number = |length: f64, most: f64| (length / 3000.0).floor().clamp(2.0, most) as usize;
        let (columns, rows) = (number(self.length, 14.0), number(self.width, 8.0));
        let slip = SlipSpec { rake_deg: self.rake_deg, deficit: 0.0, ..SlipSpec::draw(self.length, self.width, rng) };
        let seed = rng.random_range(0..1u64 << 52);
        let stream = |k| numbered(seed, Purpose::Slip, k);
        let field = SlipField::new(&slip, self.length, self.width, &mut stream(0), &mut stream(1));
        let (dx, dz) = (self.length / columns as f64, self.width / rows as f64);
        let mut parts = Vec::with_capacity(columns * rows);
        for i in 0..columns {
            for j in 0..rows {
                let (along, down) = ((i as f64 + 0.5) * dx, (j as f64 + 0.5) * dz);
                // A buried fault also ends upwards.
                let amount =
                    field.slip(along, down, self.centre[2]) * ends(down.min(0.5 * self.width), self.width, 0.3);
                let edges = ((i as f64 * dx, (i + 1) as f64 * dx), (j as f64 * dz, (j + 1) as f64 * dz));
                parts.push(self.part(edges.0, edges.1, amount, field.rake(along, down)));
            }
        }
        let total: f64 = parts.iter().map(|p| p.slip[0].hypot(p.slip[1])).sum();
        let factor = self.mean_slip * parts.len() as f64 / total;
        parts.iter_mut().flat_map(|p| &mut p.slip).for_each(|v| *v *= factor);
        parts
    }

    /// Sum of shear modulus × area × slip, N m.
    pub fn moment(&self) -> f64 {
        let potency = |r: &Rectangle| r.length * r.width * r.slip[0].hypot(r.slip[1]);
        self.shear_modulus * self.rectangles.iter().map(potency).sum::<f64>()
    }

    /// The dislocations, for points anywhere.
    ///
    /// # Errors
    /// [`Error::Data`] for a rectangle that cannot be.
    pub fn loops(&self) -> Result<Loops> {
        loops(&self.rectangles, self.poisson)
    }

    /// Displacement of the pixel centres.
    ///
    /// # Errors
    /// As [`Source::loops`].
    pub fn field(&self, frame: &Frame) -> Result<Grid<[f64; 3]>> {
        on_grid(&self.loops()?, &frame.pixels())
    }
}

/// Largest length of a vector.
pub fn largest(field: &Grid<[f64; 3]>) -> f64 {
    field.data.iter().map(|u| u.iter().map(|v| v * v).sum::<f64>()).fold(0.0, f64::max).sqrt()
}

fn sized(laws: &[Regression; 2], magnitude: f64, rng: &mut Pcg64) -> (f64, f64) {
    let [length, width] = laws.map(|l| 1e3 * l.at(magnitude) * 10f64.powf(l.sigma * normal(rng).clamp(-2.0, 2.0)));
    (length, width)
}

/// Dip 8 to 30 degrees, depth of the middle 10 to 50 km, rake 90 degrees within 15, along the trench within 10.
fn interface(spec: &SourceSpec, rng: &mut Pcg64) -> Source {
    let magnitude = draw(spec.magnitude.unwrap_or((5.8, 7.2)), rng);
    let trench = spec.trench_deg.unwrap_or_else(|| rng.random_range(0.0..360.0));
    let strike_deg = (trench + rng.random_range(-10.0..10.0)).rem_euclid(360.0);
    let dip_deg: f64 = rng.random_range(8.0..30.0);
    let (length, width) = sized(&STRASSER_INTERFACE, magnitude, rng);
    let half = 0.5 * width * dip_deg.to_radians().sin();
    let depth = rng.random_range(10e3..50e3f64).max(half + SHALLOWEST);
    Source {
        kind: SourceKind::Megathrust,
        magnitude,
        strike_deg,
        dip_deg,
        rake_deg: 90.0 + rng.random_range(-15.0..15.0),
        length,
        width,
        mean_slip: moment(magnitude) / (INTERFACE_MODULUS * length * width),
        shear_modulus: INTERFACE_MODULUS,
        centre: [0.0, 0.0, depth],
        slow_days: None,
        rectangles: Vec::new(),
        poisson: spec.poisson,
    }
}

/// Strike slip on steep faults, reverse at 25 to 50 degrees or normal at 45 to 70, a third each, middle 4 to 15 km deep.
fn crustal(spec: &SourceSpec, rng: &mut Pcg64) -> Source {
    let magnitude = draw(spec.magnitude.unwrap_or((5.5, 6.8)), rng);
    let (rake, dips, laws) = match rng.random_range(0..3) {
        0 => (if rng.random_bool(0.5) { 0.0 } else { 180.0 }, 65.0..90.0, None),
        1 => (90.0, 25.0..50.0, Some(&BLASER_REVERSE)),
        _ => (-90.0, 45.0..70.0, Some(&BLASER_NORMAL)),
    };
    let strike_deg = rng.random_range(0.0..360.0);
    let dip_deg: f64 = rng.random_range(dips);
    let (length, width) = match laws {
        Some(laws) => sized(laws, magnitude, rng),
        None => {
            let size = ScalingLaw::WellsCoppersmith1994.draw_size(magnitude, rng);
            (size.length, size.width)
        }
    };
    let sin = dip_deg.to_radians().sin();
    let wanted = width;
    let width = wanted.min((DEEPEST - SHALLOWEST) / sin);
    // The crust is too thin for the width: the rupture is longer.
    let length = length * wanted / width;
    let half = 0.5 * width * sin;
    let depth = rng.random_range(4e3..15e3f64).min(DEEPEST - half).max(half + SHALLOWEST);
    Source {
        kind: SourceKind::Crustal,
        magnitude,
        strike_deg,
        dip_deg,
        rake_deg: rake + rng.random_range(-15.0..15.0),
        length,
        width,
        mean_slip: moment(magnitude) / (SHEAR_MODULUS * length * width),
        shear_modulus: SHEAR_MODULUS,
        centre: [0.0, 0.0, depth],
        slow_days: None,
        rectangles: Vec::new(),
        poisson: spec.poisson,
    }
}
