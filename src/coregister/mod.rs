//! Aligning the post image with the pre image (`shiftmap coregister`).
//!
//! The shift of the whole image comes from phase correlation ([`shift`]). Then displacements are measured by least squares
//! on a grid, and what the sensor adds is found in them ([`crate::distortion`]) without what the ground does. The post image
//! is resampled by the model so far ([`aligned`]) and measured again: a window averages jitter over its height, and what it
//! did not see the first time it sees the second.
//!
//! The model says where a pre pixel lies in the post image: x + origin + d(x), with d in pixels, right and down; origin is
//! what the georeference of the two images explains. It is stored as JSON ([`stored`]) and can be applied to other bands
//! and images of the same grids, and to displacement maps (`shiftmap filter --subtract`).
//!
//! Memory: the measured grid has at most [`COLUMNS`] cells along a scan line, so that it grows with the number of lines only;
//! for oblique lines its number of cells is limited.

pub mod aligned;
mod measure;
pub mod shift;
pub mod stored;
mod write;

use crate::distortion::direction::Given;
use crate::distortion::steps::{Seams, along};
use crate::distortion::{Direction, Distortion, Found, Wanted, fit_parts};
use crate::grid::{ImageFile, PointFile};
use crate::progress::Progress;
use crate::raster::{OpenOptions, Places, RasterBand, WriteOptions, compare};
use crate::{Error, Result};
use aligned::Aligned;
use measure::Measured;
use stored::Stored;

/// Most cells measured along a scan line.
pub const COLUMNS: usize = 256;
/// Most cells measured for lines that are neither rows nor columns.
const CELLS: f64 = 1_048_576.0;

/// What is the same over the whole image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// One shift.
    Shift,
    Plane,
    Quadratic,
}

impl Shape {
    pub fn terms(self) -> usize {
        match self {
            Shape::Shift => 1,
            Shape::Plane => 3,
            Shape::Quadratic => 6,
        }
    }

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Shape::Shift => "shift",
            Shape::Plane => "plane",
            Shape::Quadratic => "quadratic",
        }
    }
}

/// What `shiftmap coregister` is told.
#[derive(Debug, Clone)]
pub struct CoregisterJob {
    pub pre: String,
    pub post: String,
    /// The aligned image; a name that ends in `.json` asks for the model only.
    pub out: String,
    pub pre_options: OpenOptions,
    pub post_options: OpenOptions,
    pub shape: Shape,
    /// Direction of the lines with jitter.
    pub jitter: Option<Given>,
    /// Longest wave of the jitter in pixels; `None`: a third of the image.
    pub longest: Option<f64>,
    /// Direction of the lines that detectors share.
    pub seams: Option<Given>,
    /// Where the seams are, in pixels of the pre image; empty: wherever they stand out.
    pub edges: Vec<f64>,
    pub stable: Option<String>,
    pub moving: Option<String>,
    /// `None`: 32 x 32, with jitter long and flat along the lines.
    pub window: Option<(usize, usize)>,
    pub step: Option<(usize, usize)>,
    /// Largest displacement in pixels beside the shift of the whole image.
    pub search: (f64, f64),
    /// How often the displacements are measured.
    pub passes: usize,
    /// A stored model to use instead of measuring one.
    pub given: Option<String>,
    /// Where the model goes; `None`: beside the image.
    pub model: Option<String>,
    pub write: WriteOptions,
    pub threads: usize,
}

impl CoregisterJob {
    /// With the command line's defaults.
    pub fn new(pre: &str, post: &str, out: &str) -> CoregisterJob {
        CoregisterJob {
            pre: pre.into(),
            post: post.into(),
            out: out.into(),
            pre_options: OpenOptions::default(),
            post_options: OpenOptions::default(),
            shape: Shape::Plane,
            jitter: None,
            longest: None,
            seams: None,
            edges: Vec::new(),
            stable: None,
            moving: None,
            window: None,
            step: None,
            search: (4.0, 4.0),
            passes: 2,
            given: None,
            model: None,
            write: WriteOptions::default(),
            threads: 1,
        }
    }

    /// Whether only the model is asked for.
    pub fn model_only(&self) -> bool {
        self.out.to_ascii_lowercase().ends_with(".json")
    }

    /// Where the model goes.
    pub fn model_path(&self) -> String {
        if self.model_only() {
            return self.out.clone();
        }
        self.model.clone().unwrap_or_else(|| {
            let name = self.out.rfind(['/', '\\']).map_or(0, |i| i + 1);
            let stem = self.out[name..].rfind('.').filter(|i| *i > 0).map_or(&*self.out, |i| &self.out[..name + i]);
            format!("{stem}.model.json")
        })
    }
}

/// What was found and written.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Summary {
    /// The aligned image, where one was asked for.
    pub output: Option<String>,
    pub model_file: Option<String>,
    pub model: Stored,
}

/// Finds the model, or takes the given one, and writes what was asked for.
///
/// # Errors
/// Images that cannot be read or do not fit, unusable options, too little ground in common; nothing is left behind then.
pub fn run(job: &CoregisterJob, note: &mut dyn FnMut(&str), progress: &mut dyn Progress) -> Result<Summary> {
    check(job)?;
    let pre = RasterBand::open(&job.pre, job.pre_options.clone())?;
    let post = RasterBand::open(&job.post, job.post_options.clone())?;
    let origin = compare(&pre, &post).map_err(without_resample)?;
    let writer = if job.model_only() { None } else { Some(write::Writer::create(job, &pre, &post)?) };
    let share = if writer.is_some() { 0.7 } else { 0.99 };
    let stored = match &job.given {
        Some(path) => Stored::read(path)?.fitting(&pre, path)?,
        None => {
            let mut part = |f: f64, m: &str| progress.report(share * f, m);
            find(job, &pre, &post, origin, note, &mut part)?
        }
    };
    let model_file = match &job.given {
        Some(_) => None,
        None => Some(stored.write(&job.model_path(), job.write.overwrite)?),
    };
    let output = match writer {
        Some(writer) => {
            let start = if job.given.is_some() { 0.0 } else { share };
            let mut part = |f: f64, m: &str| progress.report(start + (0.99 - start) * f, m);
            let done = writer.run(job, &stored, &mut part);
            // Both files or none.
            if let (Err(_), Some(path)) = (&done, &model_file) {
                let _ = std::fs::remove_file(path);
            }
            done?;
            Some(job.out.clone())
        }
        None => None,
    };
    progress.report(1.0, "done");
    Ok(Summary { output, model_file, model: stored })
}

/// The model of a pair.
fn find(
    job: &CoregisterJob,
    pre: &RasterBand,
    post: &RasterBand,
    origin: (f64, f64),
    note: &mut dyn FnMut(&str),
    progress: &mut dyn Progress,
) -> Result<Stored> {
    let size = ImageFile::size(pre);
    let pool = crate::threads::pool(job.threads)?;
    if !progress.report(0.0, "phase correlation") {
        return Err(Error::Cancelled);
    }
    let shift = shift::global_shift(pre, post, origin)?;
    note(&format!("shift by phase correlation: {:.2} {:.2} px (right, down)", shift.0, shift.1));
    let stable = job.stable.as_deref().map(|p| Places::open(p, "--stable", pre.georef())).transpose()?;
    let moving = job.moving.as_deref().map(|p| Places::open(p, "--moving", pre.georef())).transpose()?;
    let lines = job.jitter.map(|g| g.on(&pre.georef().transform)).transpose()?;
    let seams = job.seams.map(|g| g.on(&pre.georef().transform)).transpose()?;
    let (window, step) = cells(job, size, lines.or(seams));
    let layout = crate::layout::Layout::new(size, window, step, None)?;
    let params = crate::pipeline::Params { window, step, search: job.search, ..crate::pipeline::Params::default() };

    let longest = |d: Direction| {
        let across = d.extent(size.0 as f64, size.1 as f64).1;
        job.longest.unwrap_or((across.1 - across.0) / 3.0)
    };
    let places = |d: Direction| if job.edges.is_empty() { Seams::Found } else { Seams::At(along(d, &job.edges)) };
    let wanted = Wanted {
        terms: job.shape.terms(),
        jitter: lines.map(|d| (d, longest(d))),
        seams: seams.map(|d| (d, places(d))),
        window: (window.0 as f64, window.1 as f64),
        ramps: false,
        known: job.stable.is_some() || job.moving.is_some(),
    };

    let mut distortion = Distortion { shift: [shift.0, shift.1], ..Default::default() };
    let mut found: Option<Found> = None;
    let mut first = None;
    let mut cells_used = 0;
    for pass in 0..job.passes {
        let mut part = |f: f64, m: &str| progress.report((pass as f64 + f) / job.passes as f64, m);
        let mut measured = Measured::new(layout, &distortion);
        // The first time the shift is known and no pixel has to be interpolated.
        if pass == 0 {
            let moved = (origin.0 + shift.0, origin.1 + shift.1);
            let pair = crate::pipeline::Pair::new(pre, post, moved);
            crate::pipeline::run(&pair, &layout, &params, job.threads, &mut measured, &mut part)?;
        } else {
            let aligned = Aligned::new(post, size, origin, &distortion);
            let pair = crate::pipeline::Pair::new(pre, &aligned, (0.0, 0.0));
            crate::pipeline::run(&pair, &layout, &params, job.threads, &mut measured, &mut part)?;
        }
        measured.mark(stable.as_ref().map(|p| p as &dyn PointFile), moving.as_ref().map(|p| p as &dyn PointFile))?;
        cells_used = measured.used();
        let next = fit_parts(&wanted, &pool, &mut |d, known| Ok(measured.table(d, known)))?;
        first.get_or_insert(next.before);
        distortion = next.distortion.clone();
        found = Some(next);
    }
    let found = found.ok_or_else(|| Error::Internal("no pass".into()))?;
    Ok(Stored::new(job, pre, origin, found, first, cells_used))
}

/// Window and step in pixels: with jitter or seams long along the lines and flat across them; at most [`COLUMNS`] cells along a line.
fn cells(job: &CoregisterJob, size: (usize, usize), lines: Option<Direction>) -> ((usize, usize), (usize, usize)) {
    let jitter = job.jitter.is_some();
    let window = job.window.unwrap_or(match lines {
        Some(Direction::ROWS) if jitter => (64, 16),
        Some(Direction::COLUMNS) if jitter => (16, 64),
        Some(_) if jitter => (24, 24),
        _ => (32, 32),
    });
    let sparse = |n: usize, least: usize| n.div_ceil(COLUMNS).max(least);
    // Oblique lines cross rows and columns: the cells are limited in all.
    let oblique = ((size.0 as f64 * size.1 as f64 / CELLS).sqrt().ceil() as usize).max(8);
    let step = job.step.unwrap_or(match lines {
        Some(Direction::ROWS) if jitter => (sparse(size.0, 8), 4),
        Some(Direction::COLUMNS) if jitter => (4, sparse(size.1, 8)),
        Some(_) if jitter => (oblique, oblique),
        _ => (sparse(size.0, 8), sparse(size.1, 8)),
    });
    (window, step)
}

fn check(job: &CoregisterJob) -> Result<()> {
    if !(1..=10).contains(&job.passes) {
        return Err(Error::option("--passes", job.passes, "give 1 to 10"));
    }
    if let Some(longest) = job.longest {
        if !(longest.is_finite() && longest > 0.0) {
            return Err(Error::option("--longest", longest, "give a number of pixels above 0"));
        }
        if job.jitter.is_none() {
            return Err(Error::option("--longest", longest, "belongs to jitter: add --jitter rows"));
        }
    }
    if !job.edges.is_empty() && job.seams.is_none() {
        let text = job.edges.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
        return Err(Error::option("--ccd-edges", text, "belongs to seams between detectors: add --ccd rows"));
    }
    for (name, path) in [("--stable", &job.stable), ("--moving", &job.moving)] {
        if let (Some(path), Some(_)) = (path, &job.given) {
            return Err(Error::option(name, path, "nothing is measured with --use; leave it away"));
        }
    }
    if let (Some(path), true) = (&job.model, job.model_only()) {
        return Err(Error::option("--model-out", path, format!("{} is the model already; leave it away", job.out)));
    }
    if let (Some(path), true) = (&job.given, job.model_only()) {
        return Err(Error::option("--use", path, format!("{} would be its copy; name an image as OUT", job.out)));
    }
    // Overwriting an input would replace it by its own result.
    let real = |p: &str| std::fs::canonicalize(p).ok();
    for out in [Some(job.out.clone()), job.given.is_none().then(|| job.model_path())].into_iter().flatten() {
        let inputs = [Some(&job.pre), Some(&job.post), job.stable.as_ref(), job.moving.as_ref(), job.given.as_ref()];
        for input in inputs.into_iter().flatten() {
            if *input == out || (real(&out).is_some() && real(input) == real(&out)) {
                let why = "it is one of the inputs; choose another name for the result".to_string();
                return Err(Error::Write { path: out, why });
            }
        }
        if !job.write.overwrite && std::path::Path::new(&out).symlink_metadata().is_ok() {
            return Err(Error::Exists(out.into()));
        }
    }
    Ok(())
}

/// Images of different pixel size are for gdalwarp here.
fn without_resample(e: Error) -> Error {
    match e {
        Error::GridMismatch(text) => Error::GridMismatch(text.replace("add --resample, or run", "run").replace(
            "add --resample to warp the post image onto the pre grid",
            "warp the post image onto the pre grid with gdalwarp",
        )),
        e => e,
    }
}
