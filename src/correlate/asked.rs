//! Which shifts of a batch the windows of a tile ask for.

use super::search::{SearchArea, TileWindows};
use super::surface_layer::Planes;

/// The rows of the post image at which a window that is asked for begins, or has ended.
pub fn borders(planes: &Planes, windows: &TileWindows, search: &SearchArea) -> Vec<bool> {
    let mut out = vec![false; planes.post.0.height + 1];
    let (columns, h) = (windows.cells.0, windows.window.1);
    for y in 0..windows.cells.1 {
        let ((_, low), (_, high)) = extent(search, y * columns, (y + 1) * columns);
        let corner = (y * windows.step.1 + planes.margin) as i64;
        for top in corner + i64::from(low)..=corner + i64::from(high) {
            out[top as usize] = true;
            out[top as usize + h] = true;
        }
    }
    out
}

/// Smallest and largest shift that a cell of `first..last` asks for.
pub fn extent(search: &SearchArea, first: usize, last: usize) -> ((i32, i32), (i32, i32)) {
    let (rx, ry) = (search.range.0 as i32, search.range.1 as i32);
    let starts = (first..last).map(|c| search.start(c));
    let (mut low, mut high) = ((i32::MAX, i32::MAX), (i32::MIN, i32::MIN));
    for (x, y) in starts {
        low = (low.0.min(x - rx), low.1.min(y - ry));
        high = (high.0.max(x + rx), high.1.max(y + ry));
    }
    (low, high)
}

/// The cell columns of `within` between which some cell of the rows asks for one of `shifts` shifts (along x and y) from
/// `shift` on; `cells_x` is the number of cells in a row.
pub fn columns_of(
    search: &SearchArea,
    cells_x: usize,
    rows: (usize, usize),
    within: (usize, usize),
    shift: (i32, i32),
    shifts: (usize, usize),
) -> Option<(usize, usize)> {
    if search.starts.is_empty() {
        return Some(within);
    }
    let lines = || (0..shifts.1 as i32).map(|line| (shift.0, shift.1 + line));
    let asks = |cell: usize| lines().any(|shift| slots(search, cell, shift, shifts.0).is_some());
    let wants = |x: usize| (rows.0..rows.1).any(|y| asks(y * cells_x + x));
    let first = (within.0..within.1).find(|&x| wants(x))?;
    let last = (first..within.1).rev().find(|&x| wants(x))?;
    Some((first, last + 1))
}

/// Which of `shifts` shifts from `shift` on along x belong to a cell's surface: how many come before, how many they
/// are, and where the first one is.
#[inline(always)]
pub fn slots(search: &SearchArea, cell: usize, shift: (i32, i32), shifts: usize) -> Option<(usize, usize, usize)> {
    let (rx, ry) = (search.range.0 as i32, search.range.1 as i32);
    let start = search.start(cell);
    let (x, y) = (shift.0 - start.0 + rx, shift.1 - start.1 + ry);
    let (first, last) = (x.max(0), (x + shifts as i32).min(2 * rx + 1));
    let inside = first < last && y >= 0 && y <= 2 * ry;
    inside.then(|| ((first - x) as usize, (last - first) as usize, (y * (2 * rx + 1) + first) as usize))
}
