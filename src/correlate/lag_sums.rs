//! Correlations of all windows of a tile with the spline coefficients of the post image, around each window's own peak.
//!
//! Σ f(x)·g(x + d) is linear in g: with g a spline it is the same spline through the sums Σ f·c at the lags around d
//! ([`super::peak`]). At one lag those are sums of one product image, so that overlapping windows share them as they
//! share the whole-pixel search; neighbouring windows move alike and ask for the same lags.

use super::batch_sums::{BatchSums, LANES, Part, Rows, SINGLE_ROWS, Totals};
use super::block::Blocks;
use super::eight::{Eight, Lanes, Work, eight};
use super::lag_block::{HALF, Half, LagProducts};
use super::missing::Missing;
use super::sums::Intervals;
use crate::field::PixelShift;
use crate::grid::Grid;

/// Most lags along each axis.
pub const SIDE: usize = 8;
/// Most lags along x over which neighbouring cells are summed together.
const BATCH: usize = 2 * LANES;
/// Cells between two that ask for a lag over which they are still summed together.
const GAP: usize = 3;

/// Memory that the lags of one group of cell rows may take.
const GROUP_BYTES: usize = 8 << 20;

/// Values at all lags, rows of increasing y.
pub type Lags = [f64; SIDE * SIDE];

/// Samples or spline coefficients of an image, `factor` a pixel along each axis.
#[derive(Clone, Copy)]
pub struct Knots<'a> {
    /// Every `factor`-th column each; all rows, `stride` apart.
    pub planes: &'a [Vec<f32>],
    pub stride: usize,
    pub factor: usize,
    /// Where the tile's first pixel lies.
    pub margin: i64,
}

/// The lags that a window needs at all displacements near its start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Around {
    start: PixelShift,
    /// Pixels from the start along each axis.
    reach: f64,
    /// First lag and one past the last along x and y, in knots.
    first: (i64, i64),
    end: (i64, i64),
}

impl Around {
    /// Those of a spline of six taps with `factor` coefficients a pixel.
    pub fn spline(start: PixelShift, factor: usize) -> Around {
        let knot = |d: f64| (d * factor as f64).floor() as i64;
        Around::new(start, factor, |low, high| (knot(low) - 2, knot(high) + 4))
    }

    /// Those of a quadratic through the nearest of `factor` samples a pixel and its neighbours.
    pub fn quadratic(start: PixelShift, factor: usize) -> Around {
        let knot = |d: f64| (d * factor as f64).round() as i64;
        Around::new(start, factor, |low, high| (knot(low) - 1, knot(high) + 2))
    }

    fn new(start: PixelShift, factor: usize, lags: impl Fn(f64, f64) -> (i64, i64)) -> Around {
        // Windows whose peak lies farther from the parabola through its pixels are rare. Eight lags at most.
        let reach = if factor == 2 { 0.25 } else { 0.45 };
        let (x, y) = (lags(start.dx - reach, start.dx + reach), lags(start.dy - reach, start.dy + reach));
        Around { start, reach, first: (x.0, y.0), end: (x.1, y.1) }
    }

    /// Where the value at a lag lies in [`Lags`].
    #[inline(always)]
    pub fn index(&self, lag: (i64, i64)) -> usize {
        ((lag.1 - self.first.1) * SIDE as i64 + lag.0 - self.first.0) as usize
    }

    /// The lags are enough for displacement `d`.
    #[inline(always)]
    pub fn reaches(&self, d: PixelShift) -> bool {
        // Less than was asked for above, so that rounding cannot lead to another knot.
        let near = |d: f64, start: f64| (d - start).abs() <= self.reach - 1e-9;
        near(d.dx, self.start.dx) && near(d.dy, self.start.dy)
    }

    /// Displacement `d` (pixels) in coefficient units from the first lag.
    #[inline(always)]
    pub fn place(&self, d: PixelShift, factor: f64) -> (f64, f64) {
        (d.dx * factor - self.first.0 as f64, d.dy * factor - self.first.1 as f64)
    }
}

/// The lags of a group of cell rows, of `P` images f: `V` sums.
pub struct LagSums<const P: usize, const V: usize> {
    /// For every cell Σ f·c of each f, Σ c and, where `V` = `P` + 2, Σ c².
    values: Vec<[Lags; V]>,
    sums: BatchSums,
    totals: Vec<Totals>,
}

/// Products with one image, with three, and sums and squares alone.
pub type LagsOfOne = LagSums<1, 2>;
pub type LagsOfThree = LagSums<3, 4>;
pub type LagsOfNone = LagSums<0, 2>;

/// Lags (x.., y) for cells that neighbour each other.
struct Batch {
    part: Part,
    first: (i64, i64),
    lags: usize,
}

impl<const P: usize, const V: usize> Default for LagSums<P, V> {
    fn default() -> Self {
        LagSums { values: Vec::new(), sums: BatchSums::default(), totals: Vec::new() }
    }
}

impl<const P: usize, const V: usize> LagSums<P, V> {
    /// How many of `rows` cell rows of `columns` cells to compute together.
    pub fn group(columns: usize, rows: usize) -> usize {
        (GROUP_BYTES / (V * size_of::<Lags>() * columns)).clamp(1, rows)
    }

    /// Computes the lags of the cells of `rows` (of `columns` cells each) that `wanted` names.
    pub fn compute(
        &mut self,
        (f, c): ([&Grid<f32>; P], Knots),
        (x, y): (&Intervals, &Intervals),
        (columns, rows): (usize, (usize, usize)),
        wanted: &[Option<Around>],
    ) {
        self.values.resize(wanted.len(), [[0.0; SIDE * SIDE]; V]);
        let mut batches = Vec::new();
        let low = wanted.iter().flatten().map(|a| a.first.1).min();
        let high = wanted.iter().flatten().map(|a| a.end.1).max();
        for ty in low.unwrap_or(0)..high.unwrap_or(0) {
            batches_of_row((columns, rows), wanted, ty, &mut batches);
        }
        let requests: Vec<_> = batches.iter().map(|b| (b.part, halves(&c, b.first, b.lags))).collect();
        self.sums.lag_sums::<P, V>(f.map(Rows::of), &requests, (x, y), &mut self.totals);
        for (Batch { part, first: (tx, ty), lags }, totals) in batches.iter().zip(&self.totals) {
            for row in part.rows.0..part.rows.1 {
                for column in part.columns.0..part.columns.1 {
                    let cell = (row - rows.0) * columns + column;
                    let Some(a) = wanted[cell].filter(|a| (a.first.1..a.end.1).contains(ty)) else { continue };
                    let totals = totals.of(part.index(column, row));
                    for t in a.first.0.max(*tx)..a.end.0.min(tx + *lags as i64) {
                        let (to, lane) = (a.index((t, *ty)), lane(c.factor, (t - tx) as usize));
                        for v in 0..V {
                            self.values[cell][v][to] = totals[lane + v * LANES];
                        }
                    }
                }
            }
        }
    }

    /// The sums of a cell, counted from the first of the computed rows, less those of the `missing` pixels; those beyond its
    /// own lags mean nothing.
    #[inline(always)]
    fn without(
        &self,
        (cell, around): (usize, &Around),
        (f, c): ([&Grid<f32>; P], &Knots),
        missing: &Missing,
    ) -> [Lags; V] {
        let mut values = self.values[cell];
        eight(Without { values: &mut values, f: f.map(Rows::of), c, around, missing });
        values
    }

    /// Σ (f - mean)·c of a cell, counted from the first of the computed rows; those beyond its own lags mean nothing.
    #[inline(always)]
    pub fn of(&self, cell: usize, means: [f64; P]) -> [Lags; P] {
        centred(&self.values[cell], means)
    }
}

#[inline(always)]
fn centred<const P: usize, const V: usize>(v: &[Lags; V], means: [f64; P]) -> [Lags; P] {
    std::array::from_fn(|p| std::array::from_fn(|k| v[p][k] - means[p] * v[P][k]))
}

/// Takes the products of missing pixels away.
struct Without<'a, const P: usize, const V: usize> {
    values: &'a mut [Lags; V],
    f: [Rows<'a>; P],
    c: &'a Knots<'a>,
    around: &'a Around,
    missing: &'a Missing,
}

impl<const P: usize, const V: usize> Work for Without<'_, P, V> {
    type Output = ();

    #[inline(always)]
    fn run<S: Eight>(self, simd: S) {
        let Without { values, f, c, around, missing } = self;
        let lags = (around.end.0 - around.first.0) as usize;
        for ty in around.first.1..around.end.1 {
            let first = around.index((around.first.0, ty));
            let mut products = LagProducts::<S, P, 2>::new(simd, f, halves(c, (around.first.0, ty), lags));
            for (corner, size) in missing.pieces(SINGLE_ROWS) {
                Blocks::<V>::strip(&mut products, corner, size);
                let Some::<[Lanes; V]>(sums) = products.block(0, size.0) else { continue };
                for (values, sums) in values.iter_mut().zip(&sums) {
                    for s in 0..lags {
                        values[first + s] -= f64::from(sums[lane(c.factor, s)]);
                    }
                }
            }
        }
    }
}

impl LagsOfOne {
    /// As [`LagSums::of`], without the `missing` pixels.
    #[inline(always)]
    pub fn of_others(&self, cell: (usize, &Around), (f, c): (&Grid<f32>, Knots), missing: &Missing, mean: f64) -> Lags {
        if missing.is_empty() {
            return self.of(cell.0, [mean])[0];
        }
        centred(&self.without(cell, ([f], &c), missing), [mean])[0]
    }
}

impl LagsOfNone {
    /// Σ (c - c̄)² of a cell over `pixels` pixels, the `missing` ones left out.
    #[inline(always)]
    pub fn energies(&self, cell: (usize, &Around), c: Knots, missing: &Missing, pixels: f64) -> Lags {
        let energies = |[sum, squares]: &[Lags; 2]| std::array::from_fn(|k| squares[k] - sum[k] * sum[k] / pixels);
        if missing.is_empty() {
            energies(&self.values[cell.0])
        } else {
            energies(&self.without(cell, ([], &c), missing))
        }
    }
}

/// The batches that hold the lags (.., ty) of the cells that want them.
fn batches_of_row(
    (columns, rows): (usize, (usize, usize)),
    wanted: &[Option<Around>],
    ty: i64,
    batches: &mut Vec<Batch>,
) {
    let wants = |cell: usize| wanted[cell].filter(|a| (a.first.1..a.end.1).contains(&ty));
    let height = rows.1 - rows.0;
    let mut column = 0;
    while column < columns {
        // A stretch of columns whose lags lie near each other, with the rows that it needs.
        let (mut first, mut last) = (None, column);
        let (mut top, mut bottom, mut low, mut high) = (height, 0, i64::MAX, i64::MIN);
        while column < columns && first.is_none_or(|_| column - last <= GAP) {
            let of_column = || (0..height).filter_map(|r| Some((r, wants(r * columns + column)?)));
            let (l, h) = of_column().fold((low, high), |(l, h), (_, a)| (l.min(a.first.0), h.max(a.end.0)));
            if first.is_some() && h - l > BATCH as i64 && (l, h) != (low, high) {
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
        for tx in (low..high).step_by(LANES) {
            batches.push(Batch { part, first: (tx, ty), lags: (high - tx).min(LANES as i64) as usize });
        }
    }
}

/// Where lag s of a batch lies in the vector of its totals.
#[inline(always)]
fn lane(factor: usize, s: usize) -> usize {
    if factor == 2 { (s % 2) * HALF + s / 2 } else { s }
}

/// The lags (tx + s, ty), s = 0..`lags`, at most eight: lags a pixel apart lie side by side in one plane.
fn halves<'a>(c: &Knots<'a>, (tx, ty): (i64, i64), lags: usize) -> [Half<'a>; 2] {
    let factor = c.factor as i64;
    std::array::from_fn(|k| {
        let (offset, wanted) = match c.factor {
            2 => (k, (lags + 1 - k) / 2),
            _ => (k * HALF, lags.saturating_sub(k * HALF).min(HALF)),
        };
        // Where none are wanted nothing may lie behind the first.
        let (offset, wanted) = if wanted == 0 { (0, 1) } else { (offset, wanted) };
        let px = tx + offset as i64 + c.margin;
        let plane = Rows {
            data: &c.planes[px.rem_euclid(factor) as usize],
            pitch: c.stride * c.factor,
            first: (ty + c.margin) * c.stride as i64 + px.div_euclid(factor),
        };
        (plane, wanted)
    })
}
