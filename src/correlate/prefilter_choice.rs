//! Which prefilter suits a pair, decided by measuring (`--prefilter auto`).
//!
//! Sample windows of the scene are matched with every candidate. The second difference of the displacements of three
//! windows in a row, which share no pixel, has no part of a smooth motion and is scatter: its spread over √6 estimates
//! a window's standard deviation. The coherence filter is taken unless another one is clearly better.

use super::coherence::Coherence;
use super::fft2::FftCache;
use super::prefilter::{Kernel, RADIUS, response};
use super::radial::Radial;
use crate::grid::Grid;
use crate::pipeline::Prefilter;

/// Another filter than coherence must scatter less than this share of its scatter.
const CLEARLY: f64 = 0.97;
/// With fewer differences than this nothing is decided.
const ENOUGH: usize = 60;
/// Side of the box whose mean the high-pass removes, and the standard deviation of the low-pass, pixels.
const BOX: usize = 5;
const SIGMA: f64 = 0.5;

/// The candidates in the order in which they are tried; the first is the one to beat.
pub const CANDIDATES: [Prefilter; 4] =
    [Prefilter::Coherence, Prefilter::None, Prefilter::Highpass, Prefilter::Gaussian];

/// The kernel of a fixed prefilter for a pair; without a measured coherence everything is left unfiltered.
pub fn kernel(prefilter: Prefilter, coherence: Option<&Coherence>, ffts: &mut FftCache) -> Kernel {
    let Some(c) = coherence else { return from_weights(|_, _| 0.0) };
    match prefilter {
        Prefilter::Auto | Prefilter::Coherence => {
            let shape = response(&c.magnitude, &c.power[0], &c.power[1]);
            Kernel::from_radial(&shape, ffts).reaching(&c.power[0], ffts)
        }
        Prefilter::None => from_weights(|_, _| 0.0),
        Prefilter::Highpass => {
            let share = -1.0 / (BOX * BOX) as f64;
            let inside = |v: i64| v.unsigned_abs() as usize <= BOX / 2;
            from_weights(|x, y| if inside(x) && inside(y) { share } else { 0.0 }).reaching(&c.power[0], ffts)
        }
        Prefilter::Gaussian => {
            let bell = |v: i64| (-0.5 * (v as f64 / SIGMA).powi(2)).exp();
            from_weights(|x, y| if (x, y) == (0, 0) { 0.0 } else { bell(x) * bell(y) }).reaching(&c.power[0], ffts)
        }
    }
}

/// A kernel of unit energy: one in the middle plus the given weights.
fn from_weights(weight: impl Fn(i64, i64) -> f64) -> Kernel {
    let side = 2 * RADIUS + 1;
    let at = |i: usize| i as i64 - RADIUS as i64;
    let centre = |x: usize, y: usize| if x == RADIUS && y == RADIUS { 1.0 } else { 0.0 };
    let mut weights = Grid::from_fn(side, side, |x, y| (centre(x, y) + weight(at(x), at(y))) as f32);
    let energy = weights.data.iter().map(|&v| (v as f64).powi(2)).sum::<f64>().sqrt();
    weights.data.iter_mut().for_each(|v| *v /= energy as f32);
    Kernel { weights, reach: 0 }
}

/// Amplitude response of a kernel brought to unit energy as a function of the frequency's magnitude, along the axes.
pub fn amplitude(kernel: &Kernel, ffts: &mut FftCache) -> Radial {
    let n = 64;
    let spectrum = kernel.on_half_spectrum(n, n, ffts);
    let energy = kernel.weights.data.iter().map(|v| v * v).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    let values = (0..=n / 2).map(|k| 0.5 * (spectrum[k * n] + spectrum[k]).abs() / energy).collect();
    Radial { step: std::f64::consts::TAU / n as f64, values }
}

/// Displacements of a patch's windows, row by row: `None` where there was nothing to match, infinite where matching
/// failed.
pub struct Sample {
    pub columns: usize,
    pub shifts: Vec<Option<(f64, f64)>>,
}

/// Scatter of the windows' displacements in pixels, per component; `None` with too few windows.
pub fn scatter(samples: &[Sample]) -> Option<f64> {
    let mut differences = Vec::new();
    for s in samples.iter().filter(|s| s.columns > 0) {
        let rows = s.shifts.len() / s.columns;
        let mut add = |a: usize, b: usize, c: usize| {
            if let (Some(a), Some(b), Some(c)) = (s.shifts[a], s.shifts[b], s.shifts[c]) {
                let second = |a: f64, b: f64, c: f64| ((a - 2.0 * b + c) / 6f64.sqrt()).abs();
                let finite = |v: f64| if v.is_finite() { v } else { f64::INFINITY };
                differences.push(finite(second(a.0, b.0, c.0)));
                differences.push(finite(second(a.1, b.1, c.1)));
            }
        };
        for y in 0..rows {
            for x in 0..s.columns {
                let k = y * s.columns + x;
                if x > 0 && x + 1 < s.columns {
                    add(k - 1, k, k + 1);
                }
                if y > 0 && y + 1 < rows {
                    add(k - s.columns, k, k + s.columns);
                }
            }
        }
    }
    if differences.len() < ENOUGH {
        return None;
    }
    differences.sort_by(f64::total_cmp);
    let quantile = |q: f64| differences[(q * (differences.len() - 1) as f64) as usize];
    // The middle and the tail of the distribution: a filter must neither blur nor fail.
    let value = (quantile(0.683) * quantile(0.9) / 1.645).sqrt();
    value.is_finite().then_some(value)
}

/// The candidate to take, from the scatter of each.
pub fn decide(scatters: &[(Prefilter, Option<f64>)]) -> Prefilter {
    let known = |p: Prefilter| scatters.iter().find(|s| s.0 == p).and_then(|s| s.1);
    let limit = known(Prefilter::Coherence).map_or(f64::INFINITY, |s| CLEARLY * s);
    let better = scatters.iter().filter_map(|&(p, s)| s.filter(|&s| s < limit).map(|s| (p, s)));
    better.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(Prefilter::Coherence, |(p, _)| p)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smooth_motion_is_no_scatter_and_failures_count() {
        let sample = |f: &dyn Fn(usize, usize) -> Option<(f64, f64)>| Sample {
            columns: 8,
            shifts: (0..64).map(|k| f(k % 8, k / 8)).collect(),
        };
        let linear = sample(&|x, y| Some((0.1 * x as f64 - 0.2 * y as f64, 0.05 * y as f64)));
        assert!(scatter(&[linear]).unwrap() < 1e-12);
        let rough = sample(&|x, y| Some((((x * 7 + y * 13) % 5) as f64, 0.0)));
        assert!(scatter(&[rough]).unwrap() > 0.1);
        let failing = sample(&|x, _| Some(if x % 2 == 0 { (0.0, 0.0) } else { (f64::INFINITY, f64::INFINITY) }));
        assert_eq!(scatter(&[failing]), None);
        assert_eq!(scatter(&[sample(&|_, _| None)]), None);
    }

    #[test]
    fn coherence_is_kept_unless_another_is_clearly_better() {
        use Prefilter::*;
        assert_eq!(decide(&[(Coherence, Some(0.10)), (None, Some(0.099))]), Coherence);
        assert_eq!(decide(&[(Coherence, Some(0.10)), (None, Some(0.06)), (Highpass, Some(0.05))]), Highpass);
        assert_eq!(decide(&[(Coherence, Option::None), (Gaussian, Some(0.3))]), Gaussian);
        assert_eq!(decide(&[(Coherence, Option::None), (None, Option::None)]), Coherence);
    }
}
