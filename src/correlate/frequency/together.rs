//! Windows above each other measured together where their peaks are close ([`super::runs`]).

use super::runs::{self, Run};
use super::{CAPTURE, Frequency, check};
use crate::correlate::Tile;
use crate::correlate::phase::PhaseFit;
use crate::correlate::search::Peak;
use crate::correlate::sums::CellSums;
use crate::field::{Measurement, PixelShift, Status};

/// A strip of so many windows or more is interpolated again where the one in its middle is off by more than this, pixels.
const RECENTRED: usize = 16;
const CENTRED: f64 = 0.04;

/// What the windows of a strip say about one of them.
#[derive(Clone, Copy)]
pub enum Together {
    Nothing,
    /// It is displaced by about so much; the strip was not near enough.
    Near(PixelShift),
    Found(Measurement),
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
        for x in 0..columns {
            let start = |y: usize| {
                let cell = y * columns + x;
                let corner = tile.windows.corner(cell);
                let usable = check(tile.pre(), corner, sums.of(x, y), self.params, self.min_variance).is_ok()
                    && self.believable(tile, corner, &peaks[cell]);
                usable.then(|| peaks[cell].start())
            };
            for run in runs::runs(rows, runs::most((w, h), step), start) {
                if run.count > 1 && !tile.stopped() {
                    self.strip_of(tile, peaks, x, &run, &mut found);
                }
            }
        }
        found
    }

    /// The windows of a run in column `x`; nothing of them where its strip has invalid post pixels.
    #[inline(always)]
    fn strip_of(&mut self, tile: &Tile, peaks: &[Peak], x: usize, run: &Run, found: &mut [Together]) {
        let (columns, step) = (tile.windows.cells.0, tile.windows.step.1);
        let Some((d, middle)) = self.load(tile, x, run) else { return };
        for k in 0..run.count {
            let cell = (run.first + k) * columns + x;
            let fit = match middle.filter(|_| k == run.count / 2) {
                Some(fit) => fit,
                None => self.strip_fit(k * step),
            };
            let off = fit.dx.hypot(fit.dy);
            if !fit.converged || off > CAPTURE {
                continue;
            }
            let d = PixelShift::new(d.dx + fit.dx, d.dy + fit.dy);
            found[cell] = Together::Near(d);
            if off <= self.limits.1 {
                let mut m = self.judge(&fit, d, peaks[cell].shift);
                tile.check_search(cell, &mut m);
                // What failed goes by itself, as it would without a strip.
                found[cell] = if m.status == Status::NoConvergence { Together::Nothing } else { Together::Found(m) };
            }
        }
    }

    /// Loads the strip of a run and says at which displacement, with the fit of its middle window where that was made there.
    #[inline(always)]
    fn load(&mut self, tile: &Tile, x: usize, run: &Run) -> Option<(PixelShift, Option<PhaseFit>)> {
        let (w, h) = self.params.window;
        let (pre, post, step) = (tile.pre(), tile.post(), tile.windows.step.1);
        let corner = tile.windows.corner(run.first * tile.windows.cells.0 + x);
        let height = (run.count - 1) * step + h;
        let whole = |d: PixelShift| {
            let near = |c: usize, d: f64| c as i64 + post.search as i64 + d.round() as i64;
            post.counts.count(near(corner.0, d.dx), near(corner.1, d.dy), (w, height)) == w * height
        };
        let d = run.middle();
        if !whole(d) {
            return None;
        }
        self.strip.load((pre, post), corner, height, d, self.ffts.complex(w, h));
        let fit = self.strip_fit(run.count / 2 * step);
        if fit.converged && run.count >= RECENTRED {
            // What phases have against peaks is much the same for neighbours.
            let off = fit.dx.hypot(fit.dy);
            let better = PixelShift::new(d.dx + fit.dx, d.dy + fit.dy);
            if off > CENTRED && off <= CAPTURE && whole(better) {
                self.strip.load((pre, post), corner, height, better, self.ffts.complex(w, h));
                return Some((better, None));
            }
        }
        Some((d, Some(fit)))
    }

    /// The fit of the window that begins `from` rows below the strip's top.
    #[inline(always)]
    fn strip_fit(&mut self, from: usize) -> PhaseFit {
        self.last.strip_phases(&self.strip, from, &mut self.ffts);
        let last = &self.last;
        last.plane.fit(&last.re, &last.im, &last.weights, &mut self.scratch)
    }
}
