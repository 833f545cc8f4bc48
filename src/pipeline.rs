//! The streaming run: tiles with halo, workers, one ordered writer. The only place that starts threads.

use crate::field::Measurement;
use crate::grid::{Grid, ImageFile, Window};
use crate::layout::Layout;
use crate::progress::Progress;
use crate::{Error, Result};

/// Which matching method (`--method`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MethodName {
    Lsm,
    Frequency,
}

/// Which prefilter (`--prefilter`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Prefilter {
    /// Derived from the pair's own coherence.
    Coherence,
    None,
}

/// Everything that decides the numbers of a run; the defaults are the command line's.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Params {
    pub method: MethodName,
    /// Window width and height in pixels, 5 to 512.
    pub window: (usize, usize),
    /// Step along columns and rows in pixels.
    pub step: (usize, usize),
    /// Largest displacement looked for, in pixels, on each axis.
    pub search: (f64, f64),
    pub prefilter: Prefilter,
    /// Least share of valid pixels in a window.
    pub min_valid: f64,
}

impl Default for Params {
    fn default() -> Self {
        Params {
            method: MethodName::Lsm,
            window: (32, 32),
            step: (8, 8),
            search: (4.0, 4.0),
            prefilter: Prefilter::Coherence,
            min_valid: 0.5,
        }
    }
}

/// Two images whose pixels have equal size and axes.
pub struct Pair<'a> {
    pub pre: &'a dyn ImageFile,
    pub post: &'a dyn ImageFile,
    /// Where the ground of pre pixel (0, 0) lies in the post image without any motion, (column, row) in pixels; may
    /// be fractional. (0, 0) for images on the same grid.
    pub origin: (f64, f64),
}

/// Takes finished tiles, always in the same order, on the thread that called [`run`].
pub trait FieldSink {
    /// `cells` are cells of the whole grid, cut to the region.
    fn write(&mut self, cells: Window, measurements: &Grid<Measurement>) -> Result<()>;
}

/// What a run found out, for messages and metadata.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Report {
    /// Cells in the region.
    pub cells: usize,
    /// How many cells carry each status code 0 to 7.
    pub status: [u64; 8],
    /// Key facts found by looking at the pair (interpolation chosen, coherence, ...), for the `SHIFTMAP` metadata.
    pub facts: Vec<(String, String)>,
}

/// Measures the displacement of every cell of `layout`.
///
/// The result does not depend on `threads`, nor on how a scene is cut into regions.
pub fn run(
    pair: &Pair,
    layout: &Layout,
    params: &Params,
    threads: usize,
    sink: &mut dyn FieldSink,
    progress: &mut dyn Progress,
) -> Result<Report> {
    let _ = (pair, layout, params, threads, sink, progress);
    Err(Error::Internal("pipeline under construction".into()))
}
