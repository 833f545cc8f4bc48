//! The pixels of a window that are invalid in either image, to be taken away from sums over whole windows.

use super::Band;
use crate::grid::Window;

/// The missing pixels of one window of a tile, as rectangles of tile pixels without common pixels.
#[derive(Debug, Default)]
pub struct Missing {
    parts: Vec<Window>,
    /// Those whose last row is the row above.
    open: Vec<usize>,
    still_open: Vec<usize>,
    pixels: usize,
}

impl Missing {
    /// Those of the window at `corner` at whole-pixel displacement `shift`.
    pub fn find(&mut self, band: &Band, corner: (usize, usize), (w, h): (usize, usize), shift: (i32, i32)) {
        self.parts.clear();
        self.open.clear();
        self.pixels = 0;
        let at = |c: usize, s: i32| (c + band.post.search).wrapping_add_signed(s as isize);
        let (px, py) = (at(corner.0, shift.0), at(corner.1, shift.1));
        let counts = [(&band.pre.counts, corner), (&band.post.counts, (px, py))];
        if counts.iter().all(|(c, (x, y))| c.count(*x as i64, *y as i64, (w, h)) == w * h) {
            return;
        }
        for y in 0..h {
            let a = &band.pre.valid.row(corner.1 + y)[corner.0..corner.0 + w];
            let b = &band.post.valid.row(py + y)[px..px + w];
            self.still_open.clear();
            // Without a way out of the loop, which is then one of vectors.
            if !a.iter().zip(b).fold(true, |all, (a, b)| all & a & b) {
                let valid = |x: usize| a[x] & b[x];
                let mut x = 0;
                while let Some(first) = (x..w).find(|&x| !valid(x)) {
                    x = (first..w).find(|&x| valid(x)).unwrap_or(w);
                    self.add(corner.0 + first, corner.1 + y, x - first);
                }
            }
            std::mem::swap(&mut self.open, &mut self.still_open);
        }
    }

    /// A run of pixels; below one as long it makes that one higher.
    fn add(&mut self, x: usize, y: usize, width: usize) {
        self.pixels += width;
        let alike = |k: &usize| (self.parts[*k].x, self.parts[*k].width) == (x as i64, width);
        let above = self.open.iter().copied().find(alike);
        let part = above.unwrap_or_else(|| {
            self.parts.push(Window::new(x as i64, y as i64, width, 0));
            self.parts.len() - 1
        });
        self.parts[part].height += 1;
        self.still_open.push(part);
    }

    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// How many they are.
    pub fn pixels(&self) -> usize {
        self.pixels
    }

    /// The rectangles in pieces of at most `rows` rows: top-left tile pixel, width and height.
    pub fn pieces(&self, rows: usize) -> impl Iterator<Item = ((usize, usize), (usize, usize))> {
        self.parts.iter().flat_map(move |p| {
            let piece = move |top: usize| ((p.x as usize, p.y as usize + top), (p.width, rows.min(p.height - top)));
            (0..p.height).step_by(rows).map(piece)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_below_each_other_are_one_rectangle() {
        let mut missing = Missing::default();
        // Two columns of different height, then a run that is none of them.
        for (y, runs) in [vec![(2, 3), (9, 1)], vec![(2, 3)], vec![(2, 2), (9, 1)]].into_iter().enumerate() {
            missing.still_open.clear();
            runs.into_iter().for_each(|(x, n)| missing.add(x, y, n));
            std::mem::swap(&mut missing.open, &mut missing.still_open);
        }
        let rectangles: Vec<_> = missing.parts.iter().map(|p| (p.x, p.y, p.width, p.height)).collect();
        assert_eq!(rectangles, [(2, 0, 3, 2), (9, 0, 1, 1), (2, 2, 2, 1), (9, 2, 1, 1)]);
        assert_eq!(missing.pixels(), 10);
        let pieces: Vec<_> = missing.pieces(1).collect();
        assert_eq!(pieces.len(), 5);
        assert_eq!(pieces[..2], [((2, 0), (3, 1)), ((2, 1), (3, 1))]);
    }
}
