//! Local contrast normalisation: (value - local mean) / local standard deviation, over valid pixels only.

use super::windows::box_rows;
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
    let w = image.width;
    let floor = ((FLOORS[kind] * std) as f32).powi(2);
    box_rows(
        (w, image.height),
        RADII[kind],
        #[inline(always)]
        |y, sign, [sums, squares]| {
            let (sums, squares) = (&mut sums[..w], &mut squares[..w]);
            let (image, weight) = (&image.row(y)[..w], &weight.row(y)[..w]);
            for x in 0..w {
                let v = image[x] * weight[x];
                sums[x] += sign * f64::from(v);
                squares[x] += sign * f64::from(v * v);
            }
        },
        #[inline(always)]
        |y, [sums, squares]| {
            let (sums, squares, counts) = (&sums[..w], &squares[..w], &counts.row(y)[..w]);
            let (image, weight) = (&image.row(y)[..w], &weight.row(y)[..w]);
            let out = &mut out.row_mut(y)[..w];
            for x in 0..w {
                let n = counts[x].max(1.0);
                let mean = sums[x] / n;
                let variance = (squares[x] / n - mean * mean).max(0.0) + floor;
                out[x] = weight[x] * (image[x] - mean) / variance.sqrt().max(f32::MIN_POSITIVE);
            }
        },
    );
}

/// `f` of every pair of values.
pub fn combine(a: &Grid<f32>, b: &Grid<f32>, f: impl Fn(f32, f32) -> f32) -> Grid<f32> {
    let data = a.data.iter().zip(&b.data).map(|(p, q)| f(*p, *q)).collect();
    Grid { width: a.width, height: a.height, data }
}
