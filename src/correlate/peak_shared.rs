//! The normalised cross-correlation of one window as a function of a continuous displacement ([`super::peak`]), from sums
//! shared by all windows of a tile ([`super::lag_sums`]).

use super::half_pixel::HalfPixels;
use super::interp::{Coefficients, Spline};
use super::lag_sums::{Around, Lags, SIDE};
use super::peak::{Jet, away, norm_at, quotient, separable, taps};
use super::window_sums::WindowTerms;
use crate::field::PixelShift;

/// One band of one window without weights, from sums shared by all windows of a tile.
pub struct SharedCorrelation {
    pub terms: WindowTerms,
    /// Σ (f - mean)·c at the lags around the start.
    pub lags: Lags,
    pub around: Around,
    /// Energy of the post window at the half pixels around the start.
    pub energies: Lags,
    pub halves: Around,
    /// Middle of `norms` in half pixels and the norms around it.
    half: (i64, i64),
    norms: [f64; 9],
}

impl SharedCorrelation {
    /// For a climb from `start`; the lags and energies are still to be set.
    pub fn new(terms: WindowTerms, start: PixelShift, c: &Coefficients) -> Self {
        let (none, half) = ([0.0; SIDE * SIDE], (i64::MAX, i64::MAX));
        let (around, halves) = (Around::spline(start, c.factor), Around::quadratic(start, c.factor));
        SharedCorrelation { terms, lags: none, around, energies: none, halves, half, norms: [0.0; 9] }
    }

    /// The lags reach around displacement `d`.
    #[inline(always)]
    pub fn reaches(&self, d: PixelShift) -> bool {
        self.around.reaches(d)
    }

    /// As [`WindowCorrelation::at`](super::peak::WindowCorrelation::at), within the reach of the lags.
    #[inline(always)]
    pub fn at(&mut self, c: &Coefficients, halves: &HalfPixels, d: PixelShift) -> Option<Jet> {
        if away(halves, d, self.half) {
            self.half = halves.nearest(d);
            for k in 0..9 {
                let half = (self.half.0 + k as i64 % 3 - 1, self.half.1 + k as i64 / 3 - 1);
                self.norms[k] = halves.gain(half) * self.energies[self.halves.index(half)];
            }
        }
        let factor = c.factor as f64;
        let product = spline_of_six(c.spline, &self.lags, self.around.place(d, factor), factor);
        let norm = norm_at(halves, &self.norms, d, self.half);
        (norm.value > 0.0 && self.terms.energy > 0.0).then(|| quotient(&product, &norm, self.terms.energy))
    }
}

/// The spline through the 6 × 6 of the lags around `at` (coefficient units from the first); derivatives per pixel.
#[inline(always)]
fn spline_of_six(kind: Spline, lags: &Lags, at: (f64, f64), factor: f64) -> Jet {
    let first = |t: f64| t.floor() as usize - 2;
    let (x, y) = (first(at.0), first(at.1));
    let weights = (taps::<6>(kind, at.0, x as f64), taps(kind, at.1, y as f64));
    separable(&lags[y * SIDE + x..], SIDE, &weights, factor)
}
