//! What the `spatial` method needs of every pre window besides its correlations, as sums shared by all windows.

use super::batch_sums::{BatchSums, Job, Part, Rows, SINGLE_ROWS, Totals};
use super::block::Blocks;
use super::eight::{Eight, LANES, Lanes, Work, eight};
use super::missing::Missing;
use super::prepare::PreparedPre;
use super::search::TileWindows;
use super::sums::Intervals;
use crate::grid::Grid;
use pulp::f32x8;

/// Sums over one window of the pre image, means removed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct WindowTerms {
    /// Pixels, or the sum of their weights.
    pub count: f64,
    pub mean: f64,
    /// Σ (f - mean)².
    pub energy: f64,
    /// Σ J Jᵀ and Σ J (ρ∗J)ᵀ (xx, xy, yy), J the gradient.
    pub gradient: [f64; 3],
    pub spread: [f64; 3],
}

impl WindowTerms {
    /// Variance of the gradient of the correlation (xx, xy, yy) that the residual at correlation `rho` makes: the
    /// middle of the sandwich of [`super::uncertainty`] in units of the correlation.
    pub fn meat(&self, rho: f64) -> [f64; 3] {
        let dof = (self.count - 4.0).max(1.0);
        // Residual variance, as a share of the window's own, times the window's energy.
        let residual = 2.0 * (1.0 - rho).max(0.0) * self.energy / dof;
        let floor = |k: usize| self.spread[k].max(0.05 * self.gradient[k]);
        let scale = residual / (self.energy * self.energy);
        [floor(0) * scale, self.spread[1] * scale, floor(2) * scale]
    }

    /// Σ J Jᵀ in units of the correlation: the curvature of the peak without noise.
    pub fn plain_curvature(&self) -> [f64; 3] {
        self.gradient.map(|g| g / self.energy)
    }

    /// Too little texture to fix a displacement, or texture along one direction only, which leaves the other free.
    pub fn flat(&self, min_variance: f64) -> bool {
        let [xx, xy, yy] = self.gradient;
        self.energy <= min_variance * self.count || xx * yy - xy * xy <= 1e-6 * (xx + yy).powi(2)
    }
}

/// The terms of a window and what a regression on f and its gradient needs besides.
pub struct RegressionTerms {
    pub terms: WindowTerms,
    /// Means of f_x and f_y.
    pub means: [f64; 2],
    /// Σ f·f_x and Σ f·f_y, means removed.
    pub mixed: [f64; 2],
}

/// The terms of every window of a tile, all pixels counted, and what a regression needs.
pub fn regression_terms(
    pre: &PreparedPre,
    windows: &TileWindows,
    intervals: (&Intervals, &Intervals),
) -> Vec<RegressionTerms> {
    let pixels = (windows.window.0 * windows.window.1) as f64;
    raw_sums(pre, windows, intervals).iter().map(|sums| sums.terms(pixels)).collect()
}

/// The sums of every window of a tile, all pixels counted.
pub fn raw_sums(pre: &PreparedPre, windows: &TileWindows, (x, y): (&Intervals, &Intervals)) -> Vec<RawSums> {
    let part = Part { columns: (0, windows.cells.0), rows: (0, windows.cells.1) };
    let planes = planes(pre).map(Rows::of);
    let mut totals = Totals::default();
    eight(AllMoments { planes, intervals: (x, y), part, totals: &mut totals });
    (0..windows.len()).map(|c| RawSums(std::array::from_fn(|k| totals.of(c)[k]))).collect()
}

/// f, its gradient, and that convolved with the residual correlation.
fn planes(pre: &PreparedPre) -> [&Grid<f32>; 5] {
    let ([gx, gy], [sx, sy]) = (&pre.gradient, &pre.spread);
    [&pre.values, gx, gy, sx, sy]
}

/// What the terms of one window are made of: the sums of f, its gradient and their products over its pixels.
#[derive(Debug, Clone, Copy)]
pub struct RawSums([f64; SUMS]);

impl RawSums {
    /// Takes the `missing` pixels of the tile away.
    pub fn remove(&mut self, pre: &PreparedPre, missing: &Missing) {
        if !missing.is_empty() {
            eight(Without { sums: self, planes: planes(pre).map(Rows::of), missing });
        }
    }

    /// The terms of a window of so many pixels.
    pub fn terms(&self, n: f64) -> RegressionTerms {
        let [f, gx, gy, ff, xx, xy, yy, sxx, sxy, syy, sx, sy, fx, fy] = self.0;
        let terms = WindowTerms {
            count: n,
            mean: f / n,
            energy: ff - f * f / n,
            gradient: [xx - gx * gx / n, xy - gx * gy / n, yy - gy * gy / n],
            spread: [sxx - gx * sx / n, sxy - gx * sy / n, syy - gy * sy / n],
        };
        RegressionTerms { terms, means: [gx / n, gy / n], mixed: [fx - f * gx / n, fy - f * gy / n] }
    }
}

/// Sums that the terms are made of: of f, fx, fy, f², fx·fx, fx·fy, fy·fy, fx·sx, fx·sy, fy·sy, sx, sy, f·fx, f·fy.
const SUMS: usize = 14;

struct AllMoments<'a, 'b> {
    planes: [Rows<'a>; 5],
    intervals: (&'a Intervals, &'a Intervals),
    part: Part,
    totals: &'b mut Totals,
}

impl Work for AllMoments<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Eight>(self, simd: S) {
        let blocks = Moments { simd, planes: self.planes, corner: (0, 0), height: 0 };
        let job = Job { part: self.part, blocks, out: self.totals };
        BatchSums::default().sums::<2, _>(self.intervals, &mut [job]);
    }
}

/// [`RawSums::remove`].
struct Without<'a> {
    sums: &'a mut RawSums,
    planes: [Rows<'a>; 5],
    missing: &'a Missing,
}

impl Work for Without<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Eight>(self, simd: S) {
        let mut blocks = Moments { simd, planes: self.planes, corner: (0, 0), height: 0 };
        for (corner, size) in self.missing.pieces(SINGLE_ROWS) {
            blocks.strip(corner, size);
            let sums = blocks.block(0, size.0);
            for (sum, one) in self.sums.0.iter_mut().zip(sums.iter().flatten().flatten()) {
                *sum -= f64::from(*one);
            }
        }
    }
}

/// Blocks of [`SUMS`], one in each lane.
struct Moments<'a, S> {
    simd: S,
    /// f, its gradient, and that convolved with the residual correlation.
    planes: [Rows<'a>; 5],
    corner: (usize, usize),
    height: usize,
}

impl<S: Eight> Blocks<2> for Moments<'_, S> {
    #[inline(always)]
    fn strip(&mut self, corner: (usize, usize), size: (usize, usize)) {
        (self.corner, self.height) = (corner, size.1);
    }

    #[inline(always)]
    fn block(&self, left: usize, width: usize) -> Option<[Lanes; 2]> {
        let simd = self.simd;
        let mut sums = [simd.splat_f32s(0.0); SUMS];
        for y in 0..self.height {
            let rows = self.planes.map(|p| p.at(self.corner.0 + left, self.corner.1 + y, width));
            let whole = width / LANES * LANES;
            for x in (0..whole).step_by(LANES) {
                sums = add_moments(simd, sums, rows.map(|r| simd.load(r, x)));
            }
            if whole < width {
                let rest: [Lanes; 5] = rows.map(|r| std::array::from_fn(|l| r.get(whole + l).copied().unwrap_or(0.0)));
                sums = add_moments(simd, sums, rest.map(pulp::cast));
            }
        }
        let total = |k: usize| pulp::cast::<f32x8, Lanes>(sums[k]).iter().sum::<f32>();
        let first = std::array::from_fn(total);
        Some([first, std::array::from_fn(|k| if LANES + k < SUMS { total(LANES + k) } else { 0.0 })])
    }
}

#[inline(always)]
fn add_moments<S: Eight>(simd: S, sums: [f32x8; SUMS], [f, gx, gy, sx, sy]: [f32x8; 5]) -> [f32x8; SUMS] {
    let [a, b, c, ff, xx, xy, yy, sxx, sxy, syy, d, e, fx, fy] = sums;
    [
        simd.add_f32s(a, f),
        simd.add_f32s(b, gx),
        simd.add_f32s(c, gy),
        simd.add_product(ff, f, f),
        simd.add_product(xx, gx, gx),
        simd.add_product(xy, gx, gy),
        simd.add_product(yy, gy, gy),
        simd.add_product(sxx, gx, sx),
        simd.add_product(sxy, gx, sy),
        simd.add_product(syy, gy, sy),
        simd.add_f32s(d, sx),
        simd.add_f32s(e, sy),
        simd.add_product(fx, f, gx),
        simd.add_product(fy, f, gy),
    ]
}
