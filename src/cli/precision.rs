//! `shiftmap precision`

use super::common::{Common, ThreadArgs, Two, WriteArgs};
use super::displacement::{NoDataArg, UnitsArg, region};
use super::ui::Ui;
use crate::Result;
use crate::job::Job;
use crate::pipeline::Params;
use crate::precision;
use crate::raster::OpenOptions;

/// What precision a pair of images can give, before any matching: East and North sigma of every cell.
///
/// The change between the images is measured on samples of the scene; with the texture of each window of PRE it gives
/// the standard deviation that least squares can reach there (the Cramer-Rao bound). OUT gets three Float32 bands: East
/// sigma, North sigma and Status.
#[derive(clap::Args, Debug)]
#[command(after_help = "EXAMPLES
  Is this pair good enough, and where?
    shiftmap precision before.tif after.tif sigma.tif
  With larger windows:
    shiftmap precision before.tif after.tif sigma64.tif --window 64")]
pub struct Args {
    /// Earlier image; the result is on its grid
    pub pre: String,

    /// Later image
    pub post: String,

    /// Result, a raster file
    pub out: String,

    /// Side of the window in pixels, 5 to 512, or WIDTHxHEIGHT
    #[arg(long, value_name = "N[xM]", default_value = "32", help_heading = "Matching")]
    window: Two<usize>,

    /// Distance between windows in pixels: the cell size of the result
    #[arg(long, value_name = "N[xM]", default_value = "8", help_heading = "Matching")]
    step: Two<usize>,

    /// Largest displacement between the samples, in pixels
    #[arg(long, value_name = "PX", default_value = "4", help_heading = "Matching")]
    search: Two<f64>,

    /// Least share of valid pixels that a window needs
    #[arg(long, value_name = "SHARE", default_value_t = 0.5, help_heading = "Matching")]
    min_valid: f64,

    /// Band number in both images
    #[arg(short = 'b', long, value_name = "N", default_value_t = 1, help_heading = "Input")]
    band: usize,

    /// Band number in the post image, where it differs
    #[arg(long, value_name = "N", help_heading = "Input")]
    post_band: Option<usize>,

    /// Value that means "no data" in both images, `none`, or `auto`: the declared one, or 0 when a corner of the image is 0
    #[arg(long, value_name = "VALUE", default_value = "auto", allow_hyphen_values = true, help_heading = "Input")]
    nodata: NoDataArg,

    /// Only this part of the pre image, in pixels: offset x y, size x y
    #[arg(long, num_args = 4, value_names = ["XOFF", "YOFF", "XSIZE", "YSIZE"], allow_negative_numbers = true, help_heading = "Input")]
    region: Option<Vec<i64>>,

    /// Warp the post image onto the pre grid while reading (other CRS, pixel size or rotation)
    #[arg(long, help_heading = "Input")]
    resample: bool,

    /// GDAL open option for both images, e.g. --oo OVERVIEW_LEVEL=0 (may be repeated)
    #[arg(long = "oo", value_name = "KEY=VALUE", help_heading = "Input")]
    open_options: Vec<String>,

    /// Unit of the result [default: m for a projected CRS, px for images without one]
    #[arg(long, value_enum, help_heading = "Output options")]
    units: Option<UnitsArg>,

    #[command(flatten)]
    write: WriteArgs,

    #[command(flatten)]
    threads: ThreadArgs,

    #[command(flatten)]
    pub common: Common,
}

pub fn run(args: &Args, ui: &Ui) -> Result<()> {
    let summary = precision::run(&job(args)?, &mut |text| ui.note(text), &mut ui.progress())?;
    let facts: serde_json::Map<_, _> =
        summary.report.facts.iter().map(|(k, v)| (k.clone(), v.clone().into())).collect();
    ui.print_json(&serde_json::json!({
        "output": summary.output,
        "size": [summary.size.0, summary.size.1],
        "unit": summary.unit,
        "median_sigma": summary.median.map(|m| [m.0, m.1]),
        "facts": facts,
    }))
}

fn job(args: &Args) -> Result<Job> {
    let pre_options = OpenOptions { band: args.band, nodata: args.nodata.0, open_options: args.open_options.clone() };
    Ok(Job {
        post_options: OpenOptions { band: args.post_band.unwrap_or(args.band), ..pre_options.clone() },
        pre_options,
        params: Params {
            window: (args.window.0, args.window.1),
            step: (args.step.0, args.step.1),
            min_valid: args.min_valid,
            ..Params::default()
        },
        search: crate::job::Search::Pixels(args.search.0, args.search.1),
        units: UnitsArg::units(args.units),
        region: region(args.region.as_deref())?,
        resample: args.resample,
        write: args.write.options(),
        threads: args.threads.count(),
        ..Job::new(&args.pre, &args.post, &args.out)
    })
}
