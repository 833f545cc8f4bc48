//! Least-squares displacement candidates of every pixel, for every window size and both whitenings.
//!
//! Lucas & Kanade (1981): with J the mean gradient of both images (the noise of each then has no preferred sign) and
//! e = post(x + d) - pre(x), the window's correction is δ = -(Σ w J Jᵀ + prior)⁻¹ Σ w J e. Its covariance is
//! s² κ (Σ w J Jᵀ)⁻¹, s² the window's residual variance and κ = Σ w² / Σ w the price of triangular weights.

use super::whiten::RADII;
use super::windows::{TRIANGLE5, TRIANGLE9, convolve_row, halve, vectors};
use crate::grid::Grid;
use std::array::from_fn;

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
    /// The first of [`SCALES`] that was looked at; smaller windows were left out.
    pub finest: usize,
    /// Window size [`SCALES`]`[finest + s]` in `scales[s]`: one candidate for each whitening (box of 31 px, of 5 px).
    pub scales: Vec<[Candidate; RADII.len()]>,
}

impl Candidates {
    /// The candidates of windows [`SCALES`]`[scale]`, for a scale that was looked at.
    pub fn scale(&self, scale: usize) -> &[Candidate; RADII.len()] {
        &self.scales[scale - self.finest]
    }
}

/// Weighted products of gradients and difference: xx, xy, yy, xe, ye, ee, weight.
pub type Products = [Grid<f32>; 7];

/// Adds the products of one whitened band to `products`. Pixels with a gradient over the edge of the valid ones have
/// no weight.
pub fn add_products(products: &mut Products, f: &Grid<f32>, g: &Grid<f32>, weight: &Grid<f32>) {
    let (w, h) = (f.width, f.height);
    if w < 5 {
        return;
    }
    let n = w - 4;
    vectors(
        #[inline(always)]
        || {
            // Rows of the mean image around the one in work.
            let mut means: [Vec<f32>; 5] = from_fn(|_| vec![0.0; w]);
            for y in 0..h {
                means.rotate_left(1);
                let below = means[4].iter_mut().zip(f.row(y).iter().zip(g.row(y)));
                below.for_each(|(m, (a, b))| *m = 0.5 * (a + b));
                if y < 4 {
                    continue;
                }
                let own = y - 2;
                let along: [&[f32]; 5] = from_fn(|k| &means[2][k..k + n]);
                let down: [&[f32]; 5] = from_fn(|k| &means[k][2..2 + n]);
                let [f, g, m] = [f, g, weight].map(|grid| &grid.row(own)[2..2 + n]);
                let [xx, xy, yy, xe, ye, ee, count] = products.each_mut().map(|p| &mut p.row_mut(own)[2..2 + n]);
                let five_point =
                    |v: &[&[f32]; 5], x: usize| (8.0 * (v[3][x] - v[1][x]) - (v[4][x] - v[0][x])) * (1.0 / 12.0);
                for x in 0..n {
                    let (jx, jy, e) = (five_point(&along, x), five_point(&down, x), g[x] - f[x]);
                    let (mx, my, me) = (m[x] * jx, m[x] * jy, m[x] * e);
                    xx[x] += mx * jx;
                    xy[x] += mx * jy;
                    yy[x] += my * jy;
                    xe[x] += mx * e;
                    ye[x] += my * e;
                    ee[x] += me * e;
                    count[x] += m[x];
                }
            }
        },
    );
}

/// The candidates of the scales from `finest` up, from one whitening's products.
pub fn solve_scales(mut products: Products, noise: &[f32; 6], finest: usize) -> Vec<Candidate> {
    let mut out = Vec::with_capacity(SCALES.len() - finest);
    let mut halvings = 0;
    for s in finest..SCALES.len() {
        while halvings < HALVINGS[s] {
            products = products.each_ref().map(halve);
            halvings += 1;
        }
        let pixels = 1 << (2 * halvings);
        out.push(match s {
            0 => solve(&products, &TRIANGLE5, pixels, noise[s]),
            _ => solve(&products, &TRIANGLE9, pixels, noise[s]),
        });
    }
    out
}

/// The candidate of one scale.
pub fn solve_scale(mut products: Products, noise: f32, scale: usize) -> Candidate {
    for _ in 0..HALVINGS[scale] {
        products = products.each_ref().map(halve);
    }
    let pixels = 1 << (2 * HALVINGS[scale]);
    match scale {
        0 => solve(&products, &TRIANGLE5, pixels, noise),
        _ => solve(&products, &TRIANGLE9, pixels, noise),
    }
}

fn solve<const N: usize>(p: &Products, taps: &[f32; N], pixels: usize, noise: f32) -> Candidate {
    let (w, h) = (p[0].width, p[0].height);
    let equations = Equations::new(taps, pixels, noise);
    let plane = || Grid::filled(w, h, 0.0f32);
    let mut delta = [plane(), plane()];
    let mut covariance = [plane(), plane(), plane()];
    vectors(
        #[inline(always)]
        || {
            let mut padded = vec![0.0f32; w + N];
            let mut sums: [Vec<f32>; 7] = from_fn(|_| vec![0.0; w]);
            for y in 0..h {
                for i in 0..7 {
                    convolve_row(&p[i], y, taps, &mut padded, &mut sums[i]);
                }
                let [xx, xy, yy, xe, ye, ee, n] = sums.each_ref().map(|s| &s[..w]);
                let [dx, dy] = delta.each_mut().map(|g| &mut g.row_mut(y)[..w]);
                let [cxx, cxy, cyy] = covariance.each_mut().map(|g| &mut g.row_mut(y)[..w]);
                for x in 0..w {
                    let v = equations.solve([xx[x], xy[x], yy[x], xe[x], ye[x], ee[x], n[x]]);
                    [dx[x], dy[x], cxx[x], cxy[x], cyy[x]] = v;
                }
            }
        },
    );
    Candidate { delta, covariance }
}

/// What the normal equations of all windows of one size share.
struct Equations {
    /// Σ of the weights of a window without gaps.
    full: f32,
    /// κ of both axes, for block means of so many pixels.
    kappa: f32,
    /// Pixels that count, (Σ w)² / Σ w².
    effective: f32,
    noise: f32,
}

impl Equations {
    fn new(taps: &[f32], pixels: usize, noise: f32) -> Self {
        let sum: f32 = taps.iter().sum();
        let squares: f32 = taps.iter().map(|t| t * t).sum();
        let full = sum * sum;
        Equations {
            full,
            kappa: (squares / sum).powi(2) / pixels as f32,
            effective: (full * full) / (squares * squares) * pixels as f32,
            noise,
        }
    }

    /// Correction x, y and covariance xx, xy, yy from the sums of [`Products`]. No branches: a row at once.
    #[inline(always)]
    fn solve(&self, [xx, xy, yy, xe, ye, ee, n]: [f32; 7]) -> [f32; 5] {
        let share = n / self.full;
        let textured = (share >= 0.05) & (xx + yy > 1e-4 * n);
        let n = if textured { n } else { 1.0 };
        let dof = (self.effective * share.min(1.0)).max(4.0);
        // Variance of the difference before the correction: an upper bound while there is motion left.
        let before = ee / n;
        let ridge = before * self.kappa / (PRIOR * PRIOR) + 1e-3 * (xx + yy);
        let (a, b) = (xx + ridge, yy + ridge);
        let inverse = 1.0 / (a * b - xy * xy);
        let (dx, dy) = ((xy * ye - b * xe) * inverse, (xy * xe - a * ye) * inverse);
        let left = (before + (dx * xe + dy * ye) / n).max(1e-6) * dof / (dof - 3.0);
        let scale = left * self.kappa * self.noise * inverse;
        let pick = |v: f32, otherwise: f32| if textured { v } else { otherwise };
        [
            pick(dx.clamp(-LARGEST, LARGEST), 0.0),
            pick(dy.clamp(-LARGEST, LARGEST), 0.0),
            pick(scale * b, UNKNOWN),
            pick(-scale * xy, 0.0),
            pick(scale * a, UNKNOWN),
        ]
    }
}
