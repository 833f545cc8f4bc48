//! How much two dates differ, drawn for each sample of a set.

use rand::RngExt;
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

use super::noise::NoiseSpec;
use super::random::{Purpose, stream};

/// How strongly the second image differs from the first besides its motion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeLevel {
    /// Not at all: exact pairs.
    None,
    /// Sensor noise of 0.3 to 5 %, light, gain; some with a blur or faint stripes.
    Mild,
    /// As real pairs of weeks to years: other texture mixed in, changed patches, reversed contrast, noise, light; some with
    /// clouds and their shadows, a blur, stripes, vibrations, part of the other date's real image.
    Strong,
}

/// What one sample got.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    #[serde(flatten)]
    pub noise: NoiseSpec,
    /// Dark became bright.
    pub inverted: bool,
    /// Share of the other date's real image in the second image, where a place has two dates.
    #[serde(default)]
    pub mix: f64,
    /// Vibrations of the platform: root mean square shift of the lines in pixels. Part of the displacement.
    #[serde(default)]
    pub jitter: f64,
}

impl ChangeLevel {
    /// Draws the differences of one sample. Strong change reaches down to a correlation of the ground of 0.5; with the
    /// other date's image and patches mixed in, of 0.4, as measured between real images of stable ground. `seed` is the sample's.
    pub fn draw(self, rng: &mut Pcg64, seed: u64) -> Change {
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
            // Amplitude of the other texture against the ground's own: 10^-1.2 to 10^0.2.
            let mixed = 10f64.powf(-1.2 + 1.4 * u[5]);
            noise.rho = 1.0 / (1.0 + mixed * mixed).sqrt();
            noise.change = if u[6] < 0.5 { 0.2 * u[7] } else { 0.0 };
            inverted = u[8] < 0.05;
        }
        let mut change = Change { noise, inverted, mix: 0.0, jitter: 0.0 };
        self.draw_rare(&mut change, seed);
        change
    }

    /// What only some samples have: each with its own chance and strength.
    fn draw_rare(self, change: &mut Change, seed: u64) {
        if self == ChangeLevel::None {
            return;
        }
        let rng = &mut stream(seed, Purpose::Differences);
        // Two numbers each, drawn or not.
        let mut with = |chance: f64, low: f64, high: f64| -> f64 {
            let (u, v): (f64, f64) = (rng.random_range(0.0..1.0), rng.random_range(0.0..1.0));
            if u < chance { low * (high / low).powf(v) } else { 0.0 }
        };
        let strong = self == ChangeLevel::Strong;
        let share = |mild: f64, all: f64| if strong { all } else { mild };
        change.noise.blur = with(share(0.3, 0.4), 0.1, share(0.3, 0.6));
        change.noise.stripes = with(share(0.1, 0.2), 0.01, share(0.03, 0.12));
        change.noise.clouds = with(share(0.0, 0.15), 0.02, 0.35);
        change.noise.reversed = with(share(0.0, 0.12), 0.03, 0.4);
        change.mix = with(share(0.0, 0.4), 0.1, 0.7);
        change.jitter = with(share(0.0, 0.15), 0.01, 0.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::random::numbered;

    #[test]
    fn each_difference_comes_as_often_as_it_should() {
        let draw = |level: ChangeLevel, k: u64| level.draw(&mut numbered(1, Purpose::Sample, k), k);
        let all: Vec<Change> = (0..2000).map(|k| draw(ChangeLevel::Strong, k)).collect();
        let share = |has: &dyn Fn(&Change) -> bool| all.iter().filter(|c| has(c)).count() as f64 / 2000.0;
        assert!((share(&|c| c.noise.clouds > 0.0) - 0.15).abs() < 0.03);
        assert!((share(&|c| c.noise.stripes > 0.0) - 0.2).abs() < 0.03);
        assert!((share(&|c| c.noise.blur > 0.0) - 0.4).abs() < 0.04);
        assert!((share(&|c| c.noise.reversed > 0.0) - 0.12).abs() < 0.03);
        assert!((share(&|c| c.mix > 0.0) - 0.4).abs() < 0.04 && (share(&|c| c.jitter > 0.0) - 0.15).abs() < 0.03);
        assert!(all.iter().all(|c| c.noise.check().is_ok() && c.mix < 0.71 && c.jitter < 0.11));
        for k in 0..50 {
            let none = draw(ChangeLevel::None, k);
            assert_eq!((none.noise, none.inverted, none.mix, none.jitter), (NoiseSpec::default(), false, 0.0, 0.0));
            assert_eq!(draw(ChangeLevel::Mild, k).noise.clouds, 0.0);
        }
    }
}
