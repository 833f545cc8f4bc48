//! Evaluation of raster files: which bands, which units, do they fit.

use serde::Serialize;

use super::compare::{Comparison, Components, DISTANCES, Evaluation, FieldRaster, Place, Vertical};
use super::section::{Section, SectionPlan, Sharpness, sections, sharpness};
use super::stats::{Calibration, ErrorStats};
use crate::grid::{Grid, Image, PointFile};
use crate::raster::{
    CrsKind, DOMAIN, GeoReference, Places, RasterFile, read_all_bands, read_line_features, read_metadata,
};
use crate::{Error, Result};

/// What `shiftmap evaluate` is told.
#[derive(Debug, Clone)]
pub struct EvaluateJob {
    pub estimate: String,
    pub truth: String,
    pub trace: Option<String>,
    /// Pixels left out along the truth's edges.
    pub border: f64,
    /// Errors in metres instead of pixels.
    pub metres: bool,
    pub place: Place,
    /// Limit of an outlier in pixels.
    pub outlier: f64,
    /// The same in metres: counts in place of that in pixels, with [`metres`](Self::metres).
    pub outlier_metres: Option<f64>,
    /// Limits of the distance classes in pixels, ascending.
    pub distances: Vec<f64>,
    /// Raster that is not zero on ground that did not move.
    pub stable: Option<String>,
    /// Cross-sections, made where a trace is given.
    pub sections: SectionPlan,
}

impl EvaluateJob {
    /// With the command line's defaults.
    pub fn new(estimate: &str, truth: &str) -> EvaluateJob {
        EvaluateJob {
            estimate: estimate.into(),
            truth: truth.into(),
            trace: None,
            border: 0.0,
            metres: false,
            place: Place::Cells,
            outlier: 0.5,
            outlier_metres: None,
            distances: DISTANCES.to_vec(),
            stable: None,
            sections: SectionPlan::default(),
        }
    }
}

/// The outcome with what is needed to read it.
#[derive(Debug, Clone, Serialize)]
pub struct FileEvaluation {
    pub estimate: String,
    pub truth: String,
    /// Unit of the errors: `px` or `m`.
    pub unit: &'static str,
    /// Pixel of the pre image in metres (or 1 for rasters without a projected CRS).
    pub pixel: (f64, f64),
    pub place: Place,
    /// Limit of an outlier in pixels.
    pub outlier_px: f64,
    /// The same in metres where it was given so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outlier_m: Option<f64>,
    #[serde(flatten)]
    pub result: Evaluation,
    pub stable: Option<StableGround>,
    /// Profiles of the component along strike across the trace; empty without one.
    pub sections: Vec<Section>,
    pub sharpness: Option<Sharpness>,
}

/// What the estimate says where the ground did not move.
#[derive(Debug, Clone, Serialize)]
pub struct StableGround {
    /// Of the estimate itself, not of its error.
    pub values: Components<ErrorStats>,
    /// Of its values about their median, over sigma.
    pub calibration: Option<Components<Calibration>>,
}

/// One file, understood.
struct Loaded {
    field: FieldRaster,
    georef: GeoReference,
    unit: Unit,
    /// Cell size in pixels of the pre image.
    step: Option<(f64, f64)>,
    /// Side lengths of the largest matching window in pixels; `None` also where windows do not contain the fault.
    window: Option<(f64, f64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Metres,
    Pixels,
}

impl EvaluateJob {
    /// Reads the files and compares them.
    ///
    /// # Errors
    /// Files that cannot be read, have no two bands, do not fit each other or have no values in common.
    pub fn run(&self) -> Result<FileEvaluation> {
        if !(self.border >= 0.0 && self.border.is_finite()) {
            return Err(Error::option("--border", self.border, "give a number of pixels, 0 or more"));
        }
        if self.outlier.is_nan() || self.outlier <= 0.0 {
            return Err(Error::option("--outlier", self.outlier, "give a number of pixels above 0"));
        }
        if let Some(limit) = self.outlier_metres.filter(|l| l.is_nan() || *l <= 0.0) {
            return Err(Error::option("--outlier", limit, "give a number of metres above 0"));
        }
        check_distances(&self.distances)?;
        for (name, value, least) in [
            ("--section-length", self.sections.reach.unwrap_or(64.0), 8.0),
            ("--section-width", self.sections.width, 1.0),
        ] {
            if !(value >= least && value <= 1e5) {
                return Err(Error::option(name, value, format!("give a number of pixels of {least} or more")));
            }
        }
        let mut estimate = load(&self.estimate)?;
        let mut truth = load(&self.truth)?;
        self.check_frames(&estimate, &truth)?;
        let pixel = pixel_size(&estimate, &truth);
        let metres_per_unit = truth.georef.crs.as_ref().map_or(1.0, |c| c.metres_per_unit);
        let pixel_metres = (pixel.0 * metres_per_unit, pixel.1 * metres_per_unit);
        let projected = truth.georef.pixel_metres().is_some();
        if self.metres && !projected {
            let why = format!("{} has no projected CRS, so metres are unknown; use --units px", self.truth);
            return Err(Error::option("--units", "m", why));
        }
        // Both in the unit of the result.
        let scale = |unit: Unit| match (unit, self.metres) {
            (Unit::Metres, false) => (1.0 / pixel_metres.0, 1.0 / pixel_metres.1),
            (Unit::Pixels, true) => pixel_metres,
            _ => (1.0, 1.0),
        };
        for file in [&mut estimate, &mut truth] {
            file.field.scale(scale(file.unit));
        }
        if !self.metres {
            // A height has no pixels.
            estimate.field.up = None;
        }
        let limit = self.outlier_metres.filter(|_| self.metres);
        let trace = self.trace.as_deref().map(|path| read_trace(path, &truth)).transpose()?;
        let outlier = if self.metres { pixel_metres } else { (1.0, 1.0) };
        let comparison = Comparison {
            estimate: &estimate.field,
            truth: &truth.field,
            place: self.place,
            pixel,
            scale: (1.0, 1.0),
            border: self.border,
            trace: trace.as_deref(),
            distances: &self.distances,
            outlier: limit.map_or((self.outlier * outlier.0, self.outlier * outlier.1), |l| (l, l)),
        };
        let outlier = comparison.outlier;
        let core = estimate.window.map_or(4.0, |w| 0.5 * w.0.hypot(w.1)).max(4.0);
        let made = trace.is_some() && self.sections.count > 0;
        if let Some(reach) = self.sections.reach.filter(|r| made && core + 8.0 > *r) {
            let why =
                format!("the estimate's window smears {core:.0} pixels to each side; give 8 more than that at least");
            return Err(Error::option("--section-length", reach, why));
        }
        let sections = trace
            .as_deref()
            .map_or(Vec::new(), |trace| sections(&estimate.field, &truth.field, trace, pixel, &self.sections, core));
        let stable = self.stable.as_deref().map(|path| self.stable_ground(path, &estimate, outlier)).transpose()?;
        Ok(FileEvaluation {
            stable,
            sharpness: sharpness(&sections),
            sections,
            estimate: self.estimate.clone(),
            truth: self.truth.clone(),
            unit: if self.metres { "m" } else { "px" },
            pixel: pixel_metres,
            place: self.place,
            outlier_px: limit.map_or(self.outlier, |l| l / pixel_metres.0),
            outlier_m: limit,
            result: comparison.run()?,
        })
    }

    /// Scatter of the estimate (horizontal) where `path` says that nothing moved.
    fn stable_ground(&self, path: &str, estimate: &Loaded, outlier: (f64, f64)) -> Result<StableGround> {
        let flags = Places::open(path, "--stable", &estimate.georef)?;
        let mut reader = PointFile::open(&flags)?;
        let field = &estimate.field;
        let (mut values, mut sigmas) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
        for j in 0..field.east.height {
            let points: Vec<(f64, f64)> = (0..field.east.width).map(|i| (i as f64, j as f64)).collect();
            for (i, flag) in reader.sample(&points)?.into_iter().enumerate() {
                let (e, n) = (f64::from(field.east.get(i, j)), f64::from(field.north.get(i, j)));
                if flag.is_some_and(|f| f.0 != 0.0) && e.is_finite() && n.is_finite() {
                    values[0].push(e);
                    values[1].push(n);
                    if let Some((se, sn)) = &field.sigma {
                        sigmas[0].push(f64::from(se.get(i, j)));
                        sigmas[1].push(f64::from(sn.get(i, j)));
                    }
                }
            }
        }
        let nothing = || Error::option("--stable", path, "it marks no cell where the estimate has a value");
        let east = ErrorStats::of(&values[0], outlier.0).ok_or_else(nothing)?;
        let north = ErrorStats::of(&values[1], outlier.1).ok_or_else(nothing)?;
        let z = |k: usize, median: f64| {
            let centred: Vec<f64> = values[k].iter().map(|v| v - median).collect();
            Calibration::of(&centred, &sigmas[k])
        };
        let calibration =
            z(0, east.median).zip(z(1, north.median)).map(|(east, north)| Components::horizontal(east, north));
        Ok(StableGround { values: Components::horizontal(east, north), calibration })
    }

    /// Both must lie in the same plane: the same CRS, or pixel coordinates.
    fn check_frames(&self, estimate: &Loaded, truth: &Loaded) -> Result<()> {
        let (e, t) = (&estimate.georef, &truth.georef);
        match (&e.crs, &t.crs) {
            (Some(a), Some(b)) if a.same(b) => {}
            (Some(a), Some(b)) => {
                return Err(Error::GridMismatch(format!(
                    "the coordinate reference systems differ: {} has {}, {} has {}; make the truth on the estimate's CRS \
                     (displacements are vectors: warping the raster does not turn them)",
                    self.estimate, a.label, self.truth, b.label
                )));
            }
            (Some(a), None) | (None, Some(a)) => {
                let (with, without) =
                    if e.crs.is_some() { (&self.estimate, &self.truth) } else { (&self.truth, &self.estimate) };
                return Err(Error::GridMismatch(format!(
                    "{with} has the coordinate reference system {} and {without} has none: give it one with \
                     `gdal_edit.py -a_srs {} {without}`",
                    a.label, a.label
                )));
            }
            (None, None) => {}
        }
        let size = |l: &Loaded| (l.field.east.width, l.field.east.height);
        if !e.referenced && !t.referenced && size(estimate) != size(truth) {
            return Err(Error::GridMismatch(format!(
                "{} ({} x {}) and {} ({} x {}) have no georeference and differ in size, so their places are unknown: \
                 use a format that keeps it, e.g. GeoTIFF",
                self.estimate,
                size(estimate).0,
                size(estimate).1,
                self.truth,
                size(truth).0,
                size(truth).1
            )));
        }
        Ok(())
    }
}

impl FieldRaster {
    fn scale(&mut self, (x, y): (f64, f64)) {
        let multiply = |g: &mut Grid<f32>, k: f64| g.data.iter_mut().for_each(|v| *v = (f64::from(*v) * k) as f32);
        multiply(&mut self.east, x);
        multiply(&mut self.north, y);
        if let Some((e, n)) = &mut self.sigma {
            multiply(e, x);
            multiply(n, y);
        }
    }
}

/// Whether a map is one of `shiftmap combine`, whose errors are read in metres: its pixels are much larger than its errors.
///
/// # Errors
/// A file that cannot be read.
pub fn is_combined(path: &str) -> Result<bool> {
    Ok(read_metadata(path, DOMAIN)?.iter().any(|(k, v)| k == "COMMAND" && v == "shiftmap combine"))
}

fn check_distances(distances: &[f64]) -> Result<()> {
    let text = || distances.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
    let ascending = distances.windows(2).all(|d| d[0] < d[1]);
    match distances.iter().all(|d| *d > 0.0 && d.is_finite()) && ascending && !distances.is_empty() {
        true => Ok(()),
        false => {
            Err(Error::option("--distances", text(), "give limits in pixels above 0 in ascending order, e.g. 5,10,20"))
        }
    }
}

/// Pixel of the pre image in map units: the estimate's cell divided by its step, otherwise the truth's pixel.
fn pixel_size(estimate: &Loaded, truth: &Loaded) -> (f64, f64) {
    let cell = estimate.field.transform.pixel_size();
    match estimate.step {
        Some((sx, sy)) => (cell.0 / sx, cell.1 / sy),
        None => truth.field.transform.pixel_size(),
    }
}

fn load(path: &str) -> Result<Loaded> {
    let file = read_all_bands(path)?;
    let metadata = read_metadata(path, DOMAIN)?;
    let find = |key: &str| metadata.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
    let two = |text: &str| -> Option<(f64, f64)> {
        let (a, b) = text.split_once('x')?;
        Some((a.trim().parse().ok()?, b.trim().parse().ok()?)).filter(|(a, b)| *a > 0.0 && *b > 0.0)
    };
    let band = |name: &str| file.descriptions.iter().position(|d| d.eq_ignore_ascii_case(name));
    let (east, north) = match (band("East displacement"), band("North displacement")) {
        (Some(e), Some(n)) => (e, n),
        _ if file.bands.len() >= 2 => (0, 1),
        _ => {
            let why = "a displacement raster has two bands, east and north displacement".into();
            return Err(Error::Open { path: path.into(), why });
        }
    };
    let values = |i: usize| with_nan(&file.bands[i]);
    let sigma = band("East sigma").zip(band("North sigma")).map(|(e, n)| (values(e), values(n)));
    let mut up = None;
    if let Some(k) = band("Up displacement")
        && unit(&file, k, find("UNITS"), path)? == Unit::Metres
    {
        up = Some(Vertical { values: values(k), sigma: band("Up sigma").map(values) });
    }
    let transform = file.georef.transform;
    let field = FieldRaster { east: values(east), north: values(north), up, sigma, transform };
    let unit = unit(&file, east, find("UNITS"), path)?;
    let windows = |text: &str| text.split(',').filter_map(two).max_by(|a, b| (a.0 * a.1).total_cmp(&(b.0 * b.1)));
    let window = find("WINDOW").and_then(windows).filter(|_| find("CUT").is_none());
    Ok(Loaded { field, unit, step: find("STEP").and_then(two), window, georef: file.georef })
}

/// Unit of the displacement: the band's, the metadata's, or what the CRS suggests.
fn unit(file: &RasterFile, band: usize, metadata: Option<&str>, path: &str) -> Result<Unit> {
    let text = Some(file.units[band].as_str()).filter(|u| !u.is_empty()).or(metadata);
    match text.map(str::to_ascii_lowercase).as_deref() {
        Some("m" | "metre" | "meter" | "metres" | "meters") => Ok(Unit::Metres),
        Some("px" | "pixel" | "pixels") => Ok(Unit::Pixels),
        Some(other) => Err(Error::Open {
            path: path.into(),
            why: format!("its displacements are in `{other}`; m and px are understood (`gdal_edit.py -units`)"),
        }),
        None => match &file.georef.crs {
            Some(crs) if crs.kind == CrsKind::Projected => Ok(Unit::Metres),
            _ => Ok(Unit::Pixels),
        },
    }
}

/// The trace in the truth's coordinate system; it must lie on the rasters.
fn read_trace(path: &str, truth: &Loaded) -> Result<Vec<Vec<(f64, f64)>>> {
    let features = read_line_features(path, truth.georef.crs.as_ref())?;
    let lines: Vec<Vec<(f64, f64)>> = features.into_iter().map(|l| l.points).collect();
    let (w, h) = (truth.field.east.width as f64, truth.field.east.height as f64);
    let on = |p: &(f64, f64)| {
        let place = truth.field.transform.pixel(p.0, p.1);
        place.is_some_and(|(c, r)| c >= -0.1 * w && c <= 1.1 * w && r >= -0.1 * h && r <= 1.1 * h)
    };
    match lines.iter().flatten().any(on) {
        true => Ok(lines),
        false => Err(Error::GridMismatch(format!(
            "{path} lies outside the truth raster; a layer without a coordinate system counts as being in the raster's: name its own \
             with `ogr2ogr -a_srs`, or bring it there with `ogr2ogr -t_srs`"
        ))),
    }
}

fn with_nan(image: &Image) -> Grid<f32> {
    let mut out = image.values.clone();
    out.data.iter_mut().zip(&image.valid.data).filter(|(_, ok)| !**ok).for_each(|(v, _)| *v = f32::NAN);
    out
}
