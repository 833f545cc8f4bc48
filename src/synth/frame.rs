//! Where an image lies on the map of an earthquake, and what a motion of the ground is in its pixels.

use serde::{Deserialize, Serialize};

use crate::field::PixelShift;
use crate::{Error, Result};

/// The pixel grid of an image in map coordinates (metres east and north of the middle of the rupture).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    pub width: usize,
    pub height: usize,
    /// East and north of the centre of pixel (0, 0).
    pub origin: (f64, f64),
    /// Map step to the next column, and to the next row.
    pub column: (f64, f64),
    pub row: (f64, f64),
    /// Pixels (to the right, down) per metre of motion to the east, to the north and upwards.
    pub project: [[f64; 3]; 2],
}

/// How a side-looking radar sees the ground: columns are slant range, rows azimuth time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RadarGeometry {
    /// Direction of flight, degrees clockwise from north.
    pub heading_deg: f64,
    /// Angle between the line of sight and the vertical at the ground.
    pub incidence_deg: f64,
    /// Spacing of the columns in slant range, and of the rows along the flight, metres.
    pub range_spacing: f64,
    pub azimuth_spacing: f64,
}

impl RadarGeometry {
    /// Sentinel-1, interferometric wide swath, right looking.
    pub fn sentinel1(ascending: bool) -> RadarGeometry {
        RadarGeometry {
            heading_deg: if ascending { -13.0 } else { -167.0 },
            incidence_deg: 39.0,
            range_spacing: 2.3296,
            azimuth_spacing: 13.96,
        }
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Option`].
    pub fn check(&self) -> Result<()> {
        let above = |name: &str, v: f64| match v.is_finite() && v > 0.0 {
            true => Ok(()),
            false => Err(Error::option(name, v, "give a number of metres above 0")),
        };
        above("range spacing", self.range_spacing)?;
        above("azimuth spacing", self.azimuth_spacing)?;
        match (10.0..=70.0).contains(&self.incidence_deg) && self.heading_deg.is_finite() {
            true => Ok(()),
            false => Err(Error::option("incidence", self.incidence_deg, "give degrees from 10 to 70")),
        }
    }

    /// Unit vector (east, north, up) from the ground to the satellite, which looks to its right.
    pub fn line_of_sight(&self) -> [f64; 3] {
        let (sin, cos) = self.heading_deg.to_radians().sin_cos();
        let (st, ct) = self.incidence_deg.to_radians().sin_cos();
        [-st * cos, st * sin, ct]
    }

    /// Pixels (range, azimuth) per metre of motion to the east, north and up: the range grows when the ground moves away.
    pub fn project(&self) -> [[f64; 3]; 2] {
        let s = self.line_of_sight();
        let (sin, cos) = self.heading_deg.to_radians().sin_cos();
        [s.map(|v| -v / self.range_spacing), [sin, cos, 0.0].map(|v| v / self.azimuth_spacing)]
    }
}

impl Frame {
    /// A north-up image of square pixels of `pixel` metres whose middle lies at the map point `centre`.
    pub fn optical(width: usize, height: usize, pixel: f64, centre: (f64, f64)) -> Frame {
        let project = [[1.0 / pixel, 0.0, 0.0], [0.0, -1.0 / pixel, 0.0]];
        Frame::placed(width, height, (pixel, 0.0), (0.0, -pixel), project, centre)
    }

    /// A radar image: columns go to the right of the flight, away from the satellite, rows along it. Relief is ignored:
    /// the ground between two columns is range spacing / sin(incidence).
    pub fn radar(width: usize, height: usize, geometry: &RadarGeometry, centre: (f64, f64)) -> Frame {
        let (sin, cos) = geometry.heading_deg.to_radians().sin_cos();
        let ground = geometry.range_spacing / geometry.incidence_deg.to_radians().sin();
        let column = (ground * cos, -ground * sin);
        let row = (geometry.azimuth_spacing * sin, geometry.azimuth_spacing * cos);
        Frame::placed(width, height, column, row, geometry.project(), centre)
    }

    fn placed(
        width: usize,
        height: usize,
        column: (f64, f64),
        row: (f64, f64),
        project: [[f64; 3]; 2],
        centre: (f64, f64),
    ) -> Frame {
        let (x, y) = ((width as f64 - 1.0) / 2.0, (height as f64 - 1.0) / 2.0);
        let origin = (centre.0 - x * column.0 - y * row.0, centre.1 - x * column.1 - y * row.1);
        Frame { width, height, origin, column, row, project }
    }

    /// The same grid with `margin` more pixels on every side.
    pub fn grown(&self, margin: usize) -> Frame {
        let m = margin as f64;
        let origin = self.map(-m, -m);
        Frame { width: self.width + 2 * margin, height: self.height + 2 * margin, origin, ..self.clone() }
    }

    /// East and north of a pixel position (centre of the first pixel at (0, 0)).
    pub fn map(&self, x: f64, y: f64) -> (f64, f64) {
        (self.origin.0 + x * self.column.0 + y * self.row.0, self.origin.1 + x * self.column.1 + y * self.row.1)
    }

    /// Pixel position of a map point.
    pub fn pixel(&self, east: f64, north: f64) -> (f64, f64) {
        let (u, v) = (east - self.origin.0, north - self.origin.1);
        let det = self.determinant();
        ((u * self.row.1 - v * self.row.0) / det, (v * self.column.0 - u * self.column.1) / det)
    }

    /// Motion of the ground (east, north, up, metres) in pixels.
    pub fn shift(&self, motion: [f64; 3]) -> PixelShift {
        let along = |p: &[f64; 3]| p[0] * motion[0] + p[1] * motion[1] + p[2] * motion[2];
        PixelShift::new(along(&self.project[0]), along(&self.project[1]))
    }

    /// Whether the image shows the ground as in a mirror: what lies on the right of a line is on its left there.
    pub fn mirrored(&self) -> bool {
        self.determinant() > 0.0
    }

    /// Distance on the map from the middle of the image to its corners.
    pub fn radius(&self) -> f64 {
        let (x, y) = (self.width as f64 / 2.0, self.height as f64 / 2.0);
        let corner = |sx: f64, sy: f64| {
            (sx * x * self.column.0 + sy * y * self.row.0).hypot(sx * x * self.column.1 + sy * y * self.row.1)
        };
        corner(1.0, 1.0).max(corner(1.0, -1.0))
    }

    /// Length of the smaller pixel side on the map.
    pub fn finest(&self) -> f64 {
        self.column.0.hypot(self.column.1).min(self.row.0.hypot(self.row.1))
    }

    fn determinant(&self) -> f64 {
        self.column.0 * self.row.1 - self.column.1 * self.row.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_and_map_agree() {
        let radar = Frame::radar(100, 80, &RadarGeometry::sentinel1(true), (500.0, -300.0));
        for frame in [Frame::optical(100, 80, 15.0, (500.0, -300.0)), radar] {
            let (e, n) = frame.map(17.0, 5.5);
            let (x, y) = frame.pixel(e, n);
            assert!((x - 17.0).abs() < 1e-9 && (y - 5.5).abs() < 1e-9);
            let (e, n) = frame.map(49.5, 39.5);
            assert!((e - 500.0).abs() < 1e-9 && (n + 300.0).abs() < 1e-9);
            let grown = frame.grown(7);
            assert_eq!((grown.width, grown.height), (114, 94));
            let (a, b) = (grown.map(7.0, 7.0), frame.map(0.0, 0.0));
            assert!((a.0 - b.0).hypot(a.1 - b.1) < 1e-9);
        }
    }

    #[test]
    fn sentinel_1_sees_a_metre_to_the_east_as_the_notes_say() {
        // Incidence 39 degrees: line of sight (-0.613, -0.142, 0.777) ascending, (0.613, -0.142, 0.777) descending.
        for (ascending, want) in [(true, [-0.613, -0.142, 0.777]), (false, [0.613, -0.142, 0.777])] {
            let s = RadarGeometry::sentinel1(ascending).line_of_sight();
            assert!(s.iter().zip(want).all(|(a, b)| (a - b).abs() < 6e-4), "{s:?}");
        }
        let frame = Frame::radar(10, 10, &RadarGeometry::sentinel1(true), (0.0, 0.0));
        let d = frame.shift([1.0, 0.0, 0.0]);
        assert!((d.dx - 0.263).abs() < 1e-3 && (d.dy + 0.016).abs() < 1e-3, "{d:?}");
    }

    #[test]
    fn an_optical_image_is_north_up_and_a_radar_image_is_mirrored() {
        let frame = Frame::optical(10, 10, 10.0, (0.0, 0.0));
        let d = frame.shift([10.0, 20.0, 5.0]);
        assert_eq!((d.dx, d.dy), (1.0, -2.0));
        assert!(!frame.mirrored());
        assert!(Frame::radar(10, 10, &RadarGeometry::sentinel1(true), (0.0, 0.0)).mirrored());
    }
}
