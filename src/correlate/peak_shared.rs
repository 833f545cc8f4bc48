//! The normalised cross-correlation of one window as a function of a continuous displacement ([`super::peak`]), from sums
//! shared by all windows of a tile ([`super::lag_sums`]).

use super::half_pixel::{HalfPixels, nearest};
use super::interp::Coefficients;
use super::lag_sums::{Around, Lags, SIDE};
use super::peak::{Jet, away, norm_at, quotient, separable, taps};
use super::window_sums::WindowTerms;
use crate::field::PixelShift;

/// One band of one window without weights, from sums shared by all windows of a tile.
pub struct SharedCorrelation {
    terms: WindowTerms,
    around: Around,
    /// Σ (f - mean)·c at the lags around the start.
    lags: Lags,
    /// The half pixel nearest to the start and the norms of the post window around it.
    half: (i64, i64),
    norms: [f64; 9],
}

impl SharedCorrelation {
    /// For a climb from `start`; `energies` are those of the post window at the lags of [`Around::quadratic`].
    pub fn new(
        terms: WindowTerms,
        start: PixelShift,
        (around, lags): (Around, Lags),
        (quadratic, energies): (&Around, &Lags),
        halves: &HalfPixels,
    ) -> Self {
        let half = nearest(start);
        let mut norms = [0.0; 9];
        for (k, norm) in norms.iter_mut().enumerate() {
            let half = (half.0 + k as i64 % 3 - 1, half.1 + k as i64 / 3 - 1);
            *norm = halves.gain(half) * energies[quadratic.index(half)];
        }
        SharedCorrelation { terms, around, lags, half, norms }
    }

    /// The lags and norms reach around displacement `d`.
    #[inline(always)]
    pub fn reaches(&self, d: PixelShift) -> bool {
        self.around.reaches(d) && !away(d, self.half)
    }

    /// As [`WindowCorrelation::at`](super::peak::WindowCorrelation::at), within the reach.
    #[inline(always)]
    pub fn at(&self, c: &Coefficients, d: PixelShift) -> Option<Jet> {
        let factor = c.factor as f64;
        let product = spline_of_six(&self.lags, self.around.place(d, factor), factor);
        let norm = norm_at(&self.norms, d, self.half);
        (norm.value > 0.0 && self.terms.energy > 0.0).then(|| quotient(&product, &norm, self.terms.energy))
    }
}

/// The spline through the 6 × 6 of the lags around `at` (coefficient units from the first); derivatives per pixel.
#[inline(always)]
fn spline_of_six(lags: &Lags, at: (f64, f64), factor: f64) -> Jet {
    let first = |t: f64| t.floor() as usize - 2;
    let (x, y) = (first(at.0), first(at.1));
    let weights = (taps::<6>(at.0, x as f64), taps(at.1, y as f64));
    separable(&lags[y * SIDE + x..], SIDE, &weights, factor)
}
