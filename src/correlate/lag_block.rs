//! Products of images with spline coefficients within one block of pixels, at eight neighbouring lags along x and some along y.
//!
//! As in [`super::block`]; the lags along y are pixels apart, and those along x lie in two halves of a vector: where a pixel is two
//! coefficients wide the even and the odd ones, which are stored apart. No sum runs across lanes, and the order of additions within
//! a lane is fixed, so any vector length gives the same bytes.

use super::batch_sums::Rows;
use super::block::{Blocks, Padded, WIDEST, add_chains};
use super::eight::{Eight, LANES};
use pulp::f32x8;

/// Lags of one half of a vector.
pub const HALF: usize = LANES / 2;

/// Lags that are wanted.
#[derive(Clone, Copy)]
pub struct Lagged<'a> {
    /// The coefficients at the first lag of each half, a pixel apart along both axes.
    pub halves: [Rows<'a>; 2],
    /// How many each half has; where one is enough, the second repeats it.
    pub wanted: [usize; 2],
    /// Lags along y.
    pub lines: usize,
}

/// Most chains of additions.
const CHAINS: usize = 2;
/// Rows of the block that are read in one pass.
const ROWS: usize = 2;

/// Products of `P` images with the coefficients at eight lags, then the sums of the coefficients, and where there is room among
/// the `V` vectors of sums those of their squares; this for each of `T` lags along y. `K` = rows that are read in one pass + `T` - 1.
pub struct LagProducts<'a, S, const P: usize, const V: usize, const T: usize, const K: usize> {
    simd: S,
    a: [Rows<'a>; P],
    lags: Lagged<'a>,
    padded: [Padded; 2],
    corner: (usize, usize),
    size: (usize, usize),
}

impl<'a, S: Eight, const P: usize, const V: usize, const T: usize, const K: usize> LagProducts<'a, S, P, V, T, K> {
    pub fn new(simd: S, a: [Rows<'a>; P], lags: Lagged<'a>) -> Self {
        const { assert!(K + 1 == ROWS + T) };
        LagProducts { simd, a, lags, padded: Default::default(), corner: (0, 0), size: (0, 0) }
    }

    /// The coefficients of half `h` from the strip's first pixel on.
    fn coefficients(&self, h: usize) -> Rows<'a> {
        self.lags.halves[h].from((self.corner.0 as i64, self.corner.1 as i64))
    }

    /// Vectors beyond those that the registers hold are slow.
    const CHAINS: usize = if V > 2 { 1 } else { CHAINS };

    /// `sums` and those of `R` rows of the block, from row `y` of the strip on; `L` = `R` + `T` - 1.
    #[inline(always)]
    fn rows<const R: usize, const L: usize>(
        &self,
        mut sums: [[[f32x8; V]; T]; CHAINS],
        y: usize,
        (left, width): (usize, usize),
        (a, c): ([Rows; P], [Rows; 2]),
    ) -> [[[f32x8; V]; T]; CHAINS] {
        let (simd, width) = (self.simd, width.min(WIDEST));
        let f: [[&[f32]; R]; P] = a.map(|a| std::array::from_fn(|u| a.at(left, y + u, width)));
        let c: [[&[f32]; 2]; L] = std::array::from_fn(|r| c.map(|c| c.at(left, y + r, width + HALF)));
        for x in 0..width {
            let mut lagged = [simd.splat_f32s(0.0); L];
            for r in 0..L {
                lagged[r] = simd.load_halves(c[r], x);
            }
            for u in 0..R {
                for p in 0..P {
                    let f = simd.splat_f32s(f[p][u][x]);
                    for t in 0..T {
                        let sum = &mut sums[u % Self::CHAINS][t][p];
                        *sum = simd.add_product(*sum, f, lagged[u + t]);
                    }
                }
                for t in 0..T {
                    let (c, sums) = (lagged[u + t], &mut sums[u % Self::CHAINS][t]);
                    sums[P] = simd.add_f32s(sums[P], c);
                    if V > P + 1 {
                        sums[P + 1] = simd.add_product(sums[P + 1], c, c);
                    }
                }
            }
        }
        sums
    }
}

impl<S: Eight, const P: usize, const V: usize, const T: usize, const K: usize> Blocks
    for LagProducts<'_, S, P, V, T, K>
{
    const VECTORS: usize = V * T;

    #[inline(always)]
    fn strip(&mut self, corner: (usize, usize), size: (usize, usize)) {
        (self.corner, self.size) = (corner, size);
        for h in 0..2 {
            let image = self.coefficients(h);
            let wanted = (size.0 + self.lags.wanted[h] - 1, size.1 + self.lags.lines - 1);
            self.padded[h].enter(image, wanted, (size.0 + HALF, size.1 + T - 1));
        }
    }

    #[inline(always)]
    fn add(&self, left: usize, width: usize, sums: &mut [[f64; LANES]]) {
        let c = std::array::from_fn(|h| self.padded[h].or(self.coefficients(h)));
        let moved = (self.corner.0 as i64, self.corner.1 as i64);
        let (images, columns) = ((self.a.map(|a| a.from(moved)), c), (left, width));
        let mut block = [[[self.simd.splat_f32s(0.0); V]; T]; CHAINS];
        let whole = self.size.1 / ROWS * ROWS;
        for y in (0..whole).step_by(ROWS) {
            block = self.rows::<ROWS, K>(block, y, columns, images);
        }
        for y in whole..self.size.1 {
            block = self.rows::<1, T>(block, y, columns, images);
        }
        add_chains(self.simd, &block, sums);
    }
}
