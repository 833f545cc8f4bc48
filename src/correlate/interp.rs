//! B-spline interpolation of whole windows, with the spline that suits the texture.
//!
//! All pixels of a window share one sub-pixel offset, so the taps separate into a few along x and a few along y (Unser,
//! Aldroubi & Eden 1993, "B-spline signal processing", IEEE Trans. SP 41(2)). The coefficients may lie on the pixel grid
//! or on a grid twice as fine; the fine one is stored as two planes (even and odd columns) so that every tap reads
//! consecutive numbers.
//!
//! Which spline? At frequency ω an interpolator of offset d has the response Σ_k B(ω+2πk)·exp(j(ω+2πk)d) / Σ_k B(ω+2πk),
//! B the spectrum of its continuous basis: it is the best linear interpolator of a signal whose own spectrum, before
//! sampling, falls like B (a kriging with that covariance). A match is unbiased when that phase is the phase of the
//! data. A sharp but well sampled image has no energy beyond Nyquist and wants the ×2 grid, whose response is exp(jωd).
//! A detected radar image is aliased: the spectrum of an intensity is twice as wide as that of its signal, so of a band of
//! the share β of the sampling, without weighting, frequency f (per pixel) holds 1 - f/β of the ground and 1 - (1 - f)/β of
//! what is a period beyond. A low degree has nearly that phase (B = sinc², linear, at β = 0.8; sinc³ or sinc⁴ under the
//! usual Hamming weights), where a sharper interpolator pulls every displacement towards whole pixels, small ones by half
//! and more.

use super::lag_sums::Knots;

/// Columns past the right end that a padded window may read.
pub const ROW_PADDING: usize = 16;

/// The splines a scene can choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spline {
    /// Quintic on the Fourier-upsampled ×2 grid.
    #[serde(rename = "band-limited")]
    QuinticX2,
    Quintic,
    Cubic,
    Quadratic,
    Linear,
}

impl Spline {
    /// From no allowance for aliasing to much.
    pub const ALL: [Spline; 5] = [Spline::QuinticX2, Spline::Quintic, Spline::Cubic, Spline::Quadratic, Spline::Linear];

    /// Coefficients per pixel and axis.
    pub fn factor(self) -> usize {
        if self == Spline::QuinticX2 { 2 } else { 1 }
    }

    /// Takes what is beyond Nyquist into account.
    pub fn allows_aliasing(self) -> bool {
        self.factor() == 1
    }

    /// As `--interpolation` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Spline::QuinticX2 => "band-limited",
            Spline::Quintic => "quintic",
            Spline::Cubic => "cubic",
            Spline::Quadratic => "quadratic",
            Spline::Linear => "linear",
        }
    }

    /// In words, for messages and metadata.
    pub fn describe(self) -> &'static str {
        match self {
            Spline::QuinticX2 => "quintic B-spline on the x2 grid (texture well sampled)",
            Spline::Quintic => "quintic B-spline on the pixel grid (texture slightly aliased)",
            Spline::Cubic => "cubic B-spline on the pixel grid (texture aliased)",
            Spline::Quadratic => "quadratic B-spline on the pixel grid (texture strongly aliased)",
            Spline::Linear => "linear on the pixel grid (texture aliased as by a full band)",
        }
    }

    /// The basis function at `x` coefficient spacings from its centre.
    pub fn basis(self, x: f64) -> f64 {
        let a = x.abs();
        match self {
            Spline::QuinticX2 | Spline::Quintic => bspline5(a),
            Spline::Cubic if a < 1.0 => 2.0 / 3.0 - a * a + a * a * a / 2.0,
            Spline::Cubic => (2.0 - a).max(0.0).powi(3) / 6.0,
            Spline::Quadratic if a < 0.5 => 0.75 - a * a,
            Spline::Quadratic => 0.5 * (1.5 - a).max(0.0).powi(2),
            Spline::Linear => (1.0 - a).max(0.0),
        }
    }

    /// Derivative of the basis function.
    pub fn slope(self, x: f64) -> f64 {
        let a = x.abs();
        match self {
            Spline::QuinticX2 | Spline::Quintic => bspline5_slope(x),
            Spline::Cubic if a < 1.0 => x.signum() * (-2.0 * a + 1.5 * a * a),
            Spline::Cubic => -x.signum() * 0.5 * (2.0 - a).max(0.0).powi(2),
            Spline::Quadratic if a < 0.5 => -2.0 * x,
            Spline::Quadratic => -x.signum() * (1.5 - a).max(0.0),
            // At its corners the mean of both sides.
            Spline::Linear if a == 0.0 || a > 1.0 => 0.0,
            Spline::Linear => x.signum() * if a < 1.0 { -1.0 } else { -0.5 },
        }
    }

    /// Frequency response of the basis sampled at the coefficients; dividing by it makes coefficients of samples.
    pub fn response(self, omega: f64) -> f64 {
        match self {
            Spline::QuinticX2 | Spline::Quintic => (66.0 + 52.0 * omega.cos() + 2.0 * (2.0 * omega).cos()) / 120.0,
            Spline::Cubic => (4.0 + 2.0 * omega.cos()) / 6.0,
            Spline::Quadratic => (3.0 + omega.cos()) / 4.0,
            Spline::Linear => 1.0,
        }
    }

    /// Imaginary part of the response of the derivative at the pixels, at `omega` radians per pixel.
    pub fn derivative(self, omega: f64) -> f64 {
        match self {
            Spline::QuinticX2 => omega,
            Spline::Quintic => (10.0 * omega.sin() + (2.0 * omega).sin()) / 12.0 / self.response(omega),
            Spline::Cubic | Spline::Quadratic | Spline::Linear => omega.sin() / self.response(omega),
        }
    }

    /// Weights, at distances of one and two pixels, of the antisymmetric difference that is nearest to [`Self::derivative`]
    /// where there is information: beyond, a longer one would only add noise.
    pub fn difference(self) -> [f32; 2] {
        if self == Spline::Linear { [0.5, 0.0] } else { [8.0 / 12.0, -1.0 / 12.0] }
    }

    /// By how much the phase at `omega` changes with the offset, at offset `d`: rad per pixel. `omega` itself where nothing is
    /// aliased.
    pub fn phase_slope(self, omega: f64, d: f64) -> f64 {
        const H: f64 = 1e-3;
        let change = self.phase(omega, d + H) - self.phase(omega, d - H);
        change.sin() / (2.0 * H)
    }

    /// Phase of the interpolator of offset `d` at `omega` (both per pixel).
    pub fn phase(self, omega: f64, d: f64) -> f64 {
        if self == Spline::QuinticX2 {
            return omega * d;
        }
        let whole = d.floor();
        let (mut re, mut im) = (0.0, 0.0);
        for k in -2..=3 {
            let at = whole + k as f64;
            let (s, c) = (omega * at).sin_cos();
            let b = self.basis(d - at);
            re += b * c;
            im += b * s;
        }
        im.atan2(re)
    }
}

/// Quintic B-spline β⁵(x).
fn bspline5(x: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        let x2 = x * x;
        11.0 / 20.0 - x2 / 2.0 + x2 * x2 / 4.0 - x2 * x2 * x / 12.0
    } else if x < 2.0 {
        17.0 / 40.0 + x * (5.0 / 8.0 + x * (-7.0 / 4.0 + x * (5.0 / 4.0 + x * (-3.0 / 8.0 + x / 24.0))))
    } else if x < 3.0 {
        (3.0 - x).powi(5) / 120.0
    } else {
        0.0
    }
}

/// Its derivative.
fn bspline5_slope(x: f64) -> f64 {
    let a = x.abs();
    let s = if a < 1.0 {
        a * (-1.0 + a * a * (1.0 - 5.0 / 12.0 * a))
    } else if a < 2.0 {
        5.0 / 8.0 + a * (-7.0 / 2.0 + a * (15.0 / 4.0 + a * (-3.0 / 2.0 + 5.0 / 24.0 * a)))
    } else if a < 3.0 {
        -(3.0 - a).powi(4) / 24.0
    } else {
        0.0
    };
    if x < 0.0 { -s } else { s }
}

/// Six weights and the index of the first tap for a position on the coefficient grid.
#[derive(Debug, Clone, Copy)]
pub struct Taps {
    pub first: i64,
    pub weights: [f32; 6],
}

impl Taps {
    /// Taps that interpolate at `position` (coefficient-grid units).
    pub fn value(spline: Spline, position: f64) -> Taps {
        Self::with(position, |x| spline.basis(x))
    }

    /// Taps that give the derivative at `position`, per coefficient-grid unit.
    pub fn slope(spline: Spline, position: f64) -> Taps {
        Self::with(position, |x| spline.slope(x))
    }

    fn with(position: f64, basis: impl Fn(f64) -> f64) -> Taps {
        let floor = position.floor();
        let t = position - floor;
        let mut weights = [0.0; 6];
        for (m, w) in weights.iter_mut().enumerate() {
            *w = basis(t - (m as f64 - 2.0)) as f32;
        }
        Taps { first: floor as i64 - 2, weights }
    }
}

/// B-spline coefficients of a rectangle of the post image.
#[derive(Debug, Clone)]
pub struct Coefficients {
    pub spline: Spline,
    /// Coefficients per pixel along each axis: 1 or 2.
    pub factor: usize,
    /// Pixels by which the rectangle reaches beyond the tile on the left and at the top.
    pub margin: usize,
    /// Length of a stored row, [`ROW_PADDING`] included.
    pub stride: usize,
    /// `factor` planes; plane p holds the columns p, p + factor, ...; each has `factor` × (pixel rows) rows.
    pub planes: Vec<Vec<f32>>,
}

impl Coefficients {
    /// Room for those of a rectangle of `width` × `height` pixels.
    pub fn zero(spline: Spline, margin: usize, width: usize, height: usize) -> Self {
        let factor = spline.factor();
        let stride = width + ROW_PADDING;
        Coefficients { spline, factor, margin, stride, planes: vec![vec![0.0; stride * height * factor]; factor] }
    }

    /// Taps along one axis for tile pixel `at` displaced by `shift` pixels.
    #[inline]
    pub fn taps(&self, at: i64, shift: f64) -> Taps {
        Taps::value(self.spline, (at + self.margin as i64) as f64 * self.factor as f64 + shift * self.factor as f64)
    }

    /// As [`Self::taps`] for the derivative per pixel.
    #[inline]
    pub fn slope_taps(&self, at: i64, shift: f64) -> Taps {
        let f = self.factor as f64;
        let mut taps = Taps::slope(self.spline, (at + self.margin as i64) as f64 * f + shift * f);
        taps.weights.iter_mut().for_each(|w| *w *= self.factor as f32);
        taps
    }

    /// Coefficient rows that a window of `height` pixels needs.
    pub fn rows(&self, height: usize) -> usize {
        self.factor * (height - 1) + 6
    }

    /// The coefficients, as [`super::lag_sums`] takes them.
    pub fn knots(&self) -> Knots<'_> {
        Knots::new(&self.planes, self.stride, (self.margin * self.factor) as i64)
    }

    /// First pass: along x, for all coefficient rows from `first_row`; `out` gets `rows` rows of `width` (a multiple of
    /// 16) values.
    #[inline(always)]
    pub fn along_x(&self, taps: &Taps, first_row: i64, rows: usize, width: usize, out: &mut [f32]) {
        let f = self.factor as i64;
        let w = taps.weights;
        for r in 0..rows {
            let row = (first_row + r as i64) as usize * self.stride;
            let source = |m: i64| {
                let t = taps.first + m;
                let start = row + t.div_euclid(f) as usize;
                &self.planes[t.rem_euclid(f) as usize][start..start + width]
            };
            let (a, b, c) = (source(0), source(1), source(2));
            let (d, e, g) = (source(3), source(4), source(5));
            let out = &mut out[r * width..(r + 1) * width];
            for i in 0..width {
                out[i] = (w[0] * a[i] + w[1] * b[i]) + (w[2] * c[i] + w[3] * d[i]) + (w[4] * e[i] + w[5] * g[i]);
            }
        }
    }

    /// Second pass: one row of the window from the rows that [`Self::along_x`] made.
    #[inline(always)]
    pub fn along_y(&self, weights: &[f32; 6], rows: &[f32], y: usize, width: usize, out: &mut [f32]) {
        let start = y * self.factor * width;
        let source = |m: usize| &rows[start + m * width..start + (m + 1) * width];
        let (a, b, c) = (source(0), source(1), source(2));
        let (d, e, g) = (source(3), source(4), source(5));
        let (w, out) = (weights, &mut out[..width]);
        for i in 0..width {
            out[i] = (w[0] * a[i] + w[1] * b[i]) + (w[2] * c[i] + w[3] * d[i]) + (w[4] * e[i] + w[5] * g[i]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_one_and_slopes_are_derivatives() {
        for spline in Spline::ALL {
            for i in 0..50 {
                let t = i as f64 * 0.037 + 3.0;
                let v = Taps::value(spline, t);
                assert!((v.weights.iter().sum::<f32>() - 1.0).abs() < 1e-6);
                let h = 1e-5;
                for k in -3..=3 {
                    let x = t - 4.013 + k as f64 * 0.9;
                    if (x - x.round()).abs() < 2.0 * h {
                        continue;
                    }
                    let numeric = (spline.basis(x + h) - spline.basis(x - h)) / (2.0 * h);
                    assert!((spline.slope(x) - numeric).abs() < 1e-5, "{spline:?} {x}");
                }
            }
        }
    }

    #[test]
    fn responses_follow_from_the_basis() {
        for (spline, degree) in [(Spline::Quintic, 5), (Spline::Cubic, 3), (Spline::Quadratic, 2), (Spline::Linear, 1)]
        {
            for w in [0.3, 1.1, 2.0, 2.9] {
                let (mut even, mut odd) = (0.0, 0.0);
                for k in -3i32..=3 {
                    even += spline.basis(k as f64) * (w * k as f64).cos();
                    odd -= spline.slope(k as f64) * (w * k as f64).sin();
                }
                assert!((spline.response(w) - even).abs() < 1e-7);
                assert!((spline.derivative(w) - odd / even).abs() < 1e-6, "{spline:?} {w}");
                // The phase is that of a signal whose spectrum falls like the basis's, sampled.
                let d = 0.37;
                let (mut re, mut im) = (0.0, 0.0);
                for k in -400..=400 {
                    let at = w + std::f64::consts::TAU * k as f64;
                    let b = ((at / 2.0).sin() / (at / 2.0)).powi(degree + 1);
                    re += b * (at * d).cos();
                    im += b * (at * d).sin();
                }
                assert!((spline.phase(w, d) - im.atan2(re)).abs() < 1e-3, "{spline:?} {w}");
                let slope = (spline.phase(w, d + 1e-4) - spline.phase(w, d - 1e-4)) / 2e-4;
                assert!((spline.phase_slope(w, d) - slope).abs() < 1e-3, "{spline:?} {w}");
            }
        }
    }

    #[test]
    fn linear_phases_are_those_of_a_radar_band_without_weights() {
        // Share of frequency f that belongs a period beyond, of an intensity from 0.8 of the band.
        let share = |f: f64| {
            let of = |f: f64| (1.0 - f / 0.8).max(0.0);
            of(1.0 - f) / (of(f) + of(1.0 - f))
        };
        for d in [0.1, 0.2, 0.3] {
            for f in [0.1, 0.2, 0.3, 0.4] {
                let (a, turn) = (share(f), std::f64::consts::TAU * d);
                let left = (a * turn.sin()).atan2(1.0 - a + a * turn.cos());
                let w = std::f64::consts::TAU * f;
                let error = |s: Spline| (s.phase(w, d) - (w * d - left)).sin().abs();
                assert!(error(Spline::Linear) < 0.45 * error(Spline::Cubic).max(0.08), "{f} {d}");
            }
        }
    }
}
