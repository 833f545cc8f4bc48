//! Windows of the `frequency` method above each other share their work where they are displaced by nearly the same.
//!
//! For a strip of windows in one column the post image is interpolated once, at one displacement, and every row, tapered along x, is
//! transformed once; a window takes its rows, tapers them down the columns and transforms these. Its fit finds what its
//! displacement is more than that of the strip. That may be as much as the last correction of a window by itself may be, so the strip's
//! windows must have peaks that are close together.

use rustfft::num_complex::Complex32;

use super::cross_spectrum::fade;
use super::fft2::{ComplexFft2, transpose};
use super::prepare::{PreparedPost, PreparedPre};
use crate::field::PixelShift;

/// Largest difference between the displacement of a strip and the peak of one of its windows, along each axis, pixels.
const CLOSE: f64 = 0.06;
/// Most pixels of a strip: what the cache holds.
const LARGEST: usize = 1 << 15;

/// The cells of a column that may be one strip, from peaks on: `start(k)` is the peak of the k-th cell, `None` where it has to be
/// measured by itself.
pub fn strips(cells: usize, most: usize, start: impl Fn(usize) -> Option<PixelShift>) -> Vec<(usize, Vec<PixelShift>)> {
    let mut out: Vec<(usize, Vec<PixelShift>)> = Vec::new();
    let mut open: Option<[(f64, f64); 2]> = None;
    for cell in 0..cells {
        let Some(d) = start(cell) else {
            open = None;
            continue;
        };
        let wider = open.map(|o| [(o[0].0.min(d.dx), o[0].1.max(d.dx)), (o[1].0.min(d.dy), o[1].1.max(d.dy))]);
        let fits = wider.filter(|o| o.iter().all(|(least, most)| most - least <= 2.0 * CLOSE));
        match (fits, out.last_mut()) {
            (Some(range), Some((_, members))) if members.len() < most => {
                members.push(d);
                open = Some(range);
            }
            _ => {
                out.push((cell, vec![d]));
                open = Some([(d.dx, d.dx), (d.dy, d.dy)]);
            }
        }
    }
    out
}

/// Windows in a strip at most, for windows of a size, `step` rows apart.
pub fn most(window: (usize, usize), step: usize) -> usize {
    1 + (LARGEST / window.0).saturating_sub(window.1) / step
}

/// Middle of what the starts of a strip span.
pub fn middle(starts: &[PixelShift]) -> PixelShift {
    let axis = |of: fn(&PixelShift) -> f64| {
        let values = starts.iter().map(of);
        let (least, most) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        0.5 * (least + most)
    };
    PixelShift::new(axis(|d| d.dx), axis(|d| d.dy))
}

/// A strip's rows, transformed.
pub struct Strip {
    fade_x: Vec<f32>,
    fade_y: Vec<f32>,
    rows: Vec<f32>,
    line: Vec<f32>,
    packed: Vec<Complex32>,
    /// Row kx holds the spectra's bins kx of all rows, `pitch` apart.
    spectra: Vec<Complex32>,
    pitch: usize,
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
        self.packed.resize(height * w, Complex32::ZERO);
        for y in 0..height {
            c.along_y(&ty.weights, &self.rows, y, w, &mut self.line);
            let before = &pre.values.row(corner.1 + y)[corner.0..corner.0 + w];
            let out = &mut self.packed[y * w..(y + 1) * w];
            for (((p, f), g), t) in out.iter_mut().zip(before).zip(&self.line).zip(&self.fade_x) {
                *p = Complex32::new(f * t, g * t);
            }
        }
        fft.rows(&mut self.packed);
        // Rows of a power of two bytes would all meet in the same lines of the cache.
        self.pitch = height.next_multiple_of(8) + 8;
        self.spectra.resize(w * self.pitch, Complex32::ZERO);
        transpose(&self.packed, &mut self.spectra, (w, height), (w, self.pitch));
    }

    /// The transposed spectrum of the window that begins `from` rows below the strip's top.
    #[inline(always)]
    pub fn window(&self, from: usize, fft: &mut ComplexFft2, out: &mut [Complex32]) {
        let h = self.fade_y.len();
        fft.columns(
            #[inline(always)]
            |columns| {
                for (column, spectra) in columns.chunks_exact_mut(h).zip(self.spectra.chunks_exact(self.pitch)) {
                    for ((c, s), t) in column.iter_mut().zip(&spectra[from..from + h]).zip(&self.fade_y) {
                        *c = Complex32::new(s.re * t, s.im * t);
                    }
                }
            },
            out,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_hold_cells_whose_peaks_are_close() {
        let at = |dx: f64| Some(PixelShift::new(dx, 1.0));
        let starts = [at(0.0), at(0.05), at(0.1), at(0.2), None, at(0.2), at(0.21), at(0.2), at(0.2)];
        let found: Vec<(usize, usize)> = strips(9, 3, |k| starts[k]).iter().map(|s| (s.0, s.1.len())).collect();
        assert_eq!(found, [(0, 3), (3, 1), (5, 3), (8, 1)]);
        let d = middle(&[PixelShift::new(0.1, -1.0), PixelShift::new(0.0, -1.1), PixelShift::new(0.05, -1.0)]);
        assert!((d.dx - 0.05).abs() < 1e-12 && (d.dy + 1.05).abs() < 1e-12);
        assert_eq!((most((64, 64), 16), most((512, 512), 16), most((64, 64), 64)), (29, 1, 8));
    }
}
