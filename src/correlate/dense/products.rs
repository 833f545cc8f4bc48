//! Products of gradients and difference of the whitened images, a few rows at a time: the terms of the normal equations.

use super::windows::vectors;
use crate::grid::Grid;
use std::array::from_fn;

/// Weighted products: xx, xy, yy, xe, ye, ee, weight.
pub type Products = [Grid<f32>; 7];

/// One band in both whitenings.
pub struct Source<'a> {
    pub pre: [&'a Grid<f32>; 2],
    /// The warped post image.
    pub post: [&'a Grid<f32>; 2],
    /// Weight of each pixel; none where a gradient reaches over the edge of the valid ones.
    pub whole: &'a Grid<f32>,
    /// [`Spline::difference`](crate::correlate::interp::Spline::difference) of the interpolator.
    pub difference: [f32; 2],
}

/// Rows that are kept: more than the largest window and the rows in work together need.
const KEPT: usize = 16;
/// Rows of a gradient on either side.
const REACH: usize = 2;

/// The last rows of products of both whitenings, summed over all bands; row y of the image is row y modulo their number.
pub struct Ring {
    pub rows: [Products; 2],
    /// Rows made so far.
    pub made: usize,
    /// Rows of the mean image around the one in work, of every band in both whitenings.
    means: Vec<[[Vec<f32>; 5]; 2]>,
}

impl Ring {
    pub fn new(bands: &[Source]) -> Ring {
        let w = bands[0].whole.width;
        let means = || from_fn(|_| from_fn(|_| vec![0.0; w]));
        Ring {
            rows: from_fn(|_| from_fn(|_| Grid::filled(w, KEPT, 0.0f32))),
            made: 0,
            means: bands.iter().map(|_| means()).collect(),
        }
    }

    /// Makes one more row. The two pixels at the image's border have no weight.
    pub fn next(&mut self, bands: &[Source]) {
        let (y, h) = (self.made, bands[0].whole.height);
        self.made += 1;
        let first = if y == 0 { 0 } else { y + REACH };
        let inside = (REACH..h.saturating_sub(REACH)).contains(&y) && bands[0].whole.width > 2 * REACH;
        if !inside {
            self.rows.as_flattened_mut().iter_mut().for_each(|g| g.row_mut(y % KEPT).fill(0.0));
        }
        for (b, (band, means)) in bands.iter().zip(&mut self.means).enumerate() {
            for (kind, means) in means.iter_mut().enumerate() {
                let (f, g) = (band.pre[kind], band.post[kind]);
                let rows = &mut self.rows[kind];
                vectors(
                    #[inline(always)]
                    || {
                        for j in first..(y + REACH + 1).min(h) {
                            means.rotate_left(1);
                            mean(f.row(j), g.row(j), &mut means[4]);
                        }
                        if inside {
                            let lines = [f.row(y), g.row(y), band.whole.row(y)];
                            multiply((means, band.difference), lines, y % KEPT, rows, b == 0);
                        }
                    },
                );
            }
        }
    }
}

#[inline(always)]
fn mean(f: &[f32], g: &[f32], out: &mut [f32]) {
    out.iter_mut().zip(f.iter().zip(g)).for_each(|(m, (a, b))| *m = 0.5 * (a + b));
}

/// Adds the products of one row of a band, or begins with them, given the means around it.
#[inline(always)]
fn multiply(
    (means, [near, far]): (&[Vec<f32>; 5], [f32; 2]),
    rows: [&[f32]; 3],
    y: usize,
    products: &mut Products,
    begin: bool,
) {
    let n = rows[0].len() - 2 * REACH;
    let along: [&[f32]; 5] = from_fn(|k| &means[2][k..k + n]);
    let down: [&[f32]; 5] = from_fn(|k| &means[k][2..2 + n]);
    let [f, g, m] = rows.map(|r| &r[2..2 + n]);
    let [xx, xy, yy, xe, ye, ee, count] = products.each_mut().map(|p| &mut p.row_mut(y)[2..2 + n]);
    let slope = |v: &[&[f32]; 5], x: usize| near * (v[3][x] - v[1][x]) + far * (v[4][x] - v[0][x]);
    let before = |v: f32| if begin { 0.0 } else { v };
    for x in 0..n {
        let (jx, jy, e) = (slope(&along, x), slope(&down, x), g[x] - f[x]);
        let (mx, my, me) = (m[x] * jx, m[x] * jy, m[x] * e);
        xx[x] = before(xx[x]) + mx * jx;
        xy[x] = before(xy[x]) + mx * jy;
        yy[x] = before(yy[x]) + my * jy;
        xe[x] = before(xe[x]) + mx * e;
        ye[x] = before(ye[x]) + my * e;
        ee[x] = before(ee[x]) + me * e;
        count[x] = before(count[x]) + m[x];
    }
}
