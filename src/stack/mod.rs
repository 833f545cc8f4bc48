//! Several displacement maps brought together (`shiftmap stack`): of one event, or of a network of dates.
//!
//! * Maps of one event (other pairs, bands, methods) become one map: the mean weighted by 1/sigma² that outliers do not pull.
//! * Maps between dates become a time series: displacement at every date since the reference date, and velocity, by weighted
//!   least squares on the network; its loops must close.
//!
//! | file | what |
//! |---|---|
//! | [`inputs`] | the maps on one grid |
//! | [`network`], [`dates`] | which dates they connect |
//! | [`solve`] | one cell |
//! | [`survey`] | a look at sample cells first: offsets, real errors, loops |
//! | [`output`] | bands |
//! | [`report`] | what was found, for people |
//!
//! Memory: strips of rows, whatever the size of the maps.

pub mod dates;
pub mod inputs;
pub mod network;
pub mod output;
pub mod report;
pub mod solve;
pub mod survey;

use rayon::prelude::*;
use serde::Serialize;

use crate::grid::PointFile;
use crate::map::DisplacementMap;
use crate::progress::Progress;
use crate::raster::{Places, RasterWriter, Value as Field, WriteOptions, read_table};
use crate::{Error, Result};
use dates::Day;
use inputs::{Extent, Sampler, Strip, Target};
use network::Network;
use output::Bands;
use solve::{Solver, Value};
use survey::{Closure, Correction, Survey, culprits, median, value_at};

/// Where the dates of the maps come from (`--dates`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dates {
    /// All maps show one event.
    None,
    /// Those of the images, from the maps' metadata.
    Auto,
    /// A table with the columns map, start and end.
    Table(String),
}

/// What the sigma of the maps is worth (`--sigma`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SigmaFrom {
    /// As stated, times a factor for each map from how much the maps differ.
    #[default]
    Scatter,
    /// As stated, times a factor for each map from its scatter on stable ground.
    Stable,
    /// As stated.
    Stated,
}

/// What `shiftmap stack` is told.
#[derive(Debug, Clone)]
pub struct StackJob {
    /// May be empty with a table of dates, which names them.
    pub maps: Vec<String>,
    pub out: String,
    pub dates: Dates,
    /// Date of zero displacement; the first one by default.
    pub reference: Option<Day>,
    pub extent: Extent,
    pub sigma: SigmaFrom,
    /// Share of the error variance that maps have in common: all maps of an event, or, of a network, those that share an
    /// image, for each image.
    pub correlation: f64,
    /// Subtract each map's offset from what all say together; one event only.
    pub align: bool,
    /// Places that have not moved: every map's median there is subtracted.
    pub stable: Option<String>,
    /// Maps with a value that a cell needs.
    pub least: usize,
    /// Least squares without regard to outliers.
    pub plain: bool,
    /// Keep maps that break loops.
    pub keep_broken: bool,
    /// .md or .json
    pub reports: Vec<String>,
    pub write: WriteOptions,
    pub threads: usize,
}

impl StackJob {
    /// With the command line's defaults.
    pub fn new(maps: &[String], out: &str) -> StackJob {
        StackJob {
            maps: maps.to_vec(),
            out: out.into(),
            dates: Dates::None,
            reference: None,
            extent: Extent::default(),
            sigma: SigmaFrom::default(),
            correlation: 0.0,
            align: false,
            stable: None,
            least: 1,
            plain: false,
            keep_broken: false,
            reports: Vec::new(),
            write: WriteOptions::default(),
            threads: 1,
        }
    }
}

/// What was done.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    pub output: String,
    /// Columns and rows.
    pub size: (usize, usize),
    /// Of displacements; velocities are in this per year.
    pub unit: &'static str,
    pub maps: Vec<MapSummary>,
    /// Dates of a time series.
    pub dates: Vec<Day>,
    pub reference: Option<Day>,
    /// Descriptions of the bands, in order.
    pub bands: Vec<String>,
    /// Loops of the network.
    pub closure: Vec<Closure>,
    pub cells: usize,
    /// Cells with a value.
    pub valid: usize,
}

/// One of the maps.
#[derive(Debug, Clone, Serialize)]
pub struct MapSummary {
    pub map: String,
    pub start: Option<Day>,
    pub end: Option<Day>,
    /// Whether it is in the result, or left out because it breaks loops.
    pub used: bool,
    #[serde(flatten)]
    pub correction: Correction,
    /// Share of the sampled cells in which it was an outlier.
    pub rejected: f64,
}

/// Values of all maps in a strip, at most, for the number of rows.
const STRIP_VALUES: usize = 3_000_000;

/// Stacks the maps.
///
/// # Errors
/// Files that cannot be read or written, maps that do not belong together, dates that nothing connects, [`Error::Data`]
/// without any value.
pub fn run(job: &StackJob, note: &mut dyn FnMut(&str), progress: &mut dyn Progress) -> Result<Summary> {
    check(job)?;
    let (paths, given) = listed(job)?;
    let maps = inputs::open(&paths)?;
    let net = match &job.dates {
        Dates::None => Network::event(maps.len()),
        Dates::Auto => Network::of(&dated(&maps)?, &paths, job.reference)?,
        Dates::Table(_) => Network::of(&given, &paths, job.reference)?,
    };
    net.check_connected()?;
    let target = Target::new(&maps, job.extent)?;
    let with_sigma = maps.iter().all(DisplacementMap::has_sigma);
    if !with_sigma && job.sigma == SigmaFrom::Stated {
        let why = "the maps have no sigma bands; use scatter, or stable with --stable";
        return Err(Error::option("--sigma", "stated", why));
    }
    let places = (job.stable.as_deref()).map(|p| Places::open(p, "--stable", &target.georef)).transpose()?;
    let mut survey = Survey::take(&maps, &target, places.as_ref().map(|p| p as &dyn PointFile), progress)?;
    let (corrections, keep, closure) = learn(job, &mut survey, &net, &maps, with_sigma, note)?;
    let rejected = survey.rejected(&net, job.correlation, &keep);
    drop(survey);

    let bands = Bands::new(&net, maps[0].unit.name());
    let spec = bands.spec(job, &maps, &net, &target, &corrections, &keep);
    let mut writer = RasterWriter::create(&job.out, spec, &job.write)?;
    let stacker = Stacker { job, net: &net, bands: &bands, corrections: &corrections, keep: &keep, with_sigma };
    let valid = stacker.write(&maps, &target, &mut writer, progress)?;
    if valid == 0 {
        return Err(Error::Data(
            "no cell has a value: the maps contradict each other everywhere, or too few of them meet (--least)".into(),
        ));
    }
    let summary = Summary {
        output: job.out.clone(),
        size: target.size,
        unit: maps[0].unit.name(),
        maps: (0..maps.len())
            .map(|k| MapSummary {
                map: paths[k].clone(),
                start: net.dated.then(|| net.days[net.pairs[k].0]),
                end: net.dated.then(|| net.days[net.pairs[k].1]),
                used: keep[k],
                correction: corrections[k],
                rejected: rejected[k],
            })
            .collect(),
        dates: if net.dated { net.days.clone() } else { Vec::new() },
        reference: net.dated.then(|| net.days[net.reference]),
        bands: bands.names.clone(),
        closure,
        cells: target.size.0 * target.size.1,
        valid,
    };
    for path in &job.reports {
        report::write(path, &summary, job.write.overwrite)?;
    }
    writer.finish()?;
    progress.report(1.0, "done");
    Ok(summary)
}

fn check(job: &StackJob) -> Result<()> {
    let limit = if job.dates == Dates::None { 0.95 } else { 0.5 };
    if !(0.0..=limit).contains(&job.correlation) {
        let why = match job.dates {
            Dates::None => "give a share from 0 to 0.95",
            _ => "give a share from 0 to 0.5: with 0.5 all errors are those of the images",
        };
        return Err(Error::option("--correlation", job.correlation, why));
    }
    if job.least == 0 {
        return Err(Error::option("--least", job.least, "a value needs one map at least"));
    }
    if job.align && job.dates != Dates::None {
        let why = "offsets of maps between dates cannot be told from motion; give ground that has not moved (--stable)";
        return Err(Error::option("--align", "YES", why));
    }
    if job.sigma == SigmaFrom::Stable && job.stable.is_none() {
        return Err(Error::option("--sigma", "stable", "needs --stable PLACES"));
    }
    if job.reference.is_some() && job.dates == Dates::None {
        let why = "only a time series has dates; add --dates auto or --dates TABLE";
        return Err(Error::option("--reference", job.reference.unwrap_or(Day(0)), why));
    }
    job.reports.iter().try_for_each(|path| report::check(path))?;
    for (k, path) in job.reports.iter().enumerate() {
        if *path == job.out || job.reports[..k].contains(path) || job.maps.contains(path) {
            let why = "it is another file of this run; choose another name".to_string();
            return Err(Error::Write { path: path.clone(), why });
        }
        if !job.write.overwrite && std::path::Path::new(path).exists() {
            return Err(Error::Exists(path.into()));
        }
    }
    Ok(())
}

/// Paths of the maps, and the start and end of each where a table gives them.
type Listed = (Vec<String>, Vec<(Day, Day)>);

fn listed(job: &StackJob) -> Result<Listed> {
    let (mut paths, mut given) = (job.maps.clone(), Vec::new());
    if let Dates::Table(table) = &job.dates {
        let rows = read_dates(table)?;
        if paths.is_empty() {
            paths = rows.iter().map(|r| r.0.clone()).collect();
        }
        let real =
            |p: &str| std::fs::canonicalize(p).map_or_else(|_| p.to_string(), |q| q.to_string_lossy().into_owned());
        for path in &paths {
            let row = rows.iter().find(|r| r.0 == *path || real(&r.0) == real(path));
            let row = row.ok_or_else(|| Error::option("--dates", table, format!("it has no row for {path}")))?;
            given.push((row.1, row.2));
        }
    }
    let least = 2;
    if paths.len() < least {
        let why = format!("{} given; a stack needs two maps at least", paths.len());
        return Err(Error::option("IN", paths.join(" "), why));
    }
    let real = |p: &String| std::fs::canonicalize(p).ok();
    if let Some(input) = paths.iter().find(|p| **p == job.out || (real(p).is_some() && real(p) == real(&job.out))) {
        let why = "it is one of the inputs; choose another name for the result".to_string();
        return Err(Error::Write { path: input.clone(), why });
    }
    if let Some(k) = (1..paths.len()).find(|k| paths[..*k].contains(&paths[*k])) {
        return Err(Error::option("IN", &paths[k], "the same map is given twice; it would count double"));
    }
    Ok((paths, given))
}

/// Map, start and end of every row; paths count from the table's folder where they lead to nothing from here.
fn read_dates(path: &str) -> Result<Vec<(String, Day, Day)>> {
    let wanted = ["map", "start", "end"];
    let Some(table) = read_table(path, &wanted)? else {
        return Err(Error::option(
            "--dates",
            path,
            "it needs the columns map, start and end, e.g. `map,start,end` as first line",
        ));
    };
    let places = wanted.map(|w| table.names.iter().position(|n| n.eq_ignore_ascii_case(w)).unwrap_or(0));
    let folder = path.rsplit_once('/').map(|(f, _)| f);
    let mut rows = Vec::new();
    for (k, row) in table.rows.iter().enumerate() {
        let text = |place: usize| match &row[place] {
            Some(Field::Text(t)) => Some(t.clone()),
            Some(Field::Integer(v)) => Some(v.to_string()),
            _ => None,
        };
        let missing = |what: &str| Error::option("--dates", path, format!("row {} has no {what}", k + 1));
        let map = text(places[0]).ok_or_else(|| missing("map"))?;
        let day = |place: usize, what: &str| {
            let text = text(place).ok_or_else(|| missing(what))?;
            let bad = || {
                Error::option(
                    "--dates",
                    &text,
                    format!("row {} of {path} has no date here; write e.g. 2020-03-01", k + 1),
                )
            };
            Day::parse(&text).ok_or_else(bad)
        };
        let (start, end) = (day(places[1], "start")?, day(places[2], "end")?);
        let beside = folder.map(|f| format!("{f}/{map}")).filter(|p| std::path::Path::new(p).exists());
        let map = if std::path::Path::new(&map).exists() { map } else { beside.unwrap_or(map) };
        rows.push((map, start, end));
    }
    Ok(rows)
}

/// Dates from the maps' metadata.
fn dated(maps: &[DisplacementMap]) -> Result<Vec<(Day, Day)>> {
    let of = |m: &DisplacementMap| {
        Ok((
            dates::required(m.find("PRE_DATE"), "earlier", m.path())?,
            dates::required(m.find("POST_DATE"), "later", m.path())?,
        ))
    };
    maps.iter().map(of).collect()
}

/// Corrections, the maps that take part, and the loops.
fn learn(
    job: &StackJob,
    survey: &mut Survey,
    net: &Network,
    maps: &[DisplacementMap],
    with_sigma: bool,
    note: &mut dyn FnMut(&str),
) -> Result<(Vec<Correction>, Vec<bool>, Vec<Closure>)> {
    let mut corrections = vec![Correction::default(); maps.len()];
    let mut keep = vec![true; maps.len()];
    if let Some(places) = &job.stable {
        let offsets = survey.stable_offsets(maps, places)?;
        corrections.iter_mut().zip(offsets).for_each(|(c, o)| c.offset = o);
        survey.apply(&corrections);
    }
    if !with_sigma {
        note("the maps have no sigma: they count equally, and sigma comes from how much they differ");
        // Any common number, near the truth so that outliers are told from the rest.
        let mut differences = Vec::new();
        for v in survey.cells.iter().filter(|v| v.len() > 1) {
            let level = median(v.iter().map(|v| v.value[0]).collect());
            differences.extend(v.iter().map(|v| (v.value[0] - level).abs()).filter(|d| *d > 0.0));
        }
        let first = 1.4826 * median(differences);
        let first = if first > 0.0 && !net.dated { first } else { 1.0 };
        let scaled = vec![Correction { sigma_factor: first, ..Correction::default() }; maps.len()];
        survey.apply(&scaled);
        corrections.iter_mut().for_each(|c| c.sigma_factor = first);
    }
    if job.align {
        let offsets = survey.consensus_offsets(net);
        for (c, o) in corrections.iter_mut().zip(offsets) {
            (0..2).for_each(|k| c.offset[k] += o[k]);
        }
    }
    let mut closure = Vec::new();
    if net.dated {
        // A broken map must not pass for a noisy one: the factor of the middle map is that of all.
        let common = match job.sigma {
            SigmaFrom::Stated => 1.0,
            _ => {
                let found: Vec<f64> =
                    survey.scatter_factors(net, job.correlation, &keep).into_iter().flatten().collect();
                if found.is_empty() { 1.0 } else { median(found) }
            }
        };
        closure = survey.closure(net, common, job.correlation);
        for map in culprits(maps.len(), &closure) {
            let n = closure.iter().filter(|c| c.broken && c.maps.contains(&map)).count();
            let path = maps[map].path();
            keep[map] = false;
            if job.keep_broken {
                keep[map] = true;
                note(&format!("{path} breaks {n} loops of the network; kept"));
            } else if net.groups(|k| keep[k]).len() > 1 {
                keep[map] = true;
                note(&format!("{path} breaks {n} loops of the network; kept, because nothing else connects its dates"));
            } else {
                note(&format!("{path} breaks {n} loops of the network; left out"));
            }
        }
    }
    let factors = match job.sigma {
        SigmaFrom::Stated => vec![Some(1.0); maps.len()],
        SigmaFrom::Stable => survey.stable_factors(maps.len()).into_iter().map(Some).collect(),
        SigmaFrom::Scatter => survey.scatter_factors(net, job.correlation, &keep),
    };
    if factors.iter().all(Option::is_none) {
        match with_sigma {
            true => note("too few maps overlap to tell how large their errors are: sigma is taken as stated"),
            false => {
                return Err(Error::Data(
                    "the maps have no sigma bands and too few of them overlap to tell how large their errors are"
                        .into(),
                ));
            }
        }
    }
    let step: Vec<Correction> =
        factors.iter().map(|f| Correction { sigma_factor: f.unwrap_or(1.0), ..Correction::default() }).collect();
    survey.apply(&step);
    corrections.iter_mut().zip(&step).for_each(|(c, s)| c.sigma_factor *= s.sigma_factor);
    Ok((corrections, keep, closure))
}

/// The second pass: every cell.
struct Stacker<'a> {
    job: &'a StackJob,
    net: &'a Network,
    bands: &'a Bands,
    corrections: &'a [Correction],
    keep: &'a [bool],
    with_sigma: bool,
}

impl Stacker<'_> {
    /// Writes all cells; how many have a value.
    fn write(
        &self,
        maps: &[DisplacementMap],
        target: &Target,
        writer: &mut RasterWriter,
        progress: &mut dyn Progress,
    ) -> Result<usize> {
        let used: Vec<usize> = (0..maps.len()).filter(|k| self.keep[*k]).collect();
        let mut samplers = used.iter().map(|k| Sampler::new(&maps[*k], target)).collect::<Result<Vec<_>>>()?;
        let pool = crate::threads::pool(self.job.threads)?;
        let (width, height) = target.size;
        let count = self.bands.names.len();
        let rows = (STRIP_VALUES / (width * (used.len() + count))).clamp(1, output::BLOCK);
        let mut valid = 0;
        for y in (0..height).step_by(rows) {
            if !progress.report(0.2 + 0.79 * y as f64 / height as f64, "stacking") {
                return Err(Error::Cancelled);
            }
            let n = rows.min(height - y);
            let strips = samplers.iter_mut().map(|s| s.read(y, width, n)).collect::<Result<Vec<_>>>()?;
            // One row after the other: bands of a row, cell by cell.
            let done: Vec<(Vec<f32>, usize)> =
                pool.install(|| (0..n).into_par_iter().map(|j| self.row(&used, &strips, j, width)).collect());
            let mut bands: Vec<Vec<f32>> = vec![Vec::with_capacity(width * n); count];
            for (row, found) in done {
                valid += found;
                for cell in row.chunks_exact(count) {
                    bands.iter_mut().zip(cell).for_each(|(b, v)| b.push(*v));
                }
            }
            let bands: Vec<&[f32]> = bands.iter().map(Vec::as_slice).collect();
            writer.write(0, y, width, n, &bands)?;
        }
        Ok(valid)
    }

    fn row(&self, used: &[usize], strips: &[Strip], j: usize, width: usize) -> (Vec<f32>, usize) {
        let count = self.bands.names.len();
        let mut out = vec![f32::NAN; width * count];
        let mut found = 0;
        let mut solver = Solver::default();
        let mut values: Vec<Value> = Vec::new();
        let mut quality = Vec::new();
        for (i, cell) in out.chunks_exact_mut(count).enumerate() {
            let k = j * width + i;
            values.clear();
            quality.clear();
            for (map, strip) in used.iter().zip(strips) {
                if let Some(v) = value_at(strip, k, *map, self.with_sigma, &self.corrections[*map]) {
                    values.push(v);
                    quality.push(f64::from(strip.quality[k]));
                }
            }
            let enough = values.len() >= self.job.least;
            let rho = self.job.correlation;
            let solution = if enough { solver.solve(self.net, &values, rho, !self.job.plain) } else { None };
            let valid = match &solution {
                Some(s) => self.bands.fill(cell, self.net, &values, &quality, s, rho),
                None => false,
            };
            found += usize::from(valid);
            if !valid {
                let contradiction = enough && solution.is_none() && values.len() > 1;
                self.bands.empty(cell, contradiction, strips.iter().map(|s| s.status[k]));
            }
        }
        (out, found)
    }
}
