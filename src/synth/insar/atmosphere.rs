//! Spatially correlated delays.

use rand_pcg::Pcg64;

use super::frame::Frame;
use crate::grid::{Grid, Window};
use crate::synth::fft2::{Spectrum, good_length};
use crate::synth::random::white;
use crate::synth::spectrum::gaussian_field;

/// Largest share of the eigenvalues that may be negative, and is cut.
const NEGATIVE: f64 = 1e-6;

/// A Gaussian random field with zero mean and the covariance `exp(-r / lambda)`, lambda in metres.
///
/// By circulant embedding: the covariance, wrapped around a grid of at least twice the frame and five correlation lengths
/// more than the frame, has the Fourier transform as its eigenvalues; white noise is multiplied by their roots.
/// Reference: Dietrich and Newsam (1997), SIAM J. Sci. Comput. 18, 1088. The grid grows until the negative eigenvalues are
/// a millionth of the sum.
pub fn exponential(frame: &Frame, lambda: f64, rng: &mut Pcg64) -> Grid<f64> {
    let reach = (5.0 * lambda / frame.pixel).ceil() as usize;
    let mut side = (
        good_length((2 * frame.width).max(frame.width + reach)),
        good_length((2 * frame.height).max(frame.height + reach)),
    );
    let eigenvalues = loop {
        let (values, negative) = eigenvalues(side, frame.pixel / lambda);
        if negative <= NEGATIVE {
            break values;
        }
        side = (good_length(side.0 * 5 / 4), good_length(side.1 * 5 / 4));
    };
    let mut spectrum = Spectrum::of(&white(side.0, side.1, rng));
    spectrum.data.iter_mut().zip(&eigenvalues).for_each(|(v, e)| *v *= e.sqrt());
    spectrum.into_image().crop(Window::new(0, 0, frame.width, frame.height))
}

/// Eigenvalues of the wrapped covariance in the order of [`Spectrum::data`], negative ones as zero, and their share.
fn eigenvalues((width, height): (usize, usize), step: f64) -> (Vec<f64>, f64) {
    let wrapped = |k: usize, n: usize| k.min(n - k) as f64;
    let covariance = Grid::from_fn(width, height, |x, y| (-step * wrapped(x, width).hypot(wrapped(y, height))).exp());
    let spectrum = Spectrum::of(&covariance);
    // The other half is the same, but for the columns that are their own mirror image.
    let own = |k: usize| k / height == 0 || 2 * (k / height) == width;
    let (mut negative, mut sum) = (0.0, 0.0);
    for (k, v) in spectrum.data.iter().enumerate() {
        let weight = if own(k) { 1.0 } else { 2.0 };
        sum += weight * v.re.abs();
        negative -= weight * v.re.min(0.0);
    }
    (spectrum.data.iter().map(|v| v.re.max(0.0)).collect(), negative / sum)
}

/// Turbulence: an isotropic field with the power spectrum k^(-8/3) (Hanssen 2001, Radar Interferometry, section 4.7, beyond
/// 2 km), with zero mean and unit standard deviation over twice the frame.
pub fn turbulence(frame: &Frame, rng: &mut Pcg64) -> Grid<f64> {
    let (w, h) = (good_length(2 * frame.width), good_length(2 * frame.height));
    // Below 2 km the spectrum is that of three dimensions, k^(-11/3).
    let inner = (frame.pixel / 2000.0).min(0.5);
    let amplitude = |f: f64| {
        let f = f.max(1.0 / w.max(h) as f64);
        f.powf(-4.0 / 3.0) * (f / inner).max(1.0).powf(-0.5)
    };
    gaussian_field(w, h, rng, amplitude).crop(Window::new(0, 0, frame.width, frame.height))
}

/// A field that varies over a quarter of the frame, with zero mean and unit standard deviation over twice the frame.
pub fn smooth(frame: &Frame, rng: &mut Pcg64) -> Grid<f64> {
    let (w, h) = (good_length(2 * frame.width), good_length(2 * frame.height));
    let cut = 2.0 / frame.width.max(frame.height) as f64;
    gaussian_field(w, h, rng, |f| (-(f / cut).powi(2)).exp()).crop(Window::new(0, 0, frame.width, frame.height))
}
