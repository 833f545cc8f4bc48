//! `shiftmap vectors`

use super::common::Common;
use super::ui::Ui;
use crate::Result;
use crate::map::vectors::{VectorJob, run as make};

/// Arrows of a displacement map as a layer of lines.
///
/// OUT (GeoPackage or any other vector format, by the extension) gets the layer `vectors`: lines from each cell's centre
/// along its displacement, with the attributes east, north, length, sigma_east and sigma_north in the unit of the map,
/// azimuth (degrees clockwise from north) and quality (0 to 1). The map streams: memory does not grow with its size.
#[derive(clap::Args, Debug)]
#[command(after_help = "EXAMPLES
  An arrow every 8 cells, as long as they are apart where the ground moved most:
    shiftmap vectors map.tif arrows.gpkg --every 8
  1000 times the displacement, only where it exceeds 3 sigma:
    shiftmap vectors map.tif arrows.gpkg --scale 1000 --min-snr 3")]
pub struct Args {
    /// Displacement map
    map: String,

    /// Result, a vector file
    out: String,

    /// One arrow every so many cells
    #[arg(long, value_name = "N", default_value_t = 4)]
    every: usize,

    /// Length of the arrows over the displacement [default: the largest are as long as arrows are apart]
    #[arg(long, value_name = "K", allow_negative_numbers = true)]
    scale: Option<f64>,

    /// Leave out arrows shorter than this many standard deviations
    #[arg(long, value_name = "N", default_value_t = 0.0, allow_negative_numbers = true)]
    min_snr: f64,

    /// Replace OUT if it is there already
    #[arg(long, help_heading = "Output options")]
    overwrite: bool,

    #[command(flatten)]
    pub common: Common,
}

pub fn run(args: &Args, ui: &Ui) -> Result<()> {
    let job = VectorJob {
        every: args.every,
        scale: args.scale,
        min_snr: args.min_snr,
        overwrite: args.overwrite,
        ..VectorJob::new(&args.map, &args.out)
    };
    let summary = make(&job, &mut ui.progress())?;
    ui.print(&format!("{} arrows, {} times the displacement", summary.arrows, summary.scale));
    ui.print_json(&summary)
}
