//! Lines that neither smoothness nor a neighbour's displacement crosses (`--cut`).

use crate::correlate::cut::Cuts;
use crate::grid::Grid;
use std::collections::VecDeque;

/// Where pixels are taken to be, beside their centres, which traced lines hit.
const ASIDE: (f64, f64) = (1.3e-4, 0.7e-4);

/// Which steps from a pixel to the next one cross a line.
pub struct Barriers {
    /// From each pixel to its right neighbour, and to the one below.
    pub right: Grid<bool>,
    pub down: Grid<bool>,
}

impl Barriers {
    pub fn new(cuts: &Cuts, width: usize, height: usize) -> Barriers {
        let mut right = Grid::filled(width, height, false);
        let mut down = Grid::filled(width, height, false);
        for (x, y) in cuts.pixels(width, height) {
            // A line through a pixel's very centre would touch both steps from it and cross neither.
            let at = (x as f64 + ASIDE.0, y as f64 + ASIDE.1);
            right.set(x, y, x + 1 < width && !cuts.visible(at, (at.0 + 1.0, at.1)));
            down.set(x, y, y + 1 < height && !cuts.visible(at, (at.0, at.1 + 1.0)));
        }
        Barriers { right, down }
    }

    /// The pixels beside pixel `k`, row after row, that no line divides from it.
    pub fn steps(&self, k: usize) -> impl Iterator<Item = usize> {
        let (width, height) = (self.right.width, self.right.height);
        let (x, y) = (k % width, k / width);
        let all = [
            (x + 1 < width && !self.right.get(x, y), k + 1),
            (y + 1 < height && !self.down.get(x, y), k + width),
            (x > 0 && !self.right.get(x.max(1) - 1, y), k.wrapping_sub(1)),
            (y > 0 && !self.down.get(x, y.max(1) - 1), k.wrapping_sub(width)),
        ];
        all.into_iter().filter(|s| s.0).map(|s| s.1)
    }

    /// Whether the way between two pixels, along the row of the first and then the column of the second, crosses lines
    /// an odd number of times.
    pub fn between(&self, a: (usize, usize), b: (usize, usize)) -> bool {
        let (x0, x1) = (a.0.min(b.0), a.0.max(b.0));
        let (y0, y1) = (a.1.min(b.1), a.1.max(b.1));
        let across = (x0..x1).filter(|&x| self.right.get(x, a.1)).count();
        let along = (y0..y1).filter(|&y| self.down.get(b.0, y)).count();
        (across + along) % 2 == 1
    }

    /// Gives every pixel whose window a line meets the value of the nearest one of its side whose window is whole:
    /// what such a window says may be the other side's.
    pub fn carry<T: Copy>(&self, width: usize, window: (usize, usize), values: &mut [T]) {
        let height = values.len() / width;
        // Crossings in every pixel's window, from a summed-area table.
        let stride = width + 1;
        let mut table = vec![0u32; stride * (height + 1)];
        for y in 0..height {
            for x in 0..width {
                let own = u32::from(self.right.get(x, y)) + u32::from(self.down.get(x, y));
                table[(y + 1) * stride + x + 1] =
                    own + table[(y + 1) * stride + x] + table[y * stride + x + 1] - table[y * stride + x];
            }
        }
        let half = (window.0 / 2 + 1, window.1 / 2 + 1);
        let mut known = vec![false; values.len()];
        let mut next: VecDeque<usize> = VecDeque::new();
        for k in 0..values.len() {
            let (x, y) = (k % width, k / width);
            let (x0, x1) = (x.saturating_sub(half.0), (x + half.0 + 1).min(width));
            let (y0, y1) = (y.saturating_sub(half.1), (y + half.1 + 1).min(height));
            let inside = table[y1 * stride + x1] + table[y0 * stride + x0];
            known[k] = inside == table[y0 * stride + x1] + table[y1 * stride + x0];
            if known[k] {
                next.push_back(k);
            }
        }
        while let Some(k) = next.pop_front() {
            for to in self.steps(k) {
                if !known[to] {
                    known[to] = true;
                    values[to] = values[k];
                    next.push_back(to);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::Window;

    #[test]
    fn values_do_not_cross_a_line_and_go_around_its_tip() {
        let line = vec![vec![(9.5, -3.0), (9.5, 12.2)]];
        let cuts = Cuts::new(&line, Window::new(0, 0, 20, 20));
        let b = Barriers::new(&cuts, 20, 20);
        assert!(b.right.get(9, 5) && !b.right.get(9, 13) && !b.right.get(8, 5) && !b.down.get(9, 5));
        assert!(b.between((9, 4), (10, 5)) && !b.between((9, 14), (10, 15)) && !b.between((3, 3), (5, 5)));
        let mut values: Vec<usize> = (0..400).map(|k| usize::from(k % 20 > 9)).collect();
        // What a window across says.
        (0..12).for_each(|y| (6..13).for_each(|x| values[y * 20 + x] = 7));
        b.carry(20, (5, 5), &mut values);
        (0..400).for_each(|k| assert_eq!(values[k], usize::from(k % 20 > 9), "{k}"));
    }
}
