//! `shiftmap strain`

use super::common::{Common, ThreadArgs, WriteArgs};
use super::ui::Ui;
use crate::Result;
use crate::map::strain::{StrainJob, run as make};

/// Strain and rotation of a displacement map, with standard deviations.
///
/// In a window around every cell a plane is fitted to east and to north, weighted by the map's sigma; its slopes are the
/// displacement gradient. OUT gets, on the grid of MAP: Dilatation (east strain + north strain), Maximum shear
/// (engineering: the difference of the principal strains), Rotation (radians, anticlockwise positive), the four gradients,
/// sigma of the first three, and Status (0 valid, 1 too few values). The window is in the metadata.
///
/// A window across a fault shows its slip over the window's width; it is no strain. The map streams: memory does not grow
/// with its size.
#[derive(clap::Args, Debug)]
#[command(after_help = "EXAMPLES
  Over 5 x 5 cells:
    shiftmap strain map.tif strain.tif
  Smoother, over 21 x 21 cells:
    shiftmap strain map.tif strain.tif --window 21")]
pub struct Args {
    /// Displacement map
    map: String,

    /// Result, a raster file
    out: String,

    /// Side of the window in cells, odd
    #[arg(long, value_name = "N", default_value_t = 5)]
    window: usize,

    /// Least share of a window's cells that must have a value
    #[arg(long, value_name = "SHARE", default_value_t = 0.5)]
    min_valid: f64,

    #[command(flatten)]
    write: WriteArgs,

    #[command(flatten)]
    threads: ThreadArgs,

    #[command(flatten)]
    pub common: Common,
}

pub fn run(args: &Args, ui: &Ui) -> Result<()> {
    let job = StrainJob {
        window: args.window,
        min_valid: args.min_valid,
        write: args.write.options(),
        threads: args.threads.count(),
        ..StrainJob::new(&args.map, &args.out)
    };
    ui.print_json(&make(&job, &mut ui.progress())?)
}
