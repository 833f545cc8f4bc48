//! What took an image: radar or a camera, told from its speckle.
//!
//! Speckle of single-look radar amplitude varies by 0.52 of its mean from pixel to pixel and by half of that after four looks,
//! everywhere (Goodman 1976, JOSA 66:1145); ground seen by a camera has places where it hardly varies. So the roughness of the smoothest
//! places decides: root mean square of the differences between neighbours, over the square root of 2 and the mean, in
//! boxes of 16 px, its 5 % quantile. Optical scenes have 0.001 to 0.06, printed speckle patterns up to 0.10, radar
//! amplitude 0.41 and more (a fifth with four looks). Radar in decibels or after many looks is taken for optical.

use std::sync::atomic::{AtomicBool, Ordering};

use super::card::Sensor;
use super::normalise::{BLOCK, blocks};
use crate::grid::{Image, ImageFile, Window};
use crate::{Error, Result};

/// Roughness from which an image is taken for radar.
pub const ROUGH: f64 = 0.15;
/// Side of a box, pixels.
const BOX: usize = 16;
/// Blocks along each axis that are looked at.
const BLOCKS: usize = 4;
/// Which of the boxes decides, from the smoothest on.
const QUANTILE: f64 = 0.05;

/// Sensor of an image and the roughness of its smoothest places, 0 where no box is valid and positive. The places are fixed, so
/// the answer is the same for every region.
///
/// # Errors
/// Unreadable images; [`Error::Cancelled`].
pub fn sensor(image: &dyn ImageFile, stop: &AtomicBool) -> Result<(Sensor, f64)> {
    let (width, height) = image.size();
    let mut reader = image.open()?;
    let mut found = Vec::new();
    for &y in &blocks(height, BLOCKS) {
        for &x in &blocks(width, BLOCKS) {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Cancelled);
            }
            let part = Window::new(x as i64, y as i64, BLOCK.min(width - x), BLOCK.min(height - y));
            roughness(&reader.read(part)?, &mut found);
        }
    }
    found.sort_unstable_by(f64::total_cmp);
    let smooth = found.get((QUANTILE * found.len() as f64) as usize).copied().unwrap_or(0.0);
    Ok((if smooth >= ROUGH { Sensor::Sar } else { Sensor::Optical }, smooth))
}

/// Adds the roughness of every box whose pixels are valid and whose mean is positive.
fn roughness(image: &Image, found: &mut Vec<f64>) {
    let (values, valid) = (&image.values, &image.valid);
    for top in (0..values.height / BOX * BOX).step_by(BOX) {
        for left in (0..values.width / BOX * BOX).step_by(BOX) {
            let rows = top..top + BOX;
            if !rows.clone().all(|y| valid.row(y)[left..left + BOX].iter().all(|v| *v)) {
                continue;
            }
            let (mut sum, mut squares) = (0.0f64, 0.0f64);
            for y in rows {
                let row = &values.row(y)[left..left + BOX];
                sum += row.iter().map(|v| f64::from(*v)).sum::<f64>();
                let right = row.windows(2).map(|p| f64::from(p[1] - p[0]).powi(2)).sum::<f64>();
                let next = &values.row((y + 1).min(top + BOX - 1))[left..left + BOX];
                squares += right + row.iter().zip(next).map(|(a, b)| f64::from(b - a).powi(2)).sum::<f64>();
            }
            let mean = sum / (BOX * BOX) as f64;
            let differences = (2 * BOX * (BOX - 1)) as f64;
            if mean > 0.0 && squares.is_finite() {
                found.push((0.5 * squares / differences).sqrt() / mean);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{Grid, MemoryImage};
    use rand::{RngExt, SeedableRng};

    fn of(value: impl Fn(usize, usize, f64) -> f32) -> (Sensor, f64) {
        let mut rng = rand_pcg::Pcg64::seed_from_u64(5);
        let noise: Vec<f64> = (0..300 * 200).map(|_| rng.random::<f64>()).collect();
        let grid = Grid::from_fn(300, 200, |x, y| value(x, y, noise[y * 300 + x]));
        sensor(&MemoryImage(Image { valid: grid.map(|v| v.is_finite()), values: grid }), &AtomicBool::new(false))
            .unwrap()
    }

    #[test]
    fn speckle_is_radar_and_texture_is_not() {
        // Rayleigh distributed amplitude over bright and dark fields.
        let (kind, rough) =
            of(|x, _, u| (if x / 60 % 2 == 0 { 40.0 } else { 900.0 } * (-2.0 * (1.0 - u).ln()).sqrt()) as f32);
        assert!(kind == Sensor::Sar && (rough - 0.52).abs() < 0.06, "{rough}");
        // Strong texture with noise of 2 % and a quiet field.
        let (kind, rough) = of(|x, y, u| {
            let texture = if y < 120 { 300.0 * ((x as f64 * 1.3).sin() * (y as f64 * 0.9).cos()) } else { 0.0 };
            (1000.0 + texture + 40.0 * (u - 0.5)) as f32
        });
        assert!(kind == Sensor::Optical && rough < 0.05, "{rough}");
        assert_eq!(of(|_, _, _| f32::NAN), (Sensor::Optical, 0.0));
        assert_eq!(of(|x, _, _| -(x as f32)), (Sensor::Optical, 0.0));
    }
}
