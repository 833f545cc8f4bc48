//! Sums over windows: the intervals that overlapping windows share, summed-area tables, and norms from them.

use super::lanes::vectors;
use crate::grid::Grid;

/// Borders of the elementary intervals along one axis and, for every cell, which intervals make its window.
pub struct Intervals {
    pub(super) at: Vec<usize>,
    /// First interval and one past the last of each cell's window.
    pub(super) cells: Vec<(usize, usize)>,
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

    /// Of windows in `parts` pieces each, in the order of the cells and their pieces.
    pub fn of_parts(cells: usize, window: usize, step: usize, parts: usize) -> Self {
        let border = |i: usize, k: usize| i * step + k * window / parts;
        let mut at: Vec<usize> = (0..cells).flat_map(|i| (0..=parts).map(move |k| border(i, k))).collect();
        at.sort_unstable();
        at.dedup();
        let find = |v: usize| at.binary_search(&v).unwrap_or(0);
        let piece = |i: usize, k: usize| (find(border(i, k)), find(border(i, k + 1)));
        let cells = (0..cells).flat_map(|i| (0..parts).map(move |k| (i, k))).map(|(i, k)| piece(i, k)).collect();
        Intervals { at, cells }
    }
}

/// Rows of a summed-area table that are summed together.
const ABREAST: usize = 4;

/// Summed-area tables of an image and of its square: Σ g and Σ g² over any rectangle of pixels.
pub struct SquareSums {
    stride: usize,
    tables: [Vec<f64>; 2],
}

impl SquareSums {
    pub fn new(image: &Grid<f32>) -> Self {
        let stride = image.width + 1;
        let mut above = [0, 1].map(|_| vec![0.0f64; stride]);
        let mut tables = above.each_ref().map(|row| {
            let mut table = Vec::with_capacity(stride * (image.height + 1));
            table.extend_from_slice(row);
            table
        });
        let mut rows: [[Vec<f64>; 2]; ABREAST] = std::array::from_fn(|_| [0, 1].map(|_| vec![0.0; stride]));
        // Rows side by side: each running sum waits for its own last addition.
        for first in (0..image.height).step_by(ABREAST) {
            let n = ABREAST.min(image.height - first);
            vectors(
                #[inline(always)]
                || {
                    if n == ABREAST {
                        run(rows.each_mut(), std::array::from_fn(|k| image.row(first + k)));
                    } else {
                        rows.iter_mut().take(n).enumerate().for_each(|(k, row)| run([row], [image.row(first + k)]));
                    }
                    for row in &rows[..n] {
                        for ((above, own), table) in above.iter_mut().zip(row).zip(&mut tables) {
                            above.iter_mut().zip(own).for_each(|(a, own)| *a += own);
                            table.extend_from_slice(above);
                        }
                    }
                },
            );
        }
        SquareSums { stride, tables }
    }

    /// Σ g and Σ g² over `size` pixels from `corner` on.
    #[inline(always)]
    pub fn of(&self, corner: (usize, usize), size: (usize, usize)) -> [f64; 2] {
        let top = corner.1 * self.stride + corner.0;
        let bottom = top + size.1 * self.stride;
        self.tables.each_ref().map(|t| (t[bottom + size.0] - t[bottom]) - (t[top + size.0] - t[top]))
    }

    /// The same over the rectangles from `n` neighbouring corners on.
    #[inline(always)]
    fn of_row(&self, corner: (usize, usize), size: (usize, usize), n: usize) -> impl Iterator<Item = [f64; 2]> {
        let top = corner.1 * self.stride + corner.0;
        let bottom = top + size.1 * self.stride;
        let sums = self.tables.each_ref().map(|t| {
            let [a, b, c, d] = [top, top + size.0, bottom, bottom + size.0].map(|first| &t[first..first + n]);
            move |k: usize| (d[k] - c[k]) - (b[k] - a[k])
        });
        (0..n).map(move |k| [sums[0](k), sums[1](k)])
    }
}

/// Σ f and Σ f² over the windows of cells, from summed-area tables at the borders of the windows alone.
pub struct CellSums {
    stride: usize,
    table: Vec<[f64; 2]>,
    /// First border and last of the windows of every cell column and row.
    columns: Vec<(usize, usize)>,
    rows: Vec<(usize, usize)>,
}

impl CellSums {
    pub fn new(image: &Grid<f32>, x: &Intervals, y: &Intervals) -> Self {
        let stride = x.at.len();
        let mut table = vec![[0.0f64; 2]; stride * y.at.len()];
        for e in 1..y.at.len() {
            let (above, own) = table.split_at_mut(e * stride);
            let (above, own) = (&above[(e - 1) * stride..], &mut own[..stride]);
            vectors(
                #[inline(always)]
                || {
                    for line in y.at[e - 1]..y.at[e] {
                        let line = image.row(line);
                        for (k, ends) in x.at.windows(2).enumerate() {
                            let [f, ff] = sums(&line[ends[0]..ends[1]]);
                            own[k + 1] = [own[k + 1][0] + f, own[k + 1][1] + ff];
                        }
                    }
                },
            );
            let mut run = [0.0; 2];
            for (own, above) in own.iter_mut().zip(above) {
                run = [run[0] + own[0], run[1] + own[1]];
                *own = [run[0] + above[0], run[1] + above[1]];
            }
        }
        CellSums { stride, table, columns: x.cells.clone(), rows: y.cells.clone() }
    }

    /// Of the window of cell (x, y).
    #[inline(always)]
    pub fn of(&self, x: usize, y: usize) -> [f64; 2] {
        let ((x0, x1), (y0, y1)) = (self.columns[x], self.rows[y]);
        let [a, b, c, d] = [(x0, y0), (x1, y0), (x0, y1), (x1, y1)].map(|(x, y)| self.table[y * self.stride + x]);
        [0, 1].map(|k| (d[k] - c[k]) - (b[k] - a[k]))
    }
}

/// Σ and Σ of the squares, eight chains of additions each.
#[inline(always)]
fn sums(values: &[f32]) -> [f64; 2] {
    const CHAINS: usize = 8;
    let (mut plain, mut squares) = ([0.0f64; CHAINS], [0.0f64; CHAINS]);
    let whole = values.chunks_exact(CHAINS);
    let rest = whole.remainder();
    for values in whole {
        for k in 0..CHAINS {
            let v = values[k] as f64;
            plain[k] += v;
            squares[k] += v * v;
        }
    }
    for (k, &v) in rest.iter().enumerate() {
        plain[k] += v as f64;
        squares[k] += v as f64 * v as f64;
    }
    [plain.iter().sum(), squares.iter().sum()]
}

/// Running sums of rows and of their squares, from the second element on.
#[inline(always)]
fn run<const N: usize>(out: [&mut [Vec<f64>; 2]; N], values: [&[f32]; N]) {
    let mut runs = [[0.0f64; 2]; N];
    let n = values[0].len();
    let out = out.map(|row| row.each_mut().map(|line| &mut line[1..=n]));
    for x in 0..n {
        for k in 0..N {
            let v = values[k][x] as f64;
            runs[k] = [runs[k][0] + v, runs[k][1] + v * v];
            [out[k][0][x], out[k][1][x]] = runs[k];
        }
    }
}

/// What normalises a correlation with a window of 1 / `share` pixels: its mean and the inverse of the root of its energy,
/// NaN without texture.
#[inline(always)]
pub fn norm([g, gg]: [f64; 2], share: f64) -> [f64; 2] {
    let energy = gg - g * g * share;
    // Rounding leaves a little energy in a constant window; it carries no texture.
    [g * share, if energy > 1e-10 * gg { 1.0 / energy.sqrt() } else { f64::NAN }]
}

/// The norms of the windows at every position inside an image; position (x, y) is at y · `width` + x.
pub struct Norms {
    pub width: usize,
    pub mean: Vec<f64>,
    pub inverse: Vec<f64>,
}

impl Norms {
    pub fn new(sums: &SquareSums, image: (usize, usize), window: (usize, usize)) -> Self {
        let (w, h) = ((image.0 + 1).saturating_sub(window.0), (image.1 + 1).saturating_sub(window.1));
        let share = 1.0 / (window.0 * window.1) as f64;
        let (mut mean, mut inverse) = (vec![0.0; w * h], vec![0.0; w * h]);
        let lines = mean.chunks_exact_mut(w.max(1)).zip(inverse.chunks_exact_mut(w.max(1)));
        for (y, (mean, inverse)) in lines.enumerate() {
            vectors(
                #[inline(always)]
                || {
                    let norms = sums.of_row((0, y), window, w).map(|sums| norm(sums, share));
                    mean.iter_mut().zip(inverse).zip(norms).for_each(|((m, i), [mean, inverse])| {
                        (*m, *i) = (mean, inverse);
                    });
                },
            );
        }
        Norms { width: w, mean, inverse }
    }
}
