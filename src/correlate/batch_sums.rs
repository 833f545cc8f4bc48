//! Sums of products over all windows of a tile at once, for a batch of neighbouring shifts.
//!
//! Overlapping windows share their work: the product image is summed over the blocks between window borders once, and
//! every window is a sum of blocks (block sums for large steps, running sums for dense ones). Within a block the shifts
//! lie in the lanes of vectors, so that no sum runs across lanes and any vector length gives the same bytes.

use super::lanes::vectors;
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
pub const LANES: usize = 8;
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
    fn start(&self, x: usize, y: usize) -> usize {
        (self.first + (y * self.pitch + x) as i64) as usize
    }

    #[inline(always)]
    fn at(&self, x: usize, y: usize, n: usize) -> &'a [f32] {
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
    padded: Vec<f32>,
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
        images: (Rows, Rows),
        shifts: usize,
        intervals: (&Intervals, &Intervals),
        part: Part,
        nothing: impl Fn((usize, usize), (usize, usize)) -> bool,
        out: &mut Totals,
    ) {
        vectors(
            #[inline(always)]
            || match shifts {
                0..=8 => self.sums::<1>(images, shifts, intervals, part, nothing, out),
                9..=16 => self.sums::<2>(images, shifts, intervals, part, nothing, out),
                _ => self.sums::<3>(images, shifts, intervals, part, nothing, out),
            },
        );
    }

    #[inline(always)]
    fn sums<const G: usize>(
        &mut self,
        (a, b): (Rows, Rows),
        shifts: usize,
        (x, y): (&Intervals, &Intervals),
        part: Part,
        nothing: impl Fn((usize, usize), (usize, usize)) -> bool,
        out: &mut Totals,
    ) {
        let lanes = G * LANES;
        let (e0, e1) = (y.cells[part.rows.0].0, y.cells[part.rows.1 - 1].1);
        let (k0, k1) = (x.cells[part.columns.0].0, x.cells[part.columns.1 - 1].1);
        let (left, blocks) = (x.at[k0], &x.at[k0..=k1]);
        let pitch = (k1 - k0) * lanes;
        self.prefix.clear();
        self.prefix.resize((e1 - e0 + 1) * pitch, 0.0);
        for e in e0..e1 {
            let (above, below) = self.prefix.split_at_mut((e - e0 + 1) * pitch);
            let (above, below) = (&above[(e - e0) * pitch..], &mut below[..pitch]);
            below.copy_from_slice(above);
            for top in (y.at[e]..y.at[e + 1]).step_by(SINGLE_ROWS) {
                let height = SINGLE_ROWS.min(y.at[e + 1] - top);
                let (f, mut g) = (a.from((left as i64, top as i64)), b.from((left as i64, top as i64)));
                let span = x.at[k1] - left;
                // Whole vectors reach past the last wanted shift, at the end of an image past its data.
                if g.start(span + lanes, height - 1) > g.data.len() {
                    g = pad(&mut self.padded, g, (span + shifts - 1, height), lanes);
                }
                for (ends, sums) in blocks.windows(2).zip(below.chunks_exact_mut(lanes)) {
                    if nothing((ends[0], top), (ends[1] - ends[0], height)) {
                        continue;
                    }
                    let block = block::<G>(f, g, (ends[0] - left, ends[1] - ends[0], height));
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
}

/// The first `size` pixels of an image with `lanes` zeros behind every row.
#[inline(never)]
fn pad<'a>(buffer: &'a mut Vec<f32>, image: Rows, size: (usize, usize), lanes: usize) -> Rows<'a> {
    let pitch = size.0 + lanes;
    buffer.clear();
    buffer.resize(pitch * size.1, 0.0);
    for (y, line) in buffer.chunks_exact_mut(pitch).enumerate() {
        line[..size.0].copy_from_slice(image.at(0, y, size.0));
    }
    Rows { data: buffer, pitch, first: 0 }
}

/// Σ f(x)·g(x + s) over `width` columns from `left` and `height` rows. Even and odd columns are summed apart: two
/// chains of additions instead of one.
#[inline(always)]
fn block<const G: usize>(f: Rows, g: Rows, (left, width, height): (usize, usize, usize)) -> [[f32; LANES]; G] {
    let [mut even, mut odd] = [[[0.0f32; LANES]; G]; 2];
    for y in 0..height {
        let (f, g) = (f.at(left, y, width), g.at(left, y, width + LANES * G));
        let pairs = f.chunks_exact(2);
        let last = pairs.remainder();
        for (f, g) in pairs.zip(g.windows(LANES * G + 1).step_by(2)) {
            add::<G>(&mut even, f[0], &g[..LANES * G]);
            add::<G>(&mut odd, f[1], &g[1..]);
        }
        if let [f] = last {
            add::<G>(&mut even, *f, &g[width - 1..width - 1 + LANES * G]);
        }
    }
    for k in 0..G {
        for l in 0..LANES {
            even[k][l] += odd[k][l];
        }
    }
    even
}

#[inline(always)]
fn add<const G: usize>(sums: &mut [[f32; LANES]; G], f: f32, g: &[f32]) {
    for (sum, g) in sums.iter_mut().zip(g.chunks_exact(LANES)) {
        for l in 0..LANES {
            sum[l] += f * g[l];
        }
    }
}
