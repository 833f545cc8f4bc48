//! Sums of products over all windows of a tile at once, for a batch of neighbouring shifts.
//!
//! Overlapping windows share their work: the product image is summed over the blocks between window borders once, and
//! every window is a sum of blocks (block sums for large steps, running sums for dense ones). Within a block the shifts
//! lie in the lanes of vectors, so that no sum runs across lanes and any vector length gives the same bytes.

use super::block::{Blocks, Products};
use super::eight::{Eight, Work, eight};
use super::lag_block::{Half, LagProducts};
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
pub(super) const SINGLE_ROWS: usize = 16;
/// Running sums that stay in the cache.
const CACHED: usize = (1 << 20) / size_of::<f64>();

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

/// Products of a with b at neighbouring shifts along x, the first of which is where `b` begins; at most [`BATCH`].
#[derive(Clone, Copy)]
pub struct Shifts<'a> {
    pub a: Rows<'a>,
    pub b: Rows<'a>,
    pub shifts: usize,
    pub part: Part,
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

    /// Sums over the windows of a job's part of what its blocks say: `V` vectors of lanes a cell. Jobs whose sums fit into
    /// the cache go through the images side by side.
    #[inline(always)]
    pub(super) fn sums<const V: usize, B: Blocks<V>>(&mut self, (x, y): (&Intervals, &Intervals), jobs: &mut [Job<B>]) {
        let mut first = 0;
        while first < jobs.len() {
            let (mut last, mut length) = (first, 0);
            while last < jobs.len() && (last == first || length + jobs[last].length::<V>(x, y) <= CACHED) {
                length += jobs[last].length::<V>(x, y);
                last += 1;
            }
            self.together::<V, B>((x, y), &mut jobs[first..last], length);
            first = last;
        }
    }

    #[inline(always)]
    fn together<const V: usize, B: Blocks<V>>(
        &mut self,
        (x, y): (&Intervals, &Intervals),
        jobs: &mut [Job<B>],
        length: usize,
    ) {
        let lanes = V * LANES;
        if self.prefix.len() < length {
            self.prefix.resize(length, 0.0);
        }
        let top = jobs.iter().map(|j| y.cells[j.part.rows.0].0).min().unwrap_or(0);
        let bottom = jobs.iter().map(|j| y.cells[j.part.rows.1 - 1].1).max().unwrap_or(0);
        for e in top..bottom {
            let mut rest = &mut self.prefix[..];
            for job in jobs.iter_mut() {
                let ((k0, k1), (e0, e1)) = job.extent(x, y);
                let pitch = (k1 - k0) * lanes;
                let prefix;
                (prefix, rest) = rest.split_at_mut(job.length::<V>(x, y));
                if !(e0..e1).contains(&e) {
                    continue;
                }
                let (above, below) = prefix.split_at_mut((e - e0 + 1) * pitch);
                let (above, below) = (&mut above[(e - e0) * pitch..], &mut below[..pitch]);
                if e == e0 {
                    above.fill(0.0);
                }
                below.copy_from_slice(above);
                let (left, borders) = (x.at[k0], &x.at[k0..=k1]);
                for top in (y.at[e]..y.at[e + 1]).step_by(SINGLE_ROWS) {
                    job.blocks.strip((left, top), (x.at[k1] - left, SINGLE_ROWS.min(y.at[e + 1] - top)));
                    for (ends, sums) in borders.windows(2).zip(below.chunks_exact_mut(lanes)) {
                        let Some(block) = job.blocks.block(ends[0] - left, ends[1] - ends[0]) else { continue };
                        for (sum, block) in sums.chunks_exact_mut(LANES).zip(&block) {
                            for l in 0..LANES {
                                sum[l] += block[l] as f64;
                            }
                        }
                    }
                }
            }
        }
        let mut rest = &self.prefix[..];
        for job in jobs {
            let prefix;
            (prefix, rest) = rest.split_at(job.length::<V>(x, y));
            window_totals(&mut self.line, prefix, (x, y), job.part, lanes, job.out);
        }
    }

    /// Σ a·c of each of `P` images a, Σ c and Σ c², at the lags of every request: a cell's totals are the first `V` of these
    /// vectors.
    pub fn lag_sums<const P: usize, const V: usize>(
        &mut self,
        a: [Rows; P],
        requests: &[(Part, [Half; 2])],
        intervals: (&Intervals, &Intervals),
        out: &mut Vec<Totals>,
    ) {
        debug_assert!(V == P + 1 || V == P + 2);
        if out.len() < requests.len() {
            out.resize_with(requests.len(), Totals::default);
        }
        eight(Lagged::<P, V> { sums: self, a, requests, intervals, out });
    }
}

/// Sums that are wanted: over which windows, of what, and where to.
pub(super) struct Job<'o, B> {
    pub part: Part,
    pub blocks: B,
    pub out: &'o mut Totals,
}

impl<B> Job<'_, B> {
    /// First interval and one past the last along both axes.
    #[inline(always)]
    fn extent(&self, x: &Intervals, y: &Intervals) -> ((usize, usize), (usize, usize)) {
        let Part { columns, rows } = self.part;
        ((x.cells[columns.0].0, x.cells[columns.1 - 1].1), (y.cells[rows.0].0, y.cells[rows.1 - 1].1))
    }

    /// Values that the running sums take.
    #[inline(always)]
    fn length<const V: usize>(&self, x: &Intervals, y: &Intervals) -> usize {
        let ((k0, k1), (e0, e1)) = self.extent(x, y);
        (e1 - e0 + 1) * (k1 - k0) * V * LANES
    }
}

/// The totals of the windows of `part` from the running sums of blocks.
#[inline(always)]
fn window_totals(
    line: &mut Vec<f64>,
    prefix: &[f64],
    (x, y): (&Intervals, &Intervals),
    part: Part,
    lanes: usize,
    out: &mut Totals,
) {
    let (k0, k1) = (x.cells[part.columns.0].0, x.cells[part.columns.1 - 1].1);
    let (e0, pitch) = (y.cells[part.rows.0].0, (k1 - k0) * lanes);
    out.lanes = lanes;
    out.values.clear();
    line.clear();
    line.resize((k1 - k0 + 1) * lanes, 0.0);
    let line = &mut line[..];
    for &(ya, yb) in &y.cells[part.rows.0..part.rows.1] {
        let top = &prefix[(ya - e0) * pitch..(ya - e0 + 1) * pitch];
        let bottom = &prefix[(yb - e0) * pitch..(yb - e0 + 1) * pitch];
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
        match self.requests.iter().map(|r| r.shifts).max().unwrap_or(0).div_ceil(LANES) {
            0 | 1 => self.vectors::<S, 1, 4>(simd),
            2 => self.vectors::<S, 2, 2>(simd),
            _ => self.vectors::<S, 3, 2>(simd),
        }
    }
}

impl<N: Fn((usize, usize), (usize, usize)) -> bool> Shifted<'_, '_, N> {
    #[inline(always)]
    fn vectors<S: Eight, const G: usize, const U: usize>(self, simd: S) {
        let nothing = &self.nothing;
        let mut jobs = Vec::with_capacity(self.requests.len());
        for (&Shifts { a, b, shifts, part }, out) in self.requests.iter().zip(self.out) {
            // A request with fewer vectors than another reads its first once more: the image may end behind it.
            let b = std::array::from_fn(|k| match shifts.saturating_sub(k * LANES) {
                0 => (b, 1),
                wanted => (b.from(((k * LANES) as i64, 0)), wanted.min(LANES)),
            });
            jobs.push(Job { part, blocks: Products::<S, G, U, _>::new(simd, a, b, nothing), out });
        }
        self.sums.sums::<G, _>(self.intervals, &mut jobs);
    }
}

/// [`BatchSums::lag_sums`].
struct Lagged<'a, 'b, const P: usize, const V: usize> {
    sums: &'b mut BatchSums,
    a: [Rows<'a>; P],
    requests: &'b [(Part, [Half<'a>; 2])],
    intervals: (&'a Intervals, &'a Intervals),
    out: &'b mut [Totals],
}

impl<const P: usize, const V: usize> Work for Lagged<'_, '_, P, V> {
    type Output = ();

    #[inline(always)]
    fn run<S: Eight>(self, simd: S) {
        // Sixteen vectors are all that there are.
        if V <= 2 { self.abreast::<S, 4>(simd) } else { self.abreast::<S, 2>(simd) }
    }
}

impl<const P: usize, const V: usize> Lagged<'_, '_, P, V> {
    #[inline(always)]
    fn abreast<S: Eight, const U: usize>(self, simd: S) {
        let Lagged { sums, a, requests, intervals, out } = self;
        let mut jobs: Vec<_> = requests
            .iter()
            .zip(out)
            .map(|(&(part, lags), out)| Job { part, blocks: LagProducts::<S, P, U>::new(simd, a, lags), out })
            .collect();
        sums.sums::<V, _>(intervals, &mut jobs);
    }
}
