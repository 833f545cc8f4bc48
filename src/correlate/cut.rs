//! Lines that no window may reach across: fault traces, glacier and landslide outlines (`--cut`).
//!
//! A pixel belongs to a window when the straight way to it from the window's centre crosses every line an even number
//! of times. So windows beside a line keep their own side, windows beyond its tip stay whole, and a bend of a rough
//! trace casts no shadow on ground of the same side. Pixels next to a line, which the filters have mixed with the
//! other side, count less.

use crate::grid::{Grid, Window};

/// Distance from a line, in pixels, over which weights rise from 0 to 1.
const EDGE: f64 = 1.0;
/// Least effective share of a window's pixels, (Σw)²/Σw² over their number; below it the support moves away from the
/// line.
const LEAST: f64 = 0.4;
/// Consecutive segments that share a bounding box.
const RUN: usize = 16;

/// A piece of a line.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Segment {
    a: (f64, f64),
    b: (f64, f64),
    /// Which line it belongs to.
    line: u32,
}

/// Lines in tile pixels, pixel centres at whole numbers, (0, 0) the tile's first pixel.
#[derive(Debug, Clone, PartialEq)]
pub struct Cuts {
    segments: Vec<Segment>,
    /// Bounding boxes (left, top, right, bottom) of [`RUN`] segments each.
    runs: Vec<[f64; 4]>,
    /// Weight of every tile pixel from its distance to the nearest line.
    edge: Grid<f32>,
}

/// The pixels that measure the ground at the centre of a window that a line meets.
#[derive(Debug, Clone, PartialEq)]
pub struct Support {
    /// Top-left pixel; the window's own unless it had to move.
    pub corner: (usize, usize),
    /// Weights 0 to 1, row by row.
    pub weights: Vec<f32>,
}

impl Cuts {
    /// Of `lines` in the coordinates of an image, for the tile that covers `pixels` of it.
    pub fn new(lines: &[Vec<(f64, f64)>], pixels: Window) -> Cuts {
        let (x0, y0) = (pixels.x as f64, pixels.y as f64);
        let bounds = bounds(pixels);
        let mut segments = Vec::new();
        for (line, points) in lines.iter().enumerate() {
            for p in points.windows(2) {
                let (a, b) = ((p[0].0 - x0, p[0].1 - y0), (p[1].0 - x0, p[1].1 - y0));
                if meet(&around(&[a, b]), &bounds) {
                    segments.push(Segment { a, b, line: line as u32 });
                }
            }
        }
        let corners = |run: &[Segment]| run.iter().flat_map(|s| [s.a, s.b]).collect::<Vec<_>>();
        let runs = segments.chunks(RUN).map(|run| around(&corners(run))).collect();
        let edge = edge(&segments, pixels.width, pixels.height);
        Cuts { segments, runs, edge }
    }

    /// Whether a line comes near the tile that covers `pixels`.
    pub fn meet(lines: &[Vec<(f64, f64)>], pixels: Window) -> bool {
        let bounds = bounds(pixels);
        let (x0, y0) = (pixels.x as f64, pixels.y as f64);
        let near = |p: &[(f64, f64)]| meet(&around(&[(p[0].0 - x0, p[0].1 - y0), (p[1].0 - x0, p[1].1 - y0)]), &bounds);
        lines.iter().any(|line| line.windows(2).any(near))
    }

    /// The segments that meet a rectangle (left, top, right, bottom).
    fn near(&self, bounds: &[f64; 4]) -> Vec<Segment> {
        let mut near = Vec::new();
        for (run, segments) in self.runs.iter().zip(self.segments.chunks(RUN)) {
            if meet(run, bounds) {
                near.extend(segments.iter().filter(|s| meet(&around(&[s.a, s.b]), bounds)));
            }
        }
        near
    }

    /// The lines, where they come near the tile: points in tile pixels, one list for each piece that hangs together.
    pub fn chains(&self) -> Vec<Vec<(f64, f64)>> {
        let mut chains: Vec<(u32, Vec<(f64, f64)>)> = Vec::new();
        for s in &self.segments {
            match chains.last_mut() {
                Some((line, points)) if *line == s.line && points.last() == Some(&s.a) => points.push(s.b),
                _ => chains.push((s.line, vec![s.a, s.b])),
            }
        }
        chains.into_iter().map(|c| c.1).collect()
    }

    /// Whether a straight way between two points stays on one side of every line.
    pub fn visible(&self, a: (f64, f64), b: (f64, f64)) -> bool {
        same_side(a, b, &self.near(&around(&[a, b])))
    }

    /// Pixels of a tile of `width` × `height` from which a step to the right or downwards may cross a line.
    pub fn pixels(&self, width: usize, height: usize) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for s in &self.segments {
            let b = around(&[s.a, s.b]);
            let span = |low: f64, high: f64, n: usize| {
                (low - 1.0).floor().clamp(0.0, n as f64) as usize..(high.floor() + 1.0).clamp(0.0, n as f64) as usize
            };
            for y in span(b[1], b[3], height) {
                // The part of the segment near the row.
                let along = |v: f64| {
                    let t = if s.b.1 == s.a.1 { f64::NAN } else { (v - s.a.1) / (s.b.1 - s.a.1) };
                    s.a.0 + t.clamp(0.0, 1.0) * (s.b.0 - s.a.0)
                };
                let (p, q) = (along(y as f64 - 1.0), along(y as f64 + 1.0));
                let (low, high) = if p.is_nan() { (b[0], b[2]) } else { (p.min(q), p.max(q)) };
                found.extend(span(low, high, width).map(|x| (x, y)));
            }
        }
        found.sort_unstable_by_key(|p| (p.1, p.0));
        found.dedup();
        found
    }

    /// Whether a line meets the window at `corner`.
    pub fn touches(&self, corner: (usize, usize), window: (usize, usize)) -> bool {
        !self.near(&covered(corner, window)).is_empty()
    }

    /// Weights 0 to 1 of the pixels of the window at `corner`, row by row; `None` where no line meets the window and
    /// all are 1.
    pub fn weights(&self, corner: (usize, usize), window: (usize, usize)) -> Option<Vec<f32>> {
        let near = self.near(&covered(corner, window));
        (!near.is_empty()).then(|| self.seen(centre(corner, window), corner, window, &near))
    }

    /// Weights of a window's pixels seen from `eye`.
    fn seen(&self, eye: (f64, f64), corner: (usize, usize), window: (usize, usize), near: &[Segment]) -> Vec<f32> {
        let mut weights = Vec::with_capacity(window.0 * window.1);
        for y in corner.1..corner.1 + window.1 {
            for x in corner.0..corner.0 + window.0 {
                let inside = x < self.edge.width && y < self.edge.height;
                let weight = if inside { self.edge.get(x, y) } else { 1.0 };
                let own = weight > 0.0 && same_side(eye, (x as f64, y as f64), near);
                weights.push(if own { weight } else { 0.0 });
            }
        }
        weights
    }

    /// The support of the window at `corner`; `None` where no line meets the window. Where too little of the window
    /// lies on the centre's side, the support moves by up to half a window, inside the tile of `size` pixels.
    pub fn support(&self, corner: (usize, usize), window: (usize, usize), size: (usize, usize)) -> Option<Support> {
        let weights = self.weights(corner, window)?;
        let pixels = (window.0 * window.1) as f64;
        let mut most = effective(&weights);
        let mut best = Support { corner, weights };
        if most >= LEAST * pixels {
            return Some(best);
        }
        let eye = centre(corner, window);
        let (left, top) = (corner.0.saturating_sub(window.0 / 2), corner.1.saturating_sub(window.1 / 2));
        let near = self.near(&covered((left, top), (2 * window.0, 2 * window.1)));
        let moved = |at: usize, by: i64, quarter: usize, n: usize, size: usize| {
            (at as i64 + by * (quarter * n) as i64 / 4).clamp(0, size as i64 - n as i64) as usize
        };
        for quarters in [1, 2] {
            for (dx, dy) in [(-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, -1), (-1, 1), (1, 1)] {
                let corner =
                    (moved(corner.0, dx, quarters, window.0, size.0), moved(corner.1, dy, quarters, window.1, size.1));
                let weights = self.seen(eye, corner, window, &near);
                if effective(&weights) > most {
                    most = effective(&weights);
                    best = Support { corner, weights };
                }
            }
            if most >= LEAST * pixels {
                break;
            }
        }
        Some(best)
    }
}

/// Where lines matter to a tile: half a pixel around, and room for the fading beside a line.
fn bounds(pixels: Window) -> [f64; 4] {
    [-2.0, -2.0, pixels.width as f64 + 1.0, pixels.height as f64 + 1.0]
}

/// (Σw)²/Σw²: how many full pixels carry the same information.
fn effective(weights: &[f32]) -> f64 {
    let sum: f64 = weights.iter().map(|&w| w as f64).sum();
    let squares: f64 = weights.iter().map(|&w| (w as f64).powi(2)).sum();
    if squares > 0.0 { sum * sum / squares } else { 0.0 }
}

/// Centre of a window in pixel-centre coordinates.
pub fn centre(corner: (usize, usize), window: (usize, usize)) -> (f64, f64) {
    (corner.0 as f64 + (window.0 as f64 - 1.0) / 2.0, corner.1 as f64 + (window.1 as f64 - 1.0) / 2.0)
}

/// What a window's pixels cover.
fn covered(corner: (usize, usize), window: (usize, usize)) -> [f64; 4] {
    let (x, y) = (corner.0 as f64 - 0.5, corner.1 as f64 - 0.5);
    [x, y, x + window.0 as f64, y + window.1 as f64]
}

/// Bounding box of some points.
fn around(points: &[(f64, f64)]) -> [f64; 4] {
    let start = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
    points.iter().fold(start, |b, p| [b[0].min(p.0), b[1].min(p.1), b[2].max(p.0), b[3].max(p.1)])
}

fn meet(a: &[f64; 4], b: &[f64; 4]) -> bool {
    a[0] <= b[2] && b[0] <= a[2] && a[1] <= b[3] && b[1] <= a[3]
}

/// Every line is crossed an even number of times between `a` and `b`. The segments of a line stand together.
fn same_side(a: (f64, f64), b: (f64, f64), near: &[Segment]) -> bool {
    let (mut line, mut odd) = (u32::MAX, false);
    for s in near {
        if s.line != line {
            if odd {
                return false;
            }
            line = s.line;
        }
        odd ^= crosses(a, b, s);
    }
    !odd
}

/// The way from `a` to `b` crosses the segment; a way through a common vertex of two segments crosses one of them.
fn crosses(a: (f64, f64), b: (f64, f64), s: &Segment) -> bool {
    let side = |p: (f64, f64), q: (f64, f64), r: (f64, f64)| (q.0 - p.0) * (r.1 - p.1) - (q.1 - p.1) * (r.0 - p.0);
    (side(a, b, s.a) > 0.0) != (side(a, b, s.b) > 0.0) && (side(s.a, s.b, a) > 0.0) != (side(s.a, s.b, b) > 0.0)
}

/// Weights from the distance to the nearest segment: 0 on a line, 1 from [`EDGE`] on.
fn edge(segments: &[Segment], width: usize, height: usize) -> Grid<f32> {
    let mut edge = Grid::filled(width, height, 1.0f32);
    for s in segments {
        let b = around(&[s.a, s.b]);
        let span = |low: f64, high: f64, n: usize| {
            let first = (low - EDGE).ceil().max(0.0) as usize;
            first..((high + EDGE).floor() + 1.0).clamp(0.0, n as f64) as usize
        };
        for y in span(b[1], b[3], height) {
            for x in span(b[0], b[2], width) {
                let weight = (distance((x as f64, y as f64), s) / EDGE).min(1.0) as f32;
                edge.set(x, y, edge.get(x, y).min(weight));
            }
        }
    }
    edge
}

fn distance(p: (f64, f64), s: &Segment) -> f64 {
    let (ux, uy) = (s.b.0 - s.a.0, s.b.1 - s.a.1);
    let length = ux * ux + uy * uy;
    let t = if length > 0.0 { ((p.0 - s.a.0) * ux + (p.1 - s.a.1) * uy) / length } else { 0.0 };
    let t = t.clamp(0.0, 1.0);
    (p.0 - s.a.0 - t * ux).hypot(p.1 - s.a.1 - t * uy)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TILE: Window = Window { x: 0, y: 0, width: 64, height: 64 };

    #[test]
    fn windows_keep_their_side_and_are_whole_beyond_a_tip() {
        // From the top to the middle of the tile.
        let cuts = Cuts::new(&[vec![(31.5, -5.0), (31.5, 32.0)]], TILE);
        let w = cuts.weights((20, 4), (16, 16)).unwrap();
        for (k, &v) in w.iter().enumerate() {
            let x = 20 + k % 16;
            // The window's centre is left of the line; half a pixel beside it the weight is a half.
            let want = if x < 31 {
                1.0
            } else if x == 31 {
                0.5
            } else {
                0.0
            };
            assert_eq!(v, want, "column {x}");
        }
        assert!(cuts.weights((0, 0), (16, 16)).is_none() && cuts.weights((24, 40), (16, 16)).is_none());
        // From beyond the tip both sides are seen, but not what lies behind the line.
        let w = cuts.weights((22, 26), (16, 16)).unwrap();
        let at = |x: usize, y: usize| w[(y - 26) * 16 + x - 22];
        assert_eq!((at(22, 40), at(37, 40), at(25, 27), at(37, 27)), (1.0, 1.0, 1.0, 0.0));
    }

    #[test]
    fn a_rough_trace_casts_no_shadow_and_two_lines_both_count() {
        let zigzag: Vec<(f64, f64)> =
            (0..40).map(|i| (31.5 + if i % 2 == 0 { 1.0 } else { -1.0 }, i as f64 * 2.0 - 6.0)).collect();
        let cuts = Cuts::new(std::slice::from_ref(&zigzag), TILE);
        // The centre lies within reach of the teeth.
        let w = cuts.weights((22, 20), (16, 16)).unwrap();
        for (k, &v) in w.iter().enumerate() {
            let x = 22 + k % 16;
            assert_eq!(v > 0.0, x < 31 || (x < 34 && v > 0.0), "column {x}");
            assert!(x < 34 || v == 0.0);
        }
        // A second line behind the first: what lies behind both is not the own side again.
        let both = Cuts::new(&[zigzag, vec![(36.2, -9.0), (36.2, 90.0)]], TILE);
        let w = both.weights((22, 20), (24, 16)).unwrap();
        assert!(
            w.iter().enumerate().all(|(k, &v)| v == 0.0 || 22 + k % 24 < 37 && 22 + k % 24 > 30 || 22 + k % 24 < 33)
        );
    }

    #[test]
    fn a_corner_moves_the_support_until_it_holds_enough() {
        // The centre lies in a quadrant of which the window sees a quarter.
        let lines = [vec![(32.0, 90.0), (32.0, 32.0), (90.0, 32.0)]];
        let cuts = Cuts::new(&lines, TILE);
        let plain = cuts.weights((25, 25), (16, 16)).unwrap();
        assert!(effective(&plain) < 0.4 * 256.0);
        let s = cuts.support((25, 25), (16, 16), (64, 64)).unwrap();
        assert!(effective(&s.weights) >= 0.4 * 256.0 && s.corner != (25, 25), "{:?}", s.corner);
        // Still only the centre's own side.
        for (k, &v) in s.weights.iter().enumerate() {
            let (x, y) = (s.corner.0 + k % 16, s.corner.1 + k / 16);
            assert_eq!(v > 0.0, x > 32 && y > 32, "({x}, {y})");
        }
    }

    #[test]
    fn lines_are_found_whatever_their_number() {
        let lines: Vec<Vec<(f64, f64)>> =
            (0..60).map(|i| vec![(i as f64 * 40.0, -1.0), (i as f64 * 40.0 + 3.0, 900.0)]).collect();
        let cuts = Cuts::new(&lines, Window::new(100, 50, 400, 300));
        let all: Vec<Segment> = cuts.near(&[-1e9, -1e9, 1e9, 1e9]);
        assert!(all.len() < 15 && all.len() > 9);
        for corner in [(0, 0), (130, 20), (300, 250)] {
            let bounds = covered(corner, (32, 32));
            let brute = all.iter().filter(|s| meet(&around(&[s.a, s.b]), &bounds)).count();
            assert_eq!(cuts.near(&bounds).len(), brute);
        }
        assert!(cuts.visible((10.0, 10.0), (12.0, 40.0)) && !cuts.visible((10.0, 10.0), (90.0, 10.0)));
    }
}
