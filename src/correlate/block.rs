//! Sums of products within one block of pixels, for neighbouring shifts in the lanes of vectors.
//!
//! Rows of pixels at neighbouring shifts along y read the same rows of the other image, so several shifts along y are
//! summed in one pass: the machine loads less than it multiplies. No sum runs across lanes, and the order of additions within
//! a lane is fixed, so any vector length gives the same bytes.

use super::batch_sums::Rows;
use super::eight::{Eight, LANES, Lanes};
use pulp::f32x8;

/// Wider than any block. A width that is held below it cannot overflow with lanes added, so that one check before a loop
/// is enough for all that is read in it.
pub(super) const WIDEST: usize = 1 << 30;

/// What is summed over the blocks of a tile, so many vectors of lanes for each block. Blocks are asked for strip by strip.
pub trait Blocks {
    /// Vectors of lanes of one block.
    const VECTORS: usize;

    /// The next strip of blocks: its first pixel (x, y), its width and height.
    fn strip(&mut self, corner: (usize, usize), size: (usize, usize));

    /// Adds the sums over the block of `width` columns from `left` on, counted from the strip's first.
    fn add(&self, left: usize, width: usize, sums: &mut [[f64; LANES]]);
}

/// Adds the sums of a block, `N` vectors for each of `T` shifts along y in `C` chains of additions.
#[inline(always)]
pub(super) fn add_chains<S: Eight, const N: usize, const T: usize, const C: usize>(
    simd: S,
    chains: &[[[f32x8; N]; T]; C],
    sums: &mut [[f64; LANES]],
) {
    for (t, sums) in sums.chunks_exact_mut(N).enumerate() {
        let mut total = chains[0][t];
        for chain in &chains[1..] {
            for k in 0..N {
                total[k] = simd.add_f32s(total[k], chain[t][k]);
            }
        }
        for (sums, total) in sums.iter_mut().zip(&total) {
            let total: Lanes = pulp::cast(*total);
            for l in 0..LANES {
                sums[l] += f64::from(total[l]);
            }
        }
    }
}

/// An image read in whole vectors, which reach past the last wanted value: at the end of the image past its data. There a copy
/// with zeros behind them is read instead.
#[derive(Default)]
pub(super) struct Padded {
    buffer: Vec<f32>,
    /// Of the copy, where it is read.
    pitch: Option<usize>,
}

impl Padded {
    /// `wanted` values and rows of `image` are wanted, `read` ones are read.
    #[inline(always)]
    pub fn enter(&mut self, image: Rows, wanted: (usize, usize), read: (usize, usize)) {
        let ends_before = image.start(read.0, read.1 - 1) > image.data.len();
        self.pitch = ends_before.then(|| read.0 + LANES);
        if let Some(pitch) = self.pitch {
            pad(&mut self.buffer, image, wanted, (pitch, read.1));
        }
    }

    /// What to read instead of `image`, the one that was entered.
    #[inline(always)]
    pub fn or<'a>(&'a self, image: Rows<'a>) -> Rows<'a> {
        self.pitch.map_or(image, |pitch| Rows { data: &self.buffer, pitch, first: 0 })
    }
}

/// The first `size` pixels of an image in rows `pitch` apart, `rows` of them, zeros behind them.
#[inline(never)]
fn pad(buffer: &mut Vec<f32>, image: Rows, size: (usize, usize), (pitch, rows): (usize, usize)) {
    buffer.clear();
    buffer.resize(pitch * rows, 0.0);
    for (y, line) in buffer.chunks_exact_mut(pitch).take(size.1).enumerate() {
        line[..size.0].copy_from_slice(image.at(0, y, size.0));
    }
}

/// Products of image a with image b at `G` vectors of shifts along x and `T` shifts along y. `U` rows of a and `K` = `U` + `T` - 1
/// of b are read in one pass and summed in `C` chains of additions.
pub struct Products<'a, S, const G: usize, const T: usize, const C: usize, const U: usize, const K: usize, N> {
    simd: S,
    a: Rows<'a>,
    /// The image at the first shift, and how many shifts along x and y are wanted.
    b: (Rows<'a>, (usize, usize)),
    /// Says of blocks (corner in a, size) that their products are zero.
    nothing: N,
    padded: Padded,
    corner: (usize, usize),
    size: (usize, usize),
}

impl<'a, S, const G: usize, const T: usize, const C: usize, const U: usize, const K: usize, N>
    Products<'a, S, G, T, C, U, K, N>
where
    S: Eight,
{
    pub fn new(simd: S, a: Rows<'a>, b: (Rows<'a>, (usize, usize)), nothing: N) -> Self {
        const { assert!(K + 1 == U + T) };
        Products { simd, a, b, nothing, padded: Padded::default(), corner: (0, 0), size: (0, 0) }
    }

    fn moved(&self) -> (i64, i64) {
        (self.corner.0 as i64, self.corner.1 as i64)
    }

    /// `sums` and those of `R` rows of the block, from row `y` of the strip on; `L` = `R` + `T` - 1.
    #[inline(always)]
    fn rows<const R: usize, const L: usize>(
        &self,
        mut sums: [[[f32x8; G]; T]; C],
        y: usize,
        (left, width): (usize, usize),
        (a, b): (Rows, Rows),
    ) -> [[[f32x8; G]; T]; C] {
        let (simd, width) = (self.simd, width.min(WIDEST));
        let f: [&[f32]; R] = std::array::from_fn(|u| a.at(left, y + u, width));
        let g: [&[f32]; L] = std::array::from_fn(|r| b.at(left, y + r, width + G * LANES));
        for x in 0..width {
            // Loops over arrays of vectors: what takes a function for their elements would pass them through memory.
            let mut shifted = [[simd.splat_f32s(0.0); G]; L];
            for r in 0..L {
                for k in 0..G {
                    shifted[r][k] = simd.load(g[r], x + k * LANES);
                }
            }
            for u in 0..R {
                let f = simd.splat_f32s(f[u][x]);
                for t in 0..T {
                    for k in 0..G {
                        sums[u % C][t][k] = simd.add_product(sums[u % C][t][k], f, shifted[u + t][k]);
                    }
                }
            }
        }
        sums
    }
}

impl<S, const G: usize, const T: usize, const C: usize, const U: usize, const K: usize, N> Blocks
    for Products<'_, S, G, T, C, U, K, N>
where
    S: Eight,
    N: Fn((usize, usize), (usize, usize)) -> bool,
{
    const VECTORS: usize = G * T;

    #[inline(always)]
    fn strip(&mut self, corner: (usize, usize), size: (usize, usize)) {
        (self.corner, self.size) = (corner, size);
        let (image, wanted) = (self.b.0.from(self.moved()), self.b.1);
        let wanted = (size.0 + wanted.0 - 1, size.1 + wanted.1 - 1);
        self.padded.enter(image, wanted, (size.0 + G * LANES, size.1 + T - 1));
    }

    #[inline(always)]
    fn add(&self, left: usize, width: usize, sums: &mut [[f64; LANES]]) {
        if (self.nothing)((self.corner.0 + left, self.corner.1), (width, self.size.1)) {
            return;
        }
        let moved = self.moved();
        let b = self.padded.or(self.b.0.from(moved));
        let (images, columns) = ((self.a.from(moved), b), (left, width));
        let mut block = [[[self.simd.splat_f32s(0.0); G]; T]; C];
        let whole = self.size.1 / U * U;
        for y in (0..whole).step_by(U) {
            block = self.rows::<U, K>(block, y, columns, images);
        }
        for y in whole..self.size.1 {
            block = self.rows::<1, T>(block, y, columns, images);
        }
        add_chains(self.simd, &block, sums);
    }
}
