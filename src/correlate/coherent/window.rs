//! One window of complex pixels: its fringe, and the coherence magnitude as a function of a continuous displacement.
//!
//! As [`crate::correlate::peak`]: Σ f* g(x + d) is a spline through the sums of f* with the coefficients of g, one for its real
//! and one for its imaginary part.

use super::Layer;
use super::surface::parts;
use crate::correlate::half_pixel::{HalfPixels, nearest};
use crate::correlate::interp::Coefficients;
use crate::correlate::lanes::vectors;
use crate::correlate::lsm::Limits;
use crate::correlate::peak::{Jet, LAGS, LANES, away, norm_at, quotient, spline, weigh};
use crate::correlate::window_sums::WindowTerms;
use crate::field::{PixelShift, Status};
use crate::grid::Grid;
use rustfft::num_complex::Complex64;

pub struct ComplexWindow {
    window: (usize, usize),
    /// Window width rounded up to whole vectors.
    padded: usize,
    weights: Vec<f32>,
    weighted: bool,
    /// Weight times real and imaginary part, the fringe taken out.
    f: [Vec<f32>; 2],
    /// Counts two numbers a pixel.
    terms: WindowTerms,
    /// Σ f* c around the knot.
    lags: [[f64; LAGS * LAGS]; 2],
    knot: (i64, i64),
    half: (i64, i64),
    norms: [f64; 9],
}

const NOWHERE: (i64, i64) = (i64::MAX, i64::MAX);

impl ComplexWindow {
    pub fn new(window: (usize, usize)) -> Self {
        let padded = window.0.div_ceil(LANES) * LANES;
        let plane = || vec![0.0; padded * window.1];
        ComplexWindow {
            window,
            padded,
            weights: plane(),
            weighted: false,
            f: [plane(), plane()],
            terms: WindowTerms::default(),
            lags: [[0.0; LAGS * LAGS]; 2],
            knot: NOWHERE,
            half: NOWHERE,
            norms: [0.0; 9],
        }
    }

    /// As [`crate::correlate::peak::WindowCorrelation::load`].
    pub fn load(
        &mut self,
        layer: &Layer,
        corner: (usize, usize),
        shift: (i32, i32),
        cut: Option<&[f32]>,
        limits: &Limits,
    ) -> Result<(), Status> {
        let (w, h) = self.window;
        let (pair, padded) = ((&layer[0].pre, &layer[0].post), (self.window, self.padded));
        let (count, weighted) = weigh(pair, corner, shift, cut, limits, padded, &mut self.weights)?;
        self.weighted = weighted;
        let (mut energy, mut gradient, mut spread) = (0.0f64, [0.0f64; 3], [0.0f64; 3]);
        for (part, band) in layer.iter().enumerate() {
            let pre = &band.pre;
            let line = |g: &'_ Grid<f32>, y: usize| -> std::ops::Range<usize> {
                let start = (corner.1 + y) * g.width + corner.0;
                start..start + w
            };
            for y in 0..h {
                let range = line(&pre.values, y);
                let out = &mut self.f[part][y * self.padded..y * self.padded + w];
                let weights = &self.weights[y * self.padded..y * self.padded + w];
                let [v, gx, gy, sx, sy] =
                    [&pre.values, &pre.gradient[0], &pre.gradient[1], &pre.spread[0], &pre.spread[1]]
                        .map(|g| &g.data[range.clone()]);
                for x in 0..w {
                    let k = if self.weighted { weights[x] } else { 1.0 };
                    out[x] = k * v[x];
                    energy += (k * v[x] * v[x]) as f64;
                    let (a, b) = (k * gx[x], k * gy[x]);
                    gradient[0] += (a * a) as f64;
                    gradient[1] += (a * b) as f64;
                    gradient[2] += (b * b) as f64;
                    spread[0] += (a * sx[x]) as f64;
                    spread[1] += (a * sy[x]) as f64;
                    spread[2] += (b * sy[x]) as f64;
                }
            }
        }
        self.terms = WindowTerms { count: 2.0 * count, mean: 0.0, energy, gradient, spread };
        if self.terms.flat(limits.min_variance) {
            return Err(Status::LowTexture);
        }
        self.knot = NOWHERE;
        self.half = NOWHERE;
        Ok(())
    }

    /// Takes the mean fringe out of the loaded window. Its rate is that of the phase between neighbouring parts of the window at
    /// the whole-pixel displacement `shift`.
    pub fn flatten(&mut self, layer: &Layer, corner: (usize, usize), shift: (i32, i32)) {
        let ((w, h), post) = (self.window, &layer[0].post);
        let (m, n) = (parts(w), parts(h));
        let at = |c: usize, s: i32| (c + post.search).wrapping_add_signed(s as isize);
        let (px, py) = (at(corner.0, shift.0), at(corner.1, shift.1));
        let mut sums = vec![Complex64::ZERO; m * n];
        for y in 0..h {
            let f = [0, 1].map(|k| &self.f[k][y * self.padded..y * self.padded + w]);
            let g = [0, 1].map(|k: usize| &layer[k].post.values.row(py + y)[px..px + w]);
            for i in 0..m {
                let (mut re, mut im) = (0.0f32, 0.0f32);
                for x in i * w / m..(i + 1) * w / m {
                    re += f[0][x] * g[0][x] + f[1][x] * g[1][x];
                    im += f[0][x] * g[1][x] - f[1][x] * g[0][x];
                }
                let j = (0..n).rfind(|j| j * h / n <= y).unwrap_or(0);
                sums[j * m + i] += Complex64::new(re as f64, im as f64);
            }
        }
        let rate = |lag: usize, count: usize, side: usize, along: fn(usize, usize) -> bool, m: usize| {
            let pairs = (0..sums.len()).filter(|&k| along(k, m) && k + lag < sums.len());
            let turned: Complex64 = pairs.map(|k| sums[k + lag] * sums[k].conj()).sum();
            if count < 2 || turned == Complex64::ZERO { 0.0 } else { turned.arg() * count as f64 / side as f64 }
        };
        let (fx, fy) = (rate(1, m, w, |k, m| (k + 1) % m != 0, m), rate(m, n, h, |_, _| true, m));
        if fx == 0.0 && fy == 0.0 {
            return;
        }
        let turn: Vec<Complex64> =
            (0..w).map(|x| Complex64::from_polar(1.0, fx * (x as f64 - 0.5 * w as f64))).collect();
        let [re, im] = &mut self.f;
        for y in 0..h {
            let row = Complex64::from_polar(1.0, fy * (y as f64 - 0.5 * h as f64));
            for (x, turn) in turn.iter().enumerate() {
                let k = y * self.padded + x;
                let v = Complex64::new(re[k] as f64, im[k] as f64) * turn * row;
                (re[k], im[k]) = (v.re as f32, v.im as f32);
            }
        }
    }

    /// The coherence magnitude around displacement `d`; `None` where the post window has no energy.
    pub fn at(
        &mut self,
        layer: &Layer,
        halves: &[HalfPixels; 2],
        corner: (usize, usize),
        d: PixelShift,
    ) -> Option<Jet> {
        let [re, im] = layer.map(|b| &b.post.coefficients);
        let factor = re.factor as f64;
        let (px, py) = (d.dx * factor, d.dy * factor);
        let knot = (px.round() as i64, py.round() as i64);
        if knot != self.knot {
            self.knot = knot;
            vectors(
                #[inline(always)]
                || self.correlate([re, im], corner),
            );
        }
        if away(d, self.half) {
            self.half = nearest(d);
            self.norm(halves, corner);
        }
        let at = (px - knot.0 as f64, py - knot.1 as f64);
        let [a, b] = [0, 1].map(|k| spline(&self.lags[k], at, factor));
        let norm = norm_at(&self.norms, d, self.half);
        let energy = self.terms.energy;
        (norm.value > 0.0 && energy > 0.0).then(|| quotient(&magnitude(&a, &b), &norm, energy))
    }

    #[inline(always)]
    fn correlate(&mut self, c: [&Coefficients; 2], corner: (usize, usize)) {
        let (h, wp) = (self.window.1, self.padded);
        let grid = c[0];
        let factor = grid.factor as i64;
        let first = |corner: usize, knot: i64| (corner as i64 + grid.margin as i64) * factor + knot - LAGS as i64 / 2;
        let (fx, fy) = (first(corner.0, self.knot.0), first(corner.1, self.knot.1));
        for j in 0..LAGS {
            let mut sums = [[[0.0f32; LANES]; 2]; LAGS];
            for y in 0..h {
                let row = (fy + j as i64 + factor * y as i64) as usize * grid.stride;
                let line = |c: &'_ Coefficients, i: usize| -> (usize, usize) {
                    let t = fx + i as i64;
                    (t.rem_euclid(c.factor as i64) as usize, row + t.div_euclid(factor) as usize)
                };
                let range = y * wp..(y + 1) * wp;
                let (fr, fi) = (&self.f[0][range.clone()], &self.f[1][range]);
                for i in 0..LAGS {
                    let (plane, start) = line(grid, i);
                    let (gr, gi) = (&c[0].planes[plane][start..start + wp], &c[1].planes[plane][start..start + wp]);
                    let [re, im] = &mut sums[i];
                    for k in (0..wp).step_by(LANES) {
                        for l in 0..LANES {
                            re[l] += fr[k + l] * gr[k + l] + fi[k + l] * gi[k + l];
                            im[l] += fr[k + l] * gi[k + l] - fi[k + l] * gr[k + l];
                        }
                    }
                }
            }
            for i in 0..LAGS {
                for p in 0..2 {
                    self.lags[p][j * LAGS + i] = sums[i][p].iter().map(|&v| v as f64).sum();
                }
            }
        }
    }

    fn norm(&mut self, halves: &[HalfPixels; 2], corner: (usize, usize)) {
        let count = 0.5 * self.terms.count;
        for k in 0..9 {
            let half = (self.half.0 + k as i64 % 3 - 1, self.half.1 + k as i64 / 3 - 1);
            self.norms[k] = halves
                .iter()
                .map(|h| match self.weighted {
                    true => h.weighted(corner, self.window, half, (&self.weights, self.padded, count)),
                    false => h.energy(corner, self.window, half),
                })
                .sum();
        }
    }

    pub fn terms(&self) -> &WindowTerms {
        &self.terms
    }
}

/// √(a² + b²).
fn magnitude(a: &Jet, b: &Jet) -> Jet {
    let value = a.value.hypot(b.value).max(f64::MIN_POSITIVE);
    let gradient = [0, 1].map(|i| (a.value * a.gradient[i] + b.value * b.gradient[i]) / value);
    let second = |k: usize, i: usize, j: usize| {
        let products = a.gradient[i] * a.gradient[j] + b.gradient[i] * b.gradient[j];
        (products + a.value * a.second[k] + b.value * b.second[k] - gradient[i] * gradient[j]) / value
    };
    Jet { value, gradient, second: [second(0, 0, 0), second(1, 0, 1), second(2, 1, 1)] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_of_the_magnitude_are_those_of_the_value() {
        let a = |x: f64, y: f64| Jet {
            value: 2.0 + x + 0.5 * y + x * x - x * y,
            gradient: [1.0 + 2.0 * x - y, 0.5 - x],
            second: [2.0, -1.0, 0.0],
        };
        let b = |x: f64, y: f64| Jet { value: 1.0 - x + y * y, gradient: [-1.0, 2.0 * y], second: [0.0, 0.0, 2.0] };
        let (x, y, h) = (0.3, -0.2, 1e-4);
        let m = magnitude(&a(x, y), &b(x, y));
        let v = |i: f64, j: f64| magnitude(&a(x + i * h, y + j * h), &b(x + i * h, y + j * h)).value;
        let want = [(v(1.0, 0.0) - v(-1.0, 0.0)) / (2.0 * h), (v(0.0, 1.0) - v(0.0, -1.0)) / (2.0 * h)];
        let xy = (v(1.0, 1.0) + v(-1.0, -1.0) - v(1.0, -1.0) - v(-1.0, 1.0)) / (4.0 * h * h);
        let xx = (v(1.0, 0.0) + v(-1.0, 0.0) - 2.0 * v(0.0, 0.0)) / (h * h);
        assert!((m.gradient[0] - want[0]).abs() < 1e-6 && (m.gradient[1] - want[1]).abs() < 1e-6);
        assert!((m.second[0] - xx).abs() < 1e-5 && (m.second[1] - xy).abs() < 1e-5);
    }
}
