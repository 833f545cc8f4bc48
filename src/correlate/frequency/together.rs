//! Windows above each other measured together where their peaks are close ([`super::runs`]).

use super::runs::{self, Reach, Run};
use super::{CAPTURE, Frequency, check};
use crate::correlate::Tile;
use crate::correlate::phase::PhaseFit;
use crate::correlate::search::Peak;
use crate::correlate::sums::CellSums;
use crate::field::{Measurement, PixelShift, Status};

/// A strip of so many windows or more is interpolated again where the one in its middle is as far off.
const RECENTRED: usize = 16;

/// Largest difference between the displacement of a strip and the start of one of its windows, along each axis, as a share of the
/// correction that ends the fits of a window by itself.
const CLOSE: f64 = 0.4;

/// What the windows of a strip say about one of them.
#[derive(Clone, Copy)]
pub enum Together {
    Nothing,
    /// It is displaced by about so much; the strip was not near enough.
    Near(PixelShift),
    Found(Measurement),
}

impl Together {
    fn near(&self) -> Option<PixelShift> {
        match self {
            Together::Near(d) => Some(*d),
            _ => None,
        }
    }
}

impl Frequency<'_> {
    /// Measures windows above each other together where their peaks are close.
    #[inline(always)]
    pub(super) fn strips(&mut self, tile: &Tile, sums: &CellSums, peaks: &[Peak]) -> Vec<Together> {
        let (w, h) = self.params.window;
        let (columns, rows) = tile.windows.cells;
        let step = tile.windows.step.1;
        let mut found = vec![Together::Nothing; tile.windows.len()];
        // Beside lines, in aliased texture, where each window has its own mean or shares few rows, windows go by themselves.
        if tile.cuts.is_some() || self.slopes.is_some() || !self.last.centred || 4 * step > h {
            return found;
        }
        let reach = Reach::new((w, h), step, CLOSE * self.limits.1);
        for x in 0..columns {
            let start = |y: usize| {
                let cell = y * columns + x;
                let corner = tile.windows.corner(cell);
                let usable = check(tile.pre(), corner, sums.of(x, y), self.params, self.min_variance).is_ok();
                (usable && self.believable(tile, corner, &peaks[cell])).then(|| peaks[cell].start())
            };
            let first = runs::runs(rows, reach, start);
            self.measure_runs(tile, peaks, x, &first, &mut found);
            // Peaks may be off; what fits say of windows above each other agrees better.
            let again = runs::runs(rows, reach, |y| found[y * columns + x].near());
            self.measure_runs(tile, peaks, x, &again, &mut found);
        }
        found
    }

    /// The windows of the runs of column `x`; those of single ones are left.
    #[inline(always)]
    fn measure_runs(&mut self, tile: &Tile, peaks: &[Peak], x: usize, runs: &[Run], found: &mut [Together]) {
        let (columns, step) = (tile.windows.cells.0, tile.windows.step.1);
        for run in runs {
            if run.cells.len() == 1 || tile.stopped() {
                continue;
            }
            let (d, middle) = self.load(tile, x, run);
            for (k, y) in run.cells.iter().enumerate() {
                let fit = match middle.filter(|_| k == run.cells.len() / 2) {
                    Some(fit) => fit,
                    None => self.strip_fit((y - run.first()) * step),
                };
                found[y * columns + x] = self.say(tile, &fit, d, y * columns + x, peaks);
            }
        }
    }

    /// What a fit at displacement `d` of a strip says about a cell.
    #[inline(always)]
    fn say(&self, tile: &Tile, fit: &PhaseFit, d: PixelShift, cell: usize, peaks: &[Peak]) -> Together {
        let off = fit.dx.hypot(fit.dy);
        if !fit.converged || off > CAPTURE {
            return Together::Nothing;
        }
        let d = PixelShift::new(d.dx + fit.dx, d.dy + fit.dy);
        if off > self.limits.1 {
            return Together::Near(d);
        }
        let mut m = self.judge(fit, d, peaks[cell].shift);
        tile.check_search(cell, &mut m);
        // What failed goes by itself, as it would without a strip.
        if m.status == Status::NoConvergence { Together::Nothing } else { Together::Found(m) }
    }

    /// Loads the strip of a run and says at which displacement, with the fit of its middle window where that was made there.
    #[inline(always)]
    fn load(&mut self, tile: &Tile, x: usize, run: &Run) -> (PixelShift, Option<PhaseFit>) {
        let (w, h) = self.params.window;
        let step = tile.windows.step.1;
        let corner = tile.windows.corner(run.first() * tile.windows.cells.0 + x);
        let height = (run.last() - run.first()) * step + h;
        let pair = (tile.pre(), tile.post());
        let d = run.middle();
        self.strip.load(pair, corner, height, d, self.ffts.complex(w, h));
        let fit = self.strip_fit((run.cells[run.cells.len() / 2] - run.first()) * step);
        if fit.converged && run.cells.len() >= RECENTRED {
            // What phases have against peaks is much the same for neighbours.
            let off = fit.dx.hypot(fit.dy);
            if off > CLOSE * self.limits.1 && off <= CAPTURE {
                let better = PixelShift::new(d.dx + fit.dx, d.dy + fit.dy);
                self.strip.load(pair, corner, height, better, self.ffts.complex(w, h));
                return (better, None);
            }
        }
        (d, Some(fit))
    }

    /// The fit of the window that begins `from` rows below the strip's top.
    #[inline(always)]
    fn strip_fit(&mut self, from: usize) -> PhaseFit {
        self.last.strip_phases(&mut self.strip, from, &mut self.ffts);
        let last = &self.last;
        last.plane.fit(&last.re, &last.im, &last.weights, &mut self.scratch)
    }
}
