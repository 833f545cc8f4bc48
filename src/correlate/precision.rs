//! What precision a pair can give, before any matching: the standard deviation that least squares would reach.
//!
//! The covariance of a shift is H⁻¹ M H⁻¹ with H = Σ J Jᵀ of the undisturbed pre gradients J and M = σ² Σ J (ρ∗J)ᵀ, where
//! σ² and ρ are the variance and correlation of the change between the dates, measured once on sample windows of the
//! scene (Cramér-Rao bound for white noise; its least-squares form for coloured noise). The gradients that the noise
//! adds to the pre image are taken off H by their expectation.

use super::scene::Scene;
use super::{Method, Tile};
use crate::field::{Covariance, Measurement, PixelShift, Status};
use crate::pipeline::Params;

/// Noise gradients never take more than this share of a window's gradients away.
const MOST: f64 = 0.95;

/// One thread's view of the scene; needs no buffers.
pub struct Precision<'a> {
    params: &'a Params,
    scene: &'a Scene,
    /// Mean square gradient of the pre image's noise along x and y.
    noise_gradient: (f64, f64),
}

impl<'a> Precision<'a> {
    pub fn new(params: &'a Params, scene: &'a Scene) -> Self {
        // Half of the change is the pre image's.
        let own = 0.5 * scene.noise;
        let (x, y) = scene.residual_curvature();
        Precision { params, scene, noise_gradient: (own * x, own * y) }
    }

    /// The bound for one window: displacement zero, quality the signal's share of the variance.
    fn window(&self, tile: &Tile, cell: usize) -> Measurement {
        let (pre, (w, h)) = (tile.pre(), tile.windows.window);
        let corner = tile.windows.corner(cell);
        let weights = tile.cuts.and_then(|c| c.weights(corner, (w, h)));
        let mut n = 0.0;
        let mut sum = [0.0f64; 4];
        let mut square = 0.0;
        let mut products = [0.0f64; 3];
        let mut spread = [0.0f64; 3];
        for y in 0..h {
            for x in 0..w {
                let (u, v) = (corner.0 + x, corner.1 + y);
                if !pre.valid.get(u, v) || weights.as_ref().is_some_and(|k| k[y * w + x] < 0.5) {
                    continue;
                }
                let at = |g: &crate::grid::Grid<f32>| g.get(u, v) as f64;
                let (f, gx, gy) = (at(&pre.values), at(&pre.gradient[0]), at(&pre.gradient[1]));
                let (sx, sy) = (at(&pre.spread[0]), at(&pre.spread[1]));
                n += 1.0;
                for (total, value) in sum.iter_mut().zip([f, gx, gy, 1.0]) {
                    *total += value;
                }
                square += f * f;
                for (total, value) in products.iter_mut().zip([gx * gx, gx * gy, gy * gy]) {
                    *total += value;
                }
                for (total, value) in spread.iter_mut().zip([gx * sx, 0.5 * (gx * sy + gy * sx), gy * sy]) {
                    *total += value;
                }
            }
        }
        if n < self.params.min_valid * (w * h) as f64 || n < 8.0 {
            return Measurement::failed(Status::NoData);
        }
        let variance = square / n - (sum[0] / n).powi(2);
        if variance <= self.scene.min_variance {
            return Measurement::failed(Status::LowTexture);
        }
        let centred = |p: f64, a: f64, b: f64| p - a * b / n;
        let full = [
            centred(products[0], sum[1], sum[1]),
            centred(products[1], sum[1], sum[2]),
            centred(products[2], sum[2], sum[2]),
        ];
        let clean = |p: f64, noise: f64| (p - n * noise).max((1.0 - MOST) * p);
        let hessian = [clean(full[0], self.noise_gradient.0), full[1], clean(full[2], self.noise_gradient.1)];
        let det = hessian[0] * hessian[2] - hessian[1] * hessian[1];
        if det <= 1e-6 * (hessian[0] + hessian[2]).powi(2) {
            return Measurement::failed(Status::LowTexture);
        }
        let inverse = [hessian[2] / det, -hessian[1] / det, hessian[0] / det];
        let meat = spread.map(|s| s * self.scene.noise);
        let [xx, xy, yy] = super::uncertainty::congruence(&inverse, &meat);
        let floor = super::uncertainty::RESAMPLING_FLOOR.powi(2);
        let covariance = Covariance { xx: xx + floor, xy, yy: yy + floor };
        let quality = (1.0 - 0.5 * self.scene.noise / variance).clamp(0.0, 1.0) as f32;
        Measurement { shift: PixelShift::default(), covariance, quality, status: Status::Valid }
    }
}

impl Method for Precision<'_> {
    fn match_tile(&mut self, tile: &Tile) -> Vec<Measurement> {
        (0..tile.windows.len())
            .map(|cell| if tile.stopped() { Measurement::failed(Status::NoData) } else { self.window(tile, cell) })
            .collect()
    }
}
