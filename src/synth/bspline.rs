//! Interpolating B-splines of degree 3 and 5 on images.
//!
//! Reference: Unser, Aldroubi and Eden (1993), IEEE Trans. Signal Processing 41, "B-spline signal processing", parts I
//! and II: samples are turned into coefficients by a causal and an anti-causal recursion per pole, the image is
//! mirrored about its edge samples (period 2(N - 1)).

use rayon::prelude::*;

use super::fft2::transpose_by;
use crate::grid::Grid;

/// Degree of the piecewise polynomial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Degree {
    /// 4 × 4 samples per value.
    Cubic,
    /// 6 × 6 samples per value.
    Quintic,
}

const CUBIC_POLES: [f64; 1] = [-0.267_949_192_431_122_7];
const QUINTIC_POLES: [f64; 2] = [-0.430_575_347_099_973_8, -0.043_096_288_203_264_65];

impl Degree {
    fn poles(self) -> &'static [f64] {
        match self {
            Degree::Cubic => &CUBIC_POLES,
            Degree::Quintic => &QUINTIC_POLES,
        }
    }

    /// How many samples one value reaches to each side.
    pub fn reach(self) -> usize {
        match self {
            Degree::Cubic => 2,
            Degree::Quintic => 3,
        }
    }

    /// First sample and the weights of the samples that make the value at `x`; unused weights are 0.
    #[inline]
    fn weights(self, x: f64) -> (i64, [f64; 6]) {
        let base = x.floor();
        let f = x - base;
        match self {
            Degree::Cubic => (base as i64 - 1, cubic(f)),
            Degree::Quintic => (base as i64 - 2, quintic(f)),
        }
    }
}

#[inline]
fn cubic(f: f64) -> [f64; 6] {
    let g = 1.0 - f;
    let near = |t: f64| (4.0 + t * t * (3.0 * t - 6.0)) / 6.0;
    [g * g * g / 6.0, near(f), near(g), f * f * f / 6.0, 0.0, 0.0]
}

/// Values of the quintic B-spline at distances f + 2, f + 1, f, 1 - f, 2 - f, 3 - f.
#[inline]
fn quintic(f: f64) -> [f64; 6] {
    let inner = |t: f64| {
        let q = t * t;
        11.0 / 20.0 + q * (-0.5 + q * (0.25 - t / 12.0))
    };
    let middle = |t: f64| 17.0 / 40.0 + t * (0.625 + t * (-1.75 + t * (1.25 + t * (-0.375 + t / 24.0))));
    let outer = |t: f64| {
        let u = 3.0 - t;
        let q = u * u;
        q * q * u / 120.0
    };
    [outer(f + 2.0), middle(f + 1.0), inner(f), inner(1.0 - f), middle(2.0 - f), outer(3.0 - f)]
}

/// Turns the samples of one line into B-spline coefficients, in place.
pub fn prefilter(line: &mut [f64], degree: Degree) {
    let n = line.len();
    if n < 2 {
        return;
    }
    for &z in degree.poles() {
        // Gain of the pole: the filter as a whole must pass a constant unchanged.
        let gain = (1.0 - z) * (1.0 - 1.0 / z);
        line.iter_mut().for_each(|v| *v *= gain);
        line[0] = causal_start(line, z);
        for k in 1..n {
            line[k] += z * line[k - 1];
        }
        line[n - 1] = z / (z * z - 1.0) * (line[n - 1] + z * line[n - 2]);
        for k in (0..n - 1).rev() {
            line[k] = z * (line[k + 1] - line[k]);
        }
    }
}

/// Start of the causal recursion on the mirrored line.
fn causal_start(line: &[f64], z: f64) -> f64 {
    let n = line.len();
    let reach = (f64::EPSILON.ln() / z.abs().ln()).ceil() as usize + 1;
    if reach < n {
        // The rest of the infinite sum is below the rounding error.
        return line[..reach].iter().rev().fold(0.0, |sum, v| v + z * sum);
    }
    let period = 2 * n as i32 - 2;
    let mut sum = line[0] + z.powi(n as i32 - 1) * line[n - 1];
    for (k, v) in line.iter().enumerate().take(n - 1).skip(1) {
        sum += (z.powi(k as i32) + z.powi(period - k as i32)) * v;
    }
    sum / (1.0 - z.powi(period))
}

/// An image as a smooth function of position.
#[derive(Debug, Clone)]
pub struct Spline {
    degree: Degree,
    coefficients: Grid<f64>,
}

impl Spline {
    /// The spline through the pixel values of `image`.
    pub fn new(image: &Grid<f64>, degree: Degree) -> Spline {
        Spline::through(image, degree, 1)
    }

    /// [`Spline::new`] on this thread alone.
    pub fn alone(image: &Grid<f64>, degree: Degree) -> Spline {
        Spline::through(image, degree, usize::MAX)
    }

    /// At least `rows` rows a task.
    fn through(image: &Grid<f64>, degree: Degree, rows: usize) -> Spline {
        let (width, height) = (image.width, image.height);
        let mut data = image.data.clone();
        data.par_chunks_mut(width).with_min_len(rows).for_each(|row| prefilter(row, degree));
        let mut data = transpose_by(&data, width, rows);
        data.par_chunks_mut(height).with_min_len(rows).for_each(|column| prefilter(column, degree));
        Spline { degree, coefficients: Grid::from_vec(width, height, transpose_by(&data, height, rows)) }
    }

    /// Value at (x, y), pixel-centre coordinates; outside the image its mirror image.
    pub fn at(&self, x: f64, y: f64) -> f64 {
        let c = &self.coefficients;
        let (x0, wx) = self.degree.weights(x);
        let (y0, wy) = self.degree.weights(y);
        let taps = 2 * self.degree.reach();
        let inside = x0 >= 0 && y0 >= 0 && x0 as usize + taps <= c.width && y0 as usize + taps <= c.height;
        let mut value = 0.0;
        for (j, w) in wy.iter().enumerate().take(taps) {
            let mut sum = 0.0;
            if inside {
                let start = (y0 as usize + j) * c.width + x0 as usize;
                for (v, w) in c.data[start..start + taps].iter().zip(&wx) {
                    sum += v * w;
                }
            } else {
                let row = c.row(mirror(y0 + j as i64, c.height));
                for (i, w) in wx.iter().enumerate().take(taps) {
                    sum += row[mirror(x0 + i as i64, c.width)] * w;
                }
            }
            value += w * sum;
        }
        value
    }
}

/// Index of sample `k` of a line of `n` samples mirrored about its edge samples.
pub fn mirror(k: i64, n: usize) -> usize {
    if n == 1 {
        return 0;
    }
    let period = 2 * (n as i64 - 1);
    let k = k.rem_euclid(period);
    (if k < n as i64 { k } else { period - k }) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_through_the_samples() {
        for degree in [Degree::Cubic, Degree::Quintic] {
            for (w, h) in [(5, 4), (80, 61), (2, 2)] {
                let image = Grid::from_fn(w, h, |x, y| ((x * 31 + y * 17) % 23) as f64);
                let spline = Spline::new(&image, degree);
                for y in 0..h {
                    for x in 0..w {
                        let error = spline.at(x as f64, y as f64) - image.get(x, y);
                        assert!(error.abs() < 1e-11, "{degree:?} {w}x{h} at {x},{y}: {error}");
                    }
                }
            }
        }
    }

    #[test]
    fn reproduces_a_polynomial_of_its_degree() {
        // Far from the mirrored border a spline of degree 5 is exact for a quintic, of degree 3 for a cubic.
        for (degree, power) in [(Degree::Cubic, 3), (Degree::Quintic, 5)] {
            let f = |x: f64| ((x - 60.0) / 30.0).powi(power);
            let image = Grid::from_fn(121, 3, |x, _| f(x as f64));
            let spline = Spline::new(&image, degree);
            for x in [55.3, 60.0, 61.75] {
                assert!((spline.at(x, 1.0) - f(x)).abs() < 1e-10, "{degree:?} at {x}");
            }
        }
    }

    #[test]
    fn weights_sum_to_one() {
        for f in [0.0, 0.2, 0.5, 0.99] {
            assert!((quintic(f).iter().sum::<f64>() - 1.0).abs() < 1e-14);
            assert!((cubic(f).iter().sum::<f64>() - 1.0).abs() < 1e-14);
        }
        for (got, want) in quintic(0.0).iter().zip([1.0, 26.0, 66.0, 26.0, 1.0, 0.0]) {
            assert!((got * 120.0 - want).abs() < 1e-12);
        }
    }
}
