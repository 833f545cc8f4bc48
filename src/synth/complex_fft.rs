//! Two-dimensional Fourier transforms of complex images.

use rayon::prelude::*;
use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

use super::fft2::transpose;
use crate::grid::Grid;

/// Transform of `image`, unnormalised; frequency (kx, ky) is element (kx, ky).
pub fn forward(image: &Grid<Complex<f64>>) -> Grid<Complex<f64>> {
    transform(image, true)
}

/// Multiplies every frequency (kx, ky) by a real gain, in place.
pub fn filter(image: &mut Grid<Complex<f64>>, gain: impl Fn(usize, usize) -> f64) {
    let mut spectrum = forward(image);
    let (width, scale) = (spectrum.width, 1.0 / spectrum.data.len() as f64);
    for (k, v) in spectrum.data.iter_mut().enumerate() {
        *v *= gain(k % width, k / width) * scale;
    }
    *image = transform(&spectrum, false);
}

fn transform(image: &Grid<Complex<f64>>, forward: bool) -> Grid<Complex<f64>> {
    let (width, height) = (image.width, image.height);
    let mut planner = FftPlanner::<f64>::new();
    let mut plan = |n: usize| if forward { planner.plan_fft_forward(n) } else { planner.plan_fft_inverse(n) };
    let (rows, columns) = (plan(width), plan(height));
    let mut data = image.data.clone();
    data.par_chunks_mut(width).for_each(|row| rows.process(row));
    let mut data = transpose(&data, width);
    data.par_chunks_mut(height).for_each(|column| columns.process(column));
    Grid::from_vec(width, height, transpose(&data, height))
}
