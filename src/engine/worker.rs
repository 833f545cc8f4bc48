//! One thread's handles and buffers, and how a tile is measured.

use std::sync::atomic::AtomicBool;

use super::Engine;
use super::around;
use super::jumps::{self, Jump};
use super::starts::Starts;
use crate::Result;
use crate::correlate::cut::Cuts;
use crate::correlate::lsm_level;
use crate::correlate::prepare::{Parts, Preparer, Recipe};
use crate::correlate::scene::Scene;
use crate::correlate::search::{SearchArea, TileWindows};
use crate::correlate::split::Split;
use crate::correlate::{Band, Method, Tile, coherent};
use crate::field::{Measurement, PixelShift, Status};
use crate::grid::{Grid, ImageReader, PointReader, Window};
use crate::layout::Layout;
use crate::net::images::Pixels;
use crate::pipeline::{ComplexUse, MethodName, Pair};
use crate::post::{backward, outlier};

/// A pre and a post image as one thread reads them.
pub(super) type Readers<'a> = (Box<dyn ImageReader + 'a>, Box<dyn ImageReader + 'a>);

/// One thread's handles and buffers.
pub struct Worker<'a> {
    pub(super) engine: &'a Engine,
    pub(super) readers: Vec<Readers<'a>>,
    pub(super) prior: Option<Box<dyn PointReader + 'a>>,
    pub(super) preparer: Preparer,
    /// Of the pre and the post image.
    sizes: [(usize, usize); 2],
    cuts: &'a [Vec<(f64, f64)>],
    /// Found in the last tile, with those of the cells around it.
    splits: Vec<Split>,
    jumps: Vec<Jump>,
    /// One for each stage.
    methods: Vec<Box<dyn Method + 'a>>,
}

/// Which image plays the part of the pre image.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Direction {
    Forward,
    Backward,
}

impl<'a> Worker<'a> {
    pub(super) fn new(engine: &'a Engine, pair: &Pair<'a>) -> Result<Self> {
        let mut readers = Vec::new();
        for (pre, post) in &pair.bands {
            readers.push((pre.open()?, post.open()?));
        }
        let prior = pair.prior.map(|p| p.open()).transpose()?;
        let methods = engine.stages.iter().map(|s| s.method(&engine.scenes)).collect();
        Ok(Worker {
            engine,
            readers,
            prior,
            preparer: Preparer::default(),
            sizes: [pair.bands[0].0.size(), pair.bands[0].1.size()],
            cuts: pair.cuts,
            splits: Vec::new(),
            jumps: Vec::new(),
            methods,
        })
    }

    /// Measures the cells `tile` of the whole grid, one of [`Layout::tiles`].
    pub fn tile(&mut self, tile: Window, stop: &AtomicBool) -> Result<Grid<Measurement>> {
        let engine = self.engine;
        // The outlier filter looks at cells around the tile.
        let mut reach = if engine.params.reject_outliers { outlier::REACH } else { 0 };
        let (window, step) = (engine.layout.window, engine.layout.step);
        if engine.params.split || Cuts::meet(self.cuts, engine.layout.pixels(tile)) {
            // Windows at a jump ask those around them how the displacement changes.
            reach = reach.max(window.0.div_ceil(step.0)).max(window.1.div_ceil(step.1));
        }
        if engine.params.method == MethodName::Lsm && self.centred() {
            // And so does every window.
            let largest =
                engine.stages.iter().map(|s| s.layout.window).fold((0, 0), |a, w| (a.0.max(w.0), a.1.max(w.1)));
            reach += lsm_level::reach(largest.0, step.0).max(lsm_level::reach(largest.1, step.1));
        }
        let all = Window::new(0, 0, engine.layout.cells.0, engine.layout.cells.1);
        let cells = tile.grown(reach).intersect(&all).unwrap_or(tile);
        self.splits.clear();
        let mut field = self.stage(0, cells, stop)?;
        self.jumps = jumps::pieces(&engine.layout, cells, tile, &self.splits);
        for stage in 1..engine.stages.len() {
            // Larger windows fill what smaller ones could not measure.
            let lost = |m: &Measurement| m.status != Status::Valid;
            if !field.data.iter().any(lost) {
                break;
            }
            let larger = self.stage(stage, cells, stop)?;
            for (m, l) in field.data.iter_mut().zip(&larger.data) {
                if lost(m) && l.status == Status::Valid {
                    *m = *l;
                }
            }
        }
        let (sx, sy) = engine.sigma_scale;
        for m in &mut field.data {
            m.covariance.xx *= sx * sx;
            m.covariance.xy *= sx * sy;
            m.covariance.yy *= sy * sy;
        }
        Ok(field.crop(Window::new(tile.x - cells.x, tile.y - cells.y, tile.width, tile.height)))
    }

    /// The run knows of lines or looks for jumps.
    fn centred(&self) -> bool {
        self.engine.params.split || !self.cuts.is_empty()
    }

    /// Measures cells with one window size: matching, the check backwards, the outlier filter.
    fn stage(&mut self, stage: usize, cells: Window, stop: &AtomicBool) -> Result<Grid<Measurement>> {
        let engine = self.engine;
        let layout = engine.stages[stage].layout;
        let starts = self.starts(&layout, cells, stop)?;
        let mut field = self.match_cells(stage, &layout, cells, &starts, Direction::Forward, stop)?;
        if let Some(tolerance) = engine.params.backward {
            let turned = starts.turned(cells, layout.step);
            let back = self.match_cells(stage, &layout, cells, &turned, Direction::Backward, stop)?;
            backward::reject(&mut field, &back, layout.step, tolerance);
        }
        let offset = starts.offset(&engine.alignment);
        for m in &mut field.data {
            m.shift.dx += offset.dx;
            m.shift.dy += offset.dy;
        }
        if engine.params.reject_outliers {
            outlier::reject(&mut field, engine.params.search);
        }
        Ok(field)
    }

    /// Displacements relative to the tile's base.
    fn match_cells(
        &mut self,
        stage: usize,
        layout: &Layout,
        cells: Window,
        starts: &Starts,
        direction: Direction,
        stop: &AtomicBool,
    ) -> Result<Grid<Measurement>> {
        let engine = self.engine;
        let area = SearchArea { range: starts.range, starts: &starts.shifts };
        let halo = self.methods[stage].halo();
        let windows = layout.pixels(cells);
        let (pixels, halo) = if self.methods[stage].looks_over_the_border() {
            (windows.grown(halo), (halo, halo))
        } else {
            // Backwards the windows lie in the post image.
            let (size, (dx, dy)) = match direction {
                Direction::Forward => (self.sizes[0], (0, 0)),
                Direction::Backward => (self.sizes[1], starts.base),
            };
            let (pixels, halo) = around::pixels(windows.shifted(dx, dy), halo, size);
            (pixels.shifted(-dx, -dy), halo)
        };
        let cuts = Cuts::meet(self.cuts, pixels).then(|| Cuts::new(self.cuts, pixels));
        let wants = (self.methods[stage].parts(cuts.is_some()), self.methods[stage].wants_pixels());
        let Some(bands) = self.bands(pixels, starts.base, area.reach(), direction, wants)? else {
            return Ok(Grid::filled(cells.width, cells.height, Measurement::failed(Status::NoData)));
        };
        let windows = TileWindows { cells: (cells.width, cells.height), window: layout.window, step: layout.step };
        let (offset, prior) = match direction {
            Direction::Forward => (starts.offset(&engine.alignment), starts.priors.as_slice()),
            // What may be found backwards is bounded by where it is looked for.
            Direction::Backward => (PixelShift::default(), [].as_slice()),
        };
        let search = match direction {
            Direction::Forward => engine.params.search,
            Direction::Backward => (f64::INFINITY, f64::INFINITY),
        };
        let centred = self.centred();
        let tile =
            Tile { bands: &bands, windows, area, offset, prior, search, cuts: cuts.as_ref(), centred, halo, stop };
        let found = self.methods[stage].match_tile(&tile);
        for band in bands {
            self.preparer.recycle(band.pre, band.post);
        }
        if let Some(failure) = self.methods[stage].failure() {
            return Err(failure);
        }
        if stage == 0 && direction == Direction::Forward {
            self.splits = self.methods[stage].splits();
        }
        Ok(Grid::from_vec(cells.width, cells.height, found))
    }

    /// Takes the pieces of faults found in the last tile.
    pub fn take_jumps(&mut self) -> Vec<Jump> {
        std::mem::take(&mut self.jumps)
    }

    /// Every band's images for a rectangle of pre pixels that lies `base` pixels further in the post image, the post
    /// image with `reach` more pixels around; `None` where the first band has no valid pixel. Further bands without
    /// valid pixels are left out.
    fn bands(
        &mut self,
        pixels: Window,
        base: (i64, i64),
        reach: usize,
        direction: Direction,
        (parts, wants_pixels): (Parts, bool),
    ) -> Result<Option<Vec<Band<'a>>>> {
        let engine = self.engine;
        let mut bands = Vec::new();
        let moved = pixels.shifted(base.0, base.1);
        let grown = |w: Window, reach: usize| w.grown(reach + engine.alignment.post_margin() - engine.alignment.search);
        let mut images = Vec::with_capacity(engine.scenes.len());
        for (pre, post) in &mut self.readers {
            images.push(match direction {
                Direction::Forward => {
                    (pre.read(pixels.grown(crate::correlate::prepare::PAD))?, post.read(grown(moved, reach))?)
                }
                Direction::Backward => {
                    (post.read(moved.grown(crate::correlate::prepare::PAD))?, pre.read(grown(pixels, reach))?)
                }
            });
        }
        if engine.params.complex == ComplexUse::Coherence {
            for [re, im] in images[coherent::FIRST..].as_chunks_mut::<2>().0 {
                coherent::to_baseband(&mut re.0, &mut im.0);
                coherent::to_baseband(&mut re.1, &mut im.1);
            }
        }
        for (band, ((pre, post), scene)) in images.into_iter().zip(engine.scenes.iter()).enumerate() {
            let pixels = wants_pixels.then(|| {
                let [a, b] = engine.scales[band];
                let (a, b) = if direction == Direction::Forward { (a, b) } else { (b, a) };
                Pixels { pre: a.apply(pre.clone()), post: b.apply(post.clone()) }
            });
            let Scene { prefilter, residual, spline, .. } = scene;
            let units = if direction == Direction::Forward { scene.units } else { (scene.units.1, scene.units.0) };
            let recipe = |unit| Recipe { prefilter, residual, spline: *spline, unit, parts };
            let pre = self.preparer.pre(&pre, &recipe(units.0));
            let post = self.preparer.post(&post, reach, &recipe(units.1));
            match pre.zip(post) {
                Some((pre, post)) => bands.push(Band { pre, post, scene, pixels }),
                None if bands.is_empty() => return Ok(None),
                None => {}
            }
        }
        Ok(Some(bands))
    }

    /// The bands of a rectangle of pre pixels as a method gets them, without any start.
    pub fn images(&mut self, pixels: Window) -> Result<Option<Vec<Band<'a>>>> {
        let alignment = &self.engine.alignment;
        self.bands(pixels, alignment.base, alignment.search, Direction::Forward, (Parts::Spread, false))
    }
}
