//! Which windows of a tile meet an invalid pixel.
//!
//! A window that meets none needs one sum of products a shift; the masked correlation needs five more. Near the border
//! of an image or beside a few clouds most windows of a tile are clear.

use std::borrow::Cow;

use super::fill::ValidCounts;
use super::search::{SearchArea, TileWindows};
use crate::grid::Grid;

/// What the masked correlation needs of one image besides its values, which are zero where invalid.
pub struct MaskedPlane<'a> {
    size: (usize, usize),
    /// 1 where invalid, else 0; none where every pixel is valid.
    pub invalid: Option<Grid<f32>>,
    /// Where the other image has gaps.
    pub squares: Option<Grid<f32>>,
    /// Where there are gaps.
    counts: Option<Cow<'a, ValidCounts>>,
}

impl<'a> MaskedPlane<'a> {
    /// Of the pre and the post image, values and validity; `counts` where they are known.
    pub fn pair(
        pre: (&Grid<f32>, &Grid<bool>),
        post: (&Grid<f32>, &Grid<bool>),
        counts: Option<(&'a ValidCounts, &'a ValidCounts)>,
    ) -> (MaskedPlane<'a>, MaskedPlane<'a>) {
        let gaps = [pre.1, post.1].map(|valid| !valid.all_true());
        let plane = |(values, valid): (&Grid<f32>, &Grid<bool>), gaps: [bool; 2], counts: Option<&'a ValidCounts>| {
            MaskedPlane {
                size: (values.width, values.height),
                invalid: gaps[0].then(|| valid.map(|ok| if ok { 0.0 } else { 1.0 })),
                squares: gaps[1].then(|| values.map(|v| v * v)),
                counts: gaps[0].then(|| counts.map_or_else(|| Cow::Owned(ValidCounts::new(valid)), Cow::Borrowed)),
            }
        };
        let (own, other) = counts.unzip();
        (plane(pre, gaps, own), plane(post, [gaps[1], gaps[0]], other))
    }

    /// Invalid pixels in a rectangle, as far as it lies in the image.
    #[inline(always)]
    pub fn gaps(&self, corner: (usize, usize), size: (usize, usize)) -> usize {
        let Some(counts) = &self.counts else { return 0 };
        let inside = |corner: usize, size: usize, all: usize| size.min(all.saturating_sub(corner));
        let size = (inside(corner.0, size.0, self.size.0), inside(corner.1, size.1, self.size.1));
        size.0 * size.1 - counts.count(corner.0 as i64, corner.1 as i64, size)
    }

    /// The same in the rectangles from neighbouring corners on, which lie in the image.
    #[inline(always)]
    pub fn gaps_along(&self, corner: (usize, usize), size: (usize, usize), out: &mut [u32]) {
        let Some(counts) = &self.counts else { return out.fill(0) };
        let all = (size.0 * size.1) as u32;
        let n = out.len();
        out.iter_mut().zip(counts.along(corner, size, n)).for_each(|(out, valid)| *out = all - valid);
    }
}

/// For every cell: a pixel of its window or of the post image within its search is invalid. The post image reaches
/// `margin` pixels further than the pre image on every side.
pub fn cells_with_gaps(
    (pre, post): (&MaskedPlane, &MaskedPlane),
    margin: usize,
    windows: &TileWindows,
    search: &SearchArea,
) -> Vec<bool> {
    let (w, h) = windows.window;
    let (rx, ry) = search.range;
    let gaps = |cell: usize| {
        let (x, y) = windows.corner(cell);
        let start = search.start(cell);
        let first = |corner: usize, start: i32, range: usize| {
            ((corner + margin) as i64 + i64::from(start) - range as i64) as usize
        };
        let there = (first(x, start.0, rx), first(y, start.1, ry));
        pre.gaps((x, y), (w, h)) > 0 || post.gaps(there, (w + 2 * rx, h + 2 * ry)) > 0
    };
    (0..windows.len()).map(gaps).collect()
}
