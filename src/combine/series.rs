//! The step of a daily GNSS series at an event, and its standard deviation.
//!
//! A component is `a + s H(t - t0) (+ v t)` plus white noise w and a random walk b. For a given ratio b²/w² a Kalman filter
//! whitens the data and the columns of the model together, so that least squares on what comes out is the generalised
//! least squares of the series, gaps and all, in time proportional to its length.
//!
//! A hundred days tell little of a walk, so no single ratio is taken for the right one: the step is the mean over a ladder of
//! ratios, each weighted by its restricted likelihood and by how frequent it is among the stations (horizontal components
//! and the vertical one apart), which the stations themselves tell. Its variance has that of the step between ratios.
//!
//! References: Harvey (1989), "Forecasting, Structural Time Series Models and the Kalman Filter", section 3.4 (the filter as
//! generalised least squares); Langbein and Johnson (1997), JGR 102:591 (white noise and random walk of geodetic series);
//! Laird (1978), JASA 73:805 (frequencies by expectation and maximisation).

use nalgebra::{DMatrix, DVector};

use crate::{Error, Result};

/// Days of a Julian year.
const YEAR: f64 = 365.25;
/// Days with a position that are needed on each side of the event.
pub const LEAST: usize = 3;
/// Variance of the random walk in a day over that of the white noise.
const RATIOS: [f64; 12] = [0.0, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0];
/// Components that the assumption of equally frequent ratios is worth.
const EQUAL: f64 = 4.0;
/// Rounds of expectation and maximisation.
const ROUNDS: usize = 30;

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
    /// White noise, m, and random walk, m per square root of a year: root mean squares over the ratios.
    pub white: f64,
    pub walk: f64,
}

/// What one ratio of the noises makes of a component.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    /// Logarithm of the restricted likelihood.
    likelihood: f64,
    step: Step,
}

type Ladder = [Candidate; RATIOS.len()];

/// The steps of east, north and up of every station of a network, in its order.
///
/// # Errors
/// One for each series: [`Error::Data`] when the event lies outside it or too few days are left on a side.
pub fn steps(network: &[&Series], options: &StepOptions) -> Vec<Result<[Step; 3]>> {
    let ladders: Vec<Result<[Ladder; 3]>> = network.iter().map(|s| s.ladders(options)).collect();
    let of = |components: &[usize]| -> [f64; RATIOS.len()] {
        frequencies(&ladders.iter().flatten().flat_map(|l| components.iter().map(|&c| l[c])).collect::<Vec<_>>())
    };
    let (horizontal, vertical) = (of(&[0, 1]), of(&[2]));
    let frequency = [&horizontal, &horizontal, &vertical];
    ladders.into_iter().map(|l| l.map(|l| [0, 1, 2].map(|c| mean(&l[c], frequency[c])))).collect()
}

/// How frequent every ratio is.
fn frequencies(all: &[Ladder]) -> [f64; RATIOS.len()] {
    let count = RATIOS.len() as f64;
    let mut p = [1.0 / count; RATIOS.len()];
    for _ in 0..ROUNDS {
        let mut sum = [EQUAL / count; RATIOS.len()];
        for ladder in all {
            sum.iter_mut().zip(weights(ladder, &p)).for_each(|(s, w)| *s += w);
        }
        p = sum.map(|s| s / (all.len() as f64 + EQUAL));
    }
    p
}

/// Probability of every ratio.
fn weights(ladder: &Ladder, frequency: &[f64; RATIOS.len()]) -> [f64; RATIOS.len()] {
    let most = ladder.iter().map(|c| c.likelihood).fold(f64::NEG_INFINITY, f64::max);
    let mut w = std::array::from_fn(|k| frequency[k] * (ladder[k].likelihood - most).exp());
    let sum: f64 = w.iter().sum();
    w.iter_mut().for_each(|v| *v /= sum);
    w
}

fn mean(ladder: &Ladder, frequency: &[f64; RATIOS.len()]) -> Step {
    let w = weights(ladder, frequency);
    let over = |f: &dyn Fn(&Step) -> f64| w.iter().zip(ladder).map(|(w, c)| w * f(&c.step)).sum::<f64>();
    let step = over(&|s| s.step);
    Step {
        step,
        sigma: over(&|s| s.sigma.powi(2) + (s.step - step).powi(2)).sqrt(),
        white: over(&|s| s.white.powi(2)).sqrt(),
        walk: over(&|s| s.walk.powi(2)).sqrt(),
    }
}

impl Series {
    /// All ratios of east, north and up.
    fn ladders(&self, options: &StepOptions) -> Result<[Ladder; 3]> {
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
        Ok([0, 1, 2].map(|c| {
            let values: Vec<f64> = order.iter().map(|&i| self.positions[i][c]).collect();
            RATIOS.map(|ratio| whitened(&days, &values, options.trend, ratio))
        }))
    }
}

/// Restricted likelihood and step for one ratio of the noises; `days` are relative to the event.
fn whitened(days: &[f64], values: &[f64], trend: bool, ratio: f64) -> Candidate {
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
        // A constant, a step and a rate over days on both sides are never one another.
        let step = Step { step: f64::NAN, sigma: f64::NAN, white: f64::NAN, walk: f64::NAN };
        return Candidate { likelihood: f64::NEG_INFINITY, step };
    };
    let solution = factor.solve(&right);
    let free = (n - columns) as f64;
    // A series without any scatter still has the resolution of its file.
    let noise = ((&data - &rows * &solution).norm_squared() / free).max(1e-10);
    let curvature: f64 = (0..columns).map(|i| 2.0 * factor.l_dirty()[(i, i)].ln()).sum();
    let likelihood = -0.5 * (free * noise.ln() + determinant + curvature);
    let sigma = (noise * factor.inverse()[(1, 1)]).sqrt();
    let step = Step { step: solution[1], sigma, white: noise.sqrt(), walk: (noise * ratio * YEAR).sqrt() };
    Candidate { likelihood, step }
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
            let got = whitened(&days, &values, trend, ratio).step;
            assert!((got.step - x[1]).abs() < 1e-12, "{} {}", got.step, x[1]);
            assert!((got.sigma / (noise * inverse[(1, 1)]).sqrt() - 1.0).abs() < 1e-9);
        }
    }

    /// Root mean square of error over sigma of networks of `stations`, 240 stations in all.
    fn scatter(stations: u64, white: f64, walk: f64) -> f64 {
        let mut z = Vec::new();
        for network in 0..240 / stations {
            let all: Vec<Series> =
                (0..stations).map(|k| simulated(network * stations + k, white, walk, 0.03)).collect();
            for found in steps(&all.iter().collect::<Vec<_>>(), &OPTIONS) {
                z.extend(found.unwrap().map(|s| (s.step - 0.03) / s.sigma));
            }
        }
        (z.iter().map(|v| v * v).sum::<f64>() / z.len() as f64).sqrt()
    }

    #[test]
    fn sigma_of_the_step_is_its_scatter() {
        for (white, walk) in [(0.0015, 0.0), (0.0015, 0.0005), (0.0015, 0.001), (0.001, 0.0015), (0.004, 0.02)] {
            let rms = scatter(40, white, walk);
            println!("white {white}, walk {walk}: z {rms:.3} in a network of 40");
            assert!((0.85..1.2).contains(&rms), "white {white}, walk {walk}: {rms}");
        }
        // A station alone cannot tell its walk: nothing is likelier than anything else, so sigma is wide without a walk.
        for (white, walk, low, high) in [(0.0015, 0.0, 0.7, 1.0), (0.0015, 0.001, 0.85, 1.2), (0.004, 0.02, 0.85, 1.25)]
        {
            let rms = scatter(1, white, walk);
            println!("white {white}, walk {walk}: z {rms:.3} alone");
            assert!((low..high).contains(&rms), "white {white}, walk {walk}: {rms}");
        }
        // White noise of 1.5 mm only: about w sqrt(4/121).
        let s = steps(&[&simulated(7, 0.0015, 0.0, 0.03)], &OPTIONS)[0].as_ref().unwrap()[0];
        assert!((0.0002..0.0006).contains(&s.sigma), "{}", s.sigma);
    }

    #[test]
    fn an_event_outside_the_series_is_told() {
        let series = simulated(2, 0.001, 0.0, 0.0);
        let found = steps(&[&series, &series], &StepOptions { event: 400.0, ..OPTIONS });
        let text = found[1].as_ref().unwrap_err().to_string();
        assert!(found.len() == 2 && text.contains("day 400") && text.contains("0 to 120"), "{text}");
    }
}
