//! A tile's filtered spectrum, and the images and spline coefficients that are made of it.

use rustfft::num_complex::Complex32;

use super::cross_spectrum::fade;
use super::fft2::{FftCache, good_size, omega};
use super::fill::erode;
use super::interp::{Coefficients, ROW_PADDING, Spline};
use super::lanes::{LANES, add, total, vectors};
use super::prefilter::Kernel;
use super::real_fft2::Factors;
use crate::grid::{Grid, Image, Window};

/// Outer pixels of a tile that are faded to zero.
const TAPER: f64 = 16.0;

/// Kernels as spectra, kept for the tile sizes met. Every band has kernels of its own.
#[derive(Default)]
struct FilterCache {
    entries: Vec<Filter>,
}

struct Filter {
    size: (usize, usize),
    weights: Grid<f32>,
    response: Vec<f32>,
}

/// Most filters that are kept.
const FILTERS: usize = 32;

impl FilterCache {
    /// The kernel's response on the half spectrum of `width` × `height`.
    fn get(&mut self, kernel: &Kernel, (width, height): (usize, usize), ffts: &mut FftCache) -> &[f32] {
        let size = (width, height);
        let same = |f: &Filter| f.size == size && f.weights == kernel.weights;
        let index = match self.entries.iter().position(same) {
            Some(i) => i,
            None => {
                if self.entries.len() >= FILTERS {
                    self.entries.remove(0);
                }
                let response = kernel.on_half_spectrum(width, height, ffts);
                self.entries.push(Filter { size, weights: kernel.weights.clone(), response });
                self.entries.len() - 1
            }
        };
        &self.entries[index].response
    }
}

/// Plans, responses and buffers of one thread.
#[derive(Default)]
pub struct FilterWork {
    ffts: FftCache,
    filters: FilterCache,
    /// Of images that nobody needs any more: fresh memory costs as much as a transform.
    spare: Vec<Vec<f32>>,
    spectrum: Vec<Complex32>,
}

/// Most images that are kept.
const SPARE: usize = 12;

impl FilterWork {
    /// An image with any values.
    fn grid(&mut self, width: usize, height: usize) -> Grid<f32> {
        let mut data = self.spare.pop().unwrap_or_default();
        data.resize(width * height, 0.0);
        Grid { width, height, data }
    }

    /// Takes back what is not needed any more.
    pub fn recycle(&mut self, data: Vec<f32>) {
        if self.spare.len() < SPARE && data.capacity() > 0 {
            self.spare.push(data);
        }
    }
}

/// The transform of a filtered tile, the norm of the inverse transform in it.
pub struct TileSpectrum {
    data: Vec<Complex32>,
    size: (usize, usize),
}

impl TileSpectrum {
    /// Filters a tile whose gaps are filled in `filled`, times `unit`; also says where the result can be used.
    pub fn new(
        image: &Image,
        filled: &Grid<f32>,
        (kernel, unit): (&Kernel, f32),
        work: &mut FilterWork,
    ) -> (Self, Grid<bool>) {
        let FilterWork { ffts, filters, .. } = work;
        let (w, h) = (filled.width, filled.height);
        let size = (good_size(w), good_size(h));
        let norm = 1.0 / (size.0 * size.1) as f32;
        let response = filters.get(kernel, size, ffts);
        let plan = ffts.real(size.0, size.1);
        let (fade_x, fade_y) = (fade(w, TAPER), fade(h, TAPER));
        let mean = mean(filled);
        plan.forward_rows(h, |y, row| {
            let scale = fade_y[y] * norm * unit;
            for ((o, v), k) in row.iter_mut().zip(filled.row(y)).zip(&fade_x) {
                *o = (v - mean) * k * scale;
            }
            row[w..].fill(0.0);
        });
        let mut data = std::mem::take(&mut work.spectrum);
        data.resize(plan.spectrum_len(), Complex32::ZERO);
        plan.forward_columns(&mut data, Some(response));
        if image.all_valid() {
            return (TileSpectrum { data, size }, image.valid.clone());
        }
        // Where the data end, a whitening filter turns the difference to the fill into spikes. They must not ring on
        // through derivatives and interpolation, so they are cut out before the image is transformed again.
        let clear = erode(&image.valid, kernel.reach);
        plan.inverse_columns(&data, Factors::default(), 0..h);
        plan.edit_rows(h, |y, row| {
            let scale = fade_y[y] * norm;
            for ((v, &ok), k) in row.iter_mut().zip(clear.row(y)).zip(&fade_x) {
                *v = if ok { *v * k * scale } else { 0.0 };
            }
            row[w..].fill(0.0);
        });
        plan.forward_columns(&mut data, None);
        (TileSpectrum { data, size }, erode(&clear, 1))
    }

    /// Gives its memory back.
    pub fn done(self, work: &mut FilterWork) {
        work.spectrum = self.data;
    }

    /// The filtered image within `inner`.
    pub fn image(&self, inner: Window, work: &mut FilterWork) -> Grid<f32> {
        self.columns(inner, None, None, work);
        self.rows(inner, None, work)
    }

    /// The filtered image and its derivatives along x and y.
    pub fn with_gradient(&self, inner: Window, spline: Spline, work: &mut FilterWork) -> (Grid<f32>, [Grid<f32>; 2]) {
        let (along_x, along_y) = self.derivatives(spline);
        self.columns(inner, None, None, work);
        let (values, x) = (self.rows(inner, None, work), self.rows(inner, Some(&along_x), work));
        self.columns(inner, None, Some(&along_y), work);
        (values, [x, self.rows(inner, None, work)])
    }

    /// The derivatives convolved with a kernel.
    pub fn spread(&self, inner: Window, spline: Spline, kernel: &Kernel, work: &mut FilterWork) -> [Grid<f32>; 2] {
        let (along_x, along_y) = self.derivatives(spline);
        self.columns(inner, Some(kernel), None, work);
        let x = self.rows(inner, Some(&along_x), work);
        self.columns(inner, Some(kernel), Some(&along_y), work);
        [x, self.rows(inner, None, work)]
    }

    /// Transforms the columns back, convolved with a kernel and filtered along y.
    fn columns(&self, inner: Window, kernel: Option<&Kernel>, along_y: Option<&[Complex32]>, work: &mut FilterWork) {
        let FilterWork { ffts, filters, .. } = work;
        let response = kernel.map(|k| filters.get(k, self.size, ffts));
        let rows = inner.y as usize..inner.bottom() as usize;
        ffts.real(self.size.0, self.size.1).inverse_columns(&self.data, Factors { response, along_y }, rows);
    }

    /// The columns of `inner` of the rows that were transformed back last.
    fn rows(&self, inner: Window, along_x: Option<&[Complex32]>, work: &mut FilterWork) -> Grid<f32> {
        let mut out = work.grid(inner.width, inner.height);
        let plan = work.ffts.real(self.size.0, self.size.1);
        for y in 0..inner.height {
            plan.inverse_row(y, along_x, inner.x as usize, out.row_mut(y));
        }
        out
    }

    /// Factors of the derivatives along x and y.
    fn derivatives(&self, spline: Spline) -> (Vec<Complex32>, Vec<Complex32>) {
        let factor = |k: usize, n: usize| {
            let slope = if 2 * k == n { 0.0 } else { spline.derivative(omega(k, n)) };
            Complex32::new(0.0, slope as f32)
        };
        let (w, h) = self.size;
        ((0..=w / 2).map(|k| factor(k, w)).collect(), (0..h).map(|k| factor(k, h)).collect())
    }

    /// Spline coefficients of `inner`, which begins `margin` pixels left of and above the tile; on the finer grid of
    /// [`Spline::QuinticX2`] as images between the pixels.
    pub fn coefficients(&self, inner: Window, margin: usize, spline: Spline, work: &mut FilterWork) -> Coefficients {
        let factor = spline.factor();
        let stride = inner.width + ROW_PADDING;
        let planes: Vec<_> = (0..factor).map(|_| work.grid(stride, inner.height * factor).data).collect();
        let mut out = Coefficients { spline, factor, margin, stride, planes };
        // Along one axis: to the coefficients, and on to the samples `part / factor` pixels further.
        let along = |part: usize, n: usize, bins: usize| -> Vec<Complex32> {
            let one = |k: usize| {
                let w = omega(k, n) / factor as f64;
                match 2 * k == n && factor > 1 {
                    // On the finer grid the pixel grid's Nyquist terms are dropped: their phase is unknown.
                    true => Complex32::ZERO,
                    false => Complex32::from_polar((1.0 / spline.response(w)) as f32, (w * part as f64) as f32),
                }
            };
            (0..bins).map(one).collect()
        };
        let (w, h) = self.size;
        let along_x: Vec<_> = (0..factor).map(|p| along(p, w, w / 2 + 1)).collect();
        for part in 0..factor {
            let along_y = along(part, h, h);
            self.columns(inner, None, Some(&along_y), work);
            let plan = work.ffts.real(w, h);
            for (plane, along_x) in out.planes.iter_mut().zip(&along_x) {
                for (y, line) in plane.chunks_exact_mut(out.stride).skip(part).step_by(factor).enumerate() {
                    let (line, padding) = line.split_at_mut(inner.width);
                    plan.inverse_row(y, Some(along_x), inner.x as usize, line);
                    padding.fill(0.0);
                }
            }
        }
        out
    }
}

fn mean(image: &Grid<f32>) -> f32 {
    let row = |y: usize| {
        let mut lanes = [0.0; LANES];
        vectors(|| add(&mut lanes, image.row(y)));
        total(&lanes)
    };
    ((0..image.height).map(row).sum::<f64>() / image.data.len() as f64) as f32
}
