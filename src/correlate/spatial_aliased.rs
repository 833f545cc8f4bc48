//! The peaks of `spatial` between the pixels where the texture is aliased: by least squares.
//!
//! With texture beyond Nyquist the best linear interpolation keeps less of the signal between the pixels than on them, and less
//! the finer the detail. The correlation with the interpolated image is therefore drawn to whole pixels, and no norm
//! mends that, for how much depends on the fine detail that the two windows have in common. The condition of least
//! squares, Σ f_x g(x + d) = 0 ([`super::lsm`]), asks only for the phase, which the interpolator of the scene has
//! ([`super::interp`]).

use super::lsm::{Limits, LsmWindow, Solution};
use super::lsm_joint;
use super::lsm_shared;
use super::scene::Scene;
use super::search::{Peak, integer_peaks};
use super::spatial::{Spatial, support};
use super::surface::NOTHING;
use super::{Band, Tile};
use crate::field::{Measurement, Status};
use crate::pipeline::Params;

pub struct Aliased {
    min_valid: f64,
    /// One a band, and whether the cell's window is in it.
    works: Vec<LsmWindow>,
    usable: Vec<bool>,
    /// Solve every window by itself.
    alone: bool,
}

impl Aliased {
    /// `None` where the interpolator keeps everything between the pixels.
    pub fn new(params: &Params, scenes: &[Scene], alone: bool) -> Option<Self> {
        scenes.iter().any(|s| s.spline.allows_aliasing()).then(|| Aliased {
            min_valid: params.min_valid,
            works: scenes.iter().map(|_| LsmWindow::new(params.window)).collect(),
            usable: Vec::new(),
            alone,
        })
    }

    /// The solutions of the windows of a tile that share their sums, from the peaks of all; empty where none do.
    pub fn shared(&mut self, tile: &Tile, peaks: &[Peak]) -> Vec<Option<Solution>> {
        if self.alone || tile.bands.len() > 1 {
            return Vec::new();
        }
        let limits = Limits { min_valid: self.min_valid, min_variance: tile.bands[0].scene.min_variance };
        let own_side = |cell: usize| support(tile, cell).is_some();
        lsm_shared::solutions(tile, peaks, &limits, &mut self.works[0], own_side)
    }

    /// The solution of one window by itself.
    pub fn solve(&mut self, tile: &Tile, cell: usize, found: &Peak) -> Solution {
        let corner = tile.windows.corner(cell);
        let weights = support(tile, cell);
        let of_one = |work: &LsmWindow, band: &Band| {
            let limits = Limits { min_valid: self.min_valid, min_variance: band.scene.min_variance };
            weights.as_deref().map_or(limits, |w| work.limits_on(&limits, w))
        };
        let (at, on) = ((corner, found.shift), (weights.as_deref(), of_one));
        if let Err(status) = lsm_joint::load(&mut self.works, &mut self.usable, tile.bands, at, on) {
            return Solution::failed(status, 0);
        }
        if found.correlation <= NOTHING {
            return Solution::failed(Status::NoData, 0);
        }
        if found.edge {
            return Solution::failed(Status::SearchEdge, 0);
        }
        match tile.bands {
            [band] => self.works[0].solve(&band.post, corner, found.start()),
            bands => lsm_joint::solve(&mut self.works, bands, &self.usable, corner, found.start()),
        }
    }

    /// Pixels, or their weights, that the last solution came from; of a window that shares its sums all.
    pub fn pixels(&self, shared: bool) -> f64 {
        if shared {
            return self.works[0].whole();
        }
        self.works.iter().zip(&self.usable).filter(|(_, usable)| **usable).map(|(w, _)| w.effective()).sum()
    }
}

impl Spatial {
    /// As [`super::Method::match_tile`] where the texture is aliased.
    pub(super) fn match_aliased(&mut self, tile: &Tile, aliased: &mut Aliased) -> Vec<Measurement> {
        let peaks = integer_peaks(&tile.pairs(), &tile.windows, &tile.area, tile.stop);
        let solved = aliased.shared(tile, &peaks);
        let mut surfaces = self.surfaces(tile);
        let (columns, rows) = tile.windows.cells;
        let group = surfaces.as_ref().map_or(rows, |s| s.group());
        let mut out = Vec::with_capacity(tile.windows.len());
        for first in (0..rows).step_by(group) {
            let last = (first + group).min(rows);
            if let Some(s) = &mut surfaces {
                s.compute(first, last, tile.stop);
            }
            for cell in first * columns..last * columns {
                if tile.stopped() {
                    break;
                }
                let (found, surface) = (&peaks[cell], surfaces.as_ref().map_or(&[][..], |s| s.of(cell)));
                let together = solved.get(cell).copied().flatten();
                let solution = together.unwrap_or_else(|| aliased.solve(tile, cell, found));
                let pixels = aliased.pixels(together.is_some());
                out.push(self.judge(tile, cell, (found, surface), (solution, pixels)));
            }
        }
        out.resize(tile.windows.len(), Measurement::failed(Status::NoData));
        out
    }

    /// Status, quality and covariance of a solution that came from so many `pixels`.
    fn judge(
        &self,
        tile: &Tile,
        cell: usize,
        (found, surface): (&Peak, &[f32]),
        (solution, pixels): (Solution, f64),
    ) -> Measurement {
        let m = solution.measurement;
        if m.status != Status::Valid {
            return m;
        }
        if solution.correlation < self.chance.least(pixels) {
            return Measurement::failed(Status::NoConvergence);
        }
        self.stated(tile, cell, (found, surface, pixels), (m.shift, m.quality), || Some(m.covariance))
    }
}
