//! The step of a daily GNSS series at an event, and its standard deviation.
//!
//! A component is `a + s H(t - t0) (+ v t)` plus white noise w and a random walk b. For a given ratio b²/w² a Kalman filter
//! whitens the data and the columns of the model together, so that least squares on what comes out is the generalised
//! least squares of the series, gaps and all, in time proportional to its length. The ratio is that of the largest
//! restricted likelihood on a ladder of ratios.
//!
//! References: Harvey (1989), "Forecasting, Structural Time Series Models and the Kalman Filter", section 3.4 (the filter as
//! generalised least squares); Langbein and Johnson (1997), JGR 102:591 (white noise and random walk of geodetic series).

use nalgebra::{DMatrix, DVector};

use crate::{Error, Result};

/// Days of a Julian year.
const YEAR: f64 = 365.25;
/// Days with a position that are needed on each side of the event.
pub const LEAST: usize = 3;
/// Variance of the random walk in a day over that of the white noise.
const RATIOS: [f64; 9] = [0.0, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 0.1, 1.0];

/// Positions of one station, in the order of their days.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    pub name: String,
    pub days: Vec<f64>,
    /// East, north, up, m.
    pub positions: Vec<[f64; 3]>,
}

/// What of a series is used, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepOptions {
    /// Day of the event, in the days of the series; that day itself is not used.
    pub event: f64,
    /// Days before and after the event that are used.
    pub window: f64,
    /// Whether a rate is estimated with the step.
    pub trend: bool,
}

/// A step and its noise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    pub step: f64,
    pub sigma: f64,
    /// White noise, m, and random walk, m per square root of a year.
    pub white: f64,
    pub walk: f64,
}

impl Series {
    /// The steps of east, north and up.
    ///
    /// # Errors
    /// [`Error::Data`] when the event lies outside the series or too few days are left on a side.
    pub fn steps(&self, options: &StepOptions) -> Result<[Step; 3]> {
        let near = |d: f64| (d - options.event).abs() <= options.window && (d - options.event).abs() > 1e-9;
        let mut order: Vec<usize> = (0..self.days.len()).filter(|&i| near(self.days[i])).collect();
        order.sort_by(|&a, &b| self.days[a].total_cmp(&self.days[b]));
        let before = order.iter().filter(|&&i| self.days[i] < options.event).count();
        let after = order.len() - before;
        let least = LEAST + usize::from(options.trend);
        if before < least || after < least {
            let first = self.days.iter().copied().fold(f64::INFINITY, f64::min);
            let last = self.days.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            return Err(Error::Data(format!(
                "station {}: {before} days before and {after} after the event (day {}) are within {} days of it; {least} on each \
                 side are needed; the series runs from day {first} to {last}",
                self.name, options.event, options.window
            )));
        }
        let days: Vec<f64> = order.iter().map(|&i| self.days[i] - options.event).collect();
        let component = |c: usize| {
            let values: Vec<f64> = order.iter().map(|&i| self.positions[i][c]).collect();
            fit(&days, &values, options.trend)
        };
        Ok([component(0), component(1), component(2)])
    }
}

/// Least squares at the best of [`RATIOS`]; `days` are relative to the event.
fn fit(days: &[f64], values: &[f64], trend: bool) -> Step {
    let mut best: Option<(f64, Step)> = None;
    for ratio in RATIOS {
        let (likelihood, step) = whitened(days, values, trend, ratio);
        if best.is_none_or(|b| likelihood > b.0) {
            best = Some((likelihood, step));
        }
    }
    best.map_or(Step { step: f64::NAN, sigma: f64::NAN, white: f64::NAN, walk: f64::NAN }, |b| b.1)
}

/// Restricted likelihood and step for one ratio of the noises.
fn whitened(days: &[f64], values: &[f64], trend: bool, ratio: f64) -> (f64, Step) {
    let (n, columns) = (days.len(), 2 + usize::from(trend));
    let row = |i: usize| {
        let step = f64::from(u8::from(days[i] > 0.0));
        [values[i], 1.0, step, days[i] / YEAR]
    };
    let mut rows = DMatrix::zeros(n, columns);
    let mut data = DVector::zeros(n);
    // The walk starts anywhere: the constant takes it up, so that its variance starts at zero.
    let (mut state, mut variance, mut last, mut determinant) = ([0.0; 4], 0.0, days[0], 0.0);
    for i in 0..n {
        variance += ratio * (days[i] - last);
        last = days[i];
        let innovation = variance + 1.0;
        let gain = variance / innovation;
        let root = innovation.sqrt();
        let values = row(i);
        for (k, v) in values.iter().enumerate() {
            let white = (v - state[k]) / root;
            match k {
                0 => data[i] = white,
                k if k <= columns => rows[(i, k - 1)] = white,
                _ => {}
            }
            state[k] += gain * (v - state[k]);
        }
        variance *= 1.0 - gain;
        determinant += innovation.ln();
    }
    let normal = rows.transpose() * &rows;
    let right = rows.transpose() * &data;
    let Some(factor) = normal.cholesky() else {
        return (f64::NEG_INFINITY, Step { step: f64::NAN, sigma: f64::NAN, white: f64::NAN, walk: f64::NAN });
    };
    let solution = factor.solve(&right);
    let free = (n - columns) as f64;
    // A series without any scatter still has the resolution of its file.
    let noise = ((&data - &rows * &solution).norm_squared() / free).max(1e-10);
    let curvature: f64 = (0..columns).map(|i| 2.0 * factor.l_dirty()[(i, i)].ln()).sum();
    let likelihood = -0.5 * (free * noise.ln() + determinant + curvature);
    let sigma = (noise * factor.inverse()[(1, 1)]).sqrt();
    let step = Step { step: solution[1], sigma, white: noise.sqrt(), walk: (noise * ratio * YEAR).sqrt() };
    (likelihood, step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::random::{Purpose, normal, numbered};

    fn simulated(number: u64, white: f64, walk: f64, step: f64) -> Series {
        let mut rng = numbered(3, Purpose::NoisePre, number);
        let mut series = Series { name: "TEST".into(), ..Default::default() };
        let mut walked = [0.0; 3];
        for day in 0..121 {
            walked.iter_mut().for_each(|w| *w += walk / YEAR.sqrt() * normal(&mut rng));
            if day % 17 == 4 {
                continue;
            }
            let at = walked.map(|w| w + white * normal(&mut rng) + if day >= 61 { step } else { 0.0 });
            series.days.push(f64::from(day));
            series.positions.push(at);
        }
        series
    }

    const OPTIONS: StepOptions = StepOptions { event: 60.5, window: 200.0, trend: false };

    #[test]
    fn the_filter_is_generalised_least_squares() {
        let series = simulated(1, 0.002, 0.004, 0.05);
        for (ratio, trend) in [(0.0, false), (0.01, false), (1.0, true)] {
            let days: Vec<f64> = series.days.iter().map(|d| d - 60.5).collect();
            let values: Vec<f64> = series.positions.iter().map(|p| p[0]).collect();
            let (n, m) = (days.len(), 2 + usize::from(trend));
            let covariance =
                DMatrix::from_fn(n, n, |i, j| f64::from(u8::from(i == j)) + ratio * (days[i].min(days[j]) - days[0]));
            let a = DMatrix::from_fn(n, m, |i, k| [1.0, f64::from(u8::from(days[i] > 0.0)), days[i] / YEAR][k]);
            let w = covariance.try_inverse().unwrap();
            let inverse = (a.transpose() * &w * &a).try_inverse().unwrap();
            let y = DVector::from_vec(values.clone());
            let x = &inverse * a.transpose() * &w * &y;
            let r = &y - &a * &x;
            let noise = (r.transpose() * &w * &r)[0] / (n - m) as f64;
            let (_, got) = whitened(&days, &values, trend, ratio);
            assert!((got.step - x[1]).abs() < 1e-12, "{} {}", got.step, x[1]);
            assert!((got.sigma / (noise * inverse[(1, 1)]).sqrt() - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn sigma_of_the_step_is_its_scatter() {
        for (white, walk) in [(0.0015, 0.0), (0.0015, 0.001), (0.004, 0.02)] {
            let z: Vec<f64> = (0..200)
                .flat_map(|k| simulated(k, white, walk, 0.03).steps(&OPTIONS).unwrap())
                .map(|s| (s.step - 0.03) / s.sigma)
                .collect();
            let rms = (z.iter().map(|v| v * v).sum::<f64>() / z.len() as f64).sqrt();
            println!("white {white}, walk {walk}: z {rms:.3}");
            // Measured 0.95, 1.26, 1.35: 121 days tell little of a walk, and the best ratio is taken as if it were known.
            assert!((0.85..1.4).contains(&rms), "white {white}, walk {walk}: {rms}");
        }
        // White noise of 1.5 mm only: about w sqrt(4/121).
        let s = simulated(7, 0.0015, 0.0, 0.03).steps(&OPTIONS).unwrap()[0];
        assert!((0.0002..0.0006).contains(&s.sigma), "{}", s.sigma);
    }

    #[test]
    fn an_event_outside_the_series_is_told() {
        let series = simulated(2, 0.001, 0.0, 0.0);
        let text = series.steps(&StepOptions { event: 400.0, ..OPTIONS }).unwrap_err().to_string();
        assert!(text.contains("day 400") && text.contains("0 to 120"), "{text}");
    }
}
