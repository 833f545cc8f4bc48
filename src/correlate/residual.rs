//! Autocorrelation of the matching residual, pooled over windows of the scene.

use super::prefilter::Kernel;
use crate::grid::Grid;

/// Sums of r(x)·r(x + lag) over windows, each window scaled to unit variance.
#[derive(Debug, Clone)]
pub struct ResidualCorrelation {
    radius: usize,
    sums: Vec<f64>,
    counts: Vec<f64>,
    pub windows: usize,
}

impl ResidualCorrelation {
    /// Lags up to `radius` pixels on both axes.
    pub fn new(radius: usize) -> Self {
        let n = (radius + 1) * (2 * radius + 1);
        ResidualCorrelation { radius, sums: vec![0.0; n], counts: vec![0.0; n], windows: 0 }
    }

    /// Adds a window's residual (row-major, `width` columns, zero where invalid) of the given variance.
    pub fn add(&mut self, residual: &[f32], width: usize, variance: f64) {
        let height = residual.len() / width;
        let r = self.radius;
        if variance <= 0.0 || width <= 2 * r || height <= 2 * r {
            return;
        }
        for ly in 0..=r {
            for lx in 0..=2 * r {
                let shift = lx as isize - r as isize;
                let (x0, x1) = ((-shift).max(0) as usize, (width as isize - shift.max(0)) as usize);
                let mut sum = 0.0f64;
                for y in 0..height - ly {
                    let a = &residual[y * width + x0..y * width + x1];
                    let b0 = ((y + ly) * width + x0).wrapping_add_signed(shift);
                    let b = &residual[b0..b0 + a.len()];
                    sum += a.iter().zip(b).map(|(p, q)| p * q).sum::<f32>() as f64;
                }
                let k = ly * (2 * r + 1) + lx;
                self.sums[k] += sum / variance;
                self.counts[k] += ((x1 - x0) * (height - ly)) as f64;
            }
        }
        self.windows += 1;
    }

    pub fn merge(&mut self, other: &ResidualCorrelation) {
        for (a, b) in self.sums.iter_mut().zip(&other.sums) {
            *a += b;
        }
        for (a, b) in self.counts.iter_mut().zip(&other.counts) {
            *a += b;
        }
        self.windows += other.windows;
    }

    /// Σρ² over all lags, at least 1: how many pixels are worth one.
    pub fn squares(&self) -> f64 {
        self.kernel().weights.data.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().max(1.0)
    }

    /// The normalised autocorrelation, faded to zero at the largest lag; a delta when nothing was added.
    pub fn kernel(&self) -> Kernel {
        let r = self.radius as isize;
        let at = |lx: isize, ly: isize| {
            // ρ(-lag) = ρ(lag): only half of the lags is stored.
            let (lx, ly) = if ly < 0 || (ly == 0 && lx < 0) { (-lx, -ly) } else { (lx, ly) };
            let k = (ly * (2 * r + 1) + lx + r) as usize;
            if self.counts[k] > 0.0 { self.sums[k] / self.counts[k] } else { 0.0 }
        };
        let zero = at(0, 0);
        let side = (2 * r + 1) as usize;
        let weights = Grid::from_fn(side, side, |x, y| {
            let (lx, ly) = (x as isize - r, y as isize - r);
            if lx == 0 && ly == 0 {
                return 1.0;
            }
            if zero <= 0.0 {
                return 0.0;
            }
            let distance = (lx as f64).hypot(ly as f64) / (r as f64 + 1.0);
            let fade = if distance >= 1.0 { 0.0 } else { 0.5 + 0.5 * (std::f64::consts::PI * distance).cos() };
            (at(lx, ly) / zero * fade) as f32
        });
        Kernel { weights, reach: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moving_average_of_white_noise_has_its_triangle_correlation() {
        let mut c = ResidualCorrelation::new(4);
        let mut state = 1u32;
        for _ in 0..40 {
            let white: Vec<f32> = (0..48 * 48)
                .map(|_| {
                    state = state.wrapping_mul(1664525).wrapping_add(1013904223);
                    (state >> 8) as f32 / (1 << 24) as f32 - 0.5
                })
                .collect();
            // Mean of two neighbours along x: ρ(±1, 0) = 1/2.
            let r: Vec<f32> =
                (0..48 * 47).map(|k| white[k / 47 * 48 + k % 47] + white[k / 47 * 48 + k % 47 + 1]).collect();
            let variance = r.iter().map(|v| (v * v) as f64).sum::<f64>() / r.len() as f64;
            c.add(&r, 47, variance);
        }
        let k = c.kernel();
        let fade = |d: f64| 0.5 + 0.5 * (std::f64::consts::PI * d / 5.0).cos();
        assert!((k.weights.get(5, 4) as f64 - 0.5 * fade(1.0)).abs() < 0.02);
        assert!((k.weights.get(3, 4) as f64 - 0.5 * fade(1.0)).abs() < 0.02);
        assert!(k.weights.get(4, 5).abs() < 0.02 && k.weights.get(4, 4) == 1.0);
    }
}
