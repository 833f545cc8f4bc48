//! A matching window of the pre image: its weights, the basis images of the regression and the normal matrix.
//!
//! Weights are the product of the taper, of what the caller gives (visibility, similarity) and of validity. All sums of
//! the normal equations carry a weight w, those of the variance of the estimate w² (the covariance of a weighted
//! least-squares estimate, e.g. Seber & Lee 2003, section 3.10).

use super::lanes::{self, LANES};
use super::prepare::{PreparedPost, PreparedPre};
use super::taper::{Taper, effective_samples};
use crate::field::Status;

/// Limits for a window to count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Least share of valid pixels; of the effective number of samples (Σw)²/Σw² where pixels have weights.
    pub min_valid: f64,
    /// Variance of the prefiltered image below which a window has no texture.
    pub min_variance: f64,
}

/// Buffers for windows of one size, one per thread.
pub struct LsmWindow {
    pub(super) window: (usize, usize),
    /// Window width rounded up to whole vectors.
    pub(super) padded: usize,
    taper: Option<Vec<f32>>,
    /// Effective number of samples of a whole window.
    whole: f64,
    /// Weights, rows of `padded`.
    pub(super) mask: Vec<f32>,
    /// Weights times (f, f_x, f_y), their weighted means removed.
    pub(super) basis: [Vec<f32>; 3],
    /// The weighted means of f, f_x, f_y.
    pub(super) means: [f32; 3],
    pub(super) rows: Vec<f32>,
    pub(super) rows_slope: Vec<f32>,
    pub(super) line: [Vec<f32>; 3],
    pub(super) normal: nalgebra::Matrix3<f64>,
    pub(super) inverse: nalgebra::Matrix3<f64>,
    /// Σ w, Σ w².
    pub(super) count: f64,
    pub(super) squares: f64,
    /// Σ w² J·(ρ∗J)ᵀ (xx, xy, yy).
    pub(super) spread: [f64; 3],
}

impl LsmWindow {
    pub fn new(window: (usize, usize)) -> Self {
        Self::tapered(window, Taper::Box)
    }

    /// Windows whose pixels have the weights of `taper`.
    pub fn tapered(window: (usize, usize), taper: Taper) -> Self {
        let padded = window.0.div_ceil(LANES) * LANES;
        let plane = || vec![0.0; padded * window.1];
        let taper = taper.weights(window);
        let whole = taper.as_deref().map_or((window.0 * window.1) as f64, effective_samples);
        LsmWindow {
            window,
            padded,
            taper,
            whole,
            mask: plane(),
            basis: [plane(), plane(), plane()],
            means: [0.0; 3],
            rows: Vec::new(),
            rows_slope: Vec::new(),
            line: [vec![0.0; padded], vec![0.0; padded], vec![0.0; padded]],
            normal: nalgebra::Matrix3::zeros(),
            inverse: nalgebra::Matrix3::zeros(),
            count: 0.0,
            squares: 0.0,
            spread: [0.0; 3],
        }
    }

    /// Loads the window at tile pixel `corner`, with the mask that applies at whole-pixel shift `shift`, and makes the
    /// normal matrix. `weights` (0 to 1, the window row by row) multiply taper and validity.
    pub fn load(
        &mut self,
        pre: &PreparedPre,
        post: &PreparedPost,
        corner: (usize, usize),
        shift: (i32, i32),
        weights: Option<&[f32]>,
        limits: &Limits,
    ) -> Result<(), Status> {
        lanes::vectors(
            #[inline(always)]
            || self.load_inlined(pre, post, corner, shift, weights, limits),
        )
    }

    #[inline(always)]
    fn load_inlined(
        &mut self,
        pre: &PreparedPre,
        post: &PreparedPost,
        corner: (usize, usize),
        shift: (i32, i32),
        weights: Option<&[f32]>,
        limits: &Limits,
    ) -> Result<(), Status> {
        let plain = self.load_mask(pre, post, corner, shift, weights);
        let effective = self.effective();
        if !(effective >= limits.min_valid * self.whole && effective >= 8.0) {
            return Err(Status::NoData);
        }
        let (w, h) = self.window;
        let sources = [&pre.values, &pre.gradient[0], &pre.gradient[1]];
        for ((basis, source), mean) in self.basis.iter_mut().zip(sources).zip(&mut self.means) {
            let mut sum = [0.0f32; LANES];
            for y in 0..h {
                let row = y * self.padded..(y + 1) * self.padded;
                let (mask, out) = (&self.mask[row.clone()], &mut basis[row]);
                let from = &source.row(corner.1 + y)[corner.0..corner.0 + w];
                for i in 0..w {
                    out[i] = from[i] * mask[i];
                }
                lanes::add(&mut sum, out);
            }
            *mean = (lanes::total(&sum) / self.count) as f32;
            for (v, m) in basis.iter_mut().zip(&self.mask) {
                *v -= *mean * m;
            }
        }
        let products = if plain { self.plain_sums(pre, corner) } else { self.weighted_sums(pre, corner) };
        let [ff, fx, fy, xx, xy, yy] = products;
        self.normal = nalgebra::Matrix3::new(ff, fx, fy, fx, xx, xy, fy, xy, yy);
        if ff <= limits.min_variance * self.count {
            return Err(Status::LowTexture);
        }
        // Texture along one direction only leaves the other component free.
        let (trace, det) = (xx + yy, xx * yy - xy * xy);
        if det <= 1e-6 * trace * trace {
            return Err(Status::LowTexture);
        }
        self.inverse = self.normal.try_inverse().ok_or(Status::LowTexture)?;
        Ok(())
    }

    /// Fills the plane of weights and their sums; true when all are 0 or 1.
    #[inline(always)]
    fn load_mask(
        &mut self,
        pre: &PreparedPre,
        post: &PreparedPost,
        corner: (usize, usize),
        shift: (i32, i32),
        weights: Option<&[f32]>,
    ) -> bool {
        let (w, h) = self.window;
        let total = (w * h) as f64;
        let at = |c: usize, s: i32| c as i64 + post.search as i64 + s as i64;
        let masked = pre.counts.count(corner.0 as i64, corner.1 as i64, (w, h)) < w * h
            || post.counts.count(at(corner.0, shift.0), at(corner.1, shift.1), (w, h)) < w * h;
        for y in 0..h {
            let out = &mut self.mask[y * self.padded..y * self.padded + w];
            if masked {
                let a = &pre.valid.row(corner.1 + y)[corner.0..corner.0 + w];
                let py = (corner.1 + y + post.search).wrapping_add_signed(shift.1 as isize);
                let px = (corner.0 + post.search).wrapping_add_signed(shift.0 as isize);
                let b = &post.valid.row(py)[px..px + w];
                for i in 0..w {
                    out[i] = if a[i] & b[i] { 1.0 } else { 0.0 };
                }
            } else {
                out.fill(1.0);
            }
        }
        if self.taper.is_none() && weights.is_none() {
            self.count = if masked { self.mask.iter().map(|&m| m as f64).sum() } else { total };
            self.squares = self.count;
            return true;
        }
        for plane in [self.taper.as_deref(), weights].into_iter().flatten() {
            for (out, from) in self.mask.chunks_exact_mut(self.padded).zip(plane.chunks_exact(w)) {
                out.iter_mut().zip(from).for_each(|(m, v)| *m *= v);
            }
        }
        self.count = self.mask.iter().map(|&m| m as f64).sum();
        self.squares = self.mask.iter().map(|&m| (m as f64).powi(2)).sum();
        self.mask.iter().all(|&m| m == 0.0 || m == 1.0)
    }

    /// The products of the basis images, for weights 0 and 1, whose squares are themselves.
    #[inline(always)]
    fn plain_sums(&mut self, pre: &PreparedPre, corner: (usize, usize)) -> [f64; 6] {
        let (w, h) = self.window;
        let mut products = [[0.0f32; LANES]; 6];
        let mut spread = [[0.0f32; LANES]; 3];
        let [f, gx, gy] = &self.basis;
        for y in 0..h {
            let row = y * self.padded..(y + 1) * self.padded;
            let (f, gx, gy) = (&f[row.clone()], &gx[row.clone()], &gy[row]);
            lanes::add_products(&mut products[0], f, f);
            lanes::add_products(&mut products[1], f, gx);
            lanes::add_products(&mut products[2], f, gy);
            lanes::add_products(&mut products[3], gx, gx);
            lanes::add_products(&mut products[4], gx, gy);
            lanes::add_products(&mut products[5], gy, gy);
            let sx = &pre.spread[0].row(corner.1 + y)[corner.0..corner.0 + w];
            let sy = &pre.spread[1].row(corner.1 + y)[corner.0..corner.0 + w];
            lanes::add_products(&mut spread[0], &gx[..w], sx);
            lanes::add_products(&mut spread[1], &gx[..w], sy);
            lanes::add_products(&mut spread[2], &gy[..w], sy);
        }
        self.spread = spread.map(|l| lanes::total(&l));
        products.map(|l| lanes::total(&l))
    }

    /// The same for any weights: Σ w in the normal matrix, Σ w² in the spread.
    #[inline(always)]
    fn weighted_sums(&mut self, pre: &PreparedPre, corner: (usize, usize)) -> [f64; 6] {
        let (w, h) = self.window;
        let mut products = [[0.0f32; LANES]; 6];
        let mut spread = [[0.0f32; LANES]; 3];
        let [mf, mx, my] = self.means;
        for y in 0..h {
            let row = y * self.padded..y * self.padded + w;
            let [f, gx, gy] = [0, 1, 2].map(|k: usize| &self.basis[k][row.clone()]);
            let columns = corner.0..corner.0 + w;
            let raw_f = &pre.values.row(corner.1 + y)[columns.clone()];
            let raw_x = &pre.gradient[0].row(corner.1 + y)[columns.clone()];
            let raw_y = &pre.gradient[1].row(corner.1 + y)[columns.clone()];
            lanes::add_centred(&mut products[0], f, raw_f, mf);
            lanes::add_centred(&mut products[1], f, raw_x, mx);
            lanes::add_centred(&mut products[2], f, raw_y, my);
            lanes::add_centred(&mut products[3], gx, raw_x, mx);
            lanes::add_centred(&mut products[4], gx, raw_y, my);
            lanes::add_centred(&mut products[5], gy, raw_y, my);
            let mask = &self.mask[row];
            let sx = &pre.spread[0].row(corner.1 + y)[columns.clone()];
            let sy = &pre.spread[1].row(corner.1 + y)[columns];
            lanes::add_products3(&mut spread[0], gx, mask, sx);
            lanes::add_products3(&mut spread[1], gx, mask, sy);
            lanes::add_products3(&mut spread[2], gy, mask, sy);
        }
        self.spread = spread.map(|l| lanes::total(&l));
        products.map(|l| lanes::total(&l))
    }

    /// All pixels of a window have the same weight, unless the caller gives others.
    pub fn is_plain(&self) -> bool {
        self.taper.is_none()
    }

    /// Effective number of samples of a window without invalid pixels or weights of the caller.
    pub fn whole(&self) -> f64 {
        self.whole
    }

    /// `limits` for a window that is meant to be as small as `weights` make it: the share of valid pixels counts
    /// within them.
    pub fn limits_on(&self, limits: &Limits, weights: &[f32]) -> Limits {
        let all: Vec<f32> = (0..weights.len()).map(|k| self.nominal(k, Some(weights))).collect();
        let share = effective_samples(&all) / self.whole;
        Limits { min_valid: limits.min_valid * share.min(1.0), ..*limits }
    }

    /// What pixel `k` of the window weighs if it is valid.
    #[inline(always)]
    pub fn nominal(&self, k: usize, weights: Option<&[f32]>) -> f32 {
        self.taper.as_deref().map_or(1.0, |t| t[k]) * weights.map_or(1.0, |w| w[k])
    }

    /// Number of equally weighted pixels that are worth as much as the loaded window.
    pub fn effective(&self) -> f64 {
        if self.squares > 0.0 { self.count * self.count / self.squares } else { 0.0 }
    }

    /// Variance of the loaded pre window.
    pub fn variance(&self) -> f64 {
        self.normal[(0, 0)] / self.count
    }
}

#[cfg(test)]
mod tests {
    use super::super::interp::Spline;
    use super::super::prefilter::Kernel;
    use super::super::prepare::{PAD, Parts, Preparer, Recipe, SPLINE_MARGIN};
    use super::*;
    use crate::grid::{Grid, Image};

    const LIMITS: Limits = Limits { min_valid: 0.2, min_variance: 0.0 };

    fn pair(invalid: bool) -> (PreparedPre, PreparedPost) {
        let image = |margin: usize| {
            let value = |x: usize, y: usize| {
                let (x, y) = (x as f64 - margin as f64, y as f64 - margin as f64);
                (100.0 + 3.0 * (0.5 * x + 0.1 * y).sin() + 2.0 * (0.3 * y - 0.7 * x).cos() + (1.1 * y).sin()) as f32
            };
            let mut image = Image::from_values(Grid::from_fn(64 + 2 * margin, 60 + 2 * margin, value));
            if invalid {
                image.valid.set(margin + 12, margin + 14, false);
            }
            image
        };
        let delta = Kernel { weights: Grid::filled(1, 1, 1.0), reach: 0 };
        let mut p = Preparer::default();
        let recipe =
            Recipe { prefilter: &delta, residual: &delta, spline: Spline::QuinticX2, unit: 1.0, parts: Parts::Spread };
        let pre = p.pre(&image(PAD), &recipe).unwrap();
        let post = p.post(&image(PAD + SPLINE_MARGIN + 2), 2, &recipe).unwrap();
        (pre, post)
    }

    /// The sums of the loaded window, straight from their definition.
    fn oracle(pre: &PreparedPre, corner: (usize, usize), w: usize, weights: &[f64]) -> ([f64; 6], [f64; 3]) {
        let pixels = |g: &Grid<f32>| -> Vec<f64> {
            (0..weights.len()).map(|k| g.get(corner.0 + k % w, corner.1 + k / w) as f64).collect()
        };
        let total = weights.iter().sum::<f64>();
        let centred = |g: &Grid<f32>| -> Vec<f64> {
            let v = pixels(g);
            let mean = v.iter().zip(weights).map(|(v, w)| v * w).sum::<f64>() / total;
            v.iter().map(|v| v - mean).collect()
        };
        let [f, x, y] = [&pre.values, &pre.gradient[0], &pre.gradient[1]].map(centred);
        let [sx, sy] = [&pre.spread[0], &pre.spread[1]].map(pixels);
        let sum = |a: &[f64], b: &[f64], power: i32| -> f64 {
            (0..weights.len()).map(|k| weights[k].powi(power) * a[k] * b[k]).sum()
        };
        let normal = [(&f, &f), (&f, &x), (&f, &y), (&x, &x), (&x, &y), (&y, &y)].map(|(a, b)| sum(a, b, 1));
        (normal, [(&x, &sx), (&x, &sy), (&y, &sy)].map(|(a, b)| sum(a, b, 2)))
    }

    #[test]
    fn sums_of_a_weighted_window_are_those_of_the_definition() {
        let (w, h) = (19, 17);
        let corner = (5, 7);
        let ramp: Vec<f32> = (0..w * h).map(|k| (k % w) as f32 / w as f32).collect();
        let half: Vec<f32> = (0..w * h).map(|k| if k % w < 8 { 1.0 } else { 0.0 }).collect();
        for invalid in [false, true] {
            let (pre, post) = pair(invalid);
            for (taper, weights) in
                [(Taper::Box, None), (Taper::Box, Some(&ramp)), (Taper::Hann, None), (Taper::Hann, Some(&half))]
            {
                let mut window = LsmWindow::tapered((w, h), taper);
                let weights = weights.map(|v| v.as_slice());
                window.load(&pre, &post, corner, (0, 0), weights, &LIMITS).unwrap();
                let shape = taper.weights((w, h));
                let all: Vec<f64> = (0..w * h)
                    .map(|k| {
                        let valid = pre.valid.get(corner.0 + k % w, corner.1 + k / w);
                        let (t, g) = (shape.as_ref().map_or(1.0, |s| s[k]), weights.map_or(1.0, |s| s[k]));
                        if valid { (t * g) as f64 } else { 0.0 }
                    })
                    .collect();
                let (normal, spread) = oracle(&pre, corner, w, &all);
                let n = window.normal;
                let got = [n[(0, 0)], n[(0, 1)], n[(0, 2)], n[(1, 1)], n[(1, 2)], n[(2, 2)]];
                let scale = normal[0] + normal[3] + normal[5];
                for (g, want) in got.iter().zip(&normal).chain(window.spread.iter().zip(&spread)) {
                    assert!((g - want).abs() < 1e-5 * scale, "{taper:?} {invalid}: {g} {want}");
                }
                let samples = effective_samples(&all.iter().map(|&v| v as f32).collect::<Vec<_>>());
                assert!((window.effective() - samples).abs() < 1e-3);
            }
        }
    }

    #[test]
    fn weights_of_one_change_nothing_and_thin_windows_are_refused() {
        let (pre, post) = pair(false);
        let (mut a, mut b) = (LsmWindow::new((19, 17)), LsmWindow::new((19, 17)));
        a.load(&pre, &post, (5, 7), (0, 0), None, &LIMITS).unwrap();
        b.load(&pre, &post, (5, 7), (0, 0), Some(&[1.0; 19 * 17]), &LIMITS).unwrap();
        assert_eq!((a.normal, a.spread, a.count), (b.normal, b.spread, b.count));
        let few: Vec<f32> = (0..19 * 17).map(|k| if k % 19 < 3 { 1.0 } else { 0.0 }).collect();
        assert_eq!(b.load(&pre, &post, (5, 7), (0, 0), Some(&few), &LIMITS), Err(Status::NoData));
        assert_eq!(b.load(&pre, &post, (5, 7), (0, 0), Some(&[0.0; 19 * 17]), &LIMITS), Err(Status::NoData));
        // A taper is not taken for missing data.
        let strict = Limits { min_valid: 0.99, ..LIMITS };
        LsmWindow::tapered((19, 17), Taper::Hann).load(&pre, &post, (5, 7), (0, 0), None, &strict).unwrap();
    }
}
