//! The network input `evidence`: what speaks for each correction that a network with a front end chooses between.
//!
//! Such networks propose 29 corrections to the displacement that the features are about: the thirteen of
//! [`super::features`] (channels 9 to 47), and those that lead to the displacement found at 16 places around, 5 and 12 px away
//! (beside a fault the right value is often the one from a little further on, Bobick & Intille 1999).
//!
//! | planes | what |
//! |---|---|
//! | 0 to 28 | logarithm of the mean square difference that would be left in a window of about 5 px if the pixel moved so, over that of staying, within ±[`BOUND`]; linearised about the displacement as in Lucas & Kanade (1981) |
//! | 29, 30 | displacement right and down less its mean in boxes of 9 px, times 4 |
//! | 31, 32 | the same in boxes of 33 px |
//!
//! `training/models/flk.py` has the same formulas in PyTorch. A graph of ONNX Runtime would make a pass over 29 planes for each
//! of their twelve operations.

use super::features::{self, DISPLACEMENT, FIRST, Features};
use crate::correlate::dense::windows::box_sum;
use crate::correlate::lanes::{ln, vectors};
use crate::grid::Grid;

/// Number of planes.
pub const CHANNELS: usize = FIRST_MEAN + 4;
/// Bound on the logarithms.
pub const BOUND: f32 = 3.0;
/// Corrections of the features, each with its standard deviation.
const TRIPLES: usize = (features::CHANNELS - FIRST) / 3;
/// Places around a pixel, right and down.
const PLACES: [(i64, i64); 16] = [
    (5, 0),
    (-5, 0),
    (0, 5),
    (0, -5),
    (4, 4),
    (-4, -4),
    (4, -4),
    (-4, 4),
    (12, 0),
    (-12, 0),
    (0, 12),
    (0, -12),
    (8, 8),
    (-8, -8),
    (8, -8),
    (-8, 8),
];
const FARTHEST: usize = 12;
const FIRST_MEAN: usize = TRIPLES + PLACES.len();
/// Radii of the boxes whose means the displacement is compared with, and the factor.
const RADII: [usize; 2] = [4, 16];
const GAIN: f32 = 4.0;
/// Least mean square difference, of normalised images.
const LEAST: f32 = 1e-3;

/// The planes of a tile: plane c at (x, y) is number (c · height + y) · width + x.
pub fn of(f: &Features) -> Vec<f32> {
    let (w, h) = (f.width, f.height);
    let terms = terms(f);
    let mut out = vec![0.0f32; CHANNELS * w * h];
    let (costs, means) = out.split_at_mut(FIRST_MEAN * w * h);
    let row = |c: usize, y: usize| &f.channel(c)[y * w..(y + 1) * w];
    // Rows of the displacement with the border's value beyond it, and what they are to be moved to.
    let mut lines = [(); 2].map(|()| vec![0.0f32; w + 2 * FARTHEST]);
    let mut moved = [(); 2].map(|()| vec![0.0f32; w]);
    for y in 0..h {
        let terms = terms.each_ref().map(|t| t.row(y));
        for (k, plane) in costs.chunks_exact_mut(w * h).enumerate() {
            let out = &mut plane[y * w..(y + 1) * w];
            let proposal = match k.checked_sub(TRIPLES) {
                None => [row(FIRST + 3 * k, y), row(FIRST + 3 * k + 1, y)],
                Some(place) => {
                    let (i, j) = PLACES[place];
                    let from = (y as i64 + j).clamp(0, h as i64 - 1) as usize;
                    for (axis, (line, moved)) in lines.iter_mut().zip(&mut moved).enumerate() {
                        pad(row(DISPLACEMENT + axis, from), line);
                        let there = &line[(FARTHEST as i64 + i) as usize..][..w];
                        let own = row(DISPLACEMENT + axis, y);
                        moved.iter_mut().zip(there.iter().zip(own)).for_each(|(m, (t, o))| *m = t - o);
                    }
                    moved.each_ref().map(Vec::as_slice)
                }
            };
            vectors(
                #[inline(always)]
                || cost_row(proposal, terms, out),
            );
        }
    }
    for (axis, d) in [0, 1].map(|axis| f.channel(DISPLACEMENT + axis)).into_iter().enumerate() {
        let d = Grid { width: w, height: h, data: d.to_vec() };
        for (k, radius) in RADII.into_iter().enumerate() {
            let (sum, count) = (box_sum(&d, radius), |at: usize, n: usize| inside(at, n, radius) as f32);
            let plane = &mut means[(2 * k + axis) * w * h..][..w * h];
            for (y, out) in plane.chunks_exact_mut(w).enumerate() {
                for (x, out) in out.iter_mut().enumerate() {
                    *out = GAIN * (d.get(x, y) - sum.get(x, y) / (count(x, w) * count(y, h)));
                }
            }
        }
    }
    out
}

/// How many of the 2 `radius` + 1 numbers around `at` are among the first `n`.
fn inside(at: usize, n: usize, radius: usize) -> usize {
    (at + radius + 1).min(n) - at.saturating_sub(radius)
}

/// A row with its first and last value beyond its ends.
fn pad(row: &[f32], line: &mut [f32]) {
    let end = FARTHEST + row.len();
    line[..FARTHEST].fill(row[0]);
    line[FARTHEST..end].copy_from_slice(row);
    line[end..].fill(row[row.len() - 1]);
}

/// ln of what is left of the difference after each correction `(dx, dy)`, from the [`terms`].
#[inline(always)]
fn cost_row([dx, dy]: [&[f32]; 2], [xx, xy, yy, xe, ye]: [&[f32]; 5], out: &mut [f32]) {
    let w = out.len();
    let [dx, dy, xx, xy, yy, xe, ye] = [dx, dy, xx, xy, yy, xe, ye].map(|row| &row[..w]);
    let (least, most) = ((-BOUND).exp(), BOUND.exp());
    for x in 0..w {
        let (p, q) = (dx[x], dy[x]);
        let left = p * (xx[x] * p + xy[x] * q + xe[x]) + q * (yy[x] * q + ye[x]) + 1.0;
        out[x] = ln(left.max(least).min(most));
    }
}

/// Means around each pixel of the products xx, 2 xy, yy, 2 xe, 2 ye of the mean gradient of both images and their difference, over
/// that of the squared difference.
fn terms(f: &Features) -> [Grid<f32>; 5] {
    let (w, h) = (f.width, f.height);
    let (pre, post) = (f.channel(0), f.channel(1));
    let plane = || Grid::filled(w, h, 0.0f32);
    let mut products = [(); 6].map(|()| plane());
    let middle = Grid { width: w, height: h, data: pre.iter().zip(post).map(|(a, b)| 0.5 * (a + b)).collect() };
    let nothing = vec![0.0f32; w];
    let mut line = vec![0.0f32; w + 4];
    for y in 0..h {
        let row =
            |j: i64| usize::try_from(y as i64 + j).ok().filter(|y| *y < h).map_or(&nothing[..], |y| middle.row(y));
        line[2..w + 2].copy_from_slice(middle.row(y));
        let across = [0, 1, 3, 4].map(|i| &line[i..i + w]);
        let down = [-2, -1, 1, 2].map(row);
        let images = [pre, post].map(|image| &image[y * w..(y + 1) * w]);
        let rows = products.each_mut().map(|p| p.row_mut(y));
        vectors(
            #[inline(always)]
            || product_row(across, down, images, rows),
        );
    }
    for p in &mut products {
        means(p);
        means(p);
    }
    let [xx, xy, yy, xe, ye, ee] = products;
    [xx, xy, yy, xe, ye].map(|mut p| {
        p.data.iter_mut().zip(&ee.data).for_each(|(p, e)| *p /= e);
        p
    })
}

/// One row of the products; gradients by central differences of five pixels, nothing beyond the border.
#[inline(always)]
fn product_row(across: [&[f32]; 4], down: [&[f32]; 4], [pre, post]: [&[f32]; 2], rows: [&mut [f32]; 6]) {
    let w = pre.len();
    let (across, down) = (across.map(|r| &r[..w]), down.map(|r| &r[..w]));
    let [xx, xy, yy, xe, ye, ee] = rows.map(|r| &mut r[..w]);
    let post = &post[..w];
    let slope = |rows: &[&[f32]; 4], x: usize| (8.0 * (rows[2][x] - rows[1][x]) + rows[0][x] - rows[3][x]) / 12.0;
    for x in 0..w {
        let (jx, jy, e) = (slope(&across, x), slope(&down, x), post[x] - pre[x]);
        (xx[x], xy[x], yy[x]) = (jx * jx, 2.0 * jx * jy, jy * jy);
        (xe[x], ye[x], ee[x]) = (2.0 * jx * e, 2.0 * jy * e, e * e + LEAST);
    }
}

/// Means over 3 × 3 pixels, over what there is at the border.
fn means(p: &mut Grid<f32>) {
    let (w, h) = (p.width, p.height);
    let mut line = vec![0.0f32; w + 2];
    let mut across = p.clone();
    let factors: Vec<f32> = (0..w).map(|x| 1.0 / inside(x, w, 1) as f32).collect();
    for y in 0..h {
        line[1..=w].copy_from_slice(p.row(y));
        let out = across.row_mut(y);
        for x in 0..w {
            out[x] = (line[x] + line[x + 1] + line[x + 2]) * factors[x];
        }
    }
    for y in 0..h {
        let (from, to) = (y.saturating_sub(1), (y + 1).min(h - 1));
        let factor = 1.0 / (to - from + 1) as f32;
        let out = p.row_mut(y);
        out.copy_from_slice(across.row(from));
        for k in from + 1..=to {
            out.iter_mut().zip(across.row(k)).for_each(|(o, v)| *o += v);
        }
        out.iter_mut().for_each(|o| *o *= factor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(w: usize, h: usize) -> Features {
        let value = |k: usize| ((k * 7919 + k / 13 * 104_729) % 1009) as f32 / 1009.0 - 0.5;
        Features { width: w, height: h, data: (0..features::CHANNELS * w * h).map(value).collect() }
    }

    /// Every plane, written down directly.
    #[test]
    fn planes_are_what_they_say() {
        let (w, h) = (37, 31);
        let f = noise(w, h);
        let found = of(&f);
        let at = |c: usize, x: i64, y: i64| f64::from(f.channel(c)[(y * w as i64 + x) as usize]);
        let is = |x: i64, y: i64| (0..w as i64).contains(&x) && (0..h as i64).contains(&y);
        let around = |x: i64, y: i64, r: i64| {
            (-r..=r).flat_map(move |j| (-r..=r).map(move |i| (x + i, y + j))).filter(move |p| is(p.0, p.1))
        };
        let middle = |x: i64, y: i64| if is(x, y) { 0.5 * (at(0, x, y) + at(1, x, y)) } else { 0.0 };
        let slope = |x: i64, y: i64, i: i64, j: i64| {
            let m = |k: i64| middle(x + k * i, y + k * j);
            (m(-2) - 8.0 * m(-1) + 8.0 * m(1) - m(2)) / 12.0
        };
        // The mean of means of what is left when pixels move by (dx, dy).
        let left = |x: i64, y: i64, dx: f64, dy: f64, least: f64| {
            let mean = |of: &dyn Fn(i64, i64) -> f64, x: i64, y: i64| {
                let n = around(x, y, 1).count() as f64;
                around(x, y, 1).map(|p| of(p.0, p.1)).sum::<f64>() / n
            };
            let one = |x: i64, y: i64| {
                let e = at(1, x, y) - at(0, x, y) + dx * slope(x, y, 1, 0) + dy * slope(x, y, 0, 1);
                e * e + least
            };
            mean(&|x, y| mean(&one, x, y), x, y)
        };
        let clamped = |v: i64, n: usize| v.clamp(0, n as i64 - 1);
        for (x, y) in [(0, 0), (1, 30), (36, 2), (18, 15), (30, 12)] {
            let own = [at(4, x, y), at(5, x, y)];
            for k in 0..FIRST_MEAN {
                let (dx, dy) = match k.checked_sub(TRIPLES) {
                    None => (at(9 + 3 * k, x, y), at(10 + 3 * k, x, y)),
                    Some(place) => {
                        let (i, j) = (clamped(x + PLACES[place].0, w), clamped(y + PLACES[place].1, h));
                        (at(4, i, j) - own[0], at(5, i, j) - own[1])
                    }
                };
                let wanted = (left(x, y, dx, dy, 1e-3) / left(x, y, 0.0, 0.0, 1e-3)).ln().clamp(-3.0, 3.0);
                let got = f64::from(found[(k * h + y as usize) * w + x as usize]);
                assert!((got - wanted).abs() < 1e-4, "plane {k} at {x} {y}: {got} {wanted}");
            }
            for (k, (axis, radius)) in [(0, 4), (1, 4), (0, 16), (1, 16)].into_iter().enumerate() {
                let n = around(x, y, radius).count() as f64;
                let mean = around(x, y, radius).map(|p| at(4 + axis, p.0, p.1)).sum::<f64>() / n;
                let got = f64::from(found[((FIRST_MEAN + k) * h + y as usize) * w + x as usize]);
                assert!((got - 4.0 * (own[axis] - mean)).abs() < 1e-4, "mean {k} at {x} {y}");
            }
        }
    }
}
