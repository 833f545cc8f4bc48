//! Which windows of a tile meet an invalid pixel, and how to sum over both kinds with little work.
//!
//! A window that meets none needs one sum of products a shift; the masked correlation needs six. Near the border of an
//! image or beside a few clouds most windows of a tile are clear.

use super::search::{SearchArea, TileWindows};
use super::sums::{area, summed};
use super::surface::Planes;

/// Cell rows in which the clear and the other windows lie within the same columns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    pub rows: (usize, usize),
    pub clear: Option<(usize, usize)>,
    pub masked: Option<(usize, usize)>,
}

/// For every cell: no pixel of its window nor of the post image within its search is invalid.
pub fn clear_cells(planes: &Planes, windows: &TileWindows, search: &SearchArea) -> Vec<bool> {
    let invalid = |valid: &crate::grid::Grid<bool>| {
        let marks = crate::grid::Grid {
            width: valid.width,
            height: valid.height,
            data: valid.data.iter().map(|&ok| if ok { 0.0 } else { 1.0 }).collect(),
        };
        summed(&marks, |v| v)
    };
    let (pre, post) = (invalid(planes.pre.1), invalid(planes.post.1));
    let strides = (planes.pre.1.width + 1, planes.post.1.width + 1);
    let (w, h) = windows.window;
    let (rx, ry) = search.range;
    let clear = |cell: usize| {
        let (x, y) = windows.corner(cell);
        let start = search.start(cell);
        let first =
            |corner: usize, start: i32, range: usize| (corner + planes.margin) as i64 + i64::from(start) - range as i64;
        let (px, py) = (first(x, start.0, rx) as usize, first(y, start.1, ry) as usize);
        area(&pre, strides.0, x, y, (w, h)) == 0.0 && area(&post, strides.1, px, py, (w + 2 * rx, h + 2 * ry)) == 0.0
    };
    (0..windows.len()).map(clear).collect()
}

/// Divides the cell rows `rows`; neighbours that cost less together than apart stay together.
pub fn bands(clear: &[bool], windows: &TileWindows, rows: (usize, usize)) -> Vec<Band> {
    let n = windows.cells.0;
    // Rows that a band computes besides its own, because its first windows reach over them.
    let overlap = windows.window.1.div_ceil(windows.step.1) - 1;
    let width = |c: Option<(usize, usize)>| c.map_or(0, |(a, b)| b - a);
    let cost = |b: &Band| (b.rows.1 - b.rows.0 + overlap) * (width(b.clear) + 6 * width(b.masked));
    let hull = |row: usize, wanted: bool| {
        let line = &clear[row * n..(row + 1) * n];
        let first = line.iter().position(|&c| c == wanted)?;
        Some((first, line.iter().rposition(|&c| c == wanted)? + 1))
    };
    let join = |a: Option<(usize, usize)>, b: Option<(usize, usize)>| match (a, b) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (a, b) => a.or(b),
    };
    let mut out: Vec<Band> = Vec::new();
    for row in rows.0..rows.1 {
        let own = Band { rows: (row, row + 1), clear: hull(row, true), masked: hull(row, false) };
        if let Some(last) = out.last_mut() {
            let both = Band {
                rows: (last.rows.0, row + 1),
                clear: join(last.clear, own.clear),
                masked: join(last.masked, own.masked),
            };
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
        let top = Band { rows: (0, 2), clear: None, masked: Some((0, 32)) };
        let rest = Band { rows: (2, 32), clear: Some((2, 32)), masked: Some((0, 2)) };
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
