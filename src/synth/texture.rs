//! A procedural scene: shaded relief, fields, woods, roads and buildings, with the spectrum of a sharp satellite image.
//!
//! The scene is painted on a grid of twice the sampling rate, brought to the amplitude spectrum of natural scenes
//! seen through the sensor's point spread function (which keeps edges and lines where they are) and sampled below the
//! Nyquist frequency: the image is band limited, so that every sub-pixel shift of it is defined exactly.

use rand::RngExt;
use rand_pcg::Pcg64;
use rustfft::num_complex::Complex;

use super::fft2::Spectrum;
use super::paint::{Parcels, buildings, roads};
use super::random::white;
use super::spectrum::{SceneSpectrum, gaussian_field, moments, quantile, shape, standardised};
use crate::grid::Grid;

/// A periodic scene of `width` × `height` pixels (both even), zero mean, unit standard deviation.
pub fn scene(width: usize, height: usize, law: SceneSpectrum, rng: &mut Pcg64) -> Grid<f64> {
    let painted = paint(2 * width, 2 * height, rng);
    let mut spectrum = Spectrum::of(&painted);
    // Frequencies of the painting are per half pixel.
    shape(&mut spectrum, |f| law.amplitude(2.0 * f));
    standardised(spectrum.half_rate().into_image())
}

/// The scene before the sensor, two samples per pixel.
fn paint(width: usize, height: usize, rng: &mut Pcg64) -> Grid<f64> {
    let relief = shaded_relief(width, height, rng);
    let fine = gaussian_field(width, height, rng, |f| f.max(1e-3).powf(-1.1));
    let cover = gaussian_field(width, height, rng, |f| f.max(2e-3).powf(-1.5));
    // Lowland: the smoother part of the country, farmed.
    let plain = gaussian_field(width, height, rng, |f| f.max(1.0 / 700.0).powf(-2.2));
    let level = quantile(&plain.data, 0.55);
    let parcels = Parcels::new(width, height, rng);
    let mut out = Grid::from_fn(width, height, |x, y| {
        let low = soft_step((plain.get(x, y) - level) * 12.0);
        let wood = soft_step((cover.get(x, y) - 0.6) * 5.0);
        let hills = 1.0 * relief.get(x, y) - 0.9 * wood + 0.25 * cover.get(x, y);
        let farms = parcels.tone(x as f64, y as f64) + 0.12 * relief.get(x, y);
        hills * (1.0 - low) + farms * low + 0.8 * fine.get(x, y)
    });
    roads(&mut out, rng);
    buildings(&mut out, &plain, level, rng);
    let (mean, std) = moments(&out.data);
    // Sun glints and deep shadows saturate; the limit keeps the written image within its number range.
    out.data.iter_mut().for_each(|v| *v = 3.5 * ((*v - mean) / (3.5 * std)).tanh());
    out
}

/// Hill shading of a fractal landscape with creases: valleys and ridges are the zero lines of a smooth field.
fn shaded_relief(width: usize, height: usize, rng: &mut Pcg64) -> Grid<f64> {
    let sun = rng.random_range(0.0..std::f64::consts::TAU);
    let (sx, sy) = sun.sin_cos();
    let mut sum = Grid::filled(width, height, 0.0);
    // Large massifs and, on them, smaller spurs.
    for (outer, weight) in [(1.0 / 500.0, 1.0), (1.0 / 120.0, 0.5)] {
        let mut heights = Spectrum::of(&white(width, height, rng));
        heights.filter(|fx, fy| fx.hypot(fy).max(outer).powf(-2.0));
        heights.data[0] = Complex::default();
        let mut slopes = heights.clone();
        slopes.multiply(|fx, fy| Complex::new(0.0, fx * sx + fy * sy));
        let heights = standardised(heights.into_image());
        let slopes = standardised(slopes.into_image());
        for ((s, h), g) in sum.data.iter_mut().zip(&heights.data).zip(&slopes.data) {
            // d|h| = sign(h) dh, rounded off at the crease itself.
            *s += weight * g * h / (h * h + 0.002).sqrt();
        }
    }
    standardised(sum)
}

fn soft_step(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Random vegetation or moisture change between two dates: a Gaussian field with the scene's own spectrum.
pub fn change_field(width: usize, height: usize, law: SceneSpectrum, rng: &mut Pcg64) -> Grid<f64> {
    gaussian_field(width, height, rng, |f| if f < 0.5 { law.amplitude(f) } else { 0.0 })
}

/// Weight 0 to 1 of patches that cover the share `area` of the image; their edges are as sharp as the sensor allows.
pub fn patches(width: usize, height: usize, area: f64, rng: &mut Pcg64) -> Grid<f64> {
    let field = gaussian_field(width, height, rng, |f| (-(f * 40.0).powi(2)).exp() * (f * 40.0));
    let level = quantile(&field.data, 1.0 - area);
    // The field changes by about its standard deviation in 10 px: the factor makes an edge of about a pixel.
    field.map(|v| soft_step((v - level) * 12.0))
}

/// A smooth illumination difference: wavelengths of a quarter of the image and more, unit standard deviation.
pub fn shading(width: usize, height: usize, rng: &mut Pcg64) -> Grid<f64> {
    let cut = 3.0 / width.max(height) as f64;
    gaussian_field(width, height, rng, |f| (-(f / cut).powi(2)).exp())
}
