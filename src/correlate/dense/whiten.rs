//! Local contrast normalisation: (value - local mean) / local standard deviation, over valid pixels only.

use super::windows::{box_sum, vectors};
use crate::grid::Grid;

/// Radii of the two boxes, pixels: 31 px keeps the texture's spectrum, 5 px flattens it.
pub const RADII: [usize; 2] = [15, 2];
/// Floors of the local standard deviation, in units of the scene's.
const FLOORS: [f64; 2] = [0.05, 0.1];

/// Normalises `image` with whitening `kind` (index of [`RADII`]). `weight` is 1 where valid, else 0; `counts` its box
/// sums; `std` the scene's standard deviation.
pub fn whiten(image: &Grid<f32>, weight: &Grid<f32>, counts: &Grid<f32>, kind: usize, std: f64) -> Grid<f32> {
    let masked = combine(image, weight, |v, w| v * w);
    let sums = box_sum(&masked, RADII[kind]);
    let squares = box_sum(&combine(&masked, &masked, |v, w| v * w), RADII[kind]);
    let floor = ((FLOORS[kind] * std) as f32).powi(2);
    let mut out = masked;
    let n = out.data.len();
    let [sums, squares, counts, weight, image] = [&sums, &squares, counts, weight, image].map(|g| &g.data[..n]);
    vectors(
        #[inline(always)]
        || {
            for (k, o) in out.data.iter_mut().enumerate() {
                let n = counts[k].max(1.0);
                let mean = sums[k] / n;
                let variance = (squares[k] / n - mean * mean).max(0.0) + floor;
                *o = weight[k] * (image[k] - mean) / variance.sqrt().max(f32::MIN_POSITIVE);
            }
        },
    );
    out
}

/// `f` of every pair of values.
pub fn combine(a: &Grid<f32>, b: &Grid<f32>, f: impl Fn(f32, f32) -> f32) -> Grid<f32> {
    let data = a.data.iter().zip(&b.data).map(|(p, q)| f(*p, *q)).collect();
    Grid { width: a.width, height: a.height, data }
}
