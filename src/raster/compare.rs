//! Which pairs of images fit, and what to do about those that do not.

use super::RasterBand;
use super::georef::Crs;
use crate::{Error, Result};

/// Largest mismatch of the two grids over the whole image that still counts as the same pixel size, in pixels.
const DRIFT: f64 = 0.01;

/// Checks that two images have the same CRS, pixel size and axes, and overlap.
///
/// Returns where the centre of pre pixel (0, 0) lies in the post image, (column, row) in pixel-centre coordinates:
/// (0, 0) for images on one grid; fractional when the grids are offset by a part of a pixel.
///
/// # Errors
/// [`Error::GridMismatch`] naming both values and the command that makes the images comparable.
pub fn compare(pre: &RasterBand, post: &RasterBand) -> Result<(f64, f64)> {
    let (a, b) = (pre.georef(), post.georef());
    same_reference(pre, post)?;
    if !a.referenced {
        return Ok((0.0, 0.0));
    }
    if let Some(image) = [pre, post].into_iter().find(|i| i.georef().transform.0.iter().any(|v| !v.is_finite())) {
        let transform = image.georef().transform.0;
        let why = "give it a place with `gdal_edit.py -a_ullr <left> <top> <right> <bottom>`";
        return Err(Error::GridMismatch(format!("{} has the geotransform {transform:?}; {why}", image.label())));
    }
    let at = |col: f64, row: f64| {
        let (x, y) = a.transform.map(col, row);
        b.transform.pixel(x, y).ok_or_else(|| {
            Error::GridMismatch(format!("{} has a singular geotransform {:?}", post.label(), b.transform.0))
        })
    };
    let (w, h) = (pre.width() as f64, pre.height() as f64);
    let (o, right, down) = (at(0.0, 0.0)?, at(w, 0.0)?, at(0.0, h)?);
    let along_x = (right.0 - o.0 - w, right.1 - o.1);
    let along_y = (down.0 - o.0, down.1 - o.1 - h);
    if ![along_x.0, along_x.1, along_y.0, along_y.1].iter().all(|d| d.abs() <= DRIFT) {
        let (p, q) = (a.transform.pixel_size(), b.transform.pixel_size());
        let close = |u: f64, v: f64| (u - v).abs() <= 1e-6 * u.abs();
        let (pc, qc) = (a.transform.0, b.transform.0);
        let what = if close(p.0, q.0) && close(p.1, q.1) {
            format!(
                "the images' axes differ: {} has rows and columns along ({}, {}), ({}, {}) and {} along ({}, {}), ({}, {})",
                pre.label(),
                pc[1],
                pc[4],
                pc[2],
                pc[5],
                post.label(),
                qc[1],
                qc[4],
                qc[2],
                qc[5]
            )
        } else {
            format!(
                "the pixel sizes differ: {} has {} x {} and {} has {} x {} map units",
                pre.label(),
                p.0,
                p.1,
                post.label(),
                q.0,
                q.1
            )
        };
        return Err(Error::GridMismatch(format!("{what}; {}", remedy(pre, post))));
    }
    let (x1, y1) = (o.0 + w, o.1 + h);
    if x1 <= 0.0 || y1 <= 0.0 || o.0 >= post.width() as f64 || o.1 >= post.height() as f64 {
        return Err(no_overlap(pre, post));
    }
    Ok((snapped(o.0), snapped(o.1)))
}

/// Checks that both images are referenced in the same system (not that their pixels fit).
fn same_reference(pre: &RasterBand, post: &RasterBand) -> Result<()> {
    same_frame(pre, post)?;
    match (&pre.georef().crs, &post.georef().crs) {
        (Some(p), Some(q)) if !p.same(q) => Err(Error::GridMismatch(format!(
            "the coordinate reference systems differ: {} has {}, {} has {}; {}",
            pre.label(),
            p.label,
            post.label(),
            q.label,
            remedy(pre, post)
        ))),
        _ => Ok(()),
    }
}

/// Checks that both images are georeferenced, or both are not.
pub(super) fn same_frame(pre: &RasterBand, post: &RasterBand) -> Result<()> {
    let (a, b) = (pre.georef(), post.georef());
    if a.referenced != b.referenced {
        let (with, without) = if a.referenced { (pre, post) } else { (post, pre) };
        let [x0, y0, x1, y1] = with.georef().bounds((with.width(), with.height()));
        let srs = with.georef().crs.as_ref().and_then(Crs::argument).unwrap_or("EPSG:<code>");
        return Err(Error::GridMismatch(format!(
            "{} is georeferenced and {} is not; if both show the same ground run `gdal_edit.py -a_srs {srs} -a_ullr {x0} \
             {y1} {x1} {y0} {}`",
            with.label(),
            without.label(),
            quoted(without.path())
        )));
    }
    match (&a.crs, &b.crs) {
        (Some(p), None) => Err(no_crs(post, p)),
        (None, Some(q)) => Err(no_crs(pre, q)),
        _ => Ok(()),
    }
}

fn no_crs(image: &RasterBand, other: &Crs) -> Error {
    let srs = other.argument().unwrap_or("EPSG:<code>");
    Error::GridMismatch(format!(
        "{} has no coordinate reference system while the other image has {}; give it one with `gdal_edit.py -a_srs {srs} {}`",
        image.label(),
        other.label,
        quoted(image.path())
    ))
}

/// The refusal of two images that show different ground.
pub(super) fn no_overlap(pre: &RasterBand, post: &RasterBand) -> Error {
    let text = |r: &RasterBand| {
        let b = r.georef().bounds((r.width(), r.height()));
        format!("{} covers x {} to {}, y {} to {}", r.label(), b[0], b[2], b[1], b[3])
    };
    Error::GridMismatch(format!(
        "the images do not overlap: {}; {}; choose images of the same place, or correct the georeference",
        text(pre),
        text(post)
    ))
}

/// The command that puts the post image on the pre grid.
fn remedy(pre: &RasterBand, post: &RasterBand) -> String {
    let g = pre.georef();
    let north_up = g.transform.0[2] == 0.0 && g.transform.0[4] == 0.0 && g.transform.0[5] < 0.0;
    match g.crs.as_ref().and_then(Crs::argument) {
        Some(srs) if north_up => {
            let [x0, y0, x1, y1] = g.bounds((pre.width(), pre.height()));
            format!(
                "add --resample, or run `gdalwarp -t_srs {srs} -te {x0} {y0} {x1} {y1} -ts {} {} -r cubic {} {}`",
                pre.width(),
                pre.height(),
                quoted(post.path()),
                quoted(&suffixed(post.path(), "_on_pre"))
            )
        }
        _ => "add --resample to warp the post image onto the pre grid".into(),
    }
}

/// Rounding noise of large map coordinates must not turn one grid into two.
fn snapped(v: f64) -> f64 {
    if (v - v.round()).abs() < 1e-6 { v.round() + 0.0 } else { v }
}

/// A path as it must be typed in a shell.
pub(super) fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:,@%".contains(c);
    if path.chars().all(plain) { path.into() } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

/// `dir/name.ext` → `name_suffix.tif`, in the current folder.
pub(super) fn suffixed(path: &str, suffix: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    format!("{stem}{suffix}.tif")
}
