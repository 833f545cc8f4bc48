//! An event as files.

use std::fmt::Write;

use super::scene::{Scene, TRACKS};
use super::spec::InsarSpec;
use crate::Result;
use crate::grid::Grid;
use crate::raster::{Band, DOMAIN, OutputFolder, write_bands, write_png, write_text};
use crate::render::colour::round_up;
use crate::render::{Canvas, Panel, Scale, figure};
use crate::synth::dataset::store::write_json;
use crate::synth::spectrum::quantile;

/// Names of the files.
pub const FILES: [&str; 10] = [
    "los-ascending.tif",
    "los-descending.tif",
    "unit-ascending.tif",
    "unit-descending.tif",
    "dem.tif",
    "gnss.csv",
    "gnss-series.csv",
    "truth.tif",
    "event.json",
    "overview.png",
];

/// Width of a map in the picture.
const WIDTH: usize = 256;

/// Writes [`FILES`].
///
/// # Errors
/// [`crate::Error::Write`].
pub fn write(folder: &OutputFolder, scene: &Scene, spec: &InsarSpec) -> Result<()> {
    write_to(&|name| folder.file(name), scene, spec)
}

/// Writes [`FILES`] under the paths that `file` gives for their names.
///
/// # Errors
/// [`crate::Error::Write`].
pub fn write_to(file: &dyn Fn(&str) -> String, scene: &Scene, spec: &InsarSpec) -> Result<()> {
    let seed = scene.record.seed.to_string();
    let metadata = |kind| {
        [
            (DOMAIN, "VERSION", crate::VERSION),
            (DOMAIN, "KIND", kind),
            (DOMAIN, "STEP", "1x1"),
            (DOMAIN, "SEED", seed.as_str()),
        ]
    };
    let save =
        |name: &str, kind, bands: &[Band]| write_bands(&file(name), bands, Some(&scene.georef), &metadata(kind), false);
    for (k, track) in TRACKS.iter().enumerate() {
        let band = Band { description: "LOS displacement", unit: "m", values: &scene.los[k] };
        save(&format!("los-{track}.tif"), "simulated interferogram, positive towards the satellite", &[band])?;
        let names = ["East", "North", "Up"];
        let bands =
            names.iter().zip(&scene.units[k]).map(|(description, values)| Band { description, unit: "", values });
        save(&format!("unit-{track}.tif"), "unit vector to the satellite", &bands.collect::<Vec<_>>())?;
    }
    save("dem.tif", "elevation", &[Band { description: "Height", unit: "m", values: &scene.terrain.height }])?;
    let names = ["East displacement", "North displacement", "Up displacement"];
    let bands = names.iter().zip(&scene.truth).map(|(description, values)| Band { description, unit: "m", values });
    save("truth.tif", "truth of a simulated event", &bands.collect::<Vec<_>>())?;
    write_text(&file("gnss.csv"), &steps(scene), false)?;
    write_text(&file("gnss-series.csv"), &series(scene), false)?;
    write_json(std::path::Path::new(&file("event.json")), &record(scene, spec))?;
    draw(&file("overview.png"), scene)
}

/// What `event.json` holds.
pub fn record(scene: &Scene, spec: &InsarSpec) -> serde_json::Value {
    serde_json::json!({
        "shiftmap": crate::VERSION,
        "unit": "m; line of sight positive towards the satellite; days from 0",
        "event": scene.record,
        "spec": spec,
    })
}

/// `gnss.csv`: the steps.
fn steps(scene: &Scene) -> String {
    let mut out = String::from("station,x,y,height,east,north,up,sigma_east,sigma_north,sigma_up\n");
    for s in &scene.stations {
        let (column, row) = scene.frame.pixel_of(s.place);
        let (x, y) = scene.georef.transform.map(column + 0.5, row + 0.5);
        let numbers: Vec<String> = s.step.iter().chain(&s.sigma).map(|v| format!("{v:.7}")).collect();
        // Writing into a text cannot fail.
        let _ = writeln!(out, "{},{x:.3},{y:.3},{:.2},{}", s.name, s.height, numbers.join(","));
    }
    out
}

/// `gnss-series.csv`: the days that are not missing.
fn series(scene: &Scene) -> String {
    let mut out = String::from("station,day,east,north,up\n");
    for s in &scene.stations {
        for (day, [e, n, u]) in s.series.iter().enumerate().filter(|d| d.1[0].is_finite()) {
            let _ = writeln!(out, "{},{day},{e:.6},{n:.6},{u:.6}", s.name);
        }
    }
    out
}

/// A cross at each station.
fn crosses(scene: &Scene) -> Vec<Vec<(f64, f64)>> {
    let size = 0.012 * scene.frame.width as f64;
    let cross = |s: &super::scene::Station| {
        let (x, y) = scene.frame.pixel_of(s.place);
        [vec![(x - size, y), (x + size, y)], vec![(x, y - size), (x, y + size)]]
    };
    scene.stations.iter().flat_map(cross).collect()
}

/// Both interferograms and the landscape with the stations; the truth.
fn draw(path: &str, scene: &Scene) -> Result<()> {
    let canvas = figure("", &panels(scene, WIDTH));
    write_png(path, canvas.width, canvas.height, &canvas.rgb, false)
}

/// Two rows of maps, `width` pixels each.
pub(super) fn panels(scene: &Scene, width: usize) -> [Vec<Canvas>; 2] {
    let stations = crosses(scene);
    let map = |title: &str, values: &Grid<f32>, limit: f64| {
        let scale = Scale::Diverging { limit: 1e3 * limit };
        Panel { title, values: &values.map(|v| 1e3 * v), scale, unit: Some("mm"), lines: &[] }.draw(width)
    };
    let level = limit(&scene.los.iter().collect::<Vec<_>>());
    let mut measured: Vec<Canvas> =
        TRACKS.iter().zip(&scene.los).map(|(name, los)| map(&format!("LOS {name}"), los, level)).collect();
    let heights = &scene.terrain.height;
    let shown = Grid::from_fn(heights.width, heights.height, |x, y| {
        if scene.terrain.water.get(x, y) { f32::NAN } else { heights.get(x, y) }
    });
    let top = heights.data.iter().fold(1.0f32, |m, v| m.max(*v));
    let scale = Scale::Grey { low: 0.0, high: round_up(f64::from(top)) };
    measured.push(Panel { title: "height", values: &shown, scale, unit: Some("m"), lines: &stations }.draw(width));
    let level = limit(&scene.truth.iter().collect::<Vec<_>>());
    let truth = ["East", "North", "Up"].iter().zip(&scene.truth).map(|(name, u)| map(name, u, level)).collect();
    [measured, truth]
}

/// A round number of metres that nearly all absolute values stay below.
fn limit(grids: &[&Grid<f32>]) -> f64 {
    let all = grids.iter().flat_map(|g| &g.data).filter(|v| v.is_finite()).map(|v| f64::from(v.abs()));
    let all: Vec<f64> = all.collect();
    1e-3 * round_up(if all.is_empty() { 1.0 } else { 1e3 * quantile(&all, 0.998) })
}
