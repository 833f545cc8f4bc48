//! What differs between two images of the same ground besides its motion.

use serde::{Deserialize, Serialize};

use super::random::{Purpose, normal, numbered, stream};
use super::sensor::{blur, stripes};
use super::sky::Clouds;
use super::spectrum::{SceneSpectrum, standardised};
use super::texture::{change_field, patches, shading};
use crate::grid::Grid;
use crate::{Error, Result};

/// Radiometric differences of the post image; the default is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoiseSpec {
    /// White noise on both images: ratio of the scene's to the noise's standard deviation, in decibels.
    pub snr_db: Option<f64>,
    /// Correlation of the ground itself on the two dates; the rest is change with the scene's own (red) spectrum.
    pub rho: f64,
    /// Share of the area covered by patches that show something else in the post image.
    pub change: f64,
    /// Factor on the brightness of the post image.
    pub gain: f64,
    /// Added brightness of the post image, as a share of the mean.
    pub bias: f64,
    /// Smooth illumination change: its standard deviation as a share of the brightness.
    pub shading: f64,
    /// Share of the area where dark and bright are exchanged in the post image, in patches.
    #[serde(default)]
    pub reversed: f64,
    /// Share of the area of the post image under clouds, whose shadows lie beside them.
    #[serde(default)]
    pub clouds: f64,
    /// Standard deviation of the Gaussian by which the post image is blurred more than the pre image, pixels.
    #[serde(default)]
    pub blur: f64,
    /// Detector stripes of the post image: their standard deviation as a share of the scene's.
    #[serde(default)]
    pub stripes: f64,
}

impl Default for NoiseSpec {
    fn default() -> Self {
        NoiseSpec {
            snr_db: None,
            rho: 1.0,
            change: 0.0,
            gain: 1.0,
            bias: 0.0,
            shading: 0.0,
            reversed: 0.0,
            clouds: 0.0,
            blur: 0.0,
            stripes: 0.0,
        }
    }
}

impl NoiseSpec {
    /// Checks the ranges.
    pub fn check(&self) -> Result<()> {
        let within = |name, value: f64, low: f64, high: f64| match (low..=high).contains(&value) {
            true => Ok(()),
            false => Err(Error::option(name, value, format!("give a number from {low} to {high}"))),
        };
        within("--rho", self.rho, 0.0, 1.0)?;
        within("--change", self.change, 0.0, 1.0)?;
        within("--gain", self.gain, 0.01, 100.0)?;
        within("--bias", self.bias, -10.0, 10.0)?;
        within("--shading", self.shading, 0.0, 1.0)?;
        within("--reversed", self.reversed, 0.0, 1.0)?;
        within("--clouds", self.clouds, 0.0, 1.0)?;
        within("--blur", self.blur, 0.0, 10.0)?;
        within("--stripes", self.stripes, 0.0, 10.0)?;
        within("--snr", self.snr_db.unwrap_or(0.0), -20.0, 200.0)
    }

    /// Standard deviation of the white noise for a scene of standard deviation 1.
    pub fn white_sigma(&self) -> f64 {
        self.snr_db.map_or(0.0, |db| 10f64.powf(-db / 20.0))
    }
}

/// Turns the standardised scene of the post date, already displaced, into what is on the ground that day.
pub fn change_ground(scene: &mut Grid<f64>, spec: &NoiseSpec, law: SceneSpectrum, seed: u64) {
    let (width, height) = (scene.width, scene.height);
    if spec.rho < 1.0 {
        let change = change_field(width, height, law, &mut stream(seed, Purpose::Change));
        let share = (1.0 - spec.rho * spec.rho).sqrt();
        scene.data.iter_mut().zip(&change.data).for_each(|(v, c)| *v = spec.rho * *v + share * c);
    }
    if spec.change > 0.0 {
        let weight = patches(width, height, spec.change, &mut stream(seed, Purpose::Patches));
        let other = change_field(width, height, law, &mut stream(seed, Purpose::PatchScene));
        for ((v, w), o) in scene.data.iter_mut().zip(&weight.data).zip(&other.data) {
            *v = *v * (1.0 - w) + o * w;
        }
    }
    if spec.reversed > 0.0 {
        let weight = patches(width, height, spec.reversed, &mut numbered(seed, Purpose::Patches, 1));
        scene.data.iter_mut().zip(&weight.data).for_each(|(v, w)| *v *= 1.0 - 2.0 * w);
    }
}

/// What the camera makes of the ground on the post date: standardised ground in, image values out. Light
/// ([`illuminate`]), clouds, blur, stripes, white noise, in the order in which they come about.
pub fn observe(ground: &Grid<f64>, spec: &NoiseSpec, mean: f64, std: f64, seed: u64) -> Grid<f64> {
    let mut image = illuminate(ground, spec, mean, std, seed);
    if let Some(clouds) = Clouds::new(ground.width, ground.height, spec.clouds, seed) {
        clouds.cover(&mut image, spec.gain * mean + spec.bias * mean, spec.gain * std);
    }
    if spec.blur > 0.0 {
        image = blur(&image, spec.blur);
    }
    stripes(&mut image, spec.gain * std * spec.stripes, seed);
    add_white(&mut image, spec.gain * std * spec.white_sigma(), Purpose::NoisePost, seed);
    image
}

/// Brightness, gain, illumination and offset of the post image: standardised ground in, image values out.
pub fn illuminate(ground: &Grid<f64>, spec: &NoiseSpec, mean: f64, std: f64, seed: u64) -> Grid<f64> {
    let (width, height) = (ground.width, ground.height);
    let light = match spec.shading > 0.0 {
        true => standardised(shading(width, height, &mut stream(seed, Purpose::Shading))),
        false => Grid::filled(width, height, 0.0),
    };
    let mut out = ground.clone();
    for (v, s) in out.data.iter_mut().zip(&light.data) {
        *v = spec.gain * (mean + std * *v) * (1.0 + spec.shading * s) + spec.bias * mean;
    }
    out
}

/// Adds white noise of standard deviation `sigma`.
pub fn add_white(image: &mut Grid<f64>, sigma: f64, purpose: Purpose, seed: u64) {
    if sigma > 0.0 {
        let rng = &mut stream(seed, purpose);
        image.data.iter_mut().for_each(|v| *v += sigma * normal(rng));
    }
}
