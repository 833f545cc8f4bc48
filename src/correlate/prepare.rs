//! From the raw pixels of a tile to what the methods work on: prefiltered images, gradients, spline coefficients.
//!
//! Everything is computed in the Fourier domain of the tile grown by [`PAD`] pixels, the outer half of which are
//! faded to zero. A tile is always prepared as a whole, so its numbers do not depend on region, thread or caller.

use rustfft::num_complex::Complex32;

use super::fft2::{FftCache, good_size, omega};
use super::fill::{ValidCounts, erode, fill_invalid};
use super::interp::{Coefficients, Spline};
use super::prefilter::Kernel;
use crate::grid::{Grid, Image, Window};

/// Pixels needed around a tile for the filters.
pub const PAD: usize = 32;
/// Outer part of [`PAD`] that is faded to zero.
const TAPER: usize = 16;
/// Pixels around the search area that interpolation may touch.
pub const SPLINE_MARGIN: usize = 5;

/// The pre image of a tile.
#[derive(Debug, Clone)]
pub struct PreparedPre {
    /// Prefiltered values, zero where invalid.
    pub values: Grid<f32>,
    /// Their derivatives along x and y, per pixel.
    pub gradient: [Grid<f32>; 2],
    /// The derivatives convolved with the residual correlation, for the uncertainty.
    pub spread: [Grid<f32>; 2],
    pub valid: Grid<bool>,
    pub counts: ValidCounts,
    pub all_valid: bool,
}

/// The post image of a tile; it reaches `search` pixels further than the tile on every side.
#[derive(Debug, Clone)]
pub struct PreparedPost {
    pub search: usize,
    /// Prefiltered values on the pixel grid, zero where invalid.
    pub values: Grid<f32>,
    pub coefficients: Coefficients,
    pub valid: Grid<bool>,
    pub counts: ValidCounts,
    pub all_valid: bool,
}

/// The transform of a faded tile, ready for filters.
struct Spectrum {
    data: Vec<Complex32>,
    width: usize,
    height: usize,
}

/// Kernels as spectra, kept for the tile sizes met. Every band has kernels of its own.
#[derive(Default)]
pub struct FilterCache {
    entries: Vec<Filter>,
}

struct Filter {
    size: (usize, usize),
    id: u8,
    weights: Grid<f32>,
    response: Vec<f32>,
}

/// Most filters that are kept.
const FILTERS: usize = 32;

impl FilterCache {
    fn get(&mut self, id: u8, kernel: &Kernel, width: usize, height: usize, ffts: &mut FftCache) -> &[f32] {
        let size = (width, height);
        let same = |f: &Filter| f.size == size && f.id == id && f.weights == kernel.weights;
        let index = match self.entries.iter().position(same) {
            Some(i) => i,
            None => {
                if self.entries.len() >= FILTERS {
                    self.entries.remove(0);
                }
                let norm = 1.0 / (width * height) as f32;
                let mut response = kernel.on_half_spectrum(width, height, ffts);
                if id == PREFILTER {
                    response.iter_mut().for_each(|v| *v *= norm);
                }
                self.entries.push(Filter { size, id, weights: kernel.weights.clone(), response });
                self.entries.len() - 1
            }
        };
        &self.entries[index].response
    }
}

const PREFILTER: u8 = 0;
const RESIDUAL: u8 = 1;

/// Plans, filters and buffers of one thread.
#[derive(Default)]
pub struct Preparer {
    pub ffts: FftCache,
    filters: FilterCache,
    work: Vec<Complex32>,
    plane: Vec<f32>,
}

impl Preparer {
    /// Prepares the pre image; `image` is the tile grown by [`PAD`]. `None` when no pixel is valid.
    pub fn pre(&mut self, image: &Image, prefilter: &Kernel, residual: &Kernel, spline: Spline) -> Option<PreparedPre> {
        let filled = fill_invalid(image)?;
        let inner = Window::new(PAD as i64, PAD as i64, image.width() - 2 * PAD, image.height() - 2 * PAD);
        let (spectrum, clear) = self.filtered_spectrum(image, &filled, prefilter);
        let (w, h) = (spectrum.width, spectrum.height);
        let mut values = self.invert(&spectrum, inner, |_, _| Complex32::ONE, None);
        let derivative = |axis: usize| {
            move |kx: usize, ky: usize| {
                let nyquist = if axis == 0 { 2 * kx == w } else { 2 * ky == h };
                let o = if axis == 0 { omega(kx, w) } else { omega(ky, h) };
                Complex32::new(0.0, if nyquist { 0.0 } else { spline.derivative(o) as f32 })
            }
        };
        let gx = self.invert(&spectrum, inner, derivative(0), None);
        let gy = self.invert(&spectrum, inner, derivative(1), None);
        let sx = self.invert(&spectrum, inner, derivative(0), Some(residual));
        let sy = self.invert(&spectrum, inner, derivative(1), Some(residual));
        let valid = clear.crop(inner);
        let counts = ValidCounts::new(&valid);
        let all_valid = valid.data.iter().all(|&v| v);
        blank(&mut values, &valid);
        Some(PreparedPre { values, gradient: [gx, gy], spread: [sx, sy], valid, counts, all_valid })
    }

    /// Prepares the post image; `image` is the tile grown by `search + SPLINE_MARGIN + PAD`.
    pub fn post(&mut self, image: &Image, prefilter: &Kernel, search: usize, spline: Spline) -> Option<PreparedPost> {
        let filled = fill_invalid(image)?;
        let margin = search + SPLINE_MARGIN;
        let grow = (PAD + SPLINE_MARGIN) as i64;
        let inner = Window::new(grow, grow, image.width() - 2 * grow as usize, image.height() - 2 * grow as usize);
        let (spectrum, clear) = self.filtered_spectrum(image, &filled, prefilter);
        let mut values = self.invert(&spectrum, inner, |_, _| Complex32::ONE, None);
        let with_margin =
            Window::new(PAD as i64, PAD as i64, inner.width + 2 * SPLINE_MARGIN, inner.height + 2 * SPLINE_MARGIN);
        let coefficients = self.coefficients(&spectrum, with_margin, margin, spline);
        let valid = clear.crop(inner);
        let counts = ValidCounts::new(&valid);
        let all_valid = valid.data.iter().all(|&v| v);
        blank(&mut values, &valid);
        Some(PreparedPost { search, values, coefficients, valid, counts, all_valid })
    }

    /// The prefiltered image without its outer [`PAD`] pixels, and where it is valid; zero elsewhere. `None` when no
    /// pixel is valid.
    pub fn values(&mut self, image: &Image, prefilter: &Kernel) -> Option<(Grid<f32>, Grid<bool>)> {
        let filled = fill_invalid(image)?;
        let inner = Window::new(PAD as i64, PAD as i64, image.width() - 2 * PAD, image.height() - 2 * PAD);
        let (spectrum, clear) = self.filtered_spectrum(image, &filled, prefilter);
        let mut values = self.invert(&spectrum, inner, |_, _| Complex32::ONE, None);
        let valid = clear.crop(inner);
        blank(&mut values, &valid);
        Some((values, valid))
    }

    /// The transform of the filtered image (the inverse transform's norm in it), and where it can be used.
    fn filtered_spectrum(&mut self, image: &Image, filled: &Grid<f32>, kernel: &Kernel) -> (Spectrum, Grid<bool>) {
        let (width, height) = (good_size(filled.width), good_size(filled.height));
        let mean = (filled.data.iter().map(|&v| v as f64).sum::<f64>() / filled.data.len() as f64) as f32;
        self.load_faded(filled, mean, width, height);
        let plan = self.ffts.real(width, height);
        let mut data = vec![Complex32::ZERO; plan.spectrum_len()];
        plan.forward(&mut self.plane, &mut data);
        let response = self.filters.get(PREFILTER, kernel, width, height, &mut self.ffts);
        for (v, r) in data.iter_mut().zip(response) {
            *v *= *r;
        }
        if image.all_valid() {
            return (Spectrum { data, width, height }, image.valid.clone());
        }
        // Where the data end, a whitening filter turns the difference to the fill into spikes. They must not ring on
        // through derivatives and interpolation, so they are cut out before the image is transformed again.
        let clear = erode(&image.valid, kernel.reach);
        self.ffts.real(width, height).inverse(&mut data, &mut self.plane);
        let whole = Window::new(0, 0, filled.width, filled.height);
        let mut clean = crop(&self.plane, width, whole);
        for (v, &ok) in clean.data.iter_mut().zip(&clear.data) {
            if !ok {
                *v = 0.0;
            }
        }
        self.load_faded(&clean, 0.0, width, height);
        let plan = self.ffts.real(width, height);
        let mut data = vec![Complex32::ZERO; plan.spectrum_len()];
        plan.forward(&mut self.plane, &mut data);
        let norm = 1.0 / (width * height) as f32;
        data.iter_mut().for_each(|v| *v *= norm);
        (Spectrum { data, width, height }, erode(&clear, 1))
    }

    /// Puts `image - mean` with a faded rim into the work plane of `width` × `height`.
    fn load_faded(&mut self, image: &Grid<f32>, mean: f32, width: usize, height: usize) {
        let (fade_x, fade_y) = (fade(image.width), fade(image.height));
        self.plane.clear();
        self.plane.resize(width * height, 0.0);
        for y in 0..image.height {
            let out = &mut self.plane[y * width..y * width + image.width];
            for ((o, v), k) in out.iter_mut().zip(image.row(y)).zip(&fade_x) {
                *o = (v - mean) * k * fade_y[y];
            }
        }
    }

    /// The part `inner` of the inverse transform of `spectrum · factor(kx, ky) [· kernel]`.
    fn invert(
        &mut self,
        spectrum: &Spectrum,
        inner: Window,
        factor: impl Fn(usize, usize) -> Complex32,
        kernel: Option<&Kernel>,
    ) -> Grid<f32> {
        let (width, height) = (spectrum.width, spectrum.height);
        self.work.clear();
        self.work.extend_from_slice(&spectrum.data);
        for (kx, row) in self.work.chunks_exact_mut(height).enumerate() {
            for (ky, v) in row.iter_mut().enumerate() {
                *v *= factor(kx, ky);
            }
        }
        if let Some(kernel) = kernel {
            let response = self.filters.get(RESIDUAL, kernel, width, height, &mut self.ffts);
            for (v, r) in self.work.iter_mut().zip(response) {
                *v *= *r;
            }
        }
        self.plane.resize(width * height, 0.0);
        self.ffts.real(width, height).inverse(&mut self.work, &mut self.plane);
        crop(&self.plane, width, inner)
    }

    /// Spline coefficients on the pixel grid or the Fourier-upsampled ×2 grid.
    fn coefficients(&mut self, s: &Spectrum, inner: Window, margin: usize, spline: Spline) -> Coefficients {
        let factor = spline.factor();
        let (fw, fh) = (s.width * factor, s.height * factor);
        let columns = fw / 2 + 1;
        self.work.clear();
        self.work.resize(columns * fh, Complex32::ZERO);
        let response = |k: usize, n: usize| (1.0 / spline.response(omega(k, n))) as f32;
        let along_y: Vec<f32> = (0..fh).map(|k| response(k, fh)).collect();
        // On the finer grid the pixel grid's Nyquist terms are dropped: their phase is unknown.
        let keep_x = if factor == 1 { s.width / 2 + 1 } else { s.width / 2 };
        for kx in 0..keep_x {
            let rx = response(kx, fw);
            let from = &s.data[kx * s.height..(kx + 1) * s.height];
            let to = &mut self.work[kx * fh..(kx + 1) * fh];
            for (ky, v) in from.iter().enumerate() {
                let out = if factor == 1 || 2 * ky < s.height {
                    ky
                } else if 2 * ky == s.height {
                    continue;
                } else {
                    ky + fh - s.height
                };
                to[out] = *v * (rx * along_y[out]);
            }
        }
        self.plane.resize(fw * fh, 0.0);
        self.ffts.real(fw, fh).inverse(&mut self.work, &mut self.plane);
        let start = inner.y as usize * factor * fw + inner.x as usize * factor;
        Coefficients::new(spline, margin, inner.width * factor, inner.height * factor, &self.plane[start..], fw)
    }
}

/// Zero where invalid.
pub(super) fn blank(values: &mut Grid<f32>, valid: &Grid<bool>) {
    for (v, &ok) in values.data.iter_mut().zip(&valid.data) {
        *v = if ok { *v } else { 0.0 };
    }
}

/// Raised-cosine fade over the outer [`TAPER`] samples of `n`.
fn fade(n: usize) -> Vec<f32> {
    (0..n)
        .map(|i| {
            let edge = i.min(n - 1 - i);
            if edge >= TAPER {
                1.0
            } else {
                (0.5 - 0.5 * (std::f64::consts::PI * (edge as f64 + 0.5) / TAPER as f64).cos()) as f32
            }
        })
        .collect()
}

fn crop(plane: &[f32], stride: usize, inner: Window) -> Grid<f32> {
    let mut data = Vec::with_capacity(inner.width * inner.height);
    for y in inner.y as usize..inner.bottom() as usize {
        data.extend_from_slice(&plane[y * stride + inner.x as usize..y * stride + inner.right() as usize]);
    }
    Grid { width: inner.width, height: inner.height, data }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Kernel {
        let mut weights = Grid::filled(3, 3, 0.0);
        weights.set(1, 1, 1.0);
        Kernel { weights, reach: 0 }
    }

    /// A sum of plane waves below 0.8 of Nyquist: value and derivatives are known anywhere.
    fn waves(x: f64, y: f64) -> (f64, f64, f64) {
        let (mut v, mut vx, mut vy) = (0.0, 0.0, 0.0);
        for k in 0..12 {
            let (wx, wy) = (2.4 * ((k * 37 % 12) as f64 / 12.0), 2.4 * ((k * 17 % 12) as f64 / 12.0 - 0.5));
            let p = wx * x + wy * y + k as f64;
            v += p.cos();
            vx -= wx * p.sin();
            vy -= wy * p.sin();
        }
        (v, vx, vy)
    }

    #[test]
    fn gradients_and_interpolation_are_exact_on_band_limited_images() {
        let mut p = Preparer::default();
        let (w, h) = (90, 70);
        let at = |m: usize| {
            Image::from_values(Grid::from_fn(w + 2 * m, h + 2 * m, |x, y| {
                waves(x as f64 - m as f64, y as f64 - m as f64).0 as f32 + 100.0
            }))
        };
        let pre = p.pre(&at(PAD), &identity(), &identity(), Spline::QuinticX2).unwrap();
        let search = 3;
        let post = p.post(&at(PAD + SPLINE_MARGIN + search), &identity(), search, Spline::QuinticX2).unwrap();
        let (dx, dy) = (0.37, -1.21);
        let (x0, y0, n) = (20usize, 15usize, 16usize);
        let c = &post.coefficients;
        let (tx, ty) = (c.taps(x0 as i64, dx), c.taps(y0 as i64, dy));
        let mut rows = vec![0.0; c.rows(n) * n];
        c.along_x(&tx, ty.first, c.rows(n), n, &mut rows);
        let mut line = vec![0.0; n];
        let mut worst = 0.0f64;
        // The mean of the padded image is removed; compare differences to one reference pixel.
        let offset = post.values.get(40 + search, 40 + search) as f64 - waves(40.0, 40.0).0;
        for y in 0..n {
            c.along_y(&ty.weights, &rows, y, n, &mut line);
            for x in 0..n {
                let truth = waves((x0 + x) as f64 + dx, (y0 + y) as f64 + dy).0;
                worst = worst.max((line[x] as f64 - truth - offset).abs());
            }
        }
        assert!(worst < 0.003, "interpolation error {worst}");
        for (x, y) in [(0, 0), (30, 30), (89, 69)] {
            let (_, vx, vy) = waves(x as f64, y as f64);
            assert!((pre.gradient[0].get(x, y) as f64 - vx).abs() < 0.05);
            assert!((pre.gradient[1].get(x, y) as f64 - vy).abs() < 0.05);
        }
    }

    #[test]
    fn bands_keep_their_own_filters() {
        let mut p = Preparer::default();
        let image = Image::from_values(Grid::from_fn(90, 90, |x, y| waves(x as f64, y as f64).0 as f32));
        let twice = Kernel { weights: identity().weights.map(|v| 2.0 * v), reach: 0 };
        let one = p.values(&image, &identity()).unwrap().0;
        let two = p.values(&image, &twice).unwrap().0;
        assert!(one.data.iter().zip(&two.data).all(|(a, b)| (2.0 * a - b).abs() < 1e-4));
        assert_eq!(p.values(&image, &identity()).unwrap().0, one);
    }

    #[test]
    fn search_area_values_align_with_the_tile() {
        let mut p = Preparer::default();
        let search = 4;
        let m = PAD + SPLINE_MARGIN + search;
        let image = Image::from_values(Grid::from_fn(50 + 2 * m, 40 + 2 * m, |x, y| {
            waves(x as f64 - m as f64, y as f64 - m as f64).0 as f32
        }));
        for spline in Spline::ALL {
            let post = p.post(&image, &identity(), search, spline).unwrap();
            assert_eq!((post.values.width, post.values.height), (50 + 2 * search, 40 + 2 * search));
            let offset = post.values.get(20, 20) as f64 - waves(16.0, 16.0).0;
            assert!((post.values.get(30, 10) as f64 - waves(26.0, 6.0).0 - offset).abs() < 0.01);
        }
    }
}
