//! `shiftmap combine`

use clap::ValueEnum;

use super::common::{Common, ThreadArgs, WriteArgs};
use super::ui::Ui;
use crate::Result;
use crate::combine::WlsOptions;
use crate::combine::job::{CombineJob, Estimator, run as make};
use crate::combine::report;
use crate::combine::spec::{MapKind, MapSpec};
use crate::combine::stations::{Event, SeriesOptions};
use crate::net::NetOptions;

/// East, north and up from interferograms, offset maps and GNSS stations.
///
/// Every map sees the displacement (east, north, up) along one direction; where maps in enough directions or stations come
/// together, all three components follow, each with its sigma. A component that nothing tells is nodata. OUT has the bands East, North
/// and Up displacement and their sigma (m), Status, Maps used, and Disagreement (root of chi² per degree of freedom: 1 where
/// everything agrees as its sigma says).
///
/// A map is FILE followed by what is known of it: `los.tif,unit=unit.tif,sigma=0.01`. Keys:
/// unit=FILE (bands east, north, up of the unit vector from the ground to the satellite), or east=FILE,north=FILE,up=FILE, or
/// heading=DEG|FILE,incidence=DEG|FILE (flight direction clockwise from north; angle from the vertical at the ground) with look=right|left;
/// sigma=M|FILE; band=N; scale=METRES of a unit of the map (-1 turns the sign); ramp=none|constant|plane|bilinear and
/// topography=yes|no (errors estimated with the displacement; lines of sight: plane, and topography with --dem); name=TEXT.
///
/// Signs: a line of sight is positive toward the satellite (uplift is positive), an azimuth offset along the flight direction, a
/// range offset away from the satellite (as offset trackers report it).
///
/// Maps may lie on other grids than OUT, also in other coordinate systems: they are resampled while they are read.
#[derive(clap::Args, Debug)]
#[command(after_help = "EXAMPLES
  Two tracks and stations, with errors that follow the topography:
    shiftmap combine quake.tif --los asc.tif,unit=asc_unit.tif --los desc.tif,unit=desc_unit.tif --gnss gnss.csv --dem dem.tif \
      --report quake.md --report quake.png
  Two tracks and offsets between optical images, no stations:
    shiftmap combine quake.tif --los asc.tif,heading=-12,incidence=39 --los desc.tif,heading=-168,incidence=39 --offsets map.tif
  Daily GNSS series; the map checked at two stations that it does not know:
    shiftmap combine quake.tif --los asc.tif,unit=u.tif --gnss series/ --event 2019-07-06 --leave-out P595,CCCC
  Geographic interferograms on a grid of 100 m:
    shiftmap combine quake.tif --los asc.tif,unit=u.tif --gnss gnss.csv --crs EPSG:32611 --resolution 100 --north true")]
pub struct Args {
    /// The result
    #[arg(value_name = "OUT")]
    out: String,

    /// Displacement along the line of sight, positive toward the satellite (may be repeated)
    #[arg(long, value_name = "FILE,KEY=VALUE...", help_heading = "Maps")]
    los: Vec<String>,

    /// Offset along the flight direction; needs heading=DEG (may be repeated)
    #[arg(long, value_name = "FILE,KEY=VALUE...", help_heading = "Maps")]
    azimuth_offset: Vec<String>,

    /// Offset in range, positive away from the satellite (may be repeated)
    #[arg(long, value_name = "FILE,KEY=VALUE...", help_heading = "Maps")]
    range_offset: Vec<String>,

    /// Displacement map of this program: its east and north with their sigma (may be repeated)
    #[arg(long, value_name = "FILE[,KEY=VALUE...]", help_heading = "Maps")]
    offsets: Vec<String>,

    /// Elevation model in metres, for errors that follow the topography
    #[arg(long, value_name = "FILE", help_heading = "Maps")]
    dem: Option<String>,

    /// What is left out of the maps: a raster that is not zero there, or a layer of polygons
    #[arg(long, value_name = "RASTER|LAYER", help_heading = "Maps")]
    mask: Option<String>,

    /// Stations: a table (station,x,y,height,east,north,up,sigma_east,sigma_north,sigma_up; longitude,latitude in place of x,y),
    /// daily series (station,day,east,north,up; .tenv3), or a folder of these (may be repeated)
    #[arg(long, value_name = "FILE|FOLDER", help_heading = "Stations")]
    gnss: Vec<String>,

    /// When it happened: the date, or the number of the day in series with numbered days
    #[arg(long, value_name = "DATE|DAY", help_heading = "Stations", allow_hyphen_values = true)]
    event: Option<Event>,

    /// Days before and after the event that a step is taken from
    #[arg(long, value_name = "N", default_value_t = 60.0, help_heading = "Stations")]
    days: f64,

    /// Estimate a rate with the step
    #[arg(long, help_heading = "Stations")]
    trend: bool,

    /// Keep these stations out and compare the result with them
    #[arg(long, value_name = "STATION,...", value_delimiter = ',', help_heading = "Stations")]
    leave_out: Vec<String>,

    /// Compare every station with what all the others and the maps say
    #[arg(long, conflicts_with = "leave_out", help_heading = "Stations")]
    cross_validate: bool,

    /// Distance over which displacement between stations is correlated, km [default: estimated, 30 with few stations]
    #[arg(long, value_name = "KM", help_heading = "Stations")]
    correlation_length: Option<f64>,

    /// How components are found
    #[arg(long, value_enum, default_value = "wls", help_heading = "Method")]
    method: MethodArg,

    /// What ramps may be: standard deviation at the edge of the grid, m
    #[arg(long, value_name = "M", default_value_t = WlsOptions::default().ramp_sigma, help_heading = "Method")]
    ramp_sigma: f64,

    /// What errors that follow the topography may be, m per km of height
    #[arg(long, value_name = "M/KM", default_value_t = WlsOptions::default().topography_sigma, help_heading = "Method")]
    topography_sigma: f64,

    /// Standard deviation of the displacement without stations, m [default: twice the largest values of the maps]
    #[arg(long, value_name = "M", help_heading = "Method")]
    prior_sigma: Option<f64>,

    /// Model for --method net: name or file [default: insar-gnss]
    #[arg(long, value_name = "NAME|FILE", help_heading = "Method")]
    model: Option<String>,

    /// Where the network runs: cpu, or a device of this build of ONNX Runtime (cuda, ...)
    #[arg(long, value_name = "DEVICE", default_value = "cpu", help_heading = "Method")]
    device: String,

    /// Library of ONNX Runtime, or a folder with it
    #[arg(long, value_name = "PATH", help_heading = "Method")]
    onnxruntime: Option<String>,

    /// Raster whose grid OUT has [default: the first map]
    #[arg(long, value_name = "RASTER", help_heading = "Grid")]
    like: Option<String>,

    /// Pixel size of OUT in map units
    #[arg(long, value_name = "SIZE", help_heading = "Grid")]
    resolution: Option<f64>,

    /// Projected coordinate system of OUT, e.g. EPSG:32611; needs --resolution
    #[arg(long, value_name = "CRS", help_heading = "Grid")]
    crs: Option<String>,

    /// What headings, unit vectors and stations count from; true north is turned to the grid's
    #[arg(long, value_enum, default_value = "grid", help_heading = "Grid")]
    north: NorthArg,

    /// Write what was found to this file: .md or .json, or draw OUT: .png (may be repeated)
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
enum MethodArg {
    /// Kriged stations and maps by weighted least squares
    Wls,
    /// Displacement and gradient from the stations around every pixel, with the maps (SISTEM)
    Sistem,
    /// A network trained on simulated events
    Net,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum NorthArg {
    /// The grid's north
    Grid,
    /// True north
    True,
}

pub fn run(args: &Args, ui: &Ui) -> Result<()> {
    let summary = make(&job(args)?, &mut |text| ui.note(text), &mut ui.progress())?;
    ui.print(&report::table(&summary));
    ui.print_json(&summary)
}

fn job(args: &Args) -> Result<CombineJob> {
    let positive = |name: &str, value: f64, what: &str| match value.is_finite() && value > 0.0 {
        true => Ok(value),
        false => Err(crate::Error::option(name, value, format!("give a positive number of {what}"))),
    };
    let mut maps = Vec::new();
    for (kind, list) in [
        (MapKind::LineOfSight, &args.los),
        (MapKind::Azimuth, &args.azimuth_offset),
        (MapKind::Range, &args.range_offset),
        (MapKind::Offsets, &args.offsets),
    ] {
        for text in list {
            maps.push(MapSpec::parse(text, kind)?);
        }
    }
    let options = WlsOptions {
        length: args
            .correlation_length
            .map(|v| positive("--correlation-length", v, "kilometres"))
            .transpose()?
            .map(|v| 1e3 * v),
        ramp_sigma: positive("--ramp-sigma", args.ramp_sigma, "metres")?,
        topography_sigma: positive("--topography-sigma", args.topography_sigma, "metres per kilometre")?,
        prior_sigma: args.prior_sigma.map(|v| positive("--prior-sigma", v, "metres")).transpose()?,
        ..WlsOptions::default()
    };
    let net = NetOptions {
        model: args.model.clone(),
        device: args.device.clone(),
        onnxruntime: args.onnxruntime.clone(),
        ..NetOptions::default()
    };
    Ok(CombineJob {
        maps,
        gnss: args.gnss.clone(),
        series: SeriesOptions { event: args.event, window: positive("--days", args.days, "days")?, trend: args.trend },
        dem: args.dem.clone(),
        mask: args.mask.clone(),
        like: args.like.clone(),
        resolution: args.resolution,
        crs: args.crs.clone(),
        true_north: args.north == NorthArg::True,
        method: match args.method {
            MethodArg::Wls => Estimator::Wls,
            MethodArg::Sistem => Estimator::Sistem,
            MethodArg::Net => Estimator::Net,
        },
        options,
        net,
        leave_out: args.leave_out.clone(),
        cross_validate: args.cross_validate,
        reports: args.report.clone(),
        write: args.write.options(),
        threads: args.threads.count(),
        ..CombineJob::new(&args.out)
    })
}
