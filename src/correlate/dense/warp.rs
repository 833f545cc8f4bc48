//! The post image on the pre grid: every pixel read at its own displacement.

use crate::correlate::interp::{Coefficients, Taps};
use crate::correlate::prepare::PreparedPost;
use crate::grid::Grid;

/// Sub-pixel phases in the table of taps; rounding to them moves a sample by less than 1/8000 px.
const PHASES: usize = 4096;

/// Taps of every phase.
pub struct PhaseTable(Vec<[f32; 6]>);

impl PhaseTable {
    pub fn new(c: &Coefficients) -> Self {
        let at = |k: usize| Taps::value(c.spline, k as f64 / PHASES as f64).weights;
        PhaseTable((0..PHASES).map(at).collect())
    }

    #[inline(always)]
    fn at(&self, position: f64) -> (usize, &[f32; 6]) {
        let k = (position * PHASES as f64 + 0.5) as usize;
        (k / PHASES - 2, &self.0[k % PHASES])
    }
}

/// post(x + d(x)) into `image`, and 1 or 0 into `weight` where the post pixel nearest to it is valid or not.
pub fn warp(
    post: &PreparedPost,
    table: &PhaseTable,
    d: [&Grid<f32>; 2],
    image: &mut Grid<f32>,
    weight: &mut Grid<f32>,
) {
    let c = &post.coefficients;
    let (f, margin, search) = (c.factor as f64, c.margin as f64, post.search as f64);
    let shift = |v: f32| f64::from(v).clamp(-search, search);
    for y in 0..image.height {
        for x in 0..image.width {
            let (dx, dy) = (shift(d[0].get(x, y)), shift(d[1].get(x, y)));
            let (px, py) = (x as f64 + dx, y as f64 + dy);
            let (cx, wx) = table.at((px + margin) * f);
            let (cy, wy) = table.at((py + margin) * f);
            let mut sum = 0.0f32;
            if c.factor == 2 {
                // Even and odd columns alternate: three consecutive numbers of each plane.
                let (first, second) = (&c.planes[cx % 2], &c.planes[(cx + 1) % 2]);
                let (i, j) = (cx / 2, cx.div_ceil(2));
                for (m, k) in wy.iter().enumerate() {
                    let row = (cy + m) * c.stride;
                    let (a, b) = (&first[row + i..row + i + 3], &second[row + j..row + j + 3]);
                    let along = wx[0] * a[0] + wx[1] * b[0] + wx[2] * a[1] + wx[3] * b[1] + wx[4] * a[2] + wx[5] * b[2];
                    sum += k * along;
                }
            } else {
                for (m, k) in wy.iter().enumerate() {
                    let row = (cy + m) * c.stride + cx;
                    let a = &c.planes[0][row..row + 6];
                    let mut along = 0.0;
                    for n in 0..6 {
                        along += wx[n] * a[n];
                    }
                    sum += k * along;
                }
            }
            image.set(x, y, sum);
            let near = |p: f64| (p + search + 0.5) as usize;
            let (i, j) = (near(px).min(post.valid.width - 1), near(py).min(post.valid.height - 1));
            weight.set(x, y, f32::from(u8::from(post.valid.get(i, j))));
        }
    }
}
