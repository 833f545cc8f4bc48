//! Least-squares matching of one window: translation, brightness and contrast free.
//!
//! Inverse-compositional Gauss-Newton (Baker & Matthews 2004, IJCV 56(3), section 3.2) on the zero-normalised sum of
//! squared differences: the displaced post window is regressed on {1, f, f_x, f_y} of the pre window,
//! g(x + d) ≈ b + a·f + p·f_x + q·f_y, and d ← d - (p, q)/a until the step vanishes. Only the pre image's gradient is
//! used: gradients of interpolated noise vary with the sub-pixel phase and pull towards half pixels. The normal matrix
//! is made once a window; every iteration interpolates the post window with separable quintic-spline taps.

use super::interp::Coefficients;
use super::lanes::{self, LANES};
pub use super::lsm_window::{Limits, LsmWindow};
use super::prepare::PreparedPost;
use super::uncertainty::{self, Moments};
use crate::field::{Measurement, PixelShift, Status};

/// Most Gauss-Newton iterations and the step (pixels) that ends them.
const ITERATIONS: usize = 25;
const TOLERANCE: f64 = 2e-4;
/// Farthest the solution may lie from its start on each axis, pixels.
pub const CAPTURE: f64 = 1.25;

/// A solution with what the callers need besides the measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Solution {
    pub measurement: Measurement,
    /// Zero-normalised correlation at the solution, -1..1.
    pub correlation: f64,
    pub iterations: usize,
}

impl Solution {
    pub fn failed(status: Status, iterations: usize) -> Self {
        Solution { measurement: Measurement::failed(status), correlation: -1.0, iterations }
    }

    /// Of what was found at `d`.
    #[inline(always)]
    pub(super) fn at(d: PixelShift, moments: Result<Moments, Status>, iterations: usize) -> Self {
        let moments = match moments {
            Ok(moments) => moments,
            Err(status) => return Solution::failed(status, iterations),
        };
        let Some(covariance) = uncertainty::sandwich(&moments) else {
            return Solution::failed(Status::NoConvergence, iterations);
        };
        let correlation = moments.correlation;
        let quality = correlation.clamp(0.0, 1.0) as f32;
        let measurement = Measurement { shift: d, covariance, quality, status: Status::Valid };
        Solution { measurement, correlation, iterations }
    }
}

/// Gauss-Newton from `start`: the solution, `None` without convergence, and the number of iterations. `project` gives the
/// products of the basis with the displaced post window, `None` where it cannot; `inverse` is that of the normal matrix.
#[inline(always)]
pub(super) fn descend(
    start: PixelShift,
    inverse: &nalgebra::Matrix3<f64>,
    mut project: impl FnMut(PixelShift) -> Option<[f64; 3]>,
) -> (Option<PixelShift>, usize) {
    let mut d = start;
    let mut relax = 1.0;
    let mut last: Option<(f64, f64)> = None;
    let mut iterations = 0;
    loop {
        iterations += 1;
        let Some(sums) = project(d) else { return (None, iterations) };
        let [a, p, q] = mul(inverse, sums);
        let (mut sx, mut sy) = (-p / a, -q / a);
        // Values whose squares overflow are not numbers here, and no step must be taken by those.
        if a <= 0.0 || !(sx.is_finite() && sy.is_finite()) {
            return (None, iterations);
        }
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
            return (None, iterations);
        }
        if length < TOLERANCE {
            return (Some(d), iterations);
        }
        if iterations >= ITERATIONS {
            return (None, iterations);
        }
    }
}

/// Sums of the post window at a displacement.
pub(super) struct PostSums {
    /// Σ w (g - ḡ)².
    pub energy: f64,
    /// Σ of the basis f times g.
    pub product: f64,
    /// Σ of the basis f_x times g_x and g_y, then of f_y.
    pub slopes: [f64; 4],
}

/// What the uncertainty needs, from sums over the two windows: of the weights and their squares, of f², of J_f J_fᵀ and of
/// J_f (ρ∗J_f)ᵀ; an error where the windows have nothing in common.
#[inline(always)]
pub(super) fn moments(
    post: &PostSums,
    (count, squares): (f64, f64),
    power: f64,
    hessian: [f64; 3],
    spread: [f64; 3],
) -> Result<Moments, Status> {
    let (var_f, var_g) = (power / count, post.energy / count);
    if var_g.is_nan() || var_g <= 0.0 {
        return Err(Status::LowTexture);
    }
    let correlation = post.product / count / (var_f * var_g).sqrt();
    let effective = if squares > 0.0 { count * count / squares } else { 0.0 };
    // Fewer than three standard deviations of chance correlation is no match.
    if correlation < 3.0 / effective.sqrt() {
        return Err(Status::NoConvergence);
    }
    let gain = (var_g / var_f).sqrt();
    let [xx, xy, yx, yy] = post.slopes;
    Ok(Moments {
        count: effective,
        weight: squares / count,
        variance: var_f,
        correlation,
        hessian,
        cross: [xx / gain, 0.5 * (xy + yx) / gain, yy / gain],
        spread,
    })
}

impl LsmWindow {
    /// Matches the loaded window from `start` (pixels, relative to the tile's base shift).
    pub fn solve(&mut self, post: &PreparedPost, corner: (usize, usize), start: PixelShift) -> Solution {
        lanes::vectors(
            #[inline(always)]
            || self.solve_inlined(post, corner, start),
        )
    }

    #[inline(always)]
    fn solve_inlined(&mut self, post: &PreparedPost, corner: (usize, usize), start: PixelShift) -> Solution {
        let c = &post.coefficients;
        let inverse = self.inverse;
        match descend(start, &inverse, |d| Some(self.project_inlined(c, corner, d))) {
            (Some(d), iterations) => self.finish(c, corner, d, iterations),
            (None, iterations) => Solution::failed(Status::NoConvergence, iterations),
        }
    }

    /// Σ basis · g(x + d) for the three basis images.
    pub(super) fn project(&mut self, c: &Coefficients, corner: (usize, usize), d: PixelShift) -> [f64; 3] {
        lanes::vectors(
            #[inline(always)]
            || self.project_inlined(c, corner, d),
        )
    }

    #[inline(always)]
    fn project_inlined(&mut self, c: &Coefficients, corner: (usize, usize), d: PixelShift) -> [f64; 3] {
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
            lanes::add_products(&mut sums[0], f, line);
            lanes::add_products(&mut sums[1], gx, line);
            lanes::add_products(&mut sums[2], gy, line);
        }
        sums.map(|l| lanes::total(&l))
    }

    /// Σ (g - ḡ)² of a whole post window of this size displaced by `d`, whatever window is loaded.
    #[inline(always)]
    pub(super) fn energy(&mut self, c: &Coefficients, corner: (usize, usize), d: PixelShift) -> f64 {
        let ((w, h), wp) = (self.window, self.padded);
        let (tx, ty) = (c.taps(corner.0 as i64, d.dx), c.taps(corner.1 as i64, d.dy));
        let rows = c.rows(h);
        self.rows.resize(rows * wp, 0.0);
        c.along_x(&tx, ty.first, rows, wp, &mut self.rows);
        let (mut sum, mut squares) = ([0.0f32; LANES], [0.0f32; LANES]);
        for y in 0..h {
            let line = &mut self.line[0][..wp];
            c.along_y(&ty.weights, &self.rows, y, wp, line);
            line[w..].fill(0.0);
            lanes::add(&mut sum, line);
            lanes::add_products(&mut squares, line, line);
        }
        let (sum, squares) = (lanes::total(&sum), lanes::total(&squares));
        squares - sum * sum / (w * h) as f64
    }

    /// Correlation, quality and covariance at the solution.
    #[inline(always)]
    fn finish(&mut self, c: &Coefficients, corner: (usize, usize), d: PixelShift, iterations: usize) -> Solution {
        Solution::at(d, self.moments_inlined(c, corner, d), iterations)
    }

    /// What the uncertainty needs, at displacement `d`; an error where the two windows have nothing in common.
    pub(super) fn moments(
        &mut self,
        c: &Coefficients,
        corner: (usize, usize),
        d: PixelShift,
    ) -> Result<Moments, Status> {
        lanes::vectors(
            #[inline(always)]
            || self.moments_inlined(c, corner, d),
        )
    }

    #[inline(always)]
    fn moments_inlined(&mut self, c: &Coefficients, corner: (usize, usize), d: PixelShift) -> Result<Moments, Status> {
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
            lanes::add_products(&mut sums[0], mask, value);
            lanes::add_products3(&mut sums[1], mask, value, value);
            lanes::add_products(&mut sums[2], f, value);
            lanes::add_products(&mut sums[3], gx, slope_x);
            lanes::add_products(&mut sums[4], gx, slope_y);
            lanes::add_products(&mut sums[5], gy, slope_x);
            lanes::add_products(&mut sums[6], gy, slope_y);
        }
        let [g, gg, fg, xx, xy, yx, yy] = sums.map(|l| lanes::total(&l));
        let post = PostSums { energy: gg - g * g / self.count, product: fg, slopes: [xx, xy, yx, yy] };
        let weights = (self.count, self.squares);
        moments(&post, weights, self.normal[(0, 0)], self.hessian(), self.spread)
    }

    /// The residual g/γ - f of the loaded window at displacement `d` (γ matches the contrasts), rows of the window's
    /// width, times the weights; and its variance (for weights 0 and 1).
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

    /// (a, p, q) of the regression on the basis from its products with the post window.
    #[inline(always)]
    pub(super) fn regress(&self, sums: [f64; 3]) -> [f64; 3] {
        mul(&self.inverse, sums)
    }

    /// Σ w J Jᵀ of the loaded window (xx, xy, yy).
    pub(super) fn hessian(&self) -> [f64; 3] {
        [self.normal[(1, 1)], self.normal[(1, 2)], self.normal[(2, 2)]]
    }
}

fn mul(m: &nalgebra::Matrix3<f64>, v: [f64; 3]) -> [f64; 3] {
    let r = m * nalgebra::Vector3::new(v[0], v[1], v[2]);
    [r[0], r[1], r[2]]
}
