//! Rectangles of cells for work that only some cells of a tile need, where overlapping windows share it.

use super::batch_sums::Part;
use super::search::TileWindows;

/// Rectangles that hold all `marked` cells of the rows `rows`; what costs less together than apart is one. They may have cells in
/// common.
pub fn rectangles(marked: &[bool], windows: &TileWindows, rows: (usize, usize)) -> Vec<Part> {
    let columns = windows.cells.0;
    // A rectangle sums over the blocks of its first windows besides one row and column of blocks for every other.
    let overlap = |window: usize, step: usize| window.div_ceil(step);
    let (wide, high) = (overlap(windows.window.0, windows.step.0), overlap(windows.window.1, windows.step.1));
    let cost = |p: &Part| (p.columns.1 - p.columns.0 + wide) * (p.rows.1 - p.rows.0 + high);
    let mut out: Vec<Part> = Vec::new();
    for row in rows.0..rows.1 {
        let line = &marked[row * columns..(row + 1) * columns];
        let mut x = 0;
        while let Some(first) = (x..columns).find(|&x| line[x]) {
            x = (first..columns).find(|&x| !line[x]).unwrap_or(columns);
            let mut own = Part { columns: (first, x), rows: (row, row + 1) };
            while let Some(k) = out.iter().position(|p| cost(&hull(p, &own)) <= cost(p) + cost(&own)) {
                own = hull(&out.swap_remove(k), &own);
            }
            out.push(own);
        }
    }
    out
}

/// The smallest rectangle that holds both.
fn hull(a: &Part, b: &Part) -> Part {
    let hull = |a: (usize, usize), b: (usize, usize)| (a.0.min(b.0), a.1.max(b.1));
    Part { columns: hull(a.columns, b.columns), rows: hull(a.rows, b.rows) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(columns: (usize, usize), rows: (usize, usize)) -> Part {
        Part { columns, rows }
    }

    #[test]
    fn the_borders_of_an_image_are_two_rectangles() {
        let windows = TileWindows { cells: (32, 32), window: (64, 64), step: (16, 16) };
        let marked: Vec<bool> = (0..32 * 32).map(|i| i % 32 < 2 || i / 32 < 2).collect();
        let found = rectangles(&marked, &windows, (0, 32));
        assert_eq!(found, [part((0, 32), (0, 2)), part((0, 2), (2, 32))]);
        assert_eq!(rectangles(&marked, &windows, (5, 7)), [part((0, 2), (5, 7))]);
    }

    #[test]
    fn scattered_cells_are_one_and_clusters_far_apart_are_not() {
        let windows = TileWindows { cells: (40, 16), window: (32, 32), step: (8, 8) };
        let scattered: Vec<bool> = (0..640).map(|i| (i * 7919) % 5 == 0).collect();
        let found = rectangles(&scattered, &windows, (0, 16));
        assert!(found.len() <= 2, "{found:?}");
        let clusters: Vec<bool> = (0..640).map(|i| i % 40 < 3 || (i % 40 > 30 && i / 40 > 9)).collect();
        let mut found = rectangles(&clusters, &windows, (0, 16));
        found.sort_by_key(|p| p.columns);
        assert_eq!(found, [part((0, 3), (0, 16)), part((31, 40), (10, 16))]);
        assert!(rectangles(&[false; 640], &windows, (0, 16)).is_empty());
    }
}
