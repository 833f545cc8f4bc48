//! Numbers that describe a set of errors.

use serde::Serialize;

/// Errors (estimate minus truth) of one component.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ErrorStats {
    pub n: usize,
    /// Mean of the absolute errors.
    pub mae: f64,
    /// Root of the mean square.
    pub rmse: f64,
    /// Mean error.
    pub bias: f64,
    pub median: f64,
    /// 1.4826 × the median distance from the median: the standard deviation that outliers do not touch.
    pub nmad: f64,
    /// Quantiles of the absolute errors.
    pub p50: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    /// Share of absolute errors above the outlier limit.
    pub outliers: f64,
}

/// How errors compare with the standard deviations that came with the estimates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Calibration {
    pub n: usize,
    /// Mean and standard deviation of z = error / sigma; 0 and 1 when sigma is right.
    pub mean: f64,
    pub std: f64,
    /// 1.4826 × the median distance of z from its median.
    pub robust_std: f64,
    /// Share of errors within 1 sigma; 0.683 when sigma is right and errors are normal.
    pub within_68: f64,
    /// Share within 1.96 sigma; 0.95 when right.
    pub within_95: f64,
}

/// Factor from the median absolute deviation to the standard deviation of normal errors.
const NORMAL: f64 = 1.4826;

impl ErrorStats {
    /// `None` for an empty set. `outlier` is the limit above which an absolute error counts as an outlier.
    pub fn of(errors: &[f64], outlier: f64) -> Option<ErrorStats> {
        if errors.is_empty() {
            return None;
        }
        let n = errors.len() as f64;
        let mut absolute: Vec<f64> = errors.iter().map(|e| e.abs()).collect();
        absolute.sort_by(f64::total_cmp);
        let (median, nmad) = median_and_nmad(errors);
        Some(ErrorStats {
            n: errors.len(),
            mae: absolute.iter().sum::<f64>() / n,
            rmse: (errors.iter().map(|e| e * e).sum::<f64>() / n).sqrt(),
            bias: errors.iter().sum::<f64>() / n,
            median,
            nmad,
            p50: quantile(&absolute, 0.50),
            p90: quantile(&absolute, 0.90),
            p95: quantile(&absolute, 0.95),
            p99: quantile(&absolute, 0.99),
            outliers: absolute.iter().filter(|e| **e > outlier).count() as f64 / n,
        })
    }
}

impl Calibration {
    /// From errors and their standard deviations; pairs with a sigma that is not above 0 are left out.
    pub fn of(errors: &[f64], sigmas: &[f64]) -> Option<Calibration> {
        let z: Vec<f64> = errors.iter().zip(sigmas).filter(|(_, s)| **s > 0.0).map(|(e, s)| e / s).collect();
        if z.is_empty() {
            return None;
        }
        let n = z.len() as f64;
        let mean = z.iter().sum::<f64>() / n;
        let within = |limit: f64| z.iter().filter(|v| v.abs() <= limit).count() as f64 / n;
        Some(Calibration {
            n: z.len(),
            mean,
            std: (z.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt(),
            robust_std: median_and_nmad(&z).1,
            within_68: within(1.0),
            within_95: within(1.96),
        })
    }
}

/// Median and 1.4826 × the median absolute deviation from it.
fn median_and_nmad(values: &[f64]) -> (f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let median = quantile(&sorted, 0.5);
    let mut deviations: Vec<f64> = values.iter().map(|v| (v - median).abs()).collect();
    deviations.sort_by(f64::total_cmp);
    (median, NORMAL * quantile(&deviations, 0.5))
}

/// Quantile of sorted values, linear between them (Hyndman and Fan 1996, type 7).
fn quantile(sorted: &[f64], p: f64) -> f64 {
    let position = p * (sorted.len() - 1) as f64;
    let i = (position as usize).min(sorted.len() - 1);
    let next = sorted[(i + 1).min(sorted.len() - 1)];
    sorted[i] + (position - i as f64) * (next - sorted[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-12, "{a} is not {b}");
    }

    #[test]
    fn five_errors_by_hand() {
        // Errors 0.1, -0.2, 0.3, 0, 0.8. Sum 1.0, absolute sum 1.4, squares 0.01 + 0.04 + 0.09 + 0.64 = 0.78.
        let s = ErrorStats::of(&[0.1, -0.2, 0.3, 0.0, 0.8], 0.5).unwrap();
        assert_eq!(s.n, 5);
        close(s.mae, 0.28);
        close(s.rmse, 0.156f64.sqrt());
        close(s.bias, 0.2);
        close(s.median, 0.1);
        // Distances from 0.1: 0, 0.3, 0.2, 0.1, 0.7; their median is 0.2.
        close(s.nmad, 1.4826 * 0.2);
        // Absolute errors sorted: 0, 0.1, 0.2, 0.3, 0.8.
        close(s.p50, 0.2);
        close(s.p90, 0.3 + 0.6 * 0.5);
        close(s.p95, 0.3 + 0.8 * 0.5);
        close(s.p99, 0.3 + 0.96 * 0.5);
        close(s.outliers, 0.2);
        assert!(ErrorStats::of(&[], 0.5).is_none());
    }

    #[test]
    fn four_z_scores_by_hand() {
        // z = 1, -2, 0, 0.5 (a sigma of 0 says nothing).
        let c = Calibration::of(&[0.1, -0.4, 0.0, 0.05, 9.0], &[0.1, 0.2, 0.3, 0.1, 0.0]).unwrap();
        assert_eq!(c.n, 4);
        close(c.mean, -0.125);
        close(c.std, ((1.125f64.powi(2) + 1.875f64.powi(2) + 0.125f64.powi(2) + 0.625f64.powi(2)) / 4.0).sqrt());
        // Median 0.25, distances 0.75, 2.25, 0.25, 0.25: median 0.5.
        close(c.robust_std, 1.4826 * 0.5);
        close(c.within_68, 0.75);
        close(c.within_95, 0.75);
    }
}
