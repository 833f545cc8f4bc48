//! The pixels of windows above each other, interpolated once, at one displacement, and each row, tapered along x, transformed once.
//!
//! Both images' rows are transformed together, packed as one complex array, and told apart once for all windows of the strip. A
//! window takes its rows, tapers them down the columns and transforms these. Its fit finds what its displacement is more than
//! that of the strip. That may be as much as the last correction of a window by itself may be, so the strip's windows must have
//! peaks that are close together.

use rustfft::num_complex::Complex32;

use crate::correlate::cross_spectrum::{fade, unpack};
use crate::correlate::fft2::{ComplexFft2, transpose};
use crate::correlate::prepare::{PreparedPost, PreparedPre};
use crate::field::PixelShift;

/// A strip's rows, transformed.
pub struct Strip {
    fade_x: Vec<f32>,
    fade_y: Vec<f32>,
    rows: Vec<f32>,
    line: Vec<f32>,
    packed: Vec<Complex32>,
    /// Row kx holds twice the spectra's bins kx of all rows of the pre image, `pitch` apart; those of the post image see [`Self::post`].
    spectra: Vec<Complex32>,
    pitch: usize,
    tapered: Vec<Complex32>,
    /// The same of one window, transformed.
    columns: Vec<Complex32>,
}

impl Strip {
    /// For windows that are faded over the share `rim` at both ends.
    pub fn new((w, h): (usize, usize), rim: f64) -> Strip {
        Strip {
            fade_x: fade(w, rim * w as f64),
            fade_y: fade(h, rim * h as f64),
            rows: Vec::new(),
            line: vec![0.0; w],
            packed: Vec::new(),
            spectra: Vec::new(),
            pitch: 0,
            // Without the Nyquist frequency, which is never used.
            tapered: vec![Complex32::ZERO; 2 * w.div_ceil(2) * h],
            columns: vec![Complex32::ZERO; 2 * w.div_ceil(2) * h],
        }
    }

    /// Rows of the pre image and the post image interpolated at displacement `d`, from `corner` on, `height` of them.
    #[inline(always)]
    pub fn load(
        &mut self,
        (pre, post): (&PreparedPre, &PreparedPost),
        corner: (usize, usize),
        height: usize,
        d: PixelShift,
        fft: &mut ComplexFft2,
    ) {
        let w = self.fade_x.len();
        let c = &post.coefficients;
        let (tx, ty) = (c.taps(corner.0 as i64, d.dx), c.taps(corner.1 as i64, d.dy));
        let rows = c.rows(height);
        self.rows.resize(rows * w, 0.0);
        c.along_x(&tx, ty.first, rows, w, &mut self.rows);
        let invalid = post.invalid_in(corner, d, (w, height));
        self.packed.resize(height * w, Complex32::ZERO);
        for y in 0..height {
            c.along_y(&ty.weights, &self.rows, y, w, &mut self.line);
            if let Some(invalid) = &invalid {
                invalid.clear_row(y, &mut self.line);
            }
            let before = &pre.values.row(corner.1 + y)[corner.0..corner.0 + w];
            let out = &mut self.packed[y * w..(y + 1) * w];
            for (((p, f), g), t) in out.iter_mut().zip(before).zip(&self.line).zip(&self.fade_x) {
                *p = Complex32::new(f * t, g * t);
            }
        }
        fft.rows(&mut self.packed);
        // Rows of a power of two bytes would all meet in the same lines of the cache.
        self.pitch = height.next_multiple_of(8) + 8;
        self.spectra.resize(2 * w.div_ceil(2) * self.pitch, Complex32::ZERO);
        transpose(&self.packed, &mut self.spectra, (w, height), (w, self.pitch));
        self.tell_apart();
    }

    /// Row of the bins kx of the post image: in place of those of -kx, which are the conjugates of what is known, and for kx = 0 of
    /// the Nyquist frequency, which is not used, or one row more.
    fn post(&self, kx: usize) -> usize {
        let w = self.fade_x.len();
        match kx {
            0 if w.is_multiple_of(2) => w / 2,
            _ => w - kx,
        }
    }

    /// From the transforms of f + jg to twice those of f and g.
    #[inline(always)]
    fn tell_apart(&mut self) {
        let pitch = self.pitch;
        for kx in 0..self.fade_x.len().div_ceil(2) {
            let at = self.post(kx) * pitch;
            let (head, tail) = self.spectra.split_at_mut(at);
            let (pre, post) = (&mut head[kx * pitch..(kx + 1) * pitch], &mut tail[..pitch]);
            if kx == 0 {
                post.copy_from_slice(pre);
            }
            for (f, g) in pre.iter_mut().zip(post) {
                (*f, *g) = unpack(*f, *g);
            }
        }
    }

    /// Transforms the columns of the window that begins `from` rows below the strip's top.
    #[inline(always)]
    pub fn window(&mut self, from: usize, fft: &mut ComplexFft2) {
        let h = self.fade_y.len();
        for (column, spectra) in self.tapered.chunks_exact_mut(h).zip(self.spectra.chunks_exact(self.pitch)) {
            for ((c, s), t) in column.iter_mut().zip(&spectra[from..from + h]).zip(&self.fade_y) {
                *c = Complex32::new(s.re * t, s.im * t);
            }
        }
        fft.columns(&mut self.tapered, &mut self.columns);
    }

    /// The bins kx below the Nyquist frequency of that window in both images, twice, along ky.
    pub fn bins(&self, kx: usize) -> (&[Complex32], &[Complex32]) {
        let row = |k: usize| &self.columns[k * self.fade_y.len()..][..self.fade_y.len()];
        (row(kx), row(self.post(kx)))
    }
}
