//! Displacements and the one place where pixels become metres.
//!
//! Inside the crate a displacement is a [`PixelShift`] (dx right, dy down, pixels of the pre image); products
//! carry a [`GroundShift`] (east, north). [`GeoTransform`] holds the linear relation between the two.

/// Displacement in pixels of the pre image: `dx` to the right (column), `dy` downwards (row); post minus pre.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PixelShift {
    pub dx: f64,
    pub dy: f64,
}

impl PixelShift {
    pub fn new(dx: f64, dy: f64) -> Self {
        PixelShift { dx, dy }
    }
}

/// Displacement on the ground (east and north positive), in CRS units, or in pixels (+right, +up) for `--units px`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct GroundShift {
    pub east: f64,
    pub north: f64,
}

/// Covariance of a displacement's two components, in squared units of that displacement.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Covariance {
    pub xx: f64,
    pub xy: f64,
    pub yy: f64,
}

/// GDAL's six coefficients: map x = c0 + c1·col + c2·row, map y = c3 + c4·col + c5·row (corner of the pixel).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GeoTransform(pub [f64; 6]);

impl GeoTransform {
    /// Pixel units with north up: one pixel right is +1 east, one pixel up is +1 north.
    pub const PIXELS: GeoTransform = GeoTransform([0.0, 1.0, 0.0, 0.0, 0.0, -1.0]);

    /// Map position of a pixel position counted from the corner of the top-left pixel.
    pub fn map(&self, col: f64, row: f64) -> (f64, f64) {
        let c = &self.0;
        (c[0] + c[1] * col + c[2] * row, c[3] + c[4] * col + c[5] * row)
    }

    /// Corner-based pixel position (column, row) of a map position, `None` for a singular transform.
    pub fn pixel(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        let c = &self.0;
        let det = c[1] * c[5] - c[2] * c[4];
        if det == 0.0 || !det.is_finite() {
            return None;
        }
        let (u, v) = (x - c[0], y - c[3]);
        Some(((c[5] * u - c[2] * v) / det, (c[1] * v - c[4] * u) / det))
    }

    /// Ground displacement of a pixel displacement (the linear part only; rotated grids too).
    pub fn ground(&self, d: PixelShift) -> GroundShift {
        let c = &self.0;
        GroundShift { east: c[1] * d.dx + c[2] * d.dy, north: c[4] * d.dx + c[5] * d.dy }
    }

    /// Pixel displacement of a ground displacement, `None` for a singular transform.
    pub fn pixel_shift(&self, g: GroundShift) -> Option<PixelShift> {
        let linear = GeoTransform([0.0, self.0[1], self.0[2], 0.0, self.0[4], self.0[5]]);
        linear.pixel(g.east, g.north).map(|(dx, dy)| PixelShift { dx, dy })
    }

    /// Standard deviations (east, north) of a pixel displacement with the given covariance.
    pub fn ground_sigma(&self, c: Covariance) -> (f64, f64) {
        let t = &self.0;
        let var = |a: f64, b: f64| a * a * c.xx + 2.0 * a * b * c.xy + b * b * c.yy;
        (var(t[1], t[2]).max(0.0).sqrt(), var(t[4], t[5]).max(0.0).sqrt())
    }

    /// The transform of a coarser grid whose cells are `step_x` × `step_y` pixels and whose first cell starts at
    /// the corner-based pixel position (`col`, `row`).
    pub fn cells(&self, col: f64, row: f64, step_x: f64, step_y: f64) -> GeoTransform {
        let c = &self.0;
        let (x, y) = self.map(col, row);
        GeoTransform([x, c[1] * step_x, c[2] * step_y, y, c[4] * step_x, c[5] * step_y])
    }

    /// Ground length of one pixel step along the columns and along the rows.
    pub fn pixel_size(&self) -> (f64, f64) {
        (self.0[1].hypot(self.0[4]), self.0[2].hypot(self.0[5]))
    }
}

/// Why a cell has, or has not, a value: band 6 of the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Status {
    Valid = 0,
    NoData = 1,
    LowTexture = 2,
    SearchEdge = 3,
    NoConvergence = 4,
    Outlier = 5,
    Inconsistent = 6,
    OutsideSearch = 7,
    /// Written by `shiftmap filter` only, as is the next.
    Filled = 8,
    Threshold = 9,
}

impl Status {
    /// Code and meaning of every status, for band metadata and messages.
    pub const ALL: [(Status, &'static str); 10] = [
        (Status::Valid, "valid"),
        (Status::NoData, "nodata"),
        (Status::LowTexture, "low texture"),
        (Status::SearchEdge, "peak on the search edge"),
        (Status::NoConvergence, "no convergence"),
        (Status::Outlier, "rejected by the outlier filter"),
        (Status::Inconsistent, "forward/backward mismatch"),
        (Status::OutsideSearch, "outside the search"),
        (Status::Filled, "filled from its neighbours"),
        (Status::Threshold, "removed by a threshold"),
    ];
}

/// What a method found for one window; when `status` is not valid the numbers are meaningless and become NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measurement {
    pub shift: PixelShift,
    pub covariance: Covariance,
    /// 0 (nothing in common) to 1 (identical up to brightness and contrast).
    pub quality: f32,
    pub status: Status,
}

impl Measurement {
    /// A cell without a value.
    pub fn failed(status: Status) -> Self {
        Measurement { shift: PixelShift::default(), covariance: Covariance::default(), quality: 0.0, status }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UTM: GeoTransform = GeoTransform([500_000.0, 10.0, 0.0, 4_000_000.0, 0.0, -10.0]);

    #[test]
    fn one_pixel_right_is_east() {
        assert_eq!(UTM.ground(PixelShift::new(1.0, 0.0)), GroundShift { east: 10.0, north: 0.0 });
    }

    #[test]
    fn one_pixel_down_is_south() {
        assert_eq!(UTM.ground(PixelShift::new(0.0, 1.0)), GroundShift { east: 0.0, north: -10.0 });
        assert_eq!(GeoTransform::PIXELS.ground(PixelShift::new(0.0, -1.0)), GroundShift { east: 0.0, north: 1.0 });
    }

    #[test]
    fn a_rotated_geotransform_rotates_the_displacement() {
        // Columns run north-east, rows run south-east, 10 m each.
        let s = 10.0 * std::f64::consts::FRAC_1_SQRT_2;
        let rotated = GeoTransform([0.0, s, s, 0.0, s, -s]);
        let g = rotated.ground(PixelShift::new(1.0, 1.0));
        assert!((g.east - 2.0 * s).abs() < 1e-12 && g.north.abs() < 1e-12);
        let back = rotated.pixel_shift(g).unwrap();
        assert!((back.dx - 1.0).abs() < 1e-12 && (back.dy - 1.0).abs() < 1e-12);
        // Equal variance in x and y stays equal under rotation; correlation appears on the axes it must.
        let (e, n) = rotated.ground_sigma(Covariance { xx: 0.01, xy: 0.0, yy: 0.01 });
        assert!((e - 1.0).abs() < 1e-12 && (n - 1.0).abs() < 1e-12);
        let (e, n) = rotated.ground_sigma(Covariance { xx: 0.01, xy: 0.01, yy: 0.01 });
        assert!((e - 2f64.sqrt()).abs() < 1e-12 && n < 1e-9);
    }

    #[test]
    fn map_and_pixel_are_inverse() {
        let t = GeoTransform([100.0, 3.0, 0.5, -20.0, 0.25, -4.0]);
        let (x, y) = t.map(7.25, -3.5);
        let (c, r) = t.pixel(x, y).unwrap();
        assert!((c - 7.25).abs() < 1e-12 && (r + 3.5).abs() < 1e-12);
        assert!(GeoTransform([0.0; 6]).pixel(1.0, 1.0).is_none());
    }
}
