//! Energy of the post image under windows at half-pixel positions: the norm of the normalised correlation between the
//! pixels.
//!
//! The square of an image has twice its bandwidth, so its sums are smooth in the position only when sampled every half
//! pixel (Ampcor oversamples its chips twice for the same reason).

use super::lanes::vectors;
use super::prepare::PreparedPost;
use super::sums::SquareSums;
use crate::field::PixelShift;
use crate::grid::Grid;

/// Pixels beyond the search that a peak between whole pixels may touch.
const BEYOND: usize = 2;

/// The post image sampled at whole and half pixels.
pub struct HalfPixels {
    /// Phase (i, j) at index 2·j + i: the image at x + i/2, y + j/2.
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
        let sample = |i: usize, j: usize| {
            let (tx, ty) = (c.taps(-margin, 0.5 * i as f64), c.taps(-margin, 0.5 * j as f64));
            let mut rows = vec![0.0; c.rows(h) * w];
            let mut out = Grid::filled(w, h, 0.0);
            vectors(
                #[inline(always)]
                || {
                    c.along_x(&tx, ty.first, c.rows(h), w, &mut rows);
                    for (y, line) in out.data.chunks_exact_mut(w).enumerate() {
                        c.along_y(&ty.weights, &rows, y, w, line);
                    }
                },
            );
            out
        };
        let power = |g: &Grid<f32>| g.data.iter().map(|&v| (v as f64).powi(2)).sum::<f64>();
        let whole = power(&sample(0, 0));
        let per = c.factor as i64;
        let all = if per == 2 { &[(0, 0), (1, 0), (0, 1), (1, 1)][..] } else { &[(0, 0)] };
        let phase = |&(i, j): &(usize, usize)| {
            let values = sample(i, j);
            let here = power(&values);
            let gain = if here > 0.0 { whole / here } else { 1.0 };
            Phase { sums: SquareSums::new(&values), values, gain }
        };
        HalfPixels { phases: all.iter().map(phase).collect(), margin, per }
    }

    fn place(&self, corner: (usize, usize), half: (i64, i64)) -> (&Phase, usize, usize) {
        let (i, j) = (half.0.rem_euclid(self.per), half.1.rem_euclid(self.per));
        let x = corner.0 as i64 + self.margin + half.0.div_euclid(self.per);
        let y = corner.1 as i64 + self.margin + half.1.div_euclid(self.per);
        (&self.phases[(2 * j + i) as usize], x as usize, y as usize)
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
        for r in 0..window.1 {
            let line = &phase.values.row(y + r)[x..x + window.0];
            for (w, v) in weights[r * stride..].iter().zip(line) {
                sum += (w * v) as f64;
                squares += (w * v * v) as f64;
            }
        }
        phase.gain * (squares - sum * sum / count)
    }
}
