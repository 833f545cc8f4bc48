//! The prefilter that the pair's own coherence asks for.
//!
//! With magnitude coherence c(|ω|) between the aligned images and power spectra S_f, S_g, least squares on images
//! filtered by H = sqrt( c²/(1-c²) / (c·sqrt(S_f·S_g)) ) weighs every frequency by c²/(1-c²), its share of the Fisher
//! information on a shift (Carter 1987, "Coherence and time delay estimation", Proc. IEEE 75, eq. 20). H whitens where
//! the change between the dates is red, and is a Wiener low-pass where the noise is white.

use rustfft::num_complex::Complex32;

use super::fft2::{FftCache, omega};
use super::radial::Radial;
use crate::grid::Grid;

/// Half side of the filter kernel in pixels.
pub const RADIUS: usize = 15;

/// Coherence is kept within these limits before it becomes a weight.
pub const COHERENCE_LIMITS: (f32, f32) = (0.03, 0.9995);

/// Power below this share of the spectrum's maximum is rounding and leakage; it is not amplified further.
const POWER_FLOOR: f32 = 1e-6;

/// Share of the filtered image's power that the end of the data may add to a pixel that is used.
const TAIL_POWER: f64 = 0.03;

/// Waves longer than this many pixels are continued by the fill and make no edge.
const FILL_REACH: f64 = 16.0;

/// Fisher-information weight c²/(1-c²) of a magnitude coherence.
pub fn information(c: f32) -> f32 {
    let c = c.clamp(COHERENCE_LIMITS.0, COHERENCE_LIMITS.1);
    c * c / (1.0 - c * c)
}

/// The amplitude response H from coherence and the two power spectra.
pub fn response(coherence: &Radial, power_pre: &Radial, power_post: &Radial) -> Radial {
    let common = |f: f32, g: f32| (f * g).sqrt();
    let top = power_pre.values.iter().zip(&power_post.values).map(|(&f, &g)| common(f, g)).fold(0.0, f32::max);
    let floor = (POWER_FLOOR * top).max(f32::MIN_POSITIVE);
    let mut values: Vec<f32> = coherence
        .values
        .iter()
        .zip(power_pre.values.iter().zip(&power_post.values))
        .map(|(&c, (&f, &g))| {
            let c = c.clamp(COHERENCE_LIMITS.0, COHERENCE_LIMITS.1);
            (information(c) / (c * common(f, g).max(floor))).sqrt()
        })
        .collect();
    // The mean of a window carries no shift; the first ring would otherwise see its leakage.
    if values.len() > 1 {
        values[0] = 0.0;
    }
    let largest = values.iter().cloned().fold(0.0f32, f32::max);
    if largest > 0.0 {
        values.iter_mut().for_each(|v| *v /= largest);
    }
    Radial { step: coherence.step, values }
}

/// A small square convolution kernel, symmetric about its centre.
#[derive(Debug, Clone, PartialEq)]
pub struct Kernel {
    /// Weights on an odd square, centre in the middle.
    pub weights: Grid<f32>,
    /// Pixels nearer than this to an invalid one are contaminated by the fill and must not be used.
    pub reach: usize,
}

impl Kernel {
    /// The kernel whose transform approximates the radial response, tapered to zero at its rim, with unit energy.
    pub fn from_radial(response: &Radial, ffts: &mut FftCache) -> Kernel {
        let n = 4 * (RADIUS + 1);
        let plan = ffts.real(n, n);
        let spectrum: Vec<Complex32> =
            response.on_half_spectrum(n, n).into_iter().map(|v| Complex32::new(v, 0.0)).collect();
        let mut image = vec![0.0; n * n];
        plan.inverse(&spectrum, &mut image);
        let side = 2 * RADIUS + 1;
        let at = |i: usize| (i + n - RADIUS) % n;
        let taper = |i: usize, j: usize| {
            let r = (i as f64 - RADIUS as f64).hypot(j as f64 - RADIUS as f64) / (RADIUS as f64 + 1.0);
            if r >= 1.0 { 0.0 } else { (0.5 + 0.5 * (std::f64::consts::PI * r).cos()) as f32 }
        };
        let mut weights = Grid::from_fn(side, side, |x, y| image[at(y) * n + at(x)] * taper(x, y));
        let energy: f64 = weights.data.iter().map(|&v| (v as f64).powi(2)).sum();
        let scale = if energy > 0.0 { (1.0 / energy.sqrt()) as f32 } else { 0.0 };
        weights.data.iter_mut().for_each(|v| *v *= scale);
        Kernel { weights, reach: 0 }
    }

    /// Sets the reach for images of the given power spectrum: as far as the end of the data is felt.
    pub fn reaching(mut self, power: &Radial, ffts: &mut FftCache) -> Kernel {
        let n = 4 * (RADIUS + 1);
        let response = self.on_half_spectrum(n, n, ffts);
        let spectrum = power.on_half_spectrum(n, n);
        let (mut filtered, mut edge) = (0.0f64, 0.0f64);
        for kx in 0..=n / 2 {
            for ky in 0..n {
                let k = kx * n + ky;
                let p = spectrum[k] as f64;
                filtered += p * (response[k] as f64).powi(2);
                if omega(kx, n).hypot(omega(ky, n)) > std::f64::consts::TAU / FILL_REACH {
                    edge += p;
                }
            }
        }
        let felt = |r: usize| outside_energy(&self.weights, r) * edge > TAIL_POWER * filtered;
        self.reach = (0..RADIUS).find(|&r| !felt(r)).unwrap_or(RADIUS);
        self
    }

    /// The kernel's transform (real, because the kernel is symmetric) on the transposed half spectrum of `width` ×
    /// `height`, both larger than the kernel.
    pub fn on_half_spectrum(&self, width: usize, height: usize, ffts: &mut FftCache) -> Vec<f32> {
        let plan = ffts.real(width, height);
        let mut image = vec![0.0; width * height];
        let radius = self.weights.width / 2;
        let wrap = |i: usize, n: usize| (i + n - radius) % n;
        for y in 0..self.weights.height {
            for x in 0..self.weights.width {
                image[wrap(y, height) * width + wrap(x, width)] += self.weights.get(x, y);
            }
        }
        let mut spectrum = vec![Complex32::ZERO; plan.spectrum_len()];
        plan.forward(&image, &mut spectrum);
        spectrum.into_iter().map(|v| v.re).collect()
    }
}

/// Share of the energy farther than `r` (Chebyshev) from the centre.
fn outside_energy(weights: &Grid<f32>, r: usize) -> f64 {
    let mut outside = 0.0;
    for y in 0..weights.height {
        for x in 0..weights.width {
            if x.abs_diff(RADIUS).max(y.abs_diff(RADIUS)) > r {
                outside += (weights.get(x, y) as f64).powi(2);
            }
        }
    }
    outside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_response_is_a_delta() {
        let flat = Radial { step: 0.1, values: vec![1.0; 60] };
        let k = Kernel::from_radial(&flat, &mut FftCache::default());
        assert!((k.weights.get(RADIUS, RADIUS) - 1.0).abs() < 1e-5);
        assert_eq!(k.reach, 0);
    }

    #[test]
    fn the_kernel_follows_a_smooth_response() {
        let high_pass = Radial { step: 0.1, values: (0..60).map(|i| (i as f32 / 31.0).min(1.0)).collect() };
        let mut ffts = FftCache::default();
        let k = Kernel::from_radial(&high_pass, &mut ffts);
        let got = k.on_half_spectrum(96, 80, &mut ffts);
        let want = high_pass.on_half_spectrum(96, 80);
        let ratio = got[40 * 80] / want[40 * 80];
        for kx in (4..48).step_by(4) {
            assert!((got[kx * 80] / ratio - want[kx * 80]).abs() < 0.05, "kx {kx}");
        }
        let red = Radial { step: 0.1, values: (0..60).map(|i| 1.0 / (1.0 + i as f32).powi(2)).collect() };
        let k = k.reaching(&red, &mut ffts);
        assert!(k.reach >= 1 && k.reach < RADIUS);
    }
}
