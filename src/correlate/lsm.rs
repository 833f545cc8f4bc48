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
        let mut d = start;
        let mut relax = 1.0;
        let mut last: Option<(f64, f64)> = None;
        let mut iterations = 0;
        let converged = loop {
            iterations += 1;
            let sums = self.project_inlined(c, corner, d);
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

    /// Correlation, quality and covariance at the solution.
    #[inline(always)]
    fn finish(&mut self, c: &Coefficients, corner: (usize, usize), d: PixelShift, iterations: usize) -> Solution {
        let moments = match self.moments_inlined(c, corner, d) {
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
        let var_f = self.normal[(0, 0)] / self.count;
        let var_g = (gg - g * g / self.count) / self.count;
        if var_g.is_nan() || var_g <= 0.0 {
            return Err(Status::LowTexture);
        }
        let correlation = fg / self.count / (var_f * var_g).sqrt();
        // Fewer than three standard deviations of chance correlation is no match.
        if correlation < 3.0 / self.effective().sqrt() {
            return Err(Status::NoConvergence);
        }
        let gain = (var_g / var_f).sqrt();
        Ok(Moments {
            count: self.effective(),
            weight: self.squares / self.count,
            variance: var_f,
            correlation,
            hessian: [self.normal[(1, 1)], self.normal[(1, 2)], self.normal[(2, 2)]],
            cross: [xx / gain, 0.5 * (xy + yx) / gain, yy / gain],
            spread: self.spread,
        })
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
