//! The `lsm` method: least-squares matching of all windows of a tile.
//!
//! Each window starts at its own correlation peak; windows with all their pixels take the products from sums shared by all windows
//! of the tile ([`super::lsm_shared`]). A second pass looks at windows that failed or disagree with their
//! neighbours, restarts them from the neighbours' median, and keeps whichever solution correlates better: the criterion
//! is the same, only the search for its maximum is wider.

use super::bilateral::Motion;
use super::chance::Chance;
use super::cut::Support;
use super::lsm::{Limits, LsmWindow, Solution};
use super::lsm_affine::LsmAffine;
use super::lsm_cut::{self, Lean};
use super::lsm_joint;
use super::lsm_level;
use super::lsm_shared;
use super::scene::Scene;
use super::search::{Peak, integer_peaks};
use super::split::{self, Split};
use super::{Band, Method, Tile};
use crate::field::{Measurement, PixelShift, Status};
use crate::pipeline::{Params, Shape};

/// A window farther than this from its neighbours' median is tried again from there, pixels.
const SUSPICIOUS: f64 = 0.75;

pub struct LsmTile {
    /// Those of the first band.
    limits: Limits,
    chance: Chance,
    /// One a band.
    works: Vec<LsmWindow>,
    affine: Option<LsmAffine>,
    bilateral: bool,
    /// Of the tile's windows that a line cuts.
    leans: Vec<Lean>,
    /// Look for jumps inside windows, and those found in the last tile.
    split: bool,
    splits: Vec<Split>,
    /// Solve every window by itself.
    alone: bool,
}

impl LsmTile {
    pub fn new(params: &Params, scenes: &[Scene]) -> Self {
        let limits = Limits { min_valid: params.min_valid, min_variance: scenes[0].min_variance };
        LsmTile {
            limits,
            chance: Chance::new(params, &scenes[0]),
            works: scenes.iter().map(|_| LsmWindow::tapered(params.window, params.taper)).collect(),
            affine: (params.shape == Shape::Affine).then(|| LsmAffine::new(params.window)),
            bilateral: params.bilateral,
            leans: Vec::new(),
            split: params.split,
            splits: Vec::new(),
            alone: false,
        }
    }

    /// The same with every window solved by itself: slow, and what the shared sums are compared with.
    pub fn window_by_window(params: &Params, scenes: &[Scene]) -> Self {
        LsmTile { alone: true, ..LsmTile::new(params, scenes) }
    }

    /// Matches a window from `start` with the pixels of `on`; what may be chance is no match.
    fn attempt(&mut self, tile: &Tile, cell: usize, start: PixelShift, on: Pixels) -> Solution {
        let found = self.solve(tile, cell, start, on);
        self.unless_chance(tile, found, self.works[0].effective())
    }

    /// The solution of a window of so many `pixels`, a failure where chance may have made it.
    fn unless_chance(&self, tile: &Tile, found: Solution, pixels: f64) -> Solution {
        let least = self.chance.least(pixels * tile.bands.len() as f64);
        match found.measurement.status == Status::Valid && found.correlation < least {
            true => failed(Status::NoConvergence),
            false => found,
        }
    }

    /// The solutions of the windows that share their sums with others: of one band, with all pixels valid and of one weight;
    /// empty where there are none.
    fn shared(&mut self, tile: &Tile, peaks: &[Peak]) -> Vec<Option<Solution>> {
        if self.alone || tile.bands.len() > 1 || !self.works[0].is_plain() {
            return Vec::new();
        }
        let cut = |cell: usize| support(tile, cell).is_some();
        lsm_shared::solutions(tile, peaks, &self.limits, &mut self.works[0], cut)
    }

    fn solve(&mut self, tile: &Tile, cell: usize, start: PixelShift, on: Pixels) -> Solution {
        if tile.stopped() {
            return failed(Status::NoData);
        }
        let corner = on.corner.unwrap_or_else(|| tile.windows.corner(cell));
        let shift = tile.area.nearest(cell, start);
        if tile.bands.len() > 1 {
            return self.attempt_bands(tile, corner, shift, start, on);
        }
        let limits = on.limits(&self.works[0], &self.limits);
        match self.works[0].load(tile.pre(), tile.post(), corner, shift, on.weights, &limits) {
            Ok(()) => self.works[0].solve(tile.post(), corner, start),
            Err(status) => failed(status),
        }
    }

    /// The same with all bands; those without data or texture in the window are left out.
    fn attempt_bands(
        &mut self,
        tile: &Tile,
        corner: (usize, usize),
        shift: (i32, i32),
        start: PixelShift,
        on: Pixels,
    ) -> Solution {
        let of_one = |work: &LsmWindow, band: &Band| {
            on.limits(work, &Limits { min_variance: band.scene.min_variance, ..self.limits })
        };
        let (mut usable, on_pixels) = (Vec::new(), (on.weights, of_one));
        match lsm_joint::load(&mut self.works, &mut usable, tile.bands, (corner, shift), on_pixels) {
            Ok(()) => lsm_joint::solve(&mut self.works, tile.bands, &usable, corner, start),
            Err(status) => failed(status),
        }
    }

    /// Windows whose pixels did not move alike, with those that moved like the centre.
    fn sharpen(&mut self, tile: &Tile, found: Vec<Solution>) -> Vec<Solution> {
        let motion = Motion::new(&tile.windows, &found);
        let mut out = found.clone();
        for cell in 0..found.len() {
            // A window that a line cuts knows its side already.
            let Some(weights) = motion.weights(cell).filter(|_| support(tile, cell).is_none()) else { continue };
            let alike = Pixels { corner: None, weights: Some(&weights), fewer: false };
            let mut again = self.attempt(tile, cell, motion.at(cell), alike);
            tile.check_search(cell, &mut again.measurement);
            // Where too few pixels are alike the whole window's value stays.
            if again.measurement.status == Status::Valid {
                out[cell] = again;
            }
        }
        out
    }

    /// The affine solution of every window that the translation found or has a peak for.
    fn reshape(&mut self, tile: &Tile, peaks: &[Peak], found: Vec<Solution>) -> Vec<Solution> {
        let Some(mut affine) = self.affine.take() else { return found };
        let mut out = found;
        let motion = self.bilateral.then(|| Motion::new(&tile.windows, &out));
        for cell in 0..out.len() {
            if tile.stopped() {
                break;
            }
            let m = &out[cell].measurement;
            if matches!(m.status, Status::NoData | Status::LowTexture | Status::SearchEdge) {
                continue;
            }
            let start = if m.status == Status::Valid { m.shift } else { peaks[cell].start() };
            let weights = motion.as_ref().and_then(|m| m.weights(cell));
            let corner = tile.windows.corner(cell);
            let (pre, post) = (tile.pre(), tile.post());
            let work = &self.works[0];
            let mut again = affine.solve(work, (pre, post), corner, start, weights.as_deref(), &self.limits);
            if again.correlation < self.chance.least(work.whole()) && again.measurement.status == Status::Valid {
                again = failed(Status::NoConvergence);
            }
            tile.check_search(cell, &mut again.measurement);
            out[cell] = again;
        }
        self.affine = Some(affine);
        out
    }

    /// First pass: from the window's own peak.
    fn first(&mut self, tile: &Tile, peaks: &[Peak]) -> Vec<Solution> {
        let mut solutions = Vec::with_capacity(peaks.len());
        let shared = self.shared(tile, peaks);
        self.leans.clear();
        for (cell, peak) in peaks.iter().enumerate() {
            let support = support(tile, cell);
            let own = support.as_ref().map(|s| {
                self.leans.extend(lsm_cut::lean(tile, cell, s));
                lsm_cut::own_peak(tile, cell, s)
            });
            let (peak, support) = (own.as_ref().unwrap_or(peak), support.as_ref());
            let mut solution = if let Some(solution) = shared.get(cell).copied().flatten() {
                self.unless_chance(tile, solution, self.works[0].whole())
            } else if peak.edge && peak.correlation > -2.0 {
                // The window may still be nodata or without texture, which says more than "edge".
                let edge = PixelShift::new(peak.shift.0 as f64, peak.shift.1 as f64);
                let at_edge = self.attempt(tile, cell, edge, Pixels::of(support));
                match at_edge.measurement.status {
                    Status::NoData | Status::LowTexture => at_edge,
                    _ => failed(Status::SearchEdge),
                }
            } else {
                self.attempt(tile, cell, peak.start(), Pixels::of(support))
            };
            tile.check_search(cell, &mut solution.measurement);
            solutions.push(solution);
        }
        solutions
    }

    /// Second pass: suspicious windows from their neighbours' median.
    fn second(&mut self, tile: &Tile, first: &[Solution]) -> Vec<Solution> {
        let mut out = first.to_vec();
        for cell in 0..first.len() {
            let m = &first[cell].measurement;
            if matches!(m.status, Status::NoData | Status::LowTexture) {
                continue;
            }
            let Some(median) = neighbours_median(tile, first, cell) else { continue };
            let far = (m.shift.dx - median.dx).abs().max((m.shift.dy - median.dy).abs()) > SUSPICIOUS;
            if m.status == Status::Valid && !far {
                continue;
            }
            let mut again = self.attempt(tile, cell, median, Pixels::of(support(tile, cell).as_ref()));
            tile.check_search(cell, &mut again.measurement);
            if again.measurement.status == Status::Valid && again.correlation > first[cell].correlation {
                out[cell] = again;
            }
        }
        out
    }
}

fn failed(status: Status) -> Solution {
    Solution { measurement: Measurement::failed(status), correlation: -1.0, iterations: 0 }
}

/// Which pixels of a window count.
#[derive(Clone, Copy)]
struct Pixels<'s> {
    /// Top-left pixel, where it is not the cell's own.
    corner: Option<(usize, usize)>,
    /// Multiply the taper.
    weights: Option<&'s [f32]>,
    /// The window may be as small as its weights make it: only pixels without data count as missing.
    fewer: bool,
}

impl<'s> Pixels<'s> {
    /// The window's own side of a line, or all of them.
    fn of(support: Option<&'s Support>) -> Self {
        let weights = support.map(|s| s.weights.as_slice());
        Pixels { corner: support.map(|s| s.corner), weights, fewer: weights.is_some() }
    }

    fn limits(&self, work: &LsmWindow, limits: &Limits) -> Limits {
        match self.weights.filter(|_| self.fewer) {
            Some(weights) => work.limits_on(limits, weights),
            None => *limits,
        }
    }
}

/// The pixels of a window that a line cuts.
fn support(tile: &Tile, cell: usize) -> Option<Support> {
    let size = (tile.pre().values.width, tile.pre().values.height);
    tile.cuts?.support(tile.windows.corner(cell), tile.windows.window, size)
}

/// Component-wise median of the valid ones among the eight neighbours, as far as no line lies between; `None` with
/// fewer than four, or three beside a line.
fn neighbours_median(tile: &Tile, solutions: &[Solution], cell: usize) -> Option<PixelShift> {
    let (nx, ny) = tile.windows.cells;
    let mut fewest = 4;
    let (x, y) = (cell % nx, cell / nx);
    let (mut dx, mut dy) = (Vec::with_capacity(8), Vec::with_capacity(8));
    for j in y.saturating_sub(1)..(y + 2).min(ny) {
        for i in x.saturating_sub(1)..(x + 2).min(nx) {
            let m = &solutions[j * nx + i].measurement;
            if !lsm_cut::visible(tile, cell, j * nx + i) {
                fewest = 3;
            } else if (i, j) != (x, y) && m.status == Status::Valid {
                dx.push(m.shift.dx);
                dy.push(m.shift.dy);
            }
        }
    }
    if dx.len() < fewest {
        return None;
    }
    let middle = |v: &mut Vec<f64>| {
        v.sort_by(f64::total_cmp);
        0.5 * (v[(v.len() - 1) / 2] + v[v.len() / 2])
    };
    Some(PixelShift::new(middle(&mut dx), middle(&mut dy)))
}

impl Method for LsmTile {
    fn match_tile(&mut self, tile: &Tile) -> Vec<Measurement> {
        let peaks = integer_peaks(&tile.pairs(), &tile.windows, &tile.area, tile.stop);
        let first = self.first(tile, &peaks);
        let mut found = self.second(tile, &first);
        if self.bilateral && self.affine.is_none() {
            found = self.sharpen(tile, found);
        }
        if self.affine.is_some() {
            found = self.reshape(tile, &peaks, found);
        }
        let mut found: Vec<Measurement> = found.into_iter().map(|s| s.measurement).collect();
        // What moved like the centre, or an affine shape, is level already.
        let lean = tile.centred && self.affine.is_none() && !self.bilateral;
        let leans = &self.leans;
        let level = |work: &LsmWindow, found: &mut [Measurement], more: &[Lean]| {
            let among = |leans: &[Lean], cell: usize| leans.binary_search_by_key(&cell, |l| l.cell).is_ok();
            if lean {
                lsm_level::level(tile, work, found, &|cell| among(leans, cell) || among(more, cell));
            }
            lsm_cut::level(tile, found, leans, &|a, b| lsm_cut::visible(tile, a, b));
        };
        if self.split {
            self.splits = split::split(tile, &mut self.works[0], &self.limits, &mut found, level);
        } else {
            level(&self.works[0], &mut found, &[]);
        }
        found
    }

    fn splits(&mut self) -> Vec<Split> {
        std::mem::take(&mut self.splits)
    }
}
