//! Correlations of all windows of a tile with the spline coefficients of the post image, around each window's own peak.
//!
//! Σ f(x)·g(x + d) is linear in g: with g a spline it is the same spline through the sums Σ f·c at the lags around d
//! ([`super::peak`]). At one lag those are sums of one product image, so that overlapping windows share them as they
//! share the whole-pixel search; neighbouring windows move alike and ask for the same lags.

use super::batch_sums::{BatchSums, LAG_ROWS, LANES, Part, Rows, SINGLE_ROWS, Totals};
use super::block::Blocks;
use super::eight::{Eight, Work, eight};
use super::lag_block::{HALF, LagProducts, Lagged};
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
pub struct Knots<'a> {
    /// Every `factor`-th column each and all rows, `stride` apart.
    planes: &'a [Vec<f32>],
    stride: usize,
    factor: usize,
    /// Where the tile's first pixel lies.
    margin: i64,
}

impl<'a> Knots<'a> {
    /// Of `planes` that hold every `factor`-th column each and all rows, `stride` apart; `margin` is where the tile's first pixel
    /// lies, in knots.
    pub fn new(planes: &'a [Vec<f32>], stride: usize, margin: i64) -> Self {
        debug_assert!((1..=2).contains(&planes.len()));
        Knots { planes, stride, factor: planes.len(), margin }
    }

    /// `lags` lags along x and y from `first` on; those along y are pixels apart.
    fn lagged(&self, first: (i64, i64), (lags, lines): (usize, usize)) -> Lagged<'a> {
        let two = self.factor == 2;
        let from = |x: i64| {
            let (x, row) = (x + self.margin, (first.1 + self.margin) * self.stride as i64);
            let (plane, column) = if two { (x.rem_euclid(2) as usize, x.div_euclid(2)) } else { (0, x) };
            Rows { data: &self.planes[plane], pitch: self.stride * self.factor, first: row + column }
        };
        let own = if two { lags.div_ceil(2) } else { lags.min(HALF) };
        let half = from(first.0);
        if own == lags {
            // Something to read that is there.
            return Lagged { halves: [half; 2], wanted: [own; 2], lines };
        }
        let other = from(first.0 + if two { 1 } else { HALF as i64 });
        Lagged { halves: [half, other], wanted: [own, lags - own], lines }
    }

    /// In which lane of a vector a lag lies, counted from its first.
    #[inline(always)]
    fn lane(&self, lag: usize) -> usize {
        if self.factor == 2 { lag % 2 * HALF + lag / 2 } else { lag }
    }
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
        let (knot, reach) = (|d: f64| (d * factor as f64).floor() as i64, reach(factor));
        let knots = |d: f64| (knot(d - reach) - 2, knot(d + reach) + 4);
        let (x, y) = (knots(start.dx), knots(start.dy));
        Around { start, reach, first: (x.0, y.0), end: (x.1, y.1) }
    }

    /// Those of a quadratic through the sample nearest to the start, of `factor` a pixel, and its neighbours.
    pub fn quadratic(start: PixelShift, factor: usize) -> Around {
        let nearest = |d: f64| (d * factor as f64).round() as i64;
        let knots = |d: f64| (nearest(d) - 1, nearest(d) + 2);
        let (x, y) = (knots(start.dx), knots(start.dy));
        Around { start, reach: reach(factor), first: (x.0, y.0), end: (x.1, y.1) }
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

/// Pixels from the start that the lags reach, with `factor` knots a pixel: windows whose peak lies farther from the parabola through
/// its pixels are rare. Eight lags at most.
fn reach(factor: usize) -> f64 {
    if factor == 2 { 0.25 } else { 0.45 }
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

/// Lags for cells that neighbour each other: `lags` along x, and along y, pixels apart, from `first` on.
struct Batch {
    part: Part,
    first: (i64, i64),
    lags: (usize, usize),
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
        (f, c): ([&Grid<f32>; P], &Knots),
        (x, y): (&Intervals, &Intervals),
        (columns, rows): (usize, (usize, usize)),
        wanted: &[Option<Around>],
    ) {
        self.values.resize(wanted.len(), [[0.0; SIDE * SIDE]; V]);
        let mut batches = Vec::new();
        let low = wanted.iter().flatten().map(|a| a.first.1).min().unwrap_or(0);
        let high = wanted.iter().flatten().map(|a| a.end.1).max().unwrap_or(0);
        let factor = c.factor as i64;
        for (ty, lines) in together(low, high, c.factor) {
            batches_of_rows((columns, rows), wanted, (ty, lines, factor), &mut batches);
        }
        let requests: Vec<_> = batches.iter().map(|b| (b.part, c.lagged(b.first, b.lags))).collect();
        self.sums.lag_sums::<P, V>(f.map(Rows::of), &requests, (x, y), &mut self.totals);
        for (Batch { part, first: (tx, ty), lags }, totals) in batches.iter().zip(&self.totals) {
            for row in part.rows.0..part.rows.1 {
                for column in part.columns.0..part.columns.1 {
                    let cell = (row - rows.0) * columns + column;
                    let Some(a) = wanted[cell] else { continue };
                    let (first, last) = (a.first.0.max(*tx), a.end.0.min(tx + lags.0 as i64));
                    for line in 0..lags.1 {
                        let ty = ty + line as i64 * factor;
                        if first >= last || !(a.first.1..a.end.1).contains(&ty) {
                            continue;
                        }
                        let totals = totals.row(part.index(column, row), line);
                        let (to, from, n) = (a.index((first, ty)), (first - tx) as usize, (last - first) as usize);
                        for (values, totals) in self.values[cell].iter_mut().zip(totals.chunks_exact(LANES)) {
                            for (k, value) in values[to..to + n].iter_mut().enumerate() {
                                *value = totals[c.lane(from + k)];
                            }
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

/// The lags along y from `low` to before `high`, those together that are pixels apart and so read the same rows of knots: the first,
/// and how many.
fn together(low: i64, high: i64, factor: usize) -> impl Iterator<Item = (i64, usize)> {
    let lines = move |ty: i64| ((high - ty) as usize).div_ceil(factor).min(LAG_ROWS);
    let between = low..high.min(low + factor as i64);
    between.flat_map(move |ty| (ty..high).step_by(factor * LAG_ROWS)).map(move |ty| (ty, lines(ty)))
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
    fn run<S: Eight>(mut self, simd: S) {
        for (ty, lines) in together(self.around.first.1, self.around.end.1, self.c.factor) {
            if lines == 1 { self.rows::<S, 1, 2>(simd, ty) } else { self.rows::<S, LAG_ROWS, 3>(simd, ty) }
        }
    }
}

impl<const P: usize, const V: usize> Without<'_, P, V> {
    /// Of the lags in the row `ty` and `T` - 1 of those pixels below it.
    #[inline(always)]
    fn rows<S: Eight, const T: usize, const K: usize>(&mut self, simd: S, ty: i64) {
        let Without { values, f, c, around, missing } = self;
        let lags = (around.end.0 - around.first.0) as usize;
        let first = (around.first.0, ty);
        let mut products = LagProducts::<S, P, V, T, K>::new(simd, *f, c.lagged(first, (lags, T)));
        let mut lost = [[[0.0; LANES]; V]; T];
        for (corner, size) in missing.pieces(SINGLE_ROWS) {
            products.strip(corner, size);
            products.add(0, size.0, lost.as_flattened_mut());
        }
        for (t, lost) in lost.iter().enumerate() {
            let first = around.index((first.0, ty + (t * c.factor) as i64));
            for (values, lost) in values.iter_mut().zip(lost) {
                values[first..first + lags].iter_mut().enumerate().for_each(|(k, v)| *v -= lost[c.lane(k)]);
            }
        }
    }
}

impl LagsOfOne {
    /// As [`LagSums::of`], without the `missing` pixels.
    #[inline(always)]
    pub fn of_others(
        &self,
        cell: (usize, &Around),
        (f, c): (&Grid<f32>, &Knots),
        missing: &Missing,
        mean: f64,
    ) -> Lags {
        if missing.is_empty() {
            return self.of(cell.0, [mean])[0];
        }
        centred(&self.without(cell, ([f], c), missing), [mean])[0]
    }
}

impl LagsOfNone {
    /// Σ (c - c̄)² of a cell over `pixels` pixels, the `missing` ones left out.
    #[inline(always)]
    pub fn energies(&self, cell: (usize, &Around), c: &Knots, missing: &Missing, pixels: f64) -> Lags {
        let energies = |[sum, squares]: &[Lags; 2]| std::array::from_fn(|k| squares[k] - sum[k] * sum[k] / pixels);
        if missing.is_empty() {
            energies(&self.values[cell.0])
        } else {
            energies(&self.without(cell, ([], c), missing))
        }
    }
}

/// The batches that hold the lags along x, at `lines` lags along y `apart` from `ty` on, of the cells that want them.
fn batches_of_rows(
    (columns, rows): (usize, (usize, usize)),
    wanted: &[Option<Around>],
    (ty, lines, apart): (i64, usize, i64),
    batches: &mut Vec<Batch>,
) {
    let own = |a: &Around| (0..lines as i64).any(|line| (a.first.1..a.end.1).contains(&(ty + line * apart)));
    let wants = |cell: usize| wanted[cell].filter(own);
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
            batches.push(Batch { part, first: (tx, ty), lags: ((high - tx).min(LANES as i64) as usize, lines) });
        }
    }
}
