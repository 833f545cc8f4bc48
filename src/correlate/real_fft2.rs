//! Transforms of real arrays, whole or in the steps that filters of tiles are made of.
//!
//! Rows first, then columns, and back the other way round. Between the two lie the half rows: of every row its
//! width/2 + 1 bins. Columns are transformed a few at a time in the cache, with a factor on the way; of the rows only
//! those wanted are transformed back. Images whose spectra differ by a factor along x alone share their columns.

use std::ops::Range;
use std::sync::Arc;

use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftPlanner, num_complex::Complex32};

use super::fft2::transpose;
use super::lanes::vectors;

/// Columns that are transformed together: a cache line of bins.
const GROUP: usize = 8;

/// Transforms of one size for real data.
pub struct RealFft2 {
    pub width: usize,
    pub height: usize,
    rows_forward: Arc<dyn RealToComplex<f32>>,
    rows_inverse: Arc<dyn ComplexToReal<f32>>,
    columns_forward: Arc<dyn Fft<f32>>,
    columns_inverse: Arc<dyn Fft<f32>>,
    scratch: Vec<Complex32>,
    /// The half rows.
    half: Vec<Complex32>,
    /// One row, its bins, and a group of columns.
    row: Vec<f32>,
    bins: Vec<Complex32>,
    group: Vec<Complex32>,
}

/// What a spectrum is multiplied by before its columns are transformed back.
#[derive(Clone, Copy, Default)]
pub struct Factors<'a> {
    /// For every bin.
    pub response: Option<&'a [f32]>,
    /// For every frequency along y.
    pub along_y: Option<&'a [Complex32]>,
}

impl RealFft2 {
    /// `width` must be even.
    pub fn new(width: usize, height: usize, real: &mut RealFftPlanner<f32>, complex: &mut FftPlanner<f32>) -> Self {
        let rows_forward = real.plan_fft_forward(width);
        let rows_inverse = real.plan_fft_inverse(width);
        let columns_forward = complex.plan_fft_forward(height);
        let columns_inverse = complex.plan_fft_inverse(height);
        let scratch = rows_forward
            .get_scratch_len()
            .max(rows_inverse.get_scratch_len())
            .max(columns_forward.get_inplace_scratch_len())
            .max(columns_inverse.get_inplace_scratch_len());
        let columns = width / 2 + 1;
        RealFft2 {
            width,
            height,
            rows_forward,
            rows_inverse,
            columns_forward,
            columns_inverse,
            scratch: vec![Complex32::ZERO; scratch],
            half: vec![Complex32::ZERO; columns * height],
            row: vec![0.0; width],
            bins: vec![Complex32::ZERO; columns],
            group: vec![Complex32::ZERO; GROUP * height],
        }
    }

    /// Length of a spectrum: (width/2 + 1) · height.
    pub fn spectrum_len(&self) -> usize {
        self.columns() * self.height
    }

    fn columns(&self) -> usize {
        self.width / 2 + 1
    }

    /// Real array (row-major) to transposed half spectrum.
    pub fn forward(&mut self, data: &[f32], spectrum: &mut [Complex32]) {
        let width = self.width;
        self.forward_rows(self.height, |y, row| row.copy_from_slice(&data[y * width..(y + 1) * width]));
        self.forward_columns(spectrum, None);
    }

    /// Transposed half spectrum to real array.
    pub fn inverse(&mut self, spectrum: &[Complex32], data: &mut [f32]) {
        self.inverse_columns(spectrum, Factors::default(), 0..self.height);
        for (y, out) in data.chunks_exact_mut(self.width).enumerate() {
            self.inverse_row(y, None, 0, out);
        }
    }

    /// Half rows of an array of which `fill(y, row)` gives the first `rows` rows; the others are zero. A row comes with what
    /// the last one left.
    pub fn forward_rows(&mut self, rows: usize, mut fill: impl FnMut(usize, &mut [f32])) {
        let columns = self.columns();
        for (y, out) in self.half[..rows * columns].chunks_exact_mut(columns).enumerate() {
            fill(y, &mut self.row);
            // Lengths match by construction, the only error these calls can report.
            let _ = self.rows_forward.process_with_scratch(&mut self.row, out, &mut self.scratch);
        }
        self.half[rows * columns..].fill(Complex32::ZERO);
    }

    /// Transforms the half rows of the first `rows` rows back, lets `edit(y, row)` change them, and forth again; the other
    /// rows become zero.
    pub fn edit_rows(&mut self, rows: usize, mut edit: impl FnMut(usize, &mut [f32])) {
        let columns = self.columns();
        for (y, bins) in self.half[..rows * columns].chunks_exact_mut(columns).enumerate() {
            real_ends(bins);
            let _ = self.rows_inverse.process_with_scratch(bins, &mut self.row, &mut self.scratch);
            edit(y, &mut self.row);
            let _ = self.rows_forward.process_with_scratch(&mut self.row, bins, &mut self.scratch);
        }
        self.half[rows * columns..].fill(Complex32::ZERO);
    }

    /// From the half rows to the spectrum, times `response`.
    pub fn forward_columns(&mut self, spectrum: &mut [Complex32], response: Option<&[f32]>) {
        let (columns, height) = (self.columns(), self.height);
        for first in (0..columns).step_by(GROUP) {
            let n = GROUP.min(columns - first);
            let out = &mut spectrum[first * height..(first + n) * height];
            vectors(|| transpose(&self.half[first..], out, (n, height), (columns, height)));
            self.columns_forward.process_with_scratch(out, &mut self.scratch);
            if let Some(response) = response {
                vectors(|| scale(out, &response[first * height..(first + n) * height]));
            }
        }
    }

    /// From a spectrum times `factors` to the half rows of `rows`, which [`Self::inverse_row`] counts from zero.
    pub fn inverse_columns(&mut self, spectrum: &[Complex32], factors: Factors, rows: Range<usize>) {
        let (columns, height) = (self.columns(), self.height);
        for first in (0..columns).step_by(GROUP) {
            let n = GROUP.min(columns - first);
            let range = first * height..(first + n) * height;
            let group = &mut self.group[..n * height];
            group.copy_from_slice(&spectrum[range.clone()]);
            if let Some(response) = factors.response {
                vectors(|| scale(group, &response[range]));
            }
            if let Some(along_y) = factors.along_y {
                group.chunks_exact_mut(height).for_each(|column| vectors(|| multiply(column, along_y)));
            }
            self.columns_inverse.process_with_scratch(group, &mut self.scratch);
            vectors(|| transpose(&group[rows.start..], &mut self.half[first..], (rows.len(), n), (height, columns)));
        }
    }

    /// The samples `first..first + out.len()` of a row that [`Self::inverse_columns`] kept, its bins times `along_x`.
    pub fn inverse_row(&mut self, row: usize, along_x: Option<&[Complex32]>, first: usize, out: &mut [f32]) {
        let columns = self.columns();
        self.bins.copy_from_slice(&self.half[row * columns..(row + 1) * columns]);
        if let Some(along_x) = along_x {
            vectors(|| multiply(&mut self.bins, along_x));
        }
        real_ends(&mut self.bins);
        let _ = self.rows_inverse.process_with_scratch(&mut self.bins, &mut self.row, &mut self.scratch);
        out.copy_from_slice(&self.row[first..first + out.len()]);
    }
}

/// The imaginary parts of the zero and Nyquist terms carry rounding only.
fn real_ends(bins: &mut [Complex32]) {
    bins[0].im = 0.0;
    bins[bins.len() - 1].im = 0.0;
}

#[inline(always)]
fn scale(values: &mut [Complex32], factors: &[f32]) {
    for (v, f) in values.iter_mut().zip(factors) {
        v.re *= f;
        v.im *= f;
    }
}

#[inline(always)]
fn multiply(values: &mut [Complex32], factors: &[Complex32]) {
    for (v, f) in values.iter_mut().zip(factors) {
        *v = Complex32::new(v.re * f.re - v.im * f.im, v.re * f.im + v.im * f.re);
    }
}

#[cfg(test)]
mod tests {
    use super::super::fft2::{FftCache, omega};
    use super::*;

    fn waves(w: usize, h: usize) -> Vec<f32> {
        (0..w * h).map(|i| ((i * 7919) % 101) as f32 - 50.0).collect()
    }

    fn close(a: &[f32], b: &[f32], tolerance: f32) {
        assert_eq!(a.len(), b.len());
        for (i, (a, b)) in a.iter().zip(b).enumerate() {
            assert!((a - b).abs() < tolerance, "at {i}: {a} is not {b}");
        }
    }

    #[test]
    fn a_part_of_the_inverse_is_that_part_of_the_whole() {
        let mut cache = FftCache::default();
        let (w, h) = (30, 25);
        let plan = cache.real(w, h);
        let mut spectrum = vec![Complex32::ZERO; plan.spectrum_len()];
        plan.forward(&waves(w, h), &mut spectrum);
        let response: Vec<f32> = (0..spectrum.len()).map(|k| 1.0 / (1.0 + k as f32 / 100.0)).collect();
        let turn = |k: usize, n: usize| {
            // A real factor at Nyquist, which has no partner.
            if 2 * k == n { Complex32::ONE } else { Complex32::from_polar(1.0, 0.3 * omega(k, n) as f32) }
        };
        let along_y: Vec<Complex32> = (0..h).map(|k| turn(k, h)).collect();
        let along_x: Vec<Complex32> = (0..=w / 2).map(|k| turn(k, w)).collect();
        let product: Vec<Complex32> =
            (0..spectrum.len()).map(|k| spectrum[k] * response[k] * along_y[k % h] * along_x[k / h]).collect();
        let mut whole = vec![0.0; w * h];
        plan.inverse(&product, &mut whole);
        let (rows, columns) = (3..21, 5..24);
        plan.inverse_columns(&spectrum, Factors { response: Some(&response), along_y: Some(&along_y) }, rows.clone());
        for y in rows.clone() {
            let mut part = vec![0.0; columns.len()];
            plan.inverse_row(y - rows.start, Some(&along_x), columns.start, &mut part);
            close(&part, &whole[y * w + columns.start..y * w + columns.end], 0.05);
        }
    }

    #[test]
    fn edited_rows_are_transformed_as_if_they_had_been_given() {
        let mut cache = FftCache::default();
        let (w, h, used) = (20, 18, 15);
        let data = waves(w, used);
        let plan = cache.real(w, h);
        let mut spectrum = vec![Complex32::ZERO; plan.spectrum_len()];
        plan.forward_rows(used, |y, row| row.copy_from_slice(&data[y * w..(y + 1) * w]));
        plan.forward_columns(&mut spectrum, None);
        plan.inverse_columns(&spectrum, Factors::default(), 0..h);
        let norm = 1.0 / (w * h) as f32;
        let weight = |x: usize, y: usize| ((x * 3 + y) % 5) as f32;
        plan.edit_rows(used, |y, row| row.iter_mut().enumerate().for_each(|(x, v)| *v *= norm * weight(x, y)));
        let mut edited = vec![Complex32::ZERO; plan.spectrum_len()];
        plan.forward_columns(&mut edited, None);
        let mut want = vec![0.0; w * h];
        (0..w * used).for_each(|i| want[i] = data[i] * weight(i % w, i / w));
        let mut spectrum = vec![Complex32::ZERO; plan.spectrum_len()];
        plan.forward(&want, &mut spectrum);
        for (a, b) in edited.iter().zip(&spectrum) {
            assert!((a - b).norm() < 0.05);
        }
    }
}
