//! Fits of one window: interpolated at the displacement found so far, until a correction is small, and judged.

use super::{CAPTURE, Frequency};
use crate::correlate::cut::Support;
use crate::correlate::phase::PhaseFit;
use crate::correlate::prepare::PreparedPost;
use crate::correlate::uncertainty::{RESAMPLING_FLOOR, congruence};
use crate::field::{Covariance, Measurement, PixelShift, Status};

/// A fit whose phases agree less than this with its plane is noise (0 random, 1 perfect).
const LEAST_AGREEMENT: f64 = 0.03;

impl Frequency<'_> {
    /// Fits and interpolates at the better displacement until a correction is small; `None` where the passes are not enough.
    #[inline(always)]
    pub(super) fn approach(
        &mut self,
        post: &PreparedPost,
        corner: (usize, usize),
        d: &mut PixelShift,
        support: Option<&Support>,
        passes: usize,
    ) -> Option<PhaseFit> {
        let near = self.limits.1;
        for _ in 0..passes {
            let fit = self.fit_at(post, corner, *d, support);
            if !fit.converged || fit.dx.hypot(fit.dy) > CAPTURE {
                return None;
            }
            (d.dx, d.dy) = (d.dx + fit.dx, d.dy + fit.dy);
            if fit.dx.hypot(fit.dy) <= near {
                return Some(fit);
            }
        }
        None
    }

    /// The robust fit of the pre window that is there and the post window interpolated at displacement `d`, on its own side.
    #[inline(always)]
    pub(super) fn fit_at(
        &mut self,
        post: &PreparedPost,
        corner: (usize, usize),
        d: PixelShift,
        support: Option<&Support>,
    ) -> PhaseFit {
        self.resample(post, corner, d);
        if let Some(own) = support {
            weigh(&mut self.last.post, &own.weights);
        }
        self.last.phases::<true>(&mut self.ffts);
        let last = &self.last;
        let plane = self.slopes.as_mut().map_or(&last.plane, |slopes| slopes.at(d));
        plane.fit(&last.re, &last.im, &last.weights, &mut self.scratch)
    }

    /// The post window interpolated at displacement `d`; invalid pixels, taken at the nearest pixel, stay zero.
    #[inline(always)]
    fn resample(&mut self, post: &PreparedPost, corner: (usize, usize), d: PixelShift) {
        let (w, h) = self.params.window;
        let c = &post.coefficients;
        let (tx, ty) = (c.taps(corner.0 as i64, d.dx), c.taps(corner.1 as i64, d.dy));
        let rows = c.rows(h);
        self.rows.resize(rows * w, 0.0);
        c.along_x(&tx, ty.first, rows, w, &mut self.rows);
        let invalid = post.invalid_in(corner, d, (w, h));
        for (y, out) in self.last.post.chunks_exact_mut(w).enumerate() {
            c.along_y(&ty.weights, &self.rows, y, w, out);
            if let Some(invalid) = &invalid {
                invalid.clear_row(y, out);
            }
        }
    }

    /// Status, quality and covariance of the last fit.
    pub(super) fn judge(&self, fit: &PhaseFit, d: PixelShift, shift: (i32, i32)) -> Measurement {
        let far = |v: f64, s: i32| (v - s as f64).abs() > CAPTURE;
        let agreement = 2.0 * fit.coherence - 1.0;
        if !fit.converged || far(d.dx, shift.0) || far(d.dy, shift.1) || agreement < LEAST_AGREEMENT {
            return Measurement::failed(Status::NoConvergence);
        }
        let h = fit.hessian;
        let det = h[0] * h[2] - h[1] * h[1];
        let inverse = [h[2] / det, -h[1] / det, h[0] / det];
        let [xx, xy, yy] = congruence(&inverse, &fit.meat);
        let floor = RESAMPLING_FLOOR * RESAMPLING_FLOOR;
        let covariance =
            Covariance { xx: self.overlap * xx + floor, xy: self.overlap * xy, yy: self.overlap * yy + floor };
        if !(det > 0.0 && covariance.xx.is_finite() && covariance.yy.is_finite()) {
            return Measurement::failed(Status::NoConvergence);
        }
        let quality = agreement.clamp(0.0, 1.0) as f32;
        Measurement { shift: d, covariance, quality, status: Status::Valid }
    }
}

/// Pixels that count less become smaller, as under the taper.
pub fn weigh(values: &mut [f32], weights: &[f32]) {
    values.iter_mut().zip(weights).for_each(|(v, w)| *v *= w);
}
