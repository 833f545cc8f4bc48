//! Sums of products over all windows of a tile at once.
//!
//! Overlapping windows share their work: the product image is summed over the elementary intervals between window
//! borders once, and every window is a sum of intervals (block sums for large steps, running sums for dense ones).

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

/// Buffers for the sums of one product image over all windows.
#[derive(Default)]
pub struct IntervalSums {
    columns: Vec<f32>,
    prefix: Vec<f64>,
}

impl IntervalSums {
    /// Σ a(x)·b(x + at) over the windows of `part`, into `out` (cell order within the part).
    #[inline(always)]
    pub fn window_sums(
        &mut self,
        a: &Grid<f32>,
        b: &Grid<f32>,
        at: (i64, i64),
        (x, y): (&Intervals, &Intervals),
        part: Part,
        out: &mut Vec<f64>,
    ) {
        let (e0, e1) = (y.cells[part.rows.0].0, y.cells[part.rows.1 - 1].1);
        let (k0, k1) = (x.cells[part.columns.0].0, x.cells[part.columns.1 - 1].1);
        let intervals = k1 - k0;
        let span = (x.at[k0], x.at[k1]);
        self.columns.resize(span.1 - span.0, 0.0);
        self.prefix.clear();
        self.prefix.resize((e1 - e0 + 1) * intervals, 0.0);
        for e in e0..e1 {
            column_sums(a, b, at, span, (y.at[e], y.at[e + 1]), &mut self.columns);
            let (above, below) = self.prefix.split_at_mut((e - e0 + 1) * intervals);
            let above = &above[(e - e0) * intervals..];
            for k in 0..intervals {
                let part = &self.columns[x.at[k0 + k] - span.0..x.at[k0 + k + 1] - span.0];
                below[k] = above[k] + part.iter().sum::<f32>() as f64;
            }
        }
        out.clear();
        let mut line = vec![0.0f64; intervals + 1];
        for &(ya, yb) in &y.cells[part.rows.0..part.rows.1] {
            let top = &self.prefix[(ya - e0) * intervals..(ya - e0 + 1) * intervals];
            let bottom = &self.prefix[(yb - e0) * intervals..(yb - e0 + 1) * intervals];
            for k in 0..intervals {
                line[k + 1] = line[k] + (bottom[k] - top[k]);
            }
            let cells = &x.cells[part.columns.0..part.columns.1];
            out.extend(cells.iter().map(|&(xa, xb)| line[xb - k0] - line[xa - k0]));
        }
    }
}

/// Σ over the rows `y` of a(x, y)·b(x + at.0, y + at.1) for the columns `x`.
#[inline(always)]
fn column_sums(a: &Grid<f32>, b: &Grid<f32>, at: (i64, i64), x: (usize, usize), y: (usize, usize), out: &mut [f32]) {
    let n = x.1 - x.0;
    let out = &mut out[..n];
    let left = (x.0 as i64 + at.0) as usize;
    out.fill(0.0);
    let line = |y: usize| (&a.row(y)[x.0..x.1], &b.row((y as i64 + at.1) as usize)[left..left + n]);
    let (mut y, y1) = y;
    while y + 4 <= y1 {
        let ((a0, b0), (a1, b1)) = (line(y), line(y + 1));
        let ((a2, b2), (a3, b3)) = (line(y + 2), line(y + 3));
        for i in 0..n {
            out[i] += (a0[i] * b0[i] + a1[i] * b1[i]) + (a2[i] * b2[i] + a3[i] * b3[i]);
        }
        y += 4;
    }
    for y in y..y1 {
        let (a0, b0) = line(y);
        for i in 0..n {
            out[i] += a0[i] * b0[i];
        }
    }
}
