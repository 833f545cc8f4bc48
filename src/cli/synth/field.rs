//! `shiftmap synth field`

use super::super::common::{Common, ThreadArgs};
use super::super::ui::Ui;
use crate::progress::Progress;
use crate::raster::{OpenOptions, OutputFolder, RasterBand};
use crate::synth::field_files::{self, FieldRecord};
use crate::synth::given::{Defaults, read_on_image};
use crate::{Error, Result};

/// The displacement that given faults cause, on the grid of an image.
///
/// Faults are dislocations in an elastic half-space, computed exactly at every pixel; the jump at a surface break stays
/// between two pixels. Writes into OUTDIR: field.tif (East, North and Up displacement in metres on TEMPLATE's grid),
/// field.png (a picture of it), trace.gpkg (surface breaks or top edges) and spec.json (what was computed).
///
/// FAULTS is a layer of lines in any vector format and CRS, or a table of triangles.
///
/// Lines are the top edges of faults that dip to the right of the direction in which they are drawn. Attributes, or the
/// options of the same name for lines without: slip (m), rake (degrees: 0 left-lateral, 90 reverse, 180 right-lateral,
/// -90 normal), dip (degrees, default 90, above 90 to the left), top (depth in m, default 0), bottom (depth in m) or width
/// (m down dip), opening (m, default 0), taper (m from the ends and the bottom over which slip rises from zero, default 0).
///
/// A table (.csv, or any format with attributes) has the columns x1,y1,z1,x2,y2,z2,x3,y3,z3,ss,ds and maybe ts: corners in
/// the map coordinates of TEMPLATE, z up in metres and at most 0; slip in metres: ss left-lateral, ds reverse (where the
/// corners run counter-clockwise seen from above; normal otherwise), ts opening.
#[derive(clap::Args, Debug)]
#[command(after_help = "EXAMPLES
  A mapped rupture, right-lateral, 3 m of slip down to 12 km:
    shiftmap synth field scene.tif quake --faults rupture.gpkg --slip 3 --rake 180 --bottom 12000 --taper 3000
  A slip model of triangles:
    shiftmap synth field scene.tif quake --faults model.csv
  Compare a measurement with it:
    shiftmap evaluate map.tif quake/field.tif --trace quake/trace.gpkg")]
pub struct FieldArgs {
    /// Image whose grid is used, with a projected CRS
    template: String,

    /// Folder for the results, new or existing
    outdir: String,

    /// Line layer or table of triangles
    #[arg(long, value_name = "FILE")]
    faults: String,

    /// Slip in metres
    #[arg(long, value_name = "M", allow_negative_numbers = true, help_heading = "Lines without the attribute")]
    slip: Option<f64>,

    /// Direction of slip in degrees: 0 left-lateral, 90 reverse, 180 right-lateral, -90 normal
    #[arg(long, value_name = "DEG", allow_negative_numbers = true, help_heading = "Lines without the attribute")]
    rake: Option<f64>,

    /// Opening in metres [default: 0]
    #[arg(long, value_name = "M", allow_negative_numbers = true, help_heading = "Lines without the attribute")]
    opening: Option<f64>,

    /// Dip in degrees, to the right of the line; above 90 to the left [default: 90]
    #[arg(long, value_name = "DEG", help_heading = "Lines without the attribute")]
    dip: Option<f64>,

    /// Depth of the top edge in metres [default: 0]
    #[arg(long, value_name = "M", help_heading = "Lines without the attribute")]
    top: Option<f64>,

    /// Depth of the bottom edge in metres
    #[arg(long, value_name = "M", conflicts_with = "width", help_heading = "Lines without the attribute")]
    bottom: Option<f64>,

    /// Extent down the dip in metres
    #[arg(long, value_name = "M", help_heading = "Lines without the attribute")]
    width: Option<f64>,

    /// Distance from the ends and the bottom over which slip rises from zero, in metres [default: 0]
    #[arg(long, value_name = "M", help_heading = "Lines without the attribute")]
    taper: Option<f64>,

    /// Poisson's ratio of the ground
    #[arg(long, value_name = "NU", default_value_t = 0.25, allow_negative_numbers = true)]
    poisson: f64,

    /// Replace files of the same name in OUTDIR
    #[arg(long, help_heading = "Output options")]
    overwrite: bool,

    #[command(flatten)]
    threads: ThreadArgs,

    #[command(flatten)]
    pub common: Common,
}

pub fn run(args: &FieldArgs, ui: &Ui) -> Result<()> {
    let pool = crate::threads::pool(args.threads.count())?;
    let folder = OutputFolder::new(&args.outdir, &field_files::FILES, args.overwrite)?;
    let band = RasterBand::open(&args.template, OpenOptions::default())?;
    let (size, georef) = ((band.width(), band.height()), band.georef());
    let defaults = Defaults {
        slip: args.slip,
        rake: args.rake,
        opening: args.opening,
        dip: args.dip,
        top: args.top,
        bottom: args.bottom,
        width: args.width,
        taper: args.taper,
        prefix: "",
    };
    let (faults, plane) = read_on_image(&args.faults, (georef, size, &args.template), &defaults)?;
    let record = FieldRecord { template: &args.template, file: &args.faults, poisson: args.poisson };
    let mut progress = ui.progress();
    let summary =
        pool.install(|| field_files::write(&folder, &faults, georef, (plane, size), &record, &mut progress))?;
    if !progress.report(1.0, "done") {
        return Err(Error::Cancelled);
    }
    folder.commit()?;
    ui.print_json(&serde_json::json!({ "output": args.outdir, "field": summary }))
}
