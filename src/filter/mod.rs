//! Cleaning a displacement map (`shiftmap filter`).
//!
//! The steps always come in this order, each where it is asked for: cells are removed (by thresholds, by the coherence with
//! their neighbours, by their medians; [`reject`]); a stored coregistration is subtracted ([`subtract`]); a surface, stripes
//! and seams are found on what is left and subtracted ([`crate::distortion`]); values are smoothed (median, non-local means;
//! [`smooth`]); holes are filled ([`fill`]).
//!
//! The map is read in strips that overlap by the reach of the steps. A first pass over it finds surface, stripes and seams,
//! kept as one value a line and a table of at most [`crate::distortion::table::BLOCKS`] blocks for each line; a second
//! applies everything and writes. Memory does not grow with the map's area.
//!
//! Sigma: removing cells and subtracting smooth models leaves it as it is; the errors of the models themselves, a small part
//! of it, are not added. Means and medians get the standard deviation of their weights, with the correlation of cells whose
//! windows overlap ([`overlap`]); what smoothing takes away from the signal is not in it. A filled cell has the error of
//! the plane through its neighbours and their scatter about it.

pub mod cells;
pub mod fill;
pub mod overlap;
pub mod reject;
mod report;
pub mod smooth;
pub mod subtract;
mod written;

use crate::distortion::direction::Given;
use crate::distortion::steps::{Seams, along};
use crate::distortion::{Direction, Distortion, Found, LineTable, Wanted, fit_parts};
use crate::grid::{PointFile, Window};
use crate::map::{DisplacementMap, MapReader};
use crate::progress::Progress;
use crate::raster::{Places, WriteOptions};
use crate::{Error, Result};
use cells::Cells;
use overlap::Overlap;
pub use report::{Done, Summary};
use subtract::Model;

/// What `shiftmap filter` is told.
#[derive(Debug, Clone)]
pub struct FilterJob {
    pub map: String,
    pub out: String,
    /// Raster of what was removed.
    pub removed: Option<String>,
    /// Cells above this sigma (of the worse component), below this quality, above this length are removed.
    pub max_sigma: Option<f64>,
    pub min_quality: Option<f64>,
    pub max_magnitude: Option<f64>,
    pub ndc: Option<Coherence>,
    /// Robust standard deviations from the median of the neighbours.
    pub outliers: Option<f64>,
    /// A stored coregistration.
    pub subtract: Option<String>,
    /// Coefficients of the surface: 3 or 6.
    pub detrend: Option<usize>,
    /// Direction of the stripes.
    pub destripe: Option<Given>,
    /// Longest wave of the stripes in cells; `None`: a third of the map.
    pub longest: Option<f64>,
    pub seams: Option<Given>,
    /// In columns (rows for seams along columns).
    pub edges: Vec<f64>,
    pub stable: Option<String>,
    pub moving: Option<String>,
    /// Side of the median's window in cells.
    pub median: Option<usize>,
    pub nlm: Option<smooth::Nlm>,
    /// Largest distance in cells from which a hole is filled.
    pub fill: Option<usize>,
    pub write: WriteOptions,
    pub threads: usize,
}

/// The test of coherence with the neighbours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coherence {
    /// How far neighbours may differ, in the map's unit; `None`: a fifth of the search.
    pub distance: Option<f64>,
}

impl FilterJob {
    /// Nothing but a copy.
    pub fn new(map: &str, out: &str) -> FilterJob {
        FilterJob {
            map: map.into(),
            out: out.into(),
            removed: None,
            max_sigma: None,
            min_quality: None,
            max_magnitude: None,
            ndc: None,
            outliers: None,
            subtract: None,
            detrend: None,
            destripe: None,
            longest: None,
            seams: None,
            edges: Vec::new(),
            stable: None,
            moving: None,
            median: None,
            nlm: None,
            fill: None,
            write: WriteOptions::default(),
            threads: 1,
        }
    }

    fn steps(&self) -> bool {
        let removes = [self.max_sigma, self.min_quality, self.max_magnitude, self.outliers].iter().any(Option::is_some);
        let models =
            self.subtract.is_some() || self.detrend.is_some() || self.destripe.is_some() || self.seams.is_some();
        removes || models || self.ndc.is_some() || self.median.is_some() || self.nlm.is_some() || self.fill.is_some()
    }
}

/// Rows written at once.
const ROWS: usize = 128;

/// Filters the map.
///
/// # Errors
/// Files that cannot be read or written; options that the map cannot serve.
pub fn run(job: &FilterJob, progress: &mut dyn Progress) -> Result<Summary> {
    let map = DisplacementMap::open(&job.map)?;
    check(job, &map)?;
    let mut outputs = written::Outputs::create(job, &map)?;
    let mut filter = Filter::new(job, &map)?;
    let fits = job.detrend.is_some() || job.destripe.is_some() || job.seams.is_some();
    let share = if fits { 0.4 } else { 0.0 };
    if fits || (job.nlm.is_some() && !map.has_sigma()) {
        let mut part = |f: f64| progress.report(share * f, "looking for trend and stripes");
        filter.look(&mut part)?;
    }
    let mut summary = report::Counts::new(&filter);
    let mut reader = map.reader()?;
    for strip in map.strips(ROWS) {
        let done = strip.y as f64 / map.size().1.max(1) as f64;
        if !progress.report(share + (0.99 - share) * done, "filtering") {
            return Err(Error::Cancelled);
        }
        let (before, after) = filter.strip(&mut reader, strip)?;
        summary.add(&before, &after);
        outputs.write(strip, &before, &after)?;
    }
    if summary.left() == 0 {
        return Err(Error::Data(format!(
            "nothing is left of {}: {}; loosen the thresholds",
            job.map,
            if summary.before() == 0 { "it has no values" } else { "every cell was removed" }
        )));
    }
    let summary = summary.finish(job, &filter, &map);
    outputs.finish(&summary)?;
    progress.report(1.0, "done");
    Ok(summary)
}

/// Everything the strips need.
struct Filter<'a> {
    job: &'a FilterJob,
    map: &'a DisplacementMap,
    /// How far neighbours may differ, when they are compared.
    agree: Option<f64>,
    /// Least difference of an outlier.
    least: f64,
    overlap: Overlap,
    model: Option<Model>,
    stable: Option<Places>,
    moving: Option<Places>,
    /// Found in the first pass, in cells and map units.
    found: Option<Found>,
    /// Standard deviation of a value, where the map does not say.
    noise: [f64; 2],
    pool: rayon::ThreadPool,
}

impl<'a> Filter<'a> {
    fn new(job: &'a FilterJob, map: &'a DisplacementMap) -> Result<Filter<'a>> {
        let pixel = match map.unit {
            crate::map::MapUnit::Metres => {
                let (x, y) = map.pixel_size();
                x.max(y) * map.metres_per_unit()
            }
            crate::map::MapUnit::Pixels => 1.0,
        };
        let agree = job.ndc.map(|ndc| reject::distance(ndc, map, pixel)).transpose()?;
        let places =
            |path: &Option<String>, name: &str| path.as_deref().map(|p| Places::open(p, name, &map.georef)).transpose();
        Ok(Filter {
            job,
            map,
            agree,
            least: 0.2 * pixel,
            overlap: Overlap::of(map),
            model: job.subtract.as_deref().map(|p| Model::open(p, map)).transpose()?,
            stable: places(&job.stable, "--stable")?,
            moving: places(&job.moving, "--moving")?,
            found: None,
            noise: [f64::NAN; 2],
            pool: crate::threads::pool(job.threads)?,
        })
    }

    /// Cells around a strip that the tests need.
    fn reach_of_tests(&self) -> usize {
        self.agree.map_or(0, |_| reject::REACH) + self.job.outliers.map_or(0, |_| crate::post::outlier::REACH)
    }

    fn reach(&self) -> usize {
        let smoothing = self.job.median.map_or(0, |n| n / 2) + self.job.nlm.map_or(0, |n| n.search / 2 + n.patch / 2);
        self.reach_of_tests() + smoothing + self.job.fill.unwrap_or(0)
    }

    /// Reads a window with the tests applied and the stored model subtracted.
    fn tested(&self, reader: &mut MapReader, window: Window) -> Result<(Cells, Cells)> {
        let before = Cells::read(reader, self.map, window)?;
        let cells = self.pool.install(|| {
            let mut cells = before.clone();
            reject::thresholds(&mut cells, self.job);
            if let Some(agree) = self.agree {
                reject::incoherent(&mut cells, agree);
            }
            if let Some(sigmas) = self.job.outliers {
                reject::outliers(&mut cells, sigmas, self.least);
            }
            if let Some(model) = &self.model {
                cells.subtract(|x, y| model.at(x, y));
            }
            cells
        });
        Ok((before, cells))
    }

    /// The first pass.
    fn look(&mut self, progress: &mut dyn FnMut(f64) -> bool) -> Result<()> {
        let (job, map) = (self.job, self.map);
        let (width, height) = map.size();
        let direction = |given: Option<Given>| given.map(|g| g.on(&map.georef.transform)).transpose();
        let (lines, seams) = (direction(job.destripe)?, direction(job.seams)?);
        let longest = |d: Direction| {
            let across = d.extent(width as f64, height as f64).1;
            job.longest.unwrap_or((across.1 - across.0) / 3.0)
        };
        let places = |d: Direction| if job.edges.is_empty() { Seams::Found } else { Seams::At(along(d, &job.edges)) };
        let half = map.half_window_cells();
        let wanted = Wanted {
            terms: job.detrend.unwrap_or(0),
            jitter: lines.map(|d| (d, longest(d))),
            seams: seams.map(|d| (d, places(d))),
            window: (2.0 * half.0, 2.0 * half.1),
            ramps: true,
            known: job.stable.is_some() || job.moving.is_some(),
        };
        let mut differences = smooth::Differences::new(map);
        let mut table =
            |direction: Direction, known: &Distortion| self.table(direction, known, &mut differences, progress);
        if wanted.terms > 0 || wanted.jitter.is_some() || wanted.seams.is_some() {
            let found = fit_parts(&wanted, &self.pool, &mut table)?;
            self.found = Some(found);
        } else {
            table(Direction::ROWS, &Distortion::default())?;
        }
        self.noise = differences.noise();
        Ok(())
    }

    fn table(
        &self,
        direction: Direction,
        known: &Distortion,
        differences: &mut smooth::Differences,
        progress: &mut dyn FnMut(f64) -> bool,
    ) -> Result<LineTable> {
        let (width, height) = self.map.size();
        let mut table = LineTable::new(direction, (0.0, 0.0), (1.0, 1.0), (width, height));
        let mut reader = self.map.reader()?;
        let mut stable = self.stable.as_ref().map(PointFile::open).transpose()?;
        let mut moving = self.moving.as_ref().map(PointFile::open).transpose()?;
        for strip in self.map.strips(ROWS) {
            if !progress(strip.y as f64 / height.max(1) as f64) {
                return Err(Error::Cancelled);
            }
            let margin = self.reach_of_tests();
            let (_, cells) = self.tested(&mut reader, strip.grown(margin))?;
            let cells = cells.crop(margin, strip);
            differences.add(&cells);
            for y in 0..strip.height {
                let row = strip.y as usize + y;
                let points: Vec<(f64, f64)> = (0..width).map(|x| (x as f64, row as f64)).collect();
                let mut usable = vec![true; width];
                for (places, wanted) in [(&mut stable, true), (&mut moving, false)] {
                    if let Some(reader) = places {
                        for (flag, found) in usable.iter_mut().zip(reader.sample(&points)?) {
                            *flag &= found.is_some_and(|f| f.0 != 0.0) == wanted;
                        }
                    }
                }
                for (x, usable) in usable.iter().enumerate() {
                    let v = cells.value(x, y);
                    if v[0].is_finite() {
                        let (px, py) = (x as f64, row as f64);
                        let k = known.at(px, py);
                        table.add(px, py, [f64::from(v[0]) - k[0], f64::from(v[1]) - k[1]], *usable);
                    }
                }
            }
        }
        Ok(table)
    }

    /// A strip as it was and as it is.
    fn strip(&self, reader: &mut MapReader, strip: Window) -> Result<(Cells, Cells)> {
        let margin = self.reach();
        let (before, mut cells) = self.tested(reader, strip.grown(margin))?;
        self.pool.install(|| {
            if let Some(found) = &self.found {
                cells.subtract(|x, y| found.distortion.at(x, y));
            }
            if let Some(side) = self.job.median {
                smooth::median(&mut cells, side, &self.overlap);
            }
            if let Some(nlm) = &self.job.nlm {
                smooth::non_local_means(&mut cells, nlm, self.noise, &self.overlap);
            }
            if let Some(radius) = self.job.fill {
                fill::fill(&mut cells, radius, &self.overlap);
            }
        });
        Ok((before.crop(margin, strip), cells.crop(margin, strip)))
    }
}

fn check(job: &FilterJob, map: &DisplacementMap) -> Result<()> {
    if !job.steps() {
        return Err(Error::Data(
            "no step is asked for: add at least one, e.g. --outliers, --detrend plane, --destripe rows, --median 3, --fill 3"
                .into(),
        ));
    }
    let positive = |name: &str, value: Option<f64>, what: &str| match value {
        Some(v) if !(v.is_finite() && v > 0.0) => Err(Error::option(name, v, format!("give {what} above 0"))),
        _ => Ok(()),
    };
    let unit = map.unit.name();
    positive("--max-sigma", job.max_sigma, &format!("a standard deviation in {unit}"))?;
    positive("--max-magnitude", job.max_magnitude, &format!("a length in {unit}"))?;
    positive("--outliers", job.outliers, "a number of standard deviations")?;
    positive("--ndc", job.ndc.and_then(|n| n.distance), &format!("a difference in {unit}"))?;
    positive("--longest", job.longest, "a number of cells")?;
    if let Some(q) = job.min_quality.filter(|q| !q.is_finite()) {
        return Err(Error::option("--min-quality", q, "give a number, usually from 0 to 1"));
    }
    if let (Some(v), false) = (job.max_sigma, map.has_sigma()) {
        return Err(Error::option("--max-sigma", v, format!("{} has no sigma bands; leave it away", job.map)));
    }
    if let (Some(v), false) = (job.min_quality, map.has_quality()) {
        return Err(Error::option("--min-quality", v, format!("{} has no band Quality; leave it away", job.map)));
    }
    if let (Some(v), None) = (job.longest, job.destripe) {
        return Err(Error::option("--longest", v, "belongs to stripes: add --destripe rows"));
    }
    if !job.edges.is_empty() && job.seams.is_none() {
        let text = job.edges.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
        return Err(Error::option("--ccd-edges", text, "belongs to seams between detectors: add --ccd rows"));
    }
    let fits = job.detrend.is_some() || job.destripe.is_some() || job.seams.is_some();
    for (name, path) in [("--stable", &job.stable), ("--moving", &job.moving)] {
        if let (Some(path), false) = (path, fits) {
            return Err(Error::option(name, path, "serves --detrend, --destripe and --ccd: add one of them"));
        }
    }
    let (width, height) = map.size();
    let smaller = width.min(height);
    let odd = |name: &str, side: usize, least: usize, most: usize| {
        if side < least || side > most || side.is_multiple_of(2) {
            return Err(Error::option(name, side, format!("give an odd number of cells from {least} to {most}")));
        }
        match side > smaller {
            true => Err(Error::option(name, side, format!("{} has {width} x {height} cells; give less", job.map))),
            false => Ok(()),
        }
    };
    if let Some(side) = job.median {
        odd("--median", side, 3, 101)?;
    }
    if let Some(nlm) = &job.nlm {
        positive("--nlm", Some(nlm.strength), "a strength")?;
        odd("--nlm-search", nlm.search, 3, 101)?;
        odd("--nlm-patch", nlm.patch, 1, 21)?;
    }
    if let Some(radius) = job.fill.filter(|r| !(1..=100).contains(r)) {
        return Err(Error::option("--fill", radius, "give a distance of 1 to 100 cells"));
    }
    let real = |p: &str| std::fs::canonicalize(p).ok();
    let inputs = [Some(&job.map), job.subtract.as_ref(), job.stable.as_ref(), job.moving.as_ref()];
    for out in [Some(&job.out), job.removed.as_ref()].into_iter().flatten() {
        for input in inputs.into_iter().flatten() {
            if input == out || (real(out).is_some() && real(input) == real(out)) {
                let why = "it is one of the inputs; choose another name for the result".to_string();
                return Err(Error::Write { path: out.clone(), why });
            }
        }
    }
    if job.removed.as_ref() == Some(&job.out) {
        return Err(Error::option("--removed", &job.out, "it is the name of OUT; choose another"));
    }
    Ok(())
}
