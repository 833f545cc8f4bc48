//! One displacement from several bands: the normal equations of the bands' windows are summed.
//!
//! Every band keeps its own brightness and contrast. At a common displacement d each band asks for a step δ_b; the steps
//! are joined with the weights P_b = Cov_b⁻¹, the bands' information, until Σ P_b δ_b vanishes: generalised least
//! squares with the bands as blocks. The covariance is that of this estimate with the noise that bands share,
//! Cov = P⁻¹ (Σ_bc P_b C_bc P_c) P⁻¹ with P = Σ P_b and C_bc = H_b⁻¹ κ s_b s_c Σ w_b w_c J_b (ρ_c∗J_c)ᵀ H_c⁻¹, where κ
//! is the correlation of the two residuals in the window. The same band given twice has κ = 1 and gains nothing.

use super::Band;
use super::lanes::{self, LANES};
use super::lsm::{CAPTURE, Limits, LsmWindow, Solution};
use super::uncertainty::{self, Parts, RESAMPLING_FLOOR};
use crate::field::{Covariance, Measurement, PixelShift, Status};
use nalgebra::{Matrix2, Vector2};

const ITERATIONS: usize = 30;
const TOLERANCE: f64 = 2e-4;
/// The bands' weights are made again after so many iterations, and then stay.
const SETTLED: usize = 3;
/// Information of a band whose window is not seen to match yet, as a share of what noise alone would make of it.
const UNSEEN: f64 = 0.05;

/// Loads the window at `corner` of every band, and the post image's displaced by whole pixels `shift`, into `works`, and says in
/// `usable` which have data and texture; `limits` are those of a band. An error where none has: for want of texture where
/// there is data.
pub fn load(
    works: &mut [LsmWindow],
    usable: &mut Vec<bool>,
    bands: &[Band],
    (corner, shift): ((usize, usize), (i32, i32)),
    (weights, limits): (Option<&[f32]>, impl Fn(&LsmWindow, &Band) -> Limits),
) -> Result<(), Status> {
    usable.clear();
    let mut worst = Status::NoData;
    for (work, band) in works.iter_mut().zip(bands) {
        let limits = limits(work, band);
        let loaded = work.load(&band.pre, &band.post, corner, shift, weights, &limits);
        usable.push(loaded.is_ok());
        if loaded == Err(Status::LowTexture) {
            worst = Status::LowTexture;
        }
    }
    if usable.contains(&true) { Ok(()) } else { Err(worst) }
}

/// Matches the windows that `works` have loaded from `bands`, which are those with `usable`.
pub fn solve(
    works: &mut [LsmWindow],
    bands: &[Band],
    usable: &[bool],
    corner: (usize, usize),
    start: PixelShift,
) -> Solution {
    let mut d = start;
    let mut iterations = 0;
    let mut weights = vec![Matrix2::zeros(); bands.len()];
    let mut relax = 1.0;
    let mut last: Option<Vector2<f64>> = None;
    loop {
        iterations += 1;
        if iterations == 1 || iterations == SETTLED {
            for (b, band) in bands.iter().enumerate().filter(|(b, _)| usable[*b]) {
                weights[b] = information(&mut works[b], band, corner, d);
            }
            last = None;
        }
        let (mut sum, mut total) = (Vector2::zeros(), Matrix2::zeros());
        for (b, band) in bands.iter().enumerate().filter(|(b, _)| usable[*b]) {
            let sums = works[b].project(&band.post.coefficients, corner, d);
            let [a, p, q] = works[b].regress(sums);
            if a > 0.0 && p.is_finite() && q.is_finite() {
                sum += weights[b] * Vector2::new(-p / a, -q / a);
                total += weights[b];
            }
        }
        let Some(mut step) = total.try_inverse().map(|inverse| inverse * sum) else {
            return Solution::failed(Status::NoConvergence, iterations);
        };
        // As for one band: noise in the gradients shortens every step by a constant factor.
        if let Some(last) = last {
            let ratio = step.dot(&last) / last.norm_squared();
            if iterations == SETTLED + 1 && ratio.is_finite() {
                relax = 1.0 / (1.0 - ratio.clamp(-0.5, 0.7));
            }
        }
        last = Some(step);
        step *= relax;
        let length = step.norm();
        if length > 0.7 {
            step *= 0.7 / length;
        }
        d = PixelShift::new(d.dx + step[0], d.dy + step[1]);
        let away = (d.dx - start.dx).abs().max((d.dy - start.dy).abs());
        if away.is_nan() || away > CAPTURE || iterations >= ITERATIONS {
            return Solution::failed(Status::NoConvergence, iterations);
        }
        if length < TOLERANCE && iterations >= SETTLED {
            break;
        }
    }
    finish(works, bands, usable, &weights, corner, d, iterations)
}

/// The inverse covariance that a band would have alone at `d`.
fn information(work: &mut LsmWindow, band: &Band, corner: (usize, usize), d: PixelShift) -> Matrix2<f64> {
    let moments = work.moments(&band.post.coefficients, corner, d).ok();
    let covariance = moments.and_then(|m| uncertainty::sandwich(&m));
    let known = covariance.and_then(|c| Matrix2::new(c.xx, c.xy, c.xy, c.yy).try_inverse());
    known.unwrap_or_else(|| {
        let [xx, xy, yy] = work.hessian();
        Matrix2::new(xx, xy, xy, yy) * (UNSEEN / (2.0 * work.variance()))
    })
}

/// Correlation, quality and joint covariance at the solution.
fn finish(
    works: &mut [LsmWindow],
    bands: &[Band],
    usable: &[bool],
    weights: &[Matrix2<f64>],
    corner: (usize, usize),
    d: PixelShift,
    iterations: usize,
) -> Solution {
    let mut seen: Vec<(usize, Parts, Vec<f32>)> = Vec::new();
    let (mut correlation, mut trace) = (0.0, 0.0);
    for (b, band) in bands.iter().enumerate().filter(|(b, _)| usable[*b]) {
        let Ok(moments) = works[b].moments(&band.post.coefficients, corner, d) else { continue };
        let Some(parts) = uncertainty::parts(&moments) else { continue };
        correlation += moments.correlation * weights[b].trace();
        trace += weights[b].trace();
        seen.push((b, parts, works[b].residual(&band.post, corner, d).0));
    }
    if seen.is_empty() {
        return Solution::failed(Status::NoConvergence, iterations);
    }
    correlation /= trace;
    // Bands that do not match here took part with next to no weight; it counts in P and adds no covariance.
    let total: Matrix2<f64> = seen.iter().map(|(b, ..)| weights[*b]).sum();
    let mut meat = Matrix2::zeros();
    for (i, (b, pb, rb)) in seen.iter().enumerate() {
        for (j, (c, pc, rc)) in seen.iter().enumerate() {
            let scale = (pb.residual * pc.residual).sqrt();
            let spread = if i == j {
                full(&pb.meat)
            } else {
                shared(rb, rc) * spread(&works[*b], &works[*c], &bands[*c], corner)
            };
            let between = full(&pb.inverse) * spread * full(&pc.inverse) * scale;
            meat += weights[*b] * between * weights[*c];
        }
    }
    let Some(inverse) = total.try_inverse() else {
        return Solution::failed(Status::NoConvergence, iterations);
    };
    let all = inverse * meat * inverse;
    let floor = RESAMPLING_FLOOR * RESAMPLING_FLOOR;
    let covariance =
        Covariance { xx: all[(0, 0)] + floor, xy: 0.5 * (all[(0, 1)] + all[(1, 0)]), yy: all[(1, 1)] + floor };
    if !(covariance.xx > 0.0 && covariance.yy > 0.0 && covariance.xx.is_finite() && covariance.yy.is_finite()) {
        return Solution::failed(Status::NoConvergence, iterations);
    }
    let quality = correlation.clamp(0.0, 1.0) as f32;
    let measurement = Measurement { shift: d, covariance, quality, status: Status::Valid };
    Solution { measurement, correlation, iterations }
}

/// A symmetric matrix from (xx, xy, yy).
fn full(m: &[f64; 3]) -> Matrix2<f64> {
    Matrix2::new(m[0], m[1], m[1], m[2])
}

/// Correlation of two residuals.
fn shared(a: &[f32], b: &[f32]) -> f64 {
    let sum = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(p, q)| (p * q) as f64).sum::<f64>();
    let both = (sum(a, a) * sum(b, b)).sqrt();
    if both > 0.0 { sum(a, b) / both } else { 0.0 }
}

/// Σ w_b w_c J_b (ρ_c∗J_c)ᵀ of two bands' loaded windows.
fn spread(b: &LsmWindow, c: &LsmWindow, band: &Band, corner: (usize, usize)) -> Matrix2<f64> {
    let (w, h) = b.window;
    let mut sums = [[0.0f32; LANES]; 4];
    lanes::vectors(
        #[inline(always)]
        || {
            for y in 0..h {
                let row = y * b.padded..y * b.padded + w;
                let (gx, gy, mask) = (&b.basis[1][row.clone()], &b.basis[2][row.clone()], &c.mask[row]);
                let sx = &band.pre.spread[0].row(corner.1 + y)[corner.0..corner.0 + w];
                let sy = &band.pre.spread[1].row(corner.1 + y)[corner.0..corner.0 + w];
                lanes::add_products3(&mut sums[0], gx, mask, sx);
                lanes::add_products3(&mut sums[1], gx, mask, sy);
                lanes::add_products3(&mut sums[2], gy, mask, sx);
                lanes::add_products3(&mut sums[3], gy, mask, sy);
            }
        },
    );
    let [xx, xy, yx, yy] = sums.map(|s| lanes::total(&s));
    Matrix2::new(xx, xy, yx, yy)
}
