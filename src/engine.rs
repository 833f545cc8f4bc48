//! What a run knows before its first tile, and how one tile is measured; no threads, no order, no files written.
//!
//! An [`Engine`] is made once a run (or once an open virtual raster) from the whole pair; each thread then takes a
//! [`Worker`] and measures any tiles in any order. A tile's result depends on nothing but the pair and the parameters.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::correlate::prepare::Preparer;
use crate::correlate::scene::{self, Scene};
use crate::correlate::search::{SearchArea, TileWindows};
use crate::correlate::{self, Alignment, Band, Method, Tile};
use crate::field::{Measurement, PixelShift, Status};
use crate::grid::{Grid, ImageReader, Window};
use crate::layout::Layout;
use crate::pipeline::{Pair, Params};
use crate::{Error, Result};

/// The plan of a run.
#[derive(Clone)]
pub struct Engine {
    pub layout: Layout,
    pub params: Params,
    alignment: Alignment,
    /// One scene model a band.
    scenes: Arc<[Scene]>,
}

impl Engine {
    /// Checks the parameters and looks at the pair (a few patches of every band, on the current rayon pool).
    ///
    /// # Errors
    /// Unusable parameters, unreadable images, [`Error::Cancelled`] when `stop` is set meanwhile.
    pub fn new(pair: &Pair, layout: &Layout, params: &Params, stop: &AtomicBool) -> Result<Engine> {
        check(pair, params)?;
        let alignment = Alignment::new(pair.origin, params.search);
        let model = |band: usize| scene::analyse(pair, band, params, &alignment, stop);
        let scenes = (0..pair.bands.len()).map(model).collect::<Result<_>>()?;
        Ok(Engine { layout: *layout, params: params.clone(), alignment, scenes })
    }

    /// The same plan for another grid on the same pair, e.g. a coarser one.
    pub fn with_layout(&self, layout: Layout) -> Engine {
        Engine { layout, ..self.clone() }
    }

    /// Findings for messages and metadata; those of further bands end in `_BAND2`, `_BAND3`, ...
    pub fn facts(&self) -> Vec<(String, String)> {
        let named = |(band, scene): (usize, &Scene)| {
            let suffix = if band == 0 { String::new() } else { format!("_BAND{}", band + 1) };
            scene.facts.iter().map(|(k, v)| (format!("{k}{suffix}"), v.clone())).collect::<Vec<_>>()
        };
        self.scenes.iter().enumerate().flat_map(named).collect()
    }

    /// The method with the buffers of one thread.
    pub fn method(&self) -> Box<dyn Method + '_> {
        correlate::plan(&self.params, &self.scenes)
    }

    /// Handles and buffers for one thread.
    pub fn worker<'a>(&'a self, pair: &Pair<'a>) -> Result<Worker<'a>> {
        let mut readers = Vec::new();
        for (pre, post) in &pair.bands {
            readers.push((pre.open()?, post.open()?));
        }
        Ok(Worker { engine: self, readers, preparer: Preparer::default(), method: self.method() })
    }
}

/// Parameters that no single module can judge alone.
fn check(pair: &Pair, params: &Params) -> Result<()> {
    let size = pair.pre().size();
    for (s, n) in [(params.search.0, size.0), (params.search.1, size.1)] {
        if !(s > 0.0 && s.is_finite()) {
            return Err(Error::option("--search", s, "the search is a positive number of pixels"));
        }
        if s >= n as f64 {
            let why = format!("larger than the image ({} x {} pixels); give a smaller search", size.0, size.1);
            return Err(Error::option("--search", s, why));
        }
    }
    if !(params.min_valid > 0.0 && params.min_valid <= 1.0) {
        return Err(Error::option("--min-valid", params.min_valid, "a share of the window, above 0 and up to 1"));
    }
    Ok(())
}

/// A pre and a post image as one thread reads them.
type Readers<'a> = (Box<dyn ImageReader + 'a>, Box<dyn ImageReader + 'a>);

/// One thread's handles and buffers.
pub struct Worker<'a> {
    engine: &'a Engine,
    readers: Vec<Readers<'a>>,
    preparer: Preparer,
    method: Box<dyn Method + 'a>,
}

impl<'a> Worker<'a> {
    /// Measures the cells `tile` of the whole grid, one of [`Layout::tiles`].
    pub fn tile(&mut self, tile: Window, stop: &AtomicBool) -> Result<Grid<Measurement>> {
        let engine = self.engine;
        let area = SearchArea { range: engine.alignment.range, starts: &[] };
        let Some(bands) = self.bands(engine.layout.pixels(tile), area.reach())? else {
            return Ok(Grid::filled(tile.width, tile.height, Measurement::failed(Status::NoData)));
        };
        let windows =
            TileWindows { cells: (tile.width, tile.height), window: engine.layout.window, step: engine.layout.step };
        // Ground that the georeference alone puts elsewhere has not moved.
        let offset = PixelShift::new(-engine.alignment.fraction.0, -engine.alignment.fraction.1);
        let search = engine.params.search;
        let tile_images = Tile { bands: &bands, windows, area, offset, prior: &[], search, cuts: None, stop };
        let mut found = self.method.match_tile(&tile_images);
        for m in &mut found {
            m.shift.dx += offset.dx;
            m.shift.dy += offset.dy;
        }
        Ok(Grid::from_vec(tile.width, tile.height, found))
    }

    /// Every band's images for a rectangle of pre pixels, the post image with `reach` more pixels around; `None`
    /// where a first band has no valid pixel. Further bands without valid pixels are left out.
    pub fn bands(&mut self, pixels: Window, reach: usize) -> Result<Option<Vec<Band<'a>>>> {
        let engine = self.engine;
        let (pre_window, post_window) = engine.alignment.windows(pixels);
        let mut bands = Vec::new();
        for ((pre, post), scene) in self.readers.iter_mut().zip(engine.scenes.iter()) {
            let (pre, post) = (pre.read(pre_window)?, post.read(post_window)?);
            let pre = self.preparer.pre(&pre, &scene.prefilter, &scene.residual, scene.spline);
            let post = self.preparer.post(&post, &scene.prefilter, reach, scene.spline);
            match pre.zip(post) {
                Some((pre, post)) => bands.push(Band { pre, post, scene }),
                None if bands.is_empty() => return Ok(None),
                None => {}
            }
        }
        Ok(Some(bands))
    }
}
