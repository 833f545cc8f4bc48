//! Interpolation for resampling: a windowed sinc over 12 × 12 pixels, widened when the grid gets coarser.

use crate::grid::Image;
use std::f64::consts::PI;

/// Half width in source pixels (of the finer grid when pixels get larger).
const HALF: f64 = 6.0;
/// Shape of the Kaiser window: below 0.2 % error up to 0.3 cycles a pixel, 5 % at 0.375.
const BETA: f64 = 6.0;
/// Table entries for one pixel; between them the kernel is interpolated, with an error below 1e-5.
const FINE: usize = 512;
/// Largest weight that may fall on invalid pixels; the valid ones have about 1 in all.
const BAD: f64 = 0.005;

/// A separable kernel with its scratch space.
pub(super) struct Kernel {
    table: Vec<f64>,
    /// Stretch along x and y, at least 1.
    stretch: (f64, f64),
    weights: (Vec<f64>, Vec<f64>),
}

impl Kernel {
    /// `scale`: source pixels for one target pixel along x and y.
    pub(super) fn new(scale: (f64, f64)) -> Self {
        let at = |i: usize| {
            let t = i as f64 / FINE as f64;
            let sinc = if i == 0 { 1.0 } else { (PI * t).sin() / (PI * t) };
            // Exact zeros keep an unshifted image unchanged.
            if i > 0 && i.is_multiple_of(FINE) { 0.0 } else { sinc * kaiser(t / HALF) }
        };
        let table = (0..=HALF as usize * FINE + 1).map(at).collect();
        Kernel { table, stretch: (scale.0.max(1.0), scale.1.max(1.0)), weights: (Vec::new(), Vec::new()) }
    }

    /// How far from a position source pixels are needed.
    pub(super) fn reach(&self) -> (usize, usize) {
        ((HALF * self.stretch.0).ceil() as usize + 1, (HALF * self.stretch.1).ceil() as usize + 1)
    }

    /// The value at a position of `source`, `None` where too much of the kernel falls on invalid pixels.
    pub(super) fn value(&mut self, source: &Image, x: f64, y: f64) -> Option<f32> {
        if !x.is_finite() || !y.is_finite() {
            return None;
        }
        let (mut wx, mut wy) = std::mem::take(&mut self.weights);
        let x0 = self.fill(&mut wx, x, self.stretch.0);
        let y0 = self.fill(&mut wy, y, self.stretch.1);
        let value = weighted(source, x0, y0, &wx, &wy);
        self.weights = (wx, wy);
        value
    }

    /// Weights of the pixels around `position`; returns the first pixel.
    fn fill(&self, weights: &mut Vec<f64>, position: f64, stretch: f64) -> i64 {
        let first = (position - HALF * stretch).ceil() as i64;
        let last = (position + HALF * stretch).floor() as i64;
        weights.clear();
        for i in first..=last {
            let t = ((i as f64 - position) / stretch).abs() * FINE as f64;
            let k = t as usize;
            let f = t - k as f64;
            weights.push(match self.table.get(k..k + 2) {
                Some(pair) => pair[0] + f * (pair[1] - pair[0]),
                None => 0.0,
            });
        }
        first
    }
}

fn weighted(source: &Image, x0: i64, y0: i64, wx: &[f64], wy: &[f64]) -> Option<f32> {
    let (width, height) = (source.width() as i64, source.height() as i64);
    let (mut sum, mut total, mut bad) = (0.0, 0.0, 0.0);
    for (j, &b) in wy.iter().enumerate() {
        let y = y0 + j as i64;
        for (i, &a) in wx.iter().enumerate() {
            let (x, w) = (x0 + i as i64, a * b);
            let inside = x >= 0 && y >= 0 && x < width && y < height;
            if inside && source.valid.get(x as usize, y as usize) {
                sum += w * f64::from(source.values.get(x as usize, y as usize));
                total += w;
            } else {
                bad += w.abs();
            }
        }
    }
    (total > 0.0 && bad <= BAD * total).then(|| (sum / total) as f32)
}

/// Kaiser window of a position from 0 (centre) to 1 (end).
fn kaiser(u: f64) -> f64 {
    if u >= 1.0 { 0.0 } else { bessel_i0(BETA * (1.0 - u * u).sqrt()) / bessel_i0(BETA) }
}

/// Modified Bessel function of order 0, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..40 {
        term *= (x / (2.0 * f64::from(k))).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::Grid;

    fn wave(frequency: f64) -> Image {
        Image::from_values(Grid::from_fn(64, 64, |x, y| {
            ((2.0 * PI * frequency * x as f64).cos() * (0.4 * y as f64).sin()) as f32
        }))
    }

    #[test]
    fn a_band_limited_image_is_interpolated() {
        let mut kernel = Kernel::new((1.0, 1.0));
        for (frequency, limit) in [(0.1, 0.002), (0.25, 0.003), (0.3, 0.004)] {
            let image = wave(frequency);
            for i in 0..40 {
                let (x, y) = (20.0 + 0.37 * f64::from(i), 22.0 + 0.21 * f64::from(i));
                let truth = (2.0 * PI * frequency * x).cos() * (0.4 * y).sin();
                let got = f64::from(kernel.value(&image, x, y).unwrap());
                assert!((got - truth).abs() < limit, "{frequency}: {got} {truth}");
            }
        }
    }

    #[test]
    fn whole_pixels_pass_unchanged_and_averages_remove_what_the_coarse_grid_cannot_hold() {
        let image = wave(0.3);
        assert_eq!(Kernel::new((1.0, 1.0)).value(&image, 17.0, 21.0), Some(image.values.get(17, 21)));
        // Three source pixels to one: 0.3 cycles a pixel is beyond the coarse grid's Nyquist frequency.
        let got = Kernel::new((3.0, 1.0)).value(&image, 30.2, 30.0).unwrap();
        assert!(got.abs() < 0.02, "{got}");
    }

    #[test]
    fn invalid_neighbours_make_invalid_pixels_where_they_matter() {
        let mut image = wave(0.1);
        image.valid.set(30, 30, false);
        let mut kernel = Kernel::new((1.0, 1.0));
        assert_eq!(kernel.value(&image, 30.0, 30.0), None);
        assert_eq!(kernel.value(&image, 30.5, 30.0), None);
        assert!(kernel.value(&image, 31.0, 30.0).is_some());
        assert!(kernel.value(&image, 36.0, 30.4).is_some());
        assert_eq!(kernel.value(&image, -0.4, 30.0), None);
        assert_eq!(kernel.value(&image, f64::INFINITY, 30.0), None);
    }
}
