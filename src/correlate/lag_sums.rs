//! Correlations of all windows of a tile with the spline coefficients of the post image, around each window's own peak.
//!
//! Σ f(x)·g(x + d) is linear in g: with g a spline it is the same spline through the sums Σ f·c at the lags around d
//! ([`super::peak`]). At one lag those are sums of one product image, so that overlapping windows share them as they
//! share the whole-pixel search; neighbouring windows move alike and ask for the same lags.

use super::batch_sums::{BatchSums, LANES, Part, Rows, Totals};
use super::interp::Coefficients;
use super::prepare::PreparedPre;
use super::sums::Intervals;

/// Lags along each axis: a spline of six taps anywhere in three neighbouring intervals of the knots.
pub const SIDE: usize = 8;
/// Cells between two that ask for a lag over which they are still summed together.
const GAP: usize = 3;

/// The lags of a group of cell rows.
#[derive(Default)]
pub struct LagSums {
    /// Σ f·c and Σ c of every cell, rows of increasing y.
    products: Vec<[f64; SIDE * SIDE]>,
    plain: Vec<[f64; SIDE * SIDE]>,
    sums: BatchSums,
    totals: [Totals; 2],
    ones: Vec<f32>,
}

/// First lag, in coefficients, for a start of `d` pixels.
pub fn first_lag(d: f64, factor: usize) -> i64 {
    (d * factor as f64).floor() as i64 - 3
}

impl LagSums {
    /// Computes the lags of the cells of `rows` (of `columns` cells each); `firsts` has the first lag of each of them
    /// or `None` where none are wanted.
    pub fn compute(
        &mut self,
        (pre, c): (&PreparedPre, &Coefficients),
        (x, y): (&Intervals, &Intervals),
        (columns, rows): (usize, (usize, usize)),
        firsts: &[Option<(i64, i64)>],
    ) {
        self.products.resize(firsts.len(), [0.0; SIDE * SIDE]);
        self.plain.resize(firsts.len(), [0.0; SIDE * SIDE]);
        self.ones.resize(pre.values.width, 1.0);
        let side = SIDE as i64;
        let (mut low, mut high) = ((i64::MAX, i64::MAX), (i64::MIN, i64::MIN));
        for f in firsts.iter().flatten() {
            low = (low.0.min(f.0), low.1.min(f.1));
            high = (high.0.max(f.0), high.1.max(f.1));
        }
        if low.0 > high.0 {
            return;
        }
        let factor = c.factor as i64;
        for ty in low.1..high.1 + side {
            // Lags a pixel apart lie side by side in one plane.
            for phase in 0..factor {
                let mut tx = low.0 + phase;
                while tx < high.0 + side {
                    self.batch((pre, c), (x, y), (columns, rows), firsts, (tx, ty));
                    tx += factor * LANES as i64;
                }
            }
        }
    }

    /// The lags (tx + factor·s, ty), s = 0..[`LANES`], for the cells that want one of them.
    fn batch(
        &mut self,
        (pre, c): (&PreparedPre, &Coefficients),
        (x, y): (&Intervals, &Intervals),
        (columns, rows): (usize, (usize, usize)),
        firsts: &[Option<(i64, i64)>],
        (tx, ty): (i64, i64),
    ) {
        let (side, factor) = (SIDE as i64, c.factor as i64);
        // First and one past the last wanted shift of a cell.
        let wants = |cell: usize| {
            let (fx, fy) = firsts[cell]?;
            if ty < fy || ty >= fy + side {
                return None;
            }
            let from = (fx - tx + factor - 1).div_euclid(factor).max(0);
            let to = (fx + side - 1 - tx).div_euclid(factor).min(LANES as i64 - 1) + 1;
            (from < to).then_some((from as usize, to as usize))
        };
        let height = rows.1 - rows.0;
        let mut column = 0;
        while column < columns {
            // A stretch of columns, with the rows and the shifts that it needs.
            let (mut first, mut last) = (None, column);
            let (mut top, mut bottom, mut from, mut to) = (height, 0, LANES, 0);
            while column < columns && first.is_none_or(|_| column - last <= GAP) {
                for r in 0..height {
                    if let Some((a, b)) = wants(r * columns + column) {
                        first = first.or(Some(column));
                        last = column;
                        (top, bottom) = (top.min(r), bottom.max(r + 1));
                        (from, to) = (from.min(a), to.max(b));
                    }
                }
                column += 1;
            }
            let Some(first) = first else { break };
            column = last + 1;
            let part = Part { columns: (first, last + 1), rows: (rows.0 + top, rows.0 + bottom) };
            let start = tx + factor * from as i64;
            let margin = c.margin as i64 * factor;
            let (px, py) = (start + margin, ty + margin);
            let plane = Rows {
                data: &c.planes[px.rem_euclid(factor) as usize],
                pitch: c.stride * c.factor,
                first: py * c.stride as i64 + px.div_euclid(factor),
            };
            let ones = Rows { data: &self.ones, pitch: 0, first: 0 };
            let [products, plain] = &mut self.totals;
            self.sums.window_sums((Rows::of(&pre.values), plane), to - from, (x, y), part, products);
            self.sums.window_sums((ones, plane), to - from, (x, y), part, plain);
            let width = last + 1 - first;
            for r in top..bottom {
                for k in 0..width {
                    let cell = r * columns + first + k;
                    let Some((a, b)) = wants(cell) else { continue };
                    let (fx, fy) = firsts[cell].unwrap_or_default();
                    let index = (r - top) * width + k;
                    for s in a..b {
                        let place = (ty - fy) * side + tx + factor * s as i64 - fx;
                        self.products[cell][place as usize] = self.totals[0].of(index)[s - from];
                        self.plain[cell][place as usize] = self.totals[1].of(index)[s - from];
                    }
                }
            }
        }
    }

    /// Σ (f - `mean`)·c of a cell, counted from the first of the computed rows.
    #[inline(always)]
    pub fn of(&self, cell: usize, mean: f64) -> [f64; SIDE * SIDE] {
        let (p, c) = (&self.products[cell], &self.plain[cell]);
        std::array::from_fn(|k| p[k] - mean * c[k])
    }
}
