//! Doubling the sampling rate of an image.
//!
//! A spline laid on the pixel grid of a sharp image loses contrast near the Nyquist frequency; laid on the doubled
//! grid it does not, because the image then has nothing above half of the new Nyquist frequency.

use rayon::prelude::*;
use realfft::RealFftPlanner;
use rustfft::num_complex::Complex;

use super::bspline::mirror;
use super::fft2::{transpose, transpose_by};
use crate::grid::Grid;

/// Half the length of the local interpolator in pixels.
const REACH: usize = 48;
/// Shape of its Kaiser window: flat to 1e-4 up to 0.95 of the Nyquist frequency.
const BETA: f64 = 7.9;

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
/// The values between the pixels come from a sinc of finite length (Kaiser window, 96 pixels): what lies farther away,
/// like the border beyond which the image is continued by its mirror image, has no influence at all, whereas a Fourier
/// transform of the whole image carries the border's disturbance across it.
///
/// Reference: Kaiser (1974), "Nonrecursive digital filter design using the I0-sinh window function".
pub fn double_mirrored(image: &Grid<f64>) -> Grid<f64> {
    doubled(image, 1)
}

/// [`double_mirrored`] on this thread alone.
pub fn double_mirrored_alone(image: &Grid<f64>) -> Grid<f64> {
    doubled(image, usize::MAX)
}

/// At least `rows` rows a task.
fn doubled(image: &Grid<f64>, rows: usize) -> Grid<f64> {
    let (width, height) = (image.width, image.height);
    let taps = half_sample_taps();
    let wide = interleave_rows(&image.data, width, &taps, rows);
    let turned = transpose_by(&wide, 2 * width, rows);
    let tall = interleave_rows(&turned, height, &taps, rows);
    Grid::from_vec(2 * width, 2 * height, transpose_by(&tall, 2 * height, rows))
}

/// Weights of the pixels at distances 0.5, 1.5, ... from a point half-way between two pixels; they sum to 0.5.
fn half_sample_taps() -> Vec<f64> {
    let kaiser = |t: f64| bessel_i0(BETA * (1.0 - t * t).max(0.0).sqrt()) / bessel_i0(BETA);
    let mut taps: Vec<f64> = (0..REACH)
        .map(|k| {
            let d = k as f64 + 0.5;
            let a = std::f64::consts::PI * d;
            a.sin() / a * kaiser(d / REACH as f64)
        })
        .collect();
    // A constant must stay exactly constant.
    let sum: f64 = 2.0 * taps.iter().sum::<f64>();
    taps.iter_mut().for_each(|t| *t /= sum);
    taps
}

/// Modified Bessel function of the first kind, order 0, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let q = x * x / 4.0;
    let (mut term, mut sum, mut k) = (1.0, 1.0, 1.0);
    while term > 1e-17 * sum {
        term *= q / (k * k);
        sum += term;
        k += 1.0;
    }
    sum
}

fn interleave_rows(data: &[f64], width: usize, taps: &[f64], rows: usize) -> Vec<f64> {
    let mut out = vec![0.0; 2 * data.len()];
    out.par_chunks_mut(2 * width).zip(data.par_chunks(width)).with_min_len(rows).for_each(|(out, row)| {
        let padded: Vec<f64> = (-(REACH as i64)..(width + REACH) as i64).map(|k| row[mirror(k, width)]).collect();
        for x in 0..width {
            out[2 * x] = row[x];
            // Pixel x is padded[x + REACH].
            let (left, right) = (&padded[x + 1..=x + REACH], &padded[x + REACH + 1..=x + 2 * REACH]);
            let pairs = left.iter().rev().zip(right).zip(taps);
            out[2 * x + 1] = pairs.map(|((l, r), t)| t * (l + r)).sum();
        }
    });
    out
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
        let image = Grid::from_fn(101, 99, |x, y| wave(x as f64, y as f64));
        let fine = double_mirrored(&image);
        assert_eq!((fine.width, fine.height), (202, 198));
        for y in 0..99 {
            for x in 0..101 {
                assert!((fine.get(2 * x, 2 * y) - image.get(x, y)).abs() < 1e-10);
            }
        }
        // Beyond the interpolator's reach from the border.
        for (x, y) in [(101, 91), (100, 91), (101, 96), (97, 97)] {
            let error = fine.get(x, y) - wave(x as f64 / 2.0, y as f64 / 2.0);
            assert!(error.abs() < 2e-4, "{x} {y}: {error}");
        }
    }
}
