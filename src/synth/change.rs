//! How much two dates differ, drawn for each sample of a set.

use rand::RngExt;
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

use super::noise::NoiseSpec;

/// How strongly the second image differs from the first besides its motion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeLevel {
    /// Not at all: exact pairs.
    None,
    /// Sensor noise of 0.3 to 5 %, light, gain.
    Mild,
    /// As real pairs of weeks to years: other texture mixed in, changed patches, reversed contrast, noise, light.
    Strong,
}

/// What one sample got.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    #[serde(flatten)]
    pub noise: NoiseSpec,
    /// Dark became bright.
    pub inverted: bool,
}

impl ChangeLevel {
    /// Draws the differences of one sample. Strong change reaches down to a correlation of the ground of 0.4, as measured
    /// between real images of stable ground on two dates.
    pub fn draw(self, rng: &mut Pcg64) -> Change {
        let mut noise = NoiseSpec::default();
        // The same number of draws whatever the level, so that a level changes nothing else.
        let u: Vec<f64> = (0..9).map(|_| rng.random_range(0.0..1.0)).collect();
        let mut inverted = false;
        if self != ChangeLevel::None {
            let quietest = if self == ChangeLevel::Mild { 50.0 } else { 40.0 };
            let loudest = if self == ChangeLevel::Mild { 26.0 } else { 14.0 };
            noise.snr_db = Some(loudest + (quietest - loudest) * u[0]);
            noise.gain = 0.8 + 0.45 * u[1];
            noise.bias = -0.1 + 0.2 * u[2];
            noise.shading = if u[3] < 0.5 { 0.1 * u[4] } else { 0.0 };
        }
        if self == ChangeLevel::Strong {
            // Amplitude of the other texture against the ground's own: 10^-1.2 to 10^0.4.
            let mixed = 10f64.powf(-1.2 + 1.6 * u[5]);
            noise.rho = 1.0 / (1.0 + mixed * mixed).sqrt();
            noise.change = if u[6] < 0.5 { 0.2 * u[7] } else { 0.0 };
            inverted = u[8] < 0.05;
        }
        Change { noise, inverted }
    }
}
