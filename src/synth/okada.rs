//! Rectangular dislocations in an elastic half-space: displacement of the free surface.
//!
//! The displacement is that of Okada (1985), Bull. Seismol. Soc. Am. 75:1135. His closed form loses digits as 1 / cos^2 of
//! the dip near vertical and beside a surface break; here the rectangle is the dislocation loop of its four edges, summed
//! as in [`super::tde`], which is exact to rounding everywhere. His equations serve as the tests' independent oracle.

use serde::{Deserialize, Serialize};

use super::tde::Loops;
use crate::{Error, Result};

/// A rectangular fault with uniform slip; lengths in metres, angles in degrees.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rectangle {
    /// East and north of the middle of the top edge.
    pub x: f64,
    pub y: f64,
    /// Depth of the top edge, at least 0.
    pub top_depth: f64,
    /// Clockwise from north; the fault dips to the right of this direction.
    pub strike: f64,
    /// From the horizontal, 0 to 90.
    pub dip: f64,
    /// Along strike.
    pub length: f64,
    /// Down dip.
    pub width: f64,
    /// Left-lateral, reverse, opening.
    pub slip: [f64; 3],
}

/// Displacement of the surface at `obs` (east, north; metres): `out` is overwritten with east, north, up, summed over
/// the rectangles, in the unit of the slip.
///
/// Parallel over the points within the calling rayon pool; the result does not depend on the number of threads. On the
/// trace of a rectangle that breaks the surface the value is the mean of the two sides, at its ends it is finite but
/// without meaning.
///
/// # Errors
/// [`Error::Data`] naming the rectangle and the value: above the surface, without area, not finite, a dip outside 0 to
/// 90, Poisson's ratio outside -1 to 0.5, or `obs` and `out` of different length.
pub fn surface(faults: &[Rectangle], poisson: f64, obs: &[[f64; 2]], out: &mut [[f64; 3]]) -> Result<()> {
    loops(faults, poisson)?.surface(obs, out)
}

/// The rectangles prepared for evaluation at many points.
///
/// # Errors
/// As [`surface`].
pub fn loops(faults: &[Rectangle], poisson: f64) -> Result<Loops> {
    let mut loops = Loops::empty(poisson)?;
    for (i, fault) in faults.iter().enumerate() {
        fault.check(i)?;
        loops.add(&fault.corners(), fault.burgers());
    }
    loops.finish();
    Ok(loops)
}

impl Rectangle {
    fn check(&self, index: usize) -> Result<()> {
        let fail = |why: String| Err(Error::Data(format!("rectangle {}: {why}", index + 1)));
        let [s, d, t] = self.slip;
        let numbers = [self.x, self.y, self.top_depth, self.strike, self.dip, self.length, self.width, s, d, t];
        if let Some(v) = numbers.iter().find(|v| v.is_nan() || v.abs() > 1e14) {
            return fail(format!("{v} is not a usable number (finite, at most 1e14)"));
        }
        if self.top_depth < 0.0 {
            return fail(format!("the top edge at depth {} lies above the surface; give at least 0", self.top_depth));
        }
        if !(0.0..=90.0).contains(&self.dip) {
            return fail(format!("dip {}: give 0 to 90; turn the strike by 180 degrees for the other side", self.dip));
        }
        if !(self.length > 1e-6 && self.width > 1e-6) {
            return fail(format!("length {} and width {} must be above 0", self.length, self.width));
        }
        Ok(())
    }

    /// Unit vectors along strike and to the right of it (east, north); sine and cosine of the dip.
    fn axes(&self) -> ([f64; 2], [f64; 2], f64, f64) {
        let (s, c) = self.strike.to_radians().sin_cos();
        let (sin, cos) = match self.dip {
            90.0 => (1.0, 0.0),
            dip => dip.to_radians().sin_cos(),
        };
        ([s, c], [c, -s], sin, cos)
    }

    /// Corners in the order that turns around the normal which points up, or to the right.
    fn corners(&self) -> [[f64; 3]; 4] {
        let (along, right, sin, cos) = self.axes();
        let corner = |t: f64, w: f64| {
            let (t, level) = (t * self.length, w * cos);
            let position = |i: usize, middle: f64| middle + t * along[i] + level * right[i];
            [position(0, self.x), position(1, self.y), -(self.top_depth + w * sin)]
        };
        [corner(-0.5, 0.0), corner(-0.5, self.width), corner(0.5, self.width), corner(0.5, 0.0)]
    }

    /// Jump from below (or the left) to above (or the right), east, north, up.
    fn burgers(&self) -> [f64; 3] {
        let (along, right, sin, cos) = self.axes();
        let [s, d, t] = self.slip;
        let level = t * sin - d * cos;
        [s * along[0] + level * right[0], s * along[1] + level * right[1], d * sin + t * cos]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_input_is_named() {
        let good = Rectangle {
            x: 0.0,
            y: 0.0,
            top_depth: 0.0,
            strike: 10.0,
            dip: 60.0,
            length: 1e4,
            width: 5e3,
            slip: [1.0, 0.0, 0.0],
        };
        let run =
            |f: Rectangle, nu: f64| surface(&[good, f], nu, &[[1.0, 2.0]], &mut [[0.0; 3]]).unwrap_err().to_string();
        assert!(surface(&[good], 0.25, &[[1.0, 2.0]], &mut [[0.0; 3]]).is_ok());
        assert!(run(Rectangle { top_depth: -3.0, ..good }, 0.25).contains("rectangle 2"));
        assert!(run(Rectangle { dip: 95.0, ..good }, 0.25).contains("dip 95"));
        assert!(run(Rectangle { width: 0.0, ..good }, 0.25).contains("width 0"));
        assert!(run(Rectangle { x: f64::NAN, ..good }, 0.25).contains("NaN"));
        assert!(run(good, 0.6).contains("0.6"));
        let short = surface(&[good], 0.25, &[[1.0, 2.0]], &mut []).unwrap_err().to_string();
        assert!(short.contains("1 observation"));
    }
}
