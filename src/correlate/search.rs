//! Whole-pixel displacement of every window of a tile: the maximum of the zero-mean normalised cross-correlation.
//!
//! Overlapping windows share their work: for each shift the product image is summed over the elementary intervals
//! between window borders once, and every window is a sum of intervals (block sums for large steps, running sums for
//! dense ones). Where pixels are invalid the correlation is the masked one of Padfield (2012, IEEE TIP 21(5), eq. 30):
//! all sums run over the pixels valid in both windows.

use super::prepare::{PreparedPost, PreparedPre};
use crate::field::PixelShift;
use crate::grid::Grid;
use std::sync::atomic::{AtomicBool, Ordering};

/// Windows of a tile: cell (i, j) starts at pixel (i · step.0, j · step.1) of the tile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TileWindows {
    pub cells: (usize, usize),
    pub window: (usize, usize),
    pub step: (usize, usize),
}

impl TileWindows {
    pub fn len(&self) -> usize {
        self.cells.0 * self.cells.1
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Top-left pixel of the window of a cell.
    pub fn corner(&self, index: usize) -> (usize, usize) {
        ((index % self.cells.0) * self.step.0, (index / self.cells.0) * self.step.1)
    }

    /// Pixels that the windows cover.
    pub fn pixels(&self) -> (usize, usize) {
        ((self.cells.0 - 1) * self.step.0 + self.window.0, (self.cells.1 - 1) * self.step.1 + self.window.1)
    }
}

/// The correlation maximum of one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// Whole-pixel shift.
    pub shift: (i32, i32),
    /// Sub-pixel offset of a quadratic surface through the 3 × 3 neighbourhood, within ±0.7.
    pub offset: (f32, f32),
    /// Correlation at the maximum, -1..1; -2 where there was nothing to correlate.
    pub correlation: f32,
    /// The maximum lies on the border of the search area.
    pub edge: bool,
}

impl Peak {
    /// The sub-pixel position, to start a refinement from.
    pub fn start(&self) -> PixelShift {
        PixelShift::new(self.shift.0 as f64 + self.offset.0 as f64, self.shift.1 as f64 + self.offset.1 as f64)
    }
}

/// Memory that the correlation surfaces of one group of cell rows may take.
const SURFACE_BYTES: usize = 8 << 20;
/// Fewer valid pixels than this share of the window do not make a correlation.
const MIN_OVERLAP: f64 = 0.25;

/// Finds the peak of every window within ±`range` pixels; `post.search` must be at least the larger range. Ends
/// early, with what it has, when `stop` is set.
pub fn integer_peaks(
    pre: &PreparedPre,
    post: &PreparedPost,
    windows: &TileWindows,
    range: (usize, usize),
    stop: &AtomicBool,
) -> Vec<Peak> {
    let arch = pulp::Arch::new();
    let mut search = Search::new(pre, post, windows, range);
    let shifts = (2 * range.0 + 1) * (2 * range.1 + 1);
    let rows = (SURFACE_BYTES / (4 * shifts * windows.cells.0)).clamp(1, windows.cells.1);
    let mut peaks = Vec::with_capacity(windows.len());
    for first in (0..windows.cells.1).step_by(rows) {
        let last = (first + rows).min(windows.cells.1);
        arch.dispatch(Rows { search: &mut search, first, last, stop });
        for cell in 0..(last - first) * windows.cells.0 {
            peaks.push(search.peak(cell));
        }
    }
    peaks
}

/// One group of cell rows, compiled for the widest vectors of the machine (same sums on every one).
struct Rows<'s, 'a> {
    search: &'s mut Search<'a>,
    first: usize,
    last: usize,
    stop: &'s AtomicBool,
}

impl pulp::WithSimd for Rows<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        self.search.surfaces(self.first, self.last, self.stop);
    }
}

/// Borders of the elementary intervals along one axis and, for every cell, which intervals make its window.
struct Cuts {
    at: Vec<usize>,
    cells: Vec<(usize, usize)>,
}

impl Cuts {
    fn new(cells: usize, window: usize, step: usize) -> Self {
        let mut at: Vec<usize> = (0..cells).flat_map(|i| [i * step, i * step + window]).collect();
        at.sort_unstable();
        at.dedup();
        let find = |v: usize| at.binary_search(&v).unwrap_or(0);
        let cells = (0..cells).map(|i| (find(i * step), find(i * step + window))).collect();
        Cuts { at, cells }
    }
}

struct Search<'a> {
    pre: &'a PreparedPre,
    post: &'a PreparedPost,
    windows: &'a TileWindows,
    range: (usize, usize),
    x: Cuts,
    y: Cuts,
    masked: Option<Masked>,
    /// Σf and Σf² of every window (unmasked case).
    own: Vec<(f64, f64)>,
    /// Summed-area tables of g and g² (unmasked case).
    table: [Vec<f64>; 2],
    surface: Vec<f32>,
    sums: IntervalSums,
}

/// Planes of the masked correlation, zero where invalid.
struct Masked {
    pre: [Grid<f32>; 3],
    post: [Grid<f32>; 3],
}

impl<'a> Search<'a> {
    fn new(pre: &'a PreparedPre, post: &'a PreparedPost, windows: &'a TileWindows, range: (usize, usize)) -> Self {
        let x = Cuts::new(windows.cells.0, windows.window.0, windows.step.0);
        let y = Cuts::new(windows.cells.1, windows.window.1, windows.step.1);
        let mut own = Vec::new();
        let mut table = [Vec::new(), Vec::new()];
        let mut masked = None;
        if pre.all_valid && post.all_valid {
            let tables = [summed(&pre.values, |v| v), summed(&pre.values, |v| v * v)];
            let stride = pre.values.width + 1;
            own = (0..windows.len())
                .map(|c| {
                    let (x, y) = windows.corner(c);
                    (area(&tables[0], stride, x, y, windows.window), area(&tables[1], stride, x, y, windows.window))
                })
                .collect();
            table = [summed(&post.values, |v| v), summed(&post.values, |v| v * v)];
        } else {
            masked = Some(Masked { pre: planes(&pre.values, &pre.valid), post: planes(&post.values, &post.valid) });
        }
        Search {
            pre,
            post,
            windows,
            range,
            x,
            y,
            masked,
            own,
            table,
            surface: Vec::new(),
            sums: IntervalSums::default(),
        }
    }

    /// Correlation surfaces of the cell rows `first..last`, one after the other.
    #[inline(always)]
    fn surfaces(&mut self, first: usize, last: usize, stop: &AtomicBool) {
        let (nx, ny) = (2 * self.range.0 + 1, 2 * self.range.1 + 1);
        let cells_x = self.windows.cells.0;
        let cells = (last - first) * cells_x;
        self.surface.clear();
        self.surface.resize(cells * nx * ny, -2.0);
        let pixels = (self.windows.window.0 * self.windows.window.1) as f64;
        let mut totals: [Vec<f64>; 6] = Default::default();
        for sy in 0..ny {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            for sx in 0..nx {
                // Position of the tile's first pixel in the post planes for this shift.
                let at = (sx + self.post.search - self.range.0, sy + self.post.search - self.range.1);
                let slot = sy * nx + sx;
                let rows = (first, last);
                if let Some(m) = &self.masked {
                    let pairs = [(0, 0), (1, 0), (2, 0), (0, 1), (0, 2), (1, 1)];
                    for (total, (p, q)) in totals.iter_mut().zip(pairs) {
                        self.sums.window_sums(&m.pre[p], &m.post[q], at, &self.x, &self.y, rows, total);
                    }
                    for c in 0..cells {
                        let n = totals[0][c];
                        if n < MIN_OVERLAP * pixels {
                            continue;
                        }
                        let (f, ff, g, gg, fg) = (totals[1][c], totals[2][c], totals[3][c], totals[4][c], totals[5][c]);
                        self.surface[c * nx * ny + slot] = ncc(n, f, ff, g, gg, fg);
                    }
                } else {
                    self.sums.window_sums(
                        &self.pre.values,
                        &self.post.values,
                        at,
                        &self.x,
                        &self.y,
                        rows,
                        &mut totals[0],
                    );
                    let stride = self.post.values.width + 1;
                    for c in 0..cells {
                        let cell = first * cells_x + c;
                        let (x, y) = self.windows.corner(cell);
                        let g = area(&self.table[0], stride, x + at.0, y + at.1, self.windows.window);
                        let gg = area(&self.table[1], stride, x + at.0, y + at.1, self.windows.window);
                        let (f, ff) = self.own[cell];
                        self.surface[c * nx * ny + slot] = ncc(pixels, f, ff, g, gg, totals[0][c]);
                    }
                }
            }
        }
    }

    /// The maximum of the surface of the `cell`-th cell of the group.
    fn peak(&self, cell: usize) -> Peak {
        let (nx, ny) = (2 * self.range.0 + 1, 2 * self.range.1 + 1);
        let s = &self.surface[cell * nx * ny..(cell + 1) * nx * ny];
        let (mut best, mut correlation) = (0, -2.0f32);
        for (k, &v) in s.iter().enumerate() {
            if v > correlation {
                (best, correlation) = (k, v);
            }
        }
        let (bx, by) = (best % nx, best / nx);
        let edge = bx == 0 || by == 0 || bx == nx - 1 || by == ny - 1;
        let offset = if edge { (0.0, 0.0) } else { quadric(s, nx, bx, by) };
        let shift = (bx as i32 - self.range.0 as i32, by as i32 - self.range.1 as i32);
        Peak { shift, offset, correlation, edge }
    }
}

/// Maximum of the least-squares quadratic through 3 × 3 samples around (bx, by), relative to the centre.
fn quadric(s: &[f32], nx: usize, bx: usize, by: usize) -> (f32, f32) {
    let v = |i: usize, j: usize| s[(by + j - 1) * nx + bx + i - 1];
    let column = |i: usize| v(i, 0) + v(i, 1) + v(i, 2);
    let row = |j: usize| v(0, j) + v(1, j) + v(2, j);
    let gx = (column(2) - column(0)) / 6.0;
    let gy = (row(2) - row(0)) / 6.0;
    let xx = (column(2) + column(0) - 2.0 * column(1)) / 3.0;
    let yy = (row(2) + row(0) - 2.0 * row(1)) / 3.0;
    let xy = (v(2, 2) + v(0, 0) - v(0, 2) - v(2, 0)) / 4.0;
    let det = xx * yy - xy * xy;
    if !(det > 0.0 && xx < 0.0) {
        return (0.0, 0.0);
    }
    let limit = |t: f32| t.clamp(-0.7, 0.7);
    (limit((xy * gy - yy * gx) / det), limit((xy * gx - xx * gy) / det))
}

/// Zero-mean normalised cross-correlation from the five sums.
#[inline(always)]
fn ncc(n: f64, f: f64, ff: f64, g: f64, gg: f64, fg: f64) -> f32 {
    let vf = ff - f * f / n;
    let vg = gg - g * g / n;
    let energy = vf * vg;
    // Rounding leaves a little energy in a constant window; it carries no texture.
    if vf <= 1e-10 * ff || vg <= 1e-10 * gg || energy <= 0.0 {
        return -2.0;
    }
    ((fg - f * g / n) / energy.sqrt()) as f32
}

/// Validity, values, squared values; zero where invalid.
fn planes(values: &Grid<f32>, valid: &Grid<bool>) -> [Grid<f32>; 3] {
    let pick = |f: &dyn Fn(f32) -> f32| Grid {
        width: values.width,
        height: values.height,
        data: values.data.iter().zip(&valid.data).map(|(&v, &ok)| if ok { f(v) } else { 0.0 }).collect(),
    };
    [pick(&|_| 1.0), pick(&|v| v), pick(&|v| v * v)]
}

/// Summed-area table with a leading row and column of zeros.
fn summed(grid: &Grid<f32>, f: impl Fn(f64) -> f64) -> Vec<f64> {
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
fn area(table: &[f64], stride: usize, x: usize, y: usize, (w, h): (usize, usize)) -> f64 {
    let (top, bottom) = (y * stride + x, (y + h) * stride + x);
    (table[bottom + w] - table[bottom]) - (table[top + w] - table[top])
}

/// Buffers for the sums of one product image over all windows.
#[derive(Default)]
struct IntervalSums {
    columns: Vec<f32>,
    prefix: Vec<f64>,
}

impl IntervalSums {
    /// Σ a(x)·b(x + at) over the windows of the cell rows `rows`, into `out` (cell order).
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn window_sums(
        &mut self,
        a: &Grid<f32>,
        b: &Grid<f32>,
        at: (usize, usize),
        x: &Cuts,
        y: &Cuts,
        rows: (usize, usize),
        out: &mut Vec<f64>,
    ) {
        let (e0, e1) = (y.cells[rows.0].0, y.cells[rows.1 - 1].1);
        let intervals = x.at.len() - 1;
        self.columns.resize(a.width, 0.0);
        self.prefix.clear();
        self.prefix.resize((e1 - e0 + 1) * intervals, 0.0);
        for e in e0..e1 {
            column_sums(a, b, at, y.at[e], y.at[e + 1], &mut self.columns);
            let (above, below) = self.prefix.split_at_mut((e - e0 + 1) * intervals);
            let above = &above[(e - e0) * intervals..];
            for k in 0..intervals {
                let part = &self.columns[x.at[k]..x.at[k + 1]];
                below[k] = above[k] + part.iter().sum::<f32>() as f64;
            }
        }
        out.clear();
        let mut line = vec![0.0f64; intervals + 1];
        for &(ya, yb) in &y.cells[rows.0..rows.1] {
            let top = &self.prefix[(ya - e0) * intervals..(ya - e0 + 1) * intervals];
            let bottom = &self.prefix[(yb - e0) * intervals..(yb - e0 + 1) * intervals];
            for k in 0..intervals {
                line[k + 1] = line[k] + (bottom[k] - top[k]);
            }
            out.extend(x.cells.iter().map(|&(xa, xb)| line[xb] - line[xa]));
        }
    }
}

/// Σ over rows y0..y1 of a(x, y)·b(x + at.0, y + at.1) for every column.
#[inline(always)]
fn column_sums(a: &Grid<f32>, b: &Grid<f32>, at: (usize, usize), y0: usize, y1: usize, out: &mut [f32]) {
    let n = a.width;
    let out = &mut out[..n];
    out.fill(0.0);
    let line = |y: usize| (&a.row(y)[..n], &b.row(y + at.1)[at.0..at.0 + n]);
    let mut y = y0;
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

#[cfg(test)]
mod tests {
    use super::super::interp::{Coefficients, Spline};
    use super::*;

    fn noise(seed: u32, w: usize, h: usize) -> Grid<f32> {
        let mut state = seed;
        Grid::from_fn(w, h, |_, _| {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        })
    }

    fn pair(search: usize, w: usize, h: usize) -> (PreparedPre, PreparedPost) {
        let post = noise(7, w + 2 * search, h + 2 * search);
        let values = noise(3, w, h);
        let values = Grid::from_fn(w, h, |x, y| post.get(x + search + 2, y + search - 1) + 0.2 * values.get(x, y));
        let zero = Grid::filled(w, h, 0.0);
        let valid = Grid::filled(w, h, true);
        let pre = PreparedPre {
            values,
            gradient: [zero.clone(), zero.clone()],
            spread: [zero.clone(), zero],
            valid,
            all_valid: true,
        };
        let valid = Grid::filled(post.width, post.height, true);
        let coefficients = Coefficients::new(Spline::Linear, search, 16, 16, &[0.0; 256], 16);
        (pre, PreparedPost { search, values: post, coefficients, valid, all_valid: true })
    }

    /// The definition, pixel by pixel, over pixels valid in both.
    fn oracle(pre: &PreparedPre, post: &PreparedPost, c: (usize, usize), w: (usize, usize), s: (i32, i32)) -> f64 {
        let mut v = Vec::new();
        for y in c.1..c.1 + w.1 {
            for x in c.0..c.0 + w.0 {
                let p = (x + post.search).wrapping_add_signed(s.0 as isize);
                let q = (y + post.search).wrapping_add_signed(s.1 as isize);
                if pre.valid.get(x, y) && post.valid.get(p, q) {
                    v.push((pre.values.get(x, y) as f64, post.values.get(p, q) as f64));
                }
            }
        }
        let n = v.len() as f64;
        let mean = |f: &dyn Fn(&(f64, f64)) -> f64| v.iter().map(f).sum::<f64>() / n;
        let (a, b) = (mean(&|p| p.0), mean(&|p| p.1));
        let cov = mean(&|p| (p.0 - a) * (p.1 - b));
        cov / (mean(&|p| (p.0 - a).powi(2)) * mean(&|p| (p.1 - b).powi(2))).sqrt()
    }

    #[test]
    fn peaks_agree_with_the_definition_with_and_without_masks() {
        let search = 4;
        for (window, step) in [((12, 9), (4, 5)), ((7, 7), (1, 2)), ((10, 10), (15, 13))] {
            let windows = TileWindows { cells: (4, 3), window, step };
            let (w, h) = windows.pixels();
            let (mut pre, mut post) = pair(search, w, h);
            for masked in [false, true] {
                if masked {
                    for k in 0..w * h / 6 {
                        pre.valid.data[(k * 7919) % (w * h)] = false;
                        let n = post.valid.data.len();
                        post.valid.data[(k * 104729) % n] = false;
                    }
                    pre.all_valid = false;
                    post.all_valid = false;
                }
                let peaks = integer_peaks(&pre, &post, &windows, (4, 3), &AtomicBool::new(false));
                for (c, peak) in peaks.iter().enumerate() {
                    assert_eq!(peak.shift, (2, -1), "{window:?} {step:?} masked {masked} cell {c}");
                    let truth = oracle(&pre, &post, windows.corner(c), window, peak.shift);
                    assert!((peak.correlation as f64 - truth).abs() < 1e-5);
                }
            }
        }
    }

    #[test]
    fn a_constant_window_has_no_correlation() {
        let windows = TileWindows { cells: (1, 1), window: (8, 8), step: (8, 8) };
        let (mut pre, post) = pair(3, 8, 8);
        pre.values.data.fill(0.25);
        assert_eq!(integer_peaks(&pre, &post, &windows, (3, 3), &AtomicBool::new(false))[0].correlation, -2.0);
    }
}
