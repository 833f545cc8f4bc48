//! A displacement field of given faults as files: raster, picture, traces, record.

use rayon::prelude::*;

use super::elastic::{PixelGrid, on_grid};
use super::given::{GivenFaults, Plane, SHEAR_MODULUS};
use super::tde::Loops;
use crate::field::GeoTransform;
use crate::grid::Grid;
use crate::progress::Progress;
use crate::raster::{Band, DOMAIN, GeoReference, OutputFolder, write_bands, write_lines, write_png};
use crate::render::colour::round_up;
use crate::render::{Panel, Scale, figure};
use crate::{Error, Result};

/// Names of the files, all of which [`write()`] can make.
pub const FILES: [&str; 4] = ["field.tif", "field.png", "trace.gpkg", "spec.json"];

/// What `spec.json` says of the input.
#[derive(Debug, Clone, Copy)]
pub struct FieldRecord<'a> {
    pub template: &'a str,
    pub file: &'a str,
    pub poisson: f64,
}

/// Rows that are computed at once.
const STRIPE: usize = 512;
/// Width of a map in the picture, pixels.
const PICTURE: usize = 512;

/// Computes the displacement of `faults` on the image's grid of `size` pixels and writes [`FILES`] (`trace.gpkg` only
/// when there is a trace). Returns what `spec.json` holds.
///
/// # Errors
/// [`Error::Data`] for unusable faults, [`Error::Write`], [`Error::Cancelled`].
pub fn write(
    folder: &OutputFolder,
    faults: &GivenFaults,
    georef: &GeoReference,
    (plane, size): (Plane, (usize, usize)),
    record: &FieldRecord,
    progress: &mut dyn Progress,
) -> Result<serde_json::Value> {
    let loops = Loops::new(&faults.triangles, record.poisson)?;
    let bands = bands(&loops, georef, plane, size, progress)?;
    let [east, north, up] = &bands;
    let band = |description, values| Band { description, unit: "m", values };
    let rasters = [band("East displacement", east), band("North displacement", north), band("Up displacement", up)];
    let poisson = record.poisson.to_string();
    let metadata = [
        (DOMAIN, "VERSION", crate::VERSION),
        (DOMAIN, "KIND", "elastic dislocations"),
        (DOMAIN, "UNITS", "m"),
        (DOMAIN, "STEP", "1x1"),
        (DOMAIN, "FAULTS", record.file),
        (DOMAIN, "POISSON", &poisson),
    ];
    write_bands(&folder.file("field.tif"), &rasters, Some(georef), &metadata, false)?;
    if !faults.traces.is_empty() {
        write_lines(&folder.file("trace.gpkg"), "trace", &faults.traces, georef.crs.as_ref(), false)?;
    }
    draw(&folder.file("field.png"), &bands, faults, &georef.transform)?;
    let largest = bands.each_ref().map(|b| b.data.iter().fold(0.0f32, |m, v| m.max(v.abs())));
    let record = serde_json::json!({
        "shiftmap": crate::VERSION,
        "template": record.template,
        "faults": record.file,
        "size": [size.0, size.1],
        "poisson": record.poisson,
        "triangles": faults.triangles.len(),
        "lines": faults.lines,
        "moment_nm": faults.moment(),
        "magnitude": faults.magnitude(),
        "shear_modulus_pa": SHEAR_MODULUS,
        "largest_m": { "east": largest[0], "north": largest[1], "up": largest[2] },
    });
    let text = serde_json::to_string_pretty(&record).map_err(|e| Error::Internal(format!("spec.json: {e}")))?;
    let path = folder.file("spec.json");
    std::fs::write(&path, text + "\n").map_err(|e| Error::Write { path, why: e.to_string() })?;
    Ok(record)
}

/// East, north and up, stripe by stripe.
fn bands(
    loops: &Loops,
    georef: &GeoReference,
    plane: Plane,
    (width, height): (usize, usize),
    progress: &mut dyn Progress,
) -> Result<[Grid<f32>; 3]> {
    let mut bands = [(); 3].map(|()| Grid::filled(width, height, 0.0f32));
    let whole = plane.pixels(&georef.transform, (width, height));
    for first in (0..height).step_by(STRIPE) {
        if !progress.report(0.9 * first as f64 / height as f64, "field") {
            return Err(Error::Cancelled);
        }
        let rows = STRIPE.min(height - first);
        let [east, north] = whole.map(0.0, first as f64);
        let field = on_grid(loops, &PixelGrid { height: rows, origin: (east, north), ..whole })?;
        for (i, band) in bands.iter_mut().enumerate() {
            let part = &mut band.data[first * width..(first + rows) * width];
            part.par_iter_mut().zip(&field.data).for_each(|(v, u)| *v = u[i] as f32);
        }
    }
    Ok(bands)
}

/// The three components side by side, horizontal ones on one scale.
fn draw(path: &str, bands: &[Grid<f32>; 3], faults: &GivenFaults, transform: &GeoTransform) -> Result<()> {
    let place = |p: &(f64, f64)| transform.pixel(p.0, p.1).map(|(c, r)| (c - 0.5, r - 0.5));
    let lines: Vec<Vec<(f64, f64)>> =
        faults.traces.iter().map(|t| t.points.iter().filter_map(place).collect()).collect();
    let level = limit(&bands[..2]);
    let limits = [level, level, limit(&bands[2..])];
    let panels = ["East", "North", "Up"].iter().zip(bands).zip(limits).map(|((title, values), limit)| {
        Panel { title, values, scale: Scale::Diverging { limit }, unit: Some("m"), lines: &lines }.draw(PICTURE)
    });
    let canvas = figure("", &[panels.collect()]);
    write_png(path, canvas.width, canvas.height, &canvas.rgb, false)
}

/// A round number that nearly all absolute values stay below.
fn limit(bands: &[Grid<f32>]) -> f64 {
    let step = (bands[0].data.len() / 200_000).max(1);
    let mut all: Vec<f32> = bands.iter().flat_map(|b| b.data.iter().step_by(step).map(|v| v.abs())).collect();
    all.sort_by(f32::total_cmp);
    round_up(all.get(((all.len().max(1) - 1) as f64 * 0.998) as usize).map_or(1.0, |v| f64::from(*v)))
}
