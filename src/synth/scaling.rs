//! How large an earthquake of a given magnitude is: length, width and mean slip of strike-slip ruptures.
//!
//! References: Hanks and Kanamori (1979), JGR 84, for the moment; Wells and Coppersmith (1994), BSSA 84, table 2A;
//! Blaser et al. (2010), BSSA 100, table 1; Leonard (2010), BSSA 100, table 5 (interplate strike slip).

use rand::RngExt;
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

use super::random::normal;

/// Shear modulus of the crust in Pa.
pub const SHEAR_MODULUS: f64 = 33e9;

/// Seismic moment in N m of a moment magnitude.
pub fn moment(magnitude: f64) -> f64 {
    10f64.powf(1.5 * magnitude + 9.1)
}

/// Moment magnitude of a seismic moment in N m.
pub fn magnitude(moment: f64) -> f64 {
    (moment.log10() - 9.1) / 1.5
}

/// A published relation between magnitude and rupture size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScalingLaw {
    /// Wells and Coppersmith (1994), subsurface length and down-dip width.
    WellsCoppersmith1994,
    /// Blaser et al. (2010).
    Blaser2010,
    /// Leonard (2010): moment, length, width and slip agree with one another by construction.
    Leonard2010,
}

/// Size of a rupture: lengths in metres.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RuptureSize {
    pub length: f64,
    /// Down-dip width.
    pub width: f64,
    /// Slip averaged over length × width, from the moment.
    pub mean_slip: f64,
}

/// log10(size in km) = intercept + slope * magnitude, with the standard deviation of log10.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Regression {
    pub intercept: f64,
    pub slope: f64,
    pub sigma: f64,
}

impl Regression {
    /// The relation's own value.
    pub fn at(&self, magnitude: f64) -> f64 {
        10f64.powf(self.intercept + self.slope * magnitude)
    }

    fn draw(&self, magnitude: f64, rng: &mut Pcg64) -> f64 {
        self.at(magnitude) * 10f64.powf(self.sigma * normal(rng))
    }
}

const fn regression(intercept: f64, slope: f64, sigma: f64) -> Regression {
    Regression { intercept, slope, sigma }
}

/// Wells and Coppersmith (1994), strike slip: subsurface rupture length (km).
pub const WC94_LENGTH: Regression = regression(-2.57, 0.62, 0.15);
/// Surface rupture length (km).
pub const WC94_SURFACE_LENGTH: Regression = regression(-3.55, 0.74, 0.23);
/// Down-dip width (km).
pub const WC94_WIDTH: Regression = regression(-0.76, 0.27, 0.14);
/// Rupture area (km²).
pub const WC94_AREA: Regression = regression(-3.42, 0.90, 0.22);
/// Average surface slip (m).
pub const WC94_AVERAGE_SLIP: Regression = regression(-6.32, 0.90, 0.28);
/// Largest surface slip (m).
pub const WC94_LARGEST_SLIP: Regression = regression(-7.03, 1.03, 0.34);
/// Blaser et al. (2010), strike slip: length and width (km).
pub const B10_LENGTH: Regression = regression(-2.69, 0.64, 0.18);
pub const B10_WIDTH: Regression = regression(-1.12, 0.33, 0.15);

/// Leonard's two constants: W = c1 L^(2/3) and mean slip = c2 sqrt(L W), in metres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Leonard {
    pub c1: f64,
    pub c2: f64,
}

impl Default for Leonard {
    fn default() -> Self {
        Leonard { c1: 15.0, c2: 3.7e-5 }
    }
}

impl Leonard {
    /// Length beyond which the width no longer grows: the crust is broken through.
    const FULL_WIDTH_LENGTH: f64 = 45_000.0;

    /// Size of the rupture with this moment.
    pub fn size(&self, moment: f64) -> RuptureSize {
        let factor = SHEAR_MODULUS * self.c2;
        // moment = mu * slip * area = factor * area^1.5.
        let area = (moment / factor).powf(2.0 / 3.0);
        let mut length = (area / self.c1).powf(0.6);
        let mut width = area / length;
        if length > Self::FULL_WIDTH_LENGTH {
            width = self.c1 * Self::FULL_WIDTH_LENGTH.powf(2.0 / 3.0);
            length = area / width;
        }
        RuptureSize { length, width, mean_slip: self.c2 * area.sqrt() }
    }
}

impl ScalingLaw {
    /// One of the laws: half of the events Wells and Coppersmith, a quarter each of the others.
    pub fn draw(rng: &mut Pcg64) -> ScalingLaw {
        match rng.random_range(0..4) {
            0 | 1 => ScalingLaw::WellsCoppersmith1994,
            2 => ScalingLaw::Blaser2010,
            _ => ScalingLaw::Leonard2010,
        }
    }

    /// The size that the law itself gives.
    pub fn size(self, magnitude: f64) -> RuptureSize {
        match self {
            ScalingLaw::WellsCoppersmith1994 => from_km(WC94_LENGTH.at(magnitude), WC94_WIDTH.at(magnitude), magnitude),
            ScalingLaw::Blaser2010 => from_km(B10_LENGTH.at(magnitude), B10_WIDTH.at(magnitude), magnitude),
            ScalingLaw::Leonard2010 => Leonard::default().size(moment(magnitude)),
        }
    }

    /// A size with the law's scatter; the mean slip follows from the moment.
    pub fn draw_size(self, magnitude: f64, rng: &mut Pcg64) -> RuptureSize {
        match self {
            ScalingLaw::WellsCoppersmith1994 => {
                let length = WC94_LENGTH.draw(magnitude, rng);
                from_km(length, WC94_WIDTH.draw(magnitude, rng), magnitude)
            }
            ScalingLaw::Blaser2010 => {
                let length = B10_LENGTH.draw(magnitude, rng);
                from_km(length, B10_WIDTH.draw(magnitude, rng), magnitude)
            }
            ScalingLaw::Leonard2010 => {
                // Leonard gives ranges (c1 11 to 20, c2 1.5e-5 to 9e-5): taken as two standard deviations.
                let within = |low: f64, middle: f64, high: f64, rng: &mut Pcg64| {
                    let sigma = (high / low).ln() / 4.0;
                    (middle.ln() + sigma * normal(rng)).exp().clamp(low, high)
                };
                let c1 = within(11.0, 15.0, 20.0, rng);
                Leonard { c1, c2: within(1.5e-5, 3.7e-5, 9e-5, rng) }.size(moment(magnitude))
            }
        }
    }
}

fn from_km(length: f64, width: f64, magnitude: f64) -> RuptureSize {
    RuptureSize { length: 1e3 * length, width: 1e3 * width, mean_slip: 0.0 }.with_moment(moment(magnitude))
}

impl RuptureSize {
    /// The same area with the mean slip of another moment.
    pub fn with_moment(mut self, moment: f64) -> RuptureSize {
        self.mean_slip = moment / (SHEAR_MODULUS * self.length * self.width);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leonard_is_continuous_where_the_width_stops_growing() {
        let law = Leonard::default();
        let at = |m: f64| law.size(moment(m));
        let m = magnitude(SHEAR_MODULUS * 3.7e-5 * (45_000f64.powf(5.0 / 3.0) * 15.0).powf(1.5));
        let (a, b) = (at(m - 1e-9), at(m + 1e-9));
        assert!((a.length - b.length).abs() < 1.0 && (a.width - b.width).abs() < 1.0);
        assert!((a.length - 45_000.0).abs() < 1.0);
    }

    #[test]
    fn every_size_has_the_moment() {
        let rng = &mut crate::synth::random::stream(3, crate::synth::random::Purpose::Magnitude);
        for k in 0..300 {
            let m = 6.0 + 0.006 * f64::from(k);
            let size = ScalingLaw::draw(rng).draw_size(m, rng);
            let got = SHEAR_MODULUS * size.length * size.width * size.mean_slip;
            assert!((got / moment(m) - 1.0).abs() < 1e-12);
        }
    }
}
