//! Random fields and scenes with a prescribed power spectrum.

use rand_pcg::Pcg64;

use super::fft2::{Spectrum, signed};
use super::random::white;
use crate::grid::Grid;

/// Amplitude of an optical scene seen by a sharp sensor, as a function of the frequency f in cycles per pixel:
/// f^-0.9 (natural scenes have about f^-1: Field 1987, JOSA A 4), flat below `outer`, times the transfer of optics and
/// detector.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SceneSpectrum {
    /// Exponent of the amplitude.
    pub slope: f64,
    /// Frequency below which the amplitude stays constant.
    pub outer: f64,
    /// Standard deviation of the Gaussian point spread function in pixels.
    pub psf: f64,
}

impl Default for SceneSpectrum {
    fn default() -> Self {
        // A Gaussian point spread of 0.53 px passes a quarter of the contrast at the Nyquist frequency.
        SceneSpectrum { slope: 0.9, outer: 1.0 / 600.0, psf: 0.53 }
    }
}

impl SceneSpectrum {
    /// Amplitude at frequency `f`.
    pub fn amplitude(&self, f: f64) -> f64 {
        f.max(self.outer).powf(-self.slope) * gaussian_transfer(f, self.psf)
    }
}

/// Transfer function of a Gaussian of standard deviation `sigma` px.
pub fn gaussian_transfer(f: f64, sigma: f64) -> f64 {
    (-2.0 * (std::f64::consts::PI * sigma * f).powi(2)).exp()
}

/// A periodic Gaussian random field with zero mean and unit standard deviation whose amplitude spectrum is
/// proportional to `amplitude(|f|)`, f in cycles per pixel.
pub fn gaussian_field(
    width: usize,
    height: usize,
    rng: &mut Pcg64,
    amplitude: impl Fn(f64) -> f64 + Sync,
) -> Grid<f64> {
    let mut spectrum = Spectrum::of(&white(width, height, rng));
    spectrum.filter(|fx, fy| amplitude(fx.hypot(fy)));
    spectrum.data[0] = Default::default();
    standardised(spectrum.into_image())
}

/// The image minus its mean, divided by its standard deviation.
pub fn standardised(mut image: Grid<f64>) -> Grid<f64> {
    let (mean, std) = moments(&image.data);
    let scale = if std > 0.0 { 1.0 / std } else { 0.0 };
    image.data.iter_mut().for_each(|v| *v = (*v - mean) * scale);
    image
}

/// Mean and standard deviation.
pub fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
    (mean, variance.sqrt())
}

/// Gives a scene the radial amplitude spectrum `amplitude(|f|)` while it keeps its phases, i.e. its edges and lines.
pub fn shape(spectrum: &mut Spectrum, amplitude: impl Fn(f64) -> f64 + Sync) {
    // Mean power on rings of equal width in log f; few frequencies share a ring at the low end, where the correction
    // must not iron out the scene's own variations, hence the wide rings.
    const RINGS: usize = 24;
    let (width, height) = (spectrum.width, spectrum.height);
    let lowest = 1.0 / width.max(height) as f64;
    let position =
        |f: f64| ((f / lowest).max(1.0).ln() / (0.75 / lowest).ln() * RINGS as f64).min(RINGS as f64 - 0.001);
    let mut power = [0.0; RINGS];
    let mut count = [0.0; RINGS];
    for kx in 0..=width / 2 {
        for ky in 0..height {
            let f = (kx as f64 / width as f64).hypot(signed(ky, height));
            if f > 0.0 {
                let ring = position(f) as usize;
                power[ring] += spectrum.data[kx * height + ky].norm_sqr() / amplitude(f).powi(2);
                count[ring] += 1.0;
            }
        }
    }
    let mut gain: Vec<f64> = Vec::with_capacity(RINGS);
    for ring in 0..RINGS {
        let value = if count[ring] > 0.0 && power[ring] > 0.0 { (count[ring] / power[ring]).sqrt() } else { f64::NAN };
        gain.push(value);
    }
    fill_gaps(&mut gain);
    spectrum.filter(|fx, fy| {
        let f = fx.hypot(fy);
        if f == 0.0 {
            return 0.0;
        }
        // Linear in log gain between the ring centres.
        let p = (position(f) - 0.5).clamp(0.0, RINGS as f64 - 1.0);
        let (i, t) = (p as usize, p.fract());
        (gain[i].ln() * (1.0 - t) + gain[(i + 1).min(RINGS - 1)].ln() * t).exp()
    });
}

/// Empty rings take the value of their neighbour.
fn fill_gaps(values: &mut [f64]) {
    for i in 1..values.len() {
        if values[i].is_nan() {
            values[i] = values[i - 1];
        }
    }
    for i in (0..values.len().saturating_sub(1)).rev() {
        if values[i].is_nan() {
            values[i] = values[i + 1];
        }
    }
}

/// The value below which the share `p` of the values lies.
pub fn quantile(values: &[f64], p: f64) -> f64 {
    let mut sorted = values.to_vec();
    let k = ((sorted.len() as f64 - 1.0) * p.clamp(0.0, 1.0)).round() as usize;
    *sorted.select_nth_unstable_by(k, f64::total_cmp).1
}
