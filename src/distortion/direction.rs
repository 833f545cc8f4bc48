//! The direction of scan lines on a grid.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Coordinates of a scanner: `along` a line and `across` the lines, for a position (x, y) of a grid with x to the right and
/// y down.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Direction {
    /// Unit vector along the lines; `across` is turned from it by 90 degrees clockwise on the grid (rows: downwards).
    pub x: f64,
    pub y: f64,
}

impl Direction {
    pub const ROWS: Direction = Direction { x: 1.0, y: 0.0 };
    pub const COLUMNS: Direction = Direction { x: 0.0, y: 1.0 };

    /// Position along and across the lines.
    pub fn split(self, x: f64, y: f64) -> (f64, f64) {
        (self.x * x + self.y * y, self.x * y - self.y * x)
    }

    /// The position with the given `along` and `across`.
    pub fn join(self, along: f64, across: f64) -> (f64, f64) {
        (self.x * along - self.y * across, self.y * along + self.x * across)
    }

    /// Least and largest `along` and `across` of the positions in the rectangle from (0, 0) to (`x`, `y`).
    pub fn extent(self, x: f64, y: f64) -> ((f64, f64), (f64, f64)) {
        let corners = [(0.0, 0.0), (x, 0.0), (0.0, y), (x, y)].map(|(x, y)| self.split(x, y));
        let range = |pick: fn(&(f64, f64)) -> f64| {
            let values = corners.iter().map(pick);
            (values.clone().fold(f64::INFINITY, f64::min), values.fold(f64::NEG_INFINITY, f64::max))
        };
        (range(|c| c.0), range(|c| c.1))
    }
}

/// How a user gives a direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Given {
    Rows,
    Columns,
    /// Azimuth of the lines, degrees clockwise from north (from up, for images without a place on the ground).
    Azimuth(f64),
}

impl std::str::FromStr for Given {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "rows" => Ok(Given::Rows),
            "columns" => Ok(Given::Columns),
            t => match t.parse::<f64>() {
                Ok(a) if a.is_finite() && a.abs() <= 360.0 => Ok(Given::Azimuth(a)),
                _ => Err(format!(
                    "`{text}` is not a direction of lines: give rows, columns, or their azimuth in degrees from -360 to 360"
                )),
            },
        }
    }
}

impl std::fmt::Display for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Given::Rows => write!(f, "rows"),
            Given::Columns => write!(f, "columns"),
            Given::Azimuth(a) => write!(f, "{a}"),
        }
    }
}

impl Given {
    /// On a grid with the given geotransform.
    ///
    /// # Errors
    /// A singular geotransform.
    pub fn on(self, grid: &crate::field::GeoTransform) -> Result<Direction> {
        let Given::Azimuth(azimuth) = self else {
            return Ok(if self == Given::Rows { Direction::ROWS } else { Direction::COLUMNS });
        };
        let (sin, cos) = azimuth.to_radians().sin_cos();
        let step = grid.pixel_shift(crate::field::GroundShift { east: sin, north: cos });
        let step = step.ok_or_else(|| Error::GridMismatch(format!("a singular geotransform {:?}", grid.0)))?;
        let length = step.dx.hypot(step.dy);
        let (x, y) = (step.dx / length, step.dy / length);
        // Lines have no sense of direction: half of the azimuths is enough.
        let (x, y) = if x < -1e-9 || (x.abs() <= 1e-9 && y < 0.0) { (-x, -y) } else { (x, y) };
        // Multiples of 90 degrees are exact.
        let snap = |v: f64| if (v - v.round()).abs() < 1e-9 { v.round() + 0.0 } else { v };
        Ok(Direction { x: snap(x), y: snap(y) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::GeoTransform;

    #[test]
    fn an_azimuth_becomes_a_direction_on_the_grid() {
        let utm = GeoTransform([5e5, 10.0, 0.0, 4e6, 0.0, -10.0]);
        assert_eq!(Given::Azimuth(90.0).on(&utm).unwrap(), Direction::ROWS);
        assert_eq!(Given::Azimuth(-90.0).on(&utm).unwrap(), Direction::ROWS);
        assert_eq!(Given::Azimuth(180.0).on(&utm).unwrap(), Direction::COLUMNS);
        // North-east lines run up to the right.
        let d = Given::Azimuth(45.0).on(&utm).unwrap();
        assert!((d.x - 0.5f64.sqrt()).abs() < 1e-12 && (d.y + 0.5f64.sqrt()).abs() < 1e-12, "{d:?}");
        let (along, across) = d.split(3.0, -1.0);
        let (x, y) = d.join(along, across);
        assert!((x - 3.0).abs() < 1e-12 && (y + 1.0).abs() < 1e-12);
        assert_eq!(Direction::ROWS.split(3.0, 4.0), (3.0, 4.0));
        assert!("across".parse::<Given>().is_err() && "400".parse::<Given>().is_err());
    }
}
