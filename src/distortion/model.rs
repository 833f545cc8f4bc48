//! A distortion as a function of position.

use super::direction::Direction;
use serde::{Deserialize, Serialize};

/// What is added to a displacement at a position of a grid; both components.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Distortion {
    /// The same everywhere.
    pub shift: [f64; 2],
    pub surface: Option<Surface>,
    pub steps: Option<Steps>,
    pub lines: Option<Lines>,
}

/// A polynomial in u = (x - centre.0) / scale and v = (y - centre.1) / scale. The coefficients are those of
/// 1, u, v, u², uv, v²; a plane has the first three.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Surface {
    pub centre: [f64; 2],
    pub scale: f64,
    pub coefficients: [Vec<f64>; 2],
}

/// Jumps at fixed positions along the lines: the seams of a row of detectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Steps {
    pub direction: Direction,
    /// Position of each seam along the lines, rising.
    pub edges: Vec<f64>,
    /// Value before the first seam, between the first and the second, ...: one more than there are seams.
    pub levels: [Vec<f64>; 2],
    /// Length over which a seam rises, about its position: 0 in an image, the window in a map of matching windows.
    #[serde(default)]
    pub width: f64,
}

/// One value a line, linear between neighbouring lines: jitter, stripes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lines {
    pub direction: Direction,
    /// Position across the lines of the first value, and the distance between values.
    pub first: f64,
    pub spacing: f64,
    pub values: [Vec<f64>; 2],
}

impl Distortion {
    /// Both components at (x, y).
    pub fn at(&self, x: f64, y: f64) -> [f64; 2] {
        let mut sum = self.shift;
        let parts = [
            self.surface.as_ref().map(|s| s.at(x, y)),
            self.steps.as_ref().map(|s| s.at(x, y)),
            self.lines.as_ref().map(|l| l.at(x, y)),
        ];
        for [a, b] in parts.into_iter().flatten() {
            sum[0] += a;
            sum[1] += b;
        }
        sum
    }
}

impl Surface {
    /// The functions of position that the coefficients belong to.
    pub fn terms(&self, x: f64, y: f64) -> [f64; 6] {
        let (u, v) = ((x - self.centre[0]) / self.scale, (y - self.centre[1]) / self.scale);
        [1.0, u, v, u * u, u * v, v * v]
    }

    pub fn at(&self, x: f64, y: f64) -> [f64; 2] {
        let terms = self.terms(x, y);
        [0, 1].map(|k| self.coefficients[k].iter().zip(terms).map(|(c, t)| c * t).sum())
    }
}

impl Steps {
    pub fn at(&self, x: f64, y: f64) -> [f64; 2] {
        let along = self.direction.split(x, y).0;
        if self.width <= 0.0 {
            let k = self.edges.partition_point(|e| *e <= along);
            return [self.levels[0][k], self.levels[1][k]];
        }
        let mut value = [self.levels[0][0], self.levels[1][0]];
        for (i, edge) in self.edges.iter().enumerate() {
            let share = ((along - edge) / self.width + 0.5).clamp(0.0, 1.0);
            (0..2).for_each(|k| value[k] += share * (self.levels[k][i + 1] - self.levels[k][i]));
        }
        value
    }
}

impl Lines {
    /// Beyond the ends the value of the end.
    pub fn at(&self, x: f64, y: f64) -> [f64; 2] {
        let across = self.direction.split(x, y).1;
        let n = self.values[0].len();
        let t = ((across - self.first) / self.spacing).clamp(0.0, n.saturating_sub(1) as f64);
        let k = (t as usize).min(n.saturating_sub(2));
        let f = t - k as f64;
        [0, 1].map(|c| {
            let v = &self.values[c];
            match n {
                0 => 0.0,
                1 => v[0],
                _ => (1.0 - f) * v[k] + f * v[k + 1],
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_add_up() {
        let d = Distortion {
            shift: [1.0, -1.0],
            surface: Some(Surface {
                centre: [10.0, 10.0],
                scale: 10.0,
                coefficients: [vec![0.5, 0.25, 0.0], vec![0.0, 0.0, 1.0]],
            }),
            steps: Some(Steps {
                direction: Direction::ROWS,
                edges: vec![12.0],
                levels: [vec![0.0, 0.125], vec![0.0, 0.25]],
                width: 0.0,
            }),
            lines: Some(Lines {
                direction: Direction::ROWS,
                first: 2.0,
                spacing: 4.0,
                values: [vec![0.0, 1.0, 0.0], vec![0.0; 3]],
            }),
        };
        // u = 1, v = 0; after the seam; half-way from line 6 to line 10 is 8, and 10 is the last.
        assert_eq!(d.at(20.0, 10.0), [1.0 + 0.75 + 0.125, -1.0 + 0.25]);
        assert_eq!(d.at(10.0, 5.0)[0], 1.0 + 0.5 + 0.75);
        assert_eq!(d.at(10.0, 99.0)[0], d.at(10.0, 10.0)[0]);
        let wide = Steps { width: 8.0, ..d.steps.clone().unwrap() };
        assert_eq!([7.0, 12.0, 14.0, 17.0].map(|x| wide.at(x, 0.0)[1]), [0.0, 0.125, 0.1875, 0.25]);
        let text = serde_json::to_string(&d).unwrap();
        assert_eq!(serde_json::from_str::<Distortion>(&text).unwrap(), d);
    }
}
