//! One vertical strike-slip fault that breaks the surface: rough trace, tapered slip, sharp jump.
//!
//! Across an infinitely long fault that slipped from the surface down to the depth D, a point at distance n moves along
//! strike by (s / pi) atan(D / n) (Segall 2010, "Earthquake and Volcano Deformation", eq. 2.32 with the slip above D).
//! Here the slip s also varies along strike: it is a sum of patches, each of which widens and weakens with the
//! distance from the fault, as the elastic response to it does. The full elastic solution needs a slip model at depth;
//! this one needs a trace and a few numbers, and is exactly known at every point.

use std::f64::consts::{FRAC_PI_2, PI};

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::random::{Purpose, stream};
use super::trace::self_affine;
use crate::field::PixelShift;
use crate::{Error, Result};

/// Geometry and slip of a strike-slip fault, lengths in pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultSpec {
    /// Middle of the trace (column, row).
    pub centre: (f64, f64),
    /// Azimuth of the fault, degrees clockwise from up (north in a north-up image).
    pub strike_deg: f64,
    /// Largest jump across the fault.
    pub slip: f64,
    /// `true`: seen from one side, the other moved to the left.
    pub left_lateral: bool,
    /// Half the length of the rupture; the slip falls to zero at its ends.
    pub half_length: f64,
    /// Depth down to which the fault slipped: how far from the fault the ground still moves.
    pub locking_depth: f64,
    /// Root mean square deviation of the trace from a straight line, as a share of its length.
    pub roughness: f64,
    /// Hurst exponent of the trace.
    pub hurst: f64,
}

impl FaultSpec {
    /// The standard fault for an image: N35E through the middle, 84 % of the image's shorter side long, slipped down to
    /// 15 % of it, jump up to 1.6 px, right-lateral.
    pub fn for_size(width: usize, height: usize) -> FaultSpec {
        let side = width.min(height) as f64;
        FaultSpec {
            centre: ((width as f64 - 1.0) / 2.0, (height as f64 - 1.0) / 2.0),
            strike_deg: 35.0,
            slip: 1.6,
            left_lateral: false,
            half_length: 0.42 * side,
            locking_depth: 0.15 * side,
            roughness: 4e-3,
            hurst: 0.8,
        }
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Option`] named after the command line's options.
    pub fn check(&self) -> Result<()> {
        let above_zero = |name, value: f64| match value.is_finite() && value > 0.0 {
            true => Ok(()),
            false => Err(Error::option(name, value, "give a number of pixels above 0")),
        };
        above_zero("--half-length", self.half_length)?;
        above_zero("--locking-depth", self.locking_depth)?;
        if !(self.slip.is_finite() && self.strike_deg.is_finite()) {
            return Err(Error::option("--slip", self.slip, "give finite numbers for --slip and --strike"));
        }
        // Beyond this the ground would fold over itself and no image of it exists.
        let steepest = 0.5 * self.locking_depth.min(0.12 * self.half_length);
        if self.slip.abs() > steepest {
            let why =
                format!("at most {steepest:.1} px for this length and depth; enlarge --half-length or --locking-depth");
            return Err(Error::option("--slip", self.slip, why));
        }
        match (0.0..=0.05).contains(&self.roughness) {
            true => Ok(()),
            false => Err(Error::option("--roughness", self.roughness, "give a share from 0 to 0.05")),
        }
    }
}

/// A patch of slip: amplitude, middle and half length along strike.
#[derive(Debug, Clone, Copy)]
struct Patch {
    amplitude: f64,
    middle: f64,
    half: f64,
}

impl Patch {
    /// Its share of the slip felt at the distance `n` from the fault, `t` along strike.
    fn at(&self, t: f64, n: f64) -> f64 {
        let half = self.half.hypot(n);
        let u = (t - self.middle) / half;
        let bell = (1.0 - u * u).max(0.0);
        self.amplitude * self.half / half * bell * bell
    }
}

/// A fault ready to be evaluated.
#[derive(Debug, Clone)]
pub struct Fault {
    spec: FaultSpec,
    /// Unit vectors along strike and to the right of it, (dx, dy).
    along: (f64, f64),
    right: (f64, f64),
    /// Offset of the trace to the right of the straight line, at equal steps from one tip to the other.
    offset: Vec<f64>,
    /// The same without its short wavelengths: what the trace looks like from afar.
    smooth: Vec<f64>,
    spacing: f64,
    patches: Vec<Patch>,
}

/// Spacing of the trace's vertices in pixels.
const VERTEX_SPACING: f64 = 2.0;

impl Fault {
    /// Draws the trace and the slip patches.
    pub fn new(spec: &FaultSpec, seed: u64) -> Fault {
        let (sin, cos) = spec.strike_deg.to_radians().sin_cos();
        let steps = ((2.0 * spec.half_length / VERTEX_SPACING).round() as usize).max(2);
        let rms = spec.roughness * 2.0 * spec.half_length;
        let offset = self_affine(steps + 1, spec.hurst, rms, &mut stream(seed, Purpose::Trace));
        let spacing = 2.0 * spec.half_length / steps as f64;
        let smooth = smoothed(&offset, smoothing(spec) / spacing);
        let mut fault = Fault {
            spec: spec.clone(),
            along: (sin, -cos),
            right: (cos, sin),
            offset,
            smooth,
            spacing,
            patches: patches(spec.half_length, seed),
        };
        let peak = (0..=steps).map(|i| fault.slip(i as f64 * spacing - spec.half_length)).fold(0.0, f64::max);
        let scale = spec.slip / peak;
        fault.patches.iter_mut().for_each(|p| p.amplitude *= scale);
        fault
    }

    /// The trace from tip to tip, (column, row).
    pub fn trace(&self) -> Vec<(f64, f64)> {
        self.offset
            .iter()
            .enumerate()
            .map(|(i, v)| {
                let t = i as f64 * self.spacing - self.spec.half_length;
                let (cx, cy) = self.spec.centre;
                (cx + t * self.along.0 + v * self.right.0, cy + t * self.along.1 + v * self.right.1)
            })
            .collect()
    }

    /// Jump across the trace at `t` px along strike from its middle.
    pub fn slip(&self, t: f64) -> f64 {
        self.patches.iter().map(|p| p.at(t, 0.0)).sum()
    }

    /// Largest jump.
    pub fn largest_slip(&self) -> f64 {
        self.spec.slip.abs()
    }

    /// Distance to the trace measured across strike: positive to the right of the strike direction.
    pub fn across(&self, x: f64, y: f64) -> f64 {
        let (t, v) = self.local(x, y);
        v - self.sample(&self.offset, t)
    }

    /// Displacement at (x, y).
    pub fn at(&self, x: f64, y: f64) -> PixelShift {
        self.on_side(x, y, self.across(x, y) >= 0.0)
    }

    /// Displacement of the block on the right (or left) side, continued smoothly beyond the trace.
    pub fn on_side(&self, x: f64, y: f64, right: bool) -> PixelShift {
        let (t, v) = self.local(x, y);
        let g = v - self.sample(&self.offset, t);
        // From afar the trace looks smooth; at the trace nothing but its exact position counts.
        let far = g * g / (g * g + smoothing(&self.spec).powi(2));
        let n = g + far * (self.sample(&self.offset, t) - self.sample(&self.smooth, t));
        let slip: f64 = self.patches.iter().map(|p| p.at(t, n)).sum();
        // atan(D / n) on the own side, continued through n = 0: pi/2 - atan(n / D).
        let branch = if right { FRAC_PI_2 } else { -FRAC_PI_2 };
        let moved = slip / PI * (branch - (n / self.spec.locking_depth).atan());
        let moved = if self.spec.left_lateral { moved } else { -moved };
        PixelShift::new(moved * self.along.0, moved * self.along.1)
    }

    /// Position along strike and to the right of the straight line.
    fn local(&self, x: f64, y: f64) -> (f64, f64) {
        let (u, v) = (x - self.spec.centre.0, y - self.spec.centre.1);
        (u * self.along.0 + v * self.along.1, u * self.right.0 + v * self.right.1)
    }

    /// Linear interpolation in a table along strike; constant beyond the tips.
    fn sample(&self, table: &[f64], t: f64) -> f64 {
        let last = table.len() - 1;
        let p = ((t + self.spec.half_length) / self.spacing).clamp(0.0, last as f64);
        let i = (p as usize).min(last - 1);
        table[i] + (p - i as f64) * (table[i + 1] - table[i])
    }
}

/// Wavelengths of the trace below about this length are felt only near it.
fn smoothing(spec: &FaultSpec) -> f64 {
    (0.1 * spec.half_length).max(4.0)
}

/// Gaussian smoothing of a table, `sigma` in samples; the ends are continued.
fn smoothed(table: &[f64], sigma: f64) -> Vec<f64> {
    let reach = (4.0 * sigma).ceil() as i64;
    let last = table.len() as i64 - 1;
    (0..=last)
        .map(|i| {
            let (mut sum, mut weights) = (0.0, 0.0);
            for k in -reach..=reach {
                let w = (-0.5 * (k as f64 / sigma).powi(2)).exp();
                sum += w * table[(i + k).clamp(0, last) as usize];
                weights += w;
            }
            sum / weights
        })
        .collect()
}

/// One patch as long as the rupture and a few smaller ones on it, all within the tips.
fn patches(half_length: f64, seed: u64) -> Vec<Patch> {
    let rng = &mut stream(seed, Purpose::Slip);
    let mut patches = vec![Patch { amplitude: 1.0, middle: 0.0, half: half_length }];
    for _ in 0..6 {
        let half = half_length * rng.random_range(0.12..0.35);
        let middle = rng.random_range(-1.0..1.0) * (half_length - half);
        patches.push(Patch { amplitude: rng.random_range(0.1..0.45), middle, half });
    }
    patches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault() -> (Fault, FaultSpec) {
        let spec = FaultSpec::for_size(1024, 1024);
        (Fault::new(&spec, 3), spec)
    }

    #[test]
    fn the_jump_is_the_slip_and_ends_at_the_tips() {
        let (fault, spec) = fault();
        let trace = fault.trace();
        let mut largest: f64 = 0.0;
        for (i, &(x, y)) in trace.iter().enumerate() {
            let (a, b) = (fault.on_side(x, y, true), fault.on_side(x, y, false));
            let jump = (a.dx - b.dx).hypot(a.dy - b.dy);
            let t = i as f64 * fault.spacing - spec.half_length;
            assert!((jump - fault.slip(t)).abs() < 1e-9);
            largest = largest.max(jump);
        }
        assert!((largest - 1.6).abs() < 1e-9);
        assert!(fault.slip(spec.half_length) == 0.0 && fault.slip(-spec.half_length) == 0.0);
    }

    #[test]
    fn right_lateral_moves_the_right_side_backwards() {
        // Strike N35E: the right side lies to the east-south-east and moves to the south-west.
        let (fault, _) = fault();
        let d = fault.at(511.5 + 30.0, 511.5 + 10.0);
        assert!(d.dx < -0.1 && d.dy > 0.1, "{d:?}");
        let d = fault.at(511.5 - 30.0, 511.5 - 10.0);
        assert!(d.dx > 0.1 && d.dy < -0.1, "{d:?}");
    }

    #[test]
    fn each_side_is_smooth_across_the_trace_and_far_from_it() {
        let (fault, _) = fault();
        for k in 0..2000 {
            let (x, y) = ((k * 37 % 1024) as f64, (k * 101 % 1024) as f64);
            for right in [true, false] {
                let (a, b) = (fault.on_side(x, y, right), fault.on_side(x + 0.5, y, right));
                assert!((a.dx - b.dx).hypot(a.dy - b.dy) < 0.5 * 0.03);
            }
        }
    }
}
