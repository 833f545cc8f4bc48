//! The post image on the pre grid: every pixel read at its own displacement.

use crate::correlate::interp::{Coefficients, Taps};
use crate::correlate::lanes::vectors;
use crate::correlate::prepare::PreparedPost;
use crate::grid::Grid;

/// Sub-pixel phases in the table of taps; rounding to them moves a sample by less than 1/8000 px.
const PHASES: usize = 4096;

/// Taps of every phase, two zeros behind them.
pub struct PhaseTable(Vec<[f32; 8]>);

impl PhaseTable {
    pub fn new(c: &Coefficients) -> Self {
        let at = |k: usize| {
            let mut taps = [0.0; 8];
            taps[..6].copy_from_slice(&Taps::value(c.spline, k as f64 / PHASES as f64).weights);
            taps
        };
        PhaseTable((0..PHASES).map(at).collect())
    }

    /// First tap and weights for a `place` in phases.
    #[inline(always)]
    fn at(&self, place: u32) -> (usize, &[f32; 8]) {
        let k = place as usize;
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
    let mut places = [0; 2].map(|_| vec![0u32; image.width]);
    for y in 0..image.height {
        let lines = [d[0].row(y), d[1].row(y)];
        vectors(
            #[inline(always)]
            || {
                let (dx, dy) = (lines[0].iter(), lines[1].iter());
                let at = |v: f64| ((v + c.margin as f64) * c.factor as f64 * PHASES as f64 + 0.5) as u32;
                let [along, down] = &mut places;
                for (x, (p, d)) in along.iter_mut().zip(dx).enumerate() {
                    *p = at(x as f64 + shift(*d, post.search));
                }
                for (p, d) in down.iter_mut().zip(dy) {
                    *p = at(y as f64 + shift(*d, post.search));
                }
                let places = along.iter().zip(down.iter());
                for (o, (px, py)) in image.row_mut(y).iter_mut().zip(places) {
                    let ((cx, wx), (cy, wy)) = (table.at(*px), table.at(*py));
                    *o = if c.factor == 2 { on_fine(c, (cx, cy), wx, wy) } else { on_pixels(c, (cx, cy), wx, wy) };
                }
            },
        );
        let weight = weight.row_mut(y);
        if post.all_valid {
            weight.fill(1.0);
            continue;
        }
        for (x, o) in weight.iter_mut().enumerate() {
            let near = |p: f64| (p + post.search as f64 + 0.5) as usize;
            let i = near(x as f64 + shift(lines[0][x], post.search)).min(post.valid.width - 1);
            let j = near(y as f64 + shift(lines[1][x], post.search)).min(post.valid.height - 1);
            *o = f32::from(u8::from(post.valid.get(i, j)));
        }
    }
}

#[inline(always)]
fn shift(d: f32, search: usize) -> f64 {
    f64::from(d).clamp(-(search as f64), search as f64)
}

/// The value where even and odd columns alternate: three consecutive numbers of each plane. Down the columns first,
/// which takes all of them at once.
#[inline(always)]
fn on_fine(c: &Coefficients, (cx, cy): (usize, usize), wx: &[f32; 8], wy: &[f32; 8]) -> f32 {
    let (first, second) = (&c.planes[cx % 2], &c.planes[(cx + 1) % 2]);
    let (i, j) = (cy * c.stride + cx / 2, cy * c.stride + cx.div_ceil(2));
    let (mut even, mut odd) = ([0.0f32; 4], [0.0f32; 4]);
    for m in 0..6 {
        let (a, b) = (&first[i + m * c.stride..][..4], &second[j + m * c.stride..][..4]);
        for l in 0..4 {
            even[l] += wy[m] * a[l];
            odd[l] += wy[m] * b[l];
        }
    }
    (wx[0] * even[0] + wx[1] * odd[0]) + (wx[2] * even[1] + wx[3] * odd[1]) + (wx[4] * even[2] + wx[5] * odd[2])
}

/// The value where there is a coefficient for each pixel.
#[inline(always)]
fn on_pixels(c: &Coefficients, (cx, cy): (usize, usize), wx: &[f32; 8], wy: &[f32; 8]) -> f32 {
    let at = cy * c.stride + cx;
    let mut sums = [0.0f32; 8];
    for m in 0..6 {
        let a = &c.planes[0][at + m * c.stride..][..8];
        for l in 0..8 {
            sums[l] += wy[m] * a[l];
        }
    }
    let [a, b, d, e, f, g, ..] = sums;
    (wx[0] * a + wx[1] * b) + (wx[2] * d + wx[3] * e) + (wx[4] * f + wx[5] * g)
}
