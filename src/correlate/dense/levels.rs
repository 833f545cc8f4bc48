//! Passes of warping and correcting, from large windows to small ones.

use super::candidates::{Candidate, Candidates, Products, add_products, solve_scale, solve_scales};
use super::edges::sharpen;
use super::fuse::fuse;
use super::warp::{PhaseTable, warp};
use super::whiten::{RADII, combine, whiten};
use super::windows::box_sum;
use crate::correlate::Band;
use crate::correlate::agreement::Agreement;
use crate::correlate::prepare::{PreparedPost, PreparedPre};
use crate::grid::Grid;
use std::array::from_fn;

/// The finest scale of each pass.
pub const PASSES: [usize; 3] = [3, 1, 0];
/// Passes with this finest scale or a finer one end by sharpening edges.
pub const SHARPENED: usize = 1;
/// Factors on the covariance for each whitening and scale: residuals of neighbouring pixels are not independent, and
/// noise in the gradients makes a window look better textured than it is.
pub const NOISE: [[f32; 6]; 2] = [[1.0, 1.05, 1.05, 1.05, 1.2, 2.4], [1.1, 1.2, 1.25, 1.2, 1.4, 2.6]];

/// What the same window's noise adds to its variance in a second and a third pass: with W the window's transform, p passes
/// take 1 - (1 - W)^p of the noise, whose square is 1.84 and 2.49 times that of W. ([`NOISE`] holds the latter for the
/// largest windows, which act in every pass.)
const AGAIN: [f32; 3] = [0.0, 0.84, 0.65];

/// One band ready for the passes.
pub struct Level<'a> {
    pre: &'a PreparedPre,
    post: &'a PreparedPost,
    table: PhaseTable,
    std: f64,
    image: Grid<f32>,
    weight: Grid<f32>,
    pre_weight: Grid<f32>,
}

impl<'a> Level<'a> {
    pub fn new(band: &'a Band) -> Self {
        Level::from_images(&band.pre, &band.post, (1e6 * band.scene.min_variance).sqrt())
    }

    /// `std`: standard deviation of the prefiltered texture.
    pub fn from_images(pre: &'a PreparedPre, post: &'a PreparedPost, std: f64) -> Self {
        let zero = pre.values.map(|_| 0.0);
        let pre_weight = pre.valid.map(|v| f32::from(u8::from(v)));
        let table = PhaseTable::new(&post.coefficients);
        Level { pre, post, table, std, image: zero.clone(), weight: zero, pre_weight }
    }
}

impl Level<'_> {
    /// Leaves out the pixels outside `mask`.
    pub fn keep(&mut self, mask: &Grid<bool>) {
        self.pre_weight.data.iter_mut().zip(&mask.data).for_each(|(w, m)| *w = if *m { *w } else { 0.0 });
    }

    /// Pixels valid in both images at the last displacement.
    pub fn both_valid(&self) -> Grid<bool> {
        let data = self.weight.data.iter().zip(&self.pre_weight.data).map(|(a, b)| a * b > 0.5).collect();
        Grid { width: self.weight.width, height: self.weight.height, data }
    }

    /// Where the images agree, as last warped.
    pub fn agreement(levels: &[Level]) -> Agreement {
        let both = |l: &Level| combine(&l.weight, &l.pre_weight, |a, b| a * b);
        Agreement::new(levels.iter().map(|l| (&l.pre.values, &l.image, both(l))))
    }

    /// The pre image and the post image as last warped, for both whitenings.
    pub fn whitened(&self) -> [[Grid<f32>; 2]; RADII.len()] {
        let both = combine(&self.weight, &self.pre_weight, |a, b| a * b);
        from_fn(|kind| {
            let counts = box_sum(&both, RADII[kind]);
            [&self.pre.values, &self.image].map(|v| whiten(v, &both, &counts, kind, self.std))
        })
    }
}

/// Candidates of every pixel about the displacement field `d` (right, down; pixels relative to the tile's base; of the
/// pre images' size), of windows from scale `finest` up. Several bands are solved jointly: their normal equations are
/// added.
pub fn candidates(levels: &mut [Level], d: [&Grid<f32>; 2], finest: usize) -> Candidates {
    let mut kinds = products(levels, d).into_iter().zip(&NOISE).map(|(p, n)| solve_scales(p, n, finest));
    let (a, b) = (kinds.next().unwrap_or_default(), kinds.next().unwrap_or_default());
    Candidates { finest, scales: a.into_iter().zip(b).map(|(a, b)| [a, b]).collect() }
}

/// The candidates of one scale, for both whitenings; the others are not computed.
pub fn candidates_of_scale(levels: &mut [Level], d: [&Grid<f32>; 2], scale: usize) -> [Candidate; RADII.len()] {
    let mut noise = NOISE.iter();
    products(levels, d).map(|p| solve_scale(p, noise.next().map_or(1.0, |n| n[scale]), scale))
}

/// Gradient products of all levels for each whitening, with the post images warped by `d`.
fn products(levels: &mut [Level], d: [&Grid<f32>; 2]) -> [Products; RADII.len()] {
    let zero = d[0].map(|_| 0.0);
    let mut products = [0; RADII.len()].map(|_| [0; 7].map(|_| zero.clone()));
    for level in levels {
        warp(level.post, &level.table, d, &mut level.image, &mut level.weight);
        let both = combine(&level.weight, &level.pre_weight, |a, b| a * b);
        for (kind, products) in products.iter_mut().enumerate() {
            let counts = box_sum(&both, RADII[kind]);
            // Both images over the same pixels, so that a gap in one leaves no trace in the difference.
            let [f, g] = [&level.pre.values, &level.image].map(|v| whiten(v, &both, &counts, kind, level.std));
            // The gradient's taps and the smaller box must not reach over an edge of the valid pixels.
            let whole = box_sum(&both, 2).map(|n| if n > 24.5 { 1.0 } else { 0.0 });
            add_products(products, &f, &g, &whole);
        }
    }
    products
}

/// Improves `d` in place; returns its covariance (xx, xy, yy), the largest that any pass left.
pub fn iterate(levels: &mut [Level], d: &mut [Grid<f32>; 2], stop: impl Fn() -> bool) -> Option<[Grid<f32>; 3]> {
    let mut covariance: Option<[Grid<f32>; 3]> = None;
    // What earlier passes smeared the last one has seen.
    let (mut smeared, mut far): (Option<[Grid<f32>; 2]>, Option<[Grid<f32>; 2]>) = (None, None);
    let mut brought: Option<[Grid<f32>; 2]> = None;
    let mut again = [d[0].map(|_| 0.0), d[1].map(|_| 0.0)];
    for (pass, finest) in PASSES.into_iter().enumerate() {
        if stop() {
            break;
        }
        let found = candidates(levels, [&d[0], &d[1]], finest);
        let fused = fuse(&found, finest, d[0].width, d[0].height);
        let before = d.clone();
        for i in 0..2 {
            d[i].data.iter_mut().zip(&fused.delta[i].data).for_each(|(d, c)| *d += c);
        }
        if finest <= SHARPENED {
            let moved = sharpen(d, &before, &found, &fused);
            far = Some(match far {
                None => moved,
                Some([x, y]) => [combine(&x, &moved[0], f32::max), combine(&y, &moved[1], f32::max)],
            });
        }
        smeared = Some(fused.smeared);
        brought = Some(match brought {
            None => fused.brought,
            Some(before) => {
                for i in 0..2 {
                    let more = combine(&before[i], &fused.brought[i], |a, b| AGAIN[pass] * a.min(b));
                    again[i] = combine(&again[i], &more, |a, b| a + b);
                }
                [0, 1].map(|i| combine(&before[i], &fused.brought[i], f32::max))
            }
        });
        covariance = Some(match covariance {
            None => fused.covariance,
            Some(before) => larger(before, &fused.covariance),
        });
    }
    let mut covariance = covariance?;
    for more in [smeared, far, Some(again)].iter().flatten() {
        for (c, m) in [0, 2].into_iter().zip(more) {
            covariance[c].data.iter_mut().zip(&m.data).for_each(|(c, m)| *c += m);
        }
    }
    Some(covariance)
}

/// What a small window added in one pass stays in the field, so its error does too.
fn larger(mut a: [Grid<f32>; 3], b: &[Grid<f32>; 3]) -> [Grid<f32>; 3] {
    for k in 0..a[0].data.len() {
        if b[0].data[k] + b[2].data[k] > a[0].data[k] + a[2].data[k] {
            (0..3).for_each(|i| a[i].data[k] = b[i].data[k]);
        }
    }
    a
}
