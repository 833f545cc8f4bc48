//! Clouds over an image and their shadows beside them.

use rand::RngExt;

use super::random::{Purpose, numbered};
use super::spectrum::{gaussian_field, quantile};
use crate::grid::Grid;

/// Clouds with soft edges, and the ground that they shade.
#[derive(Debug, Clone)]
pub struct Clouds {
    /// 0 to 0.97: share of the light that comes from the cloud.
    opacity: Grid<f64>,
    /// 0 to 1: how much of the direct sunlight is missing.
    shade: Grid<f64>,
    /// Brightness of the cloud around 0.
    tone: Grid<f64>,
}

/// Brightness of a cloud above the mean of the ground, in standard deviations of the ground.
const BRIGHT: f64 = 5.0;
/// Share of the light that direct sunlight makes up.
const SUN: f64 = 0.55;
/// Opacity above which the ground cannot be recognised.
const HIDDEN: f64 = 0.5;

impl Clouds {
    /// Clouds over the share `area` of an image; `None` for none at all. Their outlines are fractal (level sets of a field
    /// of amplitude f^-1.9, as of real cumulus: Lovejoy 1982, Science 216); all shadows are displaced in one direction.
    pub fn new(width: usize, height: usize, area: f64, seed: u64) -> Option<Clouds> {
        if area <= 0.0 {
            return None;
        }
        let rng = &mut numbered(seed, Purpose::Sky, 0);
        let side = width.max(height) as f64;
        let azimuth: f64 = rng.random_range(0.0..std::f64::consts::TAU);
        let reach = (side * rng.random_range(0.04f64..0.15)).min(60.0);
        let field = gaussian_field(width, height, rng, |f| f.max(2.5 / side).powf(-1.9));
        let fine = gaussian_field(width, height, rng, |f| f.max(8.0 / side).powf(-1.4));
        let level = quantile(&field.data, 1.0 - area.min(1.0));
        let thickness = field.map(|v| 1.0 - (-3.0 * (v - level).max(0.0)).exp());
        let (sx, sy) = ((reach * azimuth.cos()).round() as i64, (reach * azimuth.sin()).round() as i64);
        // The field is periodic: what comes in at the border is as good as any other cloud.
        let shade = Grid::from_fn(width, height, |x, y| {
            let at = |v: usize, s: i64, n: usize| (v as i64 - s).rem_euclid(n as i64) as usize;
            thickness.get(at(x, sx, width), at(y, sy, height))
        });
        Some(Clouds { opacity: thickness.map(|t| 0.97 * t.sqrt()), shade, tone: fine })
    }

    /// Lays clouds and shadows over an image whose ground has the given mean and standard deviation.
    pub fn cover(&self, image: &mut Grid<f64>, mean: f64, std: f64) {
        for (k, v) in image.data.iter_mut().enumerate() {
            let (a, s) = (self.opacity.data[k], self.shade.data[k]);
            let cloud = mean + std * (BRIGHT + 0.6 * self.tone.data[k]);
            *v = (*v * (1.0 - SUN * s)) * (1.0 - a) + cloud * a;
        }
    }

    /// Where the ground cannot be seen.
    pub fn hidden(&self) -> Grid<bool> {
        self.opacity.map(|a| a > HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clouds_cover_the_asked_area_and_throw_shadows() {
        assert!(Clouds::new(64, 64, 0.0, 1).is_none());
        for area in [0.1, 0.3] {
            let clouds = Clouds::new(128, 96, area, 3).unwrap();
            let share = clouds.opacity.data.iter().filter(|a| **a > 0.0).count() as f64 / (128.0 * 96.0);
            assert!((share - area).abs() < 0.01, "{share}");
            let mut image = Grid::filled(128, 96, 1000.0);
            clouds.cover(&mut image, 1000.0, 100.0);
            let (hidden, dark) = (clouds.hidden(), image.data.iter().filter(|v| **v < 900.0).count());
            // Except where another cloud shades them.
            let lit = |k: &usize| hidden.data[*k] && clouds.shade.data[*k] == 0.0;
            assert!((0..128 * 96).filter(lit).all(|k| image.data[k] > 1050.0), "clouds are bright");
            assert!(dark > 50, "{dark} pixels in the shade");
            let clear = (0..128 * 96).filter(|&k| clouds.opacity.data[k] == 0.0 && clouds.shade.data[k] == 0.0);
            assert!(clear.into_iter().all(|k| image.data[k] == 1000.0));
        }
    }
}
