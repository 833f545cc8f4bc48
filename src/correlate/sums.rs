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

/// Summed-area table of an image and of its square: Σ g and Σ g² over any rectangle of pixels.
pub struct SquareSums {
    stride: usize,
    table: Vec<[f64; 2]>,
}

impl SquareSums {
    pub fn new(image: &Grid<f32>) -> Self {
        let stride = image.width + 1;
        let mut table = Vec::with_capacity(stride * (image.height + 1));
        table.resize(stride, [0.0; 2]);
        for y in 0..image.height {
            let mut run = [0.0; 2];
            table.push([0.0; 2]);
            for (x, &v) in image.row(y).iter().enumerate() {
                let above = table[y * stride + x + 1];
                run = [run[0] + v as f64, run[1] + v as f64 * v as f64];
                table.push([above[0] + run[0], above[1] + run[1]]);
            }
        }
        SquareSums { stride, table }
    }

    /// Σ g and Σ g² over `size` pixels from `corner` on.
    #[inline(always)]
    pub fn of(&self, corner: (usize, usize), size: (usize, usize)) -> [f64; 2] {
        let top = corner.1 * self.stride + corner.0;
        let bottom = top + size.1 * self.stride;
        let [a, b, c, d] = [top, top + size.0, bottom, bottom + size.0].map(|i| self.table[i]);
        [0, 1].map(|k| (d[k] - c[k]) - (b[k] - a[k]))
    }
}

/// What normalises a correlation with a window: its mean and the inverse of the root of its energy, NaN without
/// texture.
#[inline(always)]
pub fn norm(sums: [f64; 2], pixels: f64) -> [f64; 2] {
    let [g, gg] = sums;
    let energy = gg - g * g / pixels;
    // Rounding leaves a little energy in a constant window; it carries no texture.
    [g / pixels, if energy > 1e-10 * gg { 1.0 / energy.sqrt() } else { f64::NAN }]
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
        let pixels = (window.0 * window.1) as f64;
        let (mut mean, mut inverse) = (vec![0.0; w * h], vec![0.0; w * h]);
        let lines = mean.chunks_exact_mut(w.max(1)).zip(inverse.chunks_exact_mut(w.max(1)));
        for (y, (mean, inverse)) in lines.enumerate() {
            vectors(
                #[inline(always)]
                || {
                    for x in 0..w {
                        [mean[x], inverse[x]] = norm(sums.of((x, y), window), pixels);
                    }
                },
            );
        }
        Norms { width: w, mean, inverse }
    }
}
