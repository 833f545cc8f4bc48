//! `shiftmap demo`

use super::common::{Common, ThreadArgs};
use super::demo_pictures::{Measured, draw};
use super::ui::Ui;
use crate::evaluate::section::SectionPlan;
use crate::evaluate::{EvaluateJob, FileEvaluation};
use crate::job::Job;
use crate::pipeline::{MethodName, Params};
use crate::raster::{OutputFolder, Units, WriteOptions};
use crate::synth::files;
use crate::synth::pair::{PairSpec, Preset, make_pair_with};
use crate::{Error, Result};
use std::path::Path;

/// Simulate an earthquake, measure it with two methods, compare with the truth and draw it.
///
/// Makes a pair of images of a strike-slip earthquake (as `shiftmap synth pair --preset real` does), measures the
/// displacement with `lsm` and `frequency`, prints the errors and draws pictures. OUTDIR then holds the images, the
/// truth, the fault trace, the maps (GeoTIFF, ready for a GIS), evaluation.json and the pictures.
#[derive(clap::Args, Debug)]
#[command(after_help = "EXAMPLES
  shiftmap demo demo
  shiftmap demo demo --size 512 --seed 7 --overwrite")]
pub struct Args {
    /// Folder for the results, new or existing
    outdir: String,

    /// Side of the images in pixels
    #[arg(long, value_name = "N", default_value_t = 1024)]
    size: usize,

    /// Seed of the simulated earthquake
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Replace files of the same name in OUTDIR
    #[arg(long)]
    overwrite: bool,

    #[command(flatten)]
    threads: ThreadArgs,

    #[command(flatten)]
    pub common: Common,
}

/// Pixels left out along the edges when errors are counted: half of the largest window.
const BORDER: f64 = 32.0;
/// Pixels of the simulated image in metres.
const PIXEL: f64 = 10.0;

/// What is run: name, window, what the table calls it.
const RUNS: [(MethodName, &str, usize); 2] = [(MethodName::Lsm, "lsm", 32), (MethodName::Frequency, "frequency", 64)];
const STEP: usize = 4;
const MAPS: [&str; 2] = ["lsm.tif", "frequency.tif"];
const PICTURES: [&str; 4] = ["overview.png", "pair.png", "displacement.png", "errors.png"];
const TABLE: &str = "evaluation.json";

pub fn run(args: &Args, ui: &Ui) -> Result<()> {
    if !(128..=8192).contains(&args.size) {
        return Err(Error::option("--size", args.size, "a demo image is 128 to 8192 pixels wide"));
    }
    let names: Vec<&str> = files::FILES.into_iter().chain(MAPS).chain(PICTURES).chain([TABLE]).collect();
    let folder = OutputFolder::new(&args.outdir, &names, args.overwrite)?;
    ui.print(&format!("Simulating an earthquake, {0} x {0} pixels of {PIXEL} m", args.size));
    simulate(args, ui, folder)?;

    let path = |name: &str| Path::new(&args.outdir).join(name).to_string_lossy().into_owned();
    let mut results: Vec<(&str, usize, FileEvaluation)> = Vec::new();
    for ((method, name, window), map) in RUNS.into_iter().zip(MAPS) {
        ui.print(&format!("Measuring with {name}, windows of {window} pixels"));
        let job = Job {
            params: Params { method, window: (window, window), step: (STEP, STEP), ..Params::default() },
            write: WriteOptions { overwrite: args.overwrite, ..Default::default() },
            threads: args.threads.count(),
            seed: args.seed,
            ..Job::new(&path("pre.tif"), &path("post.tif"), &path(map))
        };
        job.run(&mut |text| ui.note(text), &mut ui.progress())?;
        let evaluation = EvaluateJob {
            trace: Some(path("trace.gpkg")),
            border: BORDER,
            distances: vec![5.0, 20.0, 100.0],
            sections: SectionPlan { count: 0, ..Default::default() },
            ..EvaluateJob::new(&path(map), &path("truth.tif"))
        };
        results.push((name, window, evaluation.run()?));
    }

    let maps: Vec<Measured> = RUNS
        .iter()
        .zip(MAPS)
        .map(|((_, name, window), map)| Measured { title: format!("{name} {window} px"), path: path(map) })
        .collect();
    let files = [path("pre.tif"), path("post.tif"), path("truth.tif"), path("trace.gpkg")];
    draw(&files, &maps, &PICTURES.map(path), args.overwrite)?;
    write_json(&path(TABLE), &results)?;
    ui.print(&table(&results));
    ui.print(&format!("Pictures: {}", PICTURES.map(path).join(" ")));
    ui.print_json(&results.iter().map(|(_, _, e)| e).collect::<Vec<_>>())
}

fn simulate(args: &Args, ui: &Ui, folder: OutputFolder) -> Result<()> {
    let spec = PairSpec::preset(Preset::Real, args.size, args.seed);
    let pool = crate::threads::pool(args.threads.count())?;
    let mut progress = ui.progress();
    let pair = pool.install(|| make_pair_with(&spec, &mut progress))?;
    let georef = files::procedural_georef(PIXEL)?;
    let ground = georef.ground(Units::Metres, "the image", (args.size, args.size))?;
    files::write(&folder, &pair, &spec, &georef, ground, &serde_json::json!("procedural scene"))?;
    use crate::progress::Progress;
    match progress.report(1.0, "done") {
        true => folder.commit(),
        false => Err(Error::Cancelled),
    }
}

/// Errors of all methods side by side.
fn table(results: &[(&str, usize, FileEvaluation)]) -> String {
    let mut lines = vec![
        String::new(),
        "Errors against the known truth, in pixels (mean of |error|, east / north)".into(),
        format!(
            "{:<10}{:>8}{:>18}{:>18}{:>18}{:>18}{:>22}",
            "method", "window", "all", "<= 5 px of fault", "5-20 px", "> 100 px", "std of error/sigma"
        ),
    ];
    for (name, window, e) in results {
        let class = |label: &str| {
            let found = e.result.by_distance.iter().find(|c| c.label == label).and_then(|c| c.errors.as_ref());
            found.map_or("-".into(), |c| format!("{:.4} / {:.4}", c.east.mae, c.north.mae))
        };
        let all = &e.result.errors;
        let z = e.result.calibration.as_ref();
        lines.push(format!(
            "{name:<10}{window:>8}{:>18}{:>18}{:>18}{:>18}{:>22}",
            format!("{:.4} / {:.4}", all.east.mae, all.north.mae),
            class("<= 5 px"),
            class("5-20 px"),
            class("> 100 px"),
            z.map_or("-".into(), |c| format!("{:.2} / {:.2}", c.east.std, c.north.std))
        ));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn write_json(path: &str, results: &[(&str, usize, FileEvaluation)]) -> Result<()> {
    let list: Vec<&FileEvaluation> = results.iter().map(|(_, _, e)| e).collect();
    let text = serde_json::to_string_pretty(&list).map_err(|e| Error::Internal(format!("{path}: {e}")))?;
    std::fs::write(path, text + "\n").map_err(|e| Error::Write { path: path.into(), why: e.to_string() })
}
