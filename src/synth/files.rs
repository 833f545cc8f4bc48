//! A synthetic pair as files: images, truth, fault trace, and the record of how it was made.

use super::pair::{PairSpec, SynthPair};
use crate::field::PixelShift;
use crate::grid::Grid;
use crate::raster::{
    Band, Crs, DOMAIN, GeoReference, Ground, Line, OutputFolder, PixelType, Value, write_bands, write_image,
    write_lines,
};
use crate::{Error, Result};

/// Names of the files, all of which [`write()`] can make.
pub const FILES: [&str; 5] = ["pre.tif", "post.tif", "truth.tif", "trace.gpkg", "spec.json"];

/// Georeference of procedural pairs: UTM zone 11 north with square pixels of `pixel` metres.
///
/// # Errors
/// GDAL does not know the CRS, e.g. because its tables are not installed.
pub fn procedural_georef(pixel: f64) -> Result<GeoReference> {
    let crs = Crs::from_definition("EPSG:32611")?;
    Ok(GeoReference::new(crate::field::GeoTransform([500_000.0, pixel, 0.0, 4_000_000.0, 0.0, -pixel]), Some(crs)))
}

/// Writes the pair: `pre.tif` and `post.tif` (UInt16, 0 = nodata), `truth.tif` (East and North displacement in the
/// unit of `ground`, on the pre grid, NaN where undefined), `trace.gpkg` when there is a fault, and `spec.json` with
/// every parameter, the seed and the scale of the stored numbers. `origin` says what the pair was made from.
///
/// # Errors
/// [`Error::Write`].
pub fn write(
    folder: &OutputFolder,
    pair: &SynthPair,
    spec: &PairSpec,
    georef: &GeoReference,
    ground: Ground,
    origin: &serde_json::Value,
) -> Result<()> {
    let (scale, offset) = storage(pair);
    for (name, image, valid) in [("pre.tif", &pair.pre, &pair.pre_valid), ("post.tif", &pair.post, &pair.post_valid)] {
        let stored = stored(image, valid, scale, offset);
        write_image(&folder.file(name), &stored, PixelType::U16, Some(0.0), Some(georef), false)?;
    }
    let record = serde_json::json!({
        "shiftmap": crate::VERSION,
        "pair": spec,
        "origin": origin,
        "event": pair.event,
        "stored_number": { "scale": scale, "offset": offset },
        "truth_unit": ground.unit,
    });
    let text = serde_json::to_string_pretty(&record).map_err(|e| Error::Internal(format!("spec.json: {e}")))?;
    let path = folder.file("spec.json");
    std::fs::write(&path, text + "\n").map_err(|e| Error::Write { path, why: e.to_string() })?;
    write_truth(&folder.file("truth.tif"), pair, spec, georef, ground)?;
    if pair.traces.is_empty() {
        return Ok(());
    }
    write_trace(&folder.file("trace.gpkg"), pair, spec, georef)
}

fn write_truth(path: &str, pair: &SynthPair, spec: &PairSpec, georef: &GeoReference, ground: Ground) -> Result<()> {
    let mut east = pair.truth_dx.clone();
    let mut north = pair.truth_dy.clone();
    for (dx, dy) in east.data.iter_mut().zip(&mut north.data) {
        let g = ground.transform.ground(PixelShift::new(f64::from(*dx), f64::from(*dy)));
        (*dx, *dy) = (g.east as f32, g.north as f32);
    }
    let band = |description, values| Band { description, unit: ground.unit, values };
    let bands = [band("East displacement", &east), band("North displacement", &north)];
    let seed = spec.seed.to_string();
    let metadata = [
        (DOMAIN, "VERSION", crate::VERSION),
        (DOMAIN, "KIND", "truth of a synthetic pair"),
        (DOMAIN, "UNITS", ground.unit),
        (DOMAIN, "STEP", "1x1"),
        (DOMAIN, "SEED", &seed),
    ];
    write_bands(path, &bands, Some(georef), &metadata, false)
}

fn write_trace(path: &str, pair: &SynthPair, spec: &PairSpec, georef: &GeoReference) -> Result<()> {
    // Layers without a georeference keep the picture's sense: x to the right, y upwards.
    let mut attributes = vec![("name".to_string(), Value::Text("fault trace".into()))];
    if let Some(fault) = &spec.field.fault {
        attributes.push(("strike_deg".into(), Value::Real(fault.strike_deg)));
        attributes.push(("largest_slip_px".into(), Value::Real(fault.slip)));
    }
    if let Some(event) = &pair.event {
        attributes.push(("magnitude".into(), Value::Real(event.rupture.magnitude)));
    }
    let line = |trace: &Vec<(f64, f64)>| Line {
        points: trace.iter().map(|&(x, y)| georef.transform.map(x + 0.5, y + 0.5)).collect(),
        attributes: attributes.clone(),
    };
    let lines: Vec<Line> = pair.traces.iter().map(line).collect();
    write_lines(path, "trace", &lines, georef.crs.as_ref(), false)
}

/// Scale and offset of the stored numbers, value = number / scale + offset. Images that use the 16 bits well are kept
/// as they are; others (bytes, reflectances, amplitudes) are spread over them, because a displaced image needs finer
/// steps than the sensor's own.
fn storage(pair: &SynthPair) -> (f64, f64) {
    let mut range = (f64::INFINITY, f64::NEG_INFINITY);
    for (image, valid) in [(&pair.pre, &pair.pre_valid), (&pair.post, &pair.post_valid)] {
        for (v, _) in image.data.iter().zip(&valid.data).filter(|(_, ok)| **ok) {
            range = (range.0.min(f64::from(*v)), range.1.max(f64::from(*v)));
        }
    }
    let (low, high) = range;
    if low >= 0.0 && high <= 65_535.0 && high - low >= 2000.0 {
        return (1.0, 0.0);
    }
    if high <= low {
        return (1.0, low - 1.0);
    }
    let scale = 60_000.0 / (high - low);
    (scale, low - 1000.0 / scale)
}

/// The numbers to store; 0 is kept for nodata.
fn stored(image: &Grid<f32>, valid: &Grid<bool>, scale: f64, offset: f64) -> Grid<f32> {
    let mut out = image.clone();
    for (v, ok) in out.data.iter_mut().zip(&valid.data) {
        *v = if *ok { ((f64::from(*v) - offset) * scale).clamp(1.0, 65_535.0) as f32 } else { f32::NAN };
    }
    out
}
