//! A displacement field given on the pixel grid, with faults across which it jumps.

use rayon::prelude::*;

use super::inverse::Displacement;
use super::jump::{Foot, JumpLine, JumpLines};
use crate::field::PixelShift;
use crate::grid::{Grid, Window};

/// Displacement in pixels on a grid of pixel centres, and the lines across which it jumps.
///
/// Between the pixels it is interpolated by cubic convolution (Keys 1981, IEEE TASSP 29); values from beyond a fault are
/// first brought over to the near side by the jump, so that no interpolation ever mixes the two sides.
#[derive(Debug, Clone)]
pub struct FaultedField {
    /// Displacement at the pixel centres.
    pub grid: Grid<PixelShift>,
    lines: JumpLines<2>,
    /// For the pixels close to a line, 1 + their place in `feet`; else 0.
    near: Grid<u32>,
    feet: Vec<Foot<2>>,
    largest: f64,
}

/// Jump across a fault in pixels (right minus left of the line's direction), line in pixels.
pub type PixelLine = JumpLine<2>;

impl FaultedField {
    /// From the values at the pixel centres and the lines (column, row).
    pub fn new(grid: Grid<PixelShift>, lines: Vec<PixelLine>) -> FaultedField {
        let lines = JumpLines::new(lines, true);
        let largest = lines.largest();
        // Within this distance the other side can matter: motion over the line and the interpolation's reach.
        let reach = 2.0 * largest + 6.0;
        let (width, height) = (grid.width, grid.height);
        let rows: Vec<Vec<(usize, Foot<2>)>> = (0..height)
            .into_par_iter()
            .map(|y| {
                let found = |x: usize| Some((y * width + x, lines.foot(x as f64, y as f64, reach)?));
                (0..width).filter_map(found).collect()
            })
            .collect();
        let mut near = Grid::filled(width, height, 0);
        let mut feet = Vec::new();
        for (at, foot) in rows.into_iter().flatten() {
            feet.push(foot);
            near.data[at] = feet.len() as u32;
        }
        FaultedField { grid, lines, near, feet, largest }
    }

    /// The lines with their jumps.
    pub fn lines(&self) -> &[PixelLine] {
        self.lines.lines()
    }

    /// The nearest point of a line, for pixels close to one.
    fn foot(&self, x: usize, y: usize) -> Option<&Foot<2>> {
        match self.near.get(x, y) {
            0 => None,
            k => self.feet.get(k as usize - 1),
        }
    }

    /// Distance to the nearest line at every pixel of a part of the grid, positive on its right; infinite without lines.
    pub fn signed_distance(&self, part: Window) -> Grid<f32> {
        let (width, height) = (part.width, part.height);
        let mut data = vec![f32::INFINITY; width * height];
        data.par_chunks_mut(width.max(1)).enumerate().for_each(|(y, row)| {
            let mut bound = f64::INFINITY;
            for (x, v) in row.iter_mut().enumerate() {
                if let Some(foot) = self.lines.foot((part.x + x as i64) as f64, (part.y + y as i64) as f64, bound) {
                    *v = foot.across as f32;
                    bound = foot.across.abs() + 1.001;
                }
            }
        });
        Grid::from_vec(width, height, data)
    }

    /// Interpolated at (x, y); `side`: on the right (or left) of the given line, `None`: no line is near.
    fn interpolate(&self, x: f64, y: f64, side: Option<(usize, bool)>) -> PixelShift {
        let (x0, wx) = keys(x, self.grid.width);
        let (y0, wy) = keys(y, self.grid.height);
        let clamp = |k: i64, n: usize| k.clamp(0, n as i64 - 1) as usize;
        let mut sum = PixelShift::default();
        let inside = x0 >= 0 && y0 >= 0 && x0 as usize + 4 <= self.grid.width && y0 as usize + 4 <= self.grid.height;
        if side.is_none() && inside {
            for (j, b) in wy.iter().enumerate() {
                let row = &self.grid.row(y0 as usize + j)[x0 as usize..x0 as usize + 4];
                for (a, d) in wx.iter().zip(row) {
                    sum.dx += a * b * d.dx;
                    sum.dy += a * b * d.dy;
                }
            }
            return sum;
        }
        for (j, b) in wy.iter().enumerate() {
            let py = clamp(y0 + j as i64, self.grid.height);
            for (i, a) in wx.iter().enumerate() {
                let px = clamp(x0 + i as i64, self.grid.width);
                let mut d = self.grid.get(px, py);
                if let (Some((line, right)), Some(foot)) = (side, self.foot(px, py))
                    && foot.line == line
                    && (foot.across >= 0.0) != right
                {
                    let sign = if right { 1.0 } else { -1.0 };
                    d.dx += sign * foot.jump[0];
                    d.dy += sign * foot.jump[1];
                }
                sum.dx += a * b * d.dx;
                sum.dy += a * b * d.dy;
            }
        }
        sum
    }

    /// The line near (x, y) and the side of it.
    fn side(&self, x: f64, y: f64) -> Option<Foot<2>> {
        let cell = |v: f64, n: usize| (v.round().max(0.0) as usize).min(n - 1);
        let own = self.foot(cell(x, self.grid.width), cell(y, self.grid.height))?;
        self.lines.foot(x, y, own.across.abs() + 2.0)
    }
}

impl Displacement for FaultedField {
    fn at(&self, x: f64, y: f64) -> PixelShift {
        let side = self.side(x, y).map(|f| (f.line, f.across >= 0.0));
        self.interpolate(x, y, side)
    }

    fn across(&self, x: f64, y: f64) -> Option<f64> {
        self.side(x, y).map(|f| f.across)
    }

    fn on_side(&self, x: f64, y: f64, right: bool) -> PixelShift {
        let side = self.side(x, y).map(|f| (f.line, right));
        self.interpolate(x, y, side)
    }

    fn largest_jump(&self) -> f64 {
        self.largest
    }
}

/// First sample and the four weights of cubic convolution at `x`; beyond the grid the edge's value.
fn keys(x: f64, n: usize) -> (i64, [f64; 4]) {
    let x = x.clamp(0.0, (n - 1) as f64);
    let base = x.floor();
    let f = x - base;
    let g = 1.0 - f;
    let near = |t: f64| 1.0 + t * t * (1.5 * t - 2.5);
    let far = |t: f64| ((-0.5 * t + 2.5) * t - 4.0) * t + 2.0;
    (base as i64 - 1, [far(1.0 + f), near(f), near(g), far(1.0 + g)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::inverse::sources;

    /// Two blocks, each with a smooth field, on either side of a wavy vertical line.
    fn blocks() -> (FaultedField, impl Fn(f64, f64, bool) -> PixelShift) {
        let line = |y: f64| 40.3 + 3.0 * (y / 9.0).sin();
        let left = |x: f64, y: f64| PixelShift::new(0.4 + 0.002 * x, 0.9 * (y / 40.0).sin());
        // Slip fades towards both ends.
        let jump = |y: f64| {
            let t: f64 = ((y - 10.0) / 80.0).clamp(0.0, 1.0);
            let bell = (16.0 * t * t * (1.0 - t) * (1.0 - t)).max(0.0);
            [0.5 * bell, -2.0 * bell]
        };
        let value = move |x: f64, y: f64, right: bool| {
            let (mut d, j) = (left(x, y), jump(y));
            if right {
                d.dx += j[0];
                d.dy += j[1];
            }
            d
        };
        let grid = Grid::from_fn(90, 100, |x, y| value(x as f64, y as f64, x as f64 > line(y as f64)));
        // Upwards in the image, so that its right-hand side is the picture's right.
        let ys: Vec<f64> = (0..=160).map(|i| 90.0 - 0.5 * f64::from(i)).collect();
        let points = ys.iter().map(|&y| (line(y), y)).collect();
        let jump = ys.iter().map(|&y| jump(y)).collect();
        (FaultedField::new(grid, vec![JumpLine { points, jump }]), value)
    }

    #[test]
    fn each_side_goes_on_smoothly_beyond_the_line() {
        let (field, value) = blocks();
        for k in 0..400 {
            let y = 15.0 + f64::from(k % 40) * 1.7 + 0.013 * f64::from(k);
            let x = 40.3 + 3.0 * (y / 9.0).sin() + 0.05 * f64::from(k / 40 - 5) + 0.02;
            for right in [true, false] {
                let (got, want) = (field.on_side(x, y, right), value(x, y, right));
                let error = (got.dx - want.dx).hypot(got.dy - want.dy);
                assert!(error < 0.03, "at {x},{y}: {error}");
            }
            let (got, want) = (field.at(x, y), value(x, y, x > 40.3 + 3.0 * (y / 9.0).sin()));
            assert!((got.dy - want.dy).abs() < 0.03);
        }
    }

    #[test]
    fn sources_move_back_onto_their_pixel() {
        let (field, _) = blocks();
        let map = sources(&field, 90, 100);
        let mut gaps = 0;
        for y in 5..95 {
            for x in 5..85 {
                let s = map.get(x, y);
                if !s.covered {
                    gaps += 1;
                    continue;
                }
                let d = field.at(s.x, s.y);
                let error = (s.x + d.dx - x as f64).hypot(s.y + d.dy - y as f64);
                assert!(error < 1e-8, "pixel {x},{y}: {error}");
            }
        }
        assert!(gaps < 80, "{gaps} pixels not covered");
    }

    #[test]
    fn distances_have_the_sign_of_the_side() {
        let (field, _) = blocks();
        let distance = field.signed_distance(Window::new(0, 0, 90, 100));
        assert!((distance.get(60, 50) - 19.0).abs() < 3.5 && distance.get(10, 50) < -25.0);
    }
}
