//! `shiftmap evaluate`

use super::common::Common;
use super::ui::Ui;
use crate::Result;
use crate::evaluate::compare::Place;
use crate::evaluate::{EvaluateJob, report};
use clap::ValueEnum;

/// Errors of a displacement map against a known truth.
///
/// EST and TRUTH are rasters with east and north displacement (bands found by their description, otherwise bands 1 and
/// 2) on any grids of the same coordinate system, in metres or pixels. Errors are estimate minus truth. Where the
/// estimate has sigma bands, the table also says whether they are right: z = error / sigma has standard deviation 1 and
/// 68 % of the errors lie within 1 sigma.
#[derive(clap::Args, Debug)]
#[command(after_help = "EXAMPLES
  A map of a synthetic pair, with classes by the distance to the fault:
    shiftmap evaluate map.tif quake/truth.tif --trace quake/trace.gpkg
  Without the outer 130 pixels, at every pixel of the truth, for a program:
    shiftmap evaluate map.tif quake/truth.tif --border 130 --at pixels --json")]
pub struct Args {
    /// Displacement map to be judged
    estimate: String,

    /// True displacement
    truth: String,

    /// Vector layer with the fault trace: errors by distance to it (5, 20, 100 pixels)
    #[arg(long, value_name = "LAYER")]
    trace: Option<String>,

    /// Leave out this many pixels of the pre image along the edges of TRUTH
    #[arg(long, value_name = "PX", default_value_t = 0.0)]
    border: f64,

    /// Unit of the errors
    #[arg(long, value_enum, default_value = "px")]
    units: UnitsArg,

    /// Where to compare
    #[arg(long, value_enum, default_value = "cells")]
    at: AtArg,

    /// An error above this many pixels is an outlier
    #[arg(long, value_name = "PX", default_value_t = 0.5)]
    outlier: f64,

    #[command(flatten)]
    pub common: Common,
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
    let job = EvaluateJob {
        trace: args.trace.clone(),
        border: args.border,
        metres: args.units == UnitsArg::M,
        place: match args.at {
            AtArg::Cells => Place::Cells,
            AtArg::Pixels => Place::Pixels,
        },
        outlier: args.outlier,
        ..EvaluateJob::new(&args.estimate, &args.truth)
    };
    let result = job.run()?;
    ui.print(&report::table(&result));
    ui.print_json(&result)
}
