//! What the camera adds: a blur, stripes of its detectors, and lines that are not where they should be.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::bspline::mirror;
use super::fft2::transpose;
use super::random::{Purpose, normal, numbered};
use super::spectrum::moments;
use crate::grid::Grid;

/// Blurs an image by the discrete Gaussian of standard deviation `sigma` pixels, mirrored at the border. Its taps are
/// exp(-σ²) I_k(σ²) (Lindeberg 1990, IEEE TPAMI 12(3)): nowhere negative, and true to σ however narrow, which samples of
/// a Gaussian are not.
pub fn blur(image: &Grid<f64>, sigma: f64) -> Grid<f64> {
    if sigma <= 0.0 {
        return image.clone();
    }
    let reach = (4.0 * sigma).ceil() as i64 + 1;
    let mut taps: Vec<f64> = (-reach..=reach).map(|k| bessel(k.unsigned_abs() as u32, sigma * sigma)).collect();
    let sum: f64 = taps.iter().sum();
    taps.iter_mut().for_each(|t| *t /= sum);
    let rows = |data: &[f64], width: usize| -> Vec<f64> {
        data.chunks(width)
            .flat_map(|row| {
                let taps = &taps;
                (0..width as i64).map(move |x| {
                    let values = taps.iter().zip(-reach..).map(|(t, k)| t * row[mirror(x + k, width)]);
                    values.sum::<f64>()
                })
            })
            .collect()
    };
    let turned = transpose(&rows(&image.data, image.width), image.width);
    let columns = rows(&turned, image.height);
    Grid::from_vec(image.width, image.height, transpose(&columns, image.height))
}

/// Modified Bessel function of the first kind I_k(t), by its power series.
fn bessel(k: u32, t: f64) -> f64 {
    let mut term = (1..=k).fold(1.0, |v, i| v * 0.5 * t / f64::from(i));
    let mut sum = 0.0;
    let mut m = 1.0;
    while term > 1e-17 * sum {
        sum += term;
        term *= 0.25 * t * t / (m * (m + f64::from(k)));
        m += 1.0;
    }
    sum
}

/// Adds detector stripes of standard deviation `strength`: chips of 24 to 96 detectors with steps between them, and a
/// little for each detector; along columns or rows.
pub fn stripes(image: &mut Grid<f64>, strength: f64, seed: u64) {
    if strength <= 0.0 {
        return;
    }
    let rng = &mut numbered(seed, Purpose::Sensor, 0);
    let along_columns = rng.random_bool(0.7);
    let chip = rng.random_range(24..=96usize);
    let start = rng.random_range(0..chip);
    let n = if along_columns { image.width } else { image.height };
    let steps: Vec<f64> = (0..=(n + start) / chip).map(|_| normal(rng)).collect();
    let mut pattern: Vec<f64> = (0..n).map(|k| steps[(k + start) / chip] + 0.7 * normal(rng)).collect();
    let (mean, std) = moments(&pattern);
    pattern.iter_mut().for_each(|v| *v = strength * (*v - mean) / std.max(f64::MIN_POSITIVE));
    let width = image.width;
    for (k, v) in image.data.iter_mut().enumerate() {
        *v += pattern[if along_columns { k % width } else { k / width }];
    }
}

/// Motion of the lines of a pushbroom image against where they should be, from vibrations of the platform.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Jitter {
    /// Wavelength in lines, phase in radians, and amplitude (right, down) in pixels of each vibration.
    pub waves: Vec<[f64; 4]>,
}

impl Jitter {
    /// Three vibrations of wavelengths of 15 to 300 lines; `rms`: of each component in pixels, 0 for none.
    pub fn new(rms: f64, seed: u64) -> Jitter {
        if rms <= 0.0 {
            return Jitter::default();
        }
        let rng = &mut numbered(seed, Purpose::Sensor, 1);
        let mut waves: Vec<[f64; 4]> = (0..3)
            .map(|_| {
                let wavelength = 15.0 * 20f64.powf(rng.random_range(0.0..1.0));
                [wavelength, rng.random_range(0.0..std::f64::consts::TAU), normal(rng), normal(rng)]
            })
            .collect();
        for c in [2, 3] {
            let power = (waves.iter().map(|w| 0.5 * w[c] * w[c]).sum::<f64>()).sqrt().max(f64::MIN_POSITIVE);
            waves.iter_mut().for_each(|w| w[c] *= rms / power);
        }
        Jitter { waves }
    }

    /// Shift (right, down) of a line.
    pub fn at(&self, line: f64) -> (f64, f64) {
        self.waves.iter().fold((0.0, 0.0), |s, w| {
            let v = (std::f64::consts::TAU * line / w[0] + w[1]).sin();
            (s.0 + w[2] * v, s.1 + w[3] * v)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blur_has_the_transfer_of_its_gaussian() {
        let wave = |f: f64, x: usize| (std::f64::consts::TAU * f * x as f64).cos();
        for (sigma, f) in [(0.35, 0.25), (0.6, 0.2), (1.0, 0.1)] {
            let image = Grid::from_fn(200, 8, |x, _| 3.0 + wave(f, x));
            let got = blur(&image, sigma);
            let want = super::super::spectrum::gaussian_transfer(f, sigma);
            let gain = (got.get(100, 4) - 3.0) / wave(f, 100);
            assert!((gain - want).abs() < 0.03, "{sigma} px at {f}: {gain}, not {want}");
        }
        assert_eq!(blur(&Grid::filled(9, 7, 2.0), 0.0).data, vec![2.0; 63]);
    }

    #[test]
    fn stripes_and_jitter_have_the_asked_strength() {
        let mut image = Grid::filled(300, 200, 10.0);
        stripes(&mut image, 0.5, 4);
        let (mean, std) = moments(&image.data);
        assert!((mean - 10.0).abs() < 1e-9 && (std - 0.5).abs() < 1e-9);
        assert_eq!(Jitter::new(0.0, 1).at(7.0), (0.0, 0.0));
        let jitter = Jitter::new(0.08, 1);
        let values: Vec<f64> = (0..200_000).map(|y| jitter.at(f64::from(y)).0).collect();
        assert!((moments(&values).1 - 0.08).abs() < 0.004);
    }
}
