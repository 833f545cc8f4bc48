//! Where a radar satellite looks from.

use serde::{Deserialize, Serialize};

use crate::combine::{Side, unit_vector};

/// Mean radius of the Earth in metres.
const EARTH: f64 = 6_371e3;

/// The pass of a satellite that looks to the right.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Track {
    /// Direction of flight, degrees clockwise from north.
    pub heading_deg: f64,
    /// Incidence angle at the middle of the frame.
    pub incidence_deg: f64,
    /// Height above the ground, metres.
    pub orbit: f64,
}

impl Track {
    /// Distance from the middle of the frame away from the satellite.
    pub fn range(&self, place: [f64; 2]) -> f64 {
        let (sin, cos) = (self.heading_deg + 90.0).to_radians().sin_cos();
        place[0] * sin + place[1] * cos
    }

    /// Incidence angle at a place, metres east and north of the middle of the frame, on a spherical Earth.
    pub fn incidence(&self, place: [f64; 2]) -> f64 {
        let radius = EARTH + self.orbit;
        let middle = self.incidence_deg.to_radians();
        // Angle at the Earth's centre between the ground and the satellite: incidence minus look angle.
        let centre = middle - (EARTH * middle.sin() / radius).asin() + self.range(place) / EARTH;
        let look = (EARTH * centre.sin()).atan2(radius - EARTH * centre.cos());
        (centre + look).to_degrees()
    }

    /// Unit vector to the satellite at a place.
    pub fn unit(&self, place: [f64; 2]) -> [f64; 3] {
        unit_vector(self.heading_deg, self.incidence(place), Side::Right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incidence_grows_over_the_swath_as_sentinel_1s_does() {
        // IW: about 29 to 46 degrees over 250 km of ground.
        let track = Track { heading_deg: -13.0, incidence_deg: 38.5, orbit: 693e3 };
        assert!((track.incidence([0.0, 0.0]) - 38.5).abs() < 1e-12);
        let (sin, cos) = 77f64.to_radians().sin_cos();
        let at = |d: f64| track.incidence([d * sin, d * cos]);
        assert!(
            (29.0..31.5).contains(&at(-125e3)) && (44.0..46.5).contains(&at(125e3)),
            "{} {}",
            at(-125e3),
            at(125e3)
        );
        let s = track.unit([1e4, -2e4]);
        assert!((s.iter().map(|v| v * v).sum::<f64>() - 1.0).abs() < 1e-14);
    }
}
