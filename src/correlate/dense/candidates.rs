//! Least-squares displacement candidates of every pixel, for every window size and both whitenings.
//!
//! Lucas & Kanade (1981): with J the mean gradient of both images (the noise of each then has no preferred sign) and
//! e = post(x + d) - pre(x), the window's correction is δ = -(Σ w J Jᵀ + prior)⁻¹ Σ w J e. Its covariance is
//! s² κ (Σ w J Jᵀ)⁻¹, s² the window's residual variance and κ = Σ w² / Σ w the price of triangular weights.

use super::whiten::RADII;
use super::windows::{TRIANGLE5, TRIANGLE9, convolve_along, convolve_down_4, halve, vectors};
use crate::grid::Grid;
use std::array::from_fn;
use std::ops::Range;

/// Window sizes, in the order of [`Candidates::scales`]: full width of the triangle in pixels.
pub const SCALES: [usize; 6] = [5, 9, 18, 36, 72, 144];
/// How many times the pixels are halved for each scale.
pub const HALVINGS: [usize; 6] = [0, 0, 1, 2, 3, 4];
/// Standard deviation of the zero-mean prior of a correction, pixels.
const PRIOR: f32 = 1.0;
/// Largest correction of one pass, pixels.
const LARGEST: f32 = 1.0;
/// Factors on the covariance for each whitening and scale: residuals of neighbouring pixels are not independent, and
/// noise in the gradients makes a window look better textured than it is.
pub const NOISE: [[f32; 6]; 2] = [[1.0, 1.05, 1.05, 1.05, 1.2, 2.4], [1.1, 1.2, 1.25, 1.2, 1.4, 2.6]];
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

/// Adds the products of one whitened band to `products`, or begins them with the `first`. Pixels with a gradient over
/// the edge of the valid ones have no weight; the two pixels at the border are left as they are.
pub fn add_products(products: &mut Products, f: &Grid<f32>, g: &Grid<f32>, weight: &Grid<f32>, first: bool) {
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
                // Minus zero is what leaves every other number as it is.
                let keep = |v: f32| if first { -0.0 } else { v };
                for x in 0..n {
                    let (jx, jy, e) = (five_point(&along, x), five_point(&down, x), g[x] - f[x]);
                    let (mx, my, me) = (m[x] * jx, m[x] * jy, m[x] * e);
                    xx[x] = keep(xx[x]) + mx * jx;
                    xy[x] = keep(xy[x]) + mx * jy;
                    yy[x] = keep(yy[x]) + my * jy;
                    xe[x] = keep(xe[x]) + mx * e;
                    ye[x] = keep(ye[x]) + my * e;
                    ee[x] = keep(ee[x]) + me * e;
                    count[x] = keep(count[x]) + m[x];
                }
            }
        },
    );
}

/// The candidates of the scales from `finest` up, from the products of both whitenings.
pub fn solve_scales(products: &[Products; 2], finest: usize) -> Vec<[Candidate; 2]> {
    each_scale(products, finest..SCALES.len(), |p, s| {
        let mut out = [0; 2].map(|_| Candidate::zero(p[0][0].width, p[0][0].height));
        solve(
            p,
            s,
            #[inline(always)]
            |y, rows| {
                out[0].set_row(y, &rows[0]);
                out[1].set_row(y, &rows[1]);
            },
        );
        out
    })
}

/// The candidate of one scale, for both whitenings.
pub fn solve_scale(products: &[Products; 2], scale: usize) -> [Candidate; 2] {
    let mut found = each_scale(products, scale..scale + 1, |p, s| {
        let mut out = [0; 2].map(|_| Candidate::zero(p[0][0].width, p[0][0].height));
        solve(
            p,
            s,
            #[inline(always)]
            |y, rows| {
                out[0].set_row(y, &rows[0]);
                out[1].set_row(y, &rows[1]);
            },
        );
        out
    });
    found.remove(0)
}

/// The candidates of the scales from `finest` up, both whitenings in one as [`average`] makes it.
pub fn solve_averages(products: &[Products; 2], finest: usize) -> Vec<Candidate> {
    each_scale(products, finest..SCALES.len(), |p, s| {
        let mut out = Candidate::zero(p[0][0].width, p[0][0].height);
        solve(
            p,
            s,
            #[inline(always)]
            |y, rows| out.set_average(y, rows),
        );
        out
    })
}

/// `work` on the products of every scale's block size.
fn each_scale<T>(
    products: &[Products; 2],
    scales: Range<usize>,
    mut work: impl FnMut(&[Products; 2], usize) -> T,
) -> Vec<T> {
    let mut halved: Option<[Products; 2]> = None;
    let mut halvings = 0;
    let mut one = |s: usize| {
        while halvings < HALVINGS[s] {
            let finer = halved.as_ref().unwrap_or(products);
            halved = Some(finer.each_ref().map(|p| p.each_ref().map(halve)));
            halvings += 1;
        }
        work(halved.as_ref().unwrap_or(products), s)
    };
    scales.map(&mut one).collect()
}

/// Rows in work at once.
const ROWS: usize = 4;
/// Rows of a candidate: correction x, y, covariance xx, xy, yy.
type Rows = [Vec<f32>; 5];

impl Candidate {
    fn zero(width: usize, height: usize) -> Self {
        let plane = || Grid::filled(width, height, 0.0f32);
        Candidate { delta: [plane(), plane()], covariance: [plane(), plane(), plane()] }
    }

    #[inline(always)]
    fn planes(&mut self) -> [&mut Grid<f32>; 5] {
        let ([a, b], [c, d, e]) = (self.delta.each_mut(), self.covariance.each_mut());
        [a, b, c, d, e]
    }

    #[inline(always)]
    fn set_row(&mut self, y: usize, row: &Rows) {
        for (g, v) in self.planes().into_iter().zip(row) {
            g.row_mut(y).copy_from_slice(v);
        }
    }

    /// Both whitenings by their inverse squared variances; no gain is claimed from averaging, their errors are the same
    /// ground's.
    #[inline(always)]
    fn set_average(&mut self, y: usize, [a, b]: &[Rows; 2]) {
        let w = a[0].len();
        let [a, b] = [a, b].map(|rows| rows.each_ref().map(|r| &r[..w]));
        let [dx, dy, xx, xy, yy] = self.planes().map(|g| &mut g.row_mut(y)[..w]);
        for x in 0..w {
            let (p, q) = (a[2][x] + a[4][x], b[2][x] + b[4][x]);
            let (p, q) = (p * p, q * q);
            let share = p / (p + q);
            dx[x] = a[0][x] + share * (b[0][x] - a[0][x]);
            dy[x] = a[1][x] + share * (b[1][x] - a[1][x]);
            xx[x] = a[2][x] + share * (b[2][x] - a[2][x]);
            xy[x] = a[3][x] + share * (b[3][x] - a[3][x]);
            yy[x] = a[4][x] + share * (b[4][x] - a[4][x]);
        }
    }
}

/// Both whitenings as one.
pub fn average(c: &[Candidate; 2]) -> Candidate {
    let (w, h) = (c[0].delta[0].width, c[0].delta[0].height);
    let mut out = Candidate::zero(w, h);
    let mut rows: [Rows; 2] = from_fn(|_| from_fn(|_| vec![0.0; w]));
    for y in 0..h {
        for (rows, c) in rows.iter_mut().zip(c) {
            let [a, b, d, e, f] = rows;
            let planes = c.delta.iter().chain(&c.covariance);
            [a, b, d, e, f].into_iter().zip(planes).for_each(|(r, g)| r.copy_from_slice(g.row(y)));
        }
        vectors(
            #[inline(always)]
            || out.set_average(y, &rows),
        );
    }
    out
}

/// Solves one scale's windows on products of its block size; `row` gets every row of both candidates.
fn solve(p: &[Products; 2], scale: usize, row: impl FnMut(usize, &[Rows; 2])) {
    match scale {
        0 => solve_windows(p, scale, &TRIANGLE5, row),
        _ => solve_windows(p, scale, &TRIANGLE9, row),
    }
}

fn solve_windows<const N: usize>(
    p: &[Products; 2],
    scale: usize,
    taps: &[f32; N],
    mut row: impl FnMut(usize, &[Rows; 2]),
) {
    let (w, h) = (p[0][0].width, p[0][0].height);
    let equations = NOISE.map(|noise| Equations::new(taps, 1 << (2 * HALVINGS[scale]), noise[scale]));
    let mut down: [[Vec<f32>; ROWS]; 7] = from_fn(|_| from_fn(|_| vec![0.0; w + N]));
    let mut sums: [Vec<f32>; 7] = from_fn(|_| vec![0.0; w]);
    let mut rows: [[Rows; 2]; ROWS] = from_fn(|_| from_fn(|_| from_fn(|_| vec![0.0; w])));
    for y in (0..h).step_by(ROWS) {
        vectors(
            #[inline(always)]
            || {
                for kind in 0..2 {
                    // The weights are the same for both.
                    let fresh = if kind == 0 { 7 } else { 6 };
                    for i in 0..fresh {
                        convolve_down_4(&p[kind][i], y, taps, &mut down[i]);
                    }
                    for (k, rows) in rows.iter_mut().enumerate() {
                        for i in 0..7 {
                            convolve_along(taps, &down[i][k], &mut sums[i]);
                        }
                        let [xx, xy, yy, xe, ye, ee, n] = sums.each_ref().map(|s| &s[..w]);
                        let [dx, dy, cxx, cxy, cyy] = rows[kind].each_mut().map(|r| &mut r[..w]);
                        for x in 0..w {
                            let v = equations[kind].solve([xx[x], xy[x], yy[x], xe[x], ye[x], ee[x], n[x]]);
                            [dx[x], dy[x], cxx[x], cxy[x], cyy[x]] = v;
                        }
                    }
                }
                for k in 0..ROWS.min(h - y) {
                    row(y + k, &rows[k]);
                }
            },
        );
    }
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
