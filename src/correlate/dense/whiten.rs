//! Local contrast normalisation: (value - local mean) / local standard deviation, over valid pixels only.

use super::windows::{sum_along, vectors};
use crate::grid::Grid;

/// Radii of the two boxes, pixels: 31 px keeps the texture's spectrum, 5 px flattens it.
pub const RADII: [usize; 2] = [15, 2];
/// Floors of the local standard deviation, in units of the scene's.
const FLOORS: [f64; 2] = [0.05, 0.1];

/// Normalises `image` with whitening `kind` (index of [`RADII`]). `weight` is 1 where valid, else 0; `counts` its box
/// sums; `std` the scene's standard deviation.
pub fn whiten(image: &Grid<f32>, weight: &Grid<f32>, counts: &Grid<f32>, kind: usize, std: f64) -> Grid<f32> {
    let mut out = Grid::filled(image.width, image.height, 0.0);
    whiten_into(image, weight, counts, kind, std, &mut out);
    out
}

/// [`whiten`] into `out`, a row at a time.
pub fn whiten_into(
    image: &Grid<f32>,
    weight: &Grid<f32>,
    counts: &Grid<f32>,
    kind: usize,
    std: f64,
    out: &mut Grid<f32>,
) {
    let (w, h, r) = (image.width, image.height, RADII[kind]);
    let floor = ((FLOORS[kind] * std) as f32).powi(2);
    let mut columns = [0; 2].map(|_| vec![0.0f64; w]);
    let mut sums = [0; 2].map(|_| vec![0.0f32; w]);
    let mut padded = [0; 2].map(|_| vec![0.0f32; w + 2 * r]);
    for y in 0..h + r {
        vectors(
            #[inline(always)]
            || {
                if y < h {
                    add_row(&mut columns, image.row(y), weight.row(y), 1.0);
                }
                if y > 2 * r {
                    add_row(&mut columns, image.row(y - 2 * r - 1), weight.row(y - 2 * r - 1), -1.0);
                }
                if y < r {
                    return;
                }
                sum_along(&columns[0], r, &mut padded, &mut sums[0]);
                sum_along(&columns[1], r, &mut padded, &mut sums[1]);
                let (sums, squares, counts) = (&sums[0][..w], &sums[1][..w], &counts.row(y - r)[..w]);
                let (image, weight) = (&image.row(y - r)[..w], &weight.row(y - r)[..w]);
                for (x, o) in out.row_mut(y - r).iter_mut().enumerate() {
                    let n = counts[x].max(1.0);
                    let mean = sums[x] / n;
                    let variance = (squares[x] / n - mean * mean).max(0.0) + floor;
                    *o = weight[x] * (image[x] - mean) / variance.sqrt().max(f32::MIN_POSITIVE);
                }
            },
        );
    }
}

/// Adds the values that count and their squares to running sums, or takes them away.
#[inline(always)]
fn add_row([sums, squares]: &mut [Vec<f64>; 2], image: &[f32], weight: &[f32], sign: f64) {
    for ((s, q), (v, w)) in sums.iter_mut().zip(squares).zip(image.iter().zip(weight)) {
        let v = v * w;
        *s += sign * f64::from(v);
        *q += sign * f64::from(v * v);
    }
}

/// `f` of every pair of values.
pub fn combine(a: &Grid<f32>, b: &Grid<f32>, f: impl Fn(f32, f32) -> f32) -> Grid<f32> {
    let data = a.data.iter().zip(&b.data).map(|(p, q)| f(*p, *q)).collect();
    Grid { width: a.width, height: a.height, data }
}
