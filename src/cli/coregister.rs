//! `shiftmap coregister`

use super::common::{Common, ThreadArgs, Two, WriteArgs};
use super::displacement::NoDataArg;
use super::ui::Ui;
use crate::Result;
use crate::coregister::{CoregisterJob, Shape, run as align};
use crate::distortion::direction::Given;
use crate::raster::OpenOptions;
use clap::ValueEnum;

/// Align the post image with the pre image on ground that has not moved.
///
/// The shift of the whole image comes from phase correlation; then displacements are measured by least squares on a grid, and
/// a model of what the sensor adds is fitted to them so that the earthquake does not pull it: a shift, plane or quadratic
/// surface, jitter of the scan lines (--jitter) and seams between detectors (--ccd). The post image is resampled by the model
/// and measured again (--passes).
///
/// OUT is the post image on the grid of PRE: all its bands, in its data type, resampled once by a quintic B-spline. The model
/// is printed, stored in the metadata of OUT and written beside it (OUT without extension + .model.json). An OUT that ends in
/// .json is the model only. A stored model aligns other images of the same grids (--use), and `shiftmap filter --subtract`
/// takes it out of displacement maps.
///
/// Jitter is taken from what changes from line to line and not with the ground beside a fault. Waves longer than --longest
/// are taken only from ground that lies still: given by --stable or --moving, otherwise within the noise of the surface.
#[derive(clap::Args, Debug)]
#[command(after_help = "EXAMPLES
  Shift and plane:
    shiftmap coregister pre.tif post.tif post_aligned.tif
  The earthquake left out by hand, and a look at the model before anything is resampled:
    shiftmap coregister pre.tif post.tif model.json --moving rupture.gpkg
  Jitter of the rows and detectors side by side along them:
    shiftmap coregister pre.tif post.tif post_aligned.tif --jitter rows --ccd rows
  Another image of the same grid by the same model:
    shiftmap coregister pre.tif post_nir.tif nir_aligned.tif --use post_aligned.model.json
  The model taken out of a displacement map:
    shiftmap filter map.tif flat.tif --subtract model.json")]
pub struct Args {
    /// Image before
    pre: String,

    /// Image after; it is the one that is resampled
    post: String,

    /// Aligned image, a raster file; or the model, a .json file
    out: String,

    /// What is fitted over the whole image
    #[arg(long, value_enum, default_value = "plane", help_heading = "Model")]
    model: ModelArg,

    /// Find an offset for every scan line; the lines are rows, columns or have this azimuth in degrees
    #[arg(long, value_name = "rows|columns|DEGREES", allow_hyphen_values = true, help_heading = "Model")]
    jitter: Option<Given>,

    /// Longest wave of the jitter that moving ground may show [default: a third of the image]
    #[arg(long, value_name = "PX", help_heading = "Model")]
    longest: Option<f64>,

    /// Find steps at fixed places along the scan lines, where detectors meet; direction as for --jitter
    #[arg(long, value_name = "rows|columns|DEGREES", allow_hyphen_values = true, help_heading = "Model")]
    ccd: Option<Given>,

    /// Where detectors meet, in pixels of PRE: columns for rows and azimuths, rows for columns [default: where a step stands
    /// out]
    #[arg(long, value_name = "PX,...", value_delimiter = ',', help_heading = "Model")]
    ccd_edges: Vec<f64>,

    /// Ground that has not moved: a raster (where it is not 0) or polygons; the model is fitted there only
    #[arg(long, value_name = "RASTER|LAYER", help_heading = "Model")]
    stable: Option<String>,

    /// Ground that has moved: a raster (where it is not 0) or polygons; the model is not fitted there
    #[arg(long, value_name = "RASTER|LAYER", help_heading = "Model")]
    moving: Option<String>,

    /// Use this model instead of measuring one
    #[arg(long = "use", value_name = "FILE.json", help_heading = "Model", conflicts_with_all = ["jitter", "longest", "ccd", "ccd_edges"])]
    given: Option<String>,

    /// Window of the matching in pixels [default: 32; with jitter 64x16 along rows, 16x64 along columns, 24 otherwise]
    #[arg(long, value_name = "N[xM]", help_heading = "Matching")]
    window: Option<Two<usize>>,

    /// Step between windows in pixels [default: 8 or more, at most 256 windows along a line; with jitter 4 across the lines]
    #[arg(long, value_name = "N[xM]", help_heading = "Matching")]
    step: Option<Two<usize>>,

    /// Largest displacement beside the shift of the whole image, in pixels
    #[arg(long, value_name = "N[xM]", default_value = "4", help_heading = "Matching")]
    search: Two<f64>,

    /// How often the displacements are measured
    #[arg(long, value_name = "N", default_value_t = 2, help_heading = "Matching")]
    passes: usize,

    /// Band that is measured
    #[arg(short, long, value_name = "N", default_value_t = 1, help_heading = "Input")]
    band: usize,

    /// Band of POST, where it is another one
    #[arg(long, value_name = "N", help_heading = "Input")]
    post_band: Option<usize>,

    /// Pixel value that means nodata, auto or none
    #[arg(long, value_name = "VALUE", default_value = "auto", allow_hyphen_values = true, help_heading = "Input")]
    nodata: NoDataArg,

    /// GDAL open option of the images (may be repeated)
    #[arg(long = "oo", value_name = "KEY=VALUE", help_heading = "Input")]
    open_options: Vec<String>,

    /// Where the model goes [default: beside OUT]
    #[arg(long, value_name = "FILE.json", help_heading = "Output options", conflicts_with = "given")]
    model_out: Option<String>,

    #[command(flatten)]
    write: WriteArgs,

    #[command(flatten)]
    threads: ThreadArgs,

    #[command(flatten)]
    pub common: Common,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ModelArg {
    /// The same shift everywhere
    Shift,
    /// Three numbers for each component
    Plane,
    /// Six numbers for each component
    Quadratic,
}

pub fn run(args: &Args, ui: &Ui) -> Result<()> {
    let options = |band| OpenOptions { band, nodata: args.nodata.0, open_options: args.open_options.clone() };
    let job = CoregisterJob {
        pre_options: options(args.band),
        post_options: options(args.post_band.unwrap_or(args.band)),
        shape: match args.model {
            ModelArg::Shift => Shape::Shift,
            ModelArg::Plane => Shape::Plane,
            ModelArg::Quadratic => Shape::Quadratic,
        },
        jitter: args.jitter,
        longest: args.longest,
        seams: args.ccd,
        edges: args.ccd_edges.clone(),
        stable: args.stable.clone(),
        moving: args.moving.clone(),
        window: args.window.map(|w| (w.0, w.1)),
        step: args.step.map(|s| (s.0, s.1)),
        search: (args.search.0, args.search.1),
        passes: args.passes,
        given: args.given.clone(),
        model: args.model_out.clone(),
        write: args.write.options(),
        threads: args.threads.count(),
        ..CoregisterJob::new(&args.pre, &args.post, &args.out)
    };
    let summary = {
        let mut progress = ui.progress();
        align(&job, &mut |text| ui.note(text), &mut progress)?
    };
    summary.model.lines().iter().for_each(|line| ui.print(line));
    ui.print_json(&summary)
}
