//! A plane or a quadratic surface through the ground that has not moved.
//!
//! Iteratively reweighted least squares: from the least absolute residual to Tukey's biweight, whose scale shrinks from that
//! of the residuals to that of the noise, so that ground in motion ends with no weight even where the motion is small. What
//! is left of an earthquake on ground that looks still pulls the surface all the same: where much of the scene strains,
//! stable ground has to be given.
//!
//! References: Holland and Welsch (1977), "Robust regression using iteratively reweighted least-squares", Communications in
//! Statistics A6; the shrinking scale is graduated non-convexity, Blake and Zisserman (1987), Visual reconstruction.

use super::model::Surface;
use crate::robust;
use nalgebra::{DMatrix, DVector};

/// A value of the field at a place.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub x: f64,
    pub y: f64,
    pub values: [f64; 2],
}

/// Iterations of each kind at most.
const LEAST_ABSOLUTE: usize = 15;
const BIWEIGHT: usize = 120;
/// From one iteration to the next the scale shrinks by this, down to so many standard deviations of the noise (nothing counts
/// beyond 3.3 of them), and to this
/// share of the first scale: ground that is no plane at all is not to be fitted in one of its corners.
const SHRINK: f64 = 0.93;
const NOISE: f64 = 0.7;
const SMALLEST: f64 = 0.35;

/// The surface with `terms` coefficients (1, 3 or 6) about `centre`, and the share of the samples that it goes through.
/// `None` when the samples do not determine it. `noise` is the standard deviation of a sample's components.
pub fn through(
    samples: &[Sample],
    noise: [f64; 2],
    centre: [f64; 2],
    extent: f64,
    terms: usize,
) -> Option<(Surface, f64)> {
    if samples.len() < 2 * terms {
        return None;
    }
    let blank = vec![0.0; terms];
    let mut surface = Surface { centre, scale: extent.max(1.0), coefficients: [blank.clone(), blank] };
    let mut weights = vec![1.0; samples.len()];
    surface.coefficients = solve(&surface, samples, &weights, terms)?;
    for _ in 0..LEAST_ABSOLUTE {
        let residuals = residuals(&surface, samples);
        let floor = 1e-3 * scales(&residuals).iter().fold(1e-9, |a: f64, b| a.max(*b));
        for (w, r) in weights.iter_mut().zip(&residuals) {
            *w = 1.0 / (r[0].hypot(r[1]) + floor);
        }
        surface.coefficients = solve(&surface, samples, &weights, terms)?;
    }
    let mut inside = 1.0;
    let first = scales(&residuals(&surface, samples)).map(|s| s.max(1e-9));
    let least = [0, 1].map(|k| (NOISE * noise[k]).max(SMALLEST * first[k]).min(first[k]));
    let mut scale = first;
    for _ in 0..BIWEIGHT {
        let residuals = residuals(&surface, samples);
        let mut sum = 0.0;
        for (w, r) in weights.iter_mut().zip(&residuals) {
            // Ground that has moved in one direction is not to be trusted in the other.
            *w = robust::biweight((r[0] / scale[0]).hypot(r[1] / scale[1]) / std::f64::consts::SQRT_2);
            sum += *w;
        }
        inside = sum / samples.len() as f64;
        let before = surface.coefficients.clone();
        surface.coefficients = solve(&surface, samples, &weights, terms)?;
        let change = (0..2).flat_map(|k| before[k].iter().zip(&surface.coefficients[k])).map(|(a, b)| (a - b).abs());
        if scale == least && change.fold(0.0, f64::max) < 1e-6 * scale[0].min(scale[1]) {
            break;
        }
        scale = [0, 1].map(|k| (SHRINK * scale[k]).max(least[k]));
    }
    Some((surface, inside))
}

fn residuals(surface: &Surface, samples: &[Sample]) -> Vec<[f64; 2]> {
    let residual = |s: &Sample| {
        let fit = surface.at(s.x, s.y);
        [s.values[0] - fit[0], s.values[1] - fit[1]]
    };
    samples.iter().map(residual).collect()
}

/// Standard deviations of the two components by the residuals closest to the surface: more than half of the ground may
/// move, as long as it does not move as one.
fn scales(residuals: &[[f64; 2]]) -> [f64; 2] {
    // Quantiles of |normal| in standard deviations.
    const SHARES: [(f64, f64); 2] = [(0.35, 0.453_76), (0.5, 0.674_49)];
    [0, 1].map(|k| {
        let mut sizes: Vec<f64> = residuals.iter().map(|r| r[k].abs()).collect();
        sizes.sort_unstable_by(f64::total_cmp);
        let at = |(share, quantile): (f64, f64)| sizes[(share * sizes.len() as f64) as usize] / quantile;
        SHARES.map(at).into_iter().fold(f64::INFINITY, f64::min)
    })
}

/// Weighted least squares, both components.
fn solve(surface: &Surface, samples: &[Sample], weights: &[f64], terms: usize) -> Option<[Vec<f64>; 2]> {
    let mut normal = DMatrix::<f64>::zeros(terms, terms);
    let mut right = [DVector::<f64>::zeros(terms), DVector::<f64>::zeros(terms)];
    for (s, w) in samples.iter().zip(weights) {
        let t = surface.terms(s.x, s.y);
        for i in 0..terms {
            for j in i..terms {
                normal[(i, j)] += w * t[i] * t[j];
            }
            for k in 0..2 {
                right[k][i] += w * t[i] * s.values[k];
            }
        }
    }
    normal.fill_lower_triangle_with_upper_triangle();
    // Samples in a line leave a direction open.
    let trace = normal.trace();
    let cholesky = normal.cholesky()?;
    if cholesky.l_dirty().diagonal().min().powi(2) < 1e-9 * trace {
        return None;
    }
    let [a, b] = right;
    Some([cholesky.solve(&a).iter().copied().collect(), cholesky.solve(&b).iter().copied().collect()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::random::{Purpose, normal, stream};

    #[test]
    fn ground_in_motion_does_not_tilt_the_plane() {
        // A third of the scene moved by up to 1 px.
        let mut rng = stream(3, Purpose::NoisePost);
        let mut samples = Vec::new();
        for j in 0..40 {
            for i in 0..60 {
                let mut noise = || 0.006 * normal(&mut rng);
                let moved = if i < 20 { 0.3 + 0.035 * i as f64 } else { 0.0 };
                let (x, y) = (10.0 * i as f64, 10.0 * j as f64);
                let plane = [0.5 + 1e-3 * x - 5e-4 * y, -0.2 + 2e-4 * x];
                samples.push(Sample { x, y, values: [plane[0] + noise() + moved, plane[1] + noise() - 0.5 * moved] });
            }
        }
        let (surface, inside) = through(&samples, [0.006; 2], [300.0, 200.0], 300.0, 3).unwrap();
        for (x, y) in [(0.0, 0.0), (590.0, 0.0), (300.0, 390.0)] {
            let got = surface.at(x, y);
            assert!((got[0] - (0.5 + 1e-3 * x - 5e-4 * y)).abs() < 0.003, "{x} {y}: {got:?}");
            assert!((got[1] - (-0.2 + 2e-4 * x)).abs() < 0.003, "{x} {y}: {got:?}");
        }
        assert!((0.5..0.75).contains(&inside), "{inside}");
    }

    #[test]
    fn samples_on_a_line_do_not_make_a_plane() {
        let on_a_line = |i: i32| Sample { x: i as f64, y: 2.0 * i as f64, values: [0.0, 0.0] };
        assert!(through(&(0..50).map(on_a_line).collect::<Vec<_>>(), [0.1; 2], [0.0, 0.0], 50.0, 3).is_none());
    }
}
