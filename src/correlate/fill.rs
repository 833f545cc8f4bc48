//! Smooth filling of invalid pixels, so that filters see no edge where the data end.
//!
//! The values are used by the filters' tails only; every pixel filled here stays invalid. Push-pull interpolation
//! (Gortler et al. 1996, "The Lumigraph", section 3.4): average the valid pixels down a pyramid, then fill each level
//! from the coarser one.

use crate::grid::{Grid, Image};

/// Replaces invalid values by a smooth continuation of the valid ones. Returns `None` when nothing is valid.
pub fn fill_invalid(image: &Image) -> Option<Grid<f32>> {
    if image.all_valid() {
        return Some(image.values.clone());
    }
    if !image.valid.data.iter().any(|&v| v) {
        return None;
    }
    let weights = image.valid.map(|v| if v { 1.0f32 } else { 0.0 });
    Some(pull(image.values.clone(), weights))
}

/// Fills where the weight is below 1 from the next coarser level.
fn pull(values: Grid<f32>, weights: Grid<f32>) -> Grid<f32> {
    let (w, h) = (values.width, values.height);
    if (w <= 1 && h <= 1) || weights.data.iter().all(|&v| v >= 1.0) {
        return values;
    }
    let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
    let (mut sum, mut mass) = (Grid::filled(cw, ch, 0.0f32), Grid::filled(cw, ch, 0.0f32));
    for y in 0..h {
        for x in 0..w {
            let k = weights.get(x, y);
            let i = (y / 2) * cw + x / 2;
            sum.data[i] += k * values.get(x, y);
            mass.data[i] += k;
        }
    }
    for (s, m) in sum.data.iter_mut().zip(mass.data.iter_mut()) {
        *s = if *m > 0.0 { *s / *m } else { 0.0 };
        *m = m.min(1.0);
    }
    let coarse = pull(sum, mass);
    Grid::from_fn(w, h, |x, y| {
        let k = weights.get(x, y);
        if k >= 1.0 { values.get(x, y) } else { k * values.get(x, y) + (1.0 - k) * bilinear(&coarse, x, y) }
    })
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
}

/// Invalidates every pixel closer than or at `radius` (Chebyshev distance) to an invalid one.
pub fn erode(valid: &Grid<bool>, radius: usize) -> Grid<bool> {
    if radius == 0 || valid.data.iter().all(|&v| v) {
        return valid.clone();
    }
    let (w, h) = (valid.width, valid.height);
    let line = |input: &[bool], out: &mut [bool]| {
        let mut last_bad: Option<usize> = None;
        for (i, &v) in input.iter().enumerate() {
            if !v {
                last_bad = Some(i);
            }
            out[i] = last_bad.is_none_or(|b| i - b > radius);
        }
        let mut next_bad: Option<usize> = None;
        for (i, &v) in input.iter().enumerate().rev() {
            if !v {
                next_bad = Some(i);
            }
            out[i] &= next_bad.is_none_or(|b| b - i > radius);
        }
    };
    let mut rows = Grid::filled(w, h, true);
    for y in 0..h {
        line(valid.row(y), rows.row_mut(y));
    }
    let mut out = rows.clone();
    let (mut column, mut result) = (vec![true; h], vec![true; h]);
    for x in 0..w {
        for (y, v) in column.iter_mut().enumerate() {
            *v = rows.get(x, y);
        }
        line(&column, &mut result);
        for (y, v) in result.iter().enumerate() {
            out.set(x, y, *v);
        }
    }
    out
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
