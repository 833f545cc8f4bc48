//! Offsets across a fault (`shiftmap profile`).
//!
//! Swaths are laid across the trace at equal distances. In each, the displacement is split into the components parallel
//! and normal to the fault; a robust parabola is fitted to each side, without the cells whose matching window contains
//! the trace, and the offset is the difference of the two curves where they meet the fault. Elastic deformation bends
//! within a few windows: lines, to be had for less noise, read the slip some per cent too small. Standard deviations follow
//! from the map's sigma, from the overlap of the matching windows ([`fit`]) and from the scatter about the curves, pooled
//! over all swaths.
//!
//! Signs: the parallel offset is positive for left-lateral slip, the normal one for opening; neither depends on the
//! direction in which the trace was drawn. Distances are positive to the right of that direction.
//!
//! Memory: the map streams; the cells within the swaths are kept, some 90 bytes each.

mod collect;
mod draw;
pub mod fit;
mod output;
mod report;
pub mod rise;
mod stack;
mod straddle;
pub mod trace;

use serde::Serialize;

use crate::map::reader::DisplacementMap;
use crate::progress::Progress;
use crate::raster::{OutputFolder, read_line_features};
use crate::{Error, Result};
use collect::{Cell, collect};
use fit::{Overlap, SideFit, Value};
pub use report::width_text;
use rise::Rise;
pub use stack::Bin;
use trace::{Swath, join};

/// What `shiftmap profile` is told. Lengths are in the unit of the map's displacements (metres or pixels of the pre
/// image); `None`: chosen from the map's window.
#[derive(Debug, Clone)]
pub struct ProfileJob {
    pub map: String,
    pub trace: String,
    /// Folder of the results.
    pub out: String,
    /// Half-length of the swaths across the fault.
    pub length: Option<f64>,
    /// Width of the swaths along strike.
    pub width: Option<f64>,
    /// Distance between swaths along strike.
    pub spacing: Option<f64>,
    /// Leave out cells nearer than this to the fault instead of those whose window contains it.
    pub exclude: Option<f64>,
    /// Degree of the curve on each side: 1, lines, or 2, parabolas.
    pub degree: usize,
    pub overwrite: bool,
}

impl ProfileJob {
    /// With the command line's defaults.
    pub fn new(map: &str, trace: &str, out: &str) -> ProfileJob {
        ProfileJob {
            map: map.into(),
            trace: trace.into(),
            out: out.into(),
            length: None,
            width: None,
            spacing: None,
            exclude: None,
            degree: 2,
            overwrite: false,
        }
    }
}

/// An offset and its standard deviation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Offset {
    pub value: f64,
    pub sigma: f64,
}

/// What was found in one swath; no offsets where a side has too few cells.
#[derive(Debug, Clone, Serialize)]
pub struct Station {
    pub strand: usize,
    /// Distance from the strand's start.
    pub along: f64,
    /// Map coordinates of the swath's middle.
    pub x: f64,
    pub y: f64,
    /// Degrees clockwise from up (grid north for a map in metres).
    pub strike: f64,
    /// Cells used on each side.
    pub left: usize,
    pub right: usize,
    /// Left-lateral positive.
    pub parallel: Option<Offset>,
    /// Opening positive.
    pub normal: Option<Offset>,
    /// Right side minus left.
    pub east: Option<Offset>,
    pub north: Option<Offset>,
    /// Width of the step in the component with the larger offset, where it stands out.
    pub rise: Option<Rise>,
    /// Slopes of the parallel component on the left and on the right: strain beside the fault.
    pub slope_left: Option<f64>,
    pub slope_right: Option<f64>,
}

/// The outcome.
#[derive(Debug, Clone, Serialize)]
pub struct Profile {
    pub map: String,
    pub trace: String,
    /// Unit of offsets, distances and widths: `m` or `px`.
    pub unit: &'static str,
    pub length: f64,
    pub width: f64,
    pub spacing: f64,
    /// Distance up to which cells were left out by hand; `None`: those whose window contains the trace.
    pub exclude: Option<f64>,
    /// 1: lines were fitted, 2: parabolas.
    pub degree: usize,
    /// Side of the matching window that correlates the errors, in cells.
    pub overlap_cells: (f64, f64),
    /// Scatter about the curves over the map's sigma, parallel and normal: sigmas below are multiplied by it. Without
    /// sigma bands it is the scatter itself.
    pub scatter: (f64, f64),
    pub stations: Vec<Station>,
    /// Weighted mean of the stations' offsets.
    pub mean_parallel: Option<Offset>,
    pub mean_normal: Option<Offset>,
    /// Step of the profile stacked over all swaths, in the component with the larger mean offset.
    pub rise: Option<Rise>,
    /// Rise that the matching window alone gives a sharp step.
    pub window_rise: f64,
    /// Width of the fault zone: the rise without the window's part; 0 when the window explains it all.
    pub zone_width: Option<f64>,
    pub stack: Vec<Bin>,
}

/// Files in the folder.
const FILES: [&str; 8] =
    ["offsets.csv", "stack.csv", "profile.gpkg", "profile.json", "stack.svg", "stack.png", "slip.svg", "slip.png"];
const REPORT: &str = "report.html";

/// Makes the profiles and writes the folder.
///
/// # Errors
/// Files that cannot be read or written, lengths that are not above 0, a trace beside the map, no swath with cells on
/// both sides.
pub fn run(job: &ProfileJob, progress: &mut dyn Progress) -> Result<Profile> {
    let map = DisplacementMap::open(&job.map)?;
    let lengths = Lengths::of(job, &map)?;
    let folder = OutputFolder::new(&job.out, &[&FILES[..], &[REPORT]].concat(), job.overwrite)?;
    let lines: Vec<Vec<(f64, f64)>> =
        read_line_features(&job.trace, map.georef.crs.as_ref())?.into_iter().map(|l| l.points).collect();
    let plane = map.plane();
    let local: Vec<Vec<(f64, f64)>> = lines.iter().map(|l| l.iter().map(|p| plane.apply(*p)).collect()).collect();
    let strands = join(local, 0.01 * lengths.pixel);
    let swaths: Vec<Swath> =
        strands.iter().enumerate().flat_map(|(k, strand)| strand.swaths(lengths.spacing, lengths.width, k)).collect();
    if swaths.is_empty() {
        return Err(Error::Open { path: job.trace.clone(), why: "its lines have no length".into() });
    }
    if swaths.len() > MOST {
        return Err(Error::option(
            "--spacing",
            lengths.spacing,
            format!("it gives {} swaths, at most {MOST} are drawn and kept; use a larger spacing", swaths.len()),
        ));
    }
    let cells = collect(&map, &swaths, &lines, &lengths, job.exclude, &mut |f| progress.report(0.9 * f, "reading"))?;
    if cells.iter().all(Vec::is_empty) {
        return Err(Error::GridMismatch(format!(
            "{} has no values within {} {} of {}: does the trace lie on the map? A layer without a coordinate system \
             counts as being in the map's (`ogr2ogr -a_srs` names it)",
            job.map,
            lengths.length,
            map.unit.name(),
            job.trace
        )));
    }
    let profile = measure(job, &map, &lengths, &swaths, &cells)?;
    if !progress.report(0.95, "writing") {
        return Err(Error::Cancelled);
    }
    output::write(&folder, &profile, &swaths, &map)?;
    report::write(&folder, &profile)?;
    if !progress.report(1.0, "done") {
        return Err(Error::Cancelled);
    }
    folder.commit()?;
    Ok(profile)
}

const MOST: usize = 20_000;

/// Lengths in the unit of the displacements.
#[derive(Debug, Clone, Copy)]
struct Lengths {
    length: f64,
    width: f64,
    spacing: f64,
    /// Side of a cell and of a pixel of the pre image.
    cell: f64,
    pixel: f64,
    /// Side of the matching window; 4 cells where it is not known.
    window: f64,
}

impl Lengths {
    fn of(job: &ProfileJob, map: &DisplacementMap) -> Result<Lengths> {
        let g = map.plane().transform(&map.georef.transform);
        let (x, y) = g.pixel_size();
        let cell = x.max(y);
        let step = map.step.map_or(1.0, |s| s.0.max(s.1));
        let pixel = cell / step;
        let window = map.window.map_or(4.0 * cell, |w| w.0.max(w.1) * pixel);
        let positive = |name: &str, value: Option<f64>, default: f64| match value {
            Some(v) if !(v > 0.0 && v.is_finite()) => {
                Err(Error::option(name, v, format!("give a length above 0 in {}", map.unit.name())))
            }
            v => Ok(v.unwrap_or(default)),
        };
        let width = positive("--width", job.width, 2.0 * window)?;
        let length = positive("--length", job.length, 4.0 * window)?;
        let spacing = positive("--spacing", job.spacing, width)?;
        if let Some(e) = job.exclude
            && !(0.0..length).contains(&e)
        {
            return Err(Error::option(
                "--exclude",
                e,
                format!("give a distance from 0 to below the length of {length}"),
            ));
        }
        if !(1..=2).contains(&job.degree) {
            return Err(Error::option("--degree", job.degree, "1 for lines or 2 for parabolas"));
        }
        if length < 3.0 * cell || width < cell {
            let (name, value) = if width < cell { ("--width", width) } else { ("--length", length) };
            let why = format!(
                "a cell of the map is {cell} {}; swaths are one cell wide and three long at least",
                map.unit.name()
            );
            return Err(Error::option(name, value, why));
        }
        Ok(Lengths { length, width, spacing, cell, pixel, window })
    }
}

/// Fits of one swath: left and right, parallel and normal.
struct Fits {
    sides: [[Option<SideFit>; 2]; 2],
}

impl Fits {
    /// The step at the fault, with the map's sigma.
    fn offset(&self, component: usize) -> Option<Offset> {
        let (l, r) = (self.sides[0][component].as_ref()?, self.sides[1][component].as_ref()?);
        Some(Offset { value: r.at(0.0) - l.at(0.0), sigma: (l.variance + r.variance).sqrt() })
    }
}

/// Scatter about the fits over the map's sigma, parallel and normal, pooled over all swaths.
fn scatter(fits: &[Fits]) -> (f64, f64) {
    let of = |component: usize| {
        let (mut squares, mut expected) = (0.0, 0.0);
        for fit in fits.iter().flat_map(|f| f.sides.iter().filter_map(|s| s[component].as_ref())) {
            squares += fit.squares;
            expected += fit.expected;
        }
        if expected > 0.0 { (squares / expected).sqrt() } else { 1.0 }
    };
    (of(0), of(1))
}

fn measure(
    job: &ProfileJob,
    map: &DisplacementMap,
    lengths: &Lengths,
    swaths: &[Swath],
    cells: &[Vec<Cell>],
) -> Result<Profile> {
    let known: Option<Overlap> = map.window.zip(map.step).map(|(w, s)| ((w.0 / s.0).max(1.0), (w.1 / s.1).max(1.0)));
    let all = |degree, overlap| cells.iter().map(|c| fits(c, degree, overlap)).collect::<Vec<Fits>>();
    // How far errors reach is read off the residuals where the map does not say it.
    let overlap = known.unwrap_or_else(|| correlation(cells, &all(1, (1.0, 1.0))));
    let fits = all(job.degree, overlap);
    let scatter = scatter(&fits);
    let offset = |fit: &Fits, component: usize| {
        let scale = if component == 0 { scatter.0 } else { scatter.1 };
        fit.offset(component).map(|o| Offset { sigma: scale * o.sigma, ..o })
    };
    let back = map.plane().inverse();
    let mut stations = Vec::new();
    for ((swath, fit), cells) in swaths.iter().zip(&fits).zip(cells) {
        let (parallel, normal) = (offset(fit, 0), offset(fit, 1));
        let (t, n) = (swath.tangent, swath.normal());
        let turned = |a: f64, b: f64| {
            let (p, q) = (parallel?, normal?);
            Some(Offset { value: a * p.value + b * q.value, sigma: (a * p.sigma).hypot(b * q.sigma) })
        };
        let (x, y) = back.apply(swath.origin);
        let used = |right: bool| cells.iter().filter(|c| !c.excluded && (c.d > 0.0) == right).count();
        let slope = |side: usize| Some(*fit.sides[side][0].as_ref()?.coefficients.get(1)?);
        let bins = stack::bins(&[(cells.as_slice(), 0.0, 0.0)], lengths);
        let leading = leading(parallel, normal);
        stations.push(Station {
            strand: swath.strand,
            along: swath.along,
            x,
            y,
            strike: swath.strike(),
            left: used(false),
            right: used(true),
            parallel,
            normal,
            east: turned(t.0, n.0),
            north: turned(t.1, n.1),
            rise: leading.and_then(|k| stack::width(&bins, k, lengths, job.exclude, map)),
            slope_left: slope(0),
            slope_right: slope(1),
        });
    }
    if stations.iter().all(|s| s.parallel.is_none()) {
        return Err(Error::Data(format!(
            "no swath has enough cells on both sides of {}: within {} {unit} of the trace, {} {unit} along it, cells whose \
             window contains it left out; raise --length or --width",
            job.trace,
            lengths.length,
            lengths.width,
            unit = map.unit.name()
        )));
    }
    // Levels differ from swath to swath (ramps, misregistration): each is stacked about its own middle.
    let level = |fit: &Fits, component: usize| {
        let (l, r) = (fit.sides[0][component].as_ref()?, fit.sides[1][component].as_ref()?);
        Some(0.5 * (l.at(0.0) + r.at(0.0)))
    };
    let parts: Vec<(&[Cell], f64, f64)> =
        cells.iter().zip(&fits).filter_map(|(c, f)| Some((c.as_slice(), level(f, 0)?, level(f, 1)?))).collect();
    let stack = stack::bins(&parts, lengths);
    let cut = map.half_window_cells() == (0.0, 0.0);
    let window_sigma = if cut { 0.0 } else { lengths.window / 12f64.sqrt() };
    let window_rise = rise::RISE * window_sigma;
    let mean = |pick: fn(&Station) -> Option<Offset>| {
        let found: Vec<Offset> = stations.iter().filter_map(pick).filter(|o| o.sigma > 0.0).collect();
        let weight: f64 = found.iter().map(|o| o.sigma.powi(-2)).sum();
        let value = found.iter().map(|o| o.value * o.sigma.powi(-2)).sum::<f64>() / weight;
        // Swaths that overlap, or share windows at their edges, repeat each other.
        let repeats = ((lengths.width + lengths.window) / lengths.spacing).max(1.0);
        (!found.is_empty()).then(|| Offset { value, sigma: (repeats / weight).sqrt() })
    };
    let (mean_parallel, mean_normal) = (mean(|s| s.parallel), mean(|s| s.normal));
    let rise = leading(mean_parallel, mean_normal).and_then(|k| stack::width(&stack, k, lengths, job.exclude, map));
    Ok(Profile {
        map: job.map.clone(),
        trace: job.trace.clone(),
        unit: map.unit.name(),
        length: lengths.length,
        width: lengths.width,
        spacing: lengths.spacing,
        exclude: job.exclude,
        degree: job.degree,
        overlap_cells: overlap,
        scatter,
        mean_parallel,
        mean_normal,
        zone_width: rise.map(|r| (r.width.powi(2) - window_rise.powi(2)).max(0.0).sqrt()),
        rise,
        window_rise,
        stations,
        stack,
    })
}

/// The component with the larger step, 0 parallel or 1 normal, where it exceeds six standard deviations: only there
/// has a width a meaning.
fn leading(parallel: Option<Offset>, normal: Option<Offset>) -> Option<usize> {
    let (p, n) = (parallel?, normal?);
    let (k, larger) = if n.value.abs() > p.value.abs() { (1, n) } else { (0, p) };
    (larger.value.abs() > 6.0 * larger.sigma).then_some(k)
}

fn fits(cells: &[Cell], degree: usize, overlap: Overlap) -> Fits {
    let side = |right: bool, component: usize| {
        let used = cells.iter().filter(|c| !c.excluded && (c.d > 0.0) == right);
        let values: Vec<Value> = used
            .map(|c| Value { d: c.d, a: c.a, y: c.values[component], sigma: c.sigmas[component], cell: c.cell })
            .collect();
        fit::fit(&values, degree, overlap)
    };
    Fits { sides: [false, true].map(|right| [side(right, 0), side(right, 1)]) }
}

/// Side of the window that would correlate neighbouring residuals as they are, in columns and rows.
fn correlation(cells: &[Vec<Cell>], fits: &[Fits]) -> Overlap {
    const LAGS: usize = 64;
    let (mut products, mut squares) = ([[0.0; LAGS]; 2], [[0.0; LAGS]; 2]);
    for (cells, fits) in cells.iter().zip(fits) {
        for (side, right) in [false, true].into_iter().enumerate() {
            let Some(fit) = &fits.sides[side][0] else { continue };
            let used = cells.iter().filter(|c| !c.excluded && (c.d > 0.0) == right);
            let clipped = fit.residuals.iter().zip(&fit.weights).map(|(r, u)| r * u.sqrt());
            let at: std::collections::BTreeMap<(i64, i64), f64> = used.map(|c| c.cell).zip(clipped).collect();
            for (&(x, y), r) in &at {
                for lag in 1..LAGS {
                    for (axis, key) in [(x + lag as i64, y), (x, y + lag as i64)].into_iter().enumerate() {
                        if let Some(other) = at.get(&key) {
                            products[axis][lag] += r * other;
                            squares[axis][lag] += 0.5 * (r * r + other * other);
                        }
                    }
                }
            }
        }
    }
    // The sum over all lags of a triangle of half-width N is N.
    let side = |axis: usize| {
        let shares = (1..LAGS).map(|k| if squares[axis][k] > 0.0 { products[axis][k] / squares[axis][k] } else { 0.0 });
        1.0 + 2.0 * shares.take_while(|r| *r > 0.05).sum::<f64>()
    };
    (side(0), side(1))
}
