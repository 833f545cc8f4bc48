//! Two-dimensional Fourier transforms of real images, for scenes and filters that are defined by their spectrum.

use rayon::prelude::*;
use realfft::RealFftPlanner;
use rustfft::{FftPlanner, num_complex::Complex};

use crate::grid::Grid;

/// The non-redundant half of the transform of a real image; unnormalised.
///
/// Frequency (kx, ky), 0 <= kx <= width / 2 and 0 <= ky < height, is `data[kx * height + ky]`.
#[derive(Debug, Clone)]
pub struct Spectrum {
    /// Size of the image in pixels.
    pub width: usize,
    pub height: usize,
    pub data: Vec<Complex<f64>>,
}

/// Rows become columns; `data` has `width` columns.
pub(crate) fn transpose<T: Copy + Default + Send + Sync>(data: &[T], width: usize) -> Vec<T> {
    transpose_by(data, width, 1)
}

/// [`transpose`] with at least `blocks` blocks of 16 rows a task.
pub(crate) fn transpose_by<T: Copy + Default + Send + Sync>(data: &[T], width: usize, blocks: usize) -> Vec<T> {
    let height = data.len() / width.max(1);
    let mut out = vec![T::default(); data.len()];
    // Blocks of rows keep both sides in cache.
    out.par_chunks_mut(height * 16).enumerate().with_min_len(blocks).for_each(|(block, rows)| {
        for y0 in (0..height).step_by(16) {
            for (i, row) in rows.chunks_mut(height).enumerate() {
                let x = block * 16 + i;
                for (y, v) in row[y0..(y0 + 16).min(height)].iter_mut().enumerate() {
                    *v = data[(y0 + y) * width + x];
                }
            }
        }
    });
    out
}

/// The smallest even length of at least `n` that is a product of 2, 3 and 5: fast to transform.
pub fn good_length(n: usize) -> usize {
    let smooth = |mut m: usize| {
        for p in [2, 3, 5] {
            while m.is_multiple_of(p) {
                m /= p;
            }
        }
        m == 1
    };
    let mut m = n.max(2).next_multiple_of(2);
    while !smooth(m) {
        m += 2;
    }
    m
}

impl Spectrum {
    /// Transform of `image`, taken as one period.
    pub fn of(image: &Grid<f64>) -> Spectrum {
        let (width, height) = (image.width, image.height);
        let half = width / 2 + 1;
        let plan = RealFftPlanner::<f64>::new().plan_fft_forward(width);
        let mut rows = vec![Complex::default(); half * height];
        rows.par_chunks_mut(half).zip(image.data.par_chunks(width)).for_each(|(out, row)| {
            let mut row = row.to_vec();
            // The lengths fit by construction, which is the only thing that can go wrong here.
            let _ = plan.process(&mut row, out);
        });
        let mut data = transpose(&rows, half);
        let plan = FftPlanner::<f64>::new().plan_fft_forward(height);
        data.par_chunks_mut(height).for_each(|column| plan.process(column));
        Spectrum { width, height, data }
    }

    /// The image with this spectrum.
    pub fn into_image(self) -> Grid<f64> {
        let (width, height) = (self.width, self.height);
        let half = width / 2 + 1;
        let mut data = self.data;
        let plan = FftPlanner::<f64>::new().plan_fft_inverse(height);
        data.par_chunks_mut(height).for_each(|column| plan.process(column));
        let mut rows = transpose(&data, height);
        let plan = RealFftPlanner::<f64>::new().plan_fft_inverse(width);
        let scale = 1.0 / (width * height) as f64;
        let mut out = vec![0.0; width * height];
        out.par_chunks_mut(width).zip(rows.par_chunks_mut(half)).for_each(|(out, row)| {
            // A real image has no imaginary part at these two; rounding left some.
            row[0].im = 0.0;
            if width.is_multiple_of(2) {
                row[half - 1].im = 0.0;
            }
            let _ = plan.process(row, out);
            out.iter_mut().for_each(|v| *v *= scale);
        });
        Grid::from_vec(width, height, out)
    }

    /// Multiplies every frequency (cycles per pixel along x and y, -0.5 to 0.5) by `gain`.
    pub fn filter(&mut self, gain: impl Fn(f64, f64) -> f64 + Sync) {
        self.multiply(|fx, fy| Complex::new(gain(fx, fy), 0.0));
    }

    /// Multiplies every frequency by a complex gain; `gain(-f)` must be the conjugate of `gain(f)`.
    pub fn multiply(&mut self, gain: impl Fn(f64, f64) -> Complex<f64> + Sync) {
        let (width, height) = (self.width, self.height);
        self.data.par_chunks_mut(height).enumerate().for_each(|(kx, column)| {
            let fx = kx as f64 / width as f64;
            for (ky, v) in column.iter_mut().enumerate() {
                *v *= gain(fx, signed(ky, height));
            }
        });
    }

    /// The spectrum of the same scene sampled at half the rate; what lies at or beyond the new Nyquist frequency is
    /// cut away. Width and height must be multiples of 4.
    pub fn half_rate(&self) -> Spectrum {
        let (width, height) = (self.width / 2, self.height / 2);
        let mut data = vec![Complex::default(); (width / 2 + 1) * height];
        for kx in 0..width / 2 {
            for ky in (0..height).filter(|&ky| ky != height / 2) {
                let from = if ky < height / 2 { ky } else { ky + height };
                // The mean of a grid with a quarter of the pixels.
                data[kx * height + ky] = self.data[kx * self.height + from] * 0.25;
            }
        }
        Spectrum { width, height, data }
    }
}

/// Frequency in cycles per sample of bin `k` of a transform of length `n`.
pub fn signed(k: usize, n: usize) -> f64 {
    (if 2 * k <= n { k as f64 } else { k as f64 - n as f64 }) / n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for (w, h) in [(12, 8), (15, 7), (6, 20)] {
            let image = Grid::from_fn(w, h, |x, y| ((x * 7 + y * 13) % 11) as f64);
            let back = Spectrum::of(&image).into_image();
            assert!(image.data.iter().zip(&back.data).all(|(a, b)| (a - b).abs() < 1e-12));
        }
    }

    #[test]
    fn half_rate_keeps_a_slow_wave() {
        let wave = |x: f64, y: f64| (std::f64::consts::TAU * (3.0 * x / 32.0 - 2.0 * y / 16.0)).cos() + 0.5;
        let fine = Grid::from_fn(64, 32, |x, y| wave(x as f64 / 2.0, y as f64 / 2.0));
        let coarse = Spectrum::of(&fine).half_rate().into_image();
        for y in 0..16 {
            for x in 0..32 {
                assert!((coarse.get(x, y) - wave(x as f64, y as f64)).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn lengths_are_even_and_smooth() {
        assert_eq!(good_length(1121), 1152);
        assert_eq!(good_length(7), 8);
        assert_eq!(good_length(100), 100);
    }
}
