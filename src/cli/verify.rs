//! `shiftmap verify`

use super::common::{Common, WriteArgs};
use super::displacement::{MatchArgs, matching_job};
use super::evaluate::Limits;
use super::ui::Ui;
use crate::Result;
use crate::verify::quake::Quake;
use crate::verify::{VerifyJob, report};

/// What error and what sigma to expect on your own images, with a known earthquake simulated on them.
///
/// With two images of the same place the later one is displaced by the earthquake, so that everything by which the two dates
/// differ is in the test: change, light, noise. They should show no motion of their own; what smooth misregistration
/// they have is measured first and is not counted as error. With one image its displaced copy gets the white noise
/// that the image shows, at most: on sharp images the finest texture passes for noise, and --snr is better where the noise is known.
/// Real change is not in that test.
///
/// The method measures the simulated pair with the settings of `shiftmap displacement`, and the table tells mean absolute error,
/// RMSE, bias and NMAD in pixels, by distance to the fault, whether sigma is right, and the factor that makes it so. Images larger than
/// --part are tested on a part of typical texture; memory does not grow with them.
#[derive(clap::Args, Debug)]
#[command(after_help = "EXAMPLES
  Two images before an event, or of quiet ground; the method as it will be used:
    shiftmap verify may.tif june.tif --method frequency --window 64
  One image, with a report for reading and a picture:
    shiftmap verify scene.tif --report verify.md --report verify.png
  A jump of 0.5 pixels, everything kept:
    shiftmap verify may.tif june.tif --slip 0.5 --map map.tif --truth truth.tif --trace trace.gpkg --json")]
pub struct Args {
    /// Earlier image
    pre: String,

    /// Later image of the same place; without it PRE is displaced itself
    post: Option<String>,

    #[command(flatten)]
    matching: MatchArgs,

    /// Largest jump across the simulated fault, in pixels [default: 1.6; less in small parts]. With --magnitude: the largest
    /// displacement
    #[arg(long, value_name = "PX", allow_hyphen_values = true, help_heading = "Earthquake")]
    slip: Option<f64>,

    /// Direction of the fault, degrees clockwise from up [default: 35]
    #[arg(long, value_name = "DEG", allow_hyphen_values = true, help_heading = "Earthquake")]
    strike: Option<f64>,

    /// Half the length of the rupture, in pixels [default: 42 % of the part's shorter side]
    #[arg(long, value_name = "PX", help_heading = "Earthquake", conflicts_with = "magnitude")]
    half_length: Option<f64>,

    /// Depth to which the fault slipped, in pixels: how far from it the ground still moves [default: 15 % of the part's
    /// shorter side]
    #[arg(long, value_name = "PX", help_heading = "Earthquake", conflicts_with = "magnitude")]
    locking_depth: Option<f64>,

    /// Roughness of the trace: root mean square deviation from a line, as a share of its length [default: 0.004]
    #[arg(long, value_name = "SHARE", help_heading = "Earthquake", conflicts_with = "magnitude")]
    roughness: Option<f64>,

    /// The other side of the fault moved to the left, not to the right
    #[arg(long, help_heading = "Earthquake", conflicts_with = "magnitude")]
    left_lateral: bool,

    /// An earthquake of this magnitude in an elastic half-space, with rough faults and fractal slip, in the place of a simple
    /// fault
    #[arg(long, value_name = "MW", help_heading = "Earthquake")]
    magnitude: Option<f64>,

    /// Signal to noise ratio in decibels of one image (20: 10 %, 40: 1 %) [default: as the image shows]; only without POST
    #[arg(long, value_name = "DB", allow_hyphen_values = true, help_heading = "Earthquake", conflicts_with = "post")]
    snr: Option<f64>,

    /// Cut windows at the simulated fault, as --cut does at a known one
    #[arg(long, help_heading = "Earthquake")]
    cut_trace: bool,

    /// Largest side of the part that is tested, in pixels
    #[arg(long, value_name = "PX", default_value_t = crate::verify::PART, help_heading = "Earthquake")]
    part: usize,

    /// Limits of the classes of distance to the fault, in pixels
    #[arg(long, value_name = "PX,PX,...", default_value = "5,10,20", help_heading = "Output options")]
    distances: Limits,

    /// Write the displacement measured on the simulated pair
    #[arg(long, value_name = "FILE", help_heading = "Output options")]
    map: Option<String>,

    /// Write the true displacement at the cells of the map
    #[arg(long, value_name = "FILE", help_heading = "Output options")]
    truth: Option<String>,

    /// Write the trace of the simulated fault, a GeoPackage
    #[arg(long, value_name = "FILE", help_heading = "Output options")]
    trace: Option<String>,

    /// Write the result to this file: .md, .json or .png (may be repeated)
    #[arg(long, value_name = "FILE", help_heading = "Output options")]
    report: Vec<String>,

    #[command(flatten)]
    write: WriteArgs,

    #[command(flatten)]
    pub common: Common,
}

pub fn run(args: &Args, ui: &Ui) -> Result<()> {
    let found = job(args)?.run(&mut |text| ui.note(text), &mut ui.progress())?;
    ui.print(&report::table(&found));
    ui.print_json(&found)
}

fn job(args: &Args) -> Result<VerifyJob> {
    let later = args.post.as_ref().unwrap_or(&args.pre);
    let mut job = matching_job(&args.pre, later, "", &args.matching)?;
    job.write = args.write.options();
    Ok(VerifyJob {
        job,
        quake: Quake {
            slip: args.slip,
            strike: args.strike,
            half_length: args.half_length,
            locking_depth: args.locking_depth,
            roughness: args.roughness,
            left_lateral: args.left_lateral,
            magnitude: args.magnitude,
        },
        snr_db: args.snr,
        part: args.part,
        cut_trace: args.cut_trace,
        distances: args.distances.0.clone(),
        map: args.map.clone(),
        truth: args.truth.clone(),
        trace: args.trace.clone(),
        reports: args.report.clone(),
        ..VerifyJob::new(&args.pre, args.post.as_deref())
    })
}
