//! Sums of products over all windows of a tile at once, for a batch of neighbouring shifts.
//!
//! Overlapping windows share their work: the product image is summed over the blocks between window borders once, and
//! every window is a sum of blocks (block sums for large steps, running sums for dense ones). Within a block the shifts
//! lie in the lanes of vectors, so that no sum runs across lanes and any vector length gives the same bytes.

use super::block::{Blocks, Both, Products};
use super::eight::{Eight, Work, eight};
use super::sums::Intervals;
use crate::grid::Grid;

/// Cells `from..to` along both axes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    pub columns: (usize, usize),
    pub rows: (usize, usize),
}

impl Part {
    /// Place of cell (x, y) in the order of the part's cells.
    #[inline(always)]
    pub fn index(&self, x: usize, y: usize) -> usize {
        (y - self.rows.0) * (self.columns.1 - self.columns.0) + x - self.columns.0
    }
}

/// Shifts in one vector; sums are computed for one, two or three vectors of them.
pub use super::eight::LANES;
/// Most neighbouring shifts whose products are summed in one pass.
pub const BATCH: usize = 3 * LANES;
/// Rows of a block that are summed in single precision.
const SINGLE_ROWS: usize = 16;

/// An image as rows `pitch` apart; pixel (0, 0) is at `first`, which may lie outside when only later pixels are read.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    pub data: &'a [f32],
    pub pitch: usize,
    pub first: i64,
}

impl<'a> Rows<'a> {
    pub fn of(grid: &'a Grid<f32>) -> Self {
        Rows { data: &grid.data, pitch: grid.width, first: 0 }
    }

    /// The image seen from (x, y).
    pub fn from(self, (x, y): (i64, i64)) -> Self {
        Rows { first: self.first + y * self.pitch as i64 + x, ..self }
    }

    #[inline(always)]
    pub(super) fn start(&self, x: usize, y: usize) -> usize {
        (self.first + (y * self.pitch + x) as i64) as usize
    }

    #[inline(always)]
    pub(super) fn at(&self, x: usize, y: usize, n: usize) -> &'a [f32] {
        let start = self.start(x, y);
        &self.data[start..start + n]
    }
}

/// Sums of cells at the shifts of a batch, `lanes` for each cell.
#[derive(Default)]
pub struct Totals {
    lanes: usize,
    values: Vec<f64>,
}

impl Totals {
    /// The sums of one cell; those past the wanted shifts mean nothing.
    #[inline(always)]
    pub fn of(&self, cell: usize) -> &[f64] {
        &self.values[cell * self.lanes..(cell + 1) * self.lanes]
    }
}

/// Buffers for the sums of the product images of up to [`BATCH`] neighbouring shifts over all windows.
#[derive(Default)]
pub struct BatchSums {
    prefix: Vec<f64>,
    line: Vec<f64>,
    padded: [Vec<f32>; 3],
}

impl BatchSums {
    /// Σ a(x)·b(x + s) over the windows of `part` for the shifts s = 0..`shifts` along x, into `out` (cell order within
    /// the part).
    pub fn window_sums(
        &mut self,
        images: (Rows, Rows),
        shifts: usize,
        intervals: (&Intervals, &Intervals),
        part: Part,
        out: &mut Totals,
    ) {
        self.sparse_sums(images, shifts, intervals, part, |_, _| false, out);
    }

    /// The same where the products of many blocks are known to be zero: `nothing(corner, size)` says so of a block of
    /// pixels of a.
    pub fn sparse_sums(
        &mut self,
        (a, b): (Rows, Rows),
        shifts: usize,
        intervals: (&Intervals, &Intervals),
        part: Part,
        nothing: impl Fn((usize, usize), (usize, usize)) -> bool,
        out: &mut Totals,
    ) {
        let at = |k: usize| (b.from(((k * LANES) as i64, 0)), shifts.saturating_sub(k * LANES).clamp(1, LANES));
        let images = [at(0), at(1), at(2)];
        eight(Shifts { sums: self, a, images, shifts, intervals, part, nothing, out });
    }

    /// Sums over the windows of `part` of what `blocks` says of every block: `V` vectors of lanes a cell.
    #[inline(always)]
    pub(super) fn sums<const V: usize>(
        &mut self,
        (x, y): (&Intervals, &Intervals),
        part: Part,
        blocks: &mut impl Blocks<V>,
        out: &mut Totals,
    ) {
        let lanes = V * LANES;
        let (e0, e1) = (y.cells[part.rows.0].0, y.cells[part.rows.1 - 1].1);
        let (k0, k1) = (x.cells[part.columns.0].0, x.cells[part.columns.1 - 1].1);
        let (left, borders) = (x.at[k0], &x.at[k0..=k1]);
        let pitch = (k1 - k0) * lanes;
        self.prefix.clear();
        self.prefix.resize((e1 - e0 + 1) * pitch, 0.0);
        for e in e0..e1 {
            let (above, below) = self.prefix.split_at_mut((e - e0 + 1) * pitch);
            let (above, below) = (&above[(e - e0) * pitch..], &mut below[..pitch]);
            below.copy_from_slice(above);
            for top in (y.at[e]..y.at[e + 1]).step_by(SINGLE_ROWS) {
                blocks.strip((left, top), (x.at[k1] - left, SINGLE_ROWS.min(y.at[e + 1] - top)));
                for (ends, sums) in borders.windows(2).zip(below.chunks_exact_mut(lanes)) {
                    let Some(block) = blocks.block(ends[0] - left, ends[1] - ends[0]) else { continue };
                    for (sum, block) in sums.chunks_exact_mut(LANES).zip(&block) {
                        for l in 0..LANES {
                            sum[l] += block[l] as f64;
                        }
                    }
                }
            }
        }
        out.lanes = lanes;
        out.values.clear();
        self.line.clear();
        self.line.resize((k1 - k0 + 1) * lanes, 0.0);
        let line = &mut self.line[..];
        for &(ya, yb) in &y.cells[part.rows.0..part.rows.1] {
            let top = &self.prefix[(ya - e0) * pitch..(ya - e0 + 1) * pitch];
            let bottom = &self.prefix[(yb - e0) * pitch..(yb - e0 + 1) * pitch];
            for (k, (top, bottom)) in top.chunks_exact(lanes).zip(bottom.chunks_exact(lanes)).enumerate() {
                let (before, own) = line[k * lanes..(k + 2) * lanes].split_at_mut(lanes);
                for l in 0..lanes {
                    own[l] = before[l] + (bottom[l] - top[l]);
                }
            }
            for &(xa, xb) in &x.cells[part.columns.0..part.columns.1] {
                let (a, b) = (&line[(xa - k0) * lanes..][..lanes], &line[(xb - k0) * lanes..][..lanes]);
                out.values.extend((0..lanes).map(|l| b[l] - a[l]));
            }
        }
    }

    /// Σ a·b of each of `P` images a and Σ b, for two vectors of shifts: `b` is where the shifts of each begin and how many
    /// of them are wanted. A cell's totals are the products of the first image with both vectors, those of the next, and
    /// at last the sums: `V` = 2 `P` + 2 vectors.
    pub fn products_and_sums<const P: usize, const V: usize>(
        &mut self,
        a: [Rows; P],
        b: [(Rows, usize); 2],
        intervals: (&Intervals, &Intervals),
        part: Part,
        out: &mut Totals,
    ) {
        debug_assert_eq!(V, 2 * P + 2);
        eight(Pairs::<P, V> { sums: self, a, b, intervals, part, out });
    }
}

/// [`BatchSums::sparse_sums`].
struct Shifts<'a, 'b, N> {
    sums: &'b mut BatchSums,
    a: Rows<'a>,
    images: [(Rows<'a>, usize); 3],
    shifts: usize,
    intervals: (&'a Intervals, &'a Intervals),
    part: Part,
    nothing: N,
    out: &'b mut Totals,
}

impl<N: Fn((usize, usize), (usize, usize)) -> bool> Work for Shifts<'_, '_, N> {
    type Output = ();

    #[inline(always)]
    fn run<S: Eight>(self, simd: S) {
        let Shifts { sums, a, images: [b, c, d], shifts, intervals, part, nothing, out } = self;
        let mut padded = std::mem::take(&mut sums.padded);
        match shifts {
            0..=8 => {
                let mut blocks = Products::<S, 1, 1, 4, N>::new(simd, [a], [b], nothing, &mut padded);
                sums.sums::<1>(intervals, part, &mut blocks, out)
            }
            9..=16 => {
                let mut blocks = Products::<S, 1, 2, 2, N>::new(simd, [a], [b, c], nothing, &mut padded);
                sums.sums::<2>(intervals, part, &mut blocks, out)
            }
            _ => {
                let mut blocks = Products::<S, 1, 3, 2, N>::new(simd, [a], [b, c, d], nothing, &mut padded);
                sums.sums::<3>(intervals, part, &mut blocks, out)
            }
        }
        sums.padded = padded;
    }
}

/// [`BatchSums::products_and_sums`].
struct Pairs<'a, 'b, const P: usize, const V: usize> {
    sums: &'b mut BatchSums,
    a: [Rows<'a>; P],
    b: [(Rows<'a>, usize); 2],
    intervals: (&'a Intervals, &'a Intervals),
    part: Part,
    out: &'b mut Totals,
}

impl<const P: usize, const V: usize> Work for Pairs<'_, '_, P, V> {
    type Output = ();

    #[inline(always)]
    fn run<S: Eight>(self, simd: S) {
        let Pairs { sums, a, b, intervals, part, out } = self;
        let mut padded = std::mem::take(&mut sums.padded);
        // Sixteen vectors are all that there are.
        if V <= 4 {
            let mut blocks = Both(Products::<S, P, 2, 2, ()>::new(simd, a, b, (), &mut padded));
            sums.sums::<V>(intervals, part, &mut blocks, out);
        } else {
            let mut blocks = Both(Products::<S, P, 2, 1, ()>::new(simd, a, b, (), &mut padded));
            sums.sums::<V>(intervals, part, &mut blocks, out);
        }
        sums.padded = padded;
    }
}
