//! Whole-pixel displacement of every window of a tile: the maximum of the zero-mean normalised cross-correlation.

use super::batch_sums::Part;
use super::prepare::{PreparedPost, PreparedPre};
use super::quick_search::quick_peaks;
use super::surface::{NOTHING, Surfaces};
use crate::field::PixelShift;
use std::sync::atomic::AtomicBool;

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

    /// Top-left pixel and size of what the windows of a part cover.
    pub fn pixels_of(&self, part: Part) -> ((usize, usize), (usize, usize)) {
        let ((x, y), cells) =
            ((part.columns.0, part.rows.0), (part.columns.1 - part.columns.0, part.rows.1 - part.rows.0));
        ((x * self.step.0, y * self.step.1), TileWindows { cells, ..*self }.pixels())
    }

    /// Pixels that the windows cover.
    pub fn pixels(&self) -> (usize, usize) {
        ((self.cells.0 - 1) * self.step.0 + self.window.0, (self.cells.1 - 1) * self.step.1 + self.window.1)
    }
}

/// Where the windows of a tile are looked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SearchArea<'a> {
    /// Whole pixels around each window's start, along x and y.
    pub range: (usize, usize),
    /// Start of each cell, whole pixels relative to the tile's base; empty when all start at zero.
    pub starts: &'a [(i32, i32)],
}

impl SearchArea<'_> {
    /// Whole-pixel displacement around which a cell is looked for.
    #[inline]
    pub fn start(&self, cell: usize) -> (i32, i32) {
        self.starts.get(cell).copied().unwrap_or_default()
    }

    /// The whole-pixel displacement of the cell's search area that is nearest to `d`.
    #[inline]
    pub fn nearest(&self, cell: usize, d: PixelShift) -> (i32, i32) {
        let start = self.start(cell);
        let pick = |v: f64, s: i32, r: usize| (v.round() as i32).clamp(s - r as i32, s + r as i32);
        (pick(d.dx, start.0, self.range.0), pick(d.dy, start.1, self.range.1))
    }

    /// Largest whole-pixel displacement on any axis that any cell may have: the margin of the post image.
    pub fn reach(&self) -> usize {
        let far = self.starts.iter().map(|s| s.0.unsigned_abs().max(s.1.unsigned_abs())).max().unwrap_or(0);
        self.range.0.max(self.range.1) + far as usize
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

/// Finds the peak of every window of a tile in the mean correlation surface of `pairs`, its bands. The margin of the
/// post images must be at least the reach of `search`. Ends early, with what it has, when `stop` is set.
pub fn integer_peaks(
    pairs: &[(&PreparedPre, &PreparedPost)],
    windows: &TileWindows,
    search: &SearchArea,
    stop: &AtomicBool,
) -> Vec<Peak> {
    match quick_peaks(pairs, windows, search, stop) {
        Some(found) => found,
        None => peaks(Surfaces::new(pairs, windows, search), windows, search, stop),
    }
}

/// The peaks of all surfaces.
pub fn peaks(mut surfaces: Surfaces, windows: &TileWindows, search: &SearchArea, stop: &AtomicBool) -> Vec<Peak> {
    let mut peaks = Vec::with_capacity(windows.len());
    for first in (0..windows.cells.1).step_by(surfaces.group()) {
        let last = (first + surfaces.group()).min(windows.cells.1);
        surfaces.compute(first, last, stop);
        for cell in first * windows.cells.0..last * windows.cells.0 {
            peaks.push(peak(surfaces.of(cell), search, cell));
        }
    }
    peaks
}

/// The maximum of a cell's surface.
pub fn peak(s: &[f32], search: &SearchArea, cell: usize) -> Peak {
    let (nx, ny) = (2 * search.range.0 + 1, 2 * search.range.1 + 1);
    let (mut best, mut correlation) = (0, NOTHING);
    for (k, &v) in s.iter().enumerate() {
        if v > correlation {
            (best, correlation) = (k, v);
        }
    }
    let (bx, by) = (best % nx, best / nx);
    let edge = bx == 0 || by == 0 || bx == nx - 1 || by == ny - 1;
    let offset = if edge { (0.0, 0.0) } else { quadric(s, nx, bx, by) };
    let start = search.start(cell);
    let shift = |b: usize, start: i32, range: usize| start + b as i32 - range as i32;
    let shift = (shift(bx, start.0, search.range.0), shift(by, start.1, search.range.1));
    Peak { shift, offset, correlation, edge }
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

#[cfg(test)]
mod tests {
    use super::super::fill::ValidCounts;
    use super::super::interp::{Coefficients, Spline};
    use super::super::prepare::blank;
    use super::*;
    use crate::grid::Grid;

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
            counts: ValidCounts::new(&valid),
            valid,
            all_valid: true,
        };
        let valid = Grid::filled(post.width, post.height, true);
        let coefficients = Coefficients::zero(Spline::Cubic, search, 16, 16);
        (
            pre,
            PreparedPost {
                search,
                values: post,
                coefficients,
                counts: ValidCounts::new(&valid),
                valid,
                all_valid: true,
            },
        )
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
                    blank(&mut pre.values, &pre.valid);
                    blank(&mut post.values, &post.valid);
                    (pre.counts, post.counts) = (ValidCounts::new(&pre.valid), ValidCounts::new(&post.valid));
                }
                let area = SearchArea { range: (4, 3), starts: &[] };
                let peaks = integer_peaks(&[(&pre, &post)], &windows, &area, &AtomicBool::new(false));
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
        let area = SearchArea { range: (3, 3), starts: &[] };
        let peaks = integer_peaks(&[(&pre, &post)], &windows, &area, &AtomicBool::new(false));
        assert_eq!(peaks[0].correlation, NOTHING);
    }

    #[test]
    fn every_window_is_looked_for_around_its_own_start() {
        let windows = TileWindows { cells: (4, 3), window: (12, 9), step: (4, 5) };
        let (w, h) = windows.pixels();
        let (mut pre, post) = pair(6, w, h);
        // The true shift is (2, -1); starts scattered around it, all with the truth in reach.
        let starts: Vec<_> = (0..12).map(|c| (2 + c % 3 - 1, -1 + c % 4 - 2)).collect();
        let area = SearchArea { range: (2, 3), starts: &starts };
        assert_eq!(area.reach(), 6);
        for masked in [false, true] {
            if masked {
                pre.valid.data.iter_mut().step_by(7).for_each(|v| *v = false);
                pre.all_valid = false;
                pre.counts = ValidCounts::new(&pre.valid);
                blank(&mut pre.values, &pre.valid);
            }
            let peaks = integer_peaks(&[(&pre, &post)], &windows, &area, &AtomicBool::new(false));
            for (c, p) in peaks.iter().enumerate() {
                assert_eq!(p.shift, (2, -1), "cell {c}");
                let truth = oracle(&pre, &post, windows.corner(c), windows.window, p.shift);
                assert!((p.correlation as f64 - truth).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn bands_are_stacked_before_the_peak() {
        let windows = TileWindows { cells: (3, 2), window: (9, 9), step: (5, 5) };
        let (w, h) = windows.pixels();
        let (pre, post) = pair(4, w, h);
        let (mut dull, other) = pair(4, w, h);
        dull.values.data.fill(1.0);
        let area = SearchArea { range: (4, 4), starts: &[] };
        let stop = AtomicBool::new(false);
        let alone = integer_peaks(&[(&pre, &post)], &windows, &area, &stop);
        // A band without texture says nothing; the same band twice says the same.
        assert_eq!(integer_peaks(&[(&pre, &post), (&dull, &other)], &windows, &area, &stop), alone);
        for (a, b) in integer_peaks(&[(&pre, &post), (&pre, &post)], &windows, &area, &stop).iter().zip(&alone) {
            assert_eq!(a.shift, b.shift);
            assert!((a.correlation - b.correlation).abs() < 1e-6);
        }
    }
}
