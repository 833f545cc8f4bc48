//! One grid of the sparse systems of [`super::solve`]: product, smoother, and the way to the next coarser grid.

use crate::correlate::lanes::vectors;

/// Damping of the Jacobi smoother.
const DAMPING: f32 = 0.7;
/// Springs between blocks as a share of their sum: values constant in a block make coarse grids too stiff.
const COARSER: f32 = 0.5;

/// Two components of a field, with one row of padding before and after.
pub type Field = [Vec<f32>; 2];

/// A field of zeros.
pub fn zeros(width: usize, height: usize) -> Field {
    [0, 1].map(|_| vec![0.0; width * (height + 2)])
}

/// One grid. Rows follow each other; numbers at the end of a row have no spring to the next one.
pub struct Level {
    pub width: usize,
    pub height: usize,
    /// Springs to the right and downwards, padded like a [`Field`].
    springs: [Vec<f32>; 2],
    /// The block of each pixel on the diagonal (xx, xy, yy), and its inverse.
    diagonal: [Vec<f32>; 3],
    inverse: [Vec<f32>; 3],
}

/// The data terms and springs of blocks of 2 × 2 pixels.
#[allow(clippy::type_complexity)]
pub(super) fn coarser(
    (w, h): (usize, usize),
    data: &[Vec<f32>; 3],
    springs: &[Vec<f32>; 2],
) -> ((usize, usize), [Vec<f32>; 3], [Vec<f32>; 2]) {
    let size = (w.div_ceil(2), h.div_ceil(2));
    let at = |x: usize, y: usize| (y / 2) * size.0 + x / 2;
    let mut sums = [0; 3].map(|_| vec![0.0f32; size.0 * size.1]);
    let mut between = [0; 2].map(|_| vec![0.0f32; size.0 * size.1]);
    for y in 0..h {
        for x in 0..w {
            let k = y * w + x;
            (0..3).for_each(|i| sums[i][at(x, y)] += data[i][k]);
            if x % 2 == 1 {
                between[0][at(x, y)] += COARSER * springs[0][k];
            }
            if y % 2 == 1 {
                between[1][at(x, y)] += COARSER * springs[1][k];
            }
        }
    }
    (size, sums, between)
}

impl Level {
    pub(super) fn new((width, height): (usize, usize), data: &[Vec<f32>; 3], springs: &[Vec<f32>; 2]) -> Level {
        let padded = |v: &[f32]| {
            let mut out = vec![0.0; width * (height + 2)];
            out[width..width * (height + 1)].copy_from_slice(v);
            out
        };
        let springs = [padded(&springs[0]), padded(&springs[1])];
        let mut diagonal = data.clone();
        let mut inverse = [0; 3].map(|_| vec![0.0f32; width * height]);
        for k in 0..width * height {
            let p = k + width;
            let pull = springs[0][p] + springs[0][p - 1] + springs[1][p] + springs[1][p - width];
            let (a, b, c) = (data[0][k] + pull, data[1][k], data[2][k] + pull);
            let det = (a * c - b * b).max(f32::MIN_POSITIVE);
            diagonal[0][k] = a;
            diagonal[2][k] = c;
            inverse[0][k] = c / det;
            inverse[1][k] = -b / det;
            inverse[2][k] = a / det;
        }
        Level { width, height, springs, diagonal, inverse }
    }

    /// Sums of blocks of 2 × 2 pixels.
    pub(super) fn restrict(&self, fine: &Field, next: &Level, coarse: &mut Field) {
        for (fine, coarse) in fine.iter().zip(coarse) {
            coarse.fill(0.0);
            for y in 0..self.height {
                let to = &mut coarse[(y / 2 + 1) * next.width..(y / 2 + 2) * next.width];
                let (pairs, rest) = fine[(y + 1) * self.width..(y + 2) * self.width].as_chunks::<2>();
                to.iter_mut().zip(pairs).for_each(|(t, p)| *t += p[0] + p[1]);
                if let Some(v) = rest.first() {
                    to[next.width - 1] += v;
                }
            }
        }
    }

    /// Adds every block's value to its pixels.
    pub(super) fn prolong(&self, coarse: &Field, next: &Level, fine: &mut Field) {
        for (fine, coarse) in fine.iter_mut().zip(coarse) {
            for y in 0..self.height {
                let from = &coarse[(y / 2 + 1) * next.width..(y / 2 + 2) * next.width];
                let (pairs, rest) = fine[(y + 1) * self.width..(y + 2) * self.width].as_chunks_mut::<2>();
                pairs.iter_mut().zip(from).for_each(|(t, v)| {
                    t[0] += v;
                    t[1] += v;
                });
                if let Some(v) = rest.first_mut() {
                    *v += from[next.width - 1];
                }
            }
        }
    }

    /// out = M v.
    pub(super) fn apply(&self, v: &Field, out: &mut Field) {
        vectors(
            #[inline(always)]
            || {
                self.rows(
                    #[inline(always)]
                    |k, i| self.product(v, k, i, &mut out[i]),
                );
            },
        );
    }

    /// out = b - M v.
    pub(super) fn residual(&self, b: &Field, v: &Field, out: &mut Field) {
        vectors(
            #[inline(always)]
            || {
                self.rows(
                    #[inline(always)]
                    |k, i| {
                        self.product(v, k, i, &mut out[i]);
                        subtract_from(&b[i][k..k + self.width], &mut out[i][k..k + self.width]);
                    },
                );
            },
        );
    }

    /// `f(start, component)` for every row and both components, so that a row's springs are read once.
    #[inline(always)]
    fn rows(&self, mut f: impl FnMut(usize, usize)) {
        for y in 0..self.height {
            for i in 0..2 {
                f((y + 1) * self.width, i);
            }
        }
    }

    /// The row of M v that starts at number `k` of the padded component `i`.
    #[inline(always)]
    fn product(&self, v: &Field, k: usize, i: usize, out: &mut [f32]) {
        let w = self.width;
        let [sx, sy] = &self.springs;
        let diagonal = |i: usize| &self.diagonal[i][k - w..k];
        let pulls = [&sx[k..k + w], &sx[k - 1..k - 1 + w], &sy[k..k + w], &sy[k - w..k]];
        let near = [&v[i][k + 1..k + 1 + w], &v[i][k - 1..k - 1 + w], &v[i][k + w..k + 2 * w], &v[i][k - w..k]];
        let here = [&v[i][k..k + w], &v[1 - i][k..k + w]];
        product(&mut out[k..k + w], [diagonal(2 * i), diagonal(1)], here, pulls, near);
    }

    /// z += damped D⁻¹ r.
    pub(super) fn relax(&self, r: &Field, z: &mut Field) {
        let (w, n) = (self.width, self.width * self.height);
        let [a, b, c] = self.inverse.each_ref().map(|v| &v[..n]);
        let r = r.each_ref().map(|v| &v[w..w + n]);
        let [zx, zy] = z.each_mut().map(|v| &mut v[w..w + n]);
        vectors(
            #[inline(always)]
            || {
                damped(zx, [a, b], r);
                damped(zy, [b, c], r);
            },
        );
    }

    /// The same from z = 0, whatever is in it.
    pub(super) fn relax_from_zero(&self, r: &Field, z: &mut Field) {
        z.iter_mut().for_each(|z| z.fill(0.0));
        self.relax(r, z);
    }
}

/// Slices as arguments: the compiler knows then that what is written is not what is read.
#[inline(always)]
fn product(out: &mut [f32], own: [&[f32]; 2], here: [&[f32]; 2], pulls: [&[f32]; 4], near: [&[f32]; 4]) {
    let n = out.len();
    let ([a, b], [x, y]) = (own.map(|v| &v[..n]), here.map(|v| &v[..n]));
    let ([right, left, down, up], [e, o, s, t]) = (pulls.map(|v| &v[..n]), near.map(|v| &v[..n]));
    for k in 0..n {
        out[k] = a[k] * x[k] + b[k] * y[k] - ((right[k] * e[k] + left[k] * o[k]) + (down[k] * s[k] + up[k] * t[k]));
    }
}

#[inline(always)]
fn subtract_from(b: &[f32], out: &mut [f32]) {
    out.iter_mut().zip(b).for_each(|(o, b)| *o = b - *o);
}

#[inline(always)]
fn damped(z: &mut [f32], inverse: [&[f32]; 2], r: [&[f32]; 2]) {
    let n = z.len();
    let ([a, b], [x, y]) = (inverse.map(|v| &v[..n]), r.map(|v| &v[..n]));
    for k in 0..n {
        z[k] += DAMPING * (a[k] * x[k] + b[k] * y[k]);
    }
}
