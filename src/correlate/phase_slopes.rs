//! How the phases of aliased texture change with its displacement.
//!
//! Where a frequency holds the share 1 - a of the texture and a of what is a period beyond, sampling adds both, and the phase of
//! 1 - a + a·exp(j2πd), times that of a plain shift, is what a window shows ([`super::interp`]): it stays behind ω·d near whole
//! pixels and runs ahead between them. A fit of what is left after interpolating at d must go by the slope of that phase at d,
//! and so gives no weight to frequencies that say nothing there.

use super::fft2::omega;
use super::interp::Spline;
use super::phase::PhasePlane;
use crate::field::PixelShift;

/// Offsets between a whole and a half pixel at which slopes are kept.
const OFFSETS: usize = 32;
/// Largest slope, rad per pixel: between pixels hardly anything of the finest detail is left to say more.
const STEEPEST: f64 = std::f64::consts::PI;

/// Slopes along both axes at offsets from 0 to half a pixel, for the frequencies 0 to n/2, and a plane that follows them.
pub struct Slopes {
    tables: [Vec<Vec<f32>>; 2],
    plane: PhasePlane,
}

impl Slopes {
    /// For windows of a size, in the bins of `plane`.
    pub fn new(spline: Spline, (nx, ny): (usize, usize), plane: &PhasePlane) -> Self {
        let table = |n: usize| {
            let slope = |offset: usize, k: usize| {
                spline.phase_slope(omega(k, n).abs(), 0.5 * offset as f64 / OFFSETS as f64).min(STEEPEST) as f32
            };
            (0..=OFFSETS).map(|offset| (0..=n / 2).map(|k| slope(offset, k)).collect()).collect()
        };
        Slopes { tables: [nx, ny].map(table), plane: plane.clone() }
    }

    /// The plane that fits what is left after interpolating at `d`.
    pub fn at(&mut self, d: PixelShift) -> &PhasePlane {
        let row = |axis: usize, d: f64| {
            let offset = (d - d.round()).abs();
            self.tables[axis][(2.0 * offset * OFFSETS as f64).round() as usize].as_slice()
        };
        self.plane.follow([row(0, d.dx), row(1, d.dy)]);
        &self.plane
    }
}
