//! Which windows of a tile meet an invalid pixel, and how to sum over them with little work.
//!
//! A window that meets none needs one sum of products a shift; the masked correlation needs five more. Near the border
//! of an image or beside a few clouds most windows of a tile are clear.

use std::borrow::Cow;

use super::fill::ValidCounts;
use super::search::{SearchArea, TileWindows};
use crate::grid::Grid;

/// What the masked correlation needs of one image besides its values, which are zero where invalid.
pub struct MaskedPlane<'a> {
    /// 1 where invalid, else 0.
    pub invalid: Grid<f32>,
    pub squares: Grid<f32>,
    counts: Cow<'a, ValidCounts>,
}

impl<'a> MaskedPlane<'a> {
    /// `counts` where they are known.
    pub fn new(values: &Grid<f32>, valid: &Grid<bool>, counts: Option<&'a ValidCounts>) -> Self {
        MaskedPlane {
            invalid: valid.map(|ok| if ok { 0.0 } else { 1.0 }),
            squares: values.map(|v| v * v),
            counts: counts.map_or_else(|| Cow::Owned(ValidCounts::new(valid)), Cow::Borrowed),
        }
    }

    /// Invalid pixels in a rectangle, as far as it lies in the image.
    #[inline(always)]
    pub fn gaps(&self, corner: (usize, usize), size: (usize, usize)) -> usize {
        let size = (size.0.min(self.invalid.width - corner.0), size.1.min(self.invalid.height - corner.1));
        size.0 * size.1 - self.counts.count(corner.0 as i64, corner.1 as i64, size)
    }
}

/// Cell rows in which the windows with gaps lie within the same columns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    pub rows: (usize, usize),
    pub masked: Option<(usize, usize)>,
}

/// For every cell: no pixel of its window nor of the post image within its search is invalid. The post image reaches
/// `margin` pixels further than the pre image on every side.
pub fn clear_cells(
    (pre, post): (&MaskedPlane, &MaskedPlane),
    margin: usize,
    windows: &TileWindows,
    search: &SearchArea,
) -> Vec<bool> {
    let (w, h) = windows.window;
    let (rx, ry) = search.range;
    let clear = |cell: usize| {
        let (x, y) = windows.corner(cell);
        let start = search.start(cell);
        let first = |corner: usize, start: i32, range: usize| {
            ((corner + margin) as i64 + i64::from(start) - range as i64) as usize
        };
        let there = (first(x, start.0, rx), first(y, start.1, ry));
        pre.gaps((x, y), (w, h)) == 0 && post.gaps(there, (w + 2 * rx, h + 2 * ry)) == 0
    };
    (0..windows.len()).map(clear).collect()
}

/// Divides the cell rows `rows` where the columns with gaps change; neighbours that cost less together stay together.
pub fn bands(clear: &[bool], windows: &TileWindows, rows: (usize, usize)) -> Vec<Band> {
    let n = windows.cells.0;
    // Rows that a band computes besides its own, because its first windows reach over them.
    let overlap = windows.window.1.div_ceil(windows.step.1) - 1;
    let width = |c: Option<(usize, usize)>| c.map_or(0, |(a, b)| b - a);
    // Most blocks of the masked sums are skipped; passing over them costs about as much as the products.
    let cost = |b: &Band| (b.rows.1 - b.rows.0 + overlap) * (n + width(b.masked));
    let hull = |row: usize| {
        let line = &clear[row * n..(row + 1) * n];
        let first = line.iter().position(|&c| !c)?;
        Some((first, line.iter().rposition(|&c| !c)? + 1))
    };
    let join = |a: Option<(usize, usize)>, b: Option<(usize, usize)>| match (a, b) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (a, b) => a.or(b),
    };
    let mut runs: Vec<Band> = Vec::new();
    for row in rows.0..rows.1 {
        let masked = hull(row);
        match runs.last_mut() {
            Some(last) if last.masked == masked => last.rows.1 = row + 1,
            _ => runs.push(Band { rows: (row, row + 1), masked }),
        }
    }
    let mut out: Vec<Band> = Vec::new();
    for own in runs {
        if let Some(last) = out.last_mut() {
            let both = Band { rows: (last.rows.0, own.rows.1), masked: join(last.masked, own.masked) };
            if cost(&both) <= cost(last) + cost(&own) {
                *last = both;
                continue;
            }
        }
        out.push(own);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_border_is_a_band_of_its_own() {
        let windows = TileWindows { cells: (32, 32), window: (64, 64), step: (16, 16) };
        let clear: Vec<bool> = (0..32 * 32).map(|i| i % 32 >= 2 && i / 32 >= 2).collect();
        let found = bands(&clear, &windows, (0, 32));
        let top = Band { rows: (0, 2), masked: Some((0, 32)) };
        let rest = Band { rows: (2, 32), masked: Some((0, 2)) };
        assert_eq!(found, [top, rest]);
    }

    #[test]
    fn scattered_gaps_do_not_divide_the_rows() {
        let windows = TileWindows { cells: (16, 16), window: (32, 32), step: (8, 8) };
        let clear: Vec<bool> = (0..256).map(|i| (i * 7919) % 5 != 0).collect();
        let found = bands(&clear, &windows, (0, 16));
        assert!(found.len() <= 2, "{found:?}");
        assert_eq!((found[0].rows.0, found[found.len() - 1].rows.1), (0, 16));
    }
}
