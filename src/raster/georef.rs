//! Where an image lies on the ground: geotransform, coordinate reference system, units.

use crate::field::GeoTransform;
use crate::{Error, Result};
use gdal::Dataset;
use gdal::spatial_ref::{AxisMappingStrategy, CoordTransform, SpatialRef};

use super::RasterBand;

/// What kind of coordinates a CRS has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrsKind {
    /// Map coordinates in metres, feet, ...
    Projected,
    /// Longitude and latitude.
    Geographic,
    /// Local, geocentric or unknown.
    Other,
}

/// A coordinate reference system.
#[derive(Debug, Clone, PartialEq)]
pub struct Crs {
    pub wkt: String,
    /// `EPSG:32612` where it is known, otherwise the CRS's name.
    pub label: String,
    pub kind: CrsKind,
    /// Length of one map unit in metres (projected and local CRS).
    pub metres_per_unit: f64,
}

impl Crs {
    /// From anything GDAL understands: WKT, `EPSG:32612`, a PROJ string.
    ///
    /// # Errors
    /// [`Error::Option`] when GDAL does not understand it.
    pub fn from_definition(text: &str) -> Result<Crs> {
        let srs = SpatialRef::from_definition(text).map_err(|e| Error::option("CRS", text, super::reason(e)))?;
        Crs::from_srs(&srs).ok_or_else(|| Error::option("CRS", text, "has no WKT form"))
    }

    fn from_srs(srs: &SpatialRef) -> Option<Crs> {
        let wkt = srs.to_wkt().ok().filter(|w| !w.is_empty())?;
        let authority = srs.authority().ok();
        let kind = if srs.is_projected() || srs.is_local() {
            CrsKind::Projected
        } else if srs.is_geographic() {
            CrsKind::Geographic
        } else {
            CrsKind::Other
        };
        let label = authority.or_else(|| srs.name()).unwrap_or_else(|| "unnamed CRS".into());
        Some(Crs { wkt, label, kind, metres_per_unit: srs.linear_units() })
    }

    /// A GDAL object with x before y, whatever the authority says.
    pub(super) fn srs(&self) -> Result<SpatialRef> {
        let mut srs = SpatialRef::from_wkt(&self.wkt)
            .map_err(|e| Error::Internal(format!("CRS {}: {}", self.label, super::reason(e))))?;
        srs.set_axis_mapping_strategy(AxisMappingStrategy::TraditionalGisOrder);
        Ok(srs)
    }

    /// Whether both mean the same system, however it is written down.
    pub fn same(&self, other: &Crs) -> bool {
        if self.wkt == other.wkt {
            return true;
        }
        match (self.srs(), other.srs()) {
            (Ok(a), Ok(b)) => a == b,
            _ => false,
        }
    }

    /// `-t_srs` and `-a_srs` argument for this CRS, where a short one exists.
    fn argument(&self) -> Option<&str> {
        (self.label.contains(':') && !self.label.contains(' ')).then_some(self.label.as_str())
    }
}

/// `--units`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Units {
    /// Metres where the CRS is projected, pixels where there is none; geographic coordinates are an error.
    #[default]
    Auto,
    Metres,
    Pixels,
}

/// How pixel displacements become the product's numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ground {
    /// Only its linear part is used.
    pub transform: GeoTransform,
    /// Unit of the displacement bands: `m` or `px`.
    pub unit: &'static str,
}

/// Georeference of an image; without one, `referenced` is false and `transform` is [`GeoTransform::PIXELS`].
#[derive(Debug, Clone, PartialEq)]
pub struct GeoReference {
    pub transform: GeoTransform,
    pub referenced: bool,
    pub crs: Option<Crs>,
}

impl GeoReference {
    /// An image without georeference.
    pub fn none() -> Self {
        GeoReference { transform: GeoTransform::PIXELS, referenced: false, crs: None }
    }

    pub fn new(transform: GeoTransform, crs: Option<Crs>) -> Self {
        GeoReference { transform, referenced: true, crs }
    }

    /// The same CRS on another grid, e.g. that of the output cells.
    pub fn with_transform(&self, transform: GeoTransform) -> Self {
        GeoReference { transform, ..self.clone() }
    }

    pub(super) fn of(dataset: &Dataset) -> Self {
        let crs = dataset.spatial_ref().ok().and_then(|srs| Crs::from_srs(&srs));
        match dataset.geo_transform() {
            // GDAL's default transform stands for "none" in files that cannot leave it out.
            Ok(c) if c != [0.0, 1.0, 0.0, 0.0, 0.0, 1.0] => GeoReference::new(GeoTransform(c), crs),
            _ => GeoReference { crs, ..GeoReference::none() },
        }
    }

    /// Side lengths of a pixel in metres, `None` unless the CRS is projected.
    pub fn pixel_metres(&self) -> Option<(f64, f64)> {
        let crs = self.crs.as_ref().filter(|c| self.referenced && c.kind == CrsKind::Projected)?;
        let (x, y) = self.transform.pixel_size();
        Some((x * crs.metres_per_unit, y * crs.metres_per_unit))
    }

    /// How displacements of an image called `name` with `size` pixels are expressed in `units`.
    ///
    /// # Errors
    /// Metres cannot be had (geographic CRS, none at all): the message says which command gives them.
    pub fn ground(&self, units: Units, name: &str, size: (usize, usize)) -> Result<Ground> {
        let pixels = Ground { transform: GeoTransform::PIXELS, unit: "px" };
        if units == Units::Pixels {
            return Ok(pixels);
        }
        match self.crs.as_ref().filter(|_| self.referenced) {
            Some(crs) if crs.kind == CrsKind::Projected => {
                let transform = GeoTransform(self.transform.0.map(|c| c * crs.metres_per_unit));
                Ok(Ground { transform, unit: "m" })
            }
            Some(crs) if crs.kind == CrsKind::Geographic => {
                let target = utm(self.centre(size), crs).unwrap_or_else(|| "EPSG:<projected CRS>".into());
                Err(Error::GridMismatch(format!(
                    "{name} has geographic coordinates ({}): metres need a projected CRS; run `gdalwarp -t_srs {target} \
                     -r cubic {} {}` for both images, or add --units px",
                    crs.label,
                    quoted(name),
                    quoted(&suffixed(name, "_utm"))
                )))
            }
            Some(crs) => Err(Error::GridMismatch(format!(
                "{name} has a CRS that is not projected ({}): warp both images with `gdalwarp -t_srs`, or add --units px",
                crs.label
            ))),
            None if units == Units::Metres => Err(Error::GridMismatch(format!(
                "{name} has no coordinate reference system, so metres are unknown: give it one with `gdal_edit.py \
                 -a_srs EPSG:<code> {}`, or use --units px",
                quoted(name)
            ))),
            None => Ok(pixels),
        }
    }

    fn centre(&self, size: (usize, usize)) -> (f64, f64) {
        self.transform.map(size.0 as f64 / 2.0, size.1 as f64 / 2.0)
    }

    /// xmin, ymin, xmax, ymax of an image of `size` pixels.
    fn bounds(&self, size: (usize, usize)) -> [f64; 4] {
        let (w, h) = (size.0 as f64, size.1 as f64);
        let mut b = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
        for (c, r) in [(0.0, 0.0), (w, 0.0), (0.0, h), (w, h)] {
            let (x, y) = self.transform.map(c, r);
            b = [b[0].min(x), b[1].min(y), b[2].max(x), b[3].max(y)];
        }
        b
    }
}

/// EPSG code of the UTM zone of a map position.
fn utm(position: (f64, f64), crs: &Crs) -> Option<String> {
    let mut wgs84 = SpatialRef::from_epsg(4326).ok()?;
    wgs84.set_axis_mapping_strategy(AxisMappingStrategy::TraditionalGisOrder);
    let (mut x, mut y) = ([position.0], [position.1]);
    let transform = CoordTransform::new(&crs.srs().ok()?, &wgs84).ok()?;
    transform.transform_coords(&mut x, &mut y, &mut []).ok()?;
    let lon = (x[0] + 180.0).rem_euclid(360.0);
    Some(format!("EPSG:{}{:02}", if y[0] < 0.0 { 327 } else { 326 }, (lon / 6.0) as u32 % 60 + 1))
}

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
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:,@%".contains(c);
    if path.chars().all(plain) { path.into() } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

/// `dir/name.ext` → `name_suffix.tif`, in the current folder.
fn suffixed(path: &str, suffix: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    format!("{stem}{suffix}.tif")
}
