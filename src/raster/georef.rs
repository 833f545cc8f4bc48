//! Where an image lies on the ground: geotransform, coordinate reference system, units.

use super::compare::{quoted, suffixed};
use crate::field::GeoTransform;
use crate::{Error, Result};
use gdal::Dataset;
use gdal::spatial_ref::{AxisMappingStrategy, CoordTransform, SpatialRef};

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
    pub(super) fn argument(&self) -> Option<&str> {
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
    pub(super) fn bounds(&self, size: (usize, usize)) -> [f64; 4] {
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
