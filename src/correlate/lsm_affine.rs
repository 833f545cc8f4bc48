//! Least-squares matching with an affine shape function: translation, rotation, shear and scale of a window.
//!
//! Inverse-compositional Gauss-Newton (Baker & Matthews 2004, section 3.2) as in [`super::lsm`], with the warp
//! W(x) = x + d + A·(x - c) about the window's centre c. The warped post window is regressed on f, f_x, f_x·X, f_x·Y,
//! f_y, f_y·X, f_y·Y (X, Y from -1 to 1 across the window), which gives an increment ΔW, and W ← W∘ΔW⁻¹. The reported
//! displacement is d, that of the centre; its covariance is the translation part of the full covariance, so what A
//! costs is in it.

use super::interp::{Coefficients, Taps};
use super::lanes::{self, LANES};
use super::lsm::{CAPTURE, Limits, LsmWindow, Solution};
use super::prepare::{PreparedPost, PreparedPre};
use super::uncertainty::RESAMPLING_FLOOR;
use crate::field::{Covariance, Measurement, PixelShift, Status};
use crate::grid::Grid;
use nalgebra::{Matrix2, SMatrix, SVector, Vector2};

type Matrix7 = SMatrix<f64, 7, 7>;
type Matrix6 = SMatrix<f64, 6, 6>;

/// Most iterations, and the steps (pixels at the centre, and at the window's edge for A) that end them.
const ITERATIONS: usize = 40;
const TOLERANCE: f64 = 3e-4;
const EDGE_TOLERANCE: f64 = 2e-3;
/// Largest derivative of the displacement.
const STEEPEST: f64 = 0.35;
/// Farthest a step may move the window's centre or edge, pixels.
const LONGEST: f64 = 1.0;
/// The first estimate comes from a window whose weights fall off with this standard deviation, in window sides.
const NARROW: f64 = 0.14;

/// Displacement of the centre and its derivatives, columns: along x, along y.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Warp {
    pub d: PixelShift,
    pub a: Matrix2<f64>,
}

/// Buffers for windows of one size, one per thread.
pub struct LsmAffine {
    window: (usize, usize),
    narrow: Vec<f32>,
    /// f and the six products of gradients and coordinates, weighted means removed.
    basis: [Vec<f32>; 7],
    weight: Vec<f32>,
    values: Vec<f32>,
    slopes: [Vec<f32>; 2],
    normal: Matrix7,
    inverse: Matrix7,
    /// The buffers hold the solution that was returned.
    current: bool,
    table: Option<Table>,
}

/// Spline weights for fractions of a coefficient spacing; linear in between (error below 1e-6).
struct Table {
    spline: super::interp::Spline,
    value: Vec<[f32; 6]>,
    slope: Vec<[f32; 6]>,
}

const FRACTIONS: usize = 512;

impl Table {
    fn new(spline: super::interp::Spline, factor: usize) -> Self {
        let at = |i: usize| i as f64 / FRACTIONS as f64;
        // The last entry is the next cell's first, with the taps of this cell.
        let near = |i: usize| at(i).min(1.0 - 1e-9);
        let slope = |i: usize| Taps::slope(spline, near(i)).weights.map(|w| w * factor as f32);
        let value = |i: usize| Taps::value(spline, near(i)).weights;
        Table { spline, value: (0..=FRACTIONS).map(value).collect(), slope: (0..=FRACTIONS).map(slope).collect() }
    }

    #[inline(always)]
    fn at(table: &[[f32; 6]], fraction: f32) -> [f32; 6] {
        let t = fraction * FRACTIONS as f32;
        let i = (t as usize).min(FRACTIONS - 1);
        let u = t - i as f32;
        let (a, b) = (&table[i], &table[i + 1]);
        std::array::from_fn(|k| a[k] + u * (b[k] - a[k]))
    }
}

impl LsmAffine {
    pub fn new(window: (usize, usize)) -> Self {
        let n = window.0 * window.1;
        let plane = || vec![0.0; n];
        let bell = |i: usize, n: usize| {
            let t = (i as f64 + 0.5) / n as f64 - 0.5;
            (-0.5 * (t / NARROW).powi(2)).exp()
        };
        let narrow = (0..n).map(|k| (bell(k % window.0, window.0) * bell(k / window.0, window.1)) as f32).collect();
        LsmAffine {
            window,
            narrow,
            basis: std::array::from_fn(|_| plane()),
            weight: plane(),
            values: plane(),
            slopes: [plane(), plane()],
            normal: Matrix7::zeros(),
            inverse: Matrix7::zeros(),
            current: false,
            table: None,
        }
    }

    /// Matches the window that `work` has loaded (with the same `weights`), from the displacement `start` of its centre.
    pub fn solve(
        &mut self,
        work: &LsmWindow,
        (pre, post): (&PreparedPre, &PreparedPost),
        corner: (usize, usize),
        start: PixelShift,
        weights: Option<&[f32]>,
        limits: &Limits,
    ) -> Solution {
        if self.table.as_ref().is_none_or(|t| t.spline != post.coefficients.spline) {
            self.table = Some(Table::new(post.coefficients.spline, post.coefficients.factor));
        }
        let least = limits.min_valid * work.whole();
        let mut best = Solution::failed(Status::NoConvergence, 0);
        self.current = false;
        // A whole window decorrelates where it rotates by more than the texture's grain at its edges; its middle does
        // not, so a narrow window finds the derivatives first. The plain start is the better one in strong noise.
        for narrow in [true, false] {
            let mut warp = Warp { d: start, a: Matrix2::zeros() };
            let mut iterations = 0;
            if narrow {
                let narrow = self.stage(work, (pre, post), corner, &mut warp, weights, (true, 0.0));
                iterations += narrow.1;
                if narrow.0.is_err() {
                    continue;
                }
            }
            let (outcome, more) = self.stage(work, (pre, post), corner, &mut warp, weights, (false, least));
            iterations += more;
            let solution = match &outcome {
                Ok(()) => lanes::vectors(
                    #[inline(always)]
                    || self.finish((pre, post), corner, &warp, iterations),
                ),
                Err(status) => Solution::failed(*status, iterations),
            };
            if solution.correlation > best.correlation || best.measurement.status != Status::Valid {
                best = solution;
                self.current = best.measurement.status == Status::Valid;
            } else if outcome.is_ok() {
                self.current = false;
            }
            if best.measurement.status == Status::Valid && best.correlation > 0.5 {
                break;
            }
        }
        best
    }

    /// The residual g/γ - f of the window that was solved last, rows of the window's width, and its variance; `None` where
    /// another attempt has overwritten it.
    pub fn residual(&self) -> Option<(Vec<f32>, f64)> {
        if !self.current {
            return None;
        }
        let total: f64 = self.weight.iter().map(|&v| v as f64).sum();
        let pairs = || self.values.iter().zip(&self.weight).map(|(v, w)| (*v as f64, *w as f64));
        let mean = pairs().map(|(v, w)| v * w).sum::<f64>() / total;
        let power = pairs().map(|(v, w)| w * (v - mean).powi(2)).sum::<f64>();
        let gain = (self.normal[(0, 0)] / power.max(f64::MIN_POSITIVE)).sqrt();
        let r: Vec<f32> =
            pairs().zip(&self.basis[0]).map(|((v, w), f)| (w * ((v - mean) * gain - *f as f64)) as f32).collect();
        let variance = r.iter().map(|v| f64::from(v * v)).sum::<f64>() / total;
        Some((r, variance))
    }

    /// Iterates `warp` with the narrow or the whole window; `least` is the smallest effective number of samples.
    fn stage(
        &mut self,
        work: &LsmWindow,
        (pre, post): (&PreparedPre, &PreparedPost),
        corner: (usize, usize),
        warp: &mut Warp,
        weights: Option<&[f32]>,
        (narrow, least): (bool, f64),
    ) -> (Result<(), Status>, usize) {
        let start = *warp;
        let mut iterations = 0;
        // Which post pixels are invalid depends on the warp.
        for _ in 0..3 {
            if let Err(status) = lanes::vectors(
                #[inline(always)]
                || self.load(work, (pre, post), corner, warp, weights, (narrow, least)),
            ) {
                return (Err(status), iterations);
            }
            let before = *warp;
            if let Err(status) = lanes::vectors(
                #[inline(always)]
                || self.iterate(&post.coefficients, corner, warp, (start, narrow), &mut iterations),
            ) {
                return (Err(status), iterations);
            }
            let moved = (warp.d.dx - before.d.dx).abs().max((warp.d.dy - before.d.dy).abs());
            if narrow || post.all_valid || (moved < 0.05 && (warp.a - before.a).amax() < 0.005) {
                break;
            }
        }
        (Ok(()), iterations)
    }

    /// Weights, basis and normal matrix for pixels that are valid at `warp`.
    #[inline(always)]
    fn load(
        &mut self,
        work: &LsmWindow,
        (pre, post): (&PreparedPre, &PreparedPost),
        corner: (usize, usize),
        warp: &Warp,
        weights: Option<&[f32]>,
        (narrow, least): (bool, f64),
    ) -> Result<(), Status> {
        let (w, h) = self.window;
        let (cx, cy) = centre(self.window);
        let (mut total, mut squares) = (0.0f64, 0.0f64);
        for k in 0..w * h {
            let (i, j) = (k % w, k / w);
            let valid = pre.all_valid || pre.valid.get(corner.0 + i, corner.1 + j);
            let mut weight = if valid { work.nominal(k, weights) } else { 0.0 };
            if narrow {
                weight *= self.narrow[k];
            }
            if weight > 0.0 && !post.all_valid {
                let (x, y) = place(warp, corner, (i as f64 - cx, j as f64 - cy), (cx, cy));
                let (x, y) = ((x + post.search as f64).round(), (y + post.search as f64).round());
                let inside = x >= 0.0 && y >= 0.0 && x < post.valid.width as f64 && y < post.valid.height as f64;
                if !(inside && post.valid.get(x as usize, y as usize)) {
                    weight = 0.0;
                }
            }
            self.weight[k] = weight;
            total += weight as f64;
            squares += (weight as f64).powi(2);
        }
        if squares <= 0.0 || total * total / squares < least.max(16.0) {
            return Err(Status::NoData);
        }
        let rows = |g: &Grid<f32>, out: &mut [f32]| {
            for j in 0..h {
                out[j * w..(j + 1) * w].copy_from_slice(&g.row(corner.1 + j)[corner.0..corner.0 + w]);
            }
        };
        rows(&pre.values, &mut self.basis[0]);
        rows(&pre.gradient[0], &mut self.basis[1]);
        rows(&pre.gradient[1], &mut self.basis[4]);
        for axis in [1, 4] {
            for k in 0..w * h {
                let g = self.basis[axis][k];
                self.basis[axis + 1][k] = g * ((k % w) as f64 - cx) as f32 / cx as f32;
                self.basis[axis + 2][k] = g * ((k / w) as f64 - cy) as f32 / cy as f32;
            }
        }
        for basis in &mut self.basis {
            let sum: f64 = basis.iter().zip(&self.weight).map(|(v, w)| (v * w) as f64).sum();
            let mean = (sum / total) as f32;
            basis.iter_mut().for_each(|v| *v -= mean);
        }
        let mut weighted = vec![0.0f32; w * h];
        for i in 0..7 {
            for (o, (v, m)) in weighted.iter_mut().zip(self.basis[i].iter().zip(&self.weight)) {
                *o = v * m;
            }
            for j in i..7 {
                let sum = dot(&weighted, &self.basis[j]);
                self.normal[(i, j)] = sum;
                self.normal[(j, i)] = sum;
            }
        }
        self.inverse = self.normal.try_inverse().ok_or(Status::LowTexture)?;
        Ok(())
    }

    #[inline(always)]
    fn iterate(
        &mut self,
        c: &Coefficients,
        corner: (usize, usize),
        warp: &mut Warp,
        (start, narrow): (Warp, bool),
        iterations: &mut usize,
    ) -> Result<(), Status> {
        let (cx, cy) = centre(self.window);
        let tolerance = if narrow { 30.0 } else { 1.0 };
        let mut relax = 1.0;
        let mut last: Option<SVector<f64, 6>> = None;
        for round in 0..ITERATIONS {
            *iterations += 1;
            self.sample(c, corner, warp, false)?;
            let sums = SVector::<f64, 7>::from_fn(|i, _| {
                let mut sum = [0.0f32; LANES];
                lanes::add_products3(&mut sum, &self.basis[i], &self.weight, &self.values);
                lanes::total(&sum)
            });
            let solution = self.inverse * sums;
            let gain = solution[0];
            if gain.is_nan() || gain <= 0.0 {
                return Err(Status::NoConvergence);
            }
            let mut step: SVector<f64, 6> = solution.fixed_rows::<6>(1) / gain;
            // As in the translation: noise in the gradient shortens every step by a constant factor.
            if let Some(last) = &last
                && round == 1
            {
                let ratio = step.dot(last) / last.norm_squared();
                if ratio.is_finite() {
                    relax = 1.0 / (1.0 - ratio.clamp(-0.5, 0.7));
                }
            }
            last = Some(step);
            step *= relax;
            let longest = step.amax();
            if longest > LONGEST {
                step *= LONGEST / longest;
            }
            // ΔW(x) = x + p + P·(x - c); W ← W∘ΔW⁻¹.
            let p = Vector2::new(step[0], step[3]);
            let big_p = Matrix2::new(step[1] / cx, step[2] / cy, step[4] / cx, step[5] / cy);
            let undo = (Matrix2::identity() + big_p).try_inverse().ok_or(Status::NoConvergence)?;
            let m = (Matrix2::identity() + warp.a) * undo;
            let d = Vector2::new(warp.d.dx, warp.d.dy) - m * p;
            *warp = Warp { d: PixelShift::new(d[0], d[1]), a: m - Matrix2::identity() };
            let away = (d[0] - start.d.dx).abs().max((d[1] - start.d.dy).abs());
            if !(away <= 1.5 * CAPTURE && warp.a.amax() <= STEEPEST) {
                return Err(Status::NoConvergence);
            }
            let centre_step = step[0].hypot(step[3]);
            if centre_step < tolerance * TOLERANCE && longest < tolerance * EDGE_TOLERANCE {
                return Ok(());
            }
        }
        Err(Status::NoConvergence)
    }

    /// The post window at `warp`, with its slopes along x and y where asked; an error where it leaves the image read
    /// for the tile.
    #[inline(always)]
    fn sample(&mut self, c: &Coefficients, corner: (usize, usize), warp: &Warp, slopes: bool) -> Result<(), Status> {
        let (w, h) = self.window;
        let (cx, cy) = centre(self.window);
        let Some(table) = &self.table else { return Err(Status::NoData) };
        let factor = c.factor as f64;
        let columns = (c.stride - super::interp::ROW_PADDING) as i64 * c.factor as i64;
        let rows = (c.planes[0].len() / c.stride) as i64;
        let shift = c.factor.trailing_zeros();
        let mask = c.factor as i64 - 1;
        for k in 0..w * h {
            let (i, j) = (k % w, k / w);
            let (x, y) = place(warp, corner, (i as f64 - cx, j as f64 - cy), (cx, cy));
            let (x, y) = ((x + c.margin as f64) * factor, (y + c.margin as f64) * factor);
            let (fx, fy) = (x.floor(), y.floor());
            let (x0, y0) = (fx as i64 - 2, fy as i64 - 2);
            if x0 < 0 || y0 < 0 || x0 + 6 > columns || y0 + 6 > rows {
                return Err(Status::SearchEdge);
            }
            let wx = Table::at(&table.value, (x - fx) as f32);
            let wy = Table::at(&table.value, (y - fy) as f32);
            let mut across = [0.0f32; 6];
            let mut across_slope = [0.0f32; 6];
            let sx = if slopes { Table::at(&table.slope, (x - fx) as f32) } else { [0.0; 6] };
            for r in 0..6 {
                let row = (y0 + r) as usize * c.stride;
                let (mut sum, mut slope) = (0.0f32, 0.0f32);
                for m in 0..6 {
                    let t = x0 + m;
                    let v = c.planes[(t & mask) as usize][row + (t >> shift) as usize];
                    sum += wx[m as usize] * v;
                    slope += sx[m as usize] * v;
                }
                across[r as usize] = sum;
                across_slope[r as usize] = slope;
            }
            let along = |a: &[f32; 6], b: &[f32; 6]| a.iter().zip(b).map(|(p, q)| p * q).sum::<f32>();
            self.values[k] = along(&wy, &across);
            if slopes {
                let sy = Table::at(&table.slope, (y - fy) as f32);
                self.slopes[0][k] = along(&wy, &across_slope);
                self.slopes[1][k] = along(&sy, &across);
            }
        }
        Ok(())
    }

    /// Correlation, quality and covariance at the solution.
    #[inline(always)]
    fn finish(
        &mut self,
        (pre, post): (&PreparedPre, &PreparedPost),
        corner: (usize, usize),
        warp: &Warp,
        iterations: usize,
    ) -> Solution {
        if let Err(status) = self.sample(&post.coefficients, corner, warp, true) {
            return Solution::failed(status, iterations);
        }
        let (w, h) = self.window;
        let (cx, cy) = centre(self.window);
        let total: f64 = self.weight.iter().map(|&v| v as f64).sum();
        let squares: f64 = self.weight.iter().map(|&v| (v as f64).powi(2)).sum();
        let mean = |v: &[f32]| v.iter().zip(&self.weight).map(|(v, w)| (v * w) as f64).sum::<f64>() / total;
        let g_mean = mean(&self.values);
        let (mut gg, mut fg) = (0.0, 0.0);
        for k in 0..w * h {
            let g = self.values[k] as f64 - g_mean;
            gg += self.weight[k] as f64 * g * g;
            fg += self.weight[k] as f64 * g * self.basis[0][k] as f64;
        }
        let ff = self.normal[(0, 0)];
        let effective = total * total / squares;
        let correlation = fg / (ff * gg).sqrt();
        if correlation.is_nan() || correlation < 3.0 / effective.sqrt() {
            return Solution::failed(Status::NoConvergence, iterations);
        }
        let gain = (gg / ff).sqrt();
        // Slopes of the warped window g(W(x)): (I + A)ᵀ times those of g.
        let m = Matrix2::identity() + warp.a;
        let mut cross = [0.0f64; 2];
        for k in 0..w * h {
            let (gx, gy) = (self.slopes[0][k] as f64, self.slopes[1][k] as f64);
            let weight = self.weight[k] as f64;
            cross[0] += weight * self.basis[1][k] as f64 * (m[(0, 0)] * gx + m[(1, 0)] * gy);
            cross[1] += weight * self.basis[4][k] as f64 * (m[(0, 1)] * gx + m[(1, 1)] * gy);
        }
        // How much of the pre gradient is texture and not noise, along each axis.
        let share = [0, 1].map(|a: usize| {
            let plain = self.normal[(1 + 3 * a, 1 + 3 * a)];
            (cross[a] / gain / plain).clamp(0.04, 1.5)
        });
        // Contrast is free: the part of the basis that looks like f is taken out.
        let along: Vec<f64> = (1..7).map(|i| self.normal[(i, 0)] / ff).collect();
        let mut hessian = Matrix6::from_fn(|i, j| self.normal[(i + 1, j + 1)] - along[i] * self.normal[(j + 1, 0)]);
        let plain = hessian;
        for i in 0..6 {
            for j in 0..6 {
                hessian[(i, j)] *= (share[i / 3] * share[j / 3]).sqrt();
            }
        }
        let mut meat = Matrix6::zeros();
        for k in 0..w * h {
            let weight = (self.weight[k] as f64).powi(2);
            if weight == 0.0 {
                continue;
            }
            let (i, j) = (corner.0 + k % w, corner.1 + k / w);
            let (sx, sy) = (pre.spread[0].get(i, j) as f64, pre.spread[1].get(i, j) as f64);
            let (x, y) = (((k % w) as f64 - cx) / cx, ((k / w) as f64 - cy) / cy);
            let spread = [sx, sx * x, sx * y, sy, sy * x, sy * y];
            let f = self.basis[0][k] as f64;
            for a in 0..6 {
                let ja = weight * (self.basis[a + 1][k] as f64 - along[a] * f);
                for b in 0..6 {
                    meat[(a, b)] += 0.5 * ja * spread[b];
                    meat[(b, a)] += 0.5 * ja * spread[b];
                }
            }
        }
        for i in 0..6 {
            meat[(i, i)] = meat[(i, i)].max(0.05 * squares / total * plain[(i, i)]);
        }
        let Some(inverse) = hessian.try_inverse() else {
            return Solution::failed(Status::LowTexture, iterations);
        };
        let dof = (effective - 8.0).max(1.0);
        let residual = 2.0 * (1.0 - correlation).max(0.0) * ff / total * effective / dof;
        let all = inverse * meat * inverse * residual;
        let floor = RESAMPLING_FLOOR * RESAMPLING_FLOOR;
        let covariance = Covariance { xx: all[(0, 0)] + floor, xy: all[(0, 3)], yy: all[(3, 3)] + floor };
        let usable = covariance.xx.is_finite() && covariance.xx > 0.0 && covariance.yy > 0.0;
        if !usable {
            return Solution::failed(Status::NoConvergence, iterations);
        }
        let quality = correlation.clamp(0.0, 1.0) as f32;
        let measurement = Measurement { shift: warp.d, covariance, quality, status: Status::Valid };
        Solution { measurement, correlation, iterations }
    }
}

/// Offset of a window's centre from its first pixel.
fn centre((w, h): (usize, usize)) -> (f64, f64) {
    ((w as f64 - 1.0) / 2.0, (h as f64 - 1.0) / 2.0)
}

/// Where the pixel at offset `from` from the window's centre lies in the post image, in tile pixels.
#[inline(always)]
fn place(warp: &Warp, corner: (usize, usize), from: (f64, f64), middle: (f64, f64)) -> (f64, f64) {
    let (u, v) = from;
    let x = corner.0 as f64 + middle.0 + u + warp.d.dx + warp.a[(0, 0)] * u + warp.a[(0, 1)] * v;
    let y = corner.1 as f64 + middle.1 + v + warp.d.dy + warp.a[(1, 0)] * u + warp.a[(1, 1)] * v;
    (x, y)
}

#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f64 {
    let mut sum = [0.0f32; LANES];
    lanes::add_products(&mut sum, a, b);
    lanes::total(&sum)
}
