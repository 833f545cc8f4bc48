//! Straight lines (or parabolas) through one side of a profile, robust, with the error of overlapping windows.
//!
//! The displacement is a polynomial of the distance across, plus a slope along strike: slip that grows along the fault
//! must not count as scatter. Values are weighted by their variance and by Tukey's biweight of the residual. Errors of cells whose matching windows
//! overlap are correlated: the share of the window that two cells have in common is taken as their correlation, and the
//! covariance of the coefficients follows from it, B M B with B = (X' W X)^-1 and M = sum w_i w_j s_i s_j rho_ij x_i x_j'.
//!
//! Reference: weights, Beaton and Tukey (1974), Technometrics 16, 147; covariance of weighted least squares with
//! correlated errors, White (1980), Econometrica 48, 817.

use std::collections::BTreeMap;

use nalgebra::{DMatrix, DVector};

use crate::robust::{self, MAD};

/// A value on one side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Value {
    /// Distance from the fault.
    pub d: f64,
    /// Position along strike, from the middle of the swath.
    pub a: f64,
    pub y: f64,
    /// Standard deviation, above 0.
    pub sigma: f64,
    /// Column and row of the cell: what overlaps what.
    pub cell: (i64, i64),
}

/// Sizes of the matching windows in cells: the range over which errors are correlated.
pub type Overlap = (f64, f64);

/// A fit: y = c0 + c1 d + ... on the swath's axis.
#[derive(Debug, Clone)]
pub struct SideFit {
    pub coefficients: Vec<f64>,
    /// Variance of c0 for errors of the given sigma.
    pub variance: f64,
    /// Sum of robustly weighted squared residuals over sigma, and what is expected of it when sigma is right.
    pub squares: f64,
    pub expected: f64,
    /// Robust weight of each value, 0 to 1, and its residual over sigma.
    pub weights: Vec<f64>,
    pub residuals: Vec<f64>,
}

/// Tukey's constant for 95 % efficiency, and the share of a normal variable's variance that its weights leave:
/// E[u z^2] / E[u] for u = (1 - (z/c)^2)^2.
const TUKEY: f64 = 4.685;
const LEFT: f64 = 0.828;
const ROUNDS: usize = 12;
/// Spread of the residuals, in sigma, below which the values lie on the curve.
const EXACT: f64 = 1e-6;

impl SideFit {
    pub fn at(&self, d: f64) -> f64 {
        self.coefficients.iter().rev().fold(0.0, |sum, c| sum * d + c)
    }
}

/// Fits a polynomial of the given degree; `None` with fewer than twice as many values as coefficients, or when the
/// distances do not determine it.
pub fn fit(values: &[Value], degree: usize, overlap: Overlap) -> Option<SideFit> {
    // A swath one cell wide has no slope along strike.
    let (low, high) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |m, v| (m.0.min(v.a), m.1.max(v.a)));
    let sloped = high - low > 1e-9 * low.abs().max(high.abs());
    let k = degree + 1 + usize::from(sloped);
    if values.len() < 2 * k {
        return None;
    }
    let scale = values.iter().fold(0.0f64, |m, v| m.max(v.d.abs()));
    let row = |v: &Value| {
        let power = |i: usize| if i > degree { v.a / scale } else { (v.d / scale).powi(i as i32) };
        DVector::from_fn(k, |i, _| power(i))
    };
    let rows: Vec<DVector<f64>> = values.iter().map(row).collect();
    let mut weights = vec![1.0; values.len()];
    let mut residuals = vec![0.0; values.len()];
    let (mut beta, mut bread) = (DVector::zeros(k), DMatrix::zeros(k, k));
    for round in 0..ROUNDS {
        let (mut normal, mut right) = (DMatrix::zeros(k, k), DVector::zeros(k));
        for ((v, x), u) in values.iter().zip(&rows).zip(&weights) {
            let w = u / (v.sigma * v.sigma);
            normal.ger(w, x, x, 1.0);
            right.axpy(w * v.y, x, 1.0);
        }
        let size = normal.trace();
        bread = normal.clone().cholesky()?.inverse();
        // Distances that are all nearly the same leave the slope open.
        if bread.trace() * size > 1e10 {
            return None;
        }
        let new = &bread * right;
        let change = (&new - &beta).amax();
        beta = new;
        for ((r, v), x) in residuals.iter_mut().zip(values).zip(&rows) {
            *r = (v.y - x.dot(&beta)) / v.sigma;
        }
        if round > 0 && change <= 1e-10 * beta.amax() {
            break;
        }
        // About zero: while outliers still pull the curve, the residuals' own middle is off.
        let spread = MAD * median(residuals.iter().map(|r| r.abs()).collect())?;
        // Residuals of nothing but rounding tell no outliers.
        if spread <= EXACT {
            break;
        }
        for (u, r) in weights.iter_mut().zip(&residuals) {
            let t = r / (TUKEY * spread);
            *u = if t.abs() < 1.0 { (1.0 - t * t).powi(2) } else { 0.0 };
        }
    }
    let meat = meat(values, &rows, &weights, overlap, k);
    let covariance = &bread * &meat * &bread;
    let total: f64 = weights.iter().sum();
    // What the fit itself takes out of the residuals.
    let taken = (&bread * &meat).trace();
    Some(SideFit {
        variance: covariance[(0, 0)],
        squares: weights.iter().zip(&residuals).map(|(u, r)| u * r * r).sum(),
        expected: LEFT * (total - taken).max(0.0),
        coefficients: beta.iter().take(degree + 1).enumerate().map(|(i, b)| b / scale.powi(i as i32)).collect(),
        weights,
        residuals,
    })
}

/// Cells are taken together in blocks when a window spans more than this many.
const LAGS: f64 = 12.0;

/// Sum over all pairs of w_i s_i x_i rho_ij x_j' s_j w_j.
fn meat(values: &[Value], rows: &[DVector<f64>], weights: &[f64], overlap: Overlap, k: usize) -> DMatrix<f64> {
    let block = ((overlap.0 / LAGS).ceil().max(1.0) as i64, (overlap.1 / LAGS).ceil().max(1.0) as i64);
    let span = (overlap.0 / block.0 as f64, overlap.1 / block.1 as f64);
    let mut sums: BTreeMap<(i64, i64), DVector<f64>> = BTreeMap::new();
    for ((v, x), u) in values.iter().zip(rows).zip(weights) {
        let key = (v.cell.1.div_euclid(block.1), v.cell.0.div_euclid(block.0));
        sums.entry(key).or_insert_with(|| DVector::zeros(k)).axpy(u / v.sigma, x, 1.0);
    }
    let (Some(first), Some(last)) = (sums.keys().next(), sums.keys().next_back()) else { return DMatrix::zeros(k, k) };
    let (top, bottom) = (first.0, last.0);
    let left = sums.keys().map(|c| c.1).min().unwrap_or(0);
    let right = sums.keys().map(|c| c.1).max().unwrap_or(0);
    let (width, height) = ((right - left + 1) as usize, (bottom - top + 1) as usize);
    let mut grid: Vec<Option<&DVector<f64>>> = vec![None; width * height];
    for ((r, c), g) in &sums {
        grid[(r - top) as usize * width + (c - left) as usize] = Some(g);
    }
    let (reach_x, reach_y) = (span.0.ceil() as i64, span.1.ceil() as i64);
    let share = |lag: i64, span: f64| (1.0 - lag.abs() as f64 / span.max(1e-9)).max(0.0);
    let mut out = DMatrix::zeros(k, k);
    for (&(r, c), g) in &sums {
        // Everything that is correlated with this block, itself included.
        let mut with = g.clone();
        for dr in -reach_y..=reach_y {
            for dc in -reach_x..=reach_x {
                let (y, x) = (r + dr - top, c + dc - left);
                if (dr, dc) == (0, 0) || y < 0 || x < 0 || y >= height as i64 || x >= width as i64 {
                    continue;
                }
                let rho = share(dr, span.1) * share(dc, span.0);
                if rho > 0.0
                    && let Some(other) = grid[y as usize * width + x as usize]
                {
                    with.axpy(rho, other, 1.0);
                }
            }
        }
        out.ger(1.0, g, &with, 1.0);
    }
    out
}

/// 1.4826 times the median distance from the median.
pub fn nmad(values: &[f64]) -> f64 {
    let Some(centre) = median(values.to_vec()) else { return 0.0 };
    MAD * median(values.iter().map(|v| (v - centre).abs()).collect()).unwrap_or(0.0)
}

/// The middle value, or the mean of the two in the middle.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    Some(robust::median(&mut values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::random::{Purpose, normal, numbered};

    fn line(n: usize, noise: &dyn Fn(usize) -> f64) -> Vec<Value> {
        let value = |i: usize| Value {
            d: 1.0 + i as f64,
            a: 0.0,
            y: 2.0 - 0.01 * i as f64 + noise(i),
            sigma: 0.5,
            cell: (i as i64, 0),
        };
        (0..n).map(value).collect()
    }

    #[test]
    fn a_line_is_found_and_outliers_do_not_pull_it() {
        let wobble = |i: usize| if i.is_multiple_of(2) { 0.02 } else { -0.02 };
        let noise = |i: usize| if i % 9 == 4 { 5.0 } else { wobble(i) };
        let got = fit(&line(60, &noise), 1, (1.0, 1.0)).unwrap();
        assert!(
            (got.at(0.0) - 2.01).abs() < 0.01 && (got.coefficients[1] + 0.01).abs() < 5e-4,
            "{:?}",
            got.coefficients
        );
        assert!(got.weights[4] == 0.0 && got.weights[5] > 0.9);
        assert!(fit(&line(3, &wobble), 1, (1.0, 1.0)).is_none());
        let flat: Vec<Value> = line(20, &wobble).into_iter().map(|v| Value { d: 3.0, ..v }).collect();
        assert!(fit(&flat, 1, (1.0, 1.0)).is_none(), "one distance does not make a slope");
    }

    #[test]
    fn independent_values_have_the_textbook_variance() {
        let got = fit(&line(40, &|_| 0.0), 1, (1.0, 1.0)).unwrap();
        let mean = 20.5;
        let sxx: f64 = (1..=40).map(|d| (f64::from(d) - mean).powi(2)).sum();
        assert!((got.variance / (0.25 * (1.0 / 40.0 + mean * mean / sxx)) - 1.0).abs() < 1e-6);
    }

    /// Moving averages of white noise are correlated as overlapping windows are: the stated variance and the pooled
    /// scale must hold for them.
    #[test]
    fn sigma_holds_for_overlapping_windows() {
        let (n, w) = (40, 8);
        let (mut z2, mut squares, mut expected) = (0.0, 0.0, 0.0);
        let trials = 600;
        for trial in 0..trials {
            let mut rng = numbered(7, Purpose::NoisePre, trial);
            let white: Vec<f64> = (0..n + w).map(|_| normal(&mut rng)).collect();
            let smooth = |i: usize| white[i..i + w].iter().sum::<f64>() / (w as f64).sqrt() * 0.5;
            let got = fit(&line(n, &smooth), 1, (w as f64, 1.0)).unwrap();
            let truth = 2.0 + 0.01;
            z2 += (got.at(0.0) - truth).powi(2) / got.variance / trials as f64;
            squares += got.squares;
            expected += got.expected;
        }
        assert!((z2.sqrt() - 1.0).abs() < 0.15, "z {}", z2.sqrt());
        let scale = (squares / expected).sqrt();
        assert!((scale - 1.0).abs() < 0.12, "scale {scale}");
    }
}
