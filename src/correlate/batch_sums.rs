//! Sums of products over all windows of a tile at once, for a batch of neighbouring shifts.
//!
//! Overlapping windows share their work: the product image is summed over the blocks between window borders once, and
//! every window is a sum of blocks (block sums for large steps, running sums for dense ones). Within a block the shifts
//! lie in the lanes of vectors, so that no sum runs across lanes and any vector length gives the same bytes.

use super::block::{Blocks, Products};
use super::column_sums::ColumnSums;
use super::eight::{Eight, Work, eight};
use super::lag_block::{LagProducts, Lagged};
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

    #[inline(always)]
    pub fn holds(&self, x: usize, y: usize) -> bool {
        (self.columns.0..self.columns.1).contains(&x) && (self.rows.0..self.rows.1).contains(&y)
    }
}

/// Shifts in one vector; sums are computed for one, two or three vectors of them.
pub use super::eight::LANES;
/// Most neighbouring shifts whose products are summed in one pass.
pub const BATCH: usize = 3 * LANES;
/// Rows of a block that are summed in single precision.
pub(super) const SINGLE_ROWS: usize = 16;
/// Vectors of running sums that stay in the cache.
const CACHED: usize = (1 << 20) / size_of::<[f64; LANES]>();
/// Most lags along y, pixels apart, that are summed in one pass.
pub const LAG_ROWS: usize = 2;

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

/// Products of a with b at neighbouring shifts, the first of which is where `b` begins: so many along x (at most [`BATCH`]) and
/// along y (as [`shift_batches`] has them).
#[derive(Clone, Copy)]
pub struct Shifts<'a> {
    pub a: Rows<'a>,
    pub b: Rows<'a>,
    pub shifts: (usize, usize),
    pub part: Part,
}

/// The shifts from `low` to `high` in batches: the first of each, and how many along x and y it holds.
pub fn shift_batches(low: (i32, i32), high: (i32, i32)) -> impl Iterator<Item = ((i32, i32), (usize, usize))> {
    let (wide, all) = ((high.0 - low.0 + 1) as usize, (high.1 - low.1 + 1) as usize);
    let together = all.div_ceil(all.div_ceil(most_rows(wide)).max(1)).max(1);
    let left = |from: i32, to: i32, most: usize| ((to - from + 1) as usize).min(most);
    (low.1..=high.1).step_by(together).flat_map(move |y| {
        let batch = move |x| ((x, y), (left(x, high.0, BATCH), left(y, high.1, together)));
        (low.0..=high.0).step_by(BATCH).map(batch)
    })
}

/// Most shifts along y with `shifts` along x: what the registers hold.
fn most_rows(shifts: usize) -> usize {
    match shifts.div_ceil(LANES) {
        0 | 1 => 5,
        2 => 3,
        _ => 2,
    }
}

/// Sums of cells at the shifts of a batch.
#[derive(Default)]
pub struct Totals {
    /// Vectors of lanes for each cell, and for each shift along y.
    vectors: usize,
    row: usize,
    values: Vec<[f64; LANES]>,
}

impl Totals {
    /// The sums of one cell at the first shift along y; those past the wanted shifts mean nothing.
    #[inline(always)]
    pub fn of(&self, cell: usize) -> &[f64] {
        self.row(cell, 0)
    }

    /// The same at another.
    #[inline(always)]
    pub fn row(&self, cell: usize, shift: usize) -> &[f64] {
        self.values[cell * self.vectors + shift * self.row..][..self.row].as_flattened()
    }
}

/// Buffers for the sums of the product images of up to [`BATCH`] neighbouring shifts over all windows.
#[derive(Default)]
pub struct BatchSums {
    prefix: Vec<[f64; LANES]>,
    line: Vec<[f64; LANES]>,
}

impl BatchSums {
    /// Σ a(x)·b(x + s) over the windows of each request for its shifts s = 0.. along x, into as many of `out` (cell order within
    /// the part).
    pub fn window_sums(&mut self, requests: &[Shifts], intervals: (&Intervals, &Intervals), out: &mut [Totals]) {
        debug_assert!(requests.len() <= out.len());
        eight(Shifted { sums: self, requests, intervals, nothing: |_, _| false, out });
    }

    /// The same of one request where the products of many blocks are known to be zero: `nothing(corner, size)` says so of a
    /// block of pixels of a.
    pub fn sparse_sums(
        &mut self,
        request: Shifts,
        intervals: (&Intervals, &Intervals),
        nothing: impl Fn((usize, usize), (usize, usize)) -> bool,
        out: &mut Totals,
    ) {
        eight(Shifted { sums: self, requests: &[request], intervals, nothing, out: std::slice::from_mut(out) });
    }

    /// Sums over the windows of a job's part of what its blocks say, `row` vectors for each shift along y. Jobs whose sums fit
    /// into the cache go through the images side by side.
    #[inline(always)]
    pub(super) fn sums<B: Blocks>(&mut self, (x, y): (&Intervals, &Intervals), jobs: &mut [Job<B>], row: usize) {
        let mut first = 0;
        while first < jobs.len() {
            let (mut last, mut length) = (first, 0);
            while last < jobs.len() && (last == first || length + jobs[last].length(x, y) <= CACHED) {
                length += jobs[last].length(x, y);
                last += 1;
            }
            self.together((x, y), &mut jobs[first..last], (length, row));
            first = last;
        }
    }

    #[inline(always)]
    fn together<B: Blocks>(
        &mut self,
        (x, y): (&Intervals, &Intervals),
        jobs: &mut [Job<B>],
        (length, row): (usize, usize),
    ) {
        if self.prefix.len() < length {
            self.prefix.resize(length, [0.0; LANES]);
        }
        let top = jobs.iter().map(|j| y.cells[j.part.rows.0].0).min().unwrap_or(0);
        let bottom = jobs.iter().map(|j| y.cells[j.part.rows.1 - 1].1).max().unwrap_or(0);
        for e in top..bottom {
            let mut rest = &mut self.prefix[..];
            for job in jobs.iter_mut() {
                let ((k0, k1), (e0, e1)) = job.extent(x, y);
                let pitch = (k1 - k0) * B::VECTORS;
                let prefix;
                (prefix, rest) = rest.split_at_mut(job.length(x, y));
                if !(e0..e1).contains(&e) {
                    continue;
                }
                let (above, below) = prefix.split_at_mut((e - e0 + 1) * pitch);
                let (above, below) = (&mut above[(e - e0) * pitch..], &mut below[..pitch]);
                if e == e0 {
                    above.fill([0.0; LANES]);
                }
                below.copy_from_slice(above);
                let (left, borders) = (x.at[k0], &x.at[k0..=k1]);
                for top in (y.at[e]..y.at[e + 1]).step_by(SINGLE_ROWS) {
                    job.blocks.strip((left, top), (x.at[k1] - left, SINGLE_ROWS.min(y.at[e + 1] - top)));
                    for (ends, sums) in borders.windows(2).zip(below.chunks_exact_mut(B::VECTORS)) {
                        job.blocks.add(ends[0] - left, ends[1] - ends[0], sums);
                    }
                }
            }
        }
        let mut rest = &self.prefix[..];
        for job in jobs {
            let prefix;
            (prefix, rest) = rest.split_at(job.length(x, y));
            job.out.row = row;
            window_totals(&mut self.line, prefix, (x, y), (job.part, B::VECTORS), job.out);
        }
    }

    /// Σ a·c of each of `P` images a, Σ c and Σ c², at the lags of every request: a cell's totals at a lag along y are the first
    /// `V` of these vectors.
    pub fn lag_sums<const P: usize, const V: usize>(
        &mut self,
        a: [Rows; P],
        requests: &[(Part, Lagged)],
        intervals: (&Intervals, &Intervals),
        out: &mut Vec<Totals>,
    ) {
        debug_assert!(V == P + 1 || V == P + 2);
        if out.len() < requests.len() {
            out.resize_with(requests.len(), Totals::default);
        }
        let work = LagWork::<P, V> { sums: self, a, requests, intervals, out };
        eight(work);
    }
}

/// Sums that are wanted: over which windows, of what, and where to.
pub(super) struct Job<'o, B> {
    pub part: Part,
    pub blocks: B,
    pub out: &'o mut Totals,
}

impl<B: Blocks> Job<'_, B> {
    /// First interval and one past the last along both axes.
    #[inline(always)]
    fn extent(&self, x: &Intervals, y: &Intervals) -> ((usize, usize), (usize, usize)) {
        let Part { columns, rows } = self.part;
        ((x.cells[columns.0].0, x.cells[columns.1 - 1].1), (y.cells[rows.0].0, y.cells[rows.1 - 1].1))
    }

    /// Vectors that the running sums take.
    #[inline(always)]
    fn length(&self, x: &Intervals, y: &Intervals) -> usize {
        let ((k0, k1), (e0, e1)) = self.extent(x, y);
        (e1 - e0 + 1) * (k1 - k0) * B::VECTORS
    }
}

/// The totals of the windows of `part` from the running sums of blocks, so many vectors each.
#[inline(always)]
fn window_totals(
    line: &mut Vec<[f64; LANES]>,
    prefix: &[[f64; LANES]],
    (x, y): (&Intervals, &Intervals),
    (part, vectors): (Part, usize),
    out: &mut Totals,
) {
    let (k0, k1) = (x.cells[part.columns.0].0, x.cells[part.columns.1 - 1].1);
    let (e0, pitch) = (y.cells[part.rows.0].0, (k1 - k0) * vectors);
    let windows = (part.rows.1 - part.rows.0) * (part.columns.1 - part.columns.0);
    out.vectors = vectors;
    out.values.resize(windows * vectors, [0.0; LANES]);
    line.clear();
    line.resize(pitch + vectors, [0.0; LANES]);
    let mut totals = out.values.chunks_exact_mut(vectors);
    for &(ya, yb) in &y.cells[part.rows.0..part.rows.1] {
        let (top, bottom) = (&prefix[(ya - e0) * pitch..][..pitch], &prefix[(yb - e0) * pitch..][..pitch]);
        for (k, (top, bottom)) in top.iter().zip(bottom).enumerate() {
            let before = line[k];
            let own = &mut line[k + vectors];
            for l in 0..LANES {
                own[l] = before[l] + (bottom[l] - top[l]);
            }
        }
        for (&(xa, xb), totals) in x.cells[part.columns.0..part.columns.1].iter().zip(&mut totals) {
            let (a, b) = (&line[(xa - k0) * vectors..][..vectors], &line[(xb - k0) * vectors..][..vectors]);
            for ((total, a), b) in totals.iter_mut().zip(a).zip(b) {
                for l in 0..LANES {
                    total[l] = b[l] - a[l];
                }
            }
        }
    }
}

/// [`BatchSums::window_sums`].
struct Shifted<'a, 'b, N> {
    sums: &'b mut BatchSums,
    requests: &'b [Shifts<'a>],
    intervals: (&'a Intervals, &'a Intervals),
    nothing: N,
    out: &'b mut [Totals],
}

impl<N: Fn((usize, usize), (usize, usize)) -> bool> Work for Shifted<'_, '_, N> {
    type Output = ();

    #[inline(always)]
    fn run<S: Eight>(self, simd: S) {
        let most = |of: fn(&Shifts) -> usize| self.requests.iter().map(of).max().unwrap_or(1);
        match (most(|r| r.shifts.0).div_ceil(LANES), most(|r| r.shifts.1)) {
            (0 | 1, 1) => self.vectors::<S, 1, 1, 4, 4, 4>(simd),
            (0 | 1, 2 | 3) => self.vectors::<S, 1, 3, 2, 2, 4>(simd),
            (0 | 1, 4) => self.vectors::<S, 1, 4, 2, 2, 5>(simd),
            (0 | 1, _) => self.vectors::<S, 1, 5, 2, 2, 6>(simd),
            (2, 1) => self.vectors::<S, 2, 1, 2, 2, 2>(simd),
            (2, _) => self.vectors::<S, 2, 3, 1, 2, 4>(simd),
            (_, 1) => self.vectors::<S, 3, 1, 2, 2, 2>(simd),
            _ => self.vectors::<S, 3, 2, 1, 2, 3>(simd),
        }
    }
}

impl<N: Fn((usize, usize), (usize, usize)) -> bool> Shifted<'_, '_, N> {
    #[inline(always)]
    fn vectors<S: Eight, const G: usize, const T: usize, const C: usize, const U: usize, const K: usize>(
        self,
        simd: S,
    ) {
        let nothing = &self.nothing;
        let requests = self.requests.iter().zip(self.out);
        let mut jobs: Vec<_> = requests
            .map(|(&Shifts { a, b, shifts, part }, out)| {
                debug_assert!(shifts.0 <= G * LANES && shifts.1 <= T);
                Job { part, blocks: Products::<S, G, T, C, U, K, _>::new(simd, a, (b, shifts), nothing), out }
            })
            .collect();
        self.sums.sums(self.intervals, &mut jobs, G);
    }
}

/// [`BatchSums::lag_sums`].
struct LagWork<'a, 'b, const P: usize, const V: usize> {
    sums: &'b mut BatchSums,
    a: [Rows<'a>; P],
    requests: &'b [(Part, Lagged<'a>)],
    intervals: (&'a Intervals, &'a Intervals),
    out: &'b mut [Totals],
}

impl<const P: usize, const V: usize> Work for LagWork<'_, '_, P, V> {
    type Output = ();

    #[inline(always)]
    fn run<S: Eight>(self, simd: S) {
        let together = self.requests.iter().map(|r| r.1.lines).max().unwrap_or(1);
        match (P, together) {
            (0, 1) => self.squares::<S, 1>(simd),
            (0, _) => self.squares::<S, LAG_ROWS>(simd),
            (_, 1) => self.vectors::<S, 1, 2>(simd),
            _ => self.vectors::<S, LAG_ROWS, 3>(simd),
        }
    }
}

impl<const P: usize, const V: usize> LagWork<'_, '_, P, V> {
    #[inline(always)]
    fn vectors<S: Eight, const T: usize, const K: usize>(self, simd: S) {
        let LagWork { sums, a, requests, intervals, out, .. } = self;
        let mut jobs: Vec<_> = requests
            .iter()
            .zip(out)
            .map(|(&(part, lags), out)| Job { part, blocks: LagProducts::<S, P, V, T, K>::new(simd, a, lags), out })
            .collect();
        sums.sums(intervals, &mut jobs, V);
    }

    /// Where there is no image to multiply with.
    #[inline(always)]
    fn squares<S: Eight, const T: usize>(self, simd: S) {
        let LagWork { sums, requests, intervals, out, .. } = self;
        let jobs = requests.iter().zip(out);
        let mut jobs: Vec<_> = jobs
            .map(|(&(part, lags), out)| Job { part, blocks: ColumnSums::<S, 2, T>::new(simd, lags), out })
            .collect();
        sums.sums(intervals, &mut jobs, V);
    }
}
