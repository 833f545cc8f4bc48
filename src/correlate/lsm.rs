//! Least-squares matching of one window: translation, brightness and contrast free.
//!
//! Inverse-compositional Gauss-Newton (Baker & Matthews 2004, IJCV 56(3), section 3.2) on the zero-normalised sum of
//! squared differences: the displaced post window is regressed on {1, f, f_x, f_y} of the pre window,
//! g(x + d) ≈ b + a·f + p·f_x + q·f_y, and d ← d - (p, q)/a until the step vanishes. Only the pre image's gradient is
//! used: gradients of interpolated noise vary with the sub-pixel phase and pull towards half pixels. The normal matrix
//! is made once a window; every iteration interpolates the post window with separable quintic-spline taps.

use super::interp::Coefficients;
use super::prepare::{PreparedPost, PreparedPre};
use super::uncertainty::{self, Moments};
use crate::field::{Measurement, PixelShift, Status};

/// Most Gauss-Newton iterations and the step (pixels) that ends them.
const ITERATIONS: usize = 25;
const TOLERANCE: f64 = 2e-4;
/// Farthest the solution may lie from its start on each axis, pixels.
pub const CAPTURE: f64 = 1.25;
pub(super) const LANES: usize = 16;

/// Limits for a window to count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Least share of valid pixels.
    pub min_valid: f64,
    /// Variance of the prefiltered image below which a window has no texture.
    pub min_variance: f64,
}

/// Buffers for windows of one size, one per thread.
pub struct LsmWindow {
    window: (usize, usize),
    /// Window width rounded up to whole vectors.
    padded: usize,
    mask: Vec<f32>,
    /// Mask times (f, f_x, f_y), their means over the valid pixels removed.
    basis: [Vec<f32>; 3],
    rows: Vec<f32>,
    rows_slope: Vec<f32>,
    line: [Vec<f32>; 3],
    normal: nalgebra::Matrix3<f64>,
    inverse: nalgebra::Matrix3<f64>,
    /// Σ mask, Σ J·(ρ∗J)ᵀ (xx, xy, yy).
    count: f64,
    spread: [f64; 3],
}

/// A solution with what the callers need besides the measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Solution {
    pub measurement: Measurement,
    /// Zero-normalised correlation at the solution, -1..1.
    pub correlation: f64,
    pub iterations: usize,
}

impl Solution {
    fn failed(status: Status, iterations: usize) -> Self {
        Solution { measurement: Measurement::failed(status), correlation: -1.0, iterations }
    }
}

impl LsmWindow {
    pub fn new(window: (usize, usize)) -> Self {
        let padded = window.0.div_ceil(LANES) * LANES;
        let plane = || vec![0.0; padded * window.1];
        LsmWindow {
            window,
            padded,
            mask: plane(),
            basis: [plane(), plane(), plane()],
            rows: Vec::new(),
            rows_slope: Vec::new(),
            line: [vec![0.0; padded], vec![0.0; padded], vec![0.0; padded]],
            normal: nalgebra::Matrix3::zeros(),
            inverse: nalgebra::Matrix3::zeros(),
            count: 0.0,
            spread: [0.0; 3],
        }
    }

    /// Loads the window at tile pixel `corner`, with the mask that applies at whole-pixel shift `shift`, and makes the
    /// normal matrix. `weights`, 0 to 1 row by row, give pixels less say; those of weight 0 do not count as missing.
    #[inline(always)]
    pub fn load(
        &mut self,
        pre: &PreparedPre,
        post: &PreparedPost,
        corner: (usize, usize),
        shift: (i32, i32),
        limits: &Limits,
        weights: Option<&[f32]>,
    ) -> Result<(), Status> {
        let (w, h) = self.window;
        let total = weights.map_or((w * h) as f64, |all| all.iter().map(|&v| v as f64).sum());
        let at = |c: usize, s: i32| c as i64 + post.search as i64 + s as i64;
        let masked = pre.counts.count(corner.0 as i64, corner.1 as i64, (w, h)) < w * h
            || post.counts.count(at(corner.0, shift.0), at(corner.1, shift.1), (w, h)) < w * h;
        for y in 0..h {
            let out = &mut self.mask[y * self.padded..y * self.padded + w];
            if masked {
                let a = &pre.valid.row(corner.1 + y)[corner.0..corner.0 + w];
                let py = (corner.1 + y + post.search).wrapping_add_signed(shift.1 as isize);
                let px = (corner.0 + post.search).wrapping_add_signed(shift.0 as isize);
                let b = &post.valid.row(py)[px..px + w];
                for i in 0..w {
                    out[i] = if a[i] & b[i] { 1.0 } else { 0.0 };
                }
            } else {
                out.fill(1.0);
            }
            if let Some(weights) = weights {
                out.iter_mut().zip(&weights[y * w..(y + 1) * w]).for_each(|(m, v)| *m *= v);
            }
        }
        self.count = if masked || weights.is_some() { self.mask.iter().map(|&m| m as f64).sum() } else { total };
        if self.count < limits.min_valid * total || self.count < 8.0 {
            return Err(Status::NoData);
        }
        let sources = [&pre.values, &pre.gradient[0], &pre.gradient[1]];
        for (basis, source) in self.basis.iter_mut().zip(sources) {
            let mut sum = [0.0f32; LANES];
            for y in 0..h {
                let row = y * self.padded..(y + 1) * self.padded;
                let (mask, out) = (&self.mask[row.clone()], &mut basis[row]);
                let from = &source.row(corner.1 + y)[corner.0..corner.0 + w];
                for i in 0..w {
                    out[i] = from[i] * mask[i];
                }
                add_lanes(&mut sum, out);
            }
            let mean = (lanes_total(&sum) / self.count) as f32;
            for (v, m) in basis.iter_mut().zip(&self.mask) {
                *v -= mean * m;
            }
        }
        let mut products = [[0.0f32; LANES]; 6];
        let mut spread = [[0.0f32; LANES]; 3];
        let [f, gx, gy] = &self.basis;
        for y in 0..h {
            let row = y * self.padded..(y + 1) * self.padded;
            let (f, gx, gy) = (&f[row.clone()], &gx[row.clone()], &gy[row]);
            if weights.is_some() {
                // The weighted means are removed from one factor, which removes them from the products.
                let own = sources.map(|s| &s.row(corner.1 + y)[corner.0..corner.0 + w]);
                let (f, gx, gy) = (&f[..w], &gx[..w], &gy[..w]);
                let pairs = [(f, own[0]), (f, own[1]), (f, own[2]), (gx, own[1]), (gx, own[2]), (gy, own[2])];
                products.iter_mut().zip(pairs).for_each(|(sum, (a, b))| add_products(sum, a, b));
            } else {
                add_products(&mut products[0], f, f);
                add_products(&mut products[1], f, gx);
                add_products(&mut products[2], f, gy);
                add_products(&mut products[3], gx, gx);
                add_products(&mut products[4], gx, gy);
                add_products(&mut products[5], gy, gy);
            }
            let sx = &pre.spread[0].row(corner.1 + y)[corner.0..corner.0 + w];
            let sy = &pre.spread[1].row(corner.1 + y)[corner.0..corner.0 + w];
            if weights.is_some() {
                // One factor of the products carries the weights already; noise passes both.
                let mask = &self.mask[y * self.padded..y * self.padded + w];
                add_products3(&mut spread[0], &gx[..w], sx, mask);
                add_products3(&mut spread[1], &gx[..w], sy, mask);
                add_products3(&mut spread[2], &gy[..w], sy, mask);
                continue;
            }
            add_products(&mut spread[0], &gx[..w], sx);
            add_products(&mut spread[1], &gx[..w], sy);
            add_products(&mut spread[2], &gy[..w], sy);
        }
        let [ff, fx, fy, xx, xy, yy] = products.map(|l| lanes_total(&l));
        self.spread = spread.map(|l| lanes_total(&l));
        self.normal = nalgebra::Matrix3::new(ff, fx, fy, fx, xx, xy, fy, xy, yy);
        if ff <= limits.min_variance * self.count {
            return Err(Status::LowTexture);
        }
        // Texture along one direction only leaves the other component free.
        let (trace, det) = (xx + yy, xx * yy - xy * xy);
        if det <= 1e-6 * trace * trace {
            return Err(Status::LowTexture);
        }
        self.inverse = self.normal.try_inverse().ok_or(Status::LowTexture)?;
        Ok(())
    }

    /// Matches the loaded window from `start` (pixels, relative to the tile's base shift).
    #[inline(always)]
    pub fn solve(&mut self, post: &PreparedPost, corner: (usize, usize), start: PixelShift) -> Solution {
        let c = &post.coefficients;
        let mut d = start;
        let mut relax = 1.0;
        let mut last: Option<(f64, f64)> = None;
        let mut iterations = 0;
        let converged = loop {
            iterations += 1;
            let sums = self.project(c, corner, d);
            let [a, p, q] = mul(&self.inverse, sums);
            if a <= 0.0 || !(p.is_finite() && q.is_finite()) {
                break false;
            }
            let (mut sx, mut sy) = (-p / a, -q / a);
            // Noise in the pre gradient makes plain steps too short by a constant factor, seen in their ratio.
            if let Some((lx, ly)) = last {
                let ratio = (sx * lx + sy * ly) / (lx * lx + ly * ly);
                if iterations == 2 && ratio.is_finite() {
                    relax = 1.0 / (1.0 - ratio.clamp(-0.5, 0.7));
                }
            }
            last = Some((sx, sy));
            sx *= relax;
            sy *= relax;
            let length = sx.hypot(sy);
            if length > 0.7 {
                sx *= 0.7 / length;
                sy *= 0.7 / length;
            }
            d.dx += sx;
            d.dy += sy;
            if (d.dx - start.dx).abs() > CAPTURE || (d.dy - start.dy).abs() > CAPTURE {
                break false;
            }
            if length < TOLERANCE {
                break true;
            }
            if iterations >= ITERATIONS {
                break false;
            }
        };
        if !converged {
            return Solution::failed(Status::NoConvergence, iterations);
        }
        self.finish(c, corner, d, iterations)
    }

    /// Σ basis · g(x + d) for the three basis images.
    #[inline(always)]
    fn project(&mut self, c: &Coefficients, corner: (usize, usize), d: PixelShift) -> [f64; 3] {
        let (h, wp) = (self.window.1, self.padded);
        let (tx, ty) = (c.taps(corner.0 as i64, d.dx), c.taps(corner.1 as i64, d.dy));
        let rows = c.rows(h);
        self.rows.resize(rows * wp, 0.0);
        c.along_x(&tx, ty.first, rows, wp, &mut self.rows);
        let mut sums = [[0.0f32; LANES]; 3];
        let [f, gx, gy] = &self.basis;
        for y in 0..h {
            let line = &mut self.line[0][..wp];
            c.along_y(&ty.weights, &self.rows, y, wp, line);
            let row = y * wp..(y + 1) * wp;
            let (f, gx, gy) = (&f[row.clone()], &gx[row.clone()], &gy[row]);
            add_products(&mut sums[0], f, line);
            add_products(&mut sums[1], gx, line);
            add_products(&mut sums[2], gy, line);
        }
        sums.map(|l| lanes_total(&l))
    }

    /// Correlation, quality and covariance at the solution.
    #[inline(always)]
    fn finish(&mut self, c: &Coefficients, corner: (usize, usize), d: PixelShift, iterations: usize) -> Solution {
        let (h, wp) = (self.window.1, self.padded);
        let (tx, ty) = (c.taps(corner.0 as i64, d.dx), c.taps(corner.1 as i64, d.dy));
        let (sx, sy) = (c.slope_taps(corner.0 as i64, d.dx), c.slope_taps(corner.1 as i64, d.dy));
        let rows = c.rows(h);
        self.rows.resize(rows * wp, 0.0);
        self.rows_slope.resize(rows * wp, 0.0);
        c.along_x(&tx, ty.first, rows, wp, &mut self.rows);
        c.along_x(&sx, ty.first, rows, wp, &mut self.rows_slope);
        let mut sums = [[0.0f32; LANES]; 7];
        let [f, gx, gy] = &self.basis;
        let [value, slope_x, slope_y] = &mut self.line;
        for y in 0..h {
            c.along_y(&ty.weights, &self.rows, y, wp, value);
            c.along_y(&ty.weights, &self.rows_slope, y, wp, slope_x);
            c.along_y(&sy.weights, &self.rows, y, wp, slope_y);
            let row = y * wp..(y + 1) * wp;
            let (f, gx, gy) = (&f[row.clone()], &gx[row.clone()], &gy[row.clone()]);
            let mask = &self.mask[row];
            add_products(&mut sums[0], mask, value);
            add_products3(&mut sums[1], mask, value, value);
            add_products(&mut sums[2], f, value);
            add_products(&mut sums[3], gx, slope_x);
            add_products(&mut sums[4], gx, slope_y);
            add_products(&mut sums[5], gy, slope_x);
            add_products(&mut sums[6], gy, slope_y);
        }
        let [g, gg, fg, xx, xy, yx, yy] = sums.map(|l| lanes_total(&l));
        let var_f = self.normal[(0, 0)] / self.count;
        let var_g = (gg - g * g / self.count) / self.count;
        if var_g.is_nan() || var_g <= 0.0 {
            return Solution::failed(Status::LowTexture, iterations);
        }
        let correlation = fg / self.count / (var_f * var_g).sqrt();
        // Fewer than three standard deviations of chance correlation is no match.
        if correlation < 3.0 / self.count.sqrt() {
            return Solution::failed(Status::NoConvergence, iterations);
        }
        let gain = (var_g / var_f).sqrt();
        let moments = Moments {
            count: self.count,
            variance: var_f,
            correlation,
            hessian: [self.normal[(1, 1)], self.normal[(1, 2)], self.normal[(2, 2)]],
            cross: [xx / gain, 0.5 * (xy + yx) / gain, yy / gain],
            spread: self.spread,
        };
        let Some(covariance) = uncertainty::sandwich(&moments) else {
            return Solution::failed(Status::NoConvergence, iterations);
        };
        let quality = correlation.clamp(0.0, 1.0) as f32;
        let measurement = Measurement { shift: d, covariance, quality, status: Status::Valid };
        Solution { measurement, correlation, iterations }
    }

    /// The residual g/γ - f of the loaded window at displacement `d` (γ matches the contrasts), rows of the window's
    /// width, zero where invalid; and its variance.
    pub fn residual(&mut self, post: &PreparedPost, corner: (usize, usize), d: PixelShift) -> (Vec<f32>, f64) {
        let c = &post.coefficients;
        let ((w, h), wp) = (self.window, self.padded);
        let (tx, ty) = (c.taps(corner.0 as i64, d.dx), c.taps(corner.1 as i64, d.dy));
        let rows = c.rows(h);
        self.rows.resize(rows * wp, 0.0);
        c.along_x(&tx, ty.first, rows, wp, &mut self.rows);
        let mut out = vec![0.0; w * h];
        for y in 0..h {
            c.along_y(&ty.weights, &self.rows, y, wp, &mut self.line[0]);
            out[y * w..(y + 1) * w].copy_from_slice(&self.line[0][..w]);
        }
        let mask = |k: usize| self.mask[k / w * wp + k % w] as f64;
        let f = |k: usize| self.basis[0][k / w * wp + k % w] as f64;
        let mean = (0..w * h).map(|k| mask(k) * out[k] as f64).sum::<f64>() / self.count;
        let power = (0..w * h).map(|k| mask(k) * (out[k] as f64 - mean).powi(2)).sum::<f64>();
        let gain = (self.normal[(0, 0)] / power.max(f64::MIN_POSITIVE)).sqrt();
        let mut variance = 0.0;
        for k in 0..w * h {
            let r = mask(k) * ((out[k] as f64 - mean) * gain - f(k));
            variance += r * r / self.count;
            out[k] = r as f32;
        }
        (out, variance)
    }

    /// Variance of the loaded pre window.
    pub fn variance(&self) -> f64 {
        self.normal[(0, 0)] / self.count
    }
}

fn mul(m: &nalgebra::Matrix3<f64>, v: [f64; 3]) -> [f64; 3] {
    let r = m * nalgebra::Vector3::new(v[0], v[1], v[2]);
    [r[0], r[1], r[2]]
}

#[inline(always)]
pub(super) fn lanes_total(lanes: &[f32; LANES]) -> f64 {
    lanes.iter().map(|&v| v as f64).sum()
}

#[inline(always)]
fn add_lanes(acc: &mut [f32; LANES], a: &[f32]) {
    for a in a.chunks_exact(LANES) {
        for l in 0..LANES {
            acc[l] += a[l];
        }
    }
}

#[inline(always)]
pub(super) fn add_products(acc: &mut [f32; LANES], a: &[f32], b: &[f32]) {
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (ra, rb) = (a.remainder(), b.remainder());
    for (a, b) in a.zip(b) {
        for l in 0..LANES {
            acc[l] += a[l] * b[l];
        }
    }
    for (l, (a, b)) in ra.iter().zip(rb).enumerate() {
        acc[l] += a * b;
    }
}

#[inline(always)]
pub(super) fn add_products3(acc: &mut [f32; LANES], a: &[f32], b: &[f32], c: &[f32]) {
    for ((a, b), c) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)).zip(c.chunks_exact(LANES)) {
        for l in 0..LANES {
            acc[l] += a[l] * b[l] * c[l];
        }
    }
    let whole = a.len() / LANES * LANES;
    for (l, ((a, b), c)) in a[whole..].iter().zip(&b[whole..]).zip(&c[whole..]).enumerate() {
        acc[l] += a * b * c;
    }
}
