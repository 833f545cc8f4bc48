//! `shiftmap profile`

use super::common::Common;
use super::ui::Ui;
use crate::Result;
use crate::map::profile::{Offset, Profile, ProfileJob, run as make, width_text};

/// Offsets across a fault, swath by swath, with standard deviations.
///
/// MAP is a displacement map (east and north in the bands of these names, otherwise in bands 1 and 2), TRACE any layer of
/// lines in any coordinate system. Swaths are laid across the trace; in each a robust parabola is fitted to the
/// displacement on either side, and the offset is their difference at the fault: parallel (left-lateral positive) and
/// normal (opening positive). Cells whose matching window contains the trace are left out. Standard deviations come from
/// the map's sigma, the overlap of the windows and the scatter about the lines.
///
/// Writes into OUTDIR: offsets.csv, stack.csv, profile.json, profile.gpkg (layers `offsets` and `swaths`), stack.svg and
/// .png (the profile stacked along strike), slip.svg and .png (offsets along strike) and report.html. Lengths are in the
/// unit of the map, metres or pixels.
///
/// The map streams; the cells within the swaths are kept in memory, some 90 bytes each.
#[derive(clap::Args, Debug)]
#[command(after_help = "EXAMPLES
  With swaths of two windows, four windows to each side:
    shiftmap profile map.tif rupture.gpkg profile
  A denser slip curve of a map in metres, 2 km to each side:
    shiftmap profile map.tif rupture.gpkg profile --length 2000 --width 500 --spacing 250")]
pub struct Args {
    /// Displacement map
    map: String,

    /// Layer of lines with the fault trace
    trace: String,

    /// Folder for the results, new or existing
    outdir: String,

    /// How far swaths reach to each side of the fault [default: 4 windows]
    #[arg(long, value_name = "LENGTH", allow_negative_numbers = true)]
    length: Option<f64>,

    /// Width of a swath along strike [default: 2 windows]
    #[arg(long, value_name = "LENGTH", allow_negative_numbers = true)]
    width: Option<f64>,

    /// Distance between swaths along strike [default: their width]
    #[arg(long, value_name = "LENGTH", allow_negative_numbers = true)]
    spacing: Option<f64>,

    /// Leave out cells nearer than this to the fault, instead of those whose window contains it
    #[arg(long, value_name = "LENGTH", allow_negative_numbers = true)]
    exclude: Option<f64>,

    /// Degree of the curves on both sides: 2, parabolas, or 1, lines: less noise, but a bias where the ground bends
    #[arg(long, value_name = "N", default_value_t = 2)]
    degree: usize,

    /// Replace files of the same name in OUTDIR
    #[arg(long, help_heading = "Output options")]
    overwrite: bool,

    #[command(flatten)]
    pub common: Common,
}

pub fn run(args: &Args, ui: &Ui) -> Result<()> {
    let job = ProfileJob {
        length: args.length,
        width: args.width,
        spacing: args.spacing,
        exclude: args.exclude,
        degree: args.degree,
        overwrite: args.overwrite,
        ..ProfileJob::new(&args.map, &args.trace, &args.outdir)
    };
    let profile = make(&job, &mut ui.progress())?;
    ui.print(&table(&profile));
    ui.print_json(&profile)
}

fn table(p: &Profile) -> String {
    let offset = |o: Option<Offset>| o.map_or("-".into(), |o| format!("{:+.4} ± {:.4}", o.value, o.sigma));
    let mut lines = vec![format!(
        "{:>10}{:>9}{:>22}{:>22}{:>14}",
        format!("along {}", p.unit),
        "strike",
        "parallel (left +)",
        "normal (open +)",
        "cells"
    )];
    for s in &p.stations {
        let cells = format!("{} + {}", s.left, s.right);
        lines.push(format!(
            "{:>10.1}{:>9.1}{:>22}{:>22}{cells:>14}",
            s.along,
            s.strike,
            offset(s.parallel),
            offset(s.normal)
        ));
    }
    lines.push(format!("{:>10}{:>9}{:>22}{:>22}", "mean", "", offset(p.mean_parallel), offset(p.mean_normal)));
    if let Some(text) = width_text(p) {
        lines.push(format!("Stacked profile: {text}"));
    }
    lines.join("\n")
}
