//! Sums of products within one block of pixels, for neighbouring shifts in the lanes of vectors.
//!
//! No sum runs across lanes, and the order of additions within a lane is fixed, so any vector length gives the same bytes.

use super::batch_sums::Rows;
use super::eight::{Eight, LANES, Lanes};
use pulp::f32x8;

/// What is summed over the blocks of a tile, `V` vectors of lanes for each block. Blocks are asked for strip by strip.
pub trait Blocks<const V: usize> {
    /// The next strip of blocks: its first pixel (x, y), its width and height.
    fn strip(&mut self, corner: (usize, usize), size: (usize, usize));

    /// The sums over the block of `width` columns from `left` on, counted from the strip's first; `None` for zeros.
    fn block(&self, left: usize, width: usize) -> Option<[Lanes; V]>;
}

/// Products of image a with image b at `G` vectors of shifts. `U` neighbouring rows are summed apart: several chains of
/// additions instead of one.
pub struct Products<'a, S, const G: usize, const U: usize, N> {
    simd: S,
    a: Rows<'a>,
    /// The image at the first shift of each vector, and how many of its shifts are wanted.
    b: [(Rows<'a>, usize); G],
    /// Says of blocks (corner in a, size) that their products are zero.
    nothing: N,
    padded: [Vec<f32>; G],
    is_padded: [bool; G],
    corner: (usize, usize),
    size: (usize, usize),
}

impl<'a, S: Eight, const G: usize, const U: usize, N> Products<'a, S, G, U, N> {
    pub fn new(simd: S, a: Rows<'a>, b: [(Rows<'a>, usize); G], nothing: N) -> Self {
        let padded = std::array::from_fn(|_| Vec::new());
        Products { simd, a, b, nothing, padded, is_padded: [false; G], corner: (0, 0), size: (0, 0) }
    }

    fn moved(&self) -> (i64, i64) {
        (self.corner.0 as i64, self.corner.1 as i64)
    }

    /// Whole vectors reach past the last wanted shift, at the end of an image past its data: rows with zeros behind them.
    #[inline(always)]
    fn enter(&mut self, corner: (usize, usize), size: (usize, usize)) {
        (self.corner, self.size) = (corner, size);
        for k in 0..G {
            let (image, wanted) = (self.b[k].0.from(self.moved()), self.b[k].1);
            self.is_padded[k] = image.start(size.0 + LANES, size.1 - 1) > image.data.len();
            if self.is_padded[k] {
                pad(&mut self.padded[k], image, (size.0 + wanted - 1, size.1), size.0 + 2 * LANES);
            }
        }
    }

    #[inline(always)]
    fn products(&self, (left, width): (usize, usize)) -> [Lanes; G] {
        let (simd, moved) = (self.simd, self.moved());
        let b: [Rows; G] = std::array::from_fn(|k| match self.is_padded[k] {
            true => Rows { data: &self.padded[k], pitch: self.size.0 + 2 * LANES, first: 0 },
            false => self.b[k].0.from(moved),
        });
        let f = |y: usize| self.a.from(moved).at(left, y, width);
        let g = |y: usize| b.map(|b| b.at(left, y, width + LANES));
        let mut sums = [[simd.splat_f32s(0.0); G]; U];
        let add = |sums: &mut [f32x8; G], f: f32, g: [&[f32]; G], x: usize| {
            let f = simd.splat_f32s(f);
            for (sum, g) in sums.iter_mut().zip(g) {
                *sum = simd.add_product(*sum, f, simd.load(g, x));
            }
        };
        let whole = self.size.1 / U * U;
        for y in (0..whole).step_by(U) {
            let (f, g): ([_; U], [_; U]) = (std::array::from_fn(|u| f(y + u)), std::array::from_fn(|u| g(y + u)));
            for x in 0..width {
                for u in 0..U {
                    add(&mut sums[u], f[u][x], g[u], x);
                }
            }
        }
        for y in whole..self.size.1 {
            let (f, g) = (f(y), g(y));
            for x in 0..width {
                add(&mut sums[0], f[x], g, x);
            }
        }
        let mut out = sums[0];
        for part in &sums[1..] {
            out = std::array::from_fn(|k| simd.add_f32s(out[k], part[k]));
        }
        out.map(pulp::cast)
    }
}

/// The first `size` pixels of an image in rows `pitch` apart, zeros behind them.
#[inline(never)]
pub(super) fn pad(buffer: &mut Vec<f32>, image: Rows, size: (usize, usize), pitch: usize) {
    buffer.clear();
    buffer.resize(pitch * size.1, 0.0);
    for (y, line) in buffer.chunks_exact_mut(pitch).enumerate() {
        line[..size.0].copy_from_slice(image.at(0, y, size.0));
    }
}

impl<S, const G: usize, const U: usize, N> Blocks<G> for Products<'_, S, G, U, N>
where
    S: Eight,
    N: Fn((usize, usize), (usize, usize)) -> bool,
{
    #[inline(always)]
    fn strip(&mut self, corner: (usize, usize), size: (usize, usize)) {
        self.enter(corner, size);
    }

    #[inline(always)]
    fn block(&self, left: usize, width: usize) -> Option<[Lanes; G]> {
        if (self.nothing)((self.corner.0 + left, self.corner.1), (width, self.size.1)) {
            return None;
        }
        Some(self.products((left, width)))
    }
}
