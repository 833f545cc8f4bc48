//! `shiftmap stack`

use clap::ValueEnum;

use super::common::{Common, ThreadArgs, WriteArgs};
use super::ui::Ui;
use crate::stack::dates::Day;
use crate::stack::inputs::Extent;
use crate::stack::{Dates, SigmaFrom, StackJob, report, run as make};
use crate::{Error, Result};

/// Several displacement maps brought together: of one event, or of a network of dates.
///
/// Maps of one event (other pairs, bands, methods) become one: the mean weighted by 1/sigma², which outliers do not pull, and its
/// sigma. OUT has the bands of a displacement map, then Maps used and Disagreement (root of chi² per degree of freedom: 1
/// where the maps differ as their sigma says).
///
/// With --dates maps between dates become a time series by weighted least squares, in the manner of SBAS: bands 1 to 6 are the
/// displacement from the first to the last date; after Maps used and Disagreement come East velocity, North velocity and
/// their sigma (per year, least squares through the dates), then for every date East displacement, North displacement, East
/// sigma and North sigma since the reference date. Loops of maps must close; those that do not are reported, and a map
/// that explains them is left out.
///
/// OUT has the grid of the first map. Maps on other grids of the same coordinate system are interpolated; other coordinate systems and
/// units are refused. Everything streams: memory does not grow with the maps.
#[derive(clap::Args, Debug)]
#[command(after_help = "EXAMPLES
  One event in three bands, with what they differ by as sigma:
    shiftmap stack red.tif nir.tif swir.tif event.tif
  Pairs of other dates around the same event, each with an offset of its own:
    shiftmap stack a.tif b.tif c.tif event.tif --align
  A glacier's time series; dates from the images' metadata:
    shiftmap stack pairs/*.tif series.tif --dates auto --stable rock.gpkg
  Dates from a table (first line map,start,end), with a report:
    shiftmap stack series.tif --dates pairs.csv --reference 2020-07-01 --report series.md")]
pub struct Args {
    /// Displacement maps, and the result at the end; the maps may be left away when --dates names a table that lists them
    #[arg(num_args = 1.., required = true, value_names = ["IN", "OUT"])]
    files: Vec<String>,

    /// Time series: `auto` takes the dates from the maps' metadata, a table (CSV or any other) has the columns map, start and
    /// end
    #[arg(long, value_name = "auto|TABLE", help_heading = "Time series")]
    dates: Option<String>,

    /// Date at which the displacement is zero [default: the first]
    #[arg(long, value_name = "DATE", help_heading = "Time series")]
    reference: Option<Day>,

    /// Keep maps that break loops, instead of leaving them out
    #[arg(long, help_heading = "Time series")]
    keep_broken: bool,

    /// What OUT covers
    #[arg(long, value_enum, default_value = "union", help_heading = "Stacking")]
    extent: ExtentArg,

    /// What the sigma of the maps is worth
    #[arg(long, value_enum, default_value = "scatter", help_heading = "Stacking")]
    sigma: SigmaArg,

    /// Share of the error variance that maps have in common, which their differences do not show: between all maps of an
    /// event (0 to 0.95); in a time series the share of each of the two images (0 to 0.5)
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, help_heading = "Stacking")]
    correlation: f64,

    /// Subtract from every map its median difference from all: pairs of other dates are misregistered differently
    #[arg(long, help_heading = "Stacking")]
    align: bool,

    /// Ground that has not moved, a raster that is not zero there or a layer of polygons: every map's median there is
    /// subtracted
    #[arg(long, value_name = "RASTER|LAYER", help_heading = "Stacking")]
    stable: Option<String>,

    /// Maps with a value that a cell needs
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Stacking")]
    least: usize,

    /// Let every value count, outliers too
    #[arg(long, help_heading = "Stacking")]
    plain: bool,

    /// Write what was found to this file: .md or .json (may be repeated)
    #[arg(long, value_name = "FILE", help_heading = "Output options")]
    report: Vec<String>,

    #[command(flatten)]
    write: WriteArgs,

    #[command(flatten)]
    threads: ThreadArgs,

    #[command(flatten)]
    pub common: Common,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ExtentArg {
    /// All maps
    Union,
    /// The first map
    First,
    /// What all maps have in common
    Intersection,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SigmaArg {
    /// Scaled for each map by how much the maps differ
    Scatter,
    /// Scaled for each map by its scatter on stable ground (--stable)
    Stable,
    /// As the maps say
    Stated,
}

pub fn run(args: &Args, ui: &Ui) -> Result<()> {
    let summary = make(&job(args)?, &mut |text| ui.note(text), &mut ui.progress())?;
    ui.print(&report::table(&summary));
    ui.print_json(&summary)
}

fn job(args: &Args) -> Result<StackJob> {
    let Some((out, maps)) = args.files.split_last() else {
        return Err(Error::Internal("no result".into()));
    };
    Ok(StackJob {
        dates: match args.dates.as_deref() {
            None => Dates::None,
            Some("auto") => Dates::Auto,
            Some(path) => Dates::Table(path.into()),
        },
        reference: args.reference,
        extent: match args.extent {
            ExtentArg::Union => Extent::Union,
            ExtentArg::First => Extent::First,
            ExtentArg::Intersection => Extent::Intersection,
        },
        sigma: match args.sigma {
            SigmaArg::Scatter => SigmaFrom::Scatter,
            SigmaArg::Stable => SigmaFrom::Stable,
            SigmaArg::Stated => SigmaFrom::Stated,
        },
        correlation: args.correlation,
        align: args.align,
        stable: args.stable.clone(),
        least: args.least,
        plain: args.plain,
        keep_broken: args.keep_broken,
        reports: args.report.clone(),
        write: args.write.options(),
        threads: args.threads.count(),
        ..StackJob::new(maps, out)
    })
}
