//! Whether two images agree after warping: methods that improve a field step by step settle somewhere even where the
//! two images have nothing in common, and tell by their own residuals only how sharp that place is.
//!
//! N independent pixels without any relation correlate by 1/√N in the root mean square. Pixels of a smooth texture are
//! not independent: how much it correlates by chance is seen where boxes of one image are laid on the neighbouring
//! boxes of the other.

use super::dense::warp::{PhaseTable, warp};
use super::dense::windows::box_rows;
use super::{Band, Tile};
use crate::grid::Grid;

/// Radius of the box that decides.
const RADIUS: usize = 15;
/// Correlations below so many times what neighbouring boxes have are no match. A field that is free at every pixel finds
/// some agreement anywhere, so three standard deviations are not enough.
const LEAST: f32 = 4.0;
/// Pairs of neighbouring boxes that are needed to tell what chance does.
const PAIRS: usize = 12;

/// Zero-normalised correlation of the two images in boxes, over the pixels where `both` is 1, and their number.
pub fn correlation(pre: &Grid<f32>, warped: &Grid<f32>, both: &Grid<f32>, radius: usize) -> (Grid<f32>, Grid<f32>) {
    let (w, h) = (pre.width, pre.height);
    let [mut rho, mut count] = [0; 2].map(|_| Grid::filled(w, h, 0.0f32));
    box_rows(
        (w, h),
        radius,
        #[inline(always)]
        |y, sign, sums| {
            let [n, f1, g1, ff, gg, fg] = sums.each_mut().map(|s| &mut s[..w]);
            let (pre, warped, both) = (&pre.row(y)[..w], &warped.row(y)[..w], &both.row(y)[..w]);
            for x in 0..w {
                let (f, g) = (pre[x] * both[x], warped[x] * both[x]);
                n[x] += sign * f64::from(both[x]);
                f1[x] += sign * f64::from(f);
                g1[x] += sign * f64::from(g);
                ff[x] += sign * f64::from(f * f);
                gg[x] += sign * f64::from(g * g);
                fg[x] += sign * f64::from(f * g);
            }
        },
        #[inline(always)]
        |y, sums: &[Vec<f32>; 6]| {
            let [n, f1, g1, ff, gg, fg] = sums.each_ref().map(|s| &s[..w]);
            let rho = &mut rho.row_mut(y)[..w];
            for x in 0..w {
                let m = n[x].max(1.0);
                let energy = (ff[x] - f1[x] * f1[x] / m) * (gg[x] - g1[x] * g1[x] / m);
                let r = (fg[x] - f1[x] * g1[x] / m) / energy.max(f32::MIN_POSITIVE).sqrt();
                rho[x] = if energy > 0.0 { r } else { 0.0 };
            }
            count.row_mut(y).copy_from_slice(n);
        },
    );
    (rho, count)
}

/// Root mean square of the correlation of boxes with their right and lower neighbours in the other image, times √N: 1 for
/// white noise, and never less; 1.5 where there are too few boxes to tell.
fn chance(pre: &Grid<f32>, warped: &Grid<f32>, both: &Grid<f32>) -> f32 {
    const SIDE: usize = 2 * RADIUS + 1;
    let whole = |x: usize, y: usize| {
        let ones = |y: usize| both.row(y)[x..x + SIDE].iter().sum::<f32>();
        (y..y + SIDE).map(ones).sum::<f32>() > 0.99 * (SIDE * SIDE) as f32
    };
    let values = |g: &Grid<f32>, x: usize, y: usize| -> Vec<f32> {
        let box_ = (y..y + SIDE).flat_map(|y| g.row(y)[x..x + SIDE].iter().copied()).collect::<Vec<f32>>();
        let mean = box_.iter().sum::<f32>() / box_.len() as f32;
        box_.into_iter().map(|v| v - mean).collect()
    };
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let (mut sum, mut pairs) = (0.0f32, 0);
    for y in (0..(pre.height + 1).saturating_sub(SIDE)).step_by(SIDE) {
        for x in (0..(pre.width + 1).saturating_sub(SIDE)).step_by(SIDE) {
            if !whole(x, y) {
                continue;
            }
            let a = values(pre, x, y);
            let power = product(&a, &a);
            for (x, y) in [(x + SIDE, y), (x, y + SIDE)] {
                if x + SIDE <= pre.width && y + SIDE <= pre.height && whole(x, y) {
                    let b = values(warped, x, y);
                    let energy = power * product(&b, &b);
                    if energy > 0.0 {
                        sum += product(&a, &b).powi(2) / energy;
                        pairs += 1;
                    }
                }
            }
        }
    }
    let n = (SIDE * SIDE) as f32;
    if pairs < PAIRS { 1.5 } else { (n * sum / pairs as f32).sqrt().max(1.0) }
}

/// Where the images agree by more than chance.
pub struct Agreement(Option<Grid<bool>>);

impl Agreement {
    /// Of bands, (pre, warped post, 1 where both are valid): one may see nothing where another does.
    pub fn new<'a>(bands: impl Iterator<Item = (&'a Grid<f32>, &'a Grid<f32>, Grid<f32>)>) -> Self {
        let agree = |(pre, warped, both): (&Grid<f32>, &Grid<f32>, Grid<f32>)| {
            let (rho, n) = correlation(pre, warped, &both, RADIUS);
            let least = LEAST * chance(pre, warped, &both);
            let data = rho.data.iter().zip(&n.data).map(|(rho, n)| rho * n.sqrt() > least).collect();
            Grid { width: n.width, height: n.height, data }
        };
        Agreement(bands.map(agree).reduce(|mut any, one| {
            any.data.iter_mut().zip(&one.data).for_each(|(any, one)| *any |= one);
            any
        }))
    }

    /// Of a tile at the displacement `d` (right and down in pixels from the tile's base, of the pre image's size).
    pub fn of_tile(tile: &Tile, d: [&Grid<f32>; 2]) -> Self {
        let warped = |band: &Band| {
            let [mut image, mut weight] = [0; 2].map(|_| d[0].map(|_| 0.0f32));
            warp(&band.post, &PhaseTable::new(&band.post.coefficients), d, &mut image, &mut weight);
            weight.data.iter_mut().zip(&band.pre.valid.data).for_each(|(w, ok)| *w *= f32::from(u8::from(*ok)));
            (image, weight)
        };
        let (images, weights): (Vec<_>, Vec<_>) = tile.bands.iter().map(warped).unzip();
        let bands = tile.bands.iter().zip(&images).zip(weights);
        Agreement::new(bands.map(|((band, image), both)| (&band.pre.values, image, both)))
    }

    /// Around the pixel below (x, y).
    pub fn at(&self, x: f32, y: f32) -> bool {
        let near = |c: f32, n: usize| (c.max(0.0) as usize).min(n - 1);
        self.0.as_ref().is_some_and(|m| m.get(near(x, m.width), near(y, m.height)))
    }
}
