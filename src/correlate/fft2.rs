//! Two-dimensional Fourier transforms of real and complex arrays, on top of rustfft and realfft.
//!
//! No normalisation is applied in either direction: a forward and an inverse transform multiply by width × height.
//! Spectra of real arrays are kept *transposed*: row kx (0..=width/2) holds the `height` values along ky.

use std::collections::HashMap;
use std::sync::Arc;

use realfft::RealFftPlanner;
use rustfft::{Fft, FftPlanner, num_complex::Complex32};

use super::real_fft2::RealFft2;

/// Smallest size >= n whose only prime factors are 2, 3 and 5 and which is even.
pub fn good_size(n: usize) -> usize {
    (n.max(2)..)
        .find(|&m| {
            let mut r = m;
            for p in [2, 3, 5] {
                while r % p == 0 {
                    r /= p;
                }
            }
            r == 1 && m % 2 == 0
        })
        .unwrap_or(n)
}

/// Forward complex transform of one size, in place; the spectrum is left transposed (row kx, `height` values along ky).
pub struct ComplexFft2 {
    pub width: usize,
    pub height: usize,
    rows: Arc<dyn Fft<f32>>,
    columns: Arc<dyn Fft<f32>>,
    scratch: Vec<Complex32>,
    spare: Vec<Complex32>,
}

impl ComplexFft2 {
    pub fn new(width: usize, height: usize, planner: &mut FftPlanner<f32>) -> Self {
        let rows = planner.plan_fft_forward(width);
        let columns = planner.plan_fft_forward(height);
        let scratch = rows.get_inplace_scratch_len().max(columns.get_outofplace_scratch_len());
        ComplexFft2 {
            width,
            height,
            rows,
            columns,
            scratch: vec![Complex32::ZERO; scratch],
            spare: vec![Complex32::ZERO; width * height],
        }
    }

    /// Transforms any number of rows, in place.
    #[inline(always)]
    pub fn rows(&mut self, data: &mut [Complex32]) {
        self.rows.process_with_scratch(data, &mut self.scratch);
    }

    /// Transforms any number of columns, one after the other in memory; `from` is overwritten.
    #[inline(always)]
    pub fn columns(&mut self, from: &mut [Complex32], out: &mut [Complex32]) {
        self.columns.process_outofplace_with_scratch(from, out, &mut self.scratch);
    }

    /// Row-major in, transposed spectrum out.
    #[inline(always)]
    pub fn forward(&mut self, data: &mut [Complex32]) {
        self.rows(data);
        let size = (self.width, self.height);
        transpose(data, &mut self.spare, size, size);
        self.columns.process_outofplace_with_scratch(&mut self.spare, data, &mut self.scratch);
    }
}

/// Plans kept for reuse by one thread.
pub struct FftCache {
    real_planner: RealFftPlanner<f32>,
    complex_planner: FftPlanner<f32>,
    real: HashMap<(usize, usize), RealFft2>,
    complex: HashMap<(usize, usize), ComplexFft2>,
}

impl Default for FftCache {
    fn default() -> Self {
        FftCache {
            real_planner: RealFftPlanner::new(),
            complex_planner: FftPlanner::new(),
            real: HashMap::new(),
            complex: HashMap::new(),
        }
    }
}

impl FftCache {
    pub fn real(&mut self, width: usize, height: usize) -> &mut RealFft2 {
        // Border tiles differ in size; a handful of plans is kept, not one for every size ever seen.
        if self.real.len() > 12 && !self.real.contains_key(&(width, height)) {
            self.real.clear();
        }
        self.real
            .entry((width, height))
            .or_insert_with(|| RealFft2::new(width, height, &mut self.real_planner, &mut self.complex_planner))
    }

    pub fn complex(&mut self, width: usize, height: usize) -> &mut ComplexFft2 {
        self.complex
            .entry((width, height))
            .or_insert_with(|| ComplexFft2::new(width, height, &mut self.complex_planner))
    }
}

/// Signed frequency index of bin k of n: 0, 1, ..., -2, -1.
#[inline]
pub fn signed_index(k: usize, n: usize) -> isize {
    if 2 * k > n || (2 * k == n && n > 1) { k as isize - n as isize } else { k as isize }
}

/// Angular frequency (radians per sample, -π..π) of bin k of n.
#[inline]
pub fn omega(k: usize, n: usize) -> f64 {
    std::f64::consts::TAU * signed_index(k, n) as f64 / n as f64
}

/// `from` has `height` rows of `width`, `pitch.0` apart; `to` gets `width` rows of `height`, `pitch.1` apart. Blocked for the
/// cache.
#[inline(always)]
pub fn transpose<T: Copy>(from: &[T], to: &mut [T], (width, height): (usize, usize), pitch: (usize, usize)) {
    const B: usize = 8;
    for y0 in (0..height).step_by(B) {
        for x0 in (0..width).step_by(B) {
            let whole = x0 + B <= width && y0 + B <= height;
            if whole {
                // A block in registers.
                let row = |i: usize| *from[(y0 + i) * pitch.0 + x0..].first_chunk::<B>().expect("a whole block");
                let block: [[T; B]; B] = std::array::from_fn(row);
                for x in 0..B {
                    let line: [T; B] = std::array::from_fn(|i| block[i][x]);
                    to[(x0 + x) * pitch.1 + y0..][..B].copy_from_slice(&line);
                }
            } else {
                for x in x0..(x0 + B).min(width) {
                    for y in y0..(y0 + B).min(height) {
                        to[x * pitch.1 + y] = from[y * pitch.0 + x];
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, term by term.
    fn naive(data: &[Complex32], w: usize, h: usize, kx: usize, ky: usize) -> Complex32 {
        let mut sum = rustfft::num_complex::Complex64::ZERO;
        for y in 0..h {
            for x in 0..w {
                let phase = -std::f64::consts::TAU * (kx * x) as f64 / w as f64
                    - std::f64::consts::TAU * (ky * y) as f64 / h as f64;
                let v = data[y * w + x];
                sum += rustfft::num_complex::Complex64::new(v.re as f64, v.im as f64)
                    * rustfft::num_complex::Complex64::from_polar(1.0, phase);
            }
        }
        Complex32::new(sum.re as f32, sum.im as f32)
    }

    #[test]
    fn both_transforms_agree_with_the_definition_and_the_real_one_inverts() {
        let mut cache = FftCache::default();
        let (w, h) = (10, 7);
        let real: Vec<f32> = (0..w * h).map(|i| ((i * 7919) % 101) as f32 - 50.0).collect();
        let as_complex: Vec<Complex32> = real.iter().map(|&v| Complex32::new(v, 0.0)).collect();
        let plan = cache.real(w, h);
        let mut spectrum = vec![Complex32::ZERO; plan.spectrum_len()];
        plan.forward(&real, &mut spectrum);
        let mut full = as_complex.clone();
        cache.complex(w, h).forward(&mut full);
        for kx in 0..w {
            for ky in 0..h {
                let want = naive(&as_complex, w, h, kx, ky);
                assert!((full[kx * h + ky] - want).norm() < 1e-2);
                if kx <= w / 2 {
                    assert!((spectrum[kx * h + ky] - want).norm() < 1e-2);
                }
            }
        }
        let mut back = vec![0.0; w * h];
        cache.real(w, h).inverse(&spectrum, &mut back);
        for i in 0..w * h {
            assert!((back[i] / (w * h) as f32 - real[i]).abs() < 1e-3);
        }
    }

    #[test]
    fn good_sizes_are_even_and_smooth() {
        assert_eq!(good_size(7), 8);
        assert_eq!(good_size(613), 640);
        assert_eq!(signed_index(3, 4), -1);
        assert_eq!(signed_index(2, 4), -2);
    }
}
