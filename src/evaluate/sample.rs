//! Values of a raster at map positions.

use crate::field::GeoTransform;
use crate::grid::Grid;

/// Positions nearer than this to a pixel centre, in pixels, count as being on it, so that rounding in coordinates
/// does not mix a neighbour in.
const ON_CENTRE: f64 = 1e-6;

/// A raster of values with NaN where there is none.
#[derive(Debug, Clone)]
pub struct Sampled<'a> {
    pub values: &'a Grid<f32>,
    pub transform: GeoTransform,
}

impl Sampled<'_> {
    /// Value at a map position: exact at pixel centres, bilinear between them, NaN outside and wherever a pixel with
    /// weight has no value.
    pub fn at(&self, x: f64, y: f64) -> f64 {
        self.transform.pixel(x, y).map_or(f64::NAN, |(c, r)| bilinear(self.values, c - 0.5, r - 0.5))
    }
}

/// Bilinear value at pixel-centre coordinates.
fn bilinear(values: &Grid<f32>, x: f64, y: f64) -> f64 {
    let part = |v: f64| {
        let whole = v.round();
        if (v - whole).abs() < ON_CENTRE { (whole as i64, 0.0) } else { (v.floor() as i64, v - v.floor()) }
    };
    let ((x0, fx), (y0, fy)) = (part(x), part(y));
    let mut sum = 0.0;
    for (dx, wx) in [(0, 1.0 - fx), (1, fx)] {
        for (dy, wy) in [(0, 1.0 - fy), (1, fy)] {
            let weight = wx * wy;
            if weight == 0.0 {
                continue;
            }
            let (c, r) = (x0 + dx, y0 + dy);
            if c < 0 || r < 0 || c >= values.width as i64 || r >= values.height as i64 {
                return f64::NAN;
            }
            sum += weight * f64::from(values.get(c as usize, r as usize));
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_on_centres_linear_between_and_never_across_a_gap() {
        let values = Grid::from_vec(3, 2, vec![1.0, 2.0, f32::NAN, 5.0, 8.0, 9.0]);
        // 10 m pixels, top left corner at (100, 200).
        let sampled = Sampled { values: &values, transform: GeoTransform([100.0, 10.0, 0.0, 200.0, 0.0, -10.0]) };
        assert_eq!(sampled.at(105.0, 195.0), 1.0);
        assert_eq!(sampled.at(110.0, 195.0), 1.5);
        assert_eq!(sampled.at(110.0, 190.0), 4.0);
        // Next to the gap the pixels with values are still exact, between them there is nothing.
        assert_eq!(sampled.at(115.0, 195.0), 2.0);
        assert_eq!(sampled.at(125.0, 185.0), 9.0);
        assert!(sampled.at(116.0, 195.0).is_nan());
        assert!(sampled.at(120.0, 190.0).is_nan());
        assert!(sampled.at(104.0, 195.0).is_nan(), "left of the first centre");
        assert!(sampled.at(500.0, 195.0).is_nan());
    }
}
