//! Sums of spline coefficients, and of their squares, within one block of pixels, at eight neighbouring lags along x and some along y.
//!
//! As in [`super::lag_block`], without an image to multiply with: the columns of a strip are summed first, lanes of them side by
//! side, and every block at every lag is a sum of those.

use super::batch_sums::Rows;
use super::block::{Blocks, WIDEST, add_chains};
use super::eight::{Eight, LANES, Lanes};
use super::lag_block::{HALF, Lagged};
use pulp::f32x8;

/// Vectors of columns that are summed in one pass.
const ABREAST: usize = 4;

/// Σ c and, with `N` = 2, Σ c² of the coefficients at eight lags along x and `T` along y.
pub struct ColumnSums<'a, S, const N: usize, const T: usize> {
    simd: S,
    lags: Lagged<'a>,
    /// From each half's first lag on.
    columns: [Columns<N, T>; 2],
    /// Rows of the strip.
    height: usize,
}

/// The sums over every column of a strip at each lag along y.
struct Columns<const N: usize, const T: usize>([[Vec<f32>; N]; T]);

impl<const N: usize, const T: usize> Default for Columns<N, T> {
    fn default() -> Self {
        Columns(std::array::from_fn(|_| std::array::from_fn(|_| Vec::new())))
    }
}

impl<'a, S: Eight, const N: usize, const T: usize> ColumnSums<'a, S, N, T> {
    pub fn new(simd: S, lags: Lagged<'a>) -> Self {
        const { assert!(N == 1 || N == 2) };
        debug_assert!(lags.lines <= T);
        ColumnSums { simd, lags, columns: Default::default(), height: 0 }
    }

    /// The sums over the block of `width` columns from `left` on, for each lag along y.
    #[inline(always)]
    pub fn block(&self, left: usize, width: usize) -> [[f32x8; N]; T] {
        let (simd, width) = (self.simd, width.min(WIDEST));
        let mut columns = [[[&[][..]; 2]; N]; T];
        for t in 0..T {
            for n in 0..N {
                for h in 0..2 {
                    columns[t][n][h] = &self.columns[h].0[t][n][left..left + width + HALF];
                }
            }
        }
        let mut sums = [[simd.splat_f32s(0.0); N]; T];
        for x in 0..width {
            for t in 0..T {
                for n in 0..N {
                    sums[t][n] = simd.add_f32s(sums[t][n], simd.load_halves(columns[t][n], x));
                }
            }
        }
        sums
    }

    /// Sums the columns of half `h`, which begin with those of `image`, over a strip of `width` columns.
    #[inline(always)]
    fn half(&self, h: usize, image: Rows, width: usize, columns: &mut Columns<N, T>) {
        let simd = self.simd;
        let wanted = width + self.lags.wanted[h] - 1;
        // Blocks read whole halves of vectors.
        columns.0.as_flattened_mut().iter_mut().for_each(|c| c.resize(width + LANES, 0.0));
        if wanted < LANES {
            let sums = self.sum(
                #[inline(always)]
                |row| [few(image.at(0, row, wanted))],
            );
            columns.put(0, &sums);
            return;
        }
        let mut x = 0;
        while x + ABREAST * LANES <= wanted {
            let sums = self.sum(
                #[inline(always)]
                |row| vectors::<S, ABREAST>(simd, image.at(x, row, ABREAST * LANES)),
            );
            columns.put(x, &sums);
            x += ABREAST * LANES;
        }
        for x in (x..wanted).step_by(LANES) {
            // The last vector ends with the last column.
            let x = x.min(wanted - LANES);
            let sums = self.sum(
                #[inline(always)]
                |row| vectors::<S, 1>(simd, image.at(x, row, LANES)),
            );
            columns.put(x, &sums);
        }
    }

    /// The sums of `C` vectors of columns for each lag along y; `load` has those of one row.
    #[inline(always)]
    fn sum<const C: usize>(&self, load: impl Fn(usize) -> [f32x8; C]) -> [[[f32x8; N]; C]; T] {
        let (simd, height) = (self.simd, self.height);
        // The rows that all lags have in common are summed once.
        let common = T - 1..height.max(T - 1);
        let mut sums = [[simd.splat_f32s(0.0); N]; C];
        for row in common.clone() {
            add(simd, &mut sums, load(row));
        }
        let mut out = [sums; T];
        for t in 0..self.lags.lines {
            for row in t..common.start.min(t + height) {
                add(simd, &mut out[t], load(row));
            }
            for row in common.end.max(t)..t + height {
                add(simd, &mut out[t], load(row));
            }
        }
        out
    }
}

impl<const N: usize, const T: usize> Columns<N, T> {
    /// Puts the sums of `C` vectors of columns from `x` on at their place.
    #[inline(always)]
    fn put<const C: usize>(&mut self, x: usize, sums: &[[[f32x8; N]; C]; T]) {
        for t in 0..T {
            for n in 0..N {
                let place = self.0[t][n][x..x + C * LANES].as_chunks_mut::<LANES>().0;
                for k in 0..C {
                    place[k] = pulp::cast(sums[t][k][n]);
                }
            }
        }
    }
}

/// Adds a row of `C` vectors of columns and, with `N` = 2, their squares.
#[inline(always)]
fn add<S: Eight, const N: usize, const C: usize>(simd: S, sums: &mut [[f32x8; N]; C], row: [f32x8; C]) {
    for k in 0..C {
        sums[k][0] = simd.add_f32s(sums[k][0], row[k]);
        if N > 1 {
            sums[k][1] = simd.add_product(sums[k][1], row[k], row[k]);
        }
    }
}

#[inline(always)]
fn vectors<S: Eight, const C: usize>(simd: S, row: &[f32]) -> [f32x8; C] {
    let mut out = [simd.splat_f32s(0.0); C];
    for k in 0..C {
        out[k] = simd.load(row, k * LANES);
    }
    out
}

/// Fewer columns than there are lanes.
#[inline(always)]
fn few(row: &[f32]) -> f32x8 {
    let lanes: Lanes = std::array::from_fn(|l| row.get(l).copied().unwrap_or(0.0));
    pulp::cast(lanes)
}

impl<S: Eight, const N: usize, const T: usize> Blocks for ColumnSums<'_, S, N, T> {
    const VECTORS: usize = N * T;

    #[inline(always)]
    fn strip(&mut self, corner: (usize, usize), (width, height): (usize, usize)) {
        self.height = height;
        for h in 0..2 {
            let image = self.lags.halves[h].from((corner.0 as i64, corner.1 as i64));
            let mut columns = std::mem::take(&mut self.columns[h]);
            self.half(h, image, width, &mut columns);
            self.columns[h] = columns;
        }
    }

    #[inline(always)]
    fn add(&self, left: usize, width: usize, sums: &mut [[f64; LANES]]) {
        add_chains(self.simd, &[self.block(left, width)], sums);
    }
}
