//! Correlations of all windows of a tile with the spline coefficients of the post image, around each window's own peak.
//!
//! Σ f(x)·g(x + d) is linear in g: with g a spline it is the same spline through the sums Σ f·c at the lags around d
//! ([`super::peak`]). At one lag those are sums of one product image, so that overlapping windows share them as they
//! share the whole-pixel search; neighbouring windows move alike and ask for the same lags.

use super::batch_sums::{BatchSums, LANES, Part, Rows, Totals};
use super::interp::Coefficients;
use super::lsm::CAPTURE;
use super::sums::Intervals;
use crate::field::PixelShift;
use crate::grid::Grid;

/// Most lags along each axis: a spline of six taps anywhere within [`CAPTURE`] of the start on the fine grid of knots.
pub const SIDE: usize = 12;
/// Lags along x that are summed together.
const BATCH: usize = 2 * LANES;
/// Cells between two that ask for a lag over which they are still summed together.
const GAP: usize = 3;

/// Memory that the lags of one group of cell rows may take.
const GROUP_BYTES: usize = 8 << 20;

/// Values at all lags, rows of increasing y.
pub type Lags = [f64; SIDE * SIDE];

/// The lags of a group of cell rows, of `P` images f; `V` = 2 `P` + 2.
pub struct LagSums<const P: usize, const V: usize> {
    /// Σ f·c of each f and Σ c, for every cell.
    products: Vec<[Lags; P]>,
    plain: Vec<Lags>,
    sums: BatchSums,
    totals: Totals,
}

/// Lags along each axis that a spline with so many coefficients a pixel needs; more would reach beyond the image.
fn side(factor: usize) -> i64 {
    2 * (CAPTURE * factor as f64).ceil() as i64 + 6
}

/// First lag, in coefficients, for a start of `d` pixels: two taps before the knot that is farthest away.
pub fn first_lag(d: f64, factor: usize) -> i64 {
    let farthest = (CAPTURE * factor as f64).ceil() as i64;
    (d * factor as f64).floor() as i64 - farthest - 2
}

/// Lags that begin at `first` reach around displacement `d`.
#[inline(always)]
pub fn reach(first: (i64, i64), factor: usize, d: PixelShift) -> bool {
    let inside = |d: f64, first: i64| (2..=side(factor) - 4).contains(&((d * factor as f64).floor() as i64 - first));
    inside(d.dx, first.0) && inside(d.dy, first.1)
}

impl<const P: usize, const V: usize> Default for LagSums<P, V> {
    fn default() -> Self {
        LagSums { products: Vec::new(), plain: Vec::new(), sums: BatchSums::default(), totals: Totals::default() }
    }
}

impl<const P: usize, const V: usize> LagSums<P, V> {
    /// How many of `rows` cell rows of `columns` cells to compute together.
    pub fn group(columns: usize, rows: usize) -> usize {
        (GROUP_BYTES / ((P + 1) * size_of::<Lags>() * columns)).clamp(1, rows)
    }

    /// Computes the lags of the cells of `rows` (of `columns` cells each); `firsts` has the first lag of each of them
    /// or `None` where none are wanted.
    pub fn compute(
        &mut self,
        (f, c): ([&Grid<f32>; P], &Coefficients),
        (x, y): (&Intervals, &Intervals),
        (columns, rows): (usize, (usize, usize)),
        firsts: &[Option<(i64, i64)>],
    ) {
        self.products.resize(firsts.len(), [[0.0; SIDE * SIDE]; P]);
        self.plain.resize(firsts.len(), [0.0; SIDE * SIDE]);
        let side = side(c.factor);
        let (mut low, mut high) = ((i64::MAX, i64::MAX), (i64::MIN, i64::MIN));
        for f in firsts.iter().flatten() {
            low = (low.0.min(f.0), low.1.min(f.1));
            high = (high.0.max(f.0), high.1.max(f.1));
        }
        if low.0 > high.0 {
            return;
        }
        for ty in low.1..high.1 + side {
            self.row((f, c), (x, y), (columns, rows), firsts, ty);
        }
    }

    /// The lags (.., ty) of the cells that want them.
    fn row(
        &mut self,
        (f, c): ([&Grid<f32>; P], &Coefficients),
        (x, y): (&Intervals, &Intervals),
        (columns, rows): (usize, (usize, usize)),
        firsts: &[Option<(i64, i64)>],
        ty: i64,
    ) {
        let side = side(c.factor);
        let wants = |cell: usize| firsts[cell].filter(|f| (f.1..f.1 + side).contains(&ty)).map(|f| f.0);
        let height = rows.1 - rows.0;
        let mut column = 0;
        while column < columns {
            // A stretch of columns whose lags fit into one batch, with the rows that it needs.
            let (mut first, mut last) = (None, column);
            let (mut top, mut bottom, mut low, mut high) = (height, 0, i64::MAX, i64::MIN);
            while column < columns && first.is_none_or(|_| column - last <= GAP) {
                let of_column = || (0..height).filter_map(|r| Some((r, wants(r * columns + column)?)));
                let (l, h) = of_column().fold((low, high), |(l, h), (_, f)| (l.min(f), h.max(f)));
                if first.is_some() && h - l + side > BATCH as i64 && (l, h) != (low, high) {
                    break;
                }
                for (r, _) in of_column() {
                    first = first.or(Some(column));
                    last = column;
                    (top, bottom) = (top.min(r), bottom.max(r + 1));
                }
                (low, high) = (l, h);
                column += 1;
            }
            let Some(first) = first else { break };
            column = last + 1;
            let part = Part { columns: (first, last + 1), rows: (rows.0 + top, rows.0 + bottom) };
            for tx in (low..high + side).step_by(BATCH) {
                let to = (high + side - tx).min(BATCH as i64) as usize;
                let vectors = vectors(c, (tx, ty), to);
                self.sums.products_and_sums::<P, V>(f.map(Rows::of), vectors, (x, y), part, &mut self.totals);
                let width = last + 1 - first;
                for r in top..bottom {
                    for k in 0..width {
                        let cell = r * columns + first + k;
                        let Some(fx) = wants(cell) else { continue };
                        let fy = firsts[cell].map_or(0, |f| f.1);
                        let totals = self.totals.of((r - top) * width + k);
                        let (from, to) = ((fx - tx).max(0), (fx + side - tx).min(BATCH as i64));
                        for s in from..to {
                            let to = ((ty - fy) * SIDE as i64 + tx + s - fx) as usize;
                            let place = place(c.factor, s as usize);
                            for p in 0..P {
                                self.products[cell][p][to] = totals[place + p * BATCH];
                            }
                            self.plain[cell][to] = totals[place + P * BATCH];
                        }
                    }
                }
            }
        }
    }

    /// Σ (f - mean)·c of a cell, counted from the first of the computed rows.
    #[inline(always)]
    pub fn of(&self, cell: usize, means: [f64; P]) -> [Lags; P] {
        let (products, plain) = (&self.products[cell], &self.plain[cell]);
        std::array::from_fn(|p| std::array::from_fn(|k| products[p][k] - means[p] * plain[k]))
    }
}

/// Where lag s of a batch lies among the totals of a cell.
#[inline(always)]
fn place(factor: usize, s: usize) -> usize {
    if factor == 2 { (s % 2) * LANES + s / 2 } else { s }
}

/// The two vectors of lags (tx + s, ty), s = 0..`to`: lags a pixel apart lie side by side in one plane.
fn vectors<'c>(c: &'c Coefficients, (tx, ty): (i64, i64), to: usize) -> [(Rows<'c>, usize); 2] {
    let factor = c.factor as i64;
    let margin = c.margin as i64 * factor;
    let py = ty + margin;
    std::array::from_fn(|k| {
        let (px, wanted) = match c.factor {
            2 => (tx + k as i64 + margin, (to + 1 - k) / 2),
            _ => (tx + (k * LANES) as i64 + margin, to.saturating_sub(k * LANES)),
        };
        let plane = Rows {
            data: &c.planes[px.rem_euclid(factor) as usize],
            pitch: c.stride * c.factor,
            first: py * c.stride as i64 + px.div_euclid(factor),
        };
        (plane, wanted.clamp(1, LANES))
    })
}
