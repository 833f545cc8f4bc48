//! Least-squares displacement candidates of every pixel, for every window size and both whitenings.
//!
//! Lucas & Kanade (1981): with J the mean gradient of both images (the noise of each then has no preferred sign) and
//! e = post(x + d) - pre(x), the window's correction is δ = -(Σ w J Jᵀ + prior)⁻¹ Σ w J e. Its covariance is
//! s² κ (Σ w J Jᵀ)⁻¹, s² the window's residual variance and κ = Σ w² / Σ w the price of triangular weights.

use super::whiten::RADII;
use super::windows::{TRIANGLE5, TRIANGLE9, convolve, halve};
use crate::grid::Grid;

/// Window sizes, in the order of [`Candidates::scales`]: full width of the triangle in pixels.
pub const SCALES: [usize; 6] = [5, 9, 18, 36, 72, 144];
/// How many times the pixels are halved for each scale.
pub const HALVINGS: [usize; 6] = [0, 0, 1, 2, 3, 4];
/// Standard deviation of the zero-mean prior of a correction, pixels.
const PRIOR: f32 = 1.0;
/// Largest correction of one pass, pixels.
const LARGEST: f32 = 1.0;
/// Variance that means "nothing known", squared pixels.
pub const UNKNOWN: f32 = 1e4;

/// The corrections of one window size and whitening on a grid of square blocks, rows downwards.
///
/// Block (i, j) covers the pixels (i, j) · 2^halvings up to the next block's; its value belongs to the block's centre.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Correction along x (right) and y (down), pixels.
    pub delta: [Grid<f32>; 2],
    /// Its covariance xx, xy, yy in squared pixels; [`UNKNOWN`] variances where the window has no texture.
    pub covariance: [Grid<f32>; 3],
}

/// All candidates about one displacement field; what a learned fusion takes as input.
#[derive(Debug, Clone)]
pub struct Candidates {
    /// `scales[s][k]`: window size [`SCALES`]`[s]`, whitening k (box of 31 px, of 5 px).
    pub scales: Vec<[Candidate; RADII.len()]>,
}

/// Weighted products of gradients and difference: xx, xy, yy, xe, ye, ee, weight.
pub type Products = [Grid<f32>; 7];

/// Adds the products of one whitened band to `products`. Pixels with a gradient over the edge of the valid ones have
/// no weight.
pub fn add_products(products: &mut Products, f: &Grid<f32>, g: &Grid<f32>, weight: &Grid<f32>) {
    let (w, h) = (f.width, f.height);
    let mean: Vec<f32> = f.data.iter().zip(&g.data).map(|(a, b)| 0.5 * (a + b)).collect();
    for y in 2..h.saturating_sub(2) {
        for x in 2..w.saturating_sub(2) {
            let k = y * w + x;
            let v = |o: isize| mean[k.wrapping_add_signed(o)];
            let s = w as isize;
            let jx = (8.0 * (v(1) - v(-1)) - (v(2) - v(-2))) / 12.0;
            let jy = (8.0 * (v(s) - v(-s)) - (v(2 * s) - v(-2 * s))) / 12.0;
            let m = weight.data[k];
            let e = g.data[k] - f.data[k];
            products[0].data[k] += m * jx * jx;
            products[1].data[k] += m * jx * jy;
            products[2].data[k] += m * jy * jy;
            products[3].data[k] += m * jx * e;
            products[4].data[k] += m * jy * e;
            products[5].data[k] += m * e * e;
            products[6].data[k] += m;
        }
    }
}

/// The candidates of all scales from one whitening's products.
pub fn solve_scales(mut products: Products, noise: &[f32; 6]) -> Vec<Candidate> {
    let mut out = Vec::with_capacity(SCALES.len());
    let mut halvings = 0;
    for s in 0..SCALES.len() {
        while halvings < HALVINGS[s] {
            products = products.each_ref().map(halve);
            halvings += 1;
        }
        let taps: &[f32] = if s == 0 { &TRIANGLE5 } else { &TRIANGLE9 };
        let sums = products.each_ref().map(|p| convolve(p, taps));
        out.push(solve(&sums, taps, 1 << (2 * halvings), noise[s]));
    }
    out
}

fn solve(p: &Products, taps: &[f32], pixels: usize, noise: f32) -> Candidate {
    let (w, h) = (p[0].width, p[0].height);
    let sum: f32 = taps.iter().sum();
    let squares: f32 = taps.iter().map(|t| t * t).sum();
    // κ of both axes, for block means of so many pixels.
    let kappa = (squares / sum).powi(2) / pixels as f32;
    let full = sum * sum;
    let effective = (full * full) / (squares * squares) * pixels as f32;
    let nothing = || Grid::filled(w, h, 0.0f32);
    let mut delta = [nothing(), nothing()];
    let mut covariance = [Grid::filled(w, h, UNKNOWN), nothing(), Grid::filled(w, h, UNKNOWN)];
    for k in 0..w * h {
        let [xx, xy, yy, xe, ye, ee, n] = [0, 1, 2, 3, 4, 5, 6].map(|i| p[i].data[k]);
        let share = n / full;
        let least = 1e-4 * n;
        if share < 0.05 || xx + yy <= least {
            continue;
        }
        let dof = (effective * share.min(1.0)).max(4.0);
        // Variance of the difference before the correction: an upper bound while there is motion left.
        let before = ee / n;
        let ridge = before * kappa / (PRIOR * PRIOR) + 1e-3 * (xx + yy);
        let (a, b) = (xx + ridge, yy + ridge);
        let det = a * b - xy * xy;
        let (dx, dy) = ((xy * ye - b * xe) / det, (xy * xe - a * ye) / det);
        let left = (before + (dx * xe + dy * ye) / n).max(1e-6) * dof / (dof - 3.0);
        let scale = left * kappa * noise / det;
        delta[0].data[k] = dx.clamp(-LARGEST, LARGEST);
        delta[1].data[k] = dy.clamp(-LARGEST, LARGEST);
        covariance[0].data[k] = scale * b;
        covariance[1].data[k] = -scale * xy;
        covariance[2].data[k] = scale * a;
    }
    Candidate { delta, covariance }
}
