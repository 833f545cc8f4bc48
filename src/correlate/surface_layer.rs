//! A pair of images as the correlation surfaces of a tile need it: what all shifts of a window share.

use super::asked::borders;
use super::batch_sums::BATCH;
use super::clear::{MaskedPlane, cells_with_gaps};
use super::fill::ValidCounts;
use super::search::{SearchArea, TileWindows};
use super::sums::{CellSums, Intervals, Norms, SquareSums, norm};
use crate::grid::Grid;
use std::ops::Range;

/// Values and validity of the images to be correlated; the post image reaches `margin` pixels further on every side.
/// Invalid pixels are zero.
#[derive(Clone, Copy)]
pub struct Planes<'a> {
    pub pre: (&'a Grid<f32>, &'a Grid<bool>),
    pub post: (&'a Grid<f32>, &'a Grid<bool>),
    pub margin: usize,
    /// Every pixel of both is valid.
    pub all_valid: bool,
    /// The numbers of valid pixels, where they are known.
    pub counts: Option<(&'a ValidCounts, &'a ValidCounts)>,
}

/// One pair of images and what its correlations share.
pub(super) struct Layer<'a> {
    pub(super) planes: Planes<'a>,
    /// Of the pre windows, and of the post image.
    pub(super) sums: (CellSums, SquareSums),
    /// Sum and inverse root of the energy of every pre window.
    pub(super) own: Vec<[f64; 2]>,
    /// Of the post windows at every position, where about as many are asked for.
    pub(super) norms: Option<Norms>,
    pub(super) masked: Option<Masked<'a>>,
    /// The cells whose windows meet an invalid pixel; empty where there is none.
    pub(super) gaps: Vec<bool>,
}

/// What the masked correlation needs of both images.
pub(super) struct Masked<'a> {
    pub(super) pre: MaskedPlane<'a>,
    pub(super) post: MaskedPlane<'a>,
}

impl<'a> Layer<'a> {
    pub(super) fn new(
        planes: Planes<'a>,
        windows: &TileWindows,
        (x, y): (&Intervals, &Intervals),
        search: &SearchArea,
    ) -> Self {
        let (pre, post) = (planes.pre, planes.post);
        let asked = (2 * search.range.0 + 1) * (2 * search.range.1 + 1);
        let everywhere = 2 * asked > windows.step.0 * windows.step.1;
        let borders = if everywhere { vec![true; post.0.height + 1] } else { borders(&planes, windows, search) };
        let sums = (CellSums::new(pre.0, x, y), SquareSums::between(post.0, &borders));
        let norms = everywhere.then(|| Norms::new(&sums.1, (post.0.width, post.0.height), windows.window));
        let pixels = (windows.window.0 * windows.window.1) as f64;
        let own = |cell: usize| {
            let [mean, inverse] = norm(sums.0.of(cell % windows.cells.0, cell / windows.cells.0), 1.0 / pixels);
            [mean * pixels, inverse]
        };
        let own = (0..windows.len()).map(own).collect();
        if planes.all_valid {
            return Layer { planes, sums, own, norms, masked: None, gaps: Vec::new() };
        }
        let (pre, post) = MaskedPlane::pair(pre, post, planes.counts);
        let gaps = cells_with_gaps((&pre, &post), planes.margin, windows, search);
        Layer { planes, sums, own, norms, masked: Some(Masked { pre, post }), gaps }
    }

    /// Σg and Σg² of the post windows at neighbouring positions, the first of which is `from`, in the lanes `asked`.
    #[inline(always)]
    pub(super) fn post_sums(
        &self,
        from: (usize, usize),
        window: (usize, usize),
        asked: Range<usize>,
    ) -> [[f64; BATCH]; 2] {
        let mut out = [[0.0; BATCH]; 2];
        let n = asked.len();
        for (s, of) in asked.zip(self.sums.1.of_row(from, window, n)) {
            (out[0][s], out[1][s]) = of.into();
        }
        out
    }

    /// Where the pre image's first pixel lies in the post image at a shift.
    pub(super) fn at(&self, shift: (i32, i32)) -> (i64, i64) {
        let margin = self.planes.margin as i64;
        (shift.0 as i64 + margin, shift.1 as i64 + margin)
    }
}
