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

/// Summed-area tables of an image and of its square: Σ g and Σ g² over rectangles of pixels.
pub struct SquareSums {
    /// Where the sums of all rows above a row begin.
    rows: Vec<u32>,
    tables: [Vec<f64>; 2],
}

impl SquareSums {
    pub fn new(image: &Grid<f32>) -> Self {
        SquareSums::between(image, &vec![true; image.height + 1])
    }

    /// For rectangles whose upper and lower ends are among `borders`, one for each row and one for the end.
    pub fn between(image: &Grid<f32>, borders: &[bool]) -> Self {
        let stride = image.width + 1;
        let length = borders.iter().filter(|b| **b).count() * stride;
        let mut tables = [0, 1].map(|_| vec![0.0f64; length]);
        let mut columns = [0, 1].map(|_| vec![0.0f64; image.width]);
        let mut above: [[Vec<f64>; 2]; ABREAST] = std::array::from_fn(|_| columns.clone());
        let (mut rows, mut waiting, mut done) = (vec![0; borders.len()], 0, 0);
        for (y, &border) in borders.iter().enumerate() {
            if y > 0 {
                vectors(|| add_row(image.row(y - 1), columns.each_mut()));
            }
            if border {
                rows[y] = (done + waiting * stride) as u32;
                above[waiting].iter_mut().zip(&columns).for_each(|(to, from)| to.copy_from_slice(from));
                waiting += 1;
            }
            // Rows side by side: each running sum waits for its own last addition.
            if waiting == ABREAST {
                let [a, b] = tables.each_mut().map(|t| &mut t[done..done + ABREAST * stride]);
                run::<ABREAST>((a, b), &above, stride);
                (waiting, done) = (0, done + ABREAST * stride);
            }
        }
        for above in above[..waiting].chunks(1) {
            let [a, b] = tables.each_mut().map(|t| &mut t[done..done + stride]);
            run::<1>((a, b), above, stride);
            done += stride;
        }
        SquareSums { rows, tables }
    }

    /// Σ g and Σ g² over `size` pixels from `corner` on.
    #[inline(always)]
    pub fn of(&self, corner: (usize, usize), size: (usize, usize)) -> [f64; 2] {
        let (top, bottom) = self.ends(corner, size);
        let of = |t: &[f64]| (t[bottom + size.0] - t[bottom]) - (t[top + size.0] - t[top]);
        [of(&self.tables[0]), of(&self.tables[1])]
    }

    #[inline(always)]
    fn ends(&self, corner: (usize, usize), size: (usize, usize)) -> (usize, usize) {
        (self.rows[corner.1] as usize + corner.0, self.rows[corner.1 + size.1] as usize + corner.0)
    }

    /// The same over the rectangles from `n` neighbouring corners on.
    #[inline(always)]
    pub fn of_row(&self, corner: (usize, usize), size: (usize, usize), n: usize) -> impl Iterator<Item = [f64; 2]> {
        let (top, bottom) = self.ends(corner, size);
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
        let (top, bottom) = (&self.table[y0 * self.stride..], &self.table[y1 * self.stride..]);
        let (a, b, c, d) = (top[x0], top[x1], bottom[x0], bottom[x1]);
        [(d[0] - c[0]) - (b[0] - a[0]), (d[1] - c[1]) - (b[1] - a[1])]
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

/// Adds a row of pixels, and their squares, to sums of columns.
#[inline(always)]
fn add_row(row: &[f32], [sums, squares]: [&mut Vec<f64>; 2]) {
    for ((sum, square), &v) in sums.iter_mut().zip(squares.iter_mut()).zip(row) {
        let v = v as f64;
        *sum += v;
        *square += v * v;
    }
}

/// Running sums of `N` rows, a row of each table after the other, from the second element on.
fn run<const N: usize>((a, b): (&mut [f64], &mut [f64]), values: &[[Vec<f64>; 2]], stride: usize) {
    let out: [[&mut [f64]; 2]; N] = {
        let mut rows = a.chunks_exact_mut(stride).zip(b.chunks_exact_mut(stride));
        std::array::from_fn(|_| rows.next().map(|(a, b)| [a, b]).expect("a row of each table"))
    };
    let values: [[&[f64]; 2]; N] = std::array::from_fn(|k| values[k].each_ref().map(|v| &v[..stride - 1]));
    let mut runs = [[0.0f64; 2]; N];
    for x in 0..stride - 1 {
        for k in 0..N {
            for t in 0..2 {
                runs[k][t] += values[k][t][x];
                out[k][t][x + 1] = runs[k][t];
            }
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
