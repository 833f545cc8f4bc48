//! The smooth part of a displacement map: a quadratic surface, fitted so that outliers do not pull it.

use nalgebra::{DMatrix, DVector};

use crate::field::PixelShift;
use crate::robust::{self, MAD};

/// Terms of a quadratic surface: 1, u, v, u², uv, v², with u, v from -1 to 1 over the part.
const TERMS: usize = 6;

/// Two quadratic surfaces on a part of `size` pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quadratic {
    half: (f64, f64),
    dx: [f64; TERMS],
    dy: [f64; TERMS],
}

impl Quadratic {
    /// No displacement at all.
    pub fn zero(size: (usize, usize)) -> Quadratic {
        let half = |n: usize| (n as f64 - 1.0).max(1.0) / 2.0;
        Quadratic { half: (half(size.0), half(size.1)), dx: [0.0; TERMS], dy: [0.0; TERMS] }
    }

    /// The surfaces through displacements at points (x, y): least squares, reweighted by Tukey's biweight with a scale from
    /// the median (Beaton and Tukey 1974, Technometrics 16; Holland and Welsch 1977, Comm. Stat. A6). With fewer than
    /// ten points per term a constant, the median.
    pub fn fit(size: (usize, usize), points: &[((f64, f64), PixelShift)]) -> Quadratic {
        let mut fitted = Quadratic::zero(size);
        let rows: Vec<[f64; TERMS]> = points.iter().map(|(p, _)| fitted.terms(p.0, p.1)).collect();
        let component = |pick: fn(&PixelShift) -> f64| -> [f64; TERMS] {
            let values: Vec<f64> = points.iter().map(|(_, d)| pick(d)).collect();
            surface(&rows, &values)
        };
        fitted.dx = component(|d| d.dx);
        fitted.dy = component(|d| d.dy);
        fitted
    }

    pub fn at(&self, x: f64, y: f64) -> PixelShift {
        let t = self.terms(x, y);
        let sum = |c: &[f64; TERMS]| c.iter().zip(&t).map(|(c, t)| c * t).sum();
        PixelShift::new(sum(&self.dx), sum(&self.dy))
    }

    fn terms(&self, x: f64, y: f64) -> [f64; TERMS] {
        let (u, v) = (x / self.half.0 - 1.0, y / self.half.1 - 1.0);
        [1.0, u, v, u * u, u * v, v * v]
    }
}

/// Rounds of reweighting: enough for any start that is better than half right.
const ROUNDS: usize = 20;
/// Tukey's constant for 95 % efficiency with normal errors.
const TUKEY: f64 = 4.685;

fn surface(rows: &[[f64; TERMS]], values: &[f64]) -> [f64; TERMS] {
    let mut found = [0.0; TERMS];
    found[0] = median(values.to_vec());
    if values.len() < 10 * TERMS {
        return found;
    }
    for _ in 0..ROUNDS {
        let residuals: Vec<f64> =
            rows.iter().zip(values).map(|(r, v)| v - r.iter().zip(&found).map(|(a, b)| a * b).sum::<f64>()).collect();
        let scale = MAD * median(residuals.iter().map(|r| r.abs()).collect());
        let mut normal = DMatrix::<f64>::zeros(TERMS, TERMS);
        let mut right = DVector::<f64>::zeros(TERMS);
        for ((row, value), residual) in rows.iter().zip(values).zip(&residuals) {
            let r = residual / (TUKEY * scale).max(1e-12);
            let w = if r.abs() < 1.0 { (1.0 - r * r).powi(2) } else { 0.0 };
            for i in 0..TERMS {
                right[i] += w * row[i] * value;
                for j in 0..TERMS {
                    normal[(i, j)] += w * row[i] * row[j];
                }
            }
        }
        let Some(solution) = normal.cholesky().map(|c| c.solve(&right)) else { break };
        let change = found.iter().zip(solution.iter()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        found.iter_mut().zip(solution.iter()).for_each(|(f, s)| *f = *s);
        if change < 1e-9 {
            break;
        }
    }
    found
}

/// Median; 0 of nothing.
pub fn median(mut values: Vec<f64>) -> f64 {
    if values.is_empty() { 0.0 } else { robust::median(&mut values) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::random::{Purpose, normal, stream};

    #[test]
    fn outliers_do_not_pull_the_surface() {
        let mut rng = stream(3, Purpose::Sample);
        let truth = |x: f64, y: f64| PixelShift::new(0.3 + 0.001 * x - 2e-6 * y * y, -0.2 + 1e-6 * x * y);
        let mut points = Vec::new();
        for k in 0..2000 {
            let (x, y) = (f64::from(k % 50) * 8.0, f64::from(k / 50) * 8.0);
            let mut d = truth(x, y);
            d.dx += 0.02 * normal(&mut rng);
            d.dy += 0.02 * normal(&mut rng);
            // A third of the points, all on one side, say something else.
            if k % 50 < 17 {
                d.dx += 3.0;
            }
            points.push(((x, y), d));
        }
        let got = Quadratic::fit((400, 320), &points);
        for (x, y) in [(150.0, 10.0), (390.0, 310.0), (260.0, 160.0)] {
            let (g, t) = (got.at(x, y), truth(x, y));
            assert!((g.dx - t.dx).abs() < 0.01 && (g.dy - t.dy).abs() < 0.01, "{g:?} {t:?}");
        }
    }
}
