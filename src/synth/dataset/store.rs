//! Samples as files.

use half::f16;
use std::path::Path;

use super::sample::Sample;
use crate::field::{GeoTransform, PixelShift};
use crate::grid::Grid;
use crate::raster::{
    Band, Crs, DOMAIN, GeoReference, Line, PixelType, Units, Value, write_bands, write_image, write_lines,
};
use crate::synth::npy::{Array, Data, UNFINISHED, whole_file};
use crate::{Error, Result};

/// Bits of the array `valid`.
pub const VALID_PRE: u8 = 1;
pub const VALID_POST: u8 = 2;
pub const HIDDEN_POST: u8 = 4;

/// Chooses the scale of the stored numbers and writes it into the record: the 16 bits are used well, 0 is kept for nodata.
pub fn choose_storage(sample: &mut Sample) {
    let mut range = (f64::INFINITY, f64::NEG_INFINITY);
    for (image, valid) in [(&sample.pre, &sample.pre_valid), (&sample.post, &sample.post_valid)] {
        for (v, _) in image.data.iter().zip(&valid.data).filter(|(_, ok)| **ok) {
            range = (range.0.min(f64::from(*v)), range.1.max(f64::from(*v)));
        }
    }
    let (low, high) = range;
    sample.record.stored = if low >= 1.0 && high <= 65_535.0 && high - low >= 2000.0 {
        (1.0, 0.0)
    } else if high > low {
        let scale = 60_000.0 / (high - low);
        (scale, low - 1000.0 / scale)
    } else {
        (1.0, low.min(0.0) - 1.0)
    };
}

fn stored(sample: &Sample, image: &Grid<f32>, valid: &Grid<bool>) -> Vec<u16> {
    let (scale, offset) = sample.record.stored;
    let number = |v: f32| ((f64::from(v) - offset) * scale).round().clamp(1.0, 65_535.0) as u16;
    image.data.iter().zip(&valid.data).map(|(&v, &ok)| if ok { number(v) } else { 0 }).collect()
}

/// The arrays of a pair: name and content.
pub fn arrays(sample: &Sample) -> Vec<(&'static str, Array)> {
    let (w, h) = (sample.pre.width, sample.pre.height);
    let shape = [h, w];
    let float = |g: &Grid<f32>| Array::new(&shape, Data::F32(g.data.clone()));
    let valid = sample.pre_valid.data.iter().zip(&sample.post_valid.data);
    let valid = valid.zip(&sample.hidden.data);
    let bits = |a, b, c| u8::from(a) * VALID_PRE + u8::from(b) * VALID_POST + u8::from(c) * HIDDEN_POST;
    let valid = valid.map(|((a, b), c)| bits(*a, *b, *c)).collect();
    let distance = sample.distance.data.iter().map(|&v| f16::from_f32(v)).collect();
    vec![
        ("pre", Array::new(&shape, Data::U16(stored(sample, &sample.pre, &sample.pre_valid)))),
        ("post", Array::new(&shape, Data::U16(stored(sample, &sample.post, &sample.post_valid)))),
        ("dx", float(&sample.dx)),
        ("dy", float(&sample.dy)),
        ("inverse_dx", float(&sample.inverse_dx)),
        ("inverse_dy", float(&sample.inverse_dy)),
        ("distance", Array::new(&shape, Data::F16(distance))),
        ("valid", Array::new(&shape, Data::U8(valid))),
    ]
}

/// What the arrays of a set mean: name, type, shape and content, for its card.
pub fn describe_pairs() -> serde_json::Value {
    serde_json::json!({
        "pre": "uint16 [H, W]: first image, value = number / scale + offset (`stored` of the record); 0 is nodata",
        "post": "uint16 [H, W]: second image, displaced",
        "dx": "float32 [H, W]: displacement to the right in pixels, on the pre grid: pre(x) = post(x + d(x))",
        "dy": "float32 [H, W]: displacement downwards in pixels, on the pre grid",
        "inverse_dx": "float32 [H, W]: the same motion on the post grid: post(y) = pre(y - D(y))",
        "inverse_dy": "float32 [H, W]",
        "distance": "float16 [H, W]: distance to the nearest fault trace in pixels, positive on its right; inf: no trace near",
        "valid": "uint8 [H, W]: 1 where pre is valid, + 2 where post is valid, + 4 where a cloud hides the ground in post",
    })
}

/// Writes a JSON text.
///
/// # Errors
/// [`Error::Write`].
pub fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Error::Internal(format!("{}: {e}", path.display())))?;
    whole_file(path, |mut file| {
        use std::io::Write;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")
    })
}

/// Writes a pair as a folder of GeoTIFF files: pre, post, truth (east and north), inverse (the same on the post grid), and
/// trace.gpkg when a fault is near. `georef` is that of the base image.
///
/// # Errors
/// [`Error::Write`].
pub fn write_folder(path: &Path, sample: &Sample, georef: &GeoReference) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let work = path.with_file_name(format!("{UNFINISHED}{name}"));
    let fail = |e: std::io::Error| Error::Write { path: path.display().to_string(), why: e.to_string() };
    if work.is_dir() {
        std::fs::remove_dir_all(&work).map_err(fail)?;
    }
    std::fs::create_dir(&work).map_err(fail)?;
    let file = |name: &str| work.join(name).to_string_lossy().into_owned();
    let t = &georef.transform;
    let (x, y) = sample.record.corner;
    let corner = t.cells(x as f64, y as f64, 1.0, 1.0);
    let georef = georef.with_transform(corner);
    let size = (sample.pre.width, sample.pre.height);
    let ground = georef.ground(Units::Auto, &name, size).or_else(|_| georef.ground(Units::Pixels, &name, size))?;
    for (what, image, valid) in
        [("pre.tif", &sample.pre, &sample.pre_valid), ("post.tif", &sample.post, &sample.post_valid)]
    {
        let numbers = stored(sample, image, valid).into_iter().map(|v| if v == 0 { f32::NAN } else { f32::from(v) });
        let grid = Grid::from_vec(size.0, size.1, numbers.collect());
        write_image(&file(what), &grid, PixelType::U16, Some(0.0), Some(&georef), false)?;
    }
    for (what, dx, dy) in
        [("truth.tif", &sample.dx, &sample.dy), ("inverse.tif", &sample.inverse_dx, &sample.inverse_dy)]
    {
        let (mut east, mut north) = (dx.clone(), dy.clone());
        for (a, b) in east.data.iter_mut().zip(&mut north.data) {
            let g = ground.transform.ground(PixelShift::new(f64::from(*a), f64::from(*b)));
            (*a, *b) = (g.east as f32, g.north as f32);
        }
        let band = |description, values| Band { description, unit: ground.unit, values };
        let bands = [band("East displacement", &east), band("North displacement", &north)];
        let metadata = [
            (DOMAIN, "VERSION", crate::VERSION),
            (DOMAIN, "KIND", "truth of a synthetic pair"),
            (DOMAIN, "UNITS", ground.unit),
            (DOMAIN, "STEP", "1x1"),
        ];
        write_bands(&file(what), &bands, Some(&georef), &metadata, false)?;
    }
    if !sample.record.traces.is_empty() {
        let lines: Vec<Line> = sample.record.traces.iter().map(|t| line(t, &georef.transform)).collect();
        write_lines(&file("trace.gpkg"), "trace", &lines, georef.crs.as_ref().filter(|_| georef.referenced), false)?;
    }
    write_json(&work.join("sample.json"), &sample.record)?;
    std::fs::rename(&work, path).map_err(fail)
}

fn line(points: &[(f64, f64)], transform: &GeoTransform) -> Line {
    Line {
        points: points.iter().map(|&(x, y)| transform.map(x + 0.5, y + 0.5)).collect(),
        attributes: vec![("name".into(), Value::Text("fault trace".into()))],
    }
}

/// The georeference of procedural and radar samples: none.
pub fn no_georef() -> GeoReference {
    GeoReference { transform: GeoTransform::PIXELS, referenced: false, crs: None::<Crs> }
}
