//! What is brought together: observations on one grid, stations, heights.

use crate::field::GeoTransform;
use crate::{Error, Result};

/// Which way a radar looks from its flight direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Side {
    #[default]
    Right,
    Left,
}

/// Unit vector (east, north, up) from the ground to the satellite.
///
/// `heading`: flight direction, degrees clockwise from north; `incidence`: degrees from the vertical at the ground. The look
/// azimuth (satellite to ground) is heading + 90° for a radar that looks right, heading - 90° for one that looks left.
pub fn unit_vector(heading: f64, incidence: f64, side: Side) -> [f64; 3] {
    let look = match side {
        Side::Right => heading + 90.0,
        Side::Left => heading - 90.0,
    };
    let (sin, cos) = incidence.to_radians().sin_cos();
    let (look_sin, look_cos) = look.to_radians().sin_cos();
    [-sin * look_sin, -sin * look_cos, cos]
}

/// Horizontal unit vector along the flight direction: what an azimuth offset is positive along.
pub fn along_track(heading: f64) -> [f64; 3] {
    let (sin, cos) = heading.to_radians().sin_cos();
    [sin, cos, 0.0]
}

/// The direction in which an observation sees the ground move.
#[derive(Debug, Clone, PartialEq)]
pub enum Direction {
    Constant([f64; 3]),
    /// East, north and up at every pixel.
    PerPixel([Vec<f32>; 3]),
}

/// Standard deviation of an observation (m).
#[derive(Debug, Clone, PartialEq)]
pub enum Sigma {
    Constant(f64),
    PerPixel(Vec<f32>),
    /// Found from the misfit at the stations.
    Estimated,
}

/// Long-wavelength error of an observation that is estimated with the displacement; columns and rows run from -1 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ramp {
    None,
    /// a
    Constant,
    /// a + b·x + c·y
    #[default]
    Plane,
    /// a + b·x + c·y + e·x·y
    Bilinear,
}

/// What an observation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Interferometric displacement along the line of sight, positive toward the satellite.
    LineOfSight,
    /// Offset of images: azimuth, range, optical east or north.
    Offset,
}

/// One displacement map: `value = direction · (east, north, up) + ramp + K·height + error`.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// For messages.
    pub name: String,
    pub kind: Kind,
    /// Metres, row by row; NaN where there is none.
    pub values: Vec<f32>,
    pub direction: Direction,
    pub sigma: Sigma,
    pub ramp: Ramp,
    /// Whether a term proportional to height is estimated; needs heights.
    pub topography: bool,
}

/// A GNSS station: its displacement and standard deviation, m; NaN for a component that was not measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Station {
    pub name: String,
    /// Map coordinates of the grid, m.
    pub x: f64,
    pub y: f64,
    /// m; NaN when not known.
    pub height: f64,
    /// East, north, up.
    pub displacement: [f64; 3],
    pub sigma: [f64; 3],
}

/// The whole grid that a scene, or a strip of it, lies on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frame {
    pub transform: GeoTransform,
    pub width: usize,
    pub height: usize,
}

impl Frame {
    /// Map position of the centre of a pixel.
    pub fn centre(&self, column: usize, row: usize) -> (f64, f64) {
        self.transform.map(column as f64 + 0.5, row as f64 + 0.5)
    }

    /// The coordinates that ramps are written in: -1 at one edge of the grid, 1 at the other.
    pub fn scaled(&self, column: f64, row: f64) -> (f64, f64) {
        (2.0 * (column + 0.5) / self.width as f64 - 1.0, 2.0 * (row + 0.5) / self.height as f64 - 1.0)
    }

    /// Side lengths, m.
    pub fn extent(&self) -> (f64, f64) {
        let (px, py) = self.transform.pixel_size();
        (px * self.width as f64, py * self.height as f64)
    }
}

/// Everything known about the rows `first_row .. first_row + rows` of a grid; for a whole scene all of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    pub frame: Frame,
    pub first_row: usize,
    pub rows: usize,
    pub observations: Vec<Observation>,
    /// All stations, inside the grid or not.
    pub stations: Vec<Station>,
    /// Heights, m; NaN where there is none.
    pub dem: Option<Vec<f32>>,
}

impl Scene {
    /// An empty scene of the whole grid.
    pub fn new(frame: Frame) -> Scene {
        Scene { frame, first_row: 0, rows: frame.height, observations: vec![], stations: vec![], dem: None }
    }

    pub fn pixels(&self) -> usize {
        self.frame.width * self.rows
    }

    /// Whether array lengths agree, and whether directions and sigmas are usable.
    ///
    /// # Errors
    /// [`Error::Data`] that names the observation or station and the value.
    pub fn check(&self) -> Result<()> {
        let n = self.pixels();
        let length = |what: &str, got: usize| match got == n {
            true => Ok(()),
            false => Err(Error::Data(format!(
                "{what} has {got} values; the grid of {}x{} has {n}",
                self.frame.width, self.rows
            ))),
        };
        if n == 0 {
            return Err(Error::Data("the grid is empty".into()));
        }
        if let Some(dem) = &self.dem {
            length("the elevation model", dem.len())?;
        }
        for o in &self.observations {
            length(&o.name, o.values.len())?;
            match &o.direction {
                Direction::Constant(s) => check_direction(&o.name, *s)?,
                Direction::PerPixel(s) => {
                    s.iter().try_for_each(|band| length(&format!("the unit vector of {}", o.name), band.len()))?;
                    let at = (0..n).find(|&i| {
                        s.iter().all(|b| b[i].is_finite()) && !is_unit(s.each_ref().map(|b| f64::from(b[i])))
                    });
                    if let Some(i) = at {
                        check_direction(&o.name, s.each_ref().map(|b| f64::from(b[i])))?;
                    }
                }
            }
            match &o.sigma {
                Sigma::Constant(s) if !(s.is_finite() && *s > 0.0) => {
                    return Err(Error::Data(format!("{}: its sigma is {s}; give a positive number of metres", o.name)));
                }
                Sigma::PerPixel(s) => length(&format!("the sigma of {}", o.name), s.len())?,
                _ => {}
            }
            if o.topography && self.dem.is_none() {
                let text = "{}: a term proportional to height needs an elevation model";
                return Err(Error::Data(text.replace("{}", &o.name)));
            }
        }
        for s in &self.stations {
            if !(s.x.is_finite() && s.y.is_finite()) {
                return Err(Error::Data(format!("station {}: its position is {}, {}", s.name, s.x, s.y)));
            }
            for (c, sigma) in s.sigma.iter().enumerate() {
                if s.displacement[c].is_finite() && !(sigma.is_finite() && *sigma > 0.0) {
                    return Err(Error::Data(format!(
                        "station {}: the sigma of its {} displacement is {sigma}; it must be positive",
                        s.name, COMPONENTS[c]
                    )));
                }
            }
        }
        Ok(())
    }
}

/// Names of the three components.
pub const COMPONENTS: [&str; 3] = ["east", "north", "up"];

fn is_unit(s: [f64; 3]) -> bool {
    let length = s.iter().map(|v| v * v).sum::<f64>().sqrt();
    (0.98..=1.02).contains(&length)
}

/// # Errors
/// [`Error::Data`] when `s` is not of length 1 within 2 %.
pub fn check_direction(name: &str, s: [f64; 3]) -> Result<()> {
    if is_unit(s) {
        return Ok(());
    }
    let length = s.iter().map(|v| v * v).sum::<f64>().sqrt();
    Err(Error::Data(format!(
        "{name}: its direction ({}, {}, {}) has the length {length:.4}, not 1: give east, north, up from the ground to the \
         satellite as bands 1 to 3, or heading and incidence in degrees",
        s[0], s[1], s[2]
    )))
}

impl Observation {
    /// Direction at pixel `i`; `None` where it is not known.
    #[inline]
    pub fn direction_at(&self, i: usize) -> Option<[f64; 3]> {
        match &self.direction {
            Direction::Constant(s) => Some(*s),
            Direction::PerPixel(s) => {
                let v = [f64::from(s[0][i]), f64::from(s[1][i]), f64::from(s[2][i])];
                (v[0].is_finite() && v[1].is_finite() && v[2].is_finite()).then_some(v)
            }
        }
    }

    /// Standard deviation at pixel `i`, `estimated` where it was to be found; `None` where it is not usable.
    #[inline]
    pub fn sigma_at(&self, i: usize, estimated: f64) -> Option<f64> {
        let s = match &self.sigma {
            Sigma::Constant(s) => *s,
            Sigma::PerPixel(s) => f64::from(s[i]),
            Sigma::Estimated => estimated,
        };
        (s.is_finite() && s > 0.0).then_some(s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentinel_1_ascending_and_descending() {
        // Heading -12°, looking right: the satellite stands in the west; 39° from the vertical.
        let close = |got: [f64; 3], want: [f64; 3]| (0..3).all(|c| (got[c] - want[c]).abs() < 5e-4);
        assert!(close(unit_vector(-12.0, 39.0, Side::Right), [-0.6156, -0.1308, 0.7771]));
        assert!(close(unit_vector(-168.0, 39.0, Side::Right), [0.6156, -0.1308, 0.7771]));
        // A left-looking radar on the same path sees the other side.
        assert!(close(unit_vector(-12.0, 39.0, Side::Left), [0.6156, 0.1308, 0.7771]));
        // Straight down, and along the track.
        assert!(close(unit_vector(33.0, 0.0, Side::Right), [0.0, 0.0, 1.0]));
        assert!(close(along_track(-12.0), [-0.2079, 0.9781, 0.0]));
    }
}
