//! Cells whose matching window contains a piece of the trace.

use crate::grid::{Grid, Window};

/// Marks the cells of `strip` whose window, ± `half` cells (columns, rows) around the cell's centre, meets one of the
/// segments (x0, y0, x1, y1 in cells, counted from the corner of cell (0, 0)).
pub fn straddling(strip: Window, segments: &[[f64; 4]], half: (f64, f64)) -> Grid<bool> {
    let mut marks = Grid::filled(strip.width, strip.height, false);
    if half.0 <= 0.0 || half.1 <= 0.0 {
        return marks;
    }
    for s in segments {
        let (top, bottom) = (s[1].min(s[3]) - half.1, s[1].max(s[3]) + half.1);
        let first = ((top - 0.5).ceil() as i64).max(strip.y);
        let last = ((bottom - 0.5).floor() as i64).min(strip.bottom() - 1);
        for row in first..=last {
            let centre = row as f64 + 0.5;
            let Some((x0, x1)) = columns(s, centre - half.1, centre + half.1) else { continue };
            let from = ((x0 - half.0 - 0.5).ceil() as i64).max(strip.x);
            let to = ((x1 + half.0 - 0.5).floor() as i64).min(strip.right() - 1);
            for column in from..=to {
                marks.set((column - strip.x) as usize, (row - strip.y) as usize, true);
            }
        }
    }
    marks
}

/// Range of x of the part of a segment between two values of y.
fn columns(s: &[f64; 4], low: f64, high: f64) -> Option<(f64, f64)> {
    let (dx, dy) = (s[2] - s[0], s[3] - s[1]);
    let (mut t0, mut t1) = (0.0f64, 1.0f64);
    if dy == 0.0 {
        if s[1] < low || s[1] > high {
            return None;
        }
    } else {
        let (a, b) = ((low - s[1]) / dy, (high - s[1]) / dy);
        (t0, t1) = (t0.max(a.min(b)), t1.min(a.max(b)));
        if t0 > t1 {
            return None;
        }
    }
    let (a, b) = (s[0] + t0 * dx, s[0] + t1 * dx);
    Some((a.min(b), a.max(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether points along the segment fall into the window, sampled finely.
    fn slow(column: usize, row: usize, s: &[f64; 4], half: (f64, f64)) -> bool {
        (0..=20_000).any(|k| {
            let t = k as f64 / 20_000.0;
            let (x, y) = (s[0] + t * (s[2] - s[0]), s[1] + t * (s[3] - s[1]));
            (x - column as f64 - 0.5).abs() <= half.0 && (y - row as f64 - 0.5).abs() <= half.1
        })
    }

    #[test]
    fn the_same_cells_as_by_sampling_the_trace() {
        let half = (2.03, 1.61);
        for s in [[3.2, 1.1, 17.9, 12.7], [5.0, 14.0, 5.0, 2.0], [1.0, 6.3, 18.0, 6.3], [9.4, 9.4, 9.6, 9.5]] {
            let marks = straddling(Window::new(0, 0, 20, 15), &[s], half);
            let part = straddling(Window::new(4, 5, 10, 6), &[s], half);
            for row in 0..15 {
                for column in 0..20 {
                    assert_eq!(marks.get(column, row), slow(column, row, &s, half), "{column} {row} {s:?}");
                    if (4..14).contains(&column) && (5..11).contains(&row) {
                        assert_eq!(part.get(column - 4, row - 5), marks.get(column, row));
                    }
                }
            }
        }
    }
}
