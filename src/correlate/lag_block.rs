//! Products of images with spline coefficients within one block of pixels, at eight neighbouring lags.
//!
//! Coefficients half a pixel apart lie in different planes, so a vector of lags is put together from two halves. No sum
//! runs across lanes, and the order of additions within a lane is fixed, so any vector length gives the same bytes.

use super::batch_sums::Rows;
use super::block::{Blocks, pad};
use super::eight::{Eight, Lanes};
use pulp::f32x8;

/// Lags in half a vector.
pub const HALF: usize = 4;

/// A half vector of lags: the coefficients at its first, and how many of them are wanted.
pub type Half<'a> = (Rows<'a>, usize);

/// Products of `P` images with the coefficients at eight lags, then the sums of the coefficients, and where there is room among
/// the `V` vectors of sums those of their squares. `U` neighbouring rows
/// are summed apart: several chains of additions instead of one.
pub struct LagProducts<'a, S, const P: usize, const U: usize> {
    simd: S,
    a: [Rows<'a>; P],
    lags: [Half<'a>; 2],
    padded: [Vec<f32>; 2],
    is_padded: [bool; 2],
    corner: (usize, usize),
    size: (usize, usize),
}

impl<'a, S: Eight, const P: usize, const U: usize> LagProducts<'a, S, P, U> {
    pub fn new(simd: S, a: [Rows<'a>; P], lags: [Half<'a>; 2]) -> Self {
        let padded = [Vec::new(), Vec::new()];
        LagProducts { simd, a, lags, padded, is_padded: [false; 2], corner: (0, 0), size: (0, 0) }
    }

    fn moved(&self) -> (i64, i64) {
        (self.corner.0 as i64, self.corner.1 as i64)
    }
}

impl<S: Eight, const P: usize, const U: usize, const V: usize> Blocks<V> for LagProducts<'_, S, P, U> {
    /// Whole vectors reach past the last wanted lag, at the end of a plane past its data: rows with zeros behind them.
    #[inline(always)]
    fn strip(&mut self, corner: (usize, usize), size: (usize, usize)) {
        (self.corner, self.size) = (corner, size);
        for k in 0..2 {
            let (image, wanted) = (self.lags[k].0.from(self.moved()), self.lags[k].1);
            self.is_padded[k] = image.start(size.0 + HALF, size.1 - 1) > image.data.len();
            if self.is_padded[k] {
                pad(&mut self.padded[k], image, (size.0 + wanted - 1, size.1), size.0 + 2 * HALF);
            }
        }
    }

    #[inline(always)]
    fn block(&self, left: usize, width: usize) -> Option<[Lanes; V]> {
        let (simd, moved) = (self.simd, self.moved());
        let lags: [Rows; 2] = std::array::from_fn(|k| match self.is_padded[k] {
            true => Rows { data: &self.padded[k], pitch: self.size.0 + 2 * HALF, first: 0 },
            false => self.lags[k].0.from(moved),
        });
        let f = |y: usize| self.a.map(|a| a.from(moved).at(left, y, width));
        let c = |y: usize| lags.map(|c| c.at(left, y, width + HALF));
        let mut sums = [[simd.splat_f32s(0.0); V]; U];
        let whole = self.size.1 / U * U;
        for y in (0..whole).step_by(U) {
            let (f, c): ([_; U], [_; U]) = (std::array::from_fn(|u| f(y + u)), std::array::from_fn(|u| c(y + u)));
            for x in 0..width {
                for u in 0..U {
                    sums[u] = add(simd, sums[u], f[u], c[u], x);
                }
            }
        }
        for y in whole..self.size.1 {
            let (f, c) = (f(y), c(y));
            for x in 0..width {
                sums[0] = add(simd, sums[0], f, c, x);
            }
        }
        let mut out = sums[0];
        for part in &sums[1..] {
            out = std::array::from_fn(|k| simd.add_f32s(out[k], part[k]));
        }
        Some(out.map(pulp::cast))
    }
}

/// Adds the products and coefficients of one pixel.
#[inline(always)]
fn add<S: Eight, const P: usize, const V: usize>(
    simd: S,
    mut sums: [f32x8; V],
    f: [&[f32]; P],
    c: [&[f32]; 2],
    x: usize,
) -> [f32x8; V] {
    let half = |k: usize| -> [f32; HALF] { c[k][x..x + HALF].try_into().expect("as many as half a vector") };
    let c = pulp::cast([half(0), half(1)]);
    for p in 0..P {
        sums[p] = simd.add_product(sums[p], simd.splat_f32s(f[p][x]), c);
    }
    sums[P] = simd.add_f32s(sums[P], c);
    if V > P + 1 {
        sums[P + 1] = simd.add_product(sums[P + 1], c, c);
    }
    sums
}
