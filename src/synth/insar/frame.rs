//! The grid of an event: north is up, pixels are square, positions are metres from its middle.

use crate::Result;
use crate::field::GeoTransform;
use crate::grid::Grid;
use crate::raster::{Crs, GeoReference};
use crate::synth::elastic::PixelGrid;

/// Columns, rows and pixel size in metres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frame {
    pub width: usize,
    pub height: usize,
    pub pixel: f64,
}

impl Frame {
    /// East and north of a pixel position (centre of the first pixel at (0, 0)), metres from the middle of the frame.
    pub fn place(&self, column: f64, row: f64) -> [f64; 2] {
        let half = |n: usize| 0.5 * n as f64;
        [(column + 0.5 - half(self.width)) * self.pixel, (half(self.height) - row - 0.5) * self.pixel]
    }

    /// Pixel position of a place.
    pub fn pixel_of(&self, place: [f64; 2]) -> (f64, f64) {
        let half = |n: usize| 0.5 * n as f64;
        (place[0] / self.pixel + half(self.width) - 0.5, half(self.height) - place[1] / self.pixel - 0.5)
    }

    /// The pixel that a place lies in.
    pub fn cell(&self, place: [f64; 2]) -> Option<(usize, usize)> {
        let (x, y) = self.pixel_of(place);
        let within = |v: f64, n: usize| (v > -0.5 && v < n as f64 - 0.5).then(|| v.round() as usize);
        Some((within(x, self.width)?, within(y, self.height)?))
    }

    /// Width and height in metres.
    pub fn extent(&self) -> [f64; 2] {
        [self.width as f64 * self.pixel, self.height as f64 * self.pixel]
    }

    /// A value for each pixel from its place.
    pub fn grid<T: Copy>(&self, mut value: impl FnMut([f64; 2]) -> T) -> Grid<T> {
        Grid::from_fn(self.width, self.height, |x, y| value(self.place(x as f64, y as f64)))
    }

    /// For the computation of displacements.
    pub fn pixels(&self) -> PixelGrid {
        let [east, north] = self.place(0.0, 0.0);
        let (column, row) = ((self.pixel, 0.0), (0.0, -self.pixel));
        PixelGrid { width: self.width, height: self.height, origin: (east, north), column, row }
    }

    /// Georeference with the middle of the frame at `middle` in map units, of which a metre has `per_metre`.
    pub fn georef(&self, middle: (f64, f64), per_metre: f64, crs: Option<Crs>) -> GeoReference {
        let [w, h] = self.extent();
        let step = self.pixel * per_metre;
        let (west, top) = (middle.0 - 0.5 * w * per_metre, middle.1 + 0.5 * h * per_metre);
        GeoReference::new(GeoTransform([west, step, 0.0, top, 0.0, -step]), crs)
    }

    /// Georeference of procedural landscapes: on the central meridian of UTM zone 11 north.
    ///
    /// # Errors
    /// GDAL does not know the CRS, e.g. because its tables are not installed.
    pub fn procedural(&self) -> Result<GeoReference> {
        let crs = Crs::from_definition("EPSG:32611")?;
        Ok(self.georef((500_000.0, 4_000_000.0), 1.0, Some(crs)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_pixels_agree() {
        let frame = Frame { width: 6, height: 5, pixel: 100.0 };
        assert_eq!(frame.place(0.0, 0.0), [-250.0, 200.0]);
        assert_eq!(frame.pixel_of([-250.0, 200.0]), (0.0, 0.0));
        assert_eq!(frame.cell([-299.0, 249.0]), Some((0, 0)));
        assert_eq!(frame.cell([-301.0, 0.0]), None);
        assert_eq!(frame.pixels().map(1.0, 2.0), frame.place(1.0, 2.0));
        let georef = frame.procedural().unwrap();
        assert_eq!(georef.transform.map(3.0, 2.5), (500_000.0, 4_000_000.0));
    }
}
