//! Sums over windows: the intervals that overlapping windows share, summed-area tables, and norms from them.

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
