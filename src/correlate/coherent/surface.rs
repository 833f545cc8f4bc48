//! Coherence magnitude of the windows of a tile at every whole-pixel shift.
//!
//! A window is summed in parts and the magnitudes of the parts are added: a fringe within a window, which would cancel its sum,
//! costs little as long as it is longer than two parts.

use super::Layer;
use crate::correlate::asked::{columns_of, extent, slots};
use crate::correlate::batch_sums::{BATCH, BatchSums, Part, Rows, Shifts, Totals};
use crate::correlate::masked::MIN_OVERLAP;
use crate::correlate::search::{SearchArea, TileWindows};
use crate::correlate::sums::{Intervals, SquareSums};
use crate::correlate::surface::{NOTHING, SURFACE_BYTES};
use crate::grid::Grid;
use std::sync::atomic::{AtomicBool, Ordering};

/// Wanted side of a part in pixels, and most parts along an axis.
const PART: usize = 16;
const MOST_PARTS: usize = 8;
/// Memory that the sums of one group of rows may take.
const TOTALS_BYTES: usize = 32 << 20;

/// Parts of a window of `side` pixels along an axis.
pub fn parts(side: usize) -> usize {
    let least = if side >= PART { 2 } else { 1 };
    (side / PART).clamp(least, MOST_PARTS)
}

pub struct CoherenceSurfaces<'a> {
    layers: Vec<Powers<'a>>,
    windows: &'a TileWindows,
    search: &'a SearchArea<'a>,
    /// Parts of the windows.
    x: Intervals,
    y: Intervals,
    whole: (Intervals, Intervals),
    parts: (usize, usize),
    rows: (usize, usize),
    values: Vec<f32>,
    layered: Vec<u8>,
    sums: BatchSums,
}

/// One layer with |f|² and |g|².
struct Powers<'a> {
    bands: Layer<'a>,
    pre: Grid<f32>,
    post: Grid<f32>,
    sums: (SquareSums, SquareSums),
    /// Valid pixels of both as 1, where some are not.
    valid: Option<(Grid<f32>, Grid<f32>)>,
}

impl<'a> Powers<'a> {
    fn new(bands: Layer<'a>) -> Self {
        let power = |a: &Grid<f32>, b: &Grid<f32>| {
            let data = a.data.iter().zip(&b.data).map(|(p, q)| p * p + q * q).collect();
            Grid { width: a.width, height: a.height, data }
        };
        let [re, im] = bands;
        let (pre, post) = (power(&re.pre.values, &im.pre.values), power(&re.post.values, &im.post.values));
        let sums = (SquareSums::new(&pre), SquareSums::new(&post));
        let one = |v: bool| if v { 1.0 } else { 0.0 };
        let all = re.pre.all_valid && re.post.all_valid;
        let valid = (!all).then(|| (re.pre.valid.map(one), re.post.valid.map(one)));
        Powers { bands, pre, post, sums, valid }
    }
}

impl<'a> CoherenceSurfaces<'a> {
    pub fn new(layers: &[Layer<'a>], windows: &'a TileWindows, search: &'a SearchArea<'a>) -> Self {
        let parts = (parts(windows.window.0), parts(windows.window.1));
        let whole = (
            Intervals::new(windows.cells.0, windows.window.0, windows.step.0),
            Intervals::new(windows.cells.1, windows.window.1, windows.step.1),
        );
        CoherenceSurfaces {
            layers: layers.iter().map(|l| Powers::new(*l)).collect(),
            windows,
            search,
            x: Intervals::of_parts(windows.cells.0, windows.window.0, windows.step.0, parts.0),
            y: Intervals::of_parts(windows.cells.1, windows.window.1, windows.step.1, parts.1),
            whole,
            parts,
            rows: (0, 0),
            values: Vec::new(),
            layered: Vec::new(),
            sums: BatchSums::default(),
        }
    }

    fn size(&self) -> (usize, usize) {
        (2 * self.search.range.0 + 1, 2 * self.search.range.1 + 1)
    }

    /// How many cell rows to compute together.
    pub fn group(&self) -> usize {
        let (nx, ny) = self.size();
        let cells = self.windows.cells.0;
        let fits = SURFACE_BYTES / (4 * nx * ny * cells);
        let sums = TOTALS_BYTES / (4 * 8 * BATCH * cells * self.parts.0 * self.parts.1);
        // As in `Surfaces::group`.
        let together = self.windows.window.1.div_ceil(self.windows.step.1);
        let wanted = if self.search.starts.is_empty() { fits } else { fits.min(together) };
        wanted.min(sums).clamp(1, self.windows.cells.1)
    }

    /// The surface of a cell in the computed rows, as [`crate::correlate::surface::Surfaces::of`].
    pub fn of(&self, cell: usize) -> &[f32] {
        let (nx, ny) = self.size();
        let index = cell - self.rows.0 * self.windows.cells.0;
        &self.values[index * nx * ny..(index + 1) * nx * ny]
    }

    /// Computes the surfaces of the cell rows `first..last`; ends early when `stop` is set.
    pub fn compute(&mut self, first: usize, last: usize, stop: &AtomicBool) {
        let (nx, ny) = self.size();
        let cells = self.windows.cells.0;
        self.rows = (first, last);
        self.values.clear();
        self.values.resize((last - first) * cells * nx * ny, NOTHING);
        self.layered.clear();
        self.layered.resize(self.values.len(), 0);
        let mut totals: [Totals; 7] = Default::default();
        let (low, high) = extent(self.search, first * cells, last * cells);
        for layer in 0..self.layers.len() {
            for sy in low.1..=high.1 {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                for sx in (low.0..=high.0).step_by(BATCH) {
                    let shifts = (high.0 - sx + 1).min(BATCH as i32) as usize;
                    let wanted = columns_of(self.search, cells, (first, last), (0, cells), (sx, sy), (shifts, 1));
                    let Some(columns) = wanted else { continue };
                    let part = Part { columns, rows: (first, last) };
                    self.sum(layer, (sx, sy), shifts, part, &mut totals);
                    self.normalise(layer, (sx, sy), shifts, part, &totals);
                }
            }
        }
    }

    /// The parts of the cells of `part`.
    fn finer(&self, part: Part) -> Part {
        let (m, n) = self.parts;
        Part { columns: (part.columns.0 * m, part.columns.1 * m), rows: (part.rows.0 * n, part.rows.1 * n) }
    }

    fn at(&self, layer: usize, shift: (i32, i32)) -> (i64, i64) {
        let margin = self.layers[layer].bands[0].post.search as i64;
        (shift.0 as i64 + margin, shift.1 as i64 + margin)
    }

    /// Σ of the four real products by parts; where pixels are missing also what counts of both energies, and how many do.
    fn sum(&mut self, layer: usize, shift: (i32, i32), shifts: usize, part: Part, totals: &mut [Totals; 7]) {
        let (at, fine) = (self.at(layer, shift), self.finer(part));
        let l = &self.layers[layer];
        let [re, im] = l.bands;
        let (f, g) = ([&re.pre.values, &im.pre.values], [&re.post.values, &im.post.values]);
        let pairs = [(f[0], g[0]), (f[1], g[1]), (f[0], g[1]), (f[1], g[0])];
        let shifts = (shifts, 1);
        let request =
            |part: Part| move |(f, g): (_, _)| Shifts { a: Rows::of(f), b: Rows::of(g).from(at), shifts, part };
        let (products, counts) = totals.split_at_mut(pairs.len());
        self.sums.window_sums(&pairs.map(request(fine)), (&self.x, &self.y), products);
        if let Some((pre, post)) = &l.valid {
            let pairs = [(&l.pre, post), (pre, &l.post), (pre, post)];
            self.sums.window_sums(&pairs.map(request(part)), (&self.whole.0, &self.whole.1), counts);
        }
    }

    fn normalise(&mut self, layer: usize, shift: (i32, i32), shifts: usize, part: Part, totals: &[Totals; 7]) {
        let (at, fine, (m, n)) = (self.at(layer, shift), self.finer(part), self.parts);
        let l = &self.layers[layer];
        let window = self.windows.window;
        let pixels = (window.0 * window.1) as f64;
        let cells = self.windows.cells.0;
        let size = self.size().0 * self.size().1;
        for y in part.rows.0..part.rows.1 {
            for x in part.columns.0..part.columns.1 {
                let cell = y * cells + x;
                let Some((skip, count, slot)) = slots(self.search, cell, shift, shifts) else { continue };
                let mut magnitude = [0.0f64; BATCH];
                for j in 0..n {
                    for i in 0..m {
                        let k = fine.index(x * m + i, y * n + j);
                        let [rr, ii, ri, ir] = std::array::from_fn(|t| totals[t].of(k));
                        for s in skip..skip + count {
                            magnitude[s] += (rr[s] + ii[s]).hypot(ri[s] - ir[s]);
                        }
                    }
                }
                let (u, v) = self.windows.corner(cell);
                let own = l.sums.0.of((u, v), window)[0];
                let there = ((u as i64 + at.0) as usize, (v as i64 + at.1) as usize);
                for s in skip..skip + count {
                    let (ff, gg, share) = match &l.valid {
                        None => (own, l.sums.1.of((there.0 + s, there.1), window)[0], 1.0),
                        Some(_) => {
                            let k = part.index(x, y);
                            (totals[4].of(k)[s], totals[5].of(k)[s], totals[6].of(k)[s] / pixels)
                        }
                    };
                    let energy = ff * gg;
                    if share < MIN_OVERLAP || energy <= 0.0 || !energy.is_finite() {
                        continue;
                    }
                    let place = (cell - self.rows.0 * cells) * size + slot + s - skip;
                    let value = (magnitude[s] / energy.sqrt()) as f32;
                    let before = self.layered[place] as f32;
                    let sum = if before == 0.0 { 0.0 } else { self.values[place] * before };
                    self.values[place] = (sum + value) / (before + 1.0);
                    self.layered[place] += 1;
                }
            }
        }
    }
}
