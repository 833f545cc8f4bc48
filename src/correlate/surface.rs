//! Correlation surfaces of the windows of a tile: zero-mean normalised cross-correlation at every whole-pixel shift.
//!
//! Where pixels are invalid the correlation is the masked one of Padfield (2012, IEEE TIP 21(5), eq. 30): all sums run
//! over the pixels valid in both windows. Each of its sums but Σfg is a sum over the whole window less what the other
//! image's gaps take away, and that is zero in all blocks of pixels but those with gaps. Several bands are stacked: the surfaces are averaged before anything is read
//! off them (Li et al. 2021).

use super::batch_sums::{BATCH, BatchSums, Part, Rows, Shifts, Totals, shift_batches};
use super::clear::{Band, MaskedPlane, bands, clear_cells};
use super::fill::ValidCounts;
use super::lanes::vectors;
use super::prepare::{PreparedPost, PreparedPre};
use super::search::{SearchArea, TileWindows};
use super::sums::{CellSums, Intervals, Norms, SquareSums, norm};
use crate::grid::Grid;
use std::sync::atomic::{AtomicBool, Ordering};

/// Memory that the surfaces of one group of cell rows may take.
pub(super) const SURFACE_BYTES: usize = 8 << 20;
/// Fewer valid pixels than this share of the window do not make a correlation.
pub(super) const MIN_OVERLAP: f64 = 0.25;
/// Share of a window's energy that rounding may leave.
const ROUNDING: f64 = 1e-6;
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

/// Values and validity of the images to be correlated; the post image reaches `margin` pixels further on every side.
/// Invalid pixels are zero.
#[derive(Clone, Copy)]
pub struct Planes<'a> {
    pub pre: (&'a Grid<f32>, &'a Grid<bool>),
    pub post: (&'a Grid<f32>, &'a Grid<bool>),
    pub margin: usize,
    /// Every pixel of both is valid.
    pub all_valid: bool,
    /// The numbers of valid pixels, where they are known.
    pub counts: Option<(&'a ValidCounts, &'a ValidCounts)>,
}

/// One pair of images and what its correlations share.
struct Layer<'a> {
    planes: Planes<'a>,
    /// Of the pre windows, and of the post image.
    sums: (CellSums, SquareSums),
    /// Of the post windows at every position, where about as many are asked for.
    norms: Option<Norms>,
    masked: Option<Masked<'a>>,
    /// The cells whose windows meet no invalid pixel.
    clear: Vec<bool>,
}

/// What the masked correlation needs of both images.
struct Masked<'a> {
    pre: MaskedPlane<'a>,
    post: MaskedPlane<'a>,
}

/// Neighbouring shifts from `shift` on, so many along x and y, the windows that ask for some of them, and among those the ones with
/// gaps.
#[derive(Clone, Copy)]
struct Batch {
    shift: (i32, i32),
    shifts: (usize, usize),
    part: Part,
    gaps: Option<Part>,
}

impl<'a> Layer<'a> {
    fn new(planes: Planes<'a>, windows: &TileWindows, (x, y): (&Intervals, &Intervals), search: &SearchArea) -> Self {
        let (pre, post) = (planes.pre, planes.post);
        let asked = (2 * search.range.0 + 1) * (2 * search.range.1 + 1);
        let everywhere = 2 * asked > windows.step.0 * windows.step.1;
        let borders = if everywhere { vec![true; post.0.height + 1] } else { borders(&planes, windows, search) };
        let sums = (CellSums::new(pre.0, x, y), SquareSums::between(post.0, &borders));
        let norms = everywhere.then(|| Norms::new(&sums.1, (post.0.width, post.0.height), windows.window));
        if planes.all_valid {
            return Layer { planes, sums, norms, masked: None, clear: vec![true; windows.len()] };
        }
        let (own, other) = planes.counts.unzip();
        let masked = Masked { pre: MaskedPlane::new(pre.0, pre.1, own), post: MaskedPlane::new(post.0, post.1, other) };
        let clear = clear_cells((&masked.pre, &masked.post), planes.margin, windows, search);
        Layer { planes, sums, norms, masked: Some(masked), clear }
    }

    /// Where the pre image's first pixel lies in the post image at a shift.
    fn at(&self, shift: (i32, i32)) -> (i64, i64) {
        let margin = self.planes.margin as i64;
        (shift.0 as i64 + margin, shift.1 as i64 + margin)
    }
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
        let (mut products, mut lost) = (<[Totals; ABREAST]>::default(), Default::default());
        let (low, high) = extent(self.search, first, last);
        for layer in 0..self.layers.len() {
            for band in bands(&self.layers[layer].clear, self.windows, rows) {
                let batches = self.batches(&band, (low, high));
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
    }

    /// The batches of shifts between `low` and `high` that a band of cell rows asks for.
    fn batches(&self, band: &Band, (low, high): ((i32, i32), (i32, i32))) -> Vec<Batch> {
        let cells_x = self.windows.cells.0;
        let mut out = Vec::new();
        for (shift, shifts) in shift_batches(low, high) {
            let within = |columns| columns_of(self.search, cells_x, band.rows, columns, shift, shifts);
            let part = |columns| Part { columns, rows: band.rows };
            let Some(wanted) = within((0, cells_x)) else { continue };
            let gaps = band.masked.and_then(within).map(part);
            out.push(Batch { shift, shifts, part: part(wanted), gaps });
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

    /// What gaps take from the other sums of a batch.
    fn lost(&mut self, layer: usize, batch: &Batch, totals: &mut [Totals; 5]) {
        let (layer, intervals) = (&self.layers[layer], (&self.x, &self.y));
        let (Some(Masked { pre, post }), Some(part)) = (&layer.masked, batch.gaps) else { return };
        let (at, shifts) = (layer.at(batch.shift), batch.shifts);
        let pairs = [
            (&pre.invalid, &post.invalid),
            (layer.planes.pre.0, &post.invalid),
            (&pre.squares, &post.invalid),
            (&pre.invalid, layer.planes.post.0),
            (&pre.invalid, &post.squares),
        ];
        for (k, (total, (p, q))) in totals.iter_mut().zip(pairs).enumerate() {
            let nothing = |(x, y): (usize, usize), (w, h): (usize, usize)| {
                let there = ((x as i64 + at.0) as usize, (y as i64 + at.1) as usize);
                let (own, other) =
                    (|| pre.gaps((x, y), (w, h)) == 0, || post.gaps(there, (w + shifts.0 - 1, h + shifts.1 - 1)) == 0);
                match k {
                    0 => own() || other(),
                    1 | 2 => other(),
                    _ => own(),
                }
            };
            let request = Shifts { a: Rows::of(p), b: Rows::of(q).from(at), shifts, part };
            self.sums.sparse_sums(request, intervals, nothing, total);
        }
    }

    /// Makes correlations of the sums at one of a batch's shifts along y and puts them into the surfaces.
    #[inline(always)]
    fn normalise(
        &mut self,
        layer: usize,
        (&Batch { shift, shifts: (shifts, _), part, gaps }, line): (&Batch, usize),
        products: &Totals,
        lost: &[Totals; 5],
    ) {
        let layer = &self.layers[layer];
        let shift = (shift.0, shift.1 + line as i32);
        let at = layer.at(shift);
        let window = self.windows.window;
        let pixels = (window.0 * window.1) as f64;
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
                let own = layer.sums.0.of(x, y);
                if let (Some(Masked { pre, post }), Some(gaps), false) = (&layer.masked, gaps, layer.clear[cell]) {
                    let k = gaps.index(x, y);
                    let [both, f_lost, ff_lost, g_lost, gg_lost] = std::array::from_fn(|t| lost[t].row(k, line));
                    let (own, [f, ff_all]) = (pre.gaps((u, v), window) as f64, own);
                    for s in skip..skip + n {
                        let there = (there.0 + s, there.1);
                        let (other, [g, gg]) = (post.gaps(there, window) as f64, layer.sums.1.of(there, window));
                        let n = pixels - own - other + both[s];
                        let (f, ff) = (f - f_lost[s], ff_all - ff_lost[s]);
                        let (g, gg_here) = (g - g_lost[s], gg - gg_lost[s]);
                        // What the products in single precision leave of a constant is no texture.
                        let texture = |sum: f64, squares: f64, all: f64| squares - sum * sum / n > ROUNDING * all;
                        if n >= MIN_OVERLAP * pixels && texture(f, ff, ff_all) && texture(g, gg_here, gg) {
                            found[s] = ncc(n, f, ff, g, gg_here, fg[s]);
                        }
                    }
                } else {
                    let share = 1.0 / pixels;
                    let [mean, inverse] = norm(own, share);
                    let mean = mean * pixels;
                    let value = |fg: f64, there: [f64; 2]| {
                        let value = ((fg - mean * there[0]) * (inverse * there[1])) as f32;
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
                        for s in skip..skip + n {
                            found[s] = value(fg[s], norm(layer.sums.1.of((there.0 + s, there.1), window), share));
                        }
                    }
                }
                let place = (cell - offset) * size + slot;
                for (i, &value) in found[skip..skip + n].iter().enumerate() {
                    if self.layered.is_empty() {
                        self.values[place + i] = value;
                    } else if value > NOTHING {
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

/// The rows of the post image at which a window that is asked for begins, or has ended.
fn borders(planes: &Planes, windows: &TileWindows, search: &SearchArea) -> Vec<bool> {
    let mut out = vec![false; planes.post.0.height + 1];
    let (columns, h) = (windows.cells.0, windows.window.1);
    for y in 0..windows.cells.1 {
        let ((_, low), (_, high)) = extent(search, y * columns, (y + 1) * columns);
        let corner = (y * windows.step.1 + planes.margin) as i64;
        for top in corner + i64::from(low)..=corner + i64::from(high) {
            out[top as usize] = true;
            out[top as usize + h] = true;
        }
    }
    out
}

/// Smallest and largest shift that a cell of `first..last` asks for.
pub(super) fn extent(search: &SearchArea, first: usize, last: usize) -> ((i32, i32), (i32, i32)) {
    let (rx, ry) = (search.range.0 as i32, search.range.1 as i32);
    let starts = (first..last).map(|c| search.start(c));
    let (mut low, mut high) = ((i32::MAX, i32::MAX), (i32::MIN, i32::MIN));
    for (x, y) in starts {
        low = (low.0.min(x - rx), low.1.min(y - ry));
        high = (high.0.max(x + rx), high.1.max(y + ry));
    }
    (low, high)
}

/// The cell columns of `within` between which some cell of the rows asks for one of `shifts` shifts (along x and y) from
/// `shift` on; `cells_x` is the number of cells in a row.
pub(super) fn columns_of(
    search: &SearchArea,
    cells_x: usize,
    rows: (usize, usize),
    within: (usize, usize),
    shift: (i32, i32),
    shifts: (usize, usize),
) -> Option<(usize, usize)> {
    if search.starts.is_empty() {
        return Some(within);
    }
    let lines = || (0..shifts.1 as i32).map(|line| (shift.0, shift.1 + line));
    let asks = |cell: usize| lines().any(|shift| slots(search, cell, shift, shifts.0).is_some());
    let wants = |x: usize| (rows.0..rows.1).any(|y| asks(y * cells_x + x));
    let first = (within.0..within.1).find(|&x| wants(x))?;
    let last = (first..within.1).rev().find(|&x| wants(x))?;
    Some((first, last + 1))
}

/// Which of `shifts` shifts from `shift` on along x belong to a cell's surface: how many come before, how many they
/// are, and where the first one is.
#[inline(always)]
pub(super) fn slots(
    search: &SearchArea,
    cell: usize,
    shift: (i32, i32),
    shifts: usize,
) -> Option<(usize, usize, usize)> {
    let (rx, ry) = (search.range.0 as i32, search.range.1 as i32);
    let start = search.start(cell);
    let (x, y) = (shift.0 - start.0 + rx, shift.1 - start.1 + ry);
    let (first, last) = (x.max(0), (x + shifts as i32).min(2 * rx + 1));
    let inside = first < last && y >= 0 && y <= 2 * ry;
    inside.then(|| ((first - x) as usize, (last - first) as usize, (y * (2 * rx + 1) + first) as usize))
}

/// Zero-mean normalised cross-correlation from the five sums.
#[inline(always)]
pub(super) fn ncc(n: f64, f: f64, ff: f64, g: f64, gg: f64, fg: f64) -> f32 {
    let vf = ff - f * f / n;
    let vg = gg - g * g / n;
    let energy = vf * vg;
    // Rounding leaves a little energy in a constant window; it carries no texture.
    if vf <= 1e-10 * ff || vg <= 1e-10 * gg || energy <= 0.0 {
        return -2.0;
    }
    ((fg - f * g / n) / energy.sqrt()) as f32
}
