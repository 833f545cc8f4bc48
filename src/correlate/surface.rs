//! Correlation surfaces of the windows of a tile: zero-mean normalised cross-correlation at every whole-pixel shift.
//!
//! Where pixels are invalid the correlation is the masked one ([`super::masked`]). Each of its sums but Σfg is a sum over the whole
//! window less what the gaps take away, and that is zero in all blocks of pixels but those with gaps. Several bands are stacked:
//! the surfaces are averaged before anything is read off them (Li et al. 2021).

use super::asked::{columns_of, extent, slots};
use super::batch_sums::{BATCH, BatchSums, Part, Rows, Shifts, Totals, shift_batches};
use super::lanes::vectors;
use super::masked::{Lost, masked};
use super::prepare::{PreparedPost, PreparedPre};
use super::rectangles::rectangles;
use super::search::{SearchArea, TileWindows};
use super::sums::{Intervals, norm};
use super::surface_layer::{Layer, Masked, Planes};
use std::sync::atomic::{AtomicBool, Ordering};

/// Memory that the surfaces of one group of cell rows may take.
pub(super) const SURFACE_BYTES: usize = 8 << 20;
/// Batches of shifts that go through the images side by side.
const ABREAST: usize = 6;
/// Where there was nothing to correlate.
pub const NOTHING: f32 = -2.0;

/// The surfaces of a group of cell rows of a tile.
pub struct Surfaces<'a> {
    layers: Vec<Layer<'a>>,
    windows: &'a TileWindows,
    search: &'a SearchArea<'a>,
    x: Intervals,
    y: Intervals,
    /// The cell rows that `values` holds.
    rows: (usize, usize),
    values: Vec<f32>,
    /// How many layers each value is a mean of; empty for one layer.
    layered: Vec<u8>,
    sums: BatchSums,
}

/// Neighbouring shifts from `shift` on, so many along x and y, the windows that ask for some of them, and parts that hold those of
/// them with gaps.
struct Batch {
    shift: (i32, i32),
    shifts: (usize, usize),
    part: Part,
    gaps: Vec<Part>,
}

impl<'a> Surfaces<'a> {
    /// For the windows of a tile; `pairs` are its bands. The margin of every post image must be at least the reach of
    /// `search`.
    pub fn new(
        pairs: &[(&'a PreparedPre, &'a PreparedPost)],
        windows: &'a TileWindows,
        search: &'a SearchArea<'a>,
    ) -> Self {
        let planes = |(pre, post): &(&'a PreparedPre, &'a PreparedPost)| Planes {
            pre: (&pre.values, &pre.valid),
            post: (&post.values, &post.valid),
            margin: post.search,
            all_valid: pre.all_valid && post.all_valid,
            counts: Some((&pre.counts, &post.counts)),
        };
        Surfaces::of_planes(pairs.iter().map(planes).collect(), windows, search)
    }

    /// As [`Surfaces::new`], of bare images.
    pub fn of_planes(layers: Vec<Planes<'a>>, windows: &'a TileWindows, search: &'a SearchArea<'a>) -> Self {
        let x = Intervals::new(windows.cells.0, windows.window.0, windows.step.0);
        let y = Intervals::new(windows.cells.1, windows.window.1, windows.step.1);
        Surfaces {
            layers: layers.into_iter().map(|p| Layer::new(p, windows, (&x, &y), search)).collect(),
            windows,
            search,
            x,
            y,
            rows: (0, 0),
            values: Vec::new(),
            layered: Vec::new(),
            sums: BatchSums::default(),
        }
    }

    /// Columns and rows of one surface.
    pub fn size(&self) -> (usize, usize) {
        (2 * self.search.range.0 + 1, 2 * self.search.range.1 + 1)
    }

    /// How many cell rows to compute together.
    pub fn group(&self) -> usize {
        let (nx, ny) = self.size();
        let fits = SURFACE_BYTES / (4 * nx * ny * self.windows.cells.0);
        // Rows whose windows have nothing in common share nothing, and their starts may lie far apart.
        let together = self.windows.window.1.div_ceil(self.windows.step.1);
        let wanted = if self.alike() { fits } else { fits.min(together) };
        wanted.clamp(1, self.windows.cells.1)
    }

    /// The starts of all cells are hardly further apart than the search is wide.
    fn alike(&self) -> bool {
        let (low, high) = extent(self.search, 0, self.windows.len());
        let near = |low: i32, high: i32, range: usize| (high - low) as usize <= 4 * range + 2;
        near(low.0, high.0, self.search.range.0) && near(low.1, high.1, self.search.range.1)
    }

    /// Computes the surfaces of the cell rows `first..last`; ends early when `stop` is set.
    pub fn compute(&mut self, first: usize, last: usize, stop: &AtomicBool) {
        self.fill((first, last), stop);
    }

    /// The surface of a cell in the computed rows: rows of increasing y shift, from `start - range` on.
    pub fn of(&self, cell: usize) -> &[f32] {
        let (nx, ny) = self.size();
        let index = cell - self.rows.0 * self.windows.cells.0;
        &self.values[index * nx * ny..(index + 1) * nx * ny]
    }

    fn fill(&mut self, rows: (usize, usize), stop: &AtomicBool) {
        let (nx, ny) = self.size();
        let cells_x = self.windows.cells.0;
        let (first, last) = (rows.0 * cells_x, rows.1 * cells_x);
        self.rows = rows;
        self.values.clear();
        self.values.resize((last - first) * nx * ny, NOTHING);
        self.layered.clear();
        if self.layers.len() > 1 {
            self.layered.resize(self.values.len(), 0);
        }
        let (mut products, mut lost) = (<[Totals; ABREAST]>::default(), Vec::new());
        let (low, high) = extent(self.search, first, last);
        for layer in 0..self.layers.len() {
            let batches = self.batches(layer, rows, (low, high));
            for batches in batches.chunks(ABREAST) {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                self.products(layer, batches, &mut products);
                for (batch, products) in batches.iter().zip(&products) {
                    self.lost(layer, batch, &mut lost);
                    for line in 0..batch.shifts.1 {
                        vectors(
                            #[inline(always)]
                            || self.normalise(layer, (batch, line), products, &lost),
                        );
                    }
                }
            }
        }
    }

    /// The batches of shifts between `low` and `high` that the cell rows ask for.
    fn batches(&self, layer: usize, rows: (usize, usize), (low, high): ((i32, i32), (i32, i32))) -> Vec<Batch> {
        let cells_x = self.windows.cells.0;
        let gaps = match &self.layers[layer].gaps[..] {
            [] => Vec::new(),
            gaps => rectangles(gaps, self.windows, rows),
        };
        let mut out = Vec::new();
        for (shift, shifts) in shift_batches(low, high) {
            let asked = |part: &Part| {
                let columns = columns_of(self.search, cells_x, part.rows, part.columns, shift, shifts)?;
                Some(Part { columns, rows: part.rows })
            };
            let Some(part) = asked(&Part { columns: (0, cells_x), rows }) else { continue };
            out.push(Batch { shift, shifts, part, gaps: gaps.iter().filter_map(asked).collect() });
        }
        out
    }

    /// The products of one layer over the windows of all batches.
    fn products(&mut self, layer: usize, batches: &[Batch], out: &mut [Totals]) {
        let (layer, intervals) = (&self.layers[layer], (&self.x, &self.y));
        let (a, b) = (Rows::of(layer.planes.pre.0), Rows::of(layer.planes.post.0));
        let request = |t: &Batch| Shifts { a, b: b.from(layer.at(t.shift)), shifts: t.shifts, part: t.part };
        let requests: Vec<Shifts> = batches.iter().map(request).collect();
        self.sums.window_sums(&requests, intervals, out);
    }

    /// What gaps take from the other sums of the parts of a batch.
    fn lost(&mut self, layer: usize, batch: &Batch, out: &mut Vec<Lost>) {
        let (layer, intervals) = (&self.layers[layer], (&self.x, &self.y));
        let Some(Masked { pre, post }) = &layer.masked else { return };
        if out.len() < batch.gaps.len() {
            out.resize_with(batch.gaps.len(), Lost::default);
        }
        let (at, shifts) = (layer.at(batch.shift), batch.shifts);
        let own = |corner: (usize, usize), size: (usize, usize)| pre.gaps(corner, size) > 0;
        let other = |(x, y): (usize, usize), (w, h): (usize, usize)| {
            let there = ((x as i64 + at.0) as usize, (y as i64 + at.1) as usize);
            post.gaps(there, (w + shifts.0 - 1, h + shifts.1 - 1)) > 0
        };
        let (f, g) = (Some(layer.planes.pre.0), Some(layer.planes.post.0));
        let pairs = [
            (pre.invalid.as_ref(), post.invalid.as_ref()),
            (f, post.invalid.as_ref()),
            (pre.squares.as_ref(), post.invalid.as_ref()),
            (pre.invalid.as_ref(), g),
            (pre.invalid.as_ref(), post.squares.as_ref()),
        ];
        for (&part, lost) in batch.gaps.iter().zip(out) {
            let ((corner, size), sums) = (self.windows.pixels_of(part), lost.sums.iter_mut());
            let some = [own(corner, size), other(corner, size)];
            for (k, (sums, pair)) in sums.zip(pairs).enumerate() {
                // Which image's gaps take it.
                let of = [k == 0 || k > 2, k < 3];
                lost.some[k] = some.iter().zip(of).all(|(some, of)| *some || !of);
                let (true, (Some(p), Some(q))) = (lost.some[k], pair) else { continue };
                let nothing = |corner, size| of[0] && !own(corner, size) || of[1] && !other(corner, size);
                let request = Shifts { a: Rows::of(p), b: Rows::of(q).from(at), shifts, part };
                self.sums.sparse_sums(request, intervals, nothing, sums);
            }
        }
    }

    /// Makes correlations of the sums at one of a batch's shifts along y and puts them into the surfaces.
    #[inline(always)]
    fn normalise(&mut self, layer: usize, (batch, line): (&Batch, usize), products: &Totals, lost: &[Lost]) {
        let layer = &self.layers[layer];
        let &Batch { shift, shifts: (shifts, _), part, ref gaps } = batch;
        let shift = (shift.0, shift.1 + line as i32);
        let at = layer.at(shift);
        let window = self.windows.window;
        let pixels = (window.0 * window.1) as f64;
        let share = 1.0 / pixels;
        let (cells_x, offset) = (self.windows.cells.0, self.rows.0 * self.windows.cells.0);
        let size = self.size().0 * self.size().1;
        for y in part.rows.0..part.rows.1 {
            for x in part.columns.0..part.columns.1 {
                let cell = y * cells_x + x;
                let Some((skip, n, slot)) = slots(self.search, cell, shift, shifts) else { continue };
                let mut found = [NOTHING; BATCH];
                let (u, v) = self.windows.corner(cell);
                let there = ((u as i64 + at.0) as usize, (v as i64 + at.1) as usize);
                let fg = products.row(part.index(x, y), line);
                let missing = layer.masked.as_ref().filter(|_| layer.gaps[cell]);
                // The positions that are asked for; what the rest of the lanes make is not looked at.
                let asked = skip..skip + n;
                let from = (there.0 + skip, there.1);
                if let Some(Masked { pre, post }) = missing {
                    let holds = |(part, _): &(&Part, &Lost)| part.holds(x, y);
                    let Some((part, lost)) = gaps.iter().zip(lost).find(holds) else { continue };
                    let lost = lost.row(part.index(x, y), line);
                    let [f, ff] = layer.sums.0.of(x, y);
                    let own = [pixels - pre.gaps((u, v), window) as f64, f, ff];
                    let mut other = [0; BATCH];
                    post.gaps_along(from, window, &mut other[asked.clone()]);
                    let sums = layer.post_sums(from, window, asked.clone());
                    masked((own, fg), (pixels, lost), (&other, [&sums[0], &sums[1]]), &mut found[..fg.len()]);
                } else {
                    let [sum, inverse] = layer.own[cell];
                    let value = |fg: f64, there: [f64; 2]| {
                        let value = ((fg - sum * there[0]) * (inverse * there[1])) as f32;
                        if value.is_finite() { value } else { NOTHING }
                    };
                    if let Some(norms) = &layer.norms {
                        let there = there.1 * norms.width + there.0;
                        let means = &norms.mean[there..there + shifts];
                        let inverses = &norms.inverse[there..there + shifts];
                        for s in 0..shifts {
                            found[s] = value(fg[s], [means[s], inverses[s]]);
                        }
                    } else {
                        let [g, gg] = layer.post_sums(from, window, asked.clone());
                        let ((found, g), gg) = ((&mut found[..fg.len()], &g[..fg.len()]), &gg[..fg.len()]);
                        for s in 0..fg.len() {
                            found[s] = value(fg[s], norm([g[s], gg[s]], share));
                        }
                    }
                }
                let place = (cell - offset) * size + slot;
                if self.layered.is_empty() {
                    self.values[place..place + n].copy_from_slice(&found[asked]);
                    continue;
                }
                for (i, &value) in found[asked].iter().enumerate() {
                    if value > NOTHING {
                        let n = self.layered[place + i] as f32;
                        let before = if n == 0.0 { 0.0 } else { self.values[place + i] };
                        self.values[place + i] = (before * n + value) / (n + 1.0);
                        self.layered[place + i] += 1;
                    }
                }
            }
        }
    }
}
