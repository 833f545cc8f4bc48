//! What the `spatial` method needs of every pre window besides its correlations, as sums shared by all windows.

use super::batch_sums::{BatchSums, Job, Part, Rows, SINGLE_ROWS, Totals};
use super::block::{Blocks, WIDEST};
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
        BatchSums::default().sums(self.intervals, &mut [job], 2);
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
        let mut sums = [[0.0; LANES]; SUMS.div_ceil(LANES)];
        for (corner, size) in self.missing.pieces(SINGLE_ROWS) {
            blocks.strip(corner, size);
            blocks.add(0, size.0, &mut sums);
        }
        for (sum, lost) in self.sums.0.iter_mut().zip(sums.as_flattened()) {
            *sum -= lost;
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

impl<S: Eight> Moments<'_, S> {
    /// `N` of the sums over the block, `add` adding those of eight pixels.
    #[inline(always)]
    fn some<const N: usize>(
        &self,
        (left, width): (usize, usize),
        add: impl Fn(S, [f32x8; N], [f32x8; 5]) -> [f32x8; N],
    ) -> [f64; N] {
        let (simd, width) = (self.simd, width.min(WIDEST));
        let mut sums = [simd.splat_f32s(0.0); N];
        for y in 0..self.height {
            let rows = self.planes.map(|p| p.at(self.corner.0 + left, self.corner.1 + y, width));
            let whole = width / LANES * LANES;
            for x in (0..whole).step_by(LANES) {
                sums = add(simd, sums, rows.map(|r| simd.load(r, x)));
            }
            if whole < width {
                let rest: [Lanes; 5] = rows.map(|r| std::array::from_fn(|l| r.get(whole + l).copied().unwrap_or(0.0)));
                sums = add(simd, sums, rest.map(pulp::cast));
            }
        }
        sums.map(|sum| f64::from(pulp::cast::<f32x8, Lanes>(sum).iter().sum::<f32>()))
    }
}

impl<S: Eight> Blocks for Moments<'_, S> {
    const VECTORS: usize = SUMS.div_ceil(LANES);

    #[inline(always)]
    fn strip(&mut self, corner: (usize, usize), size: (usize, usize)) {
        (self.corner, self.height) = (corner, size.1);
    }

    #[inline(always)]
    fn add(&self, left: usize, width: usize, sums: &mut [[f64; LANES]]) {
        // In two passes: more sums than the registers hold are slow.
        let (first, second) = (self.some((left, width), own_moments), self.some((left, width), spread_moments));
        for (sum, one) in sums.as_flattened_mut().iter_mut().zip(first.into_iter().chain(second)) {
            *sum += one;
        }
    }
}

#[inline(always)]
fn own_moments<S: Eight>(simd: S, sums: [f32x8; 7], [f, gx, gy, _, _]: [f32x8; 5]) -> [f32x8; 7] {
    let [a, b, c, ff, xx, xy, yy] = sums;
    [
        simd.add_f32s(a, f),
        simd.add_f32s(b, gx),
        simd.add_f32s(c, gy),
        simd.add_product(ff, f, f),
        simd.add_product(xx, gx, gx),
        simd.add_product(xy, gx, gy),
        simd.add_product(yy, gy, gy),
    ]
}

#[inline(always)]
fn spread_moments<S: Eight>(simd: S, sums: [f32x8; 7], [f, gx, gy, sx, sy]: [f32x8; 5]) -> [f32x8; 7] {
    let [xx, xy, yy, d, e, fx, fy] = sums;
    [
        simd.add_product(xx, gx, sx),
        simd.add_product(xy, gx, sy),
        simd.add_product(yy, gy, sy),
        simd.add_f32s(d, sx),
        simd.add_f32s(e, sy),
        simd.add_product(fx, f, gx),
        simd.add_product(fy, f, gy),
    ]
}
