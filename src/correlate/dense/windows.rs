//! Sums over triangular windows, and the pyramid of block means that makes large windows as cheap as small ones.
//!
//! A triangle is a box applied twice; its response is nowhere negative, so iterations on a dense field do not amplify
//! fine detail. Windows of 18 px and more are the 9-tap triangle on block means of 2, 4, 8 and 16 pixels.
//!
//! Everything works a row at a time on slices of equal length, which the compiler turns into vectors; the order of the
//! additions is the same on every machine.

pub use crate::correlate::lanes::vectors;
use crate::grid::Grid;
use std::array::from_fn;

/// One axis of a 5 px wide triangle.
pub const TRIANGLE5: [f32; 5] = [1.0, 2.0, 3.0, 2.0, 1.0];
/// One axis of a 9 px wide triangle.
pub const TRIANGLE9: [f32; 9] = [1.0, 2.0, 3.0, 4.0, 5.0, 4.0, 3.0, 2.0, 1.0];

/// A plane of which a ring of rows may be all that is stored.
#[derive(Clone, Copy)]
pub struct Lines<'a> {
    /// Row y is row y modulo their number here.
    pub stored: &'a Grid<f32>,
    pub height: usize,
}

impl<'a> Lines<'a> {
    /// All rows of a plane.
    pub fn all(stored: &'a Grid<f32>) -> Self {
        Lines { stored, height: stored.height }
    }

    #[inline(always)]
    fn row(self, y: usize) -> &'a [f32] {
        self.stored.row(y % self.stored.height)
    }
}

/// Row `y` of the separable sum with the symmetric weights `taps` (odd length), nothing beyond the border. `padded` has room for
/// the row and half a window on either side, and is zero there.
#[inline(always)]
pub fn convolve_row<const N: usize>(a: Lines, y: usize, taps: &[f32; N], padded: &mut [f32], out: &mut [f32]) {
    convolve_down(a, y, taps, padded);
    convolve_along(taps, padded, out);
}

/// The sums of row `y` down the columns.
#[inline(always)]
fn convolve_down<const N: usize>(a: Lines, y: usize, taps: &[f32; N], padded: &mut [f32]) {
    let (w, h, r) = (a.stored.width, a.height, N / 2);
    let line = &mut padded[r..r + w];
    if y >= r && y + r < h {
        let rows: [&[f32]; N] = from_fn(|k| &a.row(y + k - r)[..w]);
        line.iter_mut().enumerate().for_each(|(x, v)| *v = symmetric(taps, &rows, x));
    } else {
        line.fill(0.0);
        for (k, t) in taps.iter().enumerate() {
            if (r..h + r).contains(&(y + k)) {
                line.iter_mut().zip(a.row(y + k - r)).for_each(|(v, p)| *v += t * p);
            }
        }
    }
}

/// `convolve_down` of up to four rows from `y` on, in which every number is fetched once instead of for each of them.
#[inline(always)]
pub fn convolve_down_4<const N: usize>(a: Lines, y: usize, taps: &[f32; N], padded: &mut [Vec<f32>; 4]) {
    let (w, h, r) = (a.stored.width, a.height, N / 2);
    if y < r || y + 3 + r >= h {
        for (k, padded) in padded.iter_mut().enumerate() {
            if y + k < h {
                convolve_down(a, y + k, taps, padded);
            }
        }
        return;
    }
    let above: [&[f32]; N] = from_fn(|k| &a.row(y + k - r)[..w]);
    let below: [&[f32]; 3] = from_fn(|k| &a.row(y + k + 1 + r)[..w]);
    let [p, q, s, t] = padded.each_mut().map(|line| &mut line[r..r + w]);
    for x in 0..w {
        let own = |first: usize| -> f32 {
            let at = |k: usize| if k < N { above[k][x] } else { below[k - N][x] };
            let mut sum = taps[N / 2] * at(first + N / 2);
            for k in 0..N / 2 {
                sum += taps[k] * (at(first + k) + at(first + N - 1 - k));
            }
            sum
        };
        (p[x], q[x], s[x], t[x]) = (own(0), own(1), own(2), own(3));
    }
}

/// The sums along a row of sums down the columns.
#[inline(always)]
pub fn convolve_along<const N: usize>(taps: &[f32; N], padded: &[f32], out: &mut [f32]) {
    let w = out.len();
    let shifted: [&[f32]; N] = from_fn(|k| &padded[k..k + w]);
    out.iter_mut().enumerate().for_each(|(x, v)| *v = symmetric(taps, &shifted, x));
}

/// Σ taps · lines at `x`, for taps that are the same from both ends.
#[inline(always)]
fn symmetric<const N: usize>(taps: &[f32; N], lines: &[&[f32]; N], x: usize) -> f32 {
    let mut sum = taps[N / 2] * lines[N / 2][x];
    for k in 0..N / 2 {
        sum += taps[k] * (lines[k][x] + lines[N - 1 - k][x]);
    }
    sum
}

/// Sums over the (2 `r` + 1)² box, nothing beyond the border.
pub fn box_sum(a: &Grid<f32>, r: usize) -> Grid<f32> {
    let mut out = Grid::filled(a.width, a.height, 0.0f32);
    box_rows(
        (a.width, a.height),
        r,
        #[inline(always)]
        |y, sign, [column]: &mut [Vec<f64>; 1]| {
            column.iter_mut().zip(a.row(y)).for_each(|(c, v)| *c += sign * f64::from(*v));
        },
        #[inline(always)]
        |y, [sums]| out.row_mut(y).copy_from_slice(sums),
    );
    out
}

/// Sums of `K` numbers of every pixel over the (2 `r` + 1)² box, a row at a time. `add` adds row y times a sign to running
/// sums down the columns, which are f64 against drift; `done` gets every row of sums in turn.
pub fn box_rows<const K: usize>(
    (w, h): (usize, usize),
    r: usize,
    mut add: impl FnMut(usize, f64, &mut [Vec<f64>; K]),
    mut done: impl FnMut(usize, &[Vec<f32>; K]),
) {
    let mut columns: [Vec<f64>; K] = from_fn(|_| vec![0.0; w]);
    let mut sums: [Vec<f32>; K] = from_fn(|_| vec![0.0; w]);
    let mut padded = [0; 2].map(|_| vec![0.0f32; w + 2 * r]);
    for y in 0..h + r {
        vectors(
            #[inline(always)]
            || {
                if y < h {
                    add(y, 1.0, &mut columns);
                }
                if y > 2 * r {
                    add(y - 2 * r - 1, -1.0, &mut columns);
                }
                if y >= r {
                    for (column, sums) in columns.iter().zip(&mut sums) {
                        sum_along(column, r, &mut padded, sums);
                    }
                    done(y - r, &sums);
                }
            },
        );
    }
}

/// Sums of the 2 `r` + 1 numbers around each of `column`, from sums of 1, 2, 4 ... neighbours; `padded` have room for `r`
/// more on either side.
#[inline(always)]
fn sum_along(column: &[f64], r: usize, padded: &mut [Vec<f32>; 2], line: &mut [f32]) {
    let (w, width) = (column.len(), 2 * r + 1);
    let [sums, next] = padded;
    let (mut sums, mut next) = (&mut sums[..w + 2 * r], &mut next[..w + 2 * r]);
    sums[..r].fill(0.0);
    sums[r + w..].fill(0.0);
    sums[r..r + w].iter_mut().zip(column).for_each(|(p, c)| *p = *c as f32);
    line.copy_from_slice(&sums[..w]);
    // `sums` holds sums of `side` neighbours; `done` numbers of the width are in `line`.
    let (mut side, mut done) = (1, 1);
    while done < width {
        let twice = sums.len() - side;
        next[..twice].iter_mut().zip(sums[..twice].iter().zip(&sums[side..])).for_each(|(n, (a, b))| *n = a + b);
        (sums, next) = (next, sums);
        side *= 2;
        if width & side != 0 {
            line.iter_mut().zip(&sums[done..]).for_each(|(o, p)| *o += p);
            done += side;
        }
    }
}

/// Means of 2 × 2 blocks; where the size is odd, what is missing counts as zero.
pub fn halve(a: &Grid<f32>) -> Grid<f32> {
    let (w, h) = (a.width.div_ceil(2), a.height.div_ceil(2));
    let mut out = Grid::filled(w, h, 0.0f32);
    vectors(
        #[inline(always)]
        || {
            for y in 0..a.height {
                halve_row(a.row(y), out.row_mut(y / 2));
            }
        },
    );
    out
}

/// Adds one row of pixels to the means of [`halve`].
#[inline(always)]
pub fn halve_row(fine: &[f32], out: &mut [f32]) {
    let (pairs, rest) = fine.as_chunks::<2>();
    for (o, [p, q]) in out.iter_mut().zip(pairs) {
        *o += 0.25 * (p + q);
    }
    if let (Some(o), Some(v)) = (out.last_mut(), rest.first()) {
        *o += 0.25 * v;
    }
}

/// The bilinear refinement of a grid of block values to blocks of half the side, `width` × `height` of them.
pub fn double(a: &Grid<f32>, width: usize, height: usize) -> Grid<f32> {
    let mut out = Grid::filled(width, height, 0.0f32);
    let mut line = vec![0.0f32; a.width + 2];
    vectors(
        #[inline(always)]
        || {
            for y in 0..height {
                double_row(a, y, &mut line, out.row_mut(y));
            }
        },
    );
    out
}

/// Row `y` of [`double`]; `line` has room for a row of `a` and two more.
#[inline(always)]
pub fn double_row(a: &Grid<f32>, y: usize, line: &mut [f32], out: &mut [f32]) {
    // Block centres lie a quarter of a coarse block from the nearest coarse centre; at the border the nearest centre
    // stands for the one beyond.
    let n = a.width;
    let c = (y / 2).min(a.height - 1);
    let o = if y.is_multiple_of(2) { c.saturating_sub(1) } else { (c + 1).min(a.height - 1) };
    for (l, (p, q)) in line[1..=n].iter_mut().zip(a.row(c).iter().zip(a.row(o))) {
        *l = 0.75 * p + 0.25 * q;
    }
    line[0] = line[1];
    line[n + 1] = line[n];
    let width = out.len();
    let (pairs, rest) = out.as_chunks_mut::<2>();
    for (i, pair) in pairs.iter_mut().enumerate().take(n) {
        let [before, own, after] = [line[i], line[i + 1], line[i + 2]];
        *pair = [0.75 * own + 0.25 * before, 0.75 * own + 0.25 * after];
    }
    if let [last] = rest {
        let i = (width / 2).min(n - 1);
        *last = 0.75 * line[i + 1] + 0.25 * line[i];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(w: usize, h: usize) -> Grid<f32> {
        Grid::from_fn(w, h, |x, y| ((x * 7919 + y * 104_729 + x * y * 31) % 1009) as f32 / 1009.0 - 0.5)
    }

    fn convolve<const N: usize>(a: &Grid<f32>, taps: &[f32; N]) -> Grid<f32> {
        let mut out = Grid::filled(a.width, a.height, 0.0f32);
        let mut padded: [Vec<f32>; 4] = from_fn(|_| vec![0.0; a.width + N]);
        for y in 0..a.height {
            convolve_row(Lines::all(a), y, taps, &mut padded[0], out.row_mut(y));
        }
        for y in (0..a.height).step_by(4) {
            convolve_down_4(Lines::all(a), y, taps, &mut padded);
            for k in 0..4.min(a.height - y) {
                let mut row = vec![0.0; a.width];
                convolve_along(taps, &padded[k], &mut row);
                assert_eq!(row, out.row(y + k));
            }
        }
        out
    }

    /// Every sum of the file, written down directly.
    #[test]
    fn sums_are_what_they_say() {
        for (w, h) in [(40, 37), (7, 9), (3, 50)] {
            let a = noise(w, h);
            let at = |x: i64, y: i64| match (0..w as i64).contains(&x) && (0..h as i64).contains(&y) {
                true => f64::from(a.get(x as usize, y as usize)),
                false => 0.0,
            };
            for r in [2usize, 15] {
                let sums = box_sum(&a, r);
                let c = convolve(&a, &TRIANGLE9);
                for (x, y) in [(0, 0), (w / 2, h / 2), (w - 1, h - 1), (1, h - 2)] {
                    let reach = r as i64;
                    let (mut direct, mut triangle) = (0.0, 0.0);
                    for j in -reach..=reach {
                        for i in -reach..=reach {
                            direct += at(x as i64 + i, y as i64 + j);
                        }
                    }
                    for j in -4i64..=4 {
                        for i in -4i64..=4 {
                            let weight = f64::from(TRIANGLE9[(i + 4) as usize] * TRIANGLE9[(j + 4) as usize]);
                            triangle += weight * at(x as i64 + i, y as i64 + j);
                        }
                    }
                    assert!((f64::from(sums.get(x, y)) - direct).abs() < 1e-4);
                    assert!((f64::from(c.get(x, y)) - triangle).abs() < 1e-3);
                }
            }
        }
    }

    /// A plane keeps its values from blocks to pixels, away from the border.
    #[test]
    fn halving_and_doubling_keep_a_plane() {
        let a = Grid::from_fn(33, 30, |x, y| 0.3 * x as f32 - 0.2 * y as f32);
        let back = double(&halve(&a), 33, 30);
        for (x, y) in [(2, 2), (10, 13), (29, 27)] {
            assert!((back.get(x, y) - a.get(x, y)).abs() < 1e-5);
        }
    }
}
