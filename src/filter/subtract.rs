//! A stored coregistration as a function of the cells of a map.
//!
//! A cell is the mean of what its matching window saw, so the model is averaged over the window.

use crate::coregister::stored::Stored;
use crate::field::{GeoTransform, PixelShift};
use crate::map::{DisplacementMap, MapUnit};
use crate::raster::Crs;
use crate::{Error, Result};

/// What a model adds to the values of a map.
pub struct Model {
    stored: Stored,
    /// Of the pre image, of the map.
    image: GeoTransform,
    map: GeoTransform,
    /// From pixels to the map's unit.
    unit: GeoTransform,
    /// Places in a matching window, pixels about its centre.
    places: Vec<(f64, f64)>,
}

/// Most places along a side of a window.
const PLACES: usize = 12;

impl Model {
    /// # Errors
    /// [`Error::Open`] for files that are no model; [`Error::GridMismatch`] for a map of other ground.
    pub fn open(path: &str, map: &DisplacementMap) -> Result<Model> {
        let stored = Stored::read(path)?;
        let image = GeoTransform(stored.geotransform);
        let mismatch =
            |why: String| Error::GridMismatch(format!("{path} cannot be subtracted from {}: {why}", map.path()));
        match (&stored.crs, &map.georef.crs) {
            (Some(wkt), Some(crs)) => {
                let own = Crs::from_definition(wkt)?;
                if !own.same(crs) {
                    let why = format!("it is made for an image in {}, the map is in {}", own.label, crs.label);
                    return Err(mismatch(format!(
                        "{why}; measure the map from the images of the model ({})",
                        stored.pre
                    )));
                }
            }
            (None, None) => {}
            _ => {
                return Err(mismatch(
                    "only one of them has a coordinate reference system; `gdal_edit.py -a_srs` gives one".into(),
                ));
            }
        }
        let metres = map.metres_per_unit();
        let unit = match map.unit {
            MapUnit::Metres => GeoTransform(image.0.map(|c| c * metres)),
            MapUnit::Pixels => GeoTransform::PIXELS,
        };
        let half = map.half_window_cells();
        let window = map.step.map_or((0.0, 0.0), |s| (2.0 * half.0 * s.0, 2.0 * half.1 * s.1));
        let side = |length: f64| {
            let n = ((length / 2.0).ceil() as usize).clamp(1, PLACES);
            (0..n).map(move |i| length * ((i as f64 + 0.5) / n as f64 - 0.5))
        };
        let places = side(window.1).flat_map(|y| side(window.0).map(move |x| (x, y))).collect();
        let model = Model { stored, image, map: map.georef.transform, unit, places };
        // The map's middle must lie on the image.
        let (width, height) = map.size();
        let (x, y) = model.pixel(0.5 * width as f64, 0.5 * height as f64);
        let [w, h] = model.stored.size.map(|n| n as f64);
        if !(x > -0.5 && y > -0.5 && x < w && y < h) {
            let why = format!(
                "the map's middle lies at column {x:.0}, row {y:.0} of {}, which has {w} x {h} pixels",
                model.stored.pre
            );
            return Err(mismatch(why));
        }
        Ok(model)
    }

    /// Pre pixel of the centre of the cell (`x`, `y`).
    fn pixel(&self, x: f64, y: f64) -> (f64, f64) {
        let (mx, my) = self.map.map(x + 0.5, y + 0.5);
        let (column, row) = self.image.pixel(mx, my).unwrap_or((f64::NAN, f64::NAN));
        (column - 0.5, row - 0.5)
    }

    /// East and north at the cell, in the map's unit.
    pub fn at(&self, x: f64, y: f64) -> [f64; 2] {
        let (column, row) = self.pixel(x, y);
        let mut sum = [0.0; 2];
        for (x, y) in &self.places {
            let [dx, dy] = self.stored.model.at(column + x, row + y);
            sum = [sum[0] + dx, sum[1] + dy];
        }
        let n = self.places.len() as f64;
        let g = self.unit.ground(PixelShift::new(sum[0] / n, sum[1] / n));
        [g.east, g.north]
    }
}
