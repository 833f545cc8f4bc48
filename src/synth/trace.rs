//! Self-affine fault traces, and distances to a trace.

use rand_pcg::Pcg64;
use rayon::prelude::*;
use rustfft::{FftPlanner, num_complex::Complex};

use super::fft2::good_length;
use super::random::normal;

/// A rough profile of `n` equally spaced samples: power spectrum k^-(1 + 2H), straight line removed, the given root
/// mean square (in the unit of the result).
///
/// Made on four times the length, of which the middle quarter is kept, so that the ends do not match.
///
/// Reference: Candela et al. (2012), JGR 117, B08409: surface ruptures have H about 0.8 across the slip direction.
pub fn self_affine(n: usize, hurst: f64, rms: f64, rng: &mut Pcg64) -> Vec<f64> {
    let long = good_length(4 * n);
    let mut line: Vec<Complex<f64>> = (0..long).map(|_| Complex::new(normal(rng), 0.0)).collect();
    let mut planner = FftPlanner::new();
    planner.plan_fft_forward(long).process(&mut line);
    line[0] = Complex::default();
    for (k, v) in line.iter_mut().enumerate().skip(1) {
        let frequency = k.min(long - k) as f64;
        *v *= frequency.powf(-(0.5 + hurst));
    }
    planner.plan_fft_inverse(long).process(&mut line);
    let start = (long - n) / 2;
    let mut profile: Vec<f64> = line[start..start + n].iter().map(|v| v.re).collect();
    remove_line(&mut profile);
    let now = (profile.iter().map(|v| v * v).sum::<f64>() / n.max(1) as f64).sqrt();
    let scale = if now > 0.0 { rms / now } else { 0.0 };
    profile.iter_mut().for_each(|v| *v *= scale);
    profile
}

/// Subtracts the least-squares straight line.
fn remove_line(profile: &mut [f64]) {
    let n = profile.len() as f64;
    let centre = (n - 1.0) / 2.0;
    let mean = profile.iter().sum::<f64>() / n;
    let (mut sxy, mut sxx) = (0.0, 0.0);
    for (i, v) in profile.iter().enumerate() {
        let t = i as f64 - centre;
        sxy += t * v;
        sxx += t * t;
    }
    let slope = if sxx > 0.0 { sxy / sxx } else { 0.0 };
    for (i, v) in profile.iter_mut().enumerate() {
        *v -= mean + slope * (i as f64 - centre);
    }
}

/// Distances to one or more polylines.
#[derive(Debug, Clone)]
pub struct Distance {
    segments: Vec<[f64; 4]>,
    /// Bounding boxes (x0, y0, x1, y1) of runs of [`RUN`] segments and of groups of [`RUN`] runs: what lies farther away
    /// than the best is skipped.
    runs: Vec<[f64; 4]>,
    groups: Vec<[f64; 4]>,
}

const RUN: usize = 16;

impl Distance {
    /// From polylines in any plane coordinates.
    pub fn new(lines: &[Vec<(f64, f64)>]) -> Distance {
        let mut segments = Vec::new();
        for line in lines {
            if let [only] = line[..] {
                segments.push([only.0, only.1, only.0, only.1]);
            }
            segments.extend(line.windows(2).map(|p| [p[0].0, p[0].1, p[1].0, p[1].1]));
        }
        let runs: Vec<[f64; 4]> = segments.chunks(RUN).map(bounding_box).collect();
        let groups = runs.chunks(RUN).map(bounding_box).collect();
        Distance { segments, runs, groups }
    }

    /// Distance from (x, y) to the nearest point of the lines; infinite when there are none.
    pub fn at(&self, x: f64, y: f64) -> f64 {
        self.below(x, y, f64::INFINITY)
    }

    /// The same, known to be at most `bound`.
    fn below(&self, x: f64, y: f64, bound: f64) -> f64 {
        let mut best = bound * bound;
        for (g, group) in self.groups.iter().enumerate() {
            if squared_distance_to_box(group, x, y) > best {
                continue;
            }
            let first = g * RUN;
            for (r, run) in self.runs[first..].iter().take(RUN).enumerate() {
                if squared_distance_to_box(run, x, y) > best {
                    continue;
                }
                let start = (first + r) * RUN;
                for s in self.segments[start..].iter().take(RUN) {
                    best = best.min(squared_distance(s, x, y));
                }
            }
        }
        best.sqrt()
    }

    /// Number of the nearest segment, counted over all lines, and the distance to it, when that is at most `bound`.
    pub fn nearest(&self, x: f64, y: f64, bound: f64) -> Option<(usize, f64)> {
        let (mut best, mut found) = (bound * bound, None);
        for (g, group) in self.groups.iter().enumerate() {
            if squared_distance_to_box(group, x, y) > best {
                continue;
            }
            let first = g * RUN;
            for (r, run) in self.runs[first..].iter().take(RUN).enumerate() {
                if squared_distance_to_box(run, x, y) > best {
                    continue;
                }
                let start = (first + r) * RUN;
                for (k, s) in self.segments[start..].iter().take(RUN).enumerate() {
                    let squared = squared_distance(s, x, y);
                    if squared < best || (found.is_none() && squared <= best) {
                        (best, found) = (squared, Some(start + k));
                    }
                }
            }
        }
        found.map(|k| (k, best.sqrt()))
    }

    /// Distances of all pixel centres of an image, row by row.
    pub fn image(&self, width: usize, height: usize) -> crate::grid::Grid<f32> {
        let mut data = vec![0.0; width * height];
        data.par_chunks_mut(width.max(1)).enumerate().for_each(|(y, row)| {
            let mut last = f64::INFINITY;
            for (x, v) in row.iter_mut().enumerate() {
                // One pixel on, the distance is at most one larger; the rest allows for rounding.
                last = self.below(x as f64, y as f64, last + 1.001);
                *v = last as f32;
            }
        });
        crate::grid::Grid::from_vec(width, height, data)
    }
}

fn bounding_box(run: &[[f64; 4]]) -> [f64; 4] {
    let start = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
    run.iter().fold(start, |b, s| {
        [b[0].min(s[0].min(s[2])), b[1].min(s[1].min(s[3])), b[2].max(s[0].max(s[2])), b[3].max(s[1].max(s[3]))]
    })
}

fn squared_distance_to_box(b: &[f64; 4], x: f64, y: f64) -> f64 {
    let dx = (b[0] - x).max(x - b[2]).max(0.0);
    let dy = (b[1] - y).max(y - b[3]).max(0.0);
    dx * dx + dy * dy
}

fn squared_distance(s: &[f64; 4], x: f64, y: f64) -> f64 {
    let (ux, uy) = (s[2] - s[0], s[3] - s[1]);
    let length = ux * ux + uy * uy;
    let t = if length > 0.0 { (((x - s[0]) * ux + (y - s[1]) * uy) / length).clamp(0.0, 1.0) } else { 0.0 };
    (x - s[0] - t * ux).powi(2) + (y - s[1] - t * uy).powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::random::{Purpose, numbered};

    /// Slope of the periodogram: straight line removed, Hann window, 12 log-spaced bins.
    fn hurst_of(profile: &[f64]) -> f64 {
        let n = profile.len();
        let mut line: Vec<Complex<f64>> = profile
            .iter()
            .enumerate()
            .map(|(i, v)| {
                let hann = 0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / n as f64).cos();
                Complex::new(v * hann, 0.0)
            })
            .collect();
        FftPlanner::new().plan_fft_forward(n).process(&mut line);
        let (low, high) = (4.0f64.ln(), (0.25 * n as f64).ln());
        let mut bins = [(0.0, 0.0); 12];
        for (k, v) in line.iter().enumerate().take(n / 4).skip(4) {
            let bin = (((k as f64).ln() - low) / (high - low) * 12.0) as usize;
            bins[bin.min(11)].0 += v.norm_sqr();
            bins[bin.min(11)].1 += 1.0;
        }
        let points: Vec<(f64, f64)> = bins
            .iter()
            .enumerate()
            .filter(|(_, b)| b.1 > 0.0)
            .map(|(i, b)| (low + (i as f64 + 0.5) * (high - low) / 12.0, (b.0 / b.1).ln()))
            .collect();
        let m = points.len() as f64;
        let (mx, my) = (points.iter().map(|p| p.0).sum::<f64>() / m, points.iter().map(|p| p.1).sum::<f64>() / m);
        let sxy: f64 = points.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum();
        let sxx: f64 = points.iter().map(|p| (p.0 - mx).powi(2)).sum();
        (-sxy / sxx - 1.0) / 2.0
    }

    #[test]
    fn roughness_has_the_asked_exponent_and_size() {
        for hurst in [0.6, 0.8] {
            let mut sum = 0.0;
            for k in 0..20 {
                let profile = self_affine(2048, hurst, 3.0, &mut numbered(5, Purpose::Trace, k));
                let rms = (profile.iter().map(|v| v * v).sum::<f64>() / 2048.0).sqrt();
                assert!((rms - 3.0).abs() < 1e-9);
                sum += hurst_of(&profile) / 20.0;
            }
            // The estimator itself reads 0.03 low.
            assert!((sum - (hurst - 0.03)).abs() < 0.05, "H {hurst} recovered as {sum}");
        }
    }

    #[test]
    fn distance_to_a_bent_line() {
        let d = Distance::new(&[vec![(0.0, 0.0), (10.0, 0.0), (10.0, 5.0)]]);
        assert_eq!(d.at(4.0, 3.0), 3.0);
        assert_eq!(d.at(13.0, 9.0), 5.0);
        assert_eq!(d.at(12.0, 2.0), 2.0);
        assert_eq!(Distance::new(&[]).at(0.0, 0.0), f64::INFINITY);
        // Many segments: the boxes must not hide a nearer one.
        let curve: Vec<_> = (0..400).map(|i| (i as f64, (i as f64 * 0.05).sin() * 20.0)).collect();
        let all = Distance::new(std::slice::from_ref(&curve));
        for (x, y) in [(50.0, 3.0), (333.3, -40.0), (-20.0, 7.0)] {
            let brute = curve
                .windows(2)
                .map(|p| squared_distance(&[p[0].0, p[0].1, p[1].0, p[1].1], x, y))
                .fold(f64::INFINITY, f64::min);
            assert_eq!(all.at(x, y), brute.sqrt());
        }
        let image = all.image(60, 40);
        for y in 0..40 {
            for x in 0..60 {
                assert_eq!(image.get(x, y), all.at(x as f64, y as f64) as f32);
            }
        }
    }
}
