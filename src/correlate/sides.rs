//! The sides of lines as regions of pixels, for methods that sum over all windows of a tile at once (`--cut` of `dense`).
//!
//! Such sums cannot be weighted pixel by pixel for every window. They are made once for each side instead, with the pixels of that
//! side alone, and every pixel near a line takes those of its own side. Sides are the parts into which lines divide the tile; a
//! line that ends inside is continued straight on to tell its sides apart, and pixels beyond its end take the windows with
//! all pixels.

use super::cut::Cuts;
use super::regularized::barrier::Barriers;
use crate::grid::{Grid, Window};

/// Parts of a tile with fewer pixels are not measured by themselves.
const LEAST: usize = 256;
/// Most sides that a tile has.
const MOST: usize = 6;
/// Pixels of a line's end that give its direction.
const DIRECTION: f64 = 24.0;
/// Pixels nearer than this to a line hold something of the other side.
const EDGE: f32 = 1.0;

pub struct Sides {
    /// The part that each pixel belongs to, from 1 on; 0 for small parts.
    parts: Grid<u8>,
    /// Distance to the nearest line, infinite beyond its ends and farther than asked for.
    distance: Grid<f32>,
    pub count: usize,
}

impl Sides {
    /// For a tile of `width` × `height` pixels whose windows reach `reach` pixels from their centre.
    pub fn new(cuts: &Cuts, width: usize, height: usize, reach: usize) -> Sides {
        let lines = cuts.chains();
        let tile = Window::new(0, 0, width, height);
        let longer: Vec<Vec<(f64, f64)>> = lines.iter().map(|l| continued(l, tile)).collect();
        let (parts, count) = parts(&Barriers::new(&Cuts::new(&longer, tile), width, height), width, height);
        let mut distance = Grid::filled(width, height, f32::INFINITY);
        let mut nearest = Grid::filled(width, height, reach as f32);
        for line in &lines {
            for (k, s) in line.windows(2).enumerate() {
                let ends = (k == 0 && free(line[0], tile), k + 2 == line.len() && free(line[line.len() - 1], tile));
                measure((s[0], s[1]), ends, reach as f64, &mut nearest, &mut distance);
            }
        }
        Sides { parts, distance, count }
    }

    /// The pixels of one part that lie clear of the lines.
    pub fn mask(&self, part: usize) -> Grid<bool> {
        let own = |(p, d): (&u8, &f32)| *p as usize == part && *d >= EDGE;
        Grid {
            width: self.parts.width,
            height: self.parts.height,
            data: self.parts.data.iter().zip(&self.distance.data).map(own).collect(),
        }
    }

    /// The part whose windows measure a pixel; `None` where windows with all pixels do.
    pub fn of(&self, x: usize, y: usize) -> Option<usize> {
        let part = self.parts.get(x, y) as usize;
        (part > 0 && self.distance.get(x, y).is_finite()).then_some(part)
    }
}

/// Whether a line ends here, and does not just leave the tile.
fn free(p: (f64, f64), tile: Window) -> bool {
    p.0 > 0.0 && p.1 > 0.0 && p.0 < tile.width as f64 - 1.0 && p.1 < tile.height as f64 - 1.0
}

/// The line with its free ends continued to beyond the tile. Closed lines have none.
fn continued(line: &[(f64, f64)], tile: Window) -> Vec<(f64, f64)> {
    let mut out = line.to_vec();
    if line.first() == line.last() {
        return out;
    }
    let far = 2.0 * (tile.width + tile.height) as f64;
    for _ in 0..2 {
        out.reverse();
        let end = out[out.len() - 1];
        if !free(end, tile) {
            continue;
        }
        let away = |p: &&(f64, f64)| (p.0 - end.0).hypot(p.1 - end.1) >= DIRECTION;
        let from = out.iter().rev().find(away).copied().unwrap_or(out[0]);
        let length = (end.0 - from.0).hypot(end.1 - from.1);
        if length > 0.0 {
            out.push((end.0 + far * (end.0 - from.0) / length, end.1 + far * (end.1 - from.1) / length));
        }
    }
    out
}

/// Regions of pixels that hang together without a step across a line, the largest first.
fn parts(barriers: &Barriers, width: usize, height: usize) -> (Grid<u8>, usize) {
    let mut region = vec![0usize; width * height];
    let mut sizes: Vec<(usize, usize)> = Vec::new();
    let mut open = Vec::new();
    for start in 0..region.len() {
        if region[start] != 0 {
            continue;
        }
        let number = sizes.len() + 1;
        let mut size = 0;
        region[start] = number;
        open.push(start);
        while let Some(k) = open.pop() {
            size += 1;
            for to in barriers.steps(k) {
                if region[to] == 0 {
                    region[to] = number;
                    open.push(to);
                }
            }
        }
        sizes.push((size, number));
    }
    sizes.retain(|s| s.0 >= LEAST);
    sizes.sort_by_key(|s| (std::cmp::Reverse(s.0), s.1));
    sizes.truncate(MOST);
    let place = |number: usize| sizes.iter().position(|s| s.1 == number).map_or(0, |k| k as u8 + 1);
    // The regions' places, looked up once.
    let places: Vec<u8> = (0..=region.iter().copied().max().unwrap_or(0)).map(place).collect();
    (Grid { width, height, data: region.iter().map(|&r| places[r]).collect() }, sizes.len())
}

/// Distances to one segment where it is the nearest so far; beyond free ends there is none.
fn measure(
    (a, b): ((f64, f64), (f64, f64)),
    ends: (bool, bool),
    reach: f64,
    nearest: &mut Grid<f32>,
    distance: &mut Grid<f32>,
) {
    let span = |p: f64, q: f64, n: usize| {
        let first = (p.min(q) - reach).ceil().clamp(0.0, n as f64) as usize;
        first..((p.max(q) + reach).floor() + 1.0).clamp(first as f64, n as f64) as usize
    };
    let (ux, uy) = (b.0 - a.0, b.1 - a.1);
    let length = (ux * ux + uy * uy).max(f64::MIN_POSITIVE);
    for y in span(a.1, b.1, nearest.height) {
        for x in span(a.0, b.0, nearest.width) {
            let (px, py) = (x as f64 - a.0, y as f64 - a.1);
            let t = (px * ux + py * uy) / length;
            let beyond = t < 0.0 && ends.0 || t > 1.0 && ends.1;
            let t = t.clamp(0.0, 1.0);
            let d = (px - t * ux).hypot(py - t * uy) as f32;
            if d < nearest.get(x, y) {
                nearest.set(x, y, d);
                distance.set(x, y, if beyond { f32::INFINITY } else { d });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_through_the_tile_has_two_sides_and_an_end_belongs_to_both() {
        let tile = Window::new(0, 0, 100, 80);
        let through = Cuts::new(&[vec![(-20.0, 39.5), (130.0, 39.5)]], tile);
        let s = Sides::new(&through, 100, 80, 20);
        assert_eq!(s.count, 2);
        assert_ne!(s.of(50, 30), s.of(50, 50));
        assert!(s.of(50, 30).is_some() && s.of(50, 10).is_none() && s.of(50, 75).is_none());
        let (a, b) = (s.mask(s.of(50, 30).unwrap()), s.mask(s.of(50, 50).unwrap()));
        assert!(a.get(50, 5) && a.get(50, 38) && !a.get(50, 39) && !a.get(50, 45) && b.get(50, 41) && !b.get(50, 30));

        let ending = Cuts::new(&[vec![(-20.0, 39.5), (20.0, 40.0), (60.0, 39.5)]], tile);
        let s = Sides::new(&ending, 100, 80, 20);
        assert_eq!(s.count, 2);
        assert!(s.of(59, 35).is_some() && s.of(62, 35).is_none() && s.of(80, 40).is_none());
        // Seen from beside the line the other side is hidden beyond its end, too.
        assert!(!s.mask(s.of(50, 30).unwrap()).get(70, 45));
    }

    #[test]
    fn an_outline_has_an_inside() {
        let ring = vec![(20.0, 20.0), (60.0, 20.0), (60.0, 60.0), (20.0, 60.0), (20.0, 20.0)];
        let cuts = Cuts::new(&[ring], Window::new(0, 0, 100, 80));
        let s = Sides::new(&cuts, 100, 80, 10);
        assert_eq!(s.count, 2);
        assert_ne!(s.of(40, 24), s.of(40, 14));
        assert!(s.of(40, 40).is_none());
    }
}
