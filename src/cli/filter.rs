//! `shiftmap filter`

use super::common::{Common, ThreadArgs, WriteArgs};
use super::ui::Ui;
use crate::Result;
use crate::distortion::direction::Given;
use crate::filter::smooth::Nlm;
use crate::filter::{Coherence, FilterJob, run as clean};
use clap::ValueEnum;

/// Clean a displacement map: outliers, ramps, stripes, noise, holes.
///
/// The steps come in this order, each where it is asked for: cells are removed by --max-sigma, --min-quality,
/// --max-magnitude, --ndc and --outliers; --subtract takes out a model of `shiftmap coregister`; --detrend, --destripe and
/// --ccd find what the sensor added on ground that did not move and subtract it; --median and --nlm smooth; --fill closes
/// holes. Every step says what it did; --removed writes it as a raster (East removed, North removed, Step).
///
/// OUT has the bands of a displacement map. Status 8 is a filled cell, 9 a cell removed by a threshold, 5 one removed by
/// --ndc or --outliers. Sigma of smoothed values is propagated with the overlap of the matching windows; a filled cell has
/// the error of the plane through its neighbours and their scatter about it, and quality 0.
///
/// The map streams: memory does not grow with its area.
#[derive(clap::Args, Debug)]
#[command(after_help = "EXAMPLES
  Outliers out, a plane off, small holes closed:
    shiftmap filter map.tif clean.tif --outliers --detrend plane --fill 3
  Jitter of a pushbroom sensor whose lines are rows, and its detector seams; a look at what went:
    shiftmap filter map.tif clean.tif --detrend plane --destripe rows --ccd rows --removed removed.tif
  Stripes across a satellite's track of azimuth 193 degrees, on stable ground:
    shiftmap filter map.tif clean.tif --destripe 103 --stable bedrock.gpkg
  Non-local means of the cells with good quality:
    shiftmap filter map.tif smooth.tif --min-quality 0.5 --nlm")]
pub struct Args {
    /// Displacement map
    map: String,

    /// Result, a raster file
    out: String,

    /// Remove cells whose sigma (of the worse component, in the map's unit) is above this
    #[arg(long, value_name = "SIGMA", help_heading = "Removing cells")]
    max_sigma: Option<f64>,

    /// Remove cells whose quality is below this
    #[arg(long, value_name = "QUALITY", help_heading = "Removing cells")]
    min_quality: Option<f64>,

    /// Remove displacements longer than this, in the map's unit
    #[arg(long, value_name = "LENGTH", help_heading = "Removing cells")]
    max_magnitude: Option<f64>,

    /// Remove cells that fewer than 8 of 5 x 5 cells are near to: normalised displacement coherence, in three rounds; near
    /// is within this difference in the map's unit [default: a fifth of the search]
    #[arg(long, value_name = "DIFFERENCE", num_args = 0..=1, require_equals = true, default_missing_value = "auto", help_heading = "Removing cells")]
    ndc: Option<NdcArg>,

    /// Remove cells farther than this many robust standard deviations (and 0.2 px) from the medians of their neighbours;
    /// both sides of a fault have a median of their own
    #[arg(long, value_name = "SIGMAS", num_args = 0..=1, require_equals = true, default_missing_value = "4", help_heading = "Removing cells")]
    outliers: Option<f64>,

    /// Subtract the model that `shiftmap coregister` wrote for the pair
    #[arg(long, value_name = "FILE.json", help_heading = "What the sensor added")]
    subtract: Option<String>,

    /// Subtract a surface fitted to the ground that did not move
    #[arg(long, value_enum, help_heading = "What the sensor added")]
    detrend: Option<DetrendArg>,

    /// Subtract stripes: an offset for every line; the lines are rows, columns or have this azimuth in degrees
    #[arg(
        long,
        value_name = "rows|columns|DEGREES",
        allow_hyphen_values = true,
        help_heading = "What the sensor added"
    )]
    destripe: Option<Given>,

    /// Longest wave of the stripes that moving ground may show, in cells [default: a third of the map]
    #[arg(long, value_name = "CELLS", help_heading = "What the sensor added")]
    longest: Option<f64>,

    /// Subtract steps at fixed places along the lines, where detectors meet; direction as for --destripe
    #[arg(
        long,
        value_name = "rows|columns|DEGREES",
        allow_hyphen_values = true,
        help_heading = "What the sensor added"
    )]
    ccd: Option<Given>,

    /// Where detectors meet, in cells: columns for rows and azimuths, rows for columns [default: where a step stands out]
    #[arg(long, value_name = "CELLS,...", value_delimiter = ',', help_heading = "What the sensor added")]
    ccd_edges: Vec<f64>,

    /// Ground that has not moved: a raster (where it is not 0) or polygons
    #[arg(long, value_name = "RASTER|LAYER", help_heading = "What the sensor added")]
    stable: Option<String>,

    /// Ground that has moved: a raster (where it is not 0) or polygons
    #[arg(long, value_name = "RASTER|LAYER", help_heading = "What the sensor added")]
    moving: Option<String>,

    /// Median of N x N cells, weighted by quality; N odd
    #[arg(long, value_name = "N", help_heading = "Smoothing")]
    median: Option<usize>,

    /// Non-local means, weighted by quality and sigma; larger is smoother
    #[arg(long, value_name = "STRENGTH", num_args = 0..=1, require_equals = true, default_missing_value = "1", help_heading = "Smoothing")]
    nlm: Option<f64>,

    /// Side of the area where non-local means looks for similar ground, in cells, odd
    #[arg(long, value_name = "N", default_value_t = 15, help_heading = "Smoothing")]
    nlm_search: usize,

    /// Side of the patches that non-local means compares, in cells, odd
    #[arg(long, value_name = "N", default_value_t = 5, help_heading = "Smoothing")]
    nlm_patch: usize,

    /// Fill cells that have values within so many cells on all sides
    #[arg(long, value_name = "CELLS", help_heading = "Holes")]
    fill: Option<usize>,

    /// Raster of what was removed
    #[arg(long, value_name = "OUT2", help_heading = "Output options")]
    removed: Option<String>,

    #[command(flatten)]
    write: WriteArgs,

    #[command(flatten)]
    threads: ThreadArgs,

    #[command(flatten)]
    pub common: Common,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DetrendArg {
    /// Three numbers for each component
    Plane,
    /// Six numbers for each component
    Quadratic,
}

/// A difference, or `auto`.
#[derive(Clone, Copy, Debug)]
struct NdcArg(Option<f64>);

impl std::str::FromStr for NdcArg {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "auto" => Ok(NdcArg(None)),
            t => t.parse().map(|v| NdcArg(Some(v))).map_err(|_| format!("`{t}` is not a number or auto")),
        }
    }
}

pub fn run(args: &Args, ui: &Ui) -> Result<()> {
    let job = FilterJob {
        removed: args.removed.clone(),
        max_sigma: args.max_sigma,
        min_quality: args.min_quality,
        max_magnitude: args.max_magnitude,
        ndc: args.ndc.map(|n| Coherence { distance: n.0 }),
        outliers: args.outliers,
        subtract: args.subtract.clone(),
        detrend: args.detrend.map(|d| match d {
            DetrendArg::Plane => 3,
            DetrendArg::Quadratic => 6,
        }),
        destripe: args.destripe,
        longest: args.longest,
        seams: args.ccd,
        edges: args.ccd_edges.clone(),
        stable: args.stable.clone(),
        moving: args.moving.clone(),
        median: args.median,
        nlm: args.nlm.map(|strength| Nlm { strength, search: args.nlm_search, patch: args.nlm_patch }),
        fill: args.fill,
        write: args.write.options(),
        threads: args.threads.count(),
        ..FilterJob::new(&args.map, &args.out)
    };
    let summary = {
        let mut progress = ui.progress();
        clean(&job, &mut progress)?
    };
    summary.steps.iter().for_each(|s| ui.print(&s.text));
    ui.print_json(&summary)
}
