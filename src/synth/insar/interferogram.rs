//! What a pair of radar images shows: the motion in the line of sight, and the difference of two atmospheres.
//!
//! Noise of an epoch: K (h - mean h), a ramp, and a correlated field. Sources of the form and the ranges: Fujiwara et al.
//! (1999), Earth Planets Space 51; Hanssen (2001); Lohman and Simons (2005), G-cubed 6; Parsons et al. (2006), GJI 164.

use rand::RngExt;
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

use super::atmosphere::{exponential, smooth, turbulence};
use super::cover::grain;
use super::frame::Frame;
use super::spec::{AtmosphereKind, NoiseSpec, draw};
use super::terrain::Terrain;
use crate::grid::Grid;
use crate::synth::random::{Purpose, normal, numbered};

/// The atmosphere of one date; metres in the line of sight.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Delay per metre of height.
    pub topography: f64,
    /// Its smooth variation over the frame, as a share of it.
    pub variation: f64,
    /// a + b x + c y + e x y with x to the east and y to the north, -0.5 to 0.5 across the frame.
    pub ramp: [f64; 4],
    pub kind: AtmosphereKind,
    pub sigma: f64,
    /// Correlation length in metres; not used by turbulence.
    pub lambda: f64,
}

impl Epoch {
    pub fn draw(spec: &NoiseSpec, rng: &mut Pcg64) -> Epoch {
        let mut part = |share: f64| share * spec.ramp * normal(rng);
        let ramp = [part(1.0), part(1.0), part(1.0), part(0.5)];
        let turbulent = match spec.kind {
            AtmosphereKind::Exponential => false,
            AtmosphereKind::Turbulence => true,
            AtmosphereKind::Mixed => rng.random_bool(0.5),
        };
        Epoch {
            topography: spec.topography * normal(rng),
            variation: spec.topography_variation,
            ramp,
            kind: if turbulent { AtmosphereKind::Turbulence } else { AtmosphereKind::Exponential },
            sigma: draw(spec.sigma, rng),
            lambda: draw(spec.lambda, rng),
        }
    }

    /// Delay of every pixel.
    pub fn delay(&self, frame: &Frame, terrain: &Terrain, rng: &mut Pcg64) -> Grid<f64> {
        let mut sum = ramp(frame, &self.ramp);
        if self.topography != 0.0 {
            let heights = about_mean(terrain);
            let varying = (self.variation != 0.0).then(|| smooth(frame, rng));
            for (k, v) in sum.data.iter_mut().enumerate() {
                let factor = varying.as_ref().map_or(1.0, |g| 1.0 + self.variation * g.data[k]);
                *v += self.topography * factor * heights[k];
            }
        }
        if self.sigma != 0.0 {
            let field = match self.kind {
                AtmosphereKind::Turbulence => turbulence(frame, rng),
                _ => exponential(frame, self.lambda, rng),
            };
            sum.data.iter_mut().zip(&field.data).for_each(|(v, f)| *v += self.sigma * f);
        }
        sum
    }
}

/// Heights minus their mean over the land.
fn about_mean(terrain: &Terrain) -> Vec<f64> {
    let land = terrain.height.data.iter().zip(&terrain.water.data).filter(|p| !*p.1);
    let (sum, n) = land.fold((0.0, 0usize), |(s, n), (h, _)| (s + f64::from(*h), n + 1));
    let mean = sum / n.max(1) as f64;
    terrain.height.data.iter().map(|h| f64::from(*h) - mean).collect()
}

/// a + b x + c y + e x y, x and y -0.5 to 0.5 across the frame, to the east and north.
pub fn ramp(frame: &Frame, [a, b, c, e]: &[f64; 4]) -> Grid<f64> {
    let [w, h] = frame.extent();
    frame.grid(|[east, north]| {
        let (x, y) = (east / w, north / h);
        a + b * x + c * y + e * x * y
    })
}

/// What is random in an interferogram.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LosNoise {
    /// First and second date.
    pub epochs: [Epoch; 2],
    /// Standard deviation of white noise.
    pub white: f64,
}

impl LosNoise {
    /// Draws the noise of track `number`: its parameters and its values.
    pub fn draw(spec: &NoiseSpec, frame: &Frame, terrain: &Terrain, number: u64, seed: u64) -> (LosNoise, Grid<f64>) {
        let rng = &mut numbered(seed, Purpose::InsarNoise, number);
        let epochs = [Epoch::draw(spec, rng), Epoch::draw(spec, rng)];
        let white = draw(spec.white, rng);
        let [mut first, mut second] = [0, 1].map(|e| numbered(seed, Purpose::Atmosphere, 2 * number + e));
        let before = epochs[0].delay(frame, terrain, &mut first);
        let mut noise = epochs[1].delay(frame, terrain, &mut second);
        noise.data.iter_mut().zip(&before.data).for_each(|(v, b)| *v -= b);
        if white != 0.0 {
            noise.data.iter_mut().zip(&grain(frame, white, seed, number).data).for_each(|(v, g)| *v += g);
        }
        (LosNoise { epochs, white }, noise)
    }

    /// Standard deviation of the correlated part of the difference.
    pub fn correlated_sigma(&self) -> f64 {
        self.epochs[0].sigma.hypot(self.epochs[1].sigma)
    }
}
