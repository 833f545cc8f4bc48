//! `shiftmap evaluate`

use super::common::Common;
use super::ui::Ui;
use crate::Result;
use crate::evaluate::compare::Place;
use crate::evaluate::section::SectionPlan;
use crate::evaluate::{EvaluateJob, is_combined, report, written};
use clap::ValueEnum;

/// Errors of a displacement map against a known truth.
///
/// EST and TRUTH are rasters with east and north displacement (bands found by their description, otherwise bands 1 and
/// 2) on any grids of the same coordinate system, in metres or pixels. Errors are estimate minus truth; up is compared too
/// where both have it and errors are in metres, as those of maps of `shiftmap combine` are. Where the estimate has sigma bands, the table also says whether they are right: z = error / sigma has standard deviation 1 and
/// 68 % of the errors lie within 1 sigma.
///
/// Several estimates are set side by side in one table. With a trace (any coordinate system) errors are also counted by the
/// distance to it, and cross-sections tell how sharp the step is: the distance over which it rises from 10 to 90 %. The
/// rasters and some 50 bytes a compared position are held in memory.
#[derive(clap::Args, Debug)]
#[command(after_help = "EXAMPLES
  A map of a synthetic pair, with classes by the distance to the fault:
    shiftmap evaluate map.tif quake/truth.tif --trace quake/trace.gpkg
  Without the outer 130 pixels, at every pixel of the truth, for a program:
    shiftmap evaluate map.tif quake/truth.tif --border 130 --at pixels --json
  Two methods side by side, as a table and a picture:
    shiftmap evaluate lsm.tif frequency.tif quake/truth.tif --trace quake/trace.gpkg --report table.md --report table.png")]
pub struct Args {
    /// Displacement map to be judged
    #[arg(value_name = "EST")]
    estimate: String,

    /// More maps to be judged, and the true displacement at the end
    #[arg(num_args = 1.., required = true, value_name = "TRUTH")]
    more: Vec<String>,

    /// Vector layer with the fault trace: errors by distance to it, cross-sections
    #[arg(long, value_name = "LAYER")]
    trace: Option<String>,

    /// Limits of the classes of distance to the trace, in pixels
    #[arg(long, value_name = "PX,PX,...", default_value = "5,10,20")]
    distances: Limits,

    /// Number of cross-sections along the trace; 0 for none
    #[arg(long, value_name = "N", default_value_t = 8)]
    sections: usize,

    /// How far cross-sections reach to each side, in pixels [default: 64, more for large windows]
    #[arg(long, value_name = "PX")]
    section_length: Option<f64>,

    /// Width along the trace over which a cross-section is averaged, in pixels
    #[arg(long, value_name = "PX", default_value_t = 32.0)]
    section_width: f64,

    /// Ground that did not move, inside polygons or where a raster is not 0: scatter of the estimate there
    #[arg(long, value_name = "FILE")]
    stable: Option<String>,

    /// Also write the result to this file: .md, .json or .png (may be repeated)
    #[arg(long, value_name = "FILE")]
    report: Vec<String>,

    /// Replace files given with --report
    #[arg(long)]
    overwrite: bool,

    /// Leave out this many pixels of the pre image along the edges of TRUTH
    #[arg(long, value_name = "PX", default_value_t = 0.0)]
    border: f64,

    /// Unit of the errors [default: px; m for maps of `shiftmap combine`]
    #[arg(long, value_enum)]
    units: Option<UnitsArg>,

    /// Where to compare
    #[arg(long, value_enum, default_value = "cells")]
    at: AtArg,

    /// An error above this is an outlier: pixels, metres for maps of `shiftmap combine` [default: 0.5 px, 0.05 m]
    #[arg(long, value_name = "LIMIT")]
    outlier: Option<f64>,

    #[command(flatten)]
    pub common: Common,
}

/// Numbers separated by commas.
#[derive(Clone, Debug)]
pub struct Limits(pub Vec<f64>);

impl std::str::FromStr for Limits {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let number = |s: &str| s.trim().parse::<f64>().map_err(|_| format!("`{s}` is no number; write e.g. 5,10,20"));
        text.split(',').map(number).collect::<std::result::Result<_, _>>().map(Limits)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum UnitsArg {
    /// Pixels of the pre image
    Px,
    /// Metres
    M,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AtArg {
    /// At the cells of EST; the truth is interpolated
    Cells,
    /// At the pixels of TRUTH; the estimate is interpolated
    Pixels,
}

pub fn run(args: &Args, ui: &Ui) -> Result<()> {
    let Some((truth, others)) = args.more.split_last() else {
        return Err(crate::Error::Internal("no truth".into()));
    };
    let estimates = std::iter::once(&args.estimate).chain(others);
    args.report.iter().try_for_each(|path| written::check(path))?;
    // One unit for all that is set side by side.
    let mut combined = false;
    for path in estimates.clone() {
        combined |= is_combined(path)?;
    }
    combined &= args.units != Some(UnitsArg::Px);
    let job = |estimate: &String| EvaluateJob {
        trace: args.trace.clone(),
        border: args.border,
        metres: combined || args.units == Some(UnitsArg::M),
        place: match args.at {
            AtArg::Cells => Place::Cells,
            AtArg::Pixels => Place::Pixels,
        },
        outlier: args.outlier.filter(|_| !combined).unwrap_or(0.5),
        outlier_metres: combined.then_some(args.outlier.unwrap_or(0.05)),
        distances: args.distances.0.clone(),
        stable: args.stable.clone(),
        sections: SectionPlan { count: args.sections, reach: args.section_length, width: args.section_width },
        ..EvaluateJob::new(estimate, truth)
    };
    let results = estimates.map(|e| job(e).run()).collect::<Result<Vec<_>>>()?;
    args.report.iter().try_for_each(|path| written::write(path, &results, args.overwrite))?;
    match &results[..] {
        [one] => {
            ui.print(&report::table(one));
            ui.print_json(one)
        }
        several => {
            ui.print(report::comparison(several).trim_end());
            ui.print_json(&several)
        }
    }
}
