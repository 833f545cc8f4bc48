//! Sums over triangular windows, and the pyramid of block means that makes large windows as cheap as small ones.
//!
//! A triangle is a box applied twice; its response is nowhere negative, so iterations on a dense field do not amplify
//! fine detail. Windows of 18 px and more are the 9-tap triangle on block means of 2, 4, 8 and 16 pixels.

use crate::grid::Grid;

/// One axis of a 5 px wide triangle.
pub const TRIANGLE5: [f32; 5] = [1.0, 2.0, 3.0, 2.0, 1.0];
/// One axis of a 9 px wide triangle.
pub const TRIANGLE9: [f32; 9] = [1.0, 2.0, 3.0, 4.0, 5.0, 4.0, 3.0, 2.0, 1.0];

/// Separable sum with the symmetric weights `taps` (odd length); nothing beyond the border.
pub fn convolve(a: &Grid<f32>, taps: &[f32]) -> Grid<f32> {
    let (w, h, r) = (a.width, a.height, taps.len() / 2);
    let mut rows = Grid::filled(w, h, 0.0f32);
    let mut padded = vec![0.0f32; w + 2 * r];
    for y in 0..h {
        padded[r..r + w].copy_from_slice(a.row(y));
        let out = rows.row_mut(y);
        for (k, t) in taps.iter().enumerate() {
            for (o, v) in out.iter_mut().zip(&padded[k..k + w]) {
                *o += t * v;
            }
        }
    }
    let mut out = Grid::filled(w, h, 0.0f32);
    for y in 0..h {
        let line = out.row_mut(y);
        for (k, t) in taps.iter().enumerate() {
            let from = y as isize + k as isize - r as isize;
            if from >= 0 && (from as usize) < h {
                for (o, v) in line.iter_mut().zip(rows.row(from as usize)) {
                    *o += t * v;
                }
            }
        }
    }
    out
}

/// Sums over the (2 `r` + 1)² box, nothing beyond the border. Running sums in f64: no drift.
pub fn box_sum(a: &Grid<f32>, r: usize) -> Grid<f32> {
    let (w, h) = (a.width, a.height);
    let mut out = Grid::filled(w, h, 0.0f32);
    let mut column = vec![0.0f64; w];
    for y in 0..h + r {
        if y < h {
            column.iter_mut().zip(a.row(y)).for_each(|(c, v)| *c += f64::from(*v));
        }
        if y > 2 * r {
            column.iter_mut().zip(a.row(y - 2 * r - 1)).for_each(|(c, v)| *c -= f64::from(*v));
        }
        if y < r {
            continue;
        }
        let mut run: f64 = column[..r.min(w)].iter().sum();
        let line = out.row_mut(y - r);
        for x in 0..w {
            if x + r < w {
                run += column[x + r];
            }
            if x > r {
                run -= column[x - r - 1];
            }
            line[x] = run as f32;
        }
    }
    out
}

/// Means of 2 × 2 blocks; where the size is odd, what is missing counts as zero.
pub fn halve(a: &Grid<f32>) -> Grid<f32> {
    let (w, h) = (a.width.div_ceil(2), a.height.div_ceil(2));
    let mut out = Grid::filled(w, h, 0.0f32);
    for y in 0..a.height {
        let line = out.row_mut(y / 2);
        let row = a.row(y);
        let (pairs, rest) = row.as_chunks::<2>();
        for (o, [p, q]) in line.iter_mut().zip(pairs) {
            *o += 0.25 * (p + q);
        }
        if let Some(v) = rest.first() {
            line[w - 1] += 0.25 * v;
        }
    }
    out
}

/// The bilinear refinement of a grid of block values to blocks of half the side, `width` × `height` of them.
pub fn double(a: &Grid<f32>, width: usize, height: usize) -> Grid<f32> {
    // Block centres lie a quarter of a coarse block from the nearest coarse centre.
    let near = |i: usize, n: usize| {
        let (c, o) =
            ((i / 2).min(n - 1), if i.is_multiple_of(2) { (i / 2).saturating_sub(1) } else { (i / 2 + 1).min(n - 1) });
        (c, o)
    };
    let mut out = Grid::filled(width, height, 0.0f32);
    let mut line = vec![0.0f32; a.width];
    for y in 0..height {
        let (c, o) = near(y, a.height);
        for (l, (p, q)) in line.iter_mut().zip(a.row(c).iter().zip(a.row(o))) {
            *l = 0.75 * p + 0.25 * q;
        }
        for (x, v) in out.row_mut(y).iter_mut().enumerate() {
            let (c, o) = near(x, a.width);
            *v = 0.75 * line[c] + 0.25 * line[o];
        }
    }
    out
}
