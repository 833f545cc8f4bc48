//! Values on the scale that a network was trained on, with numbers of the whole scene.
//!
//! Never per tile: neighbouring tiles would get different gains. The statistics come from fixed places of the image,
//! whatever the region, the tiles and the threads; huge images are looked at in evenly spread blocks.

use std::sync::atomic::{AtomicBool, Ordering};

use super::card::Normalisation;
use crate::grid::{Grid, Image, ImageFile, Window};
use crate::{Error, Result};

/// Side of the blocks that are read, pixels.
pub(super) const BLOCK: usize = 512;
/// Blocks along each axis at most.
const BLOCKS: usize = 16;
/// Values that are kept of a block at most.
const KEPT: usize = 16_384;
/// Normalised values stay within it.
const LARGEST: f64 = 10.0;
/// Share of a Gaussian below one standard deviation under its mean.
const TAIL: f64 = 0.158_655_253_931_457;
/// The smallest value whose logarithm is taken, in terms of the median.
const DARK: f64 = 1e-3;

/// One image's way to normalised values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    pub centre: f64,
    pub spread: f64,
    /// Smallest value whose logarithm is taken; `None`: values as they are.
    pub log_floor: Option<f64>,
    limited: bool,
}

impl Scale {
    const NONE: Scale = Scale { centre: 0.0, spread: 1.0, log_floor: None, limited: false };

    /// The scale of `image`.
    ///
    /// # Errors
    /// Unreadable images; [`Error::Data`] when the valid values are all the same, or none is there.
    pub fn of(image: &dyn ImageFile, how: Normalisation, stop: &AtomicBool) -> Result<Scale> {
        if how == Normalisation::None {
            return Ok(Scale::NONE);
        }
        let mut values = sample(image, stop)?;
        let refuse = |why: &str| Error::Data(format!("{}: {why}, so its values cannot be normalised", image.name()));
        let log_floor = match how {
            Normalisation::SceneLog => {
                let mut positive: Vec<f32> = values.iter().copied().filter(|v| *v > 0.0).collect();
                if positive.is_empty() {
                    return Err(refuse("no value is positive"));
                }
                positive.sort_unstable_by(f32::total_cmp);
                let floor = DARK * quantile(&positive, 0.5);
                values.iter_mut().for_each(|v| *v = f64::from(*v).max(floor).ln() as f32);
                Some(floor)
            }
            _ => None,
        };
        if values.is_empty() {
            return Err(refuse("no pixel is valid where it was looked at"));
        }
        values.sort_unstable_by(f32::total_cmp);
        let centre = quantile(&values, 0.5);
        let mut spread = 0.5 * (quantile(&values, 1.0 - TAIL) - quantile(&values, TAIL));
        if spread <= 0.0 {
            let n = values.len() as f64;
            let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
            spread = (values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n).sqrt();
        }
        if spread.is_nan() || spread <= 0.0 {
            return Err(refuse("all values are the same"));
        }
        Ok(Scale { centre, spread, log_floor, limited: true })
    }

    /// Normalises the valid pixels; the others are 0.
    pub fn apply(&self, image: Image) -> Image {
        let one = |v: f32| {
            let v = f64::from(v);
            let v = self.log_floor.map_or(v, |floor| v.max(floor).ln());
            let v = (v - self.centre) / self.spread;
            (if self.limited { v.clamp(-LARGEST, LARGEST) } else { v }) as f32
        };
        let Image { values, valid } = image;
        let data = values.data.iter().zip(&valid.data).map(|(v, ok)| if *ok { one(*v) } else { 0.0 }).collect();
        Image { values: Grid::from_vec(values.width, values.height, data), valid }
    }
}

/// Valid values of blocks spread over the image.
fn sample(image: &dyn ImageFile, stop: &AtomicBool) -> Result<Vec<f32>> {
    let (width, height) = image.size();
    let mut reader = image.open()?;
    let mut values = Vec::new();
    let (columns, rows) = (blocks(width, BLOCKS), blocks(height, BLOCKS));
    for &y in &rows {
        for &x in &columns {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Cancelled);
            }
            let part = Window::new(x as i64, y as i64, BLOCK.min(width - x), BLOCK.min(height - y));
            let block = reader.read(part)?;
            // Every n-th pixel of every n-th row.
            let every = ((part.width * part.height) as f64 / KEPT as f64).sqrt().ceil().max(1.0) as usize;
            for y in (0..part.height).step_by(every) {
                let row = block.values.row(y).iter().zip(block.valid.row(y));
                values.extend(row.step_by(every).filter(|(_, ok)| **ok).map(|(v, _)| *v));
            }
        }
    }
    Ok(values)
}

/// First pixels of at most `most` blocks along an axis, evenly spread.
pub(super) fn blocks(size: usize, most: usize) -> Vec<usize> {
    let all = size.div_ceil(BLOCK);
    let count = all.min(most);
    (0..count).map(|i| (2 * i + 1) * all / (2 * count) * BLOCK).collect()
}

/// Quantile of sorted values, linear between neighbours.
fn quantile(sorted: &[f32], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    let (a, b) = (f64::from(sorted[low]), f64::from(sorted[high]));
    a + (b - a) * (at - at.floor())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::MemoryImage;

    fn scale(image: &Image, how: Normalisation) -> Result<Scale> {
        Scale::of(&MemoryImage(image.clone()), how, &AtomicBool::new(false))
    }

    #[test]
    fn the_scale_is_robust_and_the_scenes() {
        // 1000 + 10 times a Gaussian by its quantile function is not needed: uniform values have known quantiles.
        let mut image = Image::from_values(Grid::from_fn(100, 100, |x, y| ((x * 31 + y * 17) % 100) as f32));
        for k in 0..300 {
            image.values.data[k * 7] = 1e9;
        }
        let found = scale(&image, Normalisation::Scene).unwrap();
        assert!((found.centre - 51.0).abs() < 2.0 && (found.spread - 35.2).abs() < 1.5, "{found:?}");
        let out = found.apply(image.clone());
        assert_eq!(out.values.data[7], 10.0);
        image.valid.data[7] = false;
        assert_eq!(found.apply(image.clone()).values.data[7], 0.0);
        assert_eq!(scale(&image, Normalisation::None).unwrap(), Scale::NONE);
        let logs = scale(&image, Normalisation::SceneLog).unwrap();
        assert!((logs.centre - 51f64.ln()).abs() < 0.05 && logs.log_floor.is_some(), "{logs:?}");
    }

    #[test]
    fn mostly_flat_images_use_the_standard_deviation_and_flat_ones_are_refused() {
        let mostly = Image::from_values(Grid::from_fn(100, 100, |x, y| if x == 0 && y < 50 { 8.0 } else { 1.0 }));
        let found = scale(&mostly, Normalisation::Scene).unwrap();
        assert!(found.centre == 1.0 && found.spread > 0.1);
        let flat = Image::from_values(Grid::filled(50, 50, 3.0));
        assert!(scale(&flat, Normalisation::Scene).unwrap_err().to_string().contains("all values are the same"));
        assert!(scale(&Image::invalid(50, 50), Normalisation::Scene).is_err());
    }

    #[test]
    fn blocks_are_spread_over_huge_images() {
        assert_eq!(blocks(300, BLOCKS), [0]);
        assert_eq!(blocks(1024, BLOCKS), [0, 512]);
        let huge = blocks(512 * 160, BLOCKS);
        assert_eq!((huge.len(), huge[0], huge[15]), (16, 5 * 512, 155 * 512));
    }
}
