//! The streaming run: tiles with halo, workers, one ordered writer. The only place that starts threads.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

pub use crate::correlate::interp::Spline;
pub use crate::correlate::taper::Taper;
use crate::engine::{Engine, Jump, Worker};
use crate::field::{Measurement, Status};
use crate::grid::{Grid, ImageFile, PointFile, Window};
use crate::layout::{Layout, TILE_PIXELS};
use crate::net::Net;
use crate::progress::Progress;
use crate::turns::{EndsOnPanic, Turns};
use crate::{Error, Result};

/// Which matching method (`--method`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MethodName {
    Lsm,
    Frequency,
    Spatial,
    /// No matching: the precision that least squares could reach (`shiftmap precision`).
    Precision,
    Dense,
    /// Dense matching with a smoothness cost.
    Regularized,
    /// A network, [`Params::net`].
    Net,
}

impl MethodName {
    /// As `--method` takes it.
    pub fn name(self) -> &'static str {
        match self {
            MethodName::Lsm => "lsm",
            MethodName::Frequency => "frequency",
            MethodName::Dense => "dense",
            MethodName::Precision => "precision",
            MethodName::Spatial => "spatial",
            MethodName::Regularized => "regularized",
            MethodName::Net => "net",
        }
    }

    /// Side of its tiles in pre pixels. Around each, `dense` looks at 80 pixels more on every side.
    pub fn tile(self) -> usize {
        if self == MethodName::Dense { 640 } else { TILE_PIXELS }
    }
}

/// Which prefilter (`--prefilter`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Prefilter {
    /// Whichever of the others scatters least on the pair.
    Auto,
    /// Derived from the pair's own coherence.
    Coherence,
    None,
    /// Minus the mean of 5 x 5 pixels.
    Highpass,
    /// Gaussian low-pass of 0.5 pixels.
    Gaussian,
}

impl Prefilter {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Prefilter::Auto => "auto",
            Prefilter::Coherence => "coherence",
            Prefilter::None => "none",
            Prefilter::Highpass => "highpass",
            Prefilter::Gaussian => "gaussian",
        }
    }
}

/// What least squares estimates in a window (`--shape`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// One displacement.
    #[default]
    Translation,
    /// The displacement of the centre and its four derivatives.
    Affine,
}

impl Shape {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Shape::Translation => "translation",
            Shape::Affine => "affine",
        }
    }
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
    /// How the post image is interpolated; `None`: as the texture of the pair asks for.
    pub interpolation: Option<Spline>,
    /// Least share of valid pixels in a window.
    pub min_valid: f64,
    /// Larger windows, in rising order, for the cells that smaller ones could not measure.
    pub larger_windows: Vec<(usize, usize)>,
    /// Look for the search range on the pair, up to so many pixels; replaces `search`.
    pub auto_search: Option<f64>,
    /// Check backwards, from post to pre: largest mismatch in pixels.
    pub backward: Option<f64>,
    /// Reject values that their neighbourhood does not share.
    pub reject_outliers: bool,
    /// Whether the standard deviations are compared with the scatter of ground that has not moved.
    pub sigma_scale: SigmaScale,
    /// Weights of a window's pixels, `lsm` only.
    pub taper: Taper,
    /// What is estimated in a window, `lsm` only.
    pub shape: Shape,
    /// A second pass in which a window keeps to the pixels that moved like its centre, `lsm` only.
    pub bilateral: bool,
    /// Look for jumps inside windows (`lsm` only).
    pub split: bool,
    /// What `spatial` gives as quality.
    pub peak_quality: PeakQuality,
    /// Where `spatial` takes its standard deviations from.
    pub peak_sigma: PeakSigma,
    /// What `spatial` correlates of complex images.
    pub complex: ComplexUse,
    /// Distance in pixels over which displacements are smoothed, `regularized` only.
    pub smoothness: f64,
    /// The network of `net`.
    #[serde(skip)]
    pub net: Option<Arc<Net>>,
}

/// The quality of a correlation peak (`--quality`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PeakQuality {
    /// The correlation, 0 to 1.
    Correlation,
    /// Ampcor's signal-to-noise ratio, not limited to 1.
    Snr,
}

/// The standard deviation of a correlation peak (`--peak-sigma`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PeakSigma {
    /// From the residual and the curvature of the peak, calibrated.
    Calibrated,
    /// Ampcor's formula, which is not.
    Ampcor,
}

/// What is matched of complex images (`--complex`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ComplexUse {
    /// Their amplitudes.
    #[default]
    Amplitude,
    /// The coherence of the complex numbers: the bands of the pair are the amplitude, then real and imaginary part of each
    /// layer.
    Coherence,
}

/// How the standard deviations are calibrated (`--stable`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SigmaScale {
    /// As each window states them.
    One,
    /// By the scatter between neighbouring windows, anywhere.
    Neighbours,
    /// By the scatter on the stable ground of the pair.
    Stable,
}

/// Default of [`Params::smoothness`].
pub const SMOOTHNESS: f64 = 16.0;

impl Default for Params {
    fn default() -> Self {
        Params {
            method: MethodName::Lsm,
            window: (32, 32),
            step: (8, 8),
            search: (4.0, 4.0),
            prefilter: Prefilter::Coherence,
            interpolation: None,
            min_valid: 0.5,
            larger_windows: Vec::new(),
            auto_search: None,
            backward: None,
            reject_outliers: true,
            sigma_scale: SigmaScale::One,
            taper: Taper::Box,
            shape: Shape::Translation,
            bilateral: false,
            peak_quality: PeakQuality::Correlation,
            peak_sigma: PeakSigma::Calibrated,
            complex: ComplexUse::Amplitude,
            smoothness: SMOOTHNESS,
            split: false,
            net: None,
        }
    }
}

/// Two images whose pixels have equal size and axes.
#[derive(Clone)]
pub struct Pair<'a> {
    /// Pre and post image of every band, at least one; all bands on one grid.
    pub bands: Vec<(&'a dyn ImageFile, &'a dyn ImageFile)>,
    /// Where the ground of pre pixel (0, 0) lies in the post image without any motion, (column, row) in pixels; may
    /// be fractional. (0, 0) for images on the same grid.
    pub origin: (f64, f64),
    /// Expected displacement in pixels (right, down), around which is searched.
    pub prior: Option<&'a dyn PointFile>,
    /// Ground that has not moved: where the first number is not zero.
    pub stable: Option<&'a dyn PointFile>,
    /// Lines that no window may reach across, in pixel-centre coordinates of the pre image; none by default.
    pub cuts: &'a [Vec<(f64, f64)>],
}

impl<'a> Pair<'a> {
    /// One band of two images.
    pub fn new(pre: &'a dyn ImageFile, post: &'a dyn ImageFile, origin: (f64, f64)) -> Self {
        Pair { bands: vec![(pre, post)], origin, prior: None, stable: None, cuts: &[] }
    }

    /// The first band's pre image.
    pub fn pre(&self) -> &'a dyn ImageFile {
        self.bands[0].0
    }

    /// The first band's post image.
    pub fn post(&self) -> &'a dyn ImageFile {
        self.bands[0].1
    }
}

/// Takes finished tiles, always in the same order, on the thread that called [`run`].
pub trait FieldSink {
    /// `cells` are cells of the whole grid, cut to the region.
    fn write(&mut self, cells: Window, measurements: &Grid<Measurement>) -> Result<()>;

    /// Takes the pieces of faults found in the tile written last (`--split`).
    fn write_jumps(&mut self, _jumps: &[Jump]) -> Result<()> {
        Ok(())
    }
}

/// What a run found out, for messages and metadata.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Report {
    /// Cells in the region.
    pub cells: usize,
    /// How many cells carry each status code.
    pub status: [u64; Status::ALL.len()],
    /// Key facts found by looking at the pair (interpolation chosen, coherence, ...), for the `SHIFTMAP` metadata.
    pub facts: Vec<(String, String)>,
}

/// Measures the displacement of every cell of `layout`.
///
/// The result does not depend on `threads`, nor on how a scene is cut into regions: tiles are anchored at the image's
/// first cell, each is computed as a whole by one thread, and the scene model comes from fixed places of the images.
/// Memory is bounded by the tiles in flight, a few per thread. `sink` and `progress` are called on this thread only.
///
/// # Errors
/// Unusable parameters, unreadable images, [`Error::Cancelled`] when `progress` says stop, [`Error::Data`] when no
/// pixel of either image is valid, and whatever `sink` returns.
pub fn run(
    pair: &Pair,
    layout: &Layout,
    params: &Params,
    threads: usize,
    sink: &mut dyn FieldSink,
    progress: &mut dyn Progress,
) -> Result<Report> {
    let pool = crate::threads::pool(threads)?;
    if !progress.report(0.0, "looking at the pair") {
        return Err(Error::Cancelled);
    }
    let engine = watched(&pool, progress, |stop| Engine::new(pair, layout, params, stop))?;
    let tiles = layout.tiles();
    let job = Job { pair, engine: &engine, turns: Turns::new(tiles.len(), 3 * threads.max(1) + 1) };
    let mut report = Report {
        cells: layout.region.width * layout.region.height,
        status: [0; Status::ALL.len()],
        facts: engine.facts(),
    };
    stream(&pool, &job, &tiles, threads.max(1), sink, progress, &mut report)?;
    if report.cells > 0 && report.status[Status::NoData as usize] == report.cells as u64 {
        return Err(Error::Data(format!(
            "no window has enough valid pixels: all of {} and {} is nodata where they overlap; \
             check the nodata value (--nodata) and --min-valid",
            pair.pre().name(),
            pair.post().name()
        )));
    }
    Ok(report)
}

/// What every worker needs.
struct Job<'a> {
    pair: &'a Pair<'a>,
    engine: &'a Engine,
    turns: Turns,
}

/// Runs `work` on the pool while this thread keeps asking `progress` whether to go on.
fn watched<T: Send>(
    pool: &rayon::ThreadPool,
    progress: &mut dyn Progress,
    work: impl FnOnce(&AtomicBool) -> Result<T> + Send,
) -> Result<T> {
    let stop = AtomicBool::new(false);
    let (send, receive) = mpsc::channel();
    let stop_ref = &stop;
    pool.in_place_scope(|scope| {
        scope.spawn(move |_| {
            // The receiver only goes away after this scope.
            let _ = send.send(work(stop_ref));
        });
        let mut cancelled = false;
        loop {
            match receive.recv_timeout(POLL) {
                Ok(result) => return if cancelled { Err(Error::Cancelled) } else { result },
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    if !cancelled && !progress.report(0.0, "looking at the pair") {
                        cancelled = true;
                        stop.store(true, Ordering::Relaxed);
                    }
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(Error::Internal("a worker stopped without a result".into()));
                }
            }
        }
    })
}

/// How often the calling thread looks whether the run is to stop.
const POLL: Duration = Duration::from_millis(100);

/// Workers take tiles in order; this thread writes them in the same order. A worker may run ahead of the writer by a
/// few tiles only, which bounds the memory.
fn stream(
    pool: &rayon::ThreadPool,
    job: &Job,
    tiles: &[Window],
    threads: usize,
    sink: &mut dyn FieldSink,
    progress: &mut dyn Progress,
    report: &mut Report,
) -> Result<()> {
    let (send, receive) = mpsc::channel::<(usize, Result<Measured>)>();
    pool.in_place_scope(|scope| {
        for _ in 0..threads.min(tiles.len()) {
            let send = send.clone();
            scope.spawn(move |_| {
                let _ends = EndsOnPanic(&job.turns);
                let mut worker: Option<Worker> = None;
                while let Some(index) = job.turns.take() {
                    let result = measure(&mut worker, job, tiles[index]);
                    if send.send((index, result)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        // The same for a sink that panics.
        let _ends = EndsOnPanic(&job.turns);
        let outcome = collect(job, tiles, &receive, sink, progress, report);
        job.turns.stop();
        outcome
    })
}

/// Measures a tile, opening the thread's handles at the first one.
fn measure<'a>(slot: &mut Option<Worker<'a>>, job: &'a Job<'a>, tile: Window) -> Result<Measured> {
    let worker = match slot {
        Some(w) => w,
        None => slot.insert(job.engine.worker(job.pair)?),
    };
    let field = worker.tile(tile, job.turns.stopping())?;
    Ok((field, worker.take_jumps()))
}

/// A tile's cells, and the faults found in it.
type Measured = (Grid<Measurement>, Vec<Jump>);

/// The writer's side: puts tiles back in order and hands them to the sink.
fn collect(
    job: &Job,
    tiles: &[Window],
    receive: &mpsc::Receiver<(usize, Result<Measured>)>,
    sink: &mut dyn FieldSink,
    progress: &mut dyn Progress,
    report: &mut Report,
) -> Result<()> {
    let mut waiting = BTreeMap::new();
    let mut done = 0;
    while done < tiles.len() {
        match receive.recv_timeout(POLL) {
            Ok((index, result)) => {
                waiting.insert(index, result?);
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return Err(Error::Internal("a worker stopped without a result".into()));
            }
        }
        while let Some((grid, mut jumps)) = waiting.remove(&done) {
            let tile = tiles[done];
            // Tiles are whole; the region may want only a part.
            if let Some(part) = tile.intersect(&job.engine.layout.region) {
                let inside = Window::new(part.x - tile.x, part.y - tile.y, part.width, part.height);
                let grid = grid.crop(inside);
                grid.data.iter().for_each(|m| report.status[m.status as usize] += 1);
                sink.write(part, &grid)?;
                jumps.retain(|j| {
                    j.cell.0 >= part.x && j.cell.1 >= part.y && j.cell.0 < part.right() && j.cell.1 < part.bottom()
                });
                sink.write_jumps(&jumps)?;
            }
            done += 1;
            job.turns.wrote();
        }
        if !progress.report(done as f64 / tiles.len() as f64, "matching") {
            return Err(Error::Cancelled);
        }
    }
    Ok(())
}
