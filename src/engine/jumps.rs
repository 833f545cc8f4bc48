//! Jumps found inside windows, as pieces of a line on the pre image.

use crate::correlate::cut::centre;
use crate::correlate::search::TileWindows;
use crate::correlate::split::Split;
use crate::field::{Covariance, PixelShift};
use crate::grid::Window;
use crate::layout::Layout;

/// Windows whose lines become pieces lie this share of a window apart.
const PIECES: usize = 4;

/// A piece of a fault.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jump {
    /// The cell of the whole grid in whose window it was found.
    pub cell: (i64, i64),
    /// Its ends in pixel-centre coordinates of the pre image.
    pub points: [(f64, f64); 2],
    /// Displacement on the right of the way from the first end to the second, minus that on the left, pixels.
    pub slip: PixelShift,
    pub covariance: Covariance,
    /// Gain of the information criterion over one displacement.
    pub gain: f64,
}

/// The pieces of `splits`, found in the windows of `cells`, that belong to `tile`: of windows a part of a window apart,
/// what lies nearer to their centre than to the next one's.
pub fn pieces(layout: &Layout, cells: Window, tile: Window, splits: &[Split]) -> Vec<Jump> {
    let windows = TileWindows { cells: (cells.width, cells.height), window: layout.window, step: layout.step };
    let origin = layout.pixels(cells);
    let every = |w: usize, s: usize| w.div_ceil(PIECES).div_ceil(s) as i64;
    let every = (every(layout.window.0, layout.step.0), every(layout.window.1, layout.step.1));
    let half = (0.5 * every.0 as f64 * layout.step.0 as f64, 0.5 * every.1 as f64 * layout.step.1 as f64);
    let mut found = Vec::new();
    for s in splits {
        let cell = (cells.x + (s.cell % cells.width) as i64, cells.y + (s.cell / cells.width) as i64);
        let inside = cell.0 >= tile.x && cell.1 >= tile.y && cell.0 < tile.right() && cell.1 < tile.bottom();
        if !inside || cell.0 % every.0 != 0 || cell.1 % every.1 != 0 {
            continue;
        }
        let Some(ends) = clipped(s.line.theta, s.line.rho, half) else { continue };
        let middle = centre(windows.corner(s.cell), windows.window);
        let (x, y) = (middle.0 + origin.x as f64, middle.1 + origin.y as f64);
        let points = ends.map(|(u, v)| (u + x, v + y));
        found.push(Jump { cell, points, slip: s.slip, covariance: s.covariance, gain: s.gain });
    }
    found
}

/// The part of a line in the box of half sides `half` around the origin, with the positive side on its right.
fn clipped(theta: f64, rho: f64, half: (f64, f64)) -> Option<[(f64, f64); 2]> {
    let (cos, sin) = (theta.cos(), theta.sin());
    let (foot, along) = ((rho * cos, rho * sin), (sin, -cos));
    let (mut from, mut to) = (f64::NEG_INFINITY, f64::INFINITY);
    for (p, d, h) in [(foot.0, along.0, half.0), (foot.1, along.1, half.1)] {
        if d.abs() < 1e-12 {
            if p.abs() > h {
                return None;
            }
            continue;
        }
        let (a, b) = ((-h - p) / d, (h - p) / d);
        from = from.max(a.min(b));
        to = to.min(a.max(b));
    }
    let at = |t: f64| (foot.0 + t * along.0, foot.1 + t * along.1);
    (from < to).then(|| [at(from), at(to)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_positive_side_is_on_the_right() {
        // Normal to the right: seen with rows downwards the way leads up, and its right is the positive side.
        let [a, b] = clipped(0.0, 1.0, (4.0, 4.0)).unwrap();
        assert!((a.0 - 1.0).abs() < 1e-12 && a.1 > b.1 && (a.1 - b.1 - 8.0).abs() < 1e-12);
        assert!(clipped(0.0, 5.0, (4.0, 4.0)).is_none());
        let [a, b] = clipped(0.7, 2.0, (4.0, 3.0)).unwrap();
        for p in [a, b] {
            assert!((p.0 * 0.7f64.cos() + p.1 * 0.7f64.sin() - 2.0).abs() < 1e-12);
            assert!(p.0.abs() < 4.0 + 1e-9 && p.1.abs() < 3.0 + 1e-9);
        }
    }
}
