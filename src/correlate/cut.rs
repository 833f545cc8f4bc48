//! Lines that no window may reach across: fault traces, glacier and landslide outlines (`--cut`).
//!
//! A pixel belongs to a window when it is visible from the window's centre: the straight line between the two crosses
//! no segment. So windows beside a line keep their own side, and windows beyond its tip stay whole.

/// Line segments in tile pixels, pixel centres at whole numbers, (0, 0) the tile's first pixel.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cuts {
    pub segments: Vec<[(f64, f64); 2]>,
}

impl Cuts {
    /// The segments that meet the window at `corner` (tile pixels).
    pub fn near(&self, corner: (usize, usize), window: (usize, usize)) -> Vec<[(f64, f64); 2]> {
        let (x0, y0) = (corner.0 as f64 - 0.5, corner.1 as f64 - 0.5);
        let (x1, y1) = (x0 + window.0 as f64, y0 + window.1 as f64);
        let meets = |[a, b]: &&[(f64, f64); 2]| {
            a.0.max(b.0) >= x0 && a.0.min(b.0) <= x1 && a.1.max(b.1) >= y0 && a.1.min(b.1) <= y1
        };
        self.segments.iter().filter(meets).copied().collect()
    }

    /// Weights 0 to 1 of the window's pixels, row by row; `None` where no segment meets the window and all are 1.
    pub fn weights(&self, corner: (usize, usize), window: (usize, usize)) -> Option<Vec<f32>> {
        let near = self.near(corner, window);
        if near.is_empty() {
            return None;
        }
        let centre = (corner.0 as f64 + (window.0 as f64 - 1.0) / 2.0, corner.1 as f64 + (window.1 as f64 - 1.0) / 2.0);
        let weight = |k: usize| {
            let pixel = ((corner.0 + k % window.0) as f64, (corner.1 + k / window.0) as f64);
            if near.iter().any(|s| crosses(centre, pixel, s)) { 0.0 } else { 1.0 }
        };
        Some((0..window.0 * window.1).map(weight).collect())
    }
}

/// The open segment from `a` to `b` crosses `s`.
pub fn crosses(a: (f64, f64), b: (f64, f64), s: &[(f64, f64); 2]) -> bool {
    let side = |p: (f64, f64), q: (f64, f64), r: (f64, f64)| (q.0 - p.0) * (r.1 - p.1) - (q.1 - p.1) * (r.0 - p.0);
    let (s0, s1) = (side(a, b, s[0]), side(a, b, s[1]));
    let (t0, t1) = (side(s[0], s[1], a), side(s[0], s[1], b));
    (s0 > 0.0) != (s1 > 0.0) && (t0 > 0.0) != (t1 > 0.0)
}
