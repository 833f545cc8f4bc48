//! What the `spatial` method needs of every pre window besides its correlations, as sums shared by all windows.

use super::batch_sums::{BatchSums, Part, Rows, Totals};
use super::prepare::PreparedPre;
use super::search::TileWindows;
use super::sums::Intervals;

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

/// The terms of every window of a tile, all pixels counted.
pub fn terms(pre: &PreparedPre, windows: &TileWindows, intervals: (&Intervals, &Intervals)) -> Vec<WindowTerms> {
    let part = Part { columns: (0, windows.cells.0), rows: (0, windows.cells.1) };
    let ones = vec![1.0f32; pre.values.width];
    let one = Rows { data: &ones, pitch: 0, first: 0 };
    let (f, [gx, gy], [sx, sy]) = (&pre.values, &pre.gradient, &pre.spread);
    let r = Rows::of;
    let pairs = [
        (one, r(f)),
        (one, r(gx)),
        (one, r(gy)),
        (r(f), r(f)),
        (r(gx), r(gx)),
        (r(gx), r(gy)),
        (r(gy), r(gy)),
        (r(gx), r(sx)),
        (r(gx), r(sy)),
        (r(gy), r(sy)),
        (one, r(sx)),
        (one, r(sy)),
    ];
    let mut sums = BatchSums::default();
    let totals = pairs.map(|pair| {
        let mut total = Totals::default();
        sums.window_sums(pair, 1, intervals, part, &mut total);
        total
    });
    let n = (windows.window.0 * windows.window.1) as f64;
    let of = |c: usize| {
        let [f, gx, gy, ff, xx, xy, yy, sxx, sxy, syy, sx, sy]: [f64; 12] = std::array::from_fn(|k| totals[k].of(c)[0]);
        WindowTerms {
            count: n,
            mean: f / n,
            energy: ff - f * f / n,
            gradient: [xx - gx * gx / n, xy - gx * gy / n, yy - gy * gy / n],
            spread: [sxx - gx * sx / n, sxy - gx * sy / n, syy - gy * sy / n],
        }
    };
    (0..windows.len()).map(of).collect()
}
