//! Smooth filling of invalid pixels, so that filters see no edge where the data end.
//!
//! The values are used by the filters' tails only; every pixel filled here stays invalid. Push-pull interpolation
//! (Gortler et al. 1996, "The Lumigraph", section 3.4): average the valid pixels down a pyramid, then fill each level
//! from the coarser one.

use std::borrow::Cow;

use super::lanes::vectors;
use crate::grid::{Grid, Image};

/// Replaces invalid values by a smooth continuation of the valid ones. Returns `None` when nothing is valid.
pub fn fill_invalid(image: &Image) -> Option<Cow<'_, Grid<f32>>> {
    if image.all_valid() {
        return Some(Cow::Borrowed(&image.values));
    }
    if !image.valid.data.contains(&true) {
        return None;
    }
    let weights = image.valid.map(|v| if v { 1.0f32 } else { 0.0 });
    let mut filled = image.values.clone();
    pull(&mut filled, &weights);
    Some(Cow::Owned(filled))
}

/// Fills where the weight is below 1 from the next coarser level.
fn pull(values: &mut Grid<f32>, weights: &Grid<f32>) {
    let (w, h) = (values.width, values.height);
    if (w <= 1 && h <= 1) || weights.data.iter().all(|&v| v >= 1.0) {
        return;
    }
    let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
    let (mut mean, mut mass) = (Grid::filled(cw, ch, 0.0f32), Grid::filled(cw, ch, 0.0f32));
    for y in 0..h {
        let (sums, masses) = (mean.row_mut(y / 2), mass.row_mut(y / 2));
        vectors(|| halve(values.row(y), weights.row(y), sums, masses));
    }
    for (m, k) in mean.data.iter_mut().zip(mass.data.iter_mut()) {
        *m = if *k > 0.0 { *m / *k } else { 0.0 };
        *k = k.min(1.0);
    }
    pull(&mut mean, &mass);
    for y in 0..h {
        for (x, (v, &k)) in values.row_mut(y).iter_mut().zip(weights.row(y)).enumerate() {
            if k < 1.0 {
                *v = k * *v + (1.0 - k) * bilinear(&mean, x, y);
            }
        }
    }
}

/// Adds the weighted values of pairs of pixels, and their weights.
#[inline(always)]
fn halve(values: &[f32], weights: &[f32], sums: &mut [f32], masses: &mut [f32]) {
    let ((v, last), (k, last_weight)) = (values.as_chunks::<2>(), weights.as_chunks::<2>());
    for (((sum, mass), v), k) in sums.iter_mut().zip(masses.iter_mut()).zip(v).zip(k) {
        *sum += k[0] * v[0] + k[1] * v[1];
        *mass += k[0] + k[1];
    }
    if let ([v], [k], Some(sum), Some(mass)) = (last, last_weight, sums.last_mut(), masses.last_mut()) {
        *sum += k * v;
        *mass += k;
    }
}

/// Value of the half-resolution grid at the centre of fine pixel (x, y).
fn bilinear(coarse: &Grid<f32>, x: usize, y: usize) -> f32 {
    let at = |p: usize, n: usize| {
        let c = (p as f32 + 0.5) / 2.0 - 0.5;
        let i = c.floor();
        let lo = (i.max(0.0) as usize).min(n - 1);
        let hi = ((i + 1.0).max(0.0) as usize).min(n - 1);
        (lo, hi, c - i)
    };
    let (x0, x1, u) = at(x, coarse.width);
    let (y0, y1, v) = at(y, coarse.height);
    (1.0 - v) * ((1.0 - u) * coarse.get(x0, y0) + u * coarse.get(x1, y0))
        + v * ((1.0 - u) * coarse.get(x0, y1) + u * coarse.get(x1, y1))
}

/// Number of valid pixels in any rectangle, from a summed-area table.
#[derive(Debug, Clone)]
pub struct ValidCounts {
    stride: usize,
    table: Vec<u32>,
}

impl ValidCounts {
    pub fn new(valid: &Grid<bool>) -> Self {
        let stride = valid.width + 1;
        let mut table = vec![0; stride * (valid.height + 1)];
        for y in 0..valid.height {
            let mut run = 0;
            for (x, &v) in valid.row(y).iter().enumerate() {
                run += v as u32;
                table[(y + 1) * stride + x + 1] = table[y * stride + x + 1] + run;
            }
        }
        ValidCounts { stride, table }
    }

    /// Valid pixels in the `w` × `h` rectangle at (x, y); parts outside the grid count as invalid.
    pub fn count(&self, x: i64, y: i64, (w, h): (usize, usize)) -> usize {
        let (width, height) = (self.stride - 1, self.table.len() / self.stride - 1);
        let clamp = |v: i64, n: usize| v.clamp(0, n as i64) as usize;
        let (x0, x1) = (clamp(x, width), clamp(x + w as i64, width));
        let (y0, y1) = (clamp(y, height), clamp(y + h as i64, height));
        let at = |x: usize, y: usize| self.table[y * self.stride + x] as i64;
        (at(x1, y1) - at(x0, y1) - at(x1, y0) + at(x0, y0)) as usize
    }

    /// Valid pixels in the `w` × `h` rectangles at `n` neighbouring places from (x, y) on, all inside the grid.
    #[inline(always)]
    pub fn along(&self, (x, y): (usize, usize), (w, h): (usize, usize), n: usize) -> impl Iterator<Item = u32> {
        let (top, bottom) = (y * self.stride + x, (y + h) * self.stride + x);
        let [a, b, c, d] = [top, top + w, bottom, bottom + w].map(|first| &self.table[first..first + n]);
        (0..n).map(move |k| (d[k] - c[k]) - (b[k] - a[k]))
    }
}

/// Invalidates every pixel closer than or at `radius` (Chebyshev distance) to an invalid one.
pub fn erode(valid: &Grid<bool>, radius: usize) -> Grid<bool> {
    let mut out = valid.clone();
    if radius == 0 || valid.all_true() {
        return out;
    }
    for y in 0..valid.height {
        erode_row(valid.row(y), radius, out.row_mut(y));
    }
    // Along y by rows: how many rows ago, at most, a pixel of each column was invalid.
    let (rows, far) = (out.clone(), radius.min(u16::MAX as usize - 1) as u16 + 1);
    let mut ago = vec![far; valid.width];
    let mut pass = |y: usize, ago: &mut [u16]| {
        for ((ago, &ok), out) in ago.iter_mut().zip(rows.row(y)).zip(out.row_mut(y)) {
            *ago = if ok { (*ago + 1).min(far) } else { 0 };
            *out &= *ago >= far;
        }
    };
    (0..valid.height).for_each(|y| pass(y, &mut ago));
    ago.fill(far);
    (0..valid.height).rev().for_each(|y| pass(y, &mut ago));
    out
}

/// One row of [`erode`]; `out` comes as a copy of `valid`.
fn erode_row(valid: &[bool], radius: usize, out: &mut [bool]) {
    let mut done = 0;
    while let Some(next) = valid[done..].iter().position(|&ok| !ok) {
        let first = done + next;
        let run = valid[first..].iter().position(|&ok| ok).unwrap_or(valid.len() - first);
        out[first.saturating_sub(radius)..(first + run + radius).min(valid.len())].fill(false);
        done = first + run;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_pixels_are_untouched_and_holes_are_smooth() {
        let mut image = Image::from_values(Grid::from_fn(40, 30, |x, y| x as f32 + 2.0 * y as f32));
        for y in 10..20 {
            for x in 10..25 {
                image.valid.set(x, y, false);
                image.values.set(x, y, 0.0);
            }
        }
        let filled = fill_invalid(&image).unwrap();
        for y in 0..30 {
            for x in 0..40 {
                let truth = x as f32 + 2.0 * y as f32;
                let tolerance = if image.valid.get(x, y) { 0.0 } else { 16.0 };
                assert!((filled.get(x, y) - truth).abs() <= tolerance, "({x},{y}) {}", filled.get(x, y));
            }
        }
        assert!(fill_invalid(&Image::invalid(4, 4)).is_none());
    }

    #[test]
    fn counts_agree_with_counting() {
        let valid = Grid::from_fn(9, 7, |x, y| (x * 5 + y * 3) % 4 != 0);
        let counts = ValidCounts::new(&valid);
        for (x, y, w, h) in [(0i64, 0i64, 9usize, 7usize), (2, 1, 3, 4), (-2, -1, 5, 20), (8, 6, 4, 4), (20, 0, 2, 2)] {
            let inside = |i: i64, j: i64| i >= 0 && j >= 0 && i < 9 && j < 7 && valid.get(i as usize, j as usize);
            let want = (y..y + h as i64).flat_map(|j| (x..x + w as i64).map(move |i| (i, j)));
            let want = want.filter(|&(i, j)| inside(i, j)).count();
            assert_eq!(counts.count(x, y, (w, h)), want);
        }
    }

    #[test]
    fn erosion_is_a_square() {
        let mut valid = Grid::filled(9, 9, true);
        valid.set(4, 4, false);
        let e = erode(&valid, 2);
        let bad = e.data.iter().filter(|&&v| !v).count();
        assert_eq!(bad, 25);
        assert!(!e.get(2, 6) && e.get(1, 4));
    }
}
