//! Limiting the band of an image, so that displacing it leaves no trace of the displacement in its sharpness.
//!
//! Every interpolator weakens the finest detail, the more the farther the position is from a pixel centre: a network can
//! read the sub-pixel part of the displacement from it. What has no detail near the Nyquist frequency loses none.

use rayon::prelude::*;

use super::bspline::mirror;
use super::fft2::transpose;
use crate::grid::Grid;

/// Share of the Nyquist frequency that is kept: full contrast up to about 0.68, none from 0.82 on.
pub const KEPT: f64 = 0.75;
/// Half the length of the filter in pixels.
pub const REACH: usize = 20;

/// Removes frequencies beyond `kept` times the Nyquist frequency along rows and columns, by a sinc of finite length
/// (Hann window); the border is continued by its mirror image. A constant stays exactly constant.
pub fn limit(image: &Grid<f64>, kept: f64) -> Grid<f64> {
    let taps = taps(kept);
    let rows = filter_rows(&image.data, image.width, &taps);
    let turned = transpose(&rows, image.width);
    let columns = filter_rows(&turned, image.height, &taps);
    Grid::from_vec(image.width, image.height, transpose(&columns, image.height))
}

/// Weights at distances 0, 1, ..., REACH.
fn taps(kept: f64) -> Vec<f64> {
    let pi = std::f64::consts::PI;
    let mut taps: Vec<f64> = (0..=REACH)
        .map(|k| {
            let x = pi * k as f64;
            let sinc = if k == 0 { kept } else { (kept * x).sin() / x };
            sinc * (0.5 + 0.5 * (x / (REACH as f64 + 1.0)).cos())
        })
        .collect();
    let sum = taps[0] + 2.0 * taps[1..].iter().sum::<f64>();
    taps.iter_mut().for_each(|t| *t /= sum);
    taps
}

fn filter_rows(data: &[f64], width: usize, taps: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; data.len()];
    out.par_chunks_mut(width).zip(data.par_chunks(width)).for_each(|(out, row)| {
        let padded: Vec<f64> = (-(REACH as i64)..(width + REACH) as i64).map(|k| row[mirror(k, width)]).collect();
        for (x, v) in out.iter_mut().enumerate() {
            let middle = x + REACH;
            let mut sum = taps[0] * padded[middle];
            for (k, t) in taps.iter().enumerate().skip(1) {
                sum += t * (padded[middle - k] + padded[middle + k]);
            }
            *v = sum;
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_what_is_kept_and_stops_the_rest() {
        for (f, want) in [(0.05, 1.0), (0.3, 1.0), (0.42, 0.0), (0.49, 0.0)] {
            let wave = |x: usize| (std::f64::consts::TAU * f * x as f64 + 0.3).cos();
            let image = Grid::from_fn(160, 3, |x, _| 5.0 + wave(x));
            let limited = limit(&image, KEPT);
            for x in 40..120 {
                let got = limited.get(x, 1) - 5.0;
                assert!((got - want * wave(x)).abs() < 0.01, "frequency {f}: {got}");
            }
        }
    }
}
