//! Quintic B-spline interpolation of whole windows.
//!
//! All pixels of a window share one sub-pixel offset, so the 36-tap sum separates into six taps along x and six along
//! y (Unser, Aldroubi & Eden 1993, "B-spline signal processing", IEEE Trans. SP 41(2)). The coefficients may lie on the
//! pixel grid or on a grid twice as fine; the fine one is stored as two planes (even and odd columns) so that every tap
//! reads consecutive numbers.

/// Columns past the right end that a padded window may read.
pub const ROW_PADDING: usize = 16;

/// Quintic B-spline β⁵(x).
pub fn bspline5(x: f64) -> f64 {
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
pub fn bspline5_slope(x: f64) -> f64 {
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

/// Frequency response of the spline's samples at the integers (1, 26, 66, 26, 1)/120; dividing by it prefilters.
pub fn bspline5_response(omega: f64) -> f64 {
    (66.0 + 52.0 * omega.cos() + 2.0 * (2.0 * omega).cos()) / 120.0
}

/// Six weights and the index of the first tap for a position on the coefficient grid.
#[derive(Debug, Clone, Copy)]
pub struct Taps {
    pub first: i64,
    pub weights: [f32; 6],
}

impl Taps {
    /// Taps that interpolate at `position` (coefficient-grid units).
    pub fn value(position: f64) -> Taps {
        Self::with(position, bspline5)
    }

    /// Taps that give the derivative at `position`, per coefficient-grid unit.
    pub fn slope(position: f64) -> Taps {
        Self::with(position, bspline5_slope)
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
    /// Splits a row-major array of `width` × `height` coefficients into planes.
    pub fn new(factor: usize, margin: usize, width: usize, height: usize, data: &[f32], data_stride: usize) -> Self {
        let columns = width / factor;
        let stride = columns + ROW_PADDING;
        let mut planes = vec![vec![0.0; stride * height]; factor];
        for y in 0..height {
            let row = &data[y * data_stride..y * data_stride + width];
            for (p, plane) in planes.iter_mut().enumerate() {
                let out = &mut plane[y * stride..y * stride + columns];
                for (o, v) in out.iter_mut().zip(row[p..].iter().step_by(factor)) {
                    *o = *v;
                }
            }
        }
        Coefficients { factor, margin, stride, planes }
    }

    /// Taps along one axis for tile pixel `at` displaced by `shift` pixels.
    #[inline]
    pub fn taps(&self, at: i64, shift: f64) -> Taps {
        Taps::value((at + self.margin as i64) as f64 * self.factor as f64 + shift * self.factor as f64)
    }

    /// As [`Self::taps`] for the derivative per pixel.
    #[inline]
    pub fn slope_taps(&self, at: i64, shift: f64) -> Taps {
        let f = self.factor as f64;
        let mut taps = Taps::slope((at + self.margin as i64) as f64 * f + shift * f);
        taps.weights.iter_mut().for_each(|w| *w *= self.factor as f32);
        taps
    }

    /// Coefficient rows that a window of `height` pixels needs.
    pub fn rows(&self, height: usize) -> usize {
        self.factor * (height - 1) + 6
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
        for i in 0..50 {
            let t = i as f64 * 0.037 + 3.0;
            let v = Taps::value(t);
            assert!((v.weights.iter().sum::<f32>() - 1.0).abs() < 1e-6);
            let h = 1e-5;
            for k in -3..=3 {
                let x = t - 4.0 + k as f64 * 0.9;
                let numeric = (bspline5(x + h) - bspline5(x - h)) / (2.0 * h);
                assert!((bspline5_slope(x) - numeric).abs() < 1e-8, "{x}");
            }
        }
        assert!((bspline5_response(0.0) - 1.0).abs() < 1e-15);
        assert!((bspline5(0.0) - 66.0 / 120.0).abs() < 1e-15 && (bspline5(1.0) - 26.0 / 120.0).abs() < 1e-15);
    }
}
