//! Autocorrelation of the matching residual, pooled over windows of the scene.

use rustfft::num_complex::Complex32;

use super::fft2::{FftCache, good_size};
use super::prefilter::Kernel;
use crate::grid::Grid;

/// Sums of r(x)·r(x + lag) over windows, each window scaled to unit variance.
///
/// The sums of a window are the inverse transform of its power spectrum, once it is padded with zeros (Wiener-Khinchin);
/// so the spectra of all windows are added up and transformed back at the end.
#[derive(Debug, Clone)]
pub struct ResidualCorrelation {
    radius: usize,
    /// Of the windows, all the same, and of the padded ones.
    size: (usize, usize),
    padded: (usize, usize),
    power: Vec<f64>,
    pub windows: usize,
}

impl ResidualCorrelation {
    /// Lags up to `radius` pixels on both axes, for windows of `size`.
    pub fn new(radius: usize, size: (usize, usize)) -> Self {
        let padded = (good_size(size.0 + radius), good_size(size.1 + radius));
        let power = vec![0.0; (padded.0 / 2 + 1) * padded.1];
        ResidualCorrelation { radius, size, padded, power, windows: 0 }
    }

    /// Adds a window's residual (row-major, zero where invalid) of the given variance.
    pub fn add(&mut self, residual: &[f32], variance: f64, ffts: &mut FftCache) {
        let (w, h) = self.size;
        if variance <= 0.0 || w <= 2 * self.radius || h <= 2 * self.radius {
            return;
        }
        let plan = ffts.real(self.padded.0, self.padded.1);
        plan.forward_rows(h, |y, row| {
            row[..w].copy_from_slice(&residual[y * w..(y + 1) * w]);
            row[w..].fill(0.0);
        });
        let mut spectrum = vec![Complex32::ZERO; plan.spectrum_len()];
        plan.forward_columns(&mut spectrum, None);
        for (sum, v) in self.power.iter_mut().zip(&spectrum) {
            *sum += f64::from(v.norm_sqr()) / variance;
        }
        self.windows += 1;
    }

    pub fn merge(&mut self, other: &ResidualCorrelation) {
        self.power.iter_mut().zip(&other.power).for_each(|(a, b)| *a += b);
        self.windows += other.windows;
    }

    /// Σρ² over all lags, at least 1: how many pixels are worth one.
    pub fn squares(&self, ffts: &mut FftCache) -> f64 {
        self.kernel(ffts).weights.data.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().max(1.0)
    }

    /// The normalised autocorrelation, faded to zero at the largest lag; a delta when nothing was added.
    pub fn kernel(&self, ffts: &mut FftCache) -> Kernel {
        let r = self.radius as isize;
        let (w, h) = self.padded;
        // Of unit mean, for single precision's sake.
        let scale = self.power.len() as f64 / self.power.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        let power: Vec<Complex32> = self.power.iter().map(|v| Complex32::new((v * scale) as f32, 0.0)).collect();
        let mut sums = vec![0.0; w * h];
        ffts.real(w, h).inverse(&power, &mut sums);
        let at = |lx: isize, ly: isize| {
            let wrapped = |lag: isize, n: usize| lag.rem_euclid(n as isize) as usize;
            let pairs = (self.size.0 - lx.unsigned_abs()) * (self.size.1 - ly.unsigned_abs());
            f64::from(sums[wrapped(ly, h) * w + wrapped(lx, w)]) / pairs as f64
        };
        let zero = at(0, 0);
        let side = (2 * r + 1) as usize;
        let weights = Grid::from_fn(side, side, |x, y| {
            let (lx, ly) = (x as isize - r, y as isize - r);
            if lx == 0 && ly == 0 {
                return 1.0;
            }
            if self.windows == 0 || zero <= 0.0 {
                return 0.0;
            }
            let distance = (lx as f64).hypot(ly as f64) / (r as f64 + 1.0);
            let fade = if distance >= 1.0 { 0.0 } else { 0.5 + 0.5 * (std::f64::consts::PI * distance).cos() };
            (at(lx, ly) / zero * fade) as f32
        });
        Kernel { weights, reach: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moving_average_of_white_noise_has_its_triangle_correlation() {
        let mut c = ResidualCorrelation::new(4, (47, 48));
        let mut ffts = FftCache::default();
        let mut state = 1u32;
        for _ in 0..40 {
            let white: Vec<f32> = (0..48 * 48)
                .map(|_| {
                    state = state.wrapping_mul(1664525).wrapping_add(1013904223);
                    (state >> 8) as f32 / (1 << 24) as f32 - 0.5
                })
                .collect();
            // Mean of two neighbours along x: ρ(±1, 0) = 1/2.
            let r: Vec<f32> =
                (0..48 * 47).map(|k| white[k / 47 * 48 + k % 47] + white[k / 47 * 48 + k % 47 + 1]).collect();
            let variance = r.iter().map(|v| (v * v) as f64).sum::<f64>() / r.len() as f64;
            c.add(&r, variance, &mut ffts);
        }
        let k = c.kernel(&mut ffts);
        let fade = |d: f64| 0.5 + 0.5 * (std::f64::consts::PI * d / 5.0).cos();
        assert!((k.weights.get(5, 4) as f64 - 0.5 * fade(1.0)).abs() < 0.02);
        assert!((k.weights.get(3, 4) as f64 - 0.5 * fade(1.0)).abs() < 0.02);
        assert!(k.weights.get(4, 5).abs() < 0.02 && k.weights.get(4, 4) == 1.0);
    }
}
