//! The `lsm` method: least-squares matching of all windows of a tile.
//!
//! Each window starts at its own correlation peak. A second pass looks at windows that failed or disagree with their
//! neighbours, restarts them from the neighbours' median, and keeps whichever solution correlates better: the criterion
//! is the same, only the search for its maximum is wider.

use super::cut::Support;
use super::lsm::{Limits, LsmWindow, Solution};
use super::lsm_cut::{self, Lean};
use super::scene::Scene;
use super::search::{Peak, integer_peaks};
use super::split::{self, Split};
use super::{Method, Tile};
use crate::field::{Measurement, PixelShift, Status};
use crate::pipeline::Params;

/// A window farther than this from its neighbours' median is tried again from there, pixels.
const SUSPICIOUS: f64 = 0.75;

pub struct LsmTile {
    limits: Limits,
    work: LsmWindow,
    /// Of the tile's windows that a line cuts.
    leans: Vec<Lean>,
    /// Look for jumps inside windows, and those found in the last tile.
    split: bool,
    splits: Vec<Split>,
}

impl LsmTile {
    pub fn new(params: &Params, scenes: &[Scene]) -> Self {
        let limits = Limits { min_valid: params.min_valid, min_variance: scenes[0].min_variance };
        LsmTile {
            limits,
            work: LsmWindow::new(params.window),
            leans: Vec::new(),
            split: params.split,
            splits: Vec::new(),
        }
    }

    #[inline(always)]
    fn attempt(&mut self, tile: &Tile, cell: usize, start: PixelShift, support: Option<&Support>) -> Solution {
        if tile.stopped() {
            return failed(Status::NoData);
        }
        let corner = support.map_or_else(|| tile.windows.corner(cell), |s| s.corner);
        let weights = support.map(|s| s.weights.as_slice());
        let shift = tile.area.nearest(cell, start);
        match self.work.load(tile.pre(), tile.post(), corner, shift, &self.limits, weights) {
            Ok(()) => self.work.solve(tile.post(), corner, start),
            Err(status) => Solution { measurement: Measurement::failed(status), correlation: -1.0, iterations: 0 },
        }
    }

    /// First pass: from the window's own peak.
    #[inline(always)]
    fn first(&mut self, tile: &Tile, peaks: &[Peak]) -> Vec<Solution> {
        let mut solutions = Vec::with_capacity(peaks.len());
        self.leans.clear();
        for (cell, peak) in peaks.iter().enumerate() {
            let support = support(tile, cell);
            let own = support.as_ref().map(|s| {
                self.leans.extend(lsm_cut::lean(tile, cell, s));
                lsm_cut::own_peak(tile, cell, s)
            });
            let (peak, support) = (own.as_ref().unwrap_or(peak), support.as_ref());
            let mut solution = if peak.edge && peak.correlation > -2.0 {
                // The window may still be nodata or without texture, which says more than "edge".
                let at_edge =
                    self.attempt(tile, cell, PixelShift::new(peak.shift.0 as f64, peak.shift.1 as f64), support);
                match at_edge.measurement.status {
                    Status::NoData | Status::LowTexture => at_edge,
                    _ => failed(Status::SearchEdge),
                }
            } else {
                self.attempt(tile, cell, peak.start(), support)
            };
            tile.check_search(cell, &mut solution.measurement);
            solutions.push(solution);
        }
        solutions
    }

    /// Second pass: suspicious windows from their neighbours' median.
    #[inline(always)]
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
            let mut again = self.attempt(tile, cell, median, support(tile, cell).as_ref());
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
        pulp::Arch::new().dispatch(BothPasses { method: self, tile, peaks })
    }

    fn splits(&mut self) -> Vec<Split> {
        std::mem::take(&mut self.splits)
    }
}

/// The two passes, compiled for the widest vectors of the machine (same sums on every one).
struct BothPasses<'t, 'm> {
    method: &'m mut LsmTile,
    tile: &'t Tile<'t>,
    peaks: Vec<Peak>,
}

impl pulp::WithSimd for BothPasses<'_, '_> {
    type Output = Vec<Measurement>;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> Self::Output {
        let first = self.method.first(self.tile, &self.peaks);
        let second = self.method.second(self.tile, &first);
        let mut found: Vec<Measurement> = second.into_iter().map(|s| s.measurement).collect();
        let tile = self.tile;
        lsm_cut::level(tile, &mut found, &self.method.leans, &|a, b| lsm_cut::visible(tile, a, b));
        if self.method.split {
            self.method.splits = split::split(tile, &mut self.method.work, &self.method.limits, &mut found);
        }
        found
    }
}
