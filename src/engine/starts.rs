//! Where the windows of a tile are looked for: the prior, and for large searches the pyramid.

use std::sync::atomic::AtomicBool;

use super::worker::Worker;
use crate::correlate::Alignment;
use crate::correlate::prepare::PAD;
use crate::correlate::pyramid::{self, GRAIN, Wanted};
use crate::correlate::search::TileWindows;
use crate::field::PixelShift;
use crate::grid::Window;
use crate::layout::Layout;
use crate::{Error, Result};

/// Pixels around a tile that the coarse levels may look at.
const CONTEXT: usize = 64;
/// Most by which the prior of a cell may differ from its tile's median, pixels: the post image is read that far.
const SPREAD: f64 = 4096.0;

/// The starts of a tile's windows.
pub struct Starts {
    /// Whole-pixel offset of the tile in the post image.
    pub base: (i64, i64),
    /// Start of each window relative to the base; empty when all are zero.
    pub shifts: Vec<(i32, i32)>,
    /// How far around.
    pub range: (usize, usize),
    /// Expected displacements as reported; empty when zero.
    pub priors: Vec<PixelShift>,
}

impl Starts {
    /// From displacements relative to the base to reported ones.
    pub fn offset(&self, alignment: &Alignment) -> PixelShift {
        let away = |base: i64, known: i64, fraction: f64| (base - known) as f64 - fraction;
        PixelShift::new(
            away(self.base.0, alignment.base.0, alignment.fraction.0),
            away(self.base.1, alignment.base.1, alignment.fraction.1),
        )
    }

    /// Where the post image's windows, on the same cells, are looked for in the pre image.
    pub fn turned(&self, cells: Window, step: (usize, usize)) -> Starts {
        let (nx, ny) = (cells.width as i64, cells.height as i64);
        let mut shifts = vec![None; self.shifts.len()];
        for (cell, s) in self.shifts.iter().enumerate() {
            let (x, y) = (cell as i64 % nx, cell as i64 / nx);
            let lands = |at: i64, s: i32, step: usize| at + (s as f64 / step as f64).round() as i64;
            let (x, y) = (lands(x, s.0, step.0), lands(y, s.1, step.1));
            if (0..nx).contains(&x) && (0..ny).contains(&y) {
                shifts[(y * nx + x) as usize].get_or_insert((-s.0, -s.1));
            }
        }
        // Cells that nothing came to: the same place's own motion.
        let shifts = shifts.iter().zip(&self.shifts).map(|(t, s)| t.unwrap_or((-s.0, -s.1))).collect();
        Starts { base: self.base, shifts, range: self.range, priors: Vec::new() }
    }
}

impl Worker<'_> {
    /// Decides where the windows of `cells` are looked for.
    pub(super) fn starts(&mut self, layout: &Layout, cells: Window, stop: &AtomicBool) -> Result<Starts> {
        let engine = self.engine;
        let alignment = &engine.alignment;
        let priors = self.priors(layout, cells)?;
        let middle = |pick: fn(&PixelShift) -> f64| {
            let mut v: Vec<f64> = priors.iter().map(pick).collect();
            v.sort_by(f64::total_cmp);
            v.get(v.len() / 2).copied().unwrap_or(0.0).round() as i64
        };
        let moved = (middle(|p| p.dx), middle(|p| p.dy));
        let away = |p: &PixelShift| (p.dx - moved.0 as f64).abs().max((p.dy - moved.1 as f64).abs());
        if let Some(p) = priors.iter().find(|p| away(p) > SPREAD) {
            let text = format!(
                "--prior: it has {} {} px beside {} {} px; where it has no value, declare that (gdal_edit.py -a_nodata)",
                p.dx, p.dy, moved.0, moved.1
            );
            return Err(Error::Data(text));
        }
        let base = (alignment.base.0 + moved.0, alignment.base.1 + moved.1);
        let own = |p: &PixelShift| ((p.dx.round() as i64 - moved.0) as i32, (p.dy.round() as i64 - moved.1) as i32);
        let mut shifts: Vec<(i32, i32)> = priors.iter().map(own).collect();
        if shifts.iter().all(|s| *s == (0, 0)) {
            shifts.clear();
        }
        let direct = Starts { base, shifts, range: alignment.range, priors };
        if !alignment.coarse_to_fine() {
            return Ok(direct);
        }
        let Some(found) = self.coarse_to_fine(layout, cells, &direct, stop)? else { return Ok(direct) };
        let median = |pick: fn(&(i32, i32)) -> i32| {
            let mut v: Vec<i32> = found.iter().map(pick).collect();
            v.sort_unstable();
            v[v.len() / 2]
        };
        let common = (median(|s| s.0), median(|s| s.1));
        Ok(Starts {
            base: (base.0 + common.0 as i64, base.1 + common.1 as i64),
            shifts: found.iter().map(|s| (s.0 - common.0, s.1 - common.1)).collect(),
            range: (pyramid::RANGE, pyramid::RANGE),
            priors: direct.priors,
        })
    }

    /// The prior at the centres of the cells; empty without one. Where it has no value, zero is expected.
    fn priors(&mut self, layout: &Layout, cells: Window) -> Result<Vec<PixelShift>> {
        let Some(reader) = &mut self.prior else { return Ok(Vec::new()) };
        let mut centres = Vec::with_capacity(cells.width * cells.height);
        for j in cells.y..cells.bottom() {
            centres.extend((cells.x..cells.right()).map(|i| {
                let c = layout.centre(i as usize, j as usize);
                (c.dx, c.dy)
            }));
        }
        let found = reader.sample(&centres)?;
        Ok(found.into_iter().map(|v| v.map_or(PixelShift::default(), |(x, y)| PixelShift::new(x, y))).collect())
    }

    fn coarse_to_fine(
        &mut self,
        layout: &Layout,
        cells: Window,
        direct: &Starts,
        stop: &AtomicBool,
    ) -> Result<Option<Vec<(i32, i32)>>> {
        let engine = self.engine;
        let pixels = layout.pixels(cells).grown(CONTEXT);
        let spread = direct.shifts.iter().map(|s| s.0.unsigned_abs().max(s.1.unsigned_abs())).max().unwrap_or(0);
        let margin = (engine.alignment.search + spread as usize + GRAIN).next_multiple_of(GRAIN);
        let (pre, post) = &mut self.readers[0];
        let pre = pre.read(pixels.grown(PAD))?;
        let post = post.read(pixels.shifted(direct.base.0, direct.base.1).grown(margin + PAD))?;
        let (prefilter, units) = (&engine.scenes[0].prefilter, engine.scenes[0].units);
        let mut values = |image, unit| self.preparer.values(image, prefilter, unit);
        let (Some(pre), Some(post)) = (values(&pre, units.0), values(&post, units.1)) else {
            return Ok(None);
        };
        let windows = TileWindows { cells: (cells.width, cells.height), window: layout.window, step: layout.step };
        let wanted = Wanted { windows, context: CONTEXT, priors: &direct.shifts, search: engine.alignment.range };
        Ok(pyramid::starts(pre, post, margin, &wanted, stop))
    }
}
