//! Daily positions of GNSS stations, and the step that they show.
//!
//! Noise of each component: white noise, random walk, on request flicker noise, and a part that all stations share. Sources
//! of the form and the ranges: Williams et al. (2004), JGR 109, B03412; Fukuda et al. (2008), GJI 173.

use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

use super::spec::{SeriesSpec, draw};
use crate::synth::random::normal;

/// Days in a year.
const YEAR: f64 = 365.25;

/// Noise of one component of a station; metres.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct ComponentNoise {
    pub white: f64,
    /// Per square root of a year.
    pub walk: f64,
    /// Per fourth root of a year.
    pub flicker: f64,
}

impl ComponentNoise {
    /// East, north and up of a station.
    pub fn draw(spec: &SeriesSpec, rng: &mut Pcg64) -> [ComponentNoise; 3] {
        // Both horizontal components of a station are alike.
        let [horizontal, vertical] = [0, 1].map(|k| ComponentNoise {
            white: draw(spec.white[k], rng),
            walk: draw(spec.walk[k], rng),
            flicker: spec.flicker.map_or(0.0, |f| draw(f[k], rng)),
        });
        [horizontal, horizontal, vertical]
    }

    /// A series of daily values.
    pub fn series(&self, days: usize, rng: &mut Pcg64) -> Vec<f64> {
        let step = self.walk / YEAR.sqrt();
        let mut walk = 0.0;
        let mut out: Vec<f64> = (0..days)
            .map(|_| {
                walk += step * normal(rng);
                walk + self.white * normal(rng)
            })
            .collect();
        if self.flicker > 0.0 {
            let kernel = flicker_kernel(self.flicker, days);
            let shocks: Vec<f64> = (0..days).map(|_| normal(rng)).collect();
            for (t, v) in out.iter_mut().enumerate() {
                *v += kernel.iter().zip(shocks[..=t].iter().rev()).map(|(k, s)| k * s).sum::<f64>();
            }
        }
        out
    }

    /// Variance of a sum of daily values with these weights, which add up to zero.
    fn variance(&self, weights: &[f64]) -> f64 {
        let white: f64 = weights.iter().map(|a| a * a).sum();
        // A walk's step moves all later days.
        let mut later = 0.0;
        let mut walk = 0.0;
        for a in weights.iter().rev() {
            later += a;
            walk += later * later;
        }
        let mut flicker = 0.0;
        if self.flicker > 0.0 {
            let kernel = flicker_kernel(self.flicker, weights.len());
            for t in 0..weights.len() {
                flicker += weights[t..].iter().zip(&kernel).map(|(a, k)| a * k).sum::<f64>().powi(2);
            }
        }
        self.white.powi(2) * white + self.walk.powi(2) / YEAR * walk + flicker
    }
}

/// Response of flicker noise to a shock: psi_k = psi_(k-1) (k - 1 + 1/2) / k, times A dt^(1/4).
///
/// Reference: Hosking (1981), Biometrika 68; Kasdin (1995), Proc. IEEE 83, with spectral index 1.
fn flicker_kernel(amplitude: f64, days: usize) -> Vec<f64> {
    let mut psi = amplitude * YEAR.powf(-0.25);
    let mut kernel = Vec::with_capacity(days);
    for k in 1..=days {
        kernel.push(psi);
        psi *= (k as f64 - 0.5) / k as f64;
    }
    kernel
}

/// Share of the signal on a day: 0 before `event_day`, then 1, or rising to 1 over a slow event's duration.
pub fn signal(day: usize, event_day: usize, slow_days: Option<f64>) -> f64 {
    match (day >= event_day, slow_days) {
        (false, _) => 0.0,
        (true, None) => 1.0,
        (true, Some(duration)) => (((day - event_day) as f64 + 0.5) / duration).min(1.0),
    }
}

/// The step of a series, mean of the days after minus mean of the days before the event, and its standard deviation by the
/// noise model, `common` being the deviation of what all stations share. `values` are NaN on missing days; `end` is the first
/// day after the event on which nothing moves any more. `None` when a side has no day.
pub fn step(
    values: &[f64],
    (event_day, end): (usize, usize),
    window: usize,
    noise: &ComponentNoise,
    common: f64,
) -> Option<(f64, f64)> {
    let days = |range: std::ops::Range<usize>| -> Vec<usize> { range.filter(|&d| values[d].is_finite()).collect() };
    let before = days(event_day.saturating_sub(window)..event_day);
    let after = days(end.min(values.len())..(end + window).min(values.len()));
    if before.is_empty() || after.is_empty() {
        return None;
    }
    let mut weights = vec![0.0; values.len()];
    before.iter().for_each(|&d| weights[d] = -1.0 / before.len() as f64);
    after.iter().for_each(|&d| weights[d] = 1.0 / after.len() as f64);
    let step = values.iter().zip(&weights).filter(|p| *p.1 != 0.0).map(|(v, a)| a * v).sum();
    let white = ComponentNoise { white: noise.white.hypot(common), ..*noise };
    Some((step, white.variance(&weights).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::random::{Purpose, numbered};

    #[test]
    fn the_stated_sigma_is_that_of_the_step() {
        let noise = ComponentNoise { white: 1.5e-3, walk: 2e-3, flicker: 3e-3 };
        let mut sum = 0.0;
        for k in 0..2000 {
            let rng = &mut numbered(3, Purpose::Series, k);
            let mut values = noise.series(121, rng);
            values[70] = f64::NAN;
            let (step, sigma) = step(&values, (60, 60), 30, &noise, 0.0).unwrap();
            sum += (step / sigma).powi(2);
        }
        assert!((sum / 2000.0 - 1.0).abs() < 0.07, "{}", sum / 2000.0);
    }

    #[test]
    fn a_clean_step_is_found_exactly() {
        for slow in [None, Some(10.0)] {
            let values: Vec<f64> = (0..121).map(|d| 5.0 + 0.25 * signal(d, 61, slow)).collect();
            let end = if slow.is_some() { 72 } else { 61 };
            let (step, sigma) = step(&values, (61, end), 30, &ComponentNoise::default(), 0.0).unwrap();
            assert!((step - 0.25).abs() < 1e-14 && sigma == 0.0);
        }
        assert!(step(&[f64::NAN; 121], (61, 61), 30, &ComponentNoise::default(), 0.0).is_none());
    }
}
