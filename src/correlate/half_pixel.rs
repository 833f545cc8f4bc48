//! Energy of the post image under windows at half-pixel positions: the norm of the normalised correlation between the
//! pixels.
//!
//! The square of an image has twice its bandwidth, so its sums are smooth in the position only when sampled every half
//! pixel (Ampcor oversamples its chips twice for the same reason).

use super::lag_sums::Knots;
use super::lanes::{LANES, add, add_products, add_products3, total, vectors};
use super::prepare::PreparedPost;
use crate::field::PixelShift;

/// Pixels beyond the search that a peak between whole pixels may touch.
const BEYOND: usize = 2;

/// Rows that are interpolated together.
const STRIP: usize = 32;

/// Rows whose weighted sums are added in single precision.
const ROWS: usize = 16;

/// The post image sampled at whole and half pixels.
pub struct HalfPixels {
    /// The samples in columns x + i/2 at index i, rows of increasing y half a pixel apart.
    planes: Vec<Vec<f32>>,
    width: usize,
    /// Pixels by which the images reach beyond the tile on the left and at the top.
    margin: i64,
    /// Power of the image on the pixels over the power at x + i/2, y + j/2 (index 2i + j): an interpolator damps noise
    /// most half-way between the pixels, and a norm that followed it would pull the peak there.
    gains: [f64; 4],
}

/// The half pixel nearest to displacement `d`.
pub fn nearest(d: PixelShift) -> (i64, i64) {
    ((2.0 * d.dx).round() as i64, (2.0 * d.dy).round() as i64)
}

impl HalfPixels {
    /// Of a post image whose coefficients lie half a pixel apart.
    pub fn new(post: &PreparedPost) -> Self {
        let (w, h) = (post.values.width + 2 * BEYOND, post.values.height + 2 * BEYOND);
        let margin = (post.search + BEYOND) as i64;
        let c = &post.coefficients;
        let taps = [0.0, 0.5].map(|half| c.taps(-margin, half));
        let (tx, ty) = (&taps, &taps);
        let first = ty[0].first;
        let (mut along, mut line) = (Vec::new(), vec![0.0; w]);
        let mut planes: Vec<Vec<f32>> = (0..2).map(|_| Vec::with_capacity(2 * h * w)).collect();
        let mut powers = [0.0; 4];
        // Strips whose rows stay in the cache between the passes along x and y.
        for top in (0..h).step_by(STRIP) {
            let height = STRIP.min(h - top);
            let rows = c.rows(height) + 1;
            along.resize(rows * w, 0.0);
            for ((tx, plane), powers) in tx.iter().zip(&mut planes).zip(powers.chunks_exact_mut(2)) {
                vectors(
                    #[inline(always)]
                    || {
                        // Along x once for the images half a pixel apart along y.
                        c.along_x(tx, first + 2 * top as i64, rows, w, &mut along);
                        for y in 0..height {
                            for (ty, power) in ty.iter().zip(&mut *powers) {
                                c.along_y(&ty.weights, &along[(ty.first - first) as usize * w..], y, w, &mut line);
                                plane.extend_from_slice(&line);
                                let mut squares = [0.0; LANES];
                                add_products(&mut squares, &line, &line);
                                *power += total(&squares);
                            }
                        }
                    },
                );
            }
        }
        let gains = powers.map(|here| if here > 0.0 { powers[0] / here } else { 1.0 });
        HalfPixels { planes, width: w, margin, gains }
    }

    /// The samples, as [`super::lag_sums`] takes them.
    pub fn knots(&self) -> Knots<'_> {
        Knots::new(&self.planes, self.width, 2 * self.margin)
    }

    /// The gain of the samples displaced by `half` half pixels.
    #[inline(always)]
    pub fn gain(&self, half: (i64, i64)) -> f64 {
        self.gains[(2 * half.0.rem_euclid(2) + half.1.rem_euclid(2)) as usize]
    }

    /// The row of `n` samples, pixels apart, from tile pixel (x, y) on, displaced by `half` half pixels.
    #[inline(always)]
    fn row(&self, (x, y): (usize, usize), half: (i64, i64), n: usize) -> &[f32] {
        let (px, py) = (2 * (x as i64 + self.margin) + half.0, 2 * (y as i64 + self.margin) + half.1);
        let start = py as usize * self.width + px.div_euclid(2) as usize;
        &self.planes[px.rem_euclid(2) as usize][start..start + n]
    }

    /// Σ(g - ḡ)² over the window at tile pixel `corner` displaced by `half` half pixels.
    #[inline(always)]
    pub fn energy(&self, corner: (usize, usize), window: (usize, usize), half: (i64, i64)) -> f64 {
        let pixels = (window.0 * window.1) as f64;
        self.of_rows(corner, window, half, pixels, |_, g, plain, squared| {
            add(plain, g);
            add_products(squared, g, g);
        })
    }

    /// The same with weights (rows of `stride`), whose sum is `count`.
    #[inline(always)]
    pub fn weighted(
        &self,
        corner: (usize, usize),
        window: (usize, usize),
        half: (i64, i64),
        (weights, stride, count): (&[f32], usize, f64),
    ) -> f64 {
        self.of_rows(corner, window, half, count, |r, g, plain, squared| {
            let weights = &weights[r * stride..r * stride + window.0];
            add_products(plain, weights, g);
            add_products3(squared, weights, g, g);
        })
    }

    /// The energy of what `row` makes of every row of the window: sums of its values and of their squares.
    #[inline(always)]
    fn of_rows(
        &self,
        corner: (usize, usize),
        window: (usize, usize),
        half: (i64, i64),
        count: f64,
        row: impl Fn(usize, &[f32], &mut [f32; LANES], &mut [f32; LANES]),
    ) -> f64 {
        let (mut sum, mut squares) = (0.0f64, 0.0f64);
        // Some rows in single precision at a time.
        for rows in (0..window.1).step_by(ROWS) {
            let (mut plain, mut squared) = ([0.0; LANES], [0.0; LANES]);
            for r in rows..window.1.min(rows + ROWS) {
                row(r, self.row((corner.0, corner.1 + r), half, window.0), &mut plain, &mut squared);
            }
            sum += total(&plain);
            squares += total(&squared);
        }
        self.gain(half) * (squares - sum * sum / count)
    }
}
