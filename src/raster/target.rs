//! A grid that is not that of a file: where several rasters are brought together.

use super::georef::{Crs, CrsKind, GeoReference};
use super::open::RasterBand;
use super::resample::Resampled;
use super::template::empty_band;
use super::{reason, same_place};
use crate::field::GeoTransform;
use crate::grid::ImageFile;
use crate::{Error, Result};
use gdal::spatial_ref::{AxisMappingStrategy, CoordTransform, SpatialRef};

/// Points along each side of a raster that its outline is transformed with.
const OUTLINE: usize = 21;

/// Georeference and size of a grid.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetGrid {
    pub georef: GeoReference,
    /// Columns and rows.
    pub size: (usize, usize),
}

impl TargetGrid {
    /// That of a raster.
    pub fn of(band: &RasterBand) -> TargetGrid {
        TargetGrid { georef: band.georef().clone(), size: (band.width(), band.height()) }
    }

    /// North-up pixels of `resolution` map units over the whole of `band`, in its own CRS or another one.
    ///
    /// # Errors
    /// [`Error::GridMismatch`] when the corners cannot be transformed, [`Error::Option`] for a grid too large.
    pub fn covering(band: &RasterBand, crs: Option<&Crs>, resolution: f64) -> Result<TargetGrid> {
        let (w, h) = (band.width() as f64, band.height() as f64);
        let mut outline = Vec::with_capacity(4 * OUTLINE);
        for i in 0..OUTLINE {
            let t = i as f64 / (OUTLINE - 1) as f64;
            outline.extend([(t * w, 0.0), (t * w, h), (0.0, t * h), (w, t * h)]);
        }
        let (mut x, mut y): (Vec<f64>, Vec<f64>) =
            outline.into_iter().map(|(c, r)| band.georef().transform.map(c, r)).unzip();
        let own = &band.georef().crs;
        if let (Some(from), Some(to)) = (own, crs)
            && !from.same(to)
        {
            transform(from, to)?.transform_coords(&mut x, &mut y, &mut []).map_err(|e| {
                let text = format!("{} cannot be transformed to {}: {}", band.label(), to.label, reason(e));
                Error::GridMismatch(text)
            })?;
        }
        let range = |v: &[f64]| v.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |m, &v| (m.0.min(v), m.1.max(v)));
        let (x, y) = (range(&x), range(&y));
        // Whole multiples of the resolution, so that grids of neighbouring scenes fit.
        let edge = |v: f64, up: bool| {
            let k = v / resolution;
            let k = if (k - k.round()).abs() < 1e-6 {
                k.round()
            } else if up {
                k.ceil()
            } else {
                k.floor()
            };
            k * resolution
        };
        let (west, north) = (edge(x.0, false), edge(y.1, true));
        let count = |length: f64| (length / resolution).round();
        let (columns, rows) = (count(edge(x.1, true) - west), count(north - edge(y.0, false)));
        if !(columns >= 1.0 && rows >= 1.0 && columns * rows <= (1u64 << 40) as f64) {
            let why =
                format!("makes a grid of {columns} x {rows} pixels; give the pixel size in map units of the result");
            return Err(Error::option("--resolution", resolution, why));
        }
        let transform = GeoTransform([west, resolution, 0.0, north, 0.0, -resolution]);
        let georef = GeoReference::new(transform, crs.or(own.as_ref()).cloned());
        Ok(TargetGrid { georef, size: (columns as usize, rows as usize) })
    }

    /// `band` on this grid: as it is where it lies on it already, otherwise resampled while it is read.
    ///
    /// # Errors
    /// [`Error::GridMismatch`] that names the band: no georeference, no overlap.
    pub fn place(&self, band: &RasterBand) -> Result<Box<dyn ImageFile + Send>> {
        if same_place(&self.georef, band.georef()) && self.size == (band.width(), band.height()) {
            return Ok(Box::new(band.clone()));
        }
        if self.georef.referenced != band.georef().referenced
            || self.georef.crs.is_some() != band.georef().crs.is_some()
        {
            return Err(Error::GridMismatch(format!(
                "{} ({}x{}) and the grid of the result ({}x{}) have no common place: both need a georeference and a CRS, or equal \
                 sizes and none (`gdal_edit.py -a_srs -a_ullr` gives them)",
                band.label(),
                band.width(),
                band.height(),
                self.size.0,
                self.size.1
            )));
        }
        match Resampled::new(&empty_band(self.size, &self.georef)?, band) {
            Ok(image) => Ok(Box::new(image)),
            Err(Error::GridMismatch(_)) => Err(Error::GridMismatch(format!(
                "{} does not overlap the grid of the result: check that all inputs show one place, or choose the grid with --like",
                band.label()
            ))),
            Err(e) => Err(e),
        }
    }

    /// Map coordinates of longitudes and latitudes (WGS 84).
    ///
    /// # Errors
    /// [`Error::GridMismatch`] without a CRS, or for a point that has no place in it.
    pub fn map_of(&self, points: &[(f64, f64)]) -> Result<Vec<(f64, f64)>> {
        let Some(crs) = &self.georef.crs else {
            return Err(Error::GridMismatch(
                "stations have longitude and latitude and the grid has no CRS: give x and y, or a CRS with `gdal_edit.py \
                 -a_srs`"
                    .into(),
            ));
        };
        let (mut x, mut y): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
        let wgs84 = Crs::from_definition("EPSG:4326")?;
        transform(&wgs84, crs)?
            .transform_coords(&mut x, &mut y, &mut [])
            .map_err(|e| Error::GridMismatch(format!("stations cannot be placed in {}: {}", crs.label, reason(e))))?;
        Ok(x.into_iter().zip(y).collect())
    }

    /// Angle from true north to the grid's north at a map position, degrees clockwise; 0 where it is not known.
    pub fn convergence(&self, (x, y): (f64, f64)) -> f64 {
        let found = || -> Option<f64> {
            let crs = self.georef.crs.as_ref().filter(|c| c.kind == CrsKind::Projected)?;
            let mut wgs84 = SpatialRef::from_epsg(4326).ok()?;
            wgs84.set_axis_mapping_strategy(AxisMappingStrategy::TraditionalGisOrder);
            let there = CoordTransform::new(&crs.srs().ok()?, &wgs84).ok()?;
            let back = CoordTransform::new(&wgs84, &crs.srs().ok()?).ok()?;
            let (mut lon, mut lat) = ([x], [y]);
            there.transform_coords(&mut lon, &mut lat, &mut []).ok()?;
            let (mut east, mut north) = ([lon[0], lon[0]], [lat[0] - 1e-3, lat[0] + 1e-3]);
            back.transform_coords(&mut east, &mut north, &mut []).ok()?;
            // True north as seen on the map, counted clockwise from the map's.
            let angle = (east[1] - east[0]).atan2(north[1] - north[0]).to_degrees();
            angle.is_finite().then_some(-angle)
        };
        found().unwrap_or(0.0)
    }
}

fn transform(from: &Crs, to: &Crs) -> Result<CoordTransform> {
    CoordTransform::new(&from.srs()?, &to.srs()?).map_err(|e| {
        Error::GridMismatch(format!("no transformation from {} to {}: {}", from.label, to.label, reason(e)))
    })
}
