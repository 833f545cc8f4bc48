//! Sums of products over all windows of a tile at once.
//!
//! Overlapping windows share their work: the product image is summed over the elementary intervals between window
//! borders once, and every window is a sum of intervals (block sums for large steps, running sums for dense ones).

use super::lanes::LANES;
use crate::grid::Grid;

/// Borders of the elementary intervals along one axis and, for every cell, which intervals make its window.
pub struct Intervals {
    at: Vec<usize>,
    /// First interval and one past the last of each cell's window.
    cells: Vec<(usize, usize)>,
}

impl Intervals {
    pub fn new(cells: usize, window: usize, step: usize) -> Self {
        let mut at: Vec<usize> = (0..cells).flat_map(|i| [i * step, i * step + window]).collect();
        at.sort_unstable();
        at.dedup();
        let find = |v: usize| at.binary_search(&v).unwrap_or(0);
        let cells = (0..cells).map(|i| (find(i * step), find(i * step + window))).collect();
        Intervals { at, cells }
    }
}

/// Summed-area table with a leading row and column of zeros.
pub fn summed(grid: &Grid<f32>, f: impl Fn(f64) -> f64) -> Vec<f64> {
    let stride = grid.width + 1;
    let mut table = vec![0.0; stride * (grid.height + 1)];
    for y in 0..grid.height {
        let mut run = 0.0;
        for x in 0..grid.width {
            run += f(grid.get(x, y) as f64);
            table[(y + 1) * stride + x + 1] = table[y * stride + x + 1] + run;
        }
    }
    table
}

#[inline(always)]
pub fn area(table: &[f64], stride: usize, x: usize, y: usize, (w, h): (usize, usize)) -> f64 {
    let (top, bottom) = (y * stride + x, (y + h) * stride + x);
    (table[bottom + w] - table[bottom]) - (table[top + w] - table[top])
}

/// Cells `from..to` along both axes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    pub columns: (usize, usize),
    pub rows: (usize, usize),
}

/// Most neighbouring shifts whose products are summed in one pass.
pub const BATCH: usize = 8;

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
    fn at(&self, x: usize, y: usize, n: usize) -> &'a [f32] {
        let start = (self.first + (y * self.pitch + x) as i64) as usize;
        &self.data[start..start + n]
    }
}

/// Buffers for the sums of the product images of up to [`BATCH`] neighbouring shifts over all windows.
#[derive(Default)]
pub struct BatchSums {
    columns: Vec<f32>,
    prefix: Vec<[f64; BATCH]>,
    line: Vec<[f64; BATCH]>,
}

impl BatchSums {
    /// Σ a(x)·b(x + s) over the windows of `part` for the shifts s = 0..`shifts` along x, into `out` (cell order within
    /// the part).
    #[inline(always)]
    pub fn window_sums(
        &mut self,
        (a, b): (Rows, Rows),
        shifts: usize,
        (x, y): (&Intervals, &Intervals),
        part: Part,
        out: &mut Vec<[f64; BATCH]>,
    ) {
        let (e0, e1) = (y.cells[part.rows.0].0, y.cells[part.rows.1 - 1].1);
        let (k0, k1) = (x.cells[part.columns.0].0, x.cells[part.columns.1 - 1].1);
        let (intervals, left) = (k1 - k0, x.at[k0]);
        let span = x.at[k1] - left;
        self.columns.resize(BATCH * span, 0.0);
        self.prefix.clear();
        self.prefix.resize((e1 - e0 + 1) * intervals, [0.0; BATCH]);
        for e in e0..e1 {
            let (rows, out) = ((y.at[e], y.at[e + 1]), &mut self.columns[..]);
            let mut s = 0;
            while s < shifts {
                let b = b.from((s as i64, 0));
                if s + 4 <= shifts {
                    four_columns(a, b, left, span, rows, &mut out[s * span..]);
                    s += 4;
                } else {
                    one_column(a, b, left, span, rows, &mut out[s * span..]);
                    s += 1;
                }
            }
            let (above, below) = self.prefix.split_at_mut((e - e0 + 1) * intervals);
            let above = &above[(e - e0) * intervals..];
            for k in 0..intervals {
                let (from, to) = (x.at[k0 + k] - left, x.at[k0 + k + 1] - left);
                let mut sum = [0.0f64; BATCH];
                for s in 0..shifts {
                    sum[s] = run(&self.columns[s * span + from..s * span + to]) as f64;
                }
                for s in 0..BATCH {
                    below[k][s] = above[k][s] + sum[s];
                }
            }
        }
        out.clear();
        self.line.clear();
        self.line.resize(intervals + 1, [0.0; BATCH]);
        let line = &mut self.line[..];
        for &(ya, yb) in &y.cells[part.rows.0..part.rows.1] {
            let top = &self.prefix[(ya - e0) * intervals..(ya - e0 + 1) * intervals];
            let bottom = &self.prefix[(yb - e0) * intervals..(yb - e0 + 1) * intervals];
            for k in 0..intervals {
                for s in 0..BATCH {
                    line[k + 1][s] = line[k][s] + (bottom[k][s] - top[k][s]);
                }
            }
            let cells = &x.cells[part.columns.0..part.columns.1];
            out.extend(cells.iter().map(|&(xa, xb)| {
                let (a, b) = (&line[xa - k0], &line[xb - k0]);
                std::array::from_fn(|s| b[s] - a[s])
            }));
        }
    }
}

/// Σ over the rows `y` of a(x, y)·b(x, y) for `span` columns from `left`.
#[inline(always)]
fn one_column(a: Rows, b: Rows, left: usize, span: usize, y: (usize, usize), out: &mut [f32]) {
    let out = &mut out[..span];
    out.fill(0.0);
    for y in y.0..y.1 {
        let (f, g) = (a.at(left, y, span), b.at(left, y, span));
        for i in 0..span {
            out[i] += f[i] * g[i];
        }
    }
}

/// The same for b(x + s, y), s = 0..4, one line a shift: the sums of sixteen columns stay in registers.
#[inline(always)]
fn four_columns(a: Rows, b: Rows, left: usize, span: usize, y: (usize, usize), out: &mut [f32]) {
    if span < LANES {
        for s in 0..4 {
            one_column(a, b.from((s as i64, 0)), left, span, y, &mut out[s * span..]);
        }
        return;
    }
    for i in (0..span).step_by(LANES) {
        // The last vector overlaps the one before: its columns get the same sums again.
        let i = i.min(span - LANES);
        let [mut s0, mut s1, mut s2, mut s3] = [[0.0f32; LANES]; 4];
        for y in y.0..y.1 {
            let f: &[f32; LANES] = a.at(left + i, y, LANES).try_into().expect("whole vectors");
            let g: &[f32; LANES + 3] = b.at(left + i, y, LANES + 3).try_into().expect("whole vectors");
            for l in 0..LANES {
                s0[l] += f[l] * g[l];
            }
            for l in 0..LANES {
                s1[l] += f[l] * g[l + 1];
            }
            for l in 0..LANES {
                s2[l] += f[l] * g[l + 2];
            }
            for l in 0..LANES {
                s3[l] += f[l] * g[l + 3];
            }
        }
        for (s, sums) in [s0, s1, s2, s3].iter().enumerate() {
            out[s * span + i..s * span + i + LANES].copy_from_slice(sums);
        }
    }
}

/// Sum of a line, in lanes where it is long enough.
#[inline(always)]
fn run(line: &[f32]) -> f32 {
    let chunks = line.chunks_exact(LANES);
    let rest = chunks.remainder().iter().sum::<f32>();
    if line.len() < LANES {
        return rest;
    }
    let mut lanes = [0.0f32; LANES];
    for c in chunks {
        for l in 0..LANES {
            lanes[l] += c[l];
        }
    }
    let eight: [f32; 8] = std::array::from_fn(|l| lanes[l] + lanes[l + 8]);
    let four: [f32; 4] = std::array::from_fn(|l| eight[l] + eight[l + 4]);
    (four[0] + four[2]) + (four[1] + four[3]) + rest
}

/// Where windows lie in a larger image, and what normalises a correlation with each: their mean and the inverse of the
/// root of their energy, NaN without texture. Position (x, y) is at y · `width` + x.
pub struct Norms {
    pub width: usize,
    pub mean: Vec<f64>,
    pub inverse: Vec<f64>,
}

impl Norms {
    /// Of the windows at every position inside the image.
    #[inline(always)]
    pub fn new(image: &Grid<f32>, window: (usize, usize)) -> Self {
        let (w, h) = ((image.width + 1).saturating_sub(window.0), (image.height + 1).saturating_sub(window.1));
        let table = [summed(image, |v| v), summed(image, |v| v * v)];
        let (stride, n) = (image.width + 1, (window.0 * window.1) as f64);
        let (mut mean, mut inverse) = (vec![0.0; w * h], vec![0.0; w * h]);
        for y in 0..h {
            let (top, bottom) = (y * stride, (y + window.1) * stride);
            let corners = [top, top + window.0, bottom, bottom + window.0];
            let [g0, g1, g2, g3] = corners.map(|c| &table[0][c..c + w]);
            let [q0, q1, q2, q3] = corners.map(|c| &table[1][c..c + w]);
            let (mean, inverse) = (&mut mean[y * w..(y + 1) * w], &mut inverse[y * w..(y + 1) * w]);
            for x in 0..w {
                let g = (g3[x] - g2[x]) - (g1[x] - g0[x]);
                let gg = (q3[x] - q2[x]) - (q1[x] - q0[x]);
                let energy = gg - g * g / n;
                mean[x] = g / n;
                // Rounding leaves a little energy in a constant window; it carries no texture.
                inverse[x] = if energy > 1e-10 * gg { 1.0 / energy.sqrt() } else { f64::NAN };
            }
        }
        Norms { width: w, mean, inverse }
    }
}
