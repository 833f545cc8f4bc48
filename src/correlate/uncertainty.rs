//! The covariance of a least-squares match.
//!
//! Sandwich form Cov = H⁻¹ M H⁻¹. H is the symmetric part of Σ J_f J_gᵀ, the product of the two images' gradients, in
//! which the gradients of independent noise cancel (with Σ J_f J_fᵀ the sigma of noisy windows comes out far too
//! small). M = s² Σ J_f (ρ∗J_f)ᵀ, where s² is the window's residual variance and ρ the residual's autocorrelation,
//! estimated once for the scene: correlated change counts as fewer independent pixels.

use crate::field::Covariance;

/// Error of the interpolation that remains however low the noise, pixels.
pub const RESAMPLING_FLOOR: f64 = 5e-4;

/// What the sandwich needs from a window.
#[derive(Debug, Clone, Copy)]
pub struct Moments {
    /// Valid pixels; (Σw)²/Σw² where pixels have weights w.
    pub count: f64,
    /// Σw²/Σw, 1 for weights 0 and 1.
    pub weight: f64,
    /// Variance of the pre window.
    pub variance: f64,
    /// Zero-normalised correlation at the solution.
    pub correlation: f64,
    /// Σ w J_f J_fᵀ (xx, xy, yy), means removed.
    pub hessian: [f64; 3],
    /// sym Σ w J_f J_gᵀ, the post gradient scaled to the pre contrast.
    pub cross: [f64; 3],
    /// Σ w² J_f (ρ∗J_f)ᵀ.
    pub spread: [f64; 3],
}

/// The factors of the sandwich.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parts {
    /// H⁻¹ (xx, xy, yy).
    pub inverse: [f64; 3],
    /// Residual variance s².
    pub residual: f64,
    /// M / s².
    pub meat: [f64; 3],
}

/// Bread and meat; `None` when the window does not fix a displacement.
pub fn parts(m: &Moments) -> Option<Parts> {
    let dof = (m.count - 4.0).max(1.0);
    let residual = 2.0 * (1.0 - m.correlation).max(0.0) * m.variance * m.count / dof;
    let h = usable_hessian(m)?;
    let det = h[0] * h[2] - h[1] * h[1];
    let inverse = [h[2] / det, -h[1] / det, h[0] / det];
    // A residual correlation with strong negative lobes must not make M vanish.
    let floor = |spread: f64, plain: f64| spread.max(0.05 * m.weight * plain);
    let meat = [floor(m.spread[0], m.hessian[0]), m.spread[1], floor(m.spread[2], m.hessian[2])];
    Some(Parts { inverse, residual, meat })
}

/// Covariance in squared pixels; `None` when the window does not fix a displacement.
pub fn sandwich(m: &Moments) -> Option<Covariance> {
    let Parts { inverse, residual, meat } = parts(m)?;
    let [xx, xy, yy] = congruence(&inverse, &meat);
    let extra = RESAMPLING_FLOOR * RESAMPLING_FLOOR;
    let c = Covariance { xx: residual * xx + extra, xy: residual * xy, yy: residual * yy + extra };
    (c.xx.is_finite() && c.yy.is_finite() && c.xx > 0.0 && c.yy > 0.0).then_some(c)
}

/// The cross-gradient matrix, kept from collapsing in windows where it is itself mostly noise.
fn usable_hessian(m: &Moments) -> Option<[f64; 3]> {
    let plain_det = m.hessian[0] * m.hessian[2] - m.hessian[1] * m.hessian[1];
    if plain_det <= 0.0 {
        return None;
    }
    const LEAST: f64 = 0.04;
    let mut h = m.cross;
    h[0] = h[0].max(LEAST * m.hessian[0]);
    h[2] = h[2].max(LEAST * m.hessian[2]);
    let limit = 0.98 * (h[0] * h[2]).sqrt();
    h[1] = h[1].max(-limit).min(limit);
    Some(h)
}

/// A B A for symmetric 2 × 2 matrices (xx, xy, yy).
pub fn congruence(a: &[f64; 3], b: &[f64; 3]) -> [f64; 3] {
    let ab =
        [a[0] * b[0] + a[1] * b[1], a[0] * b[1] + a[1] * b[2], a[1] * b[0] + a[2] * b[1], a[1] * b[1] + a[2] * b[2]];
    [ab[0] * a[0] + ab[1] * a[1], ab[0] * a[1] + ab[1] * a[2], ab[2] * a[1] + ab[3] * a[2]]
}

/// Least share of the noise-free curvature that the curvature of a peak may have.
const LEAST_CURVATURE: f64 = 0.04;

/// K⁻¹ M K⁻¹ with K the `curvature` of a correlation peak, held from below by that without noise (`plain`), and M the
/// variance of its gradient (`meat`); all as (xx, xy, yy). `None` where that is no covariance.
pub fn of_peak(curvature: [f64; 3], plain: &[f64; 3], meat: &[f64; 3]) -> Option<Covariance> {
    let mut k = curvature;
    k[0] = k[0].max(LEAST_CURVATURE * plain[0]);
    k[2] = k[2].max(LEAST_CURVATURE * plain[2]);
    // Not `clamp`, which ends the run where the limit is no number.
    let limit = 0.98 * (k[0] * k[2]).sqrt();
    k[1] = k[1].max(-limit).min(limit);
    let det = k[0] * k[2] - k[1] * k[1];
    let [xx, xy, yy] = congruence(&[k[2] / det, -k[1] / det, k[0] / det], meat);
    let extra = RESAMPLING_FLOOR * RESAMPLING_FLOOR;
    let c = Covariance { xx: xx + extra, xy, yy: yy + extra };
    (c.xx.is_finite() && c.yy.is_finite() && c.xx > 0.0 && c.yy > 0.0).then_some(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_noise_gives_the_cramer_rao_bound() {
        // Cov = (s1² + s2²) G⁻¹ with G the gradient matrix; correlation 1 - s²/variance for equal noise in both.
        let m = Moments {
            count: 1024.0,
            weight: 1.0,
            variance: 1.0,
            correlation: 0.99,
            hessian: [400.0, 100.0, 300.0],
            cross: [400.0, 100.0, 300.0],
            spread: [400.0, 100.0, 300.0],
        };
        let c = sandwich(&m).unwrap();
        let det = 400.0 * 300.0 - 100.0 * 100.0;
        let want = 0.02 * 1024.0 / 1020.0 * 300.0 / det + RESAMPLING_FLOOR * RESAMPLING_FLOOR;
        assert!((c.xx / want - 1.0).abs() < 1e-12);
        assert!(c.xy < 0.0);
    }

    #[test]
    fn congruence_matches_the_matrix_product() {
        let (a, b) = ([2.0, 0.5, 1.0], [3.0, -1.0, 4.0]);
        let am = nalgebra::Matrix2::new(2.0, 0.5, 0.5, 1.0);
        let bm = nalgebra::Matrix2::new(3.0, -1.0, -1.0, 4.0);
        let want = am * bm * am;
        let got = congruence(&a, &b);
        assert!((got[0] - want[(0, 0)]).abs() < 1e-12);
        assert!((got[1] - want[(0, 1)]).abs() < 1e-12);
        assert!((got[2] - want[(1, 1)]).abs() < 1e-12);
    }
}
