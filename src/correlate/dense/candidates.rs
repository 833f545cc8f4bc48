//! Least-squares displacement candidates of every pixel, for every window size and both whitenings.
//!
//! Lucas & Kanade (1981): with J the mean gradient of both images (the noise of each then has no preferred sign) and
//! e = post(x + d) - pre(x), the window's correction is δ = -(Σ w J Jᵀ + prior)⁻¹ Σ w J e. Its covariance is
//! s² κ (Σ w J Jᵀ)⁻¹, s² the window's residual variance and κ = Σ w² / Σ w the price of triangular weights.

use super::products::{Products, Ring, Source};
use super::whiten::RADII;
use super::windows::{Lines, TRIANGLE5, TRIANGLE9, convolve_along, convolve_down_4, halve, halve_row, vectors};
use crate::grid::Grid;
use std::array::from_fn;
use std::ops::Range;

/// Window sizes, in the order of [`Candidates::scales`]: full width of the triangle in pixels.
pub const SCALES: [usize; 6] = [5, 9, 18, 36, 72, 144];
/// How many times the pixels are halved for each scale.
pub const HALVINGS: [usize; 6] = [0, 0, 1, 2, 3, 4];
/// Side of the largest windows' blocks.
pub const BLOCK: usize = 1 << HALVINGS[HALVINGS.len() - 1];
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

/// Rows in work at once.
const ROWS: usize = 4;
/// Rows of a candidate: correction x, y, covariance xx, xy, yy.
pub type Rows = [Vec<f32>; 5];

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

/// What is kept of the candidates of one scale.
pub trait Kept {
    fn zero(width: usize, height: usize) -> Self;
    fn set(&mut self, y: usize, rows: &[Rows; 2]);
}

/// One for each whitening.
impl Kept for [Candidate; 2] {
    fn zero(width: usize, height: usize) -> Self {
        [0; 2].map(|_| Candidate::zero(width, height))
    }

    #[inline(always)]
    fn set(&mut self, y: usize, rows: &[Rows; 2]) {
        self[0].set_row(y, &rows[0]);
        self[1].set_row(y, &rows[1]);
    }
}

/// Their [`average`].
impl Kept for Candidate {
    fn zero(width: usize, height: usize) -> Self {
        Candidate::zero(width, height)
    }

    #[inline(always)]
    fn set(&mut self, y: usize, rows: &[Rows; 2]) {
        self.set_average(y, rows);
    }
}

/// The candidates of some scales from the whitened images of all bands.
pub fn solve<T: Kept>(bands: &[Source], scales: Range<usize>) -> Vec<T> {
    let (w, h) = (bands[0].whole.width, bands[0].whole.height);
    let mut out: Vec<T> = Vec::with_capacity(scales.len());
    for s in scales.clone() {
        out.push(T::zero(w.div_ceil(1 << HALVINGS[s]), h.div_ceil(1 << HALVINGS[s])));
    }
    let (pixels, blocks): (Vec<usize>, Vec<usize>) = scales.clone().partition(|&s| HALVINGS[s] == 0);
    let size = if blocks.is_empty() { (0, 0) } else { (w.div_ceil(2), h.div_ceil(2)) };
    let mut halved: [Products; 2] = from_fn(|_| from_fn(|_| Grid::filled(size.0, size.1, 0.0f32)));
    let mut works: Vec<Work> = pixels.iter().map(|&s| Work::new(w, s)).collect();
    let mut ring = Ring::new(bands);
    for y in (0..h).step_by(ROWS) {
        while ring.made < (y + ROWS + TRIANGLE9.len() / 2).min(h) {
            let made = ring.made;
            ring.next(bands);
            if !blocks.is_empty() {
                for (fine, halved) in ring.rows.iter().zip(&mut halved) {
                    halve_rows(fine, made, halved);
                }
            }
        }
        for work in &mut works {
            work.solve(&ring.rows, h, y, &mut out[work.scale - scales.start]);
        }
    }
    let mut halvings = 1;
    for s in blocks {
        while halvings < HALVINGS[s] {
            halved = halved.each_ref().map(|p| p.each_ref().map(halve));
            halvings += 1;
        }
        let (w, h) = (halved[0][0].width, halved[0][0].height);
        let mut work = Work::new(w, s);
        (0..h).step_by(ROWS).for_each(|y| work.solve(&halved, h, y, &mut out[s - scales.start]));
    }
    out
}

/// Adds row `y` of a ring of products to the means of blocks.
fn halve_rows(fine: &Products, y: usize, halved: &mut Products) {
    vectors(
        #[inline(always)]
        || {
            for (fine, halved) in fine.iter().zip(halved) {
                halve_row(fine.row(y % fine.height), halved.row_mut(y / 2));
            }
        },
    );
}

/// Rows that solving one scale needs.
struct Work {
    scale: usize,
    /// Sums down the columns, with room for half a window on either side, which stays zero.
    down: [[Vec<f32>; ROWS]; 7],
    sums: [Vec<f32>; 7],
    rows: [[Rows; 2]; ROWS],
}

impl Work {
    fn new(w: usize, scale: usize) -> Work {
        Work {
            scale,
            down: from_fn(|_| from_fn(|_| vec![0.0; w + TRIANGLE9.len()])),
            sums: from_fn(|_| vec![0.0; w]),
            rows: from_fn(|_| from_fn(|_| from_fn(|_| vec![0.0; w]))),
        }
    }

    /// Solves the windows of [`ROWS`] rows from `y` on, of `h`, on products of the scale's block size.
    fn solve(&mut self, p: &[Products; 2], h: usize, y: usize, out: &mut impl Kept) {
        match self.scale {
            0 => self.solve_windows(p, h, y, &TRIANGLE5, out),
            _ => self.solve_windows(p, h, y, &TRIANGLE9, out),
        }
    }

    fn solve_windows<const N: usize>(
        &mut self,
        p: &[Products; 2],
        h: usize,
        y: usize,
        taps: &[f32; N],
        out: &mut impl Kept,
    ) {
        let w = p[0][0].width;
        let equations = NOISE.map(|noise| Equations::new(taps, 1 << (2 * HALVINGS[self.scale]), noise[self.scale]));
        let Work { down, sums, rows, .. } = self;
        vectors(
            #[inline(always)]
            || {
                for kind in 0..2 {
                    // The weights are the same for both.
                    let fresh = if kind == 0 { 7 } else { 6 };
                    for i in 0..fresh {
                        convolve_down_4(Lines { stored: &p[kind][i], height: h }, y, taps, &mut down[i]);
                    }
                    for (k, rows) in rows.iter_mut().enumerate() {
                        for i in 0..7 {
                            convolve_along(taps, &down[i][k], &mut sums[i][..w]);
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
                    out.set(y + k, &rows[k]);
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
