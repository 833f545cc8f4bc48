//! From files to the finished map of east, north and up.
//!
//! The maps are read twice in strips of rows: first at the stations and a coarse lattice, from which the long-wavelength errors
//! follow, then everywhere. Memory is that of some strips, except for networks, which see the whole scene.

use rayon::prelude::*;

use super::kriging::Kriging;
use super::left_out::{LeftOut, compare, cross_validate};
use super::output::{Layers, spec};
use super::report::{MapReport, StationReport, Summary};
use super::scene::{Scene, Station};
use super::solve::{Bands, Solver, status};
use super::sources::{Sources, Wanted, Zero, open_band, turned};
use super::spec::{MapKind, MapSpec};
use super::stations::{Position, SeriesOptions, read as read_stations};
use super::survey::Survey;
use super::{COMPONENTS, Method, WlsOptions, network, picture, prepare};
use crate::net::NetOptions;
use crate::progress::Progress;
use crate::raster::{Crs, CrsKind, RasterBand, RasterWriter, TargetGrid, WriteOptions};
use crate::{Error, Result};

/// `--method`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Estimator {
    #[default]
    Wls,
    Sistem,
    Net,
}

impl Estimator {
    pub fn name(self) -> &'static str {
        match self {
            Estimator::Wls => "wls",
            Estimator::Sistem => "sistem",
            Estimator::Net => "net",
        }
    }
}

/// What `shiftmap combine` is told.
#[derive(Debug, Clone)]
pub struct CombineJob {
    pub out: String,
    pub maps: Vec<MapSpec>,
    /// Tables, `.tenv3` files, folders.
    pub gnss: Vec<String>,
    pub series: SeriesOptions,
    pub dem: Option<String>,
    /// What is left out.
    pub mask: Option<String>,
    /// A raster whose grid the result has.
    pub like: Option<String>,
    /// Pixel size in map units.
    pub resolution: Option<f64>,
    pub crs: Option<String>,
    /// Whether directions and stations count from true north instead of the grid's.
    pub true_north: bool,
    pub method: Estimator,
    pub options: WlsOptions,
    pub net: NetOptions,
    /// Stations that are kept out and compared with.
    pub leave_out: Vec<String>,
    /// Compare every station with what all others say.
    pub cross_validate: bool,
    /// .md, .json or .png
    pub reports: Vec<String>,
    pub write: WriteOptions,
    pub threads: usize,
}

impl CombineJob {
    /// With the command line's defaults.
    pub fn new(out: &str) -> CombineJob {
        CombineJob {
            out: out.into(),
            maps: Vec::new(),
            gnss: Vec::new(),
            series: SeriesOptions { event: None, window: 60.0, trend: false },
            dem: None,
            mask: None,
            like: None,
            resolution: None,
            crs: None,
            true_north: false,
            method: Estimator::Wls,
            options: WlsOptions::default(),
            net: NetOptions::default(),
            leave_out: Vec::new(),
            cross_validate: false,
            reports: Vec::new(),
            write: WriteOptions::default(),
            threads: 1,
        }
    }
}

/// Values of all bands of a strip at most.
const STRIP_VALUES: usize = 4_000_000;
/// Convergence of the meridians that is worth a word, degrees.
const WORTH_A_WORD: f64 = 0.3;

/// Combines the maps.
///
/// # Errors
/// Files that cannot be read or written, inputs that do not fit, [`Error::Data`] when no component follows from them: the text says
/// why and what to add.
pub fn run(job: &CombineJob, note: &mut dyn FnMut(&str), progress: &mut dyn Progress) -> Result<Summary> {
    check(job)?;
    let grid = target(job)?;
    let convergence = grid.convergence(grid.georef.transform.map(0.5 * grid.size.0 as f64, 0.5 * grid.size.1 as f64));
    let turn = if job.true_north { convergence } else { 0.0 };
    let wanted = Wanted { maps: &job.maps, dem: job.dem.as_deref(), mask: job.mask.as_deref(), grid, turn };
    let mut sources = Sources::open(&wanted)?;
    let mut notes = Vec::new();
    let (stations, left_out) = stations(job, &sources, turn, &mut notes)?;
    sources.stations = stations;
    if !job.true_north && convergence.abs() > WORTH_A_WORD {
        notes.push(format!(
            "the grid's north is {convergence:.2} degrees from true north here; headings, unit vectors and stations are taken \
             for the grid's: add --north true if theirs is true north"
        ));
    }
    let pool = crate::threads::pool(job.threads)?;
    let survey = survey(&sources, job, &pool, progress)?;
    let outline = sources.outline();
    let kriging = survey.kriging().cloned();
    let method = if job.method == Estimator::Sistem { Method::Sistem } else { Method::Wls };
    let options = WlsOptions { method, ..job.options };
    let solver = prepare(&outline, &survey, kriging.clone(), &options)?;
    notes.extend(solver.nuisance.notes.clone());
    notes.extend(survey.silent().into_iter().map(|k| {
        format!(
            "{}: no value at the places that were looked at: it may lie elsewhere, or be masked",
            outline.observations[k].name
        )
    }));
    let network = match job.method {
        Estimator::Net => Some(network::Combiner::load(&job.net)?),
        _ => None,
    };
    let facts = network.as_ref().map_or(Vec::new(), |n| n.facts());
    let mut writer =
        RasterWriter::create(&job.out, spec(job, &sources, &solver, kriging.as_ref(), &facts), &job.write)?;
    let mut tally = Tally::default();
    match &network {
        None => strips(&sources, &solver, &pool, &mut writer, &mut tally, progress)?,
        Some(n) => whole(&sources, &solver, kriging.as_ref(), n, &pool, &mut writer, &mut tally, &mut notes, progress)?,
    }
    if tally.valid.iter().all(|n| *n == 0) {
        return Err(nothing(&survey, &outline, tally.most));
    }
    for (c, n) in tally.valid.iter().enumerate() {
        if *n == 0 {
            notes.push(format!(
                "{}: nothing here tells it ({}); the band is empty: add stations (--gnss), offsets or a map in another direction",
                COMPONENTS[c],
                directions(&survey, &outline)
            ));
        }
    }
    let compared = match (left_out.is_empty(), job.cross_validate) {
        (false, _) => compare(&sources, &solver, network.as_ref().map(|_| &tally.whole), &left_out)?,
        (true, true) => cross_validate(&sources, &survey, &options)?,
        (true, false) => Vec::new(),
    };
    notes.iter().for_each(|n| note(n));
    let summary = summary(job, &sources, &solver, kriging.as_ref(), &tally, compared, convergence, notes);
    for path in job.reports.iter().filter(|p| !picture::is_picture(p)) {
        super::report::write(path, &summary, job.write.overwrite)?;
    }
    writer.finish()?;
    for path in job.reports.iter().filter(|p| picture::is_picture(p)) {
        picture::draw(path, &job.out, job.write.overwrite)?;
    }
    progress.report(1.0, "done");
    Ok(summary)
}

fn check(job: &CombineJob) -> Result<()> {
    if job.maps.is_empty() && job.gnss.is_empty() {
        return Err(Error::Data(
            "nothing to combine: give maps (--los, --azimuth-offset, --range-offset, --offsets) or stations (--gnss)"
                .into(),
        ));
    }
    if job.gnss.is_empty() && !job.leave_out.is_empty() {
        return Err(Error::option("--leave-out", job.leave_out.join(","), "there are no stations; give --gnss"));
    }
    if job.cross_validate && (job.gnss.is_empty() || job.method == Estimator::Net || !job.leave_out.is_empty()) {
        let why =
            "leaves out one station after the other: it needs --gnss, the method wls or sistem, and no --leave-out";
        return Err(Error::option("--cross-validate", "given", why));
    }
    if job.method == Estimator::Net && !job.maps.iter().any(|m| m.kind == MapKind::LineOfSight) {
        return Err(Error::option(
            "--method",
            "net",
            "the network looks at lines of sight; give --los, or --method wls",
        ));
    }
    if let Some(r) = job.resolution.filter(|r| !(r.is_finite() && *r > 0.0)) {
        return Err(Error::option("--resolution", r, "give a positive pixel size in map units"));
    }
    for path in &job.reports {
        match picture::is_picture(path) {
            true => picture::check(path, job.write.overwrite)?,
            false => super::report::check(path)?,
        }
    }
    Ok(())
}

/// The grid of the result.
fn target(job: &CombineJob) -> Result<TargetGrid> {
    let first = job.maps.first().map(|m| (m.path.as_str(), m.band));
    let Some((path, band)) = job.like.as_deref().map(|p| (p, 1)).or(first).or(job.dem.as_deref().map(|p| (p, 1)))
    else {
        return Err(Error::Data("stations alone have no grid: give a raster that has it (--like RASTER)".into()));
    };
    let band: RasterBand = open_band(path, band, Zero::Value)?;
    let crs = job.crs.as_deref().map(Crs::from_definition).transpose()?;
    let own = band.georef().crs.clone();
    let other = match (&crs, &own) {
        (Some(a), Some(b)) => !a.same(b),
        (a, _) => a.is_some(),
    };
    let grid = match (job.resolution, other) {
        (None, false) => TargetGrid::of(&band),
        (Some(r), _) => TargetGrid::covering(&band, crs.as_ref(), r)?,
        (None, true) => {
            let text = job.crs.clone().unwrap_or_default();
            return Err(Error::option("--crs", text, "another CRS needs a pixel size too; add --resolution"));
        }
    };
    match &grid.georef.crs {
        Some(c) if c.kind == CrsKind::Projected && grid.georef.referenced => Ok(grid),
        Some(c) => Err(Error::GridMismatch(format!(
            "{path} has the CRS {}, which is not in metres: say which projected one the result has and its pixel size, e.g. \
             --crs EPSG:32633 --resolution 100",
            c.label
        ))),
        None => Err(Error::GridMismatch(format!(
            "{path} has no CRS, so distances to stations are not known: give it one with `gdal_edit.py -a_srs`, or a grid that \
             has one (--like RASTER)"
        ))),
    }
}

/// The stations on the grid, and those that are left out.
fn stations(
    job: &CombineJob,
    sources: &Sources,
    turn: f64,
    notes: &mut Vec<String>,
) -> Result<(Vec<Station>, Vec<Station>)> {
    let found = read_stations(&job.gnss, &job.series, notes)?;
    if !job.gnss.is_empty() && found.is_empty() {
        return Err(Error::option("--gnss", job.gnss.join(" "), "there is no station with a displacement in it"));
    }
    let grid = &sources.grid;
    let metres = grid.georef.crs.as_ref().map_or(1.0, |c| c.metres_per_unit);
    let mut stations = Vec::new();
    for f in found {
        let (x, y) = match f.position {
            Position::Map(x, y) => (x, y),
            Position::Geographic(lon, lat) => grid.map_of(&[(lon, lat)])?[0],
        };
        let mut s = f.station;
        (s.x, s.y) = (x * metres, y * metres);
        s.displacement = match s.displacement {
            [e, n, u] if turn != 0.0 && !(e.is_finite() && n.is_finite()) => [f64::NAN, f64::NAN, u],
            d => turned(d, turn),
        };
        let v = s.sigma.map(|v| v * v);
        let (sin, cos) = turn.to_radians().sin_cos();
        if turn != 0.0 {
            s.sigma[0] = (cos * cos * v[0] + sin * sin * v[1]).sqrt();
            s.sigma[1] = (sin * sin * v[0] + cos * cos * v[1]).sqrt();
        }
        stations.push(s);
    }
    for name in &job.leave_out {
        if !stations.iter().any(|s| s.name == *name) {
            let known: Vec<&str> = stations.iter().map(|s| s.name.as_str()).take(20).collect();
            return Err(Error::option("--leave-out", name, format!("no such station; there are {}", known.join(", "))));
        }
    }
    let out = |s: &Station| job.leave_out.contains(&s.name);
    let (left_out, kept): (Vec<Station>, Vec<Station>) = stations.into_iter().partition(out);
    if kept.is_empty() && !job.leave_out.is_empty() {
        notes.push("all stations are left out: the maps alone make the result".into());
    }
    let (w, h) = (sources.frame.width as f64, sources.frame.height as f64);
    let inside = |s: &&Station| {
        let p = sources.frame.transform.pixel(s.x, s.y);
        p.is_some_and(|(c, r)| c >= 0.0 && r >= 0.0 && c <= w && r <= h)
    };
    let inside = kept.iter().filter(inside).count();
    if inside == 0 && !kept.is_empty() {
        notes.push(format!("none of the {} stations lies inside the grid: check their coordinates", kept.len()));
    }
    Ok((kept, left_out))
}

/// Strips: first row and number of rows.
fn pieces(sources: &Sources) -> Vec<(usize, usize)> {
    let values = sources.frame.width * (sources.bands() + 16).max(1);
    let rows = (STRIP_VALUES / values).clamp(1, 256);
    let height = sources.frame.height;
    (0..height).step_by(rows).map(|first| (first, rows.min(height - first))).collect()
}

/// Strips in batches of as many as there are threads; `work` gets each in order.
fn batches<T: Send>(
    sources: &Sources,
    pool: &rayon::ThreadPool,
    make: impl Fn(Scene) -> T + Sync,
    mut take: impl FnMut(usize, T) -> Result<()>,
) -> Result<()> {
    let list = pieces(sources);
    for (b, batch) in list.chunks(pool.current_num_threads()).enumerate() {
        let made: Vec<Result<T>> = pool.install(|| {
            let read = |&(first, rows): &(usize, usize)| Ok(make(sources.reader()?.read(first, rows)?));
            batch.par_iter().map(read).collect()
        });
        for (k, strip) in made.into_iter().enumerate() {
            take(b * pool.current_num_threads() + k, strip?)?;
        }
    }
    Ok(())
}

fn survey(
    sources: &Sources,
    job: &CombineJob,
    pool: &rayon::ThreadPool,
    progress: &mut dyn Progress,
) -> Result<Survey> {
    let kriging = Kriging::fit(&sources.stations, job.options.length);
    let names = sources.names();
    let mut survey = Survey::new(sources.frame, &sources.stations, kriging, names.len());
    if names.is_empty() {
        return Ok(survey);
    }
    let count = pieces(sources).len() as f64;
    batches(
        sources,
        pool,
        |scene| scene,
        |k, scene| {
            survey.add(&scene);
            match progress.report(0.3 * (k + 1) as f64 / count, "stations and ramps") {
                true => Ok(()),
                false => Err(Error::Cancelled),
            }
        },
    )?;
    Ok(survey)
}

/// What was made.
#[derive(Default)]
pub(super) struct Tally {
    /// Pixels with east, north, up.
    pub valid: [usize; 3],
    /// Pixels by status code.
    pub status: std::collections::BTreeMap<u8, usize>,
    /// Most maps at one pixel.
    pub most: u8,
    /// For networks: the whole result.
    pub whole: Option<Layers>,
}

impl Tally {
    fn add(&mut self, bands: &Bands) {
        for c in 0..3 {
            self.valid[c] += bands.displacement[c].iter().filter(|v| v.is_finite()).count();
        }
        for s in &bands.status {
            *self.status.entry(*s).or_default() += 1;
        }
        self.most = self.most.max(bands.used.iter().copied().max().unwrap_or(0));
    }
}

fn strips(
    sources: &Sources,
    solver: &Solver,
    pool: &rayon::ThreadPool,
    writer: &mut RasterWriter,
    tally: &mut Tally,
    progress: &mut dyn Progress,
) -> Result<()> {
    let list = pieces(sources);
    batches(
        sources,
        pool,
        |scene| solver.solve(&scene),
        |k, bands| {
            tally.add(&bands);
            let (first, rows) = list[k];
            let layers = Layers::of(&bands);
            writer.write(0, first, sources.frame.width, rows, &layers.slices())?;
            match progress.report(0.3 + 0.69 * (k + 1) as f64 / list.len() as f64, "pixels") {
                true => Ok(()),
                false => Err(Error::Cancelled),
            }
        },
    )
}

#[allow(clippy::too_many_arguments)]
fn whole(
    sources: &Sources,
    solver: &Solver,
    kriging: Option<&Kriging>,
    network: &network::Combiner,
    pool: &rayon::ThreadPool,
    writer: &mut RasterWriter,
    tally: &mut Tally,
    notes: &mut Vec<String>,
    progress: &mut dyn Progress,
) -> Result<()> {
    let scene = sources.reader()?.read(0, sources.frame.height)?;
    let bands = pool.install(|| solver.solve(&scene));
    if !progress.report(0.5, "network") {
        return Err(Error::Cancelled);
    }
    let made = network.run(&scene, bands, kriging, notes)?;
    tally.add(&made);
    let layers = Layers::of(&made);
    writer.write(0, 0, sources.frame.width, sources.frame.height, &layers.slices())?;
    tally.whole = Some(layers);
    Ok(())
}

/// Why no pixel has any component.
fn nothing(survey: &Survey, outline: &Scene, most: u8) -> Error {
    let maps = outline.observations.len();
    let names: Vec<&str> = outline.observations.iter().map(|o| o.name.as_str()).collect();
    let remedy = "add stations (--gnss), offsets (--offsets, --azimuth-offset) or a map from another direction";
    if maps == 1 {
        return Error::Data(format!(
            "one map ({}) sees one direction only, {}: no component follows from it alone; {remedy}",
            names[0],
            directions(survey, outline)
        ));
    }
    if usize::from(most) < 2 {
        return Error::Data(format!(
            "no pixel is seen by more than {most} of the {maps} maps ({}): they do not overlap, or masks leave nothing; {remedy}",
            names.join(", ")
        ));
    }
    Error::Data(format!(
        "the maps see the ground from nearly one direction ({}): no component follows from them; {remedy}",
        directions(survey, outline)
    ))
}

/// Mean directions, for messages.
fn directions(survey: &Survey, outline: &Scene) -> String {
    let text = |(o, d): (&super::Observation, Option<[f64; 3]>)| match d {
        Some(d) => format!("{} ({:.2}, {:.2}, {:.2})", o.name, d[0], d[1], d[2]),
        None => format!("{} (no value)", o.name),
    };
    outline.observations.iter().zip(survey.directions()).map(text).collect::<Vec<_>>().join("; ")
}

#[allow(clippy::too_many_arguments)]
fn summary(
    job: &CombineJob,
    sources: &Sources,
    solver: &Solver,
    kriging: Option<&Kriging>,
    tally: &Tally,
    compared: Vec<LeftOut>,
    convergence: f64,
    notes: Vec<String>,
) -> Summary {
    Summary {
        output: job.out.clone(),
        method: job.method.name(),
        unit: "m",
        size: sources.grid.size,
        pixels: sources.grid.size.0 * sources.grid.size.1,
        valid: tally.valid,
        status: status::ALL.iter().map(|(code, text)| (*text, tally.status.get(code).copied().unwrap_or(0))).collect(),
        maps: solver.nuisance.corrections.iter().map(|c| MapReport::of(c, solver)).collect(),
        stations: StationReport::of(&sources.stations, kriging),
        convergence,
        left_out: compared,
        notes,
    }
}
