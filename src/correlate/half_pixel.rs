//! Energy of the post image under windows at half-pixel positions: the norm of the normalised correlation between the
//! pixels.
//!
//! The square of an image has twice its bandwidth, so its sums are smooth in the position only when sampled every half
//! pixel (Ampcor oversamples its chips twice for the same reason).

use super::lanes::{LANES, add_products, add_products3, total, vectors};
use super::prepare::PreparedPost;
use super::sums::SquareSums;
use crate::field::PixelShift;
use crate::grid::Grid;

/// Pixels beyond the search that a peak between whole pixels may touch.
const BEYOND: usize = 2;

/// Rows whose weighted sums are added in single precision.
const ROWS: usize = 16;

/// The post image sampled at whole and half pixels.
pub struct HalfPixels {
    /// Phase (i, j) at index `per`·i + j: the image at x + i/2, y + j/2.
    phases: Vec<Phase>,
    /// Pixels by which the images reach beyond the tile on the left and at the top.
    margin: i64,
    /// Samples a pixel: 2, or 1 where the texture is aliased and nothing is known between the pixels.
    per: i64,
}

struct Phase {
    values: Grid<f32>,
    sums: SquareSums,
    /// Power of the image on the pixels over the power here: an interpolator damps noise most half-way between the
    /// pixels, and a norm that followed it would pull the peak there.
    gain: f64,
}

impl HalfPixels {
    /// Samples a pixel along each axis.
    pub fn per_pixel(&self) -> f64 {
        self.per as f64
    }

    /// The sample nearest to displacement `d`.
    pub fn nearest(&self, d: PixelShift) -> (i64, i64) {
        let per = self.per_pixel();
        ((per * d.dx).round() as i64, (per * d.dy).round() as i64)
    }

    pub fn new(post: &PreparedPost) -> Self {
        let (w, h) = (post.values.width + 2 * BEYOND, post.values.height + 2 * BEYOND);
        let margin = (post.search + BEYOND) as i64;
        let c = &post.coefficients;
        let per = c.factor as i64;
        let halves = 0..per as usize;
        let mut phases: Vec<Phase> = Vec::new();
        let mut whole = 0.0;
        // Along x once for the images half a pixel apart along y.
        let ty: Vec<_> = halves.clone().map(|j| c.taps(-margin, 0.5 * j as f64)).collect();
        let (first, rows) = (ty[0].first, c.rows(h) + per as usize - 1);
        let mut along = vec![0.0; rows * w];
        for i in halves.clone() {
            let tx = c.taps(-margin, 0.5 * i as f64);
            vectors(
                #[inline(always)]
                || c.along_x(&tx, first, rows, w, &mut along),
            );
            for ty in &ty {
                let mut values = Grid::filled(w, h, 0.0);
                let along = &along[(ty.first - first) as usize * w..];
                vectors(
                    #[inline(always)]
                    || {
                        for (y, line) in values.data.chunks_exact_mut(w).enumerate() {
                            c.along_y(&ty.weights, along, y, w, line);
                        }
                    },
                );
                let sums = SquareSums::new(&values);
                let here = sums.of((0, 0), (w, h))[1];
                if phases.is_empty() {
                    whole = here;
                }
                let gain = if here > 0.0 { whole / here } else { 1.0 };
                phases.push(Phase { sums, values, gain });
            }
        }
        HalfPixels { phases, margin, per }
    }

    fn place(&self, corner: (usize, usize), half: (i64, i64)) -> (&Phase, usize, usize) {
        let (i, j) = (half.0.rem_euclid(self.per), half.1.rem_euclid(self.per));
        let x = corner.0 as i64 + self.margin + half.0.div_euclid(self.per);
        let y = corner.1 as i64 + self.margin + half.1.div_euclid(self.per);
        (&self.phases[(self.per * i + j) as usize], x as usize, y as usize)
    }

    /// Σ(g - ḡ)² over the window at tile pixel `corner` displaced by `half` half pixels.
    #[inline(always)]
    pub fn energy(&self, corner: (usize, usize), window: (usize, usize), half: (i64, i64)) -> f64 {
        let (phase, x, y) = self.place(corner, half);
        let [sum, squares] = phase.sums.of((x, y), window);
        phase.gain * (squares - sum * sum / (window.0 * window.1) as f64)
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
        let (phase, x, y) = self.place(corner, half);
        let (mut sum, mut squares) = (0.0f64, 0.0f64);
        // Some rows in single precision at a time.
        for rows in (0..window.1).step_by(ROWS) {
            let (mut plain, mut squared) = ([0.0; LANES], [0.0; LANES]);
            for r in rows..window.1.min(rows + ROWS) {
                let line = &phase.values.row(y + r)[x..x + window.0];
                let weights = &weights[r * stride..r * stride + window.0];
                add_products(&mut plain, weights, line);
                add_products3(&mut squared, weights, line, line);
            }
            sum += total(&plain);
            squares += total(&squared);
        }
        phase.gain * (squares - sum * sum / count)
    }
}
