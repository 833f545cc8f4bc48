//! Passes of warping and correcting, from large windows to small ones.

use super::candidates::{Candidate, Candidates, SCALES, solve};
use super::edges::{JUDGE, sharpen};
use super::fuse::fuse;
use super::products::Source;
use super::warp::{PhaseTable, warp};
use super::whiten::{RADII, whiten, whiten_into};
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

/// One band ready for the passes.
pub struct Level<'a> {
    pre: &'a PreparedPre,
    post: &'a PreparedPost,
    table: PhaseTable,
    std: f64,
    image: Grid<f32>,
    weight: Grid<f32>,
    pre_weight: Grid<f32>,
    /// 1 where both images are valid, else 0.
    both: Grid<f32>,
    /// The warped post image in each whitening.
    white: [Grid<f32>; RADII.len()],
    /// What follows from `both` and the pre image alone, once there is a `both`.
    fixed: Option<Fixed>,
}

/// What stays from pass to pass while the same pixels are valid.
struct Fixed {
    /// Number of valid pixels in each whitening's boxes.
    counts: [Grid<f32>; RADII.len()],
    /// 1 where neither the gradient's taps nor the smaller box reach over an edge of the valid pixels, else 0.
    whole: Grid<f32>,
    /// The pre image in each whitening.
    pre: [Grid<f32>; RADII.len()],
}

impl<'a> Level<'a> {
    pub fn new(band: &'a Band) -> Self {
        Level::from_images(&band.pre, &band.post, (1e6 * band.scene.min_variance).sqrt())
    }

    /// `std`: standard deviation of the prefiltered texture.
    pub fn from_images(pre: &'a PreparedPre, post: &'a PreparedPost, std: f64) -> Self {
        let zero = || pre.values.map(|_| 0.0);
        let pre_weight = pre.valid.map(|v| f32::from(u8::from(v)));
        let table = PhaseTable::new(&post.coefficients);
        let (image, weight, both, white) = (zero(), zero(), zero(), [zero(), zero()]);
        Level { pre, post, table, std, image, weight, pre_weight, both, white, fixed: None }
    }
}

impl Level<'_> {
    /// Leaves out the pixels outside `mask`.
    pub fn keep(&mut self, mask: &Grid<bool>) {
        self.pre_weight.data.iter_mut().zip(&mask.data).for_each(|(w, m)| *w = if *m { *w } else { 0.0 });
    }

    /// Pixels valid in both images at the last displacement.
    pub fn both_valid(&self) -> Grid<bool> {
        self.both.map(|v| v > 0.5)
    }

    /// Where the images agree, as last warped.
    pub fn agreement(levels: &[Level]) -> Agreement {
        Agreement::new(levels.iter().map(|l| (&l.pre.values, &l.image, l.both.clone())))
    }

    /// The pre image and the post image as last warped, for both whitenings.
    pub fn whitened(&self) -> Option<[[Grid<f32>; 2]; RADII.len()]> {
        let source = self.source()?;
        Some(from_fn(|kind| [source.pre[kind].clone(), source.post[kind].clone()]))
    }

    /// Warps the post image by `d` and whitens it.
    fn move_by(&mut self, d: [&Grid<f32>; 2]) {
        warp(self.post, &self.table, d, &mut self.image, &mut self.weight);
        let mut same = true;
        let weights = self.weight.data.iter().zip(&self.pre_weight.data);
        for (both, (a, b)) in self.both.data.iter_mut().zip(weights) {
            let v = a * b;
            same &= v == *both;
            *both = v;
        }
        let kept = self.fixed.take().filter(|_| same);
        let fixed = kept.unwrap_or_else(|| Fixed::new(self));
        // Both images over the same pixels, so that a gap in one leaves no trace in the difference.
        for (kind, (white, counts)) in self.white.iter_mut().zip(&fixed.counts).enumerate() {
            whiten_into(&self.image, &self.both, counts, kind, self.std, white);
        }
        self.fixed = Some(fixed);
    }

    fn source(&self) -> Option<Source<'_>> {
        let fixed = self.fixed.as_ref()?;
        let difference = self.post.coefficients.spline.difference();
        Some(Source { pre: fixed.pre.each_ref(), post: self.white.each_ref(), whole: &fixed.whole, difference })
    }
}

impl Fixed {
    fn new(level: &Level) -> Fixed {
        let counts = RADII.map(|r| box_sum(&level.both, r));
        let white = |kind: usize| whiten(&level.pre.values, &level.both, &counts[kind], kind, level.std);
        let pre = from_fn(white);
        let whole = box_sum(&level.both, 2).map(|n| if n > 24.5 { 1.0 } else { 0.0 });
        Fixed { counts, whole, pre }
    }
}

/// The bands of a tile; their normal equations are added.
pub struct Levels<'a> {
    pub bands: Vec<Level<'a>>,
}

/// What [`Levels::iterate`] knows of the field that it leaves.
pub struct Iterated {
    /// Covariance (xx, xy, yy), the largest that any pass left.
    pub covariance: [Grid<f32>; 3],
    /// Correction that the last pass made (right, down).
    pub last: [Grid<f32>; 2],
}

impl<'a> Levels<'a> {
    /// Of one band or more.
    pub fn new(bands: Vec<Level<'a>>) -> Self {
        Levels { bands }
    }

    /// Candidates of every pixel about the displacement field `d` (right, down; pixels relative to the tile's base; of
    /// the pre images' size), of windows from scale `finest` up.
    pub fn candidates(&mut self, d: [&Grid<f32>; 2], finest: usize) -> Candidates {
        Candidates { finest, scales: solve(&self.sources(d), finest..SCALES.len()) }
    }

    /// The candidates of one scale, for both whitenings; the others are not computed.
    pub fn candidates_of_scale(&mut self, d: [&Grid<f32>; 2], scale: usize) -> [Candidate; RADII.len()] {
        solve(&self.sources(d), scale..scale + 1).remove(0)
    }

    /// The whitened images with the post images warped by `d`.
    pub fn sources(&mut self, d: [&Grid<f32>; 2]) -> Vec<Source<'_>> {
        self.bands.iter_mut().for_each(|l| l.move_by(d));
        self.bands.iter().filter_map(Level::source).collect()
    }

    /// Improves `d` in place; `None` when it was stopped before the first pass.
    pub fn iterate(&mut self, d: &mut [Grid<f32>; 2], stop: impl Fn() -> bool) -> Option<Iterated> {
        let mut iterated: Option<Iterated> = None;
        for finest in PASSES {
            if stop() {
                break;
            }
            let found: Vec<Candidate> = solve(&self.sources([&d[0], &d[1]]), finest..SCALES.len());
            let fused = fuse(&found, finest, d[0].width, d[0].height);
            let sharpened = (finest <= SHARPENED).then(|| (d.clone(), &found[JUDGE - finest]));
            for i in 0..2 {
                d[i].data.iter_mut().zip(&fused.delta[i].data).for_each(|(d, c)| *d += c);
            }
            if let Some((before, own)) = sharpened {
                sharpen(d, &before, own, &fused);
            }
            let covariance = match iterated {
                None => fused.covariance,
                Some(before) => larger(before.covariance, &fused.covariance),
            };
            iterated = Some(Iterated { covariance, last: fused.delta });
        }
        iterated
    }
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
