//! Doubling the sampling rate of an image by zero-padding its spectrum.
//!
//! A spline laid on the pixel grid of a sharp image loses contrast near the Nyquist frequency; laid on the doubled
//! grid it does not, because the image then has nothing above half of the new Nyquist frequency.

use rayon::prelude::*;
use realfft::RealFftPlanner;
use rustfft::num_complex::Complex;

use super::bspline::mirror;
use super::fft2::{good_length, transpose};
use crate::grid::Grid;

/// Pixels added on each side of an image that is not periodic.
const MARGIN: usize = 64;

/// Doubles the sampling rate of a periodic image: sample (2x, 2y) of the result is pixel (x, y).
pub fn double_periodic(image: &Grid<f64>) -> Grid<f64> {
    let (width, height) = (image.width, image.height);
    let wide = double_rows(&image.data, width);
    let turned = transpose(&wide, 2 * width);
    let tall = double_rows(&turned, height);
    Grid::from_vec(2 * width, 2 * height, transpose(&tall, 2 * height))
}

/// Doubles the sampling rate of any image: sample (2x, 2y) of the result is pixel (x, y).
///
/// The image is continued by its mirror image, which fades into the mean, so that the wrap-around of the Fourier
/// transform meets no step. Within a few pixels of the border the mirror image is part of the result.
pub fn double_mirrored(image: &Grid<f64>) -> Grid<f64> {
    let padded = |n: usize| good_length(n + 2 * MARGIN);
    let (pw, ph) = (padded(image.width), padded(image.height));
    let mean = image.data.iter().sum::<f64>() / image.data.len().max(1) as f64;
    // Weight of padded sample k: 1 inside, falling to 0 halfway round the period.
    let weight = |k: usize, n: usize, total: usize| {
        let outside = (total - n) as f64 / 2.0;
        let distance = if k < n { 0.0 } else { ((k - n + 1) as f64).min((total - k) as f64) };
        0.5 + 0.5 * (std::f64::consts::PI * (distance / outside).min(1.0)).cos()
    };
    let source = |k: usize, n: usize, total: usize| {
        let k = if k < n + (total - n) / 2 { k as i64 } else { k as i64 - total as i64 };
        mirror(k, n)
    };
    let big = Grid::from_fn(pw, ph, |x, y| {
        let w = weight(x, image.width, pw) * weight(y, image.height, ph);
        mean + w * (image.get(source(x, image.width, pw), source(y, image.height, ph)) - mean)
    });
    let doubled = double_periodic(&big);
    doubled.crop(crate::grid::Window::new(0, 0, 2 * image.width, 2 * image.height))
}

fn double_rows(data: &[f64], width: usize) -> Vec<f64> {
    let mut planner = RealFftPlanner::<f64>::new();
    let (forward, inverse) = (planner.plan_fft_forward(width), planner.plan_fft_inverse(2 * width));
    let mut out = vec![0.0; 2 * data.len()];
    out.par_chunks_mut(2 * width).zip(data.par_chunks(width)).for_each(|(out, row)| {
        let mut row = row.to_vec();
        let mut spectrum = vec![Complex::default(); width + 1];
        // The buffers have the plans' lengths, the only thing these calls can complain about.
        let _ = forward.process(&mut row, &mut spectrum[..width / 2 + 1]);
        if width.is_multiple_of(2) {
            // The Nyquist frequency stands for itself and its negative: share it between the two.
            spectrum[width / 2] = Complex::new(spectrum[width / 2].re * 0.5, 0.0);
        }
        let _ = inverse.process(&mut spectrum, out);
        let scale = 1.0 / width as f64;
        out.iter_mut().for_each(|v| *v *= scale);
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_periodic_wave_is_exact_between_the_pixels() {
        for (w, h) in [(24, 20), (15, 9)] {
            let wave = |x: f64, y: f64| {
                let tau = std::f64::consts::TAU;
                (tau * (5.0 * x / w as f64 + 2.0 * y / h as f64)).cos() + (tau * 4.0 * y / h as f64).sin()
            };
            let image = Grid::from_fn(w, h, |x, y| wave(x as f64, y as f64));
            let fine = double_periodic(&image);
            for y in 0..2 * h {
                for x in 0..2 * w {
                    assert!((fine.get(x, y) - wave(x as f64 / 2.0, y as f64 / 2.0)).abs() < 1e-12);
                }
            }
        }
    }

    #[test]
    fn the_mirrored_form_keeps_the_pixels_and_is_accurate_inside() {
        // A wave that is not periodic in the image, at 0.7 of the Nyquist frequency.
        let wave = |x: f64, y: f64| (2.2 * x + 0.3 * y).cos() + 2.0;
        let image = Grid::from_fn(101, 90, |x, y| wave(x as f64, y as f64));
        let fine = double_mirrored(&image);
        assert_eq!((fine.width, fine.height), (202, 180));
        for y in 0..90 {
            for x in 0..101 {
                assert!((fine.get(2 * x, 2 * y) - image.get(x, y)).abs() < 1e-10);
            }
        }
        for (x, y) in [(101, 91), (81, 60), (60, 101)] {
            assert!((fine.get(x, y) - wave(x as f64 / 2.0, y as f64 / 2.0)).abs() < 0.01, "{x} {y}");
        }
    }
}
